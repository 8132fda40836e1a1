"""One library in a process of its own.  It answers requests, a line of JSON each: `python worker.py LIBRARY`.

Processes are separate so that libraries can't share threads, allocators or crashes.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
from adapter import Library
from libraries import LIBRARIES, NumPy
from workloads import WORKLOADS, Workload

BATCH_SECONDS = 0.05
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


class Different(Exception):
    """A library's loss or gradient is not the hand-written one."""


def check(library: Library, work: Workload) -> dict:
    """Compare two steps with the hand-written ones, the second after an update; then say how many fill a batch.

    A library that doesn't keep to the dtype of the data is compared and timed all the same, and its dtype reported.
    """
    step = library.prepare(work)
    by_hand = NumPy().prepare(work)
    dtype = work.data()[0][0].dtype.name
    drift = {}
    for number in (1, 2):
        start = perf_counter()
        loss, gradients = step()
        if number == 1:
            first = perf_counter() - start
        ours = [library.array(value) for value in (loss, *gradients)]
        loss, gradients = by_hand()
        for i, (a, b) in enumerate(zip(ours, (loss, *gradients), strict=True)):
            what = f"{f'gradient {i}' if i else 'the loss'} of step {number}"
            if a.shape != b.shape:
                raise Different(f"{what} has shape {a.shape}, by hand {b.shape}")
            error = np.max(np.abs(a - b)) / np.max(np.abs(b))
            if not error < TOLERANCE[dtype]:
                raise Different(f"{what} differs from the hand-written one by {error:.1e} of the largest")
            if a.dtype != dtype:
                drift = {"dtype": a.dtype.name}
    start = perf_counter()
    step()
    steps = max(1, min(2000, int(BATCH_SECONDS / (perf_counter() - start))))
    return {"steps": steps} | drift | ({"first_ms": round(first * 1e3, 1)} if library.compiles else {})


def time(step: Callable, steps: int) -> dict:
    """The median time of a step, in µs, of a batch of them."""
    step()  # caches were another process's
    times = []
    for _ in range(steps):
        start = perf_counter()
        step()
        times.append(perf_counter() - start)
    return {"us": median(times) * 1e6}


def garbage(step: Callable) -> dict:
    """How many objects of one step only the garbage collector could free."""
    step()
    gc.collect()
    gc.disable()
    step()
    found = gc.collect()
    gc.enable()
    return {"objects": found}


def traced_peak(step: Callable) -> dict:
    """The most memory that a step holds at once besides leaves and constants, as NumPy and Python report it."""
    step()
    tracemalloc.start()
    step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"MiB": peak / 2**20}


def resident_peak(library: Library, work: Workload) -> dict:
    """The growth of the process at its largest, with leaves and constants, as Linux reports it; None elsewhere."""
    if not os.path.exists("/proc/self/clear_refs"):
        return {"MiB": None}
    library.prepare(work)()  # what is allocated once
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forget the peak so far
    before = status("VmRSS")
    step = library.prepare(work)
    step()
    step()
    return {"MiB": status("VmHWM") - before}


def status(field: str) -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field)) / 1024


def answer(library: Library, prepared: dict, do: str, name: str, steps: int = 0) -> dict:
    work = WORKLOADS[name]
    if do == "check":
        return check(library, work)
    if do == "resident":
        return resident_peak(library, work)
    if name not in prepared:
        prepared.clear()
        prepared[name] = library.prepare(work)
    gc.collect()
    if do == "time":
        return time(prepared[name], steps)
    return {"garbage": garbage, "traced": traced_peak}[do](prepared[name])


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr

    def say(**reply) -> None:
        print(json.dumps(reply), file=out, flush=True)

    try:
        library = LIBRARIES[sys.argv[1]]()
    except ImportError as error:
        return say(missing=str(error))
    say(ready=True)
    prepared: dict[str, Callable] = {}
    for line in sys.stdin:
        try:
            say(**answer(library, prepared, **json.loads(line)))
        except Exception as error:  # a library's failure is a result: it stands in the table
            prepared.clear()
            say(error=f"{type(error).__name__}: {str(error)[:200]}")


if __name__ == "__main__":
    main()
