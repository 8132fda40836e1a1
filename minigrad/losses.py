"""Losses (sections 5 and 7): `(y_true, y_pred, reduction="mean")`, each a composition of primitives.

`reduction` is "mean", "sum" or "none" (a loss for each element, or for each row in `cross_entropy`).  Labels and predictions
must have one shape: a column beside a row would broadcast to a matrix of losses that nobody asked for.
"""

from __future__ import annotations

import numpy as np

from ._typing import Operand
from .functions import tensor_abs, tensor_exp, tensor_log
from .interop import values
from .operations import relu_tensor, tensor_mean, tensor_softplus, tensor_sum
from .tensor import Tensor

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "hinge",
    "mean_absolute_error",
    "mean_squared_error",
]


def mean_squared_error(y_true: Operand, y_pred: Operand, reduction: str = "mean") -> Tensor:
    """The mean of (y − ŷ)² (section 5.3).

    >>> y_pred = Tensor([2.0, 4.0], requires_grad=True)
    >>> mean_squared_error([1.0, 2.0], y_pred).backward()
    >>> y_pred.grad  # 2/n (ŷ − y)
    array([1., 2.])
    """
    y_true, y_pred = _pair("mean_squared_error", y_true, y_pred)
    return _reduced((y_true - y_pred) ** 2, reduction)


def mean_absolute_error(y_true: Operand, y_pred: Operand, reduction: str = "mean") -> Tensor:
    """The mean of |y − ŷ| (section 5.4).

    >>> mean_absolute_error([1.0, 2.0], Tensor([1.0, 4.0]))
    Tensor(1.)
    """
    y_true, y_pred = _pair("mean_absolute_error", y_true, y_pred)
    return _reduced(tensor_abs(y_true - y_pred), reduction)


def binary_cross_entropy(y_true: Operand, y_pred: Operand, reduction: str = "mean") -> Tensor:
    """The mean of −y log p − (1 − y) log(1 − p) for probabilities p (section 5.4).

    The smallest positive number is added inside each logarithm: it changes no p but 0 (and no 1 − p but 0), where the loss
    stays finite and a right answer costs nothing.  ValueError for a y or a p outside [0, 1].

    >>> binary_cross_entropy([1.0, 0.0], Tensor([0.5, 0.0]), reduction="none")
    Tensor([0.69314718, 0.        ])
    """
    y_true, p = _pair("binary_cross_entropy", y_true, y_pred)
    _in_unit_interval("binary_cross_entropy: labels", y_true, LABELS)
    _in_unit_interval("binary_cross_entropy: predictions", p, LOGITS)
    tiny = np.finfo(p.dtype).tiny
    return _reduced(-y_true * tensor_log(p + tiny) - (1 - y_true) * tensor_log(1 - p + tiny), reduction)


def binary_cross_entropy_with_logits(y_true: Operand, y_pred: Operand, reduction: str = "mean") -> Tensor:
    """The same loss of p = σ(z), from the logits z: −log σ(z) is softplus(−z), −log(1 − σ(z)) softplus(z) (section 7.2).

    Accurate at both ends, where σ(z) has been rounded to 0 or 1 and its logarithm knows nothing any more.  ValueError for a y
    outside [0, 1].

    >>> binary_cross_entropy_with_logits([1.0, 0.0], Tensor([1000.0, 1000.0]), reduction="none")
    Tensor([   0., 1000.])
    """
    y_true, z = _pair("binary_cross_entropy_with_logits", y_true, y_pred)
    _in_unit_interval("binary_cross_entropy_with_logits: labels", y_true, LABELS)
    return _reduced(y_true * tensor_softplus(-z) + (1 - y_true) * tensor_softplus(z), reduction)


def hinge(y_true: Operand, y_pred: Operand, reduction: str = "mean") -> Tensor:
    """The mean of max(0, 1 − y ŷ) for labels −1 and +1 (section 5.4).  ValueError for other labels.

    >>> hinge([1.0, -1.0], Tensor([0.5, -3.0]), reduction="none")
    Tensor([0.5, 0. ])
    """
    y_true, y_pred = _pair("hinge", y_true, y_pred)
    wrong = np.setdiff1d(y_true.value, [-1, 1])
    if wrong.size:
        raise ValueError(
            f"hinge: labels {wrong[:3].tolist()}; it takes −1 and +1. Labels 0 and 1 become those by 2*y − 1."
        )
    return _reduced(relu_tensor(1 - y_true * y_pred), reduction)


