"""`explain(x)`: which operations contributed to `x.grad`, on which lines of your program, and how much each."""

from __future__ import annotations

import sys
from functools import reduce
from os.path import basename, dirname
from types import FrameType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet, ref

import numpy as np

from .context import Observer, observers
from .graph import Node, Operation
from .interop import values
from .tensor import Tensor

PACKAGE = dirname(__file__)


class Contribution(NamedTuple):
    """One term of a leaf's gradient: what the gradient rule for one operand of one operation returned.

    `backward` numbers the calls of backward() since zero_grad(), from 1.  `file`, `line` and `source` say where the
    operation was computed; they are None if that happened outside trace().
    """

    operation: str
    operand: str
    value: np.ndarray
    backward: int
    file: str | None = None
    line: int | None = None

    @property
    def source(self) -> str | None:
        """The line of the program, without indentation; None where Python does not know it."""
        if self.file is None or self.line is None:
            return None
        import linecache  # here, because it takes longer to load than this package

        return linecache.getline(self.file, self.line).strip() or None

    def __str__(self) -> str:
        if self.file is None:
            place = "computed outside trace()"
        else:
            place = f"{basename(self.file)}:{self.line}" + (f": {self.source}" if self.source else "")
        return f"{_shortened(self.value)}  {self.operation}, operand {self.operand}  ({place})"


