"""Formulas cannot rot: every labelled rule is checked by a cell of its page, and the check sees a flipped sign."""

from __future__ import annotations

import ast
import os
import re
import sys
from functools import cache
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext", reason="the book's requirements are not installed")

BOOK = Path(__file__).parent.parent / "book"
PAGES = sorted(BOOK.rglob("*.md"))
LABEL = re.compile(r"\$\$ *\((rule-[\w-]+)\)")
CHECK = re.compile(r"# check: (rule-[\w-]+)")


@cache
def cells(page: Path) -> list[str]:
    return [cell.source for cell in jupytext.read(page).cells if cell.cell_type == "code"]


def checks(page: Path) -> list[tuple[int, str]]:
    """The position of each checking cell, and its label."""
    return [(i, label) for i, source in enumerate(cells(page)) for label in CHECK.findall(source)]


def page_id(page: Path) -> str:
    return page.relative_to(BOOK).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_labelled_rule_has_a_check_on_its_page(page):
    labels = LABEL.findall(page.read_text(encoding="utf-8"))
    assert sorted(labels) == sorted({label for _, label in checks(page)})


def test_labels_are_unique():
    labels = [label for page in PAGES for label in LABEL.findall(page.read_text(encoding="utf-8"))]
    assert len(labels) == len(set(labels)) > 0


class Flip(ast.NodeTransformer):
    """The n-th sign of a cell, flipped: + and −, a leading −, or a factor negated; not in given data and not in shapes."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.line = 0
        self.in_rule = False  # the flip is in an assignment, which is how pages write a rule down
        self.depth = 0

    def is_next(self, node: ast.expr) -> bool:
        self.n -= 1
        if self.n == -1:
            self.line, self.in_rule = node.lineno, self.depth > 0
        return self.n == -1

    def visit_Assign(self, node: ast.Assign | ast.AugAssign) -> ast.stmt:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1
        return node

    visit_AugAssign = visit_Assign

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        depth, self.depth = self.depth, 0
        self.generic_visit(node)
        self.depth = depth
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add | ast.Sub) and self.is_next(node):
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        elif isinstance(node.op, ast.Mult | ast.Div | ast.MatMult) and self.is_next(node):
            node.left = ast.UnaryOp(ast.USub(), node.left)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return node if getattr(node.func, "attr", "") == "reshape" else self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        a_number = isinstance(node.operand, ast.Constant)
        return node.operand if isinstance(node.op, ast.USub) and not a_number and self.is_next(node) else node


def flips(source: str):
    """Every way to flip one sign in a cell: the line, whether it is in a rule, and the cell with it."""
    for n in range(1000):
        flip = Flip(n)
        tree = flip.visit(ast.parse(source))
        if not flip.line:
            return
        yield flip.line, flip.in_rule, ast.unparse(ast.fix_missing_locations(tree))


def survives(source: str, shell) -> bool:
    """Whether the cell runs without an error, tried in a child process so that it leaves no trace."""
    child = os.fork()
    if not child:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (the child ends before it could be closed)
        ok = False
        try:
            ok = shell.run_cell(source, silent=True).success
        finally:
            os._exit(not ok)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="tries each flip in a forked process")
@pytest.mark.parametrize("page", [page for page in PAGES if checks(page)], ids=page_id)
def test_a_check_sees_a_flipped_sign(page, monkeypatch, capfd):
    """A check that passes whatever the formula says."""
    from IPython.core.interactiveshell import InteractiveShell
    from matplotlib import pyplot

    pyplot.close("all")  # the figures of the page before: many pages' would be too many, with a warning
    monkeypatch.chdir(page.parent)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    blind = []
    checking = dict(checks(page))
    for i, source in enumerate(cells(page)[: max(checking) + 1]):
        if i in checking:
            tried = [(line, in_rule, survives(flipped, shell)) for line, in_rule, flipped in flips(source)]
            lines = [line for line, in_rule, passes in tried if passes and in_rule]
            blind += [f"{checking[i]}: {source.splitlines()[line - 1].strip()}" for line in lines]
            if all(passes for _, _, passes in tried):
                blind.append(f"{checking[i]}: none of {len(tried)} flips was seen")
        result = shell.run_cell(source, silent=True)
        assert result.success, source
    assert not blind, "\n".join(blind)


def test_what_is_cited_is_in_the_references_and_no_more():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    cited = {key.strip() for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", text) for key in keys.split(",")}
    entries = re.findall(r"^@\w+\{(.+),$", (BOOK / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(cited) == sorted(entries)
