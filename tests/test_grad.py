"""backward() and grad(): what they compute, what they leave alone, and what they refuse."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.interop import values


@pytest.fixture
def x():
    return Tensor([1.0, 2.0, 3.0], requires_grad=True)


# ---------------------------------------------------------------- backward


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_backward_starts_from_one(shape):
    x = Tensor(np.full(shape, 3.0), requires_grad=True)
    (x * x).backward()
    assert x.grad == 6 and x.grad.shape == shape


def test_backward_from_a_leaf():
    x = Tensor(3.0, requires_grad=True)
    x.backward()
    x.backward(5)
    assert x.grad == 6
    seed = np.array([1.0, 2.0])
    v = Tensor([0.0, 0.0], requires_grad=True)
    v.backward(seed)
    assert v.grad.tolist() == [1, 2] and not np.shares_memory(v.grad, seed)


@pytest.mark.parametrize("kind", [list, np.asarray, np.float32, Tensor], ids=lambda k: k.__name__)
def test_upstream_of_every_kind(x, kind):
    (x * 2).backward(kind([1, 10, 100]))
    assert x.grad.tolist() == [2, 20, 200] and x.grad.dtype == np.float64


def test_float32_gradient_from_a_float64_upstream():
    x = Tensor([1.0, 2.0], requires_grad=True, dtype=np.float32)
    (x * 2).backward(np.array([1.0, 2.0]))
    assert x.grad.dtype == np.float32


def test_retain_graph(x):
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [6, 12, 18]
    with pytest.raises(RuntimeError, match="already used"):
        y.backward()


def test_backward_with_create_graph(x):
    (x**3).sum().backward(create_graph=True)
    assert isinstance(x.grad, Tensor) and x.grad.data.tolist() == [3, 12, 27]
    first = x.grad
    x.zero_grad()
    first.sum().backward()
    assert x.grad.tolist() == [6, 12, 18]


def test_float32_and_float64_in_one_graph():
    """Gradients come back in each tensor's own dtype, with and without create_graph."""
    a, b = Tensor([1.0, 2.0], True, np.float32), Tensor([3.0, 4.0], True)
    for create_graph in (False, True):
        da, db, dm = mg.grad((a * b).sum(), [a, b, a], create_graph=create_graph)
        assert (da.dtype, db.dtype, dm.dtype) == (np.float32, np.float64, np.float32)
        assert values(da).tolist() == [3, 4] and values(db).tolist() == [1, 2]
    (a * a * b).sum().backward(create_graph=True)
    assert a.grad.dtype == np.float32 and a.grad.data.tolist() == [6, 16]


def test_a_cast_gives_the_gradient_back_in_the_dtype_that_came():
    """float64 weights in a float32 computation, and the other way round."""
    for one, other in [(np.float64, np.float32), (np.float32, np.float64)]:
        x = Tensor([1.0, 2.0], True, one)
        inner = x * 2
        y = mg.tensor_astype(inner, other)
        assert y.dtype == other
        z = (y * y).sum()
        dx, inside = mg.grad(z, [x, inner], retain_graph=True)
        assert dx.dtype == inside.dtype == one
        assert dx.tolist() == [8, 16] and inside.tolist() == [4, 8]
        z.backward()
        assert x.grad.dtype == one


# ---------------------------------------------------------------- grad


def test_grad_leaves_grad_alone(x):
    x.sum().backward()
    held = x.grad
    y = (x * x).sum()
    assert mg.grad(y, x).tolist() == [2, 4, 6]
    assert x.grad is held and held.tolist() == [1, 1, 1]


def test_grad_of_one_and_of_several(x):
    w = Tensor(2.0, requires_grad=True)
    y = (w * x).sum()
    single = mg.grad(y, x, retain_graph=True)
    assert type(single) is np.ndarray and single.tolist() == [2, 2, 2]
    for xs in ([x, w], (x, w)):
        several = mg.grad(y, xs, retain_graph=True)
        assert type(several) is list and [g.tolist() for g in several] == [[2, 2, 2], 6]
        assert all(type(g) is np.ndarray for g in several)
    assert mg.grad(y, [x, x], retain_graph=True)[1].tolist() == [2, 2, 2]
    assert mg.grad(y, [], retain_graph=True) == []


def test_grad_of_the_same_tensor_twice_shares_no_memory(x):
    a, b = mg.grad((x * x).sum(), [x, x])
    assert not np.shares_memory(a, b)


def test_grad_of_what_it_does_not_depend_on(x):
    """Zeros of its shape and dtype, with create_graph too."""
    other = Tensor(np.ones((2, 1)), True, np.float32)
    younger = x * 1
    for create_graph in (False, True):
        g, h, i = mg.grad((x * 2).sum(), [other, x, younger], create_graph=create_graph)
        assert g.shape == (2, 1) and g.dtype == np.float32 and not np.any(np.asarray(g))
        assert np.asarray(h).tolist() == [2, 2, 2] and np.asarray(i).tolist() == [0, 0, 0]
        assert isinstance(g, Tensor if create_graph else np.ndarray)


