"""From what was graded to what counts: which submission, how late, what an instructor decided, and so the final score.

raw       the points of the tasks, each with its override if there is one
penalty   per cent of raw, by the days late and the course's rule
final     raw less the penalty; or the override of the whole set, which nothing is taken off
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from . import course as courses
from . import csvfile
from .course import Course
from .record import Item, Record
from .roster import Person, Roster, folded, read_roster
from .submissions import Aside, natural

NOT_GRADED = "This task was not graded: grade again with this course file."
NOTHING = "Nothing was handed in."


@dataclass(frozen=True)
class Override:
    """An instructor's decision on one task, or on the whole set where `task` is ""."""

    student: str
    task: str
    score: float
    comment: str = ""
    set: str = ""
    line: int = 0


@dataclass(frozen=True)
class Setting:
    """Everything an instructor decided."""

    course: Course = Course()
    roster: Roster | None = None
    deadlines: Mapping[str, datetime] = field(default_factory=dict)
    accommodations: Mapping[tuple[str, str], float] = field(default_factory=dict)  # extra days by (student, set or "")
    overrides: Sequence[Override] = ()
    aside: Sequence[Aside] = ()  # what was found beside the submissions

    def person(self, record: Record) -> Person:
        """Who handed it in: somebody of the roster, or whoever the file names."""
        lms, name = record.lms, record.name
        if self.roster is None:
            return Person(record.student, name, lms)
        stem = record.student.removesuffix(f"_{lms}") if lms else record.student
        found = self.roster.find(record.student, lms, name, stem)
        return found or Person(record.student, name, lms, known=False)

    def extra_days(self, person: Person, set: str) -> float:
        return max((self._days.get((key, s), 0) for key in self.keys(person) for s in (set, "")), default=0)

    def overrides_of(self, person: Person, set: str) -> dict[str, Override]:
        found = [o for key in self.keys(person) for o in self._overrides.get(key, ()) if o.set in ("", set)]
        return {o.task: o for o in sorted(found, key=lambda o: o.set)}

    def keys(self, person: Person) -> list[str]:
        """What a file may call this person, as `key` gives it."""
        if self.roster is not None and person.known:
            return [person.id]
        return list(dict.fromkeys(folded(name) for name in (person.id, person.lms_id) if name))

    def key(self, name: str) -> str:
        """Whom a file means by `name`: an id of the roster's, if it means one of them."""
        found = self.roster.find(name) if self.roster is not None else None
        return found.id if found else folded(name)

    @cached_property
    def _overrides(self) -> dict[str, list[Override]]:
        by: dict[str, list[Override]] = {}
        for override in self.overrides:
            by.setdefault(self.key(override.student), []).append(override)
        return by

    @cached_property
    def _days(self) -> dict[tuple[str, str], float]:
        return {(self.key(student), set): days for (student, set), days in self.accommodations.items()}

    def unused(self, people: Iterable[Person]) -> list[str]:
        """Lines of the files that mean nobody: a name that was mistyped must not go unseen."""
        keys = {key for person in people for key in self.keys(person)}
        nobody = "who is not in this class"
        said = [
            f"Overrides, line {o.line}: {o.student!r}, {nobody}."
            for o in self.overrides
            if self.key(o.student) not in keys
        ]
        return said + [
            f"Accommodations: {student!r}, {nobody}."
            for student, _ in self.accommodations
            if self.key(student) not in keys
        ]


@dataclass(frozen=True)
class Mark:
    """One task of one student."""

    id: str
    title: str
    points: float
    score: float
    graded: float  # before an override
    reason: str
    item: Item | None = None
    override: Override | None = None


@dataclass(frozen=True)
class Lateness:
    due: datetime | None = None
    days: int = 0  # begun, after accommodations and grace
    extra: float = 0  # days that this student was given
    note: str = ""


@dataclass(frozen=True)
class Grade:
    """One set of one student: what every report shows."""

    person: Person
    set: str
    record: Record | None
    marks: tuple[Mark, ...]
    points: float
    raw: float
    late: Lateness
    penalty: float  # per cent
    override: Override | None
    final: float
    submissions: int  # how many there were


# ---------------------------------------------------------------- what counts


def tasks_of(setting: Setting, number: str, seen: Mapping[str, tuple[str, float]]) -> dict[str, tuple[str, float]]:
    """Title and points of each task that the course asks for, of those `seen` in the records."""
    about = setting.course.set(number)
    wanted = about.tasks or tuple(seen)
    return {id: (seen.get(id, ("", 0))[0], about.points.get(id, seen.get(id, ("", 0))[1])) for id in wanted}


def grade(
    setting: Setting,
    person: Person,
    number: str,
    record: Record | None,
    tasks: Mapping[str, tuple[str, float]],
    submissions: int = 1,
) -> Grade:
    """What one submission is worth to a student; `record` is None if there is none."""
    overrides = setting.overrides_of(person, number)
    items = {item.id: item for item in record.items} if record else {}
    marks = []
    for id, (title, points) in tasks.items():
        item, override = items.get(id), overrides.get(id)
        graded = item.score / item.points * points if item and item.points else 0.0
        reason = item.reason if item else (record.error or NOT_GRADED) if record else NOTHING
        marks.append(Mark(id, title, points, override.score if override else graded, graded, reason, item, override))
    raw = sum(mark.score for mark in marks)
    late = lateness(setting, person, number, record)
    penalty = setting.course.late.penalty(late.days)
    whole = overrides.get("")
    final = whole.score if whole else raw * (1 - penalty / 100)
    points = sum(mark.points for mark in marks)
    return Grade(person, number, record, tuple(marks), points, raw, late, penalty, whole, final, submissions)


