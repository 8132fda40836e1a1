"""Is an answer right, and if not, which mistake is it?

Every case is drawn from the seed, so a failure can be replayed.  An answer that fails is compared with what each of the
task's misconceptions gives for the same arguments: whoever gives the same wrong numbers has made the same mistake.
"""

from __future__ import annotations

import copy
import linecache
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .compare import difference
from .limits import SECONDS, TookTooLong, time_limit
from .task import Misconception, Task
from .verdict import Verdict

HERE = str(Path(__file__).parent.parent)  # the package: whose line failed is not our line


class Case(NamedTuple):
    args: tuple
    expected: Any  # None where the task's `accept` judges
    stated: bool = False  # by the contract, and not found by the task's own oracle


class Outcome(NamedTuple):
    """What an answer did with one case: a value or an error, and the names of the arguments that it changed."""

    value: Any = None
    error: BaseException | None = None
    changed: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()


def judge(task: Task, answer, seed: int) -> Verdict:
    """The verdict on `answer`, by the cases that `seed` draws."""
    cases = list(cases_of(task, seed))
    outcomes: list[Outcome] = []
    for case in cases:
        outcomes.append(outcome(task, answer, case.args))
        if isinstance(outcomes[-1].error, TookTooLong):
            break
    remarks = sorted(
        {f"{name}: fine here, and a trap where somebody changes one of the two." for o in outcomes for name in o.shares}
    )
    for case, done in zip(cases, outcomes, strict=False):
        if problem := problem_of(task, case, done):
            unwritten = isinstance(done.error, NotImplementedError)
            mistake, says = (None, "") if unwritten else diagnosis(task, answer, cases, outcomes, (case, done), seed)
            return Verdict(task, False, problem, mistake, says, tried(task, case), seed)
    return Verdict(task, True, remarks=tuple(remarks), seed=seed)


def cases_of(task: Task, seed: int) -> Iterator[Case]:
    rng = np.random.default_rng([seed, sum(task.id.encode())])
    for trial in range(task.trials):
        args = task.draw(rng, trial)
        yield Case(args, task.expect(*copied(args)) if task.expect else None)
    for args, expected in task.fixed:
        yield Case(args, expected, stated=True)


def copied(args: tuple) -> tuple:
    return copy.deepcopy(args)


def outcome(task: Task, answer, args: tuple) -> Outcome:
    """Call the answer with copies, within the time limit, its warnings unseen."""
    mine = copied(args)
    try:
        with time_limit(), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            value = task.probe(answer, *mine)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Outcome(error=error)
    changed = tuple(
        name for name, before, after in zip(task.takes, args, mine, strict=False) if not same(before, after)
    )
    parts = zip(task.returns, value if isinstance(value, tuple) else (value,), strict=False)
    shares = tuple(
        f"{part} shares its memory with {name}"
        for part, array in parts
        for name, x in zip(task.takes, mine, strict=False)
        if isinstance(array, np.ndarray) and isinstance(x, np.ndarray) and np.may_share_memory(array, x)
    )
    return Outcome(value, None, changed, shares)


def same(before, after) -> bool:
    """Whether an argument is as it was: arrays by their elements, containers by theirs; other objects are not looked into."""
    if isinstance(before, np.ndarray):
        return (
            before.shape == after.shape
            and before.dtype == after.dtype
            and np.array_equal(before, after, equal_nan=before.dtype.kind == "f")
        )
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(same, before, after))
    if isinstance(before, dict):
        return list(before) == list(after) and all(map(same, before.values(), after.values()))
    return not isinstance(before, (int, float, str, set)) or before == after


def problem_of(task: Task, case: Case, done: Outcome) -> str | None:
    """What is wrong with one outcome, in the student's terms."""
    if done.error is not None:
        return told_error(task, done.error)
    if task.accept:
        problem = (
            f"{task.name} returned nothing. Does it end with `return`?"
            if done.value is None
            else task.accept(done.value, *copied(case.args))
        )
    else:
        problem = next(filter(None, (problem for problem, *_ in parts_of(task, case, done.value))), None)
    if problem is None and done.changed:
        return f"{task.name} changed {' and '.join(done.changed)}. The caller may still need it: make a new one."
    return problem


def parts_of(task: Task, case: Case, value) -> Iterator[tuple[str | None, Any, Any]]:
    """For each part of an answer: what is wrong with it, what it is, and what it should be."""
    names = task.returns or (f"the result of {task.name}",)
    expected = case.expected if len(names) > 1 else (case.expected,)
    if len(names) > 1:
        if not isinstance(value, (tuple, list)) or len(value) != len(names):
            came = (
                "nothing"
                if value is None
                else f"{len(value)} value{'s' * (len(value) != 1)}"
                if isinstance(value, (tuple, list))
                else "one value"
            )
            yield f"{task.name} returned {came}; it should return {len(names)}: {', '.join(names)}.", None, None
            return
    else:
        value = (value,)
    arguments = dict(zip(task.takes, case.args, strict=False))
    source = "the contract says" if case.stated else task.source
    for name, right, got in zip(names, expected, value, strict=True):
        like = task.like.get(name)
        yield difference(name, right, got, task.tolerance, like and (like, arguments[like]), source), got, right


