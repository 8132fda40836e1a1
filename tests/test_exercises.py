"""Exercises: stubs score nothing, right answers score full whatever their algorithm, and every known mistake is called by its name."""

from __future__ import annotations

import importlib
import json
from functools import cache, partial
from pathlib import Path

import pytest

pytest.importorskip("jupytext", reason="the book's requirements are not installed")

import nbformat
import numpy as np

from minigrad.classroom import notebooks
from minigrad.classroom.judge import judge
from minigrad.classroom.notebooks import exercise_of, missing, solution_of
from minigrad.classroom.tasks import SETS, tasks_of

ROOT = Path(__file__).parent.parent
TASKS = [task for number in SETS for task in tasks_of(number).values()]
MISCONCEPTIONS = [(task, m) for task in TASKS for m in task.misconceptions]
SEEDS = range(3)
MANY = range(200)


source_of = partial(notebooks.source_of, ROOT / "solutions")


@cache
def solutions(number: str) -> dict:
    """What the solution notebook of a set defines, without its checks and pictures."""
    namespace = {"__name__": "__main__"}
    for cell in solution_of(source_of(number)).cells:
        source = cell.source.lstrip()
        if cell.cell_type == "code" and not source.startswith(("check(", "if passed(", "progress(")):
            exec(compile(cell.source, f"<{number}>", "exec"), namespace)
    return namespace


@cache
def variants(number: str) -> dict[str, list]:
    """Other right answers, by task."""
    return importlib.import_module(f"variants.set{number}").VARIANTS


def task_id(x) -> str:
    return x.id if hasattr(x, "id") else ""


def seen(task, answer, seeds) -> list[str]:
    """What the verdicts say where an answer is not accepted."""
    return [repr(v) for seed in seeds if not (v := judge(task, answer, seed))]


for_each_task = pytest.mark.parametrize("task", TASKS, ids=task_id)


# ---------------------------------------------------------------- right and wrong answers


@for_each_task
def test_an_unwritten_answer_scores_nothing(task):
    def stub(*args, **kwargs):
        raise NotImplementedError("not written yet")

    verdict = judge(task, stub, 0)
    assert not verdict and verdict.points == 0 and "not written yet" in verdict.problem and not verdict.says


RUBBISH = [
    None,
    3,
    "x",
    [],
    (),
    {},
    [[]],
    [1.5, "y"],
    np.zeros(0),
    np.full((2, 2), np.nan),
    object(),
    lambda *args: None,
]


@for_each_task
def test_rubbish_is_answered_with_words(task):
    """A check that itself falls over what a student returns, or lets nothing pass for something."""
    for value in RUBBISH:
        verdict = judge(task, lambda *args, value=value, **kwargs: value, 0)
        assert not verdict and verdict.problem and repr(verdict)


@for_each_task
def test_the_solution_scores_full(task):
    assert not seen(task, solutions(task.set)[task.name], SEEDS)


@for_each_task
def test_other_right_answers_score_full(task):
    """A check that wants one particular algorithm."""
    others = variants(task.set)[task.id]
    assert len(others) >= 3 and len(set(others)) == len(others)
    for other in others:
        assert not seen(task, other, SEEDS), other


@pytest.mark.parametrize(
    ("task", "misconception"),
    [pytest.param(task, m, id=f"{task.id}-{task.misconceptions.index(m)}") for task, m in MISCONCEPTIONS],
)
def test_a_misconception_fails_and_gets_its_own_sentence(task, misconception):
    for seed in SEEDS:
        verdict = judge(task, misconception.answer, seed)
        assert not verdict.passed
        assert verdict.misconception is misconception, verdict


@for_each_task
def test_each_task_knows_two_mistakes_with_different_sentences(task):
    sentences = [m.says for m in task.misconceptions]
    assert len(sentences) >= 2 and len(set(sentences)) == len(sentences)


