"""The two observers: trace() keeps what pictures need, debug() stops where something goes wrong."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad import context


def leaf(data, **kwargs) -> mg.Tensor:
    return mg.Tensor(data, requires_grad=True, **kwargs)


def writeable(*arrays) -> list[bool]:
    return [x.flags.writeable for x in arrays]


@pytest.fixture(autouse=True)
def observers_are_gone_afterwards():
    """Whatever a test does, the engine is as fast and as silent afterwards as before."""
    yield
    assert context.active_blocks() == ()


# ---------------------------------------------------------------- trace


def test_trace_keeps_result_operands_and_names():
    """A picture shows values that no rule needs, constants included, and calls tensors by their names."""
    x, w = leaf([1.0, 2.0], name="x"), leaf([[3.0, 4.0]], name="w")
    with mg.trace():
        h = w @ x
        y = h + 10.0
    value, operands, names = h.node.traced
    assert value is h.value and names == ("w", "x")
    assert operands[0] is w.value and operands[1] is x.value
    np.testing.assert_array_equal(y.node.traced.value, [21.0])
    assert y.node.traced.operands[1] == 10.0 and y.node.traced.names == (None, None)


def test_trace_keeps_lists_of_operands():
    """Concatenation takes any number of operands; each is kept."""
    a, b = leaf([1.0], name="a"), leaf([2.0], name="b")
    with mg.trace():
        y = mg.tensor_concat([a, b, np.array([3.0])])
    assert y.node.traced.names == ("a", "b", None)
    assert [float(x[0]) for x in y.node.traced.operands] == [1, 2, 3]


def test_trace_keeps_the_names_of_results():
    """A result named in the block is known by that name where it is used next."""
    x = leaf(3.0, name="x")
    with mg.trace():
        h = x * 2.0
        h.name = "h"
        y = h + x
    assert y.node.traced.names == ("h", "x") and h.node.name == "h"


def test_trace_ends_with_its_block_and_changes_no_gradient():
    x = leaf([1.0, 2.0])
    with pytest.raises(ZeroDivisionError), mg.trace():
        raise ZeroDivisionError
    untraced = x * 2.0
    assert not hasattr(untraced.node, "traced")
    with mg.trace():
        y = (x * x).sum()
        constant = mg.Tensor(1.0) * 2.0  # has no node to keep anything on
    y.backward()
    assert constant.node is None
    np.testing.assert_array_equal(x.grad, [2, 4])
    np.testing.assert_array_equal(y.node.traced.operands[0], [1, 4])  # backward keeps the picture


@pytest.mark.parametrize("outer", [mg.trace, mg.debug])
def test_trace_and_debug_nest(outer):
    """Either inside the other: both do their work, and the inner end does not end the outer."""
    inner = mg.debug if outer is mg.trace else mg.trace
    x = leaf([1.0, 0.0])
    with outer():
        with inner():
            y = x * x
            assert y.node.traced is not None and not x.data.flags.writeable
        z = x * x
        assert hasattr(z.node, "traced") == (outer is mg.trace)
        assert x.data.flags.writeable == (outer is mg.trace)
    assert x.data.flags.writeable
    assert not hasattr((x * x).node, "traced")


# ---------------------------------------------------------------- debug: NaN and infinity


def quiet():
    return np.errstate(all="ignore")


FORWARD = {
    "tensor_log: forward made -inf at index (1,) of finite operands: x = 0.0 there": lambda x: x.log(),
    "tensor_divide: forward made inf at index (1,) of finite operands: a = 1.0, b = 0.0 there": lambda x: 1.0 / x,
    "tensor_sqrt: forward made nan at index (0,) of finite operands: x = -2.0 there": lambda x: (x - 2.0).sqrt(),
    "tensor_exp: forward made inf at index (0,) of finite operands: x = 1000.0 there": lambda x: (
        x * 1000.0 + 1000
    ).exp(),
    "tensor_pow: forward made inf at index (1,) of finite operands: x = 0.0, p = -1 there": lambda x: x**-1,
}


@pytest.mark.parametrize("message", FORWARD)
def test_debug_names_the_first_bad_forward(message):
    """The operation, the value, the place, and the operands there; not the later ones that only pass it on."""
    x = leaf([0.0, 0.0] if "exp" in message or "sqrt" in message else [1.0, 0.0])
    with pytest.raises(FloatingPointError) as caught, mg.debug(), quiet():
        (FORWARD[message](x) * 2.0).sum()
    assert message in str(caught.value)


def test_debug_finds_the_place_in_a_matrix():
    x = leaf(np.ones((2, 3)))
    x.data[1, 2] = 0
    with (
        pytest.raises(FloatingPointError, match=r"index \(1, 2\) of finite operands: x = 0.0 there"),
        mg.debug(),
        quiet(),
    ):
        x.log()


def test_debug_speaks_without_operands_of_the_same_shape():
    """An infinite sum of finite numbers has no one place among its operands."""
    x = leaf([1e308, 1e308])
    with pytest.raises(FloatingPointError, match=r"tensor_sum: forward made inf at index \(\) of finite operands\.$"):
        with mg.debug(), quiet():
            x.sum()
    with pytest.raises(FloatingPointError, match=r"tensor_sum: forward made inf"), mg.debug(), quiet():
        mg.Tensor([1e308, 1e308]).sum()  # where no gradient is wanted, too


def test_debug_does_not_blame_who_passes_it_on():
    """Infinities that came in are the data's; an infinity that a result has left again is nobody's."""
    x = leaf([np.inf, 1.0])
    with mg.debug(), quiet():
        y = x * 2.0 + 1.0
        z = 1.0 / y
        mg.tensor_concat([y, z])
    assert z.data[0] == 0
    bad = leaf([np.nan])
    with mg.debug():
        assert np.isnan((bad + 1.0).item())


BACKWARD = {
    "tensor_sqrt": (0.0, lambda x: (x * 1.0).sqrt() * 2.0, "x"),
    "tensor_pow": (0.0, lambda x: (x * 1.0) ** 0.5 * 3.0, "x"),
    "tensor_divide": (1e-200, lambda b: (1e-200 / (b * 1.0)) * 1e200, "b"),
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", BACKWARD)
def test_debug_names_the_first_bad_backward(name, create_graph):
    """The rule that made it, and for which operand; not the rules behind it that multiply it on."""
    at, f, operand = BACKWARD[name]
    x = leaf([1.0, at])
    message = rf"{name}: backward made .* at index \(1,\) of the gradient of {operand}"
    if create_graph:  # the rule's own operations are watched, too, and may be named in its place
        message = r"(forward|backward) made (-?inf|nan)"
    with pytest.raises(FloatingPointError, match=message), mg.debug(), quiet():
        mg.grad(f(x), x, gradient=np.ones(2), create_graph=create_graph)
    assert x.grad is None


def test_debug_does_not_blame_a_rule_for_its_upstream():
    x = leaf([1.0, 2.0])
    with mg.debug(), quiet():
        (x * 2.0).backward(np.array([np.inf, 1.0]))
    assert x.grad[0] == np.inf


def test_bad_numbers_pass_without_debug():
    """NumPy's own behaviour: warnings, and the numbers that IEEE 754 says."""
    with quiet():
        assert leaf(0.0).log().item() == -np.inf


