"""What a program cannot do is an error that says why, shows the line, and leaves everything as it was."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from compiler_tools import same_bits

import minigrad as mg
from minigrad.compiler import RecordingError, compile, program
from minigrad.compiler.recording import RecordedArray

X = np.array([1.0, -2.0, 3.0])

LEAKS = {
    "if": lambda t: t if t > 0 else -t,
    "float": lambda t: t * float(t),
    "int": lambda t: t * int(t.data),
    "item": lambda t: t * t.item(),
    "asarray": lambda t: t * np.asarray(t.data),
    "range": lambda t: sum(t for _ in range(t.data)),
    "mask": lambda t: (t + np.ones(3))[t.data > np.zeros(3)],
    "nonzero": lambda t: t * np.nonzero((t + np.ones(3)).data)[0],
    "format": lambda t: t * len(f"{t:.3f}"),
    "while": lambda t: [t for _ in iter(lambda: bool(t < 9), True)],
    "and": lambda t: t > 0 and t,
    "in": lambda t: 3.0 in [t],
    "max": lambda t: max([t, t * 2]),
    "math": lambda t: math.sin(t),
    "assignment": lambda t: np.zeros(3).__setitem__(0, t.data),
    "caught": lambda t: caught(lambda: float(t)) or t,
    "size": lambda t: np.arange(6.0)[: t.data.astype(int) + np.zeros(1, int)[0]],
    "recursion": lambda t: halved(t),
}


def caught(f):
    """None where f fails: a function may not go on after it could not look at a value."""
    try:
        return f()
    except Exception:
        return None


def halved(t): return t if (lambda t: t < 1)(t) else halved(t / 2)  # fmt: skip  # noqa: E704


@pytest.mark.parametrize("name", LEAKS)
def test_values_during_recording_are_an_error_that_shows_the_line(name):
    """Static and dynamic graphs are explained, with the line of the user's code."""
    for record in (lambda f: program(f, 3.0), lambda f: compile(f)(mg.Tensor(3.0, requires_grad=True))):
        with pytest.raises(
            RecordingError, match=r"test_compiler_errors\.py, line \d+: .*(lambda t|f\(\))(.|\n)*static graph"
        ):
            record(LEAKS[name])


def test_wrong_uses_are_explained():
    """Other shapes for a program, a computed tensor as an argument."""
    p = program(lambda x: (x * x).sum(), np.ones(3))
    with pytest.raises(ValueError, match="recorded for shape"):
        p(np.ones(4))
    with pytest.raises(TypeError, match="1 arguments|2 arguments"):
        p(np.ones(3), 1)
    with pytest.raises(TypeError, match="computed"):
        compile(lambda x: x)(mg.Tensor(1.0, requires_grad=True) * 2)


def test_recorded_arrays_do_not_outlive_the_recording():
    """A function that keeps what it computed runs uncompiled, and then is told to return it instead."""
    kept = []
    fast = compile(lambda x: kept.append(x * 2))
    for _ in range(3):
        fast(np.ones(2))
    with pytest.raises(TypeError, match="Return what it collects"):
        fast(np.ones(2))
    assert len(kept) == 3 and all(type(x) is np.ndarray and type(x) is not RecordedArray for x in kept)


def test_a_failed_check_at_the_first_call():
    """The function's own error, though the recording takes every check for passed."""
    with pytest.raises(ValueError, match="from 0 to 2"):
        compile(lambda z, y: mg.losses.cross_entropy(y, mg.Tensor(z)))(np.zeros((2, 3)), np.array([0, 3]))


def stale_view(x):
    y = x.copy()
    first = y.reshape(1, 3)
    y[0] = 7
    return first * 2


def written_view(x):
    turned = x.copy().reshape(1, 3)
    turned[0] = 7
    return turned


GENERATOR = np.random.default_rng(0)
KEPT = mg.Tensor(np.ones(3), requires_grad=True)


def graphs_in_grad(x):
    (KEPT * KEPT * x).sum().backward(create_graph=True)


