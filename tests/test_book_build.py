"""The built book: what readers meet in a browser, and what they take away."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from test_architecture import methods, public

import minigrad as mg
from minigrad import draw

pytest.importorskip("jupytext", reason="the book's requirements are not installed")

ROOT = Path(__file__).parent.parent


# ---------------------------------------------------------------- parts of the build


@pytest.fixture
def extensions(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book/_ext")


def test_every_public_name_is_on_the_api_page():
    """A function that nobody finds.  That what the page names exists, the build checks."""
    page = (ROOT / "book/appendices/api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\.\. auto\w+:: ([\w.]+)$", page, re.MULTILINE))
    names = {*public(), *(f"minigrad.draw.{name}" for name in draw.__all__), "minigrad.data.digits"}
    assert names | {f"minigrad.classroom.{name}" for name in ("check", "passed", "progress")} == listed
    of_tensor = page.partition("## Operations")[0]
    assert not [name for name in methods(mg.Tensor) if not re.search(rf"(`|: |, ){name}\b", of_tensor)]


def test_the_table_of_times_is_of_the_last_run(monkeypatch):
    """Times measured anew, and an old table in the book."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import report

    results = ROOT / "benchmarks/results.json"
    table = report.markdown(json.loads(results.read_text(encoding="utf-8")))
    assert table == results.with_suffix(".md").read_text(encoding="utf-8")


def test_a_notebook_names_what_the_page_cites(extensions):
    """Roles that only Sphinx understands, in a notebook."""
    from notebooks import CITE, citation
    from pybtex.database import parse_string

    entries = parse_string(
        """@article{a, author={Glorot, Xavier and Bengio, Yoshua}, year=2010, doi={10.1/2}}
        @book{b, author={van der Berg, A. and M{\\"u}ller, B. and C, C.}, year=1999}""",
        "bibtex",
    ).entries
    assert CITE.sub(
        lambda match: citation(match, entries), "{cite:t}`a`, B {cite:yearpar}`b`, more {cite:p}`a, b`."
    ) == (
        "[Glorot and Bengio (2010)](https://doi.org/10.1/2), B (1999), more "
        "([Glorot and Bengio, 2010](https://doi.org/10.1/2); van der Berg et al., 1999)."
    )


@pytest.mark.parametrize(
    "site, links",
    [
        ("", ["b.ipynb", "../c.html", "https://git/blob/main/LICENSE", "#d"]),
        ("https://book", ["https://book/a/b.html#d", "https://book/c.html", "https://git/blob/main/LICENSE", "#d"]),
    ],
)
def test_links_of_a_notebook(extensions, site, links):
    """A link to a .md that lies nowhere: they lead to the site, and if nobody knows it to what is downloaded with it."""
    from notebooks import LINK, address

    theme = {"repository_url": "https://git", "repository_branch": "main"}
    app = SimpleNamespace(
        config=SimpleNamespace(html_theme_options=theme, html_baseurl=site),
        env=SimpleNamespace(found_docs={"a/b", "c"}, metadata={"a/b": {"kernelspec": {}}, "c": {}}),
    )
    page = " ".join(f"[x]({link})" for link in ["b.md#d", "../c.md", "../LICENSE", "#d"])
    assert re.findall(r"\((.*?)\)", LINK.sub(lambda match: address(match, app, "a/page"), page)) == links


def test_links_to_nothing_are_found(extensions, tmp_path):
    """The judge itself: files and anchors, in the folder and beside it, and what is no file."""
    from checks import broken_links

    Path(tmp_path, "a").mkdir()
    Path(tmp_path, "a/b.html").write_text("<p id='here'><a href='#here'>", encoding="utf-8")
    links = ["a/b.html#here", "a/b.html?x#gone", "a/c.html", "#gone", "#", "https://example.org/x", "mailto:x"]
    page = "".join(f"<a href='{link}'></a>" for link in links) + "<img src='a/d.svg'>"
    Path(tmp_path, "e.html").write_text(page, encoding="utf-8")
    assert [link for _, link in broken_links(tmp_path)] == ["#gone", "a/b.html?x#gone", "a/c.html", "a/d.svg"]


# ---------------------------------------------------------------- notebooks


@pytest.mark.slow
def test_downloaded_notebooks_run_alone(book, tmp_path):
    """A page that needs a file of the repository, or a name that only the build knows."""
    downloads = sorted(book.glob("_sources/**/*.ipynb"))
    assert len(downloads) > 1
    for path in downloads:
        (folder := tmp_path / path.relative_to(book / "_sources").with_suffix("")).mkdir(parents=True)
        shutil.copy(path, folder)
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=25", "-q", "--tb=short"]
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


# ---------------------------------------------------------------- in a browser

