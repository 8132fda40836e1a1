"""A browser, and the built book."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import CACHE, ROOT, chromium, serving


@pytest.fixture(scope="module")  # while Playwright runs, no other event loop can
def browser() -> Iterator:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> Path:
    """The folder of the book's HTML: what `make html` built if nothing has changed since, or a build of its own."""
    built = ROOT / "_build/html"
    sources = [path for name in ("book", "minigrad", "benchmarks") for path in (ROOT / name).rglob("*.*")]
    sources = [path for path in sources if path.suffix != ".pyc"] + [ROOT / "_config.yml", ROOT / "_toc.yml"]
    finished = built / "searchindex.js"
    if finished.exists() and finished.stat().st_mtime > max(path.stat().st_mtime for path in sources):
        return built
    out = tmp_path_factory.mktemp("book")
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        ROOT,
        "--path-output",
        out,
        "-W",
        "--keep-going",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return out / "_build/html"


@pytest.fixture(scope="session")
def site(book) -> Iterator[str]:
    """The address at which the book is served."""
    with serving(book) as (_, address):
        yield address


@pytest.fixture(scope="session")
def built(book, tmp_path_factory) -> Path:
    """The folder of the site: the book with Python in it."""
    if (book / "pyodide").is_dir():  # by `make site`
        return book
    site = tmp_path_factory.mktemp("site") / "html"
    subprocess.run(["cp", "-r", book, site], check=True)
    done = subprocess.run(
        [sys.executable, ROOT / "book/_online/build.py", site, CACHE],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        (pytest.fail if "MINIGRAD_CI" in os.environ else pytest.skip)(f"no site could be made:\n{done.stdout}")
    return site
