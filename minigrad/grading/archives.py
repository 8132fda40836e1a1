"""A zip that an LMS made of strangers' files, read entry by entry: nothing is unpacked to disk, and no entry is trusted.

An entry that climbs out, is a link, is encrypted, stands there twice or would blow up is refused by itself, with a reason.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST = 200_000_000  # bytes of a notebook: an honest one with 50 MB of outputs passes easily
DENSE = 100  # unpacked to packed: more than an honest large notebook has
MOST_DENSE, MOST_DENSE_IN_ALL = 64_000_000, 1_000_000_000  # bytes, of one such entry and of all in an archive


@dataclass(frozen=True)
class Entry:
    """A file in the archive."""

    parts: tuple[str, ...]
    time: str  # ISO 8601, without a zone: a zip has none
    refused: str
    info: zipfile.ZipInfo
    archive: zipfile.ZipFile

    def read(self) -> bytes:
        if self.refused:
            raise ValueError(self.refused)
        try:
            with self.archive.open(self.info) as file:
                raw = file.read(MOST + 1)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
            raise ValueError(f"damaged in the archive: {str(error)[:200]}") from None
        except Exception as error:  # zlib.error, struct.error: whatever a damaged stream makes of itself
            raise ValueError(f"damaged in the archive: {type(error).__name__}") from None
        if len(raw) > MOST:
            raise ValueError(too_large(len(raw)))
        return raw


def entries(path: Path) -> Iterator[Entry]:
    """The files of the archive, in its own order.  ValueError if it is not one."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ValueError(f"{path}: not a zip archive that can be read: {error}. Download it again.") from None
    seen: set[str] = set()
    dense = 0
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")
        if name.endswith("/"):
            continue
        reason = problem_of(name, info) or ("its name stands in the archive twice" if name in seen else "")
        seen.add(name)
        if not reason and info.file_size > DENSE * max(info.compress_size, 1):
            dense += info.file_size
            if info.file_size > MOST_DENSE or dense > MOST_DENSE_IN_ALL:
                reason = f"it would blow up from {info.compress_size:,} to {info.file_size:,} bytes"
        parts = tuple(part for part in name.split("/") if part not in ("", ".", ".."))
        yield Entry(parts or ("?",), time_of(info), reason and f"not read: {reason}.", info, archive)


def problem_of(name: str, info: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(info.external_attr >> 16)
    if name.startswith("/") or name[1:2] == ":":
        return "its name is an absolute path"
    if ".." in name.split("/"):
        return "its name climbs out of the archive"
    if len(name) > 1000:
        return "its name is longer than 1000 characters"
    if mode == stat.S_IFLNK:
        return "it is a symbolic link"
    if mode not in (0, stat.S_IFREG):
        return "it is not an ordinary file"
    if info.flag_bits & 1:
        return "it is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"it is packed by method {info.compress_type}; 0 and 8 are known"
    return too_large(info.file_size) if info.file_size > MOST else ""


def too_large(size: int) -> str:
    return f"it has {size:,} bytes; at most {MOST:,} are read"


def time_of(info: zipfile.ZipInfo) -> str:
    year, month, day, hour, minute, second = info.date_time
    if year <= 1980 or not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):
        return ""  # a tool that keeps no times writes the first of January 1980
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
