"""From `solutions/NN-topic.md`, the one source that people edit, the solution and the exercise as notebooks.

    python -m minigrad.classroom.notebooks solutions exercises

In the source a heading that is nothing but the number of a task, `## 4.12`, gets the task's title, points, difficulty and
minutes.  What stands between `### BEGIN SOLUTION` and `### END SOLUTION` becomes a stub in the exercise, and a cell tagged
"solution" is not in it at all.  Cells carry nbgrader's metadata, so that nbgrader takes the same files.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from .task import Task
from .tasks import SETS, find, tasks_of

HEADING = re.compile(r"^## (\d+\.\d+\w?)$", re.MULTILINE)
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?### END SOLUTION$", re.MULTILINE | re.DOTALL)
CHECK = re.compile(r'^check\("([^"]+)"', re.MULTILINE)
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def source_of(folder: Path, number: str) -> Path:
    """Where the source of a set stands in the folder of the solutions."""
    return folder / f"{number}-{SETS[number][0]}.md"


def solution_of(source: Path, task_of: Callable[[str], Task] = find) -> NotebookNode:
    """The notebook of a source, not executed yet."""
    import jupytext

    read = jupytext.read(source)
    cells = []
    answers: list[NotebookNode] = []  # since the last check, which says whose they are
    for i, cell in enumerate(read.cells):
        cell.id = f"cell-{i:03}"
        cell.metadata = NotebookNode({k: v for k, v in cell.metadata.items() if k in ("tags", "mystnb")})
        if cell.cell_type == "markdown":
            text = HEADING.sub(lambda match: heading(task_of(match[1])), cell.source)
            cell.source = re.sub("^# Exercises", "# Solutions", text)
        elif SOLUTION.search(cell.source):
            answers.append(cell)
        elif match := CHECK.search(cell.source):
            for n, answer in enumerate(answers):
                answer.metadata.nbgrader = nbgrader(f"answer-{slug(match[1])}{'-' * bool(n)}{n or ''}", solution=True)
            cell.metadata.nbgrader = nbgrader(f"check-{slug(match[1])}", points=task_of(match[1]).points)
            answers = []
        cells.append(cell)
    return nbformat.v4.new_notebook(cells=cells, metadata=KERNEL)


def exercise_of(solution: NotebookNode) -> NotebookNode:
    """The same without answers: stubs that say so, and no outputs."""
    exercise = copy.deepcopy(solution)
    exercise.cells = [cell for cell in exercise.cells if "solution" not in cell.metadata.get("tags", ())]
    for cell in exercise.cells:
        cell.source = re.sub("^# Solutions", "# Exercises", cell.source)
        if cell.cell_type == "code":
            cell.source = SOLUTION.sub(stub, cell.source)
            cell.outputs, cell.execution_count = [], None
    return exercise


def stub(match: re.Match) -> str:
    return f'{match[1]}# Your code here\n{match[1]}raise NotImplementedError("not written yet")'


def heading(task: Task) -> str:
    """The title of a task, and what it asks for in time and effort."""
    points = "1 point" if task.points == 1 else f"{task.points} points"
    return f"## {task.id} {task.title}\n\n*{points}, about {task.minutes} minutes, difficulty {'●' * task.difficulty}{'○' * (3 - task.difficulty)}*"


def slug(id: str) -> str:
    return id.replace(".", "-")


def nbgrader(id: str, solution: bool = False, points: int | None = None) -> dict:
    about = {"grade": not solution, "grade_id": id, "locked": not solution, "schema_version": 3, "solution": solution}
    return about | {"task": False} | ({"points": points} if points else {})


def executed(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook with its outputs; a failed check stops it."""
    from nbclient import NotebookClient

    done = copy.deepcopy(notebook)
    environment = os.environ | {"MINIGRAD_STRICT": "1", "MINIGRAD_STATIC": "1"}
    NotebookClient(done, timeout=60, resources={"metadata": {"path": str(folder)}}).execute(env=environment)
    done.metadata = NotebookNode(KERNEL)
    for cell in done.cells:
        cell.metadata.pop("execution", None)
    return done


def write(notebook: NotebookNode, path: Path) -> None:
    nbformat.validate(notebook)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")


def missing(notebook: NotebookNode, number: str) -> set[str]:
    """Tasks of the set that the notebook does not check, and the other way round."""
    return checked(notebook) ^ set(tasks_of(number))


def checked(notebook: NotebookNode) -> set[str]:
    return {id for cell in notebook.cells if cell.cell_type == "code" for id in CHECK.findall(cell.source)}


def main() -> None:
    parser = argparse.ArgumentParser("python -m minigrad.classroom.notebooks")
    parser.add_argument(
        "solutions", type=Path, help="the folder of the sources; executed solutions are put beside them"
    )
    parser.add_argument("exercises", type=Path, help="the folder for the exercises")
    parser.add_argument("--set", action="append", choices=SETS, help="one or more sets, instead of all")
    asked = parser.parse_args()
    for number in asked.set or SETS:
        source = source_of(asked.solutions, number)
        solution = solution_of(source)
        if left := missing(solution, number):
            raise SystemExit(f"{source}: tasks without a check, or checks without a task: {', '.join(sorted(left))}")
        write(exercise_of(solution), asked.exercises / f"{source.stem}.ipynb")
        write(executed(solution, asked.solutions), source.with_suffix(".ipynb"))
        print(
            f"{source.stem}: {len(tasks_of(number))} tasks, {sum(t.points for t in tasks_of(number).values())} points"
        )


if __name__ == "__main__":
    main()
