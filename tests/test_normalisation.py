"""LayerNorm, BatchNorm, Softmax and Embedding: by their formulas, in training and at inference, and beside PyTorch."""

import numpy as np
import pytest
from beside_torch import torch_or_skip
from layer_tools import agree, check_gradients

import minigrad as mg
from minigrad import Tensor
from minigrad.layers import BatchNorm, Embedding, LayerNorm, Softmax, Tanh

FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape) * 3 + 1


def moved(layer, seed=5):
    """The layer with a scale and a shift that are not 1 and 0."""
    rng = np.random.default_rng(seed)
    for p in layer.parameters():
        p.data += rng.uniform(0.1, 1, p.shape)
    return layer


# ---------------------------------------------------------------- layer norm


@pytest.mark.parametrize(("shape", "x"), [(4, (5, 4)), ((4,), (2, 3, 4)), ((3, 4), (2, 3, 4)), (4, (4,))], ids=str)
def test_layer_norm_by_hand(shape, x):
    """Over the last axes, with the variance divided by n, not n − 1; an example does not see the others."""
    layer, x = moved(LayerNorm(shape)), draws(*x)
    axes = tuple(range(x.ndim - len(layer.weight.shape), x.ndim))
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(layer(x).data, expected * layer.weight.data + layer.bias.data, rtol=1e-12)
    np.testing.assert_array_equal(layer(x).data, layer.eval()(x).data)


def test_layer_norm_of_a_constant_row():
    """Variance 0: its square root has an infinite slope, which ε prevents."""
    x = Tensor(np.full((2, 3), 7.0), requires_grad=True)
    y = LayerNorm(3)(x)
    y.backward(np.ones((2, 3)))
    assert not y.data.any() and np.all(np.isfinite(x.grad))


def test_layer_norm_gradients():
    check_gradients(moved(LayerNorm(4)), draws(3, 4))


@pytest.mark.parametrize("shape", [(5, 3), (4, 5), (), (1,)])
def test_layer_norm_refuses_other_shapes(shape):
    """One that broadcasts would be stretched, unnoticed."""
    with pytest.raises(ValueError, match=r"^LayerNorm: x of shape .*its last sizes must be \(4,\)"):
        LayerNorm(4)(np.ones(shape))


@FLOATS
def test_layer_norm_equals_torch(dtype):
    torch = torch_or_skip()
    for shape, x in [(4, draws(5, 4)), ((3, 4), draws(2, 3, 4))]:
        agree(torch, moved(LayerNorm(shape, dtype=dtype)), torch.nn.LayerNorm(shape), x, SAME, dtype)


SAME = {"weight": "weight", "bias": "bias"}


# ---------------------------------------------------------------- batch norm


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (4, 3, 5, 2)], ids=str)
def test_batch_norm_by_hand(shape):
    """Features are on axis 1, whatever comes after; the statistics are those of all other axes."""
    layer, x = moved(BatchNorm(3)), draws(*shape)
    axes = (0, *range(2, len(shape)))
    along = (3,) + (1,) * (len(shape) - 2)
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    expected = (x - mean) / np.sqrt(variance + 1e-5) * layer.weight.data.reshape(along) + layer.bias.data.reshape(along)
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-11, atol=1e-12)
    n = x.size // 3
    np.testing.assert_allclose(layer.running_mean, 0.1 * mean.reshape(-1), rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, 0.9 + 0.1 * variance.reshape(-1) * n / (n - 1), rtol=1e-12)
    before = layer.state_dict()
    y = layer.eval()(x[:1]).data  # one example is enough at inference
    stretched = [before[name].reshape(along) for name in ("running_mean", "running_var", "weight", "bias")]
    np.testing.assert_allclose(
        y, (x[:1] - stretched[0]) / np.sqrt(stretched[1] + 1e-5) * stretched[2] + stretched[3], rtol=1e-12
    )
    assert all(np.array_equal(value, before[name]) for name, value in layer.state_dict().items())


@pytest.mark.parametrize("mode", [True, False])
def test_batch_norm_gradients(mode):
    """In training through mean and variance, at inference past them."""
    layer = moved(BatchNorm(2)).train()
    layer(draws(4, 2))
    check_gradients(layer.train(mode), draws(3, 2, seed=1))
    check_gradients(layer, draws(2, 2, 2, 2, seed=1), second=False)


def test_batch_norm_keeps_no_graph():
    """Running statistics that were tensors would hold the graphs of all batches."""
    layer = BatchNorm(2, dtype=np.float32)
    for seed in range(3):
        layer(Tensor(draws(4, 2, seed=seed), requires_grad=True))
    assert type(layer.running_mean) is np.ndarray and layer.running_var.dtype == np.float32


@pytest.mark.parametrize("shape", [(5,), (5, 4), (3, 5), (5, 4, 3), ()], ids=str)
def test_batch_norm_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"^BatchNorm: x of shape .*\(n, 3, …\).*axis 1"):
        BatchNorm(3)(np.ones(shape))


def test_batch_norm_refuses_a_batch_of_one():
    """It is its own mean: every output would be the bias, and the running variance NaN."""
    layer = BatchNorm(3)
    before = layer.state_dict()
    with pytest.raises(ValueError, match="^BatchNorm: one value of each feature has no variance"):
        layer(np.ones((1, 3)))
    assert all(np.array_equal(value, before[name]) for name, value in layer.state_dict().items())
    assert layer(np.ones((1, 3, 2))).shape == (1, 3, 2)


