"""One call of an answer: what it gave or how it failed, and what it did to its arguments."""

from __future__ import annotations

import copy
import linecache
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

OURS = tuple(
    str(path) for path in (Path(__file__).parents[2], Path(np.__file__).parent)
)  # a line of these isn't theirs


class Failure(NamedTuple):
    """How an answer ended that gave nothing: the exception's name, its message, and the line that raised it."""

    kind: str
    message: str = ""
    file: str = ""
    line: int = 0
    text: str = ""


class Outcome(NamedTuple):
    """What an answer did with one case: a value or a failure, and the names of the arguments that it changed."""

    value: Any = None
    failure: Failure | None = None
    changed: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings are not what anybody is judged by."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def attempt(probe: Callable, answer, args: tuple, takes: tuple[str, ...], returns: tuple[str, ...]) -> Outcome:
    """Ask `answer` with copies of `args`; `takes` and `returns` name arguments and results.  To be called in `quiet()`."""
    mine = copy.deepcopy(args)
    try:
        value = probe(answer, *mine)
    except BaseException as error:
        return Outcome(failure=failure_of(error))
    changed = tuple(name for name, before, after in zip(takes, args, mine, strict=False) if not same(before, after))
    parts = zip(returns, value if isinstance(value, tuple) else (value,), strict=False)
    shares = tuple(
        f"{part} shares its memory with {name}"
        for part, array in parts
        for name, x in zip(takes, mine, strict=False)
        if isinstance(array, np.ndarray) and isinstance(x, np.ndarray) and np.may_share_memory(array, x)
    )
    return Outcome(value, None, changed, shares)


def failure_of(error: BaseException) -> Failure:
    kind = "NotImplementedError" if isinstance(error, NotImplementedError) else type(error).__name__
    try:
        message = str(error)
    except BaseException as another:
        message = f"its message can't be read: {type(another).__name__}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(OURS):
            text = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
            return Failure(kind, message, frame.filename, frame.lineno or 0, text)
    return Failure(kind, message)


def same(before, after) -> bool:
    """Whether an argument is as it was: arrays by their elements, containers by theirs; other objects are not looked into."""
    if isinstance(before, np.ndarray):
        return before.dtype == after.dtype and (
            np.array_equal(before, after)
            or (before.dtype.kind == "f" and np.array_equal(before, after, equal_nan=True))
        )
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(same, before, after))
    if isinstance(before, dict):
        return list(before) == list(after) and all(map(same, before.values(), after.values()))
    return not isinstance(before, (int, float, str, set)) or before == after