# ---------------------------------------------------------------- debug: writes


def test_debug_refuses_writes_into_what_the_graph_needs():
    """x ⊙ x needs x for its gradient; a write in between would make it the gradient of something else."""
    x = leaf([1.0, 2.0])
    with mg.debug():
        y = (x * x).sum()
        with pytest.raises(ValueError, match="read-only"):
            x.data[0] = 5.0
        with pytest.raises(ValueError, match="read-only"):
            x.data -= 0.1
        y.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])


def test_debug_lets_write_what_no_rule_needs():
    """x + 1 needs no values: nothing is spoiled, nothing is refused."""
    x = leaf([1.0, 2.0])
    with mg.debug():
        y = (x + 1.0).sum()
        x.data[0] = 5.0
        y.backward()
    np.testing.assert_array_equal(x.grad, [1, 1])


def test_debug_refuses_writes_through_base_and_result():
    """A constant's array can be written through the array that it is a view of; a result that a rule saved, in place."""
    whole = np.arange(6.0)
    part = whole[2:4].reshape(2, 1)
    x = leaf([3.0, 4.0])
    with mg.debug():
        y = x * mg.Tensor(part)
        z = y.exp()
        for array in (whole, part, z.data, x.data):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
    assert all(writeable(whole, part, z.data, x.data))


def test_debug_thaws_after_backward():
    """The usual step, update included, runs inside the block."""
    x = leaf([1.0, 2.0])
    with mg.debug():
        for _ in range(3):
            (x * x).sum().backward()
            assert x.data.flags.writeable
            x.data -= 0.1 * x.grad
            x.zero_grad()


def test_debug_thaws_when_the_graph_is_dropped():
    """A graph that nobody holds any more protects nothing."""
    x = leaf([1.0, 2.0])
    with mg.debug():
        y = x * x
        z = y * x  # needs x, and y
        held = y.data
        assert writeable(x.data, held) == [False, False]
        del z
        assert writeable(x.data, held) == [False, True]
        del y
        assert writeable(x.data, held) == [True, True]


