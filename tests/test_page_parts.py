"""What the build puts around the text of a page, and what it cuts from the theme: the parts, without a build."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

pytest.importorskip("tinycss2", reason="the book's requirements are not installed")

THEME = {"repository_url": "https://github.com/Someone/course", "repository_branch": "main"}


@pytest.fixture(autouse=True)
def extensions(monkeypatch, request):
    monkeypatch.syspath_prepend(request.config.rootpath / "book/_ext")


def config(**given):
    return SimpleNamespace(**{"html_baseurl": "", "html_theme_options": THEME, "html_title": "A course"} | given)


# ---------------------------------------------------------------- what is cut


@pytest.mark.parametrize(
    "css, left",
    [
        (".seen{color:red}", ".seen{color:red}"),
        (".gone{color:red}", ""),
        (".gone,.seen a,p{color:red}", ".seen a,p{color:red}"),
        (".seen.gone{x:y} .seen .gone{x:y} #gone{x:y}", ""),
        ("#here>.seen:hover{x:y}", "#here>.seen:hover{x:y}"),
        (".seen:not(.gone){x:y}", ".seen:not(.gone){x:y}"),
        (":is(.gone,p){x:y}", ":is(.gone,p){x:y}"),
        (".bs-tooltip-top{x:y}", ".bs-tooltip-top{x:y}"),
        ("a[href='#gone']{x:y}", "a[href='#gone']{x:y}"),
        ("@media print{.gone{x:y}}", ""),
        ("@media print{.gone{x:y}.seen{x:y}}", "@media print{.seen{x:y}}"),
        ("@keyframes turn{from{x:y}}", "@keyframes turn{from{x:y}}"),
        ("@font-face{font-family:F}", "@font-face{font-family:F}"),
        ("p{width:.5em;background:url(a.gone)}", "p{width:.5em;background:url(a.gone)}"),
    ],
)
def test_rules_that_match_nothing_go_and_no_other(css, left):
    """A page that loses its look, or a phone that loads what nobody sees."""
    from trim import trim

    assert re.sub(r"[\n\"]", "", trim(css, {"seen", "here"})) == left.replace("'", "")


def test_a_stylesheet_with_an_error_is_not_cut():
    from trim import trim

    with pytest.raises(ValueError, match="line 2"):
        trim("p{x:y}\n a", set())


def test_names_in_a_page():
    """However they are quoted."""
    from trim import names_in

    assert names_in("<p class=\"a b-c\" id='d'><i class=e>x</i> subclass='f'>") == {"a", "b-c", "d", "e"}


def test_scripts_of_the_search_and_of_unused_icons_go():
    from trim import DEAD, SEARCH

    page = (
        '<script src="../_static/book.js?v=1"></script>\n <script src="../searchindex.js"></script>\n'
        '<script defer src="../_static/scripts/fontawesome.js?digest=1"></script>'
    )
    assert SEARCH.sub("", DEAD.sub("", page)).strip() == '<script src="../_static/book.js?v=1"></script>'


def test_a_drawing_gets_fewer_colours_once(tmp_path):
    from PIL import Image
    from trim import fewer_colours

    path = tmp_path / "a.png"
    Image.linear_gradient("L").convert("RGB").save(path)
    fewer_colours(path)
    first = path.read_bytes()
    fewer_colours(path)
    assert path.read_bytes() == first
    with Image.open(path) as image:
        assert image.size == (256, 256)
        assert image.getpixel((0, 255)) > image.getpixel((0, 0)) or image.mode == "P"


# ---------------------------------------------------------------- what is added


@pytest.mark.parametrize(
    "page, source",
    [
        ("book/01-introduction", "book/01-introduction.md"),
        ("exercises/04-operations", "solutions/04-operations.md"),
        ("solutions/04-operations", "solutions/04-operations.md"),
    ],
)
def test_edits_go_to_the_file_that_is_edited(request, page, source):
    """A link to a notebook that the next `make exercises` overwrites."""
    from pages import links

    html = links(page, ".md" if page.startswith("book") else ".ipynb", "4 A & B", THEME)
    assert (request.config.rootpath / source).is_file()
    assert f'href="{THEME["repository_url"]}/edit/main/{source}"' in html
    assert f'href="{THEME["repository_url"]}/issues/new?title=Mistake%3A+4+A+%26+B&amp;body=On+the+page' in html


@pytest.mark.parametrize(
    "given, site",
    [
        ({}, "https://someone.github.io/course/"),
        ({"html_baseurl": "https://course.org/book"}, "https://course.org/book/"),
        ({"html_theme_options": {"repository_url": "https://codeberg.org/someone/course"}}, ""),
    ],
)
def test_where_the_site_is(given, site):
    from pages import published

    assert published(config(**given)) == site


def test_what_a_shared_link_shows():
    """A paragraph without markup or formulas; quotes that would end the attribute."""
    from pages import STORY, described, tags

    body = '<p class="reading-time">x</p><p>Short.</p><p>A &quot;matrix&quot; meets a <em>batch</em> of inputs, and the loss is too high. '
    html = tags("book/a", 'A "b"', body + "So it goes.</p>", config())
    assert 'property="og:title" content="A &quot;b&quot;"' in html
    assert 'content="https://someone.github.io/course/book/a.html"' in html
    assert 'content="https://someone.github.io/course/_static/card.png"' in html
    assert described(body + "So it goes.</p>").startswith('A "matrix" meets a batch of inputs')
    assert described("<p>Short.</p>") == STORY
    assert len(described(f"<p>{'word ' * 100}</p>")) < 205


def test_an_empty_head_of_a_table_is_a_cell():
    from pages import EMPTY_HEADS

    table = '<th class="head"></th><th class="head"><p></p></th><th scope="col"> </th><th><p>x</p></th>'
    assert EMPTY_HEADS.sub("<td></td>", table) == "<td></td>" * 3 + "<th><p>x</p></th>"


def test_what_reading_offline_needs(tmp_path):
    """Pages and what they load, and nothing that only a tool reads."""
    from pages import kept

    for name in [
        "book/a.html",
        "_static/a.css",
        "_sources/a.ipynb",
        "objects.inv",
        "worker.js",
        "searchindex.js",
        "lite/a.js",
    ]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    assert json.loads(json.dumps(kept(tmp_path))) == {
        "bytes": 15,
        "files": ["_static/a.css", "book/a.html", "searchindex.js"],
    }


def test_the_card_is_drawn_from_the_library(tmp_path):
    from card import draw, graph
    from PIL import Image

    found, captions = graph()
    assert [lines for lines in captions if len(lines) == 2] == [("3", "∂L/∂x = 216"), ("4", "∂L/∂y = 108")]
    assert found.circles[-1].value == "324"
    draw(tmp_path / "card.png", "A course")
    with Image.open(tmp_path / "card.png") as image:
        assert image.size == (1200, 630)
