"""The page about PyTorch and JAX says nothing that these do not do.

Its names are looked up, its calls compared with minigrad's, its choices at kinks computed, and its programs run.  Where
a library is missing its part is skipped.  The environment of the benchmarks has both:

    PYTHONPATH=$(echo .venv/lib/python3*/site-packages) .venv-bench/bin/python -m pytest tests/test_other_libraries.py
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
import warnings
from functools import reduce
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg

PAGE = (Path(__file__).parent.parent / "book/08-further/03-other-libraries.md").read_text(encoding="utf-8")
ALIASES = {"mg": "minigrad", "F": "torch.nn.functional", "jnp": "jax.numpy"}
LIBRARIES = ("minigrad", "torch", "jax")

PROSE = re.sub(r"^```.*?^```$", "", PAGE, flags=re.DOTALL | re.MULTILINE)
SPANS = sorted(set(re.findall(r"`([^`\n]+)`", PROSE)))
ROWS = [re.split(r" *\| *", line)[1:-1] for line in PROSE.splitlines() if line.startswith("|")]
PROGRAMS = re.findall(r"^```python\n# (\w+)\n(.*?)^```\n\n```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def names(code: str) -> list[str]:
    """The names of the three libraries in a piece of code, in full."""
    found = re.findall(r"(?<![\w.])((?:mg|torch|jax|F|jnp)(?:\.[A-Za-z_]\w*)+)", code)
    return [".".join([ALIASES.get(name.split(".")[0], name.split(".")[0]), *name.split(".")[1:]]) for name in found]


def of(library: str) -> list[str]:
    return sorted({name for span in SPANS for name in names(span) if name.split(".")[0] == library})


def required(library: str):
    """The library, or a skip that says which statements nobody has checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(
            library, reason=f"{library} is not installed: what the book says of it is not checked"
        )


def found(name: str):
    """What a dotted name stands for; submodules are imported on the way."""

    def step(parent, part: str):
        try:
            return getattr(parent, part)
        except AttributeError:
            return import_module(f"{parent.__name__}.{part}")

    library, *parts = name.split(".")
    required(library)
    return reduce(step, parts, import_module(library))


@pytest.fixture(autouse=True)
def as_installed():
    """Warnings of the libraries are theirs, and no block's settings reach the next."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def default_settings(library: str):
    yield
    if library == "jax":
        import_module("jax").config.update("jax_enable_x64", False)


# ---------------------------------------------------------------- names


def test_the_page_is_read():
    """Nothing found is nothing checked."""
    assert [len(of(library)) > 30 for library in LIBRARIES] == [True] * 3
    assert len(ROWS) > 50 and len(PROGRAMS) == PAGE.count("```python")


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_name_exists(library):
    required(library)
    missing = []
    for name in of(library):
        try:
            found(name)
        except (AttributeError, ImportError):
            missing.append(name)
    assert not missing


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_option_exists(library):
    """requires_grad=, negative_slope=: where Python knows a function's parameters."""
    required(library)
    wrong = []
    for call in (node for span in SPANS for node in calls(span)):
        function = names(ast.unparse(call.func))
        options = {keyword.arg for keyword in call.keywords}
        if not function or function[0].split(".")[0] != library or not options:
            continue
        with contextlib.suppress(ValueError, TypeError):  # functions written in C have no signature
            parameters = inspect.signature(found(function[0])).parameters
            taken = any(p.kind is p.VAR_KEYWORD for p in parameters.values()) or options <= parameters.keys()
            wrong += [] if taken else [ast.unparse(call)]
    assert not wrong


def calls(span: str) -> list[ast.Call]:
    try:
        return [node for node in ast.walk(ast.parse(span)) if isinstance(node, ast.Call)]
    except SyntaxError:
        return []


# ---------------------------------------------------------------- what they compute


def namespace(library: str) -> dict:
    """The variables of the page's tables, as this library has them."""
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.normal(size=(2, 3, 5)),
        "A": rng.normal(size=(2, 3)),
        "B": rng.normal(size=(3, 5)),
        "y_true": np.array([1.0, 0.0, 1.0]),
        "y_pred": np.array([0.8, 0.3, 0.4]),
        "scores": np.array([0.8, -3.0, 0.4]),
        "rows": rng.normal(size=(4, 3)),
        "classes": np.array([0, 2, 1, 1]),
    }
    if library == "minigrad":
        return {name: mg.Tensor(a) if a.dtype.kind == "f" else a for name, a in arrays.items()} | {"mg": mg}
    if library == "torch":
        torch = required("torch")
        return {name: torch.tensor(a) for name, a in arrays.items()} | {
            "torch": torch,
            "F": found("torch.nn.functional"),
        }
    jax = required("jax")
    return {name: jax.numpy.array(a) for name, a in arrays.items()} | {"jax": jax, "jnp": jax.numpy}


VARIABLES = {"x", "A", "B", "y_true", "y_pred", "scores", "rows", "classes"}


def comparable(cell: str) -> str | None:
    """The code in a cell of a table, if it calls a function with nothing but the variables above."""
    match = re.fullmatch(r"`([^`]+\(.*\))`", cell)
    if not match or not calls(match[1]) or not names(match[1]):
        return None
    used = {node.id for node in ast.walk(ast.parse(match[1])) if isinstance(node, ast.Name)}
    name = names(match[1])[0]
    is_class = name.startswith("minigrad.") and inspect.isclass(found(name))
    return match[1] if used <= VARIABLES | {*ALIASES, *LIBRARIES} and not is_class else None


