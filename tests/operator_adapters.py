"""How each of PyTorch's operators is written with minigrad: the table that test_torch_operator_samples.py drives.

The name is OpInfo's (`torch.testing._internal.common_methods_invocations.op_db`), with the variant after a dot.  An
adapter takes what the operator takes: tensors where a gradient is required, arrays for other tensors.  Samples that it
cannot compute end in `Skip(reason)`.  To add an operator, add a line.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt

import numpy as np

import minigrad as mg
from minigrad import Tensor, layers, losses
from minigrad.interop import values
from minigrad.primitive import as_array


class Skip(Exception):
    """A sample that minigrad has no counterpart for, with the reason."""


class Library:
    """minigrad's names; one that this version lacks skips the samples, and is counted."""

    def __getattr__(self, name: str):
        for module in (mg, layers, losses):
            if hasattr(module, name):
                return getattr(module, name)
        if name.startswith("__"):  # doctest looks for what every object may have
            raise AttributeError(name)
        raise Skip(f"minigrad has no {name}")


L = Library()
ADAPTERS: dict[str, Callable] = {}


def operator(*names: str):
    def register(function: Callable) -> Callable:
        ADAPTERS.update(dict.fromkeys(names, function))
        return function

    return register


def only(condition, reason: str) -> None:
    if not condition:
        raise Skip(reason)


def plain(options: dict) -> None:
    """Options that stand at their default may be given."""
    for name, x in options.items():
        only(x is None or x is False, f"option {name}")


def axes(x, dim):
    """PyTorch's dim as NumPy's axis: an empty list means all, and a number may be asked along axis 0."""
    if dim is None or (isinstance(dim, (list, tuple)) and not len(dim)) or not np.ndim(x):
        return None
    return tuple(dim) if isinstance(dim, (list, tuple)) else dim


def tensor(x):
    return x if isinstance(x, Tensor) else Tensor(x)


def constant(x):
    return as_array(values(x), copy=True)


def shape_of(sizes) -> tuple[int, ...]:
    sizes = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (list, tuple)) else sizes
    return tuple(int(n) for n in sizes)


# ---------------------------------------------------------------- element by element

ADAPTERS |= {
    "abs": lambda x: L.tensor_abs(x),
    "exp": lambda x: L.tensor_exp(x),
    "exp2": lambda x: 2**x,
    "expm1": lambda x: L.tensor_expm1(x),
    "log": lambda x: L.tensor_log(x),
    "log2": lambda x: L.tensor_log2(x),
    "log10": lambda x: L.tensor_log10(x),
    "log1p": lambda x: L.tensor_log1p(x),
    "sqrt": lambda x: L.tensor_sqrt(x),
    "rsqrt": lambda x: 1 / L.tensor_sqrt(x),
    "square": lambda x: x**2,
    "reciprocal": lambda x: 1 / x,
    "neg": lambda x: -x,
    "positive": lambda x: L.tensor_copy(x),
    "clone": lambda x, **memory: L.tensor_copy(x),
    "contiguous": lambda x, **memory: L.tensor_copy(x),
    "alias_copy": lambda x: L.tensor_copy(x),
    "real": lambda x: L.tensor_copy(x),
    "conj": lambda x: L.tensor_copy(x),
    "conj_physical": lambda x: L.tensor_copy(x),
    "resolve_conj": lambda x: L.tensor_copy(x),
    "resolve_neg": lambda x: L.tensor_copy(x),
    "double": lambda x, **memory: x.astype(np.float64),
    "float": lambda x, **memory: x.astype(np.float32),
    "sin": lambda x: L.tensor_sin(x),
    "cos": lambda x: L.tensor_cos(x),
    "tan": lambda x: L.tensor_tan(x),
    "sinh": lambda x: L.tensor_sinh(x),
    "cosh": lambda x: L.tensor_cosh(x),
    "tanh": lambda x: L.tensor_tanh(x),
    "atanh": lambda x: (L.tensor_log(1 + x) - L.tensor_log(1 - x)) / 2,
    "deg2rad": lambda x: x * (pi / 180),
    "rad2deg": lambda x: x * (180 / pi),
    "ceil": lambda x: np.ceil(x),
    "floor": lambda x: np.floor(x),
    "round": lambda x: np.rint(x),
    "sign": lambda x: np.sign(x),
    "sgn": lambda x: np.sign(x),
    "sigmoid": lambda x: L.sigmoid_tensor(x),
    "nn.functional.relu": lambda x, inplace=False: L.relu_tensor(x),
    "nn.functional.leaky_relu": lambda x, negative_slope=0.01: L.leaky_relu_tensor(x, negative_slope),
    "nn.functional.prelu": lambda x, weight: L.tensor_where(x > 0, x, x * per_channel(weight, x)),
    "nn.functional.silu": lambda x, inplace=False: x * L.sigmoid_tensor(x),
    "nn.functional.mish": lambda x, inplace=False: x * L.tensor_tanh(L.tensor_softplus(x)),
    "nn.functional.logsigmoid": lambda x: -L.tensor_softplus(-x),
    "nn.functional.softsign": lambda x: x / (1 + L.tensor_abs(x)),
    "nn.functional.tanhshrink": lambda x: x - L.tensor_tanh(x),
    "nn.functional.hardtanh": lambda x, min_val=-1.0, max_val=1.0: L.tensor_clip(x, min_val, max_val),
    "nn.functional.relu6": lambda x, inplace=False: L.tensor_clip(x, 0, 6),
    "nn.functional.hardswish": lambda x, inplace=False: x * L.tensor_clip(x + 3, 0, 6) / 6,
    "nn.functional.threshold": lambda x, threshold, value: L.tensor_where(x > threshold, x, value),
    "nn.functional.softshrink": lambda x, lambd=0.5: L.relu_tensor(x - lambd) - L.relu_tensor(-x - lambd),
    "nn.functional.hardshrink": lambda x, lambd=0.5: L.tensor_where(L.tensor_abs(x) > lambd, x, 0.0),
    "nn.functional.elu": lambda x, alpha=1.0: elu(x, alpha),
    "nn.functional.celu": lambda x, alpha=1.0: elu(x / alpha, 1.0) * alpha,
    "nn.functional.selu": lambda x, inplace=False: 1.0507009873554805 * elu(x, 1.6732632423543772),
    "logit": lambda x, eps=None: logit(x, eps),
    "special.entr": lambda x: L.tensor_where(x > 0, -x * L.tensor_log(L.tensor_where(x > 0, x, 1.0)), 0.0 * x),
}


