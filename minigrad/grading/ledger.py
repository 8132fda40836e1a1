"""The results folder's memory: a line of JSON for each graded submission, written at once and never changed.

The last line of a file counts.  Whatever ends a run, all lines but the one that was being written are there for the next.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .record import Record

try:
    import fcntl
except ImportError:  # Windows, where nothing is graded
    fcntl = None


class Ledger:
    """Use it as a context: two runs must not write into one folder.

    `known` says of each file what its last record is about: the hash of its bytes, the set, and the versions that judged it.
    """

    def __init__(self, results: Path) -> None:
        self.path = Path(results) / "records.jsonl"
        self.known: dict[str, tuple[str, str, dict]] = {}
        self._at: dict[str, int] = {}

    def __enter__(self) -> Ledger:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "a+b")
        if fcntl:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._file.close()
                raise RuntimeError(
                    f"{self.path.parent}: another run is grading into this folder. Wait for it."
                ) from None
        self._file.seek(0)
        end = 0
        while line := self._file.readline():
            if not line.endswith(b"\n"):  # the run before was ended while it wrote this
                self._file.truncate(end)
                break
            self._note(Record.from_json(line.decode()), end)
            end = self._file.tell()
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def _note(self, record: Record, at: int) -> None:
        self.known[record.file] = record.sha256, record.set, record.versions or {}
        self._at[record.file] = at

    def add(self, record: Record) -> None:
        at = self._file.seek(0, os.SEEK_END)
        self._file.write(record.to_json().encode() + b"\n")
        self._file.flush()
        self._note(record, at)

    def get(self, file: str) -> Record | None:
        if file not in self._at:
            return None
        self._file.seek(self._at[file])
        return Record.from_json(self._file.readline().decode())

    def records(self, files: set[str] | None = None) -> Iterator[Record]:
        """The last record of each file, of those in `files` if given; in the order in which they were written."""
        with open(self.path, "rb") as file:
            for name, at in sorted(self._at.items(), key=lambda item: item[1]):
                if files is None or name in files:
                    file.seek(at)
                    yield Record.from_json(file.readline().decode())
