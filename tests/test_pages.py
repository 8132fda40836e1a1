"""Every page of the built book in a browser: each is opened once, and everything is measured in that visit."""

from __future__ import annotations

import gzip
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from urllib.parse import unquote, urlsplit

import pytest
from browsing import LAPTOP, PHONE, axe, chromium, dark

ROOT = Path(__file__).parent.parent
TEXT_PAGE = (1_200_000, 350_000)  # bytes as they are, and as they travel
FLIPBOOK_PAGE = (1_400_000, 350_000)  # its frames are pictures, drawn in words
SHIFT = 0.02
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}  # all else does not change in the dark

SCROLL_WIDTH = "document.documentElement.scrollWidth"
SHIFTS = """
    window.shifted = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) shifted += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
"""
LOADED = """() => [location.href, ...performance.getEntriesByType("resource").map((entry) => entry.name)]"""
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
# Words of code, parts of formulas, links in lists of contents: what looks like one before it on the page, in the same
# kind of place, goes.  There are thousands, and axe takes a second for each thousand.
THIN_OUT = """() => {
    const many = "pre span, dt.sig :is(span, em), .katex *, .page-toc a, .bd-docs-nav a, article code";
    const kinds = new Set();
    for (const part of document.querySelectorAll(`:is(${many}):not(:is(th, .bd-article a, summary) *)`)) {
        const place = part.closest(":is(figcaption, h1, h2, h3, table, .admonition, .cell_input, .cell_output, dt)");
        const looks = [part, part.parentElement, place].map((e) => e && [e.tagName, e.className, e.getAttribute("style")]);
        if (kinds.has(String(looks))) part.remove();
        kinds.add(String(looks));
    }
}"""
# Text that its box cuts off (what only screen readers get is cut off on purpose).
CUT_OFF = """() => [...document.querySelectorAll("main *, .bd-sidebar-primary *")].filter((e) => {
    const style = getComputedStyle(e);
    return e.clientHeight > 2 && style.overflowY === "hidden" && style.visibility === "visible"
        && e.scrollHeight > e.clientHeight + 4 && e.innerText?.trim() && !e.closest(".math");
}).map((e) => e.outerHTML.slice(0, 120))"""


def names_of(book: Path) -> list[str]:
    """Every page; index.html only leads to another, and lite/ is not a part of the book."""
    pages = (path.relative_to(book) for path in book.rglob("*.html"))
    return sorted(page.as_posix() for page in pages if page.parts[0] not in {"_static", "index.html", "lite"})


def visit(context, site: str, name: str) -> dict:
    """Open a page on a phone, turn it dark, then take it to a laptop, with large text and with axe."""
    page = context.new_page()
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(site + name, wait_until="load")
    page.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
    seen = {"loaded": page.evaluate(LOADED), "light": page.evaluate(SCROLL_WIDTH), "TeX": page.evaluate(TEX)}
    seen["has a flipbook"] = page.locator("mg-flipbook").count() > 0
    seen["shift"] = page.evaluate("shifted")
    dark(page)
    seen["widths"] = [seen["light"], page.evaluate(SCROLL_WIDTH)]
    page.set_viewport_size(LAPTOP)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    seen["large text"] = [page.evaluate(SCROLL_WIDTH) - LAPTOP["width"], page.evaluate(CUT_OFF)]
    page.evaluate("document.documentElement.style.fontSize = ''")
    page.evaluate(THIN_OUT)
    seen["axe, dark"] = axe(page, COLOURS)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    seen["axe, light"] = axe(page)
    seen["errors"] = errors
    seen["elsewhere"] = [url for url in requests if not url.startswith((site, "data:", "blob:"))]
    page.close()
    return seen


@pytest.fixture(scope="module")
def visits(book, site) -> dict[str, dict]:
    """{the name of a page: what was seen}.  Two browsers share the work."""
    left, seen, lock = names_of(book)[::-1], {}, threading.Lock()

    def work(_) -> None:
        with chromium() as browser:
            context = browser.new_context(
                viewport=PHONE, color_scheme="light", reduced_motion="reduce", service_workers="block"
            )
            context.add_init_script(SHIFTS)
            while True:
                with lock:
                    if not left:
                        return
                    name = left.pop()
                seen[name] = visit(context, site, name)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    assert len(seen) > 80
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
    assert not wrong(visits, "widths", [PHONE["width"]] * 2)


@pytest.mark.slow
def test_large_text_is_all_there(visits):
    """Letters twice as large that leave the page, or that their box cuts off."""
    assert not wrong(visits, "large text", [0, []])


@pytest.mark.slow
def test_no_tex_is_left_as_text(visits):
    """A formula that Markdown did not take for one."""
    assert not wrong(visits, "TeX", [])


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_everyone_can_read_it(visits, mode):
    """A control without a name, text too pale, a list that is none: whatever axe-core knows."""
    assert not wrong(visits, f"axe, {mode}", [])


