"""Derivatives of functions: `value_and_grad`, `vjp`, `jvp`, `hvp` and `jacobian`.

Each takes a function `f` of tensors instead of a graph.  It calls `f` once, on tensors of its own, and differentiates
what `f` returned.  All of them are compositions of `minigrad.grad`, leave every `.grad` alone, and may be nested.

Arguments are tensors, arrays, numbers, layers, and lists or tuples of these.  A gradient or a direction has the
structure of its argument: an array for a tensor, an array or a number; a list for a list; and for a layer the list of
its `parameters()`.  Whatever else `f` uses, for example a tensor from the surrounding code, is a constant to it, even if
the same tensor is one of the arguments.

Derivatives are arrays, as from `minigrad.grad`.  They are tensors that can be differentiated again with
`create_graph=True`, and also inside the function given to another transform, which needs that.

Griewank and Walther, *Evaluating Derivatives* (2nd edition, SIAM 2008), and Baydin, Pearlmutter, Radul and Siskind,
"Automatic differentiation in machine learning: a survey" (JMLR 18, 2018), describe all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import update_wrapper
from typing import Any

import numpy as np

from .functions import tensor_copy
from .interop import values
from .operations import tensor_stack, tensor_sum
from .primitive import as_array
from .tensor import Tensor, grad

Argument = Any  # a tensor, an array, a number, a layer, or a list or tuple of arguments
Derivative = Any  # an array, a tensor, or a list or tuple of them, in the structure of the argument

# ---------------------------------------------------------------- the transforms


def value_and_grad(f: Callable, create_graph: bool = False) -> Callable[..., tuple[Tensor, Derivative]]:
    """Turn `f` into a function of the same arguments that returns `(value, gradients)`.

    `f` returns a tensor of one element.  `value` is that tensor, without its graph.  `gradients` is one gradient where
    the function is called with one argument, else a tuple with a gradient for each.  Arguments that are not
    floating-point (labels, indices, strings, None) and keyword arguments reach `f` as they are, and the gradient of such
    an argument is None.

    Cost: one forward and one backward pass.

    TypeError if `f` returns anything but a tensor or no argument is floating-point; ValueError if the result has more
    than one element.

    >>> loss = value_and_grad(lambda w, x: ((w * x) ** 2).sum())
    >>> loss(Tensor(3.0), np.array([1.0, 2.0]))
    (Tensor(45.), (array(30.), array([18., 36.])))
    """

    def with_gradients(*xs, **constants):
        call = _Call("value_and_grad", f, xs, create_graph, constants, floating_only=True)
        call.refuse_more_than_one_number()
        return call.result(), call.arranged(call.gradients())

    return update_wrapper(with_gradients, f)


def vjp(f: Callable, *xs: Argument, create_graph: bool = False) -> tuple[Tensor, Callable[..., Derivative]]:
    """Compute y = f(*xs) and return `(y, pullback)`; `pullback(v)` is the vector–Jacobian product vᵀ J.

    `v` is an upstream gradient of the shape of y, and may be left out where y has one element (it is 1 then).  The
    pullback returns the gradient of Σ v ⊙ y for the argument, or a tuple of them for several arguments, in the shape and
    dtype of each; zeros where y does not depend on it.  It may be called any number of times.

    Cost: one forward pass now, and one backward pass for each call of the pullback.

    TypeError if `f` returns anything but a tensor; ValueError if `v` has another shape than y.

    >>> y, pullback = vjp(lambda x: x**2, np.array([1.0, 2.0, 3.0]))
    >>> pullback([1.0, 10.0, 100.0])
    array([  2.,  40., 600.])
    """
    call = _Call("vjp", f, xs, create_graph)

    def pullback(v=None):
        if v is None:
            call.refuse_more_than_one_number("pass v, an array of that shape")
        return call.arranged(call.gradients(None if v is None else call.upstream(v)))

    return call.result(), pullback


def jvp(f: Callable, xs: Argument, vs: Argument, create_graph: bool = False) -> tuple[Tensor, np.ndarray | Tensor]:
    """Compute y = f(x) and its derivative along a direction, the Jacobian–vector product J v.

    `xs` is the argument, or a tuple of several; `vs` has the same structure and shapes.  Returns `(y, Jv)`; Jv has the
    shape and dtype of y, and is 0 where y does not depend on x.

    Cost: one forward and two backward passes, whatever the sizes; the second passes through the graph of the first.
    The first pass computes u ↦ uᵀ J, which is linear in u, and the second differentiates it in u along v (the
    "double-VJP trick").  Forward mode would need a forward pass of twice the work and keep no graph, but also a
    second rule for each operation; here the gradient rules that exist are enough.

    TypeError if `f` returns anything but a tensor; ValueError if `vs` differs from `xs` in structure or shape.

    >>> jvp(lambda x: x**2, np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 10.0]))
    (Tensor([1., 4., 9.]), array([ 2.,  0., 60.]))
    """
    call = _Call("jvp", f, xs if isinstance(xs, tuple) else (xs,), create_graph)
    directions = call.directions(vs if isinstance(xs, tuple) else (vs,))
    u = Tensor(np.ones(call.y.shape, call.y.dtype), requires_grad=True)
    slope = _inner_product(call.gradients(u, lifted=True), directions)
    return call.result(), _gradients(slope, [u], call.lifted)[0]


def hvp(f: Callable, xs: Argument, v: Argument, create_graph: bool = False) -> Derivative:
    """Compute the Hessian–vector product H v, where H holds the second derivatives of `f` at x.

    `f` returns a tensor of one element.  `xs` is the argument, or a tuple of several; `v` has the same structure and
    shapes, and so has the result; it is 0 where `f` is linear.

    Cost: one forward and two backward passes, whatever the sizes; the second passes through the graph of the first.
    H itself, n × n, is never formed.

    TypeError if `f` returns anything but a tensor; ValueError if that has more than one element, or if `v` differs
    from `xs` in structure or shape.

    >>> hvp(lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 10.0]))  # 6x ⊙ v
    array([  6., 120.])

    Pearlmutter, "Fast exact multiplication by the Hessian" (Neural Computation 6, 1994).
    """
    call = _Call("hvp", f, xs if isinstance(xs, tuple) else (xs,), create_graph)
    call.refuse_more_than_one_number()
    directions = call.directions(v if isinstance(xs, tuple) else (v,))
    slope = _inner_product(call.gradients(lifted=True), directions)
    found = call.arranged(_gradients(slope, call.inputs, call.lifted))
    return (found,) if isinstance(xs, tuple) and len(xs) == 1 else found


def jacobian(f: Callable, *xs: Argument, create_graph: bool = False) -> Derivative:
    """Compute the Jacobian J: all derivatives of all elements of y = f(*xs).

    For an argument of shape s and a result of shape r it is an array of shape `(*r, *s)` and of the argument's dtype,
    with ∂y[i] / ∂x[j] at [i, j]; for several arguments it is a tuple of them.

    Cost: one forward pass and one backward pass for each element of y, because a backward pass gives one row of J.
    If y has many more elements than x, one `jvp` for each element of x, which gives a column, costs less.

    TypeError if `f` returns anything but a tensor.

    >>> A = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> jacobian(lambda x: A @ x, np.array([7.0, 8.0]))
    array([[1., 2.],
           [3., 4.],
           [5., 6.]])

    The Jacobian of a gradient is the Hessian:

    >>> def gradient(x):
    ...     return grad((x**3).sum(), x, create_graph=True)
    >>> jacobian(gradient, np.array([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    call = _Call("jacobian", f, xs, create_graph)
    shape, rows = call.y.shape, []
    for index in np.ndindex(shape):
        one = np.zeros(shape, call.y.dtype)
        one[index] = 1
        rows.append(call.gradients(one))
    if not rows:
        return call.arranged([_zeros((*shape, *x.shape), x.dtype, call.lifted) for x in call.inputs])
    stack = tensor_stack if call.lifted else np.stack
    columns = zip(*rows, strict=True)
    return call.arranged(
        [stack(column).reshape((*shape, *x.shape)) for x, column in zip(call.inputs, columns, strict=True)]
    )


# ---------------------------------------------------------------- one call of f

# Whether a function given to a transform is running: then what transforms return is itself to be differentiated.
_nested: ContextVar[bool] = ContextVar("minigrad_nested_transform", default=False)


@contextmanager
def differentiable() -> Iterator[None]:
    """Let all transforms in the block return tensors that can be differentiated again, as if create_graph were True.

    >>> with differentiable():
    ...     y, pullback = vjp(lambda x: x**2, 3.0)
    ...     pullback(1.0).requires_grad
    True
    """
    token = _nested.set(True)
    try:
        yield
    finally:
        _nested.reset(token)


class _Call:
    """f(*xs), computed on tensors of its own: the result `y`, and the `inputs` to differentiate it with respect to."""

    def __init__(
        self,
        name: str,
        f: Callable,
        xs: Sequence,
        create_graph: bool,
        constants: dict | None = None,
        floating_only: bool = False,
    ) -> None:
        self.name, self.xs, self.floating_only = name, xs, floating_only
        self.lifted = create_graph or _nested.get()
        self.inputs: list[Tensor] = []
        if (Tensor(0.0, requires_grad=True) * 1).node is None:
            raise RuntimeError(
                f"{name}: called inside no_grad(), where nothing is recorded, so all derivatives would be lost. "
                "Move the call out of the block."
            )
        arguments = [self._opened(x) for x in xs]
        if not self.inputs:
            raise TypeError(
                f"{name}: no argument to differentiate with respect to. Give at least one tensor, array or number"
                f"{' of floating-point dtype' if floating_only else ''}, or a layer that has parameters."
            )
        with differentiable():
            self.y = f(*arguments, **constants or {})
        if not isinstance(self.y, Tensor):
            raise TypeError(
                f"{name}: f returned {type(self.y).__name__}, not a tensor. Compute the result from the arguments with "
                "tensor operations; .data, .numpy(), .item() and float() leave the graph, and so does "
                "minigrad.grad without create_graph=True."
            )

    def _opened(self, x):
        """`x` for `f`: every tensor, array and number in it replaced by a tensor that nothing else refers to.

        Therefore f sees its argument and a tensor of the surrounding code as two variables, even if they are one.  A
        layer is used as it is, since its parameters cannot be replaced.
        """
        if _is_layer(x):
            self.inputs += x.parameters()
            return x
        if _is_structure(x):
            items = [self._opened(item) for item in x]
            return tuple(items) if isinstance(x, tuple) else items
        if self._is_constant(x):
            return x
        connected = isinstance(x, Tensor) and x.requires_grad
        fresh = tensor_copy(x) if connected else Tensor(values(x), requires_grad=True)
        if getattr(x, "name", None):
            fresh.name = x.name
        self.inputs.append(fresh)
        return fresh

    def _is_constant(self, x) -> bool:
        if not self.floating_only:
            return False
        try:
            return as_array(values(x)).dtype.kind != "f"
        except ValueError:  # a ragged list
            return True

    def result(self) -> Tensor:
        return self.y if self.lifted else self.y.detach()

    def gradients(self, upstream=None, lifted: bool | None = None) -> list:
        """The gradient of each input, in one backward pass."""
        return _gradients(self.y, self.inputs, self.lifted if lifted is None else lifted, upstream)

    def upstream(self, v):
        return _like(v, self.y, f"{self.name}: v", "the result")

    def directions(self, vs) -> list:
        """The directions for all inputs in one list, checked against the structure of the arguments."""
        found: list = []
        self._flatten(tuple(self.xs), vs, found)
        return [
            _like(v, x, f"{self.name}: the direction", "its argument") for v, x in zip(found, self.inputs, strict=True)
        ]

    def _flatten(self, x, v, found: list) -> None:
        parts = x.parameters() if _is_layer(x) else x if isinstance(x, tuple) or _is_structure(x) else None
        if parts is None:
            found.append(v)
            return
        if not isinstance(v, (list, tuple)) or len(v) != len(parts):
            came = f"{len(v)} directions" if isinstance(v, (list, tuple)) else f"one {type(v).__name__}"
            raise ValueError(f"{self.name}: {came} for {len(parts)} tensors. Give a list or tuple with one for each.")
        for part, direction in zip(parts, v, strict=True):
            self._flatten(part, direction, found)

    def arranged(self, gradients: Sequence):
        """The gradients in the structure of the arguments; that of a single argument by itself."""
        remaining = iter(gradients)
        found = tuple(self._arranged(x, remaining) for x in self.xs)
        return found[0] if len(found) == 1 else found

    def _arranged(self, x, remaining: Iterator):
        if _is_layer(x):
            return [next(remaining) for _ in x.parameters()]
        if _is_structure(x):
            items = [self._arranged(item, remaining) for item in x]
            return tuple(items) if isinstance(x, tuple) else items
        return None if self._is_constant(x) else next(remaining)

    def refuse_more_than_one_number(self, advice: str = "reduce it, with .sum() or .mean()") -> None:
        if self.y.size != 1:
            raise ValueError(
                f"{self.name}: f returned shape {self.y.shape}, and a gradient starts from one number: {advice}."
            )


# ---------------------------------------------------------------- parts


def _is_layer(x) -> bool:
    return callable(getattr(x, "parameters", None))


def _is_structure(x) -> bool:
    """Whether `x` is a list or tuple of arguments; a list of numbers is an array."""
    return isinstance(x, (list, tuple)) and any(
        isinstance(item, (Tensor, np.ndarray)) or _is_layer(item) or _is_structure(item) for item in x
    )


def _like(v, x: Tensor, what: str, whose: str):
    """`v` in the dtype of `x`: a tensor if it is one, so that it can be differentiated too; else an array."""
    v = v if isinstance(v, Tensor) else as_array(v)
    if v.shape != x.shape:
        raise ValueError(f"{what} has shape {v.shape}, and {whose} {x.shape}. They must be the same.")
    return v if v.dtype == x.dtype else v.astype(x.dtype)


def _zeros(shape: tuple[int, ...], dtype, lifted: bool) -> np.ndarray | Tensor:
    zeros = np.zeros(shape, dtype)
    return Tensor(zeros) if lifted else zeros


def _gradients(y: Tensor, xs: list[Tensor], lifted: bool, upstream=None) -> list:
    """`grad` that answers zeros where `y` depends on nothing.  The graph is kept: parts of it may not be ours."""
    if y.node is None:
        return [_zeros(x.shape, x.dtype, lifted) for x in xs]
    return grad(y, xs, create_graph=lifted, retain_graph=True, gradient=upstream)


def _inner_product(gradients: Sequence[Tensor], directions: Sequence) -> Tensor:
    """Σ g ⊙ v over all inputs.  Only its derivative is used, so its own value may overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = tensor_sum(gradients[0] * directions[0])
        for g, v in zip(gradients[1:], directions[1:], strict=True):
            total = total + tensor_sum(g * v)
    return total