WIDTH = 390
SCROLL_WIDTH = "document.documentElement.scrollWidth"
TEX = r"""() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const text = walker.currentNode;
        const seen = !text.parentElement.closest("pre, code, script, style");
        if (seen && /\$\$|\\[([]|\\[a-z]{2,}/.test(text.data)) found.push(text.data.trim());
    }
    return found;
}"""
WEIGHT = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .reduce((sum, entry) => sum + entry.decodedBodySize, 0)"""


def names_of(book: Path) -> list[str]:
    pages = (path.relative_to(book) for path in book.rglob("*.html"))
    return sorted(
        page.as_posix() for page in pages if page.parts[0] not in {"_static", "index.html", "lite"}
    )  # it redirects


@pytest.fixture(scope="module")
def visits(browser, book, site):
    """Every page, opened once on a phone and then turned dark: {its name: what was seen}."""
    context = browser.new_context(viewport={"width": WIDTH, "height": 800}, color_scheme="light")
    seen = {}
    for name in names_of(book):
        page = context.new_page()
        requests, errors = [], []
        page.on("request", lambda request, to=requests: to.append(request.url))
        page.on("console", lambda message, to=errors: to.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error, to=errors: to.append(str(error)))
        page.goto(site + name, wait_until="load")
        light = page.evaluate(SCROLL_WIDTH)
        page.emulate_media(color_scheme="dark")
        page.wait_for_selector("html[data-theme=dark]")
        seen[name] = {
            "errors": errors,
            "elsewhere": [url for url in requests if not url.startswith((site, "data:", "blob:"))],
            "widths": [light, page.evaluate(SCROLL_WIDTH)],
            "TeX": page.evaluate(TEX),
            "weight": page.evaluate(WEIGHT),
        }
        page.close()
    context.close()
    return seen


def wrong(visits: dict, what: str, right) -> dict:
    return {name: seen[what] for name, seen in visits.items() if seen[what] != right}


@pytest.mark.slow
def test_nothing_is_asked_of_another_host(visits):
    """A script or a font from elsewhere: readers are watched, and a page without a network is broken."""
    assert not wrong(visits, "elsewhere", [])


@pytest.mark.slow
def test_no_script_fails(visits):
    """An error in the console: a flipbook that does not turn."""
    assert not wrong(visits, "errors", [])


@pytest.mark.slow
def test_no_page_is_wider_than_a_phone(visits):
    """Text that is read by scrolling sideways, line by line."""
    assert not wrong(visits, "widths", [WIDTH, WIDTH])


@pytest.mark.slow
def test_no_tex_is_left_as_text(visits):
    """A formula that Markdown did not take for one."""
    assert not wrong(visits, "TeX", [])


@pytest.mark.slow
def test_tex_would_be_seen(browser):
    """The judge itself: in text, and not in code."""
    page = browser.new_page()
    page.set_content(r"<p>$$x</p> <p>\(y</p> <p>\partial L</p> <code>$$ \frac</code> <p>$5 and C:\x</p>")
    assert page.evaluate(TEX) == ["$$x", r"\(y", r"\partial L"]
    page.close()


@pytest.mark.slow
def test_pages_are_light(visits, capsys):
    """Megabytes on a phone.  Prints the figures."""
    weights = sorted((seen["weight"], name) for name, seen in visits.items() if name.startswith("book/"))
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "book").rglob("*.md")]
    figures = {
        "pages": len(weights),
        "median page, kB": median(weight for weight, _ in weights) // 1000,
        "heaviest page, kB": f"{weights[-1][0] // 1000} ({weights[-1][1]})",
        "code cells": sum(text.count("```{code-cell}") for text in sources),
        "labelled rules": sum(text.count("$$ (rule-") for text in sources),
        "checks of rules": sum(text.count("# check: rule-") for text in sources),
    }
    with capsys.disabled():
        print("", *(f"{what}: {figure}" for what, figure in figures.items()), sep="\n")
    assert weights[-1][0] < 3e6


@pytest.mark.slow
@pytest.mark.parametrize(
    "question, page",
    [
        ("matmul", "04-operations/12-matmul.html"),
        ("dropout", "06-layers/03-dropout.html"),
        ("vanishing gradient", "07-training/03-what-goes-wrong.html"),
        ("unbroadcast", "04-operations/01-add-sub.html"),
    ],
)
def test_search_finds_the_page(browser, site, question, page):
    """A reader who knows the word and not the chapter."""
    tab = browser.new_page()
    tab.goto(f"{site}search.html?q={quote(question)}")
    tab.wait_for_selector("#search-results li a")
    tab.wait_for_load_state("networkidle")
    hits = [link.get_attribute("href") for link in tab.locator("#search-results li > a").all()]
    tab.close()
    assert any(page in hit for hit in hits[:3]), hits[:8]
