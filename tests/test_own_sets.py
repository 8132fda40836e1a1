"""An instructor's own set, from its text to the grades of a class; and what of it, and of the course's sets, students get."""

from __future__ import annotations

import csv
import inspect
import json
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from handed_in import ROOT, classroom

from minigrad.classroom.notebooks import exercise_of
from minigrad.grading.cli import main
from minigrad.grading.sets import graded_set

linux = pytest.mark.skipif(sys.platform != "linux", reason="grading needs walls, which Linux alone has")


@pytest.fixture
def own(tmp_path, capsys) -> Path:
    """The folder of the set, with its notebooks."""
    folder = tmp_path / "own"
    shutil.copytree(ROOT / "tests/private", folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert main(["notebooks", str(folder)]) == 0
    assert "09  Norms: 2 tasks, 5 points" in capsys.readouterr().out
    return folder


def everything_in(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*")) if path.is_file())


def solved(exercise: Path, **answers: str) -> bytes:
    """The released notebook with a student's answers in it."""
    tree = json.loads(exercise.read_text())
    for cell in tree["cells"]:
        for name, answer in answers.items():
            if f"def {name}(" in "".join(cell["source"]):
                cell["source"] = answer
    return json.dumps(tree).encode()


def test_nothing_that_is_right_leaves_the_grader(own, tmp_path):
    """In what students get of a private set there is no solution, no task's own code, no misconception."""
    out = tmp_path / "students"
    assert main(["release", "9", "--tasks", str(own), "--out", str(out)]) == 0
    text = everything_in(out)
    the_set = graded_set("09", own)
    secrets = [
        "length =",
        "/ length",
        "steepest way",
        "np.linalg.norm",
        "BEGIN SOLUTION",
        "misconception",
        "minigrad.classroom",
        str(own),
    ]
    for task in the_set.tasks.values():
        secrets += [m.says for m in task.misconceptions]
        secrets += [line.strip() for m in task.misconceptions for line in inspect.getsource(m.answer).splitlines()]
    secrets += [line.strip() for line in inspect.getsource(the_set.tasks["9.2"].expect).splitlines()[1:]]
    assert not [secret for secret in secrets if len(secret) > 5 and secret in text]
    assert sorted(path.name for path in out.iterdir()) == ["09-norms.ipynb", "README.md", "requirements.txt"]
    assert "minigrad" not in (out / "requirements.txt").read_text()
    assert "](../book" not in text and "/blob/main/book/02-prerequisites" in text


def test_the_released_notebook_runs_and_says_when_it_is_checked(own, tmp_path, capsys):
    """Without our package: the cells that check must not fail where nothing can be checked."""
    assert main(["release", "9", "--tasks", str(own), "--out", str(tmp_path / "students")]) == 0
    space: dict = {}
    capsys.readouterr()
    for cell in nbformat.read(tmp_path / "students/09-norms.ipynb", 4).cells:
        if cell.cell_type == "code":
            assert "minigrad" not in cell.source
            exec(cell.source, space)
    assert "9.1 is checked when it is handed in." in capsys.readouterr().out


@linux
def test_a_class_from_the_command_line(own, tmp_path):
    """Release, three students, a roster, a course file with one task of other points: the grade book."""
    assert main(["release", "9", "--tasks", str(own), "--out", str(tmp_path / "students")]) == 0
    exercise = tmp_path / "students/09-norms.ipynb"
    right = {
        "norm_backward": "def norm_backward(G, X):\n    return G * X / np.sqrt((X * X).sum())",
        "clip_by_norm": "def clip_by_norm(X, most):\n    return X * min(1, most / np.sqrt((X * X).sum()))",
    }
    wrong = right | {"norm_backward": "def norm_backward(G, X):\n    return G * 2 * X"}
    folder = classroom(
        tmp_path / "class", ann=solved(exercise, **right), bob=solved(exercise, **wrong), carl=exercise.read_bytes()
    )
    (tmp_path / "course.toml").write_text('[sets.09]\ntasks = ["9.1"]\npoints = {"9.1" = 7}\n')
    (tmp_path / "roster.csv").write_text("id,name\nann,Ann Ames\nbob,Bob Burr\ncarl,Carl Cole\ndora,Dora Day\n")
    files = ["--course", str(tmp_path / "course.toml"), "--roster", str(tmp_path / "roster.csv")]
    out = tmp_path / "results"
    assert main(["grade", str(folder), "--tasks", str(own), "--out", str(out), "--jobs", "1", *files]) == 0
    results = json.loads((out / "results.json").read_text())
    assert results["sets"] == {"09": [{"id": "9.1", "title": "Gradient of the norm", "points": 7}]}
    grades = {student["student"]: student for student in results["students"]}
    assert {name: grade["final"] for name, grade in grades.items()} == {"ann": 7, "bob": 0, "carl": 0, "dora": 0}
    assert "the root is still to be accounted for" in grades["bob"]["tasks"][0]["says"]
    assert grades["carl"]["tasks"][0]["reason"] == "norm_backward is not written yet."
    with open(out / "grades.csv", newline="", encoding="utf-8-sig") as file:
        assert len(list(csv.reader(file))) == 5
    assert "np.linalg.norm" not in everything_in(out)  # of the solution


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("09-norms.md", "G * X / length", "G * X", "9.1: the solution fails"),
        ("09-norms.md", "length = np.sqrt(", "length = sqrt(", "9.1: the solution fails"),
        ("09-norms.md", 'check("9.2", clip_by_norm)', "clip_by_norm", "tasks without a check"),
        ("09-norms.md", "## 9.2", "## 9.3", "there is no task 9.3"),
        ("set09.py", "2 * G * X", "G * X / np.sqrt((X * X).sum())", "a mistake is passed"),
        ("09-norms.md", "return G * X / length\n    ### END", "pass\n    ### END", "9.1: the solution fails"),
        ("09-norms.md", "    ### BEGIN SOLUTION\n    length = np.sqrt", "    length = np.sqrt", "9.1: it is passed"),
        ("09-norms.md", "import numpy as np", "import numpi as np", "a cell fails. ModuleNotFoundError"),
        ("09-norms.md", "def clip_by_norm", "def clip_to_norm", "does not define clip_by_norm"),
        ("set09.py", 'id="9.2"', 'id="8.2"', "a task of set 09"),
        ("set09.py", "TASKS = [", "TASK = [", "It defines TASKS"),
    ],
)
def test_a_set_that_is_wrong_is_not_made(file, old, new, said, tmp_path, capsys):
    """The solution must pass, the mistakes must not, text and tasks must fit: found before a student finds it."""
    for path in (ROOT / "tests/private").glob("*09*"):
        shutil.copy(path, tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    assert main(["notebooks", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("*.ipynb"))


def test_a_folder_without_a_set_or_with_two_texts(tmp_path, capsys):
    assert main(["notebooks", str(tmp_path)]) == 2
    assert "there is no set of tasks" in capsys.readouterr().err
    shutil.copy(ROOT / "tests/private/set09.py", tmp_path)
    assert main(["release", "9", "--tasks", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "`minigrad notebooks` makes it" in capsys.readouterr().err
    for name in ("09-a.md", "09-b.md"):
        shutil.copy(ROOT / "tests/private/09-norms.md", tmp_path / name)
    assert main(["notebooks", str(tmp_path)]) == 2
    assert "09-a.md and 09-b.md" in capsys.readouterr().err


def test_solutions_are_not_overwritten_or_mixed_with_what_students_get(own, capsys):
    before = (own / "09-norms.ipynb").read_bytes()
    for out in (own, own / "students", own.parent):
        assert main(["release", "9", "--tasks", str(own), "--out", str(out)]) == 2
        assert "the solutions are there" in capsys.readouterr().err
    assert (own / "09-norms.ipynb").read_bytes() == before
    assert not (own / "README.md").exists()


def test_a_secret_outside_of_a_solution_is_caught(own, tmp_path, capsys):
    """An author who pastes the tutor's sentence into the text, or forgets where a solution ends."""
    text = (own / "09-norms.md").read_text()
    (own / "09-norms.md").write_text(
        text.replace("How long is an arrow", "You cut every element on its own, and so turned the arrow.")
    )
    assert main(["notebooks", str(own)]) == 0
    assert main(["release", "9", "--tasks", str(own), "--out", str(tmp_path / "students")]) == 2
    assert "would reach the students" in capsys.readouterr().err
    assert not (tmp_path / "students").exists()


def test_of_the_course_students_get_its_exercises(tmp_path):
    """The same cells as in `exercises/`; the page names tasks, points and the deadline."""
    course, deadlines = tmp_path / "course.toml", tmp_path / "deadlines.csv"
    course.write_text(
        'timezone = "Europe/Vienna"\n[late]\nper_day = 10\n[sets.04]\ntasks = ["4.12"]\npoints = {"4.12" = 10}\n'
    )
    deadlines.write_text("set,due\n4,2026-10-01T23:59\n")
    out = tmp_path / "students"
    command = ["release", "4", "--out", str(out), "--course", str(course), "--deadlines", str(deadlines)]
    assert main(command) == 0
    released = nbformat.read(out / "04-operations.ipynb", 4)
    known = nbformat.read(ROOT / "exercises/04-operations.ipynb", 4)
    assert [c.source for c in released.cells if c.cell_type == "code"] == [
        c.source for c in known.cells if c.cell_type == "code"
    ]
    assert released.cells == exercise_of(released).cells
    page = (out / "README.md").read_text()
    assert "| 4.12 | Matrix multiplication | 10 |" in page and "4.11" not in page
    assert "01 October 2026, 23:59" in page and "10 %" in page
    assert "minigrad-course[classroom] @ git+" in (out / "requirements.txt").read_text()


def test_sets_are_listed(own, capsys):
    assert main(["sets", "--tasks", str(own)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:2] for line in lines] == ["02", "03", "04", "05", "06", "07", "08", "09"]
    assert lines[2].startswith("04  Gradients of operations: 17 tasks, 30 points, version ")
    assert str(own) in lines[-1]
