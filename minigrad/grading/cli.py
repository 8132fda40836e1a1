"""The command line: `minigrad grade SUBMISSIONS --out RESULTS`, and what goes with it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import WITH_LIBRARY
from .processes import Zygote

# What a command needs it imports itself: one submission is graded in the time that all of them would take to import.


INTERRUPTED = 130  # what a shell calls the status of a program that was ended by Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    try:
        return args.run(args)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"minigrad {args.command}: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("minigrad", description="Grade notebooks of the course, and what goes with it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    grade = commands.add_parser("grade", help="grade a folder or a download, and write reports")
    grade.add_argument(
        "submissions", type=Path, help="a folder of notebooks, a folder per student, or the zip of an LMS"
    )
    asked(grade)
    grade.add_argument("--fresh", action="store_true", help="grade all, also what was graded before")
    grade.set_defaults(run=run_grade, students=(), only=())

    regrade = commands.add_parser("regrade", help="grade some students or tasks again, and say what has changed")
    regrade.add_argument("submissions", type=Path)
    asked(regrade)
    regrade.add_argument("--student", action="append", dest="students", default=[], help="as the reports call them")
    regrade.add_argument("--task", action="append", dest="only", default=[])
    regrade.set_defaults(run=run_regrade, fresh=True)
    return parser


def asked(parser: argparse.ArgumentParser) -> None:
    """What both want to know."""
    say = parser.add_argument
    say(
        "--out",
        type=Path,
        required=True,
        metavar="RESULTS",
        help="the folder for results; a run that was stopped goes on",
    )
    say("--set", default="", help="the set, 04 say; left out: the one that a notebook's checks are of")
    say("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time (here %(default)s)")
    say("--seed", type=int, help="the same cases in every run; without it nobody can know them")
    say("--tasks", type=Path, metavar="DIR", help="a folder with sets of your own")
    for name in ("course", "roster", "deadlines", "accommodations", "overrides"):
        say(f"--{name}", type=Path, metavar="FILE")
    say("--unsafe-no-sandbox", action="store_true", help="run the students' code as if it were yours")


def run_grade(args: argparse.Namespace) -> int:
    early = first_zygote(args)
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
    setting = policy.read(args.course, args.roster, args.deadlines, args.accommodations, args.overrides, aside)
    grader = Grader(how)
    if early:
        grader.zygotes[f"{args.set:0>2}"] = early
    with Ledger(args.out) as ledger:
        jobs = max(1, min(args.jobs, len(wanted)))
        done = shown(grade_all(iter(wanted), how, ledger, jobs, grader, args.fresh), len(wanted))
        files = {s.file for s in wanted} if not args.students else None
        reports.write(args.out, lambda: ledger.records(files), setting)
    print(f"{done} of {len(wanted)} submissions; results in {args.out}")
    return 0 if done == len(wanted) else INTERRUPTED


def first_zygote(args: argparse.Namespace) -> Zygote | None:
    """For one notebook of a known set, the process for the student's code: it starts while we go on."""
    if not args.set or args.tasks or not args.submissions.is_file() or args.submissions.suffix != ".ipynb":
        return None
    zygote = Zygote(f"{args.set:0>2}" in WITH_LIBRARY, enclosed=not args.unsafe_no_sandbox)
    zygote.boot()
    return zygote


def run_regrade(args: argparse.Namespace) -> int:
    from . import diff
    from .ledger import Ledger

    with Ledger(args.out) as ledger:
        before = {record.file: record for record in ledger.records()}
    code = run_grade(args)
    with Ledger(args.out) as ledger:
        changes = diff.changes(before.values(), ledger.records())
    print(diff.text(changes))
    return code


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


if __name__ == "__main__":
    sys.exit(main())
