"""Print instructions as NumPy source."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from .recording import Instruction, Variable

INFIX = {"+", "-", "*", "/", "//", "%", "**", "@", "<", "<=", ">", ">=", "==", "!=", "&", "|", "^"}
REDUCTIONS = {np.add: "np.sum", np.maximum: "np.max", np.minimum: "np.min", np.multiply: "np.prod"}


def literal(x: Any, weak: bool = False) -> str:
    """A constant as source.  A NumPy number is written as a plain number where that means the same (`weak`)."""
    if isinstance(x, np.generic):
        if isinstance(x, np.bool_):
            return f"np.bool_({x})"
        text = literal(x.item())
        return text if weak else f"np.{x.dtype.name}({text})"
    if isinstance(x, float):
        return repr(x) if np.isfinite(x) else f"np.{x}".replace("np.-", "-np.")
    if isinstance(x, np.dtype):
        return f"np.{x.name}" if x.isnative and x.kind in "iuf" else "bool" if x.kind == "b" else f"np.dtype({x.str!r})"
    if isinstance(x, type) and issubclass(x, np.generic):
        return f"np.{x.__name__}"
    if isinstance(x, type) or x is Ellipsis:
        return x.__name__ if isinstance(x, type) else "..."
    return repr(x)


def array_literal(x: np.ndarray) -> str:
    """An array as source."""
    if x.ndim == 1 and x.size > 2 and x.dtype == np.int64 and np.array_equal(x, np.arange(x[0], x[0] + x.size)):
        return f"np.arange({x.size})" if x[0] == 0 else f"np.arange({x[0]}, {x[0] + x.size})"
    if x.size and (x.reshape(-1)[:1].tobytes() * x.size == x.tobytes()):
        return f"np.full({x.shape}, {literal(x.reshape(-1)[0], weak=True)}, {literal(x.dtype)})"
    text = re.sub(r"\b(inf|nan)\b", r"np.\1", repr(x.tolist()))
    source = f"np.array({text}, {literal(x.dtype)})"
    if not x.size:
        source = f"np.zeros({x.shape}, {literal(x.dtype)})"
    return source + (".T" if x.ndim == 2 and x.flags.f_contiguous and not x.flags.c_contiguous else "")


class Printer:
    """Turns instructions into expressions.  `name` gives the name of a variable or of a constant array."""

    def __init__(self, name: Callable[[Any], str]) -> None:
        self.name = name

    def operand(self, x: Any, weak: bool = False) -> str:
        """A variable, a constant, or a list, tuple or slice of them."""
        if isinstance(x, (Variable, np.ndarray)):
            return self.name(x)
        if type(x) is slice:
            parts = ["" if p is None else self.operand(p) for p in (x.start, x.stop)]
            return ":".join(parts + ([] if x.step is None else [self.operand(x.step)]))
        if type(x) is list:
            return f"[{', '.join(map(self.operand, x))}]"
        if type(x) is tuple:
            items = [repr(p) if type(p) is slice else self.operand(p) for p in x]
            return f"({', '.join(items)}{',' * (len(items) == 1)})"
        return literal(x, weak)

    def index(self, x: Any) -> str:
        """What stands in the brackets of an index."""
        if type(x) is tuple and x:
            return ", ".join(self.operand(part) for part in x) + ("," if len(x) == 1 else "")
        return self.operand(x)

    def operands(self, i: Instruction) -> list[str]:
        """The operands of an elementwise instruction, numbers as plain as possible."""
        dtypes = {x.value.dtype for x in i.args if type(x) is Variable} | {
            x.dtype for x in i.args if isinstance(x, np.ndarray)
        }
        return [
            self.operand(x, weak=isinstance(x, np.generic) and dtypes == {x.dtype} and x.dtype.kind == "f")
            for x in i.args
        ]

    def arguments(self, args: tuple, kwargs: dict) -> str:
        """The inside of a call's parentheses."""
        return ", ".join([*map(self.operand, args), *(f"{k}={self.operand(v)}" for k, v in kwargs.items())])

    def function(self, f: Any) -> str:
        """The full name of a NumPy function."""
        if f is np.lib.stride_tricks.sliding_window_view:  # its module is numpy all the same
            return "np.lib.stride_tricks.sliding_window_view"
        module = getattr(f, "__module__", "numpy") or "numpy"
        return module.replace("numpy", "np", 1) + "." + f.__name__ if "_" not in module else f"np.{f.__name__}"

    def expression(self, i: Instruction) -> str:
        """The right-hand side of an instruction (see `statement` for those that need more than an expression)."""
        if i.kind == "operator":
            operands = self.operands(i)
            if i.target in INFIX:
                left, right = operands
                return f"{f'({left})' if left.startswith('-') and i.target == '**' else left} {i.target} {right}"
            return {"negative": "-{}", "positive": "+{}", "abs": "np.abs({})", "~": "~{}"}[i.target].format(*operands)
        if i.kind == "ufunc":
            rest = "".join(f", {k}={self.operand(v)}" for k, v in i.kwargs.items())
            return f"np.{i.target.__name__}({', '.join(self.operands(i))}{rest})"
        if i.kind == "reduce":
            kwargs = {k: v for k, v in i.kwargs.items() if v is not False and not (k == "axis" and v is None)}
            kwargs |= {} if i.target in REDUCTIONS else {"axis": i.kwargs["axis"]}
            function = REDUCTIONS.get(i.target, f"np.{i.target.__name__}.reduce")
            return f"{function}({self.arguments(i.args, kwargs)})"
        if i.kind == "function":
            if i.target is np.where and len(i.args) == 3:
                condition, *choices = i.args
                return f"np.where({', '.join([self.operand(condition), *self.operands(i._replace(args=choices))])})"
            return f"{self.function(i.target)}({self.arguments(i.args, i.kwargs)})"
        if i.kind in ("method", "draw"):
            x = i.args[0]
            if i.target == "transpose" and i.args[1:] in ((), (None,)) and not i.kwargs:
                return f"{self.operand(x)}.T"
            return f"{self.operand(x)}.{i.target}({self.arguments(i.args[1:], i.kwargs)})"
        if i.kind == "getitem":
            return f"{self.operand(i.args[0])}[{self.index(i.args[1])}]"
        raise NotImplementedError(i.kind)

    def statement(self, i: Instruction) -> list[str]:
        """The instruction as lines of source."""
        if i.kind == "check":
            return [
                f"if {self.operand(i.args[0])}:",
                '    raise ValueError("an argument fails a check; the function itself says which")',
            ]
        result = self.name(i.result) if i.result is not None else "_"
        if i.kind in ("setitem", "at"):
            x, index, *new = i.args
            number = isinstance(x, Variable) and isinstance(x.value, np.generic)
            lines = [f"{result} = np.array({self.operand(x)})" if number else f'{result} = {self.operand(x)}.copy("K")']
            if isinstance(x, np.ndarray) and not np.any(x) and x.flags.c_contiguous:
                lines = [f"{result} = np.zeros({x.shape}, {literal(x.dtype)})"]
            if i.kind == "setitem":
                return [*lines, f"{result}[{self.index(index)}] = {self.operand(new[0])}"]
            inside = self.operand(index) if type(index) is not slice else repr(index)
            return [*lines, f"np.{i.target.__name__}.at({result}, {', '.join([inside, *map(self.operand, new)])})"]
        return [f"{result} = {self.expression(i)}"]


RESERVED = {"np", "program", *keyword.kwlist}


class Names:
    """Distinct Python identifiers."""

    def __init__(self) -> None:
        self.taken = set(RESERVED)

    def new(self, wish: str) -> str:
        """`wish`, or something like it that is free."""
        wish = re.sub(r"\W", "_", wish).strip("_") or "v"
        wish = f"v{wish}" if wish[0].isdigit() else wish
        name, k = wish, 1
        while name in self.taken:
            k += 1
            name = f"{wish}_{k}"
        self.taken.add(name)
        return name

    def numbered(self, letter: str, start: int) -> tuple[str, int]:
        """The first free one of t0, t1, … from `start` on, and the number after it."""
        while f"{letter}{start}" in self.taken:
            start += 1
        self.taken.add(f"{letter}{start}")
        return f"{letter}{start}", start + 1
