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
from dataclasses import dataclass, field
from types import ModuleType

import wire
from attempt import OURS, Failure, attempt, failure_of
from cells import as_python

SIZE = 4
LONGEST = 500  # characters of a message


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

    def run(self, i: int, source: str) -> list | None:
        """How cell i failed, or None."""
        space = self.module.__dict__
        before = {name: space.get(name) for name in self.names}
        try:
            python, refused = as_python(source)
            self.refused += [command[:LONGEST] for command in refused]
            file = f"<cell {i}>"
            linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
            exec(compile(python, file, "exec", dont_inherit=True), space)
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


def serve(requests: int, replies: int) -> None:
    """One submission: J the cells, T a task, C a case of it; replies c of a cell, L loaded, V a value, F a failure."""
    _, body = receive(requests)
    job = json.loads(body)
    notebook = Notebook(job["names"])
    sys.modules["__main__"] = notebook.module
    notebook.module.__dict__["display"] = lambda *args, **options: None
    notebook.module.__dict__["get_ipython"] = lambda: None
    for i, source in job["cells"]:
        failed = notebook.run(i, source)
        send(replies, "c", json.dumps([i, failed]).encode())
    missing = [name for name in job["names"] if name not in notebook.module.__dict__]
    about = {"defined": notebook.defined, "missing": missing, "refused": notebook.refused[:50]}
    send(replies, "L", json.dumps(about).encode())
    task, probe = {}, None
    while True:
        kind, body = receive(requests)
        if kind == "T":
            task = json.loads(body)
            probe = defined_by(task["probe"], task["probe name"])
            continue
        answer = notebook.module.__dict__.get(task["name"])
        outcome = attempt(probe, answer, wire.decode(body), tuple(task["takes"]), tuple(task["returns"]))
        flush()
        if outcome.failure:
            send(replies, "F", json.dumps(told(outcome.failure)).encode())
            continue
        try:
            value = wire.encode((outcome.value, outcome.changed, outcome.shares))
        except wire.WireError as error:
            send(replies, "F", json.dumps(["ValueError", f"it returned {error}", "", 0, ""]).encode())
        except BaseException as error:
            send(replies, "F", json.dumps(told(failure_of(error))).encode())
        else:
            send(replies, "V", value)


def defined_by(source: str, name: str):
    """The probe, from the text that defines it.  It needs nothing but what it imports."""
    space = {"__builtins__": builtins}
    exec(compile(f"from __future__ import annotations\n{source}", f"{OURS[0]}/probe", "exec"), space)
    return space[name]


def live(requests: int, replies: int, output: int) -> None:
    """The whole life of the process, from the fork on; the walls stand already."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    started = time.perf_counter()
    try:
        serve(requests, replies)
    except BaseException as error:  # the student's code has broken what it runs on
        print(f"after {time.perf_counter() - started:.1f} s: {error!r}"[:LONGEST], file=sys.stderr)
        flush()
