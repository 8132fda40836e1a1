"""Two observers: `trace` keeps what pictures need, `debug` stops at the first thing that goes wrong."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterator
from threading import RLock
from typing import NamedTuple

import numpy as np

from .context import Block, Observer
from .explanation import SourceRecorder
from .graph import Node, Operation
from .interop import values


class Traced(NamedTuple):
    """What a node keeps under trace(): its result, and for each operand its values and its name."""

    value: np.ndarray
    operands: tuple[np.ndarray, ...]
    names: tuple[str | None, ...]


class trace(Block):
    """Let the graph keep every result, every constant and every name, for pictures of it (`minigrad.draw`)
    and for `minigrad.explain`.

    >>> import minigrad as mg
    >>> x = mg.Tensor(3.0, requires_grad=True, name="x")
    >>> with mg.trace():
    ...     y = 2 * x
    >>> y.node.traced.operands, y.node.traced.names
    ((2, np.float64(3.0)), (None, 'x'))
    """

    def __init__(self) -> None:
        self.observer = _Tracer()


class _Tracer(SourceRecorder):
    def computed(self, op: Operation, operands: tuple, result) -> None:
        super().computed(op, operands, result)
        if result.node is not None:
            names = tuple(getattr(x, "name", None) for x in operands)
            result.node.traced = Traced(result.value, tuple(map(values, operands)), names)


class debug(Block):
    """Stop at the first operation whose forward or backward pass makes a NaN or an infinity from finite numbers.

    FloatingPointError names the operation and the place.  Inside the block, arrays that a graph still needs are read-only,
    index arrays included: NumPy's ValueError ("read-only") then points at the line that would have spoiled a gradient.

    >>> import minigrad as mg
    >>> x = mg.Tensor([1.0, 0.0], requires_grad=True)
    >>> with mg.debug(), np.errstate(divide="ignore"):
    ...     x.log()
    Traceback (most recent call last):
    ...
    FloatingPointError: tensor_log: forward made -inf at index (1,) of finite operands: x = 0.0 there.
    """

    observer: _Watcher

    def __init__(self) -> None:
        self.observer = _Watcher()

    def __exit__(self, *error) -> None:
        super().__exit__(*error)
        self.observer.thaw_all()

    def fresh(self) -> debug:
        return debug()


class _Watcher(Observer):
    def __init__(self) -> None:
        self.needed: dict[int, tuple] = {}  # id of a node -> (a weak reference that thaws, what it froze)

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
        with _lock:
            needed = [_freeze(array) for value in node.saved for array in _arrays(value)]
            key = id(node)
            self.needed[key] = weakref.ref(node, lambda _: self.thaw(key)), needed

    def freed(self, node: Node) -> None:
        self.thaw(id(node))

    def thaw(self, key: int) -> None:
        with _lock:
            _, needed = self.needed.pop(key, (None, ()))
            _thaw(needed)

    def thaw_all(self) -> None:
        for key in list(self.needed):
            self.thaw(key)


# Read-only arrays are known to all debug() blocks of all threads, since two of them may need the same array.
_lock = RLock()
_frozen: dict[int, _Frozen] = {}  # by the id of the array
_idle: set[_Frozen] = set()  # needed by no node any more, but views of an array that is


class _Frozen:
    """An array that must not be written into, and how many nodes need it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.count = 0
        self.writeable = array.flags.writeable
        self.depth = 0
        base = array.base
        while isinstance(base, np.ndarray):
            self.depth += 1
            base = base.base

    def thaw(self) -> bool:
        """Restore the array's flag; False where it is a view of an array that another node still needs."""
        base = self.array.base
        if self.writeable and isinstance(base, np.ndarray) and not base.flags.writeable:
            return False
        self.array.flags.writeable = self.writeable
        return True


def _arrays(value) -> Iterator[np.ndarray]:
    """The arrays in a saved value, which may be an index such as (rows, slice(None)), and all that they are views of."""
    if isinstance(value, tuple):
        for item in value:
            yield from _arrays(item)
    while isinstance(value, np.ndarray):  # a view can be written through its base, too
        yield value
        value = value.base


def _freeze(array: np.ndarray) -> _Frozen:
    frozen = _frozen.setdefault(id(array), _Frozen(array))
    frozen.count += 1
    array.flags.writeable = False
    return frozen


def _thaw(needed: Collection[_Frozen]) -> None:
    """Make arrays that no node needs any more writeable again."""
    for frozen in needed:
        frozen.count -= 1
    _idle.update(frozen for frozen in needed if not frozen.count)
    for frozen in sorted(_idle, key=lambda frozen: frozen.depth):  # a base before its views
        if frozen.count or frozen.thaw():
            _idle.remove(frozen)
        if not frozen.count and frozen not in _idle:
            del _frozen[id(frozen.array)]


def _first_bad(array) -> tuple[tuple[int, ...], float]:
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    return index, np.asarray(array)[index]
