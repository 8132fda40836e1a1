"""The two passes through a graph, a page for each step: values on the way to the result, gradients on the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..context import Observer, observing
from ..graph import RESULT, Node, backward_pass
from ..interop import values
from ..observe import trace
from ..tensor import Tensor
from . import layout, render
from .flipbook import Flipbook, Frame
from .model import Graph
from .numbers import equal, rows, small, text
from .read import kept, read, results, source
from .render import UNMARKED, GradientLine, Mark
from .rules import WORDS, explain
from .text import name_html

LIMIT = 60  # operations; nobody turns more pages


def flipbook(
    x: Tensor | Callable, /, *, gradient=None, direction: str | None = None, label: str | None = None, **leaves
) -> Flipbook:
    """The forward pass and then the backward pass through a graph, one operation at a time.

    `x` is a tensor, or a function that is called with `leaves`: numbers or arrays, which become leaves of these names,
    and tensors, which stay what they are.  A graph made under `minigrad.trace()`, as the function's is, shows its
    values; of any other the shapes and the gradients are known.  The backward pass starts from `gradient`, or from ones.

    It runs the rules, but no `.grad` is touched, the graph stays usable and nothing of it is kept.
    RuntimeError if there is nothing to go back to or backward() has already let go of the graph.

    >>> from minigrad import draw
    >>> draw.flipbook(lambda x, y: x * y + x, x=3.0, y=4.0)
    Graph: x and y meet in a multiplication, giving I1; I1 and x meet in an addition, giving L. Leaves: x, y. ...
    1. Leaves. x = 3, y = 4.
    2. Forward, 1 of 2. x = 3 and y = 4 meet in a multiplication, giving I1 = 12.
    3. Forward, 2 of 2. I1 = 12 and x = 3 meet in an addition, giving L = 15.
    4. Backward begins. The gradient of L with respect to itself is 1.
    5. Backward, 1 of 2, at L. Upstream gradient: g = 1. I1 receives g = 1. x receives g = 1.
    6. Backward, 2 of 2, at I1. Upstream gradient: g = 1. x receives g · y = 1 · 4 = 4, and with 1 from before that is 5. \
