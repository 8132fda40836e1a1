"""Einstein summation (einsum): matrix products, traces, transposes and contractions in one notation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._typing import Operand
from .functions import tensor_broadcast_to
from .graph import Operation, accumulator
from .operations import tensor_reshape, tensor_transpose
from .primitive import apply, as_array, joinable
from .rearranging import tensor_expand_dims

if TYPE_CHECKING:
    from .tensor import Tensor

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def tensor_einsum(equation: str, *operands: Operand) -> Tensor:
    """Multiply operands and sum over the letters that the result lacks (Einstein's convention).

    `equation` names the axes of each operand by a letter, "ij,jk->ik" for a product of matrices; an ellipsis stands for axes
    that broadcast.  Without "->" the result has the letters that occur once, in alphabetical order.  A letter that an
    operand has twice means its diagonal.  float16 is accumulated in float32.

    The gradient of an operand is an einsum again: G times the other operands, summed over all letters but the operand's.

    Returns a tensor with the axes that the result names.  ValueError where equation and shapes do not fit.

    >>> a, b = Tensor([[1.0, 2.0]], requires_grad=True), Tensor([[3.0], [4.0]], requires_grad=True)
    >>> y = tensor_einsum("ij,jk->ik", a, b)
    >>> y.backward()
    >>> y.numpy(), a.grad, b.grad.T
    (array([[11.]]), array([[3., 4.]]), array([[1., 2.]]))
    """
    if not isinstance(equation, str):
        raise TypeError(f"tensor_einsum: the equation is {type(equation).__name__}. Give letters first: 'ij,jk->ik'.")
    tensors = joinable(operands, "tensor_einsum")
    inputs, output = parse(equation, [x.shape for x in tensors])
    for i, (x, letters) in enumerate(zip(tensors, inputs, strict=True)):
        tensors[i], inputs[i] = _diagonals(x, letters)
    sizes = _sizes(equation, inputs, [x.shape for x in tensors])
    for i, (x, letters) in enumerate(zip(tensors, inputs, strict=True)):
        full = tuple(sizes[letter] for letter in letters)
        tensors[i] = x if x.shape == full else tensor_broadcast_to(x, full)
    if not tensors:
        raise ValueError("tensor_einsum: no operands. Give one for each group of letters.")
    return _contract(inputs, output, tensors)


def _contract(inputs: list[str], output: str, tensors: list) -> Tensor:
    """The einsum of operands whose sizes agree and in which no letter repeats."""

    def rule(i: int):
        others = [letters for k, letters in enumerate(inputs) if k != i]
        found = "".join(letter for letter in inputs[i] if letter in output or any(letter in x for x in others))

        def gradient(g, *operands):
            rest = [x for k, x in enumerate(operands) if k != i]
            d = _contract([output, *others], found, [g, *rest])
            missing = tuple(
                k for k, letter in enumerate(inputs[i]) if letter not in found
            )  # summed in this operand alone
            return tensor_broadcast_to(tensor_expand_dims(d, missing), operands[i].shape) if missing else d

        return gradient

    names = [f"operands[{i}]" for i in range(len(tensors))]
    op = Operation("tensor_einsum", names, names, [rule(i) for i in range(len(tensors))])
    equation = f"{','.join(inputs)}->{output}"

    def forward(arrays):
        dtype = np.result_type(*arrays)
        wide = [as_array(x, accumulator(dtype)) for x in arrays]
        return np.einsum(equation, *wide, optimize=len(wide) > 2).astype(dtype, copy=False)

    return apply(op, forward, tensors)


def parse(equation: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with an ellipsis replaced by letters of its own.

    >>> parse("...ij,jk", [(7, 2, 3), (3, 5)])
    (['Aij', 'jk'], 'Aik')
    """
    text = equation.replace(" ", "")
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(shapes):
        raise ValueError(
            f"tensor_einsum: {equation!r} names {len(inputs)} operands, and {len(shapes)} came. Give as many."
        )
    unused = [letter for letter in LETTERS if letter not in text]
    hidden = [
        len(shape) - len(x.replace("...", "")) if "..." in x else 0 for x, shape in zip(inputs, shapes, strict=True)
    ]
    stretch = "".join(unused[: max(hidden, default=0)])
    for i, (x, shape) in enumerate(zip(inputs, shapes, strict=True)):
        inputs[i] = x.replace("...", stretch[len(stretch) - hidden[i] :] if hidden[i] > 0 else "")
        if len(inputs[i]) != len(shape) or not set(inputs[i]) <= set(LETTERS):
            raise ValueError(
                f"tensor_einsum: {equation!r}: {x!r} for an operand of shape {shape}. Give a letter for each of its axes."
            )
    if not arrow:
        joined = "".join(inputs)
        output = stretch + "".join(sorted(c for c in set(joined) - set(stretch) if joined.count(c) == 1))
    output = output.replace("...", stretch)
    if len(set(output)) < len(output) or not set(output) <= set("".join(inputs)):
        raise ValueError(
            f"tensor_einsum: {equation!r}: the result names an axis twice, or one that no operand has. "
            "Give each letter of the operands at most once."
        )
    return inputs, output


def _sizes(equation: str, inputs: list[str], shapes: list[tuple[int, ...]]) -> dict[str, int]:
    """The size of each letter; operands of size 1 broadcast, as in NumPy."""
    sizes: dict[str, int] = {}
    for letters, shape in zip(inputs, shapes, strict=True):
        for letter, n in zip(letters, shape, strict=True):
            if sizes.setdefault(letter, n) == 1:
                sizes[letter] = n
            elif n not in (1, sizes[letter]):
                raise ValueError(
                    f"tensor_einsum: {equation!r}: {letter} has size {sizes[letter]} and size {n}. "
                    "Give axes of one letter the same size, or 1."
                )
    return sizes


def _diagonals(x, letters: str) -> tuple:
    """The diagonal of an operand along letters that it has twice: every (n + 1)-th of n · n elements."""
    for letter in letters:
        while letters.count(letter) > 1:
            first, second = _places(letters, letter)
            order = [i for i in range(len(letters)) if i not in (first, second)]
            moved = tensor_transpose(x, (*order, first, second))
            n, m = moved.shape[-2:]
            if n != m:
                raise ValueError(
                    f"tensor_einsum: {letter} has size {n} and size {m} in one operand. Give both axes one size."
                )
            x = tensor_reshape(moved, (*moved.shape[:-2], n * n))[..., :: n + 1] if n else moved[..., 0]
            letters = "".join(letters[i] for i in order) + letter
    return x, letters


def _places(letters: str, letter: str) -> tuple[int, int]:
    first = letters.index(letter)
    return first, letters.index(letter, first + 1)
