"""Recording: run a function on stand-ins for its arrays and write down every NumPy call.

A `RecordedArray` holds an example value, so shapes, dtypes and memory layouts are the real ones, but it does not
reveal its elements.  Whatever is computed from it is computed on the example and becomes one `Instruction` of the
`Recording`.  Because the library's operations, gradient rules and backward pass compute with nothing but NumPy, all of
them are recorded without a table of primitives, and so are primitives that users write.

In-place writes become new variables: a RecordedArray is a name that can be bound again, a `Variable` never changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any, NamedTuple

import numpy as np

from ..primitive import stand_in
from ..tensor import Tensor
from .calls import IN_PLACE, METHODS, SIZE_DEPENDS_ON_VALUES, SYMBOLS, TAKE_VALUES, VALUES_BY_NAME, perform
from .messages import RecordingError, not_recorded, user_line, value_needed


class Variable:
    """A value of the program: what one instruction computes, or an input."""

    __slots__ = ("base", "number", "stale", "value")

    def __init__(self, value: np.ndarray | np.generic, base: Variable | None = None, number: bool = False) -> None:
        self.value = value
        self.number = number  # whether it is a number of Python's, which takes the dtype of what it meets
        self.base = base  # the variable whose memory this one is a view of
        self.stale = False  # whether that memory was written to after the view was taken

    @property
    def layout(self) -> tuple:
        """Shape, dtype and strides: two values of equal layout can take each other's place, to the last bit."""
        return self.value.shape, self.value.dtype, self.value.strides


class Instruction(NamedTuple):
    """`result` = `target`(*args, **kwargs), where `kind` says what sort of call it is (see `perform`)."""

    kind: str
    target: Any
    args: tuple
    kwargs: dict
    result: Variable | None


def tree_map(f: Callable, x: Any) -> Any:
    """Apply `f` to everything in nested lists, tuples, dicts and slices that is not one of these itself."""
    if type(x) in (tuple, list):
        return type(x)([tree_map(f, item) for item in x])
    if type(x) is dict:
        return {key: tree_map(f, item) for key, item in x.items()}
    if type(x) is slice:
        return slice(*(tree_map(f, item) for item in (x.start, x.stop, x.step)))
    return f(x)


def variables_in(x: Any) -> list[Variable]:
    """All variables among an instruction's arguments."""
    found: list[Variable] = []
    tree_map(lambda item: found.append(item) if type(item) is Variable else None, x)
    return found


def uses_of(instructions: list[Instruction], wanted: Iterable = ()) -> Counter[Variable]:
    """How often each variable is an argument of the instructions or one of the results that are wanted."""
    uses = Counter(x for i in instructions for x in variables_in((i.args, i.kwargs)))
    uses.update(x for x in wanted if type(x) is Variable)
    return uses


