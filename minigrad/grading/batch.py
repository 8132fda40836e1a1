"""Many submissions, on as many processes as there are jobs.  Each is recorded as soon as it is graded."""

from __future__ import annotations

import ctypes
import hashlib
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.util import Finalize
from pathlib import Path

from ..classroom.tasks import SETS
from . import canary
from .ledger import Ledger
from .notebook import cells_of
from .one import grade, versions
from .processes import Zygote
from .record import Record
from .sets import GradedSet, graded_set
from .submissions import Submission
from .text import plain

CHECK = re.compile(r'^\s*check\(\s*["\'](\d+)\.', re.MULTILINE)
AHEAD = 3  # submissions waiting for each job
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class How:
    """What is asked of every grader, wherever it runs."""

    set: str = ""  # "": the one that the notebook's checks are of
    tasks: Path | None = None  # an instructor's own sets
    seed: int | None = None
    enclosed: bool = True
    many: bool = True  # submissions, so that it pays to load Matplotlib at once
    only: tuple[str, ...] = ()  # tasks


class Grader:
    """Grades submissions one after another.  Its first act in a process is to send the canary."""

    def __init__(self, how: How) -> None:
        self.how = how
        self.sets: dict[str, GradedSet] = {}
        self.zygotes: dict[bool, Zygote] = {}

    def set(self, number: str) -> GradedSet:
        number = f"{number:0>2}"
        if number not in self.sets:
            self.sets[number] = graded_set(number, self.how.tasks)
        return self.sets[number]

    def boot(self, library: bool) -> Zygote:
        """The zygote for sets with or without the library, started and not waited for."""
        if library not in self.zygotes:
            self.zygotes[library] = Zygote(library, self.how.many, self.how.enclosed)
            self.zygotes[library].boot()
        return self.zygotes[library]

    def zygote(self, library: bool) -> Zygote:
        zygote = self.boot(library)
        if self.how.enclosed and not zygote.tried:
            canary.must_hold(zygote)
            zygote.tried = True
        return zygote

    def __call__(self, submission: Submission) -> Record:
        number = self.how.set or recognised(submission)
        if not number:
            return ungraded(submission, "", "It is not known which set this is: no check of it is there. Say --set.")
        try:
            the_set = self.set(number)
            return grade(submission, the_set, self.zygote(the_set.library), self.how.seed, self.how.only)
        except canary.Unsafe:
            raise
        except Exception as error:  # a fault of ours costs this submission, and not the class
            return ungraded(submission, number, f"The grader itself failed: {plain(repr(error))}. Grade it by hand.")

    def close(self) -> None:
        for zygote in self.zygotes.values():
            zygote.close()


def recognised(submission: Submission) -> str:
    """The set whose checks the notebook has most of; "" if there are none, or it is no notebook."""
    try:
        found = Counter(n for _, source in cells_of(submission.read()).cells for n in CHECK.findall(source))
    except ValueError:
        found = Counter()
    if found:
        return f"{found.most_common(1)[0][0]:0>2}"
    number = re.match(r"(\d\d)\b", Path(submission.file).name)
    return number[1] if number and number[1] in SETS else ""


# ---------------------------------------------------------------- a class


def grade_all(
    submissions: Iterable[Submission],
    how: How,
    ledger: Ledger,
    jobs: int = 1,
    grader: Grader | None = None,
    fresh: bool = False,
    elsewhere: Callable[[Iterator[Submission], How], Iterator[Record]] | None = None,
) -> Iterator[Record | None]:
    """Grade what the ledger does not know yet (all, if `fresh`); for each submission its record, or None if it was known.

    `elsewhere(work, how)` does it in the place of this machine's processes.
    """
    grader = grader or Grader(how)
    run = here if jobs == 1 else lambda work, how, grader: on_processes(work, how, jobs)
    if elsewhere:
        run = lambda work, how, grader: elsewhere(work, how)
    skipped: list[None] = []

    def work() -> Iterator[Submission]:
        for submission in submissions:
            read = loaded(submission)
            if not fresh and known(read, ledger, grader):
                skipped.append(None)
            else:
                yield read

    for record in run(work(), how, grader):
        ledger.add(merged(ledger.get(record.file), record, how.only))
        yield from skipped
        skipped.clear()
        yield record
    yield from skipped


def loaded(submission: Submission) -> Submission:
    """The same with its bytes in it, fit to be sent to another process."""
    try:
        return replace(submission, reader=Bytes(submission.read()))
    except ValueError as error:
        return replace(submission, reader=Bytes(b"", str(error)))


@dataclass(frozen=True)
class Bytes:
    raw: bytes
    error: str = ""

    def __call__(self) -> bytes:
        if self.error:
            raise ValueError(self.error)
        return self.raw


def known(submission: Submission, ledger: Ledger, grader: Grader) -> bool:
    """Whether these bytes were graded already, by this grader and this version of the set."""
    sha256, number, by = ledger.known.get(submission.file, ("", "", {}))
    if not number or sha256 != hashlib.sha256(submission.reader.raw).hexdigest():
        return False
    return grader.how.set in ("", number) and by == versions(grader.set(number))


def merged(old: Record | None, new: Record, only: tuple[str, ...]) -> Record:
    """Where some tasks alone were graded again, the others as they were."""
    if not only or old is None or old.set != new.set:
        return new
    graded = {item.id: item for item in new.items}
    kept = {item.id: graded.pop(item.id, item) for item in old.items}
    return replace(new, items=(*kept.values(), *graded.values()))


def here(work: Iterable[Submission], how: How, grader: Grader) -> Iterator[Record]:
    try:
        for submission in work:
            yield grader(submission)
    finally:
        grader.close()


def on_processes(work: Iterator[Submission], how: How, jobs: int) -> Iterator[Record]:
    """Each job has a grader and a zygote of its own."""
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
            pass  # one of our own processes was ended from outside, and which submission it was at is not known
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


def ungraded(submission: Submission, number: str, error: str) -> Record:
    """A record that says why there are no scores.  Without a hash: the next run tries again."""
    return Record(submission.student, submission.file, "", number, (), error=error, name=submission.name)


def pool_of(jobs: int, how: How) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, get_context("fork"), start, (how,))


_grader: Callable[[Submission], Record] | None = None  # of this process


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
