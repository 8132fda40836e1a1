"""Set 05: other right answers, by other algorithms."""

from functools import reduce

import numpy as np

import minigrad as mg
from minigrad import losses

sigmoid = mg.sigmoid_tensor  # of arrays too, without overflow


def by_dot_product(y, p):
    d = (p - y).reshape(-1)
    return d @ d / d.size


def element_by_element(cost):
    """The mean of `cost(label, prediction)`, with Python's own sum over single tensors."""

    def loss(y, p, *more):
        y, p = y.data.ravel(), p.reshape(-1)
        return reduce(lambda total, i: total + cost(y[i], p[i], *more), range(y.size), 0.0) / y.size

    return loss


def each_weight(x, y, a, c):
    da = dc = 0.0
    for xi, yi in zip(x, y, strict=True):
        error = 2 * (a * xi + c - yi) / len(x)
        da, dc = da + error * xi, dc + error
    return da, dc


def normal_equations(x, y, a, c):
    """The loss is a quadratic form in (a, c): its gradient is 2 (M θ − v)."""
    A = np.stack([x, np.ones_like(x)], axis=1)
    return tuple(2 / len(x) * (A.T @ A @ [a, c] - A.T @ y))


def by_minigrad(x, y, a, c):
    a, c = mg.Tensor(a, requires_grad=True), mg.Tensor(c, requires_grad=True)
    losses.mean_squared_error(y, a * x + c).backward()
    return a.grad, c.grad


def through(loss):
    """A gradient by the engine, in the place of a formula."""

    def gradient(y, p):
        t = mg.Tensor(p, requires_grad=True)
        loss(y, t).backward()
        return t.grad

    return gradient


def filled(y, p):
    gradient = np.zeros_like(p)
    for i in np.ndindex(p.shape):
        if y[i] * p[i] < 1:
            gradient[i] = -y[i] / p.size
    return gradient


def mae_filled(y, p):
    gradient = np.zeros_like(p)
    gradient[p > y] = 1 / p.size
    gradient[p < y] = -1 / p.size
    return gradient


def picked(y, z):
    """Each case by the form that is accurate in it."""
    s = np.where(y == 1, z, -z)
    out = np.empty_like(s)
    high = s > 0
    out[high] = np.log1p(np.exp(-s[high]))
    out[~high] = -s[~high] + np.log1p(np.exp(s[~high]))
    return out


def huber_by_subtraction(y, p, delta):
    """The parabola, less what it has too much beyond delta."""
    d = abs(y - p)
    return (d**2 / 2 - (d - delta).relu() ** 2 / 2).mean()


def huber_by_cut(y, p, delta):
    d = abs(y - p)
    near = mg.tensor_minimum(d, delta)
    return (near * (d - near / 2)).mean()


def huber_by_mask(y, p, delta):
    d = p - y
    near = abs(d).data <= delta
    return (near * d**2 * 0.5 + ~near * (delta * abs(d) - 0.5 * delta**2)).mean()


def huber_of_one(y, p, delta):
    d = abs(p - y)
    return d**2 / 2 if d.item() <= delta else delta * (d - delta / 2)


VARIANTS = {
    "5.1": [
        losses.mean_squared_error,
        by_dot_product,
        lambda y, p: (y * y - 2 * y * p + p * p).mean(),
        element_by_element(lambda y, p: (p - y) ** 2),
    ],
    "5.2": [each_weight, normal_equations, by_minigrad],
    "5.3": [
        lambda y, p: np.ldexp(p - y, 1) / np.size(y),
        through(losses.mean_squared_error),
        lambda y, p: np.array([2 / p.size * (b - a) for a, b in zip(y.flat, p.flat, strict=True)], p.dtype).reshape(
            p.shape
        ),
    ],
    "5.4": [
        losses.mean_absolute_error,
        lambda y, p: ((y - p).relu() + (p - y).relu()).mean(),
        lambda y, p: np.maximum(y - p, p - y).sum() / p.size,
        lambda y, p: (np.sign(y.data - p.data) * (y - p)).mean(),
    ],
    "5.4b": [
        through(losses.mean_absolute_error),
        mae_filled,
        lambda y, p: ((p > y).astype(p.dtype) - (p < y)) / p.size,
        lambda y, p: np.clip((p - y) * 1e30, -1, 1) / p.size,
    ],
    "5.4c": [
        losses.binary_cross_entropy,
        lambda y, p: -mg.tensor_log(y * p + (1 - y) * (1 - p)).mean(),
        lambda y, p: -mg.tensor_where(y == 1, p.log(), (1 - p).log()).mean(),
        lambda y, p: (1 - y - p).abs().log().mean() * -1,
        lambda y, p: losses.binary_cross_entropy_with_logits(y, p.log() - (1 - p).log()),
    ],
    "5.4d": [
        lambda y, p: (-y / p + (1 - y) / (1 - p)) / p.size,
        lambda y, p: np.where(y == 1, -1 / p, 1 / (1 - p)) / p.size,
        lambda y, p: 1 / (1 - y - p) / p.size,
        through(losses.binary_cross_entropy),
    ],
    "5.4e": [
        losses.hinge,
        lambda y, p: mg.tensor_where(y * p < 1, 1 - y * p, 0.0).mean(),
        lambda y, p: (
            ((y * p).data < 1) @ (1 - y * p) / p.size if p.ndim == 1 else (((y * p).data < 1) * (1 - y * p)).mean()
        ),
        element_by_element(lambda y, p: (1 - y * p).relu()),
    ],
    "5.4f": [
        lambda y, p: -y * (y * p < 1) / p.size,
        filled,
        lambda y, p: -y * np.heaviside(1 - y * p, 0).astype(p.dtype) / p.size,
        through(losses.hinge),
    ],
    "5.5": [
        lambda y, z: np.logaddexp(0, z - 2 * y * z),
        lambda y, z: np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z))),
        lambda y, z: y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z),
        picked,
        lambda y, z: losses.binary_cross_entropy_with_logits(y, z, reduction="none").data,
    ],
    "5.6": [
        lambda y, z: (0.5 * (1 + np.tanh(z / 2)) - y) / z.size,
        lambda y, z: (sigmoid(z) - y) / z.size,
        lambda y, z: np.where(y == 1, -sigmoid(-z), sigmoid(z)) / z.size,
        lambda y, z: (np.exp(-np.logaddexp(0, -z)) - y).astype(z.dtype) / z.size,
        through(losses.binary_cross_entropy_with_logits),
    ],
    "5.7": [
        huber_by_subtraction,
        huber_by_cut,
        huber_by_mask,
        element_by_element(huber_of_one),
    ],
}
