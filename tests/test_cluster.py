"""`minigrad grade --cluster`: whatever happens to workers, each submission is recorded once, with the score of one machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Pipe
from pathlib import Path
from types import SimpleNamespace

import pytest
from handed_in import ROOT, WRONG, classroom, graded, hears_ctrl_c, scores, submission

from minigrad.grading import batch, canary
from minigrad.grading.batch import How
from minigrad.grading.cli import main
from minigrad.grading.ledger import Ledger
from minigrad.grading.submissions import find

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="grading needs walls, which Linux alone has"),
    pytest.mark.filterwarnings("default"),  # Dask's own
]

try:
    from distributed import Client, KilledWorker, LocalCluster

    from minigrad.grading import cluster
except ImportError:
    (pytest.fail if "MINIGRAD_CI" in os.environ else pytest.skip)(
        "distributed is not installed", allow_module_level=True
    )

SLOW = "import time\ntime.sleep(0.1)"  # so that there is a midway


def wait_until(done, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.05)


class Cluster:
    """A scheduler and workers, each a process of its own, as on several machines."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workers = folder, []
        self.file = folder / "scheduler.json"
        self.scheduler = self.start(
            "scheduler",
            "--scheduler-file",
            self.file,
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--dashboard-address",
            "127.0.0.1:0",
        )

    @property
    def address(self) -> str:
        """Where the scheduler is, once it has written that down."""
        wait_until(lambda: self.file.exists() and self.file.read_text().rstrip().endswith("}"))
        return json.loads(self.file.read_text())["address"]

    def start(self, what: str, *options) -> subprocess.Popen:
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *map(str, options)]
        with open(self.folder / f"{what}.log", "ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def worker(self) -> subprocess.Popen:
        options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", self.folder]
        self.workers.append(self.start("worker", self.address, *options))
        return self.workers[-1]

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def two_workers(tmp_path):
    made = Cluster(tmp_path)
    try:
        made.worker()
        made.worker()
        yield made
    finally:
        made.close()


def grade(address: str, folder: Path, out: Path, *options: str) -> subprocess.Popen:
    command = [
        Path(sys.executable).with_name("minigrad"),
        "grade",
        folder,
        "--out",
        out,
        "--cluster",
        address,
        "--seed",
        "5",
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([*command, *options], **pipes, preexec_fn=hears_ctrl_c)


def recorded(out: Path) -> list[dict]:
    try:
        return [
            json.loads(line)
            for line in (out / "records.jsonl").read_text().splitlines(keepends=True)
            if line.endswith("\n")
        ]
    except FileNotFoundError:
        return []


def children_of(pid: int) -> list[int]:
    return [int(x) for path in Path(f"/proc/{pid}/task").glob("*/children") for x in path.read_text().split()]


@pytest.mark.slow
def test_a_worker_dies_midway_and_each_submission_is_recorded_once(two_workers, tmp_path):
    """Sixty submissions; kill -9 of one of two workers after fifteen: the other does its work, with the same scores."""
    kinds = {"right": submission(first=SLOW), "wrong": submission(WRONG, first=SLOW), "rubbish": b"no notebook"}
    students = {f"s{i:02}": list(kinds.values())[i % 20 == 7 and 2 or i % 3 == 1] for i in range(60)}
    folder = classroom(tmp_path / "class", **students)
    run = grade(two_workers.address, folder, tmp_path / "out", "--set", "04")
    wait_until(lambda: len(recorded(tmp_path / "out")) >= 15 or run.poll() is not None)
    assert run.poll() is None, run.communicate()[0]
    victim = two_workers.workers[0]
    (grader,) = children_of(victim.pid)
    (zygote,) = children_of(grader)
    victim.kill()
    said = run.communicate(timeout=300)[0]
    assert run.returncode == 0, said
    assert len(recorded(tmp_path / "out")) == 60
    assert set(Counter(record["file"] for record in recorded(tmp_path / "out")).values()) == {1}
    alone = graded(classroom(tmp_path / "alone", **kinds), How("04", seed=5))
    with Ledger(tmp_path / "out") as ledger:
        for record in ledger.records():
            known = alone[next(kind for kind in kinds if kinds[kind] == students[record.student])]
            assert [(i.id, i.score, i.reason, i.seed) for i in record.items] == [
                (i.id, i.score, i.reason, i.seed) for i in known.items
            ]
            assert record.error or "seccomp" in record.layers
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (grader, zygote)), 20)  # nothing outlives it
    wait_until(lambda: not children_of(two_workers.workers[1].pid), 20)


