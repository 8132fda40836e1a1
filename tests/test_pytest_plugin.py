"""`pytest --grade`: the verdicts are the grader's own, and a student's files are never pytest's settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from handed_in import UNDEFINED, WRONG, classroom, graded, scores, submission

from minigrad.grading import canary
from minigrad.grading.batch import How

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="grading needs walls, which Linux alone has")

OPTIONS = ["-p", "no:cacheprovider", "-p", "no:nbval", "-p", "no:hypothesispytest"]  # the others' plugins take a second


def run(*options: str | Path, folder: Path) -> subprocess.CompletedProcess:
    command = [Path(sys.executable).with_name("pytest"), *OPTIONS, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def cases(report: Path) -> dict[str, dict[str, ElementTree.Element]]:
    """By student and item."""
    found: dict[str, dict] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        found.setdefault(case.get("classname").removeprefix("class.").removesuffix(".ipynb"), {})[case.get("name")] = (
            case
        )
    return found


@pytest.fixture(scope="module")
def class_of_four(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pytest")
    classroom(
        folder / "class",
        ann=submission(),
        bob=submission(WRONG, UNDEFINED, first="%pip install torch\n1 / 0"),
        carl=b"Dear teacher, my notebook is attached.",
        dora=submission(first="print('\\x1b[2J')"),
    )
    (folder / "class/notes.txt").write_text("x")
    return folder


def test_the_same_verdicts_as_the_grader(class_of_four, monkeypatch, capfd):
    """Scores, reasons and the tutor's sentence, for right, wrong, mangled and no work; in the report for machines too."""
    monkeypatch.chdir(class_of_four)
    asked = ["--grade", "class", "--grade-set=4", "--grade-seed=1", "--junitxml=report.xml"]
    assert pytest.main([*OPTIONS, *asked]) == pytest.ExitCode.TESTS_FAILED  # in this process: coverage sees it
    said = capfd.readouterr().out
    found = cases(class_of_four / "report.xml")
    for student, record in graded(class_of_four / "class", How("04", seed=1)).items():
        whole = found[student].pop("04/notebook")
        assert (whole.find("failure") is not None) == bool(record.error)
        assert [c for c in found[student] if found[student][c].find("failure") is None] == [
            f"04/{id}" for id, score in scores(record).items() if score
        ]
        for item in record.items:
            case = found[student][f"04/{item.id}"]
            assert case.find(".//property[@name='score']").get("value") == str(item.score)
            if not item.passed:
                told = case.find("failure").get("message")
                assert item.reason in told and item.says in told
    assert "notes.txt" in said
    assert "\x1b" not in said


def test_one_task_and_what_else_happened(class_of_four):
    """-k chooses tasks; the item of the notebook shows cells that failed and commands that were not executed."""
    done = run("--grade", "class/bob.ipynb", "-k", "4.13 or notebook", "-rP", folder=class_of_four)
    assert done.returncode == 0, done.stdout
    assert "2 passed, 16 deselected" in done.stdout
    assert "ZeroDivisionError" in done.stdout
    assert "Not executed: %pip install torch" in done.stdout


def test_what_is_no_submission_is_said(class_of_four, monkeypatch, capfd):
    """A folder that is not there, one without notebooks, a set that does not exist: words, and no test that passes."""
    monkeypatch.chdir(class_of_four)
    Path("empty").mkdir(exist_ok=True)
    for options, said in (
        (("nowhere",), "no such file"),
        (("empty",), "no notebooks"),
        (("class", "--grade-set", "44"), "no set 44"),
    ):
        assert pytest.main([*OPTIONS, "--grade", *options]) == pytest.ExitCode.USAGE_ERROR
        assert said in "".join(capfd.readouterr())


def test_where_no_walls_hold_nothing_is_graded(class_of_four, monkeypatch, capfd):
    """Neither passed nor failed: the run ends."""

    def caught(zygote):
        raise canary.Unsafe("A student's code could read a file here.")

    monkeypatch.setattr(canary, "must_hold", caught)
    monkeypatch.chdir(class_of_four)
    assert pytest.main([*OPTIONS, "--grade", "class/ann.ipynb"]) == pytest.ExitCode.USAGE_ERROR
    said = capfd.readouterr().out
    assert "could read a file" in said and "passed" not in said and "failed" not in said


def test_a_notebook_of_no_set_is_one_failure(class_of_four, monkeypatch, capfd):
    """Nobody knows which tasks it was for."""
    monkeypatch.chdir(class_of_four)
    assert pytest.main([*OPTIONS, "--grade", "class/carl.ipynb"]) == pytest.ExitCode.TESTS_FAILED
    said = capfd.readouterr().out
    assert "Say --set" in said and "1 failed" in said


@pytest.mark.parametrize("place", ["pytest.ini", "conftest.py"])
def test_a_students_settings_are_not_obeyed(place, tmp_path, monkeypatch, capfd):
    """pytest reads settings where it is pointed at: a student could say there which code it loads."""
    folder = classroom(tmp_path / "ann", work=submission())
    trap = f"open({str(tmp_path / 'caught')!r}, 'w')"
    (folder / "t").mkdir()
    (folder / "t/conftest.py").write_text(trap)
    (folder / place).write_text("[pytest]\ntestpaths = t\n" if place == "pytest.ini" else trap)
    monkeypatch.chdir(tmp_path if place == "pytest.ini" else folder)
    submissions = "ann" if place == "pytest.ini" else "."
    assert pytest.main([*OPTIONS, "--grade", submissions]) == pytest.ExitCode.USAGE_ERROR
    said = capfd.readouterr().err
    assert place in said and "obey" in said
    assert not (tmp_path / "caught").exists()


def test_where_nothing_is_graded_the_plugin_loads_nothing(tmp_path):
    """It is there in every run of pytest wherever the package is installed: it must not cost them anything."""
    (tmp_path / "test_other.py").write_text(
        "import sys\ndef test_it():\n    assert 'minigrad.grading.pytest_plugin' in sys.modules\n"
        "    assert not {'minigrad.grading.batch', 'minigrad.classroom', 'matplotlib'} & set(sys.modules)\n"
    )
    done = run("-q", folder=tmp_path)
    assert done.returncode == 0, done.stdout
