"""The sweep: order, cost, what is freed when, and what an error leaves behind."""

from __future__ import annotations

import gc
import importlib
import inspect
import sys
import tracemalloc
import weakref
from contextlib import contextmanager

import numpy as np
import pytest
from engine_tools import counting_rules
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import context, graph
from minigrad.graph import unbroadcast


def leaf(*data, **kwargs) -> mg.Tensor:
    return mg.Tensor(data[0] if len(data) == 1 else list(data), requires_grad=True, **kwargs)


@mg.primitive(lambda g, x: 1 / 0)
def faulty(x):
    """Its rule raises ZeroDivisionError."""
    return 1.0 * x


# ---------------------------------------------------------------- depth


@contextmanager
def shallow_stack():
    """Room for a few dozen nested calls and no more."""
    old = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 60)
    try:
        yield
    finally:
        sys.setrecursionlimit(old)


def chain(x: mg.Tensor, n: int) -> mg.Tensor:
    for _ in range(n):
        x = x + 1.0
    return x


def test_a_million_operations_forward_and_backward():
    """Recursion anywhere, in the sweep or in letting go of nodes, ends at a thousand."""
    x = leaf(0.0)
    with shallow_stack():
        y = chain(x, 10**6)
        assert y.item() == 10**6
        y.backward()
    assert x.grad == 1


def test_a_million_operations_let_go_without_backward():
    """A chain of nodes that free one another must not overflow the stack of C either."""
    x = leaf(0.0)
    with shallow_stack():
        y = chain(x, 10**6)
        first = weakref.ref(y.node)
        del y
    assert first() is None


def test_in_a_browser_nodes_are_freed_one_after_another(monkeypatch):
    """There nobody else sees to it that a node is not freed inside the freeing of a thousand others."""
    depth = deepest = 0

    def counted(node):
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        graph.free_iteratively(node)
        depth -= 1

    monkeypatch.setattr(graph.Node, "__del__", counted, raising=False)
    x = leaf(1.0)
    kept = x * 3.0
    y = chain(kept, 5000)
    nodes = [weakref.ref(node) for node in (y.node, y.node.parents[0], kept.node)]
    for _ in range(2):  # the second time finds nothing left over from the first
        del y
        assert [node() for node in nodes] == [None, None, kept.node]
        assert deepest == 2 and depth == 0 and not graph.being_freed
        y = kept * kept * 1.0
        nodes[:2] = weakref.ref(y.node), weakref.ref(y.node.parents[0])
    y.backward()  # who was freed here had what it needed
    assert x.grad == 18


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32", "emscripten"])
def test_only_nodes_in_a_browser_have_a_finalizer(platform, monkeypatch):
    """Elsewhere Python frees long chains safely by itself, and calling a finalizer would cost time for each node."""
    monkeypatch.setattr(mg, "graph", graph)  # importing anew sets it, too
    monkeypatch.delitem(sys.modules, "minigrad.graph")
    monkeypatch.setattr(sys, "platform", platform)
    there = importlib.import_module("minigrad.graph")
    assert there is not graph
    expected = there.free_iteratively if platform == "emscripten" else None
    assert getattr(there.Node, "__del__", None) is expected


def test_a_deep_chain_in_second_order():
    """The graph of a gradient is as deep as the graph it came from, and is swept and freed in the same way."""
    x = leaf(1.0)
    with shallow_stack():
        y = x
        for _ in range(3000):
            y = y * 1.0
        slope = mg.grad(y * y, x, create_graph=True)
        assert mg.grad(slope, x) == 2


