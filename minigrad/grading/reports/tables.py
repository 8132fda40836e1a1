"""The tables: grades.csv for people, and what Canvas and Moodle import.

- grades.csv: a row a student and set.
- canvas.csv: the columns that Canvas's grade book exports and imports, with an assignment for each set.
- moodle-04.csv: an offline grading worksheet, one for each set; its columns serve the grade book's import too.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from ..csvfile import number, writer
from ..policy import Grade, rules
from ..text import harmless
from .gather import UNSAFE, Class, Row

WHO = ("student", "name", "lms_id", "section", "set", "file", "submitted", "submissions")
WHAT = ("raw", "late_days", "penalty_percent", "overridden", "final", "points", "note", "versions", "sandbox")
CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
MOODLE = ("Identifier", "Full name", "ID number", "Email address", "Grade", "Maximum Grade")
MOODLE += ("Last modified (grade)", "Feedback comments")  # in these words: it finds its columns by them


class Tables:
    """A context in which grades are added; at its end the files are there."""

    def __init__(self, folder: Path, everybody: Class) -> None:
        self.folder, self.everybody = folder, everybody
        self.comments: dict[tuple[str, str], tuple[int, int]] = {}  # for Moodle: where they stand in the scratch file

    def __enter__(self) -> Tables:
        self.scratch = tempfile.TemporaryFile()  # noqa: SIM115, closed in __exit__
        return self

    def add(self, grade: Grade) -> None:
        start = self.scratch.tell()
        self.scratch.write(comment(grade).encode("utf-8", "replace"))
        self.comments[grade.person.id, grade.set] = (start, self.scratch.tell() - start)

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.grades()
            self.canvas()
            for number in self.everybody.tasks:
                self.moodle(number)
        self.scratch.close()

    def table(self, stack: ExitStack, name: str):
        """Writes rows to a file that takes its place when it is complete."""
        unfinished = self.folder / f"{name}.part"
        stack.callback(os.replace, unfinished, self.folder / name)
        return writer(stack.enter_context(open(unfinished, "w", encoding="utf-8-sig", newline="")))

    def grades(self) -> None:
        tasks = [(number, id) for number, tasks in self.everybody.tasks.items() for id in tasks]
        versions = ", ".join(self.everybody.version_lines())
        sandbox = UNSAFE.upper() if self.everybody.unsafe else "held"
        with ExitStack() as stack:
            write = self.table(stack, "grades.csv")
            write([*WHO, *(f"task {id}" for _, id in tasks), *WHAT])
            for row in self.everybody.rows:
                own = iter(row.scores)
                scores = [next(own) if number == row.set else None for number, _ in tasks]
                write(
                    [row.person.id, row.person.name, row.person.lms_id, row.person.section, f"set {row.set}"]
                    + [row.file, row.submitted, row.submissions, *scores]
                    + [row.raw, row.days, row.penalty, row.overridden, row.final, row.points]
                    + [row.error or row.note, versions, sandbox if row.submissions else ""]
                )

    def canvas(self) -> None:
        sets = list(self.everybody.tasks)
        people: dict[str, dict[str, Row]] = {}
        for row in self.everybody.rows:
            people.setdefault(row.person.id, {})[row.set] = row
        with ExitStack() as stack:
            write = self.table(stack, "canvas.csv")
            write([*CANVAS, *(self.everybody.title_of(number) for number in sets)])
            points = [sum(points for _, points in tasks.values()) for tasks in self.everybody.tasks.values()]
            write(["    Points Possible", "", "", "", "", *points])
            for rows in people.values():
                person = next(iter(rows.values())).person
                who = [person.shown, person.lms_id, person.sis_id, person.login, person.section]
                write([*who, *(rows[number].final if number in rows else None for number in sets)])

    def moodle(self, set: str) -> None:
        with ExitStack() as stack:
            write = self.table(stack, f"moodle-{set}.csv")
            write(MOODLE)
            for row in self.everybody.rows:
                if row.set == set:
                    person = row.person
                    start, length = self.comments[person.id, set]
                    self.scratch.seek(start)
                    said = self.scratch.read(length).decode()
                    participant = f"Participant {person.lms_id}" if person.lms_id else ""
                    who = [participant, person.shown, person.sis_id, person.email]
                    write([*who, row.final, row.points, "", said])


def comment(grade: Grade) -> str:
    """A grade in a few sentences: the feedback that fits into an LMS."""
    said = []
    if grade.record is None or grade.record.error:
        said.append(grade.record.error if grade.record else "Nothing was handed in.")
    else:
        said += [
            f"{mark.id} {mark.title}: {number(mark.score)} of {number(mark.points)}."
            + f" {mark.reason}" * (mark.score < mark.points and not mark.override)
            + (f" Set by hand. {mark.override.comment}" if mark.override else "")
            for mark in grade.marks
            if mark.score < mark.points or mark.override
        ] or ["Every task is right."]
    if grade.penalty and not grade.override:
        said.append(f"{grade.late.days} days late: {number(grade.penalty)} % off {number(grade.raw)}.")
    if grade.override:
        said.append(f"The score was set by hand. {grade.override.comment}")
    if grade.record is not None and not grade.record.layers:
        said.append(f"{UNSAFE.capitalize()}.")
    return " ".join(part.strip() for part in said)


def about(folder: Path, everybody: Class) -> None:
    """README.txt: what the files are, and what cannot stand in those that an LMS reads."""
    setting = everybody.setting
    lines = [
        everybody.title,
        "",
        everybody.sandbox_line(),
        f"Versions: {', '.join(everybody.version_lines()) or 'unknown'}.",
        f"Graded: {everybody.graded or 'never'}.",
        *rules(setting),
        "",
        "class.html     the class: open it first",
        "feedback/      a page for each student",
        "grades.csv     a row for each student, with the score of each task",
        "canvas.csv     for the grade book of Canvas: Import",
        "moodle-*.csv   for an assignment of Moodle: Upload grading worksheet; or for its grade book",
        "results.json   everything, for programs; results.schema.json describes it",
        "records.jsonl  what was graded, a line for each submission; the reports are made of it",
        "",
        "A cell that a spreadsheet could take for a formula begins with an apostrophe.",
    ]
    (folder / "README.txt").write_text(harmless("\n".join(lines)) + "\n", encoding="utf-8")
