"""The table on the terminal and the one for the book, from what `measure.run` returned."""

from __future__ import annotations

from libraries import LIBRARIES
from workloads import WORKLOADS

IMPORT_MUST = 8  # ms
DRIFT = "* in float64, which the library made of the float32 that it was given"


def table(results: dict) -> str:
    return "\n\n".join(filter(None, (heading(results), ratios(results), targets(results), besides(results))))


def heading(results: dict) -> str:
    m = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in m["versions"].items())
    return (
        f"{m['date']}: {m['cpu']}, {m['cores']} cores, one in use; {m['system']}, Python {m['python']}\n"
        f"{versions}\n"
        f"Medians over {results['rounds']} rounds; times as multiples of hand-written NumPy's."
    )


def rows(lines: list[list[str]]) -> str:
    """Columns as wide as they must be; the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{s:{'>' if i else '<'}{w}}" for i, (s, w) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in lines
    )


def ratio(results: dict, name: str, library: str, base: str) -> float | None:
    row = results["times"].get(name, {})
    try:
        return row[library]["us"] / row[base]["us"]
    except KeyError:
        return None


def ratios(results: dict) -> str:
    return rows(compared(results)) + ("\n" + DRIFT if drifts(results) else "")


def markdown(results: dict) -> str:
    """Times and versions, for a page of the book."""
    (_, *libraries), *lines = compared(results)
    table = [["workload", *libraries], ["---", *["--:"] * len(libraries)], *lines]
    parts = [
        "\n".join(f"| {' | '.join(line)} |" for line in table),
        DRIFT if drifts(results) else "",
        *heading(results).split("\n"),
    ]
    return "\n\n".join(filter(None, parts)).replace("*", r"\*") + "\n"


def drifts(results: dict) -> bool:
    return any("dtype" in cell for row in results["times"].values() for cell in row.values())


def compared(results: dict) -> list[list[str]]:
    """Under their titles, each workload's time by hand and the libraries' as multiples of it."""
    measured = [library for library in LIBRARIES if any(library in row for row in results["times"].values())]
    lines = [["", "by hand, µs", *(LIBRARIES[library].title for library in measured[1:])]]
    for name, row in results["times"].items():
        cells = [WORKLOADS[name].title, f"{row['numpy']['us']:,.1f}"]
        for library in measured[1:]:
            x = ratio(results, name, library, "numpy")
            if library not in row:
                cells.append("–")
            elif x is None:
                cells.append(row[library]["error"].split(":")[0])
            else:
                cells.append(f"{x:.{2 if x > 0.1 else 4}f}" + "*" * ("dtype" in row[library]))
        lines.append(cells)
    return lines


def verdict(x: float | None, must: float, aim: float | None = None) -> str:
    if x is None:
        return "not measured"
    return "aim reached" if aim and x <= aim else "reached" if x <= must else "NOT REACHED"


def targets(results: dict) -> str:
    lines = [["", "minigrad/by hand", "must", "aim", "", "minigrad/PyTorch", "must", ""]]
    for name in results["times"]:
        work = WORKLOADS[name]
        cells = [work.title]
        x = ratio(results, name, "minigrad", "numpy")
        cells += [f"{x:.2f}" if x else "–", f"{work.must:.2f}", f"{work.aim:.2f}", verdict(x, work.must, work.aim)]
        x = ratio(results, name, "minigrad", "torch")
        must = [f"{work.torch:.2f}", verdict(x, work.torch)] if work.torch else ["–", ""]
        lines.append([*cells, f"{x:.2f}" if x else "–", *must])
    return rows(lines)


def besides(results: dict) -> str:
    lines = [*outrun(results), *compiled_targets(results), *compiling(results)]
    for name, row in results.get("memory", {}).items():
        must = WORKLOADS[name].memory
        for kind, what in (("traced", "allocated by a step"), ("resident", "growth of the process")):
            peaks = {library: peak[kind] for library, peak in row.items() if peak.get(kind)}
            if "numpy" not in peaks:
                continue
            shown = ", ".join(
                f"{LIBRARIES[library].title} {peak:.1f} MiB ({peak / peaks['numpy']:.2f})"
                for library, peak in peaks.items()
            )
            line = f"peak memory, {WORKLOADS[name].title}, {what}: {shown}"
            if kind == "traced" and "minigrad" in peaks:
                line += f"; must {must:.2f}: {verdict(peaks['minigrad'] / peaks['numpy'], must)}"
            lines.append(line)
    if found := results.get("garbage"):
        shown = ", ".join(f"{LIBRARIES[library].title} {n}" for library, n in found.items())
        line = f"objects left to the garbage collector by a training step: {shown}"
        if "minigrad" in found:
            line += f"; must 0: {verdict(found['minigrad'], 0)}"
        lines.append(line)
    if cost := results.get("imports"):
        lines.append(
            f"import minigrad: {cost['minigrad']:.1f} ms over import numpy's {cost['numpy']:.1f} ms; "
            f"must {IMPORT_MUST}: {verdict(cost['minigrad'], IMPORT_MUST)}"
        )
    return "\n".join(lines)


def compiled_targets(results: dict) -> list[str]:
    """The compiled program beside its own targets."""
    lines = []
    for name in results["times"]:
        x = ratio(results, name, "compiled", "numpy")
        work = WORKLOADS[name]
        if x and work.compiled:
            must, aim = work.compiled
            line = f"compiled/by hand, {work.title}: {x:.2f}; must {must:.2f}, aim {aim:.2f}: "
            lines.append(line + verdict(x, must, aim))
    return lines


def compiling(results: dict) -> list[str]:
    """What the first step takes where it compiles."""
    lines = []
    for name, row in results["times"].items():
        first = {LIBRARIES[library].title: cell["first_ms"] for library, cell in row.items() if "first_ms" in cell}
        if first:
            shown = ", ".join(f"{title} {ms:,.0f} ms" for title, ms in first.items())
            lines.append(f"first step, with compiling, {WORKLOADS[name].title}: {shown}")
    return lines


def outrun(results: dict) -> list[str]:
    """Is minigrad ahead of the two libraries of its own kind?"""
    lines = []
    for library in ("autograd", "mygrad"):
        against = {name: ratio(results, name, "minigrad", library) for name in results["times"]}
        if any(against.values()):
            behind = [WORKLOADS[name].title for name, x in against.items() if x and x >= 1]
            said = (
                "NOT on " + "; ".join(behind)
                if behind
                else f"on every line, {1 / max(filter(None, against.values())):.2f} times at least"
            )
            lines.append(f"ahead of {LIBRARIES[library].title}: {said}")
    return lines
