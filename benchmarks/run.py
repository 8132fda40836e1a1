"""minigrad beside its peers: `python benchmarks/run.py --help`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import handwritten
import measure
import report
from libraries import LIBRARIES
from workloads import WORKLOADS

HERE = Path(__file__).parent


def main() -> None:
    args = arguments()
    if args.check:
        return check(args.libs, args.works)
    if args.table or args.plot:
        path = args.out or HERE / "results.json"
        results = json.loads(path.read_text(encoding="utf-8"))
        if args.table:
            print(report.table(results))
        if args.plot:
            show(results, path)
        return
    results = measure.run(args.libs, args.works, args.rounds)
    print(report.table(results))
    whole = args.works == list(WORKLOADS) and len(results["machine"]["versions"]) == len(LIBRARIES)
    if args.out or whole:
        path = args.out or HERE / "results.json"
        path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        show(results, path)
    else:
        print("\nA part of the whole: nothing was written. --out FILE.json writes it.")


def arguments() -> argparse.Namespace:
    def names(known: dict):
        def parse(text: str) -> list[str]:
            asked = text.split(",")
            if unknown := set(asked) - set(known):
                raise argparse.ArgumentTypeError(f"no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
            return [name for name in known if name in asked]

        return parse

    parser = argparse.ArgumentParser(
        description="Times minigrad beside its peers; writes results.json, and results.svg and results.md for the book."
    )
    parser.add_argument(
        "--libs", type=names(LIBRARIES), default=list(LIBRARIES), help="some of " + ", ".join(LIBRARIES)
    )
    parser.add_argument(
        "--works", type=names(WORKLOADS), default=list(WORKLOADS), help="some of " + ", ".join(WORKLOADS)
    )
    parser.add_argument("--rounds", type=int, default=15, help="how often each library takes its turn")
    parser.add_argument("--out", type=Path, help="the JSON to write, or to read for --table and --plot")
    parser.add_argument("--check", action="store_true", help="compare gradients, without timing")
    parser.add_argument("--table", action="store_true", help="print what an earlier run wrote")
    parser.add_argument("--plot", action="store_true", help="draw what an earlier run wrote, and its table as .md")
    args = parser.parse_args()
    args.libs = ["numpy", *(name for name in args.libs if name != "numpy")]
    return args


def show(results: dict, path: Path) -> None:
    """For the book: the picture and the table, beside the JSON."""
    import plot  # only here is Matplotlib needed

    path.with_suffix(".md").write_text(report.markdown(results), encoding="utf-8")
    plot.draw(results, path.with_suffix(".svg"))
    print(f"\nWritten: {path.with_suffix('.svg')} and .md")


def check(libraries: list[str], works: list[str]) -> None:
    """The hand-written gradients against differences, and everybody's against the hand-written ones."""
    failures = 0
    for name in works:
        error = handwritten.differences(WORKLOADS[name])
        failures += not error < 1e-6
        print(f"{name}: by hand, {error:.1e} from centred differences")
    for library in libraries:
        with measure.Worker(library) as worker:
            for name in measure.works_of(library, works):
                said = {"error": f"NOT INSTALLED ({worker.missing})"} if worker.missing else worker.ask("check", name)
                error = said.get("error", "")
                # That a peer can't do a workload is its result and not our failure.
                failures += "Different" in error or bool(error and library == "minigrad")
                print(f"{name}: {library}: {error or 'equal'}{', but in ' + said['dtype'] if 'dtype' in said else ''}")
    raise SystemExit(f"{failures} failures" if failures else None)


if __name__ == "__main__":
    main()
