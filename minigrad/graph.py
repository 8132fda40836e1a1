"""The computation graph, and the sweep that carries gradients back through it.

A `Node` is one application of one `Operation`: which rules differentiate it, which nodes its operands came
from, and the values that the rules need.  A leaf, a node without an operation, is where a graph begins and the only
place where a gradient is kept.  Nothing here knows `Tensor`: a tensor refers to its node, never a node to a tensor, so
a graph holds no reference cycle and is freed the moment the last tensor lets go of it.

Chapter 3 of the course builds this file up from a piece of paper; section numbers refer to it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count

import numpy as np
from numpy import ndarray

# Ages count down, so that the youngest node is the smallest and comes first out of a heap.  An operand is always
# made before its result: creation order is a topological order, and nobody has to search for one (section 3.4).
next_age = count(-1, -1).__next__

recording = True  # False inside no_grad(): operations compute and leave no node behind
observers = ()  # who is told what happens: trace() and debug() add themselves here


RESULT = -1


class Operation:
    """A primitive's name, its rules, and the names of what the rules need besides the upstream gradient.

    `rules` pairs the position of an operand with the function of (g, *needs) that gives its gradient.  `origins` says of
    each need where it came from: the position of an operand, RESULT for "y", or None for what has no gradient.
    """

    __slots__ = ("name", "needs", "operands", "origins", "rules")

    def __init__(
        self,
        name: str,
        operands: Sequence[str],
        needs: Sequence[str],
        rules: Sequence[Callable],
        constants: Sequence = (),
    ) -> None:
        self.name = name
        self.operands = tuple(operands)
        self.needs = tuple(needs)
        self.rules = tuple(enumerate(rules))
        origins = {"y": RESULT} | dict.fromkeys(constants) | {x: i for i, x in enumerate(operands)}
        self.origins = tuple(origins.get(need) for need in needs)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


class Node:
    """One application of one operation: a square of section 3.1 together with the circle it points to.

    A leaf is a node too, without an operation; only leaves have `dtype` and `grad`.  A class of its own would cost 30 ns
    wherever the sweep asks which of the two it has met.

    There is no __init__: whoever records an operation sets the five attributes, 80 ns a node cheaper.
    """

    __slots__ = ("__weakref__", "age", "dtype", "grad", "name", "op", "parents", "saved", "shape", "traced")

    def __repr__(self) -> str:
        what = [
            "node" if self.op else "leaf",
            getattr(self, "name", ""),
            self.op.name if self.op else "",
            str(self.shape),
        ]
        return f"<{' '.join(filter(None, what))}>"


def let_go(node: Node) -> None:
    """Free `node` and what only it holds, one after another: what Node.__del__ is in a browser.

    Otherwise a chain is freed by each node from inside the one before it.  Python sees to it that this does not go too
    deep, but it takes a browser's stack for larger than it is, and 3,000 nodes would end the whole runtime.
    """
    letting_go.append(node.parents)
    node.parents = ()
    if len(letting_go) == 1:  # who is freed in the loop only adds to the list
        try:
            i = 0
            while i < len(letting_go):
                letting_go[i] = None
                i += 1
        finally:
            letting_go.clear()


letting_go = []
if sys.platform == "emscripten":
    Node.__del__ = let_go


def new_leaf(shape: tuple[int, ...], dtype: np.dtype) -> Node:
    """The node of a tensor that was not computed: the end of every path, where the gradient is kept."""
    leaf = Node()
    leaf.op, leaf.parents, leaf.saved = None, (), ()
    leaf.age, leaf.shape, leaf.dtype, leaf.grad = next_age(), shape, dtype, None
    return leaf


class Observer:
    """What trace(), debug() and the flipbook override to be told of each step.  Without observers it costs 5 ns."""

    def computed(self, op: Operation, operands: tuple, result) -> None:
        """`op` was applied to `operands`, as the caller gave them, and made the tensor `result`."""

    def contributed(self, node: Node, position: int, g, contribution) -> None:
        """The rule for operand `position` of `node` turned the upstream gradient `g` into `contribution`."""

    def freed(self, node: Node) -> None:
        """`node` was visited and is about to let go of its values."""


@contextmanager
def observing(new: Observer) -> Iterator[Observer]:
    """Tell `new` of every operation and every rule in the block."""
    global observers
    old, observers = observers, (*observers, new)
    try:
        yield new
    finally:
        observers = old


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without recording: no graph, no gradients.  Works as `with no_grad():` and as a decorator.

    >>> import minigrad as mg
    >>> x = mg.Tensor(2.0, requires_grad=True)
    >>> with mg.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """
    global recording
    old, recording = recording, False
    try:
        yield
    finally:
        recording = old


