"""Nodes in layers, put in order by grandalf: (along, across) for each, along the arrows and across them.

A node's depth is its distance, on the longest path, from the result, so everything stands as close as it can to where it is
used.  A link that passes over layers has a stop in each, and links from the same node share their stops: their number
grows with the nodes that are used late and not with the uses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from types import SimpleNamespace

from grandalf.graphs import Edge, Vertex, graph_core
from grandalf.layouts import SugiyamaLayout

Link = tuple[int, int]  # from a node to another
Stop = tuple[int, int]  # (node, depth): a node, or the place where links from it pass through the layer of that depth
Point = tuple[float, float]


def depths(nodes: int, links: Sequence[Link]) -> list[int]:
    """For each node the number of links on the longest way to the result; links come in the order of computation.

    >>> depths(4, [(0, 1), (1, 2), (0, 3), (2, 3)])
    [3, 2, 1, 0]
    """
    depth = [0] * nodes
    for tail, head in reversed(links):
        depth[tail] = max(depth[tail], depth[head] + 1)
    return depth


def stops(link: Link, depth: Sequence[int]) -> list[Stop]:
    """All stops of a link, its ends included.

    >>> stops((0, 3), [3, 2, 1, 0])
    [(0, 3), (0, 2), (0, 1), (3, 0)]
    """
    tail, head = link
    return [(tail, d) for d in range(depth[tail], depth[head], -1)] + [(head, depth[head])]


class _Straightened(SugiyamaLayout):
    """Grandalf's layout, which puts a node in line with one of its neighbours, but never with those that `loose` pairs."""

    loose: Collection[tuple[Vertex, Vertex]] = ()

    def _detect_alignment_conflicts(self) -> None:
        super()._detect_alignment_conflicts()
        self.conflicts = {*self.conflicts, *self.loose}


def arrange(
    links: Sequence[Link], loose: Collection[Link], depth: Sequence[int], size: Callable[[Stop], Point], gaps: Point
) -> dict[Stop, Point]:
    """The centre of every stop, given its size and the gaps to leave between sizes.

    Links are straight where that is possible; those that are `loose` make room for the others.
    """
    vertices: dict[Stop, Vertex] = {}
    edges: dict[tuple[Stop, Stop], Edge] = {}

    def vertex(stop: Stop) -> Vertex:
        if stop not in vertices:
            along, across = size(stop)
            vertices[stop] = Vertex()
            vertices[stop].view = SimpleNamespace(w=across, h=along)  # grandalf puts its layers below each other
        return vertices[stop]

    for link in links:
        for pair in pairwise(stops(link, depth)):
            if pair not in edges:
                edges[pair] = Edge(*map(vertex, pair))
    if not links:
        vertex((0, 0))

    graph = graph_core()  # filled step by step: given everything at once, it compares all vertices with all others
    for v in vertices.values():
        graph.sV.add(v)
    for edge in edges.values():
        graph.add_edge(edge)
    layout = _Straightened(graph)
    layout.loose = [tuple(map(vertex, stops(link, depth)[-2:])) for link in loose]
    layout.yspace, layout.xspace = gaps
    layout.init_all(
        inverted_edges=[], optimize=True
    )  # no edge runs backwards, which spares a recursive search for them
    layout.draw(3)
    return {stop: vertex.view.xy[::-1] for stop, vertex in vertices.items()}
