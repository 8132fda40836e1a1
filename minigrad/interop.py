"""NumPy's names for what tensors can do: np.exp(t), np.concatenate([t, u]) and array * t end up at our primitives.

What has no rule is an error, never an array that silently lost its gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from . import einsum, elementwise, rearranging, reductions
from . import functions as f
from . import operations as op
from ._typing import Booleans, Operand

if TYPE_CHECKING:
    from .tensor import Tensor


def _linalg_norm(x, ord=None, axis=None, keepdims: bool = False) -> Tensor:
    """np.linalg.norm's order of parameters.  Without an axis, an order of 1 or ∞ of a matrix would be another norm."""
    if ord is not None and x.ndim > 1 and not isinstance(axis, int):
        raise no_rule("numpy.linalg.norm of a matrix with an order")
    return reductions.tensor_norm(x, axis, keepdims, 2 if ord is None else ord)


# ufuncs with a rule
UFUNCS: dict[np.ufunc, Callable] = {
    np.add: op.tensor_add,
    np.subtract: op.tensor_sub,
    np.multiply: op.tensor_mul,
    np.divide: op.tensor_divide,
    np.power: op.tensor_pow,
    np.matmul: op.matmul_tensor,
    np.negative: f.tensor_neg,
    np.absolute: f.tensor_abs,
    np.exp: f.tensor_exp,
    np.log: f.tensor_log,
    np.sqrt: f.tensor_sqrt,
    np.tanh: f.tensor_tanh,
    np.maximum: f.tensor_maximum,
    np.minimum: f.tensor_minimum,
    np.positive: f.tensor_copy,
    np.square: elementwise.tensor_square,
    np.reciprocal: elementwise.tensor_reciprocal,
    np.sin: elementwise.tensor_sin,
    np.cos: elementwise.tensor_cos,
    np.tan: elementwise.tensor_tan,
    np.sinh: elementwise.tensor_sinh,
    np.cosh: elementwise.tensor_cosh,
    np.log1p: elementwise.tensor_log1p,
    np.log2: elementwise.tensor_log2,
    np.log10: elementwise.tensor_log10,
    np.expm1: elementwise.tensor_expm1,
}

# their reductions: np.add.reduce is how the engine sums, on arrays and tensors alike
REDUCTIONS: dict[np.ufunc, Callable] = {
    np.add: op.tensor_sum,
    np.multiply: reductions.tensor_prod,
    np.maximum: f.tensor_max,
    np.minimum: f.tensor_min,
}

# other functions with a rule
FUNCTIONS: dict[Callable, Callable] = {
    np.dot: op.matmul_tensor,
    np.sum: op.tensor_sum,
    np.mean: op.tensor_mean,
    np.max: f.tensor_max,
    np.min: f.tensor_min,
    np.reshape: op.tensor_reshape,
    np.transpose: op.tensor_transpose,
    np.concatenate: op.tensor_concat,
    np.stack: op.tensor_stack,
    np.where: f.tensor_where,
    np.broadcast_to: f.tensor_broadcast_to,
    np.copy: f.tensor_copy,
    np.amax: f.tensor_max,
    np.amin: f.tensor_min,
    np.clip: f.tensor_clip,
    np.dot: op.matmul_tensor,
    np.prod: reductions.tensor_prod,
    np.cumsum: reductions.tensor_cumsum,
    np.var: reductions.tensor_var,
    np.std: reductions.tensor_std,
    np.linalg.norm: _linalg_norm,
    np.einsum: einsum.tensor_einsum,
    np.squeeze: rearranging.tensor_squeeze,
    np.expand_dims: rearranging.tensor_expand_dims,
    np.ravel: rearranging.tensor_ravel,
    np.swapaxes: rearranging.tensor_swapaxes,
    np.moveaxis: rearranging.tensor_moveaxis,
    np.flip: rearranging.tensor_flip,
    np.split: rearranging.tensor_split,
    np.hstack: rearranging.tensor_hstack,
    np.vstack: rearranging.tensor_vstack,
    np.pad: rearranging.tensor_pad,
    np.tril: rearranging.tensor_tril,
    np.triu: rearranging.tensor_triu,
    np.take_along_axis: rearranging.tensor_take_along_axis,
}

# what is constant wherever it has a derivative, or no number at all: arrays in, arrays out
CONSTANT: set[Callable] = {
    np.sign,
    np.isnan,
    np.isfinite,
    np.isinf,
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
    np.equal,
}
CONSTANT |= {np.not_equal, np.floor, np.ceil, np.rint, np.shape, np.ndim, np.size, np.argmax, np.argmin, np.argsort}
CONSTANT |= {np.allclose, np.isclose, np.array_equal, np.zeros_like, np.ones_like}


def array_ufunc(tensor, ufunc: np.ufunc, method: str, *inputs, **options):
    """`Tensor.__array_ufunc__`: what `ufunc` (or its `reduce`) means when a tensor is among the inputs."""
    if method == "__call__" and ufunc in UFUNCS and not options:
        return UFUNCS[ufunc](*inputs)
    if method == "reduce" and ufunc in REDUCTIONS:
        return REDUCTIONS[ufunc](*inputs, **{"axis": 0} | options)
    name = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    if "out" in options:
        raise TypeError(f"{name}: a tensor can't be written into an array. Make a new one: a + t instead of a += t.")
    if ufunc in CONSTANT:
        return getattr(ufunc, method)(*map(values, inputs), **_values_of(options))
    raise no_rule(name)


def array_function(tensor, function, types, args: tuple, options: dict):
    """`Tensor.__array_function__`: the same for NumPy's other functions."""
    if function in FUNCTIONS:
        return FUNCTIONS[function](*args, **options)
    if function in CONSTANT:
        return function(*map(values, args), **_values_of(options))
    raise no_rule(f"{function.__module__}.{function.__name__}")


def values(x):
    """The array in a tensor; anything else as it is."""
    return getattr(x, "value", x)


def reflected(function: Callable[[Operand, Operand], Tensor]) -> Callable[[Tensor, Operand], Tensor]:
    """The operator for a tensor on the right: `2 - t`."""
    return lambda self, other: function(other, self)


def compared(comparison: Callable) -> Callable[[Tensor, object], Booleans]:
    """A comparison of values.  It has no derivative and gives an array of booleans."""
    return lambda self, other: comparison(self.value, values(other))


def _values_of(options: dict) -> dict:
    return {name: values(x) for name, x in options.items()}


def no_rule(name: str) -> TypeError:
    return TypeError(
        f"{name}: no rule differentiates it. Use the operations of minigrad, or x.numpy() if no gradient is wanted."
    )
