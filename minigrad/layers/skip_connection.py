"""The residual connection (section 6.4; He et al. 2016)."""

from __future__ import annotations

from ..operations import tensor_add
from ..tensor import Tensor
from .base import BaseLayer


class SkipConnection(BaseLayer):
    """Y = f(X) + X: the wrapped layer f learns the residual Y − X.  ValueError if f changes the shape.

    >>> from .activations import ReLU
    >>> SkipConnection(ReLU())(Tensor([-1.0, 2.0]))
    Tensor([-1.,  4.])
    """

    def __init__(self, layer: BaseLayer) -> None:
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        if y.shape != x.shape:
            raise ValueError(
                f"SkipConnection: the layer made {y.shape} of {x.shape}; to be added they must be the same shape."
            )
        return tensor_add(y, x)
