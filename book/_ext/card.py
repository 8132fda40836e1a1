"""The picture that goes with a shared link: a graph of the library, read from a live computation, in Matplotlib."""

import textwrap

from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve

import minigrad as mg
from minigrad import draw as drawing
from minigrad.draw import layout as layouts

PAPER, INK, LEAF, RESULT, GRADIENT = "#15181d", "#d7dce2", "#7ab8f5", "#ff9f5a", "#f08bdc"
COLOURS = {"leaf": LEAF, "result": RESULT}
ROOM = 1080  # of 1200 points for the graph


def graph():
    """The graph of the home page; under each tensor its value and what comes back to it."""
    x, y = (mg.Tensor(v, requires_grad=True, name=n) for n, v in (("x", 3.0), ("y", 4.0)))
    with mg.trace():
        loss = (2 * x + x * y) ** 2
    found = drawing.graph(loss, "right")
    loss.backward()
    gradients = {"x": x.grad, "y": y.grad}
    captions = [
        (c.value, f"∂L/∂{c.name} = {gradients[c.name]:g}") if c.name in gradients else (c.value,) for c in found.circles
    ]
    return found, captions


def draw(path, title):
    figure = Figure(figsize=(12, 6.3), dpi=100, facecolor=PAPER)
    found, captions = graph()
    place = layouts.place(found, captions, "right")
    axes = figure.add_axes((0.05, 0.06, 0.9, 0.58))
    axes.set(xlim=(0, place.width), ylim=(place.height, 0), aspect="equal")
    axes.axis("off")
    scale = min(ROOM / place.width, 0.58 * 630 / place.height) * 0.72  # Matplotlib's point is 1/72 inch
    for points in place.edges:
        axes.add_patch(PathPatch(curve(points), fill=False, edgecolor=INK, linewidth=2.2, alpha=0.75))
    for node, box in zip(found.squares, place.squares, strict=True):
        corner = (box.x - box.width / 2, box.y - box.height / 2)
        style = "round,pad=0,rounding_size=4"
        shape = FancyBboxPatch(corner, box.width, box.height, boxstyle=style, facecolor="#2a313a", edgecolor=INK)
        axes.add_patch(shape)
        axes.text(box.x, box.y, node.symbol, color=INK, size=15 * scale, ha="center", va="center")
    for node, box, lines in zip(found.circles, place.circles, captions, strict=True):
        colour = COLOURS.get(node.kind, INK)
        axes.add_patch(Circle((box.x, box.y), box.width / 2, facecolor=PAPER, edgecolor=colour, linewidth=3))
        name = rf"${node.name[0]}_{{{node.name[1:]}}}$" if node.name[1:] else f"${node.name}$"
        axes.text(box.x, box.y, name, color=INK, size=16 * scale, ha="center", va="center", math_fontfamily="stix")
        for k, line in enumerate(lines):
            at = box.y + box.height / 2 + layouts.BESIDE + layouts.LINE * (k + 0.5)
            axes.text(box.x, at, line, color=GRADIENT if k else INK, size=12 * scale, ha="center", va="center")
    figure.text(0.05, 0.9, textwrap.fill(title, 34), color=INK, size=38, weight="bold", va="top", linespacing=1.25)
    figure.savefig(path)


def curve(points):
    """An edge: straight, curved, straight."""
    corners, codes = [points[0]], [Curve.MOVETO]
    for k, ((x, y), (u, v)) in enumerate(zip(points, points[1:], strict=False)):
        corners += [((x + u) / 2, y), ((x + u) / 2, v), (u, v)] if k % 2 else [(u, v)]
        codes += [Curve.CURVE4] * 3 if k % 2 else [Curve.LINETO]
    return Curve(corners, codes)
