"""The folder in which a student's code may write: how full it is, and how it is emptied, whatever was made in it.

Folders may be nested deeper than a path can say, and closed to everybody: so this goes from folder to folder and never by a whole path.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

BLOCK = 4096  # bytes that a file takes at least, an empty one too
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
MOST_ENTRIES = 1 << 16  # looked at; who has made as many has made too many


def empty(folder: Path) -> None:
    """Remove all that is in `folder`, and leave it where it is, if it is there."""
    for at, name, is_folder in _upwards(folder, open_closed=True):
        try:
            (os.rmdir if is_folder else os.unlink)(name, dir_fd=at)
        except OSError:
            pass  # it is somebody else's now, or gone


def used(folder: Path) -> int:
    """Bytes in the files below a folder."""
    total = 0
    for n, (at, name, _) in enumerate(_upwards(folder)):
        try:
            total += max(BLOCK, os.lstat(name, dir_fd=at).st_size)
        except OSError:
            pass
        if n > MOST_ENTRIES:
            break
    return total


def _upwards(folder: Path, open_closed: bool = False) -> Iterator[tuple[int, str, bool]]:
    """Each entry below `folder`, what is in a folder before the folder: a descriptor of where it is, its name, whether it is a folder.

    It stops where a folder has been moved under its feet: the way up would lead out.
    """
    try:
        at = os.open(folder, FOLDER)
    except FileNotFoundError:  # gone with the world of which it was a part
        return
    # On the way down: what is still to be looked at, what was entered, and from where.
    left, names, above = [_entries(at)], [], []
    try:
        while left[-1] or names:
            if left[-1]:
                name, is_folder = left[-1].pop()
                if is_folder and (below := _opened(at, name, open_closed)) is not None:
                    above.append(os.fstat(at)[1:3])
                    names.append(name)
                    os.close(at)
                    at = below
                    left.append(_entries(at))
                else:
                    yield at, name, is_folder
            else:
                up = os.open("..", FOLDER, dir_fd=at)
                os.close(at)
                at = up
                if os.fstat(at)[1:3] != above.pop():
                    return
                left.pop()
                yield at, names.pop(), True
    finally:
        os.close(at)


def _opened(at: int, name: str, open_closed: bool) -> int | None:
    try:
        if open_closed:
            os.chmod(name, 0o700, dir_fd=at)
        return os.open(name, FOLDER, dir_fd=at)
    except OSError:
        return None


def _entries(at: int) -> list[tuple[str, bool]]:
    with os.scandir(at) as found:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
