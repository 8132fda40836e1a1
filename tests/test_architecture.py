"""What keeps the library readable in one direction: imports, sizes, and that everything public explains itself."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import minigrad as mg

ROOT = Path(mg.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

# Who may import whom: only from lines above its own (and from its own package).  One step up the list is one chapter on.
ORDER = [
    {"context", "_typing"},
    {"graph"},
    {"primitive"},
    {"functions"},
    {"operations"},
    {"elementwise", "rearranging", "windows"},
    {"reductions", "einsum"},
    {"interop", "methods"},
    {"tensor"},
    {"states", "updates", "explanation"},
    {"observe", "gradcheck", "layers", "losses", "optimisers", "fused", "data", "transforms", "compiler"},
    {"draw"},
    {"classroom"},
    {"grading"},
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
CORE = [name for name, level in LEVEL.items() if level < LEVEL["draw"]]


def part(path: Path) -> str:
    """The line of ORDER that a file belongs to: its own name, or its package's."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree: ast.AST, package: list[str]) -> Iterator[str]:
    """The full names of all modules that a file imports, inside functions too; what is for type checkers alone, not."""
    unseen = [tree]
    while unseen:
        node = unseen.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            unseen += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        unseen += ast.iter_child_nodes(node)


def imports_of(path: Path) -> set[str]:
    package = list(path.relative_to(ROOT.parent).parts[:-1])
    return set(imports(ast.parse(path.read_text(encoding="utf-8")), package))


def wrong_way(importer: str, names: set[str]) -> list[str]:
    """Those of these imports that a file in `importer` may not have."""
    allowed = {name for name in LEVEL if LEVEL[name] < LEVEL[importer]} | {importer}
    ours = {name.split(".")[1] for name in names if name.startswith("minigrad.")}
    return sorted(name for name in ours & LEVEL.keys() if name not in allowed)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    """graph ← primitive ← … ← tensor ← layers … ← draw ← classroom ← grading: what you read first needs nothing that comes later."""
    name = part(path)
    if path == ROOT / "__init__.py":  # the shop window shows the core, and loads nothing else
        assert not wrong_way("draw", imports_of(path))
        assert "minigrad.draw" not in imports_of(path)
        return
    assert name in LEVEL, f"{name} has no place in ORDER: say what it may import"
    assert not wrong_way(name, imports_of(path)), f"{name} imports what is built on it"


@pytest.mark.parametrize("path", [p for p in SOURCES if part(p) in CORE], ids=lambda path: str(path.relative_to(ROOT)))
def test_core_needs_numpy_alone(path):
    """NumPy, the standard library and ourselves: whoever installs the package gets nothing else."""
    roots = {name.split(".")[0] for name in imports_of(path)}
    assert roots <= sys.stdlib_module_names | {"numpy", "minigrad"}


def test_a_violation_would_be_seen():
    """The judge itself: upward imports in each spelling, in functions too, but not for type checkers."""
    source = """
from __future__ import annotations
if TYPE_CHECKING:
    from .tensor import Tensor
def f():
    from . import tensor
    import minigrad.draw.svg
    from ..minigrad.losses import hinge
    from .graph import Node
"""
    assert wrong_way("operations", set(imports(ast.parse(source), ["minigrad"]))) == ["draw", "losses", "tensor"]
    assert wrong_way("layers", set(imports(ast.parse("from ..losses import hinge"), ["minigrad", "layers"]))) == [
        "losses"
    ]
    assert not wrong_way("layers", set(imports(ast.parse("from .base import BaseLayer"), ["minigrad", "layers"])))
    assert not wrong_way("draw", set(imports(ast.parse("from ..tensor import Tensor"), ["minigrad", "draw"])))


def test_import_loads_the_core_alone():
    """`import minigrad` in a script pays for NumPy and for us; pictures and widgets are loaded by who wants them."""
    code = "import sys, minigrad; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    loaded = set(done.stdout.split())
    assert "minigrad.tensor" in loaded
    heavy = {"matplotlib", "IPython", "grandalf", "ipywidgets", "minigrad.draw", "minigrad.classroom"}
    assert not loaded & heavy


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_can_be_read_at_one_sitting(path):
    """At most 450 lines, and a first line that says what the file is for.  Of a set of exercises one task is read at a time."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 450 or path.parent.name == "sets"
    assert ast.get_docstring(ast.parse(text)) or not text.strip()


# ---------------------------------------------------------------- everything public explains itself


def public() -> dict[str, object]:
    """What users call: the names of minigrad, of its losses, layers and optimisers, and the fused primitives."""
    found = {}
    for module in (mg, mg.losses, mg.layers, mg.optimisers, mg.fused):
        for name in dir(module):  # with what is loaded at its first use
            x = getattr(module, name)
            ours = getattr(x, "__module__", "").startswith("minigrad" if module is mg else module.__name__)
            ours = ours or name in getattr(module, "__all__", ())  # defined in a file below it
            if ours and callable(x) and not name.startswith("_"):
                found[f"{module.__name__}.{name}"] = x
    return found


PUBLIC = public()


def methods(cls: type) -> dict[str, object]:
    return {
        name: member
        for name, member in vars(cls).items()
        if not name.startswith("_") and (callable(member) or isinstance(member, property))
    }


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_docstring_and_example(name):
    """What it does, and an example that the doctests run."""
    doc = inspect.getdoc(PUBLIC[name])
    assert doc
    assert ">>> " in doc or isinstance(PUBLIC[name], type) and issubclass(PUBLIC[name], Exception)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_functions_have_type_hints(name):
    """Every parameter that is no plain flag or number by its default, and the result unless it depends on the call."""
    x = PUBLIC[name]
    functions = [x] if not isinstance(x, type) else [f for f in methods(x).values() if inspect.isfunction(f)]
    for function in functions:
        hints = function.__annotations__
        parameters = list(inspect.signature(function).parameters)
        bare = [p for p in parameters if p not in hints and p not in UNHINTED]
        assert not bare, f"{function.__qualname__}: no type hints for {bare}"


# what takes anything that NumPy takes, so that no hint would say more than the docstring
UNHINTED = {"self", "data", "dtype", "gradient", "index", "rng", "shape", "axes"}


@pytest.mark.parametrize("name", [name for name, x in PUBLIC.items() if isinstance(x, type)])
def test_public_methods_have_docstrings(name):
    """Of the class that introduced them; `forward` and its like say what they do where they were first written."""
    cls = PUBLIC[name]
    for method, member in methods(cls).items():
        inherited = any(hasattr(base, method) for base in cls.__mro__[1:])
        assert inherited or method == "forward" or inspect.getdoc(member), f"{cls.__name__}.{method} has no docstring"
