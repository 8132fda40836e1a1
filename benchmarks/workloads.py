"""What is measured: each workload is one loss, written once against `L`, the library that computes it.

`L` is an adapter of `libraries.py`.  Leaves are what gradients are asked for, constants are the rest of the data, and
both come as NumPy arrays from a fixed seed, so that every library starts from the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEARNING_RATE = 0.01

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Workload:
    """One line of the table; `small` makes the same data in sizes that finite differences can go through."""

    name: str
    title: str
    loss: Callable
    data: Callable[[], tuple[Arrays, Arrays]]
    small: Callable[[], tuple[Arrays, Arrays]]
    trains: bool = False  # the step ends with an update of the leaves
    must: float | None = None  # minigrad's time over hand-written NumPy's
    aim: float | None = None
    torch: float | None = None  # minigrad's time over PyTorch's
    compiled: tuple[float, float] | None = None  # the compiled program's time over hand-written NumPy's: must and aim
    memory: float | None = None  # minigrad's peak memory over hand-written NumPy's, where it is measured


# ---------------------------------------------------------------- losses


def scalar(L, leaves, constants):
    """(2x + xy)²"""
    x, y = leaves
    return (2.0 * x + x * y) ** 2


def elementwise(L, leaves, constants):
    """Twenty operations in a row, of every kind that works element by element, and a mean."""
    x, c = leaves
    t = L.sigmoid(x * c + x)
    t = L.exp(t - x * 0.1)
    t = L.log(t / (c + 1.0))
    t = L.relu(L.abs(t) ** 2 - 0.01)
    t = L.exp(-(t * 0.5))
    t = L.leaky_relu(t + c)
    return L.mean(t / 2.0)


def mlp(L, leaves, constants):
    """Affine layers with ReLUs between them, then binary cross-entropy on logits: all of it from primitives."""
    x, y = constants
    z = x @ leaves[0].T + leaves[1]
    for w, b in zip(leaves[2::2], leaves[3::2], strict=True):
        z = L.relu(z) @ w.T + b
    return L.mean(L.relu(z) - z * y + L.log(L.exp(-L.abs(z)) + 1.0))


def mlp_fused(L, leaves, constants):
    """The same network from the library's fused operations; what it has no fused operation for, it composes."""
    x, y = constants
    z = L.affine(x, leaves[0], leaves[1])
    for w, b in zip(leaves[2::2], leaves[3::2], strict=True):
        z = L.affine(L.relu(z), w, b)
    return L.cross_entropy(y, z)


def recurrent(L, leaves, constants):
    """A recurrent layer: the state goes through one sigmoid for each input."""
    w, u = leaves
    h, *inputs = constants
    for x in inputs:
        h = L.sigmoid(h @ w + x @ u)
    return L.mean(h * h)


def chain(L, leaves, constants):
    """x + x + x + …, an addition at a time.  The constant is only there to be counted."""
    (x,) = leaves
    y = x
    for _ in range(len(constants[0])):
        y = y + x
    return y


def broadcast(L, leaves, constants):
    """A row and a column make a table, and the gradient goes back to the row and the column."""
    a, b = leaves
    return L.mean((a + b) ** 2)


HEADS = 4


