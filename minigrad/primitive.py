"""How a function of arrays becomes a function of tensors that knows its derivatives.

`apply` says what happens when an operation meets tensors; `primitive` is the decorator for operations with a fixed number
of operands.  It does what `apply` does, but writes it out for the operation's own parameters, the way `dataclasses`
writes an `__init__`: without loops and *args, an operation costs 0.6 µs less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, update_wrapper

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
    for the result, `x_shape` for no more than the shape of operand `x`.  Where its operand was broadcast it may return
    a gradient of the broadcast shape.  It is written with operators, methods and functions of this library, so that it runs on
    arrays and on tensors alike.

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
        op = operation(forward.__name__, dict(zip(names, rules, strict=False)) | named_rules)
        wrapper = compiled(wrapper_text(names, op))(forward, op)
        wrapper.__defaults__ = forward.__defaults__
        return update_wrapper(wrapper, forward)

    return decorate


def apply(op: Operation, forward: Callable, operands: Sequence):
    """`forward`, applied to a list of operands: an array if all are arrays, else a tensor that remembers how it came."""
    Tensor = SHARED["Tensor"]
    values = [x.value if isinstance(x, Tensor) else as_operand(x, op) for x in operands]
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


def operation(name: str, rules: dict[str, Callable]) -> Operation:
    """The operation with these rules, by operand; an error if they differ in what they need."""
    needs = {rule.__code__.co_varnames[1 : rule.__code__.co_argcount] for rule in rules.values()}
    if len(needs) != 1:
        raise TypeError(
            f"{name}: its rules take different parameters after g: {sorted(needs)}. Give all of them the same."
        )
    return Operation(name, tuple(rules), needs.pop(), tuple(rules.values()))


UNPACK = """
    if isinstance({x}, Tensor):
      {x}_value, {x}_node, plain = {x}.value, {x}.node, False
    else:
      {x}_value, {x}_node = {x} if type({x}) in RAW else as_operand({x}, op), None"""

WRAPPER = """
def make(forward, op):
  def wrapper({signature}):
    plain = True{unpack}
    try:
      y = forward({arguments})
    except (TypeError, ValueError, IndexError, AttributeError) as error:
      raise explained(error, op, ({values})) from error
    if plain:
      return y
    t = new(Tensor)
    t.value, t.node = y, None
    if graph.recording and ({recorded}):
      t.node = node = Node()
      node.op, node.parents, node.saved = op, ({nodes}), ({saved})
      node.age, node.shape = next_age(), y.shape
    if graph.observers:
      for observer in graph.observers:
        observer.computed(op, ({operands}), t)
    return t
  return wrapper
"""


def wrapper_text(names: tuple[str, ...], op: Operation) -> str:
    """The wrapper of a function with these parameters, as Python source."""
    saved = []
    for need in op.needs:
        operand, _, shape = need.rpartition("_shape") if need.endswith("_shape") else (need, "", "")
        saved.append(f"{operand}_value.shape" if operand != need else f"{need}_value" if need in op.operands else need)

    def row(template: str, items: tuple | list) -> str:
        return "".join(template.format(x=x) for x in items)

    return WRAPPER.format(
        signature=", ".join(names),
        unpack=row(UNPACK, op.operands),
        arguments=", ".join(f"{x}_value" if x in op.operands else x for x in names),
        values=row("{x}_value, ", op.operands),
        recorded=" or ".join(f"{x}_node is not None" for x in op.operands),
        nodes=row("{x}_node, ", op.operands),
        saved=row("{x}, ", saved),
        operands=row("{x}, ", op.operands),
    )


@cache  # operations of the same form share their code: a dozen compilations instead of forty
def compiled(text: str) -> Callable:
    exec(compile(text, "<minigrad primitive>", "exec"), SHARED)
    return SHARED["make"]


def as_operand(x, op: Operation) -> np.ndarray:
    """`x` as an array of numbers, for what is neither tensor, array nor number: a list, say."""
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise TypeError(f"{op.name}: {type(x).__name__} cannot be made an array: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{op.name}: {x!r} is not numeric. Give a tensor, an array, a number or a list of numbers.")
    return array


def explained(error: Exception, op: Operation, values: Sequence) -> Exception:
    """NumPy's error, headed by what was asked and what came."""
    kind = next(kind for kind in (ValueError, TypeError, IndexError, AttributeError) if isinstance(error, kind))
    came = ", ".join(f"{name} of shape {np.shape(x)}" for name, x in zip(op.operands, values, strict=True))
    if isinstance(error, AttributeError) and any(type(x) in (int, float, bool) for x in values):
        return TypeError(f"{op.name}: {came}: a number where an array is needed. Wrap it: Tensor(...).")
    advice = " Counted from the last axis, sizes must be equal or 1." if "broadcast" in str(error) else ""
    return kind(f"{op.name}: {came}: {error}{advice}")


# What the wrappers see.  tensor.py puts Tensor in, so that this file and the operations need not import it.
SHARED = {"graph": graph, "Node": Node, "next_age": next_age, "RAW": RAW, "new": object.__new__}
SHARED |= {"as_operand": as_operand, "explained": explained}
