"""Copied work is found through what copiers change, and honest work is not: ranked pairs, never a verdict.  And what a regrade changed."""

from __future__ import annotations

import csv
import json
import random
import time
from pathlib import Path

import pytest

from minigrad.grading import diff, similarity
from minigrad.grading.record import Item, Record
from minigrad.grading.similarity import K, Stub, W, pairs, tokens_of
from minigrad.grading.submissions import Submission, cells_of

ROOT = Path(__file__).parent.parent
STUB = cells_of((ROOT / "exercises/04-operations.ipynb").read_bytes()).cells


def handed_in(student: str, *codes: str, attempt: str = "") -> Submission:
    raw = json.dumps({"cells": [{"cell_type": "code", "source": code} for code in codes]}).encode()
    return Submission(student, student.title(), f"{student}{attempt}.ipynb", reader=lambda: raw)


def written(seed: int, n: int = 6) -> list[str]:
    """Functions that somebody wrote alone: no two seeds write the same."""
    rng = random.Random(seed)
    names = [f"{rng.choice('abcdefgh')}{rng.randrange(100)}" for _ in range(5)]

    def term() -> str:
        return rng.choice(
            [*names, f"np.fun_{rng.randrange(300)}(G)", f"{rng.randrange(99)}.0", f"A.at_{rng.randrange(300)}", "G.T"]
        )

    def line(i: int) -> str:
        return f"    {names[i % 5]} = {term()} {rng.choice('+-*/@')} ({term()} {rng.choice('+-*/')} {term()})"

    return [
        f"def task_{i}(G, A):\n" + "\n".join(map(line, range(5))) + f"\n    return {term()}, {term()}" for i in range(n)
    ]


def disguised(codes: list[str]) -> list[str]:
    """Renamed variables, other comments and spaces, cells in another order."""
    import re

    changed = [re.sub(r"\b([a-h]\d+)\b", r"my_\1", code) for code in codes]
    return [
        re.sub(r" ([-+*/@=]) ", r"   \1 ", code).replace("\n    ", "\n    # mine\n      ", 1) for code in changed[::-1]
    ]


CLASS = [handed_in(f"s{i:02}", *written(i)) for i in range(30)]


def test_a_disguised_copy_is_first():
    copy = handed_in("copy", *disguised(written(7)))
    first, *others = pairs([*CLASS, copy], STUB)
    assert (first.a.student, first.b.student, first.same) == ("copy", "s07", True)
    assert all(pair.shared < first.shared / 4 for pair in others)


def test_a_part_that_was_copied_is_found_among_own_work():
    partly = handed_in("part", *written(99, 4), *disguised(written(7))[:2])
    first, *others = pairs([*CLASS, partly], STUB)
    assert (first.a.student, first.b.student, first.same) == ("part", "s07", False)
    assert 0.15 < first.share_a < 0.6 and 0.15 < first.share_b < 0.6
    assert not others or others[0].weight < first.weight / 2


def test_what_the_stub_gave_does_not_count():
    stub = [(1, "import numpy as np\nimport matplotlib.pyplot as plt\nx = np.linspace(0, 1, 100).reshape(10, 10) + 1")]
    two = [handed_in(name, stub[0][1], *written(i)) for i, name in enumerate(("ann", "bob"), 50)]
    (with_it,), without = pairs(two, []), pairs(two, stub)
    assert with_it.shared - sum(pair.shared for pair in without) > 5
    assert pairs([handed_in("ann", stub[0][1]), handed_in("bob", stub[0][1])], stub) == [], "nobody wrote anything"


def test_what_everybody_found_does_not_count():
    """A short task has one right answer."""
    right = "def mul_backward(G, A, B):\n    return (G * B).reshape(A.shape), (G * A).reshape(B.shape)"
    many = [handed_in(f"s{i}", right, *written(i, 2)) for i in range(20)]
    (copied, *_) = pairs([*many, handed_in("copy", *disguised(written(3, 2)))], STUB)
    assert all(pair.weight < copied.weight / 4 for pair in pairs(many, STUB))
    assert len(pairs(many[:2], STUB)) == 1, "two out of two is not everybody"


def test_a_copy_that_went_round_is_not_taken_for_what_everybody_found():
    went_round = [handed_in(f"x{i:02}", *disguised(written(7))) for i in range(25)]
    found = [pair for pair in pairs([*CLASS, *went_round], STUB) if pair.same]
    assert len(found) == 25


def test_attempts_of_one_student_are_no_pair():
    again = [handed_in("ann", *written(1), attempt=f"-{i}") for i in range(3)]
    assert pairs(again, STUB) == []
    assert len(pairs([*again, handed_in("bob", *written(1))], STUB)) == 1