def elu(x, alpha):
    negative = x <= 0
    return L.tensor_where(negative, alpha * (L.tensor_exp(L.tensor_where(negative, x, 0.0)) - 1), x)


def logit(x, eps):
    x = x if eps is None else L.tensor_clip(x, eps, 1 - eps)
    return L.tensor_log(x) - L.tensor_log(1 - x)


@operator("nn.functional.softplus")
def softplus(x, beta=1, threshold=20):
    return L.tensor_where(x * beta > threshold, x, L.tensor_softplus(x * beta) / beta)


@operator("nn.functional.hardsigmoid")
def hardsigmoid(x, inplace=False):
    only(x.dtype == np.float32, "PyTorch's derivative is 1/6 rounded to float32")
    return L.tensor_clip(x + 3, 0, 6) / 6


@operator("nn.functional.gelu")
def gelu(x, approximate="none"):
    only(approximate == "tanh", "gelu needs erf")
    return x * (1 + L.tensor_tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2


def per_channel(w, x):
    if x.ndim < 2:
        return w.reshape(())
    return w.reshape((-1, *[1] * (x.ndim - 2))) if w.ndim else w


# ---------------------------------------------------------------- two operands


def scaled(a, alpha):
    return a if alpha is None or alpha == 1 else a * alpha


ADAPTERS |= {
    "add": lambda a, b, alpha=1: a + scaled(b, alpha),
    "sub": lambda a, b, alpha=1: a - scaled(b, alpha),
    "rsub": lambda a, b, alpha=1: b - scaled(a, alpha),
    "mul": lambda a, b: a * b,
    "div.no_rounding_mode": lambda a, b: a / b,
    "true_divide": lambda a, b: a / b,
    "pow": lambda a, b: L.tensor_pow(a, b),
    "float_power": lambda a, b: L.tensor_pow(a.astype(np.float64), b),
    "__radd__": lambda a, b: b + a,
    "__rsub__": lambda a, b: b - a,
    "__rmul__": lambda a, b: b * a,
    "__rdiv__": lambda a, b: b / a,
    "__rpow__": lambda a, b: b**a,
    "__rmatmul__": lambda a, b: b @ a,
    "maximum": lambda a, b: L.tensor_maximum(a, b),
    "minimum": lambda a, b: L.tensor_minimum(a, b),
    "max.binary": lambda a, b: L.tensor_maximum(a, b),
    "min.binary": lambda a, b: L.tensor_minimum(a, b),
    "fmax": lambda a, b: L.tensor_maximum(a, b),
    "fmin": lambda a, b: L.tensor_minimum(a, b),
    "hypot": lambda a, b: L.tensor_sqrt(a**2 + b**2),
    "lerp": lambda a, b, w: a + w * (b - a),
    "addcmul": lambda x, a, b, value=1: x + value * a * b,
    "addcdiv": lambda x, a, b, value=1: x + value * (a / b),
    "where": lambda x, condition, other: L.tensor_where(condition, x, other),
    "masked_fill": lambda x, mask, value: L.tensor_where(mask, value, x),
    "clamp_max": lambda x, high: L.tensor_minimum(x, high),
    "clamp_min": lambda x, low: L.tensor_maximum(x, low),
    "logaddexp": lambda a, b: L.tensor_maximum(a, b) + L.tensor_softplus(-L.tensor_abs(a - b)),
    "xlogy": lambda a, b: a * L.tensor_log(b),
    "dist": lambda a, b, p=2: vector_norm(a - b, p),
}


@operator("clamp")
def clamp(x, low=None, high=None):
    low, high = (b if b is None or not np.ndim(b) or isinstance(b, Tensor) else b.astype(x.dtype) for b in (low, high))
    x = x if low is None else L.tensor_maximum(x, low)
    return x if high is None else L.tensor_minimum(x, high)


@operator("ldexp")
def ldexp(x, exponent):
    return x * 2**exponent if isinstance(exponent, Tensor) else x * (2.0 ** np.asarray(exponent)).astype(x.dtype)


# ---------------------------------------------------------------- reductions


def reduction(f: Callable) -> Callable:
    def reduced(x, dim=None, keepdim=False, **options):
        plain(options)
        return f(x, axes(x, dim), keepdim)

    return reduced


ADAPTERS |= {
    "sum": reduction(lambda x, axis, keep: L.tensor_sum(x, axis, keep)),
    "mean": reduction(lambda x, axis, keep: L.tensor_mean(x, axis, keep)),
    "nansum": reduction(lambda x, axis, keep: L.tensor_sum(L.tensor_where(np.isnan(x), 0.0, x), axis, keep)),
    "amax": reduction(lambda x, axis, keep: L.tensor_max(x, axis, keep)),
    "amin": reduction(lambda x, axis, keep: L.tensor_min(x, axis, keep)),
    "aminmax": lambda x, dim=None, keepdim=False: [f(x, axes(x, dim), keepdim) for f in (L.tensor_min, L.tensor_max)],
    "max.reduction_no_dim": lambda x: L.tensor_max(x),
    "min.reduction_no_dim": lambda x: L.tensor_min(x),
    "max.reduction_with_dim": reduction(lambda x, axis, keep: [L.tensor_max(x, axis, keep)]),
    "min.reduction_with_dim": reduction(lambda x, axis, keep: [L.tensor_min(x, axis, keep)]),
    "logsumexp": reduction(lambda x, axis, keep: L.tensor_logsumexp(x, axis, keep)),
    "prod": reduction(lambda x, axis, keep: L.tensor_prod(x, axis, keep)),
    "trace": lambda x: L.tensor_sum(L.tensor_getitem(x, (np.arange(min(x.shape)),) * 2)),
    "sum_to_size": lambda x, *sizes: sum_to_size(x, shape_of(sizes)),
}


def sum_to_size(x, shape):
    lead = x.ndim - len(shape)
    axis = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1))
    return L.tensor_sum(x, axis).reshape(shape) if axis else x


