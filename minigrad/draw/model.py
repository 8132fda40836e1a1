"""What a picture, a table and a sentence are made from: a graph of names and numbers that refers to nothing alive."""

from __future__ import annotations

from dataclasses import dataclass

from . import layout, render, text


@dataclass(frozen=True)
class Circle:
    """A tensor."""

    name: str
    kind: str  # "leaf", "constant", "intermediate" or "result"
    shape: tuple[int, ...] | None = None  # None where the graph did not keep it
    value: str = ""  # short enough to be written beside the circle, otherwise empty

    @property
    def caption(self) -> str:
        """What stands beside the circle: the value if it is known and small, otherwise the shape."""
        return "" if self.value == self.name else self.value or (str(self.shape) if self.shape else "")


@dataclass(frozen=True)
class Square:
    """An operation.  `inputs`, in the order of its operands, and `output` are positions in the list of circles."""

    symbol: str  # "×2"
    words: str  # "a multiplication by 2"
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True, repr=False)
class Graph:
    """Circles: first leaves and constants as they are met, then results. Squares: in the order they were computed."""

    circles: tuple[Circle, ...]
    squares: tuple[Square, ...]
    direction: str | None = None

    def svg(self) -> str:
        """The picture: an <svg> element that follows the page's text colour and width."""
        captions = [(circle.caption,) if circle.caption else () for circle in self.circles]
        return render.svg(self, layout.place(self, captions, self.direction), captions)

    def table(self) -> text.Table:
        """Tensor, inputs, operation: a row for each circle."""
        return text.table(self)

    def words(self) -> str:
        """The graph in sentences."""
        return text.words(self)

    __repr__ = words
    _repr_html_ = svg