class Explanation(NamedTuple):
    """Where the gradient of a leaf came from.  `contributions` are in the order in which they were added."""

    name: str
    gradient: np.ndarray
    contributions: tuple[Contribution, ...]

    def sum(self) -> np.ndarray:
        """Add the contributions as the engine does, each backward() for itself: equal to `.grad` to the last bit."""
        return _total(self.contributions, self.gradient.dtype)

    def __str__(self) -> str:
        n = len(self.contributions)
        passes = self.contributions[-1].backward
        head = f"{self.name}.grad = {_shortened(self.gradient)}: {n} contribution{'s' * (n > 1)}"
        lines = [head + (f" from {passes} calls of backward()" if passes > 1 else "")]
        for c in self.contributions:
            lines.append(f"  {f'{c.backward}. ' if passes > 1 else ''}{c}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def explain(x: Tensor) -> Explanation:
    """List the contributions that were added up to `x.grad`, for a leaf x.

    Run forward and backward pass inside `with trace():`.  Each contribution names the operation and the operand that x
    was, the line of your program that computed the operation, and the value, of the shape of x.  Contributions of
    several calls of backward() accumulate, as `.grad` does, until zero_grad().

    Returns an `Explanation`: print it, or read its `contributions`, each with `operation`, `operand`, `value`, `file`, `line` and
    `source`; its `sum()` is the gradient.  TypeError if x is not a tensor; ValueError if it
    is not a leaf; RuntimeError if x has no gradient, or one that trace() did not see being computed.

    >>> from minigrad import trace
    >>> x = Tensor(3.0, requires_grad=True, name="x")
    >>> with trace():
    ...     y = x * x + 2 * x
    ...     y.backward()
    >>> why = explain(x)
    >>> [(c.operation, c.operand, c.value.item(), c.source) for c in why.contributions]  # doctest: +NORMALIZE_WHITESPACE
    [('tensor_mul', 'b', 2.0, 'y = x * x + 2 * x'),
     ('tensor_mul', 'a', 3.0, 'y = x * x + 2 * x'),
     ('tensor_mul', 'b', 3.0, 'y = x * x + 2 * x')]
    >>> why.sum() == x.grad == 8
    np.True_

    Section 3.3 explains why contributions are added.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"explain: x is {type(x).__name__}, not a tensor. Give a leaf, made with requires_grad=True.")
    name = x.name or "x"
    if x.node is None or x.node.op is not None:
        what = "requires no gradient" if x.node is None else f"was computed by {x.node.op.name}"
        raise ValueError(
            f"explain: {name} {what}, and only leaves keep a gradient. Give one made with requires_grad=True."
        )
    if x.grad is None:
        raise RuntimeError(f"explain: {name} has no gradient. Call backward() inside `with minigrad.trace():` first.")
    gradient = np.array(values(x.grad))
    history = _histories.get(x.node)
    contributions = history.settled(x.node) if history else ()
    if not contributions or not np.array_equal(_total(contributions, x.dtype), gradient, equal_nan=True):
        raise RuntimeError(
            f"explain: {name} has a gradient that was not, or not entirely, computed inside trace(). Call zero_grad(), run "
            "forward and backward pass inside `with minigrad.trace():`, and explain before you change .grad."
        )
    return Explanation(name, gradient, tuple(contributions))


# ---------------------------------------------------------------- what is recorded while trace() is on

_lines: WeakKeyDictionary[Node, tuple[str | None, int | None]] = WeakKeyDictionary()  # where each node was computed
_histories: WeakKeyDictionary[Node, _History] = WeakKeyDictionary()  # by leaf


class _History:
    """The contributions to one leaf.  Those of the last backward pass are pending until it is known to have ended well.

    Observers are told neither which pass is running nor how it ends: backward() adds to `.grad`, while minigrad.grad
    and a pass that fails do not.  So `.grad` is compared with what it was before.
    """

    def __init__(self) -> None:
        self.accepted: list[Contribution] = []
        self.pending: list[Contribution] = []
        self.pass_id: object = None
        self.before = None  # .grad when the pending pass first contributed

    def begin(self, leaf: Node, pass_id: object) -> None:
        self.settled(leaf)
        self.pass_id, self.before = pass_id, leaf.grad

    def settled(self, leaf: Node) -> list[Contribution]:
        """The accepted contributions, after the pending ones were accepted or dropped."""
        if self.pending and leaf.grad is not None and leaf.grad is not self.before:
            total = _total(self.pending, leaf.dtype)
            expected = total if self.before is None else values(self.before) + total
            if np.array_equal(values(leaf.grad), expected, equal_nan=True):
                self.accepted += self.pending
        self.pending = []
        if leaf.grad is None:  # zero_grad() was called
            self.accepted = []
        return self.accepted


class SourceRecorder(Observer):
    """Records the program's line for every node, and every contribution to a leaf."""

    def __init__(self) -> None:
        self.pass_id = object()
        self.position = 0
        self.visited: ref[Node] | None = None  # a weak reference to the node whose rules are running
        self.waiting: WeakSet[Node] = WeakSet()  # nodes that were passed a gradient and have not been visited

    def computed(self, op: Operation, operands: tuple, result) -> None:
        if result.node is not None:
            _lines[result.node] = _callers_line()

    def contributed(self, node: Node, position: int, g, contribution) -> None:
        if next(o for o in observers() if isinstance(o, SourceRecorder)) is not self:
            return  # an outer trace() records it
        again = self.visited is not None and self.visited() is node and position > self.position
        if not again:  # the first rule of a node: the root of a new pass, unless a gradient was waiting for it
            if node not in self.waiting:
                self.pass_id = object()
                self.waiting.clear()
            self.waiting.discard(node)
        self.visited, self.position = ref(node), position
        parent: Node | Any = node.parents[position]
        if parent.op is not None:
            self.waiting.add(parent)
            return
        history = _histories.setdefault(parent, _History())
        if history.pass_id is not self.pass_id:
            history.begin(parent, self.pass_id)
        number = history.accepted[-1].backward + 1 if history.accepted else 1
        value = np.array(values(contribution))
        file, line = _lines.get(node, (None, None))
        history.pending.append(Contribution(node.op.name, node.op.operands[position], value, number, file, line))


def _callers_line() -> tuple[str | None, int | None]:
    """File and line of the innermost call that is neither in this package nor in a wrapper that it wrote."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE) and "_forward" not in frame.f_globals:
            return file, frame.f_lineno
        frame = frame.f_back
    return None, None


def _total(contributions: list | tuple, dtype: np.dtype) -> np.ndarray:
    """The contributions added in the engine's order: those of one backward(), in the leaf's dtype, then the next."""
    passes: dict[int, np.ndarray] = {}
    for c in contributions:
        passes[c.backward] = passes[c.backward] + c.value if c.backward in passes else c.value
    first, *later = (np.asarray(part).astype(dtype) for part in passes.values())
    return reduce(np.add, later, first)


def _shortened(array: np.ndarray) -> str:
    """An array on one line, with its middle left out where it is long."""
    text = np.array2string(
        np.asarray(array), precision=6, threshold=6, edgeitems=2, separator=", ", max_line_width=10**6
    )
    return " ".join(text.split()).replace("[ ", "[").replace(" ]", "]")
