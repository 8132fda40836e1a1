"""One submission, graded: its cells are run behind the walls, its answers asked for values, and the values judged here."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from .. import __version__
from ..classroom.judge import judged
from ..classroom.limits import SECONDS, TookTooLong, time_limit
from ..classroom.sealed import wire
from ..classroom.sealed.attempt import Failure, Outcome
from ..classroom.task import Task
from ..classroom.verdict import Verdict
from .notebook import cells_of
from .processes import MOST_LOST, NONSENSE, Child, Gone, Zygote
from .record import Item, Record
from .sets import GradedSet
from .submissions import Submission
from .text import plain

CELL_SECONDS = 20  # for a cell
ALL_SECONDS = 180  # for a notebook, its restarts and all its tasks
JUDGE_SECONDS = 20  # for our own judging of one task, which values made to be slow might hold up
POOL = 32
OURS = secrets.token_bytes(32)  # the key to the seeds of this process
LONGEST_ANSWER = 1 << 20  # bytes of JSON: as Python's lists they may take thirty times as much
MOST_NOTES = 100  # of failed cells and of commands that were not executed
CODE = 20_000  # characters of a cell that are shown
BEFORE = Failure("Lost")  # of a case before the one that ended the process


@dataclass
class Run:
    """What is known of a submission while it is graded."""

    cells: dict[int, str]
    until: float
    skip: dict[int, str] = field(default_factory=dict)  # cells that ended the process, and how
    failed: dict[int, Failure] = field(default_factory=dict)
    defined: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    output: str = ""

    def left(self) -> float:
        return max(0.0, self.until - time.monotonic())


def grade(
    submission: Submission, the_set: GradedSet, zygote: Zygote, seed: int | None = None, only: Collection[str] = ()
) -> Record:
    """The record of one submission, whatever it is and does; of the tasks in `only`, if there are any.

    `seed` makes the cases the same in every run; without it nobody can know them.
    """
    began, raw, notes, error = time.monotonic(), b"", [submission.note] if submission.note else [], ""
    tasks = [task for id, task in the_set.judged.items() if not only or id in only]
    items: list[Item] = []
    run = Run({}, began + ALL_SECONDS)
    try:
        raw = submission.read()
        notebook = cells_of(raw)
        run.cells = dict(notebook.cells)
        notes += notebook.notes
        items = graded(run, tasks, the_set, zygote, seeds(seed, hashlib.sha256(raw).hexdigest()))
        notes += told(run)
    except ValueError as problem:
        error = plain(str(problem))
    if error:
        items = [Item(task.id, task.title, task.points, 0, error) for task in tasks]
    return Record(
        submission.student,
        submission.file,
        hashlib.sha256(raw).hexdigest(),
        the_set.number,
        tuple(items),
        tuple(notes),
        run.output,
        error,
        submission.submitted,
        datetime.now(UTC).isoformat(timespec="seconds"),
        round(time.monotonic() - began, 3),
        versions(the_set),
        zygote.layers,
        submission.name,
        submission.lms,
    )


def seeds(seed: int | None, sha256: str) -> Callable[[str], int]:
    """A seed for each task, drawn now: unknowable; or from the instructor's one, the same in every run.

    Each is one of POOL for its task, so that their cases need not be made anew for every submission.
    """
    key = OURS if seed is None else str(seed).encode()
    place = secrets.randbelow(POOL) if seed is None else hmac.digest(key, sha256.encode(), "sha256")[0] % POOL
    return lambda id: int.from_bytes(hmac.digest(key, f"{id} {place}".encode(), "sha256")[:7], "big")


def versions(the_set: GradedSet) -> dict[str, str]:
    return {"course": __version__, "set": the_set.version, "grader": __version__}  # course and grader come together


# ---------------------------------------------------------------- asking


def graded(
    run: Run, tasks: Sequence[Task], the_set: GradedSet, zygote: Zygote, seed_of: Callable[[str], int]
) -> list[Item]:
    """An item for each task.  After a death or a timeout the rest goes on in a fresh process."""
    verdicts: dict[str, Verdict | str] = {}
    lost = 0
    while todo := [task for task in tasks if task.id not in verdicts]:
        if not run.left():
            verdicts |= dict.fromkeys((t.id for t in todo), f"The notebook had used up its {ALL_SECONDS} seconds.")
            break
        child = zygote.start()
        try:
            load(run, child, [task.name for task in tasks])
            for task in todo:
                if task.name in run.missing:
                    verdicts[task.id] = absent(task)
                    continue
                verdicts[task.id] = asked(run, child, task, the_set, seed_of(task.id))
                if child.status is not None:
                    break
        except Gone as gone:  # while it was loading: `load` has noted the cell, and the rest is tried without it
            lost += gone.kind == "Lost"  # or it was not to blame
            if lost > MOST_LOST:
                raise
        finally:
            child.stop()
            run.output = run.output or plain(child.said(), 4000)
    return [item(run, task, verdicts[task.id]) for task in tasks]


def load(run: Run, child: Child, names: list[str]) -> None:
    """Run the cells.  One that ends the process is noted, and left out the next time."""
    cells = [(i, source) for i, source in run.cells.items() if i not in run.skip]
    try:
        child.send("J", json.dumps({"cells": cells, "names": names}).encode(), CELL_SECONDS)
        kind, body = child.receive(CELL_SECONDS, len(cells), run.left())
        about = answer(body)
        if kind != "L":
            raise ValueError("out of turn")
        run.failed = {i: failure_in(told) for i, told in about["failed"] if type(i) is int and i in run.cells}
        run.defined = {name: about["defined"][name] for name in names if type(about["defined"].get(name)) is int}
        run.missing = [name for name in names if name in about["missing"]]
        child.zygote.plotted += about["plotted"] is True
        run.refused = [plain(str(command), 200) for command in about["refused"][:50]]
    except Gone as gone:
        if gone.kind == "Lost":
            raise  # it was not the student's doing: everything is tried once more
        end(run, child, cells, f"took more than {CELL_SECONDS} seconds" if gone.kind == "TookTooLong" else gone.message)
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        gone = child.gone("Died", NONSENSE)
        end(run, child, cells, gone.message)
        raise gone from None


def end(run: Run, child: Child, cells: list[tuple[int, str]], how: str) -> None:
    """Note which cell it was; the last one if all are done, so that the next try has one less."""
    i, _ = cells[min(child.stopped_at, len(cells) - 1)] if cells else (0, "")
    run.skip[i] = how


def answer(body: bytes) -> Any:
    """JSON that a stranger sent: ValueError if it is none, or more than anybody has to say."""
    if len(body) > LONGEST_ANSWER:
        raise ValueError("too long")
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("too deep") from None


def failure_in(told: Any) -> Failure:
    """A failure as it came: five fields of the right types, fit to be shown."""
    kind, message, file, line, text = told
    line = line if type(line) is int and 0 <= line < 1 << 20 else 0
    return Failure(plain(str(kind), 100), plain(str(message)), plain(str(file), 100), line, plain(str(text), 200))


def asked(run: Run, child: Child, task: Task, the_set: GradedSet, seed: int) -> Verdict | str:
    """The verdict on one task.  Values that keep our own judging busy are no right answer either."""
    drawn = the_set.drawn(task, seed)
    requests = iter([drawn.request])  # the first time; a diagnosis may ask for more

    def ask(cases: list[tuple]) -> list[Outcome]:
        try:
            request = next(requests, None)
            child.send("T", request or the_set.request(task, cases), SECONDS)
            kind, body = child.receive(SECONDS, len(cases), run.left())
            parts = wire.split(body)
            if kind == "R" and len(parts) == len(cases):
                if request is None:
                    return [outcome_in(part, task) for part in parts]
                return [  # what is right to the last bit need not be looked at
                    Outcome(case.expected) if part == right else outcome_in(part, task)
                    for case, right, part in zip(drawn.cases, drawn.right, parts, strict=True)
                ]
            gone = child.gone("Died", NONSENSE)
        except Gone as problem:
            if problem.kind == "Lost":
                raise
            gone = problem
        except (ValueError, TypeError):
            gone = child.gone("Died", NONSENSE)
        at = min(child.stopped_at, len(cases) - 1)
        return [Outcome(failure=BEFORE)] * at + [Outcome(failure=Failure(gone.kind, gone.message))]

    try:
        with time_limit(JUDGE_SECONDS + SECONDS * 12):
            return judged(task, ask, drawn.cases, seed)
    except Gone:
        raise
    except TookTooLong:
        return f"What {task.name} returned took the grader too long to look at."
    except Exception as error:  # a value that the task's own judging was not made for
        return f"{task.name} returned something that can't be judged ({type(error).__name__})."


def outcome_in(part: bytes, task: Task) -> Outcome:
    """What came of one case; ValueError if it is nothing that we would have written."""
    if part[:1] == b"F":
        return Outcome(failure=failure_in(answer(part[1:])))
    if part[:1] != b"V":
        raise ValueError("neither a value nor a failure")
    value, changed, shares = wire.decode(part[1:])
    return Outcome(value, None, tuple(x for x in task.takes if x in changed), tuple(map(words, shares[:9])))


def words(x: Any) -> str:
    return plain(x, 200) if isinstance(x, str) else ""


# ---------------------------------------------------------------- telling


def absent(task: Task) -> str:
    return f"There is no {task.name} in the notebook. Is its cell gone, or renamed, or did it fail?"


def item(run: Run, task: Task, verdict: Verdict | str) -> Item:
    """Score and reason of one task."""
    number = run.defined.get(task.name)
    code = run.cells.get(number, "") if number is not None else ""
    about = Item(task.id, task.title, task.points, 0, code=plain(code, CODE))
    if isinstance(verdict, str):
        return replace(about, reason=verdict)
    if verdict.passed:
        return replace(about, score=task.points, seed=verdict.seed, remarks=verdict.remarks)
    failure = verdict.failure
    line = failure.line if failure and failure.file == f"<cell {number}>" else 0
    index = next((i for i, m in enumerate(task.misconceptions) if m is verdict.misconception), None)
    return replace(
        about,
        reason=plain(verdict.problem, 600),
        says=verdict.says,
        misconception=index,
        tried=verdict.tried,
        seed=verdict.seed,
        line=line if 0 < line <= code.count("\n") + 1 else None,
    )


def told(run: Run) -> list[str]:
    """What else happened."""
    notes = [f"Cell {i} {how} and was left out." for i, how in run.skip.items()]
    for i, failure in run.failed.items():
        where = f" in line {failure.line}: {failure.text}" if failure.text else ""
        notes.append(f"Cell {i} failed with {failure.kind}: {failure.message}{where}")
    notes += [f"Not executed: {command}" for command in run.refused]
    return notes[:MOST_NOTES] + [f"And {len(notes) - MOST_NOTES:,} more of these."] * (len(notes) > MOST_NOTES)
