"""The grader's end of the student's process: start one, talk to it, make an end of it.

Nothing here runs what the other side sends, or waits for it longer than it was told to.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from ..classroom.sealed.scratch import empty, used

SEALED = Path(__file__).parent.parent / "classroom/sealed"
T = TypeVar("T")
SIZE = 4
LONGEST_MESSAGE = 48 << 20
OUTPUT = 32 << 10  # bytes kept of what it prints, at the beginning and at the end
SCRATCH = 64 << 20  # bytes that it may leave on disk
BOOT_SECONDS = 60
LOST, MOST_LOST = -2, 5  # of a copy whose zygote has gone; how often something is tried again for that
LOOK = 0.25  # seconds between two looks at the disk, and at how far it has come
NONSENSE = "sent something that is no answer"


class Unsafe(RuntimeError):
    """Nothing can be graded here; says why."""


class NotStarted(Unsafe):
    """There is no process for the students' code; says what it said."""


class Gone(Exception):
    """The process can't be asked any more: `kind` as in a Failure, and in words what it did."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message


class Zygote:
    """The process that is copied for each submission.

    `library`: students may import minigrad.  `preload`: Matplotlib is loaded at once, and not when somebody asks for it.
    `enclosed=False` leaves the walls away.  `given` are cells that most notebooks have; they are compiled once.
    """

    def __init__(self, library: bool, preload: bool = False, enclosed: bool = True, given: Sequence[str] = ()) -> None:
        if not hasattr(os, "fork"):
            raise RuntimeError("Grading forks processes, which this system can't. Use Linux, or WSL on Windows.")
        self.about = {"library": library, "preload": preload, "walls": enclosed, "given": list(given)}
        self.plotted = 0  # submissions that had to wait for Matplotlib
        self.process: subprocess.Popen | None = None
        self.walls: tuple[str, ...] = ()  # around it
        self.layers: tuple[str, ...] = ()  # around its copies
        self.trial: Callable[[Zygote], None] | None = None  # of its walls; before any other copy

    def boot(self) -> None:
        """Start it without waiting until it is there."""
        if self.process is not None:
            return
        self.scratch = Path(tempfile.mkdtemp(prefix="minigrad-grading-"))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        about = json.dumps(self.about | {"scratch": str(self.scratch)})
        start = _START.format(fd=theirs.fileno(), path=str(SEALED / "zygote.py"))
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", start, about],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            env={
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "HOME": str(Path.home()),
            },  # Matplotlib's list of fonts is there
            start_new_session=True,
        )
        theirs.close()
        self.socket = ours
        self.socket.settimeout(BOOT_SECONDS)
        self.ready = self.tried = False

    def wait(self) -> None:
        """Until it is there, and its walls were tried.  Unsafe if that can't be."""
        self._standing(lambda: None)

    def start(self) -> Child:
        """A copy of it for somebody's code; Unsafe as in `wait`."""
        return self._standing(self.copy)

    def _standing(self, then: Callable[[], T]) -> T:
        """`then` while it stands; if somebody outside ends it at whatever moment, while a new one does."""
        for _ in range(MOST_LOST):
            with contextlib.suppress(OSError, Gone, NotStarted):
                self._stand()
                return then()
            self.stop()
        self._stand()
        return then()

    def _stand(self) -> None:
        self.boot()
        if not self.ready:
            answer = self._heard(4096)
            if not answer:
                said = self.stop() or "it said nothing"
                raise NotStarted(f"The process for the students' code did not start: {said}")
            self.walls, self.ready = tuple(json.loads(answer)), True
        if self.trial and not self.tried:
            self.trial(self)
            self.tried = True

    def copy(self) -> Child:
        """A copy of it as it stands, tried or not."""
        (theirs_in, ours_out), (ours_in, theirs_out), (printed, theirs_printed) = os.pipe(), os.pipe(), os.pipe()
        progress = tempfile.TemporaryFile(buffering=0)
        try:
            socket.send_fds(self.socket, [b"J"], [theirs_in, theirs_out, theirs_printed, progress.fileno()])
        except OSError:
            progress.close()
            for fd in (ours_out, ours_in, printed):
                os.close(fd)
            raise
        finally:
            for fd in (theirs_in, theirs_out, theirs_printed):
                os.close(fd)
        return Child(self, ours_out, ours_in, printed, progress)

    def end(self, how: bytes) -> int:
        """End its copy; -> how that ended, as waitpid says, or −1 if it had to be ended, or LOST if nobody knows."""
        try:
            self.socket.send(how)
            status = self._heard(SIZE)
        except OSError:
            status = b""
        if len(status) != SIZE:  # the zygote itself is gone, which no student can do: the next copy is another's
            self.stop()
            return LOST
        return int.from_bytes(status, "little", signed=True)

    def _heard(self, size: int) -> bytes:
        try:
            return self.socket.recv(size)
        except OSError:
            return b""

    def stop(self) -> str:
        """End it, and all that it wrote; -> the last line that it said."""
        if self.process is None:
            return ""
        self.socket.close()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.set_blocking(self.process.stderr.fileno(), False)  # what it started may hold the other end a little longer
        said = (self.process.stderr.read() or b"").decode(errors="replace").strip().splitlines()
        self.process.stderr.close()
        self.process = None
        empty(self.scratch)
        with contextlib.suppress(OSError):  # gone with its world, or a copy that is about to end has just written
            self.scratch.rmdir()
        return said[-1] if said else ""

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_) -> None:
        self.stop()


