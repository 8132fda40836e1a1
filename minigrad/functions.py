"""Primitives besides chapter 4's: what its rules are written with, and what chapters 5 to 7 need."""

from __future__ import annotations

from functools import wraps
from math import prod
from types import EllipsisType
from typing import TYPE_CHECKING

import numpy as np

from ._typing import Axis, Operand
from .graph import accumulator
from .primitive import STAND_INS, primitive, recorded_with

if TYPE_CHECKING:
    from .tensor import Tensor


def floating(x: np.ndarray | float):
    """Return `x` in floating point: as it is if it is that already, integers and booleans in float64.

    NumPy computes the exponential of an int8 or a boolean in float16; PyTorch takes float32, and integer leaves are
    float64 here.
    """
    if type(x) is int or type(x) is bool:
        return float(x)
    return x if type(x) is float or x.dtype.kind == "f" else x.astype(np.float64)


def _sign(x):
    """Return the sign of each element as an array: its derivative is 0, so a tensor's sign is a constant."""
    return np.sign(x)


# ---------------------------------------------------------------- element by element


@primitive(lambda g: -g)
def tensor_neg(x: Operand) -> Tensor:
    """−X.

    >>> tensor_neg(Tensor([1.0, -2.0]))
    Tensor([-1.,  2.])
    """
    return -x


@primitive(lambda g, y: g * y)
def tensor_exp(x: Operand) -> Tensor:
    """e^X.  Integers are computed in float64, as by all functions below.

    >>> tensor_exp(Tensor([0.0, 1.0]))
    Tensor([1.        , 2.71828183])
    """
    return np.exp(floating(x))


@primitive(lambda g, x: g / x)
def tensor_log(x: Operand) -> Tensor:
    """The natural logarithm; −inf at 0 and NaN below, with NumPy's warning.

    >>> tensor_log(Tensor([1.0, np.e]))
    Tensor([0., 1.])
    """
    return np.log(floating(x))


@primitive(lambda g, y: g / (2 * y))
def tensor_sqrt(x: Operand) -> Tensor:
    """The square root; at 0 its derivative is infinite.

    >>> tensor_sqrt(Tensor([4.0, 9.0]))
    Tensor([2., 3.])
    """
    return np.sqrt(floating(x))


@primitive(lambda g, y: g * (1 - y * y))
def tensor_tanh(x: Operand) -> Tensor:
    """The hyperbolic tangent.

    >>> tensor_tanh(Tensor([0.0, 100.0]))
    Tensor([0., 1.])
    """
    return np.tanh(floating(x))


@primitive(lambda g, x: tensor_where(x != 0.0, g, 0.0) * _sign(x))  # at 0 it is 0 even for an infinite G
def tensor_abs(x: Operand) -> Tensor:
    """|X|.  At 0, where there is no derivative, we choose 0.

    >>> x = Tensor([-3.0, 0.0, 2.0], requires_grad=True)
    >>> tensor_abs(x).backward([10.0, 10.0, 10.0])
    >>> x.grad
    array([-10.,   0.,  10.])
    """
    return np.abs(x)


# ---------------------------------------------------------------- choosing


@primitive(
    a=lambda g, condition: tensor_where(condition, g, 0),
    b=lambda g, condition: tensor_where(condition, 0, g),
)
def tensor_where(condition: np.ndarray, a: Operand, b: Operand) -> Tensor:
    """A where the condition holds, elsewhere B.  The condition is an array of booleans and gets no gradient.

    >>> tensor_where(np.array([True, False]), Tensor([1.0, 2.0]), 0.0)
    Tensor([1., 0.])
    """
    return _choose(condition, a, b)


BITS = {np.dtype(np.float16): np.int16, np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}
LARGE = 2000  # elements, from which three integer operations take less time than a branch for each element


