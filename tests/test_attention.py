"""Attention: by loops over queries and keys, what a mask hides, and beside PyTorch."""

import numpy as np
import pytest
from beside_torch import torch_or_skip
from layer_tools import check_gradients, tolerance

import minigrad as mg
from minigrad import Tensor
from minigrad.layers import (
    Attention,
    MultiHeadAttention,
    attention_weights,
    causal_mask,
    scaled_dot_product_attention,
)

FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def leaf(x, dtype=np.float64):
    return Tensor(x, requires_grad=True, dtype=dtype)


def by_loops(q, k, v, mask):
    """One query after another: only keys that it may see, weighted by e^(q · k / √d)."""
    out = np.zeros((len(q), v.shape[1]))
    for i, query in enumerate(q):
        seen = [j for j in range(len(k)) if mask[i, j]]
        weights = np.array([np.exp(query @ k[j] / np.sqrt(len(query))) for j in seen])
        if seen:
            out[i] = sum(w * v[j] for w, j in zip(weights / weights.sum(), seen, strict=True))
    return out


MASK = np.array([[1, 0, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1]], bool)


@pytest.mark.parametrize(
    ("mask", "causal", "seen"),
    [
        (None, False, np.ones((3, 4), bool)),
        (MASK, False, MASK),
        (None, True, np.tri(3, 4)),
        (MASK, True, MASK & np.tri(3, 4, dtype=bool)),
    ],
    ids=["all", "mask", "causal", "both"],
)
def test_attention_by_loops(mask, causal, seen):
    q, k, v = draws(3, 5), draws(4, 5, seed=1), draws(4, 2, seed=2)
    y = scaled_dot_product_attention(Tensor(q), k, v, mask, causal)
    np.testing.assert_allclose(y.data, by_loops(q, k, v, seen), rtol=1e-12, atol=1e-13)
    stacked = scaled_dot_product_attention(*(Tensor(np.stack([x, x + 1])) for x in (q, k, v)), mask, causal)
    np.testing.assert_allclose(stacked.data[0], y.data, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(stacked.data[1], by_loops(q + 1, k + 1, v + 1, seen), rtol=1e-10, atol=1e-13)
    mg.gradcheck(
        lambda a, b, c: scaled_dot_product_attention(a, b, c, mask, causal), leaf(q), leaf(k), leaf(v), second=True
    )


def test_weights_are_probabilities_and_masked_ones_exactly_0():
    """Not 1e-9 of them, which scores of −1e9 would leave in float32."""
    q, k = leaf(draws(3, 5) * 100), leaf(draws(4, 5, seed=1) * 100)
    weights = attention_weights(q, k, MASK)
    np.testing.assert_allclose(weights.data.sum(-1), 1, rtol=1e-14)
    assert not weights.data[~MASK].any()
    np.testing.assert_array_equal(attention_weights(q, k).data, attention_weights(q, k, np.ones((3, 4), bool)).data)


def test_what_is_masked_gets_no_gradient():
    """Key 1 is hidden from all but the last query: without that query its gradient is exactly 0, as is its value's."""
    q, k, v = leaf(draws(2, 5)), leaf(draws(4, 5, seed=1)), leaf(draws(4, 2, seed=2))
    scaled_dot_product_attention(q, k, v, MASK[:2]).backward(draws(2, 2, seed=3))
    assert not k.grad[1].any() and not v.grad[1].any() and k.grad[0].any() and v.grad[0].any()


@FLOATS
def test_a_query_that_sees_nothing_gets_0(dtype):
    """Softmax over no scores is 0 / 0: one padded row would make the whole gradient NaN."""
    mask = MASK.copy()
    mask[1] = False
    q, k, v = leaf(draws(3, 5), dtype), leaf(draws(4, 5, seed=1), dtype), leaf(draws(4, 2, seed=2), dtype)
    y = scaled_dot_product_attention(q, k, v, mask)
    y.backward(draws(3, 2, seed=3).astype(dtype))
    assert y.data[1].tolist() == [0, 0] and y.data[0].any() and y.dtype == dtype
    assert q.grad[1].tolist() == [0] * 5 and q.grad[0].any()
    assert all(np.all(np.isfinite(x.grad)) for x in (q, k, v))


def test_a_mask_that_changes_before_the_backward_pass():
    """The mask's buffer may be filled anew for the next batch."""
    gradients = []
    for change in (False, True):
        mask, q, k = MASK.copy(), leaf(draws(3, 5)), draws(4, 5, seed=1)
        y = scaled_dot_product_attention(q, k, draws(4, 2, seed=2), mask)
        mask[:] = mask[:] & (not change)
        y.backward(np.ones((3, 2)) * [1, 2])
        gradients.append(q.grad)
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (np.ones((3, 4)), TypeError, "a mask of dtype float64; give booleans"),
        (np.ones((4, 3), bool), ValueError, r"a mask of shape \(4, 3\) for weights of shape \(3, 4\)"),
        (np.ones((2, 3, 4), bool), ValueError, "a mask of shape"),
    ],
    ids=["floats", "transposed", "larger"],
)
def test_masks_are_booleans_of_the_shape_of_the_weights(mask, error, message):
    """An additive mask of 0 and −∞ read as booleans would be upside down."""
    with pytest.raises(error, match=f"^attention: {message}"):
        attention_weights(Tensor(draws(3, 5)), draws(4, 5), mask)


