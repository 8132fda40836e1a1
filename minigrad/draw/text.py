"""A graph in writing: the breakdown table of sections 3.5 to 3.7, and sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .model import Graph


class Row(NamedTuple):
    """A tensor, the tensors that it was computed from, and the operation that did it ("" for a leaf)."""

    tensor: str
    inputs: tuple[str, ...]
    operation: str


@dataclass(frozen=True, repr=False)
class Table:
    """The rows, and how they print in a terminal and in a notebook."""

    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        cells = [Row._fields, *((row.tensor, ", ".join(row.inputs) or "—", row.operation or "—") for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ("  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip() for row in cells)
        head, *body = lines
        return "\n".join([head.title(), *body])

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{field.title()}</th>' for field in Row._fields)
        body = "".join(
            f'<tr><th scope="row">{name_html(row.tensor)}</th><td>{", ".join(map(name_html, row.inputs)) or "—"}</td>'
            f"<td>{escape(row.operation) or '—'}</td></tr>"
            for row in self.rows
        )
        return f'<table class="mg-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def table(graph: Graph) -> Table:
    """A row for each tensor, in the order of the graph's circles."""
    names = [circle.name for circle in graph.circles]
    made_by = {square.output: square for square in graph.squares}
    rows = []
    for i, name in enumerate(names):
        square = made_by.get(i)
        inputs = tuple(names[k] for k in square.inputs) if square else ()
        rows.append(Row(name, inputs, square.symbol if square else ""))
    return Table(tuple(rows))


def words(graph: Graph) -> str:
    """What meets where and what it gives; then which tensors are leaves or constants, and what is known of their values."""
    circles = graph.circles
    names = [circle.name for circle in circles]
    steps = []
    for square in graph.squares:
        *first, last = (names[k] for k in square.inputs)
        inputs = f"{', '.join(first)} and {last} meet in" if first else f"{last} goes through"
        steps.append(f"{inputs} {square.words}, giving {names[square.output]}")
    parts = {
        "Graph": "; ".join(steps) or f"{names[0]} alone, which no operation computed",
        "Leaves": ", ".join(c.name for c in circles if c.kind == "leaf"),
        "Constants": ", ".join(c.name for c in circles if c.kind == "constant"),
        "Values": ", ".join(f"{c.name} = {c.value}" for c in circles if c.value and c.value != c.name),
        "Shapes": ", ".join(f"{c.name} {c.shape}" for c in circles if c.shape and not c.value),
    }
    return " ".join(f"{head}: {part}." for head, part in parts.items() if part)


def name_parts(name: str) -> tuple[str, str]:
    """A name and its index, which is set lower and smaller.

    >>> name_parts("I12"), name_parts("y_true"), name_parts("loss"), name_parts("X_0")
    (('I', '12'), ('y', 'true'), ('loss', ''), ('X', '0'))
    """
    match = re.fullmatch(r"([^\W\d_]+)(?:_(\w+)|(\d+))", name)
    return (match[1], match[2] or match[3]) if match else (name, "")


def shortened(name: str) -> str:
    """A name that fits into a picture.

    >>> shortened("y_true"), shortened("the_output_of_the_second_layer")
    ('y_true', 'the_output_of_…')
    """
    return name if len(name) <= 15 else name[:14] + "…"


def name_html(name: str) -> str:
    """
    >>> name_html("I12"), name_html("a<b")
    ('<i>I</i><sub>12</sub>', '<i>a&lt;b</i>')
    """
    base, index = name_parts(name)
    return f"<i>{escape(base)}</i>" + (f"<sub>{escape(index)}</sub>" if index else "")