def traced_memory(work) -> tuple[int, int, object]:
    """What `work()` keeps, what it needs in passing beyond what it keeps, and its result."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = work()
        now, peak = tracemalloc.get_traced_memory()
        return now, peak - now, kept
    finally:
        tracemalloc.stop()


def test_memory_is_linear_in_the_number_of_operations():
    """A node costs the same whether there are ten thousand or a hundred thousand, and not much."""
    x = leaf(0.0)
    per_node = {n: traced_memory(lambda n=n: chain(x, n))[0] / n for n in (10**4, 10**5)}
    assert per_node[10**5] == pytest.approx(per_node[10**4], rel=0.02)
    assert per_node[10**5] < 400


def test_backward_needs_no_memory_for_depth():
    """What waits in the sweep is as wide as the graph, never as deep."""
    x = leaf(0.0)
    needed = []
    for n in (1000, 20_000):
        y = chain(x, n)
        needed.append(traced_memory(y.backward)[1])
    assert needed[1] < needed[0] + 4000


# ---------------------------------------------------------------- each node once


def test_doubling_sixty_times_visits_sixty_nodes():
    """x + x, sixty times over, has 2⁶⁰ paths; a sweep that follows paths never ends."""
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    with counting_rules() as rules:
        y.backward()
    assert rules.freed_nodes.total() == 60 and rules.ran == {"tensor_add": 120}
    assert x.grad == 2.0**60


@pytest.mark.parametrize("double", [lambda y: y + y, lambda y: y * 0.5 + y * 1.5], ids=["twice", "by two nodes"])
def test_grad_looks_at_each_node_once(double):
    """To find which nodes lead to what is wanted, it must not follow every path either."""
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = double(y)
    assert mg.grad(y, x) == 2.0**60


def test_wide_fan_out():
    """A thousand uses of one result: it is visited once, after all of them."""
    x = leaf(2.0)
    shared = x.exp()
    parts = [shared * float(k) for k in range(1000)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    with counting_rules() as rules:
        total.backward()
    assert rules.freed_nodes.total() == 1 + 1000 + 999 and rules.ran["tensor_exp"] == 1
    np.testing.assert_allclose(x.grad, np.exp(2.0) * sum(range(1000)))


def test_visits_are_linear_in_depth_and_width():
    """Twice the graph is twice the visits, and twice the rules, whatever its form."""

    def ladder(n):
        a, b = leaf(1.0), leaf(0.5)
        for _ in range(n):
            a, b = a * b, a + b * 0.0
        return a + b

    counts = []
    for n in (50, 100):
        with counting_rules() as rules:
            ladder(n).backward()
        counts.append((rules.freed_nodes.total(), rules.ran.total()))
    assert counts == [(3 * n + 1, 2 * n + n + 2 * n + 2) for n in (50, 100)]


def test_operands_without_gradient_cost_nothing():
    """No rule runs for a constant, and no node is made where nothing needs a gradient."""
    x, constant = leaf(3.0), mg.Tensor(2.0)
    assert (constant * constant).node is None
    with counting_rules() as rules:
        (x * constant).backward()
    assert rules.ran == {"tensor_mul": 1} and x.grad == 2


def test_only_what_the_result_depends_on_is_visited():
    """Results computed in between, of which nobody asked the gradient, stay as they are."""
    x = leaf(3.0)
    y = x * 2.0
    other = y.exp() * x.log()
    with counting_rules() as rules:
        y.backward()
    assert rules.ran == {"tensor_mul": 1}
    assert other.node.saved is not None


# ---------------------------------------------------------------- wanted nodes


def test_grad_of_results_in_the_middle():
    """grad() answers for results, not only for leaves, and with all paths that lead back to them."""
    x = leaf(2.0)
    h = x * x
    y = h * h + h * x
    dh, dx = mg.grad(y, [h, x])
    assert dh == 2 * 4 + 2  # 2h + x
    assert dx == (2 * 4 + 2) * 4 + 4  # through h, and h itself


def test_grad_visits_nothing_older_than_what_is_wanted():
    """The gradient at a late layer does not pay for the early ones."""
    x = leaf(0.5)
    early = x
    for _ in range(50):
        early = early.tanh()
    h = early * 2.0
    late = h.exp()
    with counting_rules() as rules:
        mg.grad(late, h)
    assert rules.ran == {"tensor_exp": 1}


def test_grad_prunes_by_age_and_not_by_name():
    """Of two wanted nodes the older sets the limit; what lies between is visited."""
    x = leaf(0.5)
    a = x.exp()
    b = a.tanh()
    c = b.sigmoid()
    with counting_rules() as rules:
        da, dc = mg.grad(c * 3.0, [a, c])
    assert rules.ran == {"tensor_mul": 1, "sigmoid_tensor": 1, "tensor_tanh": 1}
    assert dc == 3
    np.testing.assert_allclose(da, 3 * c.item() * (1 - c.item()) * (1 - b.item() ** 2))


def test_no_rule_runs_for_what_is_older_than_wanted():
    """A shortcut from long ago into a late layer: its gradient would be thrown away, so it is not computed."""
    x = leaf(0.5)
    h = x.tanh()
    late = (h * x).exp() * x
    with counting_rules() as rules:
        dh = mg.grad(late, h)
    assert rules.ran == {"tensor_mul": 2, "tensor_exp": 1}  # of the two multiplications, the side that leads to h
    np.testing.assert_allclose(dh, np.exp(h.item() * 0.5) * 0.25)


def test_sweep_returns_what_was_asked_for_and_no_more():
    """{wanted: gradient}, or else {leaf: gradient}; and unless it was told to retain, the graph is used up."""
    x, w = leaf(2.0), leaf(3.0)
    h = x * w
    y = (h * 1.0).exp()
    assert graph.backward_pass(y.node, np.float64(1.0), [h.node, w.node], retain=True).keys() == {h.node, w.node}
    assert y.node.saved is not None
    assert graph.backward_pass(y.node, np.float64(1.0)).keys() == {x.node, w.node}
    assert isinstance(y.node.saved, graph.Pass) and y.node.parents == ()


def test_grad_stops_at_what_is_wanted_and_leaves_it_usable():
    """The chain rule by hand, dL/dh first and then h.backward(dL/dh): no rule of h's has run, so h keeps its values."""
    x = leaf(0.5)
    h = x.exp()
    loss = h * 3.0
    dh = mg.grad(loss, h)
    h.backward(dh)
    np.testing.assert_allclose(x.grad, 3 * np.exp(0.5))


