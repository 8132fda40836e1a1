"""How a function of arrays becomes a function of tensors that knows its derivatives.

`apply` says what happens when an operation meets tensors; `primitive` is the decorator for operations with a fixed number
of operands.  It does what `apply` does, but writes it out for the operation's own parameters, the way `dataclasses`
writes an `__init__`: without loops and *args, an operation costs 0.6 µs less.  Tracebacks, profilers and debuggers show
what was written, under the operation's name.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from types import FunctionType
from typing import Any, TypeVar

import numpy as np

from .context import active_blocks, observers, records
from .graph import Node, Operation, next_age

F = TypeVar("F", bound=Callable)

NUMBERS = frozenset(t for t in np.sctypeDict.values() if np.dtype(t).kind in "biuf")
FLOATS = frozenset(t for t in NUMBERS if np.dtype(t).kind == "f")
# What an operation takes as it is.  Not np.asarray(2.0), which is a float64 and would turn float32 into it: Python's own
# numbers take the dtype of what they meet (NumPy's NEP 50).
RAW = {*NUMBERS, np.ndarray, float, int, bool}

# Types that stand for an array while a program is recorded (compiler/recording.py), each with its functions that record
# a check and that turn an array into one of the type.
STAND_INS: dict[type, tuple[Callable, Callable]] = {}


def stand_in(kind: type, record_check: Callable, lift: Callable) -> None:
    """Let operations take arrays of type `kind` as they take NumPy's."""
    RAW.add(kind)
    STAND_INS[kind] = record_check, lift


def as_array(x, dtype=None, copy: bool | None = None) -> Any:
    """Return np.asarray(x, dtype), or np.array if `copy`; what stands for an array in a recording continues to do so."""
    if type(x) not in STAND_INS:
        return np.array(x, dtype, copy=copy)
    x = x if dtype is None or x.dtype == dtype else x.astype(dtype)
    return (x.copy("K") if copy else x).as_array()


def recorded_with(other, x):
    """Return `x`, as an array of a recording if `other` is one, or is a tuple that contains one."""
    if STAND_INS and type(x) not in STAND_INS:
        for part in other if isinstance(other, tuple) else (other,):
            if type(part) in STAND_INS:
                return STAND_INS[type(part)][1](x, part)
    return x


def violated(condition) -> bool:
    """Whether `condition` holds, for `if violated(...): raise`; a recorded program tests it at each of its calls."""
    return STAND_INS[type(condition)][0](condition) if type(condition) in STAND_INS else bool(condition)


def primitive(*rules: Callable, **named_rules: Callable) -> Callable[[F], F]:
    """Attach gradient rules to a function of arrays, one per operand: in order, or by the operand's name.

    A rule takes the upstream gradient `g` and returns the operand's gradient.  The names of its other parameters, the
    same for all rules of an operation, say what is saved for it: an operand, another parameter of the operation, `y`
    for the result, `x_shape` or `x_dtype` for only the shape or dtype of operand `x`.  Where its operand was broadcast it may
    return a gradient of the broadcast shape.  It is written with operators, methods and functions of this library, so
    that it runs on arrays and on tensors alike.  Parameters without a rule are constants and reach the function as given.

    >>> import minigrad as mg
    >>> @primitive(lambda g, y: g * 3 * y**2)  # wrong on purpose: the rule was given y for x
    ... def cube(x):
    ...     return x**3
    >>> x = mg.Tensor(2.0, requires_grad=True)
    >>> mg.gradcheck(cube, x)
    Traceback (most recent call last):
    ...
    minigrad.gradcheck.GradcheckError: cube: ...
    """

    def decorate(forward: F) -> F:
        names = parameter_names(forward)
        if len(rules) > len(names):
            raise TypeError(f"{forward.__name__}: {len(rules)} rules for {list(names)}. Give at most one for each.")
        op = operation(forward.__name__, names, dict(zip(names, rules, strict=False)) | named_rules)

        def first_call(*args, **kwargs):
            namespace.update(SHARED)
            text = wrapper_text(inspect.signature(forward).parameters, op)
            file = f"<minigrad primitive {op.name}>"
            linecache.cache[file] = len(text), None, text.splitlines(True), file  # for tracebacks and debuggers
            written: dict[str, FunctionType] = {}
            exec(compile(text, file, "exec"), namespace, written)
            wrapper.__code__ = written["wrapper"].__code__.replace(co_name=op.name, co_qualname=op.name)
            return wrapper(*args, **kwargs)

        namespace = {"_forward": forward, "_op": op, "_first_call": first_call}
        wrapper = FunctionType(_unwritten.__code__.replace(co_name=op.name), namespace)
        wrapper.__defaults__, wrapper.__kwdefaults__ = forward.__defaults__, forward.__kwdefaults__
        return update_wrapper(wrapper, forward)  # type: ignore[return-value]

    return decorate


