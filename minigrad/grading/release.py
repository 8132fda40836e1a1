"""`minigrad release SET --out DIR`: what students get: the exercise, what they need for it, and how to hand it in.

Of a set of the course everything is public, and its notebook checks answers at once.  Of an instructor's own set nothing that
knows what is right leaves the grader: no solution, no task, no misconception.  There the cells that check say that it is done later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from . import policy
from .one import CELL_SECONDS, SECONDS
from .policy import Setting
from .sets import GradedSet

CONFIG = Path(__file__).parents[2] / "_config.yml"
ADDRESS = re.compile(r"^repository:\n  url: (\S+)\n  branch: (\S+)$", re.MULTILINE)
IMPORT = re.compile(r"^from minigrad\.classroom import [\w, ]+$", re.MULTILINE)

LATER = """\
def check(id, answer=None, seed=None):
    print(f"{id} is checked when it is handed in.")


def passed(id):
    return False


def progress(number=None):
    print("The points are counted when the notebook is handed in.")"""

README = """\
# Set {number}: {title}

| task | | points |
|---|---|---|
{tasks}

## What you need

Python 3.11 or newer, Jupyter or VS Code, and

```sh
pip install -r requirements.txt
```

## How to work

Open `{notebook}` and run its cells from top to bottom. Write your answers where it says `# Your code here`, and keep the names of the
functions: they are how an answer is found. {checks}

## How to hand it in

1. Restart the kernel and run all cells. What fails there fails in the grading.
2. Save, and hand in the one file that ends in `.ipynb`. It may have any name.

{rules}

## How it is graded

All code cells run from top to bottom in a process of their own; a cell that fails does not keep the others from running. Then each answer is
called with arguments that nobody knows before. A cell may take {cell} seconds, a call {call}. It finds Python's own modules,
{packages}; no network and no other files. Commands such as `%pip install` are not executed. What is printed or drawn costs nothing.
"""


@dataclass(frozen=True)
class Place:
    """Where the repository is."""

    url: str
    branch: str


def write(the_set: GradedSet, out: Path, setting: Setting) -> list[Path]:
    """The files for students, in `out`; ValueError if they would lie among the solutions."""
    from ..classroom import notebooks

    if the_set.solution is None or not (found := ADDRESS.search(CONFIG.read_text(encoding="utf-8"))):
        raise ValueError("what students get is made in a clone of the repository, where the solutions are.")
    if out.resolve() in (home := the_set.solution.resolve().parent, *home.parents) or home in out.resolve().parents:
        raise ValueError(f"{out}: the solutions are there. Choose another folder, that holds only what students get.")
    import nbformat

    place, private = Place(*found.groups()), the_set.folder is not None
    exercise = notebooks.exercise_of(nbformat.read(the_set.solution, 4))
    for cell in exercise.cells:
        cell.source = cell.source.replace("](../book/", f"]({place.url}/blob/{place.branch}/book/")
        cell.pop("attachments", None)
        if private and cell.cell_type == "code":
            cell.source = IMPORT.sub(lambda _: LATER, cell.source)
    if private and (leaks := leaked(exercise, the_set)):
        raise ValueError(
            f"{the_set.solution}: this would reach the students: {leaks[0]!r}. Is it outside of a solution?"
        )
    out.mkdir(parents=True, exist_ok=True)
    texts = {"README.md": readme(the_set, setting), "requirements.txt": requirements(the_set, place)}
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    notebooks.write(exercise, out / the_set.solution.name)
    return [out / name for name in (the_set.solution.name, *texts)]


def leaked(exercise, the_set: GradedSet) -> list[str]:
    """What stands in the exercise though only the grader should know it: a mistake's sentence, the mark of a solution."""
    text = "\n".join(cell.source for cell in exercise.cells)
    sentences = [m.says for task in the_set.tasks.values() for m in task.misconceptions if isinstance(m.says, str)]
    return [secret for secret in [*sentences, "### BEGIN SOLUTION", "### END SOLUTION"] if secret in text]


def requirements(the_set: GradedSet, place: Place) -> str:
    if the_set.folder is None or the_set.library:
        extra = "classroom" if the_set.folder is None else "draw"
        return f"minigrad-course[{extra}] @ git+{place.url}\n"
    return "numpy>=2.0\nmatplotlib\n"


def readme(the_set: GradedSet, setting: Setting) -> str:
    seen = {task.id: (task.title, task.points) for task in the_set.tasks.values()}
    wanted = policy.tasks_of(setting, the_set.number, seen)
    rows = [f"| {id} | {title} | {points:g} |" for id, (title, points) in wanted.items()]
    due = setting.deadlines.get(the_set.number)
    said = [f"Hand it in by {due:%A, %d %B %Y, %H:%M %Z}.".replace(" .", ".")] if due else []
    said += policy.rules(setting) if due else policy.rules(setting)[:1]
    now = "Below each answer stands a check that tells you at once what is wrong; ask it as often as you like."
    later = "The answers of this set are checked when they are handed in: the cells that check only say so."
    return README.format(
        number=the_set.number,
        title=setting.course.set(the_set.number).title or the_set.title,
        tasks="\n".join(rows),
        notebook=the_set.solution.name,
        checks=now if the_set.folder is None else later,
        rules="\n".join(said),
        cell=CELL_SECONDS,
        call=SECONDS,
        packages="NumPy, Matplotlib and `minigrad`" if the_set.library else "NumPy and Matplotlib",
    )
