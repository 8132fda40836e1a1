"""Small dtypes: what float16 cannot count or sum by itself, integers of every kind, and what is not a real number."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import losses

HALF = np.float16
MANY = 70_000  # more than the largest float16


def halves(n: int = MANY) -> mg.Tensor:
    return mg.Tensor(np.ones(n, HALF), requires_grad=True)


# ---------------------------------------------------------------- float16


@pytest.mark.parametrize("reduce", [mg.tensor_max, mg.tensor_min, mg.tensor_mean])
@pytest.mark.parametrize("create_graph", [False, True])
def test_counts_beyond_float16(reduce, create_graph):
    """Ties and means of 70,000: a count kept in float16 is infinite, and every gradient 0 or NaN."""
    x = halves()
    y = reduce(x)
    g = mg.grad(y, x, create_graph=create_graph)
    assert y.item() == 1 and y.dtype == g.dtype == HALF
    np.testing.assert_array_equal(mg.interop.values(g), np.full(MANY, HALF(1 / MANY)))


@pytest.mark.parametrize("axis", [0, 1, (0, 1), None])
@pytest.mark.parametrize("reduce", [mg.tensor_sum, mg.tensor_mean])
def test_sums_of_float16_are_accumulated_wider(reduce, axis):
    """Along the first axis NumPy adds in float16, where 2048 + 1 is 2048."""
    x = np.full((4096, 3), 0.1, HALF)
    y = reduce(mg.Tensor(x, requires_grad=True), axis=axis)
    expected = (np.sum if reduce is mg.tensor_sum else np.mean)(x.astype(np.float64), axis=axis)
    assert y.dtype == HALF
    np.testing.assert_array_equal(y.numpy(), expected.astype(HALF))


def test_gradients_summed_over_broadcast_axes_are_accumulated_wider():
    x = mg.Tensor(np.ones(3, HALF), requires_grad=True)
    (x + np.zeros((4096, 3), HALF)).backward(np.ones((4096, 3)))
    assert x.grad.tolist() == [4096] * 3


def test_a_stretched_axis_in_the_middle_is_accumulated_wider():
    """Axes that stay keep their places, with size 1."""
    x = mg.Tensor(np.ones((3, 1, 2), HALF), requires_grad=True)
    (x + np.zeros((3, 4096, 2), HALF)).backward(np.ones((3, 4096, 2)))
    assert x.grad.shape == (3, 1, 2) and np.all(x.grad == 4096)
    kept = mg.tensor_sum(x + np.zeros((3, 4096, 2), HALF), axis=1, keepdims=True)
    assert kept.shape == (3, 1, 2) and np.all(kept.data == 4096)


def test_an_element_picked_many_times_adds_up_wider():
    x = mg.Tensor(np.ones(2, HALF), requires_grad=True)
    x[np.zeros(4096, int)].sum().backward()
    assert x.grad.tolist() == [4096, 0]


@pytest.mark.parametrize("p, y", [(1e-3, 1.0), (1e-3, 0.0), (6.1e-5, 0.0), (6.1e-5, 1.0), (0.5, 0.3), (0.999, 1.0)])
def test_binary_cross_entropy_of_ordinary_probabilities_in_float16(p, y):
    """The smallest float16 is 6e-5: added to p it changes p, and the loss by 6 per cent."""
    t = mg.Tensor(np.array([p], HALF), requires_grad=True)
    loss = losses.binary_cross_entropy(np.array([y], HALF), t)
    loss.backward()
    q, label = float(t.item()), float(HALF(y))
    right = -label * np.log(q) - (1 - label) * np.log1p(-q)
    np.testing.assert_allclose(loss.item(), right, rtol=1e-3)
    np.testing.assert_allclose(t.grad, [(q - label) / (q * (1 - q))], rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_binary_cross_entropy_at_its_ends_is_finite(dtype):
    p = mg.Tensor(np.array([0, 1, 0, 1], dtype), requires_grad=True)
    loss = losses.binary_cross_entropy(np.array([0, 1, 1, 0], dtype), p, "none")
    loss.backward(np.ones(4))
    assert loss.data[:2].tolist() == [0, 0] and np.all(np.isfinite(loss.data)) and np.all(loss.data[2:] > 9)
    assert np.all(np.isfinite(p.grad)) and p.grad[2] < 0 < p.grad[3]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_binary_cross_entropy_keeps_the_dtype_of_its_predictions(dtype):
    """float16 is computed in float32 and cast back; other dtypes need no cast, and the graph holds none."""
    p = mg.Tensor(np.array([0.5], dtype), requires_grad=True)
    loss = losses.binary_cross_entropy([1], p)
    assert loss.dtype == dtype and (loss.node.op.name == "tensor_astype") == (dtype == HALF)


def test_an_impossible_event_in_float16_costs_the_logarithm_of_the_largest_number():
    """Of the smallest number whose reciprocal is finite, so that the gradient is, too."""
    p = mg.Tensor(np.array([0.0], HALF), requires_grad=True)
    loss = losses.binary_cross_entropy([1], p)
    loss.backward()
    largest = float(np.finfo(HALF).max)
    np.testing.assert_allclose([loss.item(), -p.grad[0]], [np.log(largest), largest], rtol=1e-3)


# ---------------------------------------------------------------- integers and booleans

WHOLE = [bool, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64]
FLOATING = {
    mg.sigmoid_tensor: lambda x: 1 / (1 + np.exp(-x)),
    mg.tensor_softplus: lambda x: np.log1p(np.exp(x)),
    mg.tensor_exp: np.exp,
    mg.tensor_log: np.log,
    mg.tensor_sqrt: np.sqrt,
    mg.tensor_tanh: np.tanh,
}


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize("function", FLOATING)
def test_whole_numbers_are_computed_in_float64(function, dtype):
    """−1 of an unsigned 1 is 255, and NumPy computes int8 in float16; labels and pixels come as either."""
    for x in (mg.Tensor(np.ones(2, dtype)), np.ones(2, dtype), dtype(1)):
        y = mg.interop.values(function(x))
        assert y.dtype == np.float64
        np.testing.assert_allclose(y, FLOATING[function](np.ones(np.shape(y))), rtol=1e-15)


@pytest.mark.parametrize("dtype", WHOLE)
def test_astype_to_whole_numbers_ends_the_graph(dtype):
    """It is constant wherever it has a derivative: centred differences are 0, and a gradient of 1 would train a rounding."""
    x = mg.Tensor([1.7, 2.2], requires_grad=True)
    y = x.astype(dtype)
    assert not y.requires_grad and y.dtype == dtype
    assert not mg.grad((y * 3.0 + x * 0.0).sum(), x).any()


@pytest.mark.parametrize("dtype", [complex, np.complex64, str, "U3", object, "datetime64[s]"])
def test_astype_refuses_what_is_not_a_real_number(dtype):
    for x in (mg.Tensor([1.0], requires_grad=True), mg.Tensor([1.0]), np.ones(1)):
        with pytest.raises(TypeError, match="tensor_astype: to .*real numbers"):
            mg.tensor_astype(x, dtype)