@pytest.mark.slow
def test_stopped_by_ctrl_c_it_goes_on(two_workers, tmp_path):
    """What was graded is kept, the workers are free again, and the same command does the rest."""
    folder = classroom(tmp_path / "class", **{f"s{i}": submission(first=SLOW + f"  # {i}") for i in range(12)})
    run = grade(two_workers.address, folder, tmp_path / "out")
    wait_until(lambda: len(recorded(tmp_path / "out")) >= 3 or run.poll() is not None)
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=120)[0]
    assert run.returncode == 130, said
    assert "goes on where this one was" in said
    wait_until(lambda: not any(children_of(worker.pid) for worker in two_workers.workers), 20)
    before = recorded(tmp_path / "out")
    assert 3 <= len(before) < 12
    run = grade(two_workers.address, folder, tmp_path / "out")
    said = run.communicate(timeout=120)[0]
    assert run.returncode == 0, said
    after = recorded(tmp_path / "out")
    assert after[: len(before)] == before and len(after) == 12
    assert {r["file"] for r in after} == {f"s{i}.ipynb" for i in range(12)}


@pytest.mark.slow
def test_an_own_set_goes_with_the_submissions(two_workers, tmp_path):
    """A worker on another machine has no such folder."""
    own = tmp_path / "own"
    shutil.copytree(ROOT / "tests/private", own)
    assert main(["notebooks", str(own)]) == 0
    solved = (own / "09-norms.ipynb").read_bytes()
    folder = classroom(tmp_path / "class", ann=solved, bob=(own / "exercises/09-norms.ipynb").read_bytes())
    how = How(tasks=own, seed=1)
    with Client(two_workers.address):
        records = {r.student: r for r in cluster.on_cluster(map(batch.loaded, find(folder)), how, two_workers.address)}
    assert {name: record.score for name, record in records.items()} == {"ann": 5, "bob": 0}
    assert records["ann"].versions == graded(folder, how)["ann"].versions


@pytest.mark.slow
def test_what_kills_workers_is_recorded_and_named(two_workers, tmp_path, monkeypatch):
    """Workers that come back are killed again and again: the one submission is given up, with a reason, and no other."""

    def killing(submission, how, files):  # defined here, so that it goes to the workers by value
        if submission.student == "killer":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.2)
        return batch.ungraded(submission, "", "looked at")

    monkeypatch.setattr(cluster, "at_worker", killing)
    stop = threading.Event()

    def replace_dead() -> None:
        while not stop.wait(0.2):
            if any(worker.poll() is not None for worker in two_workers.workers[-2:]):
                two_workers.worker()

    keeper = threading.Thread(target=replace_dead)
    keeper.start()
    folder = classroom(tmp_path / "class", **dict.fromkeys(("ann", "bob", "carl", "killer", "zoe"), submission()))
    try:
        work = map(batch.loaded, find(folder))
        records = list(cluster.on_cluster(work, How("04"), two_workers.address))
    finally:
        stop.set()
        keeper.join()
    said = {record.student: record.error for record in records}
    assert len(records) == len(said) == 5
    assert "Every worker" in said.pop("killer")
    assert set(said.values()) == {"looked at"}


@pytest.mark.slow
def test_a_worker_whose_walls_do_not_hold_ends_the_run(two_workers, tmp_path, monkeypatch):
    """Loudly, and with nothing recorded."""

    def unsafe(submission, how, files):
        raise canary.Unsafe("On node7: a student's code could read a file here.")

    monkeypatch.setattr(cluster, "at_worker", unsafe)
    folder = classroom(tmp_path / "class", ann=submission(), bob=submission())
    assert main(["grade", str(folder), "--out", str(tmp_path / "out"), "--cluster", two_workers.address]) == 2
    assert not recorded(tmp_path / "out")


def test_no_cluster_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT", 1)
    folder = classroom(tmp_path / "class", ann=submission())
    command = ["grade", str(folder), "--out", str(tmp_path / "out"), "--cluster", "tcp://127.0.0.1:1"]
    assert main(command) == 2
    assert "The cluster at tcp://127.0.0.1:1 does not answer" in capsys.readouterr().err