def parameter_names(forward: Callable) -> tuple[str, ...]:
    """The names of a forward function's parameters; TypeError for what has no fixed number of them.

    They are read from its code: to ask `inspect` for every operation's signature would cost `import` 1.5 ms.
    """
    if not isinstance(forward, FunctionType):
        raise TypeError(
            f"primitive: {forward!r} is a {type(forward).__name__}, whose parameters have no names that rules could use. "
            "Decorate a function: def sine(x): return np.sin(x)."
        )
    code = forward.__code__
    if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        parameters = inspect.signature(forward).parameters.values()
        open_ended = [str(p) for p in parameters if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        raise TypeError(
            f"primitive: {forward.__name__} takes {', '.join(open_ended)}; an operation has a fixed number of parameters. "
            "Name each of them."
        )
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _unwritten(*args, **kwargs):
    """Write the wrapper at its first call: to write all of them at once would cost `import` 5 ms."""
    return _first_call(*args, **kwargs)  # type: ignore[name-defined]  # noqa: F821


def apply(op: Operation, forward: Callable, operands: Sequence):
    """Apply `forward` to a list of operands: an array if all are arrays, else a tensor that remembers how it was made."""
    Tensor = SHARED["_Tensor"]
    values = [x.value if isinstance(x, Tensor) else as_operand(x, op.name) for x in operands]
    nodes = tuple(x.node if isinstance(x, Tensor) else None for x in operands)
    try:
        y = forward(values)
    except (TypeError, ValueError) as error:
        raise explained(error, op, values) from error
    if not any(isinstance(x, Tensor) for x in operands):
        return y
    differentiable = is_differentiable(y, op)
    t = Tensor(y)
    blocks = active_blocks()
    if any(node is not None for node in nodes) and differentiable and records(blocks):
        t.node = node = Node()
        node.op, node.parents, node.age, node.shape = op, nodes, next_age(), y.shape
        node.saved = tuple(values[op.operands.index(x)] for x in op.needs)  # a rule may need operands, and nothing else
    for observer in observers(blocks):
        observer.computed(op, tuple(operands), t)
    return t


def operation(name: str, parameters: tuple[str, ...], rules: dict[str, Callable]) -> Operation:
    """Make the operation with these rules, by operand; TypeError if the rules need different or unknown things."""
    for operand, rule in rules.items():
        if not isinstance(rule, FunctionType):
            raise TypeError(
                f"{name}: its rule for {operand} is {rule!r}, which names no parameters. Write lambda g, {operand}: ..."
            )
    signatures = {rule.__code__.co_varnames[1 : rule.__code__.co_argcount] for rule in rules.values()}
    if len(signatures) != 1:
        raise TypeError(
            f"{name}: its rules take different parameters after g: {sorted(signatures)}. Give all of them the same."
        )
    needs, operands = signatures.pop(), tuple(rules)
    known = {*parameters, "y", *(f"{x}_{attribute}" for x in operands for attribute in ("shape", "dtype"))}
    unknown = [x for x in needs if x not in known] + [x for x in operands if x not in parameters]
    if unknown:
        raise TypeError(
            f"{name}: its rules take {unknown}, which are not parameters of {name} ({list(parameters)}). Besides these, a "
            "rule can take `y`, the result, and x_shape or x_dtype, the shape or the dtype of operand x."
        )
    return Operation(name, operands, needs, tuple(rules.values()), parameters)


# The wrapper's own names begin with an underscore, so that an operation's parameters may have any other.
UNPACK = """
    if type({x}) is _Tensor:
        _value_{x}, _node_{x}, _plain = {x}.value, {x}.node, False
    elif type({x}) in _RAW:
        _value_{x}, _node_{x} = {x}, None
    else:
        _value_{x}, _node_{x}, _plain = _other({x}, _op.name, _plain)"""

REFUSE_COMPLEX = """
    if _node_{x} is None and type({x}) is _ndarray:
        _as_operand({x}, _op.name)"""

REFUSE_TENSOR = """
    if isinstance({x}, _Tensor):
        raise _constant_only("{x}", _op)"""

REFUSE_UNKNOWN = """
    if _unknown:
        raise _unknown_parameters(_unknown, _op, _forward)"""

WRAPPER = """
def wrapper({signature}):
    _plain = True{refuse_unknown}{unpack}{refuse_tensors}
    try:
        _y = _forward({arguments})
    except _ERRORS as _error:
        raise _explained(_error, _op, ({values})) from _error
    if _plain:
        return _y{refuse_complex}
    _floats = _y.dtype.kind == "f" if type(_y) is _ndarray else type(_y) in _FLOATS or _is_differentiable(_y, _op)
    _blocks = _active_blocks()
    _node = None
    if ({recorded}) and (_floats or _is_differentiable(_y, _op)) and (not _blocks or _records(_blocks)):
        _node = _Node()
        _node.op, _node.parents, _node.saved = _op, ({nodes}), ({saved})
        _node.age, _node.shape = _next_age(), _y.shape
    _t = _new(_Tensor)
    _t.value, _t.node = _y, _node
    if _blocks:
        for _observer in _observers(_blocks):
            _observer.computed(_op, ({operands}), _t)
    return _t
"""


def wrapper_text(parameters: Mapping[str, inspect.Parameter], op: Operation) -> str:
    """The wrapper of a function with these parameters, as Python source.

    >>> exponential = inspect.signature(lambda x: np.exp(x)).parameters
    >>> print(wrapper_text(exponential, operation("tensor_exp", ("x",), {"x": lambda g, y: g * y})))
    <BLANKLINE>
    def wrapper(x):
        _plain = True
        if type(x) is _Tensor:
            _value_x, _node_x, _plain = x.value, x.node, False
        elif type(x) in _RAW:
            _value_x, _node_x = x, None
        else:
            _value_x, _node_x, _plain = _other(x, _op.name, _plain)
        try:
            _y = _forward(_value_x)
        except _ERRORS as _error:
            raise _explained(_error, _op, (_value_x, )) from _error
        if _plain:
            return _y
        if _node_x is None and type(x) is _ndarray:
            _as_operand(x, _op.name)
        _floats = _y.dtype.kind == "f" if type(_y) is _ndarray else type(_y) in _FLOATS or _is_differentiable(_y, _op)
        _blocks = _active_blocks()
        _node = None
        if (_node_x is not None) and (_floats or _is_differentiable(_y, _op)) and (not _blocks or _records(_blocks)):
            _node = _Node()
            _node.op, _node.parents, _node.saved = _op, (_node_x, ), (_y, )
            _node.age, _node.shape = _next_age(), _y.shape
        _t = _new(_Tensor)
        _t.value, _t.node = _y, _node
        if _blocks:
            for _observer in _observers(_blocks):
                _observer.computed(_op, (x, ), _t)
        return _t
    <BLANKLINE>
    """

    def row(template: str, names: Sequence[str]) -> str:
        return "".join(template.format(x=x) for x in names)

    def saved(need: str) -> str:
        if need in op.operands:
            return f"_value_{need}"
        if need in parameters:  # a list might be changed before the backward pass
            return f"_copied({need}) if type({need}) in _CONTAINERS else {need}"
        operand, _, attribute = need.rpartition("_")
        return f"_value_{operand}.{attribute}" if operand else "_y"

    def argument(p: inspect.Parameter) -> str:
        value = f"_value_{p.name}" if p.name in op.operands else p.name
        return f"{p.name}={value}" if p.kind is p.KEYWORD_ONLY else value

    reduces = (
        "axis" in parameters
    )  # where newcomers from PyTorch say dim; elsewhere **_unknown would cost 25 ns for nothing
    return WRAPPER.format(
        signature=signature_text(parameters) + (", **_unknown" if reduces else ""),
        refuse_unknown=REFUSE_UNKNOWN if reduces else "",
        unpack=row(UNPACK, op.operands),
        refuse_tensors=row(REFUSE_TENSOR, [x for x in parameters if x not in op.operands]),
        arguments=", ".join(map(argument, parameters.values())),
        values=row("_value_{x}, ", op.operands),
        refuse_complex=row(REFUSE_COMPLEX, op.operands),
        recorded=" or ".join(f"_node_{x} is not None" for x in op.operands),
        nodes=row("_node_{x}, ", op.operands),
        saved=row("{x}, ", [saved(need) for need in op.needs]),
        operands=row("{x}, ", op.operands),
    )


def signature_text(parameters: Mapping[str, inspect.Parameter]) -> str:
    """The names of parameters as in a `def`, without defaults and annotations: "x, /, axis, *, keepdims"."""
    bare = [p.replace(default=p.empty, annotation=p.empty) for p in parameters.values()]
    return str(inspect.Signature(bare))[1:-1]


def is_differentiable(y, op: Operation) -> bool:
    """Whether what a forward function returned can have a gradient: floats can; integers and booleans cannot.

    TypeError for what is not an array of real numbers.
    """
    if not hasattr(y, "shape") or not hasattr(y, "dtype"):
        what = "None: is a `return` missing?" if y is None else f"{type(y).__name__} {y!r:.60}."
        raise TypeError(
            f"{op.name}: its forward function returned {what} It returns an array, or a number of NumPy's: "
            "np.sin(x), not math.sin(x)."
        )
    if y.dtype.kind not in "biuf":
        raise TypeError(
            f"{op.name}: its result has dtype {y.dtype}; tensors hold real numbers. Return floats or integers."
        )
    return y.dtype.kind == "f"


def other(x, name: str, plain: bool) -> tuple:
    """Return value and node of an operand that is neither Tensor nor number, and whether all operands so far are `plain`."""
    return (x.value, x.node, False) if isinstance(x, SHARED["_Tensor"]) else (as_operand(x, name), None, plain)


def as_operand(x, name: str) -> np.ndarray:
    """`x` as an array of numbers, for what is neither tensor nor number; TypeError for what is no such thing."""
    if type(x) in STAND_INS:
        return x
    try:
        array = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: {type(x).__name__} cannot be made an array: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: {x!r} is not real numbers. Give a tensor, an array, a number or a list of numbers.")
    return array


def joinable(tensors: Sequence, name: str) -> list:
    """Operands to be joined: tensors, and arrays; Python's numbers take the dtype of what they meet."""
    found = [x if hasattr(x, "dtype") or type(x) in RAW else as_operand(x, name) for x in tensors]
    dtype = np.result_type(*(getattr(x, "dtype", x) for x in found)) if found else None
    return [x if hasattr(x, "dtype") else np.asarray(x, dtype) for x in found]


def constant_only(name: str, op: Operation) -> TypeError:
    advice = CONSTANT_ADVICE.get(op.name, "Give a constant, .item() or .data.")
    return TypeError(f"{op.name}: {name} is a tensor, but no gradient would reach it. {advice}")


CONSTANT_ADVICE = {
    "tensor_where": "Give an array of booleans, such as the comparison x > 0.",
    "tensor_getitem": "Index with an array: x[index.data].",
    "scalar_multiply_tensor": "Give a number, c.item(); to learn c use tensor_mul(c, a).",
}


def explained(error: Exception, op: Operation, values: Sequence) -> Exception:
    """NumPy's error, prefixed with the operation and the operand shapes."""
    kind = next(kind for kind in (ValueError, TypeError, IndexError, AttributeError) if isinstance(error, kind))
    came = ", ".join(f"{name} of shape {np.shape(x)}" for name, x in zip(op.operands, values, strict=True))
    if isinstance(error, AttributeError) and any(type(x) in (int, float, bool) for x in values):
        advice = "To scale by a number use *." if op.name == "matmul_tensor" else "Wrap it: Tensor(...)."
        return TypeError(f"{op.name}: {came}: a number where an array is needed. {advice}")
    advice = " Counted from the last axis, sizes must be equal or 1." if "broadcast" in str(error) else ""
    return kind(f"{op.name}: {came}: {error}{advice}")


def copied(constant: list | tuple) -> list | tuple:
    """A constant that a rule needs, such as an index: lists in it are copied, since they may be changed meanwhile."""
    if isinstance(constant, list):
        from copy import deepcopy  # seldom needed, and 0.3 ms of `import`

        return deepcopy(constant)
    return tuple(copied(x) if type(x) in (list, tuple) else x for x in constant)


def unknown_parameters(unknown: Mapping, op: Operation, forward: Callable) -> TypeError:
    """The error for keyword arguments that an operation does not have."""
    names = ", ".join(inspect.signature(forward).parameters)
    hint = " PyTorch's dim is called axis here." if "dim" in unknown else ""
    return TypeError(f"{op.name}: {', '.join(unknown)}: no such parameter; it takes {names}.{hint}")


# What the wrappers see.  tensor.py adds _Tensor, so that this file and the operations need not import it.
SHARED: dict[str, Any] = {"_Node": Node, "_next_age": next_age, "_new": object.__new__, "_ndarray": np.ndarray}
SHARED |= {"_active_blocks": active_blocks, "_records": records, "_observers": observers}
SHARED |= {"_RAW": RAW, "_other": other, "_as_operand": as_operand, "_constant_only": constant_only}
SHARED |= {"_FLOATS": FLOATS, "_is_differentiable": is_differentiable}
SHARED |= {"_CONTAINERS": frozenset({list, tuple}), "_copied": copied, "_unknown_parameters": unknown_parameters}
SHARED |= {"_explained": explained, "_ERRORS": (TypeError, ValueError, IndexError, AttributeError)}
