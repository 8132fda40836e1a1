"""Derivatives of functions: against finite differences and torch.func, nested, and on every structure of arguments."""

from __future__ import annotations

import numpy as np
import pytest
from engine_tools import counting_rules, no_collector
from oracles import torch_or_skip

import minigrad as mg
from minigrad import Tensor, layers, losses
from minigrad.context import Observer, observing
from minigrad.transforms import differentiable


def rng(seed=0):
    return np.random.default_rng(seed)


A = rng(1).normal(size=(4, 3))
X = rng(2).uniform(0.5, 1.5, 3)
V = rng(3).normal(size=3)


def curved(x):
    """From (3,) to (4,), with derivatives of every order."""
    return (A @ x).tanh() * x.exp().sum()


def curved_numpy(x):
    return np.tanh(A @ x) * np.exp(x).sum()


def energy(x):
    return (curved(x) ** 2).sum()


def along(f, x, v, h=1e-3):
    """d/dε f(x + ε v) at 0, by the centred difference of five points."""

    def at(step):
        return np.asarray(f(x + step * h * v))

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


def numeric_jacobian(f, x):
    columns = [along(f, x, one.reshape(x.shape)) for one in np.eye(x.size)]
    return np.moveaxis(np.array(columns), 0, -1).reshape(*columns[0].shape, *x.shape)


def gradient(x):
    return mg.grad(energy(x), x, create_graph=True)


