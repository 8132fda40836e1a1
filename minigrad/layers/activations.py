"""Activation layers (section 6.2): each applies one primitive, element by element."""

from __future__ import annotations

from ..operations import leaky_relu_tensor, relu_tensor, sigmoid_tensor
from ..tensor import Tensor
from .base import BaseLayer


class ReLU(BaseLayer):
    """Y = max(0, X).

    >>> ReLU()(Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def forward(self, x: Tensor) -> Tensor:
        return relu_tensor(x)


class Sigmoid(BaseLayer):
    """Y = σ(X).

    >>> Sigmoid()(Tensor([0.0]))
    Tensor([0.5])
    """

    def forward(self, x: Tensor) -> Tensor:
        return sigmoid_tensor(x)


class LeakyReLU(BaseLayer):
    """Y = X where X > 0, elsewhere αX.

    >>> LeakyReLU(alpha=0.1)(Tensor([-1.0, 2.0]))
    Tensor([-0.1,  2. ])
    """

    def __init__(self, alpha: float = 0.01) -> None:
        self.alpha = float(alpha)

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu_tensor(x, self.alpha)

    def extra(self) -> str:
        return f"alpha={self.alpha}"
