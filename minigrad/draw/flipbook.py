"""Frames in one place, of which the reader turns to one: HTML with a slider, and a small script that moves it.

The same HTML serves everywhere.  A page of the book loads flipbook.css and flipbook.js once (`MINIGRAD_STATIC` says
that it does); elsewhere, in a live notebook, they come with each flipbook.  They need no widgets and no connection to
a kernel, so a saved notebook still turns its pages.  Without scripts, the last frame and its caption are seen.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape, unescape
from itertools import count
from math import prod
from pathlib import Path
from typing import NamedTuple

from .figures import html_of
from .share import share

ASSETS = [Path(__file__).with_name(name) for name in ("flipbook.css", "flipbook.js")]
number = count(1).__next__  # of flipbooks shown, for ids that no other on the page has


class Frame(NamedTuple):
    """A picture and its caption, both HTML."""

    picture: str
    caption: str


class Slider(NamedTuple):
    """What a slider is called, and what it says in each of its places."""

    name: str
    texts: Sequence[str]


class Flipbook:
    """Frames to be turned by one slider, or by several whose places together say which frame.

    The last slider is the one that moves through neighbouring frames.  A notebook shows the flipbook; anywhere else it
    is its captions, one after another.

    >>> from minigrad import draw
    >>> draw.frames(["one", "two"], ["It begins.", "It ends."], label="A story")
    A story
    1. It begins.
    2. It ends.
    """

    def __init__(
        self, frames: Iterable[Frame], label: str, sliders: Sequence[Slider] = (), is_story: bool = False
    ) -> None:
        self.frames = tuple(frames)
        self.label = label
        n = len(self.frames)
        self.sliders = tuple(sliders) or (Slider("Step", [f"{k} of {n}" for k in range(1, n + 1)]),)
        self.is_story = is_story  # whether the captions, read one after another without pictures, make sense
        if not n or prod(len(slider.texts) for slider in self.sliders) != n:
            raise ValueError(
                f"flipbook: {n} frames for sliders with {[len(slider.texts) for slider in self.sliders]} places. "
                "Give a frame for each combination, at least one."
            )

    @property
    def captions(self) -> list[str]:
        """The captions without markup."""
        return [plain(frame.caption) for frame in self.frames]

    def __repr__(self) -> str:
        return "\n".join([self.label, *(f"{k}. {caption}" for k, caption in enumerate(self.captions, 1))])

    def html(self) -> str:
        """The flipbook for a page that loads its style and its script."""
        digest = sha256(repr([*self.frames, self.label]).encode()).hexdigest()[:6]
        pictures = shared([frame.picture for frame in self.frames], f"f{digest}{number()}")
        return "\n".join(
            [
                f'<mg-flipbook class="{"mg-story" if self.is_story else "mg-views"}">',
                f'<figure aria-label="{escape(self.label)}">',
                '<div class="mg-frames">',
                *piled(pictures, "div"),
                "</div>",
                *map(controls, self.sliders),
                '<figcaption aria-live="polite">',
                *piled([frame.caption for frame in self.frames], "p"),
                "</figcaption>",
                "</figure>",
                "</mg-flipbook>",
            ]
        )

    def _repr_html_(self) -> str:
        if is_static():
            return self.html()
        style, script = (path.read_text(encoding="utf-8") for path in ASSETS)
        return f'<style>\n{style}</style>\n{self.html()}\n<script type="module">\n{script}</script>'


def is_static() -> bool:
    """Whether what is shown becomes part of a page that loads the flipbook's files and has no kernel."""
    return bool(os.environ.get("MINIGRAD_STATIC"))


def frames(pictures: Iterable, captions: Iterable[str], label: str) -> Flipbook:
    """A flipbook of matplotlib figures, of <svg> texts, or of anything that a notebook shows.

    Each picture has its caption, a sentence that says what changed; `label` says what all of them show.  Figures are
    closed.  `pictures` may be a generator that draws one figure after another, or one figure again and again.
    ValueError where figures differ in size, for pages that jump can't be compared.

    >>> from matplotlib.figure import Figure
    >>> def lines():
    ...     for slope in (0.0, 1.0):
    ...         figure = Figure(figsize=(3, 2))
    ...         figure.subplots().plot([0, slope])
    ...         yield figure
    >>> frames(lines(), ["Slope 0.", "Slope 1."], label="A line grows steeper")
    A line grows steeper
    1. Slope 0.
    2. Slope 1.
    """
    found, sizes, captions = [], set(), list(captions)
    for k, (picture, caption) in enumerate(zip(pictures, captions, strict=True), 1):
        if hasattr(picture, "get_size_inches"):
            sizes.add(tuple(picture.get_size_inches().tolist()))
        found.append(Frame(html_of(picture, f"{label}, picture {k} of {len(captions)}"), escape(caption)))
    if len(sizes) > 1:
        raise ValueError(f"frames: figures of sizes {sorted(sizes)}. Give all of them the same figsize.")
    return Flipbook(found, label)


# ---------------------------------------------------------------- HTML


def plain(caption: str) -> str:
    """
    >>> plain("<strong>At</strong> <i>y</i><sub>true</sub>: <i>I</i><sub>1</sub> &gt; 0")
    'At y_true: I1 > 0'
    """
    return unescape(re.sub(r"<[^>]*>", "", re.sub(r"<sub>(?!\d)", "_", caption)))


def shared(pictures: list[str], prefix: str) -> list[str]:
    """The pictures with what they have in common written once, if they are <svg>."""
    return share(pictures, prefix) if all(picture.startswith("<svg") for picture in pictures) else pictures


def piled(contents: Sequence[str], tag: str) -> list[str]:
    """All but the last hidden; flipbook.css keeps their place."""
    hidden = [' hidden=""'] * (len(contents) - 1) + [""]
    return [f"<{tag}{h}>{content}</{tag}>" for h, content in zip(hidden, contents, strict=True)]


def controls(slider: Slider) -> str:
    """Back, slider, on; hidden until there is a script.  JupyterLab leaves their keys to them (data-lm-…)."""
    name, texts = escape(slider.name), escape(json.dumps(list(slider.texts), ensure_ascii=False))
    keys = 'data-lm-suppress-shortcuts="true"'
    return (
        '<div class="mg-turn" hidden="">'
        f'<button type="button" aria-label="{name}: back" {keys}>‹</button>'
        f'<label>{name} <input type="range" min="0" max="{len(slider.texts) - 1}" value="0" autocomplete="off" '
        f'data-texts="{texts}" {keys} /></label>'
        f'<button type="button" aria-label="{name}: on" {keys}>›</button>'
        '<span aria-hidden="true"></span></div>'
    )
