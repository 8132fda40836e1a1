"""Two compositions as single primitives: the same values and gradients in one node instead of several.

They trade reading for speed.  `layers.Dense` and `losses` compose; a training loop that has outgrown them can use these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._typing import Operand
from .operations import sigmoid_tensor, tensor_softplus
from .primitive import primitive

if TYPE_CHECKING:
    from .tensor import Tensor


def _rows(a):
    """All axes but the last as one."""
    return a if a.ndim == 2 else a.reshape((-1, a.shape[-1]))


@primitive(
    lambda g, x, w: g @ w,
    lambda g, x, w: _rows(g).T @ _rows(x),
    lambda g, x, w: g,
)
def affine(x: Operand, w: Operand, b: Operand) -> Tensor:
    """X Wᵀ + b for X (…, d_in), W (d_out, d_in), b (d_out,): a dense layer in one node (section 6.1).

    >>> affine(np.ones((1, 2)), Tensor([[1.0, 2.0]], requires_grad=True), Tensor([10.0]))
    Tensor([[13.]], from affine)
    """
    return x @ w.T + b


@primitive(
    y_pred=lambda g, y_true, y_pred: (sigmoid_tensor(y_pred) - np.asarray(y_true, y_pred.dtype)) * (g / y_pred.size)
)
def binary_cross_entropy_with_logits(y_true: np.ndarray, y_pred: Operand) -> Tensor:
    """The mean of log(1 + e^z) − y z in one node; its gradient is (σ(z) − y) / n (section 7.2).  Labels are constants.

    >>> z = Tensor([0.0, 100.0], requires_grad=True)
    >>> binary_cross_entropy_with_logits(np.array([1.0, 1.0]), z).backward()
    >>> z.grad
    array([-0.25,  0.  ])
    """
    losses = tensor_softplus(y_pred) - np.asarray(y_true, y_pred.dtype) * y_pred
    return np.add.reduce(losses, axis=None) / losses.size
