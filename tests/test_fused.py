"""Fused operations give the values and gradients of the compositions that they replace, at every extreme."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import fused, losses

ENDS = [0.0, 1e-30, 1e-3, 0.5, 1.0, 5.0, 9.5, 10.0, 14.0, 17.0, 20.0, 37.0, 88.0, 104.0, 700.0, 746.0, 1e4, 6e4]


def ulps(a, b, dtype) -> float:
    """The largest distance of two arrays in units of the last place."""
    a, b = (np.asarray(x, np.float64) for x in (a, b))
    with np.errstate(invalid="ignore"):
        gap = np.where(a == b, 0, np.abs(a - b))
    return float(np.max(gap / np.spacing(np.maximum(np.abs(a), np.abs(b)).astype(dtype)).astype(np.float64)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("label", [0.0, 1.0, 0.1, 0.5, 0.9])
def test_the_loss_of_logits_is_the_composition(label, dtype):
    """σ(z) − y cancels where the answer is right and sure: in float32 it has lost all its digits at z = 17."""
    for z in [s * e for e in ENDS for s in (1, -1)] + ([1e30, -1e30] if dtype != np.float16 else []):
        results = []
        for loss in (losses.binary_cross_entropy_with_logits, fused.binary_cross_entropy_with_logits):
            t = mg.Tensor(np.array([z, -z, 0.25], dtype), requires_grad=True)
            y = loss(np.full(3, label, dtype), t)
            y.backward()
            results.append((y.numpy(), t.grad))
        (y1, g1), (y2, g2) = results
        assert y1.dtype == y2.dtype == g2.dtype == dtype
        assert ulps(y1, y2, dtype) <= 2 and np.array_equal(g1, g2), (z, results)


def test_the_gradient_of_a_sure_right_answer_keeps_its_digits():
    """By the series of the exact value: −σ(−z) is −e^−z there."""
    for z, dtype in ((17.0, np.float32), (30.0, np.float64), (37.0, np.float64)):
        t = mg.Tensor(np.array([z], dtype), requires_grad=True)
        fused.binary_cross_entropy_with_logits(np.ones(1, dtype), t).backward()
        np.testing.assert_allclose(t.grad, [-np.exp(-z)], rtol=1e-6)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_affine_is_the_composition(shape, dtype):
    rng = np.random.default_rng(0)
    data = [rng.normal(size=s).astype(dtype) for s in (shape, (4, 3), (4,))]
    results = []
    for f in (fused.affine, lambda x, w, b: x @ w.T + b):
        leaves = [mg.Tensor(a, requires_grad=True) for a in data]
        y = f(*leaves)
        y.backward(np.ones(y.shape))
        results.append([y.numpy(), *(t.grad for t in leaves)])
    for one, two in zip(*results, strict=True):
        assert one.dtype == two.dtype == dtype and one.shape == two.shape
        np.testing.assert_allclose(one, two, rtol=20 * np.finfo(dtype).eps, atol=20 * np.finfo(dtype).eps)


def test_shapes_that_would_stretch_are_refused():
    """A column of labels beside a row of logits, and a bias of another layer, would broadcast to something unasked for."""
    z = mg.Tensor(np.zeros((3, 1)), requires_grad=True)
    with pytest.raises(ValueError, match=r"y_true of shape \(3,\) and y_pred of shape \(3, 1\)"):
        fused.binary_cross_entropy_with_logits(np.zeros(3), z)
    with pytest.raises(ValueError, match="One number|one number"):
        fused.affine(np.ones((1, 3)), mg.Tensor(np.ones((1, 3)), requires_grad=True), np.ones((5, 4)))


@pytest.mark.parametrize("wrong", [-1.0, -1e-6, 1.001, 2.0])
def test_one_label_outside_the_unit_interval_is_refused(wrong):
    """A probability below 0 or above 1 has a loss and a gradient, too, but they mean nothing."""
    z = mg.Tensor(np.zeros(3), requires_grad=True)
    with pytest.raises(ValueError, match=r"labels lie in \[0, 1\]"):
        fused.binary_cross_entropy_with_logits(np.array([0.0, wrong, 1.0]), z)


def test_a_mean_of_float16_losses_is_summed_wider():
    """Ten thousand losses of 10 have a sum above the largest float16, but a mean of 10."""
    z = mg.Tensor(np.full(10_000, -10, np.float16), requires_grad=True)
    y = fused.binary_cross_entropy_with_logits([1] * 10_000, z)  # a list of labels will do
    assert y.value.dtype == np.float16 and y.item() == 10


def test_labels_are_rounded_to_the_dtype_of_the_logits_in_both_passes():
    """A wider upstream gradient must not bring back digits that the loss has not seen."""
    gradients = []
    for loss in (losses.binary_cross_entropy_with_logits, fused.binary_cross_entropy_with_logits):
        z = mg.Tensor(np.array([-2.197], np.float16), requires_grad=True)  # σ(z) is 0.1, rounded to float16
        (loss(np.array([0.1]), z) * np.float64(1)).backward()
        gradients.append(z.grad)
    np.testing.assert_allclose(*gradients, rtol=1e-3)
