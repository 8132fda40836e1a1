"""Reverse mode on random graphs, against judges that share nothing with it.

`test_primitives.py` holds each rule to account alone; here they meet: results are reused, meet themselves, broadcast, and lead to the
end along many paths.  Each judge knows the derivative by another way: moving the leaves, adding up paths one by one, or
another library.
"""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from programs import OPS, Program, programs

import minigrad as mg

thorough = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,  # a failure is the change's, not the day's
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
short = settings(thorough, max_examples=120)


def close(got, expected, tolerance=1e-7):
    """Equal, measured against the largest element of the gradient."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    scale = max(1.0, np.max(np.abs(expected), initial=0))
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * scale)


def reverse_mode(program: Program, upstream=None) -> list[np.ndarray]:
    results = program.tensors()
    leaves = results[: len(program.leaves)]
    return mg.grad(results[-1], leaves, gradient=program.upstream() if upstream is None else upstream)


def differences(f, x: np.ndarray, h: float = 1e-4) -> np.ndarray:
    """df/dx, one row for each element of x, by a formula whose error is of the order h⁴."""
    rows = []
    for index in np.ndindex(x.shape):
        moved = []
        for steps in (1, -1, 2, -2):
            there = np.array(x)
            there[index] += steps * h
            moved.append(np.asarray(f(there), float))
        rows.append((8 * (moved[0] - moved[1]) - (moved[2] - moved[3])) / (12 * h))
    return np.array(rows)


def moderate(gradients) -> bool:
    """No derivative so steep that a finite difference could cross a kink or lose its digits."""
    return all(np.max(np.abs(g), initial=0) < 100 for g in gradients)


# ---------------------------------------------------------------- three judges


@thorough
@given(programs())
def test_equals_finite_differences(program):
    """Whatever the rules say, the slope is what the loss does when a leaf moves."""
    seed, gradients = program.upstream(), reverse_mode(program)
    assume(moderate(gradients))
    for i, (x, g) in enumerate(zip(program.leaves, gradients, strict=True)):

        def loss(moved, i=i):
            leaves = [moved if k == i else y for k, y in enumerate(program.leaves)]
            return np.sum(seed * program.values(leaves)[-1])

        close(g, differences(loss, x).reshape(x.shape), 1e-6)


def paths(program: Program, start: int) -> list[list[tuple[int, int]]]:
    """Every way from result `start` to the last one, as (step, position of the operand): x · x is two ways."""
    found, unfinished = [], [(start, [])]
    last = len(program.leaves) + len(program.steps) - 1
    while unfinished:
        at, way = unfinished.pop()
        if at == last:
            found.append(way)
        for n, (_, operands) in enumerate(program.steps):
            for position, k in enumerate(operands):
                if k == at:
                    unfinished.append((len(program.leaves) + n, [*way, (n, position)]))
    return found


@thorough
@given(programs(steps=6, sizes=6))
def test_equals_sum_over_all_paths(program):
    """The chain rule by brute force: the product of local Jacobians along each path, added over all paths.

    The Jacobian of one step in one operand comes from moving that operand alone.  No sweep, no order, no accumulation.
    """
    values, jacobians = program.values(), {}
    for n, (op, operands) in enumerate(program.steps):
        for position, k in enumerate(operands):

            def step(moved, op=op, operands=operands, position=position):
                return op.numpy(np, *(moved if p == position else values[i] for p, i in enumerate(operands)))

            x = np.asarray(values[k])
            jacobians[n, position] = differences(step, x).reshape(x.size, -1).T  # (outputs, inputs)

    results = program.tensors()
    gradients = mg.grad(results[-1], results, gradient=program.upstream())  # of every result, not the leaves alone
    assume(moderate(gradients))
    for start, g in enumerate(gradients):
        total = np.zeros(g.size)
        for way in paths(program, start):
            contribution = program.upstream().reshape(-1)
            for edge in reversed(way):
                contribution = contribution @ jacobians[edge]
            total += contribution
        close(g, total.reshape(g.shape), 1e-6)


def oracle(name: str):
    """Another library; where it is missing the test is skipped, except in CI, where somebody must have looked."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pytest.importorskip(name)
    except pytest.skip.Exception:
        if "MINIGRAD_CI" in os.environ and name != "torch":  # gigabytes on most machines; autograd is always there
            pytest.fail(f"{name} is not installed, so gradients were not compared with its own.")
        raise