class Recording:
    """A list of instructions that grows while it is `open`, in the thread that opened it."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self.owner: int | None = get_ident()
        self.views: dict[Variable, list[Variable]] = {}

    def close(self) -> None:
        self.owner = None

    def input(self, value: Any) -> RecordedArray:
        """A stand-in for `value`, an array or a number, which the program receives; programs compute with 0-d arrays as numbers."""
        x = RecordedArray(self, Variable(np.asarray(value)[()], number=type(value) in (int, float)))
        x.is_array = isinstance(value, np.ndarray)
        return x

    def apply(self, kind: str, target: Any, args: tuple, kwargs: dict | None = None) -> Any:
        """Carry out an instruction on the examples and write it down; its result, as a stand-in."""
        if self.owner != get_ident():
            raise RecordingError(
                f"{_name(target)}: an array of a program that is recorded in another thread. Wait until the other "
                "thread's first call of the compiled function has returned."
                if self.owner
                else f"{_name(target)}: an array left over from the recording of a program. Return results from "
                "the compiled function; it must not store them elsewhere."
            )
        if kind not in ("operator", "ufunc", "check"):
            _refuse_sizes(kind, target, args, kwargs or {})
        given, args, kwargs = args, tree_map(_variable, args), tree_map(_variable, kwargs or {})
        value = perform(kind, target, tree_map(example, args), tree_map(example, kwargs))
        for x in given if isinstance(value, np.ndarray) else ():
            if (
                type(x) is RecordedArray and value is x.bound.value
            ):  # astype(copy=False), and others that may do nothing
                return x
        if type(value) in (int, float, bool):
            result = Variable(np.asarray(value)[()], number=type(value) is not bool)
            self.instructions.append(Instruction(kind, target, args, kwargs, result))
            return RecordedArray(self, result)
        return self._append(kind, target, args, kwargs, value)

    def _append(self, kind: str, target: Any, args: tuple, kwargs: dict, value: Any) -> Any:
        if value is None:
            self.instructions.append(Instruction(kind, target, args, kwargs, None))
            return None
        if isinstance(value, (tuple, list)) and all(isinstance(x, (np.ndarray, np.generic)) for x in value):
            several = Variable(value)
            self.instructions.append(Instruction(kind, target, args, kwargs, several))
            parts = [self._append("getitem", None, (several, i), {}, x) for i, x in enumerate(value)]
            return type(value)(parts) if type(value) in (tuple, list) else tuple(parts)
        if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind not in "biuf":
            raise value_needed(f"{_name(target)}() returned {type(value).__name__}, not an array of numbers")
        result = Variable(value)
        if isinstance(value, np.ndarray) and value.base is not None and kind in ("method", "function", "getitem"):
            for x in variables_in(args):
                if isinstance(x.value, np.ndarray) and np.may_share_memory(value, x.value):
                    result.base = x.base or x
                    self.views.setdefault(result.base, []).append(result)
                    break
        self.instructions.append(Instruction(kind, target, args, kwargs, result))
        return RecordedArray(self, result)

    def rebind(self, name: RecordedArray, new: RecordedArray) -> None:
        """Let `name` stand for `new` from now on: an in-place write, for a view into the array that it was taken from."""
        old = name.bound
        if old.base is not None and name.taken_from is not None:
            array, index = name.taken_from
            array[index] = new
            return
        if old.base is not None:
            raise RecordingError(
                f"a view of another array was changed in place{user_line()}, which a recorded program cannot follow. "
                "Change the array itself (x[0] = ... instead of y = x[0]; y[...] = ...) or compute a new one."
            )
        for view in self.views.get(old, ()):
            view.stale = True
        name.bound = new.variable


def _variable(x: Any) -> Any:
    return x.variable if type(x) is RecordedArray else x


def example(x: Any) -> Any:
    """The example of a variable, a number of Python's where it is one; anything else as it is."""
    return x if type(x) is not Variable else x.value.item() if x.number else x.value


def _name(target: Any) -> str:
    return getattr(target, "__name__", str(target))