def _choose(condition, a, b):
    """Return np.where(condition, a, b), computed with the bits of large arrays.

    np.where branches at each element, and the mask of a ReLU cannot be predicted: 38 µs for 10,000 elements.  With the
    bits of floats as integers (A − B) · 1 + B is exactly A, also for ∞ and NaN, since overflow wraps around: 12 µs.
    """
    arrays = type(condition) is type(a) is type(b) is np.ndarray
    if not arrays or a.size < LARGE or not condition.shape == a.shape == b.shape:
        return np.where(condition, a, b)
    if condition.dtype != np.bool_ or a.dtype != b.dtype or a.dtype not in BITS:
        return np.where(condition, a, b)
    bits, b = BITS[a.dtype], b.view(BITS[a.dtype])
    chosen = a.view(bits) - b
    chosen *= condition
    chosen += b
    return chosen.view(a.dtype)


def _share(g, a, b):
    """G where a is the larger, half of it at a tie, and NaN where either is NaN."""
    return tensor_where(a < b, 0, tensor_where(a > b, g, tensor_where(a == b, g / 2, np.nan)))


@primitive(
    lambda g, a, b: _share(g, a, b),
    lambda g, a, b: _share(g, b, a),
)
def tensor_maximum(a: Operand, b: Operand) -> Tensor:
    """The larger of A and B, element by element.  At a tie each gets half of the gradient, at NaN both get NaN.

    >>> a, b = Tensor([1.0, 5.0], requires_grad=True), Tensor([4.0, 5.0], requires_grad=True)
    >>> tensor_maximum(a, b).backward([10.0, 10.0])
    >>> a.grad, b.grad
    (array([0., 5.]), array([10.,  5.]))
    """
    return np.maximum(a, b)


@primitive(
    lambda g, a, b: _share(g, b, a),
    lambda g, a, b: _share(g, a, b),
)
def tensor_minimum(a: Operand, b: Operand) -> Tensor:
    """The smaller of A and B, element by element.  At a tie each gets half of the gradient, at NaN both get NaN.

    >>> tensor_minimum(Tensor([1.0, 5.0]), Tensor([4.0, 5.0]))
    Tensor([1., 5.])
    """
    return np.minimum(a, b)


@primitive(lambda g, x, low, high: tensor_where((x < low) | (x > high), 0, g))
def tensor_clip(x: Operand, low: float, high: float) -> Tensor:
    """X held between `low` and `high`; outside them no gradient passes, on them and at NaN it does.

    ValueError if low > high, TypeError if one of them is not a number; −inf and inf stand for no bound.

    >>> x = Tensor([-3.0, 0.5, 1.0], requires_grad=True)
    >>> tensor_clip(x, 0, 1).backward([10.0, 10.0, 10.0])
    >>> x.grad
    array([ 0., 10., 10.])
    """
    if not all(isinstance(bound, (int, float, np.floating, np.integer)) for bound in (low, high)):
        raise TypeError(f"low = {low} and high = {high}. Give two numbers: -np.inf or np.inf for no bound.")
    if low > high:
        raise ValueError(f"low = {low} is above high = {high}. Swap them.")
    return np.minimum(np.maximum(x, low), high)