def told_error(task: Task, error: BaseException) -> str:
    if isinstance(error, NotImplementedError):
        return f"{task.name} is not written yet."
    if isinstance(error, TookTooLong):
        return f"{task.name} took more than {SECONDS} seconds. Does a loop never end?"
    where = ""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(HERE) and str(np.__file__).removesuffix("__init__.py") not in frame.filename:
            line = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
            where = f" In line {frame.lineno} of its cell: {line}" if line else ""
            break
    return f"{task.name} raised {type(error).__name__}: {str(error).splitlines()[0].rstrip('.') if str(error) else 'without a word'}.{where}"


def tried(task: Task, case: Case) -> str:
    """The arguments of a case, in short: arrays by their shapes."""
    return ", ".join(f"{name} {short(x)}" for name, x in zip(task.takes, case.args, strict=False))


def short(x) -> str:
    if isinstance(x, np.ndarray):
        return str(x.shape) if x.size != 1 else f"{x.item():.3g}"
    if isinstance(x, (list, tuple)) and x and isinstance(x[0], np.ndarray):
        return f"[{', '.join(str(a.shape) for a in x)}]"
    text = (
        f"{x:.3g}"
        if isinstance(x, float)
        else str(x)
        if isinstance(x, (int, str, list, tuple, dict, type(None)))
        else type(x).__name__
    )
    return text if len(text) <= 60 else f"{text[:57]}…"


# ---------------------------------------------------------------- which mistake it is


def diagnosis(
    task: Task, answer, cases: list[Case], outcomes: list[Outcome], told: tuple[Case, Outcome], seed: int
) -> tuple[Misconception | None, str]:
    """The misconception that explains most of the answer's wrong parts, and its sentence; None if none does.

    It must explain the case that the student is told of: a sentence about another would puzzle.
    Where the answer failed with an error, square cases are tried besides: on them most wrong products exist.
    """
    pairs = list(zip(cases, outcomes, strict=False))
    if task.square and any(o.error is not None for o in outcomes):
        rng = np.random.default_rng(seed)
        more = [Case(args, task.expect(*copied(args))) for args in (task.square(rng) for _ in range(3))]
        pairs += [(case, outcome(task, answer, case.args)) for case in more]
    pairs = [(case, done) for case, done in pairs if done.error is None]
    best, explained = None, 0
    for misconception in task.misconceptions:
        if told[1].error is None and not explains(task, misconception, [told]):
            continue
        if (n := explains(task, misconception, pairs)) > explained:
            best, explained = misconception, n
    if best is None:
        return None, ""
    case = told[0] if told[1].error is None else next(c for c, done in pairs if explains(task, best, [(c, done)]))
    return best, best.sentence(case.args)


def explains(task: Task, misconception: Misconception, pairs: list[tuple[Case, Outcome]]) -> int:
    """How many wrong parts of the answer the misconception gives as well; 0 if it is wrong elsewhere or in another way."""
    explained = 0
    for case, done in pairs:
        wrong = outcome(task, misconception.answer, case.args)
        if wrong.error is not None:
            continue
        if task.accept or not task.returns:
            right = problem_of(task, case, wrong) is None
            if right and problem_of(task, case, done) is None:
                continue
            if right or not alike(task, wrong.value, done.value) or wrong.changed != done.changed:
                return 0
            explained += 1
            continue
        theirs, mine = list(parts_of(task, case, wrong.value)), list(parts_of(task, case, done.value))
        if len(theirs) != len(mine):
            return 0
        for (their_problem, their_value, _), (my_problem, my_value, _) in zip(theirs, mine, strict=True):
            if their_problem is None:
                continue
            if my_problem is None or not alike(task, their_value, my_value):
                return 0  # mine may be right where theirs has the same numbers in another dtype
            explained += 1
        if wrong.changed and wrong.changed == done.changed:
            explained += 1
        elif wrong.changed:
            return 0
    return explained


def alike(task: Task, a, b) -> bool:
    """Whether two wrong answers are the same one."""
    if isinstance(a, (np.ndarray, np.generic)) and a.ndim:
        return (
            isinstance(b, np.ndarray)
            and difference("", a, b.astype(a.dtype) if b.dtype.kind in "biuf" else b, task.tolerance) is None
        )
    return difference("", a, b, task.tolerance) is None
