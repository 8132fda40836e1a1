"""What a student sees: verdicts that say what is wrong in the student's own terms, and never fall over."""

from __future__ import annotations

import importlib
import re
import time
from dataclasses import replace

import numpy as np
import pytest

from minigrad import classroom
from minigrad.classroom import check, passed, progress
from minigrad.classroom.compare import difference
from minigrad.classroom.judge import judge
from minigrad.classroom.limits import TookTooLong, time_limit
from minigrad.classroom.tasks import find
from minigrad.classroom.verdict import CheckFailed


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(classroom, "_verdicts", {})
    monkeypatch.delenv("MINIGRAD_STRICT", raising=False)


def right(G, A, B):
    return G @ B.T, A.T @ G


def says(answer, id="4.12", seed=0) -> str:
    verdict = judge(find(id), answer, seed)
    assert not verdict and verdict.points == 0
    return " ".join(repr(verdict).split())


def test_a_right_answer(capsys):
    verdict = check("4.12", right)
    assert verdict and verdict.points == 3 and passed("4.12")
    assert capsys.readouterr().out == "✔ 4.12 Matrix multiplication, 3 points\n"


WRONG = {
    "matmul_backward returned nothing; it should return 2: dA, dB": lambda G, A, B: None,
    "matmul_backward returned one value; it should return 2": lambda G, A, B: G @ B.T,
    "matmul_backward returned 3 values; it should return 2": lambda G, A, B: (G, A, B),
    "dA is None. Does the function end with `return`?": lambda G, A, B: (None, A.T @ G),
    "dB is a list; it should be an array": lambda G, A, B: (G @ B.T, (A.T @ G).tolist()),
    r"dB has shape \((\d), (\d)\); B has shape \(\2, \1\)\.": lambda G, A, B: (G @ B.T, G.T @ A),
    "dA is float64; A is float32": lambda G, A, B: ((G @ B.T).astype(np.float64), A.T @ G),
    "Every element is 2 times what it should be": lambda G, A, B: (2 * (G @ B.T), A.T @ G),
    "Every element is 0": lambda G, A, B: (G @ B.T, np.zeros_like(B)),
    r"dA\[0, 0\] is nan; finite differences give": lambda G, A, B: (G @ B.T * np.nan, A.T @ G),
    r"raised ValueError: .*In line \d+ of its cell: .*G @ A @ B": lambda G, A, B: (G @ A @ B, A.T @ G),
    "matmul_backward raised TypeError: .*takes 1 positional argument": lambda G: G,
    "dA holds <U1 and not numbers": lambda G, A, B: (np.full(A.shape, "x"), A.T @ G),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_wrong_is_told(message):
    assert re.search(message, says(WRONG[message]))


def test_an_argument_that_was_changed():
    """It fails even where the result is right: the caller's array is another one now."""

    def answer(G, A, B):
        result = right(G, A, B)
        A += 1
        return result

    assert "matmul_backward changed A. The caller may still need it" in says(answer)


def test_what_is_not_written_yet():
    """Nor is it called a mistake."""

    def answer(G, A, B):
        raise NotImplementedError

    assert "0 of 3 points: matmul_backward is not written yet. Tried" in says(answer)


def test_an_endless_loop_is_ended(monkeypatch):
    """Not even `except Exception` keeps it alive."""
    module = importlib.import_module("minigrad.classroom.judge")
    monkeypatch.setattr(module, "time_limit", lambda: time_limit(0.2))

    def answer(G, A, B):
        while True:
            try:
                time.sleep(1)
            except Exception:
                pass

    start = time.perf_counter()
    assert "took more than 10 seconds. Does a loop never end?" in says(answer)
    assert time.perf_counter() - start < 2


def test_an_answer_that_ends_the_program():
    assert "raised SystemExit" in says(lambda G, A, B: exit())


def test_a_time_limit_puts_the_alarm_back():
    with pytest.raises(TookTooLong), time_limit(0.05):
        time.sleep(5)
    time.sleep(0.1)


def test_a_view_is_remarked_on_and_not_punished():
    verdict = judge(find("4.1"), lambda G, A, B: (G, G), 0)
    assert verdict and any("dA shares its memory with G" in remark for remark in verdict.remarks)


def test_a_known_mistake_is_named_without_the_formula():
    told = judge(find("4.12"), lambda G, A, B: (B.T @ G, G @ A.T), 0).says
    assert "wrong order" in told and "@" not in told and ".T" not in told


def test_a_seed_replays_a_failure():
    def answer(G, A, B):
        return right(G, A, B) if A.shape[0] != 3 else (A, B)

    seeds = [seed for seed in range(40) if not judge(find("4.12"), answer, seed)]
    for seed in seeds:
        first, again = (judge(find("4.12"), answer, seed) for _ in range(2))
        assert repr(first) == repr(again) and f"seed={seed})" in repr(first)
    assert seeds


def test_strict_checks_raise(monkeypatch, capsys):
    monkeypatch.setenv("MINIGRAD_STRICT", "1")
    assert check("4.12", right)
    with pytest.raises(CheckFailed, match="✘ 4.12"):
        check("4.12", lambda G, A, B: (A, B))
    monkeypatch.setenv("MINIGRAD_STRICT", "0")
    assert not check("4.12", lambda G, A, B: (A, B))


def test_progress(capsys):
    assert repr(progress()) == "Nothing was checked yet."
    check("4.12", right)
    check("4.1", lambda G, A, B: None)
    lines = repr(progress()).splitlines()
    assert lines[0].startswith("✘ 4.1 ") and lines[0].endswith("0 of 1") and lines[1].startswith("· ")
    assert re.fullmatch(r"Set 04, Gradients of operations: 3 of \d+ points", lines[-1])
    assert "<table>" in progress()._repr_html_() and progress("02").rows()
    assert not passed("4.1")


def test_what_a_student_wrote_is_text_in_html():
    """An error's message may hold anything."""

    def answer(G, A, B):
        raise ValueError("<script>alert(1)</script>")

    verdict = judge(find("4.12"), answer, 0)
    assert "<script>" not in verdict._repr_html_() and "&lt;script&gt;" in verdict._repr_html_()


@pytest.mark.parametrize(
    "id, message", [("4.99", "Did you mean 4.9"), ("9.1", "There is no task 9.1"), ("", "no task")]
)
def test_a_task_that_does_not_exist(id, message):
    with pytest.raises(ValueError, match=message):
        check(id, right)


@pytest.mark.parametrize(
    "expected, got, message",
    [
        ([1.0], None, r"x is None\. Does the function end"),
        ([1.0], 3.0, "a sequence of 1"),
        ([1.0], [1.0, 2.0], "has 2 elements; it should have 1"),
        ([1.0, 2.0], [1.0, 3.0], r"x\[1\] is 3; it should be 2"),
        ({"a": 1.0}, [1.0], "it should be a dictionary"),
        ({"a": 1.0, "b": 2.0}, {"a": 1.0, "c": 0.0}, "lacks 'b' and has 'c' too many"),
        ({"a": 1.0}, {"a": 2.0}, r"x\['a'\] is 2; it should be 1"),
        (1.0, "one", "x is 'one'; it should be a number"),
        ("right", "left", "x is 'left'; it should be 'right'"),
        (1.0, 1.00001, "x is 1.00001; it should be 1"),
    ],
)
def test_differences_of_other_values(expected, got, message):
    assert re.search(message, difference("x", expected, got, 1e-6))
    assert difference("x", expected, expected, 1e-6) is None


def test_in_a_notebook_a_verdict_is_html(monkeypatch):
    """Shown once, also where the check is not the last line of its cell."""
    IPython = pytest.importorskip("IPython")
    shown = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    verdict = check("4.12", right)
    verdict._ipython_display_()
    assert [set(data) for data in shown] == [{"text/plain", "text/html"}]
    assert "<strong>✔ 4.12 Matrix multiplication, 3 points</strong>" in shown[0]["text/html"]


def test_a_set_that_does_not_exist():
    with pytest.raises(ValueError, match="There is no set 99; there are 02, 03"):
        progress("99")
    assert "Nothing was checked yet" in progress()._repr_html_()


def test_a_task_says_what_is_right_or_judges():
    with pytest.raises(TypeError, match=r"task 4.12: give expect.* or accept"):
        replace(find("4.12"), expect=None)


@pytest.mark.parametrize("expected", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("got", [np.inf, -np.inf, np.nan, 0.0, 1e300])
def test_what_is_not_finite_is_equal_to_itself_alone(expected, got):
    """An infinite tolerance, within which everything is right."""
    same = expected == got or np.isnan(expected) and np.isnan(got)
    assert (difference("y", np.array([1.0, expected]), np.array([1.0, got]), 1e-6) is None) == same
