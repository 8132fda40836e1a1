"""How a function of arrays becomes a function of tensors that knows its derivatives.

`apply` says what happens when an operation meets tensors; `primitive` is the decorator for operations with a fixed number
of operands.  It does what `apply` does, but writes it out for the operation's own parameters, the way `dataclasses`
writes an `__init__`: without loops and *args, an operation costs 0.6 µs less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from types import FunctionType

import numpy as np

from . import graph
from .graph import Node, Operation, next_age

# What an operation takes as it is.  Not np.asarray(2.0), which is a float64 and would turn float32 into it: Python's
# own numbers take the dtype of what they meet (NumPy's NEP 50).
RAW = frozenset({float, int, bool, np.ndarray} | {t for t in np.sctypeDict.values() if np.dtype(t).kind in "biuf"})


def primitive(*rules: Callable, **named_rules: Callable) -> Callable:
    """Attach to a function of arrays its rules: one for each operand from the first on, or by the operand's name.

    A rule takes the upstream gradient `g` and returns the operand's gradient.  The names of its other parameters, the
    same for all rules of an operation, say what is saved for it: an operand, another parameter of the operation, `y`
    for the result, `x_shape` or `x_dtype` for no more than that of operand `x`.  Where its operand was broadcast it may
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

    def decorate(forward: Callable) -> Callable:
        code = forward.__code__
        names = code.co_varnames[: code.co_argcount]
        if len(rules) > len(names):
            raise TypeError(f"{forward.__name__}: {len(rules)} rules for {list(names)}. Give at most one for each.")
        op = operation(forward.__name__, names, dict(zip(names, rules, strict=False)) | named_rules)

        def first_call(*args, **kwargs):
            namespace.update(SHARED)
            exec(wrapper_text(names, op), namespace, written := {})
            wrapper.__code__, wrapper.__defaults__ = written["wrapper"].__code__, forward.__defaults__
            return wrapper(*args, **kwargs)

        namespace = {"_forward": forward, "_op": op, "_first_call": first_call}
        wrapper = FunctionType(_unwritten.__code__, namespace)
        return update_wrapper(wrapper, forward)

    return decorate


def _unwritten(*args, **kwargs):
    """What every wrapper is until its first call: to write all of them at once would cost `import` 5 ms."""
    return _first_call(*args, **kwargs)  # noqa: F821


def apply(op: Operation, forward: Callable, operands: Sequence):
    """`forward`, applied to a list of operands: an array if all are arrays, else a tensor that remembers how it came."""
    Tensor = SHARED["_Tensor"]
    values = [x.value if isinstance(x, Tensor) else as_operand(x, op.name) for x in operands]
    nodes = tuple(x.node if isinstance(x, Tensor) else None for x in operands)
    try:
        y = forward(values)
    except (TypeError, ValueError) as error:
        raise explained(error, op, values) from error
    if not any(isinstance(x, Tensor) for x in operands):
        return y
    t = Tensor(y)
    if graph.recording and any(node is not None for node in nodes):
        t.node = node = Node()
        node.op, node.parents, node.saved, node.age, node.shape = op, nodes, (), next_age(), y.shape
    for observer in graph.observers:
        observer.computed(op, tuple(operands), t)
    return t


