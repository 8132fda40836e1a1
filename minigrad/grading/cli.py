"""The command line: `minigrad grade SUBMISSIONS --out RESULTS`, and what goes with it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import commands


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print(f"\nminigrad {args.command}: stopped. The same command goes on.", file=sys.stderr)
        return commands.INTERRUPTED
    except (ValueError, RuntimeError, OSError) as error:
        print(f"minigrad {args.command}: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("minigrad", description="Grade notebooks of the course, and what goes with it.")
    add = parser.add_subparsers(dest="command", required=True, metavar="COMMAND").add_parser

    grade = add("grade", help="grade a folder or a download, and write reports")
    grade.add_argument(
        "submissions", type=Path, help="a folder of notebooks, a folder per student, or the zip of an LMS"
    )
    asked(grade)
    grade.add_argument("--fresh", action="store_true", help="grade all, also what was graded before")
    grade.set_defaults(run=commands.grade, students=(), only=())

    regrade = add("regrade", help="grade some students or tasks again, and say what has changed")
    regrade.add_argument("submissions", type=Path)
    asked(regrade)
    regrade.add_argument("--student", action="append", dest="students", default=[], help="as the reports call them")
    regrade.add_argument("--task", action="append", dest="only", default=[])
    regrade.set_defaults(run=commands.regrade, fresh=True)

    autograder = add("gradescope", help="write a Gradescope autograder that gives the same scores")
    of_a_set(autograder)
    autograder.add_argument("--out", type=Path, default=Path("autograder.zip"), metavar="ZIP")
    autograder.add_argument("--seed", type=int, help="the same cases for every submission")
    autograder.add_argument("--course", type=Path, metavar="FILE", help="which tasks are asked for, and their points")
    autograder.add_argument("--unsafe-no-sandbox", action="store_true", help="grade also where no walls hold")
    autograder.set_defaults(run=commands.gradescope)

    release = add("release", help="write what students get of a set")
    of_a_set(release)
    release.add_argument("--out", type=Path, required=True, metavar="DIR")
    for name in ("course", "deadlines"):
        release.add_argument(f"--{name}", type=Path, metavar="FILE", help="for the page on how to hand it in")
    release.set_defaults(run=commands.release)

    notebooks = add("notebooks", help="make the notebooks of sets of your own, and prove them")
    notebooks.add_argument("tasks", type=Path, metavar="DIR", help="the folder with set09.py and 09-topic.md, say")
    notebooks.set_defaults(run=commands.notebooks)

    similarity = add("similarity", help="rank pairs of submissions that are alike; never a verdict")
    similarity.add_argument("submissions", type=Path)
    similarity.add_argument("--set", required=True, help="the set, 04 say: what it gives everybody is left out")
    similarity.add_argument("--tasks", type=Path, metavar="DIR", help="a folder with sets of your own")
    similarity.add_argument("--out", type=Path, required=True, metavar="RESULTS")
    similarity.set_defaults(run=commands.similarity)

    sets = add("sets", help="list the sets that can be graded")
    sets.add_argument("--tasks", type=Path, metavar="DIR", help="a folder with sets of your own")
    sets.set_defaults(run=commands.sets)
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


if __name__ == "__main__":
    sys.exit(main())