def test_causal_mask():
    assert causal_mask(2, 3).tolist() == [[True, False, False], [True, True, False]] and causal_mask(4).dtype == bool


# ---------------------------------------------------------------- layers


@pytest.mark.parametrize("causal", [False, True])
def test_one_head(causal):
    """Keys and values of the context; the queries of x."""
    layer = Attention(4, 3, causal, rng=0)
    x, context = draws(5, 4), draws(6, 4, seed=1)
    project = [lambda a, dense=dense: a @ dense.weight.data.T for dense in (layer.query, layer.key, layer.value)]
    q, k, v = (f(a) for f, a in zip(project, (x, context, context), strict=True))
    seen = np.tri(5, 6) if causal else np.ones((5, 6))
    np.testing.assert_allclose(layer(x, context).data, by_loops(q, k, v, seen), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(layer(x).data, layer(x, x).data)
    check_gradients(Attention(2, 2, causal, rng=0), draws(2, 3, 2), second=False)


def test_heads_see_their_own_features():
    """Two heads are two attentions side by side: a reshape without the exchange of axes mixes rows with heads."""
    layer, x = MultiHeadAttention(6, 2, causal=True, bias=False, rng=0), draws(2, 5, 6)
    halves = []
    for half in (slice(0, 3), slice(3, 6)):
        q, k, v = (x @ dense.weight.data[half].T for dense in (layer.query, layer.key, layer.value))
        halves.append(np.stack([by_loops(*rows, np.tri(5)) for rows in zip(q, k, v, strict=True)]))
    expected = np.concatenate(halves, -1) @ layer.output.weight.data.T
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(layer(x[0]).data, layer(x).data[0], rtol=1e-11, atol=1e-13)
    check_gradients(MultiHeadAttention(4, 2, rng=0), draws(2, 3, 4), second=False)


def test_a_mask_for_each_example_is_the_same_for_all_heads():
    """With as many heads as examples, a mask (examples, n, m) would broadcast as one for each head."""
    layer, x = MultiHeadAttention(4, 2, rng=0), draws(2, 3, 4)
    mask = np.ones((2, 3, 3), bool)
    mask[1, :, 2] = False
    y = layer(x, mask=mask).data
    np.testing.assert_allclose(y[0], layer(x[0]).data, rtol=1e-12)
    np.testing.assert_allclose(y[1], layer(x[1], mask=mask[1]).data, rtol=1e-12)
    assert np.any(y[1] != layer(x[1]).data)


@pytest.mark.parametrize("heads", [0, -1, 4])
def test_heads_divide_the_size(heads):
    with pytest.raises(ValueError, match=f"^MultiHeadAttention: {heads} heads for 6 features"):
        MultiHeadAttention(6, heads)


def test_repr():
    assert repr(MultiHeadAttention(4, 2, causal=True)).startswith("MultiHeadAttention(4, heads=2, causal=True)  # 80")
    assert repr(Attention(4, 3)).startswith("Attention(4, 3)  # 45 parameters")


def test_a_picture_tells_the_weights_apart():
    """Eight leaves called W and b, of which nothing says which is which."""
    layer = MultiHeadAttention(4, 2, rng=0)
    assert [p.name for p in layer.parameters()] == ["WQ", "bQ", "WK", "bK", "WV", "bV", "WO", "bO"]


# ---------------------------------------------------------------- beside PyTorch


@FLOATS
@pytest.mark.parametrize("causal", [False, True])
def test_attention_equals_torch(causal, dtype):
    """F.scaled_dot_product_attention, with masks and without, a row that sees nothing included."""
    torch = torch_or_skip()
    blind = MASK.copy()
    blind[1] = False
    for mask in [None, MASK, blind] if not causal else [None]:
        arrays = [draws(2, 3, 5), draws(2, 4, 5, seed=1), draws(2, 4, 2, seed=2)]
        ours = [leaf(x, dtype) for x in arrays]
        theirs = [torch.tensor(x.astype(dtype), requires_grad=True) for x in arrays]
        y = scaled_dot_product_attention(*ours, mask, causal)
        z = torch.nn.functional.scaled_dot_product_attention(
            *theirs, None if mask is None else torch.tensor(mask), is_causal=causal
        )
        g = draws(2, 3, 2, seed=3).astype(dtype)
        y.backward(g)
        z.backward(torch.tensor(g))
        np.testing.assert_allclose(y.data, z.detach().numpy(), **tolerance(dtype))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.grad, b.grad.numpy(), **tolerance(dtype))


