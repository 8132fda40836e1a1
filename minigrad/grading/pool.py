"""As many graders as there are jobs, each in a process of its own and with a zygote of its own."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.util import Finalize

from .batch import AHEAD, Grader, How, ungraded
from .record import Record
from .submissions import Submission

PR_SET_PDEATHSIG = 1


def on_processes(work: Iterator[Submission], how: How, jobs: int) -> Iterator[Record]:
    """The record of each submission, as they come.  If one of our processes dies, what it was at is tried once more, alone."""
    waiting: dict[Future, Submission] = {}
    with pool_of(jobs, how) as pool:
        try:
            while True:
                while len(waiting) < jobs * AHEAD and (submission := next(work, None)):
                    waiting[pool.submit(run, submission)] = submission
                if not waiting:
                    return
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    record = future.result()
                    del waiting[future]
                    yield record
        except BrokenProcessPool:
            pass  # ended from outside, and which submission it was at is not known
        finally:
            for future in waiting:
                future.cancel()
    for submission in waiting.values():
        yield alone(submission, how)
    yield from on_processes(work, how, jobs)


def alone(submission: Submission, how: How) -> Record:
    """Graded in a process that has nothing else to do; if that dies as well, the submission is recorded as lost."""
    try:
        with pool_of(1, how) as pool:
            return pool.submit(run, submission).result()
    except BrokenProcessPool:
        said = "The grader itself ended while it was at this submission, twice. Grade it by hand."
        return ungraded(submission, how.set, said)


def pool_of(jobs: int, how: How) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, get_context("fork"), start, (how,))


_grader: Grader | None = None  # of this process


def start(how: How) -> None:
    """What a process of the pool does first."""
    global _grader
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who hands out the work
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # and nobody outlives that one
    _grader = Grader(how)
    Finalize(None, _grader.close, exitpriority=10)


def run(submission: Submission) -> Record:
    return _grader(submission)
