"""Choices by bits in compiled programs: the elements that np.where picks, to the last bit, and nothing else overwritten."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.compiler import compile

EXTREMES = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, -np.nan, 6e-8, -65504.0]

CHOICES = {
    "two arrays": lambda m, a, b: np.where(m, a, b),
    "an array or 0": lambda m, a, b: np.where(m, a, 0.0),
    "an array or the whole number 0": lambda m, a, b: np.where(m, a, 0),
    "an array or −0": lambda m, a, b: np.where(m, a, -0.0),
    "a number or an array": lambda m, a, b: np.where(m, 0.1, b),
    "0 or an array": lambda m, a, b: np.where(m, 0, b),
    "an array or a number": lambda m, a, b: np.where(m, a, 3),
    "an array or ∞": lambda m, a, b: np.where(m, a, np.inf),
    "numbers": lambda m, a, b: np.where(m, a.dtype.type(-0.1), a.dtype.type(1e4)),
    "a number or 0": lambda m, a, b: np.where(m, a.dtype.type(0.3), a.dtype.type(0)),
    "an array or itself": lambda m, a, b: np.where(m, a, a),
    "a row": lambda m, a, b: np.where(m, a, b[:1]),
    "a number of another dtype": lambda m, a, b: np.where(m, a, np.float64(0.1)),
    "a wider array": lambda m, a, b: np.where(m, a, b.astype(np.float64)),
    "an array or its reverse": lambda m, a, b: np.where(m, a, a[::-1]),
}


def bits(x):
    """Shape, dtype and bytes."""
    return x.shape, x.dtype, x.tobytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n", [3, 700], ids=["small", "large"])
@pytest.mark.parametrize("formula", CHOICES.values(), ids=CHOICES)
def test_the_elements_of_where(formula, n, dtype):
    """Operands that are inputs, views and intermediate results, whose buffers a choice may take over, used again or not."""
    rng = np.random.default_rng(n)
    a, b, c = (rng.choice(EXTREMES, (n, 10)).astype(dtype) for _ in range(3))

    def last(a, b, c):  # the operands are not needed afterwards
        return np.abs(formula(c > 0, a + 0, np.maximum(b, 0)))

    def used_again(a, b, c):
        x, y = a + 0, np.maximum(b, 0)
        chosen = np.abs(formula(c > 0, x, y))
        return np.abs(chosen.T), np.abs(x), np.abs(y), chosen

    def returned(a, b, c):
        return [formula(c > 0, a, b), formula((c > 0).T, a.T, b.T) if n == 10 else 0.0]

    for f in (last, used_again, returned):
        fast = compile(f)
        with np.errstate(all="ignore"):
            for arrays in ((a, b, c), (b, c, a), (c, a, b)):
                before = [x.copy() for x in arrays]
                got, expected = fast(*arrays), f(*arrays)
                if f is last:
                    got, expected = [got], [expected]
                assert [bits(np.asarray(x)) for x in got] == [bits(np.asarray(x)) for x in expected]
                assert all(bits(x) == bits(y) for x, y in zip(arrays, before, strict=True))
        assert len(fast.programs) == 1


@pytest.mark.parametrize("n", [3, 80], ids=["small", "large"])
def test_masks_that_lie_by_columns(n):
    """Arrays in another layout are chosen from by np.where, and the layout of the result is that of the function."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, n))
    f = lambda x: [np.where(x.T > 0, x, -1.0) @ x, np.where(x.T > 0, x.T * 2, 0.0) @ x, np.where(x > 0, x.T * 2, x) @ x]
    for got, expected in zip(compile(f)(x), f(x), strict=True):
        assert bits(got) == bits(expected)


@pytest.mark.parametrize("operation", [mg.relu_tensor, mg.leaky_relu_tensor, mg.tensor_abs])
def test_gradients_at_kinks_and_extremes(operation):
    """0 · ∞ is 0 where a unit is off, in a program as in the library."""
    x, g = (a.ravel() for a in np.meshgrid(EXTREMES, EXTREMES))
    x, g = np.tile(x, 30), np.tile(g, 30)

    def f(x, g):
        t = mg.Tensor(x, requires_grad=True)
        return mg.grad((operation(t * 1.5) * g).sum(), t) + 0

    with np.errstate(all="ignore"):
        got, expected = compile(f)(x, g), f(x, g)
    assert np.array_equal(got, expected, equal_nan=True)
    assert np.array_equal(np.signbit(got)[got == got], np.signbit(expected)[got == got])
