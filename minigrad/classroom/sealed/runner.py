"""The student's process: it runs the cells, then gives the answers' values when it is asked.

Everything in here is in the hands of the student's code.  So nothing that it says is believed, and there is nothing to find.
"""

from __future__ import annotations

import builtins
import json
import linecache
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType, ModuleType

from . import wire
from .attempt import OURS, Failure, attempt, failure_of, quiet
from .cells import as_python
from .wire import SIZE, joined, split

LONGEST = 500  # characters of a message
MOST_FAILED = 200  # cells that are told of
GIVEN: dict[str, CodeType] = {}  # cells that every notebook has, compiled once


def receive(fd: int) -> tuple[str, bytes]:
    size = int.from_bytes(exactly(fd, SIZE), "little")
    message = exactly(fd, size)
    return chr(message[0]), message[1:]


def exactly(fd: int, size: int) -> bytes:
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            os._exit(0)  # the grader has gone
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def send(fd: int, kind: str, body: bytes) -> None:
    message = memoryview((len(body) + 1).to_bytes(SIZE, "little") + kind.encode() + body)
    while message:
        message = message[os.write(fd, message) :]


@dataclass
class Notebook:
    """The cells that have run, and what they left."""

    names: list[str]  # that the tasks ask for
    module: ModuleType = field(default_factory=lambda: ModuleType("__main__"))
    defined: dict[str, int] = field(default_factory=dict)  # in which cell
    refused: list[str] = field(default_factory=list)

    def compiled(self, source: str, file: str) -> CodeType:
        if source in GIVEN:
            return GIVEN[source].replace(co_filename=file)
        try:
            return compile(source, file, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            python, refused = as_python(source)
            self.refused += [command[:LONGEST] for command in refused]
            return compile(python, file, "exec", dont_inherit=True)

    def run(self, i: int, source: str) -> list | None:
        """How cell i failed, or None."""
        space = self.module.__dict__
        before = {name: space.get(name) for name in self.names}
        file = f"<cell {i}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        try:
            exec(self.compiled(source, file), space)
            return None
        except BaseException as error:
            return told(failure_of(error), error)
        finally:
            self.defined |= {name: i for name in self.names if space.get(name) is not before[name]}
            flush()


def told(failure: Failure, error: BaseException | None = None) -> list:
    """A failure, cut to a length that is worth reading; a syntax error happened in the line that it names."""
    kind, message, file, line, text = failure
    if isinstance(error, SyntaxError) and str(error.filename).startswith("<cell"):
        message, file, line, text = str(error.msg), str(error.filename), error.lineno or 0, (error.text or "").strip()
    return [str(kind)[:100], str(message)[:LONGEST], str(file)[:100], int(line), str(text)[:LONGEST]]


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass


def serve(requests: int, replies: int, progress: int) -> None:
    """One submission.  J brings the cells, and L tells how they went; T brings a task with its cases, and R their outcomes.

    `progress` is a file in which stands how many cells or cases are done: what the grader looks at if nothing comes.
    """
    _, body = receive(requests)
    job = json.loads(body)
    notebook = Notebook(job["names"])
    sys.modules["__main__"] = notebook.module
    notebook.module.__dict__["display"] = lambda *args, **options: None
    notebook.module.__dict__["get_ipython"] = lambda: None
    failed = []
    for done, (i, source) in enumerate(job["cells"], 1):
        if (failure := notebook.run(i, source)) is not None and len(failed) < MOST_FAILED:
            failed.append([i, failure])
        note(progress, done)
    missing = [name for name in job["names"] if name not in notebook.module.__dict__]
    about = {"failed": failed, "defined": notebook.defined, "missing": missing, "refused": notebook.refused[:50]}
    about["plotted"] = "matplotlib.figure" in sys.modules
    send(replies, "L", json.dumps(about).encode())
    probes: dict[str, Callable] = {}
    while True:
        _, body = receive(requests)
        task, *cases = split(body)
        task = json.loads(task)
        if (source := task["probe"]) not in probes:
            probes[source] = defined_by(source, task["probe name"])
        answer = notebook.module.__dict__.get(task["name"])
        takes, returns = tuple(task["takes"]), tuple(task["returns"])
        note(progress, 0)
        parts = []
        for done, case in enumerate(cases, 1):
            with quiet():  # each anew, as in a notebook: an answer may have turned warnings into errors
                parts.append(outcome(probes[source], answer, wire.decode(case), takes, returns))
            note(progress, done)
        flush()
        send(replies, "R", joined(parts))


def outcome(probe: Callable, answer, args: tuple, takes: tuple[str, ...], returns: tuple[str, ...]) -> bytes:
    """V and a value, or F and a failure."""
    done = attempt(probe, answer, args, takes, returns)
    if done.failure:
        return b"F" + json.dumps(told(done.failure)).encode()
    try:
        return b"V" + wire.encode((done.value, done.changed, done.shares))
    except wire.WireError as error:
        return b"F" + json.dumps(["ValueError", f"it returned {error}", "", 0, ""]).encode()
    except BaseException as error:
        return b"F" + json.dumps(told(failure_of(error))).encode()


def note(progress: int, done: int) -> None:
    os.pwrite(progress, done.to_bytes(SIZE, "little"), 0)


def defined_by(source: str, name: str):
    """The probe, from the text that defines it.  It needs nothing but what it imports."""
    space = {"__builtins__": builtins}
    exec(compile(f"from __future__ import annotations\n{source}", f"{OURS[0]}/probe", "exec"), space)
    return space[name]


def nobody_to_ask(prompt: object = "") -> str:
    raise EOFError("input() has nobody to ask while grading")


def live(requests: int, replies: int, output: int, progress: int) -> None:
    """The whole life of the process, from the fork on; the walls stand already."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    builtins.input = nobody_to_ask
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    started = time.perf_counter()
    try:
        serve(requests, replies, progress)
    except BaseException as error:  # the student's code has broken what it runs on
        print(f"after {time.perf_counter() - started:.1f} s: {error!r}"[:LONGEST], file=sys.stderr)
        flush()