@operator("cumsum")
def cumsum(x, dim, dtype=None):
    only(dtype is None, "option dtype")
    return L.tensor_cumsum(x, dim) if x.ndim else L.tensor_copy(x)


def spread(function: str):
    def reduced(x, dim=None, unbiased=None, keepdim=False, correction=None):
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if unbiased is not None:
            correction = int(unbiased)
        return getattr(L, function)(x, axes(x, dim), keepdim, ddof=1 if correction is None else correction)

    return reduced


ADAPTERS |= {name: spread(f"tensor_{name.split('.')[0]}") for name in ("var", "var.unbiased", "std", "std.unbiased")}


def with_mean(f: Callable) -> Callable:
    def both(x, dim=None, keepdim=False, **options):
        axis = axes(x, None if isinstance(dim, bool) else dim)
        return [f(x, dim, keepdim=keepdim, **options), L.tensor_mean(x, axis, keepdim)]

    return both


ADAPTERS |= {
    name: with_mean(spread(f"tensor_{name[:3]}"))
    for name in ("var_mean", "var_mean.unbiased", "std_mean", "std_mean.unbiased")
}


@operator("linalg.vector_norm")
def vector_norm(x, ord=2, dim=None, keepdim=False, dtype=None):
    only(dtype is None, "option dtype")
    axis, a = axes(x, dim), L.tensor_abs(x)
    if ord in (np.inf, -np.inf):
        return (L.tensor_max if ord > 0 else L.tensor_min)(a, axis, keepdim)
    only(ord != 0, "the 0-norm counts")
    if ord == 1:
        return L.tensor_sum(a, axis, keepdim)
    if ord == 2:
        return L.tensor_norm(x, axis, keepdim)
    return L.tensor_sum(a**ord, axis, keepdim) ** (1 / ord)


@operator("norm", "norm.inf", "norm.fro")
def norm(x, p="fro", dim=None, keepdim=False, dtype=None):
    only(p != "nuc", "singular values")
    return vector_norm(x, 2 if p in ("fro", None) else p, dim, keepdim, dtype)