@FLOATS
def test_batch_norm_equals_torch(dtype):
    """In training, then the running statistics, then at inference."""
    torch = torch_or_skip()
    for shape, module in [((6, 3), torch.nn.BatchNorm1d(3)), ((4, 3, 5, 2), torch.nn.BatchNorm2d(3))]:
        layer = moved(BatchNorm(3, dtype=dtype))
        for seed in range(3):
            agree(torch, layer, module, draws(*shape, seed=seed), SAME, dtype)
        for name in layer.buffers:
            np.testing.assert_allclose(getattr(layer, name), getattr(module, name).numpy(), rtol=1e-5)
        agree(torch, layer.eval(), module.eval(), draws(*shape, seed=9), SAME, dtype)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LayerNorm(0), "^LayerNorm: shape = 0; give a whole number, at least 1"),
        (lambda: LayerNorm((3, 2.0)), "^LayerNorm: shape = 2.0"),
        (lambda: BatchNorm(0), "^BatchNorm: features = 0"),
        (lambda: BatchNorm(3, momentum=1.1), "^BatchNorm: momentum = 1.1; give a fraction from 0 .* to 1"),
        (lambda: BatchNorm(3, momentum=-0.1), "^BatchNorm: momentum = -0.1"),
        (lambda: Embedding(0, 2), "^Embedding: count = 0"),
        (lambda: Embedding(3, -1), "^Embedding: size = -1"),
    ],
)
def test_sizes_that_make_no_layer(make, message):
    """NumPy would make an empty array of them, which fails far from here."""
    with pytest.raises(ValueError, match=message):
        make()


# ---------------------------------------------------------------- softmax and tanh


def test_softmax_layer():
    """Along the axis asked for; equal for x and x + c; finite for any logits."""
    x = draws(2, 3, 4)
    for axis in (0, 1, 2, -1):
        y = Softmax(axis)(Tensor(x)).data
        np.testing.assert_allclose(y.sum(axis), 1, rtol=1e-14)
        np.testing.assert_allclose(y, np.exp(x) / np.exp(x).sum(axis, keepdims=True), rtol=1e-13)
    y = Softmax()(Tensor([[1e4, -1e4, 1e4], [-np.inf, 0.0, 0.0]])).data
    np.testing.assert_array_equal(y, [[0.5, 0, 0.5], [0, 0.5, 0.5]])
    check_gradients(Softmax(0), draws(3, 2))
    np.testing.assert_array_equal(Tanh()(Tensor(x)).data, np.tanh(x))
    check_gradients(Tanh(), draws(2, 2))


@FLOATS
def test_activations_equal_torch(dtype):
    torch = torch_or_skip()
    for layer, module in [
        (Tanh(), torch.nn.Tanh()),
        (Softmax(), torch.nn.Softmax(-1)),
        (Softmax(1), torch.nn.Softmax(1)),
    ]:
        agree(torch, layer, module, draws(2, 3, 4), {}, dtype)


# ---------------------------------------------------------------- embedding


@pytest.mark.parametrize(
    "indices", [2, [0, 2, 2], [[1, 1], [0, 2]], np.array([0, 1], np.uint8), Tensor([2, 1])], ids=str
)
def test_embedding_is_a_product_with_one_hot_rows(indices):
    """And its gradient too: a row that was looked up twice gets both."""
    layer, one_hot = Embedding(3, 4, rng=0), np.eye(3)[np.array(mg.interop.values(indices))]
    y = layer(indices)
    np.testing.assert_array_equal(y.data, one_hot @ layer.weight.data)
    g = draws(*y.shape)
    y.backward(g)
    np.testing.assert_allclose(layer.weight.grad, one_hot.reshape(-1, 3).T @ g.reshape(-1, 4), rtol=1e-12, atol=1e-12)


def test_embedding_when_the_buffer_of_indices_is_used_again():
    """The gradient would go to the rows of the next batch."""
    layer, indices = Embedding(3, 2), np.array([0, 1])
    y = layer(indices)
    indices[:] = 2
    y.backward(np.ones((2, 2)))
    assert layer.weight.grad.tolist() == [[1, 1], [1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("indices", "error"),
    [([3], IndexError), ([-1], IndexError), ([0.0], TypeError), ([True], TypeError), (["a"], TypeError)],
)
def test_embedding_refuses_what_is_no_row(indices, error):
    """−1 would be the last row."""
    with pytest.raises(error, match="^Embedding: .* from 0 to 2"):
        Embedding(3, 2)(indices)
    assert Embedding(3, 2)(np.zeros((0, 5), int)).shape == (0, 5, 2)


def test_embedding_starts_as_it_says():
    w = Embedding(300, 200, rng=0).weight.data
    assert abs(w.mean()) < 0.02 and w.std() == pytest.approx(1, rel=0.01)
    np.testing.assert_array_equal(Embedding(3, 2, rng=4).weight.data, Embedding(3, 2, rng=4).weight.data)


def test_embedding_equals_torch():
    torch = torch_or_skip()
    layer, module = Embedding(5, 3, rng=0), torch.nn.Embedding(5, 3, dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(layer.weight.data))
    indices, g = np.array([[0, 4, 4], [1, 0, 4]]), draws(2, 3, 3)
    y, z = layer(indices), module(torch.tensor(indices))
    y.backward(g)
    z.backward(torch.tensor(g))
    np.testing.assert_array_equal(y.data, z.detach().numpy())
    np.testing.assert_allclose(layer.weight.grad, module.weight.grad.numpy(), rtol=1e-13)
