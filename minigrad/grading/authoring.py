"""`minigrad notebooks DIR`: from an instructor's own sets, `set09.py` and `09-topic.md`, the solved notebook and the exercise.

The format is that of the course's `solutions/`.  Nothing is written of a set whose solution fails its own tasks, or that lets
one of its misconceptions pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..classroom.judge import judge
from ..classroom.task import Task
from .sets import GradedSet, answers_in_cells, private, tasks_in

SEEDS = range(3)  # the solution and each mistake are tried with all of these


def make(folder: Path) -> Iterator[GradedSet]:
    """Write `09-topic.ipynb`, solved, and `exercises/09-topic.ipynb` for each set in `folder`; ValueError says what is wrong."""
    from ..classroom import notebooks

    modules = sorted(folder.glob("set[0-9][0-9].py"))
    if not modules:
        raise ValueError(f"{folder}: there is no set of tasks. It is a file such as set09.py, with TASKS.")
    for path in modules:
        number = path.stem[3:]
        tasks, source = tasks_in(number, path)[1], source_of(folder, number)
        solution = notebooks.solution_of(source, lambda id, tasks=tasks, source=source: known(id, tasks, source))
        if left := notebooks.checked(solution) ^ set(tasks):
            raise ValueError(f"{source}: tasks without a check, or checks without a task: {', '.join(sorted(left))}.")
        exercise = notebooks.exercise_of(solution)
        prove(source, tasks, solution, exercise)
        (folder / "exercises").mkdir(exist_ok=True)
        name = f"{source.stem}.ipynb"
        notebooks.write(exercise, folder / "exercises" / name)
        notebooks.write(solution, folder / name)
        yield private(number, path)


def source_of(folder: Path, number: str) -> Path:
    found = sorted(folder.glob(f"{number}-*.md"))
    if len(found) != 1:
        names = " and ".join(path.name for path in found) or "none"
        raise ValueError(f"{folder}: set {number} has one text, {number}-topic.md; here is {names}.")
    return found[0]


def known(id: str, tasks: dict[str, Task], source: Path) -> Task:
    if id not in tasks:
        raise ValueError(f"{source}: there is no task {id}; there are {', '.join(tasks)}.")
    return tasks[id]


def prove(source: Path, tasks: dict[str, Task], solution, exercise) -> None:
    """ValueError if an answer of the solution is not passed, or a known mistake is, or the exercise as students get it."""
    answers, stubs = answers_of(source, solution), answers_of(source, exercise)
    for task in tasks.values():
        where = f"{source}, task {task.id}"
        if task.name not in answers:
            raise ValueError(f"{where}: the solution does not define {task.name}.")
        for seed in SEEDS:
            if not (verdict := judge(task, answers[task.name], seed)):
                raise ValueError(f"{where}: the solution fails. {verdict.problem} (seed {seed})")
        for misconception in task.misconceptions:
            if all(judge(task, misconception.answer, seed) for seed in SEEDS):
                says = (
                    misconception.says if isinstance(misconception.says, str) else "that whose sentence is a function"
                )
                raise ValueError(f"{where}: a mistake is passed: {says!r}")
        if task.name in stubs and judge(task, stubs[task.name], SEEDS[0]):
            raise ValueError(f"{where}: it is passed without an answer. Is that outside of ### BEGIN SOLUTION?")


def answers_of(source: Path, notebook) -> dict[str, object]:
    try:
        return answers_in_cells(notebook.cells, source)
    except Exception as error:
        raise ValueError(f"{source}: a cell fails. {type(error).__name__}: {error}") from error
