"""One class: first who is in it and which submissions count, then a grade for each, and what they have in common."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ...classroom.tasks import SETS
from .. import csvfile
from ..policy import Grade, Setting, grade, preference, tasks_of
from ..record import Record
from ..roster import Person

UNSAFE = "graded without a sandbox"


class Chosen(NamedTuple):
    """Of the submissions of one student for one set: where the one that counts stands, and how many there are."""

    place: int
    preference: tuple
    submissions: int


@dataclass(slots=True)
class Row:
    """What is kept of a grade: enough for the table of a class."""

    person: Person
    set: str
    slug: str
    file: str
    submitted: str
    scores: tuple[float, ...]  # in the order of the set's tasks
    points: float
    raw: float
    days: int
    penalty: float
    overridden: str  # which scores, from what to what
    final: float
    submissions: int
    error: str
    note: str


@dataclass
class Statistics:
    """Of one task."""

    title: str
    points: float
    handed_in: int = 0
    passed: int = 0
    unwritten: int = 0
    sum: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass
class Mistake:
    """A misconception, how many have it, and the tutor's sentence as the first of them was told it."""

    task: str
    says: str
    count: int = 0


class Class:
    """`first(records)`, then `second(records)`: its attributes are complete after that."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.tasks: dict[str, dict[str, tuple[str, float]]] = {}  # by set: title and points of each task
        self.chosen: dict[tuple[str, str], Chosen] = {}
        self.people: dict[str, Person] = {}
        self.versions: dict[str, Counter[str]] = {}
        self.layers: Counter[tuple[str, ...]] = Counter()
        self.graded = ""  # the last time
        self.records = 0
        self.rows: list[Row] = []
        self.statistics: dict[str, Statistics] = {}
        self.mistakes: dict[tuple[str, int], Mistake] = {}
        self.unknown: list[str] = []
        self.unused: list[str] = []

    # ------------------------------------------------------------ the first pass

    def first(self, records: Iterator[Record]) -> None:
        """Who is there, what the tasks are, and which submission counts."""
        last: dict[tuple[str, str, str], tuple] = {}
        seen: dict[str, dict[str, tuple[str, float]]] = {}
        for place, record in enumerate(records):
            tasks = seen.setdefault(record.set, {})
            for item in record.items:
                tasks.setdefault(item.id, (item.title, item.points))
            person = self.setting.person(record)
            self.people.setdefault(person.id, person)
            score = self.score(person, record, tasks)
            last[record.student, record.file, record.set] = (  # one that was graded again replaces its first
                place,
                person.id,
                preference(self.setting, record, score),
            )
        named = [number for number in seen if number]
        if "" in seen and named:  # nothing of it could be read, so nobody knows which set it was meant for
            seen.pop("")
        for number in [*self.setting.course.sets, *seen]:
            if number in seen or not named:
                self.tasks[number] = tasks_of(self.setting, number, seen.get(number, {}))
        for (_, _, number), (place, id, key) in last.items():
            number = number if number in self.tasks else named[0] if named else number
            best = self.chosen.get((id, number))
            better = best is None or key > best.preference
            place, key = (place, key) if better else best[:2]
            self.chosen[id, number] = Chosen(place, key, best.submissions + 1 if best else 1)
        self.chosen = {who: chosen._replace(preference=()) for who, chosen in self.chosen.items()}  # it was large
        self.records = len(last)
        self.unknown = sorted(person.id for person in self.people.values() if not person.known)
        self.people |= self.setting.roster.people if self.setting.roster else {}
        self.unused = self.setting.unused(self.people.values())

    def score(self, person: Person, record: Record, seen: dict) -> float:
        if self.setting.course.counts != "best":
            return 0.0
        return grade(self.setting, person, record.set, record, tasks_of(self.setting, record.set, seen)).final

    # ------------------------------------------------------------ the second

    def second(self, records: Iterator[Record]) -> Iterator[Grade]:
        """The grades of the class, in the order of the records; then of those who handed in nothing."""
        places = {chosen.place: key for key, chosen in self.chosen.items()}
        for place, record in enumerate(records):
            if place in places:
                id, number = places[place]
                yield self.add(record, self.people[id], number)
        for number in self.tasks:
            for id, person in self.people.items():
                if (id, number) not in self.chosen and person.known and self.setting.roster:
                    yield self.add(None, person, number)
        self.rows.sort(key=lambda row: (row.person.shown.casefold(), row.person.id, row.set))

    def add(self, record: Record | None, person: Person, number: str) -> Grade:
        chosen = self.chosen.get((person.id, number))
        made = grade(self.setting, person, number, record, self.tasks[number], chosen.submissions if chosen else 0)
        self.rows.append(
            Row(
                person,
                number,
                slug(person, number) if record else "",
                record.file if record else "",
                record.submitted if record else "",
                tuple(mark.score for mark in made.marks),
                made.points,
                made.raw,
                made.late.days,
                made.penalty,
                overridden(made),
                made.final,
                made.submissions,
                record.error if record else "Nothing was handed in.",
                made.late.note,
            )
        )
        if record is not None:
            self.count(record, made)
        return made

    def count(self, record: Record, made: Grade) -> None:
        self.layers[record.layers] += 1
        self.graded = max(self.graded, record.graded)
        for what, version in (record.versions or {}).items():
            self.versions.setdefault(what, Counter())[version] += 1
        for mark in made.marks:
            task = self.statistics.setdefault(mark.id, Statistics(mark.title, mark.points))
            task.handed_in += 1
            task.sum += mark.score
            task.passed += mark.graded == mark.points
            item = mark.item
            if item is None or item.passed:
                continue
            task.unwritten += unwritten(item.reason)
            if item.says:
                key = (mark.id, -1 if item.misconception is None else item.misconception)
                self.mistakes.setdefault(key, Mistake(mark.id, item.says)).count += 1

    # ------------------------------------------------------------ what is asked of it

    @property
    def missing(self) -> list[Row]:
        return [row for row in self.rows if not row.submissions]

    @property
    def failed(self) -> list[Row]:
        """Those of whose work nothing could be graded."""
        return [row for row in self.rows if row.error and row.submissions]

    @property
    def unsafe(self) -> int:
        """How many submissions were graded without a sandbox."""
        return self.layers[()]

    @property
    def title(self) -> str:
        return self.setting.course.title or "Automatic Differentiation of Tensor Operations"

    def title_of(self, set: str) -> str:
        """The course file's own, or the set's."""
        own = f"Set {set}, {SETS[set][1]}" if set in SETS else f"Set {set}"
        return self.setting.course.set(set).title or own

    def version_lines(self) -> list[str]:
        """course 2026.1, set 04 1.0, grader 0.1.0: more than one of a kind if the class was graded with several."""
        own = [f"course file {self.setting.course.version}"] if self.setting.course.version else []
        return own + [f"{what} {' and '.join(sorted(found))}" for what, found in self.versions.items()]

    def sandbox_line(self) -> str:
        if not self.layers:
            return "Nothing was graded."
        if self.unsafe:
            return f"{self.unsafe} of {sum(self.layers.values())} submissions were {UNSAFE}."
        held = sorted({" + ".join(layers) for layers in self.layers})
        return f"Graded in a sandbox: {'; '.join(held)}."


def overridden(made: Grade) -> str:
    said = [f"{m.id}: {csvfile.number(m.graded)} → {csvfile.number(m.score)}" for m in made.marks if m.override]
    return "; ".join(said + [f"all: {csvfile.number(made.raw)} → {csvfile.number(made.final)}"] * bool(made.override))


def unwritten(reason: str) -> bool:
    """Whether the reason says that there is no answer."""
    return reason.endswith(" is not written yet.") or reason.startswith("There is no ")


def slug(person: Person, number: str) -> str:
    """The name of a student's page: readable, safe everywhere, and nobody else's.

    >>> slug(Person("1", "../Émile <b>"), "04")
    'emile-b-04-6b86b273ff34fce1'
    """
    letters = unicodedata.normalize("NFKD", person.shown).encode("ascii", "ignore").decode().lower()
    readable = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:40] or "student"
    own = hashlib.sha256(person.id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{readable}-{re.sub(r'[^a-z0-9]+', '-', number.lower()) or 'set'}-{own}"
