"""minigrad: automatic differentiation of tensor operations, in NumPy.

    >>> import minigrad as mg
    >>> x, y = mg.Tensor(3.0, requires_grad=True), mg.Tensor(4.0, requires_grad=True)
    >>> L = (2 * x + x * y) ** 2
    >>> L.backward()
    >>> x.grad, y.grad
    (array(216.), array(108.))

Read it in this order: graph.py, context.py, primitive.py, functions.py, operations.py, tensor.py; then gradcheck.py, layers/, losses.py, optimisers.py.
"""

from . import fused, layers, losses, optimisers
from .context import no_grad
from .einsum import tensor_einsum
from .elementwise import (
    tensor_cos,
    tensor_cosh,
    tensor_expm1,
    tensor_log1p,
    tensor_log2,
    tensor_log10,
    tensor_reciprocal,
    tensor_sin,
    tensor_sinh,
    tensor_square,
    tensor_tan,
)
from .explanation import explain
from .functions import (
    tensor_abs,
    tensor_astype,
    tensor_broadcast_to,
    tensor_clip,
    tensor_copy,
    tensor_exp,
    tensor_getitem,
    tensor_log,
    tensor_max,
    tensor_maximum,
    tensor_min,
    tensor_minimum,
    tensor_neg,
    tensor_sqrt,
    tensor_tanh,
    tensor_where,
)
from .gradcheck import GradcheckError, gradcheck
from .observe import debug, trace
from .operations import (
    leaky_relu_tensor,
    matmul_tensor,
    relu_tensor,
    scalar_multiply_tensor,
    sigmoid_tensor,
    tensor_add,
    tensor_concat,
    tensor_divide,
    tensor_mean,
    tensor_mul,
    tensor_pow,
    tensor_reshape,
    tensor_softplus,
    tensor_stack,
    tensor_sub,
    tensor_sum,
    tensor_transpose,
)
from .primitive import primitive
from .rearranging import (
    tensor_expand_dims,
    tensor_flatten,
    tensor_flip,
    tensor_hstack,
    tensor_moveaxis,
    tensor_pad,
    tensor_ravel,
    tensor_split,
    tensor_squeeze,
    tensor_swapaxes,
    tensor_take_along_axis,
    tensor_tril,
    tensor_triu,
    tensor_vstack,
)
from .reductions import (
    tensor_cumsum,
    tensor_log_softmax,
    tensor_logsumexp,
    tensor_norm,
    tensor_prod,
    tensor_softmax,
    tensor_std,
    tensor_var,
)
from .tensor import Tensor, grad
from .transforms import hvp, jacobian, jvp, value_and_grad, vjp
from .windows import tensor_windows

__version__ = "0.1.0"


def __getattr__(name: str):
    """`program` and `compile` are loaded when they are first used, because they would cost every import 3 ms."""
    if name in ("program", "compile"):
        from . import compiler

        globals().update(program=compiler.program, compile=compiler.compile)
        return globals()[name]
    raise AttributeError(f"module 'minigrad' has no attribute {name!r}")
