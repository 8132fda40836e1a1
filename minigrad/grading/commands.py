"""What the commands do.  Each imports what it needs: all of it takes as long to import as one submission to grade."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

from . import WITH_LIBRARY
from .processes import Zygote

if TYPE_CHECKING:
    from .batch import How

INTERRUPTED = 130  # what a shell calls the status of a program that was ended by Ctrl-C


def grade(args: argparse.Namespace) -> int:
    with first_zygote(args) as early:
        return graded(args, early)


def graded(args: argparse.Namespace, early: Zygote | None) -> int:
    from . import policy, reports
    from .batch import Grader, How, grade_all
    from .ledger import Ledger
    from .submissions import Aside, find

    aside: list[Aside] = []
    wanted = [s for s in find(args.submissions, aside) if not args.students or s.student in args.students]
    if unknown := set(args.students) - {s.student for s in wanted}:
        raise ValueError(f"no submission of {', '.join(sorted(unknown))} in {args.submissions}.")
    if not wanted:
        raise ValueError(f"{args.submissions}: no notebooks. Looked for files that end in .ipynb, in folders and zips.")
    how = How(args.set, args.tasks, args.seed, not args.unsafe_no_sandbox, tuple(args.only))
    setting = policy.read(
        args.course, args.roster, args.deadlines, args.accommodations, args.overrides, aside, known_tasks(args)
    )
    with Grader(how) as grader, Ledger(args.out) as ledger:
        if args.set and (unknown := set(args.only) - set(grader.set(args.set).tasks)):
            raise ValueError(f"set {args.set} has no task {', '.join(sorted(unknown))}.")
        if early:
            grader.zygotes[f"{args.set:0>2}"] = early
        run = somewhere_else(args, how, len(wanted))
        done = shown(grade_all(iter(wanted), ledger, grader, run, args.fresh), len(wanted))
        files = {s.file for s in wanted} if not args.students else None
        reports.write(args.out, lambda: ledger.records(files), setting)
    print(f"{done} of {len(wanted)} submissions; results in {args.out}")
    return 0 if done == len(wanted) else INTERRUPTED


def known_tasks(args: argparse.Namespace) -> dict[str, list[str]] | None:
    """The tasks of each set, so that a mistyped one in the instructor's files is found; not looked up if there are none."""
    if not (args.course or args.deadlines or args.overrides):
        return None
    from .sets import graded_set, numbers

    return {number: list(graded_set(number, args.tasks).tasks) for number in numbers(args.tasks)}


def somewhere_else(args: argparse.Namespace, how: How, n: int) -> Callable | None:
    """Who grades, if not this process: a cluster, or as many processes as there are jobs."""
    if args.cluster:
        from .cluster import on_cluster

        return lambda work: on_cluster(work, how, args.cluster)
    if (jobs := min(args.jobs, n)) > 1:
        from .pool import on_processes

        return lambda work: on_processes(work, how, jobs)
    return None


def first_zygote(args: argparse.Namespace) -> Zygote | nullcontext:
    """For one notebook of a known set, the process for the student's code: it starts while we go on."""
    if not args.set or args.tasks or not args.submissions.is_file() or args.submissions.suffix != ".ipynb":
        return nullcontext()
    zygote = Zygote(f"{args.set:0>2}" in WITH_LIBRARY, enclosed=not args.unsafe_no_sandbox)
    zygote.boot()
    return zygote


def regrade(args: argparse.Namespace) -> int:
    from . import diff
    from .ledger import Ledger

    with Ledger(args.out) as ledger:
        before = {record.file: record for record in ledger.records()}
    code = grade(args)
    with Ledger(args.out) as ledger:
        changes = diff.changes(before.values(), ledger.records())
    print(diff.text(changes))
    return code


def similarity(args: argparse.Namespace) -> int:
    from . import similarity as compared
    from .sets import graded_set
    from .submissions import find

    args.out.mkdir(parents=True, exist_ok=True)
    pairs = compared.report(find(args.submissions), graded_set(args.set, args.tasks).stubs(), args.out)
    print(f"{len(pairs)} pairs; see similarity.html and similarity.csv in {args.out}")
    return 0


def gradescope(args: argparse.Namespace) -> int:
    from . import gradescope as autograder

    asked = autograder.Asked(args.set, args.seed, not args.unsafe_no_sandbox)
    the_set = autograder.write(args.out, asked, args.tasks, args.course)
    print(
        f"{args.out}: set {the_set.number}, {the_set.title}, version {the_set.version}. Keep it: it holds the solutions."
    )
    return 0


def release(args: argparse.Namespace) -> int:
    from . import policy
    from . import release as released
    from .sets import graded_set

    the_set = graded_set(args.set, args.tasks)
    for path in released.write(the_set, args.out, policy.read(args.course, deadlines=args.deadlines)):
        print(path)
    return 0


def notebooks(args: argparse.Namespace) -> int:
    from . import authoring

    for the_set in authoring.make(args.tasks):
        print(line_of(the_set))
    return 0


def sets(args: argparse.Namespace) -> int:
    from .sets import graded_set, numbers

    for number in numbers(args.tasks):
        print(line_of(graded_set(number, args.tasks)))
    return 0


def line_of(the_set) -> str:
    points = sum(task.points for task in the_set.tasks.values())
    own = f", from {the_set.folder}" if the_set.folder else ""
    return f"{the_set.number}  {the_set.title}: {len(the_set.tasks)} tasks, {points} points, version {the_set.version}{own}"


def shown(records, total: int) -> int:
    """Go through all of them behind a progress bar; how many were done.  Ctrl-C ends it early, and nothing is lost."""
    if total == 1:
        return sum(1 for _ in records)
    from tqdm import tqdm

    done = 0
    with tqdm(records, total=total, unit=" submissions", smoothing=0.1, disable=None) as bar:
        try:
            for record in bar:
                done += 1
                if record and record.error:
                    bar.write(f"{record.file}: {record.error}", file=sys.stderr)
        except KeyboardInterrupt:
            print("\nStopped. The same command goes on where this one was.", file=sys.stderr)
    return done
