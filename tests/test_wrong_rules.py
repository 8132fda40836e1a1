"""Mistakes of people who write primitives: each names the operation, the operand and the rule, and leaves the graph usable."""

from __future__ import annotations

import ast
import cProfile
import functools
import inspect
import linecache
import math
import pstats
import traceback
import typing

import numpy as np
import pytest

import minigrad as mg


def leaf(data=(1.0, 2.0)) -> mg.Tensor:
    return mg.Tensor(data, requires_grad=True)


WRONG_GRADIENTS = {
    "nothing": (lambda g: None, "None: is a `return` missing?"),
    "a Python number": (lambda g: 2.0, "float 2.0"),
    "a list": (lambda g: [1.0, 2.0], "list [1.0, 2.0]"),
    "two gradients": (lambda g: (g, g), "a tuple of 2: each operand has a rule of its own"),
    "integers": (lambda g: np.ones(g.shape, np.int64), "numbers of dtype int64"),
    "booleans": (lambda g: g > 0, "numbers of dtype bool"),
    "complex numbers": (lambda g: g * 1j, "numbers of dtype complex128"),
    "objects": (lambda g: g.astype(object), "numbers of dtype object"),
    "another shape": (lambda g: np.ones(7), "a gradient of shape (7,)"),
}


@pytest.mark.parametrize("through", [lambda y: y, lambda y: y * 2.0], ids=["at the end", "in the middle"])
@pytest.mark.parametrize("rule, says", WRONG_GRADIENTS.values(), ids=WRONG_GRADIENTS)
def test_what_a_rule_may_not_return(rule, says, through):
    """And the error leaves no part of a gradient anywhere."""

    @mg.primitive(b=lambda g: rule(g))
    def mine(a, b):
        return a + b

    x, other = leaf(), leaf()
    with pytest.raises((TypeError, ValueError)) as caught:
        through(mine(1.0, x * 3.0) + other).backward(np.ones(2))
    assert str(caught.value).startswith("mine: its rule for b returned " + says)
    assert x.grad is None and other.grad is None


class Shapeless:
    dtype = np.dtype(float)


def test_what_only_looks_like_an_array_is_named():
    """Something with a dtype and no shape, as pandas has it."""

    @mg.primitive(lambda g: Shapeless())
    def mine(x):
        return x * 1.0

    with pytest.raises(TypeError, match="mine: its rule for x returned Shapeless"):
        mine(leaf()).backward(np.ones(2))


def test_a_rule_may_return_another_floating_dtype():
    """float64 for a float32 operand: the leaf gets its own dtype."""

    @mg.primitive(lambda g: g.astype(np.float64) * 3)
    def mine(x):
        return x * np.float32(3)

    x = mg.Tensor(np.ones(2, np.float32), requires_grad=True)
    mine(x * np.float32(2)).backward(np.ones(2, np.float32))
    assert x.grad.tolist() == [6, 6] and x.grad.dtype == np.float32


WRONG_RESULTS = {
    "nothing": (lambda x: None, "its forward function returned None: is a `return` missing?"),
    "a Python number": (lambda x: math.pi, "its forward function returned float 3.14"),
    "a list": (lambda x: [1.0], "its forward function returned list [1.0]"),
    "a dtype without a shape": (lambda x: Shapeless(), "its forward function returned Shapeless"),
    "complex numbers": (lambda x: x * 1j, "its result has dtype complex128"),
    "strings": (lambda x: x.astype(str), "its result has dtype <U32"),
}


@pytest.mark.parametrize("forward, says", WRONG_RESULTS.values(), ids=WRONG_RESULTS)
def test_what_a_forward_function_may_not_return(forward, says):
    @mg.primitive(lambda g: g)
    def mine(x):
        return forward(x)

    with pytest.raises(TypeError) as caught:
        mine(leaf())
    assert str(caught.value).startswith("mine: " + says)


@pytest.mark.parametrize("forward", [np.floor, np.sign], ids=["floor", "sign"])
@pytest.mark.parametrize("dtype", [int, bool, np.uint8])
def test_results_of_whole_numbers_end_the_graph(forward, dtype):
    """Integers are piecewise constant: a gradient passed through them would be an invention."""

    @mg.primitive(lambda g: g)
    def rounded(x):
        return forward(x).astype(dtype)

    for x in (leaf(), leaf(1.5)):  # an array, and a number of NumPy's
        y = rounded(x)
        assert not y.requires_grad and y.dtype == dtype


