"""Reports say what was graded, to everybody what is theirs and nothing else, and nothing that a student wrote acts in them."""

from __future__ import annotations

import csv
import html.parser
import json
import re
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigrad.grading import reports
from minigrad.grading.course import Course, Late
from minigrad.grading.policy import Override, Setting
from minigrad.grading.record import Item, Record
from minigrad.grading.reports.gather import slug
from minigrad.grading.roster import Person, Roster
from minigrad.grading.submissions import Aside

TITLE = "Set 04, Gradients of operations"
VERSIONS = {"course": "0.1.0", "set 04": "1", "grader": "0.1.0"}
ONE = Item("4.1", "Addition", 1, 1, code="def add_backward(G, A, B):\n    return G, G")
TWO = Item(
    "4.2",
    "Element-wise multiplication",
    3,
    0,
    "dA[0, 1] is 2; it should be 4.",
    "Each operand got its own value as the factor.",
    0,
    "G (2, 3), A (2, 3), B (2, 3)",
    4711,
    ("dB shares its memory with G.",),
    "def mul_backward(G, A, B):\n    # mine\n    return G * A, G * B",
    3,
)


def record(student="ann", *items: Item, **more) -> Record:
    made = {
        "sha256": "0" * 64,
        "set": "04",
        "versions": VERSIONS,
        "layers": ("landlock", "seccomp"),
        "file": f"{student}.ipynb",
    }
    return Record(student=student, items=items or (ONE, TWO), **made | {"graded": "2026-10-07T09:00:00+00:00"} | more)


def write(folder: Path, *records: Record, setting: Setting = Setting()) -> Path:  # noqa: B008, it is frozen
    reports.write(folder, lambda: iter(records), setting)
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def page(folder: Path, student="ann", name="", set="04") -> str:
    return (folder / f"feedback/{slug(Person(student, name), set)}.html").read_text(encoding="utf-8")


