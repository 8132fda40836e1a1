"""results.json: everything that was decided, for programs.  `results.schema.json` beside this file says what stands in it.

Each student's part is written to a scratch file as it comes, and put in order at the end.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from ..policy import Grade, rules
from ..record import SCHEMA
from .gather import Class, slug


class Results:
    """A context in which grades are added; at its end the file is there."""

    def __init__(self, folder: Path, everybody: Class) -> None:
        self.path = folder / "results.json"
        self.everybody = everybody
        self.places: list[tuple[tuple, int, int]] = []

    def __enter__(self) -> Results:
        self.scratch = tempfile.TemporaryFile()  # noqa: SIM115, closed in __exit__
        return self

    def add(self, grade: Grade) -> None:
        start = self.scratch.tell()
        text = json.dumps(tree_of(grade), allow_nan=False)  # ASCII: no lone surrogate can be in the way
        self.scratch.write(text.encode())
        key = (grade.person.shown.casefold(), grade.person.id, grade.set)
        self.places.append((key, start, self.scratch.tell() - start))

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.write()
        self.scratch.close()

    def write(self) -> None:
        unfinished = self.path.with_suffix(".part")
        with open(unfinished, "wb") as file:
            head = json.dumps(head_of(self.everybody), allow_nan=False)
            file.write(head[:-1].encode() + b', "students": [')
            for n, (_, start, length) in enumerate(sorted(self.places)):
                self.scratch.seek(start)
                file.write(b",\n" if n else b"\n")
                file.write(self.scratch.read(length))
            file.write(b"\n]}\n")
        os.replace(unfinished, self.path)
        shutil.copyfile(Path(__file__).with_name("results.schema.json"), self.path.with_name("results.schema.json"))


def head_of(everybody: Class) -> dict:
    setting = everybody.setting
    return {
        "schema": SCHEMA,
        "course": {"title": everybody.title, "version": setting.course.version},
        "graded": everybody.graded,
        "versions": {what: sorted(found) for what, found in everybody.versions.items()},
        "sandbox": sorted({layer for layers in everybody.layers for layer in layers}),
        "without_sandbox": everybody.unsafe,
        "rules": rules(setting),
        "deadlines": {number: due.isoformat() for number, due in setting.deadlines.items()},
        "sets": {
            number: [{"id": id, "title": title, "points": points} for id, (title, points) in tasks.items()]
            for number, tasks in everybody.tasks.items()
        },
        "unknown_students": everybody.unknown,
        "warnings": everybody.unused,
        "aside": [aside._asdict() for aside in setting.aside],
    }


def tree_of(grade: Grade) -> dict:
    record = grade.record
    return {
        "student": grade.person.id,
        "name": grade.person.name,
        "lms_id": grade.person.lms_id,
        "set": grade.set,
        "file": record.file if record else None,
        "sha256": record.sha256 if record else None,
        "submitted": record.submitted if record else "",
        "submissions": grade.submissions,
        "points": grade.points,
        "raw": rounded(grade.raw),
        "due": grade.late.due.isoformat() if grade.late.due else None,
        "late_days": grade.late.days,
        "extra_days": grade.late.extra,
        "penalty_percent": rounded(grade.penalty),
        "override": override_of(grade.override),
        "final": rounded(grade.final),
        "error": record.error if record else "Nothing was handed in.",
        "notes": [note for note in (grade.late.note, *(record.notes if record else ())) if note],
        "sandbox": list(record.layers) if record else [],
        "feedback": f"feedback/{slug(grade.person, grade.set)}.html" if record else None,
        "tasks": [
            {
                "id": mark.id,
                "points": mark.points,
                "score": rounded(mark.score),
                "graded": rounded(mark.graded),
                "override": override_of(mark.override),
                "reason": mark.reason,
                "says": mark.item.says if mark.item else "",
                "misconception": mark.item.misconception if mark.item else None,
                "tried": mark.item.tried if mark.item else "",
                "seed": mark.item.seed if mark.item else None,
                "remarks": list(mark.item.remarks) if mark.item else [],
            }
            for mark in grade.marks
        ],
    }


def override_of(override) -> dict | None:
    return {"score": override.score, "comment": override.comment} if override else None


def rounded(x: float) -> float:
    return round(x, 6)