def test_equals_torch():
    """The same programs through PyTorch, in first and second order."""
    torch = oracle("torch")

    @thorough
    @given(programs())
    def compare(program):
        leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in program.leaves]
        last = program.run(lambda op, *xs: op.torch(torch, *xs), leaves)[-1]
        theirs = torch.autograd.grad(
            last, leaves, torch.tensor(program.upstream()), create_graph=True, allow_unused=True
        )
        theirs = [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, theirs, strict=True)]
        for g, expected in zip(reverse_mode(program), theirs, strict=True):
            close(g, expected.numpy(force=True), 1e-10)
        squares = sum((g * g).sum() for g in theirs)
        if squares.requires_grad:
            theirs = torch.autograd.grad(squares, leaves, allow_unused=True)
            theirs = [
                np.zeros(x.shape) if g is None else g.numpy(force=True) for x, g in zip(leaves, theirs, strict=True)
            ]
            for g, expected in zip(curvature(program), theirs, strict=True):
                close(g, expected, 1e-9)

    compare()


def curvature(program: Program) -> list[np.ndarray]:
    """The gradient of the squared length of the gradient."""
    results = program.tensors()
    leaves = results[: len(program.leaves)]
    gradients = mg.grad(results[-1], leaves, create_graph=True, gradient=program.upstream())
    squares = sum((g * g).sum() for g in gradients)
    return mg.grad(squares, leaves) if squares.requires_grad else [np.zeros(x.shape) for x in leaves]


def test_equals_autograd():
    """The same programs through HIPS autograd."""
    anp, autograd = oracle("autograd.numpy"), oracle("autograd")

    @thorough
    @given(programs())
    def compare(program):
        def loss(leaves):
            return anp.sum(program.upstream() * program.run(lambda op, *xs: op.numpy(anp, *xs), leaves)[-1])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "output seems independent of input"
            theirs = autograd.grad(loss)(list(program.leaves))
        for g, expected in zip(reverse_mode(program), theirs, strict=True):
            close(g, expected, 1e-10)

    compare()


# ---------------------------------------------------------------- what must hold of any graph


@short
@given(programs())
def test_gradients_with_graphs_are_the_same(program):
    """create_graph runs the rules on tensors instead of arrays; the numbers may not notice."""
    results = program.tensors()
    leaves = results[: len(program.leaves)]
    graphs = mg.grad(results[-1], leaves, create_graph=True, gradient=program.upstream())
    for g, expected in zip(graphs, reverse_mode(program), strict=True):
        assert isinstance(g, mg.Tensor)
        close(g.data, expected, 1e-12)


@settings(thorough, max_examples=60)
@given(programs(steps=6, sizes=3))
def test_second_derivatives_are_symmetric_and_true(program):
    """∂²L/∂x∂y = ∂²L/∂y∂x, and both are what the gradient does when a leaf moves."""
    results = program.tensors()
    leaves = results[: len(program.leaves)]
    gradients = mg.grad(results[-1], leaves, create_graph=True, gradient=program.upstream())
    assume(moderate([g.data for g in gradients]))
    rows = []
    for g in gradients:
        for index in np.ndindex(g.shape):
            at = g[index]
            row = mg.grad(at, leaves, retain_graph=True) if at.requires_grad else [np.zeros(x.shape) for x in leaves]
            rows.append(np.concatenate([r.reshape(-1) for r in row]))
    hessian = np.array(rows)
    assume(moderate([hessian / 10]))
    close(hessian, hessian.T, 1e-10)

    def gradient(flat):
        ends = np.cumsum([x.size for x in program.leaves])[:-1]
        moved = [part.reshape(x.shape) for part, x in zip(np.split(flat, ends), program.leaves, strict=True)]
        there = reverse_mode(Program(tuple(moved), program.steps, program.seed))
        return np.concatenate([g.reshape(-1) for g in there])

    flat = np.concatenate([x.reshape(-1) for x in program.leaves])
    close(hessian, differences(gradient, flat), 1e-5)


@short
@given(programs(), st.floats(-3, 3), st.floats(-3, 3))
def test_backward_is_linear_in_its_seed(program, s, t):
    """Each rule multiplies g by something that does not depend on g."""
    one, two = program.upstream(1), program.upstream(2)
    both = reverse_mode(program, s * one + t * two)
    for g, a, b in zip(both, reverse_mode(program, one), reverse_mode(program, two), strict=True):
        scale = max(1.0, np.max(np.abs([a, b]), initial=0))
        np.testing.assert_allclose(g, s * a + t * b, rtol=0, atol=1e-12 * scale)


