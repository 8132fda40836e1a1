"""Two observers: `trace` keeps what pictures need, `debug` stops at the first thing that goes wrong."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from .graph import Node, Observer, Operation, observing
from .interop import values


class Traced(NamedTuple):
    """What a node keeps under trace(): its result, and for each operand its values and its name."""

    value: np.ndarray
    operands: tuple[np.ndarray, ...]
    names: tuple[str | None, ...]


@contextmanager
def trace() -> Iterator[None]:
    """Let the graph keep every result, every constant and every name, for pictures of it (`minigrad.draw`).

    >>> import minigrad as mg
    >>> x = mg.Tensor(3.0, requires_grad=True, name="x")
    >>> with mg.trace():
    ...     y = 2 * x
    >>> y.node.traced.operands, y.node.traced.names
    ((2, np.float64(3.0)), (None, 'x'))
    """
    with observing(_Tracer()):
        yield


class _Tracer(Observer):
    def computed(self, op: Operation, operands: tuple, result) -> None:
        if result.node is not None:
            names = tuple(getattr(x, "name", None) for x in operands)
            result.node.traced = Traced(result.value, tuple(map(values, operands)), names)


@contextmanager
def debug() -> Iterator[None]:
    """Stop at the first operation whose forward or backward makes a NaN or an infinity of finite numbers.

    FloatingPointError names the operation and the place.  Inside the block, arrays that a graph still needs refuse to be
    written into: NumPy's ValueError ("read-only") then points at the line that would have spoiled a gradient.

    >>> import minigrad as mg
    >>> x = mg.Tensor([1.0, 0.0], requires_grad=True)
    >>> with mg.debug(), np.errstate(divide="ignore"):
    ...     x.log()
    Traceback (most recent call last):
    ...
    FloatingPointError: tensor_log: forward made -inf at index (1,) of finite operands: x = 0.0 there.
    """
    watcher = _Watcher()
    try:
        with observing(watcher):
            yield
    finally:
        watcher.thaw_all()


class _Watcher(Observer):
    def __init__(self) -> None:
        self.frozen: dict[int, list] = {}  # id of an array -> [the array, how many nodes need it]
        self.needed: dict[int, tuple] = {}  # id of a node -> (a weak reference that thaws, the arrays it needs)

    # ---------------------------------------------------------------- numbers

    def computed(self, op: Operation, operands: tuple, result) -> None:
        inputs = [values(x) for x in operands]
        if not np.all(np.isfinite(result.value)) and all(np.all(np.isfinite(x)) for x in inputs):
            index, value = _first_bad(result.value)
            there = ", ".join(
                f"{name} = {np.broadcast_to(x, np.shape(result.value))[index]}"
                for name, x in zip(op.operands, inputs, strict=False)
                if np.shape(x) in ((), np.shape(result.value))
            )
            raise FloatingPointError(
                f"{op.name}: forward made {value} at index {index} of finite operands"
                + (f": {there} there." if there else ".")
            )
        if result.node is not None:
            self.freeze(result.node)

    def contributed(self, node: Node, position: int, g, contribution) -> None:
        if not np.all(np.isfinite(values(contribution))) and np.all(np.isfinite(values(g))):
            index, value = _first_bad(values(contribution))
            operand = node.op.operands[position]
            raise FloatingPointError(
                f"{node.op.name}: backward made {value} at index {index} of the gradient of {operand}."
            )

    # ---------------------------------------------------------------- writes

    def freeze(self, node: Node) -> None:
        arrays = []
        for array in node.saved:
            while isinstance(array, np.ndarray):  # a view can be written through its base, too
                arrays.append(array)
                array = array.base
        for array in arrays:
            entry = self.frozen.setdefault(id(array), [array, 0, array.flags.writeable])
            entry[1] += 1
            array.flags.writeable = False
        key = id(node)
        self.needed[key] = weakref.ref(node, lambda _: self.thaw(key)), arrays

    def freed(self, node: Node) -> None:
        self.thaw(id(node))

    def thaw(self, key: int) -> None:
        _, arrays = self.needed.pop(key, (None, ()))
        for array in reversed(arrays):  # a base before its views
            entry = self.frozen[id(array)]
            entry[1] -= 1
            if not entry[1]:
                del self.frozen[id(array)]
                array.flags.writeable = entry[2]

    def thaw_all(self) -> None:
        for key in list(self.needed):
            self.thaw(key)


def _first_bad(array) -> tuple[tuple[int, ...], float]:
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    return index, np.asarray(array)[index]
