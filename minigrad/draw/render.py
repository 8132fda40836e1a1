"""A layout as SVG.

Lines and texts have the colour of the page's text.  What the rest is coloured with can be set by the page: --mg-leaf,
--mg-result and --mg-gradient.  Nothing is told by colour alone: a leaf has a bold outline, a constant a dashed one,
the result a double one; gradients are bold; what a frame of a flipbook is about has a ring around it and a pointer.
"""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from .layout import BESIDE, CAPTION, INDEX, LINE, NAME, SYMBOL, Box, Captions, Layout
from .text import name_parts, shortened, words

if TYPE_CHECKING:
    from .layers import Point
    from .model import Circle, Graph, Square

LEAF, RESULT = "var(--mg-leaf, #3d85c6)", "var(--mg-result, #cc6a1f)"
GRADIENT = "var(--mg-gradient, currentColor)"
OUTLINES = {
    "leaf": f'fill="{LEAF}" fill-opacity="0.14" stroke="{LEAF}" stroke-width="3"',
    "constant": 'fill="none" stroke="currentColor" stroke-opacity="0.6" stroke-width="1.5" stroke-dasharray="3 3"',
    "intermediate": 'fill="none" stroke="currentColor" stroke-width="1.5"',
    "result": f'fill="{RESULT}" fill-opacity="0.14" stroke="{RESULT}" stroke-width="1.5"',
}
RING = 3  # from a shape to the ring around it
MARK_ROOM = 10  # that ring and pointer need around the picture
SERIF = "var(--mg-serif, Cambria, 'STIX Two Text', 'Noto Serif', Georgia, serif)"
SANS = "var(--mg-sans, system-ui, 'Segoe UI', 'Noto Sans', sans-serif)"


class Mark(NamedTuple):
    """What a picture is about, by position in the layout."""

    circles: tuple[int, ...] = ()
    squares: tuple[int, ...] = ()
    edges: tuple[int, ...] = ()


UNMARKED = Mark()


class GradientLine(str):
    """A line of a caption that is about a gradient."""


def svg(
    graph: Graph, layout: Layout, captions: Captions, label: str = "", mark: Mark = UNMARKED, margin: float = 0
) -> str:
    """An <svg> element, as wide as its text needs or as the page allows, which says its words to who can't see it.

    It says `label` if there is one, and otherwise the graph in words; a mark needs a margin of MARK_ROOM.
    """
    right = layout.direction == "right"
    width, height = number(layout.width + 2 * margin), number(layout.height + 2 * margin)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="mg-graph" role="img" '
            f'aria-label="{escape(label or words(graph))}" '
            f'viewBox="{at(-margin, -margin)} {width} {height}" width="{width}" style="max-width: 100%; height: auto" '
            f'font-family="{SANS}" font-size="{CAPTION}" fill="currentColor">',
            *marked(layout, mark),
            '<g class="mg-edges" fill="none" stroke="currentColor" stroke-width="1.3" opacity="0.75">',
            *(edge(points, right) for points in layout.edges),
            "</g>",
            *(square(node, box) for node, box in zip(graph.squares, layout.squares, strict=True)),
            *(
                circle(node, box, lines, right)
                for node, box, lines in zip(graph.circles, layout.circles, captions, strict=True)
            ),
            "</svg>",
        ]
    )


def marked(layout: Layout, mark: Mark) -> list[str]:
    """A broad line under the edges, a ring around each shape, and a pointer above the squares."""
    lines = [
        f'<path d="{route(layout.edges[k], layout.direction == "right")}" fill="none" stroke="{GRADIENT}" '
        'stroke-width="7" stroke-opacity="0.25"/>'
        for k in mark.edges
    ]
    rings, pointers = [], []
    for box in [*(layout.circles[k] for k in mark.circles), *(layout.squares[k] for k in mark.squares)]:
        ring = box._replace(width=box.width + 2 * RING, height=box.height + 2 * RING)
        radius = ring.height / 2 if box in layout.circles else 4 + RING
        rings.append(rectangle(ring, radius, f'fill="none" stroke="{GRADIENT}" stroke-width="2.5"'))
    for box in (layout.squares[k] for k in mark.squares):
        tip = box.y - box.height / 2 - RING - 3
        corners = f"M{at(box.x, tip)}L{at(box.x - 6, tip - 9)}L{at(box.x + 6, tip - 9)}Z"
        pointers.append(f'<path d="{corners}" fill="{GRADIENT}"/>')
    return [f'<g class="mg-here">{part}</g>' for part in [*lines, *rings, *pointers]]


