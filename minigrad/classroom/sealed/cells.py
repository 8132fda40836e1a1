"""A cell that is no Python: what only IPython understands is taken out, and named, so that the rest can run."""

from __future__ import annotations

import re

KEPT = {"time", "timeit", "capture"}  # cell magics whose cell is Python
HARMLESS = {"matplotlib", "load_ext", "reload_ext", "autoreload", "config", "precision", "pylab", "time", "timeit"}
MAGIC = re.compile(r"^(?P<indent>\s*)(?:(?P<names>[\w\s,.\[\]]+?)=\s*)?(?P<what>[%!]\s*\S.*|\?+\w.*|\w[\w.]*\?+)$")
TIMED = re.compile(r"%(?:time|timeit)\s+(?!-)(\S.*)")


def as_python(source: str) -> tuple[str, list[str]]:
    r"""The source that can run, with as many lines, and the commands that were not executed.

    >>> as_python("%matplotlib inline\n!pip install torch\nx = 1")
    ('pass\npass\nx = 1', ['!pip install torch'])
    >>> as_python("%%time\nx = 1"), as_python("%%bash\nls"), as_python("  %timeit f(x)\ny = !ls")
    (('\nx = 1', []), ('', ['%%bash']), ('  f(x)\ny = None', ['!ls']))
    """
    if source.lstrip().startswith("%%"):
        head, _, body = source.lstrip().partition("\n")
        name = head[2:].split()[0] if head[2:].split() else ""
        return ("\n" + body, []) if name in KEPT else ("", [head])
    lines, refused = source.split("\n"), []
    for i, line in enumerate(lines):
        if match := MAGIC.match(line):
            what = match["what"]
            if timed := TIMED.match(what):
                lines[i] = match["indent"] + timed[1]
                continue
            lines[i] = match["indent"] + (f"{match['names']}= None" if match["names"] else "pass")
            if what[0] == "!" or (what[0] == "%" and what[1:].split()[0] not in HARMLESS):
                refused.append(what)
    return "\n".join(lines), refused