@pytest.mark.slow
def test_nothing_jumps_while_a_page_loads(visits, capsys):
    """A line that moves away under the eye.  Prints the largest."""
    most = max((seen["shift"], name) for name, seen in visits.items())
    with capsys.disabled():
        print(f"\ncumulative layout shift, at most: {most[0]:.4f} ({most[1]})")
    assert most[0] <= SHIFT


def weights(book: Path, addresses: list[str]) -> tuple[int, int]:
    """Bytes of files as they lie there, and as a server sends them; fonts and pixels are compressed already."""
    plain = packed = 0
    for path in {unquote(urlsplit(address).path).lstrip("/") for address in addresses if address.startswith("http")}:
        data = (book / path).read_bytes()
        plain += len(data)
        packed += len(data) if Path(path).suffix in {".woff", ".woff2", ".png"} else len(gzip.compress(data, 6))
    return plain, packed


@pytest.mark.slow
def test_pages_are_light(visits, book, capsys):
    """Megabytes on a phone.  Prints the figures."""
    sizes = {name: weights(book, seen["loaded"]) for name, seen in visits.items()}
    kinds = {
        "text page": ([n for n in sizes if not visits[n]["has a flipbook"]], TEXT_PAGE),
        "page with a flipbook": ([n for n in sizes if visits[n]["has a flipbook"]], FLIPBOOK_PAGE),
    }
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "book").rglob("*.md")]
    lines = [f"pages: {len(sizes)}"]
    for kind, (names, _) in kinds.items():
        for k, how in enumerate(["as it is", "gzipped"]):
            most = max(names, key=lambda name: sizes[name][k])
            middle = median(sizes[name][k] for name in names)
            lines.append(f"{kind} {how}: median {middle / 1e3:.0f} kB, at most {sizes[most][k] / 1e3:.0f} kB ({most})")
    lines.append(f"code cells: {sum(text.count('```{code-cell}') for text in sources)}")
    lines.append(f"labelled rules: {sum(text.count('$$ (rule-') for text in sources)}")
    lines.append(f"checks of rules: {sum(text.count('# check: rule-') for text in sources)}")
    with capsys.disabled():
        print("", *lines, sep="\n")
    for names, (plain, packed) in kinds.values():
        assert not {name: sizes[name] for name in names if sizes[name][0] > plain or sizes[name][1] > packed}


@pytest.mark.slow
def test_what_a_published_site_needs(book):
    """A page that no search engine hears of, a preview without its picture, a link to a file that is overwritten."""
    site = re.search("Sitemap: (.*)sitemap.xml", (book / "robots.txt").read_text())[1]
    pages = re.findall(f"<loc>{re.escape(site)}(.*?)</loc>", (book / "sitemap.xml").read_text())
    assert set(pages) == {name for name in names_of(book) if name.startswith(("book/", "exercises/", "solutions/"))}
    for name in pages:
        text = (book / name).read_text(encoding="utf-8")
        card = re.search(f'property="og:image" content="{re.escape(site)}(.*?)"', text)[1]
        assert (book / card).stat().st_size < 100_000
        assert "Report a mistake" in text
        source = re.search(r'href="[^"]*/edit/\w+/(.*?)">Edit this page', text)[1]
        assert (ROOT / source).is_file() and source.endswith(".md")


# ---------------------------------------------------------------- the judges themselves


@pytest.mark.slow
def test_tex_would_be_seen(browser):
    """In text, and not in code."""
    page = browser.new_page()
    page.set_content(r"<p>$$x</p> <p>\(y</p> <p>\partial L</p> <code>$$ \frac</code> <p>$5 and C:\x</p>")
    assert page.evaluate(TEX) == ["$$x", r"\(y", r"\partial L"]
    page.close()


@pytest.mark.slow
def test_pale_and_cut_off_text_would_be_seen(browser):
    """Of words that look alike, the first; and a box that text does not fit into."""
    page = browser.new_page()
    page.set_content(
        "<html lang=en><title>x</title><main><h1>x</h1><pre tabindex=0>"
        + "<span class=a style='color: #ccc'>pale</span>" * 2
        + "<span class=b>good</span></pre><p style='height: 1em; overflow: hidden'>a<br>b<br>c</p></main>"
    )
    page.evaluate(THIN_OUT)
    assert [found.partition(":")[0] for found in axe(page, COLOURS)] == ["color-contrast"]
    assert [re.match("<p", found)[0] for found in page.evaluate(CUT_OFF)] == ["<p"]
    page.close()


def test_a_page_weighs_what_it_loads(tmp_path):
    """Each file once, a font as it is, the rest as it travels."""
    Path(tmp_path, "a.html").write_bytes(b"x" * 10_000)
    Path(tmp_path, "b.woff2").write_bytes(os.urandom(100) * 50)
    plain, packed = weights(tmp_path, ["http://h/a.html", "http://h/a.html?v=1", "http://h/b.woff2", "data:x"])
    assert plain == 15_000
    assert 5_000 < packed < 5_100
