"""CSV, both ways: files of an instructor's, told exactly where they are wrong; and tables with strangers' words, made harmless."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import TextIO

from .text import plain

# ---------------------------------------------------------------- reading


@dataclass(frozen=True)
class Row:
    """A line of a file, by the names of its columns."""

    path: Path
    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")

    def wrong(self, column: str, allowed: str) -> ValueError:
        """The error to raise: what stands there, and what may.

        >>> Row(Path("late.csv"), 3, {"due": "soon"}).wrong("due", "a date such as 2026-10-01")
        ValueError("late.csv, line 3, column due: 'soon'; allowed is a date such as 2026-10-01.")
        """
        return ValueError(
            f"{self.path}, line {self.line}, column {column}: {plain(self[column], 60)!r}; allowed is {allowed}."
        )

    def number(self, column: str, allowed: str, least: float = 0) -> float:
        try:
            value = float(self[column].replace(",", "."))
        except ValueError:
            raise self.wrong(column, allowed) from None
        if not isfinite(value) or value < least:
            raise self.wrong(column, allowed)
        return value


def read(path: Path, columns: Mapping[str, Iterable[str]], required: Iterable[str]) -> Iterator[Row]:
    """The rows of a CSV file with a header.  `columns` gives other names under which each column is known.

    Separated by commas, semicolons or tabs; letters of either case; columns that nobody asked for are left alone.
    """
    text = text_of(path)
    header = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=header.count)
    names = {alias.casefold(): name for name, aliases in columns.items() for alias in (*aliases, name)}
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator, strict=True)
    found: list[str] | None = None
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if found is None:
                found = [names.get(cell.casefold(), "") for cell in cells]
                check_header(path, reader.line_num, cells, found, names, required)
                continue
            if len(cells) > len(found) and any(cells[len(found) :]):
                raise ValueError(f"{path}, line {reader.line_num}: {len(cells)} cells; the header has {len(found)}.")
            yield Row(path, reader.line_num, {n: cell for n, cell in zip(found, cells, strict=False) if n})
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not CSV: {error}.") from None
    if found is None:
        raise ValueError(f"{path}: the file is empty. Its first line names the columns: {', '.join(columns)}.")


def check_header(path: Path, line: int, cells: list[str], found: list[str], names, required: Iterable[str]) -> None:
    for name in required:
        if name not in found:
            near = get_close_matches(name, cells, 1)
            meant = f" Rename {near[0]!r} if it is that." if near else ""
            raise ValueError(
                f"{path}, line {line}: no column {name}. There are {', '.join(cells)}; "
                f"known are {', '.join(dict.fromkeys(names.values()))}.{meant}"
            )
    twice = next((name for name in found if name and found.count(name) > 1), None)
    if twice:
        raise ValueError(f"{path}, line {line}: two columns for {twice}. Leave one of them out.")


def text_of(path: Path) -> str:
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: can't be read: {error.strerror}.") from None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):  # what Excel calls Unicode text
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: not UTF-8. Save it as 'CSV UTF-8' and try again.") from None


# ---------------------------------------------------------------- writing

NUMBER = re.compile(r"-?\d+(\.\d+)?")
FORMULA = tuple("=+-@\t\r\n|%＝＋－＠")


def cell(value: object) -> str:
    r"""A value as a cell that no spreadsheet takes for a formula, on one line, with nothing in it that acts.

    >>> [cell(x) for x in ("=1+1", "  @SUM(A1)", "-2.5", -2.5, 3.0, "-2+3", "a\n=b", None)]
    ["'=1+1", "'  @SUM(A1)", '-2.5', '-2.5', '3', "'-2+3", 'a =b', '']
    """
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return number(value)
    text = str(value)
    shown = plain(re.sub(r"\s*[\r\n\t]\s*", " ", text), 30_000)
    if NUMBER.fullmatch(shown):
        return shown
    return f"'{shown}" if text.lstrip().startswith(FORMULA) or text.startswith(FORMULA) else shown


def number(x: float) -> str:
    """
    >>> number(2.0), number(1 / 3), number(-0.0), number(1e20)
    ('2', '0.3333', '0', '100000000000000000000')
    """
    x = round(float(x), 4)
    return f"{x:.4f}".rstrip("0").rstrip(".") if x else "0"


def writer(file: TextIO):
    """A function that writes a row of cells."""
    made = csv.writer(file, lineterminator="\n")
    return lambda row: made.writerow([cell(value) for value in row])
