"""How far somebody has come: the tasks of a set, with a mark for each."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .task import Task
    from .verdict import Verdict

MARKS = {None: "·", False: "✘", True: "✔"}


@dataclass(frozen=True)
class Progress:
    """Shows itself as text, and in a notebook as a table."""

    sets: dict[str, list[tuple[Task, Verdict | None]]]

    def rows(self) -> list[tuple[str, str, str, str]]:
        return [
            (
                MARKS[None if done is None else done.passed],
                task.id,
                task.title,
                f"{done.points if done else 0} of {task.points}",
            )
            for entries in self.sets.values()
            for task, done in entries
        ]

    def totals(self) -> list[str]:
        from .tasks import SETS

        return [
            f"Set {number}, {SETS[number][1]}: {sum(done.points for _, done in entries if done)} of {sum(task.points for task, _ in entries)} points"
            for number, entries in self.sets.items()
        ]

    def __repr__(self) -> str:
        rows = [f"{mark} {id:5} {title:40} {points:>8}" for mark, id, title, points in self.rows()]
        return "\n".join([*rows, *self.totals()]) or "Nothing was checked yet."

    def _repr_html_(self) -> str:
        if not self.sets:
            return "<p>Nothing was checked yet.</p>"
        body = "".join(
            "<tr>" + "".join(f"<td style='text-align: left'>{escape(x)}</td>" for x in row) + "</tr>"
            for row in self.rows()
        )
        head = "".join(f"<th scope='col'>{x}</th>" for x in ("", "Task", "", "Points"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" + "".join(
            f"<p>{escape(x)}</p>" for x in self.totals()
        )
