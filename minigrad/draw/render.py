"""A layout as SVG.

Lines and texts have the colour of the page's text.  What the rest is coloured with can be set by the page:
--mg-leaf and --mg-result.  Nothing is told by colour alone: a leaf has a bold outline, a constant a dashed one, the result a
double one.
"""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from .layout import BESIDE, CAPTION, INDEX, LINE, NAME, SYMBOL, Box, Captions, Layout
from .text import name_parts, shortened, words

if TYPE_CHECKING:
    from .layers import Point
    from .model import Circle, Graph, Square

LEAF, RESULT = "var(--mg-leaf, #3d85c6)", "var(--mg-result, #cc6a1f)"
OUTLINES = {
    "leaf": f'fill="{LEAF}" fill-opacity="0.14" stroke="{LEAF}" stroke-width="3"',
    "constant": 'fill="none" stroke="currentColor" stroke-opacity="0.6" stroke-width="1.5" stroke-dasharray="3 3"',
    "intermediate": 'fill="none" stroke="currentColor" stroke-width="1.5"',
    "result": f'fill="{RESULT}" fill-opacity="0.14" stroke="{RESULT}" stroke-width="1.5"',
}
SERIF = "var(--mg-serif, Cambria, 'STIX Two Text', 'Noto Serif', Georgia, serif)"
SANS = "var(--mg-sans, system-ui, 'Segoe UI', 'Noto Sans', sans-serif)"


def svg(graph: Graph, layout: Layout, captions: Captions) -> str:
    """An <svg> element, as wide as its text needs or as the page allows, which says its words to who can't see it."""
    right = layout.direction == "right"
    width, height = number(layout.width), number(layout.height)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="mg-graph" role="img" aria-label="{escape(words(graph))}" '
            f'viewBox="0 0 {width} {height}" width="{width}" style="max-width: 100%; height: auto" '
            f'font-family="{SANS}" font-size="{CAPTION}" fill="currentColor">',
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


def edge(points: tuple[Point, ...], right: bool) -> str:
    """Straight through layers, curved between them, and an arrowhead at the end."""
    path = f"M{at(*points[0])}"
    for k, ((x, y), (u, v)) in enumerate(pairwise(points)):
        between = ((x + u) / 2, y, (x + u) / 2, v) if right else (x, (y + v) / 2, u, (y + v) / 2)
        path += f"C{at(*between)} {at(u, v)}" if k % 2 else f"L{at(u, v)}"
    x, y = points[-1]
    wings = (x - 6, y - 3.5, x - 6, y + 3.5) if right else (x - 3.5, y - 6, x + 3.5, y - 6)
    head = f"M{at(*wings[:2])}L{at(x, y)}L{at(*wings[2:])}"
    return f'<path class="mg-edge" d="{path}{head}"/>'


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
    parts += [text(x, y + LINE * k, escape(line), CAPTION, SANS, anchor) for k, line in enumerate(lines)]
    return f'<g class="mg-{node.kind}">{"".join(parts)}</g>'


def rectangle(box: Box, radius: float, style: str) -> str:
    """A box with round corners: a circle if they are round enough."""
    x, y, width, height = box
    if width == height == 2 * radius:
        return f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" {style}/>'
    corner = f'x="{number(x - width / 2)}" y="{number(y - height / 2)}"'
    return f'<rect {corner} width="{number(width)}" height="{number(height)}" rx="{number(radius)}" {style}/>'


def text(x: float, y: float, content: str, size: float, family: str, anchor: str = "middle") -> str:
    """A line of text whose middle is at height `y`."""
    font = f'font-family="{family}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text x="{number(x)}" y="{number(y + 0.34 * size)}" {font}>{content}</text>'


def at(*coordinates: float) -> str:
    return " ".join(map(number, coordinates))


def number(x: float) -> str:
    """
    >>> number(3.0), number(-0.04), number(12.345)
    ('3', '0', '12.3')
    """
    return f"{round(x, 1) + 0.0:g}"
