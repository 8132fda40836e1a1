"""Einsum and the further operations at the edges, where a row of primitive_rows.py does not reach."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor

DRAWN = range(60)


@pytest.mark.parametrize("seed", DRAWN)
def test_einsum_of_drawn_subscripts(seed):
    """A combination of diagonals, sums, broadcasts and orders that no row lists: NumPy's value, and the slope."""
    rng = np.random.default_rng(seed)
    sizes = dict(zip("ijkl", (2, 3, 2, 1), strict=True))
    inputs = ["".join(rng.choice(list("ijkl"), rng.integers(0, 4))) for _ in range(rng.integers(1, 4))]
    used = sorted(set("".join(inputs)))
    output = "".join(rng.permutation(used)[: rng.integers(0, len(used) + 1)]) if used else ""
    subscripts = ",".join(inputs) + ("->" + output if seed % 3 else "")
    arrays = [np.asarray(rng.uniform(-1, 1, [sizes[i] for i in letters])) for letters in inputs]
    leaves = [Tensor(x, requires_grad=True) for x in arrays]
    y = mg.tensor_einsum(subscripts, *leaves)
    np.testing.assert_allclose(y.data, np.einsum(subscripts, *arrays), rtol=1e-12, atol=1e-13)
    mg.gradcheck(lambda *x: mg.tensor_einsum(subscripts, *x), *leaves, second=True)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk", [(2, 3)]),
        ("ij", [(2,)]),
        ("ij,jk", [(2, 3), (2, 3)]),
        ("ij->ik", [(2, 3)]),
        ("ij->ii", [(2, 3)]),
        ("i1", [(2, 3)]),
        ("...ij", [(2,)]),
    ],
)
def test_einsum_refuses_what_does_not_fit(subscripts, shapes):
    """A wrong shape must not be broadcast silently, nor end in an error of the engine's inside."""
    with pytest.raises(ValueError, match="^tensor_einsum: .*Give"):
        mg.tensor_einsum(subscripts, *(np.ones(shape) for shape in shapes))


@pytest.mark.parametrize("zeros", [(), (0,), (0, 2)])
def test_product_with_zeros(zeros):
    """y / x would be NaN at a zero; with two zeros the second derivative is all that is left."""
    x = np.array([1.5, -2.0, 0.5, 3.0])
    x[list(zeros)] = 0
    mg.gradcheck(mg.tensor_prod, Tensor(x, requires_grad=True), second=True)
    t = Tensor(x, requires_grad=True)
    t.prod().backward()
    np.testing.assert_allclose(t.grad, [np.prod(np.delete(x, i)) for i in range(4)])


@pytest.mark.parametrize("f", [mg.tensor_norm, mg.tensor_std], ids=lambda f: f.__name__)
def test_norm_at_zero_has_gradient_zero(f):
    """0 / 0 made NaN of every parameter behind it; the second derivative must be finite too."""
    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    g = mg.grad(f(x, axis=1).sum(), x, create_graph=True)
    assert not g.data.any()
    assert np.isfinite(mg.grad((g * g).sum(), x)).all()


@pytest.mark.parametrize("name", ["sin", "cos", "tan", "log1p", "expm1", "softmax", "log_softmax", "logsumexp", "norm"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, bool])
def test_integers_give_float64(name, dtype):
    """NumPy computes the sine of an int8 in float16: two digits."""
    x = np.array([0, 1, 1], dtype)
    f = getattr(mg, f"tensor_{name}")
    assert f(Tensor(x)).dtype == np.float64
    np.testing.assert_array_equal(f(Tensor(x)).data, f(Tensor(x.astype(np.float64))).data)


@pytest.mark.parametrize("name", ["norm", "var", "std", "cumsum", "softmax", "logsumexp"])
def test_float16_is_accumulated_wider(name):
    """Sums of float16 stop growing at 2048, and squares overflow at 256."""
    x = np.full(5000, 0.5, np.float16)
    x[::2] = 1
    f = getattr(mg, f"tensor_{name}")
    y, exact = f(Tensor(x)), f(Tensor(x.astype(np.float64)))
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.data.astype(float), exact.data, rtol=1e-3, atol=1e-7)


def test_triangles_and_padding_stop_infinite_gradients():
    """0 · ∞: what is cut away passes back 0, whatever comes from above."""
    for f in (mg.tensor_tril, mg.tensor_triu):
        x = Tensor(np.ones((3, 3)), requires_grad=True)
        f(x).backward(np.where(f(np.ones((3, 3))), 1.0, np.inf))
        np.testing.assert_array_equal(x.grad, f(np.ones((3, 3))))


def test_softmax_family_at_the_extremes():
    """Overflow, and −∞ − (−∞)."""
    for x in ([1e4, -1e4, 0.0], [-np.inf, 0.0, -np.inf]):
        t = Tensor(x, requires_grad=True)
        for f in (mg.tensor_softmax, mg.tensor_log_softmax, mg.tensor_logsumexp):
            g = mg.grad(f(t)[1] if f is not mg.tensor_logsumexp else f(t), t)
            assert np.isfinite(g).all() and not np.isnan(f(t).data).any()
    t = Tensor([-np.inf, -np.inf], requires_grad=True)
    y = mg.tensor_logsumexp(t)
    y.backward()
    assert y.item() == -np.inf and t.grad.tolist() == [0, 0]


def test_int_and_plus():
    """int(t) of a leaf is its value, yet assignment into an array of integers must not lose a gradient."""
    x = Tensor(3.7, requires_grad=True)
    assert int(x) == 3 and int(Tensor([5])) == 5 and (+x).requires_grad and mg.grad(+x, x) == 1
    for a in (np.zeros(2, int), np.zeros(2)):
        with pytest.raises((TypeError, ValueError)) as raised:  # NumPy makes a ValueError of it
            a[0] = x
        assert "tensor_stack" in f"{raised.value} {raised.value.__cause__}" and not a.any()
    with pytest.raises(ValueError, match="^item: shape"):
        int(Tensor([1.0, 2.0]))


def test_windows_that_do_not_fit_are_refused():
    for size, stride in ((4, 1), (0, 1), (2, 0), ((2, 2), 1), ((1,), (1, 1))):
        with pytest.raises(ValueError, match="windows of size"):
            mg.tensor_windows(Tensor(np.ones(3)), size, stride)
