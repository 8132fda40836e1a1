"""Many submissions, on as many processes as there are jobs.  Each is recorded as soon as it is graded."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..classroom.tasks import SETS
from . import canary
from .ledger import Ledger
from .notebook import cells_of
from .one import grade, versions
from .processes import Unsafe, Zygote
from .record import Record
from .sets import GradedSet, graded_set
from .submissions import Submission
from .text import plain

CHECK = re.compile(r'^[ \t]*check\([ \t]*["\'](\d+)\.', re.MULTILINE)
AHEAD = 3  # submissions waiting for each job, where there are several
OFTEN = 3  # submissions that plot while they are graded; then Matplotlib is loaded for all


@dataclass(frozen=True)
class How:
    """What is asked of every grader, wherever it runs."""

    set: str = ""  # "": the one that the notebook's checks are of
    tasks: Path | None = None  # an instructor's own sets
    seed: int | None = None
    enclosed: bool = True
    only: tuple[str, ...] = ()  # tasks


class Grader:
    """Grades submissions one after another.  The canary goes first, in each process that is copied for them."""

    def __init__(self, how: How) -> None:
        self.how = how
        self.sets: dict[str, GradedSet] = {}
        self.zygotes: dict[str, Zygote] = {}

    def set(self, number: str) -> GradedSet:
        number = f"{number:0>2}"
        if number not in self.sets:
            self.sets[number] = graded_set(number, self.how.tasks)
        return self.sets[number]

    def boot(self, the_set: GradedSet) -> Zygote:
        """The set's zygote, started and not waited for."""
        old = self.zygotes.get(the_set.number)
        if old is None or (old.plotted > OFTEN and not old.about["preload"]):
            if old is not None:
                old.stop()
            self.zygotes[the_set.number] = Zygote(the_set.library, old is not None, self.how.enclosed, the_set.given)
            self.zygotes[the_set.number].boot()
        return self.zygotes[the_set.number]

    def zygote(self, the_set: GradedSet) -> Zygote:
        zygote = self.boot(the_set)
        if self.how.enclosed:
            zygote.trial = canary.must_hold
        zygote.wait()
        return zygote

    def __call__(self, submission: Submission) -> Record:
        number = self.how.set or recognised(submission)
        if not number:
            return ungraded(submission, "", "It is not known which set this is: no check of it is there. Say --set.")
        try:
            the_set = self.set(number)
            return grade(submission, the_set, self.zygote(the_set), self.how.seed, self.how.only)
        except Unsafe:
            raise
        except Exception as error:  # a fault of ours costs this submission, and not the class
            return ungraded(submission, number, f"The grader itself failed: {plain(repr(error))}. Grade it by hand.")

    def close(self) -> None:
        for zygote in self.zygotes.values():
            zygote.stop()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_) -> None:
        self.close()


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
    ledger: Ledger,
    grader: Grader,
    run: Callable[[Iterator[Submission]], Iterator[Record]] | None = None,
    fresh: bool = False,
) -> Iterator[Record | None]:
    """Grade what the ledger does not know yet (all, if `fresh`); for each submission its record, or None if it was known.

    `run` does it somewhere else than in this process, and gives the records as they come.
    """
    skipped: list[None] = []

    def work() -> Iterator[Submission]:
        for submission in submissions:
            read = loaded(submission)
            if not fresh and known(read, ledger, grader):
                skipped.append(None)
            else:
                yield read

    for record in run(work()) if run else map(grader, work()):
        ledger.add(merged(ledger.get(record.file), record, grader.how.only))
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


def ungraded(submission: Submission, number: str, error: str) -> Record:
    """A record that says why there are no scores.  Without a hash: the next run tries again."""
    return Record(submission.student, submission.file, "", number, (), error=error, name=submission.name)