def edge(points: tuple[Point, ...], right: bool) -> str:
    """Straight through layers, curved between them, and an arrowhead at the end."""
    x, y = points[-1]
    wings = (x - 6, y - 3.5, x - 6, y + 3.5) if right else (x - 3.5, y - 6, x + 3.5, y - 6)
    head = f"M{at(*wings[:2])}L{at(x, y)}L{at(*wings[2:])}"
    return f'<path class="mg-edge" d="{route(points, right)}{head}"/>'


def route(points: tuple[Point, ...], right: bool) -> str:
    """An edge without its arrowhead."""
    path = f"M{at(*points[0])}"
    for k, ((x, y), (u, v)) in enumerate(pairwise(points)):
        between = ((x + u) / 2, y, (x + u) / 2, v) if right else (x, (y + v) / 2, u, (y + v) / 2)
        path += f"C{at(*between)} {at(u, v)}" if k % 2 else f"L{at(u, v)}"
    return path


def square(node: Square, box: Box) -> str:
    """An operation."""
    shape = rectangle(box, 4, 'fill="currentColor" fill-opacity="0.08" stroke="currentColor" stroke-width="1.2"')
    return f'<g class="mg-operation">{shape}{text(box.x, box.y, escape(node.symbol), SYMBOL, SERIF)}</g>'


def circle(node: Circle, box: Box, lines: tuple[str, ...], right: bool) -> str:
    """A tensor, and its caption below it or at its right."""
    shape = rectangle(box, box.height / 2, OUTLINES[node.kind])
    if node.kind == "result":
        inner = box._replace(width=box.width - 6, height=box.height - 6)
        shape += rectangle(inner, inner.height / 2, f'fill="none" stroke="{RESULT}" stroke-width="1.5"')
    base, index = map(escape, name_parts(shortened(node.name)))
    name = f'<tspan font-style="italic">{base}</tspan>' if base[0].isalpha() else base
    if index:
        name += f'<tspan font-size="{INDEX}" dy="4">{index}</tspan>'
    parts = [shape, text(box.x, box.y, name, NAME, SERIF)]
    if right:
        x, y, anchor = box.x, box.y + box.height / 2 + BESIDE + LINE / 2, "middle"
    else:
        x, y, anchor = box.x + box.width / 2 + BESIDE, box.y - LINE * (len(lines) - 1) / 2, "start"
    for k, line in enumerate(lines):
        style = f' font-weight="600" fill="{GRADIENT}"' if isinstance(line, GradientLine) else ""
        parts.append(text(x, y + LINE * k, escape(line), CAPTION, SANS, anchor, style))
    return f'<g class="mg-{node.kind}">{"".join(parts)}</g>'


def rectangle(box: Box, radius: float, style: str) -> str:
    """A box with round corners: a circle if they are round enough."""
    x, y, width, height = box
    if width == height == 2 * radius:
        return f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" {style}/>'
    corner = f'x="{number(x - width / 2)}" y="{number(y - height / 2)}"'
    return f'<rect {corner} width="{number(width)}" height="{number(height)}" rx="{number(radius)}" {style}/>'


def text(x: float, y: float, content: str, size: float, family: str, anchor: str = "middle", style: str = "") -> str:
    """A line of text whose middle is at height `y`."""
    font = f'font-family="{family}" font-size="{size}" text-anchor="{anchor}"{style}'
    return f'<text x="{number(x)}" y="{number(y + 0.34 * size)}" {font}>{content}</text>'


def at(*coordinates: float) -> str:
    return " ".join(map(number, coordinates))


def number(x: float) -> str:
    """
    >>> number(3.0), number(-0.04), number(12.345)
    ('3', '0', '12.3')
    """
    return f"{round(x, 1) + 0.0:g}"
