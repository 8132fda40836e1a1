"""Hostile submissions get what they earned and touch nothing; honest ones that look hostile get all their points."""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from attacks import ID, POINTS, SOLUTION, Attack, code, packed, read, right
from attacks.files import MADE

from minigrad.classroom.limits import TookTooLong, time_limit
from minigrad.grading import one
from minigrad.grading.batch import Bytes, Grader, How, grade_all, recognised
from minigrad.grading.ledger import Ledger
from minigrad.grading.pool import on_processes
from minigrad.grading.record import Record
from minigrad.grading.submissions import Submission

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")
ATTACKS = [*read("dos"), *read("cheat"), *read("honest"), *MADE]
LIMIT = 2  # seconds, in the place of the real ones
ENDING = 15  # seconds that a submission may take beyond its limits: the machine may be busy


@dataclass
class World:
    """What a submission would like to reach, and a grader that it should not get out of."""

    folder: Path
    port: int
    grader: Grader

    @property
    def names(self) -> tuple:
        return str(self.folder / "mark"), str(self.folder / "results"), str(SOLUTION), self.port, os.getpid()

    def grade(self, raw: bytes) -> Record:
        return self.grader(submission("eve", raw))

    def state(self) -> dict:
        """All that must be the same before and after."""
        me = psutil.Process()
        zygotes = [z.process.pid for z in self.grader.zygotes.values() if z.process]
        known = {p.pid for z in zygotes for p in [psutil.Process(z), *psutil.Process(z).children(recursive=True)]}
        return {
            "processes": sorted(p.pid for p in me.children(recursive=True) if p.pid not in known and alive(p)),
            "of the zygotes": len(known) // max(1, len(zygotes)),
            "ports": sorted(c.laddr for c in me.net_connections() if c.status == "LISTEN"),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "files": {
                str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
                for path in sorted(self.folder.rglob("*"))
            },
            "scratch": [name for z in self.grader.zygotes.values() if z.process for name in os.listdir(z.scratch)],
            "elsewhere": [
                p for p in ("/tmp/left", "/tmp/left-by-a-student", "/dev/shm/left-by-a-student") if os.path.exists(p)
            ],
            "solution": SOLUTION.stat().st_mtime_ns,
        }


