"""The commands an instructor types, from the words to the files: what they say when something is wrong, and what they leave alone."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from handed_in import UNDEFINED, WRONG, classroom, submission

pytest.importorskip("jinja2", reason="the grading requirements are not installed")

from minigrad.grading.cli import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")


@pytest.fixture
def handed(tmp_path) -> Path:
    return classroom(tmp_path / "class", ann=submission(), bob=submission(WRONG), eve=submission(WRONG, UNDEFINED))


def finals(out: Path) -> dict[str, float]:
    rows = csv.DictReader((out / "grades.csv").read_text(encoding="utf-8-sig").splitlines())
    return {row["student"]: float(row["final"]) for row in rows}


def test_a_class_from_words_to_grades(handed, tmp_path):
    """The set is recognised, two at a time are graded, and a second run has nothing to do."""
    out = tmp_path / "out"
    words = ["grade", str(handed), "--out", str(out), "--jobs", "2"]
    assert main(words) == 0 and finals(out) == {"ann": 30, "bob": 27, "eve": 26}
    before = (out / "records.jsonl").read_bytes()
    assert main(words) == 0 and (out / "records.jsonl").read_bytes() == before


def test_a_regrade_touches_what_it_is_told_and_says_what_changed(handed, tmp_path, capsys):
    """One student's one task; the rest, and an instructor's override, stay."""
    out, overrides = tmp_path / "out", tmp_path / "overrides.csv"
    overrides.write_text("student,task,score,comment\nbob,4.1,0,copied\n")
    words = [str(handed), "--out", str(out), "--set", "04", "--jobs", "1", "--overrides", str(overrides)]
    assert main(["grade", *words]) == 0 and finals(out) == {"ann": 30, "bob": 26, "eve": 26}
    (handed / "bob.ipynb").write_bytes(submission())
    (handed / "eve.ipynb").write_bytes(submission())
    capsys.readouterr()
    assert main(["regrade", *words, "--student", "bob", "--task", "4.12"]) == 0
    said = capsys.readouterr().out
    assert "bob" in said and "4.12" in said and "eve" not in said
    assert finals(out) == {"ann": 30, "bob": 29, "eve": 26}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grade", "nowhere"], "no such file or folder"),
        (["grade", "class", "--set", "99"], "There is no set 99; there are 02"),
        (["regrade", "class", "--set", "04", "--task", "4.99"], "set 04 has no task 4.99"),
        (["regrade", "class", "--student", "zoe"], "no submission of zoe"),
        (["grade", "class", "--course", "course.toml"], "4.99"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_graded(handed, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    Path("course.toml").write_text('[sets.04]\ntasks = ["4.99"]\n')
    assert main([*words, "--out", "out"]) == 2
    assert said in capsys.readouterr().err
    assert not Path("out/grades.csv").exists()


def test_pairs_that_are_alike(handed, tmp_path, capsys):
    """Two who have the same; what everybody was given is no likeness."""
    out = tmp_path / "out"
    assert main(["similarity", str(handed), "--set", "04", "--out", str(out)]) == 0
    assert "pairs; see similarity.html" in capsys.readouterr().out
    rows = list(csv.DictReader((out / "similarity.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert {rows[0]["student_a"], rows[0]["student_b"]} <= {"ann", "bob", "eve"}


def test_versions_are_in_every_record(handed, tmp_path):
    """A score of which nobody knows what gave it."""
    assert main(["grade", str(handed / "ann.ipynb"), "--out", str(tmp_path / "out"), "--set", "04"]) == 0
    record = json.loads((tmp_path / "out/records.jsonl").read_text())
    assert record["versions"].keys() == {"course", "set", "grader"} and record["layers"]
