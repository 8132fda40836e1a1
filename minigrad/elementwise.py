"""Further element-wise primitives: trigonometric functions, logarithms and exponentials that stay accurate, squares.

Each is one line with its rule above it, as in `functions.py`, which holds the element-wise functions that chapter 4 and the
layers need.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np

from ._typing import Operand
from .functions import floating, tensor_exp
from .primitive import primitive

if TYPE_CHECKING:
    from .tensor import Tensor

LOG_2, LOG_10 = log(2), log(10)


# ---------------------------------------------------------------- trigonometric and hyperbolic functions


@primitive(lambda g, x: g * tensor_cos(x))
def tensor_sin(x: Operand) -> Tensor:
    """The sine of X in radians, element by element.  Integers give float64.

    >>> x = Tensor([0.0, np.pi / 2], requires_grad=True)
    >>> y = tensor_sin(x)
    >>> y.backward([10.0, 10.0])
    >>> y.numpy(), x.grad.round(6)
    (array([0., 1.]), array([10.,  0.]))
    """
    return np.sin(floating(x))


@primitive(lambda g, x: -g * tensor_sin(x))
def tensor_cos(x: Operand) -> Tensor:
    """The cosine of X in radians, element by element.  Integers give float64.

    >>> tensor_cos(Tensor([0.0, np.pi]))
    Tensor([ 1., -1.])
    """
    return np.cos(floating(x))


@primitive(lambda g, y: g * (1 + y * y))
def tensor_tan(x: Operand) -> Tensor:
    """The tangent of X in radians, element by element.  Its derivative is 1 + tan² X.  Integers give float64.

    >>> x = Tensor([0.0, np.pi / 4], requires_grad=True)
    >>> tensor_tan(x).backward([1.0, 1.0])
    >>> x.grad
    array([1., 2.])
    """
    return np.tan(floating(x))


@primitive(lambda g, x: g * tensor_cosh(x))
def tensor_sinh(x: Operand) -> Tensor:
    """The hyperbolic sine, (e^X − e^−X) / 2, element by element.  Integers give float64.

    >>> tensor_sinh(Tensor([0.0, 1.0]))
    Tensor([0.        , 1.17520119])
    """
    return np.sinh(floating(x))


@primitive(lambda g, x: g * tensor_sinh(x))
def tensor_cosh(x: Operand) -> Tensor:
    """The hyperbolic cosine, (e^X + e^−X) / 2, element by element.  Integers give float64.

    >>> tensor_cosh(Tensor([0.0, 1.0]))
    Tensor([1.        , 1.54308063])
    """
    return np.cosh(floating(x))


# ---------------------------------------------------------------- logarithms and exponentials


@primitive(lambda g, x: g / (1 + x))
def tensor_log1p(x: Operand) -> Tensor:
    """log(1 + X), element by element, accurate also where X is so small that 1 + X rounds to 1.  Integers give float64.

    −inf at −1 and NaN below, with NumPy's warning.

    >>> tensor_log1p(Tensor([0.0, 1e-20]))
    Tensor([0.e+00, 1.e-20])
    """
    return np.log1p(floating(x))


@primitive(lambda g, x: g * tensor_exp(x))  # not g * (y + 1), which cancels where X is far below 0
def tensor_expm1(x: Operand) -> Tensor:
    """e^X − 1, element by element, accurate also where X is so small that e^X rounds to 1.  Integers give float64.

    >>> tensor_expm1(Tensor([0.0, 1e-20]))
    Tensor([0.e+00, 1.e-20])
    """
    return np.expm1(floating(x))


@primitive(lambda g, x: g / (x * LOG_2))
def tensor_log2(x: Operand) -> Tensor:
    """The logarithm to base 2, exact for powers of 2: information in bits.  Integers give float64.

    −inf at 0 and NaN below, with NumPy's warning.

    >>> tensor_log2(Tensor([1.0, 8.0]))
    Tensor([0., 3.])
    """
    return np.log2(floating(x))


@primitive(lambda g, x: g / (x * LOG_10))
def tensor_log10(x: Operand) -> Tensor:
    """The logarithm to base 10.  Integers give float64.

    −inf at 0 and NaN below, with NumPy's warning.

    >>> tensor_log10(Tensor([1.0, 1000.0]))
    Tensor([0., 3.])
    """
    return np.log10(floating(x))


# ---------------------------------------------------------------- squares and reciprocals


@primitive(lambda g, x: g * (x + x))
def tensor_square(x: Operand) -> Tensor:
    """X ⊙ X, element by element: the same as X ** 2.

    >>> x = Tensor([-3.0, 2.0], requires_grad=True)
    >>> tensor_square(x).backward([1.0, 10.0])
    >>> x.grad
    array([-6., 40.])
    """
    return np.square(x)


@primitive(lambda g, y: -g * y * y)
def tensor_reciprocal(x: Operand) -> Tensor:
    """1 / X, element by element; ±inf at 0, with NumPy's warning.  Integers give float64, where NumPy's own gives 0.

    >>> x = Tensor([2.0, -4.0], requires_grad=True)
    >>> tensor_reciprocal(x).backward([1.0, 1.0])
    >>> x.grad
    array([-0.25  , -0.0625])
    """
    return np.reciprocal(floating(x))
