"""Is an answer right, and if not, which mistake is it?

Every case is drawn from the seed, so a failure can be replayed.  An answer that fails is compared with what each of the
task's misconceptions gives for the same arguments: whoever gives the same wrong numbers has made the same mistake.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .compare import difference
from .limits import SECONDS, TookTooLong, time_limit
from .sealed.attempt import Failure, Outcome, attempt, quiet
from .task import Misconception, Task
from .verdict import Verdict

# What an answer does with the arguments of some cases, wherever it lives; after one of ENDED the list ends.
Asked = Callable[[list[tuple]], list[Outcome]]
ENDED = {"TookTooLong", "Died"}


class Case(NamedTuple):
    args: tuple
    expected: Any  # None where the task's `accept` judges
    stated: bool = False  # by the contract, and not found by the task's own oracle


def judge(task: Task, answer, seed: int) -> Verdict:
    """The verdict on `answer`, by the cases that `seed` draws."""
    return judged(task, lambda cases: outcomes_of(task, answer, cases), list(cases_of(task, seed)), seed)


def judged(task: Task, ask: Asked, cases: list[Case], seed: int) -> Verdict:
    """The verdict on an answer that `ask` asks, wherever it lives, by the cases that `seed` drew."""
    outcomes = ask([case.args for case in cases])
    told = next(((c, o, p) for c, o in looked_at(cases, outcomes) if (p := problem_of(task, c, o))), None)
    if told is None:
        remarks = {
            f"{name}: fine here, and a trap where somebody changes one of the two."
            for o in outcomes
            for name in o.shares
        }
        return Verdict(task, True, remarks=tuple(sorted(remarks)), seed=seed)
    case, done, problem = told
    unwritten = done.failure is not None and done.failure.kind == "NotImplementedError"
    mistake, says = (None, "") if unwritten else diagnosis(task, ask, cases, outcomes, (case, done), seed)
    return Verdict(task, False, problem, mistake, says, tried(task, case), seed, failure=done.failure)


def looked_at(cases: list[Case], outcomes: list[Outcome]) -> list[tuple[Case, Outcome]]:
    """The cases with their outcomes; if one ended it all, that one alone."""
    pairs = list(zip(cases, outcomes, strict=False))
    return pairs[-1:] if pairs and ended(pairs[-1][1]) else pairs


def ended(done: Outcome) -> bool:
    return done.failure is not None and done.failure.kind in ENDED


def cases_of(task: Task, seed: int) -> Iterator[Case]:
    rng = np.random.default_rng([seed, sum(task.id.encode())])
    for trial in range(task.trials):
        args = task.draw(rng, trial)
        yield Case(args, task.expect(*copied(args)) if task.expect else None)
    for args, expected in task.fixed:
        yield Case(args, expected, stated=True)


def copied(args: tuple) -> tuple:
    return copy.deepcopy(args)


def outcomes_of(task: Task, answer, cases: list[tuple]) -> list[Outcome]:
    found: list[Outcome] = []
    for args in cases:
        found.append(outcome(task, answer, args))
        if ended(found[-1]):
            break
    return found


def outcome(task: Task, answer, args: tuple) -> Outcome:
    """Ask an answer that lives in this process, within the time limit."""
    try:
        with time_limit(), quiet():
            done = attempt(task.probe, answer, args, task.takes, task.returns)
    except TookTooLong:  # the alarm rang just after the answer had come
        return Outcome(failure=Failure("TookTooLong"))
    if done.failure and done.failure.kind == "KeyboardInterrupt":
        raise KeyboardInterrupt
    return done


def problem_of(task: Task, case: Case, done: Outcome) -> str | None:
    """What is wrong with one outcome, in the student's terms."""
    if done.failure is not None:
        return told_failure(task, done.failure)
    if done.value is case.expected and not task.accept and not done.changed:
        return None
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


def parts_of(task: Task, case: Case, value, hints: bool = True) -> Iterator[tuple[str | None, Any, Any]]:
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
        about = like and (like, arguments[like])
        yield difference(name, right, got, task.tolerance, about, source, hints), got, right


def told_failure(task: Task, failure: Failure) -> str:
    if failure.kind == "NotImplementedError":
        return f"{task.name} is not written yet."
    if failure.kind == "TookTooLong":
        return f"{task.name} took more than {SECONDS} seconds. Does a loop never end?"
    if failure.kind == "Died":
        return f"{task.name} {failure.message}."
    message = failure.message.splitlines()[0].rstrip(".") if failure.message else "without a word"
    where = f" In line {failure.line} of its cell: {failure.text}" if failure.text else ""
    return f"{task.name} raised {failure.kind}: {message}.{where}"


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


class Seen(NamedTuple):
    """An outcome that is compared with those of the misconceptions: part by part, or as a whole where it has no parts."""

    case: Case
    done: Outcome
    parts: list[tuple[str | None, Any, Any]]
    problem: str | None

    @property
    def wrong(self) -> int:
        """How much of it a misconception can explain."""
        return sum(problem is not None for problem, *_ in self.parts) + bool(self.problem) + bool(self.done.changed)


def seen(task: Task, case: Case, done: Outcome) -> Seen:
    if task.accept or not task.returns:
        return Seen(case, done, [], problem_of(task, case, done))
    return Seen(case, done, list(parts_of(task, case, done.value, hints=False)), None)


def diagnosis(
    task: Task, ask: Asked, cases: list[Case], outcomes: list[Outcome], told: tuple[Case, Outcome], seed: int
) -> tuple[Misconception | None, str]:
    """The misconception that explains most of the answer's wrong parts, and its sentence; None if none does.

    It must explain the case that the student is told of: a sentence about another would puzzle.
    Where the answer failed with an error, square cases are tried besides: on them most wrong products exist.
    """
    pairs = list(zip(cases, outcomes, strict=False))
    if task.square and any(o.failure for o in outcomes) and not any(map(ended, outcomes)):
        rng = np.random.default_rng(seed)
        more = [Case(args, task.expect(*copied(args))) for args in (task.square(rng) for _ in range(3))]
        pairs += zip(more, ask([case.args for case in more]), strict=False)
    all_seen = [seen(task, case, done) for case, done in pairs if done.failure is None]
    first = [s for s in all_seen if s.done is told[1]]
    wrong = sum(s.wrong for s in all_seen)
    best, explained = None, 0
    with quiet():
        for misconception in task.misconceptions:
            if first and not explains(task, misconception, first):
                continue
            if (n := explains(task, misconception, all_seen)) > explained:
                best, explained = misconception, n
            if explained == wrong:
                break  # none can explain more
        if best is None:
            return None, ""
        case = told[0] if first else next(s.case for s in all_seen if explains(task, best, [s]))
    return best, best.sentence(case.args)


def explains(task: Task, misconception: Misconception, all_seen: list[Seen]) -> int:
    """How many wrong parts of the answer the misconception gives as well; 0 if it is wrong elsewhere or in another way."""
    explained = 0
    for case, done, mine, problem in all_seen:
        wrong = attempt(task.probe, misconception.answer, case.args, task.takes, task.returns)
        if wrong.failure is not None:
            continue
        if task.accept or not task.returns:
            right = problem_of(task, case, wrong) is None
            if right and problem is None:
                continue
            if right or not alike(task, wrong.value, done.value) or wrong.changed != done.changed:
                return 0
            explained += 1
            continue
        theirs = list(parts_of(task, case, wrong.value, hints=False))
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
            and difference("", a, b.astype(a.dtype) if b.dtype.kind in "biuf" else b, task.tolerance, hints=False)
            is None
        )
    return difference("", a, b, task.tolerance, hints=False) is None
