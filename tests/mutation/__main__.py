"""Are the tests any good?  Change the library a little, in every possible place, and see whether they notice.

    python -m tests.mutation [--file operations.py] [--function tensor_divide] [--list]

Each mutant differs from the library in one operator, operand, comparison, constant, condition or statement.  The suite is
collected once, and run once to see which tests call which function and how long they take.  Then for each mutant a forked
copy of this process puts the changed code into the living functions and runs the tests that call them, quickest first,
until one fails.  A mutant that all tests let pass has survived: write a test that kills it, or, if it changes nothing that
anybody could see, put it into equivalent.txt with the reason.  An entry there that no survivor needs is an error too.

Left out: annotations, docstrings, messages of errors, and `__slots__`.
"""

from __future__ import annotations

import argparse
import ast
import gc
import inspect
import os
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MINIGRAD_CI": "1"}
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # ours is in the package that is changed here, and loaded already

import pytest

from .changes import LIBRARY, Mutant, compiled, mutants

HERE = Path(__file__).parent
FILES = [
    "context.py",
    "graph.py",
    "primitive.py",
    "functions.py",
    "operations.py",
    "fused.py",
    "tensor.py",
    "losses.py",
]
FILES += ["states.py", "updates.py"]
# The tests of the library, the quick ones first; no doctests, which can be run only once
STAGES = [
    ["user_primitives", "tensor", "grad", "wrong_rules", "context", "dtypes", "zero_times_infinity", "fused"],
    ["copying", "ownership", "interop", "errors", "kinks", "gradcheck", "losses", "layers", "debug_and_trace"],
    ["weighted_losses", "states", "optimisers", "schedules", "attention", "convolution", "normalisation"],
    ["letting_go", "engine", "recording", "compiler", "graphs", "primitives"],
]
STAGES = [[f"tests/test_{name}.py" for name in stage] for stage in STAGES]
OPTIONS = ["-p", "no:cacheprovider", "-k", "not million and not torch"]
LONGEST = 1.5  # seconds; tests that take longer are left out
TOLERATED = 0.01  # of all mutants may survive without a reason, or stand in equivalent.txt without need: a slow machine tries less
PATIENCE = 20.0  # seconds of tests for one mutant; one known to be equivalent gets a tenth
NAMES = frozenset(str(LIBRARY / file) for file in FILES)
WORKERS = os.cpu_count() or 1
REPORT = os.fdopen(os.dup(1), "w")  # pytest has its own ideas about standard output

# ---------------------------------------------------------------- putting it in


def differing(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]]:
    """The pieces of code that differ, outermost first: the module, a function in it, a lambda in that."""
    if old == new:
        return []
    inner = [[c for c in code.co_consts if isinstance(c, CodeType)] for code in (old, new)]
    return [(old, new), *(pair for o, n in zip(*inner, strict=False) for pair in differing(o, n))]


def quicken_hypothesis() -> None:
    """No shrinking and no memory of earlier failures: that a test fails is all we want to know."""
    from hypothesis import Phase, settings  # not before pytest, which wants to rewrite its assertions

    settings.register_profile("mutation", phases=[Phase.explicit, Phase.generate], database=None, deadline=None)
    settings.load_profile("mutation")


def can_be_put_in(mutant: Mutant, at_import: set[CodeType]) -> bool:
    """Whether it is enough to change functions that are there: not so for what runs, or is set, at import."""
    pairs = differing(compiled(mutant.file), mutant.code())
    bodies = [old for old, _ in pairs if not old.co_flags & inspect.CO_OPTIMIZED]  # of the module, of classes
    functions = pairs[len(bodies) :]
    return bool(functions) and all(o not in at_import and o.co_freevars == n.co_freevars for o, n in functions)


class Changed(NamedTuple):
    """An importer that makes one module of the library from a changed tree."""

    mutant: Mutant

    def find_spec(self, name: str, path=None, target=None):
        if name == f"minigrad.{self.mutant.file[:-3]}":
            return spec_from_file_location(name, LIBRARY / self.mutant.file, loader=self)

    def create_module(self, spec) -> None:
        return None

    def exec_module(self, module) -> None:
        exec(self.mutant.code(), vars(module))


def survivors(mutants: list[Mutant], survives: Callable[[Mutant], bool]) -> list[Mutant]:
    """Those that survive, each judged in a process of its own: what a mutant breaks, it breaks there."""
    running, survived = {}, []
    for n, mutant in enumerate([*mutants, *[None] * WORKERS]):
        while len(running) >= WORKERS or (mutant is None and running):
            pid, status = os.wait()
            if pid in running and status == 0:
                survived.append(running[pid])
            running.pop(pid, None)
        if mutant is None:
            continue
        if n % 100 == 0:
            print(f"  {n} of {len(mutants)}, {len(survived)} survive", file=REPORT, flush=True)
        pid = os.fork()
        if pid:
            running[pid] = mutant
            continue
        try:
            resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
            os._exit(not survives(mutant))
        finally:  # no error may lead back into the parent's loop
            os._exit(1)
    return survived


def survives_import(mutant: Mutant) -> bool:
    """For what runs when the library is imported: import it anew, and run everything."""
    signal.alarm(300)
    for name in [name for name in sys.modules if name.split(".")[0] == "minigrad"]:
        del sys.modules[name]
    sys.meta_path.insert(0, Changed(mutant))
    stages = STAGES[:-1] if mutant.key in equivalents() else STAGES
    return all(pytest.main(["-x", "-q", *OPTIONS, *tests]) == 0 for tests in stages)


