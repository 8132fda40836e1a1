"""A class that was never taught: notebooks of a set, each answer right two times out of three, else wrong in one of the usual ways."""

from __future__ import annotations

import ast
import copy
import json
import random
from pathlib import Path

ROOT = Path(__file__).parent.parent
RIGHT = 2 / 3


def notebook(number: str, seed: int) -> str:
    """The JSON of one submission; the same for the same seed."""
    rng = random.Random(f"{number} {seed}")
    solved = json.loads(next(ROOT.glob(f"solutions/{number}-*.ipynb")).read_text(encoding="utf-8"))
    exercise = json.loads(next(ROOT.glob(f"exercises/{number}-*.ipynb")).read_text(encoding="utf-8"))
    answers = {id_of(cell): "".join(cell["source"]) for cell in solved["cells"] if id_of(cell).startswith("answer-")}
    for cell in exercise["cells"]:
        if (id := id_of(cell)) in answers:
            stub = "".join(cell["source"])
            cell["source"] = answers[id] if rng.random() < RIGHT else spoilt(answers[id], stub, rng)
    return json.dumps(exercise)


def id_of(cell: dict) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def spoilt(source: str, stub: str, rng: random.Random) -> str:
    """The stub; or the answer with a sign, a factor, an order or a name gone wrong."""
    ways = [Swapped, Negated, Dropped, Misspelt]
    if rng.random() < 1 / (len(ways) + 1):
        return stub
    tree = rng.choice(ways)(rng).visit(copy.deepcopy(ast.parse(source)))
    return ast.unparse(ast.fix_missing_locations(tree))


class Wrong(ast.NodeTransformer):
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng


class Swapped(Wrong):
    """Two results in the wrong order, or the operands of a product."""

    def visit_Return(self, node: ast.Return) -> ast.Return:
        if isinstance(node.value, ast.Tuple):
            node.value.elts.reverse()
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.BinOp:
        self.generic_visit(node)
        node.left, node.right = node.right, node.left
        return node


class Negated(Wrong):
    def visit_Return(self, node: ast.Return) -> ast.Return:
        if isinstance(node.value, ast.Tuple):
            node.value.elts[-1] = ast.UnaryOp(ast.USub(), node.value.elts[-1])
        elif node.value is not None:
            node.value = ast.UnaryOp(ast.USub(), node.value)
        return node


class Dropped(Wrong):
    """The upstream gradient forgotten."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id == "G" and isinstance(node.ctx, ast.Load):
            return ast.parse("np.ones_like(G)", mode="eval").body
        return node


class Misspelt(Wrong):
    """A name that does not exist."""

    def visit_Return(self, node: ast.Return) -> ast.Return:
        node.value = ast.Name("dX_", ast.Load())
        return node


def write(folder: Path, number: str, n: int) -> None:
    """n submissions, student-0000.ipynb and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        Path(folder, f"student-{i:05}.ipynb").write_text(notebook(number, i), encoding="utf-8")
