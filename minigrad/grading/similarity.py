"""Which submissions resemble each other more than their task explains.  A place to look, and never a verdict.

The method is winnowing (Schleimer, Wilkerson and Aiken, 2003): the code becomes a row of tokens, comments and the names of
variables left out; every `K` tokens in a row are hashed, and of every `W` hashes in a row the least is kept.  Whatever two
submissions share in at least K + W - 1 tokens is found, wherever it stands.  What the stub gave everybody is taken out, and so is what
more than a few students have: a short task has one right answer, and most people find it.
"""

from __future__ import annotations

import builtins
import hashlib
import keyword
import math
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .csvfile import writer
from .submissions import Submission, cells_of
from .text import harmless

K, W = 12, 5
COMMON = 10  # students at least that may share a passage before it counts as everybody's
LISTED, SHOWN = 200, 20  # pairs in the page's table, and side by side
TOKEN = re.compile(
    r"""\#[^\n]*|\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\d[\w.]*|\w+|\S""", re.DOTALL
)
KEPT = frozenset(keyword.kwlist) | frozenset(dir(builtins))
POWERS = np.array([pow(0x9E3779B97F4A7C15, i, 2**64) for i in range(K)], dtype=np.uint64)

Cells = Iterable[tuple[int, str]]


class Token(NamedTuple):
    text: str
    line: int  # counted from 0
    end: int  # the last of its lines


@dataclass(frozen=True)
class Pair:
    """Two submissions of different students: how much rare code they share, and how much of each that is."""

    a: Submission
    b: Submission
    weight: float  # the rarer, the heavier
    shared: int  # fingerprints
    share_a: float
    share_b: float
    same: bool = False  # but for comments, names of variables, and the order of cells


# ---------------------------------------------------------------- fingerprints


def tokens_of(code: str, names: frozenset[str] = frozenset()) -> list[Token]:
    """The tokens that make two pieces of code alike; `names` are not made one.

    >>> [token.text for token in tokens_of("total = np.sum(x)  # of all")]
    ['n', '=', 'n', '.', 'sum', '(', 'n', ')']
    """
    found: list[Token] = []
    line = at = 0
    for match in TOKEN.finditer(code):
        line += code.count("\n", at, match.start())
        at = match.start()
        text = match[0]
        if text[0] == "#":
            continue
        end = line + text.count("\n")
        if text[0] in "\"'":
            text = "s"
        elif text.isidentifier() and text not in KEPT and text not in names and not (found and found[-1].text == "."):
            text = "n"
        found.append(Token(text, line, end))
    return found


@lru_cache(50_000)
def number_of(token: str) -> int:
    return zlib.crc32(token.encode("utf-8", "surrogatepass")) * 0x9E3779B1 + 0x7F4A7C15


def hashes(tokens: list[Token]) -> np.ndarray:
    """Of every K tokens in a row."""
    if len(tokens) < K:
        return np.empty(0, np.uint64)
    numbers = np.array([number_of(token.text) for token in tokens], dtype=np.uint64)
    rows = np.lib.stride_tricks.sliding_window_view(numbers, K)
    mixed = (rows * POWERS).sum(axis=1, dtype=np.uint64)  # wraps round, as it should
    return (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)


def winnowed(every: np.ndarray) -> np.ndarray:
    """Of every W hashes in a row the least."""
    if len(every) <= W:
        return every[:0] if not len(every) else every.min(keepdims=True)
    return np.unique(np.lib.stride_tricks.sliding_window_view(every, W).min(axis=1))


def names_in(cells: Cells) -> frozenset[str]:
    return frozenset(name for _, code in cells for name in re.findall(r"[^\W\d]\w*", code))


def digest(tokens: list[Token]) -> bytes:
    return hashlib.sha256("\0".join(token.text for token in tokens).encode("utf-8", "replace")).digest()


@dataclass(frozen=True)
class Print:
    """What is kept of a submission while it is compared."""

    submission: Submission
    marks: np.ndarray
    digest: bytes


class Stub:
    """What everybody was given."""

    def __init__(self, cells: Cells) -> None:
        cells = list(cells)
        self.names = names_in(cells)
        self.codes = {code for _, code in cells}
        parts = [hashes(tokens_of(code, self.names)) for _, code in cells]
        self.hashes = np.unique(np.concatenate([np.empty(0, np.uint64), *parts]))
        self.cells = {digest(tokens_of(code, self.names)) for _, code in cells}

    def own(self, every: np.ndarray) -> np.ndarray:
        return every[~np.isin(every, self.hashes)]

    def print_of(self, submission: Submission) -> Print | None:
        """None if it can't be read: the reports say so."""
        try:
            cells = cells_of(submission.read()).cells
        except ValueError:
            return None
        tokens = [tokens_of(code, self.names) for _, code in cells if code not in self.codes]
        parts = [self.own(winnowed(hashes(found))) for found in tokens]
        digests = sorted(set(map(digest, tokens)) - self.cells)
        marks = np.unique(np.concatenate([np.empty(0, np.uint64), *parts]))
        return Print(submission, marks, hashlib.sha256(b"".join(digests)).digest())


# ---------------------------------------------------------------- pairs


