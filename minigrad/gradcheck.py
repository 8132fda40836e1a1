"""Check backward() against finite differences, which know no gradient rules (chapter 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .operations import tensor_sum
from .tensor import Tensor, grad

TINY = float(np.finfo(np.float64).tiny)
STEP = float(np.cbrt(np.finfo(np.float64).eps))  # balances the error of the formula, h², against that of rounding, ε/h


class GradcheckError(AssertionError):
    """Error raised when backward() and finite differences disagree."""


class Worst(NamedTuple):
    """The element where the two disagree most."""

    error: float
    tensor: int
    index: tuple[int, ...]  # type: ignore[assignment]  # tuples have a method of that name
    backward: float
    difference: float


def gradcheck(f: Callable, *tensors: Tensor, tolerance: float = 1e-6, second: bool = False, seed: int = 0) -> Worst:
    """Compare backward() through `f` with centred differences, element by element, in float64.

    `f` takes the tensors and returns one; those that require a gradient are checked, on float64 copies.  The upstream
    gradient is random, so that no mistake hides behind a row of ones.  The relative error of an element is
    |b − d| / max(|b|, |d|), where gradients that are tiny beside the largest are measured against a hundredth of it, and
    all of them against what differences can resolve: rounding perturbs a difference quotient by about |f| ε / h, which is
    4e−11 |f|, and four times that is always allowed.  With `second` the gradients themselves are differentiated and checked
    the same way.

    Returns the element with the largest error.  GradcheckError if that exceeds `tolerance`; TypeError for what is not a
    tensor, ValueError if none requires a gradient.

    >>> gradcheck(lambda a, b: a * b.exp(), Tensor([1.0, 2.0], True), Tensor(0.5, True)).error < 1e-6
    True
    """
    name = getattr(f, "__name__", "f").replace("<lambda>", "f")
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"gradcheck: argument {i} of {name} is {type(x).__name__}. Give Tensor(..., requires_grad=True)."
            )
    if not any(x.requires_grad for x in tensors):
        raise ValueError(
            f"gradcheck: no tensor given for {name} requires a gradient. Make one with requires_grad=True."
        )
    leaves = [Tensor(x.data.astype(np.float64), True) if x.requires_grad else x for x in tensors]
    checked = {i: x for i, x in enumerate(leaves) if x.requires_grad}
    rng = np.random.default_rng(seed)
    y = f(*leaves)
    if not isinstance(y, Tensor):
        raise TypeError(
            f"gradcheck: {name} returned {type(y).__name__}, not a tensor. Return what the operations give."
        )
    upstream = rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1, 1])
    size = float(np.sum(np.abs(y.value * upstream)))  # of the terms, which may cancel in the loss

    def loss() -> Tensor:
        return tensor_sum(f(*leaves) * upstream)

    worst = _compare(name, "first", loss, lambda: grad(loss(), [*checked.values()]), checked, tolerance, size)
    if second:
        directions = [rng.uniform(0.5, 1.5, x.shape) for x in checked.values()]

        def slope() -> Tensor:
            slopes = grad(loss(), [*checked.values()], create_graph=True)
            return sum(tensor_sum(s * d) for s, d in zip(slopes, directions, strict=True))  # type: ignore[return-value]  # sum starts from 0

        def curvature() -> list[np.ndarray]:
            y = slope()
            return grad(y, [*checked.values()]) if y.requires_grad else [np.zeros(x.shape) for x in checked.values()]

        worst = max(worst, _compare(name, "second", slope, curvature, checked, tolerance * 10, abs(slope().item())))
    return worst


def _compare(
    name: str, order: str, loss: Callable, gradient: Callable, leaves: dict, tolerance: float, size: float
) -> Worst:
    """`gradient()` against centred differences of `loss()`, moving each element of each leaf in turn."""
    base = loss().item()
    if not np.array_equal(loss().item(), base, equal_nan=True):
        raise ValueError(
            f"gradcheck: {name} gave two values for the same input. Fix its random numbers (a dropout: eval())."
        )
    worst = Worst(0.0, 0, (), 0.0, 0.0)
    for (i, x), b in zip(leaves.items(), gradient(), strict=True):
        d = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            d[index] = _slope_along(loss, x, index)
        floor = max(1e-2 * np.max(np.abs(d), initial=0), 4 * STEP**2 * size / tolerance, TINY)
        errors = np.abs(b - d) / np.maximum(np.maximum(np.abs(b), np.abs(d)), floor)
        errors = np.where(np.isnan(errors), np.inf, errors)
        if errors.size:
            at = tuple(int(k) for k in np.unravel_index(np.argmax(errors), errors.shape))
            worst = max(worst, Worst(float(errors[at]), i, at, float(b[at]) + 0.0, float(d[at]) + 0.0))
    if worst.error > tolerance:
        raise GradcheckError(
            f"{name}: {order} derivative in tensor {worst.tensor} at {worst.index}: backward gives {worst.backward:.6g}, "
            f"centred differences {worst.difference:.6g} (relative error {worst.error:.1e}, allowed {tolerance:.0e}). "
            "Is the rule wrong, or does a kink lie there?"
        )
    return worst


def _slope_along(loss: Callable, x: Tensor, index: tuple[int, ...]) -> float:
    """(L(x + h) − L(x − h)) / 2h for one element of x, which is put back as it was."""
    before = x.data[index]
    h = STEP * max(1, abs(before))
    heights = []
    for moved in (before + h, before - h):
        x.data[index] = moved
        heights.append(loss().item())
    x.data[index] = before
    return (heights[0] - heights[1]) / (2 * h)
