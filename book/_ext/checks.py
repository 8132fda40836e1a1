"""Two checks of every built page: KaTeX understood its mathematics, and it asks no other host for anything."""

import re
from pathlib import Path

from sphinx.util import logging

logger = logging.getLogger(__name__)

BAD_TEX = re.compile(r'katex-error" title="([^"]*)"|mathcolor="#cc0000"><mtext>([^<]*)')
# What a browser loads without being asked: everything but the target of <a href>.
LOADS = re.compile(
    r"<(?!a\s)\w+\s[^>]*?\b(?:src|srcset|href|poster|data|action)\s*=\s*[\"']?\s*((?:https?:)?//[^\"'\s>]+)"
    r"|\burl\(\s*[\"']?((?:https?:)?//[^\"')]+)"
    r"|\bimport\b[^;\n]{0,200}?[\"']((?:https?:)?//[^\"']+)",
)


def first(match):
    return next(filter(None, match.groups()), match[0])


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


def setup(app):
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
