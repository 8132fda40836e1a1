"""What a check says, as text and as HTML: a mark and words, so that nothing depends on a colour."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .sealed.attempt import Failure
    from .task import Misconception, Task

GREEN, RED = "#00705a", "#b04a00"  # the book's own, safe for colour-blind readers


class CheckFailed(AssertionError):
    """What a failed check raises where MINIGRAD_STRICT is set: for pytest, nbval and nbgrader."""


@dataclass(frozen=True)
class Verdict:
    """The answer to one check; true if the task is passed.

    >>> from minigrad.classroom.tasks import find
    >>> Verdict(find("4.12"), True)
    ✔ 4.12 Matrix multiplication, 3 points
    """

    task: Task
    passed: bool
    problem: str = ""
    misconception: Misconception | None = None
    says: str = ""  # the tutor's sentence, where the mistake is known
    tried: str = ""
    seed: int | None = None
    remarks: tuple[str, ...] = ()
    failure: Failure | None = None  # where it ended with an error

    @property
    def points(self) -> int:
        return self.task.points if self.passed else 0

    def __bool__(self) -> bool:
        return self.passed

    @property
    def headline(self) -> str:
        of = "" if self.passed else f"0 of {self.task.points} "
        points = f"{self.task.points} " * self.passed + ("point" if self.task.points == 1 else "points")
        return f"{'✔' if self.passed else '✘'} {self.task.id} {self.task.title}, {of}{points}"

    @property
    def replay(self) -> str:
        return (
            ""
            if self.passed
            else f"Tried with {self.tried}. Replay: check({self.task.id!r}, {self.task.name}, seed={self.seed})"
        )

    def __repr__(self) -> str:
        head = self.headline + (f": {self.problem}" if self.problem else "")
        parts = [head, self.says, *self.remarks, self.replay]
        return "\n".join(
            fill(part, 100, subsequent_indent="  ", initial_indent="  " if i else "")
            for i, part in enumerate(parts)
            if part
        )

    def _repr_html_(self) -> str:
        color = GREEN if self.passed else RED
        lines = [f"<strong>{escape(self.headline)}</strong>" + (f": {escape(self.problem)}" if self.problem else "")]
        lines += [escape(text) for text in (self.says, *self.remarks) if text]
        lines += [f"<small>{escape(self.replay)}</small>"] * (not self.passed)
        return f'<div role="status" style="border-left: 4px solid {color}; padding: 0.2em 0.8em">{"<br>".join(lines)}</div>'

    def _ipython_display_(self) -> None:
        """Nothing more: check() has shown it, also where it is not the last line of its cell."""
