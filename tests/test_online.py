"""What puts Python into the site: files are those that they should be, and pages allow no more than they need."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("jupytext", reason="the book's requirements are not installed")

ROOT = Path(__file__).parent.parent


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(autouse=True)
def modules(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book/_online")
    monkeypatch.syspath_prepend(ROOT / "book/_ext")


def way(files: dict[str, str]):
    """One that has these files."""

    def fetch(wanted, scratch):
        for name in set(wanted) & set(files):
            Path(scratch, name).write_text(files[name], encoding="utf-8")
        return "a test"

    return fetch


def unreached(wanted, scratch):
    raise OSError("no network")


# ---------------------------------------------------------------- the runtime


def test_a_file_with_another_sum_is_refused(tmp_path):
    """A runtime that somebody changed on its way, run by every reader."""
    from runtime import Refused, get

    with pytest.raises(Refused, match=r"(?s)incomplete.*right a\.whl.*a\.whl of a test has the sha256 .* not taken"):
        get(tmp_path, {"a.whl": sha("right")}, [way({"a.whl": "wrong"})])
    assert not list(tmp_path.iterdir())


def test_what_one_source_has_wrong_another_may_have_right(tmp_path):
    from runtime import get

    ways = [unreached, way({"a": "wrong", "b": "B"}), way({"a": "A"})]
    get(tmp_path, {"a": sha("A"), "b": sha("B")}, ways)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "A", "b": "B"}


def test_a_missing_file_is_named(tmp_path):
    from runtime import Refused, get

    with pytest.raises(Refused, match=r"incomplete; nobody who was asked has the right b\.whl\.$"):
        get(tmp_path, {"a": sha("A"), "b.whl": sha("B")}, [way({"a": "A"}), unreached])


def test_what_is_there_is_not_fetched_again_and_what_is_broken_is(tmp_path):
    from runtime import get

    (tmp_path / "a").write_text("A")
    get(tmp_path, {"a": sha("A")}, [lambda *_: pytest.fail("fetched")])
    (tmp_path / "a").write_text("half")
    get(tmp_path, {"a": sha("A")}, [way({"a": "A"})])
    assert (tmp_path / "a").read_text() == "A"


def test_the_official_host_is_asked_first_and_for_everything(tmp_path, monkeypatch):
    """One address for each file, and none of them a surprise."""
    import runtime

    folder = tmp_path / "host"
    folder.mkdir()
    for name in "ab":
        (folder / name).write_text(name.upper())
    monkeypatch.setattr(runtime, "HOST", folder.as_uri() + "/")
    runtime.get(tmp_path / "cache", {"a": sha("A"), "b": sha("B")}, [runtime.from_host])
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["a", "b"]
    with pytest.raises(runtime.Refused, match="right c"):
        runtime.get(tmp_path / "cache", {"c": sha("C")}, [runtime.from_host])


def test_an_unknown_package_is_named():
    from runtime import Refused, with_dependencies

    lock = {"packages": {"a": {"depends": ["B_b"]}, "b-b": {"depends": ["a"]}}}
    assert set(with_dependencies(lock, ["a"])) == {"a", "b-b"}
    with pytest.raises(Refused, match="has no package c"):
        with_dependencies(lock, ["c"])


def test_every_pin_is_a_sum():
    """A wheel that pip would take unverified."""
    from runtime import HERE, LOCK, pins

    assert {LOCK, "pyodide.mjs", "pyodide.asm.wasm"} <= set(pins())
    assert all(len(bytes.fromhex(sum)) == 32 for sum in pins().values())
    for listed in HERE / "wheels.txt", ROOT / "tests/in_node.txt":
        lines = [line for line in listed.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        assert lines and all("==" in line and " --hash=sha256:" in line for line in lines)


# ---------------------------------------------------------------- the site


def wheel(folder: Path, name: str, *needs: str) -> Path:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "")
        lines = [f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {need}" for need in needs)]
        archive.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join(lines) + "\n")
    return path


def test_the_lock_names_what_is_there_and_nothing_else(tmp_path):
    """A package that asks for one that the site does not have: a kernel that does not start."""
    pytest.importorskip("jupyterlite_core", reason="the book's requirements are not installed")
    from build import lock_of

    there = {name: wheel(tmp_path, name).name for name in ("numpy", "old", "plots")}
    there["my_own"] = wheel(tmp_path, "my_own", "numpy>=2", 'plots; extra == "draw"', 'other; extra == "test"').name
    known = {name: {"file_name": there[name], "depends": needs} for name, needs in [("numpy", []), ("old", ["gone"])]}
    made = lock_of({"packages": known}, tmp_path, [there["my_own"], there["plots"]], {})["packages"]
    assert set(made) == {"numpy", "old", "my-own", "plots"}
    assert made["my-own"]["depends"] == ["numpy", "plots"] and made["old"]["depends"] == []
    assert made["my-own"]["imports"] == ["my_own"]
    for about in made.values():  # a cache keeps what has this name for ever
        sha = hashlib.sha256((tmp_path / about["file_name"]).read_bytes()).hexdigest()
        assert about["sha256"] == sha and f"-1.0-0{sha[:10]}-py3" in about["file_name"]


def test_a_site_without_its_book_is_refused(tmp_path):
    pytest.importorskip("jupyterlite_core", reason="the book's requirements are not installed")
    from build import main
    from runtime import Refused

    with pytest.raises(Refused, match="no built book.*make html"):
        main(tmp_path, tmp_path)


def test_a_notebook_of_the_site_is_at_home(tmp_path):
    """Links to Markdown that lies nowhere, and advice to install what is there."""
    pytest.importorskip("jupyterlite_core", reason="the book's requirements are not installed")
    import nbformat
    from build import put_notebooks

    cells = [nbformat.v4.new_markdown_cell(text) for text in ("*From [x](y). pip*", "[a](../book/b/c.md#d), [e](f.md)")]
    (tmp_path / "from/x").mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "from/x/n.ipynb")
    put_notebooks(tmp_path / "from", tmp_path / "to")
    made = nbformat.read(tmp_path / "to/files/x/n.ipynb", 4)
    assert "installed" in made.cells[0].source and "pip" not in made.cells[0].source
    assert made.cells[1].source == "[a](../book/b/c.ipynb#d), [e](f.md)"
    top = json.loads((tmp_path / "to/api/contents/all.json").read_text())
    below = json.loads((tmp_path / "to/api/contents/x/all.json").read_text())
    assert [(c["path"], c["type"]) for c in top["content"]] == [("x", "directory")]
    assert [(c["path"], c["type"]) for c in below["content"]] == [("x/n.ipynb", "notebook")]


# ---------------------------------------------------------------- pages


def test_a_page_allows_its_own_scripts_and_no_others():
    """A policy that lets anything in, or keeps the page's own scripts out."""
    from online import policy, with_policy

    page = '<head lang="x"><script src="a.js"></script><script>let a;</script></head><a onclick="print()">'
    said = policy(page)
    scripts = said.partition("script-src ")[2].partition(";")[0].split()
    assert scripts[:2] == ["'self'", "'unsafe-hashes'"] and len(scripts) == 4
    assert "unsafe-inline" not in " ".join(scripts) and said.startswith("default-src 'self'; ")
    assert with_policy(page, said).startswith('<head lang="x">\n<meta http-equiv="Content-Security-Policy"')
    assert "unsafe-hashes" not in policy("<script>let a;</script>")


