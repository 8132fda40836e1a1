"""One notebook, four graders: our own check, that of a class, pytest with nbval, and nbgrader in an environment of its own give the same scores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest

from minigrad.classroom import notebooks
from minigrad.classroom.notebooks import CHECK, exercise_of, slug, solution_of, write
from minigrad.classroom.tasks import SETS, find, tasks_of
from minigrad.grading.batch import Bytes, Grader, How
from minigrad.grading.submissions import Submission

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
NBGRADER = ROOT / ".venv-nbgrader/bin"
STRICT = os.environ | {"MINIGRAD_STRICT": "1", "MINIGRAD_STATIC": "1", "PYTHONWARNINGS": "ignore"}


source_of = partial(notebooks.source_of, ROOT / "solutions")


def submission(number: str, solved: set[str]) -> nbformat.NotebookNode:
    """The exercise with the answers of some tasks put in."""
    solution = solution_of(source_of(number))
    answers = {cell.metadata.nbgrader.grade_id: cell.source for cell in solution.cells if "nbgrader" in cell.metadata}
    exercise = exercise_of(solution)
    for cell in exercise.cells:
        about = cell.metadata.get("nbgrader", {})
        if about.get("solution") and any(f"{about.grade_id}-".startswith(f"answer-{slug(id)}-") for id in solved):
            cell.source = answers[about.grade_id]
    return exercise


def every_other(number: str) -> set[str]:
    return set(list(tasks_of(number))[::2])


def expected(number: str, solved: set[str]) -> dict[str, int]:
    return {id: task.points * (id in solved) for id, task in tasks_of(number).items()}


def by_check(notebook, python: Path | str = sys.executable, folder: Path = ROOT) -> dict[str, int]:
    """Run all cells as Jupyter does, and read what `check` kept."""
    code = "\n".join(
        [
            "import json, sys",
            "from IPython.core.interactiveshell import InteractiveShell",
            "shell = InteractiveShell.instance()",
            "for source in json.load(sys.stdin):",
            "    result = shell.run_cell(source)",
            "    if not result.success: sys.exit(f'a cell raised: {source}')",
            "from minigrad import classroom",
            "print('SCORES', json.dumps({id: v.points for id, v in classroom._verdicts.items()}))",
        ]
    )
    cells = json.dumps([cell.source for cell in notebook.cells if cell.cell_type == "code"])
    environment = os.environ | {"MPLBACKEND": "agg", "MINIGRAD_STRICT": ""}
    done = subprocess.run(
        [python, "-c", code], input=cells, capture_output=True, text=True, env=environment, cwd=folder
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout.rpartition("SCORES ")[2])


def by_nbval(path: Path) -> dict[str, int]:
    """Points for each check whose cell does not fail; a failure anywhere else is an error."""
    report = path.with_suffix(".xml")
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=60", f"--junitxml={report}", "-q"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        *options,
        "-p",
        "no:cacheprovider",
        f"--rootdir={path.parent}",
        path.name,
    ]
    done = subprocess.run(command, cwd=path.parent, env=STRICT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout
    results = ElementTree.parse(report).iter("testcase")
    failed = {int(case.get("name").split()[-1]) for case in results if case.find("failure") is not None}
    scores = {}
    sources = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    for n, source in enumerate(sources):
        if match := CHECK.search(source):
            scores[match[1]] = 0 if n in failed else find(match[1]).points
            failed.discard(n)
    assert not failed, [sources[n] for n in failed]
    return scores


@pytest.fixture(scope="module")
def by_grader():
    """What the grader of a class gives for a notebook."""
    graders = {}

    def grade(number: str, notebook) -> dict[str, float]:
        if number not in graders:
            graders[number] = Grader(How(number))
        raw = nbformat.writes(notebook).encode()
        record = graders[number](Submission("ann", "ann", "ann.ipynb", reader=Bytes(raw)))
        assert not record.error, record.error
        return {item.id: item.score for item in record.items}

    yield grade
    for grader in graders.values():
        grader.close()


@pytest.mark.parametrize("number", SETS)
def test_check_and_nbval_and_the_grader_agree(number, tmp_path, by_grader):
    """Stubs, every other answer, all answers: in a folder with a space in its name, as on somebody's desktop."""
    folder = tmp_path / "My Course"
    folder.mkdir()
    for solved in (set(), every_other(number), set(tasks_of(number))):
        notebook = submission(number, solved)
        write(notebook, path := folder / f"{number} mine.ipynb")
        assert by_check(notebook) == by_nbval(path) == by_grader(number, notebook) == expected(number, solved)


