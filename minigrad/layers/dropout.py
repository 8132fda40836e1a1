"""Dropout (section 6.3; Srivastava et al. 2014)."""

from __future__ import annotations

import numpy as np

from ..operations import scalar_multiply_tensor, tensor_mul
from ..tensor import Tensor
from .base import BaseLayer


class Dropout(BaseLayer):
    """In training each element is dropped with probability p and the others are scaled by 1/(1 − p).

    So the expected output is the input, and in use (`eval()`) the layer is the identity.  With p = 1 everything is dropped.
    `rng` is a seed or a NumPy generator.  ValueError for p outside [0, 1].

    >>> layer = Dropout(0.5, rng=0)
    >>> layer(Tensor(np.ones(8)))
    Tensor([2., 0., 0., 0., 2., 2., 2., 2.])
    >>> layer.eval()(Tensor(np.ones(3)))
    Tensor([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, rng=None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p = {p}; a probability lies in [0, 1]. For 30 per cent give 0.3.")
        self.p = float(p)
        self.rng = np.random.default_rng(rng)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        kept = (self.rng.random(x.shape) >= self.p).astype(x.dtype)  # the mask M, one draw for both passes
        return scalar_multiply_tensor(1 / (1 - self.p) if self.p < 1 else 0.0, tensor_mul(x, kept))

    def extra(self) -> str:
        return f"p={self.p}"
