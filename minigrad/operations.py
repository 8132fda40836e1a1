"""The operations of chapter 4, in its order: each beside the rules that differentiate it.

In every rule `g` is the upstream gradient ∂L/∂R, `y` the result, and the other names are the operation's own.  Rules
say nothing of broadcasting: the engine undoes it for all of them in one place (`graph.unbroadcast`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ._typing import Axis, Operand
from .functions import (
    divided,
    everywhere,
    floating,
    is_number,
    kept_shape,
    tensor_broadcast_to,
    tensor_log,
    tensor_where,
)
from .graph import Operation, accumulator, add_reduce
from .primitive import apply, joinable, primitive

if TYPE_CHECKING:
    from .tensor import Tensor


# ---------------------------------------------------------------- 4.1 addition and subtraction


@primitive(
    lambda g: g,
    lambda g: g,
)
def tensor_add(a: Operand, b: Operand) -> Tensor:
    """A + B, element by element (section 4.1).

    Shapes broadcast as in NumPy; ValueError where they do not.

    >>> a, b = Tensor([1.0, 2.0], requires_grad=True), Tensor(3.0, requires_grad=True)
    >>> tensor_add(a, b).backward([10.0, 20.0])
    >>> a.grad, b.grad
    (array([10., 20.]), array(30.))
    """
    return a + b


@primitive(
    lambda g: g,
    lambda g: -g,
)
def tensor_sub(a: Operand, b: Operand) -> Tensor:
    """A − B, element by element (section 4.1).

    >>> a, b = Tensor([1.0, 2.0], requires_grad=True), Tensor(3.0, requires_grad=True)
    >>> tensor_sub(a, b).backward([10.0, 20.0])
    >>> a.grad, b.grad
    (array([10., 20.]), array(-30.))
    """
    return a - b


# ---------------------------------------------------------------- 4.2 element-wise (Hadamard) multiplication


@primitive(
    lambda g, a, b: g * b,
    lambda g, a, b: g * a,
)
def tensor_mul(a: Operand, b: Operand) -> Tensor:
    """A ⊙ B, element by element (section 4.2).

    >>> x = Tensor(3.0, requires_grad=True)
    >>> tensor_mul(x, x).backward()  # two paths lead back to x, and both count
    >>> x.grad
    array(6.)
    """
    return a * b


# ---------------------------------------------------------------- 4.3 sigmoid


@primitive(lambda g, y: g * y * (1 - y))
def sigmoid_tensor(x: Operand) -> Tensor:
    """σ(X) = 1 / (1 + e^−X), element by element (section 4.3).

    Written with e = e^−|X|, which cannot overflow, so it is accurate at both ends in every dtype.  Integers and
    booleans are computed in float64.

    >>> sigmoid_tensor(Tensor([-1000.0, 0.0, 1000.0]))
    Tensor([0. , 0.5, 1. ])
    """
    x = floating(x)
    e = np.exp(-np.abs(x))
    y = np.maximum(e, np.sign(x))  # 1 where X ≥ 0, elsewhere e, which is less than 1
    y /= 1.0 + e
    return y


@primitive(lambda g, x: g * sigmoid_tensor(x))
def tensor_softplus(x: Operand) -> Tensor:
    """log(1 + e^X), the smooth ramp whose derivative is the sigmoid; accurate and finite at both ends.

    >>> tensor_softplus(Tensor([-1000.0, 0.0, 1000.0]))
    Tensor([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    x = floating(x)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


# ---------------------------------------------------------------- 4.4 scalar multiplication


@primitive(a=lambda g, c: c * g)
def scalar_multiply_tensor(c: float, a: Operand) -> Tensor:
    """c A for a number c, which is a constant and gets no gradient (section 4.4).  TypeError if c is no number.

    >>> a = Tensor([1.0, 2.0], requires_grad=True)
    >>> scalar_multiply_tensor(3, a).backward([10.0, 20.0])
    >>> a.grad
    array([30., 60.])
    """
    if not isinstance(c, (int, float, np.floating, np.integer)):
        raise TypeError(
            f"c must be a number, not {type(c).__name__}. For an array or a c to be learned multiply: tensor_mul(c, a)"
        )
    return c * a


# ---------------------------------------------------------------- 4.5 division


@primitive(
    lambda g, y, b: g / b,
    lambda g, y, b: -g * y / b,  # −G ⊙ A / B², where B² might overflow and R = A / B does not
)
def tensor_divide(a: Operand, b: Operand) -> Tensor:
    """A / B, element by element (section 4.5).  Where B is 0 the result is ±inf or NaN, with NumPy's warning.

    >>> a, b = Tensor(1.0, requires_grad=True), Tensor(4.0, requires_grad=True)
    >>> tensor_divide(a, b).backward()
    >>> a.grad, b.grad
    (array(0.25), array(-0.0625))
    """
    return a / b


# ---------------------------------------------------------------- 4.6 power


def _power_rule(g, x, p):
    """g ⊙ p X^(p−1).  Where p = 0 the derivative is 0 at every X and for every g, where p X^(p−1) g would be 0·∞."""
    if type(p) is int or type(p) is float:
        if p == 0:
            return tensor_where(False, g, 0)
        return g * (x + x) if p == 2 else g * (p * _power(x, p - 1))
    return tensor_where(p != 0, g, 0) * (p * x ** tensor_where(p != 0, p - 1, 0))


def _exponent_rule(g, x, p):
    """g ⊙ X^p log X, and 0 where X = 0 (for p > 0, the limit)."""
    return tensor_where(x != 0, g, 0) * x**p * tensor_log(tensor_where(x != 0, x, g.dtype.type(1)))


def _power(x, p):
    """x**p; a cube as a product, which takes NumPy a thirtieth of the time."""
    return x * x * x if (type(p) is int or type(p) is float) and p == 3 else x**p


@primitive(
    _power_rule,
    _exponent_rule,
)
def tensor_pow(x: Operand, p: Operand) -> Tensor:
    """X^p, element by element, for a number p or a tensor of exponents (section 4.6).

    A negative X needs an integer p, else the result is NaN, with NumPy's warning.  The gradient in p exists for X > 0; at
    X = 0 it is 0 if p > 0; for a negative X it is NaN.

    >>> x = Tensor([-2.0, 3.0], requires_grad=True)
    >>> tensor_pow(x, 2).backward([1.0, 10.0])
    >>> x.grad
    array([-4., 60.])
    """
    return _power(x, p)


# ---------------------------------------------------------------- 4.7 sum


def _spread(g, shape: tuple[int, ...], axis: Axis):
    """The gradient of a reduction, handed to every element that went into it."""
    if is_number(g):
        return everywhere(g, shape)
    return tensor_broadcast_to(g if axis is None else g.reshape(kept_shape(shape, axis)), shape)


@primitive(lambda g, x_shape, axis: _spread(g, x_shape, axis))
def tensor_sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum of all elements, or along `axis`: an int or a tuple, negative from the end (section 4.7).

    float16 is accumulated in float32.

    >>> x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    >>> tensor_sum(x, axis=0)
    Tensor([5., 7., 9.], from tensor_sum)
    >>> tensor_sum(x, axis=0).backward([1.0, 10.0, 100.0])
    >>> x.grad
    array([[  1.,  10., 100.],
           [  1.,  10., 100.]])
    """
    return add_reduce(x, axis, keepdims)


# ---------------------------------------------------------------- 4.8 mean


@primitive(lambda g, x_shape, axis: _spread(divided(g, _averaged(x_shape, g)), x_shape, axis))
def tensor_mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean of all elements, or along `axis` (section 4.8).  float16 is accumulated in float32.

    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> tensor_mean(x).backward()
    >>> x.grad
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    if accumulator(x.dtype) != x.dtype:
        return tensor_mean(x.astype(accumulator(x.dtype)), axis, keepdims).astype(x.dtype)
    total = np.add.reduce(x, axis=axis, keepdims=keepdims)
    return total / _averaged(x.shape, total)


def _averaged(shape: tuple[int, ...], y) -> int:
    """How many elements of a tensor of this shape went into each element of its mean `y`."""
    return prod(shape) // (y.size or 1)


# ---------------------------------------------------------------- 4.9 reshape


@primitive(lambda g, x_shape: g.reshape(x_shape))
def tensor_reshape(x: Operand, shape: int | tuple[int, ...]) -> Tensor:
    """The same elements in the same (row by row) order, in another shape; one size may be −1 (section 4.9).

    >>> x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    >>> tensor_reshape(x, (3, -1)).shape
    (3, 2)
    """
    return x.reshape(shape)


# ---------------------------------------------------------------- 4.10 transpose


def _inverse(axes: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The permutation that undoes `axes`."""
    return None if axes is None else tuple(sorted(range(len(axes)), key=[i % len(axes) for i in axes].__getitem__))


@primitive(lambda g, axes: tensor_transpose(g, _inverse(axes)))
def tensor_transpose(x: Operand, axes: tuple[int, ...] | None = None) -> Tensor:
    """The axes in another order; reversed unless `axes` says which goes where (section 4.10).

    >>> tensor_transpose(Tensor(np.zeros((2, 3, 5))), (1, 2, 0)).shape
    (3, 5, 2)
    """
    return x.transpose(axes)


# ---------------------------------------------------------------- 4.11 concatenation


def tensor_concat(tensors: Sequence[Operand], axis: int = 0) -> Tensor:
    """Any number of tensors joined along an existing axis; the other sizes must agree (section 4.11).

    Each operand gets back the slice of the upstream gradient that it filled.

    >>> a, b = Tensor([1.0], requires_grad=True), Tensor([2.0, 3.0], requires_grad=True)
    >>> tensor_concat([a, b]).backward([10.0, 20.0, 30.0])
    >>> a.grad, b.grad
    (array([10.]), array([20., 30.]))
    """
    _check_axis("tensor_concat", axis)
    tensors = joinable(tensors, "tensor_concat")
    shapes = [x.shape for x in tensors]
    if not shapes or not all(-len(s) <= axis < len(s) for s in shapes):
        raise ValueError(
            f"tensor_concat: axis {axis} of shapes {shapes}: every operand needs that axis. "
            "To join along a new one use tensor_stack."
        )
    ends = np.cumsum([s[axis] for s in shapes]).tolist()
    before = (slice(None),) * (axis % len(shapes[0]))
    rules = [
        lambda g, cut=(*before, slice(start, end)): g[cut] for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
    op = Operation("tensor_concat", [f"tensors[{i}]" for i in range(len(tensors))], (), rules)
    return apply(op, lambda arrays: np.concatenate(arrays, axis), tensors)


def tensor_stack(tensors: Sequence[Operand], axis: int = 0) -> Tensor:
    """Tensors of one shape, joined along a new axis.

    >>> tensor_stack([Tensor([1.0, 2.0]), Tensor([3.0, 4.0])], axis=1)
    Tensor([[1., 3.],
            [2., 4.]])
    """
    _check_axis("tensor_stack", axis)
    tensors = joinable(tensors, "tensor_stack")
    shapes = {x.shape for x in tensors}
    if len(shapes) != 1:
        raise ValueError(
            f"tensor_stack: shapes {sorted(shapes)}: all must be the same. To join along an axis they have use tensor_concat."
        )
    shape = list(shapes.pop())
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, 1)
    return tensor_concat([x.reshape(tuple(shape)) for x in tensors], axis)


def _check_axis(name: str, axis) -> None:
    """Raise a TypeError for a second operand in the place of the axis, and for the axis None of np.concatenate."""
    if axis is None:
        raise TypeError(f"{name}: axis=None is not supported. Flatten each operand first: reshape(-1).")
    if not isinstance(axis, (int, np.integer)):
        raise TypeError(f"{name}: axis must be an integer, not {type(axis).__name__}. Give a list: {name}([a, b]).")


# ---------------------------------------------------------------- 4.12 matrix multiplication


def _as_matrices(g, a, b):
    """As @ reads them: a vector on the left is a row, on the right a column, and the product lacks that axis."""
    if b.ndim == 1:
        g, b = g.reshape((*g.shape, 1)), b.reshape((-1, 1))
    if a.ndim == 1:
        g, a = g.reshape((*g.shape[:-1], 1, g.shape[-1])), a.reshape((1, -1))
    return g, a, b


def _matmul_rule_a(g, a, b):
    """G Bᵀ"""
    if a.ndim == b.ndim == 2:
        return _product(g, b.T)
    g, a, b = _as_matrices(g, a, b)
    return g @ b.mT


def _matmul_rule_b(g, a, b):
    """Aᵀ G; as (Gᵀ A)ᵀ where that is how b lies in memory; and as a row, Gᵀ A, where b is a vector"""
    if a.ndim == b.ndim == 2:
        return _product(g.T, a).T if _stored_by_columns(b) else _product(a.T, g)
    vector = b.ndim == 1
    g, a, b = _as_matrices(g, a, b)
    return g.mT @ a if vector else a.mT @ g


def _product(a, b):
    """A B; of small arrays by `dot`, which takes 0.4 µs less than @ there, and 4 % more on large ones."""
    if a.ndim == b.ndim == 2 and a.size < 20_000:
        return a.dot(b) if type(a) is type(b) else np.dot(a, b)
    return a @ b


def _stored_by_columns(b) -> bool:
    """Whether `b` lies in memory as Wᵀ does.  Then (Gᵀ A)ᵀ does too, and W's gradient is not copied crosswise."""
    return hasattr(b, "flags") and b.flags.fnc


@primitive(
    _matmul_rule_a,
    _matmul_rule_b,
)
def matmul_tensor(a: Operand, b: Operand) -> Tensor:
    """A B as NumPy's @ means it: matrices, vectors, and stacks of matrices that broadcast (section 4.12).

    ValueError where the inner sizes differ or an operand is a number.

    >>> a = Tensor([[1.0, 2.0]], requires_grad=True)
    >>> b = Tensor([[3.0], [4.0]], requires_grad=True)
    >>> matmul_tensor(a, b).backward()
    >>> a.grad, b.grad.T
    (array([[3., 4.]]), array([[1., 2.]]))
    """
    try:
        return _product(a, b)
    except ValueError:
        raise ValueError(_no_product(a.shape, b.shape)) from None


def _no_product(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    """Why shapes `a` and `b` can't be multiplied, and what to do."""
    if not a or not b:
        return "a number has no rows or columns. To scale by a number use *."
    rows, columns = b[-2:] if len(b) > 1 else (b[0], None)
    if a[-1] == rows:
        return (
            f"the stacks {a[:-2]} and {b[:-2]} do not broadcast. Counted from the last axis, sizes must be equal or 1."
        )
    turned = f"Did you mean to transpose the second operand, {(*b[:-2], columns, rows)}?"
    return f"the inner sizes {a[-1]} and {rows} differ. {turned if a[-1] == columns else 'They must be equal.'}"


# ---------------------------------------------------------------- 4.13 ReLU


@primitive(lambda g, y: tensor_where(y > 0.0, g, y))  # G ⊙ I₊: elsewhere y is the 0 to pass back, whatever G is, or NaN
def relu_tensor(x: Operand) -> Tensor:
    """max(0, X), element by element (section 4.13).  At 0, where there is no derivative, we choose 0.

    >>> x = Tensor([-1.0, 0.0, 2.0], requires_grad=True)
    >>> relu_tensor(x).backward([10.0, 10.0, 10.0])
    >>> x.grad
    array([ 0.,  0., 10.])
    """
    return np.maximum(x, 0)


# ---------------------------------------------------------------- 4.14 leaky ReLU


@primitive(lambda g, x, alpha: tensor_where(x <= 0.0, alpha * g if alpha else 0.0, g))  # G ⊙ (I₊ + α I₋), and 0 · ∞ = 0
def leaky_relu_tensor(x: Operand, alpha: float = 0.01) -> Tensor:
    """X where X > 0, elsewhere αX (section 4.14).  At 0 we choose the derivative α.

    >>> x = Tensor([-1.0, 0.0, 2.0], requires_grad=True)
    >>> leaky_relu_tensor(x, alpha=0.1).backward([10.0, 10.0, 10.0])
    >>> x.grad
    array([ 1.,  1., 10.])
    """
    scaled = alpha * x if alpha else 0  # 0 · ∞ would be NaN
    return np.maximum(x, scaled) if alpha <= 1 else np.minimum(x, scaled)  # a third of the time of np.where
