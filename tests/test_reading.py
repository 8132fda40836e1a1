"""The book as readers use it in a browser: with a keyboard, without a network, on paper, from a search."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from browsing import LAPTOP, PHONE, axe, dark, serving

ROOT = Path(__file__).parent.parent

CHAPTER, OPERATION = "book/03-computation-graphs/01-what-is-a-graph.html", "book/04-operations/12-matmul.html"
TYPES = {
    "home": "book/index.html",
    "chapter": CHAPTER,
    "operation": OPERATION,
    "exercises": "exercises/04-operations.html",
    "solutions": "solutions/04-operations.html",
    "api": "book/appendices/api.html",
    "search": "search.html?q=chain+rule",
    "404": "404.html",
}
QUIET = {"service_workers": "block", "reduced_motion": "reduce"}
FOCUSED = """() => {
    const e = document.activeElement, box = e.getBoundingClientRect(), style = getComputedStyle(e);
    const seen = box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && style.opacity > 0;
    return {
        what: e.id || e.ariaLabel || e.title || e.labels?.[0]?.textContent || e.textContent.trim().slice(0, 40),
        outlined: (style.outlineStyle !== "none" && style.outlineWidth !== "0px") || style.boxShadow !== "none",
        seen,
    };
}"""


@pytest.fixture
def opened(browser, site):
    """A function that opens a page of the book; all are closed in the end."""
    contexts = []

    def opened(name: str, viewport: dict = LAPTOP, **options):
        contexts.append(browser.new_context(viewport=viewport, **QUIET | options))
        page = contexts[-1].new_page()
        page.goto(site + name, wait_until="load")
        return page

    yield opened
    for context in contexts:
        context.close()


# ---------------------------------------------------------------- with a keyboard


@pytest.mark.slow
def test_the_first_key_leads_to_the_text(opened):
    """Eighty links of the sidebar before the first word."""
    page = opened(OPERATION)
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == {"what": "Skip to main content", "outlined": True, "seen": True}
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
def test_the_focus_is_always_seen(opened, viewport):
    """A key that leads nowhere, or to something that nobody sees or that has no name."""
    page = opened(OPERATION, viewport)
    lost, met = [], set()
    for _ in range(60):
        page.keyboard.press("Tab")
        page.wait_for_timeout(10)
        focus = page.evaluate(FOCUSED)
        met.add(focus["what"])
        if not (focus["outlined"] and focus["seen"] and focus["what"]):
            lost.append(focus)
    assert not lost
    assert len(met) > 25


@pytest.mark.slow
def test_the_search_dialog_by_keyboard(opened, site):
    page = opened(OPERATION)
    page.keyboard.press("Control+K")
    assert page.evaluate("document.activeElement.matches('#pst-search-dialog input')")
    page.keyboard.press("Escape")
    assert not page.locator("#pst-search-dialog").is_visible()
    page.locator("button.search-button-field").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("dropout")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")
    assert page.url.startswith(f"{site}search.html?q=dropout")


@pytest.mark.slow
def test_the_mode_is_remembered_and_the_focus_stays(opened, site):
    """A switch that throws a keyboard back to the top of the page, and a choice that the next page forgets."""
    page = opened(OPERATION, color_scheme="light")
    switch = page.locator("button.theme-switch-button:visible").first
    for _ in range(3):
        switch.press("Enter")
        assert switch.evaluate("e => e === document.activeElement")
        if page.locator("html[data-theme=dark]").count():
            break
    page.goto(site + CHAPTER)
    assert page.locator("html[data-theme=dark]").count()


@pytest.mark.slow
def test_the_sidebar_of_a_phone_by_keyboard(opened):
    page = opened(OPERATION, PHONE)
    page.locator("button.primary-toggle").press("Enter")
    page.wait_for_selector("dialog#pst-primary-sidebar-modal[open]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    assert not axe(page)
    page.keyboard.press("Escape")
    assert not page.locator("dialog#pst-primary-sidebar-modal[open]").count()
    assert page.evaluate("document.activeElement.matches('button.primary-toggle')")


# ---------------------------------------------------------------- flipbooks

SHOWN = """book => {
    const shown = (pile) => [...pile.children].findIndex((e) => getComputedStyle(e).visibility === "visible"
        && getComputedStyle(e).display !== "none");
    return [shown(book.querySelector(".mg-frames")), shown(book.querySelector("figcaption"))];
}"""


@pytest.mark.slow
def test_a_flipbook_of_the_book(opened):
    """By mouse, by arrow keys, and what is said of each frame."""
    page = opened(OPERATION)
    book = page.locator("mg-flipbook").first
    assert book.evaluate(SHOWN) == [0, 0]
    book.locator("button").last.click()
    assert book.evaluate(SHOWN) == [1, 1]
    book.locator("input").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert book.evaluate(SHOWN) == [2, 2]
    assert book.locator("figcaption").get_attribute("aria-live") == "polite"
    assert book.locator("input").get_attribute("aria-valuetext").startswith("3 of ")


@pytest.mark.slow
def test_a_flipbook_of_the_book_without_scripts(opened):
    page = opened(OPERATION, java_script_enabled=False)
    book = page.locator("mg-flipbook").first
    last = book.locator(".mg-frames > *").count() - 1
    assert book.evaluate(SHOWN) == [last, last]
    assert book.locator(".mg-turn").first.is_hidden()


# ---------------------------------------------------------------- conveniences


@pytest.mark.slow
@pytest.mark.parametrize(
    "question, target",
    [
        ("matmul", "04-operations/12-matmul.html"),
        ("dropout", "06-layers/03-dropout.html"),
        ("vanishing gradient", "07-training/03-what-goes-wrong.html"),
        ("unbroadcast", "04-operations/01-add-sub.html"),
    ],
)
def test_search_finds_the_page(opened, question, target):
    """A reader who knows the word and not the chapter."""
    page = opened(f"search.html?q={quote(question)}")
    page.wait_for_selector("#search-results li a")
    page.wait_for_load_state("networkidle")
    hits = [link.get_attribute("href") for link in page.locator("#search-results li > a").all()]
    assert any(target in hit for hit in hits[:3]), hits[:8]


@pytest.mark.slow
def test_a_formula_has_a_link_that_is_seen_when_needed(opened):
    """A link to a formula that only who reads the source finds."""
    page = opened(OPERATION)
    formula = page.locator("div.math:has(.eqno)").first
    link = formula.locator("a.headerlink")
    opacity = "e => getComputedStyle(e).opacity"
    assert link.evaluate(opacity) == "0"
    formula.hover()
    assert link.evaluate(opacity) == "1"
    page.mouse.move(0, 0)
    assert link.evaluate(opacity) == "0"
    link.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert link.evaluate(opacity) == "1"
    page.keyboard.press("Enter")
    anchor = page.evaluate("location.hash.slice(1)")
    assert anchor.startswith("equation-")
    assert page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", anchor) >= 0


@pytest.mark.slow
def test_code_can_be_copied(opened):
    page = opened(OPERATION, permissions=["clipboard-read", "clipboard-write"])
    cell = page.locator("div.cell_input:visible").first
    cell.hover()
    cell.locator("button.copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == cell.locator("pre").inner_text().strip()


@pytest.mark.slow
@pytest.mark.parametrize("address", ["gone.html", "book/gone.html", "book/04-operations/gone/deeper.html"])
def test_a_missing_page_leads_back(browser, site, address):
    """Links that start from the folder of a page that is not there."""
    page = browser.new_page()
    assert page.goto(site + address).status == 404
    page.get_by_role("link").first.click()
    page.wait_for_url(f"{site}book/index.html")
    assert page.locator("article h1").is_visible()
    page.close()


# ---------------------------------------------------------------- without a network


@pytest.mark.slow
def test_reading_without_a_network(browser, book):
    """The server stops after the first visit; then after the whole book was kept."""
    context = browser.new_context(viewport=LAPTOP, color_scheme="light")
    page = context.new_page()
    with serving(book) as (server, site):
        page.goto(site + OPERATION)
        page.wait_for_selector("html[data-kept]", state="attached")
        context.set_offline(True)  # a tunnel
        page.reload()
        assert page.locator("h1").first.inner_text().startswith("4.12")
        assert page.evaluate("document.fonts.check('1em KaTeX_Main')")
        assert page.evaluate("getComputedStyle(document.querySelector('.bd-article')).fontSize") == "17.2px"
        page.goto(site + CHAPTER)
        assert page.locator("h1").inner_text() == "No network"
        context.set_offline(False)
        page.goto(site + OPERATION)
        page.get_by_role("button", name="Keep the whole book").click()
        page.locator("#offline", has_text="is kept").wait_for()
    page.goto(site + CHAPTER)  # the server is gone
    assert page.locator("h1").first.inner_text().startswith("3.1")
    page.goto(f"{site}search.html?q=dropout")
    page.wait_for_selector("#search-results li a")
    context.close()


# ---------------------------------------------------------------- on paper


@pytest.mark.slow
def test_a_printed_page(opened):
    """Controls on paper, white text, and frames of which only one can be seen."""
    page = opened(OPERATION, color_scheme="dark")
    dark(page)
    page.emulate_media(media="print", color_scheme="dark")
    for control in ["#pst-primary-sidebar", ".bd-header-article", ".mg-turn", ".copybtn", ".page-links", "#offline"]:
        assert not page.locator(control).first.is_visible(), control
    colours = "e => [getComputedStyle(e).color, getComputedStyle(document.body).backgroundColor]"
    assert page.locator("article p").nth(2).evaluate(colours) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]


# ---------------------------------------------------------------- to look at


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_screenshots(opened, mode, width):
    """A page of each type, kept in _build/screenshots; and on a phone, where other controls are seen, axe again."""
    folder = ROOT / "_build/screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page = opened("book/index.html", PHONE if width == 390 else LAPTOP, color_scheme=mode)
    address = page.url.removesuffix("book/index.html")
    for kind, name in TYPES.items():
        page.goto(address + name, wait_until="load")
        if kind == "search":
            page.wait_for_selector("#search-results li a")
        page.screenshot(path=folder / f"{kind}-{width}-{mode}.png")
        if width == 390 and kind in {"home", "chapter", "search", "404"}:
            assert not axe(page), kind
