"""The code cells of a notebook that a stranger handed in: whatever state it is in, the cells or a sentence that says why not."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, NamedTuple

MOST_CODE = 5_000_000  # characters in all cells; the largest honest notebook has a hundredth of it
SOURCES = ("source", "input", "code")  # of a cell, in nbformat 4, in 3 and 2, and in 1
PROSE = ("markdown", "raw", "heading", "html", "plaintext")  # cell types of all formats that are not run

FIRST_BYTES = {
    b"PK": "a zip archive. Unpack it and hand in the notebook inside",
    b"%PDF": "a PDF. Hand in the notebook itself, the file that ends in .ipynb",
    b"\x1f\x8b": "a gzip archive. Unpack it and hand in the notebook inside",
    b"\x89PNG": "a picture",
    b"{\\rtf": "a document of a word processor",
    b"version https://git-lfs": "a pointer of Git LFS, without the file that it points at",
}


class Notebook(NamedTuple):
    """The code cells, each with its number among all cells of the notebook, counted from 1; and what was odd about it."""

    cells: list[tuple[int, str]]
    notes: list[str]


def cells_of(raw: bytes) -> Notebook:
    """The code cells in `raw`; ValueError says where and why it is not a notebook, and what to do.

    Outputs, metadata and attachments are dropped.  Formats 1 to 4 are read.

    >>> cells_of(b'{"cells": [{"cell_type": "markdown", "source": "Hi"}, {"cell_type": "code", "source": ["x = 1\\\\n", "y = 2"]}]}')
    Notebook(cells=[(2, 'x = 1\\ny = 2')], notes=[])
    >>> cells_of(b"import numpy as np")
    Traceback (most recent call last):
    ...
    ValueError: not a notebook: this is a Python script. Hand in the notebook itself, saved by Jupyter as .ipynb.
    """
    notes: list[str] = []
    text = decoded(raw, notes)
    tree = parsed(text, notes)
    del text
    cells = [
        (number, code)
        for number, cell in enumerate(all_cells(tree, notes), 1)
        if (code := code_of(cell, number, notes))
    ]
    if (size := sum(len(code) for _, code in cells)) > MOST_CODE:
        raise ValueError(f"its cells hold {size:,} characters of code; at most {MOST_CODE:,} are read.")
    return Notebook(cells, list(dict.fromkeys(notes)))


# ---------------------------------------------------------------- from bytes to text


def decoded(raw: bytes, notes: list[str]) -> str:
    if not raw.strip():
        raise ValueError("not a notebook: the file is empty. Save the notebook in Jupyter and hand it in again.")
    for start, what in FIRST_BYTES.items():
        if raw.startswith(start):
            raise ValueError(f"not a notebook: this is {what}.")
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if raw.startswith(mark):
            if encoding != "utf-8-sig":
                notes.append(f"The file is written in {encoding.upper()}, not in UTF-8; it was read all the same.")
            return raw.decode(encoding, errors="replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        notes.append(f"Byte {error.start} is not UTF-8; the file was read as Latin-1, so letters may look wrong.")
        return raw.decode("latin-1")


def parsed(text: str, notes: list[str]) -> dict:
    def without_outputs(pairs: list[tuple[str, Any]]) -> dict:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
            notes.append(f"The key {twice[:40]!r} stands twice in one place; the last one counts, as in Jupyter.")
        made.pop("outputs", None)
        return made

    def no_number(name: str) -> None:
        notes.append(f"{name} is not a number that JSON knows; it was read as nothing.")

    try:
        tree = json.loads(text, object_pairs_hook=without_outputs, parse_constant=no_number, parse_int=lambda _: 0)
    except json.JSONDecodeError as error:
        raise ValueError(f"not a notebook: {guess(text, error)}") from None
    except (RecursionError, MemoryError):
        raise ValueError("not a notebook: it is nested too deeply to be read.") from None
    if not isinstance(tree, dict):
        raise ValueError(
            f"not a notebook: the file holds {kind(tree)}, not a notebook's {{…}}. Save it in Jupyter again."
        )
    return tree


def guess(text: str, error: json.JSONDecodeError) -> str:
    """What a file that is not JSON is instead."""
    start = text.lstrip()
    if start[:1] == "<":
        return "this is an HTML page. If the notebook was downloaded, it was its view that was saved: download the raw file."
    if start.startswith(("<<<<<<<", ">>>>>>>")) or "\n<<<<<<< " in text:
        return "it holds the marks of a merge conflict. Resolve it and save the notebook again."
    if start[:1] != "{":
        if re.match(r"#|import |from |def |class |@|%|\w+\(|\"\"\"|\w+ *=", start):
            return "this is a Python script. Hand in the notebook itself, saved by Jupyter as .ipynb."
        return "this is no JSON at all. Hand in the file that Jupyter saved as .ipynb."
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return f"it ends in the middle, at line {error.lineno}. The upload or the save was cut off: save and hand in again."
    return (
        f"line {error.lineno}, column {error.colno}: {error.msg}. Open it in Jupyter; if that fails, undo the last edit "
        "that was made outside of it."
    )


# ---------------------------------------------------------------- from the tree to cells


def all_cells(tree: dict, notes: list[str]) -> list:
    """Every cell of a notebook of any format: those of the worksheets too, which formats 2 and 3 have."""
    sheets = tree.get("worksheets")
    found = tree.get("cells")
    if isinstance(sheets, list) and not isinstance(found, list):
        notes.append("An old notebook format; its cells were read.")
        found = [cell for sheet in sheets if isinstance(sheet, dict) for cell in as_list(sheet.get("cells"))]
    if not isinstance(found, list):
        has = ", ".join(repr(str(key)[:20]) for key in list(tree)[:5]) or "nothing"
        raise ValueError(f"not a notebook: it has no list of cells, but {has}. Save it in Jupyter again.")
    return found


def as_list(x: Any) -> list:
    return x if isinstance(x, list) else []


def code_of(cell: Any, number: int, notes: list[str]) -> str:
    """The source of a code cell, its line ends as Python's; "" for prose and for what is no cell."""
    if not isinstance(cell, dict):
        notes.append(f"Cell {number} is {kind(cell)} and no cell; it was left out.")
        return ""
    if cell.get("cell_type") != "code":
        if cell.get("cell_type") not in PROSE:
            notes.append(f"Cell {number} has no known type; it was not run.")
        return ""
    source = next((cell[key] for key in SOURCES if key in cell), "")
    if isinstance(source, list):
        if any(not isinstance(line, str) for line in source):
            notes.append(f"Cell {number} has a line that is not text; it was left out.")
        source = "".join(line for line in source if isinstance(line, str))
    if not isinstance(source, str):
        notes.append(f"The source of cell {number} is {kind(source)}, not text; it was left out.")
        return ""
    return source.replace("\r\n", "\n").replace("\r", "\n")


def kind(x: Any) -> str:
    """What a value is, in the words of JSON."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(x), "a number")
