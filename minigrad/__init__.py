"""minigrad: automatic differentiation of tensor operations, in NumPy.

    >>> import minigrad as mg
    >>> x, y = mg.Tensor(3.0, requires_grad=True), mg.Tensor(4.0, requires_grad=True)
    >>> L = (2 * x + x * y) ** 2
    >>> L.backward()
    >>> x.grad, y.grad
    (array(216.), array(108.))

Read it in this order: graph.py, context.py, primitive.py, functions.py, operations.py, tensor.py; then gradcheck.py, layers/, losses.py, optimisers.py.
"""

from importlib import import_module
from typing import TYPE_CHECKING

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
from .windows import tensor_windows

if TYPE_CHECKING:
    from .compiler import Program, RecordingError, compile, program
    from .explanation import explain
    from .observe import debug, trace
    from .transforms import hvp, jacobian, jvp, value_and_grad, vjp

__version__ = "0.1.0"


# Loaded when they are first used: together they would cost every import 5 ms.
LOADED_ON_USE = {
    **dict.fromkeys(("program", "Program", "compile", "RecordingError"), "compiler"),
    "explain": "explanation",
    "debug": "observe",
    "trace": "observe",
    **dict.fromkeys(("value_and_grad", "vjp", "jvp", "hvp", "jacobian"), "transforms"),
}


def __getattr__(name: str):
    """Import the module of a function in LOADED_ON_USE."""
    if name not in LOADED_ON_USE:
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"minigrad.{LOADED_ON_USE[name]}"), name)
    return value


def __dir__() -> list[str]:
    """Complete `mg.` with these functions too."""
    return sorted({*globals(), *LOADED_ON_USE})