def test_debug_keeps_frozen_what_another_node_needs():
    """Of two graphs that need x the first to go does not unlock it."""
    x = leaf([1.0, 2.0])
    with mg.debug():
        one, two = x * x, x * x
        one.sum().backward()
        assert not x.data.flags.writeable
        two.sum().backward(retain_graph=True)
        assert not x.data.flags.writeable  # the graph was kept, and needs it still
        two.sum().backward()
        assert x.data.flags.writeable


def test_debug_thaws_at_the_end_of_the_block():
    """Also after an error, also while graphs are still there; and a graph that outlives the block dies in peace."""
    x = leaf([1.0, 2.0])
    with pytest.raises(ZeroDivisionError), mg.debug():
        y = x * x
        raise ZeroDivisionError
    assert x.data.flags.writeable
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 4])
    with mg.debug():
        z = x * x
    x.data.flags.writeable = False  # somebody else's decision, from here on
    del z
    assert not x.data.flags.writeable
    x.data.flags.writeable = True


def test_debug_thaws_after_its_own_error():
    x = leaf([1.0, 0.0])
    with pytest.raises(FloatingPointError), mg.debug(), quiet():
        y = x * x
        y.log()
    assert all(writeable(x.data, y.data))


def test_debug_blocks_nest():
    """The end of the inner block leaves frozen what the outer one has frozen."""
    x = leaf([1.0, 2.0])
    with mg.debug():
        y = x * x
        with mg.debug():
            z = x * x
        assert not x.data.flags.writeable
        del z
        assert not x.data.flags.writeable
        del y
        assert x.data.flags.writeable


def test_debug_keeps_read_only_what_was_read_only():
    """An array that came read-only leaves read-only, and so do its views."""
    whole = np.arange(4.0)
    whole.flags.writeable = False
    part, x = mg.Tensor(whole[:2]), leaf([1.0, 2.0])
    spread = mg.Tensor(np.broadcast_to(np.array([3.0]), (2,)))
    with mg.debug():
        y = (x * part * spread).sum()
        y.backward()
        assert writeable(whole, part.data, x.data) == [False, False, True]
    assert writeable(whole, part.data, spread.data, x.data) == [False, False, False, True]


def test_debug_gives_views_back_writeable():
    """NumPy thaws no view of a frozen array: where its base is still needed a view waits, and nothing else waits for it."""
    x = leaf(np.ones((2, 3)))
    with mg.debug():
        whole = np.ones((3, 2))
        a = x @ mg.Tensor(whole.T.T)
        b = x.T * mg.Tensor(whole)
        del a
        assert writeable(whole) == [False]
        del b
        assert writeable(whole, x.data) == [True, True]
    view = whole[:1]
    view[...] = 7  # and views made since inherit it


def test_debug_watches_second_order():
    """Rules that run on tensors make nodes of their own; they are watched and let go like others."""
    x = leaf([1.0, 2.0])
    with mg.debug():
        slope = mg.grad((x**3).sum(), x, create_graph=True)
        assert not x.data.flags.writeable
        np.testing.assert_allclose(mg.grad(slope, x, gradient=np.ones(2)), [6, 12])
        del slope
    assert x.data.flags.writeable


def test_training_inside_debug():
    """A whole loop with layers: it learns as it does outside, and leaves nothing frozen and no cycle."""

    def train():
        layer = mg.layers.Sequential(mg.layers.Dense(3, 5, rng=0), mg.layers.Sigmoid(), mg.layers.Dense(5, 1, rng=1))
        x, y = np.random.default_rng(0).normal(size=(7, 3)), np.ones((7, 1))
        for _ in range(5):
            loss = mg.losses.mean_squared_error(y, layer(mg.Tensor(x)))
            layer.zero_grad()
            loss.backward()
            layer.sgd_step(0.1)
        assert all(writeable(x, y, *(p.data for p in layer.parameters())))
        return loss.item()

    outside, left = train(), []
    gc.disable()
    try:
        for _ in range(3):  # what other threads leave, they do not leave each time
            gc.collect()
            with mg.debug():
                inside = train()
            left.append(gc.collect())
    finally:
        gc.enable()
    assert min(left) == 0 and inside == outside


def test_debug_keeps_no_graph_alive():
    """The watcher holds nodes weakly."""
    x = leaf([1.0, 2.0])
    with mg.debug():
        y = x * x
        node = weakref.ref(y.node)
        del y
        assert node() is None
