"""Training compiled whole: layers, losses, optimisers and schedules, beside a twin that is trained without compiling."""

from __future__ import annotations

import numpy as np
import pytest
from compiler_tools import run_alone, same_bits

import minigrad as mg
from minigrad import layers, losses, optimisers

FLOATS = [np.float32, np.float64]

LAYERS = {
    "Dense": (lambda dtype: layers.Dense(4, 3, rng=0, dtype=dtype), (5, 4)),
    "Dense of a vector": (lambda dtype: layers.Dense(4, 3, rng=0, dtype=dtype), (4,)),
    "activations": (
        lambda dtype: layers.Sequential(
            layers.Dense(4, 6, rng=0, dtype=dtype), layers.ReLU(), layers.Tanh(), layers.LeakyReLU(0.1),
            layers.Dense(6, 3, rng=1, dtype=dtype), layers.Sigmoid(), layers.Softmax(),
        ),
        (5, 4),
    ),
    "skip": (lambda dtype: layers.SkipConnection(layers.Dense(4, 4, rng=0, dtype=dtype)), (5, 4)),
    "LayerNorm": (lambda dtype: layers.LayerNorm((3, 4), dtype=dtype), (5, 3, 4)),
    "BatchNorm": (lambda dtype: layers.BatchNorm(4, dtype=dtype), (5, 4)),
    "BatchNorm of images": (lambda dtype: layers.BatchNorm(2, momentum=0.3, dtype=dtype), (3, 2, 4, 4)),
    "Dropout": (lambda dtype: layers.Sequential(layers.Dense(4, 8, rng=0, dtype=dtype), layers.Dropout(0.4, rng=2)), (5, 4)),
    "convolutions": (
        lambda dtype: layers.Sequential(
            layers.Conv2d(2, 3, kernel_size=3, padding=1, stride=(1, 2), rng=0, dtype=dtype), layers.BatchNorm(3, dtype=dtype),
            layers.ReLU(), layers.MaxPool2d(2),
        ),
        (2, 2, 6, 8),
    ),
    "Attention": (lambda dtype: layers.Attention(4, 3, causal=True, rng=0, dtype=dtype), (2, 5, 4)),
    "MultiHeadAttention": (lambda dtype: layers.MultiHeadAttention(4, heads=2, causal=True, rng=0, dtype=dtype), (2, 5, 4)),
}  # fmt: skip


def training(make, make_optimiser=lambda p: optimisers.SGD(p, 0.1), dtype=np.float64):
    """A model, its optimiser and schedule, and its step: a function of a mini-batch."""
    model = make(dtype)
    optimiser = make_optimiser(model.parameters())
    schedule = optimisers.CosineSchedule(optimiser, steps=9)

    def step(x):
        optimiser.zero_grad()
        y = model(mg.Tensor(x))
        loss = (y * y).mean()
        loss.backward()
        norm = optimisers.clip_gradients(model.parameters(), 0.3)
        optimiser.step()
        return y, loss, norm

    return model, optimiser, schedule, step


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_train_as_their_uncompiled_twins(name, dtype):
    """Results, gradients, parameters, running statistics and random numbers, in training, at inference, and frozen in part."""
    make, shape = LAYERS[name]
    model, _, schedule, step = training(make, dtype=dtype)
    other, _, other_schedule, slow = training(make, dtype=dtype)
    fast, rng = mg.compile(step), np.random.default_rng(3)
    for i in range(8):
        x = (rng.standard_normal(shape) * (1 + i % 2)).astype(dtype)
        for m in (model, other):
            m.train(i not in (4, 5))
            m.parameters()[0].requires_grad = i != 6
        same_bits(fast(x), slow(x))
        schedule.step(), other_schedule.step()
        same_bits(model.state_dict(), other.state_dict())
        for p, q in zip(model.parameters(), other.parameters(), strict=True):
            assert (p.grad is None) == (q.grad is None)
            same_bits([] if p.grad is None else p.grad, [] if q.grad is None else q.grad)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_as_printed_source(name):
    """The source of a layer's forward and backward pass, run with NumPy alone and the layer's parameters of the moment."""
    make, shape = LAYERS[name]
    model, rng = make(np.float64).eval(), np.random.default_rng(0)
    examples = rng.standard_normal((2, *shape))
    printed = mg.program(lambda x: (model(x) ** 2).mean(), examples[0])
    for p in model.parameters():
        p.data = p.data * 1.5
    for x in examples:
        leaf = mg.Tensor(x, requires_grad=True)
        loss = (model(leaf) ** 2).mean()
        same_bits(run_alone(printed, [x]), [loss, [mg.grad(loss, leaf)]])


def integers(n, classes):
    return lambda rng: rng.integers(0, classes, n)


def probabilities(rng):
    p = rng.random((4, 3))
    return p / p.sum(axis=1, keepdims=True)