def sweep(root: Node, seed, wanted: Collection = (), retain: bool = False, lift: Callable | None = None) -> dict:
    """Carry `seed`, the gradient at `root`, back through the graph: {leaf: gradient} (sections 3.2, 3.3, 5.2).

    The youngest waiting node is always ready: whatever consumes its output is younger still and was visited
    before.  So every node is visited once, with its gradient complete, without recursion.  Gradients in waiting live in
    this call and nowhere else.

    `wanted` asks for these nodes instead of the leaves, and nothing older than they are is visited.  Unless
    `retain`, each node lets go of its values as soon as it has been visited.  `lift(node, value)` makes a
    tensor of a saved value; with it the rules run on tensors and the gradients have graphs of their own.
    """
    if root.op is None:
        return {root: seed.copy()}
    waiting, owned, found, heap = {}, set(), {}, []
    node, g = root, seed
    observed, partial = bool(observers), bool(wanted)  # to ask a tuple each time costs 1 % of a small step
    oldest = max(node.age for node in wanted) if wanted else 0
    while True:
        op, saved, parents = node.op, node.saved, node.parents
        if partial and node in wanted:
            found[node] = g.copy()
            if node.age == oldest:
                break
        if saved is None:
            raise used_up(op)
        if lift:
            saved = lift_saved(node, lift)
        n = len(saved)
        near = near_g = None  # an operand that waits outside heap and dictionary: mostly the next, 0.2 µs sooner
        for i, rule in op.rules:
            parent = parents[i]
            if parent is None or (partial and parent.age > oldest):
                continue
            if n == 2:  # rule(g, *saved), spelled out: the star costs 70 ns
                d = rule(g, saved[0], saved[1])
            elif n == 1:
                d = rule(g, saved[0])
            else:
                d = rule(g, *saved)
            if d.shape != parent.shape:
                d = unbroadcast(d, parent.shape, op.name)
            if observed:
                for observer in observers:
                    observer.contributed(node, i, g, d)
            total = waiting.get(parent)
            if total is None:
                if parent.op is None:  # a leaf's gradient shares memory with nothing
                    waiting[parent] = d.copy() if lift or (type(d) is ndarray and lent(d, g)) else d
                elif near is None:  # the first contribution is borrowed
                    near, near_g = parent, d
                elif near is parent:
                    near_g = near_g + d
                else:
                    heappush(heap, (parent.age, parent))
                    waiting[parent] = d
            elif parent in owned:  # from the third on, add in place
                total += d
                waiting[parent] = total
            else:  # the second makes a buffer of our own
                waiting[parent] = total + d
                if not lift:
                    owned.add(parent)
        if not retain:
            if observed:
                for observer in observers:
                    observer.freed(node)
            node.saved = None
            node.parents = ()
        if near is not None:
            if not heap or near.age < heap[0][0]:
                node, g = near, near_g
                continue
            heappush(heap, (near.age, near))
            waiting[near] = near_g
        if not heap:
            break
        node = heappop(heap)[1]
        g = waiting.pop(node)
    return found | {node: waiting[node] for node in wanted if node in waiting} if wanted else waiting


def used_up(op: Operation) -> RuntimeError:
    return RuntimeError(
        f"backward: the graph was already used, and {op.name} has let go of its values. "
        "Pass retain_graph=True to the earlier backward() if you need two; otherwise compute the result again."
    )


def lent(d: ndarray, g: ndarray) -> bool:
    """Whether anybody else may see the memory of `d`, which a rule made of the upstream gradient `g`.

    Not so for all of `g` in another shape or order of axes, when nobody but the sweep holds it any more.  The gradient of W
    in X Wᵀ is such a view, and to copy it would cost 4 % of a small network's step.
    """
    if d is g or d.base is None:
        return d is g
    all_of_g = (d.base is g or d.base is g.base) and d.size == g.size and d.flags.writeable
    return not all_of_g or _holders(d, g) > (ALONE if d.base is g else ALONE_WITH_BASE)


def _holders(d: ndarray, g: ndarray) -> int:
    return sys.getrefcount(g) + sys.getrefcount(d.base)


def _holders_when_alone(g: ndarray) -> int:
    """The count on this interpreter when only the sweep holds `g`; the inner function stands for lent()."""
    return (lambda d, g: _holders(d, g))(g[:], g)


ALONE = _holders_when_alone(np.empty(1))
ALONE_WITH_BASE = _holders_when_alone(np.empty(1)[:])


def lift_saved(node: Node, lift: Callable) -> list:
    """The values that `node` saved, as tensors where they are its result or operands with a node of their own."""
    sources = {i: parent for i, parent in enumerate(node.parents) if parent is not None} | {RESULT: node}
    pairs = zip(node.op.origins, node.saved, strict=True)
    return [lift(sources[origin], value) if origin in sources else value for origin, value in pairs]


def unbroadcast(g, shape: tuple[int, ...], name: str = "unbroadcast"):
    """Sum `g` over the axes along which an operand of this `shape` was stretched (section 4.1).

    >>> unbroadcast(np.ones((4, 3, 5)), (3, 1))
    array([[20.],
           [20.],
           [20.]])
    """
    lead = len(g.shape) - len(shape)
    if g.shape[lead:] == shape:  # a bias, say: the common case, 1.5 µs less than what follows
        return np.add.reduce(g, axis=tuple(range(lead)))
    sizes = (1,) * lead + shape
    if lead < 0 or any(n not in (1, m) for n, m in zip(sizes, g.shape, strict=True)):
        raise ValueError(
            f"{name}: its rule returned a gradient of shape {g.shape} for an operand of shape {shape}. "
            "A rule returns the operand's shape, or the one that broadcasting gave it."
        )
    axes = tuple(i for i, (n, m) in enumerate(zip(sizes, g.shape, strict=True)) if i < lead or n != m)
    total = np.add.reduce(g, axis=axes, keepdims=not lead)
    return total if total.shape == shape else total.reshape(shape)