class RecordedArray(np.lib.mixins.NDArrayOperatorsMixin):
    """What stands for an array while a program is recorded; see the module's docstring."""

    __slots__ = ("bound", "is_array", "recording", "taken_from")
    __hash__ = object.__hash__

    def __init__(self, recording: Recording, variable: Variable) -> None:
        self.recording, self.bound = recording, variable
        self.is_array = isinstance(variable.value, np.ndarray)  # or a number, which cannot be changed in place
        self.taken_from: tuple[RecordedArray, Any] | None = None  # of a view x[index]: x and the index

    @property
    def variable(self) -> Variable:
        """What it stands for now; a view is taken again after its array was changed."""
        if self.bound.stale:
            if self.taken_from is None:
                raise RecordingError(
                    f"a view of an array was used after the array had been changed in place{user_line()}. "
                    "Copy the view when you take it, or compute a new array instead of changing one."
                )
            array, index = self.taken_from
            self.bound = self.recording.apply("getitem", None, (array, index)).bound
        return self.bound

    @property
    def __class__(self):  # so that isinstance(x, np.ndarray) in a user's function takes it for an array
        return np.ndarray

    # ---------------------------------------------------------------- what is known of it

    shape = property(lambda self: self.bound.value.shape)
    dtype = property(lambda self: self.bound.value.dtype)
    ndim = property(lambda self: self.bound.value.ndim)
    size = property(lambda self: self.bound.value.size)
    itemsize = property(lambda self: self.bound.value.itemsize)
    nbytes = property(lambda self: self.bound.value.nbytes)
    strides = property(lambda self: self.bound.value.strides)
    flags = property(lambda self: self.bound.value.flags)
    base = None

    def __len__(self) -> int:
        return len(self.bound.value)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<recorded array of shape {self.shape}, {self.dtype}>"

    # ---------------------------------------------------------------- what is computed from it

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs, out=None, **kwargs):
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        apply = self.recording.apply
        if out is not None and type(out[0]) is not RecordedArray:
            raise value_needed(
                f"numpy.{ufunc.__name__} was to write the result into an array that was made in the function (out=, or += "
                "where x = x + y works)"
            )
        if method == "__call__" and ufunc in SYMBOLS and not kwargs:
            result = apply("operator", SYMBOLS[ufunc], inputs)
        elif method == "__call__":
            result = apply("ufunc", ufunc, inputs, kwargs)
        elif method == "reduce":
            kwargs = {"axis": inputs[1] if len(inputs) > 1 else 0} | kwargs
            result = apply("reduce", ufunc, inputs[:1], kwargs)
        elif method == "at":
            if type(inputs[0]) is not RecordedArray:
                raise value_needed(f"numpy.{ufunc.__name__}.at was to write into an array")
            return self.recording.rebind(inputs[0], apply("at", ufunc, inputs))
        else:
            raise not_recorded(f"numpy.{ufunc.__name__}.{method}", "Use a function of NumPy's, such as cumsum.")
        if out is None or not out[0].is_array:  # Python's s += 1 gives a number a new value
            return result
        if result.shape != out[0].shape or not np.can_cast(result.dtype, out[0].dtype, "same_kind"):
            raise TypeError(
                f"numpy.{ufunc.__name__}: {result.dtype} of shape {result.shape} cannot be written into "
                f"{out[0].dtype} of shape {out[0].shape}."
            )
        self.recording.rebind(out[0], result if result.dtype == out[0].dtype else result.astype(out[0].dtype))
        return out[0]

    def __array_function__(self, function, types, args, kwargs):
        if function in (np.shape, np.ndim, np.size, np.result_type, np.may_share_memory, np.shares_memory):
            return function(*tree_map(_peek, args), **tree_map(_peek, kwargs))
        if function in (np.array2string, np.array_repr, np.array_str):
            return repr(self)
        if any(issubclass(t, Tensor) for t in types):
            return NotImplemented
        if function in IN_PLACE:
            advice = "Write x[index] = ..., or compute a new array with tensor_where."
            raise not_recorded(f"numpy.{function.__name__}, which changes an array in place,", advice)
        if function in SIZE_DEPENDS_ON_VALUES or (function is np.where and len(args) == 1):
            raise value_needed(f"numpy.{function.__name__} returns an array whose size depends on the values")
        if function in (np.zeros_like, np.ones_like):
            made = function(*tree_map(_peek, args), **tree_map(_peek, kwargs))
            return self.recording.apply("function", np.array, (made,), {"order": "K"})
        if kwargs.get("out") is not None:
            raise not_recorded(f"numpy.{function.__name__} with out=", "Use what it returns.")
        return self.recording.apply("function", function, args, kwargs)

    def __getitem__(self, index):
        if not self.ndim and type(index) is tuple and not index:
            return self
        if _selects_by_value(index):
            mask = index.bound if type(index) is RecordedArray else None
            raise value_needed("x[mask] returns an array whose size depends on the values of the mask", mask)
        part = self.recording.apply("getitem", None, (self, index))
        if part.bound.base is not None:
            part.taken_from = self, index
        return part

    def __setitem__(self, index, new) -> None:
        if type(new) is RecordedArray and new.taken_from is not None and new.taken_from[0] is self:
            if new.taken_from[1] is index:  # Python's x[index] += y ends with x[index] = what was changed in place
                return
        new = new.value if isinstance(new, Tensor) else new
        whole = index is ... and self.ndim and type(new) is RecordedArray and new.variable.base is None
        if whole and new.variable.layout == self.variable.layout:
            return self.recording.rebind(self, new)  # the whole array: what it holds is the new one
        self.recording.rebind(self, self.recording.apply("setitem", None, (self, index, new)))

    def fill(self, new) -> None:
        """Set every element to `new`, as `ndarray.fill` does."""
        self[...] = new

    @property
    def T(self):
        """The axes reversed."""
        return self.transpose()

    @property
    def mT(self):
        """The last two axes exchanged."""
        return self.swapaxes(-1, -2)

    # ---------------------------------------------------------------- what would need the values

    def __getattr__(self, name: str):
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"'numpy.ndarray' object has no attribute {name!r}")
        raise not_recorded(f".{name} of an array", "Use a function of NumPy's or an index instead.")

    def as_array(self) -> RecordedArray:
        """The same as an array: of a number, one without axes."""
        x = self if self.is_array else RecordedArray(self.recording, self.variable)
        x.is_array = True
        return x

    def __deepcopy__(self, memo: dict) -> RecordedArray:
        return self.copy()

    def __array__(self, dtype=None, copy=None):
        raise value_needed(
            "NumPy was given a tensor's values (numpy.asarray, .numpy(), .data where an array is needed, or an assignment "
            "into an array that was made in the function, where numpy.zeros_like of an argument works)"
        )

    def __bool__(self) -> bool:
        raise value_needed("a decision (if, while, and, or, not) depends on a tensor's value")

    def __float__(self) -> float:
        raise value_needed("float() of a tensor")

    def __int__(self) -> int:
        raise value_needed("int() of a tensor")

    def __index__(self) -> int:
        raise value_needed("a tensor's value was used as an index, a size or a range")

    def __complex__(self) -> complex:
        raise value_needed("complex() of a tensor")

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        raise value_needed("a tensor's value was formatted")

    def item(self, *_):
        """Raise RecordingError: the value is not known yet."""
        raise value_needed(".item() of a tensor")

    def tolist(self):
        """Raise RecordingError: the values are not known yet."""
        raise value_needed(".tolist() of a tensor")


