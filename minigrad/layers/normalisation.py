"""Layers that keep activations at mean 0 and variance 1: over the features of an example, or over a mini-batch."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..functions import tensor_sqrt
from ..interop import values
from ..operations import tensor_mean
from ..primitive import recorded_with
from ..tensor import Tensor
from .base import BaseLayer, whole


class LayerNorm(BaseLayer):
    """Y = γ (X − μ) / √(σ² + ε) + β, with mean μ and variance σ² of each example alone (Ba, Kiros & Hinton 2016).

    μ and σ² are taken over the last axes, those of `shape`: an int or a tuple.  Y has the shape of X, which ends in these sizes.
    `weight` γ starts at 1 and `bias` β at 0, both of `shape`.  Training and inference are the same.  ValueError for X of
    another shape.

    >>> LayerNorm(2)(Tensor([[1.0, 3.0], [10.0, 50.0]])).data.round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    """

    def __init__(self, shape: int | tuple[int, ...], eps: float = 1e-5, dtype=np.float64) -> None:
        shape = tuple(whole("LayerNorm: shape", n) for n in (shape if isinstance(shape, (tuple, list)) else (shape,)))
        self.eps = float(eps)
        self.weight = Tensor(np.ones(shape), requires_grad=True, dtype=dtype, name="γ")
        self.bias = Tensor(np.zeros(shape), requires_grad=True, dtype=dtype, name="β")

    def forward(self, x: Tensor) -> Tensor:
        shape = self.weight.shape
        if np.shape(x)[-len(shape) :] != shape:
            raise ValueError(
                f"LayerNorm: x of shape {np.shape(x)}; its last sizes must be {shape}, as in LayerNorm{shape}."
            )
        return normalised(x, tuple(range(-len(shape), 0)), self.eps)[0] * self.weight + self.bias

    def extra(self) -> str:
        return ", ".join(map(str, self.weight.shape))


class BatchNorm(BaseLayer):
    """Y = γ (X − μ) / √(σ² + ε) + β, with mean μ and variance σ² of each feature over the batch (Ioffe & Szegedy 2015).

    Features are on axis 1: X (n, features), or (n, channels, height, width) for images, where a channel is a feature; Y has
    the same shape.  In training, `running_mean` and `running_var` (unbiased) move towards the batch's statistics by the
    fraction `momentum`, and are what `eval()` uses instead; they are saved with the parameters.  ValueError for another
    number of features, and in training for a single value of each feature, which has no variance.

    >>> layer = BatchNorm(1)
    >>> layer(Tensor([[1.0], [3.0]])).data.round(3).tolist()
    [[-1.0], [1.0]]
    >>> layer.running_mean, layer.running_var  # a tenth of the way from 0 to 2, and from 1 to 2
    (array([0.2]), array([1.1]))
    """

    buffers: ClassVar[tuple[str, ...]] = ("running_mean", "running_var")

    def __init__(self, features: int, momentum: float = 0.1, eps: float = 1e-5, dtype=np.float64) -> None:
        if not 0 <= momentum <= 1:
            raise ValueError(
                f"BatchNorm: momentum = {momentum}; give a fraction from 0 (never move) to 1 (forget at once)."
            )
        whole("BatchNorm: features", features)
        self.momentum, self.eps = float(momentum), float(eps)
        self.weight = Tensor(np.ones(features), requires_grad=True, dtype=dtype, name="γ")
        self.bias = Tensor(np.zeros(features), requires_grad=True, dtype=dtype, name="β")
        self.running_mean, self.running_var = np.zeros(features, dtype), np.ones(features, dtype)

    def forward(self, x: Tensor) -> Tensor:
        shape, features = np.shape(x), self.weight.size
        if len(shape) < 2 or shape[1] != features:
            raise ValueError(
                f"BatchNorm: x of shape {shape}; it takes (n, {features}, …), with the features on axis 1."
            )
        along = (features,) + (1,) * (len(shape) - 2)  # what broadcasts along axis 1
        if self.training:
            y, mean, variance = normalised(x, (0, *range(2, len(shape))), self.eps)
            self._follow(values(mean).reshape(-1), values(variance).reshape(-1), values(x).size // features)
        else:
            spread = np.sqrt(self.running_var.reshape(along) + self.eps)
            y = (x - self.running_mean.reshape(along)) / spread
        return y * self.weight.reshape(along) + self.bias.reshape(along)

    def _follow(self, mean: np.ndarray, variance: np.ndarray, n: int) -> None:
        """Move the running statistics towards those of a batch with n values of each feature."""
        if n < 2:
            raise ValueError(
                "BatchNorm: one value of each feature has no variance. Train on larger batches, or call eval()."
            )
        self.running_mean = recorded_with(mean, self.running_mean)
        self.running_var = recorded_with(mean, self.running_var)
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_var += self.momentum * (variance * (n / (n - 1)) - self.running_var)

    def extra(self) -> str:
        return str(self.weight.size)


def normalised(x: Tensor, axes: tuple[int, ...], eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """(X − μ) / √(σ² + ε) with the mean μ and the variance σ² over `axes`; and these two, axes kept."""
    mean = tensor_mean(x, axes, keepdims=True)
    centred = x - mean
    variance = tensor_mean(centred**2, axes, keepdims=True)
    return centred / tensor_sqrt(variance + eps), mean, variance