def lateness(setting: Setting, person: Person, number: str, record: Record | None) -> Lateness:
    due = setting.deadlines.get(number)
    flagged = record is not None and any("calls it late" in note for note in record.notes)
    if due is None or record is None:
        return Lateness(due, note="The LMS calls it late; no deadline is known here." if flagged and not due else "")
    extra = setting.extra_days(person, number)
    due += timedelta(days=extra)
    submitted = setting.course.time(record.submitted)
    if submitted is None:
        return Lateness(due, extra=extra, note="When it was handed in is not known: not counted as late.")
    over = submitted - due
    days = 0 if over <= timedelta(minutes=setting.course.late.grace_minutes) else math.ceil(over / timedelta(days=1))
    note = "The LMS calls it late; by the time of the file it is not." if flagged and not days and not extra else ""
    return Lateness(due, days, extra, note)


def preference(setting: Setting, record: Record, score: float) -> tuple:
    """A key: of several submissions the one with the largest counts; one without a single answer never before others."""
    answered = not record.error and any(item.code or item.score for item in record.items)
    moment = setting.course.time(record.submitted)
    last = (moment.timestamp() if moment else 0.0, natural(record.file))
    return (answered, score, *last) if setting.course.counts == "best" else (answered, *last)


def rules(setting: Setting) -> list[str]:
    """What was decided, in sentences for every report."""
    counts = "with the best final score" if setting.course.counts == "best" else "handed in last"
    said = [f"Of several submissions of a student the one {counts} counts, of those with an answer in them."]
    return said + ([str(setting.course.late)] if setting.deadlines else ["There is no deadline."])


# ---------------------------------------------------------------- the instructor's files


def read(
    course: Path | None = None,
    roster: Path | None = None,
    deadlines: Path | None = None,
    accommodations: Path | None = None,
    overrides: Path | None = None,
    aside: Sequence[Aside] = (),
    known: Mapping[str, Collection[str]] | None = None,
) -> Setting:
    """The setting in these files; ValueError names file, line, column and what is allowed.  `known` are the tasks by set."""
    about = courses.read(course, known) if course else Course()
    return Setting(
        about,
        read_roster(roster) if roster else None,
        read_deadlines(deadlines, about, known) if deadlines else {},
        read_accommodations(accommodations) if accommodations else {},
        read_overrides(overrides, known) if overrides else (),
        aside,
    )


def read_deadlines(path: Path, course: Course, known: Collection[str] | None = None) -> dict[str, datetime]:
    """Columns set, due."""
    found: dict[str, datetime] = {}
    for row in csvfile.read(path, {"set": ("assignment",), "due": ("deadline",)}, ("set", "due")):
        number = set_number(row, known)
        if number in found:
            raise row.wrong("set", "one deadline for each set; this one has one already")
        due = course.time(row["due"])
        if due is None:
            raise row.wrong("due", "a moment such as 2026-10-01T23:59 or 2026-10-01T23:59+02:00")
        found[number] = due
        if len(row["due"]) == 10:  # a date alone: until its end
            found[number] += timedelta(days=1)
    return found


def read_accommodations(path: Path) -> dict[tuple[str, str], float]:
    """Columns student, extra_days, and set where it is not for all."""
    columns = {"student": ("id",), "set": (), "extra_days": ("days", "extra days"), "comment": ()}
    return {
        (row["student"], f"{row['set']:0>2}" if row["set"] else ""): row.number(
            "extra_days", "a number of days, 0 or more"
        )
        for row in csvfile.read(path, columns, ("student", "extra_days"))
    }


def read_overrides(path: Path, known: Mapping[str, Collection[str]] | None = None) -> tuple[Override, ...]:
    """Columns student, task, score, comment; a task left empty means the whole set, which `set` names."""
    columns = {"student": ("id",), "task": (), "score": ("points",), "comment": ("reason",), "set": ()}
    found: dict[tuple[str, str, str], Override] = {}
    for row in csvfile.read(path, columns, ("student", "task", "score")):
        if not row["student"]:
            raise row.wrong("student", "the student's id")
        tasks = known and {task: number for number, names in known.items() for task in names}
        if tasks and row["task"] and row["task"] not in tasks:
            raise row.wrong("task", "a task such as 4.12, or nothing for the whole set")
        number = set_number(row, known) if row["set"] else ""
        score = row.number("score", "a number, 0 or more")
        override = Override(row["student"], row["task"], score, row["comment"], number, row.line)
        key = (folded(override.student), override.task, override.set)
        if key in found:
            raise row.wrong("task", f"one override for a student and a task; line {found[key].line} is another")
        found[key] = override
    return tuple(found.values())


def set_number(row: csvfile.Row, known: Collection[str] | None) -> str:
    number = f"{row['set']:0>2}"  # spreadsheets make 4 of 04
    if not row["set"] or (known is not None and number not in known):
        raise row.wrong("set", f"one of {', '.join(known)}" if known else "the number of a set, such as 04")
    return number