_START = """\
import os, runpy
os.dup2({fd}, 3)
if {fd} != 3: os.close({fd})
runpy.run_path({path!r}, run_name="__main__")
"""


class Child:
    """One copy, for one submission."""

    def __init__(self, zygote: Zygote, requests: int, replies: int, output: int, progress: BinaryIO) -> None:
        self.zygote, self.requests, self.replies, self.output, self.progress = (
            zygote,
            requests,
            replies,
            output,
            progress,
        )
        self.poll = select.poll()
        for fd in (replies, output):
            os.set_blocking(fd, False)
            self.poll.register(fd, select.POLLIN)
        os.set_blocking(requests, False)
        self.heard = bytearray()
        self.listening = True
        self.printed, self.last_printed, self.cut = bytearray(), bytearray(), 0
        self.status: int | None = None
        self.zygote.layers = (*zygote.walls, *json.loads(self.receive(BOOT_SECONDS)[1]))

    def send(self, kind: str, body: bytes, seconds: float) -> None:
        message = memoryview((len(body) + 1).to_bytes(SIZE, "little") + kind.encode() + body)
        until = time.monotonic() + seconds
        while message:
            try:
                message = message[os.write(self.requests, message) :]
            except BlockingIOError:
                if time.monotonic() > until:
                    raise self.gone("TookTooLong") from None
                self._drain()
                select.select([], [self.requests], [], LOOK)
            except OSError:
                raise self.gone("Died") from None

    def receive(self, seconds: float, steps: int = 1, within: float = float("inf")) -> tuple[str, bytes]:
        """The next message; Gone if it is dead, or if one of its `steps` takes longer than `seconds`, or all of them `within`."""
        now = time.monotonic()
        end, until, look, done = now + within, now + seconds, now + LOOK, 0
        while True:
            if len(self.heard) >= SIZE:
                size = int.from_bytes(self.heard[:SIZE], "little")
                if not 0 < size <= LONGEST_MESSAGE:
                    raise self.gone("Died", NONSENSE)
                if len(self.heard) >= SIZE + size:
                    message = bytes(self.heard[SIZE : SIZE + size])
                    del self.heard[: SIZE + size]
                    return chr(message[0]), message[1:]
            self.poll.poll(max(0, min(until, end, look) - time.monotonic()) * 1000)
            now = time.monotonic()
            if now >= min(until, end, look):  # by the clock, whether it says something all the time or nothing
                look = now + LOOK
                if done < (further := self.done(steps)):
                    done, until = further, now + seconds
                if now >= min(until, end):
                    raise self.gone("TookTooLong")
                if used(self.zygote.scratch) > SCRATCH:
                    raise self.gone("Died", f"left more than {SCRATCH >> 20} MB on the disk")
            self._drain()
            try:
                part = os.read(self.replies, 1 << 20)
            except BlockingIOError:
                continue
            if not part:
                raise self.gone("Died")
            self.heard += part

    def done(self, most: int) -> int:
        """How many cells or cases are behind it: it says so itself, and can only make itself look slower or faster."""
        said = os.pread(self.progress.fileno(), SIZE, 0) if not self.progress.closed else b""
        return min(most, int.from_bytes(said, "little"))

    def _drain(self) -> None:
        """Take what it printed, at most a pipe full."""
        try:
            part = os.read(self.output, 1 << 16)
        except BlockingIOError:
            return
        if part:
            self._keep(part)
        elif self.listening:  # closed by the other side: poll() would never wait again
            self.poll.unregister(self.output)
            self.listening = False

    def _keep(self, part: bytes) -> None:
        """The beginning and the end of all that it printed."""
        room = OUTPUT - len(self.printed)
        self.printed += part[:room]
        self.last_printed += part[room:]
        if (more := len(self.last_printed) - OUTPUT) > 0:
            del self.last_printed[:more]
            self.cut += more

    def said(self) -> str:
        """What it printed, the middle left out if it was much."""
        middle = f"\n… {self.cut:,} bytes left out …\n".encode() if self.cut else b""
        return (self.printed + middle + self.last_printed).decode("utf-8", errors="replace")

    def gone(self, kind: str, message: str = "") -> Gone:
        """Make an end of it; the error that says so."""
        status = self.stop(b"W" if kind == "Died" and not message else b"K")
        if status == LOST:
            return Gone("Lost", "was interrupted: the grader's own process was ended from outside")
        return Gone(kind, message or (ended(status) if kind == "Died" else ""))

    def stop(self, how: bytes = b"K") -> int:
        if self.status is None:
            self.status = self.zygote.end(how)
            try:
                while part := os.read(self.output, 1 << 16):
                    self._keep(part)
            except OSError:
                pass
            self.stopped_at = self.done(1 << 30)
            self.progress.close()
            for fd in (self.requests, self.replies, self.output):
                os.close(fd)
        return self.status


def ended(status: int) -> str:
    """How a process ended, in words."""
    if status < 0:
        return "closed its connection with the grader"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return "used more processor time than a notebook may"
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return f"crashed the Python process ({name})"
    return f"ended the Python process (exit code {os.WEXITSTATUS(status)})"
