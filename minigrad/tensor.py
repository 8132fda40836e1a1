"""`Tensor`: an array that remembers how it was computed.

A tensor holds its `value`, and the `node` that computed it.  Operators, methods and NumPy's own
functions all lead to the primitives of `operations.py` and `functions.py`.
"""

from __future__ import annotations

import operator
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from opcode import opmap
from types import FrameType
from typing import Any, ClassVar

import numpy as np

from . import einsum, elementwise, interop, methods, rearranging, reductions, windows
from . import functions as f
from . import operations as op
from ._typing import Booleans
from .context import active_blocks, records
from .graph import Node, backward_pass, new_leaf
from .methods import Methods
from .primitive import SHARED, as_array, recorded_with

LOST = (
    "a tensor that requires a gradient would lose it in an array. Join tensors with tensor_stack or tensor_concat; "
    "for the values alone use x.numpy() or x.detach()."
)


def is_assignment(frame: FrameType) -> bool:
    """Whether the instruction that `frame` is executing is `array[index] = value`."""
    return frame.f_code.co_code[frame.f_lasti] == opmap["STORE_SUBSCR"]


class Tensor(Methods):
    """An array of real numbers, with the graph of what it was computed from.

    `data` is anything NumPy makes a numeric array of.  With `requires_grad=True` the tensor is a leaf that gradients are
    kept for: its values are copied, since training changes them, and integers become float64.  Without, it is a
    constant that shares memory with `data`.  `dtype` converts, `name` is for pictures and messages.

    TypeError for what is not numeric; ValueError for ragged lists.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> loss = (x * x).sum()
    >>> loss.backward()
    >>> x.grad
    array([2., 4.])
    """

    # value: an array, or a NumPy scalar where there are no axes (ten times cheaper to compute with than a 0-d array).
    # frozen: set where requires_grad was switched off, so that layers still know the tensor as a parameter.
    __slots__ = ("_name", "frozen", "node", "value")

    value: np.ndarray | Any
    node: Node | Any  # None where no gradient is wanted

    def __init__(self, data, requires_grad: bool = False, dtype=None, name: str | None = None) -> None:
        try:
            value = as_array(data, dtype)
        except ValueError as error:
            raise ValueError(f"Tensor: the data is not a rectangular array of numbers: {error}") from error
        except TypeError as error:
            raise TypeError(f"Tensor: {error}") from error
        if value.dtype.kind not in "biuf":
            raise TypeError(
                f"Tensor: data of dtype {value.dtype}; tensors hold real numbers. Give floats, integers or booleans."
            )
        self.node = None
        if requires_grad:
            value = value.astype(value.dtype if value.dtype.kind == "f" else np.float64)
            self.node = new_leaf(value.shape, value.dtype)
        self.value = value if value.ndim else value[()]
        if name is not None:
            self.name = name

    # ---------------------------------------------------------------- what it is

    @property
    def data(self) -> np.ndarray:
        """The values, as an array: change them in place, or assign others of the same shape, which are copied."""
        if type(self.value) is not np.ndarray:  # a number of NumPy's cannot be changed in place
            self.value = as_array(self.value)
        return self.value

    @data.setter
    def data(self, new) -> None:
        if new is self.value:  # what `x.data -= step` ends with
            return
        new = as_array(new, self.value.dtype, copy=True)
        if new.shape != self.value.shape:
            raise ValueError(
                f"data: the tensor has shape {self.shape}, the new values {new.shape}. Make a new Tensor instead."
            )
        self.value = new if new.ndim else new[()]

    @property
    def grad(self) -> np.ndarray | Tensor | None:
        """dL/d(self), summed over all calls of backward() since zero_grad(); None before.  Only leaves keep one.

        An array of the tensor's own shape and dtype, sharing memory with nothing; a tensor after
        backward(create_graph=True).
        """
        node = self.node
        if node is None:
            return None
        if node.op is not None:
            warnings.warn(
                "grad: this tensor was computed, and only leaves keep a gradient. Use minigrad.grad(y, x).",
                stacklevel=2,
            )
            return None
        if node.grad is not None and type(node.grad) is not np.ndarray and not isinstance(node.grad, Tensor):
            node.grad = as_array(node.grad)
        return node.grad

    @grad.setter
    def grad(self, new) -> None:
        if self.node is None or self.node.op is not None:
            raise AttributeError("grad: only a leaf (made with requires_grad=True) keeps a gradient.")
        if new is not None and not isinstance(new, Tensor):
            new = as_array(new)
        if new is not None and (new.shape != self.shape or new.dtype.kind != "f"):
            raise ValueError(
                f"grad: {new.dtype} of shape {new.shape} for a tensor of shape {self.shape}. Give its shape."
            )
        self.node.grad = new

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow back to or through this tensor.

        It can be set on a tensor that was not computed: False freezes a parameter, which forgets its gradient; True makes
        a leaf.  Results computed before keep the graph that they have.  RuntimeError for a computed tensor, TypeError for
        integers.
        """
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, required: bool) -> None:
        if self.node is not None and self.node.op is not None:
            raise RuntimeError(
                "requires_grad: this tensor was computed, so it has the graph of its operands. Use detach() for a constant."
            )
        self.frozen = not required and (self.node is not None or getattr(self, "frozen", False))
        if not required:
            self.node = None
        elif self.node is None:
            if self.dtype.kind != "f":
                raise TypeError(
                    f"requires_grad: a tensor of {self.dtype} can have no gradient. Make one of floats: Tensor(x.data, True)."
                )
            self.node = new_leaf(self.shape, self.dtype)
            if self.name is not None:
                self.node.name = self.name

    @property
    def name(self) -> str | None:
        """The name of this tensor in pictures and messages."""
        return getattr(self, "_name", None)

    @name.setter
    def name(self, name: str) -> None:
        self._name = name
        if self.node is not None:
            self.node.name = name

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.value.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.value.size

    @property
    def T(self) -> Tensor:
        """The axes reversed."""
        return op.tensor_transpose(self)

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return op.tensor_transpose(self, (*range(self.ndim - 2), -1, -2))

    def __reduce__(self) -> tuple:
        """Copy and pickle constants and leaves with their gradient; TypeError for a computed tensor, whose graph stays here.

        A copy of a leaf is a leaf of its own.
        """
        if self.node is not None and self.node.op is not None:
            raise TypeError(
                f"copy: this tensor was computed by {self.node.op.name}, and its graph cannot be copied or sent to another "
                "process. Copy its values: x.detach()."
            )
        gradient = None if self.node is None else self.node.grad
        state = getattr(self, "__dict__", None)
        kind = self.node is not None, getattr(self, "frozen", False)
        return _rebuilt, (type(self), np.array(self.value), kind, self.name, gradient, state)

    def __repr__(self) -> str:
        node = self.node
        origin = "" if node is None else ", requires_grad=True" if node.op is None else f", from {node.op.name}"
        kind = "" if self.dtype in (np.float64, np.int64, np.bool_) else f", dtype={self.dtype}"
        name = f", name={self.name!r}" if self.name else ""
        return f"Tensor({np.array2string(self.data, separator=', ', prefix='Tensor(')}{kind}{name}{origin})"

    def numpy(self) -> np.ndarray:
        """The values, as an array that shares memory with the tensor."""
        return self.data

    def item(self) -> float:
        """The one number in a tensor of one element."""
        if self.value.size != 1:
            raise ValueError(
                f"item: shape {self.shape} holds {self.value.size} numbers; item() is for one. Use numpy()."
            )
        return self.value.item()

    def __float__(self) -> float:
        if self.node is not None and is_assignment(
            sys._getframe(1)
        ):  # array[0] = tensor asks for a float, not for an array
            raise TypeError(f"array[...] = tensor: {LOST}")
        return self.item()

    def __int__(self) -> int:
        if self.node is not None and is_assignment(sys._getframe(1)):
            raise TypeError(f"array[...] = tensor: {LOST}")
        return int(self.item())

    def tolist(self) -> list | float:
        """The values as nested lists of Python's numbers."""
        return self.value.tolist()

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a tensor without axes: it is one number.")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.value)

    # ---------------------------------------------------------------- gradients

    def backward(self, gradient=None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add d(self)/d(leaf) to the `.grad` of every leaf that this tensor was computed from (sections 3.2, 3.3).

        `gradient` is the upstream gradient to start from, of this tensor's shape; a tensor of one element needs none, it
        starts from 1.  The graph is freed on the way unless `retain_graph`.  With `create_graph` the gradients
        are tensors with graphs of their own; prefer `minigrad.grad`, which leaves `.grad` alone, since a `.grad` that
        depends on its leaf is a reference cycle.  RuntimeError where there is nothing to go back to, or
        for the second time.  Nothing is changed when an error ends it.
        """
        seed = self._seed(gradient, create_graph)
        lift = _with_node if create_graph else None
        for leaf, g in backward_pass(self.node, seed, retain=retain_graph or create_graph, lift=lift).items():
            if g.dtype is not leaf.dtype:
                g = g.astype(leaf.dtype)
            leaf.grad = g if leaf.grad is None else leaf.grad + g

    def _seed(self, gradient, create_graph: bool, name: str = "backward"):
        if self.node is None:
            raise RuntimeError(
                f"{name}: no operand of this tensor requires a gradient, or it was computed under no_grad(). "
                "Make a leaf with Tensor(..., requires_grad=True)."
            )
        value = self.value
        if gradient is None:
            if value.size != 1:
                raise RuntimeError(
                    f"{name}: the tensor has shape {self.shape}, and a gradient starts from one number. "
                    "Reduce it, with .sum() or .mean(), or pass gradient=, an array of that shape."
                )
            seed = np.ones(value.shape, value.dtype) if value.ndim else value.dtype.type(1)
        else:
            seed = as_array(interop.values(gradient), value.dtype)
            if seed.shape != value.shape:
                raise ValueError(
                    f"{name}: gradient of shape {seed.shape} for a tensor of shape {self.shape}. They must be the same."
                )
            if create_graph and isinstance(gradient, Tensor):
                return gradient
            seed = seed if seed.ndim else seed[()]
        seed = recorded_with(value, seed)
        return Tensor(seed) if create_graph else seed

    def detach(self) -> Tensor:
        """A constant with the same values, in the same memory: no gradient passes through it."""
        return _with_node(None, self.value)

    # ---------------------------------------------------------------- operators

    __add__ = op.tensor_add
    __sub__ = op.tensor_sub
    __mul__ = op.tensor_mul
    __truediv__ = op.tensor_divide
    __pow__ = op.tensor_pow
    __matmul__ = op.matmul_tensor
    __neg__ = f.tensor_neg
    __pos__ = f.tensor_copy
    __abs__ = f.tensor_abs
    __getitem__ = f.tensor_getitem

    __radd__ = interop.reflected(op.tensor_add)
    __rsub__ = interop.reflected(op.tensor_sub)
    __rmul__ = interop.reflected(op.tensor_mul)
    __rtruediv__ = interop.reflected(op.tensor_divide)
    __rpow__ = interop.reflected(op.tensor_pow)
    __rmatmul__ = interop.reflected(op.matmul_tensor)

    # Comparisons have no derivative: they give arrays of booleans, where those of `object` give one bool.
    __lt__ = interop.compared(operator.lt)
    __le__ = interop.compared(operator.le)
    __gt__ = interop.compared(operator.gt)
    __ge__ = interop.compared(operator.ge)
    __eq__: ClassVar[Callable[[Tensor, object], Booleans]] = interop.compared(operator.eq)  # type: ignore[assignment]
    __ne__: ClassVar[Callable[[Tensor, object], Booleans]] = interop.compared(operator.ne)  # type: ignore[assignment]
    __hash__ = object.__hash__

    def __setitem__(self, index, new) -> None:
        raise TypeError(
            "assignment: a tensor's elements can't be changed: the graph may need the old ones. Use tensor_where or tensor_concat, "
            "or .data[...] = for a leaf between two passes."
        )

    # ---------------------------------------------------------------- NumPy

    # With np.generic, type checkers do not take array * tensor for an array.
    def __array__(self, dtype=None, copy=None) -> np.ndarray[Any, np.dtype[np.generic]]:
        """Convert to an array; TypeError where a gradient would be lost on the way."""
        if self.node is not None and records(active_blocks()):
            raise TypeError(LOST)
        return np.array(self.value, dtype, copy=copy)

    __array_ufunc__ = interop.array_ufunc
    __array_function__ = interop.array_function


SHARED["_Tensor"] = Tensor
for module in (f, op, interop, elementwise, reductions, rearranging, einsum, windows, methods):
    vars(module)["Tensor"] = Tensor  # typing.get_type_hints looks the name up there


def _with_node(node, value) -> Tensor:
    t = object.__new__(Tensor)
    t.node, t.value = node, value
    return t


def _rebuilt(
    cls: type[Tensor], value: np.ndarray, kind: tuple[bool, bool], name: str | None, gradient, state
) -> Tensor:
    """Make the copy that Tensor.__reduce__ describes."""
    t = object.__new__(cls)
    requires_grad, frozen = kind
    Tensor.__init__(t, value, requires_grad, name=name)
    if frozen:
        t.frozen = True
    if gradient is not None:
        t.node.grad = gradient.copy()
    if state:
        t.__dict__.update(state)
    return t


def grad(
    y: Tensor, xs: Tensor | Sequence[Tensor], create_graph: bool = False, retain_graph: bool = False, gradient=None
) -> Any:
    """The gradient of `y` with respect to each of `xs`, leaves or not, leaving every `.grad` alone.

    One array for one tensor, a list for a sequence; zeros where `y` does not depend on it.  With `create_graph` they are
    tensors that can be differentiated again.  `gradient` and `retain_graph` as in `Tensor.backward`.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> dy = grad(x**3, x, create_graph=True)  # 3x²
    >>> grad(dy, x)  # 6x
    array(12.)
    """
    if not isinstance(y, Tensor):
        raise TypeError(
            f"grad: y is {type(y).__name__}, not a tensor. "
            + (
                "grad takes the result, not the function: grad(f(x), x)."
                if callable(y)
                else "If y is a gradient, compute it with create_graph=True."
            )
        )
    single = isinstance(xs, Tensor)
    listed: list[Any] = [xs] if single else list(xs) if isinstance(xs, (list, tuple)) else [None]
    if not all(isinstance(x, Tensor) and x.node is not None for x in listed):
        what = next(x for x in listed if not (isinstance(x, Tensor) and x.node is not None))
        raise (ValueError if isinstance(what, Tensor) else TypeError)(
            f"grad: xs holds {type(xs if what is None else what).__name__} that requires no gradient, so nothing was recorded "
            "for it. Give a tensor made with requires_grad=True or a list of them."
        )
    wanted = [x.node for x in listed]
    seed = y._seed(gradient, create_graph, "grad")
    found = backward_pass(y.node, seed, wanted, retain_graph or create_graph, _with_node if create_graph else None)
    gradients, given = [], set()
    for x in listed:
        g = found.get(x.node)
        g = np.zeros(x.shape) if g is None else g.copy() if x.node in given else g  # asked for twice, given twice
        given.add(x.node)
        g = g if g.dtype == x.dtype else g.astype(x.dtype)
        gradients.append((g if isinstance(g, Tensor) else Tensor(g)) if create_graph else as_array(g))
    return gradients[0] if single else gradients
