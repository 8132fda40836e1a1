"""Layers one after another."""

from __future__ import annotations

from ..tensor import Tensor
from .base import BaseLayer


class Sequential(BaseLayer):
    """Each layer is applied to what the one before it made.

    >>> from .activations import ReLU
    >>> from .dense import Dense
    >>> Sequential(Dense(64, 32), ReLU(), Dense(32, 10))
    Sequential()  # 2,410 parameters
      0: Dense(64, 32)  # 2,080 parameters
      1: ReLU()
      2: Dense(32, 10)  # 330 parameters
    """

    def __init__(self, *layers: BaseLayer) -> None:
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x

    def children(self):
        return ((str(i), layer) for i, layer in enumerate(self.layers))
