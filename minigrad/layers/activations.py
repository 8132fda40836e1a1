"""Activation layers (section 6.2): each applies one function, element by element, or along an axis in `Softmax`."""

from __future__ import annotations

import numpy as np

from .._typing import Operand
from ..functions import tensor_exp, tensor_tanh
from ..interop import values
from ..operations import leaky_relu_tensor, relu_tensor, sigmoid_tensor, tensor_sum
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


class Tanh(BaseLayer):
    """Y = tanh(X), element by element; the shape stays.

    >>> Tanh()(Tensor([0.0, 100.0]))
    Tensor([0., 1.])
    """

    def forward(self, x: Tensor) -> Tensor:
        return tensor_tanh(x)


class Softmax(BaseLayer):
    """Y = e^X / Σ e^X along `axis`: probabilities, each row of which sums to 1; the shape stays.

    Train with `losses.cross_entropy` on the logits instead: it needs no softmax before it (section 7.4).

    >>> Softmax()(Tensor([[1000.0, 1000.0], [0.0, np.log(3.0)]]))
    Tensor([[0.5 , 0.5 ],
            [0.25, 0.75]])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        return softmax(x, self.axis)

    def extra(self) -> str:
        return f"axis={self.axis}"


def softmax(x: Operand, axis: int = -1) -> Tensor:
    """e^X / Σ e^X along `axis`.  The largest element is subtracted first, so that no exponential overflows."""
    e = tensor_exp(x - np.max(values(x), axis=axis, keepdims=True))
    return e / tensor_sum(e, axis, keepdims=True)
