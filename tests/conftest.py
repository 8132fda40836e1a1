"""A browser, and the built book."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".pyodide"  # of what the site fetches


@pytest.fixture(scope="module")  # while Playwright runs, no other event loop can
def browser() -> Iterator:
    """Chromium; a test that can't find it is skipped, but fails where MINIGRAD_CI promises it."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        (pytest.fail if "MINIGRAD_CI" in os.environ else pytest.skip)("chromium or playwright is not installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


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


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@pytest.fixture(scope="session")
def site(book) -> Iterator[str]:
    """The address at which the book is served."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=book)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


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
