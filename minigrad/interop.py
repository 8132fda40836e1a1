"""NumPy's names for what tensors can do: np.exp(t), np.concatenate([t, u]) and array * t end up at our primitives.

What has no rule is an error, never an array that silently lost its gradient.
"""

from __future__ import annotations

import numpy as np

from . import functions as f
from . import operations as op

# ufuncs with a rule
UFUNCS = {
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
}

# their reductions: np.add.reduce is how the engine sums, on arrays and tensors alike
REDUCTIONS = {np.add: op.tensor_sum, np.maximum: f.tensor_max, np.minimum: f.tensor_min}

# other functions with a rule
FUNCTIONS = {
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
}

# what is constant wherever it has a derivative, or no number at all: arrays in, arrays out
CONSTANT = {np.sign, np.isnan, np.isfinite, np.isinf, np.less, np.less_equal, np.greater, np.greater_equal, np.equal}
CONSTANT |= {np.not_equal, np.floor, np.ceil, np.rint, np.shape, np.ndim, np.size, np.argmax, np.argmin, np.argsort}
CONSTANT |= {np.allclose, np.isclose, np.array_equal, np.zeros_like, np.ones_like, np.array2string, np.array_repr}


def ufunc(ufunc: np.ufunc, method: str, inputs: tuple, kwargs: dict):
    """What `ufunc` (or its `reduce`) means when a tensor is among the inputs."""
    table = UFUNCS if method == "__call__" else REDUCTIONS if method == "reduce" else {}
    if ufunc in table:
        return table[ufunc](*inputs, **kwargs)
    if ufunc in CONSTANT:
        return getattr(ufunc, method)(*map(values, inputs), **kwargs)
    raise no_rule(f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}"))


def function(function, args: tuple, kwargs: dict):
    """What a NumPy function that is no ufunc means when a tensor is among the arguments."""
    if function in FUNCTIONS:
        return FUNCTIONS[function](*args, **kwargs)
    if function in CONSTANT:
        return function(*map(values, args), **kwargs)
    raise no_rule(f"{function.__module__}.{function.__name__}")


def values(x):
    """The array in a tensor; anything else as it is."""
    return getattr(x, "value", x)


def no_rule(name: str) -> TypeError:
    return TypeError(
        f"{name}: no rule differentiates it. Use the operations of minigrad, or x.numpy() if no gradient is wanted."
    )