def operation(name: str, parameters: tuple[str, ...], rules: dict[str, Callable]) -> Operation:
    """The operation with these rules, by operand; an error if they differ in what they need, or nobody has it."""
    needs = {rule.__code__.co_varnames[1 : rule.__code__.co_argcount] for rule in rules.values()}
    if len(needs) != 1:
        raise TypeError(
            f"{name}: its rules take different parameters after g: {sorted(needs)}. Give all of them the same."
        )
    needs, operands = needs.pop(), tuple(rules)
    known = {*parameters, "y", *(f"{x}_{attribute}" for x in operands for attribute in ("shape", "dtype"))}
    unknown = [x for x in needs if x not in known] + [x for x in operands if x not in parameters]
    if unknown:
        raise TypeError(
            f"{name}: its rules speak of {unknown}, but {name} has {list(parameters)}; `y` is its result, "
            "and for no more than the shape or the dtype of operand x say x_shape or x_dtype."
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

WRAPPER = """
def wrapper({signature}):
    _plain = True{unpack}{refuse_tensors}
    try:
        _y = _forward({arguments})
    except _ERRORS as _error:
        raise _explained(_error, _op, ({values})) from _error
    if _plain:
        return _y{refuse_complex}
    _node = None
    if _graph.recording and ({recorded}):
        _node = _Node()
        _node.op, _node.parents, _node.saved = _op, ({nodes}), ({saved})
        _node.age, _node.shape = _next_age(), _y.shape
    _t = _new(_Tensor)
    _t.value, _t.node = _y, _node
    if _graph.observers:
        for _observer in _graph.observers:
            _observer.computed(_op, ({operands}), _t)
    return _t
"""


def wrapper_text(parameters: tuple[str, ...], op: Operation) -> str:
    """The wrapper of a function with these parameters, as Python source.

    >>> print(wrapper_text(("x",), operation("tensor_exp", ("x",), {"x": lambda g, y: g * y})))
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
        _node = None
        if _graph.recording and (_node_x is not None):
            _node = _Node()
            _node.op, _node.parents, _node.saved = _op, (_node_x, ), (_y, )
            _node.age, _node.shape = _next_age(), _y.shape
        _t = _new(_Tensor)
        _t.value, _t.node = _y, _node
        if _graph.observers:
            for _observer in _graph.observers:
                _observer.computed(_op, (x, ), _t)
        return _t
    <BLANKLINE>
    """

    def row(template: str, names: Sequence[str]) -> str:
        return "".join(template.format(x=x) for x in names)

    def saved(need: str) -> str:
        if need in parameters:
            return f"_value_{need}" if need in op.operands else need
        operand, _, attribute = need.rpartition("_")
        return f"_value_{operand}.{attribute}" if operand else "_y"

    return WRAPPER.format(
        signature=", ".join(parameters),
        unpack=row(UNPACK, op.operands),
        refuse_tensors=row(REFUSE_TENSOR, [x for x in parameters if x not in op.operands]),
        arguments=", ".join(f"_value_{x}" if x in op.operands else x for x in parameters),
        values=row("_value_{x}, ", op.operands),
        refuse_complex=row(REFUSE_COMPLEX, op.operands),
        recorded=" or ".join(f"_node_{x} is not None" for x in op.operands),
        nodes=row("_node_{x}, ", op.operands),
        saved=row("{x}, ", [saved(need) for need in op.needs]),
        operands=row("{x}, ", op.operands),
    )


def other(x, name: str, plain: bool) -> tuple:
    """The value and the node of what is neither Tensor nor number, and whether all operands are `plain` so far."""
    return (x.value, x.node, False) if isinstance(x, SHARED["_Tensor"]) else (as_operand(x, name), None, plain)


def as_operand(x, name: str) -> np.ndarray:
    """`x` as an array of numbers, for what is neither tensor nor number; TypeError for what is no such thing."""
    if isinstance(x, (list, tuple)) and any(isinstance(item, SHARED["_Tensor"]) for item in x):
        raise TypeError(f"{name}: a list of tensors would lose their gradients. Join them first: tensor_stack.")
    try:
        array = np.asarray(x)
    except ValueError as error:
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
    return TypeError(
        f"{op.name}: {name} is a tensor, but no gradient would reach it. "
        "Give a constant, .item() or .data; a factor to be learned is an operand of tensor_mul."
    )


def explained(error: Exception, op: Operation, values: Sequence) -> Exception:
    """NumPy's error, headed by what was asked and what came."""
    kind = next(kind for kind in (ValueError, TypeError, IndexError, AttributeError) if isinstance(error, kind))
    came = ", ".join(f"{name} of shape {np.shape(x)}" for name, x in zip(op.operands, values, strict=True))
    if isinstance(error, AttributeError) and any(type(x) in (int, float, bool) for x in values):
        return TypeError(f"{op.name}: {came}: a number where an array is needed. Wrap it: Tensor(...).")
    advice = " Counted from the last axis, sizes must be equal or 1." if "broadcast" in str(error) else ""
    return kind(f"{op.name}: {came}: {error}{advice}")


# What the wrappers see.  tensor.py adds _Tensor, so that this file and the operations need not import it.
SHARED = {"_graph": graph, "_Node": Node, "_next_age": next_age, "_new": object.__new__, "_ndarray": np.ndarray}
SHARED |= {"_RAW": RAW, "_other": other, "_as_operand": as_operand, "_constant_only": constant_only}
SHARED |= {"_explained": explained, "_ERRORS": (TypeError, ValueError, IndexError, AttributeError)}
