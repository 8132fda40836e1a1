"""The table of primitives that test_primitives.py drives.

To add a primitive, add a row: the function, what plain NumPy says, the names of its operands, and its cases: the shapes of
the operands with the other parameters.  `draw` keeps the operands inside the domain and away from kinks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import permutations
from math import prod

import numpy as np

import minigrad as mg
from minigrad import fused

# ---------------------------------------------------------------- how operands are drawn: (rng, shapes) -> arrays


def anywhere(rng, shapes):
    return [rng.uniform(-2, 2, shape) for shape in shapes]


def positive(rng, shapes):
    return [rng.uniform(0.5, 2, shape) for shape in shapes]


def nonzero(rng, shapes):
    return [rng.uniform(0.3, 2, shape) * rng.choice([-1.0, 1.0], shape) for shape in shapes]


def positive_then_anywhere(rng, shapes):
    return [*positive(rng, shapes[:1]), *anywhere(rng, shapes[1:])]


def distinct(rng, shapes):
    """All elements of all operands at least 0.3 apart: no ties."""
    pool = list((rng.permutation(sum(map(prod, shapes))) - 7) * 0.3)
    return [np.array([pool.pop() for _ in range(prod(shape))]).reshape(shape) for shape in shapes]


def off_grid(rng, shapes):
    """At least 0.1 from every multiple of a half."""
    return [rng.integers(-4, 4, shape) / 2 + rng.uniform(0.1, 0.4, shape) for shape in shapes]


# ---------------------------------------------------------------- rows


@dataclass(frozen=True)
class Row:
    primitive: Callable
    numpy: Callable  # called as the primitive is, with arrays
    operands: str | None  # their names; None for a list of operands, given first
    cases: Sequence[tuple[tuple, dict]]  # (shapes of the operands, other parameters)
    draw: Callable = anywhere


@dataclass(frozen=True, eq=False)
class Case:
    row: Row
    shapes: tuple[tuple[int, ...], ...]
    parameters: dict

    def __str__(self) -> str:
        parameters = [f"{name}={value}" for name, value in self.parameters.items()]
        return " ".join(" ".join([self.row.primitive.__name__, *map(str, self.shapes), *parameters]).split())

    def arrays(self, dtype=np.float64, seed: int = 0) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        return [np.asarray(x, dtype) for x in self.row.draw(rng, self.shapes)]

    def tensors(self, dtype=np.float64, seed: int = 0) -> list[mg.Tensor]:
        return [mg.Tensor(x, requires_grad=True) for x in self.arrays(dtype, seed)]

    def result_dtype(self, dtype) -> np.dtype:
        """What operands of `dtype` give: their own, unless the primitive is asked for another."""
        return np.dtype(self.parameters.get("dtype", dtype))

    def apply(self, *operands):
        return self._call(self.row.primitive, operands)

    def numpy(self, *arrays):
        return self._call(self.row.numpy, arrays)

    def _call(self, function, operands):
        if self.row.operands is None:
            return function(list(operands), **self.parameters)
        return function(**dict(zip(self.row.operands.split(), operands, strict=True)), **self.parameters)

    def upstream(self, dtype=np.float64, seed: int = 1) -> np.ndarray:
        """A gradient to start from: random, neither uniform nor of one sign."""
        shape = np.shape(self.numpy(*self.arrays()))
        return np.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def each(shapes, parameters=({},)):
    """Every list of shapes with the first set of parameters, and the first with every set."""
    return [(s, parameters[0]) for s in shapes] + [(shapes[0], p) for p in parameters[1:]]


def all_pairs(shapes, parameters):
    """Every list of shapes with every set of parameters."""
    return [(s, p) for s in shapes for p in parameters]


ONE = [((5,),), ((2, 3),), ((),), ((1,),), ((1, 1),), ((0,),), ((3, 0),), ((2, 1, 3),)]

TWO = [((5,), (5,)), ((2, 3), (2, 3)), ((2, 3, 5), (2, 3, 5))]
TWO += [((2, 3), (3,)), ((3,), (2, 3)), ((7, 2, 3), (2, 1)), ((2, 1), (7, 2, 3))]  # leading axes
TWO += [((2, 3), (2, 1)), ((2, 1), (2, 3)), ((5, 1), (1, 3)), ((1, 3), (5, 1)), ((2, 1, 3), (7, 1))]  # trailing; both
TWO += [((), ()), ((), (2, 3)), ((2, 3), ()), ((1,), ()), ((1,), (1,)), ((1, 1), (7,)), ((7,), (1, 1))]
TWO += [((0,), (0,)), ((0, 3), (3,)), ((1,), (3, 0)), ((), (0,)), ((2, 0), (2, 1))]

REDUCED = [((2, 3, 5), axis) for axis in (None, 0, 1, -1, -3, (0, 2), (-1, 0), (2, 0, 1), (1,), ())]
REDUCED += [((5,), None), ((5,), 0), ((5,), -1), ((), None), ((), ()), ((1,), 0), ((1, 1), None), ((1, 1), (0, 1))]
REDUCED += [((7, 1), 1), ((7, 1), 0), ((0, 3), 1), ((3, 0), -2)]
REDUCTIONS = [((shape,), {"axis": axis, "keepdims": keep}) for shape, axis in REDUCED for keep in (False, True)]
EMPTY_SUMS = [(((0, 3),), {"axis": axis}) for axis in (None, 0, (0, 1))]

PERMUTATIONS = list(permutations(range(4)))
PERMUTATIONS += [tuple(i - 4 if (i + axes[0]) % 2 else i for i in axes) for axes in PERMUTATIONS[::5]]

INDICES = [0, -1, (1, 2), (-2, 0), slice(None), slice(1, None, 2), slice(None, None, -1), slice(4, 1, -2), slice(2, 2)]
INDICES += [(slice(None), 1), (Ellipsis, 0), (1, Ellipsis), Ellipsis, None, (None, slice(1, 3), None, 2), (), True]
INDICES += [[0, 0, 3], np.array([4, 1, 4, 4]), np.array([[0, 1], [1, 1]]), (np.array([0, 0, 2]), np.array([1, 1, 2]))]
INDICES += [([0, 0], slice(1, None)), (slice(None), [2, 2, 0]), np.array([True, False, True, False, True])]
INDICES += [np.arange(15).reshape(5, 3) % 4 == 1, (np.array([[0], [4]]), np.array([0, 0, 2])), np.int64(2), np.array(3)]
INDICES += [np.zeros(0, int), np.zeros(5, bool), (slice(None), np.array([True, False, True])), (None, [1, 1], Ellipsis)]

JOINED = [(((2, 3), (2, 3)), 0), (((2, 3), (5, 3)), 0), (((2, 3), (2, 1), (2, 7)), 1), (((2, 3), (2, 1), (2, 7)), -1)]
JOINED += [
    (((2, 3),), 0),
    (((2, 3),), -1),
    (((1,), (2,), (3,), (5,), (7,)), 0),
    (((5,), (5,)), -1),
    (((0, 3), (2, 3)), -2),
]
JOINED += [
    (((2, 3, 5), (2, 1, 5)), -2),
    (((2, 3, 1), (2, 3, 2)), 2),
    (((0,), (0,)), 0),
    (((3, 3), (3, 3)), 1),
    (((1,), (1,)), 0),
]

MATMULS = [((2, 3), (3, 5)), ((3,), (3,)), ((3,), (3, 5)), ((2, 3), (3,)), ((3, 3), (3, 3)), ((1, 1), (1, 1))]
MATMULS += [((7, 2, 3), (3, 5)), ((2, 3), (7, 3, 5)), ((7, 2, 3), (7, 3, 5)), ((3, 2, 2), (3, 2, 2))]
MATMULS += [((1, 2, 3), (7, 3, 5)), ((7, 2, 3), (1, 3, 1)), ((2, 1, 2, 3), (5, 3, 2)), ((5, 2, 3), (2, 1, 3, 2))]
MATMULS += [
    ((3,), (7, 3, 5)),
    ((7, 2, 3), (3,)),
    ((3,), (2, 1, 3, 2)),
    ((2, 1, 5, 3), (3,)),
    ((1,), (1, 1)),
    ((5, 1), (1,)),
]
MATMULS += [((2, 0), (0, 3)), ((0, 3), (3, 5)), ((0,), (0,)), ((0, 2, 3), (3, 5)), ((2, 3), (3, 0)), ((0,), (0, 3))]

WHERES = [{"condition": np.array(c)} for c in (True, [[True], [False]], [True, False, True])]
WHERE_SHAPES = [((2, 3), (2, 3)), ((), (2, 3)), ((3,), (2, 1)), ((), ()), ((1,), (2, 3))]

AFFINES = [((5, 3), (2, 3), (2,)), ((3,), (2, 3), (2,)), ((2, 5, 3), (7, 3), (7,)), ((1, 1), (1, 1), (1,))]
AFFINES += [((0, 3), (2, 3), (2,)), ((5, 3), (2, 3), (5, 1)), ((3, 3), (3, 3), (3, 3))]

LABELS = [
    ((5,), np.array([0, 1, 1, 0, 1])),
    ((2, 3), np.array([[0.0, 1.0, 0.3], [1.0, 0.0, 0.5]])),
    ((), 1.0),
    ((1, 1), [[0]]),
]

NUMBERS = [{"p": p} for p in (-2, -1, -0.5, 0, 0.0, 0.5, 1, 2, 2.0, 3, 2.5)]
INTEGERS = [{"p": p} for p in (-2, -1.0, 0, 1, 2, 3, 4.0)]
ALPHAS = [{}, {"alpha": 0.3}, {"alpha": 0}, {"alpha": -0.5}, {"alpha": 2.0}]
RESHAPED = [((2, 3), (3, 2)), ((2, 3), 6), ((2, 3), -1), ((2, 3, 5), (5, -1)), ((2, 3), (1, 2, 1, 3)), ((2, 3), (2, 3))]
RESHAPED += [((), (1,)), ((), ()), ((1,), ()), ((1, 1), (1,)), ((0, 3), (3, 0)), ((0,), (2, 0, 5)), ((7,), (7, 1))]
FILLED = [
    ((3,), (2, 3)),
    ((2, 1), (2, 3)),
    ((5, 1, 3), (7, 5, 2, 3)),
    ((), (2, 3)),
    ((), ()),
    ((1,), (7,)),
    ((2, 3), (2, 3)),
]
FILLED += [((1,), (0,)), ((0,), (3, 0)), ((), (0,)), ((1, 1), (1, 1))]


def softplus(x):
    return np.logaddexp(0, x, dtype=x.dtype)


MOMENTS = each([((2, 3, 5),)], [{"axis": a, "keepdims": k} for a in (None, 0, (0, 2)) for k in (False, True)])
MOMENTS += each([((5,),)], [{"ddof": 1}, {"axis": -1, "ddof": 1}])
NORMS = each([((2, 3, 5),)], [{"axis": a, "keepdims": k} for a in (None, 1, (0, 2)) for k in (False, True)])
NORMS += each([((2, 3),)], [{"axis": 1, "ord": 1}, {"axis": 1, "ord": np.inf}])
SOFTMAXES = each([((2, 3),), ((5,),), ((2, 3, 5),), ((0, 3),)], [{}, {"axis": 0}]) + each(
    [((2, 3, 5),)], [{"axis": (0, 2)}]
)
EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 5)),
    ("ij,jk", (2, 3), (3, 5)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ij->j", (2, 3)),
]
EINSUMS += [
    ("ii->", (3, 3)),
    ("ii->i", (3, 3)),
    ("iij->j", (3, 3, 2)),
    ("i,j->ij", (2,), (3,)),
    ("ij,ij->", (2, 3), (2, 3)),
]
EINSUMS += [
    ("...ij,...jk->...ik", (7, 2, 3), (3, 5)),
    ("...i->...", (2, 3)),
    ("ij,k->i", (2, 3), (5,)),
    ("ij,jk,kl->il", (2, 3), (3, 5), (5, 2)),
]
EINSUMS += [("ba", (2, 3)), ("ij,ij->ij", (2, 1), (2, 3)), (",i->i", (), (3,))]


def norm(x, axis=None, keepdims=False, ord=2):
    return np.sum(np.abs(x) ** ord, axis, keepdims=keepdims) ** (1 / ord) if ord < 3 else np.max(np.abs(x), axis)


def logsumexp(x, axis=None, keepdims=False):
    return np.log(np.sum(np.exp(x), axis, keepdims=keepdims))


def windows(x, size, stride=1):
    """One window after another, by slicing."""
    sizes = size if isinstance(size, tuple) else (size,)
    strides = stride if isinstance(stride, tuple) else (stride,) * len(sizes)
    counts = [1 + (n - k) // s for n, k, s in zip(x.shape[-len(sizes) :], sizes, strides, strict=True)]
    parts = [
        x[(..., *(slice(i * s, i * s + k) for i, s, k in zip(at, strides, sizes, strict=True)))]
        for at in np.ndindex(*counts)
    ]
    return np.stack(parts, -1 - len(sizes)).reshape(*x.shape[: -len(sizes)], *counts, *sizes)


def of_x(function):
    """NumPy's function, of an operand that it does not call x."""
    return wraps(function)(lambda x, **parameters: function(x, **parameters))


