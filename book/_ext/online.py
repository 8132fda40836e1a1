"""Ways to run a page's code, in a bar below its title; and a policy that lets a page load from its own site alone.

What needs Python in the browser is hidden until `book/_online/build.py` has put Python into the site.
"""

import hashlib
import html
import re
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
HANDLER = re.compile(r'<[^>]*\son\w+="([^"]*)"')
INSTALL = 'pip install "minigrad-course[classroom] @ git+{url}"'
POLICY = (
    "default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'"
)
BAR = """\
<div class="run-bar" role="group" aria-label="Run the code of this page">
{switch}<a class="run-lite" hidden data-needs-runtime data-href="{root}lite/notebooks/index.html?path={notebook}" target="_blank">Open as a notebook</a>
<details><summary>Other ways to run</summary>
{ways}
</details>
<p class="run-status" role="status"></p>
</div>
"""
SWITCH = """\
<button type="button" class="run-switch" role="switch" aria-checked="false" hidden data-needs-runtime>Run code here</button>
<span class="run-controls" hidden><button type="button" class="run-all">Run all</button>
<button type="button" class="run-stop">Stop</button>
<button type="button" class="run-reset">Start over</button></span>
"""
HERE = (
    "<li><b>In this browser.</b> <i>Run code here</i> makes the cells of this page editable. Nothing is installed "
    "or sent; what you change here is gone when you leave.</li>"
)
LITE = (
    "<li><b>As a notebook in this browser.</b> <i>Open as a notebook</i> starts JupyterLite. It keeps your work in this browser, "
    "on this device, until you clear the site's data. To save it elsewhere, choose File, Download there. "
    '<button type="button" class="run-forget" data-notebook="{page}.ipynb">Start the notebook over</button></li>'
)
OWN = (
    '<li><b>On your machine.</b> <a href="{root}_sources/{notebook}" download>Download the notebook</a>, and install what it needs: '
    "<code>{install}</code></li>"
)
HOSTED = (
    '<li><b>On somebody else\'s.</b> <a href="https://mybinder.org/v2/gh/{repository}/{branch}?urlpath=lab/tree/{notebook}">Binder</a> '
    "starts a machine with everything installed, which takes minutes and forgets your work. "
    '<a href="https://colab.research.google.com/github/{repository}/blob/{branch}/{notebook}">Colab</a> wants a Google account, '
    "and <code>%{install}</code> in a first cell. Both are other people's services.</li>"
)


def add_bar(app, page, template, context, doctree):
    """To each page with cells; the cells of exercises and solutions run in notebooks only."""
    if doctree is None or not (source := notebook_of(app, page)) or '<div class="cell ' not in context["body"]:
        return
    theme = app.config.html_theme_options
    is_chapter = not source.endswith(".ipynb")
    filling = {
        "root": "../" * page.count("/"),
        "page": page,
        "notebook": quote(f"{page}.ipynb"),
        "repository": "/".join(theme["repository_url"].rstrip("/").split("/")[-2:]),
        "branch": theme["repository_branch"],
        "install": html.escape(INSTALL.format(url=theme["repository_url"])),
    }
    ways = [*[HERE] * is_chapter, LITE, OWN, *[HOSTED] * (not is_chapter and "github.com" in theme["repository_url"])]
    listed = "\n".join(["<ul>", *(way.format(**filling) for way in ways), "</ul>"])
    bar = BAR.format(switch=SWITCH * is_chapter, ways=listed, **filling)
    title = re.compile(r'</h1>(?:\n<p class="reading-time">.*?</p>)?')
    context["body"] = title.sub(lambda match: f"{match[0]}\n{bar}", context["body"], count=1)
    app.add_css_file("run.css")
    app.add_js_file("notebook.js", type="module")
    if is_chapter:
        app.add_js_file("run.js", type="module")


def notebook_of(app, page):
    """The source of a page with cells."""
    source = app.env.doc2path(page, base=False)
    return source if source.endswith(".ipynb") or "kernelspec" in app.env.metadata[page] else None


def policy(text, scripts="'self'"):
    """What the page may load: of scripts inside it, those that are there now."""
    inside = {script for script in SCRIPT.findall(text) if script.strip()}
    handlers = {html.unescape(handler) for handler in HANDLER.findall(text)}
    hashes = [b64encode(hashlib.sha256(x.encode()).digest()).decode() for x in sorted(inside | handlers)]
    allowed = [scripts, *["'unsafe-hashes'"] * bool(handlers), *(f"'sha256-{x}'" for x in hashes)]
    return POLICY.format(scripts=" ".join(allowed))


def set_policies(app, exception):
    """Into every page, when all else has been written."""
    if exception or app.builder.name != "html":
        return
    out = Path(app.outdir)
    for path in set(out.rglob("*.html")) - set(out.glob("_static/**/*")) - set(out.glob("lite/**/*")):
        text = path.read_text(encoding="utf-8")
        if "Content-Security-Policy" not in text:
            path.write_text(with_policy(text, policy(text)), encoding="utf-8")


def with_policy(text, said):
    """First thing in the head, for a policy binds what comes after it."""
    meta = f'<meta http-equiv="Content-Security-Policy" content="{said}">'
    return re.sub(r"<head[^>]*>", lambda match: f"{match[0]}\n{meta}", text, count=1)


def setup(app):
    app.connect("html-page-context", add_bar, priority=600)  # below the reading time
    app.connect("build-finished", set_policies, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
