"""Paths through a live graph: what the sum of section 3.3 goes over."""

from __future__ import annotations

from typing import NamedTuple

from ..graph import Node
from ..tensor import Tensor
from .read import read, results


class Edge(NamedTuple):
    """From a tensor into an operation and out to its result.

    `node.op.rules` holds the rule for operand `position`; on this edge it is the local derivative.
    """

    source: str
    operation: str
    target: str
    node: Node
    position: int


def paths(t: Tensor, source: Tensor, limit: int = 1000) -> list[tuple[Edge, ...]]:
    """Every path from `source` to `t`, as the edges on it in the order of the forward pass; [] if there is none.

    They are counted by edges: x * x has two.  ValueError if there are more than `limit`, for their number can double with
    each operation, or if nothing was recorded for `source`.

    >>> import minigrad as mg
    >>> from minigrad import draw
    >>> x, y = mg.Tensor(3.0, requires_grad=True, name="x"), mg.Tensor(4.0, requires_grad=True, name="y")
    >>> L = (2 * x + x * y) ** 2
    >>> for path in draw.paths(L, x):
    ...     print(*(f"{edge.source} → {edge.operation} → {edge.target}" for edge in path), sep=", ")
    x → ×2 → I1, I1 → + → I3, I3 → x² → L
    x → × → I2, I2 → + → I3, I3 → x² → L
    """
    if source.node is None:
        raise ValueError(
            "paths: the source is a constant, which no gradient goes back to. Make it with requires_grad=True."
        )
    circles, squares, position = read(t)
    names = {node: circles[i].name for node, i in position.items()}
    nodes = results(position)
    symbols = {node: square.symbol for node, square in zip(nodes, squares, strict=True)}

    ways = {source.node: 1}  # how many paths lead from the source to a node
    for node in nodes:
        if node not in ways:
            ways[node] = sum(ways.get(parent, 0) for parent in node.parents)
    total = ways.get(t.node, 0)
    if total > limit:
        raise ValueError(
            f"paths: {total} paths lead from {names[source.node]} to {names[t.node]}, and the limit is {limit}. "
            "Take a smaller graph or a higher limit; backward() visits each node once and needs no paths."
        )
    found, ends = [], [(t.node, ())] if total else []  # the ends of paths, and how they go on from there to t
    while ends:
        node, path = ends.pop()
        if node is source.node:
            found.append(path)
            continue
        for i, parent in reversed(list(enumerate(node.parents))):
            if ways.get(parent):
                ends.append((parent, (Edge(names[parent], symbols[node], names[node], node, i), *path)))
    return found
