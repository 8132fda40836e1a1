"""Further reductions: products, running sums, variance, norms, and the softmax family, whose sums cannot overflow.

`axis` is an int or a tuple, negative from the end, or None for all axes; with `keepdims` reduced axes stay, with size 1.
Products and sums of float16 are accumulated in float32.
"""

from __future__ import annotations

from math import inf, prod
from typing import TYPE_CHECKING

import numpy as np

from ._typing import Axis, Operand
from .functions import floating, kept_shape, tensor_abs, tensor_astype, tensor_exp, tensor_max, tensor_where
from .graph import accumulator
from .operations import tensor_concat, tensor_mean, tensor_reshape, tensor_sum, tensor_transpose
from .primitive import primitive
from .rearranging import axis_numbers, tensor_flip, with_shape

if TYPE_CHECKING:
    from .tensor import Tensor


# ---------------------------------------------------------------- product


def _products_before(x):
    """For each element of a row (the last axis), the product of those before it: of 1, then 2, 4, 8, … neighbours."""
    n, step = x.shape[-1], 1
    y = tensor_concat([np.ones((*x.shape[:-1], 1), x.dtype), x[..., :-1]], -1)
    while step < n:
        y = tensor_concat([y[..., :step], y[..., step:] * y[..., :-step]], -1)
        step *= 2
    return y


def _products_of_others(x, axis: Axis):
    """For each element of `x`, the product of all others along `axis`.  To divide the product by x would fail where an element is 0."""
    axes = axis_numbers(axis, len(x.shape), "tensor_prod")
    if x.size == 0:
        return x  # as empty as the gradient
    order = (*(i for i in range(len(x.shape)) if i not in axes), *axes)
    moved = tensor_transpose(x, order)
    split = len(order) - len(axes)
    rows = tensor_reshape(moved, (*moved.shape[:split], prod(moved.shape[split:])))
    others = _products_before(rows) * tensor_flip(_products_before(tensor_flip(rows, -1)), -1)
    return tensor_transpose(tensor_reshape(others, moved.shape), tuple(map(order.index, range(len(order)))))


@primitive(lambda g, x, axis: g.reshape(kept_shape(x.shape, axis)) * _products_of_others(x, axis))
def tensor_prod(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product of all elements, or along `axis`.  Each element gets G times the product of the others, zeros included.

    >>> x = Tensor([2.0, 0.0, 5.0], requires_grad=True)
    >>> tensor_prod(x).backward()
    >>> x.grad
    array([ 0., 10.,  0.])
    """
    if accumulator(x.dtype) != x.dtype:
        return np.multiply.reduce(x, axis, dtype=accumulator(x.dtype), keepdims=keepdims).astype(x.dtype)
    return np.multiply.reduce(x, axis, keepdims=keepdims)


# ---------------------------------------------------------------- running sums


def _sums_from_the_end(g, axis: int | None):
    """For each element of G, the sum of it and of those after it along `axis`."""
    return tensor_flip(tensor_cumsum(tensor_flip(g, axis), axis), axis)


@primitive(lambda g, x_shape, axis: _sums_from_the_end(g, axis).reshape(x_shape))
def tensor_cumsum(x: Operand, axis: int | None = None) -> Tensor:
    """Cumulative sums along `axis`; if it is None, of all elements in row-major order.

    Element i contributes to the sums i, i + 1, …, so its gradient is the sum of their upstream gradients.

    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = tensor_cumsum(x)
    >>> y.backward([1.0, 10.0, 100.0])
    >>> y.numpy(), x.grad
    (array([1., 3., 6.]), array([111., 110., 100.]))
    """
    if accumulator(x.dtype) != x.dtype:
        return np.cumsum(x, axis, dtype=accumulator(x.dtype)).astype(x.dtype)
    return np.cumsum(x, axis)


# ---------------------------------------------------------------- variance and standard deviation


def _counted(shape: tuple[int, ...], axis: Axis, ddof: float, name: str) -> float:
    """The number of elements along `axis`, minus ddof."""
    n = prod(shape[i] for i in axis_numbers(axis, len(shape), name))
    if n <= ddof:
        raise ValueError(f"{name}: {n} elements along axis {axis} with ddof={ddof}. It must be less than their number.")
    return n - ddof


def tensor_var(x: Operand, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Tensor:
    """The variance: the mean of (X − mean X)², of all elements or along `axis`.

    The sum is divided by n − ddof for n elements.  As in NumPy ddof is 0 unless you say otherwise; PyTorch's `var` divides
    by n − 1, which is ddof=1.  ValueError if n is not larger than ddof.

    >>> x = Tensor([1.0, 2.0, 6.0], requires_grad=True)
    >>> tensor_var(x, ddof=1).backward()  # 2 (x − 3) / (n − 1)
    >>> x.grad
    array([-2., -1.,  3.])
    """
    x = with_shape(x, "tensor_var")
    n = _counted(x.shape, axis, ddof, "tensor_var")
    deviations = x - tensor_mean(x, axis, keepdims=True)
    return tensor_sum(deviations * deviations, axis, keepdims) / n


def tensor_std(x: Operand, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Tensor:
    """The standard deviation, the square root of the variance, of all elements or along `axis`.

    `ddof` as in `tensor_var`: 0 as in NumPy, where PyTorch's `std` has 1.  Where all elements are equal the standard
    deviation is 0 and has no derivative; we choose 0, as for `tensor_norm`.

    >>> tensor_std(Tensor([[1.0, 3.0], [5.0, 5.0]]), axis=1)
    Tensor([1., 0.])
    """
    x = with_shape(x, "tensor_std")
    n = _counted(x.shape, axis, ddof, "tensor_std")
    return tensor_norm(x - tensor_mean(x, axis, keepdims=True), axis, keepdims) / n**0.5


# ---------------------------------------------------------------- norms


def _quotient(g, y):
    """G / Y, and 0 where Y is 0."""
    return tensor_where(y != 0, g / tensor_where(y != 0, y, 1), 0)


@primitive(lambda g, x, y, axis: x * _quotient(g, y).reshape(kept_shape(x.shape, axis)))
def _length(x: Operand, axis: Axis, keepdims: bool) -> Tensor:
    """√ΣX² along `axis`; its gradient is G ⊙ X / Y."""
    squares = np.square(x, dtype=accumulator(x.dtype))
    return np.sqrt(np.add.reduce(squares, axis=axis, keepdims=keepdims)).astype(x.dtype)


def tensor_norm(x: Operand, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """The norm of all elements as one vector, or of the vectors along `axis`.

    ord=2 is the Euclidean length √ΣX² (for a matrix its Frobenius norm), ord=1 is Σ|X|, ord=np.inf is max |X|.  Other
    orders are a ValueError.  At X = 0 a norm has no derivative; we choose 0, the subgradient of least length, as PyTorch
    does and as for |X|.  (√ΣX², written with `tensor_sqrt`, gives NaN there.)

    >>> x = Tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    >>> y = tensor_norm(x, axis=1)
    >>> y.backward([1.0, 1.0])
    >>> y.numpy(), x.grad
    (array([5., 0.]), array([[0.6, 0.8],
           [0. , 0. ]]))
    """
    x = with_shape(x, "tensor_norm")
    if ord == 1:
        return tensor_sum(tensor_abs(x), axis, keepdims)
    if ord == inf:
        return tensor_max(tensor_abs(x), axis, keepdims)
    if ord != 2:
        raise ValueError(f"tensor_norm: ord={ord!r}. Give 1, 2 or np.inf.")
    return _length(x if x.dtype.kind == "f" else tensor_astype(x, np.float64), axis, keepdims)


# ---------------------------------------------------------------- softmax and its logarithm


def _shifted(x, axis: Axis) -> tuple:
    """X minus its maximum along `axis`, and that maximum; where it is infinite, 0 is subtracted instead.

    Then no exponential is above 1, and −∞ − (−∞) never arises.
    """
    x = floating(x)
    x = x.astype(accumulator(x.dtype), copy=False)
    top = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-inf)
    top = np.where(np.isinf(top), 0, top).astype(x.dtype, copy=False)
    return x - top, top


def _dtype(x) -> np.dtype:
    """The dtype of the result: that of `x`, or float64 for integers."""
    return floating(x).dtype


@primitive(lambda g, x, y, axis: _logsumexp_rule(g, x, y, axis))
def tensor_logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log Σ e^X, of all elements or along `axis`, without overflow: a smooth maximum.  Its gradient is G ⊙ softmax(X).

    −inf where all elements are −inf, or there are none; there the gradient is 0.  Integers give float64.

    >>> tensor_logsumexp(Tensor([[1000.0, 1000.0], [-np.inf, 3.0]]), axis=1)
    Tensor([1000.69314718,    3.        ])
    """
    shifted, top = _shifted(x, axis)
    with np.errstate(divide="ignore", over="ignore"):  # log 0 is −∞ here, and a row with ∞ has the sum ∞
        y = np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True)) + top
    return y.reshape(kept_shape(x.shape, axis) if keepdims else _reduced_shape(x.shape, axis)).astype(_dtype(x))


