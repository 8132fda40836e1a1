"""A set as the grader sees it: its tasks, what is right, and what its students may import."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import textwrap
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ..classroom.judge import Case, cases_of
from ..classroom.sealed import wire
from ..classroom.task import DROPPED, Task, without_upstream
from ..classroom.tasks import SETS, tasks_of
from . import WITH_LIBRARY

SOLUTIONS = Path(__file__).parents[2] / "solutions"  # of the repository; an installed package has none
KEPT = 64 << 10  # bytes of a task's cases that are kept


class Drawn(NamedTuple):
    """The cases of a task, the bytes that ask for their outcomes, and those that come if one is right to the last bit."""

    cases: list[Case]
    request: bytes
    right: list[bytes | None]


@dataclass(frozen=True)
class GradedSet:
    """`folder` is where an instructor's own sets lie, None for the course's."""

    number: str
    title: str
    tasks: dict[str, Task]
    library: bool
    solution: Path | None
    sources: tuple[Path, ...]  # what the set is made of
    folder: Path | None = None

    @cached_property
    def version(self) -> str:
        """Changes when a task or its solution does."""
        digest = hashlib.sha256()
        for path in self.sources:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:12]

    @cached_property
    def answers(self) -> dict[str, object]:
        """The names that the solution defines; none where there is no solution here."""
        return answers_in(self.solution) if self.solution else {}

    @cached_property
    def judged(self) -> dict[str, Task]:
        """The tasks with the solution for an oracle: as right as the task's own finite differences, and many times as fast."""
        return {
            id: by_solution(task, self.answers[task.name]) if task.expect and task.name in self.answers else task
            for id, task in self.tasks.items()
        }

    @cached_property
    def given(self) -> list[str]:
        """The cells that students are given and leave as they are: what a solved notebook has beside its answers."""
        if self.solution is None:
            return []
        cells = json.loads(self.solution.read_text(encoding="utf-8"))["cells"]
        return ["".join(c["source"]) for c in cells if c["cell_type"] == "code" and not is_answer(c)]

    def stubs(self) -> list[tuple[int, str]]:
        """The code cells that students are given, numbered: the solved notebook's without the answers."""
        from ..classroom.notebooks import SOLUTION, stub

        cells = json.loads(self.solution.read_text(encoding="utf-8"))["cells"] if self.solution else []
        code = [(i, "".join(cell["source"])) for i, cell in enumerate(cells, 1) if cell["cell_type"] == "code"]
        return [(i, SOLUTION.sub(stub, source)) for i, source in code]

    @cached_property
    def _drawn(self) -> dict[tuple[str, int], Drawn]:
        return {}

    def drawn(self, task: Task, seed: int) -> Drawn:
        """The cases that `seed` draws; small ones are kept for the next submission."""
        if (task.id, seed) in self._drawn:
            return self._drawn[task.id, seed]
        cases = list(cases_of(task, seed))
        request = self.request(task, [case.args for case in cases])
        right = [None if case.expected is None else b"V" + wire.encode((case.expected, (), ())) for case in cases]
        drawn = Drawn(cases, request, right)
        if len(request) <= KEPT:
            self._drawn[task.id, seed] = drawn
        return drawn

    def request(self, task: Task, cases: list[tuple]) -> bytes:
        """What the runner needs for a task: its probe, to be run where the student's code runs, and the arguments."""
        probe, name = textwrap.dedent(inspect.getsource(task.probe)), task.probe.__name__
        about = {"name": task.name, "probe": probe, "probe name": name, "takes": task.takes, "returns": task.returns}
        return wire.joined([json.dumps(about).encode(), *map(wire.encode, cases)])


def graded_set(number: str, folder: Path | None = None) -> GradedSet:
    """Set "04" of the course, or of the instructor's `folder`: `set04.py` with TASKS, and `04-topic.ipynb`, solved.

    ValueError if there is none, or its tasks can't be read.
    """
    number = f"{number:0>2}"
    if folder is not None and (path := Path(folder, f"set{number}.py")).exists():
        return private(number, path)
    if number not in SETS:
        raise ValueError(f"There is no set {number}; there are {', '.join(numbers(folder))}.")
    module = Path(__file__).parents[1] / f"classroom/sets/set{number}.py"
    solution = SOLUTIONS / f"{number}-{SETS[number][0]}.ipynb"
    found = solution if solution.exists() else None
    sources = (module, *([found] if found else []))
    return GradedSet(number, SETS[number][1], tasks_of(number), number in WITH_LIBRARY, found, sources)


def numbers(folder: Path | None = None) -> list[str]:
    """Of all sets: the course's, and those in the instructor's `folder`."""
    own = {path.stem[3:] for path in Path(folder).glob("set[0-9][0-9].py")} if folder else set()
    return sorted({*SETS, *own})


def private(number: str, path: Path) -> GradedSet:
    """A set of an instructor's own: its module may say TITLE and LIBRARY (False: students may not import minigrad)."""
    module, tasks = tasks_in(number, path)
    solutions = sorted(path.parent.glob(f"{number}-*.ipynb"))
    if not solutions:
        raise ValueError(
            f"{path}: there is no {number}-topic.ipynb, with the solutions, beside it. `minigrad notebooks` makes it."
        )
    title = getattr(module, "TITLE", solutions[0].stem[3:].replace("-", " ").capitalize())
    return GradedSet(
        number, title, tasks, getattr(module, "LIBRARY", True), solutions[0], (path, solutions[0]), path.parent
    )


def tasks_in(number: str, path: Path) -> tuple[ModuleType, dict[str, Task]]:
    """The module of an instructor's own set, and its tasks by their ids."""
    spec = spec_from_file_location(f"minigrad.classroom.sets.set{number}_private", path)
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        tasks = {task.id: task for task in module.TASKS}
    except Exception as error:
        raise ValueError(f"{path}: {type(error).__name__}: {error}. It defines TASKS, a list of Task.") from error
    if wrong := [id for id, task in tasks.items() if not isinstance(task, Task) or task.set != number]:
        raise ValueError(
            f"{path}: {', '.join(map(str, wrong))}: a task of set {number} is a Task with id {int(number)}.something."
        )
    return module, tasks


def by_solution(task: Task, answer) -> Task:
    def right(*args):
        with np.errstate(all="ignore"):
            return task.probe(answer, *args)

    mistakes = tuple(without_upstream(right) if m.says is DROPPED else m for m in task.misconceptions)
    return replace(task, expect=right, misconceptions=mistakes)


def answers_in(path: Path) -> dict[str, object]:
    """Run the answers of a solved notebook, and what is imported and defined around them; not its plots and its checks."""
    return answers_in_cells(json.loads(path.read_text(encoding="utf-8"))["cells"], path)


def answers_in_cells(cells: list[dict], path: Path) -> dict[str, object]:
    space: dict[str, object] = {"__name__": "solution", "np": np}
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        if not is_answer(cell):
            tree.body = [line for line in tree.body if needed(line)]
        exec(compile(tree, str(path), "exec"), space)
    return space


def is_answer(cell: dict) -> bool:
    return bool(cell["metadata"].get("nbgrader", {}).get("solution"))


def needed(line: ast.stmt) -> bool:
    """A definition or an import; but not Matplotlib, which takes a third of a second, and not `check`, which would judge."""
    if isinstance(line, (ast.Import, ast.ImportFrom)):
        names = [line.module or ""] if isinstance(line, ast.ImportFrom) else [alias.name for alias in line.names]
        return not any(name.split(".")[0] == "matplotlib" or name == "minigrad.classroom" for name in names)
    return isinstance(line, (ast.FunctionDef, ast.ClassDef))
