"""The fully connected layer (section 6.1)."""

from __future__ import annotations

import numpy as np

from ..operations import matmul_tensor, tensor_add
from ..tensor import Tensor
from .base import BaseLayer


class Dense(BaseLayer):
    """Y = X Wᵀ + b for X (…, d_in): weight W (d_out, d_in), bias b (d_out,).

    W is drawn uniformly from ±√(6 / (d_in + d_out)), which keeps the size of signals and of gradients from layer to layer
    (Glorot & Bengio 2010); b starts at 0.  `rng` is a NumPy generator, or a seed: two layers of one size and one seed begin
    equal, so give the layers of a network one generator.

    >>> Dense(3, 2, rng=0)
    Dense(3, 2)  # 8 parameters
    >>> Dense(3, 2, rng=0)(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(self, d_in: int, d_out: int, bias: bool = True, rng=None, dtype=np.float64) -> None:
        if not all(isinstance(d, (int, np.integer)) and d >= 1 for d in (d_in, d_out)):
            raise ValueError(f"Dense: sizes {d_in!r} and {d_out!r}; give two whole numbers, at least 1.")
        bound = np.sqrt(6 / (d_in + d_out))
        draws = np.random.default_rng(rng).uniform(-bound, bound, (d_out, d_in))
        self.weight = Tensor(draws, requires_grad=True, dtype=dtype, name="W")
        self.bias = Tensor(np.zeros(d_out), requires_grad=True, dtype=dtype, name="b") if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = matmul_tensor(x, self.weight.T)
        return y if self.bias is None else tensor_add(y, self.bias)

    def extra(self) -> str:
        d_out, d_in = self.weight.shape
        return f"{d_in}, {d_out}" + (", bias=False" if self.bias is None else "")
