"""The site behind nginx, as in its image: headers, and cells and notebooks that run under them."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("jupyterlite_core", reason="the book's requirements are not installed")

from browsing import ROOT
from test_site import has_run, notebook_from, opened, run_all, status

pytestmark = pytest.mark.slow


@pytest.fixture
def nginx(built, tmp_path) -> Iterator[str]:
    """The address of the site behind Debian's nginx, with the configuration that the image has."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    modules = Path("/etc/nginx/modules-enabled")
    if binary is None or not list(modules.glob("*brotli-static.conf")):
        missing = "nginx or its module for brotli is not installed: see .ci/run"
        (pytest.fail if "MINIGRAD_CI" in os.environ else pytest.skip)(missing)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = (ROOT / "book/_online/nginx.conf").read_text(encoding="utf-8")
    ours = ours.replace("listen 8080;", f"listen 127.0.0.1:{port};").replace("root /site;", f"root {built};")
    conf = tmp_path / "nginx.conf"
    places = "".join(f"{what}_temp_path {tmp_path};" for what in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi"))
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    conf.write_text(
        f"{user} pid {tmp_path}/pid; error_log stderr; include {modules}/*.conf; events {{}}\n"
        f"http {{ include /etc/nginx/mime.types; access_log off; {places}\n{ours}\n}}\n",
        encoding="utf-8",
    )
    process = subprocess.Popen([binary, "-c", conf, "-e", "stderr", "-g", "daemon off;"])
    url = f"http://127.0.0.1:{port}/"
    for _ in range(100):
        try:
            urllib.request.urlopen(url + "searchindex.js").close()
            break
        except OSError:
            assert process.poll() is None, "nginx refuses its configuration"
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait()


def headers(url: str, encodings: str = "gzip, br") -> dict[str, str]:
    request = urllib.request.Request(url, headers={"Accept-Encoding": encodings})
    with urllib.request.urlopen(request) as answer:
        return {name.lower(): value for name, value in answer.headers.items()}


def test_every_file_may_be_read_by_whoever_serves_it(built):
    """Nobody's but root's, a wheel is there for these tests and missing in the image."""
    assert not [file for file in built.rglob("*") if file.is_file() and not file.stat().st_mode & 0o004]


def test_nginx_says_what_a_browser_needs_to_know(nginx, built):
    """A wasm file that does not stream, a page that is fetched whole each time, a policy that covers too much."""
    page = headers(f"{nginx}book/index.html")
    assert page["content-type"] == "text/html; charset=utf-8" and page["content-encoding"] == "br"
    assert (
        headers(f"{nginx}book/index.html", "gzip")["content-encoding"] == "gzip" and page["vary"] == "Accept-Encoding"
    )
    assert page["cache-control"] == "no-cache" and page["x-content-type-options"] == "nosniff"
    assert "unsafe-eval" not in page["content-security-policy"]
    assert "frame-ancestors 'self'" in page["content-security-policy"]
    wasm = headers(f"{nginx}pyodide/pyodide.asm.wasm")
    assert wasm["content-type"] == "application/wasm" and wasm["content-encoding"] == "br"
    assert "'wasm-unsafe-eval'" in wasm["content-security-policy"]
    assert headers(f"{nginx}pyodide/pyodide.mjs")["content-type"].startswith("text/javascript")
    wheel = next((built / "pyodide").glob("minigrad_course-*.whl")).name
    assert "immutable" in headers(f"{nginx}pyodide/{wheel}")["cache-control"]
    assert headers(f"{nginx}pyodide/pyodide-lock.json")["cache-control"] == "no-cache"
    assert "'unsafe-eval'" in headers(f"{nginx}lite/notebooks/index.html")["content-security-policy"]


def test_cells_and_notebooks_run_behind_nginx(browser, nginx):
    """Under its headers, which are more than the pages' own policies."""
    context = browser.new_context()
    wrong: list[str] = []
    context.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    page = opened(context, nginx, "book/01-introduction.html")
    page.click(".run-switch")
    page.click(".run-all")
    status(page, "cells ran")
    notebook = notebook_from(page)
    run_all(notebook)
    has_run(notebook)
    context.close()
    assert not wrong
