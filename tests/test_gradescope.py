"""The Gradescope autograder: what is in the zip, what its scripts write, and that the scores are the grader's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from handed_in import UNDEFINED, WRONG, graded, scores, submission

from minigrad.grading import canary, gradescope
from minigrad.grading.batch import How
from minigrad.grading.cli import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="grading needs walls, which Linux alone has")


def unpacked(folder: Path, *options: str) -> Path:
    """What Gradescope makes of the zip: its files in `source`, the script beside, a place for a submission."""
    assert main(["gradescope", *options, "--out", str(folder / "autograder.zip")]) == 0
    with ZipFile(folder / "autograder.zip") as archive:
        archive.extractall(folder / "source")
        for entry in archive.infolist():
            (folder / "source" / entry.filename).chmod(entry.external_attr >> 16)
    (folder / "submission").mkdir()
    return folder


def handed_in(place: Path, **notebooks: bytes) -> dict:
    """results.json for these, by the grader of this process."""
    for old in (place / "submission").iterdir():
        old.unlink()
    for name, content in notebooks.items():
        (place / f"submission/{name}.ipynb").write_bytes(content)
    gradescope.main(place)
    return json.loads((place / "results/results.json").read_text())


def scores_in(results: dict) -> dict[str, float]:
    return {test["number"]: test["score"] for test in results["tests"]}


@pytest.fixture(scope="module")
def autograder(tmp_path_factory) -> Path:
    return unpacked(tmp_path_factory.mktemp("gradescope"), "4", "--seed", "3")


def test_the_zip_holds_what_it_needs_and_no_more(autograder):
    """Of the solutions the one of the set; no caches; scripts that can be run; the same bytes each time."""
    with ZipFile(autograder / "autograder.zip") as archive:
        names = archive.namelist()
    assert {"setup.sh", "run_autograder", "requirements.txt", "package/minigrad/grading/gradescope.py"} <= set(names)
    assert [name for name in names if name.endswith(".ipynb")] == ["package/solutions/04-operations.ipynb"]
    assert not [name for name in names if "__pycache__" in name or name.startswith(("/", ".."))]
    for script in ("setup.sh", "run_autograder"):
        assert os.access(autograder / "source" / script, os.X_OK)
        subprocess.run(["bash", "-n", autograder / "source" / script], check=True)
    assert main(["gradescope", "4", "--seed", "3", "--out", str(autograder / "again.zip")]) == 0
    assert (autograder / "again.zip").read_bytes() == (autograder / "autograder.zip").read_bytes()


def test_scores_and_sentences_are_the_graders(autograder):
    """Each task is a test with its points; the output is the reason, and the tutor's sentence where the mistake is known."""
    results = handed_in(autograder, mine=submission(WRONG, UNDEFINED, first="1 / 0"))
    record = graded(autograder / "submission", How("04", seed=3))["mine"]
    assert scores_in(results) == scores(record)
    assert 0 < record.score < record.points == sum(test["max_score"] for test in results["tests"])
    for test, item in zip(results["tests"], record.items, strict=True):
        assert test["status"] == ("passed" if item.passed else "failed")
        assert item.reason in test["output"] and item.says in test["output"]
    assert "ZeroDivisionError" in results["output"]
    assert results["stdout_visibility"] == "hidden"
    assert results["extra_data"]["versions"] == record.versions


def test_whatever_is_handed_in_has_a_score_and_a_reason(autograder):
    """No notebook at all, rubbish, two notebooks of which the better counts."""
    for notebooks, total, said in (
        ({}, 0, "No notebook was handed in"),
        ({"a": b"%PDF"}, 0, "this is a PDF"),
        ({"a": submission(WRONG), "b": submission(), "c": b"{}"}, 30, "b.ipynb"),
    ):
        results = handed_in(autograder, **notebooks)
        assert sum(scores_in(results).values()) == total
        assert said in results["output"]


def test_a_course_file_chooses_tasks_and_points(tmp_path):
    """The same points as the class's reports; a task that does not exist is refused when the zip is made."""
    course = tmp_path / "course.toml"
    course.write_text('[sets.04]\ntasks = ["4.1", "4.12"]\npoints = {"4.12" = 10}\n[sets.05]\ntasks = ["5.1"]\n')
    place = unpacked(tmp_path, "04", "--course", str(course))
    assert scores_in(handed_in(place, a=submission(UNDEFINED))) == {"4.1": 0, "4.12": 10}
    course.write_text('[sets.04]\ntasks = ["4.99"]\n')
    assert main(["gradescope", "04", "--course", str(course), "--out", str(tmp_path / "no.zip")]) == 2
    assert not (tmp_path / "no.zip").exists()


def test_where_no_walls_hold_there_is_no_score(autograder, tmp_path, monkeypatch):
    """It says so instead; graded without walls only where the instructor chose it, and then every result bears it."""

    def caught(zygote):
        raise canary.Unsafe("A student's code could read a file here.")

    monkeypatch.setattr(canary, "must_hold", caught)
    results = handed_in(autograder, a=submission())
    assert "NOT GRADED" in results["output"] and "could read a file" in results["output"]
    assert not any("score" in part for part in (results, *results["tests"]))
    place = unpacked(tmp_path, "04", "--unsafe-no-sandbox")
    results = handed_in(place, a=submission(WRONG))
    assert results["output"].startswith("GRADED WITHOUT A SANDBOX")
    assert scores_in(results)["4.12"] == 0 and scores_in(results)["4.1"] == 1


@pytest.mark.slow
def test_its_scripts_in_a_place_of_their_own(tmp_path):
    """setup.sh makes a Python with nothing of ours but the zip's copy, and run_autograder grades with it."""
    place = unpacked(tmp_path, "05", "--seed", "3")
    environment = os.environ | {"AUTOGRADER": str(place), "PYTHONPATH": ""}
    done = subprocess.run(["bash", place / "source/setup.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    hers = submission("def mse(y_true, y_pred):\n    return 0", number="05")
    (place / "submission/hers.ipynb").write_bytes(hers)
    done = subprocess.run([place / "source/run_autograder"], env=environment, capture_output=True, text=True, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((place / "results/results.json").read_text())
    record = graded(place / "submission", How("05", seed=3))["hers"]
    assert scores_in(results) == scores(record)
    assert record.score < record.points
    assert results["extra_data"]["versions"] == record.versions
    assert "seccomp" in results["extra_data"]["sandbox"]
