"""The windows that a convolution or a pooling layer looks at, as axes of a tensor, and the adjoint: sums of windows."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ._typing import Operand
from .graph import accumulator
from .primitive import primitive, recorded_with

if TYPE_CHECKING:
    from .tensor import Tensor


def _each_axis(size: int | tuple[int, ...], stride: int | tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes and strides, one for each axis that windows move along.

    >>> _each_axis((3, 2), 2), _each_axis(4, 1)
    (((3, 2), (2, 2)), ((4,), (1,)))
    """
    sizes = size if isinstance(size, tuple) else (size,)
    strides = stride if isinstance(stride, tuple) else (stride,) * len(sizes)
    return sizes, strides


@primitive(lambda g, x_shape, size, stride: _add_windows(g, x_shape, size, stride))
def tensor_windows(x: Operand, size: int | tuple[int, ...], stride: int | tuple[int, ...] = 1) -> Tensor:
    """All windows of `size` elements along the last axes of X, one for every step of `stride`.

    A size (h, w) turns X (…, H, W) into (…, 1 + (H − h) // stride, 1 + (W − w) // stride, h, w), where [..., i, j, :, :]
    is the window that begins at (i · stride, j · stride).  A convolution is the product of this with the kernel, summed
    over the last two axes; max-pooling is the maximum over them.  The windows are views, so they take no memory until
    something is computed from them.  An element gets the sum of the gradients of all windows that it is in.

    ValueError where a window is larger than its axis, or a size or stride is below 1.

    >>> x = Tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    >>> y = tensor_windows(x, 3)
    >>> y.numpy()
    array([[1., 2., 3.],
           [2., 3., 4.]])
    >>> y.backward([[1.0, 1.0, 1.0], [10.0, 10.0, 10.0]])
    >>> x.grad
    array([ 1., 11., 11., 10.])
    """
    sizes, strides = _each_axis(size, stride)
    lead = x.ndim - len(sizes)
    fits = lead >= 0 and len(sizes) == len(strides)
    if not fits or min(sizes + strides) < 1 or any(k > n for k, n in zip(sizes, x.shape[lead:], strict=True)):
        raise ValueError(
            f"windows of size {size} and stride {stride} do not fit. Give a size for each of the last axes, from 1 to "
            "that of the axis, and a stride of at least 1; tensor_pad makes the axes longer."
        )
    windows = np.lib.stride_tricks.sliding_window_view(x, sizes, tuple(range(lead, x.ndim)))
    return windows[(..., *(slice(None, None, step) for step in strides), *(slice(None),) * len(sizes))]


@primitive(lambda g, size, stride: tensor_windows(g, size, stride))
def _add_windows(
    x: Operand, shape: tuple[int, ...], size: int | tuple[int, ...], stride: int | tuple[int, ...]
) -> Tensor:
    """Zeros of this shape to which each window in X is added where it came from: the adjoint of `tensor_windows`."""
    sizes, strides = _each_axis(size, stride)
    out = recorded_with(x, np.zeros(shape, accumulator(x.dtype)))
    counts = x.shape[-2 * len(sizes) : -len(sizes)]
    for offsets in product(*map(range, sizes)):  # one strided addition for each element of a window
        ends = [start + step * (n - 1) + 1 for start, step, n in zip(offsets, strides, counts, strict=True)]
        out[(..., *map(slice, offsets, ends, strides))] += x[(..., *offsets)]
    return out.astype(x.dtype, copy=False)
