"""Hostile and unlucky submissions, as text in the files beside this one; `read` makes notebooks of set 04 of them.

| kind | how the code is used | right score |
|---|---|---|
| dos | in the place of relu_backward, the rest is right | all but that task |
| cheat | alone | 0 |
| honest | in the place of relu_backward, the rest is right | all |
| file | files.py makes the notebook's bytes | says so |
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
SOLUTION = HERE.parent.parent / "solutions/04-operations.ipynb"
POINTS, RELU = 30, 1  # of set 04, and of the task that is attacked
ID = "4.13"
HEADER = re.compile(r"^== (.+)\n", re.MULTILINE)
BREACH = """\
MARK, RESULTS, SOLUTION, PORT, GRADER = {names!r}
def breach(what):
    print("BREACH:", what)
    try:
        open(MARK, "a").write(what + "\\n")
    except OSError:
        pass
"""


@dataclass(frozen=True)
class Attack:
    """`says`: one of these is in the reason of the task under attack; `notes`: each is in the notes."""

    name: str
    kind: str
    cells: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    slow: bool = False
    score: float = POINTS
    make: Callable[[dict], bytes] | None = field(default=None, repr=False)

    def notebook(self, *names) -> bytes:
        """The submission; `names` are the paths and numbers that it would like to reach."""
        if self.make:
            return self.make(right())
        cells = [
            cell.replace("MARK", str(names[0])) if "!touch" in cell or "%%bash" in cell else cell for cell in self.cells
        ]
        cells = [BREACH.format(names=names), *cells]
        return packed([code(c) for c in cells]) if self.kind == "cheat" else packed(instead(right(), ID, cells))


def read(kind: str) -> list[Attack]:
    """The attacks of one file."""
    _, *parts = HEADER.split((HERE / f"{kind}.txt").read_text(encoding="utf-8"))
    return [attack(kind, head, body) for head, body in zip(parts[::2], parts[1::2], strict=True)]


def attack(kind: str, head: str, body: str) -> Attack:
    name = head.removesuffix(", slow")
    lines = body.strip("\n").split("\n")
    says = next((tuple(line[2:].split("|")) for line in lines if line.startswith("> ")), ())
    notes = tuple(line[2:] for line in lines if line.startswith("! "))
    source = "\n".join(line for line in lines if line[:2] not in ("> ", "! "))
    score = {"dos": POINTS - RELU, "cheat": 0, "honest": POINTS}[kind]
    return Attack(name, kind, tuple(source.split("\n--cell\n")), says, notes, head != name, score)


# ---------------------------------------------------------------- notebooks


@cache
def _solution() -> dict:
    return json.loads(SOLUTION.read_text(encoding="utf-8"))


def right() -> dict:
    """Set 04, solved, without its outputs."""
    notebook = copy.deepcopy(_solution())
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
        if cell["cell_type"] == "code":
            cell["outputs"] = []
    return notebook


def code(source: str) -> dict:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}


def place(notebook: dict, id: str, what: str = "answer") -> int:
    """Where the answer cell of a task stands, or its check."""
    name = f"{what}-{id.replace('.', '-')}"
    return next(i for i, c in enumerate(notebook["cells"]) if c["metadata"].get("nbgrader", {}).get("grade_id") == name)


def instead(notebook: dict, id: str, cells: list[str]) -> dict:
    i = place(notebook, id)
    notebook["cells"][i : i + 1] = map(code, cells)
    return notebook


def packed(notebook: dict | list[dict]) -> bytes:
    if isinstance(notebook, list):
        notebook = {"cells": notebook, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook).encode()