def close(got, expected, tolerance=1e-9):
    assert np.shape(got) == np.shape(expected)
    np.testing.assert_allclose(mg.interop.values(got), expected, rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- right values


def test_agree_with_finite_differences():
    """Each transform against centred differences, which share nothing with it."""
    J = numeric_jacobian(curved_numpy, X)
    u = rng(4).normal(size=4)
    y, pullback = mg.vjp(curved, X)
    close(y, curved_numpy(X))
    close(pullback(u), u @ J, 1e-8)
    y, tangent = mg.jvp(curved, X, V)
    close(y, curved_numpy(X))
    close(tangent, J @ V, 1e-8)
    close(mg.jacobian(curved, X), J, 1e-8)
    value, g = mg.value_and_grad(energy)(X)
    close(value, (curved_numpy(X) ** 2).sum())
    close(g, 2 * curved_numpy(X) @ J, 1e-7)
    close(mg.hvp(energy, X, V), along(lambda x: mg.value_and_grad(energy)(x)[1], X, V), 1e-7)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.func imports what torch has deprecated
def test_agree_with_torch():
    """The same function through torch.func, in float64 and float32, several arguments and matrices."""
    torch = torch_or_skip("the transforms were not compared with torch.func")

    def f(W, x):
        return (W @ x) ** 2 * x.exp().sum() / (1 + W.sum() ** 2)

    def total(W, x):
        return f(W, x).sum()

    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-5)):
        args = (A.astype(dtype), X.astype(dtype))
        vs = (rng(5).normal(size=A.shape).astype(dtype), V.astype(dtype))
        u = rng(6).normal(size=4).astype(dtype)
        theirs, their_vs = tuple(map(torch.tensor, args)), tuple(map(torch.tensor, vs))
        y, pullback = mg.vjp(f, *args)
        their_y, their_pullback = torch.func.vjp(f, *theirs)
        pairs = [(y, their_y), *zip(pullback(u), their_pullback(torch.tensor(u)), strict=True)]
        pairs += [*zip(mg.jvp(f, args, vs), torch.func.jvp(f, theirs, their_vs), strict=True)]
        pairs += [*zip(mg.jacobian(f, *args), torch.func.jacrev(f, argnums=(0, 1))(*theirs), strict=True)]
        _, products = torch.func.jvp(torch.func.grad(total, argnums=(0, 1)), theirs, their_vs)
        pairs += [*zip(mg.hvp(total, args, vs), products, strict=True)]
        assert len(pairs) == 9
        for got, expected in pairs:
            assert got.dtype == dtype
            scale = float(expected.abs().max())
            close(mg.interop.values(got) / scale, expected.numpy() / scale, tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept(dtype):
    """Also where the direction or the upstream gradient is given as float64 or as a list."""
    x = X.astype(dtype)
    a = A.astype(dtype)

    def f(x):
        return (a @ x).tanh()

    y, pullback = mg.vjp(f, x)
    results = [y, pullback(np.ones(4)), pullback([1, 2, 3, 4]), *mg.jvp(f, x, V), mg.jacobian(f, x)]
    results += [mg.hvp(lambda x: f(x).sum(), x, [1, 2, 3]), *mg.value_and_grad(lambda x: f(x).sum())(x)]
    assert {r.dtype for r in results} == {np.dtype(dtype)}


# ---------------------------------------------------------------- structures


def product(parts):
    (a, b), c = parts
    return (a * b * c).sum()


def test_lists_and_tuples():
    """Gradients and directions have the structure of the argument, which f gets as it was given."""
    xs = [(Tensor(2.0), np.array([1.0, 3.0])), 4.0]
    value, found = mg.value_and_grad(product)(xs)
    assert value.item() == 32
    assert isinstance(found, list) and isinstance(found[0], tuple)
    close(found[0][0], 16.0)
    close(found[0][1], [8.0, 8.0])
    close(found[1], 8.0)
    found = mg.hvp(product, xs, [(1.0, [0.0, 0.0]), 0.0])
    close(found[0][0], 0.0)
    close(found[0][1], [4.0, 4.0])
    close(found[1], 4.0)
    assert mg.jvp(product, xs, [(0.0, [1.0, 0.0]), 1.0])[1] == 8 + 8
    J = mg.jacobian(lambda ab: ab[0] * ab[1], [np.ones(2), np.ones((2, 1))])
    assert [j.shape for j in J] == [(2, 2, 2), (2, 2, 2, 1)]


def test_tuple_holds_arguments_and_list_of_numbers_is_an_array():
    assert mg.jvp(lambda a, b: a * b, (3.0, 4.0), (1.0, 10.0))[1] == 34
    assert [float(g) for g in mg.hvp(lambda a, b: a * b, (3.0, 4.0), (1.0, 10.0))] == [10, 1]
    assert [float(g) for g in mg.hvp(lambda a: a**3, (3.0,), (1.0,))] == [18]
    close(mg.jvp(lambda x: x**2, [1.0, 2.0], [1.0, 1.0])[1], [2.0, 4.0])
    close(mg.jacobian(lambda x: x.sum(), [[1, 2], [3, 4]]), np.ones((2, 2)))  # integers become float64, as in Tensor


def test_layer_stands_for_its_parameters():
    """Curvature of a network's loss in its parameters, against differences of its gradients."""
    r = rng(7)
    model = layers.Sequential(layers.Dense(3, 2, rng=r), layers.Sigmoid(), layers.Dense(2, 1, rng=r))
    x, y = r.normal(size=(5, 3)), r.normal(size=(5, 1))

    def loss(model):
        return losses.mean_squared_error(y, model(x))

    value, found = mg.value_and_grad(loss)(model)
    loss(model).backward()
    assert value.item() == loss(model).item()
    for g, p in zip(found, model.parameters(), strict=True):
        np.testing.assert_array_equal(g, p.grad)
    v = [r.normal(size=p.shape) for p in model.parameters()]
    products = mg.hvp(loss, model, v)
    before = [p.data.copy() for p in model.parameters()]
    moved = []
    for step in (1e-5, -1e-5):
        for p, b, d in zip(model.parameters(), before, v, strict=True):
            p.data = b + step * d
        moved.append(mg.value_and_grad(loss)(model)[1])
    for product_, up, down in zip(products, *moved, strict=True):
        close(product_, (up - down) / 2e-5, 1e-7)
    slope = sum(np.sum(g * d) for g, d in zip(found, v, strict=True))
    for p, b in zip(model.parameters(), before, strict=True):
        p.data = b
    close(mg.jvp(loss, model, v)[1], slope, 1e-12)


def test_arguments_that_are_not_floating_point_are_constants():
    """Labels, indices, strings and None reach f as they are; their gradient is None."""
    labels, seen = np.array([0, 1]), []

    def loss(z, labels, index, mode, nothing, reduction):
        seen.extend([labels, index, mode, nothing, reduction])
        return losses.cross_entropy(labels, z, reduction=reduction)

    z = np.array([[1.0, 2.0], [3.0, 4.0]])
    _, found = mg.value_and_grad(loss)(z, labels, 2, "mode", None, reduction="mean")
    assert seen[0] is labels and seen[1:] == [2, "mode", None, "mean"]
    assert found[1:] == (None,) * 4
    expected = Tensor(z, requires_grad=True)
    losses.cross_entropy(labels, expected).backward()
    np.testing.assert_array_equal(found[0], expected.grad)


def test_value_and_grad_keeps_name_and_docstring():
    wrapped = mg.value_and_grad(energy)
    assert wrapped.__name__ == "energy" and wrapped.__wrapped__ is energy


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_without_elements(shape):
    x = np.zeros(shape, np.float32)
    y, pullback = mg.vjp(lambda x: x.exp(), x)
    assert y.shape == pullback(np.zeros(shape)).shape == mg.jvp(lambda x: x.exp(), x, x)[1].shape == shape
    assert mg.hvp(lambda x: x.exp().sum(), x, x).shape == shape
    assert mg.jacobian(lambda x: x.exp(), x).shape == shape * 2
    assert mg.jacobian(lambda x: x.exp(), x).dtype == np.float32
    close(mg.jacobian(lambda x: x.sum(), x), np.ones(shape))


CONSTANT = Tensor([1.0, 2.0])
OUTSIDE = Tensor([1.0, 2.0], requires_grad=True)


@pytest.mark.parametrize(
    "f",
    [lambda x: CONSTANT, lambda x: OUTSIDE, lambda x: OUTSIDE * 2, lambda x: x.detach()],
    ids=["constant", "leaf", "computed", "detached"],
)
def test_result_that_does_not_depend_on_the_argument(f):
    """Zeros, of the right shapes and dtypes, whether the result has a graph of its own or none."""
    x = np.array([3.0, 4.0], np.float32)
    y, pullback = mg.vjp(f, x)
    _, tangent = mg.jvp(f, x, x)
    found = [pullback(np.ones(2)), mg.hvp(lambda x: f(x).sum(), x, x), mg.value_and_grad(lambda x: f(x).sum())(x)[1]]
    for zeros in found:
        assert zeros.dtype == np.float32
        close(zeros, np.zeros(2))
    close(mg.jacobian(f, x), np.zeros((2, 2)))
    close(tangent, np.zeros(2))
    assert tangent.dtype == y.dtype
    assert mg.vjp(f, x, create_graph=True)[1](np.ones(2)).shape == (2,)
    for linear in (lambda x: x.sum(), lambda x: (2 * x).sum()):
        close(mg.hvp(linear, x, x), np.zeros(2))


def test_functions_that_return_their_argument_or_a_parameter():
    x = np.array([3.0, 4.0])
    close(mg.jacobian(lambda x: x, x), np.eye(2))
    close(mg.jvp(lambda x: x, x, V[:2])[1], V[:2])
    layer = layers.Dense(2, 2, rng=rng())
    close(mg.vjp(lambda layer: layer.weight, layer)[1](np.ones((2, 2)))[0], np.ones((2, 2)))


# ---------------------------------------------------------------- what they leave alone


def test_grad_and_arguments_are_left_alone():
    """.grad of arguments, of parameters and of tensors in closures; values; and no graph remains that was not asked for."""
    x = Tensor(X, requires_grad=True)
    layer = layers.Dense(3, 2, rng=rng())
    x.grad, layer.weight.grad = np.full(3, 7.0), np.full(layer.weight.shape, 8.0)

    def f(x):
        return layer(x.reshape(1, 3)).tanh()

    y, pullback = mg.vjp(f, x)
    results = [y, pullback(np.ones((1, 2))), *mg.jvp(f, x, V), mg.jacobian(f, x), mg.hvp(lambda x: f(x).sum(), x, V)]
    results += mg.value_and_grad(lambda x: f(x).sum())(x)
    results += mg.value_and_grad(lambda layer: layer(X.reshape(1, 3)).sum())(layer)[1]
    assert not any(r.requires_grad for r in results if isinstance(r, Tensor))
    assert (x.grad == 7).all() and (layer.weight.grad == 8).all() and layer.bias.grad is None
    np.testing.assert_array_equal(x.data, X)


def test_graph_of_the_surrounding_code_stays_usable():
    """f may use computed tensors from outside: their graph is not consumed."""
    x = Tensor(X, requires_grad=True)
    features = x.exp()
    loss = (features * features).sum()
    mg.hvp(lambda v: (features * v**2).sum(), V, V)
    mg.value_and_grad(lambda v: (features * v).sum())(V)
    assert mg.value_and_grad(lambda v: loss)(V)[1].tolist() == [0, 0, 0]
    loss.backward()
    close(x.grad, 2 * np.exp(2 * X))


def test_memory_is_freed_without_the_garbage_collector():
    with no_collector():
        mg.hvp(energy, X, V)
        mg.jvp(curved, X, V)
        mg.jacobian(curved, X)
        _, pullback = mg.vjp(curved, X)
        pullback(np.ones(4))
        del pullback
        mg.jacobian(lambda x: mg.vjp(energy, x)[1](), X)


def test_argument_and_closure_are_two_variables():
    """d/dy (x + y) at y = x is 1: the tensor in the closure is a constant ("perturbation confusion" otherwise)."""
    x = Tensor(3.0, requires_grad=True)
    assert mg.vjp(lambda y: x * y, x)[1](1.0) == 3
    assert mg.jvp(lambda y: x * y, x, 1.0)[1] == 3

    def outer(x):
        return x * mg.value_and_grad(lambda y: x * y**2)(x)[1]  # x · 2xy at y = x

    value, slope = mg.value_and_grad(outer)(3.0)
    assert (value.item(), slope) == (54, 54)  # 2x³ and 6x²
    assert [float(g) for g in mg.vjp(lambda a, b: a * b, x, x)[1](10.0)] == [30, 30]


# ---------------------------------------------------------------- nested

NESTED = {
    "jacobian of grad": lambda: mg.jacobian(gradient, X),
    "jacobian of value_and_grad": lambda: mg.jacobian(lambda x: mg.value_and_grad(energy)(x)[1], X),
    "jacobian of pullback": lambda: mg.jacobian(lambda x: mg.vjp(energy, x)[1](), X),
    "jvp of pullback": lambda: np.array([mg.jvp(lambda x: mg.vjp(energy, x)[1](), X, v)[1] for v in np.eye(3)]),
    "pullback of pullback": lambda: np.array([mg.vjp(lambda x: mg.vjp(energy, x)[1](), X)[1](v) for v in np.eye(3)]),
    "jacobian of jvp": lambda: np.array([mg.jacobian(lambda x, v=v: mg.jvp(energy, x, v)[1], X) for v in np.eye(3)]),
    "jacobian of jacobian": lambda: mg.jacobian(lambda x: mg.jacobian(energy, x), X),
    "hvp": lambda: np.array([mg.hvp(energy, X, v) for v in np.eye(3)]),
    "backward through pullback": lambda: np.array([through_backward(v) for v in np.eye(3)]),
}


def through_backward(v):
    x = Tensor(X, requires_grad=True)
    (mg.vjp(energy, x, create_graph=True)[1]() * v).sum().backward()
    return x.grad


@pytest.mark.parametrize("way", NESTED)
def test_hessian_by_every_way(way):
    """Nine compositions of the transforms compute one symmetric matrix."""
    expected = numeric_jacobian(lambda x: mg.value_and_grad(energy)(x)[1], X)
    close(NESTED[way](), expected, 1e-6)


def test_third_derivatives():
    """hvp of a function with a gradient inside, and hvp inside another derivative."""

    def third(x):  # of Σ exp(2x): 8 exp(2x) on the diagonal
        return mg.hvp(lambda x: (2 * x).exp().sum(), x, np.ones(3)).sum()

    close(mg.value_and_grad(third)(X)[1], 8 * np.exp(2 * X))
    squared_slope = mg.hvp(lambda x: (mg.grad(x.exp().sum(), x, create_graph=True) ** 2).sum(), X, V)
    close(squared_slope, 4 * np.exp(2 * X) * V)
    pulled = mg.hvp(lambda x: (mg.vjp(lambda x: x**3, x)[1](V)).sum(), X, np.ones(3))
    close(pulled, 6 * V)  # 3x² v, twice more


def test_second_order_in_what_a_pullback_or_direction_is_given():
    """vᵀJ is linear in v, and Jv in v: their derivatives in v are J and its transpose."""
    J = mg.jacobian(curved, X)
    close(mg.jacobian(lambda u: mg.vjp(curved, X)[1](u), np.ones(4)), J.T)
    close(mg.jacobian(lambda v: mg.jvp(curved, X, v)[1], V), J)
    close(mg.jacobian(lambda v: mg.hvp(energy, X, v), V), mg.jacobian(gradient, X))


def test_parameters_in_a_closure_get_gradients_with_create_graph():
    """A gradient penalty: the loss contains the slope of a layer in its input, and is differentiated in its weights."""
    layer = layers.Dense(3, 1, rng=rng())
    _, slope = mg.value_and_grad(lambda x: layer(x).exp().sum(), create_graph=True)(X.reshape(1, 3))
    (slope**2).sum().backward()
    got = layer.weight.grad.copy()

    def penalty(weight):
        return np.sum((np.exp(X @ weight.T + layer.bias.data) * weight) ** 2)

    shape = layer.weight.shape
    close(got, numeric_jacobian(penalty, layer.weight.data).reshape(shape), 1e-6)


def test_results_are_tensors_where_they_are_differentiated():
    with differentiable():
        assert mg.vjp(lambda x: x**2, 3.0)[1]().requires_grad
    assert not isinstance(mg.vjp(lambda x: x**2, 3.0)[1](), Tensor)
    assert mg.jacobian(lambda x: x**2, X, create_graph=True).requires_grad
    with pytest.raises(ZeroDivisionError):
        mg.vjp(lambda x: 1 // 0, 3.0)
    assert not isinstance(mg.vjp(lambda x: x**2, 3.0)[1](), Tensor)  # an error in f ends the nesting


# ---------------------------------------------------------------- costs


class Passes(Observer):
    """Counts how often the operation tanh is computed, and its rule run."""

    def __init__(self):
        self.forward = self.backward = 0

    def computed(self, op, operands, result):
        self.forward += op.name == "tensor_tanh"

    def contributed(self, node, position, g, contribution):
        self.backward += node.op.name == "tensor_tanh"


@pytest.mark.parametrize(
    ("transform", "backward"),
    [
        (lambda f: mg.value_and_grad(lambda x: f(x).sum())(X), 1),
        (lambda f: mg.vjp(f, X), 0),
        (lambda f: mg.vjp(f, X)[1](V), 1),
        (lambda f: mg.jvp(f, X, V), 1),
        (lambda f: mg.hvp(lambda x: f(x).sum(), X, V), 2),
        (lambda f: mg.jacobian(f, X), 3),
    ],
    ids=["value_and_grad", "vjp", "pullback", "jvp", "hvp", "jacobian"],
)
def test_costs_are_as_stated(transform, backward):
    """One forward pass; the tanh of it is differentiated once in each backward pass that runs through the forward graph.

    The second pass of jvp runs through the graph of the first alone; the second of hvp through both.
    """
    with observing(Passes()) as passes:
        transform(lambda x: x.tanh())
    assert (passes.forward, passes.backward) == (1, backward)


def test_jvp_does_not_repeat_the_backward_pass():
    """Its second pass stays within the graph of the first: its length does not depend on the depth before u."""
    with counting_rules() as rules:
        mg.jvp(lambda x: x.exp(), X, V)
    assert rules.ran["tensor_exp"] == 1


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mg.vjp(lambda x: 3.0, X), TypeError, "vjp: f returned float, not a tensor"),
        (lambda: mg.jacobian(lambda x: x.data, X), TypeError, "jacobian: f returned ndarray"),
        (lambda: mg.hvp(lambda x: mg.grad((x**2).sum(), x).sum(), X, V), TypeError, "create_graph=True"),
        (lambda: mg.vjp(curved, X)[1](V), ValueError, r"vjp: v has shape \(3,\), and the result \(4,\)"),
        (lambda: mg.vjp(curved, X)[1](), ValueError, r"vjp: f returned shape \(4,\).* pass v"),
        (lambda: mg.jvp(curved, X, V[:2]), ValueError, r"jvp: the direction has shape \(2,\), and its argument \(3,\)"),
        (lambda: mg.hvp(energy, X, 1.0), ValueError, r"hvp: the direction has shape \(\)"),
        (lambda: mg.hvp(curved, X, V), ValueError, r"hvp: f returned shape \(4,\).* \.sum\(\)"),
        (lambda: mg.value_and_grad(curved)(X), ValueError, r"value_and_grad: f returned shape \(4,\)"),
        (lambda: mg.jvp(lambda a, b: a, (X, X), V), ValueError, "jvp: one ndarray for 2 tensors"),
        (lambda: mg.jvp(lambda a, b: a, (X, X), (V,)), ValueError, "jvp: 1 directions for 2 tensors"),
        (lambda: mg.value_and_grad(energy)(3), TypeError, "no argument to differentiate .* floating-point"),
        (lambda: mg.vjp(lambda: Tensor(1.0)), TypeError, "no argument to differentiate"),
        (lambda: mg.jacobian(energy, "x"), TypeError, "Tensor: data of dtype"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_errors_say_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_no_grad_around_a_transform_is_an_error():
    """Zeros would be the silent alternative."""
    for call in (lambda: mg.vjp(curved, X), lambda: mg.hvp(energy, X, V), lambda: mg.value_and_grad(energy)(X)):
        with mg.no_grad(), pytest.raises(RuntimeError, match=r"inside no_grad\(\)"):
            call()
