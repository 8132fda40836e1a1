"""Arrays as briefly as pictures and captions need them: their numbers if they are few, and otherwise their shape."""

from __future__ import annotations

import numpy as np

from .symbols import number_text

ROWS, COLUMNS = 3, 4  # of the largest array whose numbers are shown


def small(value) -> bool:
    """Whether there is room for the numbers."""
    shape = np.shape(value)
    return len(shape) <= 2 and all(0 < n <= most for n, most in zip(shape[::-1], (COLUMNS, ROWS), strict=False))


def text(value) -> str:
    """
    >>> text(np.float64(2)), text(np.eye(2)), text(np.ones((5, 3)))
    ('2', '[[1, 0], [0, 1]]', 'shape (5, 3)')
    """
    return " ".join(rows(value)) if small(value) else f"shape {np.shape(value)}"


def equal(value) -> str:
    """
    >>> equal(2.0), equal(np.ones((5, 3)))
    (' = 2', ' of shape (5, 3)')
    """
    return f" = {text(value)}" if small(value) else f" of shape {np.shape(value)}"


def rows(value, head: str = "") -> list[str]:
    """The lines that stand beside a circle.

    >>> rows(np.eye(2), "grad "), rows(np.ones((1, 2))), rows(np.ones((5, 3)))
    (['grad', '[[1, 0],', '[0, 1]]'], ['[[1, 1]]'], ['(5, 3)'])
    """
    if not small(value):
        return [f"{head}{np.shape(value)}"]
    value = np.asarray(value)
    if not value.ndim:
        return [head + number_text(value.item())]
    lines = [f"[{', '.join(map(short, row))}]" for row in np.atleast_2d(value).tolist()]
    if value.ndim == 2:
        lines[0] = f"[{lines[0]}"
        lines[-1] = f"{lines[-1]}]"  # not in one statement: there may be one row, which is the first and the last
    lines = [f"{line}," for line in lines[:-1]] + lines[-1:]
    return [head.strip(), *lines] if head and len(lines) > 1 else [head + lines[0], *lines[1:]]


def short(x: float) -> str:
    """A number among others.

    >>> short(-2 / 3), short(1234.5), short(0.0)
    ('−0.667', '1234.5', '0')
    """
    return number_text(float(f"{x:.3g}") if abs(x) < 1000 else x)
