"""Who handed in what: the notebooks in a folder, in a folder per student, or in the zip that an LMS made of them.

| where | how it is named | student |
|---|---|---|
| a folder of notebooks | `ann.ipynb` | `ann` |
| a folder per student, nbgrader's too | `ann/04.ipynb`, `ann/04/attempt-2.ipynb` | `ann` |
| Canvas | `doejane_12345_678910_04-2.ipynb`, `doejane_LATE_12345_678910_04.ipynb` | `doejane_12345` |
| Moodle | `Jane Doe_1234567_assignsubmission_file_/04.ipynb`, or the same without a folder | `Jane Doe_1234567` |

Nothing is lost: a file that can't be read is still a submission, whose `read` says why; what is no notebook is put aside, with a
reason.  Links are not followed.  A notebook is read only when it is asked for.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from .archives import MOST, entries, too_large
from .notebook import Notebook, cells_of
from .text import plain

__all__ = ["Aside", "Notebook", "Submission", "cells_of", "find"]

CANVAS = re.compile(r"(?P<name>[^_]+)_(?:(?P<late>LATE)_)?(?P<lms>\d+)_(?P<upload>\d+)_(?P<file>.+)", re.DOTALL)
MOODLE = re.compile(r"(?P<name>.+)_(?P<lms>\d+)_assignsubmission_[a-z]+_(?P<file>.*)", re.DOTALL)
JUNK = re.compile(r"\.|__MACOSX$|Thumbs\.db$|desktop\.ini$|__pycache__$")
DEEPEST = 12  # folders within folders


class Aside(NamedTuple):
    """A file that is not graded, and why."""

    student: str
    file: str
    reason: str


@dataclass(frozen=True)
class Submission:
    """One notebook of one student."""

    student: str  # one person: as the LMS names them, with its number where the file name has one
    name: str  # to be shown
    file: str  # inside the folder or archive
    submitted: str = ""  # ISO 8601; without a zone where the source has none
    note: str = ""
    lms: str = ""  # the number that the LMS gave the student (Canvas) or the participant (Moodle)
    reader: Callable[[], bytes] = field(default=lambda: b"", repr=False, compare=False)

    def read(self) -> bytes:
        """Its bytes, at most `MOST`; ValueError says why they can't be had."""
        return self.reader()


class File(NamedTuple):
    """A file that was found: where, when it was written, how to read it, and what is wrong with it."""

    parts: tuple[str, ...]
    time: str
    read: Callable[[], bytes]
    refused: str = ""


def find(source: Path, aside: list[Aside] | None = None) -> Iterator[Submission]:
    """The submissions in `source`, by student, the attempts of one in the order of their names.

    What is not graded is added to `aside`.  A student who handed in no notebook at all is a submission that can't be read.
    """
    source = Path(source)
    if not source.exists():
        raise ValueError(f"{source}: no such file or folder. Give a folder of notebooks, or the zip of an LMS.")
    aside = [] if aside is None else aside
    seen: set[str] = set()
    for _, files in groupby(sorted(files_of(source), key=order), key=lambda file: owner(file.parts).student):
        for submission in submissions_of(list(files), aside):
            if submission.file in seen:  # two names that look the same once they can be shown
                aside.append(Aside(submission.student, submission.file, "another file has the same name."))
            else:
                seen.add(submission.file)
                yield submission


def submissions_of(files: list[File], aside: list[Aside]) -> Iterator[Submission]:
    """Those of one student."""
    wanted, others = [], []
    for file in files:
        junk = any(JUNK.match(part) for part in file.parts)
        notebook = file.parts[-1].lower().endswith(".ipynb") and not junk
        (wanted if notebook else others).append(file)
    rest = [file for file in others if not any(JUNK.match(part) for part in file.parts)]
    if not wanted and rest and owner(rest[0].parts).lms + "/".join(rest[0].parts[:-1]):  # it belongs to somebody
        names = ", ".join(file.parts[-1] for file in rest[:5]) + ", …" * (len(rest) > 5)
        what = (
            rest[0].refused
            or f"no notebook was handed in, but {plain(names)}. Asked for is the file that ends in .ipynb."
        )
        wanted, others = [rest[0]._replace(refused=what)], [file for file in others if file is not rest[0]]
    times = [stamp for file in others if file.parts[-1] == "timestamp.txt" and (stamp := timestamp(file))]
    for file in others:
        who = owner(file.parts)
        aside.append(Aside(shown(who.student), shown("/".join(file.parts)), reason_of(file)))
    for file in wanted:
        who = owner(file.parts)
        yield Submission(
            shown(who.student),
            shown(who.name),
            shown("/".join(file.parts)),
            times[0] if times else file.time,
            "Canvas calls it late." if who.late else "",
            who.lms,
            raising(file.refused) if file.refused else file.read,
        )


def shown(text: str) -> str:
    return plain(unicodedata.normalize("NFC", text), 2000).replace("\n", " ").replace("\t", " ")


def reason_of(file: File) -> str:
    if file.refused:
        return file.refused
    if any(JUNK.match(part) for part in file.parts):
        return "left behind by an editor or the system; it was not handed in."
    return "not a notebook; it is not graded."


def raising(reason: str) -> Callable[[], bytes]:
    def read() -> bytes:
        raise ValueError(reason)

    return read


# ---------------------------------------------------------------- whose it is


class Owner(NamedTuple):
    student: str
    name: str
    lms: str = ""
    late: bool = False


