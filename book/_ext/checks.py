"""Checks of every built page: KaTeX understood its mathematics, its links lead somewhere, and it asks no other host."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

logger = logging.getLogger(__name__)

BAD_TEX = re.compile(r'katex-error" title="([^"]*)"|mathcolor="#cc0000"><mtext>([^<]*)')
# What a browser loads without being asked: everything but the target of <a href>.
LOADS = re.compile(
    r"<(?!a\s|link rel=\"canonical\")\w+\s[^>]*?\b(?:src|srcset|href|poster|data|action)\s*=\s*[\"']?\s*((?:https?:)?//[^\"'\s>]+)"
    r"|\burl\(\s*[\"']?((?:https?:)?//[^\"')]+)"
    r"|\bimport\b[^;\n]{0,200}?[\"']((?:https?:)?//[^\"']+)",
)


def first(match):
    return next(filter(None, match.groups()), match[0])


class Page(HTMLParser):
    """What can be linked to on a page, and where its own links lead."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.add(value)
            elif name in {"href", "src"} and tag != "base":
                self.links.add(value)


def broken_links(out):
    """(page, link) for each link to a file or an anchor that is not in the built book."""
    out = out.resolve()
    paths = sorted(set(out.rglob("*.html")) - set(out.glob("_static/**/*")))  # there are the theme's templates
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in paths}
    for path, page in pages.items():
        for link in sorted(page.links):
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            anchor = unquote(address.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].ids):
                yield path.relative_to(out), link


def check(app, exception):
    if exception or app.builder.name != "html":
        return
    out = Path(app.outdir)
    for path in sorted(out.rglob("*")):
        if path.suffix not in {".html", ".css", ".js", ".svg"}:
            continue
        text = path.read_text(encoding="utf-8")
        for match in LOADS.finditer(text):
            logger.warning("%s asks another host: %s", path.relative_to(out), first(match))
        if path.suffix == ".html":
            for match in BAD_TEX.finditer(text):
                logger.warning("%s: bad TeX: %s", path.relative_to(out), first(match))
    for page, link in broken_links(out):
        logger.warning("%s: a link leads nowhere: %s", page, link)


def setup(app):
    app.connect("build-finished", check, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
