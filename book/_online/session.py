"""In Node (bytecode.mjs): a session like a reader's, and the bytecode of every module that it loaded."""

import marshal
import sys
from importlib import import_module, util
from pathlib import Path
from zipimport import zipimporter

for name in "piplite.piplite", "pyodide_kernel", "ipywidgets", "minigrad.classroom", "minigrad.draw.figures":
    import_module(name)
import_module("markdown_it")  # of page_kernel.py
pyplot = import_module("matplotlib.pyplot")
figure, axes = pyplot.subplots()
axes.plot([1, 2], [3, 4], label="$x$")
axes.legend()
for kind in "png", "svg":
    figure.savefig(f"/tmp/figure.{kind}")

UNCHECKED = (
    0b01  # known by its source's hash, but nobody compares it (PEP 552): what is unpacked has the time of unpacking
)
for module in list(sys.modules.values()):
    spec = getattr(module, "__spec__", None)
    if spec and spec.origin and spec.origin.endswith(".py"):
        zipped = isinstance(spec.loader, zipimporter)  # which looks for bytecode beside the source
        target = Path("/bytecode" + (f"{spec.origin}c" if zipped else spec.cached))
        target.parent.mkdir(parents=True, exist_ok=True)
        hashed = util.source_hash(spec.loader.get_data(spec.origin))
        code = marshal.dumps(spec.loader.get_code(spec.name))
        target.write_bytes(util.MAGIC_NUMBER + UNCHECKED.to_bytes(4, "little") + hashed + code)
