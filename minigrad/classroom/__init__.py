"""For the exercises: `check` an answer at once, and see your `progress`.

>>> from minigrad.classroom import check
>>> verdict = check("4.2", lambda G, A, B: (G * B, G * A))
✔ 4.2 Element-wise multiplication, 1 point
"""

from __future__ import annotations

import os
import secrets
import sys

from .judge import judge
from .progress import Progress
from .tasks import SETS, find, tasks_of
from .verdict import CheckFailed, Verdict

__all__ = ["CheckFailed", "Verdict", "check", "passed", "progress"]

_verdicts: dict[str, Verdict] = {}  # the last of each task, in this session


def check(id: str, answer, seed: int | None = None) -> Verdict:
    """Judge the answer to task `id`, show the verdict and return it.

    The cases are drawn anew each time; a verdict names its `seed`, with which the same ones come again.  With
    MINIGRAD_STRICT=1 in the environment a failed check raises CheckFailed.  ValueError if there is no such task.

    >>> check("4.2", lambda G, A, B: (G * A, G * B), seed=0).says
    ✘ 4.2 Element-wise multiplication, 0 of 1 point...
    'Each operand got its own value as the factor. How fast a product moves with A is decided by the other factor.'
    """
    verdict = judge(find(id), answer, secrets.randbelow(10_000) if seed is None else seed)
    _verdicts[id] = verdict
    show(verdict)
    if not verdict and os.environ.get("MINIGRAD_STRICT", "0") not in ("", "0"):
        raise CheckFailed(str(verdict))
    return verdict


def passed(id: str) -> bool:
    """Whether the last check of this task was passed: for what is worth a look only then."""
    return bool(_verdicts.get(find(id).id))


def progress(number: str | None = None) -> Progress:
    """The points so far of the set with this number, or of every set that was checked in this session."""
    numbers = [number] if number else [n for n in SETS if any(find(id).set == n for id in _verdicts)]
    return Progress({n: [(task, _verdicts.get(task.id)) for task in tasks_of(n).values()] for n in numbers})


def show(verdict: Verdict) -> None:
    """As HTML in a notebook, as text elsewhere; not where Python's prompt will show it anyway."""
    if "IPython" in sys.modules:
        from IPython import get_ipython
        from IPython.display import display

        if get_ipython() is not None:
            display({"text/plain": repr(verdict), "text/html": verdict._repr_html_()}, raw=True)
            return
    if not hasattr(sys, "ps1"):
        print(verdict)
