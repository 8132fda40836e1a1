"""The methods of a tensor: the functions of the same meaning, with the tensor as their first operand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import elementwise, rearranging, reductions
from . import functions as f
from . import operations as op

if TYPE_CHECKING:
    from .tensor import Tensor


class Methods:
    """What `Tensor` inherits: methods named as NumPy's or PyTorch's, each a function of the library."""

    __slots__ = ()

    sum = op.tensor_sum
    mean = op.tensor_mean
    max = f.tensor_max
    min = f.tensor_min
    prod = reductions.tensor_prod
    cumsum = reductions.tensor_cumsum
    var = reductions.tensor_var
    std = reductions.tensor_std
    norm = reductions.tensor_norm
    logsumexp = reductions.tensor_logsumexp
    softmax = reductions.tensor_softmax
    log_softmax = reductions.tensor_log_softmax
    sigmoid = op.sigmoid_tensor
    softplus = op.tensor_softplus
    relu = op.relu_tensor
    leaky_relu = op.leaky_relu_tensor
    exp = f.tensor_exp
    expm1 = elementwise.tensor_expm1
    log = f.tensor_log
    log1p = elementwise.tensor_log1p
    sqrt = f.tensor_sqrt
    square = elementwise.tensor_square
    sin = elementwise.tensor_sin
    cos = elementwise.tensor_cos
    tan = elementwise.tensor_tan
    tanh = f.tensor_tanh
    abs = f.tensor_abs
    clip = f.tensor_clip
    copy = f.tensor_copy
    astype = f.tensor_astype
    dot = op.matmul_tensor
    squeeze = rearranging.tensor_squeeze
    flatten = rearranging.tensor_flatten
    ravel = rearranging.tensor_ravel
    swapaxes = rearranging.tensor_swapaxes

    def reshape(self, *shape) -> Tensor:
        """`x.reshape(2, -1)` or `x.reshape((2, -1))`."""
        return op.tensor_reshape(self, shape[0] if len(shape) == 1 else shape)  # type: ignore[arg-type]

    def transpose(self, *axes) -> Tensor:
        """`x.transpose()`, `x.transpose(1, 2, 0)` or `x.transpose((1, 2, 0))`."""
        order = (axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes) or None
        return op.tensor_transpose(self, order)  # type: ignore[arg-type]