def kept_shape(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """The shape that is left of `shape` when the axes summed over are kept, with size 1."""
    if axis is None:
        return (1,) * len(shape)
    axes = {i % len(shape) for i in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _share_of_extreme(g, x, y, axis: Axis):
    """The gradient of a maximum or minimum along `axis`, shared evenly among the elements that attain it.

    Where the result is NaN, all elements that it was computed from get NaN.
    """
    kept = kept_shape(x.shape, axis)
    g, y = g.reshape(kept), y.reshape(kept)
    attained = x == y
    ties = attained.sum(axis=axis, keepdims=True)
    return tensor_where(attained, divided(g, ties + (ties == 0)), tensor_where(y == y, 0, y))


def divided(g, n):
    """Divide G by a count, or an array of counts, in the dtype of G; float16, where 70,000 is infinite, in float32."""
    wide = accumulator(g.dtype)
    n = n if type(n) is int else n.astype(wide)
    return g / n if wide == g.dtype else (g.astype(wide) / n).astype(g.dtype)


@primitive(lambda g, x, y, axis: _share_of_extreme(g, x, y, axis))
def tensor_max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element, or the largest along `axis`.  Elements that tie share the gradient evenly.

    >>> x = Tensor([1.0, 7.0, 7.0], requires_grad=True)
    >>> tensor_max(x).backward()
    >>> x.grad
    array([0. , 0.5, 0.5])
    """
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims)


@primitive(lambda g, x, y, axis: _share_of_extreme(g, x, y, axis))
def tensor_min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element, or the smallest along `axis`.  Elements that tie share the gradient evenly.

    >>> tensor_min(Tensor([[3.0, 1.0], [2.0, 5.0]]), axis=0)
    Tensor([2., 1.])
    """
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims)


# ---------------------------------------------------------------- moving


@primitive(lambda g: g)
def tensor_copy(x: Operand) -> Tensor:
    """The same values in memory of their own.

    >>> tensor_copy(Tensor([1.0, 2.0]))
    Tensor([1., 2.])
    """
    return x.copy()


def _real_only(astype):
    """Refuse what is not real.  (Integers and booleans end the graph, as all results of such dtypes do.)"""

    @wraps(astype)
    def tensor_astype(x, dtype):
        kind = np.dtype(dtype).kind
        if kind not in "biuf":
            raise TypeError(
                f"tensor_astype: to {np.dtype(dtype)}; tensors hold real numbers. Give a float or integer dtype."
            )
        return astype(x, dtype)

    return tensor_astype


@_real_only
@primitive(lambda g, x_dtype: g.astype(x_dtype))
def tensor_astype(x: Operand, dtype: np.dtype | type | str) -> Tensor:
    """The same values in another dtype; their gradient comes back in the one they had.

    Integers and booleans are constants: the result requires no gradient.  TypeError for complex numbers, strings and
    objects.

    >>> x = Tensor([1.7, 2.2], requires_grad=True)
    >>> tensor_astype(x, np.float32).dtype, tensor_astype(x, int).requires_grad
    (dtype('float32'), False)
    """
    return x.astype(dtype)


@primitive(lambda g: g)
def tensor_broadcast_to(x: Operand, shape: tuple[int, ...]) -> Tensor:
    """X repeated to fill `shape`, as NumPy broadcasts.  Its rule is the identity: the engine undoes broadcasting.

    >>> x = Tensor([[1.0], [2.0]], requires_grad=True)
    >>> tensor_broadcast_to(x, (2, 3)).backward([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    >>> x.grad
    array([[ 6.],
           [60.]])
    """
    return everywhere(x, shape) if is_number(x) else np.broadcast_to(x, shape)


def is_number(x) -> bool:
    """Whether `x` is a number of NumPy's, or stands for one in a recording."""
    return isinstance(x, np.generic) or (type(x) in STAND_INS and not x.ndim)


def everywhere(number: np.generic, shape: tuple[int, ...]) -> np.ndarray:
    """One number at every place of `shape`, in less time than np.full or np.broadcast_to.

    A few thousand places have memory of their own, so that what comes next reads them faster.  Of more there is a
    read-only view, which takes no memory.
    """
    if type(number) in STAND_INS:
        view = np.broadcast_to(number, shape)
        return view if prod(shape) > 4096 else view.copy()
    if prod(shape) > 4096:
        return np.ndarray(shape, number.dtype, number, 0, (0,) * len(shape))
    out = np.empty(shape, number.dtype)
    out.fill(number)
    return out


@primitive(lambda g, x_shape, index: _put(g, index, x_shape))
def tensor_getitem(x: Operand, index) -> Tensor:
    """x[index] for any index that NumPy takes.  An element picked twice gets both gradients.

    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> x[[0, 0, 2]].backward([10.0, 20.0, 30.0])
    >>> x.grad
    array([30.,  0., 30.])
    """
    return recorded_with(index, x)[index]


@primitive(lambda g, index: g[index])
def _put(x: Operand, index, shape: tuple[int, ...]) -> Tensor:
    """X added into zeros of this shape at `index`: what getitem's rule does with the gradient."""
    out = recorded_with(index, np.zeros_like(x, accumulator(x.dtype), shape=shape))
    parts = index if isinstance(index, tuple) else (index,)
    if all(isinstance(part, (int, slice, EllipsisType, type(None))) for part in parts):
        out[index] = x  # nothing is picked twice
    else:
        np.add.at(out, index, x)
    return out.astype(x.dtype, copy=False)
