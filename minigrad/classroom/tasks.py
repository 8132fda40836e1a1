"""All tasks, by their number: one module for each set."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module

from .task import Task

# The sets, by chapter: the name of the notebooks, and their title.
SETS = {
    "02": ("gradient-checking", "Gradient checking"),
    "03": ("graphs", "Computation graphs"),
    "04": ("operations", "Gradients of operations"),
    "05": ("losses", "Loss functions"),
    "06": ("layers", "Layers"),
    "07": ("training", "Training"),
    "08": ("engine", "Your own engine"),
}


@cache
def tasks_of(number: str) -> dict[str, Task]:
    """The tasks of set "04", by their ids, in order."""
    if number not in SETS:
        raise ValueError(f"There is no set {number}; there are {', '.join(SETS)}.")
    return {task.id: task for task in import_module(f"{__package__}.sets.set{number}").TASKS}


def find(id: str) -> Task:
    """The task with this number; ValueError with the nearest ones if there is none.

    >>> find("4.99")
    Traceback (most recent call last):
    ...
    ValueError: There is no task 4.99. Did you mean 4.9?
    """
    number = f"{id.split('.')[0]:0>2}"
    known = tasks_of(number) if number in SETS else dict(item for name in SETS for item in tasks_of(name).items())
    if id not in known:
        near = get_close_matches(id, known, 1)
        raise ValueError(
            f"There is no task {id}." + (f" Did you mean {near[0]}?" if near else f" There are {', '.join(known)}.")
        )
    return known[id]
