"""Attention: each query takes the average of all values, weighted by how well it matches their keys (Vaswani et al. 2017)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from .._typing import Operand
from ..functions import tensor_where
from ..interop import values
from ..operations import matmul_tensor
from ..primitive import as_array
from ..tensor import Tensor
from .activations import softmax
from .base import BaseLayer
from .dense import Dense


def causal_mask(n: int, m: int | None = None) -> np.ndarray:
    """The mask (n, m) of booleans that lets query i see keys 0 to i, and none that come later; m = n unless given.

    >>> causal_mask(3).astype(int)
    array([[1, 0, 0],
           [1, 1, 0],
           [1, 1, 1]])
    """
    return np.tri(n, m, dtype=bool)


def attention_weights(query: Tensor | np.ndarray, key: Tensor | np.ndarray, mask: np.ndarray | None = None) -> Tensor:
    """softmax(Q Kᵀ / √d), (…, n, m), for queries Q (…, n, d) and keys K (…, m, d): rows that sum to 1.

    Where `mask`, booleans that broadcast to (…, n, m), is False, the weight is exactly 0 and so is its gradient.  A query
    that may see nothing has weights 0.  TypeError for a mask that is not boolean.

    >>> attention_weights(Tensor([[1.0], [1.0]]), Tensor([[2.0], [2.0]]), causal_mask(2))
    Tensor([[1. , 0. ],
            [0.5, 0.5]])
    """
    scores = matmul_tensor(query, key.mT) * (1 / sqrt(query.shape[-1]))
    if mask is None:
        return softmax(scores)
    mask = as_array(values(mask), copy=True)  # a copy: the caller may change the mask before the backward pass
    if mask.dtype != bool:
        raise TypeError(f"attention: a mask of dtype {mask.dtype}; give booleans, True where a query may see a key.")
    try:
        np.broadcast_to(mask, scores.shape)
    except ValueError:
        raise ValueError(
            f"attention: a mask of shape {mask.shape} for weights of shape {scores.shape}; it must broadcast to that shape."
        ) from None
    blind = ~mask.any(axis=-1, keepdims=True)  # softmax of nothing but −inf would be NaN
    return tensor_where(mask, softmax(tensor_where(mask | blind, scores, -np.inf)), 0.0)


def scaled_dot_product_attention(
    query: Tensor | np.ndarray,
    key: Tensor | np.ndarray,
    value: Operand,
    mask: np.ndarray | None = None,
    causal: bool = False,
) -> Tensor:
    """softmax(Q Kᵀ / √d) V for queries Q (…, n, d), keys K (…, m, d), values V (…, m, e): (…, n, e).

    A query sees the keys where `mask`, booleans that broadcast to (…, n, m), is True, and with `causal` only those that do
    not come after it.  A query that may see nothing gets 0.  TypeError for a mask that is not boolean, ValueError for shapes
    that do not fit.

    >>> scaled_dot_product_attention(Tensor([[1.0], [1.0]]), Tensor([[0.0], [0.0]]), Tensor([[2.0], [4.0]]), causal=True)
    Tensor([[2.],
            [3.]])
    """
    if causal:
        seen = causal_mask(query.shape[-2], key.shape[-2])
        mask = seen if mask is None else seen & values(mask)
    return matmul_tensor(attention_weights(query, key, mask), value)


class Attention(BaseLayer):
    """Attention with one head: queries, keys and values are dense functions of the input.

    X (…, n, d_in) gives Y (…, n, d_out).  With a second input, the context (…, m, d_in), keys and values come from that
    (cross-attention).  `mask` and `causal` as in `scaled_dot_product_attention`; `rng` as in `Dense`.

    >>> layer = Attention(4, 3, causal=True, rng=0)
    >>> x = np.random.default_rng(1).normal(size=(2, 5, 4))
    >>> layer(x).shape, np.allclose(layer(x).data[:, :3], layer(x[:, :3]).data)  # what comes later changes nothing
    ((2, 5, 3), True)
    """

    def __init__(
        self, d_in: int, d_out: int, causal: bool = False, bias: bool = True, rng=None, dtype=np.float64
    ) -> None:
        rng = np.random.default_rng(rng)
        self.causal = causal
        self.query, self.key, self.value = (_named(Dense(d_in, d_out, bias, rng, dtype), letter) for letter in "QKV")

    def forward(self, x: Tensor, context: Tensor | None = None, mask: np.ndarray | None = None) -> Tensor:
        context = x if context is None else context
        q, k, v = self.query(x), self.key(context), self.value(context)
        return scaled_dot_product_attention(q, k, v, mask, self.causal)

    def extra(self) -> str:
        return self.query.extra() + (", causal=True" if self.causal else "")


class MultiHeadAttention(BaseLayer):
    """Several heads side by side, each with size / heads of the features, and a dense layer that joins what they found.

    X (…, n, size) gives Y (…, n, size).  Context, `mask` (one for all heads), `causal` and `rng` as in `Attention`.
    ValueError if `heads` does not divide `size`.

    >>> MultiHeadAttention(8, heads=2, rng=0)(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self, size: int, heads: int, causal: bool = False, bias: bool = True, rng=None, dtype=np.float64
    ) -> None:
        if heads < 1 or size % heads:
            raise ValueError(f"MultiHeadAttention: {heads} heads for {size} features; {heads} must divide {size}.")
        rng = np.random.default_rng(rng)
        self.heads, self.causal = heads, causal
        self.query, self.key, self.value, self.output = (
            _named(Dense(size, size, bias, rng, dtype), letter) for letter in "QKVO"
        )

    def forward(self, x: Tensor, context: Tensor | None = None, mask: np.ndarray | None = None) -> Tensor:
        context = x if context is None else context
        if mask is not None and np.ndim(mask) > 1:
            mask = np.expand_dims(values(mask), -3)  # the same for all heads
        q, k, v = self._split(self.query(x)), self._split(self.key(context)), self._split(self.value(context))
        return self.output(_joined(scaled_dot_product_attention(q, k, v, mask, self.causal)))

    def _split(self, x: Tensor) -> Tensor:
        """(…, n, size) → (…, heads, n, size / heads)."""
        *lead, n, size = x.shape
        return _heads_and_rows(x.reshape((*lead, n, self.heads, size // self.heads)))

    def extra(self) -> str:
        return f"{self.query.weight.shape[0]}, heads={self.heads}" + (", causal=True" if self.causal else "")


def _named(dense: Dense, letter: str) -> Dense:
    """The layer, with parameters that a picture tells apart: WQ and bQ."""
    for p in dense.parameters():
        p.name = f"{p.name}{letter}"
    return dense


def _joined(x: Tensor) -> Tensor:
    """(…, heads, n, d) → (…, n, heads · d)."""
    *lead, heads, n, d = x.shape
    return _heads_and_rows(x).reshape((*lead, n, heads * d))


def _heads_and_rows(x: Tensor) -> Tensor:
    """Axes −3 and −2 exchanged."""
    return x.transpose((*range(x.ndim - 3), -2, -3, -1))
