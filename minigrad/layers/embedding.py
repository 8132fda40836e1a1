"""The embedding layer: one learned vector for each item, such as a word, a user or a position: words, users, positions."""

from __future__ import annotations

import numpy as np

from ..functions import tensor_getitem
from ..interop import values
from ..primitive import as_array, violated
from ..tensor import Tensor
from .base import BaseLayer, whole


class Embedding(BaseLayer):
    """Y = W[X]: row i of the weight W (count, size) for every number i in X (Bengio et al. 2003).

    X holds integers from 0 to count − 1, in any shape; Y has that shape and a last axis of `size` more.  It is the product of
    a one-hot vector with W, without the zeros, so a row gets the sum of the gradients of all places where it was looked up.
    W is drawn from the normal distribution of mean 0 and variance 1, `rng` is a seed or a NumPy generator.  TypeError for
    numbers that are not integers, IndexError for those outside.

    >>> layer = Embedding(3, 2, rng=0)
    >>> y = layer([0, 2, 2])
    >>> y.backward(np.ones((3, 2)))
    >>> y.shape, layer.weight.grad.tolist()
    ((3, 2), [[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]])
    """

    def __init__(self, count: int, size: int, rng=None, dtype=np.float64) -> None:
        count, size = whole("Embedding: count", count), whole("Embedding: size", size)
        draws = np.random.default_rng(rng).standard_normal((count, size))
        self.weight = Tensor(draws, requires_grad=True, dtype=dtype, name="W")

    def forward(self, indices: np.ndarray) -> Tensor:
        # a copy: the caller's buffer may be filled anew before the backward pass
        indices = as_array(values(indices), copy=True)
        count = self.weight.shape[0]
        if indices.dtype.kind not in "iu":
            raise TypeError(f"Embedding: indices of dtype {indices.dtype}; give integers from 0 to {count - 1}.")
        if indices.size and violated((indices.min() < 0) | (indices.max() >= count)):
            raise IndexError(
                f"Embedding: indices from {indices.min()} to {indices.max()}; they must be from 0 to {count - 1}. "
                f"For more of them make a larger Embedding."
            )
        return tensor_getitem(self.weight, indices)

    def extra(self) -> str:
        return "{}, {}".format(*self.weight.shape)