@pytest.mark.parametrize(
    "function, says",
    [
        (np.sin, "ufunc"),
        (functools.partial(np.add, 1.0), "partial"),
        (np.ndarray.sum, "method_descriptor"),
        (lambda *xs: xs[0], r"takes \*xs"),
        (lambda x, **options: x, r"takes \*\*options"),
    ],
    ids=["ufunc", "partial", "method", "*args", "**kwargs"],
)
def test_what_cannot_be_made_a_primitive(function, says):
    with pytest.raises(TypeError, match=says):
        mg.primitive(lambda g: g)(function)


def test_a_rule_without_parameter_names_is_named():
    with pytest.raises(TypeError, match="mine: its rule for x is <ufunc"):

        @mg.primitive(np.negative)
        def mine(x):
            return -x


def test_keyword_only_and_positional_only_parameters():
    """They reach the forward function and the rules as they were declared, with their defaults."""

    @mg.primitive(lambda g, factor: g * factor)
    def scaled(x, /, *, factor=2.0):
        return x * factor

    x = leaf()
    scaled(x).sum().backward()
    scaled(x, factor=5.0).sum().backward()
    assert x.grad.tolist() == [7, 7]
    with pytest.raises(TypeError, match="positional"):
        scaled(x, 5.0)


# ---------------------------------------------------------------- a pass that fails or is interrupted


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, MemoryError])
def test_a_pass_that_stops_half_way_says_so_the_next_time(error):
    """What it freed is gone; the next pass must not say "already used", nor return a part of the gradient."""

    def stops(g):
        raise error

    @mg.primitive(lambda g: stops(g))
    def stopping(x):
        return x * 1.0

    x = leaf()
    y = stopping(x).exp().sum()
    with pytest.raises(error):
        y.backward()
    assert x.grad is None
    for again in (y.backward, lambda: mg.grad(y, x)):
        with pytest.raises(RuntimeError, match=rf"stopped by {error.__name__} at stopping.*Compute the result again"):
            again()
    z = stopping(x) * 2.0 + x
    with pytest.raises(error):
        z.backward(np.ones(2), retain_graph=True)
    assert isinstance(z.node.saved, tuple) and z.node.parents  # nothing was freed


def test_a_freed_part_of_a_graph_is_never_a_zero_gradient():
    """grad() looks for paths first; a path that ends in a freed node must not count as "does not depend on it"."""
    x = leaf()
    h = x.exp()
    h.sum().backward()
    with pytest.raises(RuntimeError, match="already used"):
        mg.grad((h * 2.0).sum(), x)
    assert mg.grad((h * 2.0).sum(), h).tolist() == [2, 2]


# ---------------------------------------------------------------- lists and arrays of tensors


def assign(index, value) -> None:
    array = np.zeros(2)
    array[index] = value


ROUTES = {
    "np.array, nested": lambda a, b: np.array([[a, b], [b, a]]),
    "np.asarray": lambda a, b: np.asarray([a, b]),
    "np.array of one": lambda a, b: np.array(a),
    "np.mean of a list": lambda a, b: np.mean([a, b]),
    "np.sum of a tuple": lambda a, b: np.sum((a, b)),
    "np.linspace": lambda a, b: np.linspace(0.0, [a, b]),
    "Tensor of a list": lambda a, b: mg.Tensor([a, b]),
    "Tensor of a tensor": lambda a, b: mg.Tensor(a),
    "a nested list as operand": lambda a, b: mg.Tensor([[1.0], [2.0]]) + [[a], [b]],
    "a list as operand": lambda a, b: mg.Tensor([1.0, 2.0]) * [a, 2.0],
    "a loss of a list": lambda a, b: mg.losses.mean_squared_error([1.0, 2.0], [a, b]),
    "labels in a list": lambda a, b: mg.losses.mean_squared_error([a, b], mg.Tensor([1.0, 2.0])),
    "assignment of one": lambda a, b: assign(0, a),
    "assignment to a slice": lambda a, b: assign(slice(1), a),
    "assignment of a list": lambda a, b: assign(slice(None), [a, b]),
    "np.full": lambda a, b: np.full(3, a),
    "np.append": lambda a, b: np.append([1.0], [a]),
}


@pytest.mark.parametrize("shape", [(), (1,)], ids=["numbers", "vectors"])
@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_no_array_loses_a_gradient_in_silence(route, shape):
    """NumPy looks into lists without asking the tensors in them whether it may; each way there is an error with the way out."""
    a, b = (mg.Tensor(np.full(shape, k), requires_grad=True) for k in (1.0, 2.0))
    for x, y in ((a, b), (a * 2.0, b * 3.0)):
        with pytest.raises((TypeError, ValueError)) as caught:
            route(x, y)
        assert "tensor_stack" in f"{caught.value} {caught.value.__cause__}"  # NumPy may head our error with its own


