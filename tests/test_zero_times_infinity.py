"""A unit that is off passes back 0, whatever comes from above; and NaN is passed on, never turned into 0."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg

OFF = {
    "relu": (lambda x: mg.relu_tensor(x), [-1.0, 0.0]),
    "leaky relu, alpha 0": (lambda x: mg.leaky_relu_tensor(x, 0.0), [-1.0, 0.0]),
    "abs": (lambda x: mg.tensor_abs(x), [0.0]),
    "clip": (lambda x: mg.tensor_clip(x, 0.0, 1.0), [-1.0, 2.0]),
    "where": (lambda x: mg.tensor_where(x > 0, x, 0.0), [-1.0, 0.0]),
    "maximum": (lambda x: mg.tensor_maximum(x, 0.5), [-1.0, 0.0]),
    "minimum": (lambda x: mg.tensor_minimum(x, -5.0), [-1.0, 0.0]),
    "max": (lambda x: mg.tensor_max(mg.tensor_concat([x, np.array([9.0])])), [-1.0, 0.0]),
    "min": (lambda x: mg.tensor_min(mg.tensor_concat([x, np.array([-9.0])])), [-1.0, 0.0]),
    "index": (lambda x: mg.tensor_concat([x, np.array([9.0])])[[-1, -1]], [-1.0, 0.0]),
    "power 0": (lambda x: x**0, [-1.0, 0.0, 2.0]),
    "power 0 of a tensor": (lambda x: x ** np.zeros(x.shape), [-1.0, 0.0, 2.0]),
}


@pytest.mark.parametrize("size", [1, 2000], ids=["few", "many"])
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("upstream", [np.inf, -np.inf, np.nan, 1e308])
@pytest.mark.parametrize("name", OFF)
def test_what_is_off_passes_back_zero(name, upstream, create_graph, size):
    """0 · ∞ is NaN, and one NaN makes every parameter below it NaN in one step; large arrays take a path of their own."""
    f, points = OFF[name]
    x = mg.Tensor(np.repeat(points, size), requires_grad=True)
    with np.errstate(all="ignore"):
        y = f(x)
        g = mg.grad(y, x, gradient=np.full(y.shape, upstream), create_graph=create_graph)
    np.testing.assert_array_equal(mg.interop.values(g), np.zeros(x.shape))


@pytest.mark.parametrize("upstream", [np.inf, -np.inf, 1e308])
def test_the_gradient_of_an_exponent_at_base_zero(upstream):
    """0^p is constantly 0 for p > 0, whatever comes from above."""
    p = mg.Tensor([2.0, 0.5], requires_grad=True)
    with np.errstate(all="ignore"):
        (mg.Tensor([0.0, 0.0]) ** p).backward([upstream, upstream])
    assert p.grad.tolist() == [0, 0]


def test_the_root_of_a_relu_that_is_off():
    """It is constant around −1, so its derivative there is 0."""
    x = mg.Tensor([-1.0, 4.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        mg.tensor_sqrt(mg.relu_tensor(x)).sum().backward()
    assert x.grad.tolist() == [0, 0.25]


@pytest.mark.parametrize("alpha", [0.0, 0.1, 2.0])
def test_leaky_relu_of_infinity(alpha):
    y = mg.leaky_relu_tensor(mg.Tensor([np.inf, -np.inf]), alpha).numpy()
    assert y[0] == np.inf and (y[1] == -np.inf if alpha else y[1] == 0)


@pytest.mark.parametrize("size", [1, 2000], ids=["few", "many"])
@pytest.mark.parametrize(
    "f",
    [
        mg.relu_tensor,
        mg.tensor_abs,
        mg.tensor_max,
        mg.tensor_min,
        lambda x: mg.tensor_maximum(x, 0.0),
        lambda x: mg.tensor_minimum(0.0, x),
    ],
    ids=["relu", "abs", "max", "min", "maximum", "minimum"],
)
def test_nan_reaches_the_gradient(f, size):
    """A gradient of 0 would say that all is well while the values are NaN."""
    x = mg.Tensor(np.repeat([1.0, np.nan], size), requires_grad=True)
    with np.errstate(invalid="ignore"):
        f(x).sum().backward()
    assert np.all(np.isnan(x.grad[size:]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("swapped", [False, True])
def test_choosing_by_bits_is_choosing(dtype, swapped):
    """tensor_where computes with the bits of large arrays; each element must be one of the two, NaN and −0 included."""
    rng = np.random.default_rng(0)
    special = np.array(
        [0.0, -0.0, 1.0, -2.5, 60000.0] + ([np.inf, -np.inf, np.nan] if dtype != np.int64 else []), dtype
    )
    a, b = (rng.choice(special, (40, 50)) for _ in range(2))
    condition = rng.random((40, 50)) < 0.5
    for truth in (condition.astype(int) * 7, condition.tolist()):  # any truth
        assert mg.tensor_where(truth, a, b).tobytes() == np.where(condition, a, b).tobytes()
    other = b.astype(np.float64 if dtype != np.float64 else np.float32)
    for pair in ((a, b), (a, 0), (a, b[:1]), (a[:, :1], b), (a.T.copy().T, b), (a, other)):
        pair = pair[::-1] if swapped else pair
        got, expected = mg.tensor_where(condition, *pair), np.where(condition, *pair)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))
