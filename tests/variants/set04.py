"""Set 04: other right answers, by other algorithms."""

import math

import numpy as np


def sigmoid_by_tanh(G, X):
    """The slope as ¼ (1 − tanh²), which never overflows."""
    return G * (1 - np.tanh(X / 2) ** 2) / 4


def sigmoid_by_hyperbolic_cosine(G, X):
    """The slope as 1 / (2 + e^x + e^−x)."""
    return G / (2 + np.exp(X) + np.exp(-X))


def sigmoid_element_by_element(G, X):
    def slope(x):
        e = math.exp(-abs(x))
        return e / (1 + e) ** 2

    return G * np.vectorize(slope, otypes=[X.dtype])(X)


def chosen_by_mask(G, X):
    dX = np.zeros_like(X)
    open_ = X > 0
    dX[open_] = G[open_]
    return dX


def leaky_by_two_gates(G, X, alpha):
    """As in the book: G ⊙ (I₊ + α I₋)."""
    positive = (X > 0).astype(X.dtype)
    return G * (positive + alpha * (1 - positive))


def leaky_in_a_copy(G, X, alpha):
    dX = G.copy()
    dX[X <= 0] *= alpha
    return dX


def power_by_logarithm(G, A, p):
    """The derivative's size as e to the (p − 1) log |A|; the sign apart, and 0 as a limit."""
    size = np.exp((p - 1) * np.log(np.abs(A), out=np.full_like(A, -np.inf), where=A != 0)) if p != 1 else 1
    sign = np.where(A < 0, (-1.0) ** (p - 1) if p == int(p) else np.nan, 1)
    return np.nan_to_num((G * p * sign * size).astype(A.dtype)) if p != 0 else A * 0


def power_by_product(G, A, p):
    """A product of the other factors, where the exponent counts them."""
    if p in (1, 2, 3):
        return G * p * math.prod([A] * (p - 1), start=np.ones_like(A))
    return G * p * np.power(A, p - 1, out=np.zeros_like(A), where=A != 0)


def power_where_it_is_not_0(G, A, p):
    return G * p * np.where(p == 0, np.ones_like(A), A) ** (p - 1)


def sum_by_outer_product(G, X, axis):
    """G times ones along the summed axis, which is then moved to its place."""
    if axis is None:
        return G * np.ones_like(X)
    return np.moveaxis(np.multiply.outer(G, np.ones(X.shape[axis], X.dtype)), -1, axis)


def sum_by_repeating(G, X, axis):
    if axis is None:
        return np.repeat(np.asarray(G, X.dtype), X.size).reshape(X.shape)
    return np.repeat(np.expand_dims(G, axis), X.shape[axis], axis)


def sum_by_copies(G, X, axis):
    """As many copies of G as were summed, stacked."""
    return np.full(X.shape, G, X.dtype) if axis is None else np.stack([G] * X.shape[axis], axis)


def sum_by_index(G, X, axis):
    dX = np.empty_like(X)
    for index in np.ndindex(X.shape):
        dX[index] = G if axis is None else G[tuple(np.delete(index, axis))]
    return dX


def mean_of(sum_backward):
    def mean_backward(G, X, axis):
        return sum_backward(G, X, axis) / (X.size if axis is None else X.shape[axis])

    return mean_backward


def mean_by_nudging(G, X, axis):
    """Exact, since a mean is linear: the mean of X with one element raised by 1, less the mean of X."""
    dX = np.empty_like(X)
    zeros = np.zeros(X.shape)
    for index in np.ndindex(X.shape):
        zeros[index] = 1
        dX[index] = np.sum(G * zeros.mean(axis=axis))
        zeros[index] = 0
    return dX


def reshape_by_counting(G, X, shape):
    dX = np.empty_like(X)
    for index in np.ndindex(X.shape):
        n = np.ravel_multi_index(index, X.shape)
        dX[index] = G[np.unravel_index(n, G.shape)]
    return dX


