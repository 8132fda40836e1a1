"""Who is in the class, from a CSV: our own columns, or what Canvas and Moodle export."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .csvfile import Row, read

COLUMNS = {
    "id": ("student",),  # replaced by the login, the SIS's or the LMS's where there is none
    "name": ("full name", "display name"),
    "lms_id": ("identifier", "canvas id"),  # the number in the names of downloaded files
    "email": ("email address",),
    "sis_id": ("sis user id", "id number"),
    "login": ("sis login id", "username"),
    "section": (),
}
# In Canvas's export of a grade book `Student` is a name and `ID` is Canvas's own number.
CANVAS = COLUMNS | {"id": (), "name": ("student",), "lms_id": ("id",)}


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str = ""
    lms_id: str = ""
    email: str = ""
    sis_id: str = ""
    login: str = ""
    section: str = ""
    known: bool = True  # in the roster, or there is none

    @property
    def shown(self) -> str:
        return self.name or self.id


class Roster:
    """Finds a person by whatever a file calls them, if that is one person."""

    def __init__(self, people: Iterable[Person]) -> None:
        self.people = {person.id: person for person in people}
        self.by: dict[str, set[str]] = {}
        for person in self.people.values():
            for name in (person.lms_id, person.email, person.sis_id, person.login, person.name):
                if name:
                    self.by.setdefault(folded(name), set()).add(person.id)

    def find(self, *names: str) -> Person | None:
        """The first of the names that means exactly one person."""
        for name in filter(None, names):
            if name in self.people:
                return self.people[name]
            if len(found := self.by.get(folded(name), ())) == 1:
                return self.people[next(iter(found))]
        return None


def folded(name: str) -> str:
    return " ".join(name.casefold().split())


def read_roster(path: Path) -> Roster:
    """The roster at `path`; ValueError names the line and the column that is wrong."""
    people: dict[str, Person] = {}
    first: dict[tuple[str, str], int] = {}
    for row in rows_of(path):
        about = {column: row[column] for column in COLUMNS}
        about["lms_id"] = about["lms_id"].removeprefix("Participant ").strip()  # as Moodle's worksheet writes it
        about["id"] = about["id"] or about["login"] or about["sis_id"] or about["lms_id"] or about["email"]
        if not about["id"]:
            raise row.wrong("id", "something that tells this student from the others")
        for column in ("id", "lms_id", "email", "sis_id", "login"):
            if about[column] and (line := first.setdefault((column, about[column].casefold()), row.line)) != row.line:
                raise row.wrong(column, f"one line for each student; this one stands in line {line} already")
        people[about["id"]] = Person(**about)
    return Roster(people.values())


def rows_of(path: Path) -> Iterable[Row]:
    header = {column.strip(' \t"').casefold() for column in first_line(path)}
    canvas = "student" in header and ("sis user id" in header or "sis login id" in header)
    for row in read(path, CANVAS if canvas else COLUMNS, ()):
        if not any(row[c] for c in ("id", "login", "sis_id", "lms_id", "email")) and (
            not row["name"] or "points possible" in row["name"].casefold() or canvas
        ):
            continue  # Canvas's line of points, and the student that it invents for tests
        yield row


def first_line(path: Path) -> list[str]:
    from .csvfile import text_of

    line = next((line for line in text_of(path).splitlines() if line.strip()), "")
    return line.split(max(",;\t", key=line.count))