class Judge:
    """A pytest plugin that instead of running the tests lets them judge mutants."""

    def __init__(self, mutants: list[Mutant]) -> None:
        self.mutants, self.survived, self.failing = mutants, [], []
        self.callers = defaultdict(list)  # code -> [(seconds, test)]; None -> all
        self.living = defaultdict(list)  # code -> functions
        self.called, self.in_child = set(), False

    def pytest_configure(self) -> None:
        quicken_hypothesis()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self):
        if self.in_child:
            return (yield)
        with recording() as self.called:
            return (yield)

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed and self.in_child:
            os._exit(1)
        if report.failed:
            self.failing.append(report.nodeid)

    def pytest_runtestloop(self, session) -> bool:
        for item in session.items:
            start = time.perf_counter()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            seconds = time.perf_counter() - start
            for code in [None, *self.called] if seconds < LONGEST and item.nodeid not in self.failing else ():
                self.callers[code].append((seconds, item))
        for f in gc.get_objects():
            if type(f) is FunctionType and f.__code__.co_filename in NAMES:
                self.living[f.__code__].append(f)
        gc.freeze()  # else the forks would copy what the collector touches
        self.survived = survivors(self.mutants, self.survives)
        return True

    def survives(self, mutant: Mutant) -> bool:
        self.in_child = True
        old = None
        for old, new in differing(compiled(mutant.file), mutant.code()):
            for f in self.living[old]:
                f.__code__ = new
        tests = self.callers[old] or self.callers[None]  # of code that is only copied no callers are known
        for seconds, item in varied(tests, PATIENCE / 10 if mutant.key in equivalents() else PATIENCE):
            signal.alarm(5 + int(10 * seconds))  # an endless loop ends the process
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return True


def varied(tests: list, patience: float) -> Iterator:
    """The first case of every test, then the second of every test, and so on, the quickest first, for some time."""
    turn, total = Counter(), 0.0
    ordered = []
    for seconds, item in sorted(tests, key=lambda test: test[0]):
        name = item.nodeid.split("[")[0]
        ordered.append((turn[name], seconds, item))
        turn[name] += 1
    for _, seconds, item in sorted(ordered, key=lambda test: test[:2]):
        total += seconds
        if total < patience:
            yield seconds, item


@contextmanager
def recording() -> Iterator[set[CodeType]]:
    """The library's functions that are called in the block."""
    codes = {}

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename in NAMES:
            codes[id(code)] = code

    called = set()
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(None)
        called |= set(codes.values())


# ---------------------------------------------------------------- the verdict


@cache
def equivalents() -> dict[str, str]:
    """{mutant: reason} of equivalent.txt: a mutant a line, the reason indented below it."""
    found, key = {}, None
    for text in (HERE / "equivalent.txt").read_text(encoding="utf-8").splitlines():
        if text.startswith("    ") and key:
            found[key] = (found[key] + " " + text.strip()).strip()
        elif text.strip() and not text.startswith("#"):
            key = text.strip()
            found[key] = ""
    return found


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.mutation")
    parser.add_argument("--file", action="append", help=f"one or more of {', '.join(FILES)}")
    parser.add_argument("--function", default="", help="only mutants whose function contains this")
    parser.add_argument("--list", action="store_true", help="show the mutants, judge nothing")
    asked = parser.parse_args()
    chosen = [m for file in asked.file or FILES for m in mutants(file) if asked.function in m.function]
    if asked.list:
        print(*(m.key for m in chosen), sep="\n")
        return 0

    with recording() as at_import:
        import minigrad.compiler  # noqa: F401
    inside, outside = [], []
    for m in chosen:
        (inside if can_be_put_in(m, at_import) else outside).append(m)
    print(f"{len(chosen)} mutants, {len(outside)} of them to be imported anew", file=REPORT, flush=True)
    control = Mutant("graph.py", "control", ast.Module([], []), "type_ignores", [])  # changes nothing: must survive
    survived = survivors([control, *outside], survives_import)
    judge = Judge([control, *inside])
    pytest.main(["-s", "-p", "no:terminal", *OPTIONS, *sum(STAGES, [])], plugins=[judge])
    survived += judge.survived
    trusted = survived.count(control)
    if trusted < 2:
        print("\nThe unchanged library was killed, too: these numbers mean nothing.", file=REPORT)
    survived = [m for m in survived if m is not control]

    known, keys = equivalents(), {m.key for m in survived}
    unknown = sorted(keys - known.keys())
    whole = not asked.file and not asked.function
    stale = sorted(known.keys() - keys if whole else known.keys() & {m.key for m in chosen} - keys)
    for title, lines in (
        ("tests that fail without any mutant", judge.failing),
        ("survivors", unknown),
        ("in equivalent.txt, but killed or gone", stale),
        ("in equivalent.txt without a reason", [key for key, reason in known.items() if not reason]),
    ):
        if lines:
            print(f"\n{title}:", *lines, sep="\n", file=REPORT)
    killed, equal = len(chosen) - len(keys), len(keys & known.keys())
    print(
        f"\n{killed} of {len(chosen)} mutants killed, {equal} equivalent, {len(unknown)} survive",
        file=REPORT,
        flush=True,
    )
    too_many = len(unknown) + len(stale) > TOLERATED * len(chosen)
    return bool(judge.failing or trusted < 2 or too_many or not all(known.values()))


if __name__ == "__main__":
    sys.exit(main())
