"""What happens when a number changes: sliders where there is a kernel, and frames to turn where there is none."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from html import escape
from importlib.util import find_spec
from itertools import product
from math import prod

import numpy as np

from .figures import drawn_by
from .flipbook import Flipbook, Frame, Slider, is_static
from .symbols import number_text

PLACES = {1: 13, 2: 7}  # of each slider in a page, by the number of sliders
LIMIT = 150  # frames
FINE = 100  # places of a slider where there is a kernel


def explore(
    f: Callable, /, *, label: str | None = None, caption: Callable | None = None, places: int | None = None, **ranges
):
    """f, seen for a range of each of its parameters: `explore(f, slope=(0, 0.3))`.

    f draws a matplotlib figure, or returns one, or returns whatever shows itself in a notebook, or a text.
    A range is (low, high), of whole numbers if both are; (low, high, step); or a list of values.
    `caption`, called with the same values as f, says in words what is seen; `label` says what f shows.

    In a notebook with a kernel and ipywidgets, sliders that call f; elsewhere a flipbook with `places` frames for each
    range.  A cell ends with the call, so that what it returns is shown.

    >>> from minigrad import draw
    >>> def leaky_relu_at_minus_2(slope):
    ...     return f"f(−2) = {-2 * slope}"
    >>> draw.explore(leaky_relu_at_minus_2, slope=(0, 0.3, 0.1), label="Leaky ReLU at −2")
    Leaky ReLU at −2
    1. slope = 0
    2. slope = 0.1
    3. slope = 0.2
    4. slope = 0.3
    """
    label = label or (inspect.getdoc(f) or getattr(f, "__name__", "f")).split("\n")[0]
    if not ranges:
        raise TypeError("explore: no range to explore. Name a parameter of f: explore(f, slope=(0, 0.3)).")

    def frame(**values) -> Frame:
        said = ", ".join(f"{name} = {value_text(value)}" for name, value in values.items())
        return Frame(drawn_by(f, values, f"{label}, {said}"), escape(caption(**values) if caption else said))

    if has_kernel():
        return with_widgets(frame, ranges)
    n = places or PLACES.get(len(ranges), 5)
    grids = {name: places_of(name, given, n) for name, given in ranges.items()}
    total = prod(map(len, grids.values()))
    if total > LIMIT:
        raise ValueError(f"explore: {total} frames for {list(grids)}, and a page bears {LIMIT}. Give fewer places.")
    frames = [frame(**dict(zip(grids, values, strict=True))) for values in product(*grids.values())]
    sliders = [Slider(name, [value_text(value) for value in values]) for name, values in grids.items()]
    return Flipbook(frames, label, sliders)


def has_kernel() -> bool:
    """Whether somebody can move a slider and we are there to answer."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return not is_static() and hasattr(shell, "kernel") and find_spec("ipywidgets") is not None


def with_widgets(frame: Callable, ranges: dict):
    """The same frames, drawn when they are asked for."""
    import ipywidgets
    from IPython.display import HTML, display

    def show(**values) -> None:
        picture, caption = frame(**values)
        display(HTML(f"{picture}<p>{caption}</p>"))

    return ipywidgets.interactive(
        show,
        **{
            name: ipywidgets.SelectionSlider(
                options=[(value_text(value), value) for value in places_of(name, given, FINE + 1)], description=name
            )
            for name, given in ranges.items()
        },
    )


def places_of(name: str, given: Sequence, most: int) -> list:
    """The values that a slider can take.

    >>> places_of("n", (1, 4), 13), places_of("slope", (0, 0.3), 4), places_of("kind", ["relu", "tanh"], 13)
    ([1, 2, 3, 4], [0.0, 0.1, 0.2, 0.3], ['relu', 'tanh'])
    """
    if isinstance(given, list) and given:
        return given
    if not isinstance(given, tuple) or len(given) not in (2, 3) or not given[0] < given[1]:
        raise ValueError(
            f"explore: {name} = {given!r} is no range. Give (low, high), (low, high, step) or a list of values."
        )
    low, high = given[:2]
    whole = all(isinstance(x, int) for x in given)
    n = int((high - low) / given[2] + 1.000001) if len(given) == 3 else min(most, high - low + 1) if whole else most
    end = low + (n - 1) * given[2] if len(given) == 3 else high
    values = np.linspace(low, end, n).tolist()
    return [round(x) for x in values] if whole else [float(f"{x:.10g}") for x in values]


def value_text(value) -> str:
    return number_text(value) if isinstance(value, int | float) else str(value)
