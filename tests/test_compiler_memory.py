"""Memory, threads and random numbers: results are the caller's own, shared memory is noticed, threads do not meet."""

from __future__ import annotations

import threading
import types

import numpy as np
import pytest
from compiler_tools import SHORT, flat, loss_of, same_bits, value_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import programs

import minigrad as mg
from minigrad.compiler import RecordingError

X = np.array([1.0, -2.0, 3.0])


@settings(SHORT, max_examples=150)
@given(programs(without=("mask",)))
def test_results_are_the_callers_own(random_program):
    """No result shares memory with an argument or another result, none is changed by the next call, no argument is."""
    leaves = [np.array(x) for x in random_program.leaves]
    before = [x.copy() for x in leaves]
    with np.errstate(all="ignore"):
        fast = mg.compile(value_and_gradients(loss_of(random_program)))
        fast(*leaves)
        results = flat(fast(*leaves))
        kept = [x.copy() for x in results]
        fast(*(x * 0.5 + 0.25 for x in leaves))
    for i, x in enumerate(results):
        same_bits(x, kept[i])
        assert x.flags.writeable or not x.ndim
        assert not any(np.shares_memory(x, y) for y in [*leaves, *results[:i]])
    for x, y in zip(leaves, before, strict=True):
        same_bits(x, y)


@settings(SHORT, max_examples=60)
@given(programs(without=("mask",)))
def test_threads_run_random_programs(random_program):
    """Several threads call one compiled function with other values each, from its first call on."""
    leaves = [np.array(x)[()] for x in random_program.leaves]
    f = value_and_gradients(loss_of(random_program))
    fast, wrong = mg.compile(f), []

    def work(k):
        xs = [x * (0.5 + 0.25 * k) for x in leaves]
        with np.errstate(all="ignore"):
            for _ in range(5):
                try:
                    same_bits(fast(*xs), f(*xs))
                except BaseException as error:
                    wrong.append(error)

    in_threads(work, 3)
    assert not wrong, wrong[0]
    assert len(fast.programs) == 1


