"""What changed between two gradings: which student, which task, from what to what, and why it is so now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .csvfile import number, writer
from .record import Record
from .text import plain


class Change(NamedTuple):
    """`task` is "" where the submission itself came or went; then `before` or `after` is None."""

    student: str
    file: str
    task: str
    before: float | None
    after: float | None
    reason: str = ""

    def __str__(self) -> str:
        """
        >>> print(Change("ann", "ann.ipynb", "4.12", 0, 3))
        ann, 4.12: 0 → 3
        """
        from_, to = ("nothing" if x is None else number(x) for x in (self.before, self.after))
        which = self.task or plain(self.file, 200)
        return f"{plain(self.student, 200)}, {which}: {from_} → {to}" + f". {plain(self.reason)}" * bool(self.reason)


def changes(old: Iterable[Record], new: Iterable[Record]) -> list[Change]:
    """The scores that differ, by student and task; a submission that was graded several times counts as it was last."""
    before, after = scores(old), scores(new)
    found = []
    for key in before.keys() | after.keys():
        student, file, _ = key
        if key not in before or key not in after:
            total = {True: None, False: sum(score for score, _ in before.get(key, after.get(key, {})).values())}
            found.append(Change(student, file, "", total[key not in before], total[key not in after]))
            continue
        found += compared(student, file, before[key], after[key])
    return sorted(found, key=lambda c: (c.student, c.file, [(len(part), part) for part in c.task.split(".")]))


def compared(student: str, file: str, before: dict, after: dict) -> Iterator[Change]:
    for task in before | after:
        was, is_ = before.get(task, (None, "")), after.get(task, (None, ""))
        if was[0] != is_[0]:
            yield Change(student, file, task, was[0], is_[0], is_[1])


def scores(records: Iterable[Record]) -> dict[tuple[str, str, str], dict[str, tuple[float, str]]]:
    return {
        (r.student, r.file, r.set): {item.id: (item.score, item.reason or r.error) for item in r.items} for r in records
    }


def text(found: list[Change]) -> str:
    """A line for each change, and how many there are."""
    students = len({change.student for change in found})
    if not found:
        return "Nothing changed."
    total = f"{len(found)} change{'s' * (len(found) != 1)}, {students} student{'s' * (students != 1)}."
    return "\n".join([*map(str, found), total])


def write(found: list[Change], path: Path) -> None:
    """The same as CSV."""
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        row = writer(file)
        row(Change._fields)
        for change in found:
            row(change)
