"""The library's docstrings on the API page: they are plain text, where |X| and x**p mean what they say."""

import re

from sphinx.util import rst


def plain(app, what, name, thing, options, lines):
    """Escape what reStructuredText would take for markup; examples, and `code`, stay."""
    in_example = False
    for i, line in enumerate(lines):
        in_example = line.startswith(">>> ") or (in_example and line != "")
        if not in_example:
            parts = re.split(r"(`[^`]*`)", line)
            lines[i] = "".join(part if part.startswith("`") else rst.escape(part) for part in parts)


def setup(app):
    app.connect("autodoc-process-docstring", plain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