@FLOATS
@pytest.mark.parametrize("causal", [False, True])
def test_heads_equal_torch(causal, dtype):
    """nn.MultiheadAttention with the same weights: values, and gradients of input and weights."""
    torch = torch_or_skip()
    layer = MultiHeadAttention(6, 3, causal, rng=0, dtype=dtype)
    rng = np.random.default_rng(2)
    for p in layer.parameters():
        p.data += rng.uniform(0, 0.5, p.shape)
    module = torch.nn.MultiheadAttention(6, 3, batch_first=True, dtype=torch.tensor(np.zeros(1, dtype)).dtype)
    parts = (layer.query, layer.key, layer.value)
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.tensor(np.concatenate([dense.weight.data for dense in parts])))
        module.in_proj_bias.copy_(torch.tensor(np.concatenate([dense.bias.data for dense in parts])))
        module.out_proj.weight.copy_(torch.tensor(layer.output.weight.data))
        module.out_proj.bias.copy_(torch.tensor(layer.output.bias.data))
    x, g = draws(2, 5, 6).astype(dtype), draws(2, 5, 6, seed=1).astype(dtype)
    a, b = leaf(x, dtype), torch.tensor(x, requires_grad=True)
    hidden = torch.tensor(~causal_mask(5)) if causal else None  # PyTorch marks here what may not be seen
    y, (z, _) = layer(a), module(b, b, b, attn_mask=hidden)
    y.backward(g)
    z.backward(torch.tensor(g))
    np.testing.assert_allclose(y.data, z.detach().numpy(), **tolerance(dtype))
    np.testing.assert_allclose(a.grad, b.grad.numpy(), **tolerance(dtype))
    for which in ("weight", "bias"):
        joined = np.concatenate([getattr(dense, which).grad for dense in parts])
        np.testing.assert_allclose(joined, getattr(module, f"in_proj_{which}").grad.numpy(), **tolerance(dtype))
        np.testing.assert_allclose(
            getattr(layer.output, which).grad, getattr(module.out_proj, which).grad.numpy(), **tolerance(dtype)
        )