y receives g · x = 1 · 3 = 3.
    7. The gradients of the leaves are complete. x: 5, y: 3.
    """
    if not isinstance(x, Tensor):
        leaves = {
            name: value if isinstance(value, Tensor) else Tensor(value, requires_grad=True, name=name)
            for name, value in leaves.items()
        }
        with trace():
            x = x(**leaves)
    elif leaves:
        raise TypeError(f"flipbook: {sorted(leaves)} are for a function, and a tensor came. Leave them out.")
    story = _Story(x, direction)
    story.forward()
    story.backward(x, gradient)
    return Flipbook(story.frames(), label or story.graph.words(), is_story=True)


class _Page(NamedTuple):
    lines: list[tuple[str, ...]]  # beside each circle
    words: str  # what is seen
    mark: Mark
    caption: str


class _Recorder(Observer):
    def __init__(self) -> None:
        self.contributions: dict[Node, list] = {}  # in the order of the visits

    def contributed(self, node: Node, position: int, g, contribution) -> None:
        self.contributions.setdefault(node, []).append((position, g, contribution))


class _Story:
    """Pages, and what is known of each circle, by its position, when the next one is written."""

    def __init__(self, t: Tensor, direction: str | None) -> None:
        if t.node is None:
            raise RuntimeError(
                "flipbook: no operand of this tensor requires a gradient. Make a leaf with Tensor(..., requires_grad=True)."
            )
        circles, squares, self.position = read(t)
        if len(squares) > LIMIT:
            raise ValueError(
                f"flipbook: the graph has {len(squares)} operations, and nobody turns the pages of more than {LIMIT}. "
                "Take an intermediate tensor or fewer steps."
            )
        self.graph = Graph(circles, squares, direction)
        self.names = [circle.name for circle in circles]
        self.values: dict[int, np.ndarray] = {}
        if t.node.op is None:
            self.values[0] = t.value
        for node in results(self.position):
            if hasattr(node, "traced"):
                self.values[self.position[node]] = node.traced.value
                self.values |= {self.operand(node, i): kept(node, i)[0] for i in range(len(node.parents))}
        self.reached: set[int] = set()
        self.gradients: dict[int, np.ndarray] = {}
        self.pages: list[_Page] = []

    def operand(self, node: Node, i: int) -> int | None:
        """The circle of an operand; None if its number is part of the square."""
        parent = node.parents[i]
        return self.position.get(parent if isinstance(parent, Node) else source(node, i)[0])

    # ---------------------------------------------------------------- the passes

    def forward(self) -> None:
        circles, squares = self.graph.circles, self.graph.squares
        computed = {square.output for square in squares}
        self.reached |= set(range(len(circles))) - computed
        parts = {
            "Leaves": ", ".join(self.said(k) for k, circle in enumerate(circles) if circle.kind == "leaf"),
            "Constants": ", ".join(self.said(k) for k, circle in enumerate(circles) if circle.kind == "constant"),
        }
        intro = [f"<strong>{head}.</strong> {part}." for head, part in parts.items() if part]
        if not self.values:
            intro.append("Values were not kept: only a graph made under <code>minigrad.trace()</code> shows them.")
        self.turn(" ".join(intro))
        for k, square in enumerate(squares):
            self.reached.add(square.output)
            *first, last = map(self.said, square.inputs)
            came = f"{', '.join(first)} and {last} meet in" if first else f"{last} goes through"
            step = f"<strong>Forward, {k + 1} of {len(squares)}.</strong>"
            mark = Mark((square.output,), (k,), tuple(self.edges(k)))
            self.turn(f"{step} {came} {square.words}, giving {self.said(square.output)}.", mark)

    def backward(self, t: Tensor, gradient) -> None:
        seed = np.ones(t.shape, t.dtype) if gradient is None else np.asarray(values(gradient), t.dtype)
        if seed.shape != t.shape:
            raise ValueError(
                f"flipbook: gradient of shape {seed.shape} for a tensor of shape {t.shape}. Give its shape."
            )
        with observing(_Recorder()) as recorder:
            totals = backward_pass(t.node, seed if seed.ndim else seed[()], retain=True)
        root = self.position[t.node]
        self.gradients[root] = seed
        name = name_html(self.names[root])
        start = f"The gradient of {name} with respect to itself is 1."
        if gradient is not None:
            start = f"It starts from the gradient given for {name}{equal(seed)}."
        elif seed.ndim:
            start = f"{name} has shape {seed.shape}, and it starts from ones: the gradient of the sum of its elements."
        self.turn(f"<strong>Backward begins.</strong> {start}", Mark((root,)))
        for k, (node, contributions) in enumerate(recorder.contributions.items(), 1):
            self.visit(node, contributions, f"Backward, {k} of {len(self.graph.squares)}")
        self.gradients |= {self.position[leaf]: total for leaf, total in totals.items()}
        ends = [
            f"{name_html(self.names[i])}: {text(self.gradients[i])}" for i in sorted(map(self.position.get, totals))
        ]
        self.turn(f"<strong>The gradients of the leaves are complete.</strong> {', '.join(ends)}.")

    def visit(self, node: Node, contributions: Sequence, step: str) -> None:
        """One operation: its upstream gradient, and what it sends to each operand."""
        here = self.position[node]
        circles = {i: self.operand(node, i) for i in range(len(node.parents))}
        names = {i: self.names[k] for i, k in circles.items() if k is not None} | {RESULT: self.names[here]}
        sentences = [
            f"<strong>{step}, at {name_html(self.names[here])}.</strong>",
            f"Upstream gradient: {name_html('g')}{equal(contributions[0][1])}.",
            *(
                self.received(circles[i], contribution, told(node, i, g, contribution, names))
                for i, g, contribution in contributions
            ),
        ]
        square = results(self.position).index(node)
        *ways, out = self.edges(square)
        receivers = {circles[i] for i, _, _ in contributions}
        back = [e for e, k in zip(ways, self.graph.squares[square].inputs, strict=True) if k in receivers]
        self.turn(" ".join(sentences), Mark((here,), (square,), (*back, out)))

    def received(self, k: int, contribution, what: str) -> str:
        """Add a contribution to what circle `k` has, and say so."""
        sentence = f"{name_html(self.names[k])} receives {what}"
        before = self.gradients.get(k)
        self.gradients[k] = contribution if before is None else before + contribution
        if before is None:
            return f"{sentence}."
        if not small(contribution):
            return f"{sentence}, which is added to what came before."
        return f"{sentence}, and with {text(before)} from before that is {text(self.gradients[k])}."

    def edges(self, square: int) -> range:
        """The edges of a square in a layout: one from each input, and one to its result."""
        first = sum(len(other.inputs) + 1 for other in self.graph.squares[:square])
        return range(first, first + len(self.graph.squares[square].inputs) + 1)

    # ---------------------------------------------------------------- a page

    def said(self, k: int) -> str:
        """A tensor as captions name it: with its value if that is known and small, otherwise with its shape."""
        name, value, shape = name_html(self.names[k]), self.values.get(k), self.graph.circles[k].shape
        if value is not None and small(value):
            return name if text(value) == self.names[k] else f"{name} = {text(value)}"
        return f"{name} of shape {shape}" if shape else name

    def turn(self, caption: str, mark: Mark = UNMARKED) -> None:
        """Write down what is known now."""
        lines, seen, gradients = [], [], []
        for k, circle in enumerate(self.graph.circles):
            value, g, beside = self.values.get(k), self.gradients.get(k), []
            if k in self.reached:
                if value is not None and text(value) != circle.name:
                    beside += rows(value)
                    seen.append(f"{circle.name} = {text(value)}")
                elif value is None and circle.shape:
                    beside.append(str(circle.shape))
            if g is not None:
                beside += map(GradientLine, rows(g, "grad "))
                gradients.append(f"{circle.name} {text(g)}")
            lines.append(tuple(beside))
        words = "; ".join(seen) or "no values yet"
        words += f". Gradients: {'; '.join(gradients)}." if gradients else "."
        self.pages.append(_Page(lines, f"The graph with what is known so far: {words}", mark, caption))

    def frames(self) -> list[Frame]:
        """All pages drawn on one layout, with room for the longest lines that stand beside each circle."""
        widest = []
        for beside in zip(*(page.lines for page in self.pages), strict=True):
            most = max(map(len, beside))
            widest.append(tuple(max((lines[k] for lines in beside if len(lines) > k), key=len) for k in range(most)))
        plan = layout.place(self.graph, widest, self.graph.direction)
        return [
            Frame(render.svg(self.graph, plan, page.lines, page.words, page.mark, render.MARK_ROOM), page.caption)
            for page in self.pages
        ]


# ---------------------------------------------------------------- a contribution


def told(node: Node, i: int, g, contribution, names: dict[int, str]) -> str:
    """What the rule for operand `i` does, and what came out."""
    rule, numbers = explain(node, i, g, names)
    result, sign = text(contribution), ": " if node.op.name in WORDS else " = "
    if np.shape(dict(node.op.rules)[i](g, *node.saved)) != contribution.shape:
        rule, sign = f"{rule}, summed over the axes along which it was stretched", ": "
    if not small(contribution):
        return f"{rule}, of {result}"
    return " = ".join(filter(None, [rule, numbers])) + (f"{sign}{result}" if numbers != result else "")
