"""Losses (sections 5 and 7): `(y_true, y_pred, reduction="mean")`, each a composition of primitives.

`reduction` is "mean", "sum" or "none" (a loss for each element, or for each row in `cross_entropy`).  Labels and predictions
must have one shape: a column beside a row would broadcast to a matrix of losses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ._typing import Operand
from .functions import tensor_abs, tensor_exp, tensor_log, tensor_where
from .graph import accumulator
from .interop import values
from .operations import relu_tensor, tensor_mean, tensor_softplus, tensor_sum
from .primitive import as_array, violated
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


def binary_cross_entropy(
    y_true: Operand, y_pred: Operand, reduction: str = "mean", weight: Operand | None = None
) -> Tensor:
    """The mean of −y log p − (1 − y) log(1 − p) for probabilities p (section 5.4).

    Where p or 1 − p is 0, its logarithm is replaced by that of the smallest number whose reciprocal is finite, so the loss
    and its gradient stay finite and a right answer costs nothing; no p above that number is changed (1.2e−38 in
    float32; 1.5e−5 in float16, which is computed in float32).  `weight` multiplies the losses, to whose shape it must
    broadcast; the mean still divides by their number.  ValueError for a y or a p outside [0, 1].

    >>> binary_cross_entropy([1.0, 0.0], Tensor([0.5, 0.0]), reduction="none")
    Tensor([0.69314718, 0.        ])
    """
    if weight is not None:
        losses = binary_cross_entropy(y_true, y_pred, "none")
        return _reduced(losses * _weights("binary_cross_entropy: weight", weight, losses), reduction)
    y, p = _pair("binary_cross_entropy", y_true, y_pred)
    _in_unit_interval("binary_cross_entropy: labels", y, LABELS)
    _in_unit_interval("binary_cross_entropy: predictions", p, LOGITS)
    dtype, wide = p.dtype, accumulator(p.dtype)
    tiny = wide.type(max(np.finfo(wide).tiny, 1 / float(np.finfo(dtype).max)))
    if wide != dtype:  # beside 1, float16 keeps no p below 2.4e-4
        y, p = y.astype(wide), p.astype(wide)
    loss = _reduced(-y * _log_above(tiny, p) - (1 - y) * _log_above(tiny, 1 - p), reduction)
    return loss if wide == dtype else loss.astype(dtype)


def _log_above(tiny: np.floating, p: Tensor) -> Tensor:
    """log max(p, tiny), with the derivative 1 / tiny below tiny, where that of the maximum would be 0."""
    return tensor_log(p + np.maximum(tiny - p.value, 0))


def binary_cross_entropy_with_logits(
    y_true: Operand,
    y_pred: Operand,
    reduction: str = "mean",
    weight: Operand | None = None,
    pos_weight: Operand | None = None,
) -> Tensor:
    """The same loss of p = σ(z), from the logits z: −log σ(z) is softplus(−z), −log(1 − σ(z)) softplus(z) (section 7.2).

    Accurate at both ends, where σ(z) has been rounded to 0 or 1 and the logarithm of that is useless.  `pos_weight` multiplies
    the first of the two terms, that of the positive class, and `weight` the losses, to whose shape both must broadcast; the
    mean still divides by their number.  ValueError for a y outside [0, 1].

    >>> binary_cross_entropy_with_logits([1.0, 0.0], Tensor([1000.0, 1000.0]), reduction="none")
    Tensor([   0., 1000.])
    """
    y_true, z = _pair("binary_cross_entropy_with_logits", y_true, y_pred)
    _in_unit_interval("binary_cross_entropy_with_logits: labels", y_true, LABELS)
    positive = y_true * tensor_softplus(-z)
    if pos_weight is not None:
        positive = positive * _weights("binary_cross_entropy_with_logits: pos_weight", pos_weight, positive)
    losses = positive + (1 - y_true) * tensor_softplus(z)
    if weight is not None:
        losses = losses * _weights("binary_cross_entropy_with_logits: weight", weight, losses)
    return _reduced(losses, reduction)


def hinge(y_true: Operand, y_pred: Operand, reduction: str = "mean") -> Tensor:
    """The mean of max(0, 1 − y ŷ) for labels −1 and +1 (section 5.4).  ValueError for other labels.

    >>> hinge([1.0, -1.0], Tensor([0.5, -3.0]), reduction="none")
    Tensor([0.5, 0. ])
    """
    y_true, y_pred = _pair("hinge", y_true, y_pred)
    if violated(np.any(np.abs(y_true.value) != 1)):
        wrong = np.setdiff1d(y_true.value, [-1, 1])
        raise ValueError(
            f"hinge: labels {wrong[:3].tolist()}; it takes −1 and +1. Labels 0 and 1 become those by 2*y − 1."
        )
    return _reduced(relu_tensor(1 - y_true * y_pred), reduction)


def cross_entropy(
    y_true: Operand,
    y_pred: Operand,
    reduction: str = "mean",
    weight: Operand | None = None,
    ignore_index: int | None = None,
) -> Tensor:
    """−log of the softmax probability of the right class, for rows of logits (n, classes) (section 7.4).

    `y_true` holds class numbers (n,) or rows of probabilities (n, classes).  The largest logit is subtracted from its row
    first, which changes nothing but keeps every exponential at most 1.

    `weight` (classes,) multiplies the terms of each class.  The mean is then the weighted one: the sum of the losses divided
    by the sum of the weights of the right classes (by n, for rows of probabilities).  Rows labelled `ignore_index` have loss
    and gradient 0, and the mean is over the others; if all are ignored it is 0.  ValueError for labels that are neither.

    >>> cross_entropy([0, 1], Tensor([[1000.0, 0.0], [0.0, 0.0]]), reduction="none")
    Tensor([0.        , 0.69314718])
    >>> cross_entropy([-1, 1], Tensor([[1000.0, 0.0], [0.0, 0.0]]), ignore_index=-1)
    Tensor(0.69314718)
    """
    z = _prediction("cross_entropy", y_pred)
    # a copy: the caller's buffer may be filled anew before the backward pass
    y = as_array(_read("cross_entropy", y_true), copy=True)
    if z.ndim != 2:
        swapped = " Did you swap y_true and y_pred?" if y.ndim == 2 else " For one row use z.reshape(1, -1)."
        raise ValueError(f"cross_entropy: logits of shape {z.shape}; give rows of logits, (n, classes).{swapped}")
    n, classes = z.shape
    if weight is not None:
        weight = _weights("cross_entropy: weight", weight, z, (classes,))
    if y.shape == (n, classes):
        if violated(~np.all(np.abs(np.sum(y, axis=1) - 1) <= 1e-3) | np.any(y < 0)):
            raise ValueError(
                "cross_entropy: rows of y_true are not probabilities; each must be at least 0 and sum to 1."
            )
        if ignore_index is not None:
            raise ValueError("cross_entropy: ignore_index is for class numbers. To ignore rows, leave them out.")
        shifted, log_sums = _shifted(z)
        labels = _labels("cross_entropy", y_true, z)
        if weight is None:
            return _reduced(log_sums - tensor_sum(shifted * labels, axis=1), reduction)
        return _reduced(-tensor_sum((shifted - log_sums.reshape(-1, 1)) * labels * weight, axis=1), reduction)
    kept = np.ones(n, bool) if ignore_index is None else y != ignore_index
    if y.shape != (n,) or y.dtype.kind not in "iu" or violated(np.any(((y < 0) | (y >= classes)) & kept)):
        other = "" if ignore_index is None else f" (or ignore_index, {ignore_index})"
        raise ValueError(
            f"cross_entropy: labels of shape {y.shape} and dtype {y.dtype} for logits {z.shape}. "
            f"Give {n} integers from 0 to {classes - 1}{other}, or rows of probabilities {z.shape}."
        )
    if weight is None and ignore_index is None:
        shifted, log_sums = _shifted(z)
        return _reduced(log_sums - shifted[np.arange(n), y], reduction)
    y = np.where(kept, y, 0)
    shifted, log_sums = _shifted(tensor_where(kept.reshape(-1, 1), z, 0.0))  # whatever is in a row that does not count
    weights = tensor_where(kept, Tensor(np.ones(n, z.dtype)) if weight is None else weight[y], 0.0)
    losses = (log_sums - shifted[np.arange(n), y]) * weights
    if reduction != "mean":
        return _reduced(losses, reduction)
    total = tensor_sum(weights)
    return tensor_sum(losses) / tensor_where(total.value != 0, total, 1.0)


def _shifted(z: Tensor) -> tuple[Tensor, Tensor]:
    """Logits minus the largest of their row, and the logarithm of the sum of their exponentials, for each row."""
    shifted = z - np.max(z.value, axis=1, keepdims=True)
    return shifted, tensor_log(tensor_sum(tensor_exp(shifted), axis=1))


def _read(name: str, x: Operand) -> np.ndarray:
    """The values of an operand; TypeError for what is not numbers, and for tensors in a list, whose gradients would be lost."""
    if isinstance(x, (list, tuple)) and any(t.requires_grad for t in _tensors_in(x)):
        raise TypeError(f"{name}: a list of tensors would lose their gradients. Join them first: tensor_stack(list).")
    try:
        array = as_array(values(x))
    except ValueError as error:
        raise ValueError(f"{name}: not a rectangular array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: values of dtype {array.dtype}; give real numbers.")
    return array


def _tensors_in(x: Sequence) -> Iterator[Tensor]:
    for item in x:
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, (list, tuple)):
            yield from _tensors_in(item)


def _prediction(name: str, y_pred: Operand) -> Tensor:
    """A tensor of floating-point numbers, in the dtype that it has; float64 for integers."""
    t = y_pred if isinstance(y_pred, Tensor) else Tensor(_read(name, y_pred))
    return t if t.dtype.kind == "f" else Tensor(t.value, dtype=np.float64)


def _labels(name: str, y_true: Operand, y_pred: Tensor) -> Tensor:
    """A tensor in the dtype of the predictions, which labels must not change.

    Constants are copied: their buffer may be filled with the next batch before the backward pass.
    """
    if isinstance(y_true, Tensor) and y_true.requires_grad:
        return y_true
    return Tensor(as_array(_read(name, y_true), y_pred.dtype, copy=True))


def _pair(name: str, y_true: Operand, y_pred: Operand) -> tuple[Tensor, Tensor]:
    """Both as tensors of one shape, the labels in the dtype of the predictions; an error that names the loss otherwise."""
    y_pred = _prediction(name, y_pred)
    y_true = _labels(name, y_true, y_pred)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"{name}: y_true of shape {y_true.shape} and y_pred of shape {y_pred.shape}; they must be the same. "
            "Reshape one: y_pred.reshape(-1) turns shape (n, 1) into (n,)."
        )
    return y_true, y_pred


def _weights(what: str, weight: Operand, x: Tensor, shape: tuple[int, ...] | None = None) -> Tensor:
    """Weights in the dtype of `x`, of this shape, or broadcasting to that of `x`; at least 0."""
    weight = _labels(what, weight, x)
    try:
        fits = np.broadcast_to(weight.value, shape or x.shape).shape == (weight.shape if shape else x.shape)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{what} of shape {weight.shape} for predictions of shape {x.shape}; give {shape or x.shape}.")
    if violated(~np.all((weight.value >= 0) & np.isfinite(weight.value))):
        raise ValueError(f"{what} {weight.data.reshape(-1)[:5].tolist()}; weights are finite and at least 0.")
    return weight


LABELS = "Labels −1 and +1 become 0 and 1 by (y + 1) / 2."
LOGITS = "These look like logits: use binary_cross_entropy_with_logits."
ROUNDED = "Rounding has taken them over the edge: clip them, tensor_clip(p, 0, 1)."


def _in_unit_interval(what: str, x: Tensor, advice: str) -> None:
    low, high = np.min(x.value, initial=0), np.max(x.value, initial=0)
    if violated((low < 0) | (high > 1)):
        if advice is LOGITS and low > -1e-3 and high < 1 + 1e-3:
            advice = ROUNDED
        raise ValueError(f"{what} from {low} to {high}; probabilities lie in [0, 1]. {advice}")


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f'reduction={reduction!r}: give "mean", "sum" or "none".')
    return tensor_mean(losses) if reduction == "mean" else tensor_sum(losses)
