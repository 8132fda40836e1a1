"""Matplotlib's figures, and whatever else a notebook shows, as HTML that fits into a page.

A page may redefine the colours of a figure: #0b5fa5 in its styles becomes var(--c-0b5fa5, #0b5fa5).
Matplotlib is loaded by who has a figure to show.
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Callable
from html import escape
from io import BytesIO

HEAVY = 200_000  # characters of SVG; above, a figure becomes pixels
DPI = 144  # of pixels: two for each of a screen's
SALT = {"svg.hashsalt": "minigrad"}  # the same ids for the same figure, and for the same part of two figures


def in_page_colours(svg: str, alt: str) -> str:
    """The <svg> element alone, in colours that the page may redefine, with words for those who do not see it.

    >>> in_page_colours('<?xml version="1.0"?><svg><path style="fill: #0b5fa5"/></svg>', "A line")
    '<svg class="figure" role="img" aria-label="A line"><path style="fill: var(--c-0b5fa5, #0b5fa5)"/></svg>'
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(title|metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r": #([0-9a-f]{6})\b", r": var(--c-\1, #\1)", svg)
    return svg.replace("<svg", f'<svg class="figure" role="img" aria-label="{escape(alt)}"', 1)


def figure_html(figure, alt: str) -> str:
    """A figure as <svg>, or as <img> where lines are too many; closed, so that the notebook does not show it again."""
    import matplotlib
    from matplotlib import pyplot

    with matplotlib.rc_context(SALT):
        svg = saved(figure, "svg").decode()
    html = in_page_colours(svg, alt)
    if len(svg) > HEAVY:
        width, height = (f"{96 * inches:.0f}" for inches in figure.get_size_inches())
        data = base64.b64encode(saved(figure, "png")).decode()
        html = f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}" width="{width}" height="{height}" />'
    pyplot.close(figure)
    return html


def saved(figure, kind: str) -> bytes:
    figure.savefig(file := BytesIO(), format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else None)
    return file.getvalue()


def html_of(x, alt: str) -> str:
    """Anything as HTML: a figure or its axes, <svg> text, what shows itself in a notebook, and the rest as its text.

    >>> html_of(3 < 4, ""), html_of("1 < 2", "")
    ('<pre>True</pre>', '<pre>1 &lt; 2</pre>')
    """
    figure = x if hasattr(x, "savefig") else getattr(x, "figure", None)
    if hasattr(figure, "savefig"):
        return figure_html(figure, alt)
    if isinstance(x, str) and x.lstrip().startswith(("<svg", "<?xml")):
        return x if 'role="img"' in x else in_page_colours(x, alt)
    if hasattr(x, "_repr_html_"):
        return x._repr_html_()
    return f"<pre>{escape(str(x))}</pre>"


def drawn_by(f: Callable, values: dict, alt: str) -> str:
    """What f(**values) returns, or the figure that it drew with pyplot, as HTML."""
    before = open_figures()
    result = f(**values)
    drawn = [number for number in open_figures() if number not in before]
    pyplot = sys.modules.get("matplotlib.pyplot")
    if result is None and not drawn:
        name = getattr(f, "__name__", "f")
        raise TypeError(f"explore: {name} drew no figure and returned nothing. Draw one, or return what is to be seen.")
    html = html_of(pyplot.figure(drawn[-1]) if result is None else result, alt)
    for number in drawn:
        pyplot.close(number)
    return html


def open_figures() -> list[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return pyplot.get_fignums() if pyplot else []