def test_whole_numbers_are_no_way_around_it():
    """An array of integers asks for int(), one of floats for float()."""
    whole = np.zeros(2, int)
    with pytest.raises((TypeError, ValueError)) as caught:
        whole[0] = leaf(2.0)
    assert "tensor_stack" in f"{caught.value} {caught.value.__cause__}"
    whole[0] = mg.Tensor(2.0)
    assert whole[0] == int(leaf(2.0)) == 2


@pytest.mark.parametrize(
    "xs, kind, says",
    [
        (np.ones(2), TypeError, "ndarray"),
        (None, TypeError, "NoneType"),
        ([np.ones(2)], TypeError, "ndarray"),
        ([leaf(), "words"], TypeError, "str"),
        (mg.Tensor([1.0]), ValueError, "Tensor"),
        ([leaf(), mg.Tensor([1.0])], ValueError, "Tensor"),
    ],
    ids=["array", "None", "list of arrays", "words", "constant", "list with a constant"],
)
def test_what_grad_can_not_differentiate_by_is_named(xs, kind, says):
    with pytest.raises(kind, match=f"^grad: xs holds {says} that requires no gradient"):
        mg.grad(leaf(2.0) * 1.0, xs)


def test_a_tensor_as_upstream_gradient_gives_arrays():
    """Without create_graph nothing can be differentiated again, so nothing comes back as a tensor."""
    x = leaf()
    g = mg.grad(x * 2.0, x, gradient=mg.Tensor([1.0, 2.0]))
    assert type(g) is np.ndarray and g.tolist() == [2, 4]
    (x * 2.0).backward(mg.Tensor([1.0, 2.0]))
    assert type(x.grad) is np.ndarray and x.grad.tolist() == [2, 4]


def test_arrays_of_constants_are_made_as_ever():
    """Without a gradient there is nothing to lose: constants, detached tensors, and everything inside no_grad()."""
    c, x = mg.Tensor(1.0), leaf(2.0)
    assign(0, c)
    assert float(x) == math.sqrt(x * x) == 2
    assert np.array([c, x.detach()]).tolist() == [1, 2]
    assert mg.Tensor([c, c]).shape == (2,)
    with mg.no_grad():
        assert np.array([x, x * 2.0]).tolist() == [2, 4]


# ---------------------------------------------------------------- wrappers can be seen


def test_tracebacks_show_the_operation_and_its_lines():
    x = leaf()
    x + x  # the first call writes the wrapper
    with pytest.raises(ValueError) as caught:
        x + leaf((1.0, 2.0, 3.0))
    frame = next(f for f in traceback.extract_tb(caught.value.__traceback__) if "minigrad primitive" in f.filename)
    assert frame.name == "tensor_add" and frame.line.startswith(("_y = ", "raise _explained"))
    linecache.checkcache()
    assert linecache.getline(frame.filename, frame.lineno).strip() == frame.line
    text = "".join(linecache.getlines(frame.filename))  # as a debugger lists it
    assert ast.parse(text).body[0].name == "wrapper"


def test_a_first_call_has_the_name_of_its_operation():
    """That its wrapper is not yet written is no concern of a traceback's reader."""

    @mg.primitive(lambda g: g)
    def mine(x):
        return x + np.ones(7)

    with pytest.raises(ValueError) as caught:
        mine(leaf())
    names = [f.name for f in traceback.extract_tb(caught.value.__traceback__)]
    assert names.count("mine") == 2 and "_unwritten" not in names  # what writes the wrapper, and the wrapper


def test_a_profiler_tells_operations_apart():
    x = leaf()
    (x + x), (x * x)
    with cProfile.Profile() as profile:
        for _ in range(3):
            x + x
        x * x
    calls = {name: counts[0] for (_, _, name), counts in pstats.Stats(profile).stats.items()}
    assert calls["tensor_add"] >= 3 and calls["tensor_mul"] >= 1
    assert mg.tensor_add.__code__.co_qualname == "tensor_add"  # what other profilers print


def test_type_hints_can_be_read_at_run_time():
    hints = typing.get_type_hints(mg.tensor_add)
    assert hints["return"] is mg.Tensor and mg.Tensor in typing.get_args(hints["a"])


def test_the_source_of_a_primitive_is_its_own():
    assert "return a + b" in inspect.getsource(mg.tensor_add)
    assert str(inspect.signature(mg.tensor_sum)).startswith("(x: 'Operand', axis: 'Axis' = None")