def part(split):
    """The second part of a split, under the name of the function: a row has one result."""
    return wraps(split)(lambda x, **parameters: split(x, **parameters)[1])


@wraps(mg.tensor_einsum)
def contraction(operands, equation):
    return mg.tensor_einsum(equation, *operands)


def np_contraction(operands, equation):
    return np.einsum(equation, *operands)


ROWS = [
    # operations.py
    Row(mg.tensor_add, lambda a, b: a + b, "a b", each(TWO)),
    Row(mg.tensor_sub, lambda a, b: a - b, "a b", each(TWO)),
    Row(mg.tensor_mul, lambda a, b: a * b, "a b", each(TWO)),
    Row(mg.sigmoid_tensor, lambda x: 1 / (1 + np.exp(-x)), "x", each(ONE)),
    Row(mg.tensor_softplus, softplus, "x", each(ONE)),
    Row(mg.scalar_multiply_tensor, lambda c, a: c * a, "a", each(ONE, [{"c": c} for c in (3, -0.5, 0, True)])),
    Row(mg.tensor_divide, lambda a, b: a / b, "a b", each(TWO), nonzero),
    Row(mg.tensor_pow, lambda x, p: x**p, "x p", each(TWO), positive_then_anywhere),
    Row(mg.tensor_pow, lambda x, p: x**p, "x", each(ONE, NUMBERS), positive),
    Row(mg.tensor_pow, lambda x, p: x**p, "x", each(ONE[:3], INTEGERS), nonzero),
    Row(
        mg.tensor_pow, lambda x, p: x**p, "x", each([((2, 3),)], [{"p": np.array([[2.0], [3.0]], np.float32)}]), nonzero
    ),
    Row(mg.tensor_pow, lambda x, p: x**p, "p", each(ONE, [{"x": x} for x in (2, 0.5, 1)])),
    Row(
        mg.tensor_sum, lambda x, axis, keepdims=False: np.sum(x, axis, keepdims=keepdims), "x", REDUCTIONS + EMPTY_SUMS
    ),
    Row(mg.tensor_mean, lambda x, axis, keepdims=False: np.mean(x, axis, keepdims=keepdims), "x", REDUCTIONS),
    Row(mg.tensor_reshape, lambda x, shape: x.reshape(shape), "x", [((s,), {"shape": t}) for s, t in RESHAPED]),
    Row(
        mg.tensor_transpose,
        lambda x, axes=None: np.transpose(x, axes),
        "x",
        each(ONE) + each([((2, 3, 1, 5),)], [{"axes": p} for p in PERMUTATIONS]),
    ),
    Row(mg.tensor_concat, np.concatenate, None, [(shapes, {"axis": axis}) for shapes, axis in JOINED]),
    Row(
        mg.tensor_stack,
        np.stack,
        None,
        all_pairs([((2, 3),), ((2, 3),) * 3], [{"axis": i} for i in (0, 1, 2, -1, -2, -3)]),
    ),
    Row(mg.tensor_stack, np.stack, None, each([((), ()), ((0,), (0,)), ((1,),) * 5])),
    Row(mg.matmul_tensor, lambda a, b: a @ b, "a b", each(MATMULS)),
    Row(mg.relu_tensor, lambda x: np.where(x > 0, x, 0), "x", each(ONE), nonzero),
    Row(mg.leaky_relu_tensor, lambda x, alpha=0.01: np.where(x > 0, x, alpha * x), "x", each(ONE, ALPHAS), nonzero),
    # functions.py
    Row(mg.tensor_neg, lambda x: -x, "x", each(ONE)),
    Row(mg.tensor_exp, lambda x: np.exp(x), "x", each(ONE)),
    Row(mg.tensor_log, lambda x: np.log(x), "x", each(ONE), positive),
    Row(mg.tensor_sqrt, lambda x: np.sqrt(x), "x", each(ONE), positive),
    Row(mg.tensor_tanh, lambda x: np.tanh(x), "x", each(ONE)),
    Row(mg.tensor_abs, lambda x: np.abs(x), "x", each(ONE), nonzero),
    Row(
        mg.tensor_where,
        lambda condition, a, b: np.where(condition, a, b),
        "a b",
        all_pairs(WHERE_SHAPES, WHERES) + all_pairs([((0, 1), (3,))], WHERES[::2]),
    ),
    Row(mg.tensor_maximum, lambda a, b: np.maximum(a, b), "a b", each(TWO), distinct),
    Row(mg.tensor_minimum, lambda a, b: np.minimum(a, b), "a b", each(TWO), distinct),
    Row(
        mg.tensor_clip,
        lambda x, low, high: np.clip(x, low, high),
        "x",
        each(ONE, [{"low": low, "high": high} for low, high in ((-1, 1), (-0.5, 0.5), (0, 0), (-5, 5), (1, 1.5))]),
        off_grid,
    ),
    Row(mg.tensor_max, lambda x, axis, keepdims: np.max(x, axis, keepdims=keepdims), "x", REDUCTIONS, distinct),
    Row(mg.tensor_min, lambda x, axis, keepdims: np.min(x, axis, keepdims=keepdims), "x", REDUCTIONS, distinct),
    Row(mg.tensor_astype, lambda x, dtype: x.astype(dtype), "x", each(ONE, [{"dtype": np.float64}])),
    Row(mg.tensor_copy, lambda x: np.array(x), "x", each(ONE)),
    Row(
        mg.tensor_broadcast_to,
        lambda x, shape: np.broadcast_to(x, shape),
        "x",
        [((s,), {"shape": t}) for s, t in FILLED],
    ),
    Row(mg.tensor_getitem, lambda x, index: x[index], "x", each([((5, 3),)], [{"index": i} for i in INDICES])),
    Row(mg.tensor_getitem, lambda x, index: x[index], "x", each([((),)], [{"index": i} for i in ((), None, Ellipsis)])),
    Row(
        mg.tensor_getitem, lambda x, index: x[index], "x", each([((0, 3),)], [{"index": i} for i in ((), (..., 1), [])])
    ),
    # elementwise.py
    *(
        Row(getattr(mg, f"tensor_{name}"), of_x(getattr(np, name)), "x", each(ONE))
        for name in ("sin", "cos", "sinh", "cosh")
    ),
    *(Row(getattr(mg, f"tensor_{name}"), of_x(getattr(np, name)), "x", each(ONE)) for name in ("expm1", "square")),
    *(
        Row(getattr(mg, f"tensor_{name}"), of_x(getattr(np, name)), "x", each(ONE), positive)
        for name in ("log1p", "log2")
    ),
    Row(mg.tensor_log10, of_x(np.log10), "x", each(ONE), positive),
    Row(mg.tensor_tan, of_x(np.tan), "x", each(ONE), lambda rng, shapes: [rng.uniform(-1, 1, s) for s in shapes]),
    Row(mg.tensor_reciprocal, of_x(np.reciprocal), "x", each(ONE), nonzero),
    # reductions.py
    Row(mg.tensor_prod, lambda x, axis, keepdims: np.prod(x, axis, keepdims=keepdims), "x", REDUCTIONS[::2]),
    Row(
        mg.tensor_cumsum,
        of_x(np.cumsum),
        "x",
        each([((2, 3, 5),)], [{"axis": i} for i in (None, 0, 1, -1)]) + each(ONE[:2]),
    ),
    *(Row(getattr(mg, f"tensor_{name}"), of_x(getattr(np, name)), "x", MOMENTS) for name in ("var", "std")),
    Row(mg.tensor_norm, norm, "x", NORMS, nonzero),
    Row(mg.tensor_logsumexp, logsumexp, "x", REDUCTIONS[:20:3] + each([((5,),)], [{}])),
    Row(mg.tensor_softmax, lambda x, axis=-1: np.exp(x - logsumexp(x, axis, True)), "x", SOFTMAXES),
    Row(mg.tensor_log_softmax, lambda x, axis=-1: x - logsumexp(x, axis, True), "x", SOFTMAXES),
    # rearranging.py, windows.py, einsum.py
    Row(
        mg.tensor_squeeze,
        of_x(np.squeeze),
        "x",
        each([((2, 1, 3, 1),)], [{}, {"axis": 1}, {"axis": (-1, 1)}]) + each(ONE),
    ),
    Row(
        mg.tensor_expand_dims,
        of_x(np.expand_dims),
        "x",
        each([((2, 3),), ((),)], [{"axis": 0}]) + each([((2, 3),)], [{"axis": (0, -1)}]),
    ),
    Row(mg.tensor_ravel, of_x(np.ravel), "x", each(ONE)),
    Row(
        mg.tensor_flatten,
        lambda x, start_dim=0: x.reshape(*x.shape[:start_dim], -1),
        "x",
        each([((2, 3, 5),)], [{}, {"start_dim": 1}]),
    ),
    Row(
        mg.tensor_swapaxes,
        of_x(np.swapaxes),
        "x",
        each([((2, 3, 5),)], [{"axis1": 0, "axis2": -1}, {"axis1": 1, "axis2": 1}]),
    ),
    Row(
        mg.tensor_moveaxis,
        of_x(np.moveaxis),
        "x",
        each([((2, 3, 5),)], [{"source": 0, "destination": -1}, {"source": (0, 2), "destination": (1, 0)}]),
    ),
    Row(
        mg.tensor_flip,
        lambda x, axis=None: np.flip(x, axis),
        "x",
        each(ONE) + each([((2, 3, 5),)], [{"axis": 1}, {"axis": (0, -1)}]),
    ),
    Row(
        part(mg.tensor_split),
        part(of_x(np.split)),
        "x",
        each([((6, 2),)], [{"indices_or_sections": 3}, {"indices_or_sections": [1, 4]}]),
        positive,
    ),
    Row(mg.tensor_hstack, np.hstack, None, [(((2, 3), (2, 1)), {}), (((3,), (2,)), {}), (((), ()), {})]),
    Row(mg.tensor_vstack, np.vstack, None, [(((2, 3), (1, 3)), {}), (((3,), (2, 3)), {}), (((), ()), {})]),
    Row(mg.tensor_pad, of_x(np.pad), "x", each([((2, 3),)], [{"pad_width": w} for w in (1, (0, 2), ((1, 2), (3, 0)))])),
    *(
        Row(f, n, "x", each([((3, 4),), ((2, 3, 3),)], [{"k": k} for k in (0, 1, -1)]))
        for f, n in ((mg.tensor_tril, of_x(np.tril)), (mg.tensor_triu, of_x(np.triu)))
    ),
    Row(
        mg.tensor_take_along_axis,
        of_x(np.take_along_axis),
        "x",
        each(
            [((2, 3),)],
            [{"indices": np.array([[0, 0], [2, 1]]), "axis": 1}, {"indices": np.array([[1, 0, 1]]), "axis": 0}],
        ),
    ),
    Row(
        mg.tensor_windows,
        windows,
        "x",
        each([((2, 7),)], [{"size": 3}, {"size": 2, "stride": 3}])
        + each([((2, 5, 6),)], [{"size": (3, 2), "stride": (2, 1)}]),
    ),
    Row(contraction, np_contraction, None, [(shapes, {"equation": e}) for e, *shapes in EINSUMS]),
    # fused.py
    Row(fused.affine, lambda x, w, b: np.einsum("...i,oi->...o", x, w) + b, "x w b", each(AFFINES)),
    Row(
        fused.binary_cross_entropy_with_logits,
        lambda y_true, y_pred: np.mean(softplus(y_pred) - np.asarray(y_true, y_pred.dtype) * y_pred),
        "y_pred",
        [((shape,), {"y_true": labels}) for shape, labels in LABELS],
    ),
]
CASES = [Case(row, shapes, parameters) for row in ROWS for shapes, parameters in row.cases]
