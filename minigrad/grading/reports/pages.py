"""The pages: one for each student and one for the class, each a single file without a script that asks nobody for anything.

Whatever a student wrote is escaped by the templates, and what could act in a terminal or turn a line around is spelt out.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..csvfile import number
from ..policy import Grade, Mark, rules
from ..text import harmless
from .gather import UNSAFE, Class, Row, slug, unwritten

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent / "templates"
TOP = 20  # of the misconceptions
BINS = [f"{n}–{n + 9} %" for n in range(0, 100, 10)] + ["100 %"]


@cache
def environment() -> Environment:
    """Jinja2, imported when the first page is written: a program that only grades does not wait for it."""
    from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined

    compiled = HERE / "__pycache__"  # where Python keeps its own
    if os.access(HERE, os.W_OK):
        compiled.mkdir(exist_ok=True)
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=FileSystemBytecodeCache(str(compiled)) if os.access(compiled, os.W_OK) else None,
    )
    style = (HERE / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    made.globals |= {
        "style": style,
        "policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        "UNSAFE": UNSAFE,
    }
    made.filters |= {"number": number, "day": day}
    return made


def day(moment) -> str:
    return moment.strftime("%Y-%m-%d %H:%M %Z").strip()


class Pages:
    """A context in which grades are added; at its end there is a page for each, the class's, and no other."""

    def __init__(self, folder: Path, everybody: Class) -> None:
        self.folder, self.everybody = folder, everybody
        self.feedback = folder / "feedback"
        self.written: set[str] = set()

    def __enter__(self) -> Pages:
        self.feedback.mkdir(exist_ok=True)
        self.template = environment().get_template("feedback.html")
        self.rules = rules(self.everybody.setting)
        return self

    def add(self, grade: Grade) -> None:
        if grade.record is None:
            return
        name = f"{slug(grade.person, grade.set)}.html"
        self.written.add(name)
        text = self.template.render(page_of(grade, self.everybody, self.rules))
        with open(self.feedback / name, "w", encoding="utf-8") as file:
            file.write(harmless(text))

    def __exit__(self, kind, *_) -> None:
        if kind is not None:
            return
        for left in self.feedback.glob("*.html"):
            if left.name not in self.written and re.fullmatch(r".*-[0-9a-f]{16}\.html", left.name):
                left.unlink()  # of somebody whose submission is gone
        unfinished = self.folder / "class.html.part"
        with open(unfinished, "w", encoding="utf-8") as file:
            about = class_page(self.everybody, (self.folder / "similarity.html").exists())
            file.writelines(map(harmless, environment().get_template("class.html").generate(about)))
        os.replace(unfinished, self.folder / "class.html")


def page_of(grade: Grade, everybody: Class, said: list[str]) -> dict[str, Any]:
    """What a student's page shows."""
    record = grade.record
    assert record is not None
    own = everybody.setting.course
    versions = [f"course file {own.version}"] if own.version else []
    return {
        "title": everybody.title_of(grade.set),
        "course": everybody.title,
        "grade": grade,
        "record": record,
        "submitted": own.time(record.submitted),
        "marks": [(mark, state(mark), code_of(mark), not unwritten(mark.reason)) for mark in grade.marks],
        "passed": sum(state(mark) == "right" for mark in grade.marks),
        "rules": said,
        "versions": versions + [f"{what} {version}" for what, version in (record.versions or {}).items()],
    }


def state(mark: Mark) -> str:
    """right, part or wrong: as it counts."""
    return "right" if mark.score >= mark.points else "part" if mark.score > 0 else "wrong"


def code_of(mark: Mark) -> tuple[str, str, str] | None:
    """The answer in three pieces: what stands before the line that failed, the line, and the rest.  None for the stub."""
    if mark.item is None or not mark.item.code or unwritten(mark.reason):
        return None
    lines = mark.item.code.split("\n")
    at = mark.item.line
    if at is None or not 1 <= at <= len(lines):
        return mark.item.code, "", ""
    before = "".join(f"{line}\n" for line in lines[: at - 1])
    return before, lines[at - 1], "".join(f"\n{line}" for line in lines[at:])


# ---------------------------------------------------------------- the class


def class_page(everybody: Class, similarity: bool) -> dict[str, Any]:
    """What the class's page shows."""
    setting = everybody.setting
    return {
        "course": everybody.title,
        "everybody": everybody,
        "sets": [set_of(everybody, set) for set in everybody.tasks],
        "several": len(everybody.tasks) > 1,
        "mistakes": sorted(everybody.mistakes.values(), key=lambda m: (-m.count, m.task))[:TOP],
        "late": [row for row in everybody.rows if row.days or row.note],
        "overridden": [row for row in everybody.rows if row.overridden],
        "aside": setting.aside,
        "rules": rules(setting),
        "deadlines": setting.deadlines,
        "similarity": similarity,
    }


def set_of(everybody: Class, set: str) -> dict[str, Any]:
    rows = [row for row in everybody.rows if row.set == set]
    return {
        "number": set,
        "title": everybody.title_of(set),
        "points": sum(points for _, points in everybody.tasks[set].values()),
        "students": len(rows),
        "handed_in": sum(bool(row.submissions) for row in rows),
        "median": median([row.final for row in rows]),
        "mean": sum(row.final for row in rows) / len(rows) if rows else 0,
        "tasks": [(id, everybody.statistics[id]) for id in everybody.tasks[set] if id in everybody.statistics],
        "bars": list(bars(rows)),
    }


def bars(rows: list[Row]) -> Iterator[dict[str, Any]]:
    """The distribution of the final scores, in tenths of what can be had; a full score stands for itself."""
    counts = [0] * len(BINS)
    for row in rows:
        share = row.final / row.points if row.points else 0.0
        counts[min(max(int(share * 10 + 1e-9), 0), 10)] += 1
    most = max(counts, default=0) or 1
    for n, count in enumerate(counts):
        height = round(120 * count / most, 1)
        yield {
            "label": BINS[n],
            "short": str(n * 10),
            "count": count,
            "x": 4 + n * 40,
            "y": 140 - height,
            "height": height,
        }


def median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[~middle]) / 2 if ordered else 0.0