def test_every_long_enough_passage_in_common_is_found():
    """What winnowing promises: K + W - 1 tokens in common are seen, whatever stands around them."""
    rng = random.Random(0)
    stub = Stub([])
    for _ in range(50):
        shared = " ".join(f"x.a{rng.randrange(50)}" for _ in range(20)).split()
        passage = " + ".join(shared[: (K + W) // 2])
        assert len(tokens_of(passage)) >= K + W - 1
        one, other = (
            f"{' - '.join(f'y.b{rng.randrange(1000)}' for _ in range(rng.randrange(9)))}; {passage}; z.c{rng.randrange(99)}"
            for _ in range(2)
        )
        prints = [stub.print_of(handed_in("a", code)) for code in (one, other)]
        assert set(prints[0].marks.tolist()) & set(prints[1].marks.tolist())


@pytest.mark.parametrize(
    "code", ["def f(:\n  '''", '!pip install x\n%%bash\n"', "\ud800 \0 \x1b[2J", "é = 'ü' " * 40, "'" * 1001]
)
def test_code_that_is_no_python_is_compared_all_the_same(code, tmp_path):
    similarity.report([handed_in("ann", code, *written(1)), handed_in("bob", code, *written(2))], STUB, tmp_path)


def test_what_can_not_be_read_is_left_out(tmp_path):
    def fails() -> bytes:
        raise ValueError("a symbolic link")

    broken = [Submission("eve", "", "eve.ipynb", reader=fails), Submission("mal", "", "mal.ipynb", reader=lambda: b"{")]
    assert similarity.report([*CLASS[:2], *broken], STUB, tmp_path) == similarity.report(CLASS[:2], STUB, tmp_path)
    assert similarity.report([], STUB, tmp_path) == []
    assert "No two submissions" in (tmp_path / "similarity.html").read_text()


def test_the_report_marks_what_is_shared_and_nothing_in_it_acts(tmp_path):
    evil = Submission(
        "=1+1", "<script>x</script>", "../x\x1b.ipynb", reader=handed_in("", *written(7), "<img src=x>").read
    )
    similarity.report([*CLASS, evil], STUB, tmp_path)
    page = (tmp_path / "similarity.html").read_text(encoding="utf-8")
    assert "<script>" not in page and "<img" not in page and "\x1b" not in page
    assert "<mark>def task_0(G, A):</mark>" in page
    with open(tmp_path / "similarity.csv", encoding="utf-8-sig", newline="") as file:
        (row, *_) = csv.DictReader(file)
    assert (row["student_a"], row["student_b"], row["share_a"]) == ("'=1+1", "s07", "0.8571") or row[
        "student_a"
    ] == "'=1+1"


def test_the_order_of_the_submissions_does_not_matter():
    def told(found):
        return [(p.a.student, p.b.student, round(p.weight, 6), p.shared) for p in found]

    assert told(pairs(CLASS, STUB)) == told(pairs(CLASS[::-1], STUB))


@pytest.mark.slow
def test_a_thousand_submissions_take_seconds():
    many = [handed_in(f"s{i}", *written(i, 17)) for i in range(1000)]
    start = time.process_time()  # the machine may be busy
    first, *_ = pairs([*many, handed_in("copy", *disguised(written(500, 17)))], STUB)
    assert {first.a.student, first.b.student} == {"copy", "s500"}
    assert time.process_time() - start < 60


# ---------------------------------------------------------------- what a regrade changed


def record(student: str, *scores: float, **more) -> Record:
    items = [Item(f"4.{i}", "t", 3, score, "" if score == 3 else "wrong") for i, score in enumerate(scores, 1)]
    return Record(student, f"{student}.ipynb", "", "04", tuple(items), **more)


def test_a_diff_names_student_task_and_reason(tmp_path):
    old = [record("ann", 3, 0), record("bob", 0, 0), record("carol", 3)]
    new = [
        record("bob", 3, 3),
        record("ann", 3, 3),
        record("bob", 0, 3),
        record("dan", 3),
    ]  # bob twice: the last counts
    found = diff.changes(old, new)
    assert [(c.student, c.task, c.before, c.after) for c in found] == [
        ("ann", "4.2", 0, 3),
        ("bob", "4.2", 0, 3),
        ("carol", "", 3, None),
        ("dan", "", None, 3),
    ]
    assert diff.text(found).splitlines()[::2] == [
        "ann, 4.2: 0 → 3",
        "carol, carol.ipynb: 3 → nothing",
        "4 changes, 4 students.",
    ]
    assert diff.changes(old, old) == [] and diff.text([]) == "Nothing changed."
    down = diff.changes([record("=x\x1b", 3)], [record("=x\x1b", 0)])
    assert diff.text(down).startswith("=x\\x1b, 4.1: 3 → 0. wrong")
    diff.write(down, tmp_path / "d.csv")
    assert (tmp_path / "d.csv").read_text(encoding="utf-8-sig").splitlines() == [
        "student,file,task,before,after,reason",
        "'=x\\x1b,'=x\\x1b.ipynb,4.1,3,0,wrong",
    ]


def test_a_diff_is_in_the_order_of_the_tasks():
    found = diff.changes([record("ann", *[3] * 12)], [record("ann", *[0] * 12)])
    assert [c.task for c in found] == [f"4.{i}" for i in range(1, 13)]
