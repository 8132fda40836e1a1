"""What type checkers and typing.get_type_hints read in the annotations of the library."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import minigrad as mg

PACKAGE = Path(mg.__file__).parent

# What a checker reveals, without the names of modules.  Each way to write an operation has a type: an operator, its
# reflected form, a method, a function.
TENSORS = ["x + x", "x - 1", "2 * x", "2 - x", "2 / x", "2**x", "x @ x", "-x", "abs(x)", "x**2", "x / 2"]
TENSORS += ["x + [1.0, 2.0]", "x + np.float32(2)", "np.float32(2) * x", "array * x", "array @ x", "x[0]", "x[1:, None]"]
TENSORS += ["x.T", "x.mT", "x.sum()", "x.max(axis=0)", "x.exp()", "x.reshape(2)", "x.transpose(1, 0)", "x.detach()"]
TENSORS += ["mg.tensor_add(x, 1)", "mg.tensor_stack([x, x])", "mg.tensor_where(x > 0, x, 0)"]
TENSORS += ["mg.losses.mean_squared_error([1.0, 2.0], x)", "mg.layers.Dense(2, 3)(x)"]
BOOLEANS = ["x > 0", "x <= x", "x == 0", "x != x", "x > array"]
REVEALED = dict.fromkeys(TENSORS, "Tensor") | dict.fromkeys(BOOLEANS, "ndarray[Any, dtype[bool[bool]]]")
REVEALED |= {"x.shape": "tuple[int, ...]", "x.ndim": "int", "x.dtype": "dtype[Any]", "x.item()": "float"}

WRONG = ["x + None", "mg.tensor_add(x)", "x.sum(axes=0)", "x.reshape(2).columns", "mg.tensor_exp(x).node.parent"]

LINES = ["import minigrad as mg, numpy as np", "x, array = mg.Tensor([1.0, 2.0]), np.ones(2)"]
LINES += [f"reveal_type({expression})" for expression in REVEALED] + WRONG


def run(*command: str, folder: Path) -> str:
    (folder / "program.py").write_text("\n".join(LINES) + "\n")
    environment = os.environ | {"MYPYPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr  # errors were found
    return done.stdout


def mypy(folder: Path) -> list[tuple[int, str]]:
    output = run("mypy", "--config-file=", "--follow-imports=silent", "program.py", folder=folder)
    found = [line.split(":", 2) for line in output.splitlines() if line.startswith("program.py:")]
    return [(int(number), text) for _, number, text in found]


def pyright(folder: Path) -> list[tuple[int, str]]:
    pytest.importorskip("basedpyright")
    settings = {"typeCheckingMode": "standard", "extraPaths": [str(PACKAGE.parent)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    output = run("basedpyright", "--outputjson", "--pythonpath", sys.executable, "program.py", folder=folder)
    found = json.loads(output)["generalDiagnostics"]
    return [(d["range"]["start"]["line"] + 1, f"{d['severity']}: {d['message']}") for d in found]


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_type_checker_knows_the_type_of_every_expression(checker, tmp_path):
    """A decorated primitive, or a method that is one, would be Any without the types of the decorator."""
    revealed, errors = {}, set()
    for number, text in checker(tmp_path):
        if match := re.search(r'(?:Revealed type|Type of ".*") is "(.*)"', text):
            revealed[LINES[number - 1]] = re.sub(r"\b(?:\w+\.)+(?=\w)", "", match[1])
        elif text.strip().startswith("error"):
            errors.add(LINES[number - 1])
    assert revealed == {f"reveal_type({expression})": kind for expression, kind in REVEALED.items()}
    assert errors == set(WRONG)  # each of the mistakes, and nothing else


def test_type_checkers_may_read_the_annotations():
    """Without the file py.typed they ignore those of an installed package."""
    assert (PACKAGE / "py.typed").exists()


FILES = sorted([*PACKAGE.glob("[a-z]*.py"), *PACKAGE.glob("layers/[a-z]*.py")])
MODULES = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in FILES]


@pytest.mark.parametrize("name", MODULES)
def test_annotations_can_be_read_at_run_time(name):
    """Documentation tools call get_type_hints, which fails on names that are imported for type checkers alone."""
    module = importlib.import_module(name)
    own = [x for x in vars(module).values() if getattr(x, "__module__", "") == name]
    methods = [m for x in own if inspect.isclass(x) for m in vars(x).values()]
    for x in own + [m.fget if isinstance(m, property) else m for m in methods]:
        if inspect.isfunction(x) or inspect.isclass(x):
            typing.get_type_hints(x)