REFUSED = {
    "complex": (lambda x: complex(x[0]), "complex"),
    "out": (lambda x: np.add(x, 1, out=np.zeros(3)), "out="),
    "at": (lambda x: np.add.at(np.zeros(3), [0], x[:1]), "at was to write"),
    "accumulate": (lambda x: np.add.accumulate(x), "not available"),
    "clip out": (lambda x: np.clip(x, 0, 1, out=x), "out="),
    "unique": (lambda x: np.unique(x), "size depends"),
    "where": (lambda x: np.where(x > 0), "size depends"),
    "tolist": (lambda x: x.tolist(), "tolist"),
    "object": (lambda x: object(), "returned object"),
    "complex result": (lambda x: x * 1j, "not an array"),
    "stale view": (stale_view, "view of an array was used"),
    "written view": (written_view, "view of another array"),
    "made inside": (lambda x: np.add(np.zeros(3), x, out=np.zeros(3)), "made in the function"),
    "sort": (lambda x: x.sort(), r"\.sort of an array"),
    "flat": (lambda x: x.flat[0], r"\.flat of an array"),
    "copyto": (lambda x: np.copyto(x, 5), "changes an array in place"),
    "shuffle": (lambda x: GENERATOR.shuffle(x), "permutation"),
    "freezing": (lambda x: setattr(KEPT, "requires_grad", False), "Freeze before"),
    "create_graph": (lambda x: graphs_in_grad(x), "leaves graphs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_program_cannot_do_is_refused(name):
    """Each with what was asked and what to do."""
    f, message = REFUSED[name]
    with pytest.raises(RecordingError, match=message):
        compile(f)(np.ones(3))


def test_what_needs_no_value_works():
    """Sizes, iteration, unpacking, copies, printing, isinstance, recursion on numbers, and compiled functions inside."""

    @compile
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    double = compile(lambda x: x * 2)

    def f(t):
        a, b, c = t
        text = f"{t}{t!r}{t.data}"
        assert isinstance(t.data, np.ndarray) and "recorded" in text or "array" in text or "Tensor" in text
        rows = sum(x * i for i, x in enumerate(t)) + len(t) * t.size * t.shape[0]
        return (
            a * b + c + rows,
            list(reversed(t)),
            copy.copy(t.data),
            copy.deepcopy(t.data),
            power(t.data, 3),
            double(t.data),
        )

    fast, t = compile(f), mg.Tensor(X, requires_grad=True)
    for _ in range(2):
        same_bits(fast(t), f(t))
        same_bits([power(X, 3), double(X)], [X**3, X * 2])
    assert [len(g.programs) for g in (fast, power, double)] == [1, 1, 1]
    with pytest.raises(AttributeError, match="no attribute 'shap'"):
        compile(lambda x: x.shap)(X)


@pytest.mark.parametrize(
    "error", [KeyError, ValueError, IndexError, ZeroDivisionError, RecursionError, KeyboardInterrupt]
)
def test_errors_of_the_function_itself(error):
    """They come through, at each call, and the state is as it was."""
    w = mg.Tensor(X.copy(), requires_grad=True)

    def f(x):
        w.data *= 1
        w.grad = x
        raise error("mine")

    fast = compile(f)
    for _ in range(2):
        with pytest.raises(error, match="mine"):
            fast(X)
        assert type(w.value) is np.ndarray and (w.grad is None or type(w.grad) is np.ndarray)
        same_bits(w.data, X)


def test_types_of_results():
    """Numbers of NumPy's, Python's numbers and arrays without axes, as the function returns them."""
    w = mg.Tensor(2.0, requires_grad=True)
    counts = {"fast": 0}

    def f(x):
        counts["fast"] += 1
        w.grad = None
        y = (w * x).sum()
        y.backward()
        return (
            x.sum(),
            x[0],
            x.sum().astype(np.float32),
            counts["fast"],
            counts["fast"] / 2,
            3,
            w.grad,
            y.data,
            np.zeros(()),
        )

    fast = compile(f)
    for _ in range(3):
        assert list(map(type, fast(X))) == list(map(type, f(X)))
