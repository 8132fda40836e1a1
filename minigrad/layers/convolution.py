"""Layers for images: the same small function at every place (LeCun et al. 1989)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..functions import tensor_max
from ..operations import matmul_tensor, tensor_concat, tensor_stack
from ..tensor import Tensor
from .base import BaseLayer, whole


class Conv2d(BaseLayer):
    """Cross-correlation: Y[n, o, i, j] = b[o] + Σ W[o] ⊙ the patch of X[n] at (i, j), all channels of it.

    X (n, channels_in, height, width) gives Y (n, channels_out, height', width') with height' = (height + 2·padding −
    kernel) // stride + 1, width' alike.  `kernel_size`, `stride` and `padding` (zeros on all sides) are an int or a pair.
    The weight W (channels_out, channels_in, kernel, kernel) is drawn as in `Dense`, for the numbers that go into and come out
    of a patch; b (channels_out,) starts at 0.  ValueError for X of another number of channels, or smaller than the kernel.

    The patches are laid out as the columns of a matrix, and W's rows meet them in one matrix product ("im2col").

    >>> Conv2d(3, 8, kernel_size=5, stride=2, padding=2, rng=0)(np.ones((10, 3, 32, 32))).shape
    (10, 8, 16, 16)
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = True,
        rng=None,
        dtype=np.float64,
    ) -> None:
        whole("Conv2d: channels_in", channels_in)
        whole("Conv2d: channels_out", channels_out)
        kernel = pair("Conv2d: kernel_size", kernel_size)
        self.stride, self.padding = pair("Conv2d: stride", stride), pair("Conv2d: padding", padding, least=0)
        bound = np.sqrt(6 / ((channels_in + channels_out) * kernel[0] * kernel[1]))
        draws = np.random.default_rng(rng).uniform(-bound, bound, (channels_out, channels_in, *kernel))
        self.weight = Tensor(draws, requires_grad=True, dtype=dtype, name="W")
        self.bias = Tensor(np.zeros(channels_out), requires_grad=True, dtype=dtype, name="b") if bias else None

    def forward(self, x: Tensor) -> Tensor:
        channels_out, channels_in, *kernel = self.weight.shape
        if np.ndim(x) != 4 or np.shape(x)[1] != channels_in:
            raise ValueError(f"Conv2d: x of shape {np.shape(x)}; it takes (n, {channels_in}, height, width).")
        columns = patches("Conv2d", padded(x, self.padding), kernel, self.stride)
        n, _, _, height, width = columns.shape
        y = matmul_tensor(self.weight.reshape(channels_out, -1), columns.reshape((n, -1, height * width)))
        y = y.reshape((n, channels_out, height, width))
        return y if self.bias is None else y + self.bias.reshape(-1, 1, 1)

    def extra(self) -> str:
        channels_out, channels_in, *kernel = self.weight.shape
        return (
            f"{channels_in}, {channels_out}, kernel_size={tuple(kernel)}, stride={self.stride}, padding={self.padding}"
        )


class MaxPool2d(BaseLayer):
    """The largest value of each patch, channel by channel; no parameters.

    X (n, channels, height, width) gives Y (n, channels, (height − kernel) // stride + 1, (width − kernel) // stride + 1).
    `stride` is the kernel's size unless given, so that patches do not overlap.  Values that tie for the maximum share its
    gradient evenly (PyTorch passes it to the first).  ValueError for X smaller than the kernel.

    >>> MaxPool2d(2)(Tensor(np.arange(16.0).reshape(1, 1, 4, 4)))
    Tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """

    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        self.kernel_size = pair("MaxPool2d: kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else pair("MaxPool2d: stride", stride)

    def forward(self, x: Tensor) -> Tensor:
        if np.ndim(x) != 4:
            raise ValueError(f"MaxPool2d: x of shape {np.shape(x)}; it takes (n, channels, height, width).")
        return tensor_max(patches("MaxPool2d", x, self.kernel_size, self.stride), axis=2)

    def extra(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}"


def patches(name: str, x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """The patches of X (n, c, h, w): (n, c, kernel · kernel, h', w').  Slice k has element k of every patch."""
    sizes = [(size - k) // step + 1 for size, k, step in zip(x.shape[2:], kernel, stride, strict=True)]
    if min(sizes) < 1:
        raise ValueError(
            f"{name}: the image, {x.shape[2:]} with its padding, is smaller than the kernel, {tuple(kernel)}."
        )
    (rows, columns), (down, right) = sizes, stride
    return tensor_stack(
        [
            x[:, :, i : i + down * rows : down, j : j + right * columns : right]
            for i in range(kernel[0])
            for j in range(kernel[1])
        ],
        axis=2,
    )


def padded(x: Tensor, padding: tuple[int, int]) -> Tensor:
    """X with so many zeros above and below, and left and right."""
    for axis, size in zip((2, 3), padding, strict=True):
        if size:
            zeros = np.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype)
            x = tensor_concat([zeros, x, zeros], axis)
    return x


def pair(what: str, value: int | tuple[int, int], least: int = 1) -> tuple[int, int]:
    """One size for both axes, or a size for each; ValueError for anything else."""
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return whole(what, value[0], least), whole(what, value[1], least)
    return whole(what, value, least), whole(what, value, least)
