"""Set 03: other right answers, by other algorithms."""

import heapq
from collections import Counter, deque
from functools import cache, reduce
from graphlib import TopologicalSorter
from itertools import product as choices

import numpy as np

# ---------------------------------------------------------------- 3.1, 3.2


def by_a_program(x, y):
    """The table as data, run by a loop."""
    values = {"x": x, "y": y, "two": 2}
    rows = [("I1", "mul", "two", "x"), ("I2", "mul", "x", "y"), ("I3", "add", "I1", "I2"), ("L", "mul", "I3", "I3")]
    for name, op, a, b in rows:
        values[name] = values[a] * values[b] if op == "mul" else values[a] + values[b]
    return {name: values[name] for name, *_ in rows}


def from_the_end(x, y):
    L = 4 * x**2 + 4 * x**2 * y + x**2 * y**2
    return {"L": np.float64(L), "I3": x * (2 + y), "I2": x * y, "I1": x + x}


def nudged_rows(x, y):
    """By nudging each operand of each row, with complex numbers."""
    I1, I2 = 2 * x, x * y
    steps = [
        (lambda x: 2 * x, x),
        (lambda x: x * y, x),
        (lambda y: x * y, y),
        (lambda I1: I1 + I2, I1),
        (lambda I2: I1 + I2, I2),
        (lambda I3: I3 * I3, I1 + I2),
    ]
    return [f(at + 1e-20j).imag / 1e-20 for f, at in steps]


# ---------------------------------------------------------------- 3.3


def by_growing(edges, s, t):
    """Breadth first: all beginnings, an edge longer each time."""
    found, begun = [], [([], s)]
    while begun:
        found += [path for path, here in begun if here == t]
        begun = [([*path, k], j) for path, here in begun if here != t for k, (i, j) in enumerate(edges) if i == here]
    return found


def from_the_back(edges, s, t):
    if s == t:
        return [()]
    return [(*rest, k) for k, (i, j) in enumerate(edges) if j == t for rest in from_the_back(edges, s, i)]


def with_a_stack(edges, s, t):
    found, stack = [], [(s, ())]
    while stack:
        here, path = stack.pop()
        if here == t:
            found.append(np.array(path, dtype=int))
        else:
            stack += [(j, (*path, k)) for k, (i, j) in enumerate(edges) if i == here]
    return found


def by_circles_then_edges(edges, s, t):
    """All ways by circles first; then one of the parallel edges for each step."""
    between = {}
    for k, edge in enumerate(edges):
        between.setdefault(edge, []).append(k)

    def ways(here):
        if here == t:
            return [[t]]
        return [[here, *rest] for i, j in between if i == here for rest in ways(j)]

    return {
        way for circles in ways(s) for way in choices(*(between[e] for e in zip(circles, circles[1:], strict=False)))
    }


# ---------------------------------------------------------------- 3.4


def sum_of_products(edges, derivatives, s, t):
    return sum(reduce(lambda a, k: a * derivatives[k], path, 1.0) for path in by_growing(edges, s, t))


def by_powers(edges, derivatives, s, t):
    """Powers of the table of edges: paths of length 0, 1, 2, …"""
    at = {name: n for n, name in enumerate(sorted({s, t, *(name for edge in edges for name in edge)}))}
    step = np.zeros((len(at), len(at)))
    for (i, j), d in zip(edges, derivatives, strict=True):
        step[at[i], at[j]] += d
    row, total = np.eye(len(at))[at[s]], 0.0
    while row.any():
        total, row = total + row[at[t]], row @ step
    return total


def from_t_with_a_cache(edges, derivatives, s, t):
    @cache
    def to(circle):
        return 1 if circle == s else sum(to(i) * d for (i, j), d in zip(edges, derivatives, strict=True) if j == circle)

    return to(t)


def by_relaxing(edges, derivatives, s, t):
    """Everybody's value from everybody's parents, again and again until nothing moves."""
    value = {name: 0.0 for edge in edges for name in edge} | {t: 0.0, s: 1.0}
    while True:
        new = {name: float(name == s) for name in value}
        for (i, j), d in zip(edges, derivatives, strict=True):
            if j != s:
                new[j] += value[i] * d
        if new == value:
            return value[t]
        value = new


# ---------------------------------------------------------------- 3.5


def by_a_column(records):
    """Forward: how each number moves with each; the last row."""
    n = len(records)
    moves = np.eye(n)
    for i, (parents, derivatives) in enumerate(records):
        for p, d in zip(parents, derivatives, strict=True):
            moves[i] += d * moves[p]
    return moves[-1]


def by_gathering(records):
    """Each number collects from its consumers."""
    consumers = [[] for _ in records]
    for i, (parents, derivatives) in enumerate(records):
        for p, d in zip(parents, derivatives, strict=True):
            consumers[p].append((i, d))

    @cache
    def gradient(i):
        return sum((d * gradient(j) for j, d in consumers[i]), float(i == len(records) - 1))

    return [gradient(i) for i in range(len(records))]


def by_a_heap(records):
    gradient, waiting = Counter({len(records) - 1: 1.0}), [1 - len(records)]
    while waiting:
        i = -heapq.heappop(waiting)
        for p, d in zip(*records[i], strict=True):
            if p not in gradient:
                heapq.heappush(waiting, -p)
            gradient[p] += gradient[i] * d
    return tuple(gradient[i] for i in range(len(records)))