@pytest.mark.parametrize("number", SETS)
def test_solutions_reproduce_their_outputs(number):
    """An output in the repository that nobody gets any more."""
    options = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=60", "-q", "-p", "no:cacheprovider"]
    path = source_of(number).with_suffix(".ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, path], cwd=ROOT, env=STRICT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-5000:]


SCORES = """
import json
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as gradebook:
    print("SCORES", json.dumps({
        f"{s.student.id} {n.name}": {g.name: g.score for g in n.grades}
        for s in gradebook.assignment_submissions(ASSIGNMENT) for n in s.notebooks
    }))
"""


def nbgrader(folder: Path, *command: str) -> str:
    environment = STRICT | {
        "PATH": f"{NBGRADER}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "IPYTHONDIR": str(folder),
    }
    done = subprocess.run(
        [NBGRADER / command[0], *command[1:]], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.parametrize("number", SETS)
def test_nbgrader_gives_the_same_scores(number, tmp_path, by_grader):
    """generate_assignment, validate and autograde on our files: nothing, a part, everything."""
    if not NBGRADER.exists():
        (pytest.fail if "MINIGRAD_CI" in os.environ else pytest.skip)("make .venv-nbgrader/made, for nbgrader")
    name = source_of(number).stem
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'course'\n")
    (tmp_path / "source" / name).mkdir(parents=True)
    shutil.copy(source_of(number).with_suffix(".ipynb"), tmp_path / "source" / name)
    nbgrader(tmp_path, "nbgrader", "generate_assignment", name, "--create")
    students = {"nothing": set(), "part": every_other(number), "everything": set(tasks_of(number))}
    for student, solved in students.items():
        folder = tmp_path / "submitted" / student / name
        folder.mkdir(parents=True)
        if solved:
            write(submission(number, solved), folder / f"{name}.ipynb")
        else:
            shutil.copy(tmp_path / "release" / name / f"{name}.ipynb", folder)
    assert "Success" in nbgrader(tmp_path, "nbgrader", "validate", f"submitted/everything/{name}/{name}.ipynb")
    nbgrader(tmp_path, "nbgrader", "autograde", name, "--create")
    told = nbgrader(tmp_path, "python", "-c", SCORES.replace("ASSIGNMENT", repr(name))).rpartition("SCORES ")[2]
    for student, solved in students.items():
        scores = json.loads(told)[f"{student} {name}"]
        assert scores == {f"check-{slug(id)}": points for id, points in expected(number, solved).items()}
        assert list(scores.values()) == list(by_grader(number, submission(number, solved)).values())


def test_exercises_on_a_machine_without_git(tmp_path):
    """A folder unpacked on a desktop: spaces in every path, no links, nothing installed but Python."""
    course = tmp_path / "My Documents" / "The Course"
    for name in ("minigrad", "exercises"):
        shutil.copytree(ROOT / name, course / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, course)
    subprocess.run([sys.executable, "-m", "venv", "--copies", course / "my env"], check=True)
    python = course / "my env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run([python, "-m", "pip", "install", "-q", f"{course}[classroom]"], check=True, cwd=tmp_path)
    for number in SETS:
        stubs = nbformat.read(course / "exercises" / f"{source_of(number).stem}.ipynb", 4)
        everything = set(tasks_of(number))
        for notebook, solved in ((stubs, set()), (submission(number, everything), everything)):
            assert by_check(notebook, python, course / "exercises") == expected(number, solved)
