"""What a graph keeps alive, and when it lets go: no cycles, nothing for the garbage collector, nothing that grows."""

from __future__ import annotations

import gc
import statistics
import tracemalloc
import weakref
from itertools import pairwise

import numpy as np
import pytest
from engine_tools import no_collector, reachable

import minigrad as mg
from minigrad import context
from minigrad.graph import Node


def leaf(*data, **kwargs) -> mg.Tensor:
    return mg.Tensor(data[0] if len(data) == 1 else list(data), requires_grad=True, **kwargs)


@mg.primitive(lambda g, x: 1 / 0)
def faulty(x):
    """Its rule raises ZeroDivisionError."""
    return 1.0 * x


def test_a_graph_dies_with_its_last_tensor():
    """Without cycles nothing waits for the garbage collector."""
    with no_collector():
        x = leaf(1.0, 2.0)
        h = x * 2.0
        y = (h.exp() * h).sum()
        nodes = [weakref.ref(t.node) for t in (h, y)]
        values = weakref.ref(h.value)
        del h
        assert nodes[0]() is not None  # y's graph holds the node …
        assert values() is not None  # … and the values that exp's neighbour saved
        del y
        assert nodes[0]() is None and nodes[1]() is None and values() is None


def test_the_graph_of_a_tensor_does_not_hold_later_results():
    """References lead back, never forward: keeping an early result keeps nothing else."""
    x = leaf(1.0)
    h = x * 2.0
    later = h.exp()
    node = weakref.ref(later.node)
    del later
    assert node() is None


def test_values_are_freed_on_the_way_back():
    """When a rule runs, the values of all nodes already visited are gone: memory shrinks as the sweep proceeds."""

    class Alive(context.Observer):
        def __init__(self):
            self.values, self.seen = [], []

        def computed(self, op, operands, result):
            self.values.append(weakref.ref(result.value))

        def contributed(self, node, position, g, contribution):
            self.seen.append(sum(value() is not None for value in self.values))

    watcher = Alive()
    with context.observing(watcher):
        y = leaf(np.ones(5))
        for _ in range(10):
            y = y.tanh()
        y.backward(np.ones(5))
    # ten results, of which y holds the last; at the k-th rule k − 1 nodes were visited
    assert watcher.seen == [10, 10, 9, 8, 7, 6, 5, 4, 3, 2]


def test_after_backward_only_the_result_is_left():
    """backward() frees nodes, parents and values even though the tensor is still there."""
    x = leaf(np.ones(5))
    h = x.exp()
    y = (h * h).sum()
    node = weakref.ref(h.node)
    del h
    y.backward()
    assert node() is None and y.item() > 0


@pytest.mark.parametrize("keep", ["retain_graph", "create_graph"])
def test_graph_is_kept_on_request(keep):
    x = leaf(3.0)
    y = x * x
    y.backward(**{keep: True})
    y.backward()
    assert float(x.grad if keep == "retain_graph" else x.grad.item()) == 12


def train(steps: int, each=lambda step: None) -> None:
    layer = mg.layers.Sequential(mg.layers.Dense(5, 7, rng=0), mg.layers.ReLU(), mg.layers.Dense(7, 1, rng=1))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(11, 5)), rng.integers(0, 2, (11, 1)).astype(float)
    for step in range(steps):
        loss = mg.losses.binary_cross_entropy_with_logits(y, layer(x))
        layer.zero_grad()
        loss.backward()
        layer.sgd_step(0.1)
        each(step)


def test_training_memory_is_flat():
    """A thousand steps with the garbage collector off: what a step took it has given back, but for less than a byte.

    Counted by the median hundred: what else is at work in the process (coverage, another thread) takes a kilobyte at times.
    All in all it is still half of what the smallest object would be, if each step kept one.
    """
    used = []

    def measure(step):
        if step % 100 == 99:
            assert gc.collect() == 0  # nothing to collect; but this empties Python's free lists, which would count
            used.append(tracemalloc.get_traced_memory()[0])

    with no_collector():
        train(3)
        tracemalloc.start()
        try:
            train(1000, measure)
        finally:
            tracemalloc.stop()
    assert max(used) - min(used) < 7000, used
    assert statistics.median(after - before for before, after in pairwise(used)) < 100, used


def test_no_cycles_in_any_kind_of_pass():
    """Forward, backward, kept graphs, higher derivatives, traces, errors: gc.collect() finds nothing."""
    with no_collector():
        x, w = leaf(np.ones((2, 3))), leaf(np.ones((3, 2)))
        for _ in range(2):
            y = mg.tensor_concat([x @ w, (x.relu() @ w).sigmoid()]).sum()
            y.backward(retain_graph=True)
            slope = mg.grad(y, [x, w], create_graph=True)
            mg.grad((slope[0] * slope[0]).sum(), [x, w], create_graph=True)
            with mg.trace(), mg.debug():
                (x @ w).sum().backward()
            with mg.no_grad():
                x @ w
        try:
            faulty(x @ w).sum().backward()
        except ZeroDivisionError:
            pass


def test_a_node_never_refers_to_a_tensor():
    """Tensor → node → older nodes: that direction only.  One reference back and every graph is a cycle."""
    x, w = leaf(np.ones((2, 3)), name="x"), leaf(np.ones((3, 2)), name="w")
    h = mg.tensor_concat([x @ w, mg.tensor_stack([x.sum(1), x[:, 0]])], axis=1)
    y = (h.max(0) ** 2).mean() + mg.losses.cross_entropy(np.array([0, 1]), h)
    with mg.trace():
        y = mg.tensor_where(y > 0, y, 2 * y)
    mg.grad(y, x, create_graph=True)
    everything = reachable(y.node)
    nodes = [thing for thing in everything if isinstance(thing, Node)]
    assert len(nodes) > 10 and sum(node.op is None for node in nodes) == 2
    assert not [thing for thing in everything if isinstance(thing, mg.Tensor)]
    (x @ w).sum().backward(create_graph=True)  # the one exception, which backward()'s docstring warns of
    assert [thing for thing in reachable(y.node) if isinstance(thing, mg.Tensor)]
    x.zero_grad(), w.zero_grad()  # breaks the cycles