def with_add_at(records):
    G = np.zeros(len(records))
    G[-1] = 1
    for i, (parents, derivatives) in reversed(list(enumerate(records))):
        np.add.at(G, np.array(parents, dtype=int), G[i] * np.array(derivatives))
    return G


# ---------------------------------------------------------------- 3.6


def by_an_explicit_stack(parents, loss):
    order, seen, stack = [], set(), [(loss, iter(parents[loss]))]
    while stack:
        name, rest = stack[-1]
        for p in rest:
            if p not in seen:
                seen.add(p)
                stack.append((p, iter(parents[p])))
                break
        else:
            order.append(name)
            stack.pop()
    return order[::-1]


def by_the_longest_way(parents, loss):
    """Sorted by the longest way from the loss, in as many rounds as it needs: only those who moved are looked at again."""
    far, moved = {loss: 0}, {loss}
    while moved:
        moved_next = set()
        for name in moved:
            for p in parents[name]:
                if far.get(p, -1) < far[name] + 1:
                    far[p] = far[name] + 1
                    moved_next.add(p)
        moved = moved_next
    return sorted(far, key=far.get)


def by_the_standard_library(parents, loss):
    needed, waiting = set(), deque([loss])
    while waiting:
        if (name := waiting.popleft()) not in needed:
            needed.add(name)
            waiting += parents[name]
    return tuple(TopologicalSorter({name: parents[name] for name in needed}).static_order())[::-1]


# ---------------------------------------------------------------- 3.7 – 3.9


def by_hand(g, jacobians):
    for J in jacobians[::-1]:
        new = np.zeros(J.shape[1])
        for i in range(J.shape[0]):
            for j in range(J.shape[1]):
                new[j] += g[i] * J[i, j]
        g = new
    return g


def by_recorded_run(width):
    """The run as a list of local derivatives, multiplied afterwards."""
    locals_ = []
    while width > 10:
        locals_.append(1 / 2)
        width /= 2
    locals_.append(2 * width if width > 6 else 5)
    return np.prod(locals_)


def by_logarithm(width):
    times = max(0, int(np.ceil(np.log2(width / 10))))
    last = width / 2**times
    return (2 * last if last > 6 else 5) / 2**times


def by_asking_again(width):
    """The slope of one halving, times the slope of the rest."""
    if width > 10:
        return by_asking_again(width / 2) / 2
    return 2 * width if width > 6 else 5


def forward_mode(w, u, h0, xs):
    h, by_w, by_u = h0, 0.0, 0.0
    for x in xs:
        new = np.tanh(w * h + u * x)
        by_w, by_u = (1 - new**2) * (h + w * by_w), (1 - new**2) * (x + w * by_u)
        h = new
    return by_w, by_u


def recursive(w, u, h0, xs):
    """The way there on the way down, the way back on the way up."""

    def step(h, rest):
        if not rest:
            return 1.0, 0.0, 0.0
        new = np.tanh(w * h + u * rest[0])
        g, dw, du = step(new, rest[1:])
        g = g / np.cosh(w * h + u * rest[0]) ** 2
        return g * w, dw + g * h, du + g * rest[0]

    return step(h0, xs)[1:]


def complex_step(w, u, h0, xs):
    def last(w, u):
        h = h0
        for x in xs:
            h = np.tanh(w * h + u * x)
        return np.imag(h) / 1e-20

    return [last(w + 1e-20j, u), last(w, u + 1e-20j)]


def by_cumulative_products(w, u, h0, xs):
    states = [h0]
    for x in xs:
        states.append(np.tanh(w * states[-1] + u * x))
    states, n = np.array(states), len(xs)
    slopes = 1 - states[1:] ** 2
    g = np.array([slopes[k] * np.prod(slopes[k + 1 :] * w) for k in range(n)])
    return float(g @ states[:-1]) if n else 0.0, float(g @ np.array(xs)) if n else 0.0


VARIANTS = {
    "3.1": [
        by_a_program,
        from_the_end,
        lambda x, y: dict(
            zip(["I1", "I2", "I3", "L"], [2 * x, x * y, 2 * x + x * y, (2 * x + x * y) ** 2], strict=True)
        ),
    ],
    "3.2": [
        nudged_rows,
        lambda x, y: np.array([2.0, y, x, 1.0, 1.0, 2 * (2 * x + x * y)]),
        lambda x, y: (2, x * y / x, x * y / y, 1, 1, 2 * x * y + 4 * x),
    ],
    "3.3": [by_growing, from_the_back, with_a_stack, by_circles_then_edges],
    "3.4": [sum_of_products, by_powers, from_t_with_a_cache, by_relaxing],
    "3.5": [by_a_column, by_gathering, by_a_heap, with_add_at],
    "3.6": [by_an_explicit_stack, by_the_longest_way, by_the_standard_library],
    "3.7": [
        by_hand,
        lambda g, jacobians: reduce(lambda v, J: J.T @ v, jacobians[::-1], g),
        lambda g, jacobians: reduce(lambda v, J: np.einsum("i,ij->j", v, J), reversed(jacobians), g),
        lambda g, jacobians: np.linalg.multi_dot([g, *jacobians[::-1]]) if jacobians else g,
        lambda g, jacobians: reduce(lambda v, J: (v[:, None] * J).sum(axis=0), jacobians[::-1], g),
    ],
    "3.8": [by_recorded_run, by_logarithm, by_asking_again],
    "3.9": [forward_mode, recursive, complex_step, by_cumulative_products],
}