def reshape_by_filling(G, X, shape):
    dX = np.zeros_like(X)
    dX.flat = G.ravel()
    return dX


def transpose_by_loop(G, X, axes):
    back = [0] * len(axes)
    for k, axis in enumerate(axes):
        back[axis] = k  # a negative one counts from the end here too
    return G.transpose(back)


def transpose_by_view(G, X, axes):
    """Writes G into a permuted view of the result."""
    dX = np.empty_like(X)
    np.transpose(dX, axes)[...] = G
    return dX


def transpose_by_search(G, X, axes):
    positive = [a % len(axes) for a in axes]
    return np.transpose(G, [positive.index(i) for i in range(len(axes))])


def transpose_by_einsum(G, X, axes):
    positive = [a % len(axes) for a in axes]
    return np.einsum(G, positive, list(range(len(axes))))


def concat_by_slices(G, A, B, axis):
    first = (slice(None),) * (axis % G.ndim)
    n = A.shape[axis]
    return G[(*first, slice(None, n))].copy(), G[(*first, slice(n, None))].copy()


def concat_by_take(G, A, B, axis):
    n, all_ = A.shape[axis], G.shape[axis]
    return G.take(range(n), axis), G.take(range(n, all_), axis)


def concat_by_moving(G, A, B, axis):
    """The joined axis first, rows cut, and back."""
    rows = np.moveaxis(G, axis, 0)
    n = A.shape[axis]
    return np.moveaxis(rows[:n], 0, axis), np.moveaxis(rows[n:], 0, axis)


def concat_by_labels(G, A, B, axis):
    """Whose each element is, found by joining labels in the same way."""
    whose = np.concatenate([np.zeros(A.shape, int), np.ones(B.shape, int)], axis)
    return G[whose == 0].reshape(A.shape), G[whose == 1].reshape(B.shape)


def stack_one_by_one(G, A, B):
    dA, dB = np.empty_like(A), np.zeros_like(B)
    for t in range(len(A)):
        dA[t] = G[t] @ B.T
        dB += A[t].T @ G[t]
    return dA, dB


def stack_laid_flat(G, A, B):
    k, m = B.shape
    return (G.reshape(-1, m) @ B.T).reshape(A.shape), A.reshape(-1, k).T @ G.reshape(-1, m)


def unbroadcast_at_once(G, shape):
    """All axes at once, and the shape put right afterwards."""
    full = (1,) * (G.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i, n in enumerate(full) if n == 1)
    return G.sum(axis=axes).reshape(shape)


def unbroadcast_by_adding(G, shape):
    """Each element of G is added where its copy came from."""
    dX = np.zeros(shape, G.dtype)
    lead = G.ndim - len(shape)
    for index in np.ndindex(G.shape):
        dX[tuple(0 if n == 1 else i for i, n in zip(index[lead:], shape, strict=True))] += G[index]
    return dX


def unbroadcast_by_numbering(G, shape):
    """Number the operand's elements, let NumPy stretch the numbers, and count with weights."""
    size = math.prod(shape)
    numbers = np.broadcast_to(np.arange(size).reshape(shape), G.shape)
    return np.bincount(numbers.ravel(), G.ravel(), size).reshape(shape).astype(G.dtype)


def unbroadcast_by_einsum(G, shape):
    lead = G.ndim - len(shape)
    kept = [i for i in range(G.ndim) if i >= lead and shape[i - lead] != 1]
    return np.einsum(G, list(range(G.ndim)), kept).reshape(shape)


