"""Leaves that were copied, pickled, or sent to and from another process have right gradients; computed tensors say why not."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import minigrad as mg

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": lambda x, n=n: pickle.loads(pickle.dumps(x, n)) for n in range(2, pickle.HIGHEST_PROTOCOL + 1)},
}


def gradients(model) -> list:
    """By grad() and by backward(), for a loss whose derivatives are known: d/dW sum(x Wᵀ + b) = x, d/db = 1."""
    x = np.array([[1.0, 2.0]])
    by_grad = [g.tolist() for g in mg.grad(model(x).sum(), model.parameters())]
    model.zero_grad()
    model(x).sum().backward()
    return [by_grad, [p.grad.tolist() for p in model.parameters()]]


RIGHT = [[[[1.0, 2.0]], [1.0]]] * 2


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
def test_a_copied_leaf_is_a_leaf_of_its_own(made):
    """With its values, name and gradient, and nothing shared: neither memory nor the place where gradients go."""
    x = mg.Tensor([1.0, 2.0], requires_grad=True, dtype=np.float32, name="x")
    x.grad = np.array([5.0, 6.0], np.float32)
    y = made(x)
    assert y.requires_grad and y.dtype == np.float32 and y.name == "x" and y.grad.tolist() == [5, 6]
    y.zero_grad()
    (x * y).sum().backward()
    assert x.grad.tolist() == [6, 8] and y.grad.tolist() == [1, 2]
    y.data[:] = 0
    y.grad[:] = 0
    assert x.data.tolist() == [1, 2] and x.grad.tolist() == [6, 8]


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
def test_copied_constants_and_numbers(made):
    for x in (mg.Tensor([1, 2]), mg.Tensor(2.0), mg.Tensor(2.0, requires_grad=True)):
        y = made(x)
        assert (y.shape, y.dtype, y.requires_grad) == (x.shape, x.dtype, x.requires_grad)
        np.testing.assert_array_equal(y.numpy(), x.numpy())


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
def test_a_computed_tensor_is_not_copied_in_silence(made):
    """Its graph cannot come along; a copy without it would be a constant that lost its gradient."""
    y = mg.Tensor(2.0, requires_grad=True).exp()
    with pytest.raises(TypeError, match=r"computed by tensor_exp.*x\.detach\(\)"):
        made(y)
    assert made(y.detach()).item() == y.item()


@pytest.mark.parametrize("age", [-(10**6), 0, 10**6])
def test_the_age_of_a_leaf_decides_nothing(age):
    """Ages order the computed nodes of one process; a leaf from elsewhere may carry any."""
    model = mg.layers.Dense(2, 1, rng=0)
    for p in model.parameters():
        p.node.age = age
    assert gradients(model) == RIGHT


def test_nodes_of_equal_age_are_both_visited():
    """Two threads of a free-threaded Python may count the same age."""
    x = mg.Tensor(2.0, requires_grad=True)
    a, b = x.exp(), x.log()
    y = a * b
    b.node.age = a.node.age
    np.testing.assert_allclose(mg.grad(y, x, retain_graph=True), np.exp(2.0) * (np.log(2.0) + 0.5))
    y.backward()
    np.testing.assert_allclose(x.grad, np.exp(2.0) * (np.log(2.0) + 0.5))


def trained(model):
    """What a worker does: compute gradients, and send the model back."""
    return gradients(model), model


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_a_model_that_travels_to_a_process_and_back(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    model = mg.layers.Dense(2, 1, rng=0)
    for _ in range(500):  # a process that has counted further than the worker
        model(np.ones((1, 2)))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as workers:
        there, back = workers.submit(trained, model).result()
    assert there == RIGHT and gradients(back) == RIGHT


def test_parameters_shared_in_a_layer_stay_shared():
    layer = mg.layers.Dense(2, 2, rng=0)
    model = copy.deepcopy(mg.layers.Sequential(layer, layer))
    assert len(model.parameters()) == 2 and model[0] is model[1]


# ---------------------------------------------------------------- freezing


def test_a_frozen_parameter_gets_no_gradient_until_it_is_unfrozen():
    x, w = mg.Tensor(3.0, requires_grad=True), mg.Tensor(2.0, requires_grad=True, name="w")
    before = x * w
    w.requires_grad = False
    (x * w).backward()
    assert w.grad is None and x.grad == 2
    before.backward()  # keeps the graph that it has
    w.requires_grad = True
    (x * w).backward()
    assert w.grad == 3 and w.node.name == "w"


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
def test_a_frozen_parameter_stays_a_parameter_when_copied(made):
    """A frozen layer that was sent elsewhere must not lose its weights from its state."""
    layer = mg.layers.Dense(2, 1, rng=0)
    layer.weight.requires_grad = False
    other = made(layer)
    assert list(other.state_dict()) == ["weight", "bias"] and not other.weight.requires_grad
    other.weight.requires_grad = True
    assert gradients(other) == RIGHT


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
def test_what_was_never_a_parameter_is_none_when_copied(made):
    """A constant must not turn up among the parameters, nor when its requires_grad is switched off once more."""
    c, w = mg.Tensor([1.0]), mg.Tensor([1.0], requires_grad=True)
    c.requires_grad = False
    assert not getattr(made(c), "frozen", False)
    for _ in range(2):  # switched off twice it is still a parameter
        w.requires_grad = False
    layer = mg.layers.BaseLayer()
    layer.constant, layer.weight, layer.plain = made(c), made(w), made(mg.Tensor([2.0]))
    assert list(layer.state_dict()) == ["weight"]
    layer.weight.requires_grad = True
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


class Named(mg.Tensor):
    """A tensor with attributes of its own."""


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
def test_a_subclass_keeps_its_attributes(made):
    x = Named([1.0], requires_grad=True)
    x.note = ["kept"]
    y = made(x)
    assert type(y) is Named and y.note == ["kept"] and not hasattr(Named, "note")
    assert type(made(Named([2.0]))) is Named


def test_requires_grad_is_refused_where_it_means_nothing():
    x = mg.Tensor(3.0, requires_grad=True)
    for required in (True, False):
        with pytest.raises(RuntimeError, match=r"computed.*detach\(\)"):
            x.exp().requires_grad = required
    with pytest.raises(TypeError, match="int64"):
        mg.Tensor(np.array([1, 2], np.int64)).requires_grad = True
