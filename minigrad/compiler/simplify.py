"""Simplify a recorded program: the same results, to the last bit, from fewer instructions.

What is removed: what nothing uses, what was computed before, copies, steps that change nothing (x * 1, a transpose
undone), changes of sign (exact.py), and arrays that only repeat a number or a row, where an operation broadcasts by
itself.  Not removed is anything that rounds: (x * 2) * 3 stays as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .exact import rewritten
from .recording import Instruction, Variable, perform, tree_map, variables_in

ELEMENTWISE = {"+", "-", "*", "/", "**", "<", "<=", ">", ">=", "==", "!=", "&", "|", "^", "negative", "abs", "~"}
COMMUTATIVE = {"+", "*", "==", "!=", "&", "|", "^"}


def simplify(instructions: list[Instruction], wanted: list[Variable], frozen: set[int]) -> tuple[list, dict]:
    """The shorter program, and for each variable that was removed the one (or the constant) that replaces it.

    `frozen` has the ids of arrays that belong to the caller; all other constants were made by the function.
    """
    replaced: dict[Variable, Any] = {}
    producer: dict[Variable, Instruction] = {}
    known: dict[Any, Variable] = {}
    kept: list[Instruction] = []

    def current(x: Any) -> Any:
        while type(x) is Variable and x in replaced:
            x = replaced[x]
        if type(x) is np.ndarray and id(x) not in frozen:
            x = _as_number(x)
        return x

    for old in instructions:
        new = old._replace(args=tree_map(current, old.args), kwargs=tree_map(current, old.kwargs))
        new = _without_broadcasts(new, producer)
        if new.result is not None:
            same = _unchanged(new, producer)
            if same is None and new.kind not in ("draw", "check"):
                key = _key(new)
                same = known.setdefault(key, new.result)
                same = None if same is new.result else same
            if same is not None:
                replaced[new.result] = same
                continue
            if new.kind not in ("draw", "check") and not variables_in((new.args, new.kwargs)):
                replaced[new.result] = new.result.value  # only constants went in
                continue
            producer[new.result] = new
        kept.append(new)
    final = {x: current(x) for x in replaced}
    final = {x: y.array if type(y) is Repeated else y for x, y in final.items()}
    wanted = [current(x) for x in wanted]
    return _used(rewritten(_used(kept, wanted), wanted), wanted), final


class Repeated:
    """A constant array that holds one number everywhere."""

    __slots__ = ("array", "number")

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.number = array, array.reshape(-1)[0]


def _as_number(x: np.ndarray) -> Any:
    """Constant arrays of one repeated number are treated as that number wherever broadcasting gives the same."""
    if x.size and x.ndim and x.flags.c_contiguous or (x.size and not any(x.strides)):
        first = x.reshape(-1)[:1]
        if x.size == 1 or first.tobytes() * x.size == x.tobytes():
            return Repeated(x)
    return x


def _is_elementwise(i: Instruction) -> bool:
    if i.kind == "operator":
        return i.target in ELEMENTWISE
    return (i.kind == "ufunc" and i.target.signature is None and not i.kwargs) or (
        i.kind == "function" and i.target is np.where and len(i.args) == 3
    )


def _without_broadcasts(i: Instruction, producer: dict) -> Instruction:
    """The instruction with operands that are only stretched replaced by what they are stretched from."""
    if i.result is not None and _is_elementwise(i):
        full = [x for x in i.args if type(x) is Variable and _is_full(x, i.result, producer)]
        if full and all(x.value.flags.c_contiguous for x in full) and _c_contiguous(i.result):
            args = list(i.args)
            for k, x in enumerate(args):
                smaller = None
                if type(x) is Repeated:
                    smaller = x.number
                elif type(x) is Variable:
                    smaller = _stretched(x, producer)
                if smaller is not None and not (type(smaller) is Variable and smaller in full):
                    args[k] = smaller
            i = i._replace(args=tuple(args))
    back = lambda x: x.array if type(x) is Repeated else x
    return i._replace(args=tree_map(back, i.args), kwargs=tree_map(back, i.kwargs))


def _c_contiguous(x: Variable) -> bool:
    return isinstance(x.value, np.ndarray) and x.value.flags.c_contiguous


def _is_full(x: Variable, result: Variable, producer: dict) -> bool:
    return isinstance(x.value, np.ndarray) and x.value.shape == result.value.shape and _stretched(x, producer) is None


def _stretched(x: Variable, producer: dict) -> Variable | None:
    """What `x` is broadcast from, be it a view or, after that, a copy."""
    i = producer.get(x)
    if i is not None and i.kind == "method" and i.target == "copy" and type(i.args[0]) is Variable:
        i = producer.get(i.args[0])
    return i.args[0] if i is not None and _is_broadcast(i) else None


def _is_broadcast(i: Instruction) -> bool:
    return i.kind == "function" and i.target is np.broadcast_to and type(i.args[0]) is Variable


def _unchanged(i: Instruction, producer: dict) -> Variable | None:
    """The variable that `i` gives back as it came, or None."""
    x = i.args[0] if i.args else None
    if i.kind == "operator" and i.target in ("*", "/", "**"):
        one = [k for k, a in enumerate(i.args) if not isinstance(a, (Variable, np.ndarray)) and a == 1]
        if one == [1] or (one == [0] and i.target == "*"):
            x = i.args[1 - one[0]]
            return x if type(x) is Variable and x.layout == i.result.layout else None
    if type(x) is not Variable:
        return None
    if i.kind == "method" and i.target in ("copy", "astype", "reshape", "transpose", "squeeze", "ravel", "swapaxes"):
        if i.target in ("copy", "astype", "reshape", "squeeze", "ravel"):
            return x if x.layout == i.result.layout else None
        inner = producer.get(x)
        if _is_transpose(i) and inner is not None and _is_transpose(inner) and type(inner.args[0]) is Variable:
            source = inner.args[0]
            axes = np.arange(source.value.size).reshape(source.value.shape) if source.value.size else None
            if axes is not None and source.layout == i.result.layout:
                there = perform("method", inner.target, (axes, *inner.args[1:]), inner.kwargs)
                if np.array_equal(perform("method", i.target, (there, *i.args[1:]), i.kwargs), axes):
                    return source
        return x if not i.kwargs and x.value.ndim < 2 else None
    if _is_broadcast(i) or (i.kind == "operator" and i.target == "positive"):
        return x if x.layout == i.result.layout else None
    return None


def _is_transpose(i: Instruction) -> bool:
    return i.kind == "method" and i.target in ("transpose", "swapaxes")


def _key(i: Instruction) -> Any:
    def name(x: Any) -> Any:
        if isinstance(x, (Variable, np.ndarray)):
            return ("object", id(x))
        return (type(x), repr(x) if not isinstance(x, (np.dtype, np.ufunc)) else x)

    def hashable(x: Any) -> Any:
        if isinstance(x, (tuple, list)):
            return (type(x), *map(hashable, x))
        if isinstance(x, dict):
            return (dict, *((k, hashable(v)) for k, v in x.items()))
        return (slice, hashable((x.start, x.stop, x.step))) if isinstance(x, slice) else x

    args = hashable(tree_map(name, i.args))
    if i.kind == "operator" and i.target in COMMUTATIVE:
        args = tuple(sorted(args, key=repr))
    return (
        i.kind,
        i.target if i.target is None or isinstance(i.target, str) else id(i.target),
        args,
        hashable(tree_map(name, i.kwargs)),
    )


def _used(instructions: list[Instruction], wanted: list) -> list[Instruction]:
    """The instructions that the wanted results need, and those that do more than compute: draws and checks."""
    needed = {x for x in wanted if type(x) is Variable}
    kept = []
    for i in reversed(instructions):
        if i.result is None or i.kind == "draw" or i.result in needed:
            needed.update(variables_in((i.args, i.kwargs)))
            kept.append(i)
    return kept[::-1]
