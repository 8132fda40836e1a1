"""The computation graph, and the backward pass that carries gradients through it.

A `Node` is one application of one `Operation`: the gradient rules that differentiate it, the nodes that its operands came
from, and the values that the rules need.  A leaf is a node without an operation: it is where a graph begins and the only
place where a gradient is kept.  Nothing here knows `Tensor`.  A tensor refers to its node, never a node to a tensor, so a
graph holds no reference cycle and is freed as soon as the last tensor that needs it is gone.

Chapter 3 of the course builds this file up from a piece of paper; section numbers refer to it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any

import numpy as np
from numpy import ndarray

from .context import active_blocks, observers

# Ages count down, so the youngest node has the smallest and comes first out of a heap.  An operand is always made
# before its result, so the order of creation is a topological order and needs no search (section 3.4).  Ages order the
# computed nodes of one process; they never decide whether a gradient exists.
next_age = count(-1, -1).__next__

RESULT = -1


class Operation:
    """A primitive's name, its gradient rules, and the names of what the rules need besides the upstream gradient.

    `rules` pairs the position of an operand with the function of (g, *needs) that gives its gradient.  `origins` says
    where each need comes from: the position of an operand, RESULT for "y", or None for what has no gradient.
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
    """One application of one operation: an operation node of section 3.1 together with the tensor node of its result.

    A leaf is a node too, without an operation; only leaves have `dtype` and `grad`.  Once a backward pass has freed a
    node, `saved` is the record of that pass (`Pass`) instead of a tuple of values.

    There is no __init__: the code that records an operation sets the five attributes, which is 80 ns a node faster.
    """

    __slots__ = ("__weakref__", "age", "dtype", "grad", "name", "op", "parents", "saved", "shape", "traced")

    op: Operation | Any  # None for a leaf
    parents: tuple[Node | None, ...]  # for each operand its node; None for a constant
    saved: Any  # the values that the rules need, or a Pass
    age: int
    shape: tuple[int, ...]
    dtype: np.dtype
    grad: Any  # None, an array or a NumPy scalar; a tensor after create_graph
    name: str
    traced: Any  # what trace() keeps

    def __lt__(self, other: Node) -> bool:
        """Order two nodes of one age, which free-threaded Python can make, for the heap."""
        return id(self) < id(other)

    def __repr__(self) -> str:
        what = [
            "node" if self.op else "leaf",
            getattr(self, "name", ""),
            self.op.name if self.op else "",
            str(self.shape),
        ]
        return f"<{' '.join(filter(None, what))}>"


def new_leaf(shape: tuple[int, ...], dtype: np.dtype) -> Node:
    """Make the node of a tensor that was not computed: the end of every path, where the gradient is kept."""
    leaf = Node()
    leaf.op, leaf.parents, leaf.saved = None, (), ()
    leaf.age, leaf.shape, leaf.dtype, leaf.grad = next_age(), shape, dtype, None
    return leaf


class Pass:
    """How a backward pass went: what the nodes that it freed refer to."""

    failure = ""  # the error that stopped it, and where


def backward_pass(
    root: Node, seed, wanted: Collection[Node] = (), retain: bool = False, lift: Callable | None = None
) -> dict:
    """Carry `seed`, the gradient at `root`, back through the graph (sections 3.2, 3.3, 5.2).

    The youngest waiting node is always ready, because every node that uses its result is younger and was visited
    before.  So each node is visited once, with its gradient complete, and without recursion.

    Ownership of memory is one rule: a rule may keep or share what it returns, so the pass writes only into sums that it
    made itself, and hands out only sums and copies.

    Returns {leaf: gradient}, or {node: gradient} for the nodes in `wanted`, in which case only nodes on a path to them
    are visited.  Each node is freed after its visit unless `retain`.  `lift(node, value)` makes a tensor of a saved value;
    with it the rules run on tensors, and the gradients have graphs of their own.
    """
    path = nodes_between(root, wanted) if wanted else None
    waiting = [(root.age, root)] if (root.op if path is None else root in path) else []
    gradients: dict = {root: seed}
    sums: set[Node] = set()  # nodes whose gradient is a sum made here
    watching, this, node = observers() if active_blocks() else (), Pass(), root
    try:
        while waiting:
            node = heappop(waiting)[1]
            g = gradients[node] if node in wanted else gradients.pop(node)
            saved: Any = node.saved if lift is None else lifted(node, lift)
            if saved.__class__ is Pass:
                raise already_freed(node.op, saved)
            for position, rule in node.op.rules:
                parent = node.parents[position]
                if parent is None or path is not None and parent not in path and parent not in wanted:
                    continue
                d = rule(g, *saved)
                shape = parent.shape
                if d.__class__ is not g.__class__ or d.shape != shape or shape and d.dtype is not g.dtype:
                    d = fitted(d, node, position)
                for observer in watching:
                    observer.contributed(node, position, g, d)
                if parent not in gradients:
                    gradients[parent] = d
                    if parent.op if path is None else parent in path:
                        heappush(waiting, (parent.age, parent))
                elif parent in sums:
                    gradients[parent] += d
                else:
                    gradients[parent] = gradients[parent] + d
                    sums.add(parent)
            if not retain:
                for observer in watching:
                    observer.freed(node)
                node.saved, node.parents = this, ()
    except BaseException as error:
        this.failure = f"{type(error).__name__} at {node.op.name}"
        raise
    for node, g in gradients.items():
        if node not in sums and not isinstance(g, np.generic):  # a number cannot be written into
            gradients[node] = g.copy()
    return gradients


