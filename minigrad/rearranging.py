"""Further operations that move elements without computing: axes, joining and splitting, padding, masks, picking.

Most are one of chapter 4's operations in other words, so they need no gradient rule of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ._typing import Operand
from .functions import tensor_getitem
from .operations import tensor_concat, tensor_reshape, tensor_transpose
from .primitive import as_array, as_operand, joinable, primitive

if TYPE_CHECKING:
    from .tensor import Tensor


def with_shape(x: Operand, name: str):
    """A tensor or an array as it is; anything else that NumPy can turn into numbers as an array."""
    return x if hasattr(x, "shape") else as_operand(x, name)


def axis_numbers(axis: int | tuple[int, ...] | None, ndim: int, name: str) -> tuple[int, ...]:
    """`axis` as a tuple of different numbers from 0 to ndim − 1; None means all axes.

    >>> axis_numbers((0, -1), 3, "sum"), axis_numbers(None, 2, "sum")
    ((0, 2), (0, 1))
    """
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    outside = [i for i in given if not -ndim <= i < ndim]
    if outside:
        raise ValueError(f"{name}: axis {outside[0]} of {ndim} axes. Give a number from {-ndim} to {ndim - 1}.")
    numbers = tuple(int(i) % ndim for i in given)
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{name}: axis {given} names an axis twice. Give each axis once.")
    return numbers


# ---------------------------------------------------------------- axes of size 1


def tensor_squeeze(x: Operand, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """X without its axes of size 1, or without those in `axis`.

    ValueError if an axis in `axis` has another size, as in NumPy; PyTorch keeps it.

    >>> tensor_squeeze(Tensor([[[1.0], [2.0]]])).shape, tensor_squeeze(Tensor([[[1.0], [2.0]]]), axis=0).shape
    ((2,), (2, 1))
    """
    x = with_shape(x, "tensor_squeeze")
    axes = axis_numbers(axis, x.ndim, "tensor_squeeze")
    if axis is not None and any(x.shape[i] != 1 for i in axes):
        raise ValueError(f"tensor_squeeze: axis {axis} of shape {x.shape}: only axes of size 1 can be removed.")
    return tensor_reshape(x, tuple(n for i, n in enumerate(x.shape) if n != 1 or i not in axes))


def tensor_expand_dims(x: Operand, axis: int | tuple[int, ...]) -> Tensor:
    """X with new axes of size 1, at the positions `axis` of the result.  PyTorch calls it unsqueeze.

    >>> tensor_expand_dims(Tensor([1.0, 2.0]), axis=1).shape, tensor_expand_dims(Tensor([1.0, 2.0]), axis=(0, -1)).shape
    ((2, 1), (1, 2, 1))
    """
    x = with_shape(x, "tensor_expand_dims")
    ndim = x.ndim + (len(axis) if isinstance(axis, tuple) else 1)
    new, old = axis_numbers(axis, ndim, "tensor_expand_dims"), iter(x.shape)
    return tensor_reshape(x, tuple(1 if i in new else next(old) for i in range(ndim)))


def tensor_ravel(x: Operand) -> Tensor:
    """The elements in row-major order, along one axis.

    >>> tensor_ravel(Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([1., 2., 3., 4.])
    """
    return tensor_flatten(x)


def tensor_flatten(x: Operand, start_dim: int = 0) -> Tensor:
    """The axes from `start_dim` on joined into one, in row-major order.  With start_dim=1 each example stays a row.

    >>> tensor_flatten(Tensor(np.zeros((2, 3, 5)))).shape, tensor_flatten(Tensor(np.zeros((2, 3, 5))), 1).shape
    ((30,), (2, 15))
    """
    x = with_shape(x, "tensor_flatten")
    (start,) = axis_numbers(start_dim, x.ndim or 1, "tensor_flatten")
    return tensor_reshape(x, (*x.shape[:start], prod(x.shape[start:])))


# ---------------------------------------------------------------- order of axes and of elements


def tensor_swapaxes(x: Operand, axis1: int, axis2: int) -> Tensor:
    """X with two axes exchanged.  PyTorch's transpose(dim0, dim1) does the same.

    >>> tensor_swapaxes(Tensor(np.zeros((2, 3, 5))), 0, -1).shape
    (5, 3, 2)
    """
    x = with_shape(x, "tensor_swapaxes")
    (first,), (second,) = (axis_numbers(axis, x.ndim, "tensor_swapaxes") for axis in (axis1, axis2))
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    return tensor_transpose(x, tuple(order))


def tensor_moveaxis(x: Operand, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Tensor:
    """X with the axes `source` moved to the positions `destination`; the other axes keep their order.

    ValueError if `source` and `destination` differ in length.

    >>> tensor_moveaxis(Tensor(np.zeros((2, 3, 5))), 0, -1).shape
    (3, 5, 2)
    """
    x = with_shape(x, "tensor_moveaxis")
    source = axis_numbers(source, x.ndim, "tensor_moveaxis: source")
    destination = axis_numbers(destination, x.ndim, "tensor_moveaxis: destination")
    if len(source) != len(destination):
        raise ValueError(f"tensor_moveaxis: {len(source)} axes to {len(destination)} positions. Give one for each.")
    order = [i for i in range(x.ndim) if i not in source]
    for position, axis in sorted(zip(destination, source, strict=True)):
        order.insert(position, axis)
    return tensor_transpose(x, tuple(order))


def tensor_flip(x: Operand, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """X with its elements in reverse order along `axis`; along all axes if it is None.

    >>> tensor_flip(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([[3., 4.],
            [1., 2.]])
    """
    x = with_shape(x, "tensor_flip")
    axes = axis_numbers(axis, x.ndim, "tensor_flip")
    return tensor_getitem(x, tuple(slice(None, None, -1 if i in axes else 1) for i in range(x.ndim)))


# ---------------------------------------------------------------- splitting and joining


def tensor_split(x: Operand, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Cut X along `axis`: into that many equal parts, or before each of the given indices.  Returns a list.

    This is NumPy's meaning; PyTorch's split takes the sizes of the parts.  ValueError if the parts would not be equal.

    >>> x = Tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    >>> tensor_split(x, 3)[1], [part.shape for part in tensor_split(x, [1, 4])]
    (Tensor([3., 4.]), [(1,), (3,), (2,)])
    """
    x = with_shape(x, "tensor_split")
    (axis,) = axis_numbers(axis, x.ndim, "tensor_split")
    n, cuts = x.shape[axis], indices_or_sections
    if isinstance(cuts, (int, np.integer)):
        if cuts < 1 or n % cuts:
            raise ValueError(
                f"tensor_split: {n} elements along axis {axis} into {cuts} equal parts. Give a divisor of {n}, "
                "or a list of the indices to cut before."
            )
        cuts = [i * (n // cuts) for i in range(1, cuts)]
    before = (slice(None),) * axis
    bounds = zip([0, *cuts], [*cuts, n], strict=True)
    return [tensor_getitem(x, (*before, slice(start, end))) for start, end in bounds]


def tensor_hstack(tensors: Sequence[Operand]) -> Tensor:
    """Tensors joined from left to right: along axis 1, or along axis 0 if they have one axis.

    >>> tensor_hstack([Tensor([[1.0], [2.0]]), Tensor([[3.0], [4.0]])])
    Tensor([[1., 3.],
            [2., 4.]])
    """
    tensors = [x if x.ndim else tensor_reshape(x, (1,)) for x in joinable(tensors, "tensor_hstack")]
    return tensor_concat(tensors, 1 if tensors and tensors[0].ndim > 1 else 0)


def tensor_vstack(tensors: Sequence[Operand]) -> Tensor:
    """Tensors joined from top to bottom, along axis 0; one with fewer than two axes is a row.

    >>> tensor_vstack([Tensor([1.0, 2.0]), Tensor([[3.0, 4.0], [5.0, 6.0]])])
    Tensor([[1., 2.],
            [3., 4.],
            [5., 6.]])
    """
    tensors = joinable(tensors, "tensor_vstack")
    return tensor_concat([x if x.ndim > 1 else tensor_reshape(x, (1, x.size)) for x in tensors])


# ---------------------------------------------------------------- padding


def _margins(pad_width: int | Sequence, ndim: int) -> list[list[int]]:
    """The numbers of elements to add before and after, for each of `ndim` axes.

    >>> _margins(1, 2), _margins((0, 2), 2), _margins([(1, 2), (3, 4)], 2)
    ([[1, 1], [1, 1]], [[0, 2], [0, 2]], [[1, 2], [3, 4]])
    """
    return np.broadcast_to(np.asarray(pad_width, int), (ndim, 2)).tolist()


def _without_margins(pad_width: int | Sequence, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The index that selects a tensor of this shape from its padded version."""
    return tuple(slice(a, a + n) for (a, _), n in zip(_margins(pad_width, len(shape)), shape, strict=True))


@primitive(lambda g, x_shape, pad_width: g[_without_margins(pad_width, x_shape)])
def tensor_pad(x: Operand, pad_width: int | Sequence, constant_values: float = 0) -> Tensor:
    """X padded with `constant_values`.

    `pad_width` is one number for all sides, (before, after) for all axes, or such a pair for each axis, the first axis
    first, as in NumPy.  (PyTorch's `pad` begins with the last axis.)  The gradient of X is the upstream gradient
    without the padding.

    >>> tensor_pad(Tensor([[1.0, 2.0]]), ((0, 1), (1, 2)))
    Tensor([[0., 1., 2., 0., 0.],
            [0., 0., 0., 0., 0.]])
    """
    return np.pad(x, _margins(pad_width, x.ndim), constant_values=constant_values)


# ---------------------------------------------------------------- triangles


def _matrices(x, name: str):
    if x.ndim < 2:
        raise ValueError(f"{name} needs rows and columns. Give a matrix or a stack of them, (…, m, n).")
    return x


@primitive(lambda g, k: tensor_tril(g, k))
def tensor_tril(x: Operand, k: int = 0) -> Tensor:
    """The lower triangle of matrices (…, m, n): 0 above the k-th diagonal, where no gradient passes, not even ∞.

    ValueError if X has fewer than two axes.

    >>> tensor_tril(Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[1., 0.],
            [3., 4.]])
    """
    return np.tril(_matrices(x, "tril"), k)


@primitive(lambda g, k: tensor_triu(g, k))
def tensor_triu(x: Operand, k: int = 0) -> Tensor:
    """The upper triangle of matrices (…, m, n): 0 below the k-th diagonal, where no gradient passes, not even ∞.

    ValueError if X has fewer than two axes.

    >>> tensor_triu(Tensor([[1.0, 2.0], [3.0, 4.0]]), k=1)
    Tensor([[0., 2.],
            [0., 0.]])
    """
    return np.triu(_matrices(x, "triu"), k)


# ---------------------------------------------------------------- picking


def tensor_take_along_axis(x: Operand, indices: np.ndarray, axis: int = -1) -> Tensor:
    """The elements of X at `indices` along `axis`, as argmax or argsort give them.  PyTorch calls it gather.

    `indices` are integers, with as many axes as X; the other axes broadcast.  An element picked twice gets both
    gradients.  ValueError for another number of axes, TypeError for indices that are no integers.

    >>> x = Tensor([[1.0, 5.0, 3.0], [9.0, 2.0, 4.0]], requires_grad=True)
    >>> best = np.argmax(x, axis=1).reshape(-1, 1)
    >>> tensor_take_along_axis(x, best, axis=1).backward([[10.0], [20.0]])
    >>> x.grad
    array([[ 0., 10.,  0.],
           [20.,  0.,  0.]])
    """
    x, indices = with_shape(x, "tensor_take_along_axis"), as_array(getattr(indices, "value", indices))
    (axis,) = axis_numbers(axis, x.ndim, "tensor_take_along_axis")
    if indices.dtype.kind not in "iu":
        raise TypeError(f"tensor_take_along_axis: indices of dtype {indices.dtype}. Give integers.")
    if indices.ndim != x.ndim:
        raise ValueError(
            f"tensor_take_along_axis: indices of shape {indices.shape} for a tensor of shape {x.shape}. "
            "Give as many axes, for instance by keepdims=True."
        )
    places = np.ogrid[tuple(slice(n) for n in x.shape)]
    return tensor_getitem(x, (*places[:axis], indices, *places[axis + 1 :]))