def test_there_are_enough_tasks_and_misconceptions():
    assert len(TASKS) >= 45 and len(MISCONCEPTIONS) >= 130
    assert {f"4.{n}" for n in range(1, 15)} <= {task.id for task in TASKS}


def test_ids_and_names_are_unique():
    """Two tasks under one number: one of them would never be judged."""
    assert len({task.id for task in TASKS}) == len(TASKS)
    for number in SETS:
        names = [task.name for task in tasks_of(number).values()]
        assert len(set(names)) == len(names)
        assert all(task.set == number for task in tasks_of(number).values())


@pytest.mark.slow
@for_each_task
def test_no_false_alarm_over_many_seeds(task):
    for answer in [solutions(task.set)[task.name], *variants(task.set)[task.id]]:
        assert not seen(task, answer, MANY if task.minutes < 25 else MANY[:20])


@pytest.mark.slow
def test_every_misconception_is_named_over_many_seeds(capsys):
    rows, failures = [], []
    for task in TASKS:
        caught = named = 0
        for m in task.misconceptions:
            verdicts = [judge(task, m.answer, seed) for seed in range(100, 106)]
            caught += not any(v.passed for v in verdicts)
            named += all(v.misconception is m for v in verdicts)
        rows.append(f"{task.id:6} {task.title:40} {len(task.misconceptions):3} {caught:3} {named:3}")
        if not len(task.misconceptions) == caught == named:
            failures.append(task.id)
    with capsys.disabled():
        print("\n       task                                   mistakes, caught, named", *rows, sep="\n")
    assert not failures


# ---------------------------------------------------------------- the files


@pytest.mark.parametrize("number", SETS)
def test_notebooks_are_in_step_with_their_source(number):
    """`make exercises` was forgotten."""
    solution = solution_of(source_of(number))
    assert not missing(solution, number)
    made = json.loads(nbformat.writes(exercise_of(solution)))
    there = json.loads((ROOT / "exercises" / f"{source_of(number).stem}.ipynb").read_text(encoding="utf-8"))
    assert made == there
    shown = nbformat.read(source_of(number).with_suffix(".ipynb"), as_version=4)
    assert [(c.cell_type, c.source, c.metadata) for c in shown.cells] == [
        (c.cell_type, c.source, c.metadata) for c in solution.cells
    ]


@pytest.mark.parametrize("number", SETS)
def test_every_task_has_its_stub_and_its_hints(number):
    text = source_of(number).read_text(encoding="utf-8")
    for id, part in zip(tasks_of(number), notebooks.HEADING.split(text)[2::2], strict=True):
        assert "### BEGIN SOLUTION" in part and f'check("{id}"' in part
        assert part.count("<summary>Hint") >= 2 and part.count("<details>") == part.count("</details>")


def test_an_exercise_gives_no_answer_away():
    for number in SETS:
        exercise = exercise_of(solution_of(source_of(number)))
        assert "BEGIN SOLUTION" not in nbformat.writes(exercise)
        assert not any(cell.get("outputs") for cell in exercise.cells)


def test_notebooks_are_made_from_their_source(tmp_path, monkeypatch, capsys):
    """What `make exercises` does, for one set."""
    source = tmp_path / "solutions" / source_of("02").name
    source.parent.mkdir()
    source.write_text(source_of("02").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["notebooks", str(source.parent), str(tmp_path), "--set", "02"])
    notebooks.main()
    assert capsys.readouterr().out.startswith("02-gradient-checking: 5 tasks")
    made = nbformat.read(source.with_suffix(".ipynb"), 4)
    assert any("✔ 2.1" in str(cell.get("outputs")) for cell in made.cells)
    assert not any(cell.get("outputs") for cell in nbformat.read(tmp_path / f"{source.stem}.ipynb", 4).cells)
    source.write_text(source.read_text(encoding="utf-8").replace('check("2.1"', 'print("2.1"'), encoding="utf-8")
    with pytest.raises(SystemExit, match="without a check.*2.1"):
        notebooks.main()
