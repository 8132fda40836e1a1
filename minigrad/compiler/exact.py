"""Rewrite arithmetic where floating-point numbers do so without rounding: a + (−b) as a − b, −(3 x) as (−3) x, x / 2 as x · ½.

Floating-point numbers keep sign and size apart, so a change of sign never rounds, and it can be made before or after a
product or a quotient.  Only the sign of a NaN may become another; it has no meaning (IEEE 754-2019, section 6.3).  The
reciprocal of a power of two is exact, and a product takes less time than a quotient.
"""

from __future__ import annotations

from math import frexp, isfinite
from typing import Any

import numpy as np

from .calls import perform
from .recording import Instruction, Variable, example, tree_map, uses_of


def rewritten(instructions: list[Instruction], wanted: list) -> list[Instruction]:
    """The same program, in which products, quotients, sums and differences have taken up the changes of sign before them.

    Instructions whose result is no longer needed stay in it.
    """
    uses = uses_of(instructions, wanted)
    negated: dict[Variable, Variable] = {}  # a variable and what it is the negative of
    producer: dict[Variable, Instruction] = {}
    moved: list[Instruction] = []

    def positive(x: Any) -> Variable | None:
        return negated.get(x) if type(x) is Variable else None

    def without_sign(i: Instruction) -> Instruction:
        if i.target == "negative":
            return _negative_product(i, producer.get(i.args[0]) if uses[i.args[0]] == 1 else None) or i
        if i.target in ("*", "/"):
            return sign_after(i)
        if i.target in ("+", "-") and (b := positive(i.args[1])) is not None:
            return i._replace(target="-" if i.target == "+" else "+", args=(i.args[0], b))
        if i.target == "+" and (a := positive(i.args[0])) is not None:
            return i._replace(target="-", args=(i.args[1], a))
        return i

    def sign_after(i: Instruction) -> Instruction:
        """(−a) b as −(a b), so that the sign may go further; (−a) c as a (−c), for a number c."""
        k = next((k for k, x in enumerate(i.args) if positive(x) and uses[x] == 1), None)
        if k is None:
            return i
        numbers = any(map(_is_number, i.args))
        args = (positive(x) if j == k else -float(x) if _is_number(x) else x for j, x in enumerate(i.args))
        changed = i._replace(args=tuple(args))
        if numbers:
            return changed
        changed = changed._replace(result=_result_of(changed))
        if changed.result.layout != i.result.layout:
            return i
        moved.append(changed)
        return i._replace(target="negative", args=(changed.result,))

    for i in instructions:
        if i.kind == "operator" and i.result is not None and i.result.value.dtype.kind == "f":
            i = _without_quotient(without_sign(_as_negation(i)))
            producer[i.result] = i
            if i.target == "negative" and type(i.args[0]) is Variable and i.args[0].layout == i.result.layout:
                negated[i.result] = i.args[0]
        moved.append(i)
    return moved


def _as_negation(i: Instruction) -> Instruction:
    """x (−1) as −x."""
    numbers = [x for x in i.args if _is_number(x)]
    if i.target != "*" or numbers != [-1]:
        return i
    return i._replace(target="negative", args=tuple(x for x in i.args if not _is_number(x)))


def _negative_product(i: Instruction, product: Instruction | None) -> Instruction | None:
    """−(x c) as x (−c), for a number c."""
    if product is None or product.target not in ("*", "/") or not any(map(_is_number, product.args)):
        return None
    args = tuple(-float(x) if _is_number(x) else x for x in product.args)
    return product._replace(args=args, result=i.result)


def _without_quotient(i: Instruction) -> Instruction:
    """x / c as x (1/c), for a power of two c: 1/c must be an ordinary number in the dtype of the result."""
    if i.target != "/" or not _is_number(i.args[1]):
        return i
    c = i.args[1]
    if not isfinite(c) or abs(frexp(c)[0]) != 0.5 or not 2**-14 <= abs(c) <= 2**14:  # ordinary in float16, too
        return i
    return i._replace(target="*", args=(i.args[0], 1 / c))


def _is_number(x: Any) -> bool:
    """A number of Python's, which takes the dtype of what it meets."""
    return type(x) in (int, float)


def _result_of(i: Instruction) -> Variable:
    with np.errstate(all="ignore"):
        return Variable(perform(i.kind, i.target, tree_map(example, i.args), i.kwargs))
