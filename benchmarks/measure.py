"""The measuring: one worker for each library, asked in turn, so that every ratio is of numbers from the same minutes."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median, quantiles

from libraries import LIBRARIES
from workloads import WORKLOADS

HERE = Path(__file__).parent

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# glibc's malloc: keep what was freed, so that no library pays for page faults that another has paid for it.
KEEP_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": "2000000000",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TOP_PAD_": "67108864",
}
# And the contrary, for measuring the size of a process: give back at once what was freed.
RETURN_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "0"}
# Two choose another BLAS kernel than the machine's; the third makes every import compile its files anew.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")
PAUSE = 0.02  # seconds, for the threads of the worker before to go to sleep
IMPORTS = 21


def environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in UNSET} | ONE_THREAD | more


class Worker:
    """A library's process.  `missing` says why there is none."""

    def __init__(self, library: str, **env: str) -> None:
        command = [sys.executable, str(HERE / "worker.py"), library]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(**env),
            text=True,
        )
        self.missing = self.reply().get("missing")

    def ask(self, do: str, name: str, **more) -> dict:
        """The answer, or {"error": why not}."""
        try:
            print(json.dumps({"do": do, "name": name, **more}), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass
        return self.reply()

    def reply(self) -> dict:
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": f"the process died ({self.process.wait()})"}

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        self.process.wait()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def works_of(library: str, works: list[str]) -> list[str]:
    only = LIBRARIES[library].only
    return [name for name in works if only is None or name in only]


def run(libraries: list[str], works: list[str], rounds: int) -> dict:
    """All that is measured, as it is written to the file."""
    if hasattr(os, "sched_setaffinity"):
        # all on one core, which the workers inherit: another may be slower for minutes
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    workers = {}
    for library in libraries:
        worker = Worker(library, **KEEP_MEMORY)
        if worker.missing:
            say(f"\n*** NOT INSTALLED, LEFT OUT: {library} ({worker.missing}) ***\n")
        else:
            workers[library] = worker
    results = {"machine": machine(list(workers)), "rounds": rounds, "times": {}}
    try:
        for name in works:
            able = {library: w for library, w in workers.items() if name in works_of(library, works)}
            results["times"][name] = times(name, able, rounds)
        results["garbage"] = {
            library: worker.ask("garbage", "mlp" if works_of(library, ["mlp"]) else "scalar").get("objects")
            for library, worker in workers.items()
        }
    finally:
        for worker in workers.values():
            worker.__exit__()
    measured = [library for library in ("numpy", "minigrad", "torch") if library in workers]
    results["memory"] = {
        name: {library: peaks(library, name) for library in measured} for name in works if WORKLOADS[name].memory
    }
    if "minigrad" in workers:
        results["imports"] = imports()
    return results


def times(name: str, workers: dict[str, Worker], rounds: int) -> dict:
    """For each library the median over the rounds of a batch's median, in µs, and the quartiles of the rounds."""
    results, batches, steps = {}, {}, {}
    for library, worker in workers.items():
        checked = worker.ask("check", name)
        if "error" in checked:
            say(f"*** {name}: {library}: {checked['error']} ***")
            results[library] = checked
        else:
            steps[library], batches[library] = checked.pop("steps"), []
            results[library] = checked  # nothing, or the dtype that it drifts to
    for i in range(rounds):
        order = list(steps)
        for library in order[i % len(order) :] + order[: i % len(order)]:
            time.sleep(PAUSE)
            batches[library].append(workers[library].ask("time", name, steps=steps[library])["us"])
    for library, batch in batches.items():
        low, _, high = quantiles(batch, n=4, method="inclusive") if rounds > 1 else batch * 3
        results[library] |= {"us": round(median(batch), 3), "quartiles": [round(low, 3), round(high, 3)]}
    base = results["numpy"]["us"]
    shown = (f"{library} {r['us'] / base:.2f}" for library, r in results.items() if "us" in r)
    say(f"{name}: {base:.1f} µs; " + ", ".join(shown))
    return results


def peaks(library: str, name: str) -> dict:
    """Peak memory in MiB, each way in a fresh process: what NumPy and Python allocate, and how large the process gets.

    PyTorch's allocations can't be traced.  And a process says little of small arrays, which never leave malloc's pools.
    """
    peak = {}
    if library != "torch":
        with Worker(library, **KEEP_MEMORY) as worker:
            peak["traced"] = worker.ask("traced", name).get("MiB")
    if WORKLOADS[name].trains:
        with Worker(library, **RETURN_MEMORY) as worker:
            peak["resident"] = worker.ask("resident", name).get("MiB")
    return peak


def imports() -> dict:
    """What `import numpy`, and then `import minigrad`, cost in a fresh process, in ms."""
    program = "from time import perf_counter as t; a = t(); import numpy; b = t(); import minigrad; c = t(); print(b - a, c - b)"
    runs = []
    for _ in range(IMPORTS + 1):  # the first may have to compile
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=True
        )
        runs.append([float(s) * 1e3 for s in done.stdout.split()])
    numpy, minigrad = (median(column) for column in zip(*runs[1:], strict=True))
    return {"numpy": round(numpy, 2), "minigrad": round(minigrad, 2)}


def machine(libraries: list[str]) -> dict:
    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "unreleased"

    return {
        "date": date.today().isoformat(),
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {LIBRARIES[name].package: installed(LIBRARIES[name].package) for name in libraries},
    }


def cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
