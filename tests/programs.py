"""Random straight-line programs, for test_graphs.py: the same program runs on minigrad, NumPy, HIPS autograd and torch.

A program starts from a few small leaves and applies one operation after another to any results so far, so that results
are reused, meet themselves (x · x) and broadcast.  A step is taken only where its operands lie inside the operation's domain and
away from its kinks, since there all judges must agree.

To add an operation, add a line to the table: its name, its arity, the operation written for NumPy and for minigrad, for torch if
it is written differently there, and where it is safe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

import minigrad as mg

MARGIN = 0.1  # how far from a kink; finite differences move the leaves by less
LARGEST = 10.0  # results larger than this are not used: their derivatives would drown the others


@dataclass(frozen=True)
class Op:
    name: str
    arity: int
    numpy: Callable  # (namespace, *operands): NumPy's own or autograd.numpy
    minigrad: Callable
    torch: Callable  # (torch, *operands)
    safe: Callable = lambda *operands: True


@dataclass(frozen=True, repr=False)
class Program:
    leaves: tuple[np.ndarray, ...]
    steps: tuple[tuple[Op, tuple[int, ...]], ...]  # an operation and the numbers of the results it takes
    seed: int  # of the upstream gradient

    def run(self, call: Callable, leaves) -> list:
        """All results, the leaves first; `call(op, *operands)` applies an operation."""
        results = list(leaves)
        for op, operands in self.steps:
            results.append(call(op, *(results[i] for i in operands)))
        return results

    def values(self, leaves=None) -> list[np.ndarray]:
        return self.run(lambda op, *xs: op.numpy(np, *xs), self.leaves if leaves is None else leaves)

    def tensors(self) -> list[mg.Tensor]:
        return self.run(lambda op, *xs: op.minigrad(*xs), [mg.Tensor(x, requires_grad=True) for x in self.leaves])

    def upstream(self, which: int = 0) -> np.ndarray:
        """A gradient for the last result; nothing uniform, lest mistakes hide."""
        return np.random.default_rng(self.seed + which).uniform(-1.5, 1.5, np.shape(self.values()[-1]))

    def _repr_pretty_(self, printer, cycle) -> None:  # how hypothesis shows it
        lines = [f"r{i} = leaf{x.shape}" for i, x in enumerate(self.leaves)]
        for n, (op, operands) in enumerate(self.steps, len(self.leaves)):
            lines.append(f"r{n} = {op.name}({', '.join(f'r{i}' for i in operands)})")
        printer.text("\n  ".join([f"a program, upstream seed {self.seed}:", *lines]))


def away_from_zero(x):
    return np.all(np.abs(x) > MARGIN)


def positive(x, *_):
    return np.all(x > 0.3)


def no_ties(axis):
    def safe(x):
        if np.ndim(x) == 0:
            return axis is None
        ordered = np.sort(np.reshape(x, -1) if axis is None else x, axis=-1 if axis is None else axis)
        return x.size > 0 and np.all(np.diff(ordered, axis=-1 if axis is None else axis) > MARGIN)

    return safe


def has_axes(*xs):
    return all(np.ndim(x) > 0 for x in xs)


def some_above_a_half(x):
    return has_axes(x) and away_from_zero(x - 0.5) and np.any(x > 0.5)


def two_axes(x):
    return np.ndim(x) > 1 and np.size(x) > 0


def same_shape(a, b):
    return np.ndim(a) > 0 and np.shape(a) == np.shape(b)


def matrices_fit(a, b):
    return has_axes(a, b) and a.shape[-1] == b.shape[-2:][0]


def unary(name, numpy, minigrad, torch=None, safe=lambda x: True):
    return Op(name, 1, numpy, minigrad, torch or numpy, safe)


def binary(name, numpy, minigrad=None, torch=None, safe=lambda a, b: True):
    return Op(name, 2, numpy, minigrad or (lambda a, b: numpy(np, a, b)), torch or numpy, safe)


PICKED = [0, 0, -1]  # an element taken twice

OPS = [
    unary("exp", lambda m, x: m.exp(x), mg.tensor_exp),
    unary("log", lambda m, x: m.log(x), mg.tensor_log, safe=positive),
    unary("sqrt", lambda m, x: m.sqrt(x), mg.tensor_sqrt, safe=positive),
    unary("tanh", lambda m, x: m.tanh(x), mg.tensor_tanh),
    unary("sigmoid", lambda m, x: 1 / (1 + m.exp(-x)), mg.sigmoid_tensor),
    unary("softplus", lambda m, x: m.log(1 + m.exp(x)), mg.tensor_softplus),
    unary("neg", lambda m, x: -x, mg.tensor_neg),
    unary("triple", lambda m, x: 3 * x, lambda x: mg.scalar_multiply_tensor(3, x)),
    unary("square", lambda m, x: x**2, lambda x: mg.tensor_pow(x, 2)),
    unary("cube", lambda m, x: x**3, lambda x: mg.tensor_pow(x, 3)),
    unary("x^0", lambda m, x: x**0, lambda x: mg.tensor_pow(x, 0)),
    unary("x^-1.5", lambda m, x: x**-1.5, lambda x: mg.tensor_pow(x, -1.5), safe=positive),
    unary("abs", lambda m, x: m.abs(x), mg.tensor_abs, safe=away_from_zero),
    unary("relu", lambda m, x: m.maximum(x, 0.0), mg.relu_tensor, lambda m, x: m.relu(x), away_from_zero),
    unary(
        "leaky", lambda m, x: m.where(x > 0, x, 0.2 * x), lambda x: mg.leaky_relu_tensor(x, 0.2), safe=away_from_zero
    ),
    unary(
        "clip",
        lambda m, x: m.clip(x, -1, 1),
        lambda x: mg.tensor_clip(x, -1, 1),
        safe=lambda x: away_from_zero(np.abs(x) - 1),
    ),
    unary("copy", lambda m, x: 1.0 * x, mg.tensor_copy),
    unary("reshape", lambda m, x: x.reshape(-1), lambda x: mg.tensor_reshape(x, -1), safe=has_axes),
    unary(
        "unsqueeze", lambda m, x: m.reshape(x, (*np.shape(x), 1)), lambda x: x[..., None], safe=lambda x: np.ndim(x) < 3
    ),
    unary("T", lambda m, x: x.T, mg.tensor_transpose, lambda m, x: x.permute(list(range(x.ndim))[::-1])),
    unary("first", lambda m, x: x[0], lambda x: x[0], safe=has_axes),
    unary("pick", lambda m, x: x[PICKED], lambda x: x[PICKED], safe=has_axes),
    unary("pick pairs", lambda m, x: x[[0, -1, 0], [0, 0, 0]], lambda x: x[[0, -1, 0], [0, 0, 0]], safe=two_axes),
    unary("mask", lambda m, x: x[x > 0.5], lambda x: x[x > 0.5], safe=some_above_a_half),
    unary("tail", lambda m, x: x[1:], lambda x: x[1:], safe=lambda x: has_axes(x) and len(x) > 1),
    unary("last column", lambda m, x: x[..., -1], lambda x: x[..., -1], safe=has_axes),
    unary("every second", lambda m, x: x[..., ::2], lambda x: x[..., ::2], safe=has_axes),
    unary("reverse", lambda m, x: x[::-1], lambda x: x[::-1], lambda m, x: m.flip(x, [0]), has_axes),
    unary("x[None]", lambda m, x: x[None], lambda x: x[None], safe=lambda x: np.ndim(x) < 3),
    unary(
        "swap axes",
        lambda m, x: m.swapaxes(x, 0, -1),
        lambda x: mg.tensor_transpose(x, (x.ndim - 1, *range(1, x.ndim - 1), 0)),
        safe=two_axes,
    ),
    unary("sum", lambda m, x: m.sum(x), mg.tensor_sum),
    unary("sum 0", lambda m, x: m.sum(x, 0), lambda x: mg.tensor_sum(x, 0), safe=has_axes),
    unary(
        "sum -1",
        lambda m, x: m.sum(x, axis=-1, keepdims=True),
        lambda x: mg.tensor_sum(x, -1, keepdims=True),
        lambda m, x: m.sum(x, -1, keepdim=True),
        has_axes,
    ),
    unary("mean", lambda m, x: m.mean(x), mg.tensor_mean),
    unary("mean -1", lambda m, x: m.mean(x, -1), lambda x: mg.tensor_mean(x, -1), safe=has_axes),
    unary("max", lambda m, x: m.max(x), mg.tensor_max, safe=no_ties(None)),
    unary("max -1", lambda m, x: m.max(x, -1), lambda x: mg.tensor_max(x, -1), lambda m, x: m.amax(x, -1), no_ties(-1)),
    unary("min 0", lambda m, x: m.min(x, 0), lambda x: mg.tensor_min(x, 0), lambda m, x: m.amin(x, 0), no_ties(0)),
    unary(
        "broadcast_to",
        lambda m, x: x * m.ones((2, *x.shape)),
        lambda x: mg.tensor_broadcast_to(x, (2, *x.shape)),
        lambda m, x: x.expand(2, *x.shape),
        safe=lambda x: np.ndim(x) < 3,
    ),
    binary("add", lambda m, a, b: a + b),
    binary("sub", lambda m, a, b: a - b),
    binary("mul", lambda m, a, b: a * b),
    binary("div", lambda m, a, b: a / b, safe=lambda a, b: np.all(np.abs(b) > 0.3)),
    binary("pow", lambda m, a, b: a**b, safe=positive),
    binary("maximum", lambda m, a, b: m.maximum(a, b), mg.tensor_maximum, safe=lambda a, b: away_from_zero(a - b)),
    binary("minimum", lambda m, a, b: m.minimum(a, b), mg.tensor_minimum, safe=lambda a, b: away_from_zero(a - b)),
    binary(
        "where",
        lambda m, a, b: m.where(a > b, a + 0 * b, b * b + 0 * a),  # autograd's where does not undo broadcasting
        lambda a, b: mg.tensor_where(a > b, a, b * b),
        safe=lambda a, b: away_from_zero(a - b),
    ),
    binary("matmul", lambda m, a, b: m.matmul(a, b), mg.matmul_tensor, safe=matrices_fit),
    binary(
        "concat",
        lambda m, a, b: m.concatenate([a, b], -1),
        lambda a, b: mg.tensor_concat([a, b], -1),
        safe=same_shape,
    ),
    binary("stack", lambda m, a, b: m.stack([a, b]), lambda a, b: mg.tensor_stack([a, b]), safe=same_shape),
]


def outcome(op: Op, operands: list[np.ndarray]) -> np.ndarray | None:
    """What `op` makes of these operands; None where they don't fit or lie outside its safe domain."""
    try:
        if op.safe(*operands):
            with np.errstate(all="ignore"):
                result = op.numpy(np, *operands)
            return result if np.size(result) <= 24 and np.all(np.abs(result) < LARGEST) else None
    except ValueError:  # the shapes
        pass


