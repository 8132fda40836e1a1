"""Layers: parameters found, trained and saved; each layer against its formula by hand."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.layers import BaseLayer, Dense, Dropout, LeakyReLU, ReLU, Sequential, Sigmoid, SkipConnection


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class Nest(BaseLayer):
    """Parameters and layers wherever an author may put them."""

    def __init__(self):
        self.scale = Tensor(2.0, requires_grad=True)
        self.constant = Tensor(3.0)
        self.number, self.text, self.array, self.nothing = 3, "abc", np.ones(2), None
        self.inner = Dense(3, 2, rng=0)
        self.blocks = [Dense(2, 2, bias=False, rng=1), ReLU(), (Dense(2, 2, rng=2),)]
        self.heads = {
            "a": Dense(2, 1, rng=3),
            "b": [Tensor([1.0], requires_grad=True)],
            7: Tensor(1.0, requires_grad=True),
        }


NAMES = ["scale", "inner.weight", "inner.bias", "blocks.0.weight", "blocks.2.0.weight", "blocks.2.0.bias"]
NAMES += ["heads.a.weight", "heads.a.bias", "heads.b.0", "heads.7"]


# ---------------------------------------------------------------- parameters


def test_parameters_are_found_through_nesting():
    """A parameter that is not found is not trained, and nobody notices."""
    nest = Nest()
    assert [name for name, _ in nest.named_parameters()] == NAMES
    found = nest.parameters()
    assert found[0] is nest.scale and found[1] is nest.inner.weight and found[-1] is nest.heads[7]
    assert len(found) == len(NAMES) and len(nest.inner.parameters()) == 2


def test_a_parameter_is_one_that_requires_a_gradient():
    """Constants and computed tensors are no parameters."""
    layer = BaseLayer()
    layer.a, layer.b = Tensor(1.0), Tensor(1.0, requires_grad=True) * 2
    assert layer.parameters() == []


def test_shared_parameters_are_found_once():
    """A step of twice the size."""
    dense = Dense(2, 2, rng=0)
    tied = Sequential(dense, ReLU(), dense)
    tied.again = dense.weight
    assert len(tied.parameters()) == 2
    before = dense.weight.data.copy()
    tied(Tensor(np.ones((1, 2)))).sum().backward()
    gradient = dense.weight.grad.copy()
    tied.sgd_step(0.5)
    np.testing.assert_allclose(dense.weight.data, before - 0.5 * gradient, rtol=1e-15)


def test_layers_that_contain_themselves():
    """Endless recursion in parameters, train, state_dict or repr."""
    a, b = Dense(1, 1, rng=0), Dense(2, 1, rng=1)
    a.me, a.other, b.others = a, b, [b, a]
    assert len(a.parameters()) == len(b.parameters()) == 4
    a.eval()
    assert not a.training and not b.training
    assert len(a.state_dict()) == 4
    assert repr(a).startswith("Dense(1, 1)")


def test_train_and_eval_reach_every_layer():
    nest = Nest()
    inside = [nest, nest.inner, *nest.blocks[:2], nest.blocks[2][0], nest.heads["a"]]
    assert all(layer.training is True for layer in inside)
    assert nest.eval() is nest and all(layer.training is False for layer in inside)
    assert nest.train() is nest and all(layer.training is True for layer in inside)
    assert Dense(1, 1).training  # a class attribute set by one would change all


# ---------------------------------------------------------------- training


def test_zero_grad():
    nest = Nest()
    for p in nest.parameters():
        (p * p).sum().backward()
    assert all(p.grad is not None for p in nest.parameters())
    nest.zero_grad()
    assert all(p.grad is None for p in nest.parameters())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sgd_step_by_hand(dtype, rng):
    """p ← p − η ∂L/∂p, in place; what the loss did not depend on stays; the dtype too."""
    x, y = rng.normal(size=(5, 3)).astype(dtype), rng.normal(size=(5, 2)).astype(dtype)
    layer = Dense(3, 2, rng=0, dtype=dtype)
    layer.unused = Tensor([1.0], requires_grad=True)
    W, b = layer.weight.data.copy(), layer.bias.data.copy()
    memory = layer.weight.data
    mg.losses.mean_squared_error(y, layer(x)).backward()
    layer.sgd_step(0.1)
    error = 2 / y.size * (x @ W.T + b - y)
    tolerance = 1e-5 if dtype is np.float32 else 1e-14
    np.testing.assert_allclose(layer.weight.data, W - 0.1 * error.T @ x, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(layer.bias.data, b - 0.1 * error.sum(0), rtol=tolerance, atol=tolerance)
    assert layer.weight.data is memory and layer.weight.dtype == dtype
    assert layer.unused.data.tolist() == [1]


def test_sgd_step_leaves_the_array_it_was_made_of_alone():
    given = np.array([1.0, 2.0])
    layer = BaseLayer()
    layer.w = Tensor(given, requires_grad=True)
    layer.number = Tensor(3.0, requires_grad=True)
    (layer.w * layer.number).sum().backward()
    layer.sgd_step(np.float64(0.5))
    assert given.tolist() == [1, 2] and layer.w.data.tolist() == [-0.5, 0.5] and layer.number.item() == 1.5
    layer.zero_grad()
    with pytest.raises(RuntimeError, match="^sgd_step: no parameter has a gradient"):
        layer.sgd_step(0.5)


def test_sgd_step_after_create_graph():
    """Then the gradients are tensors."""
    layer = BaseLayer()
    layer.w = Tensor([1.0, 2.0], requires_grad=True)
    (layer.w * layer.w).sum().backward(create_graph=True)
    layer.sgd_step(0.5)
    assert layer.w.data.tolist() == [0, 0] and type(layer.w.data) is np.ndarray
    layer.zero_grad()


def test_training_lowers_the_loss(rng):
    x = rng.normal(size=(50, 2))
    y = (x[:, :1] * x[:, 1:] > 0) * 1.0
    model = Sequential(Dense(2, 8, rng=1), LeakyReLU(), Dense(8, 1, rng=2))
    heights = []
    for _ in range(300):
        loss = mg.losses.binary_cross_entropy_with_logits(y, model(x))
        model.zero_grad()
        loss.backward()
        model.sgd_step(0.5)
        heights.append(loss.item())
    assert heights[0] > 0.6 and heights[-1] < 0.2


# ---------------------------------------------------------------- saving


def test_state_survives_a_file(tmp_path):
    """Names that a file cannot hold, a dtype lost, or arrays that the layer goes on changing."""
    one, other = Nest(), Nest()
    for p in one.parameters():
        p.data += 1
    state = one.state_dict()
    assert list(state) == NAMES
    np.savez(tmp_path / "model.npz", **state)
    with np.load(tmp_path / "model.npz") as file:
        other.load_state_dict(file)
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
        assert p.dtype == q.dtype and p.shape == q.shape and not np.shares_memory(p.data, q.data)
    other.load_state_dict(state)
    for p in [*one.parameters(), *other.parameters()]:
        p.data += 100
    assert state["scale"] == 3 and state["heads.b.0"] == 2


def test_state_is_loaded_in_the_layers_dtype():
    layer = Dense(3, 2, dtype=np.float32)
    layer.load_state_dict({"weight": np.ones((2, 3)), "bias": [1, 2]})
    assert layer.weight.dtype == layer.bias.dtype == np.float32 and layer.bias.data.tolist() == [1, 2]
    assert layer.weight.requires_grad


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.pop("bias"), KeyError, r"missing \['bias'\], unknown \[\]"),
        (lambda s: s.update(extra=np.ones(1)), KeyError, r"unknown \['extra'\]"),
        (lambda s: s.update(bias=np.ones(3)), ValueError, r"bias has shape \(2,\); the state holds \(3,\)"),
        (lambda s: s.update(bias=1.0), ValueError, r"bias has shape \(2,\)"),
        (lambda s: s.update(bias=["a", "b"]), ValueError, "."),
    ],
    ids=["missing", "unknown", "shape", "broadcastable", "text"],
)
def test_a_state_that_does_not_fit_changes_nothing(change, error, message):
    layer = Dense(3, 2, rng=0)
    before = layer.state_dict()
    state = {"weight": np.ones((2, 3)), "bias": np.ones(2)}
    change(state)
    with pytest.raises(error, match=message):
        layer.load_state_dict(state)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


# ---------------------------------------------------------------- display


def test_repr():
    model = Sequential(
        Dense(2, 3, bias=False), ReLU(), SkipConnection(Dense(3, 3)), Dropout(0.25), LeakyReLU(0.1), Sigmoid()
    )
    assert repr(model).splitlines() == [
        "Sequential()  # 18 parameters",
        "  0: Dense(2, 3, bias=False)  # 6 parameters",
        "  1: ReLU()",
        "  2: SkipConnection()  # 12 parameters",
        "    layer: Dense(3, 3)  # 12 parameters",
        "  3: Dropout(p=0.25)",
        "  4: LeakyReLU(alpha=0.1)",
        "  5: Sigmoid()",
    ]
    assert repr(Dense(1, 1, bias=False)) == "Dense(1, 1, bias=False)  # 1 parameter"
    assert repr(Dense(1000, 1)).endswith("# 1,001 parameters")


# ---------------------------------------------------------------- dense


@pytest.mark.parametrize("shape", [(5, 3), (3,), (2, 5, 3), (0, 3), (1, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_dense_by_hand(shape, bias, rng):
    """Y = X Wᵀ + b; ∂L/∂W = Gᵀ X, ∂L/∂b = Σ G, ∂L/∂X = G W."""
    layer = Dense(3, 2, bias, rng=0)
    W, b = layer.weight.data, rng.normal(size=2) if bias else 0
    if bias:
        layer.bias.data = b
    x = Tensor(rng.normal(size=shape), requires_grad=True)
    y = layer(x)
    np.testing.assert_allclose(y.data, np.einsum("...i,oi->...o", x.data, W) + b, rtol=1e-12, atol=1e-13)
    g = rng.normal(size=y.shape)
    y.backward(g)
    np.testing.assert_allclose(x.grad, g @ W, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(layer.weight.grad, g.reshape(-1, 2).T @ x.data.reshape(-1, 3), rtol=1e-12, atol=1e-13)
    if bias:
        np.testing.assert_allclose(layer.bias.grad, g.reshape(-1, 2).sum(0), rtol=1e-12, atol=1e-13)
    assert layer.weight.shape == (2, 3) and len(layer.parameters()) == 1 + bias
    np.testing.assert_allclose(layer(x.data).data, y.data)


def test_dense_starts_as_glorot_says():
    """Weights of the wrong scale: signals that fade or explode from layer to layer."""
    for d_in, d_out in [(300, 200), (50, 900)]:
        layer = Dense(d_in, d_out, rng=0)
        bound, w = np.sqrt(6 / (d_in + d_out)), layer.weight.data
        assert np.all(np.abs(w) <= bound) and np.max(np.abs(w)) > 0.999 * bound
        assert w.var() == pytest.approx(bound**2 / 3, rel=0.02) and abs(w.mean()) < 0.02 * bound
        assert not layer.bias.data.any() and layer.bias.shape == (d_out,)


def test_dense_is_seedable():
    np.testing.assert_array_equal(Dense(3, 2, rng=5).weight.data, Dense(3, 2, rng=5).weight.data)
    assert np.any(Dense(3, 2, rng=5).weight.data != Dense(3, 2, rng=6).weight.data)
    assert np.any(Dense(3, 2).weight.data != Dense(3, 2).weight.data)
    rng = np.random.default_rng(5)
    first, second = Dense(3, 2, rng=rng), Dense(3, 2, rng=rng)
    np.testing.assert_array_equal(first.weight.data, Dense(3, 2, rng=5).weight.data)
    assert np.any(first.weight.data != second.weight.data)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (-1, 2)])
def test_dense_refuses_sizes_below_1(sizes):
    with pytest.raises(ValueError, match=r"^Dense: sizes .* at least 1"):
        Dense(*sizes)
    assert Dense(1, 1).weight.shape == (1, 1)


# ---------------------------------------------------------------- activations


@pytest.mark.parametrize(
    ("layer", "f"),
    [
        (ReLU(), lambda x: np.where(x > 0, x, 0)),
        (Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
        (LeakyReLU(), lambda x: np.where(x > 0, x, 0.01 * x)),
        (LeakyReLU(0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
    ],
    ids=["relu", "sigmoid", "leaky", "leaky 0.3"],
)
def test_activations(layer, f, rng):
    x = rng.normal(size=(5, 3))
    np.testing.assert_allclose(layer(Tensor(x)).data, f(x), rtol=1e-14)
    np.testing.assert_allclose(layer(x), f(x), rtol=1e-14)
    assert layer.parameters() == []


# ---------------------------------------------------------------- dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_keeps_the_expectation(p):
    """Scaled by 1/(1 − p), dropped with probability p, not 1 − p."""
    x = np.full(100_000, 3.0)
    y = Dropout(p, rng=0)(Tensor(x)).data
    kept = y != 0
    assert kept.mean() == pytest.approx(1 - p, abs=0.01)
    np.testing.assert_allclose(y[kept], 3 / (1 - p), rtol=1e-15)
    assert y.mean() == pytest.approx(3, rel=0.03)


def test_dropout_uses_one_mask_for_both_passes():
    """A mask drawn again on the way back."""
    x = Tensor(np.full(1000, 2.0), requires_grad=True)
    layer = Dropout(0.5, rng=0)
    y = layer(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data / x.data)
    assert np.any(layer(x).data != y.data)  # and a new one for the next call


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0, 0.0, 0.5, 1, 1.0])
def test_dropout_at_its_ends_and_in_use(p, dtype):
    """p = 1 divides by zero; in use nothing is dropped; float32 stays."""
    x = Tensor(np.arange(1.0, 7.0).reshape(2, 3), requires_grad=True, dtype=dtype)
    layer = Dropout(p, rng=0)
    y = layer(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype and y.shape == x.shape
    if p in (0, 1):
        np.testing.assert_array_equal(y.data, x.data * (1 - p))
        np.testing.assert_array_equal(x.grad, np.full((2, 3), 1 - p))
    for plain in (x.data, x):
        np.testing.assert_array_equal(mg.interop.values(layer.eval()(plain)), x.data)
    layer.train()
    if p:
        assert np.any(layer(x).data != x.data)


def test_dropout_is_seedable():
    x = Tensor(np.ones(100))
    np.testing.assert_array_equal(Dropout(0.5, rng=1)(x).data, Dropout(0.5, rng=1)(x).data)
    np.testing.assert_array_equal(Dropout(0.5, rng=np.random.default_rng(1))(x).data, Dropout(0.5, rng=1)(x).data)
    assert np.any(Dropout(0.5, rng=1)(x).data != Dropout(0.5, rng=2)(x).data)
    assert Dropout().p == 0.5 and type(Dropout(rng=0)(np.ones(3))) is np.ndarray


# ---------------------------------------------------------------- skip connection and sequence


def test_skip_connection_has_two_paths(rng):
    """The gradient of the path around, ∂L/∂Y, is added to that of the path through."""
    inner = Dense(3, 3, rng=0)
    x = Tensor(rng.normal(size=(5, 3)), requires_grad=True)
    g = rng.normal(size=(5, 3))
    y = SkipConnection(inner)(x)
    np.testing.assert_allclose(y.data, x.data @ inner.weight.data.T + x.data, rtol=1e-13)
    y.backward(g)
    np.testing.assert_allclose(x.grad, g @ inner.weight.data + g, rtol=1e-13)
    assert len(SkipConnection(inner).parameters()) == 2


def test_skip_connection_refuses_another_shape():
    """A column would be broadcast against the input."""
    with pytest.raises(ValueError, match=r"SkipConnection: the layer made \(5, 1\) of \(5, 3\)"):
        SkipConnection(Dense(3, 1))(Tensor(np.ones((5, 3))))


def test_sequential_applies_in_order(rng):
    first, second = Dense(3, 2, rng=0), Dense(2, 5, rng=1)
    x = rng.normal(size=(7, 3))
    expected = np.maximum(x @ first.weight.data.T, 0) @ second.weight.data.T
    model = Sequential(first, ReLU(), second)
    np.testing.assert_allclose(model(x).data, expected, rtol=1e-13, atol=1e-15)
    assert [name for name, _ in model.named_parameters()][:2] == ["layers.0.weight", "layers.0.bias"]
    t = Tensor(x)
    assert Sequential()(t) is t
    assert len(model) == 3 and model[0] is first and model[-1] is second


def test_a_layer_passes_several_inputs_on():
    class Sum(BaseLayer):
        def forward(self, a, b):
            return a + b

    assert Sum()(Tensor(1.0), 2.0).item() == 3


# ---------------------------------------------------------------- gradients


LAYERS = {
    "dense": Dense(3, 2, rng=0),
    "dense without bias": Dense(3, 2, bias=False, rng=0),
    "relu": ReLU(),
    "leaky": LeakyReLU(0.2),
    "sigmoid": Sigmoid(),
    "dropout": Dropout(0.5, rng=0).eval(),
    "skip": SkipConnection(Dense(3, 3, rng=1)),
    "sequence": Sequential(
        Dense(3, 5, rng=2), Sigmoid(), SkipConnection(Sequential(Dense(5, 5, rng=3), LeakyReLU())), Dense(5, 1, rng=4)
    ),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_gradients_of_layers(layer, rng):
    """In the input, and in every parameter: moving it where it stands moves the output."""
    x = rng.normal(size=(2, 3))
    mg.gradcheck(layer, Tensor(x, requires_grad=True), second=True)
    upstream = rng.normal(size=layer(Tensor(x)).shape)
    for p in layer.parameters():
        p.zero_grad()
        layer(x).backward(upstream)
        for index in np.ndindex(p.shape):
            heights = []
            for h in (1e-6, -1e-6):
                p.data[index] += h
                heights.append(np.sum(layer(x).data * upstream))
                p.data[index] -= h
            assert p.grad[index] == pytest.approx((heights[0] - heights[1]) / 2e-6, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_keep_float32(name, rng):
    x = Tensor(rng.normal(size=(2, 3)), requires_grad=True, dtype=np.float32)
    layer = LAYERS[name]
    if not layer.parameters():
        assert layer(x).dtype == np.float32
    model = Sequential(
        Dense(3, 3, rng=0, dtype=np.float32), Dropout(0.5, rng=0), LeakyReLU(0.1), SkipConnection(Sigmoid())
    )
    y = model(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32 and all(p.grad.dtype == np.float32 for p in model.parameters())