def owner(parts: tuple[str, ...]) -> Owner:
    """Whose file this is, by its path.

    >>> owner(("doejane_LATE_12345_678910_04-2.ipynb",))
    Owner(student='doejane_12345', name='doejane', lms='12345', late=True)
    >>> owner(("Jane Doe_1234567_assignsubmission_file_", "04.ipynb"))
    Owner(student='Jane Doe_1234567', name='Jane Doe', lms='1234567', late=False)
    >>> owner(("ann", "04", "attempt.ipynb")).student, owner(("ann.ipynb",)).student
    ('ann', 'ann')
    """
    first = parts[0]
    for pattern in (MOODLE, CANVAS):
        if (match := pattern.fullmatch(first)) and (len(parts) == 1 or pattern is MOODLE):
            name, number = match["name"], match["lms"]
            return Owner(f"{name}_{number}", name, number, bool(match.groupdict().get("late")))
    student = first if len(parts) > 1 else re.sub(r"(?i)\.ipynb$", "", first)
    return Owner(student, student)


def order(file: File) -> tuple:
    """By student; then attempt 2 before attempt 10, and an attempt without a number before both."""
    return owner(file.parts).student, natural("/".join(file.parts))


def natural(name: str) -> tuple:
    """
    >>> sorted(["a-10.ipynb", "a-2.ipynb", "a.ipynb"], key=natural)
    ['a.ipynb', 'a-2.ipynb', 'a-10.ipynb']
    """
    stem = re.sub(r"\.\w+$", "", name)
    pieces = re.split(r"([0-9]{1,18})", stem)
    return [(int(p), "") if i % 2 else (-1, p) for i, p in enumerate(pieces)], name


# ---------------------------------------------------------------- where files are


def files_of(source: Path) -> Iterator[File]:
    """Every file in a folder or in an archive, and in the archives that lie in the folder."""
    if source.is_file():
        if not source.name.lower().endswith(".zip"):
            yield File((source.name,), modified(source.stat()), lambda: read_file(str(source)))
            return
        yield from in_archive(source)
        return
    for file in in_folder(str(source), ()):
        name = file.parts[0]
        download = len(file.parts) == 1 and name.lower().endswith(".zip") and not file.refused
        if download and not CANVAS.fullmatch(name) and not MOODLE.fullmatch(name):
            yield from in_archive(source / name)
        else:
            yield file


def in_archive(path: Path) -> Iterator[File]:
    """The files in a download.  A folder around all of them is left out, unless it is a student's."""
    found = [File(entry.parts, entry.time, entry.read, entry.refused) for entry in entries(path)]
    found = [file._replace(refused=file.refused or nested(file.parts[-1])) for file in found]
    good = [file for file in found if not file.refused and not JUNK.match(file.parts[0])]
    tops = {file.parts[0] for file in good}
    if len(tops) == 1 and all(len(file.parts) > 1 for file in good) and not MOODLE.fullmatch(next(iter(tops))):
        notebooks = sum(file.parts[-1].lower().endswith(".ipynb") for file in good)
        if notebooks > 1 or any(len(file.parts) > 2 for file in good):
            found = [f._replace(parts=f.parts[1:]) if f.parts[0] in tops and len(f.parts) > 1 else f for f in found]
    yield from found


def nested(name: str) -> str:
    return "an archive inside the archive; it was not opened." if name.lower().endswith(".zip") else ""


def in_folder(folder: str, parts: tuple[str, ...]) -> Iterator[File]:
    try:
        found = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield File((*parts, "?"), "", raising(""), f"the folder can't be read: {error.strerror}.")
        return
    for entry in found:
        path, here = entry.path, (*parts, entry.name)
        if entry.is_symlink():
            yield File(here, "", raising(""), "a symbolic link; it was not followed.")
        elif entry.is_dir(follow_symlinks=False):
            if len(here) > DEEPEST:
                yield File(
                    (*here, "?"), "", raising(""), f"a folder more than {DEEPEST} levels down; it was not opened."
                )
            else:
                yield from in_folder(path, here)
        elif not entry.is_file(follow_symlinks=False):
            yield File(here, "", raising(""), "not an ordinary file.")
        else:
            zipped = nested(entry.name).replace("inside the archive", "among the files") if parts else ""
            yield File(here, modified(entry.stat(follow_symlinks=False)), lambda path=path: read_file(path), zipped)


def read_file(path: str) -> bytes:
    """Its bytes, if it still is an ordinary file."""
    try:
        with open(
            os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)), "rb"
        ) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise ValueError("not an ordinary file.")
            if about.st_size > MOST:
                raise ValueError(f"{too_large(about.st_size)}.")
            return file.read(min(about.st_size + 1, MOST))  # a buffer of MOST would cost three milliseconds
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}.") from None


def modified(about: os.stat_result) -> str:
    try:
        return datetime.fromtimestamp(int(about.st_mtime), UTC).isoformat()
    except (ValueError, OverflowError, OSError):  # a file from the year 10000
        return ""


def timestamp(file: File) -> str:
    """What nbgrader wrote beside a submission: 2026-10-01 15:58:23.948203 UTC."""
    try:
        text = file.read()[:100].decode().strip()
        stamp = datetime.fromisoformat(" ".join(text.split()[:2]))
    except (ValueError, UnicodeDecodeError):
        return ""
    return stamp.replace(microsecond=0, tzinfo=UTC if text.endswith("UTC") else stamp.tzinfo).isoformat()
