"""In Node (bytecode.mjs): a session like a reader's, and the bytecode of all that it loaded, into the archives it is from.

To compile what a session imports would take a browser longer than all else.  Only what a session loads: the bytecode of
everything would weigh as much as everything else.  The sources stay, for they are shown where something goes wrong.
"""

import marshal
import sys
from importlib import import_module, util
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

for name in "piplite.piplite", "pyodide_kernel", "ipywidgets", "minigrad.classroom", "minigrad.draw.figures":
    import_module(name)
import_module("markdown_it")  # of page_kernel.py
pyplot = import_module("matplotlib.pyplot")
figure, axes = pyplot.subplots()
axes.plot([1, 2], [3, 4], label="$x$")
axes.legend()
for kind in "png", "svg":
    figure.savefig(f"/tmp/figure.{kind}")

# By its source's hash, which nobody compares (PEP 552): what is unpacked has the time of unpacking.
UNCHECKED = (0b01).to_bytes(4, "little")


def bytecode(spec) -> bytes:
    source = util.source_hash(spec.loader.get_data(spec.origin))
    return util.MAGIC_NUMBER + UNCHECKED + source + marshal.dumps(spec.loader.get_code(spec.name))


specs = [getattr(module, "__spec__", None) for module in list(sys.modules.values())]
loaded = {spec.origin: spec for spec in specs if spec}
library = next(path for path in sys.path if path.endswith(".zip"))
packages = next(path for path in sys.path if path.endswith("site-packages"))
for archive in sorted(Path("/archives").glob("*.whl")) + [Path("/archives/python_stdlib.zip")]:
    zipped = archive.suffix == ".zip"  # and stays so: bytecode is then looked for beside its source
    with ZipFile(archive, "a") as file:
        for name in file.namelist():
            spec = loaded.get(f"{library if zipped else packages}/{name}")
            if spec and name.endswith(".py"):
                entry = ZipInfo(f"{name}c" if zipped else util.cache_from_source(name))  # no date: the same each time
                file.writestr(entry, bytecode(spec), ZIP_DEFLATED, compresslevel=9)
