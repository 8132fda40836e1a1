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
from .sealed.attempt import Failure, Outcome, attempt
from .task import Misconception, Task
from .verdict import Verdict

Asked = Callable[[tuple], Outcome]  # what an answer does with the arguments of a case, wherever it lives
ENDED = {"TookTooLong", "Died"}  # after these there is nobody to ask about the next case


class Case(NamedTuple):
    args: tuple
    expected: Any  # None where the task's `accept` judges
    stated: bool = False  # by the contract, and not found by the task's own oracle


def judge(task: Task, answer, seed: int) -> Verdict:
    """The verdict on `answer`, by the cases that `seed` draws."""
    return judged(task, lambda args: outcome(task, answer, args), seed)


def judged(task: Task, ask: Asked, seed: int, reference: Callable | None = None) -> Verdict:
    """The verdict on an answer that `ask` asks; `reference(*args)` says what is right in the place of the task's own oracle."""
    cases = list(cases_of(task, seed, reference))
    outcomes: list[Outcome] = []
    for case in cases:
        outcomes.append(ask(case.args))
        if outcomes[-1].failure and outcomes[-1].failure.kind in ENDED:
            break
    remarks = sorted(
        {f"{name}: fine here, and a trap where somebody changes one of the two." for o in outcomes for name in o.shares}
    )
    for case, done in zip(cases, outcomes, strict=False):
        if problem := problem_of(task, case, done):
            unwritten = done.failure is not None and done.failure.kind == "NotImplementedError"
            mistake, says = (None, "") if unwritten else diagnosis(task, ask, cases, outcomes, (case, done), seed)
            return Verdict(task, False, problem, mistake, says, tried(task, case), seed, failure=done.failure)
    return Verdict(task, True, remarks=tuple(remarks), seed=seed)


def cases_of(task: Task, seed: int, reference: Callable | None = None) -> Iterator[Case]:
    rng = np.random.default_rng([seed, sum(task.id.encode())])
    expect = task.expect and (reference or task.expect)
    for trial in range(task.trials):
        args = task.draw(rng, trial)
        yield Case(args, expect(*copied(args)) if expect else None)
    for args, expected in task.fixed:
        yield Case(args, expected, stated=True)


def copied(args: tuple) -> tuple:
    return copy.deepcopy(args)


def outcome(task: Task, answer, args: tuple) -> Outcome:
    """Ask an answer that lives in this process, within the time limit."""
    try:
        with time_limit():
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


def diagnosis(
    task: Task, ask: Asked, cases: list[Case], outcomes: list[Outcome], told: tuple[Case, Outcome], seed: int
) -> tuple[Misconception | None, str]:
    """The misconception that explains most of the answer's wrong parts, and its sentence; None if none does.

    It must explain the case that the student is told of: a sentence about another would puzzle.
    Where the answer failed with an error, square cases are tried besides: on them most wrong products exist.
    """
    pairs = list(zip(cases, outcomes, strict=False))
    failures = [o.failure for o in outcomes if o.failure is not None]
    if task.square and failures and not ENDED & {failure.kind for failure in failures}:
        rng = np.random.default_rng(seed)
        more = [Case(args, task.expect(*copied(args))) for args in (task.square(rng) for _ in range(3))]
        pairs += [(case, ask(case.args)) for case in more]
    pairs = [(case, done) for case, done in pairs if done.failure is None]
    best, explained = None, 0
    for misconception in task.misconceptions:
        if told[1].failure is None and not explains(task, misconception, [told]):
            continue
        if (n := explains(task, misconception, pairs)) > explained:
            best, explained = misconception, n
    if best is None:
        return None, ""
    case = told[0] if told[1].failure is None else next(c for c, done in pairs if explains(task, best, [(c, done)]))
    return best, best.sentence(case.args)


def explains(task: Task, misconception: Misconception, pairs: list[tuple[Case, Outcome]]) -> int:
    """How many wrong parts of the answer the misconception gives as well; 0 if it is wrong elsewhere or in another way."""
    explained = 0
    for case, done in pairs:
        wrong = outcome(task, misconception.answer, case.args)
        if wrong.failure is not None:
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
