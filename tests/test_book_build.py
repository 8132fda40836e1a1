"""The parts of the book's build, and the notebooks that readers take away."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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