SHAPES = [(), (1,), (3,), (2, 3), (2, 1), (1, 3), (3, 2), (3, 3)]


@st.composite
def programs(draw, steps: int = 8, sizes: int = 9, without: tuple[str, ...] = ()) -> Program:
    """A program of at most so many steps, from leaves of at most so many elements each; `without` these operations."""
    ops = [op for op in OPS if op.name not in without]
    shapes = [s for s in SHAPES if np.prod(s, initial=1) <= sizes]
    seed = draw(st.integers(0, 2**20))
    rng = np.random.default_rng(seed)
    chosen = draw(st.lists(st.sampled_from(shapes), min_size=1, max_size=3))
    leaves = tuple(np.asarray(rng.uniform(0.4, 1.6, shape) * rng.choice([-1, 1, 1], shape)) for shape in chosen)
    results, taken = list(leaves), []
    count = draw(st.integers(min(2, steps), steps))
    choice = st.tuples(st.integers(0, len(ops) - 1), st.integers(0, 23), st.integers(0, 23))
    for which, i, j in draw(st.lists(choice, min_size=count, max_size=count)):
        # most operands are recent, so that programs grow deep; any may return, so that results are reused
        recent = [len(results) - 1 - k % len(results) for k in (i // 3 if i % 3 else 0, j)]
        for n in range(len(ops)):  # the first that may be applied to them
            op = ops[(which + n) % len(ops)]
            result = outcome(op, [results[k] for k in recent[: op.arity]])
            if result is not None:
                results.append(result)
                taken.append((op, tuple(recent[: op.arity])))
                break
    return Program(leaves, tuple(taken), seed)