def test_grad_of_intermediates(x):
    h = x * x
    k = h + x
    y = (h * k).sum()
    dh, dk, dx, dy = mg.grad(y, [h, k, x, y])
    a = x.data
    np.testing.assert_allclose(dk, a**2)
    np.testing.assert_allclose(dh, 2 * a**2 + a)  # directly, and through k
    np.testing.assert_allclose(dx, 4 * a**3 + 3 * a**2)
    assert dy == 1 and type(dy) is np.ndarray


def test_grad_with_an_upstream(x):
    assert mg.grad(x * x, x, gradient=[1.0, 10.0, 100.0]).tolist() == [2, 40, 600]


def test_derivatives_of_any_order():
    """x⁵: 5x⁴, 20x³, 60x², 120x, 120, 0."""
    x = Tensor(2.0, requires_grad=True)
    y, found = x**5, []
    for _ in range(6):
        y = mg.grad(y, x, create_graph=True)
        found.append(y.item())
        if not y.requires_grad:
            break
    assert found[:5] == [80, 160, 240, 240, 120] and not any(found[5:])


def test_higher_derivatives_of_a_sigmoid():
    x = Tensor(np.linspace(-3, 3, 7), requires_grad=True)
    y = x.sigmoid()
    s = y.data
    first = mg.grad(y.sum(), x, create_graph=True)
    second = mg.grad(first.sum(), x, create_graph=True)
    third = mg.grad(second.sum(), x)
    np.testing.assert_allclose(first.data, s * (1 - s), rtol=1e-13)
    np.testing.assert_allclose(second.data, s * (1 - s) * (1 - 2 * s), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(third, s * (1 - s) * (1 - 6 * s + 6 * s * s), rtol=1e-11, atol=1e-14)


def test_hessian_of_a_quadratic_form():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(3, 3))
    x = Tensor(rng.normal(size=3), requires_grad=True)
    slope = mg.grad(x @ A @ x, x, create_graph=True)
    rows = [mg.grad(s, x, retain_graph=True) for s in slope]
    np.testing.assert_allclose(rows, A + A.T, rtol=1e-12)


def test_create_graph_keeps_the_graph(x):
    y = (x * x).sum()
    mg.grad(y, x, create_graph=True)
    mg.grad(y, x, retain_graph=True)
    mg.grad(y, x)
    with pytest.raises(RuntimeError, match="already used"):
        mg.grad(y, x)


# ---------------------------------------------------------------- errors


def test_an_upstream_of_the_wrong_shape(x):
    """It would be broadcast. With create_graph it may come as a tensor."""
    for gradient in ([1.0], 1.0, np.ones((3, 1)), Tensor(1.0), Tensor([1.0, 2.0])):
        for create_graph in (False, True):
            with pytest.raises(
                ValueError,
                match=r"^backward: gradient of shape .* for a tensor of shape \(3,\)\. They must be the same",
            ):
                (x * 2).backward(gradient, create_graph=create_graph)
            with pytest.raises(ValueError, match=r"gradient of shape"):
                mg.grad(x * 2, x, create_graph=create_graph, gradient=gradient)
    assert x.grad is None


def test_grad_with_respect_to_a_constant(x):
    with pytest.raises(ValueError, match=r"^grad: .*requires no gradient.*requires_grad=True"):
        mg.grad(x.sum(), [x, Tensor([1.0])])
    with pytest.raises(RuntimeError, match=r"no operand of this tensor requires a gradient"):
        mg.grad(Tensor(1.0), x)
    with pytest.raises(RuntimeError, match=r"has shape \(3,\)"):
        mg.grad(x * 2, x)


def test_an_error_changes_nothing(x):
    """A rule that fails half way must not leave half of the gradients."""

    @mg.primitive(lambda g: (_ for _ in ()).throw(ZeroDivisionError))
    def broken(a):
        return a + 0

    w = Tensor([1.0, 1.0, 1.0], requires_grad=True)
    y = (broken(x) + w * x).sum()
    with pytest.raises(ZeroDivisionError):
        y.backward()
    assert x.grad is None and w.grad is None


def test_a_constant_matrix_keeps_the_second_derivative():
    """ndarray.dot(Tensor) is no operator: NumPy would take the numbers out of the tensor and its graph with them."""
    a, x = np.arange(6.0).reshape(2, 3), Tensor(np.ones((3, 4)), requires_grad=True)
    for product in (lambda: a @ x, lambda: (x.T @ a.T).T):
        y = product()
        dx = mg.grad((y * y * y).sum(), x, create_graph=True)
        np.testing.assert_allclose(mg.grad(dx.sum(), x), 6 * a.T @ (y.data * (a @ np.ones((3, 4)))), rtol=1e-12)


def test_errors_of_grad_speak_of_grad(x):
    with pytest.raises(RuntimeError, match="^grad: no operand"):
        mg.grad(Tensor(1.0), x)
    with pytest.raises(RuntimeError, match=r"^grad: the tensor has shape \(3,\)"):
        mg.grad(x * 2, x)
    with pytest.raises(ValueError, match=r"^grad: gradient of shape \(2,\)"):
        mg.grad(x * 2, x, gradient=[1.0, 2.0])


def test_a_gradient_without_a_graph_cannot_be_differentiated(x):
    """The commonest mistake with second derivatives: create_graph was forgotten."""
    with pytest.raises(TypeError, match="^grad: y is ndarray, not a tensor.*create_graph=True"):
        mg.grad(mg.grad((x**3).sum(), x), x)
