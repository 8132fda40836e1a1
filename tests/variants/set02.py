"""Set 02: other right answers, by other algorithms."""

from itertools import product

import numpy as np

# ---------------------------------------------------------------- 2.3


def error_in_a_loop(a, b, floor):
    result = np.empty(a.shape)
    for k in np.ndindex(a.shape):
        size = max(abs(a[k]), abs(b[k]), floor)
        result[k] = abs(a[k] - b[k]) / size
    return result


def error_by_root_and_sorting(a, b, floor):
    sizes = np.sort(np.stack([np.sqrt(a * a), np.sqrt(b * b), np.full(a.shape, floor)]), axis=0)
    return np.sqrt((a - b) ** 2) / sizes[-1]


def error_by_cases(a, b, floor):
    size = np.where(np.abs(a) > np.abs(b), np.abs(a), np.abs(b))
    small = size < floor
    return np.abs(a - b) / np.where(small, floor, size)


# ---------------------------------------------------------------- 2.4


def nudged_and_put_back(f, x, G):
    x = x.astype(np.float64)
    d = np.zeros(x.shape)
    for k in np.ndindex(x.shape):
        old = x[k]
        h = 1e-5 * max(abs(old), 1)
        x[k] = old + h
        above = np.sum(G * f(x))
        x[k] = old - h
        below = np.sum(G * f(x))
        x[k] = old
        d[k] = (above - below) / (2 * h)
    return d


def by_rows_of_a_unit_matrix(f, x, G):
    flat = np.array(x, dtype=float).reshape(-1)
    steps = np.diag(3e-6 * (1 + np.abs(flat)))
    loss = lambda flat: np.vdot(G, f(flat.reshape(x.shape)))
    slopes = [(loss(flat + e) - loss(flat - e)) / (2 * e.max()) for e in steps]
    return np.array(slopes).reshape(x.shape)


def by_four_points(f, x, G):
    """Of fourth order: with twice the step the error is sixteen times as large, so it can be taken out."""
    x = np.asarray(x, float)
    d = np.zeros(x.shape)
    for k in product(*map(range, x.shape)):
        e = np.zeros(x.shape)
        e[k] = h = 1e-4 * max(1, abs(x[k]))
        near, far = (np.sum(G * (f(x + n * e) - f(x - n * e))) / (2 * n * h) for n in (1, 2))
        d[k] = (4 * near - far) / 3
    return d


# ---------------------------------------------------------------- 2.5


def by_directions(f, rule, shape):
    rng = np.random.default_rng()
    for _ in range(5):
        x, v = rng.normal(size=shape), rng.normal(size=shape)
        g = rng.normal(size=np.shape(f(x)))
        found = rule(g, x)
        if found.shape != shape:
            return False
        h = 1e-5
        measured = np.sum(g * (f(x + h * v) - f(x - h * v))) / (2 * h)
        if not abs(np.sum(found * v) - measured) <= 1e-6 * np.sum(np.abs(found * v)):
            return False
    return True


def by_one_output_at_a_time(f, rule, shape):
    """The whole Jacobian, column by column, against what the rule says of each output alone."""
    x = np.random.default_rng().normal(size=shape)
    columns = []
    for k in np.ndindex(shape):
        e = np.zeros(shape)
        e[k] = 1e-5
        columns.append((np.asarray(f(x + e)) - f(x - e)).ravel() / 2e-5)
    J = np.array(columns).T
    whole = np.shape(f(x))
    for weights in np.eye(len(J)):
        found = rule(weights.reshape(whole) if whole else weights[0], x)
        if found.shape != shape or not np.all(np.abs(found.ravel() - weights @ J) <= 1e-6 * np.max(np.abs(J))):
            return False
    return True


def with_a_floor(f, rule, shape):
    x = np.random.default_rng().uniform(-2, 2, shape)
    G = np.random.default_rng().uniform(0.5, 1.5, np.shape(f(x)))
    b, d = rule(G, x), np.empty(shape)
    if b.shape != d.shape:
        return False
    for k in np.ndindex(shape):
        up, down = x.copy(), x.copy()
        up[k] += 1e-5
        down[k] -= 1e-5
        d[k] = np.sum(G * (f(up) - f(down))) / 2e-5
    floor = 0.01 * np.max(np.abs(d))
    worst = np.max(np.abs(b - d) / np.maximum(np.maximum(np.abs(b), np.abs(d)), floor))
    return worst < 1e-6


VARIANTS = {
    "2.1": [
        lambda f, x, h: np.diff([f(x), f(x + h)])[0] / h,
        lambda f, x, h: np.polyfit([0.0, h], [f(x), f(x + h)], 1)[0],
        lambda f, x, h: f(x + h) / h - f(x) / h,
    ],
    "2.2": [
        lambda f, x, h: ((f(x + h) - f(x)) / h + (f(x) - f(x - h)) / h) / 2,
        lambda f, x, h: sum(sign * f(x + sign * h) for sign in (-1, 1)) / h / 2,
        lambda f, x, h: np.gradient(np.array([f(x - h), f(x), f(x + h)]), h, axis=0)[1],
    ],
    "2.3": [error_in_a_loop, error_by_root_and_sorting, error_by_cases],
    "2.4": [nudged_and_put_back, by_rows_of_a_unit_matrix, by_four_points],
    "2.5": [by_directions, by_one_output_at_a_time, with_a_floor],
}
