"""The command line: `minigrad grade SUBMISSIONS --out RESULTS`, and what goes with it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the jobs share the processors among themselves

from . import policy, reports  # noqa: E402
from .batch import Grader, How, grade_all  # noqa: E402
from .canary import Unsafe  # noqa: E402
from .ledger import Ledger  # noqa: E402
from .record import Record  # noqa: E402
from .submissions import Aside, find  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    try:
        return args.run(args)
    except (ValueError, Unsafe, RuntimeError, OSError) as error:
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

    autograder = commands.add_parser("gradescope", help="write a Gradescope autograder that gives the same scores")
    of_a_set(autograder)
    autograder.add_argument("--out", type=Path, default=Path("autograder.zip"), metavar="ZIP")
    autograder.add_argument("--seed", type=int, help="the same cases for every submission")
    autograder.add_argument("--course", type=Path, metavar="FILE", help="which tasks are asked for, and their points")
    autograder.add_argument("--unsafe-no-sandbox", action="store_true", help="grade also where no walls hold")
    autograder.set_defaults(run=run_gradescope)

    release = commands.add_parser("release", help="write what students get of a set")
    of_a_set(release)
    release.add_argument("--out", type=Path, required=True, metavar="DIR")
    for name in ("course", "deadlines"):
        release.add_argument(f"--{name}", type=Path, metavar="FILE", help="for the page on how to hand it in")
    release.set_defaults(run=run_release)

    notebooks = commands.add_parser("notebooks", help="make the notebooks of sets of your own, and prove them")
    notebooks.add_argument("tasks", type=Path, metavar="DIR", help="the folder with set09.py and 09-topic.md, say")
    notebooks.set_defaults(run=run_notebooks)

    sets = commands.add_parser("sets", help="list the sets that can be graded")
    sets.add_argument("--tasks", type=Path, metavar="DIR", help="a folder with sets of your own")
    sets.set_defaults(run=run_sets)
    return parser


def of_a_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("set", metavar="SET", help="the set, 04 say")
    parser.add_argument("--tasks", type=Path, metavar="DIR", help="a folder with sets of your own")


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
    say("--cluster", metavar="ADDRESS", help="hand the submissions to a Dask cluster: the address of its scheduler")
    say("--seed", type=int, help="the same cases in every run; without it nobody can know them")
    say("--tasks", type=Path, metavar="DIR", help="a folder with sets of your own")
    for name in ("course", "roster", "deadlines", "accommodations", "overrides"):
        say(f"--{name}", type=Path, metavar="FILE")
    say("--unsafe-no-sandbox", action="store_true", help="run the students' code as if it were yours")


def run_grade(args: argparse.Namespace) -> int:
    aside: list[Aside] = []
    wanted = [s for s in find(args.submissions, aside) if not args.students or s.student in args.students]
    if unknown := set(args.students) - {s.student for s in wanted}:
        raise ValueError(f"no submission of {', '.join(sorted(unknown))} in {args.submissions}.")
    if not wanted:
        raise ValueError(f"{args.submissions}: no notebooks. Looked for files that end in .ipynb, in folders and zips.")
    how = How(args.set, args.tasks, args.seed, not args.unsafe_no_sandbox, len(wanted) > 1, tuple(args.only))
    setting = policy.read(args.course, args.roster, args.deadlines, args.accommodations, args.overrides, aside)
    jobs = max(1, min(args.jobs, len(wanted)))
    grader, elsewhere = Grader(how), on_cluster(args.cluster)
    if jobs == 1 and args.set and not elsewhere:
        grader.boot(grader.set(args.set).library)  # it loads while we go on
    with Ledger(args.out) as ledger:
        done = shown(grade_all(iter(wanted), how, ledger, jobs, grader, args.fresh, elsewhere), len(wanted))
        files = {s.file for s in wanted} if not args.students else None
        everybody = reports.write(args.out, lambda: ledger.records(files), setting)
    return finished(args.out, done, len(wanted), everybody)


def on_cluster(address: str | None) -> Callable | None:
    if not address:
        return None
    from . import cluster

    return lambda work, how: cluster.on_cluster(work, how, address)


def run_regrade(args: argparse.Namespace) -> int:
    from . import diff

    with Ledger(args.out) as ledger:
        before = {record.file: record for record in ledger.records()}
    code = run_grade(args)
    with Ledger(args.out) as ledger:
        changes = diff.changes(before.values(), ledger.records())
    print(diff.text(changes))
    return code


def run_gradescope(args: argparse.Namespace) -> int:
    from . import gradescope

    asked = gradescope.Asked(args.set, args.seed, not args.unsafe_no_sandbox)
    the_set = gradescope.write(args.out, asked, args.tasks, args.course)
    print(
        f"{args.out}: set {the_set.number}, {the_set.title}, version {the_set.version}. Keep it: it holds the solutions."
    )
    return 0


def run_release(args: argparse.Namespace) -> int:
    from . import release
    from .sets import graded_set

    the_set = graded_set(args.set, args.tasks)
    for path in release.write(the_set, args.out, policy.read(args.course, deadlines=args.deadlines)):
        print(path)
    return 0


def run_notebooks(args: argparse.Namespace) -> int:
    from . import authoring

    for the_set in authoring.make(args.tasks):
        print(line_of(the_set))
    return 0


def run_sets(args: argparse.Namespace) -> int:
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
    from tqdm import tqdm

    done = 0
    with tqdm(records, total=total, unit=" submissions", smoothing=0.1, disable=total == 1 or None) as bar:
        try:
            for record in bar:
                done += 1
                if isinstance(record, Record) and record.error:
                    bar.write(f"{record.file}: {record.error}", file=sys.stderr)
        except KeyboardInterrupt:
            print("\nStopped. The same command goes on where this one was.", file=sys.stderr)
    return done


def finished(out: Path, done: int, total: int, everybody) -> int:
    print(f"{done} of {total} submissions; results in {out}")
    return 0 if done == total else 130


if __name__ == "__main__":
    sys.exit(main())