PAIRS = [
    (ours, theirs, library)
    for row in ROWS
    for cell, library in zip(row[1:], LIBRARIES[1:], strict=False)
    if (ours := comparable(row[0])) and (theirs := comparable(cell))
]


def test_pairs_were_found():
    assert len([pair for pair in PAIRS if pair[2] == "torch"]) == 20
    assert len([pair for pair in PAIRS if pair[2] == "jax"]) == 15


@pytest.mark.parametrize(("ours", "theirs", "library"), PAIRS, ids=[f"{a} {b}" for a, b, _ in PAIRS])
def test_both_compute_the_same(ours, theirs, library):
    """A row of a table whose two sides are different functions."""
    names_there = namespace(library)
    expected = eval(ours, namespace("minigrad"))
    np.testing.assert_allclose(np.asarray(eval(theirs, names_there)), expected.data, rtol=1e-5, atol=1e-6)


CHOICES = [
    (code, [float(number) for number in numbers.split(", ")])
    for row in ROWS
    for cell in row
    for code, numbers in re.findall(r"`([^`]+)`: ([\d., na]+)$", cell)
]


def test_choices_were_found():
    assert len(CHOICES) == 8 * 3


@pytest.mark.parametrize(("code", "expected"), CHOICES, ids=[code for code, _ in CHOICES])
def test_choices_at_kinks(code, expected):
    library = names(code)[0].split(".")[0]
    point = [0.0, 0.0] if re.search(r"\bv\b", code) else 0.0
    variable = "v" if isinstance(point, list) else "x"
    with np.errstate(all="ignore"):
        if library == "minigrad":
            leaf = mg.Tensor(point, requires_grad=True)
            gradient = mg.grad(eval(code, {"mg": mg, variable: leaf}), leaf)
        elif library == "torch":
            torch = required("torch")
            leaf = torch.tensor(point, requires_grad=True)
            (gradient,) = torch.autograd.grad(
                eval(code, namespace("torch") | {variable: leaf, "zero": torch.tensor(0.0)}), leaf
            )
        else:
            jax = required("jax")
            gradient = jax.grad(lambda leaf: eval(code, namespace("jax") | {variable: leaf}))(jax.numpy.array(point))
    np.testing.assert_allclose(np.ravel(gradient), expected, rtol=1e-6)


# ---------------------------------------------------------------- what they print


@pytest.mark.parametrize(
    ("title", "program", "printed"), PROGRAMS, ids=[f"{i} {title}" for i, (title, *_) in enumerate(PROGRAMS)]
)
def test_programs_print_what_the_page_says(title, program, printed):
    library = {"PyTorch": "torch", "JAX": "jax"}[title]
    required(library)
    with default_settings(library), contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(program, title, "exec"), {})
    assert output.getvalue() == printed


def test_remarks_on_torch():
    """What the sentences between the programs say."""
    torch, F = required("torch"), found("torch.nn.functional")
    three = torch.tensor([1.0, 2.0, 3.0])
    with pytest.warns(UserWarning, match="broadcasting"):
        F.mse_loss(three.reshape(3, 1), three)
    with pytest.raises(IndexError):
        three[10]
    assert F.binary_cross_entropy(torch.zeros(1), torch.ones(1)) == 100
    for name in ("mse_loss", "l1_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy"):
        assert inspect.signature(getattr(F, name)).parameters["reduction"].default == "mean"
    y_true, y_pred = [1.0, -1.0], [0.5, -3.0]
    theirs = F.hinge_embedding_loss(torch.tensor(y_pred), torch.tensor(y_true)).item()
    assert theirs != pytest.approx(mg.losses.hinge(y_true, y_pred).item())
    assert torch.nn.Linear(3, 2).weight.shape == mg.layers.Dense(3, 2).weight.shape
    assert torch.transpose(torch.zeros(2, 3, 5), 0, 2).shape == (5, 3, 2)
    assert list(torch.max(three, dim=0)) == [3, 2]
    layer = torch.nn.Linear(1, 1)
    layer(torch.ones(1, 1)).sum().backward()
    layer.zero_grad()
    assert layer.weight.grad is None


def test_remarks_on_jax():
    jax = required("jax")
    assert jax.grad(lambda x, z: x * x, argnums=(0, 1))(2.0, 1.0) == (4, 0)
    _, back = jax.vjp(lambda x: x**3, 2.0)
    assert [back(1.0), back(10.0)] == [(12,), (120,)]
    assert jax.grad(jax.grad(lambda x: x**3))(2.0) == jax.hessian(lambda x: x**3)(2.0) == 12
    jax.test_util.check_grads(lambda x: x**3, (2.0,), order=2)
    with pytest.raises(TypeError, match="immutable"):
        jax.numpy.zeros(3)[0] = 5.0


def test_the_versions_on_the_page():
    """The page says with which versions it was checked: those of the benchmarks."""
    pins = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    for title, library in (("PyTorch", "torch"), ("JAX", "jax")):
        version = re.search(rf"{title} (\d+\.\d+)\b", PAGE)[1]
        assert f'"{library}=={version}.' in pins