class Page(html.parser.HTMLParser):
    """The tags, the attributes and the text of a page, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag) -> None:
        self.text += " " * (tag in ("td", "th"))

    def handle_data(self, data) -> None:
        self.text += data


# ---------------------------------------------------------------- what they say


def test_every_file_is_there_and_has_the_numbers(tmp_path):
    bob = record("bob", ONE, Item("4.2", "Element-wise multiplication", 3, 3))
    write(tmp_path, record(), bob)
    names = ["README.txt", "canvas.csv", "class.html", "feedback", "grades.csv", "moodle-04.csv", "results.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "results.schema.json"]
    ann, bob = table(tmp_path / "grades.csv")
    assert (ann["student"], ann["task 4.1"], ann["task 4.2"], ann["final"], ann["points"]) == (
        "ann",
        "1",
        "0",
        "1",
        "4",
    )
    assert (bob["final"], bob["versions"], bob["sandbox"]) == ("4", "course 0.1.0, set 04 1, grader 0.1.0", "held")
    points, ann, bob = table(tmp_path / "canvas.csv")
    assert (points["Student"], points[TITLE], ann[TITLE]) == ("    Points Possible", "4", "1")
    ann, bob = table(tmp_path / "moodle-04.csv")
    assert (ann["Grade"], ann["Maximum Grade"]) == ("1", "4")
    assert ann["Feedback comments"] == "4.2 Element-wise multiplication: 0 of 3. dA[0, 1] is 2; it should be 4."
    assert bob["Feedback comments"] == "Every task is right."


def test_results_follow_their_schema(tmp_path):
    made = Setting(
        Course("AD", "2026", late=Late(10)),
        Roster([Person("ann"), Person("zoe", "Zoë")]),
        {"04": datetime(2026, 10, 1, tzinfo=UTC)},
        overrides=(Override("zoe", "", 2, "ill"), Override("ann", "4.2", 1)),
        aside=[Aside("ann", "a.txt", "not a notebook")],
    )
    eve = record("eve", error="not a notebook: it is empty.", layers=(), submitted="2026-10-09T00:00:00")
    write(tmp_path, record(submitted="2026-10-02T12:00:00+00:00"), eve, setting=made)
    results = json.loads((tmp_path / "results.json").read_text())
    schema = json.loads((tmp_path / "results.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(results, schema)
    ann, eve, zoe = results["students"]
    assert (ann["raw"], ann["late_days"], ann["penalty_percent"], ann["final"]) == (2, 2, 20, 1.6)
    assert (eve["error"], eve["sandbox"], results["without_sandbox"]) == ("not a notebook: it is empty.", [], 1)
    assert (zoe["file"], zoe["final"], zoe["override"]) == (None, 2, {"score": 2, "comment": "ill"})
    assert results["unknown_students"] == ["eve"]
    assert [row["overridden"] for row in table(tmp_path / "grades.csv")] == ["4.2: 0 → 1", "", "all: 0 → 2"]
    assert "The score was set by hand" not in page(tmp_path) and "Set by hand; the grader gave 0." in page(tmp_path)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(results | {"students": [ann | {"final": "1"}]}, schema)


def test_a_students_page_has_what_helps(tmp_path):
    text = Page(page(write(tmp_path, record(notes=("Cell 3 failed: NameError",), output="loss 0.5"))))
    for said in (
        TWO.reason,
        TWO.says,
        TWO.tried,
        "seed=4711",
        *TWO.remarks,
        "Cell 3 failed",
        "loss 0.5",
        "Line 3, which is marked",
    ):
        assert said in text.text
    assert "mark" in text.tags and re.search(r"<mark>    return G \* A, G \* B</mark>", page(tmp_path))


def test_a_task_that_was_not_written_takes_one_line(tmp_path):
    item = Item(
        "4.1",
        "Addition",
        1,
        0,
        "add_backward is not written yet.",
        tried="G (3, 7)",
        seed=1,
        code="# Your code",
        line=1,
    )
    text = Page(page(write(tmp_path, record("ann", item)))).text
    assert item.reason in text and "Tried with" not in text and "# Your code" not in text


def test_a_students_page_has_nothing_of_another(tmp_path):
    bob = record("bob", Item("4.1", "Addition", 1, 0, "secret of bob", code="bobs_code"), output="bobs output")
    both = Setting(
        roster=Roster([Person("ann"), Person("bob"), Person("carol", "Carol Jones")]),
        aside=[Aside("bob", "b.txt", "x")],
    )
    write(tmp_path, record(), bob, setting=both)
    assert not re.search(r"bob|carol", page(tmp_path), re.IGNORECASE)


@pytest.mark.parametrize("line", [0, 4, -1, None])
def test_a_line_that_is_not_there_is_not_marked(tmp_path, line):
    from dataclasses import replace

    assert "<mark>" not in page(write(tmp_path, record("ann", replace(TWO, line=line))))


def test_without_a_sandbox_every_report_bears_it(tmp_path):
    write(tmp_path, record(layers=()))
    said = "graded without a sandbox"
    for text in (
        page(tmp_path),
        *((tmp_path / name).read_text() for name in ("class.html", "grades.csv", "moodle-04.csv", "README.txt")),
    ):
        assert said in text.casefold()
    assert (
        'class="alarm"' in page(tmp_path)
        and json.loads((tmp_path / "results.json").read_text())["without_sandbox"] == 1
    )
    write(tmp_path, record())
    assert not any(said in path.read_text().casefold() for path in tmp_path.rglob("*.*") if path.is_file())


def test_the_last_of_several_submissions_counts_and_the_page_says_so(tmp_path):
    early = record("ann", ONE, submitted="2026-10-01T00:00:00", file="a/1.ipynb")
    late = record(submitted="2026-10-02T00:00:00", file="a/2.ipynb")
    for counts, file in (("last", "a/2.ipynb"), ("best", "a/1.ipynb")):
        best = record("ann", ONE, Item("4.2", "x", 3, 3), submitted=early.submitted, file=early.file)
        write(tmp_path, late, best, setting=Setting(Course(counts=counts)))
        (row,) = table(tmp_path / "grades.csv")
        assert (row["file"], row["submissions"]) == (file, "2")
        assert "one of 2 submissions" in " ".join(Page(page(tmp_path)).text.split())


def test_a_record_that_was_graded_again_replaces_its_first(tmp_path):
    write(tmp_path, record(), record("bob"), record("ann", ONE, Item("4.2", "x", 3, 3)))
    assert [(row["student"], row["final"], row["submissions"]) for row in table(tmp_path / "grades.csv")] == [
        ("ann", "4", "1"),
        ("bob", "1", "1"),
    ]


def test_the_order_of_the_records_does_not_matter(tmp_path):
    """With several workers they come as they are done."""
    many = [record(name, submitted=f"2026-10-0{n}T00:00:00") for n, name in enumerate("acbed", 1)]
    one, other = (write(tmp_path / str(n), *order) for n, order in enumerate((many, many[::-1])))
    for path in one.rglob("*.*"):
        if path.is_file() and path.name != "class.html":  # misconceptions are shown as the first student was told
            assert path.read_bytes() == (other / path.relative_to(one)).read_bytes(), path.name


def test_several_sets(tmp_path):
    five = record("ann", Item("5.1", "Loss", 2, 2), set="05")
    write(tmp_path, record(), five)
    assert [(row["set"], row["final"]) for row in table(tmp_path / "grades.csv")] == [("set 04", "1"), ("set 05", "2")]
    assert [row["Set 05, Loss functions"] for row in table(tmp_path / "canvas.csv")] == ["2", "2"]
    assert "Loss" in page(tmp_path, set="05") and (tmp_path / "moodle-05.csv").exists()


def test_what_could_not_be_read_is_counted_to_the_only_set(tmp_path):
    broken = Record("eve", "eve.ipynb", "", "", (), error="not a notebook: it is empty.")
    write(tmp_path, record(), broken)
    assert [(row["set"], row["final"]) for row in table(tmp_path / "grades.csv")] == [("set 04", "1"), ("set 04", "0")]
    assert "it is empty" in page(tmp_path, "eve")


@pytest.mark.parametrize("records", [0, 1])
@pytest.mark.parametrize("people", [(), ("zoe",)])
def test_a_class_of_nobody_and_of_one(tmp_path, records, people):
    setting = Setting(roster=Roster(map(Person, people)) if people else None)
    write(tmp_path, *[record()] * records, setting=setting)
    missing = len(people) if records else 0  # without a record nobody knows which set is missing
    assert len(table(tmp_path / "grades.csv")) == records + missing
    assert json.loads((tmp_path / "results.json").read_text())["students"] == [] or records or missing


def test_who_handed_in_nothing_has_0_and_who_is_unknown_is_graded(tmp_path):
    write(tmp_path, record("eve"), setting=Setting(roster=Roster([Person("zoe", "Zoë")])))
    assert [(r["student"], r["final"], r["note"]) for r in table(tmp_path / "grades.csv")] == [
        ("eve", "1", ""),
        ("zoe", "0", "Nothing was handed in."),
    ]
    text = " ".join(Page((tmp_path / "class.html").read_text()).text.split())
    assert "eve: handed in and is not in the roster" in text and "Zoë: nothing was handed in, 0 points" in text


def test_a_page_of_who_is_gone_is_removed_and_a_file_of_the_instructors_is_kept(tmp_path):
    write(tmp_path, record(), record("bob"))
    (tmp_path / "feedback/mine.html").write_text("kept")
    write(tmp_path, record())
    assert sorted(p.name for p in (tmp_path / "feedback").iterdir()) == [
        f"{slug(Person('ann'), '04')}.html",
        "mine.html",
    ]


def test_misconceptions_are_counted_by_task_and_place(tmp_path):
    write(tmp_path, *(record(name) for name in "abc"))
    text = " ".join(Page((tmp_path / "class.html").read_text()).text.split())
    assert f"3 4.2 {TWO.says}" in text


# ---------------------------------------------------------------- hostile words

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}{% raw %}</textarea></pre></mark></title>\x1b[2J\u202e\ud800&lt;"
OURS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "p",
    "h1",
    "h2",
    "h3",
    "bdi",
    "section",
    "span",
    "code",
    "pre",
}
OURS |= {"mark", "details", "summary", "ul", "li", "strong", "div", "table", "thead", "tbody", "tr", "th", "td", "a"}
OURS |= {"svg", "rect", "text", "line"}


def hostile(words: str) -> Record:
    item = Item("4.1", words, 2, 0, words, words, 0, words, 3, (words,), f"a\n{words}\nb", 2)
    good = Item("4.2", words, 2, 2, code=words)
    more = {"notes": (words,), "output": words, "error": words, "name": words, "lms": words, "file": words}
    return record(words, item, good, versions={"course": words}, **more)


def check_harmless(folder: Path) -> None:
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8")  # not a lone surrogate in it
        assert not re.search(
            "[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]",
            text.replace("\r", "") if path.suffix == ".csv" else text,
        ), path
        if path.suffix == ".html":
            seen = Page(text)
            assert seen.tags <= OURS, path
            names = {name for name, _ in seen.attributes}
            assert not any(
                name.startswith("on") or name in ("src", "srcdoc", "action", "formaction", "style") for name in names
            )
            assert all(
                re.fullmatch(r"(feedback/[a-z0-9-]+|similarity)\.html", v or "")
                for n, v in seen.attributes
                if n == "href"
            )
            assert any(
                value and value.startswith("default-src 'none'; style-src 'sha256-") for _, value in seen.attributes
            )
        if path.suffix == ".csv":
            with open(path, encoding="utf-8-sig", newline="") as file:
                for cell in (cell for row in csv.reader(file) for cell in row):
                    assert not cell.lstrip().startswith(tuple("=+@\t\r")) and "\n" not in cell, cell
                    assert not cell.startswith("-") or re.fullmatch(r"-\d+(\.\d+)?", cell), cell


@pytest.mark.parametrize(
    "words", [EVIL, "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "-", "../../x", "", "\0"]
)
def test_hostile_words_are_shown_and_do_nothing(tmp_path, words):
    aside = [Aside(words, words, words)]
    setting = Setting(
        Course(words, words), Roster([Person(words, words)]), overrides=(Override(words, "4.1", 1, words),), aside=aside
    )
    write(tmp_path, hostile(words), setting=setting)
    write(tmp_path / "none", hostile(words))
    check_harmless(tmp_path)
    assert "{{ 7*7 }}" in Page(page(tmp_path / "none", words, words)).text or words != EVIL


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), max_size=30))
def test_any_words_are_shown_and_do_nothing(tmp_path, words):
    check_harmless(write(tmp_path / f"x{abs(hash(words))}", hostile(words)))


def test_words_survive_in_the_json(tmp_path):
    write(tmp_path, record("ann", Item("4.1", "t", 1, 0, EVIL)))
    assert json.loads((tmp_path / "results.json").read_text())["students"][0]["tasks"][0]["reason"] == EVIL


def test_names_of_pages_do_not_collide_and_are_safe_everywhere():
    people = [
        Person(id, name)
        for id, name in (("1", "Ann"), ("2", "Ann"), ("3", "ann"), ("4", "ANN"), ("5", "Änn"), ("6", "李"))
    ]
    people += [Person("../x", "../x"), Person("\ud800", "CON"), Person("7", "x" * 500), Person("8", "a/b\\c:d")]
    names = [slug(person, "04") for person in people]
    assert len({name.casefold() for name in names}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]{1,80}", name) for name in names)


def test_no_number_that_is_none_gets_into_the_json(tmp_path):
    """NaN is not JSON: a program that reads results.json would stop at it."""
    with pytest.raises(ValueError):
        write(tmp_path, record("ann", Item("4.1", "t", 1, float("nan"))))
    assert not (tmp_path / "results.json").exists(), "and nothing half-finished is left under its name"


# ---------------------------------------------------------------- cost


def test_memory_stays_flat_over_many_submissions(tmp_path):
    """What is kept of each is a row of numbers: not its code, not what it printed."""

    def many(n: int):
        return lambda: (
            record(f"s{i}", Item("4.1", "t", 1, 0, "r", code="x" * 20_000), output="y" * 20_000) for i in range(n)
        )

    reports.write(tmp_path, many(1), Setting())  # the templates
    tracemalloc.start()
    reports.write(tmp_path, many(200), Setting())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000, f"{peak:,} bytes for 8 MB of code and output"


def test_a_program_that_only_grades_does_not_wait_for_jinja2():
    import subprocess
    import sys

    code = "import sys; from minigrad.grading import reports, policy, submissions; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# ---------------------------------------------------------------- in a browser


def test_pages_fit_a_phone_and_run_nothing(tmp_path, browser):
    write(tmp_path, hostile(EVIL), record("b" * 200, layers=()))
    for path in [tmp_path / "class.html", *(tmp_path / "feedback").iterdir()]:
        context = browser.new_context(viewport={"width": 390, "height": 800})
        opened = context.new_page()
        said: list[str] = []
        opened.on("dialog", lambda dialog, said=said: (said.append("dialog"), dialog.dismiss()))
        opened.on("console", lambda message, said=said: said.append(message.text))
        opened.on(
            "request",
            lambda request, said=said: said.append(request.url) if not request.url.startswith("file:") else None,
        )
        opened.goto(path.as_uri())
        assert opened.evaluate("document.documentElement.scrollWidth") <= 390, path.name
        assert opened.evaluate("getComputedStyle(document.body).maxWidth") != "none", (
            "the style is allowed by the policy"
        )
        assert said == []
        context.close()