def nodes_between(root: Node, wanted: Collection[Node]) -> set[Node]:
    """Find the computed nodes that a pass from `root` to the nodes in `wanted` visits: those with a path to one of them."""
    reachable, unseen = set(), [root]
    while unseen:
        node = unseen.pop()
        if node not in reachable and node.op is not None:
            if node.saved.__class__ is Pass and {node} != set(wanted):  # what lies behind it is unknown
                raise already_freed(node.op, node.saved)
            reachable.add(node)
            unseen += filter(None, node.parents)
    path = set()
    for node in sorted(reachable, key=lambda node: node.age, reverse=True):  # operands before results
        if any(parent in path or parent in wanted for parent in node.parents):
            path.add(node)
    return path


def fitted(d, node: Node, position: int):
    """Sum what the rule for operand `position` of `node` returned to the operand's shape; TypeError if it is no gradient."""
    shape = node.parents[position].shape  # type: ignore[union-attr]  # only nodes have rules called
    where = f"{node.op.name}: its rule for {node.op.operands[position]} returned"
    expected = f"A rule returns the gradient of its operand, here of shape {shape}."
    if not hasattr(d, "shape") or not hasattr(d, "dtype"):
        what = "None: is a `return` missing?" if d is None else f"{type(d).__name__} {d!r:.60}."
        if isinstance(d, tuple):
            what = f"a tuple of {len(d)}: each operand has a rule of its own."
        raise TypeError(f"{where} {what} {expected}")
    if d.dtype.kind != "f":
        raise TypeError(f"{where} numbers of dtype {d.dtype}. {expected} Its numbers are floating-point.")
    return d if d.shape == shape else unbroadcast(d, shape, where)


def lifted(node: Node, lift: Callable) -> list | Pass:
    """The values that `node` saved, as tensors where they are its result or operands with a node of their own."""
    if node.saved.__class__ is Pass:
        return node.saved
    sources = {i: parent for i, parent in enumerate(node.parents) if parent is not None} | {RESULT: node}
    pairs = zip(node.op.origins, node.saved, strict=True)
    return [lift(sources[origin], value) if origin in sources else value for origin, value in pairs]


def already_freed(op: Operation, by: Pass) -> RuntimeError:
    """The error of a backward pass through a node that an earlier one has freed."""
    if by.failure:
        return RuntimeError(
            f"backward: an earlier backward pass was stopped by {by.failure}, and had freed the values that {op.name} had saved. "
            "It changed no gradient. Compute the result again."
        )
    return RuntimeError(
        f"backward: the graph was already used, and the values that {op.name} had saved are freed. "
        "Pass retain_graph=True to the earlier backward() if you need two; otherwise compute the result again."
    )


def accumulator(dtype: np.dtype) -> np.dtype:
    """Return the dtype in which values of `dtype` are summed and counted: float32 for float16, else `dtype` itself.

    NumPy sums float16 in float16 along most axes, where a sum stops growing at 2048 ones and a count overflows at 65520.
    """
    return SINGLE if dtype == HALF else dtype


def add_reduce(x, axis, keepdims: Any = False):
    """Sum an array or a tensor over `axis`, float16 in float32; the result has the dtype that np.add.reduce gives."""
    if x.__class__ is ndarray and x.dtype == HALF:
        return np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=SINGLE).astype(HALF)
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


HALF, SINGLE = np.dtype(np.float16), np.dtype(np.float32)


def unbroadcast(g, shape: tuple[int, ...], where: str = "unbroadcast: its rule returned"):
    """Sum `g` over the axes along which an operand of this `shape` was stretched (section 4.1).

    >>> unbroadcast(np.ones((4, 3, 5)), (3, 1))
    array([[20.],
           [20.],
           [20.]])
    """
    lead = len(g.shape) - len(shape)
    if g.shape[lead:] == shape:  # a bias, say: the common case, 1.5 µs less than what follows
        return add_reduce(g, tuple(range(lead)))
    sizes = (1,) * lead + shape
    if lead < 0 or any(n not in (1, m) for n, m in zip(sizes, g.shape, strict=True)):
        raise ValueError(
            f"{where} a gradient of shape {g.shape} for an operand of shape {shape}. "
            "It must have the operand's shape, or the one that broadcasting gave it."
        )
    axes = tuple(i for i, (n, m) in enumerate(zip(sizes, g.shape, strict=True)) if i < lead or n != m)
    total = add_reduce(g, axes, keepdims=not lead)
    return total if total.shape == shape else total.reshape(shape)


# ---------------------------------------------------------------- in a browser


def free_iteratively(node: Node) -> None:
    """Free `node` and the nodes that only it references, in a loop: Node.__del__ under Pyodide.

    Without the loop each node is freed from inside the one before it.  Python limits how deep this goes, but it
    overestimates a browser's stack, so 3,000 nodes would crash the runtime.
    """
    being_freed.append(node.parents)
    node.parents = ()
    if len(being_freed) == 1:  # nodes freed inside the loop only add to the list
        try:
            i = 0
            while i < len(being_freed):
                being_freed[i] = None
                i += 1
        finally:
            being_freed.clear()


being_freed: list[tuple | None] = []
if sys.platform == "emscripten":
    Node.__del__ = free_iteratively