def attention(L, leaves, constants):
    """Multi-head self-attention with a residual connection; the mean of the squares of the result."""
    (x,), (wq, wk, wv, wo) = constants, leaves
    batch, n, d = x.shape
    q, k, v = (L.swapaxes((x @ w).reshape((batch, n, HEADS, d // HEADS)), 1, 2) for w in (wq, wk, wv))
    p = L.softmax((q @ L.swapaxes(k, 2, 3)) * (d // HEADS) ** -0.5)
    y = L.swapaxes(p @ v, 1, 2).reshape((batch, n, d)) @ wo + x
    return L.mean(y * y)


# ---------------------------------------------------------------- data


def numbers(*values: float) -> tuple[Arrays, Arrays]:
    return [np.array(v) for v in values], []


def positive(*shapes: tuple[int, ...]) -> tuple[Arrays, Arrays]:
    random = np.random.default_rng(1)
    return [random.uniform(0.5, 1.5, shape) for shape in shapes], []


def network(sizes: tuple[int, ...], batch: int, dtype: type) -> tuple[Arrays, Arrays]:
    random = np.random.default_rng(2)
    leaves = []
    for n, m in zip(sizes, sizes[1:], strict=False):
        leaves += [(random.standard_normal((m, n)) / np.sqrt(n)).astype(dtype), np.zeros(m, dtype)]
    x = random.standard_normal((batch, sizes[0])).astype(dtype)
    return leaves, [x, (random.random((batch, sizes[-1])) < 0.5).astype(dtype)]


def sequence(steps: int, batch: int, inputs: int, hidden: int) -> tuple[Arrays, Arrays]:
    random = np.random.default_rng(3)
    leaves = [random.standard_normal((hidden, hidden)) / 6, random.standard_normal((inputs, hidden)) / 4]
    return leaves, [np.zeros((batch, hidden)), *random.standard_normal((steps, batch, inputs))]


def additions(n: int) -> tuple[Arrays, Arrays]:
    return [np.array(1.0)], [np.zeros(n)]


def tokens(batch: int, n: int, d: int) -> tuple[Arrays, Arrays]:
    random = np.random.default_rng(4)
    return [random.standard_normal((d, d)) / np.sqrt(d) for _ in range(4)], [random.standard_normal((batch, n, d))]


# ---------------------------------------------------------------- the table


def _network_workload(name: str, title: str, loss: Callable, sizes: tuple[int, ...], batch: int, **targets) -> Workload:
    small = (7, 5, 4, 3)[-len(sizes) :]
    return Workload(
        name,
        title,
        loss,
        lambda: network(sizes, batch, np.float32),
        lambda: network(small, 4, np.float64),
        trains=True,
        **targets,
    )


SMALL, LARGE = (784, 128, 10), (784, 1024, 1024, 10)

WORKLOADS = {
    work.name: work
    for work in (
        Workload(
            "scalar",
            "scalar (2x + xy)²",
            scalar,
            lambda: numbers(3.0, 4.0),
            lambda: numbers(3.0, 4.0),
            must=3.7,
            aim=3.0,
            torch=0.25,
            compiled=(1.3, 1.0),
        ),
        Workload(
            "elementwise",
            "20 element-wise operations, 32×32",
            elementwise,
            lambda: positive((32, 32), (32, 32)),
            lambda: positive((3, 5), (3, 5)),
            must=2.1,
            aim=1.8,
            torch=0.55,
            compiled=(1.1, 0.95),
        ),
        _network_workload(
            "mlp", "MLP 784-128-10, batch 64", mlp, SMALL, 64, must=1.27, aim=1.20, torch=0.95, compiled=(1.08, 1.0)
        ),
        _network_workload(
            "mlp-fused",
            "MLP 784-128-10, batch 64, fused",
            mlp_fused,
            SMALL,
            64,
            must=1.15,
            aim=1.05,
            torch=1.0,
            compiled=(1.08, 1.0),
        ),
        _network_workload(
            "large-mlp",
            "MLP 784-1024-1024-10, batch 256",
            mlp,
            LARGE,
            256,
            must=1.08,
            aim=1.03,
            memory=1.05,
            compiled=(1.03, 1.0),
        ),
        _network_workload(
            "large-mlp-fused",
            "MLP 784-1024-1024-10, batch 256, fused",
            mlp_fused,
            LARGE,
            256,
            must=1.08,
            aim=1.03,
            compiled=(1.03, 1.0),
        ),
        Workload(
            "recurrent",
            "recurrent, 1000 steps, hidden 32, batch 8",
            recurrent,
            lambda: sequence(1000, 8, 16, 32),
            lambda: sequence(7, 2, 3, 4),
            must=1.65,
            aim=1.40,
            torch=0.7,
            compiled=(1.1, 1.0),
            memory=1.5,
        ),
        Workload(
            "chain",
            "chain of 10,000 additions of scalars",
            chain,
            lambda: additions(10_000),
            lambda: additions(10),
            must=3.6,
            aim=3.1,
            torch=0.45,
            compiled=(1.2, 1.0),
        ),
        Workload(
            "broadcast",
            "broadcast and reduce, (1, 512) + (512, 1)",
            broadcast,
            lambda: positive((1, 512), (512, 1)),
            lambda: positive((1, 5), (3, 1)),
            must=1.40,
            aim=1.20,
            torch=0.7,
            compiled=(1.1, 0.9),
        ),
        Workload(
            "attention",
            "attention block, 4 heads, 64×64, batch 8",
            attention,
            lambda: tokens(8, 64, 64),
            lambda: tokens(2, 3, 8),
            must=1.3,
            aim=1.2,
            compiled=(1.1, 1.0),
        ),
    )
}