VARIANTS = {
    "4.1": [
        lambda G, A, B: (G, G),
        lambda G, A, B: [G + 0, G * 1],
        lambda G, A, B: (np.copy(G), np.add(G, np.zeros_like(B))),
    ],
    "4.1b": [
        lambda G, A, B: (G + 0, 0 - G),
        lambda G, A, B: tuple(sign * G for sign in (1, -1)),
        lambda G, A, B: list(np.einsum("s,...->s...", np.array([1, -1], G.dtype), G)),
    ],
    "4.2": [
        lambda G, A, B: [np.multiply(B, G), np.multiply(A, G)],
        lambda G, A, B: (np.einsum("...,...->...", G, B), np.einsum("...,...->...", G, A)),
        lambda G, A, B: (
            (np.diag(B.ravel()) @ G.ravel()).reshape(A.shape),  # the Jacobian, written out
            (np.diag(A.ravel()) @ G.ravel()).reshape(B.shape),
        ),
        lambda G, A, B: (G * ((A + 1) * B - A * B), G * (A * (B + 1) - A * B)),  # exact: it is linear
    ],
    "4.3": [
        sigmoid_by_tanh,
        sigmoid_by_hyperbolic_cosine,
        sigmoid_element_by_element,
        lambda G, X: G * (1 / (1 + np.exp(-X))) * (1 / (1 + np.exp(X))),
    ],
    "4.4": [
        lambda G, A, c: np.multiply(G, c),
        lambda G, A, c: (np.eye(G.size, dtype=G.dtype) * c @ G.ravel()).reshape(A.shape),
        lambda G, A, c: G * (c * (A + 1) - c * A),
    ],
    "4.5": [
        lambda G, A, B: (G / B, -G * A / B**2),
        lambda G, A, B: (G * B**-1.0, -G * (A / B) / B),
        lambda G, A, B: (np.divide(G, B), G * (A * (-1 / (B * B)))),
    ],
    "4.6": [power_by_logarithm, power_by_product, power_where_it_is_not_0],
    "4.7": [sum_by_outer_product, sum_by_repeating, sum_by_copies, sum_by_index],
    "4.8": [
        mean_of(sum_by_outer_product),
        mean_of(sum_by_repeating),
        mean_by_nudging,
        lambda G, X, axis: (G if axis is None else np.expand_dims(G, axis)) * np.full_like(X, np.size(G) / X.size),
    ],
    "4.9": [
        reshape_by_counting,
        reshape_by_filling,
        lambda G, X, shape: np.reshape([g for g in G.flat], X.shape).astype(G.dtype),
        lambda G, X, shape: G.T.reshape(X.shape[::-1], order="F").T,
    ],
    "4.10": [transpose_by_loop, transpose_by_view, transpose_by_search, transpose_by_einsum],
    "4.11": [
        lambda G, A, B, axis: np.split(G, [A.shape[axis]], axis),
        concat_by_slices,
        concat_by_take,
        concat_by_moving,
        concat_by_labels,
    ],
    "4.12": [
        lambda G, A, B: (np.einsum("ij,lj->il", G, B), np.einsum("il,ij->lj", A, G)),
        lambda G, A, B: ((B @ G.T).T, (G.T @ A).T),
        lambda G, A, B: (
            sum(np.outer(G[:, j], B[:, j]) for j in range(B.shape[1])),
            sum(np.outer(A[i], G[i]) for i in range(len(A))),
        ),
    ],
    "4.12b": [
        stack_one_by_one,
        stack_laid_flat,
        lambda G, A, B: (np.einsum("tij,lj->til", G, B), np.einsum("til,tij->lj", A, G)),
        lambda G, A, B: (np.tensordot(G, B, (2, 1)), np.tensordot(A, G, ((0, 1), (0, 1)))),
    ],
    "4.13": [
        chosen_by_mask,
        lambda G, X: np.where(X > 0, G, 0),
        lambda G, X: G * np.heaviside(X, 0),
        lambda G, X: G * (np.sign(X) + np.abs(np.sign(X))) / 2,
    ],
    "4.14": [
        leaky_by_two_gates,
        leaky_in_a_copy,
        lambda G, X, alpha: alpha * G + (1 - alpha) * G * (X > 0),
        lambda G, X, alpha: np.choose(X > 0, [alpha * G, G]),
    ],
    "4.15": [unbroadcast_at_once, unbroadcast_by_adding, unbroadcast_by_numbering, unbroadcast_by_einsum],
}
