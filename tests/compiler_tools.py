"""What the tests of programs share: comparing bits, and running printed source alone."""

from __future__ import annotations

import numpy as np

import minigrad as mg
from minigrad.compiler import Program


def flat(x) -> list[np.ndarray]:
    """The arrays in nested tuples, lists and dicts, in order."""
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, (tuple, list)):
        return [a for item in x for a in flat(item)]
    return [x.numpy() if isinstance(x, mg.Tensor) else np.asarray(x)]


def same_bits(got, expected) -> None:
    """Assert that all arrays in two structures are equal to the last bit, in dtype and shape, too."""
    for a, b in zip(flat(got), flat(expected), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape, f"{a.dtype} {a.shape} is not {b.dtype} {b.shape}"
        assert a.tobytes() == b.tobytes(), f"{a} is not {b}"


def run_alone(printed: Program, arguments):
    """What the text of a program returns in a namespace that holds NumPy and nothing else."""
    namespace: dict = {"np": np}
    exec(printed.source, namespace)
    return namespace["program"](*(x[()] if not np.ndim(x) else x for x in arguments), *printed.captured_values())