def _binary(symbol: str, reflected: bool = False) -> Callable:
    def method(self, other):
        if isinstance(other, Tensor):
            return NotImplemented
        return self.recording.apply("operator", symbol, (other, self) if reflected else (self, other))

    return method


def _unary(symbol: str) -> Callable:
    return lambda self: self.recording.apply("operator", symbol, (self,))


def _method(name: str) -> Callable:
    def method(self, *args, **kwargs):
        if any(isinstance(x, Tensor) for x in args):
            return NotImplemented
        return self.recording.apply("method", name, (self, *args), kwargs)

    method.__name__ = name
    return method


BINARY = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**"}
BINARY |= {"matmul": "@", "and": "&", "or": "|", "xor": "^"}
for _dunder, _symbol in BINARY.items():
    setattr(RecordedArray, f"__{_dunder}__", _binary(_symbol))
    setattr(RecordedArray, f"__r{_dunder}__", _binary(_symbol, reflected=True))
for _dunder, _symbol in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    setattr(RecordedArray, f"__{_dunder}__", _binary(_symbol))
for _dunder, _symbol in {"neg": "negative", "pos": "positive", "abs": "abs", "invert": "~"}.items():
    setattr(RecordedArray, f"__{_dunder}__", _unary(_symbol))
for _name_of_method in METHODS:
    setattr(RecordedArray, _name_of_method, _method(_name_of_method))


def _peek(x: Any) -> Any:
    return x.variable.value if type(x) is RecordedArray else x


def _refuse_sizes(kind: str, target: Any, args: tuple, kwargs: dict) -> None:
    """RecordingError where a value decides the shape of a result: as a slice's end, an axis, a size or a number of draws."""
    if kind in ("getitem", "setitem", "at"):
        parts = args[1] if isinstance(args[1], tuple) else (args[1],)
        decisive = [x for part in parts if type(part) is slice for x in (part.start, part.stop, part.step)]
    else:
        values = args if target in TAKE_VALUES or (kind, target) == ("draw", "integers") else args[:1]
        values = args[:3] if (kind, target) == ("draw", "integers") else values
        decisive = [*args[len(values) :], *(x for name, x in kwargs.items() if name not in VALUES_BY_NAME)]
    found: list = []
    tree_map(lambda x: found.append(x) if type(x) is RecordedArray and not x.ndim else None, decisive)
    if any(x.dtype.kind in "iu" for x in found):
        raise value_needed("a whole number that is not known yet was used as a size, an axis or the end of a slice")


def _selects_by_value(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(type(part) is RecordedArray and part.dtype == bool for part in parts)


def _record_check(condition: RecordedArray) -> bool:
    """Have the program test the condition at each call; while recording, take it for false."""
    condition.recording.apply("check", "check", (condition,))
    return False


def _lift(x: np.ndarray | np.generic, beside: RecordedArray) -> RecordedArray:
    """The constant `x` as a part of the recording to which `beside` belongs."""
    if isinstance(x, np.generic):
        return beside.recording.apply("operator", "positive", (x,))
    return beside.recording.apply("function", np.array, (x,), {"order": "K"})


stand_in(RecordedArray, _record_check, _lift)