# ---------------------------------------------------------------- quick: a cluster that lives in this process


@pytest.fixture(scope="module")
def small() -> Iterator[str]:
    about = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "processes": False}
    with LocalCluster(**about, silence_logs=50) as made:
        yield made.scheduler_address


def test_scores_are_those_of_one_machine(small, tmp_path):
    """Right, wrong, and no notebook at all; no grader stays behind."""
    folder = classroom(tmp_path / "class", ann=submission(), bob=submission(WRONG), carl=b"no notebook")
    how = How("04", seed=2)
    found = {r.student: r for r in cluster.on_cluster(map(batch.loaded, find(folder)), how, small)}
    assert {name: scores(r) for name, r in found.items()} == {n: scores(r) for n, r in graded(folder, how).items()}
    assert not cluster._all and not cluster._idle


def test_a_grader_that_ends_is_replaced_once(small, tmp_path, monkeypatch):
    """What a submission does to the grader costs that submission alone."""
    call = cluster.Remote.__call__

    tried: list[str] = []

    def dying(remote, submission):
        tried.append(submission.student)
        if submission.student == "bob" or tried.count(submission.student) < 2 and submission.student == "once":
            remote.process.kill()
            remote.process.wait()
        return call(remote, submission)

    monkeypatch.setattr(cluster.Remote, "__call__", dying)
    folder = classroom(tmp_path / "class", **dict.fromkeys(("ann", "bob", "once"), submission()))
    found = {r.student: r for r in cluster.on_cluster(map(batch.loaded, find(folder)), How("04"), small)}
    assert found["ann"].score == found["once"].score == 30
    assert "twice" in found["bob"].error


def test_workers_of_another_version_are_refused(small, tmp_path, monkeypatch):
    """Half a class judged by an older set would be unjust, and nobody would see it."""
    monkeypatch.setattr(cluster, "versions", lambda the_set: {"set": "another", "grader": "0"})
    folder = classroom(tmp_path / "class", ann=submission())
    with pytest.raises(RuntimeError, match="another version"):
        list(cluster.on_cluster(map(batch.loaded, find(folder)), How("04"), small))


def test_a_death_is_tried_alone_before_it_is_blamed_on_a_submission(small, tmp_path, monkeypatch):
    """Dask gives up what was at several workers that died, guilty or not."""

    def killing(submission, how, files):
        if submission.student == "killer":
            raise KilledWorker("task", SimpleNamespace(address="tcp://gone:1"), 3)
        return batch.ungraded(submission, "", "looked at")

    monkeypatch.setattr(cluster, "at_worker", killing)
    folder = classroom(tmp_path / "class", **dict.fromkeys(("ann", "killer", "zoe"), submission()))
    found = {r.student: r.error for r in cluster.on_cluster(map(batch.loaded, find(folder)), How("04"), small)}
    assert "Every worker" in found.pop("killer")
    assert set(found.values()) == {"looked at"}


def test_walls_that_do_not_hold_on_a_worker_end_the_run(small, tmp_path, monkeypatch):
    """Said with the name of the machine, and no grader stays behind."""

    def unsafe(remote, submission):
        raise canary.Unsafe("A student's code could read a file here.")

    monkeypatch.setattr(cluster.Remote, "__call__", unsafe)
    folder = classroom(tmp_path / "class", ann=submission())
    with pytest.raises(canary.Unsafe, match="On .*could read a file"):
        list(cluster.on_cluster(map(batch.loaded, find(folder)), How("04"), small))
    assert not cluster._all


def test_what_a_grader_hears_and_says(tmp_path):
    """Its own process, run here: how, an own set's files, submissions; then the connection is closed."""
    shutil.copytree(ROOT / "tests/private", tmp_path / "own")
    assert main(["notebooks", str(tmp_path / "own")]) == 0
    ours, theirs = Pipe()
    solved = classroom(tmp_path / "class", ann=(tmp_path / "own/09-norms.ipynb").read_bytes())
    ours.send((How("09", seed=1), cluster.shipped(tmp_path / "own")))
    for one in map(batch.loaded, find(solved)):
        ours.send(one)
    received: list = []

    def listen() -> None:
        received.append(ours.recv())
        ours.close()

    listening = threading.Thread(target=listen)
    listening.start()
    cluster.serve(theirs)
    listening.join()
    assert received[0].score == 5