def _reduced_shape(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    axes = axis_numbers(axis, len(shape), "tensor_logsumexp")
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _logsumexp_rule(g, x, y, axis: Axis):
    """G ⊙ e^(X − Y).  Where Y is −∞, so is every X, and e^X is the right 0."""
    kept = kept_shape(x.shape, axis)
    return g.reshape(kept) * tensor_exp(x - tensor_where(y != -inf, y, 0).reshape(kept))


@primitive(lambda g, y, axis: y * (g - tensor_sum(g * y, axis, keepdims=True)))
def tensor_softmax(x: Operand, axis: Axis = -1) -> Tensor:
    """e^X / Σ e^X along `axis`: positive numbers that sum to 1, from any numbers, without overflow (section 7.4).

    An element of −inf gets the probability 0.  Where all are −inf there is no distribution, and the result is NaN, with
    NumPy's warning, as in PyTorch.  For log softmax(X) use `tensor_log_softmax`.  Integers give float64.

    >>> x = Tensor([1000.0, 1000.0, 0.0], requires_grad=True)
    >>> y = tensor_softmax(x)
    >>> y.backward([4.0, 0.0, 2.0])
    >>> y.numpy(), x.grad
    (array([0.5, 0.5, 0. ]), array([ 1., -1.,  0.]))
    """
    e = np.exp(_shifted(x, axis)[0])
    return (e / np.add.reduce(e, axis=axis, keepdims=True)).astype(_dtype(x))


@primitive(lambda g, y, axis: g - tensor_exp(y) * tensor_sum(g, axis, keepdims=True))
def tensor_log_softmax(x: Operand, axis: Axis = -1) -> Tensor:
    """X − log Σ e^X along `axis`: the logarithm of softmax, also where softmax rounds to 0 or 1 (section 7.4).

    An element of −inf stays −inf.  Where all are −inf the result is NaN, with NumPy's warning, as in PyTorch.  Integers
    give float64.

    >>> tensor_log_softmax(Tensor([1000.0, 0.0]))
    Tensor([    0., -1000.])
    """
    shifted, _ = _shifted(x, axis)
    with np.errstate(divide="ignore"):
        log_sums = np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))
    return (shifted - log_sums).astype(_dtype(x))
