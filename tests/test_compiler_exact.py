"""Compiled arithmetic gives the bits of the function, at every extreme, after signs and numbers have been moved."""

from __future__ import annotations

import re

import numpy as np
import pytest
from compiler_tools import same_bits

import minigrad as mg
from minigrad.compiler import compile, program

TINY = np.finfo(np.float64).smallest_subnormal
EXTREMES = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, TINY, -TINY, 1e308, -1e-308, 3.3]

FORMULAS = {
    "a + (−b)": lambda x, y: x + -y,
    "(−a) + b": lambda x, y: -x + y,
    "(−a) + (−b)": lambda x, y: -x + -y,
    "a − (−b)": lambda x, y: x - -y,
    "(−a) b": lambda x, y: -x * y,
    "a + (−b) c / a": lambda x, y: x + (-y) * y / x,
    "(−a) (−b)": lambda x, y: -x * -y,
    "a / (−b)": lambda x, y: x / -y,
    "−(3 a)": lambda x, y: -(3.0 * x) + y,
    "−(a / 3)": lambda x, y: -(x / 3.0) * y,
    "(−a) 0": lambda x, y: -x * 0 + y * 0,
    "−(0 a)": lambda x, y: -(0 * x) * y,
    "3 / (−a)": lambda x, y: 3 / -x + y,
    "used twice": lambda x, y: (-x) * y + (-x) * (x + (-x)),
    "a / 4 + b / 3": lambda x, y: x / 4 + y / 3,
    "a / (−2)": lambda x, y: x / -2.0 - y / 0.5,
    "a / 2^20": lambda x, y: x / 2.0**20 * y,
    "a (−1)": lambda x, y: x * -1.0 + y * -1 * x,
    "comparisons": lambda x, y: mg.tensor_maximum(x, 0.1) * y,
    "choices": lambda x, y: mg.leaky_relu_tensor(x) + mg.tensor_abs(y) / 8,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
def test_the_bits_of_the_function(formula, dtype):
    """With zeros of both signs, infinities, NaN and subnormal numbers; forward and both gradients."""
    with np.errstate(all="ignore"):
        x, y = (a.ravel().astype(dtype) for a in np.meshgrid(EXTREMES, EXTREMES))

        def step(x, y):
            value, gradients = mg.value_and_grad(lambda x, y: formula(x, y).sum(), (0, 1))(x, y)
            return formula(x, y), value, *gradients

        expected, fast = step(mg.Tensor(x), mg.Tensor(y)), compile(step)
        written = program(step, mg.Tensor(x), mg.Tensor(y))
        for got in (fast(mg.Tensor(x), mg.Tensor(y)), fast(mg.Tensor(x), mg.Tensor(y)), written(x, y)):
            same_bits(got, expected)


def test_changes_of_sign_cost_nothing():
    """No step of the gradients of a difference and of a negated operand only changes a sign, and none divides by 4."""
    x, y = mg.Tensor(np.ones(3), True), mg.Tensor(np.ones(3), True)
    source = program(lambda x, y: mg.grad((x * x - (-(3.0 * y)) * x / 4).sum(), [x, y]), x, y).source
    assert not re.search(r"= -[a-z]", source) and "/" not in source
