"""The grader of a class says what `check` says in the notebook: the same points, the same words, the same misconception.

And nobody is believed who says the same to every case, or what was right in another one.
"""

from __future__ import annotations

import itertools
import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from attacks import code, packed

from minigrad.classroom.judge import judge, judged, outcome
from minigrad.classroom.sealed.attempt import Failure, Outcome
from minigrad.classroom.sealed.wire import decode, encode
from minigrad.classroom.task import DROPPED
from minigrad.classroom.tasks import SETS, tasks_of
from minigrad.grading.batch import Bytes, Grader, How
from minigrad.grading.record import Record
from minigrad.grading.sets import graded_set
from minigrad.grading.submissions import Submission

ROOT = Path(__file__).parent.parent
TASKS = [task for number in SETS for task in tasks_of(number).values()]
linux = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")
for_each_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
the_set = cache(graded_set)
SEED = 20260101


def graded(number: str, *sources: str) -> Record:
    grader = Grader(How(number, seed=SEED))
    try:
        return grader(Submission("ann", "ann", "ann.ipynb", reader=Bytes(packed(list(map(code, sources))))))
    finally:
        grader.close()


def agrees(task, item, answer) -> None:
    verdict = judge(task, answer, item.seed)
    assert (item.score, item.says) == (verdict.points, verdict.says), (task.id, item.reason, verdict.problem)
    if verdict.failure is None:
        assert item.reason == verdict.problem


# ---------------------------------------------------------------- the same verdicts


def mixed(number: str) -> tuple[list[str], set[str]]:
    """The cells of a solution, in which every other answer gives nothing; and which are left."""
    notebook = json.loads(the_set(number).solution.read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    tasks = list(tasks_of(number).values())
    spoilt = [task for task in tasks[1::2]]
    return [*cells, *(f"{task.name} = lambda *args, **more: None" for task in spoilt)], {t.id for t in tasks[::2]}


@linux
@pytest.mark.parametrize("number", SETS)
def test_half_a_solution_gets_the_same_from_both(number):
    cells, right = mixed(number)
    record = graded(number, *cells)
    assert {item.id for item in record.items if item.passed} == right, [(i.id, i.reason) for i in record.items]
    answers = the_set(number).answers
    for task, item in zip(tasks_of(number).values(), record.items, strict=True):
        agrees(task, item, answers[task.name] if task.id in right else lambda *args, **more: None)


def everything_of(*paths: str) -> str:
    """Files of the classroom as one cell: what no student has."""
    lines = itertools.chain.from_iterable(
        (ROOT / "minigrad/classroom" / path).read_text().splitlines() for path in paths
    )
    return "\n".join(line for line in lines if not line.startswith(("from .", "from __future__")))


SOURCE = everything_of("numeric.py", "task.py", "sets/set04.py")
MOST = max(len(task.misconceptions) for task in tasks_of("04").values())


@linux
@pytest.mark.parametrize("k", range(MOST))
def test_each_misconception_is_called_by_its_name_by_both(k):
    """The k-th mistake of every task of set 04, in one notebook."""
    tasks = [task for task in tasks_of("04").values() if k < len(task.misconceptions)]
    find = f"MISTAKES = {{task.name: task.misconceptions[{k}].answer for task in list(globals().values()) if isinstance(task, Task) and len(task.misconceptions) > {k}}}"
    record = graded("04", SOURCE, find, "globals().update(MISTAKES)")
    items = {item.id: item for item in record.items}
    for task in tasks:
        assert not items[task.id].passed
        if task.misconceptions[k].says is DROPPED and task.fixed:
            continue  # made of finite differences, which say at a kink what nobody's answer says
        agrees(task, items[task.id], task.misconceptions[k].answer)
        assert items[task.id].misconception is not None, (task.id, k, items[task.id].reason)


# ---------------------------------------------------------------- nothing is given away


def right(task, seed: int) -> list[Outcome]:
    """What the solution says to each case, as it comes over the wire."""
    answer = the_set(task.set).answers[task.name]
    found = [outcome(task, answer, case.args) for case in drawn(task, seed)]
    return [done if done.failure else done._replace(value=decode(encode(done.value))) for done in found]


def drawn(task, seed: int):
    return the_set(task.set).drawn(task, seed).cases


def replayed(task, seed: int, outcomes: list[Outcome]):
    said = iter(outcomes)
    ended = Outcome(failure=Failure("Died"))
    return judged(task, lambda cases: [next(said, ended) for _ in cases], drawn(task, seed), seed)


BY_HEART = {"6.3", "6.5"}  # random masks are judged by their statistics, and names by a few fixed networks


@for_each_task
def test_what_was_right_elsewhere_is_not_right_here(task):
    """Answers to the cases of one seed earn nothing with another: nobody can learn them by heart."""
    outcomes = right(task, 1)
    assert replayed(task, 1, outcomes)
    assert bool(replayed(task, 2, outcomes)) is (task.id in BY_HEART)


def as_nan(x, what: float):
    if isinstance(x, np.ndarray) or isinstance(x, np.generic):
        return np.full_like(x, what) if x.dtype.kind == "f" else np.full(np.shape(x), what)
    if isinstance(x, (list, tuple)):
        return type(x)(as_nan(y, what) for y in x)
    if isinstance(x, dict):
        return {key: as_nan(y, what) for key, y in x.items()}
    return what if isinstance(x, (int, float)) else x


@for_each_task
def test_no_number_and_one_number_everywhere_are_never_right(task):
    known = right(task, 1)
    for what in (np.nan, np.inf, -np.inf, 0.0, 1.0):
        outcomes = [done if done.failure else done._replace(value=as_nan(done.value, what)) for done in known]
        if all(repr(done.value) == repr(mine.value) for done, mine in zip(outcomes, known, strict=True)):
            continue  # names alone, or these numbers are the right ones
        assert not replayed(task, 1, outcomes), what


@for_each_task
def test_rubbish_is_never_right(task):
    """Whatever a process says that was taken over; and the judge survives it."""
    for value in (
        None,
        True,
        0,
        1,
        "",
        "right",
        [],
        (),
        {},
        ((), ()),
        [None] * 3,
        np.array([]),
        np.array(True),
        decode(encode(iter(()))),
    ):
        try:
            assert not replayed(task, 1, [Outcome(value)] * 20), value
        except AssertionError:
            raise
        except Exception:
            pass  # `one.asked` makes words of it
