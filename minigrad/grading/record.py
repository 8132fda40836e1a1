"""What is kept of a graded submission: a score and a reason for each task, and what else happened.

Everything that came from a student is plain text here (`text.plain` has seen to it): no control characters, bounded lengths.
One record is one line of JSON in the results folder, so that a run that is interrupted has lost nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

SCHEMA = 1  # of a record and of results.json; grows when a field changes its meaning


@dataclass(frozen=True)
class Item:
    """One task of one submission."""

    id: str
    title: str
    points: float  # what it is worth
    score: float
    reason: str = ""  # in the student's terms; "" if it was passed
    says: str = ""  # the tutor's sentence, where the mistake is known
    misconception: int | None = None  # its place in the task's list
    tried: str = ""  # the arguments it failed on, in short
    seed: int | None = None
    remarks: tuple[str, ...] = ()
    code: str = ""  # the cell that defines the answer, "" if there is none
    line: int | None = None  # of `code`, counted from 1, where it failed

    @property
    def passed(self) -> bool:
        return self.score == self.points


@dataclass(frozen=True)
class Record:
    """One graded submission.  `error` says why nothing could be graded; then every item has it as its reason."""

    student: str
    file: str  # inside the folder or archive that was graded
    sha256: str
    set: str
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()  # cells that failed, commands that were not executed, what is missing
    output: str = ""  # the beginning and the end of what it printed
    error: str = ""
    submitted: str = ""  # ISO 8601, where it is known
    graded: str = ""  # ISO 8601, UTC
    seconds: float = 0.0
    versions: dict[str, str] | None = None  # of course, set and grader
    layers: tuple[str, ...] = ()  # of the sandbox, as they held; none: it ran without
    name: str = ""  # of the student, to be shown
    lms: str = ""  # the student's number in the LMS, where the file name has it

    @property
    def score(self) -> float:
        return sum(item.score for item in self.items)

    @property
    def points(self) -> float:
        return sum(item.points for item in self.items)

    def to_json(self) -> str:
        """One line.

        >>> record = Record("ann", "ann.ipynb", "0" * 64, "04", (Item("4.1", "Addition", 1, 0, "dB has shape (5, 3)."),))
        >>> Record.from_json(record.to_json()) == record
        True
        """
        return json.dumps({"schema": SCHEMA} | vars(self) | {"items": [vars(item) for item in self.items]})

    @classmethod
    def from_json(cls, line: str) -> Record:
        fields = json.loads(line)
        if (schema := fields.pop("schema", None)) != SCHEMA:
            raise ValueError(f"a record of schema {schema}; this grader reads {SCHEMA}. Grade into a new folder.")
        items = tuple(Item(**item | {"remarks": tuple(item["remarks"])}) for item in fields.pop("items"))
        return cls(**fields | {"items": items, "notes": tuple(fields["notes"]), "layers": tuple(fields["layers"])})