# name: (loss of labels, predictions and weights; labels; shape of the predictions; shape of the weights)
LOSSES = {
    "mean squared": (lambda y, z, w: losses.mean_squared_error(y, z), lambda rng: rng.random((4, 3)), (4, 3), ()),
    "mean absolute": (lambda y, z, w: losses.mean_absolute_error(y, z, "sum"), lambda rng: rng.random((4, 3)), (4, 3), ()),
    "binary": (
        lambda y, z, w: losses.binary_cross_entropy(y, z.sigmoid(), weight=w).sum(), integers((4, 3), 2), (4, 3), (3,),
    ),
    "binary with logits": (
        lambda y, z, w: losses.binary_cross_entropy_with_logits(y, z, weight=w, pos_weight=w * 2).sum(),
        integers((4, 3), 2), (4, 3), (3,),
    ),
    "fused binary": (lambda y, z, w: mg.fused.binary_cross_entropy_with_logits(y, z), integers(4, 2), (4,), ()),
    "hinge": (lambda y, z, w: losses.hinge(2 * y - 1, z, "none").sum(), integers(4, 2), (4,), ()),
    "classes": (lambda y, z, w: losses.cross_entropy(y, z), integers(4, 3), (4, 3), ()),
    "weighted classes": (lambda y, z, w: losses.cross_entropy(y, z, weight=w), integers(4, 3), (4, 3), (3,)),
    "ignored classes": (
        lambda y, z, w: losses.cross_entropy(y, z, "mean", w, ignore_index=1), integers(4, 3), (4, 3), (3,),
    ),
    "ignored, each": (
        lambda y, z, w: losses.cross_entropy(y, z, "none", ignore_index=1).sum(), integers(4, 3), (4, 3), (),
    ),
    "weighted probabilities": (lambda y, z, w: losses.cross_entropy(y, z, weight=w), probabilities, (4, 3), (3,)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, dtype):
    """Value, gradient and second derivative for other labels, predictions and weights than the recorded ones."""
    loss, labels, shape, weights = LOSSES[name]

    def slopes(y, z, w):
        z = mg.Tensor(z, requires_grad=True)
        value = loss(y, z, w)
        g = mg.grad(value, z, create_graph=True)
        return value, g, mg.grad((g * g).sum(), z) if g.requires_grad else None

    fast = mg.compile(slopes)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        y, z, w = labels(rng), rng.standard_normal(shape).astype(dtype), rng.random(weights).astype(dtype)
        got, expected = fast(y, z, w), slopes(y, z, w)
        assert (got[2] is None) == (expected[2] is None)
        same_bits([x for x in got if x is not None], [x for x in expected if x is not None])
        if not seed:
            printed = mg.program(lambda z, y, w: loss(y.data, z, w.data), z, y, w)
        value, gradients = run_alone(printed, [z, y, w])
        same_bits([value, gradients[0]], expected[:2])
    assert len(fast.programs) == 1


OPTIMISERS = {
    "SGD": lambda p: optimisers.SGD(p, 0.1),
    "decay": lambda p: optimisers.SGD(p, 0.1, weight_decay=0.01),
    "momentum": lambda p: optimisers.SGD(p, 0.1, momentum=0.9),
    "Nesterov": lambda p: optimisers.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: optimisers.Adam(p, 0.01, weight_decay=0.1),
    "AdamW": lambda p: optimisers.AdamW(p, 0.01),
}


class Scaled(layers.BaseLayer):
    """A number, a vector that one step in two does not use, and a matrix."""

    def __init__(self, dtype):
        rng = np.random.default_rng(0)
        self.scale = mg.Tensor(np.asarray(2.0, dtype), requires_grad=True)
        self.shift = mg.Tensor(np.ones(3, dtype), requires_grad=True)
        self.weight = mg.Tensor(rng.standard_normal((4, 3)).astype(dtype), requires_grad=True)

    def forward(self, x):
        y = self.scale * (x @ self.weight)
        return y + self.shift if self.training else y


@pytest.mark.parametrize("dtype", [np.float16, *FLOATS])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers(name, dtype):
    """Every step, state and learning rate; parameters without a gradient stay; a state loaded half-way is used."""
    model, optimiser, schedule, step = training(Scaled, OPTIMISERS[name], dtype)
    other, twin, other_schedule, slow = training(Scaled, OPTIMISERS[name], dtype)
    fast, rng = mg.compile(step), np.random.default_rng(3)
    for i in range(12):
        x = rng.standard_normal((5, 4)).astype(dtype)
        model.train(i % 2 == 0), other.train(i % 2 == 0)
        same_bits(fast(x), slow(x))
        schedule.step(), other_schedule.step()
        same_bits([model.state_dict(), optimiser.state_dict()], [other.state_dict(), twin.state_dict()])
        assert optimiser.steps == twin.steps and {type(n) for n in optimiser.steps} == {int}
        if i == 5:
            saved = [model.state_dict(), optimiser.state_dict()]
        if i == 8:
            model.load_state_dict(saved[0]), other.load_state_dict(saved[0])
            optimiser.load_state_dict(saved[1]), twin.load_state_dict(saved[1])
    assert len(fast.programs) <= 6  # in training or not, with or without a first gradient, before and after loading


def test_clipping_decides_at_each_call():
    """Recorded with small gradients, it clips large ones, and refuses infinite ones as the function itself does."""
    w = mg.Tensor(np.ones(3, np.float32), requires_grad=True)

    def slope(x):
        w.zero_grad()
        (w * x).sum().backward()
        return optimisers.clip_gradients([w], 1.0), w.grad.copy()

    fast = mg.compile(slope)
    for scale in (0.1, 30.0, 0.0, 1e-30, 0.5):
        x = scale * np.array([3, -4, 12], np.float32)
        same_bits(fast(x), slope(x))
    assert len(fast.programs) == 2  # without and with a gradient before the call
    with pytest.raises(FloatingPointError, match="infinite or NaN"):
        fast(np.array([1, np.inf, 2], np.float32))
