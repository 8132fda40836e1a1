"""The update rules of the optimisers, as functions of arrays alone: (p, g, state) to the new p and the new state.

`p` is a parameter, `g` its gradient, `state` a tuple of arrays of the same shape that start at 0; the other numbers are
Python's own, so that results keep the dtype of the arrays.  Nothing is changed in place: `optimisers.Optimiser` does that.
"""

from __future__ import annotations

import numpy as np


def sgd_update(
    p: np.ndarray,
    g: np.ndarray,
    state: tuple,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> tuple[np.ndarray, tuple]:
    """v ← μ v + g and p ← p − η v, where v, the velocity, is all of the state (Polyak 1964); without momentum v is g.

    With `nesterov` the step is η (g + μ v): the gradient after the step that the velocity alone would make (Nesterov 1983, in
    the form of Sutskever et al. 2013).  Weight decay adds λ p to g, the gradient of λ/2 ‖p‖².

    >>> p, (v,) = sgd_update(np.array(1.0), np.array(2.0), (np.array(10.0),), learning_rate=0.5, momentum=0.5)
    >>> float(p), float(v)
    (-2.5, 7.0)
    """
    g = g + weight_decay * p if weight_decay else g
    if not momentum:
        return p - learning_rate * g, state
    (v,) = state
    v = momentum * v + g
    return p - learning_rate * (g + momentum * v if nesterov else v), (v,)


def adam_update(
    p: np.ndarray,
    g: np.ndarray,
    state: tuple,
    t: int,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[np.ndarray, tuple]:
    """p ← p − η m̂ / (√v̂ + ε) at step t = 1, 2, …, for running averages m of g and v of g² (Kingma & Ba 2015).

    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) correct the bias of averages that start at 0.  Weight decay adds λ p to g.  The
    state is (m, v).

    >>> p, state = adam_update(np.array(1.0), np.array(-5.0), (0.0, 0.0), t=1, learning_rate=0.1)
    >>> round(float(p), 6)  # the first step is η, whatever the size of the gradient
    1.1
    """
    m, v = state
    g = g + weight_decay * p if weight_decay else g
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g * g)
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return p - learning_rate * m_hat / (np.sqrt(v_hat) + eps), (m, v)


def adamw_update(
    p: np.ndarray,
    g: np.ndarray,
    state: tuple,
    t: int,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> tuple[np.ndarray, tuple]:
    """p ← p − η (m̂ / (√v̂ + ε) + λ p): Adam with weight decay beside the gradient (Loshchilov & Hutter 2019).

    So the decay is not divided by √v̂, and all weights shrink at the same rate.

    >>> p, state = adamw_update(np.array(1.0), np.array(0.0), (0.0, 0.0), t=1, learning_rate=0.1, weight_decay=0.5)
    >>> round(float(p), 6)
    0.95
    """
    shrunk = p - learning_rate * weight_decay * p
    return adam_update(shrunk, g, state, t, learning_rate, beta1, beta2, eps)
