"""What the tests of programs share: comparing bits, and running printed source alone."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, settings

import minigrad as mg
from minigrad.compiler import Program

SHORT = settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def flat(x) -> list[np.ndarray]:
    """The arrays in nested tuples, lists and dicts, in order."""
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, (tuple, list)):
        return [a for item in x for a in flat(item)]
    return [x.numpy() if isinstance(x, mg.Tensor) else np.asarray(x)]


def same_bits(got, expected) -> None:
    """Assert that all arrays in two structures are equal to the last bit, in dtype and shape, too.

    The sign of a NaN has no meaning (IEEE 754-2019, section 6.3).
    """
    for a, b in zip(flat(got), flat(expected), strict=True):
        a, b = (np.where(x != x, np.nan, x).astype(x.dtype) for x in (a, b))
        assert a.dtype == b.dtype and a.shape == b.shape, f"{a.dtype} {a.shape} is not {b.dtype} {b.shape}"
        assert a.tobytes() == b.tobytes(), f"{a} is not {b}"


def run_alone(printed: Program, arguments):
    """What the text of a program returns in a namespace that holds NumPy and nothing else."""
    namespace: dict = {"np": np}
    exec(printed.source, namespace)
    return namespace["program"](*(x[()] if not np.ndim(x) else x for x in arguments), *printed.captured_values())


def loss_of(random_program):
    """A random program (programs.py) as a function of its leaves with one number as its result."""
    seed = random_program.upstream()

    def loss(*leaves):
        results = random_program.run(lambda op, *xs: op.minigrad(*xs), list(leaves))
        return mg.tensor_sum(results[-1] * seed)

    return loss


def value_and_gradients(f):
    """A function of arrays that returns f's value and gradients, and the gradient of the squared gradients."""

    def computed(*arrays):
        leaves = [mg.Tensor(x, requires_grad=True) for x in arrays]
        y = f(*leaves)
        gradients = mg.grad(y, leaves, create_graph=True)
        squares = sum((g * g).sum() for g in gradients)
        second = mg.grad(squares, leaves) if squares.requires_grad else []
        return y.detach(), [g.detach() for g in gradients], second

    return computed
