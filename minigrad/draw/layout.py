"""Where circles, squares and edges go.

This file draws nothing, and `render.py`, which draws, decides no position: pictures with other captions can share a layout.
Positions are (along, across) the arrows until, at the very end, they become (x, y) in a picture to the right or down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from .layers import Link, Point, Stop, arrange, depths, stops
from .symbols import COMMUTATIVE
from .text import name_parts, shortened

if TYPE_CHECKING:
    from .model import Graph

NAME, INDEX, SYMBOL, CAPTION = 17, 12, 15, 12  # sizes of type
LINE = 15  # from one line of a caption to the next
DIAMETER, SIDE = 38, 28  # of a circle, of a square
ALONG, ACROSS = 24, 14  # between neighbours, at least
PORT = 10  # between the places where two operands enter a square
BESIDE = 5  # between a shape and its caption
LEAD = 5  # how far an edge is straight when it arrives
MARGIN = 3
LIMIT = 400  # nodes; nobody reads a picture of more
READABLE = 480  # what is wider is shrunk by a phone until nobody reads it either

Captions = Sequence[tuple[str, ...]]  # for each circle the lines of text beside it


class Box(NamedTuple):
    """A shape: its centre and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Where everything is in a picture of `width` by `height`.

    An edge is a row of points: straight from the first to the second, a curve to the third, straight to the fourth, ….
    """

    direction: str  # of the arrows: "right" or "down"
    width: float
    height: float
    circles: tuple[Box, ...]
    squares: tuple[Box, ...]
    edges: tuple[tuple[Point, ...], ...]  # for each square one from each operand, in their order, and one to its result


def place(graph: Graph, captions: Captions, direction: str | None = None) -> Layout:
    """The layout of a graph whose circles have these captions; unless told, to the right as long as that is readable.

    A caption stands below its circle in a picture to the right, and at its right in one that goes down.
    """
    nodes = len(graph.circles) + len(graph.squares)
    if nodes > LIMIT:
        raise ValueError(
            f"draw: the graph has {nodes} nodes, and a picture of more than {LIMIT} can't be read. "
            "Draw a part of it, an intermediate tensor or fewer steps, or print draw.table(t)."
        )
    if direction not in ("right", "down", None):
        raise ValueError(
            f'draw: the direction {direction!r} is neither "right" nor "down". Leave it out to let the width decide.'
        )
    layout = _Plan(graph, captions, direction != "down").layout()
    return layout if direction or layout.width <= READABLE else place(graph, captions, "down")


class _Plan:
    """A layout in the making.  Nodes are numbered: circles first, then squares."""

    def __init__(self, graph: Graph, captions: Captions, right: bool) -> None:
        self.graph, self.right = graph, right
        shapes = [circle_size(circle.name) for circle in graph.circles]
        shapes += [square_size(square.symbol, len(square.inputs), right) for square in graph.squares]
        notes = [caption_size(lines) for lines in captions] + [(0, 0)] * len(graph.squares)
        self.sizes = [self.turned(shape) for shape in shapes]
        self.notes = [self.turned(note) for note in notes]

        numbered = list(enumerate(graph.squares, len(graph.circles)))
        links = [link for k, square in numbered for link in [*((i, k) for i in square.inputs), (k, square.output)]]
        self.depth = depths(len(shapes), links)
        self.thickness, self.room = defaultdict(float), defaultdict(float)  # of a layer, along and across
        for d, (along, _), (note_along, note_across) in zip(self.depth, self.sizes, self.notes, strict=True):
            self.thickness[d] = max(self.thickness[d], along, note_along - ALONG / 2)  # captions reach into the gap
            self.room[d] = max(self.room[d], note_across)
        self.centres = arrange(links, self.loose(), self.depth, self.extent, (ALONG, ACROSS))

    def loose(self) -> list[Link]:
        """The links of leaves and constants into squares that computed tensors enter, too: those go straight on."""
        computed = {square.output for square in self.graph.squares}
        return [
            (i, k)
            for k, square in enumerate(self.graph.squares, len(self.graph.circles))
            for i in square.inputs
            if i not in computed and computed.intersection(square.inputs)
        ]

    def turned(self, pair: Point) -> Point:
        """(width, height) from (along, across), or the other way round."""
        return pair if self.right else pair[::-1]

    def extent(self, stop: Stop) -> Point:
        """The room that a stop takes, along and across."""
        node, d = stop
        return self.thickness[d], self.room[d] + (self.sizes[node][1] if self.depth[node] == d else 0)

    def centre(self, node: int) -> Point:
        return self.centres[node, self.depth[node]]

    def edges(self) -> list[list[Point]]:
        """For each square the edges of its operands, each to a port of its own, and the edge to its result."""
        routes = []
        for k, square in enumerate(self.graph.squares, len(self.graph.circles)):
            for i, port in zip(square.inputs, ports := self.ports(k, square.inputs), strict=True):
                same = [q for j, q in zip(square.inputs, ports, strict=True) if j == i]
                shift = port - sum(same) / len(same)  # parallel edges stay apart from the beginning
                routes.append(self.route((i, k), max(-DIAMETER / 3, min(DIAMETER / 3, shift)), port))
            routes.append(self.route((k, square.output)))
        return routes

    def ports(self, square: int, inputs: tuple[int, ...]) -> list[float]:
        """Where operands enter a square, from its middle: in their order, unless that means nothing to the operation.

        They are spread evenly, but if one comes straight it goes straight on.
        """
        come = [self.centres[stops((i, square), self.depth)[-2]][1] - self.centre(square)[1] for i in inputs]
        order = list(range(len(inputs)))
        if self.graph.squares[square - len(self.graph.circles)].symbol in COMMUTATIVE:
            order.sort(key=come.__getitem__)
        ports = [PORT * (order.index(p) - (len(inputs) - 1) / 2) for p in range(len(inputs))]
        for port, offset in zip(ports, come, strict=True):
            moved = [other - port for other in ports]
            if abs(offset) < 1 and max(map(abs, moved)) <= self.sizes[square][1] / 2 - 4 and len(set(inputs)) > 1:
                return moved
        return ports

    def route(self, link: Link, leave: float = 0, enter: float = 0) -> list[Point]:
        """The points of an edge that begins and ends so far from the middle of its nodes."""
        tail, head = link
        points = []
        for node, d in stops(link, self.depth):
            along, across = self.centres[node, d]
            half = self.thickness[d] / 2
            points += [(along - half, across + leave), (along + half, across + leave)]
        (along, across), radius = self.centre(tail), DIAMETER / 2
        points[0] = along + self.sizes[tail][0] / 2 - radius + sqrt(radius**2 - leave**2), across + leave
        (along, across), half = self.centre(head), self.thickness[self.depth[head]] / 2
        points[-2:] = [(along - half - LEAD, across + enter), (along - self.sizes[head][0] / 2, across + enter)]
        curves = [
            pair for pair in zip(points[1:-1:2], points[2:-1:2], strict=True) if abs(pair[0][1] - pair[1][1]) > 0.05
        ]
        return [points[0], *(point for pair in curves for point in pair), points[-1]]

    def layout(self) -> Layout:
        """Everything turned and moved to where the picture begins."""
        nodes, edges = range(len(self.sizes)), self.edges()
        low, high = [], []  # the corners of what is drawn
        for node, (along, across), (note_along, note_across) in zip(nodes, self.sizes, self.notes, strict=True):
            x, y = self.centre(node)
            reach = max(along, note_along) / 2
            low.append((x - reach, y - across / 2))
            high.append((x + reach, y + across / 2 + note_across))
        corners = [*low, *high, *(point for edge in edges for point in edge)]
        first = [min(values) - MARGIN for values in zip(*corners, strict=True)]
        last = [max(values) + MARGIN for values in zip(*corners, strict=True)]

        def moved(point: Point) -> Point:
            return self.turned((point[0] - first[0], point[1] - first[1]))

        boxes = [Box(*moved(self.centre(node)), *self.turned(self.sizes[node])) for node in nodes]
        n = len(self.graph.circles)
        return Layout(
            "right" if self.right else "down",
            *moved((last[0], last[1])),
            tuple(boxes[:n]),
            tuple(boxes[n:]),
            tuple(tuple(map(moved, edge)) for edge in edges),
        )


# ---------------------------------------------------------------- sizes: width, height


def circle_size(name: str) -> Point:
    """A circle, or something longer for a long name."""
    base, index = name_parts(shortened(name))
    return max(DIAMETER, text_width(base, NAME) + text_width(index, INDEX) + 12), DIAMETER


def square_size(symbol: str, inputs: int, right: bool) -> Point:
    """A square, or something longer for a long symbol or for many inputs."""
    width, height, ports = text_width(symbol, SYMBOL) + 14, SIDE, PORT * inputs + 4
    return (max(SIDE, width), max(height, ports)) if right else (max(SIDE, width, ports), height)


def caption_size(lines: Sequence[str]) -> Point:
    """The lines of a caption, with their distance from the circle on the side where it is."""
    width = max((text_width(line, CAPTION) for line in lines), default=0)
    return (width + BESIDE, LINE * len(lines) + BESIDE) if lines else (0, 0)


def text_width(text: str, size: float) -> float:
    """About how wide a text is."""
    return 0.58 * size * len(text)
