"""Two compositions as single primitives: the same values and gradients in one node instead of several.

They trade reading for speed.  `layers.Dense` and `losses` compose; a training loop that has outgrown them can use these.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ._typing import Operand
from .functions import divided, floating
from .graph import accumulator
from .operations import sigmoid_tensor
from .primitive import as_array, primitive, violated
from .tensor import Tensor


def _rows(a):
    """All axes but the last as one."""
    return a if a.ndim == 2 else a.reshape((prod(a.shape[:-1]), a.shape[-1]))


@primitive(
    lambda g, x, w: g @ w,
    lambda g, x, w: _rows(g).T @ _rows(x),
    lambda g, x, w: g,
)
def affine(x: Operand, w: Operand, b: Operand) -> Tensor:
    """X Wᵀ + b for X (…, d_in), W (d_out, d_in), b (d_out,): a dense layer in one node (section 6.1).

    ValueError where W is not a matrix, the inner sizes differ, or b would stretch X Wᵀ.

    >>> affine(np.ones((1, 2)), Tensor([[1.0, 2.0]], requires_grad=True), Tensor([10.0]))
    Tensor([[13.]], from affine)
    """
    if w.ndim != 2:
        raise ValueError(f"W must be a matrix (d_out, d_in), not of shape {w.shape}.")
    product = x @ w.T
    y = product + b
    if y.shape != product.shape:
        raise ValueError(f"b must broadcast to the shape of X Wᵀ, {product.shape}. Give one number for each output.")
    return y


def _labels(y_true, z):
    """The labels as an array in the dtype of the logits `z`."""
    return as_array(y_true, z.dtype)


def _check_labels(y, z) -> None:
    """Raise a ValueError for labels `y` of another shape than the logits `z`, or outside [0, 1]."""
    if y.shape != z.shape:
        raise ValueError(f"y_true of shape {y.shape} and y_pred of shape {z.shape}; they must be the same.")
    low, high = np.minimum.reduce(y, axis=None, initial=0), np.maximum.reduce(y, axis=None, initial=1)
    if violated((low < 0) | (high > 1)):
        raise ValueError("labels lie in [0, 1]. Labels −1 and +1 become 0 and 1 by (y + 1) / 2.")


@primitive(
    share=lambda g, share, y, z: g * _slope(1.0, y, z),
    z=lambda g, share, y, z: g * share * sigmoid_tensor(z) * sigmoid_tensor(-z),
)
def _slope(share: Operand, y: np.ndarray, z: Operand) -> Tensor:
    """share · (1 − y) σ(z) − share · y σ(−z), which is share · (σ(z) − y), but accurate where that would cancel."""
    e, sign = np.exp(-np.abs(z)), np.sign(z)
    below = 1.0 + e  # both sigmoids as in sigmoid_tensor, and the products in the order of the composition
    return share * (1 - y) * (np.maximum(e, sign) / below) - share * y * (np.maximum(e, -sign) / below)


@primitive(y_pred=lambda g, y_true, y_pred: _slope(divided(g, y_pred.size), _labels(y_true, y_pred), y_pred))
def binary_cross_entropy_with_logits(y_true: np.ndarray, y_pred: Operand) -> Tensor:
    """The mean of y softplus(−z) + (1 − y) softplus(z) in one node (section 7.2).  Labels are constants.

    Its gradient is (σ(z) − y) / n.  ValueError for labels of another shape or outside [0, 1].

    >>> z = Tensor([0.0, 100.0], requires_grad=True)
    >>> binary_cross_entropy_with_logits(np.array([1.0, 0.0]), z).backward()
    >>> z.grad
    array([-0.25,  0.5 ])
    """
    z = floating(y_pred)
    y = _labels(y_true, z)
    _check_labels(y, z)
    tail = np.log1p(np.exp(-np.abs(z)))  # softplus(±z) = max(±z, 0) + tail
    losses = y * (np.maximum(-z, 0) + tail) + (1 - y) * (np.maximum(z, 0) + tail)
    total = np.add.reduce(losses, axis=None, dtype=accumulator(z.dtype))
    return (total / z.size).astype(z.dtype)
