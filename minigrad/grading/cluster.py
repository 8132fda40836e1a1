"""`--cluster ADDRESS`: the same grader on the workers of a Dask cluster.  Each result is recorded once, here.

    here        hands out submissions with their bytes, a few for each thread of the cluster, and takes records
    a worker    passes them on to graders, processes of its own: one for each of its threads that is busy
    a grader    sends the canary, then grades as everywhere: `python -m minigrad.grading.cluster`

The graders are processes because time limits need a main thread, and a worker's tasks have none.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from .batch import AHEAD, Grader, How, ungraded
from .one import ALL_SECONDS, versions
from .processes import Unsafe
from .record import Record
from .submissions import Submission

CONNECT, WAIT_FOR_WORKERS = 20, 60  # seconds
LONGEST = 3 * ALL_SECONDS  # for one submission; a grader that takes longer hangs


def on_cluster(work: Iterator[Submission], how: How, address: str) -> Iterator[Record]:
    """A record for each submission.  What was at a worker that died goes to another; what several died of is put aside."""
    try:
        from distributed import Client
        from distributed.comm import CommClosedError
    except ImportError:
        raise RuntimeError("--cluster needs Dask: install minigrad-course[cluster], here and on the workers.") from None
    try:
        with Client(address, timeout=CONNECT, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS)
            try:
                yield from handed_out(work, how, client)
            finally:
                client.run(close, on_error="ignore")
    except (TimeoutError, CommClosedError, OSError) as error:
        said = f"The cluster at {address} does not answer: {str(error) or type(error).__name__}."
        raise RuntimeError(f"{said} What it graded is kept; the same command goes on.") from error


def handed_out(work: Iterator[Submission], how: How, client) -> Iterator[Record]:
    from distributed import KilledWorker, as_completed

    job = replace(how, tasks=None), shipped(how.tasks)
    judge = Grader(how)  # judges nothing: it knows the versions
    waiting: dict[str, Submission] = {}
    arriving = as_completed(loop=client.loop)
    suspects: list[Submission] = []
    alone = False  # then it is known whose fault a death is

    def submit(submission: Submission) -> None:
        future = client.submit(at_worker, submission, *job, pure=False)
        waiting[future.key] = submission
        arriving.add(future)

    def more() -> None:
        nonlocal alone
        room = AHEAD * max(1, sum(client.nthreads().values()))
        while len(waiting) < room and (submission := next(work, None)):
            submit(submission)
        if not waiting and suspects:
            alone = True
            submit(suspects.pop())

    try:
        more()
        for future in arriving:
            submission = waiting.pop(future.key)
            try:
                yield checked(future.result(), judge)
            except KilledWorker:
                if alone:
                    said = "Every worker that was given this submission ended while it was at it. Grade it by hand."
                    yield ungraded(submission, how.set, said)
                else:
                    suspects.append(submission)
            more()
    finally:
        client.cancel(list(arriving.futures), force=True)


def checked(record: Record, judge: Grader) -> Record:
    """The record, if the worker has our version of the set: on one cluster everybody is judged alike."""
    ours = versions(judge.set(record.set)) if record.versions else None
    if record.versions != ours:
        raise RuntimeError(
            f"A worker of the cluster has another version: {record.versions}, not {ours}. Install the same one on all."
        )
    return record


# ---------------------------------------------------------------- on a worker

_idle: list[Remote] = []  # graders of this worker that wait for work
_all: list[Remote] = []


class Remote:
    """A grader in a process of its own.  It ends when this one does, for then its connection is closed."""

    def __init__(self, how: How, files: dict[str, bytes]) -> None:
        self.how, self.files = how, files
        self.connection, theirs = Pipe()
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        alone = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # the graders share the processors among themselves
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=alone)
        theirs.close()
        self.connection.send((how, files))
        _all.append(self)

    def __call__(self, submission: Submission) -> Record:
        """EOFError or OSError if it has ended, or had to be."""
        self.connection.send(submission)
        if not self.connection.poll(LONGEST):
            raise EOFError
        answer = self.connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Told to end, it puts its scratch folder away; if it does not listen, it is ended."""
        if self in _all:
            _all.remove(self)
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.connection.close()


def at_worker(submission: Submission, how: How, files: dict[str, bytes]) -> Record:
    """Graded by one of this worker's graders.  If that ends, another tries; if it ends as well, the submission is recorded as lost."""
    for _ in range(2):
        try:
            remote = _idle.pop()
        except IndexError:
            remote = Remote(how, files)
        while (remote.how, remote.files) != (how, files):  # from another run
            remote.close()
            remote = _idle.pop() if _idle else Remote(how, files)
        try:
            record = remote(submission)
        except (EOFError, OSError):
            if remote not in _all:
                raise RuntimeError("The run was stopped.") from None
            remote.close()
        except Unsafe as error:
            remote.close()
            raise Unsafe(f"On {socket.gethostname()}: {error}") from None
        except BaseException:
            remote.close()
            raise
        else:
            _idle.append(remote)
            return record
    return ungraded(
        submission, how.set, "The grader itself ended while it was at this submission, twice. Grade it by hand."
    )


def close() -> None:
    """No grader stays behind when a run is over."""
    _idle.clear()
    for remote in list(_all):
        remote.close()


# ---------------------------------------------------------------- a grader


def shipped(folder: Path | None) -> dict[str, bytes]:
    """An instructor's own sets, as they are read by `graded_set`: the workers need not have them."""
    if folder is None:
        return {}
    return {path.name: path.read_bytes() for pattern in ("set*.py", "*.ipynb") for path in sorted(folder.glob(pattern))}


def serve(connection: Connection) -> None:
    """First how, then submissions; for each its record, or the error that ends the run."""
    how, files = connection.recv()
    with tempfile.TemporaryDirectory(prefix="minigrad-sets-") as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        grader = Grader(replace(how, tasks=Path(folder)) if files else how)
        try:
            while True:
                submission = connection.recv()
                try:
                    connection.send(grader(submission))
                except RuntimeError as error:
                    connection.send(error)
        except EOFError:
            pass  # the worker has gone
        finally:
            grader.close()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who hands out the work
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # and puts everything away
    serve(Connection(int(sys.argv[1])))
