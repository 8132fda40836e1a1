"""Layers one after another."""

from __future__ import annotations

from collections.abc import Iterator

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
        for i, layer in enumerate(layers):
            if not isinstance(layer, BaseLayer):
                raise TypeError(
                    f"Sequential: number {i} is {layer!r}, no layer. Give layers one by one, made: Sequential(Dense(2, 3), ReLU())."
                )
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, i: int) -> BaseLayer:
        return self.layers[i]

    def children(self) -> Iterator[tuple[str, BaseLayer]]:
        return ((str(i), layer) for i, layer in enumerate(self.layers))
