"""A page with cells can be downloaded as a notebook that runs alone; and how long it takes to read stands on it."""

import posixpath
import re
from pathlib import Path

import jupytext
from myst_nb.core import render
from nbformat.v4 import new_markdown_cell
from sphinx.util import logging

logger = logging.getLogger(__name__)

WORDS_A_MINUTE = 220
SECONDS_A_CELL = 20

NEEDS = (
    "*From [{title}]({url}). It needs minigrad, which brings the rest:* "
    '`pip install "minigrad-course[classroom] @ git+{url}"`'
)
FORMS = {"t": "{} ({})", "p": "{}, {}", "yearpar": "({1})"}
CITE = re.compile(r"\{cite:(t|p|yearpar)\}`([^`]*)`")
LABEL = re.compile(r"(?<=\$\$) *\([\w-]+\)$|^\([\w-]+\)=\n", re.MULTILINE)
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#]+)(#[^)]*)?(?=\))")
MYST = re.compile(r"\{[a-z][\w:-]*\}`[^`]*`|^ *(?:```|:::)\{.*", re.MULTILINE)


def add(app, page, template, context, doctree):
    """The theme offers a notebook for download if `ipynb_source` names one in _sources."""
    if doctree is None or "kernelspec" not in app.env.metadata[page]:
        return
    notebook = converted(app, page)
    path = Path(app.outdir, "_sources", f"{page}.ipynb")
    path.parent.mkdir(parents=True, exist_ok=True)
    jupytext.write(notebook, path)
    context["ipynb_source"] = f"{page}.ipynb"
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    seconds = app.env.metadata[page]["wordcount"]["words"] * 60 / WORDS_A_MINUTE + cells * SECONDS_A_CELL
    read = f'</h1>\n<p class="reading-time">Reading time: {max(1, round(seconds / 60))} min</p>'
    context["body"] = context["body"].replace("</h1>", read, 1)


def converted(app, page):
    """The page as a notebook of Markdown that every Jupyter shows."""
    entries = app.env.get_domain("cite").bibdata.data.entries
    notebook = jupytext.read(app.env.doc2path(page))
    notebook.metadata.pop("jupytext", None)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = CITE.sub(lambda match: citation(match, entries), LABEL.sub("", cell.source))
            cell.source = LINK.sub(lambda match: address(match, app, page), text)
            for left in MYST.findall(cell.source):
                logger.warning("a notebook would show this as it stands: %s", left, location=page)
    needs = NEEDS.format(title=app.config.html_title, url=app.config.html_theme_options["repository_url"])
    notebook.cells.insert(0, new_markdown_cell(needs))
    return notebook


def citation(match, entries):
    """Names and year, with a link to what they wrote."""
    kind, keys = match.groups()
    said = [cited(entries[key.strip()], FORMS[kind]) for key in keys.split(",")]
    return f"({'; '.join(said)})" if kind == "p" else ", ".join(said)


def cited(entry, form):
    people = entry.persons.get("author") or entry.persons["editor"]
    names = [" ".join(map(str, person.rich_prelast_names + person.rich_last_names)) for person in people]
    said = form.format(f"{names[0]} et al." if len(names) > 2 else " and ".join(names), entry.fields["year"])
    url = f"https://doi.org/{entry.fields['doi']}" if "doi" in entry.fields else entry.fields.get("url")
    return f"[{said}]({url})" if url else said


def address(match, app, page):
    """Where a link of the page leads to from the notebook."""
    path, anchor = match[1], match[2] or ""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    name = target.removesuffix(".md")
    if name not in app.env.found_docs:
        theme = app.config.html_theme_options
        return f"{theme['repository_url']}/blob/{theme['repository_branch']}/{target}"
    if app.config.html_baseurl:
        return posixpath.join(app.config.html_baseurl, f"{name}.html{anchor}")
    is_notebook = "kernelspec" in app.env.metadata[name]
    return f"{path.removesuffix('.md')}.{'ipynb' if is_notebook else 'html'}"


def merged(outputs):
    """What a cell printed, as one stream for each name, where the first of it stood.

    MyST-NB's own function ends each piece with a line break; a kernel on a busy machine cuts pieces inside a line.
    """
    streams, kept = {}, []
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
            continue
        kept.append(output)
        if output["output_type"] == "stream":
            streams[output["name"]] = output
    for stream in streams.values():
        stream["text"] = stream["text"].rstrip() + "\n"
    return kept


def setup(app):
    render.coalesce_streams = merged
    app.connect("html-page-context", add)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
