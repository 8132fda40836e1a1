"""Pictures of computation graphs: circles are tensors, squares are operations (section 3.1).

`graph(t)` reads the graph of a live tensor once and keeps nothing of it; a notebook shows what it returns as a picture,
and it gives the same graph as `svg()`, as a `table()` and in `words()`.  `paths(t, source)` follows the live graph itself.

`flipbook(t)` shows both passes through the graph, step by step; `frames` and `explore` make such pages of other pictures.

Drawing touches no gradient, and all but the flipbook runs nothing.  Made under `with minigrad.trace():`, a graph also
knows its values.
"""

from __future__ import annotations

from ..tensor import Tensor
from .explore import explore
from .flipbook import Flipbook, frames
from .model import Circle, Graph, Square
from .read import read
from .steps import flipbook
from .text import Row, Table
from .walk import Edge, paths

__all__ = [
    "Circle",
    "Edge",
    "Flipbook",
    "Graph",
    "Row",
    "Square",
    "Table",
    "explore",
    "flipbook",
    "frames",
    "graph",
    "paths",
    "svg",
    "table",
    "words",
]


def graph(t: Tensor, direction: str | None = None) -> Graph:
    """The computation graph of `t`, to look at: its picture in a notebook, its words where there are no pictures.

    `direction` is "right" or "down"; without it the picture goes to the right as long as it stays readable on a phone.
    RuntimeError if backward() has already let go of the graph.

    >>> import minigrad as mg
    >>> from minigrad import draw
    >>> x, y = mg.Tensor(3.0, requires_grad=True, name="x"), mg.Tensor(4.0, requires_grad=True, name="y")
    >>> draw.graph(x**2 * y)
    Graph: x goes through the power 2, giving I1; I1 and y meet in a multiplication, giving L. Leaves: x, y.
    """
    circles, squares, _ = read(t)
    return Graph(circles, squares, direction)


def svg(t: Tensor, direction: str | None = None) -> str:
    """The picture of `t`'s graph: an <svg> element in the colours of the page that it is put into.

    >>> import minigrad as mg
    >>> from minigrad import draw
    >>> draw.svg(mg.Tensor(3.0, requires_grad=True, name="x") ** 2)[:26]
    '<svg xmlns="http://www.w3.'
    """
    return graph(t, direction).svg()


def table(t: Tensor) -> Table:
    """How `t` came about, a row for each tensor (sections 3.5 to 3.7).

    >>> import minigrad as mg
    >>> from minigrad import draw
    >>> x, y = mg.Tensor(3.0, requires_grad=True, name="x"), mg.Tensor(4.0, requires_grad=True, name="y")
    >>> draw.table((2 * x + x * y) ** 2)
    Tensor  Inputs  Operation
    x       —       —
    y       —       —
    I1      x       ×2
    I2      x, y    ×
    I3      I1, I2  +
    L       I3      x²
    """
    return graph(t).table()


def words(t: Tensor) -> str:
    """`t`'s graph in sentences, as the text of a picture for those who do not see it.

    >>> import minigrad as mg
    >>> from minigrad import draw
    >>> x = mg.Tensor(3.0, requires_grad=True, name="x")
    >>> with mg.trace():
    ...     y = 1 - x
    >>> draw.words(y)
    'Graph: x goes through a subtraction from 1, giving L. Leaves: x. Values: x = 3, L = −2.'
    """
    return graph(t).words()
