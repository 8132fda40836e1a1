"""What a task is: what is said about it, how a case is drawn, what is right, and which mistakes people make.

A task that asks for a gradient needs no answer key: `gradient` makes one from the forward function alone, and finite
differences say what is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .numeric import pulled_back


class Misconception(NamedTuple):
    """A wrong answer that people really give, as code, and the sentence of the tutor who has seen it.

    The sentence names the mistake and the principle, not the formula.  It may be a function of the case's arguments.
    """

    says: str | Callable[..., str]
    answer: Any

    def sentence(self, args: tuple) -> str:
        return self.says if isinstance(self.says, str) else self.says(*args)


def call(answer: Callable, *args):
    """The usual probe: the student wrote a function."""
    return answer(*args)


@dataclass(frozen=True)
class Task:
    """One task of a set.  It is passed or not, for all of its points.

    `draw(rng, trial)` makes the arguments of one case, named by `takes`; `expect(*args)` says what is right there, as one
    value or, where `returns` has several names, a tuple.  Where many answers are right, `accept(got, *args)` judges instead: it
    returns what is wrong in words, or None.  `probe(answer, *args)` turns what the student wrote into plain values; it runs
    where the student's code runs, so it imports what it needs and holds nothing that is right.

    `like` says of a returned array whose shape and dtype it must have.  `fixed` are cases with a stated result: a choice
    at a kink, say.  `square(rng)` draws cases on which a product of the wrong matrices does not fail, for the diagnosis alone.
    """

    id: str
    title: str
    points: int
    difficulty: int  # 1, 2 or 3
    minutes: int
    name: str  # what the student writes
    takes: tuple[str, ...]
    draw: Callable[[np.random.Generator, int], tuple]
    misconceptions: Sequence[Misconception]
    expect: Callable | None = None
    accept: Callable | None = None
    returns: tuple[str, ...] = ()
    like: dict[str, str] = field(default_factory=dict)
    probe: Callable = call
    fixed: Sequence[tuple[tuple, Any]] = ()
    square: Callable[[np.random.Generator], tuple] | None = None
    trials: int = 5
    tolerance: float = 1e-6
    source: str = "it should be"  # who says so, when a number is wrong

    def __post_init__(self) -> None:
        if (self.expect is None) == (self.accept is None):
            raise TypeError(f"task {self.id}: give expect, which says what is right, or accept, which judges.")

    @property
    def set(self) -> str:
        """The number of the set, with two digits.

        >>> from minigrad.classroom.tasks import find
        >>> find("4.12").set
        '04'
        """
        return f"{int(self.id.split('.')[0]):02}"


DROPPED = (
    "You returned the local derivative alone. What arrives from above is G: every contribution carries it as a factor."
)


def gradient(
    id: str,
    title: str,
    forward: Callable,
    operands: tuple[str, ...],
    draw: Callable[[np.random.Generator, int], tuple],
    misconceptions: Sequence[Misconception],
    constants: tuple[str, ...] = (),
    **about,
) -> Task:
    """A task that asks for the gradients of `forward(*operands, *constants)`, given G: `(G, *operands, *constants)`.

    `draw` makes the arguments of `forward`; G is drawn to fit the result, without a pattern in which a mistake could hide.
    The second trial is in float32, and asks for float32.
    """

    def draw_with_upstream(rng: np.random.Generator, trial: int) -> tuple:
        args = draw(rng, trial)
        if trial == 1:
            args = tuple(x.astype(np.float32) if is_float(x) else x for x in args)
        return (upstream(rng, forward(*args)), *args)

    def expect(G, *args):
        found = tuple(pulled_back(forward, G, args, i) for i in range(len(operands)))
        return found if len(found) > 1 else found[0]

    dropped = without_upstream(expect)
    square = about.pop("square", None)
    return Task(
        id=id,
        title=title,
        takes=("G", *operands, *constants),
        draw=draw_with_upstream,
        expect=expect,
        misconceptions=(*misconceptions, dropped),
        returns=tuple(f"d{x}" for x in operands),
        like={f"d{x}": x for x in operands},
        square=square and (lambda rng: (upstream(rng, forward(*(args := square(rng)))), *args)),
        source="finite differences give",
        **about,
    )


def without_upstream(expect: Callable) -> Misconception:
    """Whoever forgets G gives what is right where G is all ones."""
    return Misconception(DROPPED, lambda G, *args: expect(np.ones_like(G), *args))


def is_float(x) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def upstream(rng: np.random.Generator, result: np.ndarray) -> np.ndarray:
    """Of the result's shape and dtype: signs mixed, no two alike, none near 0."""
    result = np.asarray(result)
    return (rng.uniform(0.5, 1.5, result.shape) * rng.choice([-1, 1], result.shape)).astype(result.dtype)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """An operand of this shape: both signs, nothing near 0."""
    return np.asarray(rng.uniform(0.5, 2.0, shape) * rng.choice([-1, 1], shape))


def sizes(rng: np.random.Generator, n: int) -> tuple[int, ...]:
    """n sizes of axes: distinct primes, so that no mistake in the order of axes fits by chance.

    >>> sorted(sizes(np.random.default_rng(0), 4))
    [2, 3, 5, 7]
    """
    return tuple(rng.permutation([2, 3, 5, 7])[:n].tolist())