def in_threads(work, count):
    threads = [threading.Thread(target=work, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_threads():
    """Threads that call one compiled function do not share its buffers."""
    f = value_and_gradients(lambda x: ((x.exp() * x).sigmoid() @ x).mean())
    fast = mg.compile(f)
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(200):
            x = rng.standard_normal((20, 20))
            if not all(np.array_equal(a, b) for a, b in zip(flat(fast(x)), flat(f(x)), strict=True)):
                wrong.append(seed)

    in_threads(work, 4)
    assert not wrong


def test_recording_in_one_thread_while_others_run():
    """Threads that meet a recording in progress wait for it: parameters hold stand-ins meanwhile."""
    w = mg.Tensor(np.ones((8, 8)), requires_grad=True)
    fast = mg.compile(lambda x: (x @ w).tanh().sum())
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(40):
            x = rng.standard_normal((rng.integers(1, 9), 8))  # a new shape now and then: a recording
            if fast(x).item() != np.add.reduce(np.tanh(x.dot(np.ones((8, 8)))), axis=None):
                wrong.append(seed)

    in_threads(work, 4)
    assert not wrong and len(fast.programs) == 8


# ---------------------------------------------------------------- memory


def test_arguments_changed_in_place():
    """As the function does, also if one array is given twice, or is a view of another one, or is part of the state."""
    state = np.ones(3)

    def f(x, y):
        x += 1
        state[:] = state + x
        return x * y * state

    results = []
    for g in (f, mg.compile(f)):
        state[:] = 1.0
        a, b = X.copy(), X.copy()
        calls = [g(a, b), g(a, b), g(a, a), g(a, a[::-1]), g(a[:], b), g(state, b), g(a, state), g(a, b)]
        results.append([calls, a, b, state.copy()])
    same_bits(results[1], results[0])


def test_one_array_in_two_places():
    """What is written in one place is read in the other, also where two views of one array overlap."""

    def function():
        whole = np.arange(6.0)
        places, left, right = [whole, whole], whole[:4], whole[2:]

        def f(x):
            left[:] = left + x
            places[0][0] = 7.0
            return places[1] * 1, left + right

        return f

    f, fast = function(), mg.compile(function())
    for i in range(3):
        same_bits(fast(np.full(4, i)), f(np.full(4, i)))


INDICES = [0, -1, ..., slice(1, None), slice(None, None, 2), slice(None, 2), (slice(None), 0), (0, slice(None)), [0, 1]]
INDICES += [(slice(None), slice(1, None)), (slice(None, None, -1),)]
STEP = st.tuples(*(st.integers(0, 99) for _ in range(4)))


def writes(steps):
    """A function that takes views, changes arrays and views in place, and computes, as `steps` say."""

    def f(x, state):
        arrays = [x.copy(), x * 2, x, state]
        for what, i, j, k in steps:
            y, z, index = arrays[i % len(arrays)], arrays[j % len(arrays)], INDICES[k % len(INDICES)]
            z = z if z.shape == y.shape else 3.0
            if what % 6 == 0 and y.ndim == 2:
                arrays.append(y[index])
            elif what % 6 == 1:
                y += 1.5
                arrays[i % len(arrays)] = y
            elif what % 6 == 2 and y.ndim == 2:
                y[index] = z if isinstance(z, float) else z[index]
            elif what % 6 == 3 and y.ndim == 2:
                y[index] *= 2
            elif what % 6 == 4:
                arrays.append(y * z)
            elif y.ndim:
                np.add(y, z, out=y)
        return [y * 1 for y in arrays]

    return f


@settings(SHORT, max_examples=200)
@given(st.lists(STEP, min_size=2, max_size=10), st.integers(0, 99))
def test_random_writes_into_views(steps, seed):
    """Views see what is written into their array, and arrays what is written into their views; arguments and state, too."""
    f, rng = writes(steps), np.random.default_rng(seed)
    state = rng.uniform(-1, 1, (3, 4))
    fast, other = mg.compile(f), state.copy()
    for _ in range(3):
        x = rng.uniform(-1, 1, (3, 4))
        y = x.copy()
        with np.errstate(all="ignore"):
            same_bits(fast(y, other), f(x, state))
        same_bits([y, other], [x, state])


# ---------------------------------------------------------------- random numbers


def test_random_generators():
    """Reseeded, given as arguments, made inside; where a program fails after it has drawn, the draw is not lost twice."""
    s = types.SimpleNamespace(rng=np.random.default_rng(0), old=np.random.RandomState(0))  # noqa: NPY002

    def f(x, rng):
        return x * s.rng.random(3) + rng.normal(size=3) * np.random.default_rng(1).random() + s.old.rand(3)

    def results(g):
        found = []
        for seed in (3, 4, 3):
            s.rng, s.old = np.random.default_rng(seed), np.random.RandomState(seed)  # noqa: NPY002
            rng = np.random.default_rng(5)
            found.append([g(X, rng), g(X, rng), rng.random(), s.rng.random(), s.old.rand()])
        return found

    fast = mg.compile(f)
    same_bits(results(fast), results(f))
    assert len(fast.programs) <= 3
    for make in (np.random.default_rng, np.random.RandomState):
        s.rng, twin = make(0), make(0)
        divide = mg.compile(lambda x, y: s.rng.uniform() + x / y)
        with np.errstate(all="ignore"):
            divide(np.float64(1), np.float64(2)), divide(np.float64(1), np.float64(0))
        assert [s.rng.uniform() for _ in range(2)] == [twin.uniform() for _ in range(4)][2:]


@pytest.mark.parametrize("source", ["iterator", "clock", "random"])
def test_what_changes_by_itself_is_refused(source):
    """Iterators, the time and Python's random numbers would be read once."""
    import random
    import time

    numbers = iter(np.arange(20.0).tolist())
    read = {"iterator": lambda: next(numbers), "clock": time.perf_counter, "random": random.random}[source]
    with pytest.raises(RecordingError, match="two different things"):
        mg.compile(lambda x: x * read())(X)