def cross_entropy(y_true: Operand, y_pred: Operand, reduction: str = "mean") -> Tensor:
    """−log of the softmax probability of the right class, for rows of logits (n, classes) (section 7.4).

    `y_true` holds class numbers (n,) or rows of probabilities (n, classes).  The largest logit is subtracted from its row
    first, which changes nothing but keeps every exponential at most 1.

    >>> cross_entropy([0, 1], Tensor([[1000.0, 0.0], [0.0, 0.0]]), reduction="none")
    Tensor([0.        , 0.69314718])
    """
    z, y = _prediction(y_pred), np.asarray(values(y_true))
    if z.ndim != 2:
        swapped = " Did you swap y_true and y_pred?" if y.ndim == 2 else " For one row use z.reshape(1, -1)."
        raise ValueError(f"cross_entropy: logits of shape {z.shape}; give rows of logits, (n, classes).{swapped}")
    n, classes = z.shape
    shifted = z - np.max(z.value, axis=1, keepdims=True)
    log_sums = tensor_log(tensor_sum(tensor_exp(shifted), axis=1))
    if y.shape == (n, classes):
        if not np.allclose(np.sum(y, axis=1), 1, atol=1e-3) or np.any(y < 0):
            raise ValueError(
                "cross_entropy: rows of y_true are no probabilities; each must be at least 0 and sum to 1."
            )
        return _reduced(log_sums - tensor_sum(shifted * _labels(y_true, z), axis=1), reduction)
    if y.shape != (n,) or y.dtype.kind not in "iu" or np.any((y < 0) | (y >= classes)):
        raise ValueError(
            f"cross_entropy: labels of shape {y.shape} and dtype {y.dtype} for logits {z.shape}. "
            f"Give {n} integers from 0 to {classes - 1}, or rows of probabilities {z.shape}."
        )
    return _reduced(log_sums - shifted[np.arange(n), y], reduction)


def _prediction(y_pred: Operand) -> Tensor:
    """A tensor of floating-point numbers, in the dtype that it has; float64 for integers."""
    t = y_pred if isinstance(y_pred, Tensor) else Tensor(y_pred)
    return t if t.dtype.kind == "f" else Tensor(t.value, dtype=np.float64)


def _labels(y_true: Operand, y_pred: Tensor) -> Tensor:
    """A tensor in the dtype of the predictions, which labels must not change."""
    if isinstance(y_true, Tensor) and (y_true.requires_grad or y_true.dtype == y_pred.dtype):
        return y_true
    return Tensor(values(y_true), dtype=y_pred.dtype)


def _pair(name: str, y_true: Operand, y_pred: Operand) -> tuple[Tensor, Tensor]:
    """Both as tensors of one shape, the labels in the dtype of the predictions; an error that names the loss otherwise."""
    y_pred = _prediction(y_pred)
    y_true = _labels(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"{name}: y_true of shape {y_true.shape} and y_pred of shape {y_pred.shape}; they must be the same. "
            "Reshape one: y_pred.reshape(-1) makes a row of a column."
        )
    return y_true, y_pred


LABELS = "Labels −1 and +1 become 0 and 1 by (y + 1) / 2."
LOGITS = "These look like logits: use binary_cross_entropy_with_logits."


def _in_unit_interval(what: str, x: Tensor, advice: str) -> None:
    low, high = np.min(x.value, initial=0), np.max(x.value, initial=0)
    if low < 0 or high > 1:
        raise ValueError(f"{what} from {low:.4g} to {high:.4g}; probabilities lie in [0, 1]. {advice}")


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f'reduction={reduction!r}: give "mean", "sum" or "none".')
    return tensor_mean(losses) if reduction == "mean" else tensor_sum(losses)
