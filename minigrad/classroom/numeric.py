"""What is right, found without a formula: centred differences of the forward function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def pulled_back(forward: Callable, G: np.ndarray, args: tuple, which: int) -> np.ndarray:
    """The gradient that `G` sends to argument `which` of `forward`: Σ G ∂forward/∂x, in the dtype of x.

    >>> pulled_back(lambda a, b: a * b, np.array([10.0]), (np.array([2.0]), np.array([3.0])), 0).round(6)
    array([30.])
    """
    wide = [x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in args]
    x = wide[which]
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        middle = x[index]
        h = 1e-6 * max(1.0, abs(middle))
        x[index] = middle + h
        above = np.array(forward(*wide))  # a copy: it may be a view of x
        x[index] = middle - h
        below = np.array(forward(*wide))
        x[index] = middle
        gradient[index] = np.sum(G * (above - below)) / (2 * h)
    return gradient.astype(args[which].dtype)