@pytest.mark.parametrize(
    "page, source, has, lacks",
    [
        ("book/a/b", "book/a/b.md", ["run-switch", 'data-href="../../lite/notebooks/'], ["colab", "mybinder"]),
        ("exercises/c", "exercises/c.ipynb", ["gh/me/course/main", "blob/main/exercises/c.ipynb"], ["run-switch"]),
    ],
)
def test_the_bar_of_a_page(page, source, has, lacks):
    """A button that opens another page's notebook, or a service that cannot open what the link names."""
    from online import add_bar

    theme = {"repository_url": "https://github.com/me/course", "repository_branch": "main"}
    added = []
    app = SimpleNamespace(
        config=SimpleNamespace(html_theme_options=theme),
        env=SimpleNamespace(metadata={page: {"kernelspec": {}}}, doc2path=lambda name, base: source),
        add_css_file=lambda name: added.append(name),
        add_js_file=lambda name, **_: added.append(name),
    )
    context = {"body": "<h1>T</h1>\n<p>no cells</p>"}
    add_bar(app, page, "page.html", context, object())
    assert "run-bar" not in context["body"] and not added
    context = {"body": '<h1>T</h1>\n<div class="cell docutils"></div><p>text</p>'}
    add_bar(app, page, "page.html", context, object())
    assert context["body"].startswith('<h1>T</h1>\n<div class="run-bar"') and context["body"].endswith("<p>text</p>")
    assert f"path={page}.ipynb" in context["body"] and "git+https://github.com/me/course" in context["body"]
    assert all(text in context["body"] for text in has) and not any(text in context["body"] for text in lacks)
    assert ("run.js" in added) == ("run-switch" in context["body"])


def test_what_runs_cells_stays_small():
    """What somebody must understand who changes it: lines of JavaScript, without comments."""
    files = [ROOT / "book" / name for name in ("_static/run.js", "_online/worker.js")]
    lines = [line.strip() for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    assert len([line for line in lines if line and not line.startswith("//")]) <= 200
