"""The limit: what somebody writes who knows NumPy and takes the derivatives by hand, one workload after another.

Numerically stable, as the library is; in place where that comes naturally, with `*=` on what is no longer needed, but
without buffers kept from step to step.  Each function takes (leaves, constants) and returns (loss, gradients).
"""

from __future__ import annotations

import numpy as np
from workloads import HEADS, Arrays, Workload


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^−x) with e = e^−|x|, which can't overflow: 1 / (1 + e) above 0, e / (1 + e) below."""
    e = np.exp(-np.abs(x))
    y = np.maximum(e, np.sign(x))
    e += 1
    y /= e
    return y


def scalar(leaves: Arrays, constants: Arrays) -> tuple[float, Arrays]:
    x, y = leaves
    t = 2.0 * x + x * y
    g = 2.0 * t
    return t * t, [g * 2.0 + g * y, g * x]


def elementwise(leaves: Arrays, constants: Arrays) -> tuple[float, Arrays]:
    x, c = leaves
    s = sigmoid(x * c + x)
    e = np.exp(s - x * 0.1)
    c1 = c + 1.0
    d = e / c1
    log = np.log(d)
    m = np.abs(log) ** 2 - 0.01
    e2 = np.exp(-0.5 * np.maximum(m, 0))
    u = e2 + c
    above = u > 0
    loss = np.add.reduce(np.where(above, u, 0.01 * u), axis=None) / (2.0 * u.size)

    gc = np.where(above, 0.5 / u.size, 0.005 / u.size)  # into u, and so into c and e2
    g = gc * e2
    g *= -0.5
    g *= m > 0
    g *= 2 * log  # ∂|log d|² = 2 log d · ∂(log d)
    g /= d
    g /= c1  # into e
    gc -= g * d
    g *= e  # into s − 0.1 x
    gx = g * -0.1
    g *= s
    g *= 1 - s  # into x c + x
    gc += g * x
    gx += g
    g *= c
    gx += g
    return loss, [gx, gc]


def mlp(leaves: Arrays, constants: Arrays) -> tuple[float, Arrays]:
    x, y = constants
    *hidden, last = layers = list(zip(leaves[::2], leaves[1::2], strict=True))
    inputs = [x]
    for w, b in hidden:
        a = inputs[-1] @ w.T
        a += b
        np.maximum(a, 0, out=a)
        inputs.append(a)
    z = inputs[-1] @ last[0].T
    z += last[1]

    e = 1 + np.exp(-np.abs(z))
    losses = np.log(e)  # max(z, 0) − z y + log(1 + e^−|z|)
    losses += np.maximum(z, 0)
    losses -= z * y
    loss = np.add.reduce(losses, axis=None) / z.size
    g = np.exp(np.minimum(z, 0))
    g /= e
    g -= y  # sigmoid(z) − y, over the number of elements
    g /= z.size

    gradients = []
    while layers:
        (w, _), x = layers.pop(), inputs.pop()
        gradients += [np.add.reduce(g, axis=0), g.T @ x]
        if layers:
            g = g @ w
            g *= x > 0
    return loss, gradients[::-1]


def recurrent(leaves: Arrays, constants: Arrays) -> tuple[float, Arrays]:
    w, u = leaves
    h, *inputs = constants
    states = [h]
    for x in inputs:
        z = h @ w
        z += x @ u
        h = sigmoid(z)
        states.append(h)
    loss = np.add.reduce(h * h, axis=None) / h.size

    gw, gu = np.zeros_like(w), np.zeros_like(u)
    g = h * (2 / h.size)
    for i in range(len(inputs) - 1, -1, -1):
        h = states.pop()
        g *= h
        g *= 1 - h
        gw += states[i].T @ g
        gu += inputs[i].T @ g
        if i:
            g = g @ w.T
    return loss, [gw, gu]


def chain(leaves: Arrays, constants: Arrays) -> tuple[float, Arrays]:
    (x,), n = leaves, len(constants[0])
    y = x
    for _ in range(n):
        y = y + x
    g, gx = np.float64(1), np.float64(0)
    for _ in range(n):
        gx = gx + g
    return y, [gx + g]


def broadcast(leaves: Arrays, constants: Arrays) -> tuple[float, Arrays]:
    a, b = leaves
    s = a + b
    loss = np.add.reduce(s * s, axis=None) / s.size
    s *= 2 / s.size
    return loss, [np.add.reduce(s, axis=0, keepdims=True), np.add.reduce(s, axis=1, keepdims=True)]


def attention(leaves: Arrays, constants: Arrays) -> tuple[float, Arrays]:
    (x,), (wq, wk, wv, wo) = constants, leaves
    batch, n, d = x.shape
    scale = (d // HEADS) ** -0.5
    rows = x.reshape(-1, d)
    q, k, v = ((rows @ w).reshape(batch, n, HEADS, -1).swapaxes(1, 2) for w in (wq, wk, wv))
    q *= scale
    p = q @ k.mT
    p -= np.max(p, axis=-1, keepdims=True)
    np.exp(p, out=p)
    p /= np.add.reduce(p, axis=-1, keepdims=True)
    joined = (p @ v).swapaxes(1, 2).reshape(-1, d)
    y = joined @ wo
    y += rows
    loss = np.add.reduce(y * y, axis=None) / y.size

    y *= 2 / y.size
    gwo = joined.T @ y
    g = (y @ wo.T).reshape(batch, n, HEADS, -1).swapaxes(1, 2)
    gv = p.mT @ g
    gp = g @ v.mT
    gp -= np.add.reduce(gp * p, axis=-1, keepdims=True)
    gp *= p
    gq, gk = gp @ k, gp.mT @ q
    gq *= scale
    return loss, [*(rows.T @ g.swapaxes(1, 2).reshape(-1, d) for g in (gq, gk, gv)), gwo]


def of(work: Workload):
    """The function above for a workload; what is fused elsewhere is no different here."""
    return globals()[work.loss.__name__.removesuffix("_fused")]


def differences(work: Workload, step: float = 1e-6) -> float:
    """How far the gradients are from centred differences of the loss, over the largest of each."""
    leaves, constants = work.small()
    loss = of(work)
    worst = 0.0
    for leaf, gradient in zip(leaves, loss(leaves, constants)[1], strict=True):
        expected = np.empty_like(leaf)
        for index in np.ndindex(leaf.shape):
            middle = leaf[index]
            leaf[index] = middle + step
            above = loss(leaves, constants)[0]
            leaf[index] = middle - step
            below = loss(leaves, constants)[0]
            leaf[index] = middle
            expected[index] = (above - below) / (2 * step)
        worst = max(worst, np.max(np.abs(gradient - expected)) / np.max(np.abs(expected)))
    return float(worst)
