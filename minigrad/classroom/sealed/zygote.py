"""A fresh interpreter that has loaded what students may import, and is copied for each submission: `python zygote.py '{…}'`.

It knows no task and no reference, so a copy finds none in its memory.  The grader talks to it through descriptor 3:
each job comes with four descriptors (requests, replies, output, progress); `K` ends the copy, `W` lets it end by itself first.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

from sealed import imports, runner, sandbox  # noqa: E402  a package without its own: nothing above it is loaded
from sealed.scratch import empty  # noqa: E402

del sys.path[0]

WAIT = 0.3  # seconds for a process that has closed its pipe to be gone


def main() -> None:
    about = json.loads(sys.argv[1])
    scratch = Path(about["scratch"])
    os.environ["MPLBACKEND"] = "Agg"
    grader = socket.socket(fileno=3)
    readable, listable = imports.prepare(about["library"], about["preload"])
    runner.GIVEN |= {cell: compile(cell, "<given>", "exec", dont_inherit=True) for cell in about["given"]}
    memory = sandbox.memory_in_use()
    sandbox.prepare()
    fonts = Path.home() / ".cache/matplotlib"  # to look for them all takes a second
    readable.append(fonts)
    os.environ |= {
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "MPLCONFIGDIR": str(fonts if fonts.exists() else scratch),
    }
    walls = sandbox.enclose(readable, listable, scratch) if about["walls"] else []
    alone = os.getpid() == 1  # of a world of our own; anywhere else, to end "all others" would end everything
    gc.collect()
    gc.freeze()
    grader.send(json.dumps(walls).encode())
    while True:
        message, descriptors, *_ = socket.recv_fds(grader, 64, 4)
        if not message:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            child(grader, descriptors, scratch, memory if about["walls"] else None)
        for descriptor in descriptors:
            os.close(descriptor)
        status = ended(pid, grader.recv(1), alone)
        empty(scratch)  # nothing that one student left is there for the next
        grader.send(status.to_bytes(4, "little", signed=True))


def child(grader: socket.socket, descriptors: list[int], scratch: Path, memory: int | None) -> None:
    grader.close()
    try:
        os.setsid()
        os.chdir(scratch)
        walls = [] if memory is None else sandbox.seal(memory)
        runner.send(descriptors[1], "W", json.dumps(walls).encode())
        runner.live(*descriptors)
    finally:
        os._exit(0)


def ended(pid: int, how: bytes, alone: bool) -> int:
    """Make an end of the process and of all that it may have started; -> how it ended, as waitpid says, or −1 if it had to be ended."""
    until = time.monotonic() + (WAIT if how == b"W" else 0)
    while True:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone or time.monotonic() >= until:
            break
        time.sleep(0.002)
    everybody = [(-1, os.kill)] if alone else []  # all of our own world but us
    for target, kill in [(pid, os.kill), (pid, os.killpg), *everybody]:
        try:
            kill(target, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    if not gone:
        os.waitpid(pid, 0)
        status = -1
    while alone:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                break
        except ChildProcessError:
            break
    return status


if __name__ == "__main__":
    main()
