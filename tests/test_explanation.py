"""`explain`: every contribution to a leaf's gradient, where it was computed, and a sum that is `.grad` itself."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from programs import programs

import minigrad as mg
from minigrad import Tensor, layers, losses

LINES = Path(__file__).read_text(encoding="utf-8").splitlines()


def rows(why):
    return [(c.operation, c.operand, c.value.tolist()) for c in why.contributions]


def test_operation_operand_value_and_line():
    """Each line is the one that a reader finds at that number in this file, also inside a statement of several lines."""
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    with mg.trace():
        a = x * 3
        b = a.sum() + (x[0]
                       / 4)  # fmt: skip
        b.backward()
    why = mg.explain(x)
    assert rows(why) == [("tensor_getitem", "x", [0.25, 0.0]), ("tensor_mul", "a", [3.0, 3.0])]
    for c, text in zip(why.contributions, ["b = a.sum() + (x[0]", "a = x * 3"], strict=True):
        assert c.file == __file__
        assert LINES[c.line - 1].strip() == c.source == text
    assert str(why).splitlines()[0] == "x.grad = [3.25, 3.]: 2 contributions"
    assert str(why).splitlines()[2].startswith("  [3., 3.]  tensor_mul, operand a  (test_explanation.py:")
    assert repr(why) == str(why)


def test_line_is_the_users_where_the_operation_is_inside_the_library():
    """A layer, a loss and a primitive of one's own: the line that called them, not one of minigrad's files."""

    @mg.primitive(lambda g, x: 2 * g * x)
    def squared(x):
        return x * x

    layer = layers.Dense(2, 1, rng=0)
    with mg.trace():
        y = squared(layer(np.ones((3, 2))))
        loss = losses.mean_squared_error(np.zeros((3, 1)), y)
        loss.backward()
    for p in layer.parameters():
        (c,) = mg.explain(p).contributions
        assert c.source == "y = squared(layer(np.ones((3, 2))))"
    z = Tensor(np.ones((3, 1)), requires_grad=True)
    with mg.trace():
        losses.mean_squared_error(np.zeros((3, 1)), z).backward()
    assert {c.source for c in mg.explain(z).contributions} == {
        "losses.mean_squared_error(np.zeros((3, 1)), z).backward()"
    }


@settings(max_examples=100, deadline=None, derandomize=True)
@given(programs())
def test_sum_is_the_gradient(program):
    """On random graphs, to the last bit, over two calls of backward(); in order, and nothing shares memory with .grad."""
    with mg.trace():
        results = program.tensors()
        for which in (0, 1):
            results[-1].backward(program.upstream(which), retain_graph=True)
    for x in results[: len(program.leaves)]:
        if x.grad is None:
            continue
        why = mg.explain(x)
        np.testing.assert_array_equal(why.sum(), x.grad)
        np.testing.assert_array_equal(why.gradient, x.grad)
        assert {c.backward for c in why.contributions} == {1, 2} or x is results[-1]
        x.grad[...] = 7
        np.testing.assert_array_equal(why.sum(), why.gradient)


def test_float32_sum_is_the_gradient():
    x = Tensor(np.random.default_rng(0).normal(size=20).astype(np.float32), requires_grad=True)
    with mg.trace():
        for _ in range(3):
            sum((x * np.float32(k / 7)).exp().sum() for k in range(5)).backward()
    why = mg.explain(x)
    assert why.sum().dtype == np.float32
    np.testing.assert_array_equal(why.sum(), x.grad)
    assert len(why.contributions) == 15


def test_calls_of_backward_accumulate_until_zero_grad():
    x = Tensor(2.0, requires_grad=True)
    with mg.trace():
        (x * 3).backward()
        (x * 5).backward()
        assert [(c.backward, c.value.item()) for c in mg.explain(x).contributions] == [(1, 3), (2, 5)]
        assert "from 2 calls of backward()" in str(mg.explain(x))
        x.zero_grad()
        (x * 7).backward()
    assert [(c.backward, c.value.item()) for c in mg.explain(x).contributions] == [(1, 7)]


def test_the_same_graph_twice():
    x = Tensor(2.0, requires_grad=True)
    with mg.trace():
        y = x * 3
        y.backward(retain_graph=True)
        y.backward()
    assert [c.backward for c in mg.explain(x).contributions] == [1, 2]


@pytest.mark.parametrize("first", [True, False])
def test_passes_that_leave_grad_alone_are_not_listed(first):
    """minigrad.grad, also of another graph, before and after backward(), and a contribution of 0."""
    x = Tensor(2.0, requires_grad=True)
    with mg.trace():
        y = x * 3 + x * 0
        if first:
            mg.grad(y, x, retain_graph=True)
            mg.grad(x * 11, x)
        y.backward(retain_graph=True)
        if not first:
            mg.grad(x * 0, x)
            mg.grad(y, x)
            mg.hvp(lambda x: x**2, x, 1.0)
    assert sorted(c.value.item() for c in mg.explain(x).contributions) == [0, 3]


def test_pass_that_failed_is_not_listed():
    @mg.primitive(lambda g, x: 1 // 0)
    def fails(x):
        return x * 1

    x = Tensor(2.0, requires_grad=True)
    with mg.trace():
        (x * 3).backward()
        with pytest.raises(ZeroDivisionError):
            (fails(x * 5) + x * 7).backward()
    assert [c.value.item() for c in mg.explain(x).contributions] == [3]
    with mg.trace():
        (x * 11).backward()
    assert [c.value.item() for c in mg.explain(x).contributions] == [3, 11]


def test_nested_trace_lists_each_contribution_once():
    x = Tensor(2.0, requires_grad=True)
    with mg.trace(), mg.trace():
        y = x * x
        y.backward()
    assert rows(mg.explain(x)) == [("tensor_mul", "a", 2.0), ("tensor_mul", "b", 2.0)]


def test_backward_with_create_graph():
    x = Tensor(3.0, requires_grad=True)
    with mg.trace():
        (x**3).backward(create_graph=True)
    why = mg.explain(x)
    assert why.sum() == 27 and isinstance(why.gradient, np.ndarray)
    x.zero_grad()  # the reference cycle


def test_forward_outside_trace_has_no_line():
    """The contributions are still complete; that the place is unknown is said."""
    x = Tensor(3.0, requires_grad=True)
    y = x * 2
    with mg.trace():
        y.backward()
    (c,) = mg.explain(x).contributions
    assert (c.file, c.line, c.source) == (None, None, None)
    assert "computed outside trace()" in str(c)


def test_large_values_are_shortened():
    x = Tensor(np.ones((300, 300)), requires_grad=True)
    with mg.trace():
        x.sum().backward()
    assert len(str(mg.explain(x))) < 300 and mg.explain(x).contributions[0].value.shape == (300, 300)


def test_nothing_is_kept_alive():
    """What explain() recorded of a leaf and a graph goes with them."""
    x = Tensor(np.ones(3), requires_grad=True)
    with mg.trace():
        y = x.exp()
        node = weakref.ref(y.node)
        y.sum().backward()
        del y
        assert node() is None
    leaf = weakref.ref(x.node)
    mg.explain(x)
    del x
    gc.collect()
    assert leaf() is None


def computed_and_untraced():
    x = Tensor(3.0, requires_grad=True)
    (x * 2).backward()
    return x


def clipped():
    x = Tensor(3.0, requires_grad=True)
    with mg.trace():
        (x * 2).backward()
    x.grad = x.grad / 2
    return x


def partly_traced():
    x = Tensor(3.0, requires_grad=True)
    with mg.trace():
        (x * 2).backward()
    (x * 2).backward()
    return x


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: 3.0, TypeError, "x is float, not a tensor"),
        (lambda: Tensor(3.0), ValueError, "x requires no gradient"),
        (lambda: Tensor(3.0, requires_grad=True).exp(), ValueError, "x was computed by tensor_exp"),
        (lambda: Tensor(3.0, requires_grad=True, name="w"), RuntimeError, "w has no gradient. Call backward"),
        (computed_and_untraced, RuntimeError, "not entirely, computed inside trace.*zero_grad"),
        (clipped, RuntimeError, "not entirely, computed inside trace.*zero_grad"),
        (partly_traced, RuntimeError, "not entirely, computed inside trace.*zero_grad"),
    ],
    ids=["number", "constant", "computed", "no gradient", "untraced", "changed", "partly traced"],
)
def test_errors_say_what_to_do(make, error, message):
    with pytest.raises(error, match=message):
        mg.explain(make())