@short
@given(programs())
def test_backward_grad_and_repetition_agree(program):
    """grad() and backward() are one sweep; with retain_graph a second backward adds the same again."""
    results = program.tensors()
    leaves, last, seed = results[: len(program.leaves)], results[-1], program.upstream()
    returned = mg.grad(last, leaves, retain_graph=True, gradient=seed)
    assert all(x.grad is None for x in leaves)
    last.backward(seed, retain_graph=True)
    once = [None if x.grad is None else x.grad.copy() for x in leaves]
    last.backward(seed)
    for x, g, first in zip(leaves, returned, once, strict=True):
        if first is None:
            assert x.grad is None and not np.any(g)  # the result does not depend on it
        else:
            np.testing.assert_array_equal(first, g)
            np.testing.assert_array_equal(x.grad, 2 * g)


@short
@given(programs(), st.randoms(use_true_random=False))
def test_order_of_construction_is_irrelevant(program, random):
    """Ages tell the sweep what is ready; any order in which the graph could have been built gives the same gradients."""
    first, n = len(program.leaves), len(program.steps)
    order, left = [], list(range(n))
    while left:
        ready = [k for k in left if all(i < first or i - first in order for i in program.steps[k][1])]
        order.append(random.choice(ready))
        left.remove(order[-1])
    new = {**{i: i for i in range(first)}, **{first + k: first + at for at, k in enumerate(order)}}
    steps = [(op, tuple(new[i] for i in operands)) for op, operands in (program.steps[k] for k in order)]
    results = Program(program.leaves, tuple(steps), 0).tensors()
    last = results[new[first + n - 1]]
    for g, expected in zip(
        mg.grad(last, results[:first], gradient=program.upstream()), reverse_mode(program), strict=True
    ):
        close(g, expected, 1e-12)


@short
@given(programs())
def test_nothing_is_changed_and_nothing_shared(program):
    """Both passes leave leaves and intermediate values as they were; a gradient can be written into without effect elsewhere.

    Views, reused results and gradients that pass through unchanged are where two arrays could be one.
    """
    given = [x.copy() for x in program.leaves]
    results = program.tensors()
    before, seed = [t.data.copy() for t in results], program.upstream()
    kept = seed.copy()
    gradients = mg.grad(results[-1], results, gradient=seed, retain_graph=True)
    results[-1].backward(seed)
    for x, expected in zip((*program.leaves, *(t.data for t in results), seed), (*given, *before, kept), strict=True):
        np.testing.assert_array_equal(x, expected)
    leaves = results[: len(program.leaves)]
    found = [*gradients, *(x.grad for x in leaves if x.grad is not None)]
    others = [*program.leaves, *(t.data for t in results), seed]
    for i, g in enumerate(found):
        assert g.flags.writeable
        assert not any(np.shares_memory(g, other) for other in (*found[:i], *others))


@settings(short, max_examples=30)
@given(st.lists(programs(), min_size=2, max_size=4))
def test_threads_do_not_disturb_one_another(several):
    """Programs that run at the same time give what each gives alone, to the last bit, in first and second order."""
    alone = [(reverse_mode(program), curvature(program)) for program in several]
    start = Barrier(len(several))

    def run(program):
        start.wait()
        for _ in range(3):
            found = reverse_mode(program), curvature(program)
        return found

    with ThreadPoolExecutor(len(several)) as pool:
        together = list(pool.map(run, several))
    for found, expected in zip(together, alone, strict=True):
        for gradients, theirs in zip(found, expected, strict=True):
            for g, e in zip(gradients, theirs, strict=True):
                np.testing.assert_array_equal(g, e)


def test_every_kind_of_step_is_drawn():
    """Otherwise a step could stand in the table and never be tried."""
    drawn = set()

    @thorough
    @given(programs())
    def collect(program):
        drawn.update(op.name for op, _ in program.steps)

    collect()
    assert drawn == {op.name for op in OPS}


@settings(short, max_examples=300)
@given(programs())
def test_programs_are_worth_running(program):
    """The judges see something: what a step computes is the same in minigrad as in NumPy, of the same shape."""
    for t, value in zip(program.tensors(), program.values(), strict=True):
        assert t.shape == np.shape(value)
        close(t.data, value, 1e-12)
