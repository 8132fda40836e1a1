"""Every operation of the table: eager, compiled and printed source agree to the last bit, in first and second order."""

from __future__ import annotations

import numpy as np
import pytest
from compiler_tools import run_alone, same_bits
from primitive_rows import CASES

import minigrad as mg


def loss_of(case, dtype):
    """Σ operation(operands) ⊙ (a fixed array), as a function of the operands."""
    upstream = case.upstream(case.result_dtype(dtype))
    return lambda *operands: mg.tensor_sum(case.apply(*operands) * upstream)


def squared_gradients_of(loss):
    """Σ (∂loss/∂operand)², summed over the operands: its gradient needs the gradient of every gradient rule."""

    def squares(*operands):
        gradients = mg.grad(loss(*operands), list(operands), create_graph=True)
        return sum((mg.tensor_sum(g * g) for g in gradients), mg.Tensor(np.zeros((), gradients[0].dtype)))

    return squares


def value_and_gradients(f, arrays):
    leaves = [mg.Tensor(x, requires_grad=True) for x in arrays]
    y = f(*leaves)
    return (y, mg.grad(y, leaves)) if y.requires_grad else y


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", CASES, ids=[f"{i} {case}" for i, case in enumerate(CASES)])
def test_operation(case, dtype):
    """An operation whose forward or rule leaves the recording, or is printed as another one, fails here."""
    arrays, others = (case.arrays(dtype, seed) for seed in (0, 3))
    loss = loss_of(case, dtype)
    for f in (loss, squared_gradients_of(loss)):
        fast, printed = mg.compile(lambda *xs, f=f: value_and_gradients(f, xs)), mg.program(f, *arrays)
        for xs in (arrays, others):
            with np.errstate(all="ignore"):
                expected = value_and_gradients(f, xs)
                same_bits(fast(*xs), expected)
                same_bits(run_alone(printed, xs), expected)
        assert len(fast.programs) == 1