def pairs(submissions: Iterable[Submission], stub_cells: Cells) -> list[Pair]:
    """The pairs that share anything rare, those with the most of it first."""
    stub = Stub(stub_cells)
    prints = [made for s in submissions if (made := stub.print_of(s)) is not None and len(made.marks)]
    leaders: dict[bytes, list[Print]] = {}
    for made in prints:
        leaders.setdefault(made.digest, []).append(made)
    found = list(the_same(leaders.values()))
    found += alike([group[0] for group in leaders.values()], len({p.submission.student for p in prints}))
    best: dict[tuple[str, str], Pair] = {}  # of several attempts of two students
    for pair in found:
        key = (pair.a.student, pair.b.student)
        if key not in best or (pair.same, pair.weight) > (best[key].same, best[key].weight):
            best[key] = pair
    return sorted(best.values(), key=lambda p: (-p.same, -p.weight, p.a.student, p.b.student))


def the_same(groups: Iterable[list[Print]]) -> Iterator[Pair]:
    """Each with the first of its kind: a group of forty is 39 pairs and not 780."""
    for first, *others in groups:
        for other in others:
            if other.submission.student != first.submission.student:
                n = len(first.marks)
                yield Pair(*ordered(first.submission, other.submission), float(n), n, 1.0, 1.0, True)


def alike(prints: list[Print], students: int) -> Iterator[Pair]:
    if not prints:
        return
    limit = max(COMMON, min(students // 50, 30))
    marks = np.concatenate([p.marks for p in prints])
    whose = np.repeat(np.arange(len(prints)), [len(p.marks) for p in prints])
    order = np.argsort(marks, kind="stable")
    marks, whose = marks[order], whose[order]
    starts = np.flatnonzero(np.r_[True, marks[1:] != marks[:-1]])
    sizes = np.diff(np.r_[starts, len(marks)])
    weights: dict[tuple[int, int], float] = {}
    counts: dict[tuple[int, int], int] = {}
    rare = np.zeros(len(prints))  # fingerprints of each that are not everybody's
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        group = whose[start : start + size].tolist()
        names = {prints[i].submission.student for i in group}
        if len(names) > limit:
            continue
        rare[group] += 1
        if len(names) < 2:
            continue
        weight = math.log((students + 1) / len(names))
        for n, i in enumerate(group):
            for j in group[n + 1 :]:
                weights[i, j] = weights.get((i, j), 0.0) + weight
                counts[i, j] = counts.get((i, j), 0) + 1
    for (i, j), weight in weights.items():
        a, b = prints[i].submission, prints[j].submission
        if a.student != b.student:
            n = counts[i, j]
            shares = {a.student: float(n / rare[i]), b.student: float(n / rare[j])}
            a, b = ordered(a, b)
            yield Pair(a, b, weight, n, shares[a.student], shares[b.student])


def ordered(a: Submission, b: Submission) -> tuple[Submission, Submission]:
    return (a, b) if (a.student, a.file) <= (b.student, b.file) else (b, a)


# ---------------------------------------------------------------- the report


def report(submissions: Iterable[Submission], stub_cells: Cells, out: Path) -> list[Pair]:
    """Write similarity.csv and similarity.html into `out`, and return the pairs.

    `stub_cells` are the code cells of what students were given, as `cells_of` reads them.
    """
    stub_cells = list(stub_cells)
    found = pairs(submissions, stub_cells)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "similarity.csv", "w", encoding="utf-8-sig", newline="") as file:
        write = writer(file)
        write(["student_a", "student_b", "weight", "shared", "share_a", "share_b", "same", "file_a", "file_b"])
        for p in found:
            numbers = [p.weight, p.shared, p.share_a, p.share_b, "yes" if p.same else ""]
            write([p.a.student, p.b.student, *numbers, p.a.file, p.b.file])
    from .reports.pages import environment

    stub = Stub(stub_cells)
    shown = [(pair, *side_by_side(pair, stub)) for pair in found[:SHOWN]]
    about = {"pairs": found[:LISTED], "more": max(0, len(found) - LISTED), "shown": shown, "least": K + W - 1}
    page = environment().get_template("similarity.html").render(about)
    (out / "similarity.html").write_text(harmless(page), encoding="utf-8")
    return found


Lines = list[tuple[str, bool]]


def side_by_side(pair: Pair, stub: Stub) -> tuple[Lines, Lines]:
    """The cells of both that share something, line by line, with whether the line is shared."""
    both = [[(code, tokens_of(code, stub.names)) for _, code in cells_of(s.read()).cells] for s in (pair.a, pair.b)]
    every = [np.concatenate([np.empty(0, np.uint64), *(hashes(tokens) for _, tokens in cells)]) for cells in both]
    common = stub.own(np.intersect1d(*every))
    return marked(both[0], common), marked(both[1], common)


def marked(cells: list[tuple[str, list[Token]]], common: np.ndarray) -> Lines:
    lines: Lines = []
    for code, tokens in cells:
        at = np.flatnonzero(np.isin(hashes(tokens), common))
        inside = {line for i in at for token in tokens[i : i + K] for line in range(token.line, token.end + 1)}
        if inside:
            lines += [("", False)] * bool(lines) + [(line, n in inside) for n, line in enumerate(code.split("\n"))]
    return lines
