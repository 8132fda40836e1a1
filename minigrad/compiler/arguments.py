"""The arguments of a compiled function: Python that checks them and takes the arrays out, and their reconstruction."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor
from .state import GENERATORS, unchanged
from .trace import Argument


class Structure:
    """The arguments of a call: which arrays and tensors are where, and Python that checks and unpacks others like them."""

    def __init__(self, args: tuple, kwargs: dict) -> None:
        self.leaves: list = []
        self.objects: list = []
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}
        self.count = 0
        self.tree = (self._open(args, "args"), self._open(kwargs, "kwargs"))
        self._distinct_tensors()

    @property
    def repeats_a_tensor(self) -> bool:
        tensors = [id(x) for x in self.leaves if isinstance(x, Tensor)]
        return len(set(tensors)) < len(tensors)

    def _distinct_tensors(self) -> None:
        """A line that returns MISS where one tensor is given twice: it has one gradient, a sum."""
        tensors = [f"x{i}" for i, x in enumerate(self.leaves) if isinstance(x, Tensor)]
        if len(tensors) == 2:
            self.lines.append(f"if {tensors[0]} is {tensors[1]}: return MISS")
        elif tensors:
            self.lines.append(f"if len({{{', '.join(f'id({x})' for x in tensors)}}}) != {len(tensors)}: return MISS")

    def bind(self, x: Any) -> str:
        name = f"_k{len(self.names)}"
        self.names[name] = x
        return name

    def _open(self, x: Any, name: str) -> Any:
        if isinstance(x, GENERATORS):
            leaf = f"x{len(self.leaves)}"
            self.lines += [f"{leaf} = {name}", f"if type({leaf}) is not {self.bind(type(x))}: return MISS"]
            self.leaves.append(x)
            return Argument(len(self.leaves) - 1)
        if isinstance(x, (Tensor, np.ndarray)) or (isinstance(x, np.generic) and x.dtype.kind in "biuf"):
            if isinstance(x, np.ndarray) and x.dtype.kind not in "biuf":
                raise TypeError(f"compile: an argument of dtype {x.dtype}. Give arrays of real numbers.")
            leaf = f"x{len(self.leaves)}"
            self.lines.append(f"{leaf} = {name}")
            self.leaves.append(x)
            if isinstance(x, Tensor):
                if x.node is not None and x.node.op is not None:
                    raise TypeError(
                        "compile: an argument is a tensor that was computed, and its graph would be cut off. Compile "
                        "the function that computes it too, or pass x.detach()."
                    )
                kind = "is None" if x.node is None else "is not None"
                self.lines.append(f"if type({leaf}) is not Tensor or not {leaf}.node {kind}: return MISS")
                self.lines.append(f"v{leaf} = {leaf}.value")
                self.check_array(x.value, f"v{leaf}")
            else:
                self.check_array(x, leaf)
            return Argument(len(self.leaves) - 1)
        if type(x) in (tuple, list) or (isinstance(x, tuple) and hasattr(x, "_fields")):
            self.lines.append(f"if type({name}) is not {self.bind(type(x))} or len({name}) != {len(x)}: return MISS")
            parts = [self._part() for _ in x]
            if parts:
                self.lines.append(f"{', '.join(parts)}, = {name}")
            opened = [self._open(item, part) for item, part in zip(x, parts, strict=True)]
            return type(x)(*opened) if hasattr(x, "_fields") else type(x)(opened)
        if type(x) is dict:
            keys = self.bind(list(x))
            self.lines.append(
                f"if type({name}) is not dict or list({name}) != {keys}: return MISS"
                if x or name != "kwargs"
                else f"if {name}: return MISS"
            )
            parts = [self._part() for _ in x]
            if parts:
                self.lines.append(f"{', '.join(parts)}, = {name}.values()")
            return {key: self._open(item, part) for (key, item), part in zip(x.items(), parts, strict=True)}
        self.lines.append(f"if not {unchanged(x, name, self.bind)}: return MISS")
        self.objects.append(x)
        return x

    def _part(self) -> str:
        self.count += 1
        return f"p{self.count}"

    def check_array(self, x: Any, name: str) -> None:
        """Lines that return MISS unless `name` is an array of the same shape, dtype and layout."""
        if isinstance(x, np.generic):
            self.lines.append(f"if type({name}) is not {self.bind(type(x))}: return MISS")
            return
        strides = f" or {name}.strides != {x.strides}" if x.ndim else ""
        self.lines.append(
            f"if type({name}) is not ndarray or {name}.shape != {x.shape} or {name}.dtype is not {self.bind(x.dtype)}"
            f"{strides}: return MISS"
        )

    def rebuild(self, arguments: list) -> Any:
        """The arguments with other leaves."""

        def build(x: Any) -> Any:
            if type(x) is Argument:
                return arguments[x.position]
            if isinstance(x, tuple) and hasattr(x, "_fields"):
                return type(x)(*map(build, x))
            if type(x) in (tuple, list):
                return type(x)(map(build, x))
            return {key: build(item) for key, item in x.items()} if type(x) is dict else x

        return build(self.tree)
