"""The calls that a program consists of: how each kind is carried out, and NumPy's functions that need a word of their own."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

OPERATORS: dict[str, Callable] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "@": operator.matmul,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "negative": operator.neg,
    "positive": operator.pos,
    "abs": operator.abs,
    "~": operator.invert,
}

# These return an array whose size depends on the values, so no program of fixed shapes can contain them.
SIZE_DEPENDS_ON_VALUES = {np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.extract, np.compress, np.histogram}
SIZE_DEPENDS_ON_VALUES |= {np.union1d, np.intersect1d, np.setdiff1d, np.trim_zeros, np.delete}

# What these change are the examples themselves, or the caller's arrays.
IN_PLACE = {np.put, np.copyto, np.place, np.putmask, np.fill_diagonal, np.put_along_axis}

# Functions whose positional arguments are all values; elsewhere whole numbers after the first may be axes or sizes.
TAKE_VALUES = {np.where, np.clip, np.dot, np.take, np.full_like, np.array_equal, np.searchsorted, np.isin}
VALUES_BY_NAME = {"initial", "where", "fill_value", "a_min", "a_max", "min", "max", "low", "high", "lam", "n", "p"}

# ufuncs that compute exactly what an operator does (np.power does not: x ** 2 is np.square)
SYMBOLS = {np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.negative: "negative", np.absolute: "abs"}
SYMBOLS |= {np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=", np.equal: "=="}
SYMBOLS |= {np.not_equal: "!=", np.matmul: "@", np.bitwise_and: "&", np.bitwise_or: "|"}

METHODS = """sum mean max min prod std var all any argmax argmin argsort reshape transpose astype copy dot clip round
cumsum cumprod ravel flatten squeeze swapaxes repeat take diagonal trace conj""".split()


def perform(kind: str, target: Any, args: tuple, kwargs: dict) -> Any:
    """Carry out one instruction on arrays."""
    if kind == "operator":
        return OPERATORS[target](*args)
    if kind in ("ufunc", "function"):
        return target(*args, **kwargs)
    if kind == "reduce":
        return target.reduce(*args, **kwargs)
    if kind in ("method", "draw"):
        return getattr(args[0], target)(*args[1:], **kwargs)
    if kind == "getitem":
        return args[0][args[1]]
    if kind == "check":
        return None
    changed = np.array(args[0], order="K")
    if kind == "setitem":
        changed[args[1]] = args[2]
    else:
        target.at(changed, *args[1:])  # "at": ufunc.at(changed, index, value)
    return changed
