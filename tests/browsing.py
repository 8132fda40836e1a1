"""A browser, a server of files, and axe-core, for the tests that open pages."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".pyodide"  # of what the site fetches
PHONE, LAPTOP = {"width": 390, "height": 800}, {"width": 1280, "height": 900}
AXE = """async (options) => (await axe.run(document, {resultTypes: ["violations"], preload: false, ...options})).violations
    .flatMap(({id, nodes}) => nodes.slice(0, 3).map((node) => `${id}: ${node.html.slice(0, 120)}`))"""


@contextlib.contextmanager
def chromium() -> Iterator:
    """The browser; a test that can't find it is skipped, but fails where MINIGRAD_CI promises it."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        (pytest.fail if "MINIGRAD_CI" in os.environ else pytest.skip)("chromium or playwright is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def axe(page, options: dict | None = None) -> list[str]:
    """What axe-core finds wrong, of any severity."""
    from axe_playwright_python.base import AXE_SCRIPT

    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return page.evaluate(AXE, options or {})


def dark(page) -> None:
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    if page.locator("html[data-theme]").count():
        page.wait_for_selector("html[data-theme=dark]")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass

    def send_error(self, code: int, *args) -> None:
        """As the places that publish pages do: 404.html at any address that is none."""
        missing = Path(self.directory, "404.html")
        if code != 404 or not missing.is_file():
            return super().send_error(code, *args)
        body = missing.read_bytes()
        self.send_response(404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple]:
    """(the server, its address)."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