def alive(process: psutil.Process) -> bool:
    """Not one that has ended and was left to us."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def submission(student: str, raw: bytes) -> Submission:
    return Submission(student, student, f"{student}.ipynb", reader=Bytes(raw))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    (folder / "results").mkdir()
    for name in ("records.jsonl", "grades.csv"):
        (folder / "results" / name).write_text("the grade book\n")
    os.environ["COURSE_TOKEN"] = "SECRET"
    orphans_come_to_us, off = 36, 0
    ctypes.CDLL(None).prctl(orphans_come_to_us, 1, 0, 0, 0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        grader = Grader(How("04"))
        made = World(folder, server.getsockname()[1], grader)
        assert made.grade(packed(right())).score == POINTS  # the canary has been there, and all walls stand
        yield made
        grader.close()
    ctypes.CDLL(None).prctl(orphans_come_to_us, off, 0, 0, 0)
    del os.environ["COURSE_TOKEN"]
    assert not any(z.scratch.exists() for z in grader.zygotes.values())


def soon(attack: Attack, monkeypatch) -> None:
    """Limits that do not keep us waiting, for those that wait for them."""
    if attack.slow and attack.kind in ("dos", "cheat"):
        for name in ("CELL_SECONDS", "SECONDS"):
            monkeypatch.setattr(one, name, LIMIT)


def named(attacks: list[Attack]) -> list:
    return [
        pytest.param(a, id=f"{a.kind}: {a.name}".replace(" ", "_"), marks=[pytest.mark.slow] * a.slow) for a in attacks
    ]


def problems(attack: Attack, record: Record) -> list[str]:
    """What is not as it should be about a record."""
    item = next((i for i in record.items if i.id == ID), None)
    told = " | ".join([item.reason if item else "", record.error, *(i.reason for i in record.items[:5])])
    wrong = []
    if record.score != attack.score:
        lost = [(i.id, i.reason) for i in record.items if not i.passed]
        wrong.append(f"{record.score:g} points and not {attack.score:g}; lost {lost[:3]}, error {record.error!r}")
    if attack.says and not any(words in told for words in attack.says):
        wrong.append(f"it says {told!r}")
    if missing := [words for words in attack.notes if not any(words in note for note in record.notes)]:
        wrong.append(f"no note says {missing}; the notes are {record.notes[:5]}")
    if "BREACH" in record.output:
        wrong.append(f"something came through: {record.output[:1000]}")
    if len(record.to_json()) > 1_000_000:
        wrong.append(f"the record has {len(record.to_json()):,} characters")
    if not all(item.passed or item.reason for item in record.items):
        wrong.append("a task has no reason")
    if attack.kind != "file" and not {"landlock", "seccomp", "limits"} <= set(record.layers):
        wrong.append(f"walls are missing: {record.layers}")
    return wrong


@pytest.mark.parametrize("attack", named(ATTACKS))
def test_each_alone(attack, world, monkeypatch):
    soon(attack, monkeypatch)
    before = world.state()
    raw, began = attack.notebook(*world.names), time.monotonic()
    record = world.grade(raw)
    seconds = time.monotonic() - began
    after = world.state()
    assert not problems(attack, record)
    assert after == before
    assert seconds < 4 * LIMIT + ENDING
    if attack.kind in ("dos", "cheat"):
        after = world.grade(packed(right()))  # the next one finds nothing, and gets all that is due
        assert after.score == POINTS, after.items


def in_a_class(attacks: list[Attack], world: World, folder: Path, jobs: int) -> None:
    """All of them in any order, with as many honest ones between them; each gets what it gets alone."""
    work = {f"{a.kind}-{i}": a for i, a in enumerate(attacks)}
    honest = packed(right())
    everybody = [submission(s, a.notebook(*world.names)) for s, a in work.items()]
    everybody += [submission(f"good-{i}", honest) for i in range(len(work))]
    random.Random(5).shuffle(everybody)
    before = world.state()
    with Ledger(folder) as ledger:
        records = {
            r.student: r
            for r in grade_all(iter(everybody), ledger, world.grader, lambda work: on_processes(work, How("04"), jobs))
        }
        assert sorted(r.student for r in ledger.records()) == sorted(s.student for s in everybody)
    after = world.state()
    assert {k: v for k, v in after.items() if k != "descriptors"} == {
        k: v for k, v in before.items() if k != "descriptors"
    }
    wrong = {a.name: found for s, a in work.items() if (found := problems(a, records[s]))}
    ours = [a for a in attacks if a.kind in ("dos", "cheat")]
    theirs = [a for a in attacks if a.kind in ("honest", "file")]
    print(
        f"attacks contained {sum(a.name not in wrong for a in ours)}/{len(ours)}, "
        f"honest-but-mangled graded in full {sum(a.name not in wrong for a in theirs)}/{len(theirs)}"
    )
    assert not wrong
    assert all(records[f"good-{i}"].score == POINTS for i in range(len(work)))


def test_a_class_of_quick_ones(world, tmp_path):
    """An eighth of them, on two processes."""
    in_a_class([a for a in ATTACKS if not a.slow][::8], world, tmp_path, 2)


@pytest.mark.slow
def test_a_class_of_all(world, tmp_path, monkeypatch):
    for name in ("CELL_SECONDS", "SECONDS"):
        monkeypatch.setattr(one, name, 2 * LIMIT)
    in_a_class(ATTACKS, world, tmp_path, 2)


@pytest.mark.slow
def test_the_real_limits(world):
    """A task that hangs costs its own seconds and no more; the others have theirs."""
    attack = next(a for a in ATTACKS if a.name == "sleeps for years")
    began = time.monotonic()
    record = world.grade(attack.notebook(*world.names))
    assert not problems(attack, record)
    assert one.SECONDS <= time.monotonic() - began < one.SECONDS + ENDING


def test_the_set_of_a_notebook_is_found_in_linear_time():
    """Empty lines without end once kept the grader itself busy for days, outside of all limits."""
    lines = packed([code("\n" * 3_000_000 + 'check("4.1", 1)'), code("check(" + " " * 1_000_000)])
    began = time.process_time()
    assert recognised(submission("eve", lines)) == "04"
    assert time.process_time() - began < 5


def test_a_time_limit_within_a_time_limit():
    """The inner one ends, and the outer one still rings: values that keep the grader busy are not looked at for ever."""
    with pytest.raises(TookTooLong):
        with time_limit(0.2):
            with time_limit(10):
                pass
            time.sleep(5)


def test_there_are_as_many_as_we_say():
    """Thirty-six ideas that others have had, and more than forty of our own; none stands there twice."""
    names = [a.name for a in ATTACKS]
    assert len(names) == len(set(names)) >= 36 + 45
    assert {a.kind for a in ATTACKS} == {"dos", "cheat", "honest", "file"}
