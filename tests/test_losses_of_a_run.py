"""What ends a run in the middle costs nothing but time: each submission is recorded once, with the score that it gets alone."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from attacks import POINTS, RELU, instead, packed, right
from handed_in import graded, hears_ctrl_c

from minigrad.grading import canary, one, reports
from minigrad.grading.batch import Grader, How, grade_all
from minigrad.grading.cli import main
from minigrad.grading.ledger import Ledger
from minigrad.grading.submissions import find

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")
WRONG = packed(instead(right(), "4.13", ["def relu_backward(G, X):\n    return G"]))
SLOW = packed(
    instead(right(), "4.13", ["import time\ntime.sleep(1.2)\ndef relu_backward(G, X):\n    return G * (X > 0)"])
)


def a_class(folder: Path, count: int, slow: int = 0) -> Path:
    """Every third is wrong in one task; the last `slow` of them take their time."""
    folder.mkdir()
    for i in range(count):
        raw = SLOW if i >= count - slow else WRONG if i % 3 == 2 else packed(right())
        (folder / f"s{i:02}.ipynb").write_bytes(raw)
    return folder


def scores(out: Path) -> dict[str, float]:
    """What the records say; each submission stands there once."""
    lines = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert set(Counter(line["file"] for line in lines).values()) <= {1}
    assert not any(line["error"] for line in lines)
    return {line["student"]: sum(item["score"] for item in line["items"]) for line in lines}


def expected(count: int, slow: int = 0) -> dict[str, float]:
    return {f"s{i:02}": POINTS - RELU * (i % 3 == 2 and i < count - slow) for i in range(count)}


def grade(source: Path, out: Path, *more: str) -> list[str]:
    return ["grade", str(source), "--out", str(out), "--set", "04", *more]


def command(*arguments: str, **options) -> subprocess.Popen:
    options = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        "preexec_fn": hears_ctrl_c,
    } | options
    return subprocess.Popen(
        [sys.executable, "-m", "minigrad.grading.cli", *arguments], start_new_session=True, **options
    )


def until(what, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return found


def recorded(out: Path) -> int:
    path = out / "records.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_ctrl_c_in_the_middle_and_going_on(tmp_path):
    source, out = a_class(tmp_path / "class", 40, slow=6), tmp_path / "out"
    run = command(*grade(source, out, "--jobs", "2"))
    until(lambda: recorded(out) >= 5)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all of them
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 130 and "goes on" in said, said
    assert 5 <= recorded(out) < 40 and "Traceback" not in said
    assert main(grade(source, out, "--jobs", "2")) == 0
    assert scores(out) == expected(40, slow=6)


def test_ctrl_c_while_the_reports_are_written(tmp_path, monkeypatch, capsys):
    """Words and no traceback, wherever it comes."""
    source, out = a_class(tmp_path / "class", 1), tmp_path / "out"

    def stopped(*_) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(reports, "write", stopped)
        assert main(grade(source, out)) == 130
    assert "goes on" in capsys.readouterr().err
    assert main(grade(source, out)) == 0
    assert scores(out) == expected(1) and (out / "grades.csv").exists()


def test_a_worker_that_is_killed_costs_nothing(tmp_path):
    """And so does its zygote, which sees that it has nobody to work for."""
    source, out = a_class(tmp_path / "class", 16, slow=6), tmp_path / "out"
    run = command(*grade(source, out, "--jobs", "2"))
    until(lambda: recorded(out) >= 3)
    workers = [p for p in psutil.Process(run.pid).children() if p.children()]
    beneath = workers[0].children(recursive=True)
    workers[0].kill()
    said, _ = run.communicate(timeout=100)
    assert run.returncode == 0, said
    assert scores(out) == expected(16, slow=6)
    assert not psutil.wait_procs(beneath, timeout=10)[1]


def test_a_zygote_that_is_killed_costs_nothing(tmp_path):
    source = a_class(tmp_path / "class", 6)
    grader = Grader(How("04"))
    try:
        with Ledger(tmp_path / "out") as ledger:
            for n, _ in enumerate(grade_all(find(source), ledger, grader)):
                if n in (1, 3):
                    os.kill(grader.zygotes["04"].process.pid, signal.SIGKILL)
    finally:
        grader.close()
    assert scores(tmp_path / "out") == expected(6)


MOMENTS = [pytest.param(i, marks=[pytest.mark.slow] if i % 16 else []) for i in range(0, 100, 2)]  # % of a run


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_zygote_that_is_killed_at_any_moment_costs_nothing(tmp_path, moment, inner, undisturbed):
    """While it starts, while the canary is there, while a copy is made, loads, computes: `inner`, or the process that holds its world."""
    grader = Grader(How("04"))
    source = a_class(tmp_path / "class", 2)

    def kill() -> None:
        until(lambda: "04" in grader.zygotes and grader.zygotes["04"].process, 10)
        time.sleep(moment / 100 * undisturbed)
        with contextlib.suppress(AttributeError, psutil.NoSuchProcess):  # the run is over already
            outer = psutil.Process(grader.zygotes["04"].process.pid)
            (outer.children() or [outer] if inner else [outer])[0].kill()

    with ThreadPoolExecutor() as threads, grader, Ledger(tmp_path / "out") as ledger:
        killed = threads.submit(kill)
        for _ in grade_all(find(source), ledger, grader):
            pass
        killed.result()
    assert scores(tmp_path / "out") == expected(2)
    assert not any(zygote.scratch.exists() for zygote in grader.zygotes.values())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> float:
    """Seconds for two submissions and all that comes before them."""
    folder = tmp_path_factory.mktemp("undisturbed")
    source, began = a_class(folder / "class", 2), time.monotonic()
    assert len(graded(source, How("04"))) == 2
    return time.monotonic() - began


def test_every_zygote_is_tried_before_it_is_copied_for_a_student(tmp_path, monkeypatch):
    """A second one might come to stand behind other walls."""
    seen = []
    must_hold, load = canary.must_hold, one.load
    monkeypatch.setattr(canary, "must_hold", lambda zygote: (must_hold(zygote), seen.append(zygote.process.pid)))

    def loaded(run, child, names):
        assert child.zygote.process.pid == seen[-1]
        if len(seen) < 3:  # of the second as well, in the same submission
            os.kill(seen[-1], signal.SIGKILL)
        return load(run, child, names)

    monkeypatch.setattr(one, "load", loaded)
    records = graded(a_class(tmp_path / "class", 1), How("04"))
    assert len(seen) == len(set(seen)) == 3
    assert {student: record.score for student, record in records.items()} == expected(1)
    assert not any(record.error for record in records.values())


def test_a_zygote_that_is_killed_each_time_is_not_blamed_on_the_student(tmp_path, monkeypatch):
    """The submission is put aside with the reason, the next run tries it again, and the others are graded."""
    source, out, load = a_class(tmp_path / "class", 3), tmp_path / "out", one.load
    submissions = iter(range(10))

    def killed(run, child, names):
        os.kill(child.zygote.process.pid, signal.SIGKILL)
        return load(run, child, names)

    with Grader(How("04")) as grader, Ledger(out) as ledger:
        for record in grade_all(find(source), ledger, grader):
            n = next(submissions)
            assert bool(record.error) == (n == 1) and (n != 1 or "interrupted" in record.error), record.error
            monkeypatch.setattr(one, "load", killed if n == 0 else load)
    assert main(grade(source, out)) == 0
    with Ledger(out) as ledger:
        assert not any(record.error for record in ledger.records())


def test_a_zygote_that_is_killed_while_a_student_computes(tmp_path):
    """Its copies end with it: nobody goes on computing for nobody."""
    source, out = a_class(tmp_path / "class", 3, slow=3), tmp_path / "out"
    run = command(*grade(source, out, "--jobs", "1"))
    until(lambda: recorded(out))  # so that it is not the canary whose zygote is killed
    zygote = until(lambda: [p for p in psutil.Process(run.pid).children(recursive=True) if p.children()])[0]
    beneath = until(lambda: zygote.is_running() and len(found := zygote.children(recursive=True)) >= 2 and found)
    zygote.kill()
    said, _ = run.communicate(timeout=100)
    assert run.returncode == 0, said
    assert not psutil.wait_procs(beneath, timeout=10)[1]
    assert set(scores(out)) == {"s00", "s01", "s02"}
    assert scores(out) == expected(3, slow=3)


def test_the_whole_run_is_killed(tmp_path):
    """Nothing is left running, no folder is left behind, and the next run goes on."""
    source, out = a_class(tmp_path / "class", 12, slow=4), tmp_path / "out"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    run = command(*grade(source, out, "--jobs", "2"), env=os.environ | {"TMPDIR": str(temporary)})
    until(lambda: recorded(out) >= 2)
    beneath = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    run.wait()
    assert not psutil.wait_procs(beneath, timeout=10)[1]
    if len(beneath) > 4:  # with namespaces, whose outer process clears up
        until(lambda: not list(temporary.glob("minigrad-grading-*")), 10)
    assert main(grade(source, out, "--jobs", "2")) == 0
    assert scores(out) == expected(12, slow=4)
    run.stdout.close()


def test_a_line_that_was_cut_off_is_graded_again(tmp_path):
    source, out = a_class(tmp_path / "class", 3), tmp_path / "out"
    assert main(grade(source, out)) == 0
    path = out / "records.jsonl"
    for cut in (1, 200, len(path.read_bytes().splitlines()[-1])):
        path.write_bytes(path.read_bytes()[:-cut])
        assert main(grade(source, out)) == 0
        assert scores(out) == expected(3)


def test_two_runs_into_one_folder(tmp_path, capsys):
    source, out = a_class(tmp_path / "class", 2), tmp_path / "out"
    with Ledger(out):
        assert main(grade(source, out)) == 2
        assert "another run" in capsys.readouterr().err
    assert main(grade(source, out)) == 0
    assert scores(out) == expected(2)


def test_a_disk_that_is_full(tmp_path):
    """It says so, what was recorded stays, and the next run goes on."""
    source, out = a_class(tmp_path / "class", 8), tmp_path / "out"

    def small() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    unmeasured = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")
    }  # it writes, too
    run = command(*grade(source, out, "--jobs", "1"), preexec_fn=small, env=unmeasured)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 2 and "minigrad grade:" in said and "Traceback" not in said, said
    assert 0 < recorded(out) < 8
    assert main(grade(source, out)) == 0
    assert scores(out) == expected(8)


def test_a_file_that_can_not_be_read(tmp_path):
    """It is recorded with the reason; the others are graded."""
    source, out = a_class(tmp_path / "class", 3), tmp_path / "out"
    (source / "s01.ipynb").unlink()
    (source / "s01.ipynb").symlink_to("/etc/passwd")
    (source / "s02.ipynb").unlink()
    os.mkfifo(source / "s02.ipynb")
    assert main(grade(source, out)) == 0
    lines = {line["student"]: line for line in map(json.loads, (out / "records.jsonl").read_text().splitlines())}
    assert sum(item["score"] for item in lines["s00"]["items"]) == POINTS
    for student in ("s01", "s02"):
        assert lines[student]["error"] and not sum(item["score"] for item in lines[student]["items"])