def test_grad_where_nothing_depends():
    """Zeros of the operand's shape and dtype, not None; and for the result itself, the seed."""
    x, other = leaf(1.0, 2.0), leaf([[1.0, 2.0]], dtype=np.float32)
    y = (x * x).sum()
    dy, d_other = mg.grad(y, [y, other])
    assert dy == 1
    np.testing.assert_array_equal(d_other, np.zeros((1, 2)))
    assert d_other.dtype == np.float32


def test_grad_asked_twice_for_the_same():
    x = leaf(3.0)
    one, two = mg.grad(x * x, [x, x])
    assert one == two == 6


@pytest.mark.parametrize("create_graph", [False, True])
def test_backward_on_a_leaf(create_graph):
    """The end of every path is also a path, of length nothing: the gradient is the seed, in memory of its own."""
    x, seed = leaf(1.0, 2.0), np.array([3.0, 4.0])
    x.backward(seed, create_graph=create_graph)
    np.testing.assert_array_equal(np.asarray(x.grad), seed)
    assert not np.shares_memory(np.asarray(x.grad), seed)
    np.testing.assert_array_equal(mg.grad(x, x, gradient=seed), seed)
    assert mg.grad(leaf(5.0), leaf(5.0)) == 0


# ---------------------------------------------------------------- a second time, and errors


@pytest.mark.parametrize("create_graph", [False, True])
def test_second_backward_says_what_happened(create_graph):
    x = leaf(3.0)
    y = x.exp()
    y.backward()
    with pytest.raises(RuntimeError, match=r"already used.*tensor_exp.*retain_graph=True"):
        y.backward(create_graph=create_graph)
    assert x.grad == np.exp(3.0)


def test_two_results_that_share_a_part():
    """After the first backward the shared part is gone; the second says so, and adds nothing anywhere."""
    x, w = leaf(3.0), leaf(2.0)
    h = x.exp()
    one, two = h * 2.0, h * w
    one.backward()
    with pytest.raises(RuntimeError, match="tensor_exp"):
        two.backward()
    assert x.grad == 2 * np.exp(3.0) and w.grad is None
    h = x.exp()
    one, two = h * 2.0, h * w
    one.backward(retain_graph=True)
    two.backward()
    assert x.grad == 2 * np.exp(3.0) + 4 * np.exp(3.0) and w.grad == np.exp(3.0)


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_error_in_a_rule_leaves_nothing_behind(create_graph):
    """No half of a gradient on any leaf, nothing pending that the next backward would add."""
    x, w = leaf(3.0), leaf(2.0)
    w.grad = np.array(7.0)
    y = faulty(x * w) + w * w
    with pytest.raises(ZeroDivisionError):
        y.backward(retain_graph=True, create_graph=create_graph)
    with pytest.raises(ZeroDivisionError):
        mg.grad(y, [x, w], create_graph=create_graph)
    assert x.grad is None and w.grad == 7
    assert context.active_blocks() == ()
    (x * w + w * w).backward()
    assert x.grad == 2 and w.grad == 7 + 3 + 4


# ---------------------------------------------------------------- broadcasting undone


SIZES = st.lists(st.integers(0, 4), max_size=4)


@given(SIZES, st.lists(st.booleans(), min_size=4, max_size=4), st.integers(0, 4), st.randoms(use_true_random=False))
def test_unbroadcast_sums_what_was_stretched(stretched, ones, dropped, random):
    """Every element of the operand gets the sum of g over all places where broadcasting put it, counted one by one."""
    shape = tuple(1 if one else n for n, one in zip(stretched, ones, strict=False))[dropped:]
    g = np.array([random.randint(-9, 9) for _ in range(int(np.prod(stretched)))], float).reshape(stretched)
    size = int(np.prod(shape))
    came_from = np.broadcast_to(np.arange(size).reshape(shape), g.shape)
    expected = np.bincount(came_from.reshape(-1), g.reshape(-1), size).reshape(shape) if size else np.zeros(shape)
    before = g.copy()
    got = unbroadcast(g, shape)
    assert got.shape == shape and got.dtype == g.dtype
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(g, before)


@given(SIZES, SIZES)
def test_unbroadcast_refuses_what_broadcasting_cannot_have_made(came, shape):
    """A gradient of any other shape is an error that names the operation, never repaired."""
    came, shape = tuple(came), tuple(shape)
    try:
        possible = np.broadcast_shapes(came, shape) == came
    except ValueError:
        possible = False
    if possible:
        assert unbroadcast(np.zeros(came), shape).shape == shape
    else:
        with pytest.raises(ValueError, match="my_operation: its rule for x returned a gradient of shape"):
            unbroadcast(np.zeros(came), shape, "my_operation: its rule for x returned")
        with pytest.raises(ValueError, match="^unbroadcast: "):
            unbroadcast(np.zeros(came), shape)


@pytest.mark.parametrize("wrong", [(2,), (3, 2), (1, 3), (2, 1), ()], ids=str)
def test_a_rule_of_the_wrong_shape_is_named(wrong):
    @mg.primitive(lambda g, x: np.ones(wrong))
    def misshapen(x):
        return x * 1.0

    x = leaf(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"misshapen: its rule for x returned .* operand of shape \(2, 3\)"):
        misshapen(x).sum().backward()
    assert x.grad is None
