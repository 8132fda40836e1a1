"""What to change: every operator, operand, comparison, constant, condition and statement of a file, one at a time."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType

LIBRARY = Path(__file__).parents[2] / "minigrad"

OTHER = {
    **{ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div], ast.Div: [ast.Mult], ast.Pow: [ast.Mult]},
    **{
        ast.MatMult: [ast.Mult],
        ast.FloorDiv: [ast.Mult],
        ast.Mod: [ast.Mult],
        ast.BitOr: [ast.BitAnd],
        ast.BitAnd: [ast.BitOr],
    },
    **{ast.Lt: [ast.LtE, ast.Gt], ast.LtE: [ast.Lt, ast.GtE], ast.Gt: [ast.GtE, ast.Lt], ast.GtE: [ast.Gt, ast.LtE]},
    **{ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.Is: [ast.IsNot], ast.IsNot: [ast.Is], ast.In: [ast.NotIn]},
    **{ast.NotIn: [ast.In], ast.And: [ast.Or], ast.Or: [ast.And]},
}
REMOVABLE = (ast.Expr, ast.AugAssign, ast.Continue, ast.Break)
SKIPPED = (ast.Import, ast.ImportFrom, ast.Raise, ast.JoinedStr)


class Mutant:
    """One node of a file's syntax tree with another value in one of its fields."""

    def __init__(self, file: str, function: str, node: ast.AST, field: str, new) -> None:
        self.file, self.function, self.node, self.field, self.new = file, function, node, field, new
        self.change = ""  # "before -> after", in one line

    @property
    def key(self) -> str:
        return f"{self.file} {self.function}: {self.change}"

    def __enter__(self) -> None:
        self.old = getattr(self.node, self.field)
        setattr(self.node, self.field, self.new)

    def __exit__(self, *_) -> None:
        setattr(self.node, self.field, self.old)

    def code(self) -> CodeType:
        with self:
            return compiled(self.file)


@cache
def parsed(file: str) -> ast.Module:
    return ast.parse((LIBRARY / file).read_text(encoding="utf-8"))


def compiled(file: str) -> CodeType:
    return compile(ast.fix_missing_locations(parsed(file)), str(LIBRARY / file), "exec", dont_inherit=True)


def changes(node: ast.AST, names: list[str]) -> Iterator[tuple[str, object]]:
    """(field, new value) for each way to change this one node."""
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)):
        yield from (("op", new()) for new in OTHER.get(type(node.op), ()))
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            yield from (("ops", [*node.ops[:i], new(), *node.ops[i + 1 :]]) for new in OTHER[type(op)])
    if isinstance(node, (ast.If, ast.IfExp, ast.While)) and not isinstance(node.test, ast.Compare):
        yield "test", ast.UnaryOp(ast.Not(), node.test)
    if isinstance(node, ast.comprehension):
        yield from (("ifs", [ast.UnaryOp(ast.Not(), test)]) for test in node.ifs)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
        yield from (("id", other) for other in names if other != node.id)
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield "value", not node.value
        elif isinstance(node.value, (int, float)):
            yield "value", node.value + 1
        elif isinstance(node.value, str) and node.value and " " not in node.value:  # a name, no message
            yield "value", node.value + "!"
    if isinstance(node, ast.Call):
        for i, keyword in enumerate(node.keywords):
            if not isinstance(keyword.value, ast.Constant):
                yield "keywords", node.keywords[:i] + node.keywords[i + 1 :]


def exchangeable(function: ast.Lambda | ast.FunctionDef) -> list[str]:
    """The names that may stand for one another: parameters, and of a longer function what it assigns, too."""
    args = function.args
    names = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs) if a.arg != "self"]
    if isinstance(function, ast.FunctionDef):
        stored = (n for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        names += sorted({n.id for n in stored} - set(names))
    return names


def mutants(file: str) -> list[Mutant]:
    """All mutants of a file, in the order of its text."""
    tree, found, seen = parsed(file), [], Counter()

    def visit(node: ast.AST, where: list[str], names: list[str], shown: ast.AST) -> None:
        if isinstance(node, SKIPPED) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            return
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            where = [*where, node.name]
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            names = exchangeable(node)
        if isinstance(node, (ast.stmt, ast.Lambda)) and not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            shown = node
        if len(names) > 5 and isinstance(node, ast.Name) and node.id in names:  # one exchange is enough
            at = names.index(node.id)
            some = [node.id, names[(at + 1) % len(names)]]
        else:
            some = names
        for field, new in changes(node, some):
            record(node, field, new, where, shown)
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "ctx", "op", "ops") or is_slots(node):
                continue
            children = value if isinstance(value, list) else [value]
            for i, child in enumerate(children):
                if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                    continue  # a docstring
                if isinstance(child, REMOVABLE) or (isinstance(child, ast.Assign) and not stores_name(child)):
                    record(node, field, [*children[:i], ast.Pass(), *children[i + 1 :]], where, child, ast.Pass())
                if isinstance(child, ast.AST):
                    visit(child, where, names, child if isinstance(node, ast.FunctionDef) else shown)

    def record(node, field, new, where, shown, instead=None) -> None:
        mutant = Mutant(file, ".".join(where), node, field, new)
        before = line(shown)
        with mutant:
            mutant.change = f"{before} -> {line(instead or shown)}"
        seen[mutant.key] += 1
        mutant.change += f" #{seen[mutant.key]}" if seen[mutant.key] > 1 else ""
        found.append(mutant)

    visit(tree, [], [], tree)
    return found


def is_slots(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__"


def stores_name(node: ast.Assign) -> bool:
    return all(isinstance(target, ast.Name) for target in node.targets)


def line(node: ast.AST) -> str:
    """A statement in one line: of a compound one its head."""
    text = ast.unparse(node)
    if isinstance(node, (ast.If, ast.For, ast.While, ast.With, ast.Try)):
        return text.split("\n", 1)[0]
    return " ".join(text.split())
