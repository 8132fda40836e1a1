"""What the tests of layers share: gradients by finite differences in every parameter, and beside PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.layers import BaseLayer


def check_gradients(layer: BaseLayer, x: np.ndarray, *rest, second: bool = True) -> None:
    """First (and second) derivatives in x, and the gradient of every parameter, by finite differences."""
    mg.gradcheck(lambda t: layer(t, *rest), Tensor(x, requires_grad=True), second=second)
    upstream = np.random.default_rng(3).normal(size=layer(Tensor(x), *rest).shape)
    for p in layer.parameters():
        layer.zero_grad()
        layer(x, *rest).backward(upstream)
        for index in np.ndindex(p.shape):
            values = []
            for h in (1e-6, -1e-6):
                p.data[index] += h
                values.append(np.sum(layer(x, *rest).data * upstream))
                p.data[index] -= h
            assert p.grad[index] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6, abs=1e-7)
    layer.zero_grad()


def agree(torch, layer: BaseLayer, module, x: np.ndarray, names: dict[str, str], dtype=np.float64) -> None:
    """Values and gradients of a layer and of PyTorch's module with the same parameters; `names` pairs theirs."""
    own = dict(layer.named_parameters())
    module = module.to(torch.float32 if dtype == np.float32 else torch.float64)
    with torch.no_grad():
        for ours, theirs in names.items():
            module.get_parameter(theirs).copy_(torch.tensor(own[ours].data))
    a, b = Tensor(x, requires_grad=True, dtype=dtype), torch.tensor(x.astype(dtype), requires_grad=True)
    y, z = layer(a), module(b)
    upstream = np.random.default_rng(4).normal(size=y.shape).astype(dtype)
    y.backward(upstream)
    z.backward(torch.tensor(upstream))
    close = tolerance(dtype)
    np.testing.assert_allclose(y.data, z.detach().numpy(), **close)
    np.testing.assert_allclose(a.grad, b.grad.numpy(), **close)
    for ours, theirs in names.items():
        np.testing.assert_allclose(own[ours].grad, module.get_parameter(theirs).grad.numpy(), **close)
    assert y.dtype == a.grad.dtype == dtype and all(p.grad.dtype == dtype for p in own.values())
    layer.zero_grad()
    module.zero_grad()


def tolerance(dtype) -> dict[str, float]:
    return dict.fromkeys(("rtol", "atol"), 1e-4 if dtype == np.float32 else 1e-11)
