"""What it costs to grade a class: `python benchmarks/grading.py --help`.

The command that an instructor types, in processes of its own, on notebooks that nobody wrote (`synthetic.py`); beside it
`nbgrader autograde` on the same notebooks, where it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import synthetic
from measure import machine

HERE = Path(__file__).parent
ROOT = HERE.parent
SET = "04"
DIFFERENT = 300  # notebooks; of larger classes some are alike
SINGLE_RUNS = 9
MUST = {"per second": 60, "single": 0.4}


def class_of(folder: Path, n: int) -> Path:
    """A folder with n submissions, hard links to at most DIFFERENT files."""
    some = folder / "some"
    if not some.exists():
        synthetic.write(some, SET, DIFFERENT)
    kinds = sorted(some.iterdir())
    made = folder / f"class-{n}"
    made.mkdir(exist_ok=True)
    for i in range(n):
        os.link(kinds[i % len(kinds)], made / f"student-{i:05}.ipynb")
    return made


def timed(command: list) -> tuple[float, float]:
    """Seconds, and the MiB of the largest process."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def measured(code: str, *arguments) -> list[float]:
    """`timed` in a process of its own, so that the largest process so far is the one that is meant."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def by_minigrad(submissions: Path, out: Path, *options: str) -> list[float]:
    code = "import sys, json; sys.path.insert(0, sys.argv[1]); import grading; print(json.dumps(grading.timed(sys.argv[2:])))"
    command = [sys.executable, "-m", "minigrad.grading.cli", "grade", submissions, "--out", out, "--set", SET, *options]
    return measured(code, HERE, *command)


def single(folder: Path) -> float:
    """Seconds for one submission, from the command line, beyond Python's own start."""
    submission = next((folder / "some").iterdir())
    ours = [by_minigrad(submission, folder / f"single-{i}")[0] for i in range(SINGLE_RUNS)]
    python = [timed([sys.executable, "-c", "pass"])[0] for _ in range(SINGLE_RUNS)]
    return median(ours) - median(python)


def by_nbgrader(folder: Path, n: int) -> float | None:
    """Seconds for n submissions; None where nbgrader is not installed."""
    program = ROOT / ".venv-nbgrader/bin/nbgrader"
    if not program.exists():
        return None
    name = next(ROOT.glob(f"solutions/{SET}-*.ipynb")).stem
    course = folder / "nbgrader"
    (course / "source" / name).mkdir(parents=True)
    (course / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'course'\n")
    (course / "source" / name / f"{name}.ipynb").write_bytes((ROOT / f"solutions/{name}.ipynb").read_bytes())
    environment = os.environ | {"MINIGRAD_STRICT": "1", "MINIGRAD_STATIC": "1", "HOME": str(course)}
    environment["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"

    def nbgrader(*command: str) -> float:
        start = time.perf_counter()
        done = subprocess.run([program, *command], cwd=course, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return time.perf_counter() - start

    nbgrader("generate_assignment", name, "--create")
    for i in range(n):
        into = course / "submitted" / f"student-{i:05}" / name
        into.mkdir(parents=True)
        (into / f"{name}.ipynb").write_text(synthetic.notebook(SET, i), encoding="utf-8")
    return nbgrader("autograde", name, "--create")


def run(numbers: list[int], beside: int) -> dict:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        class_of(folder, 1)
        results = {"machine": machine([]), "set": SET, "single": round(single(folder), 3), "classes": {}}
        print(f"one submission: {results['single']:.2f} s beyond Python's start", file=sys.stderr, flush=True)
        for n in numbers:
            seconds, memory = by_minigrad(class_of(folder, n), folder / f"results-{n}")
            results["classes"][n] = {"seconds": round(seconds, 2), "MiB": round(memory)}
            print(f"{n} submissions: {seconds:.1f} s, {n / seconds:.1f} a second", file=sys.stderr, flush=True)
        seconds = by_nbgrader(folder, beside)
        results["nbgrader"] = None if seconds is None else {"submissions": beside, "seconds": round(seconds, 2)}
    return results


def warm(classes: dict) -> float | None:
    """Submissions a second once it runs: of what the largest class has more than the smallest."""
    if len(classes) < 2:
        return None
    (n, few), (m, many) = (min(classes.items(), key=lambda x: int(x[0])), max(classes.items(), key=lambda x: int(x[0])))
    return (int(m) - int(n)) / (many["seconds"] - few["seconds"])


def table(results: dict) -> str:
    """As Markdown, for the terminal and for the book."""
    lines = ["| submissions | seconds | a second | largest process, MiB |", "| --: | --: | --: | --: |"]
    for n, row in results["classes"].items():
        lines.append(f"| {int(n):,} | {row['seconds']:,.1f} | {int(n) / row['seconds']:.1f} | {row['MiB']} |")
    rate = warm(results["classes"])
    said = [f"One submission from the command line: {results['single']:.2f} s beyond Python's own start."]
    if rate:
        said.append(f"Once it runs: {rate:.0f} submissions a second on {results['machine']['cores']} cores.")
    if beside := results["nbgrader"]:
        each = beside["submissions"] / beside["seconds"]
        said.append(f"nbgrader autograde, {beside['submissions']} of the same notebooks: {each:.2f} a second.")
    return "\n".join(lines) + "\n\n" + " ".join(said) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Times `minigrad grade`; writes grading.json, and grading.md for the book."
    )
    parser.add_argument("--numbers", default="100,1000,10000", help="sizes of classes (%(default)s)")
    parser.add_argument("--beside", type=int, default=12, help="submissions for nbgrader (%(default)s)")
    parser.add_argument(
        "--out", type=Path, help="the JSON to write; left out: benchmarks/grading.json, if all was measured"
    )
    args = parser.parse_args()
    numbers = [int(n) for n in args.numbers.split(",")]
    results = run(numbers, args.beside)
    print(table(results))
    for what, must, came in [
        ("single submission, s", MUST["single"], results["single"]),
        ("submissions a second", MUST["per second"], warm(results["classes"])),
    ]:
        if came is not None:
            reached = came <= must if what.startswith("single") else came >= must
            print(f"{what}: {came:.2f}; must {must}: {'reached' if reached else 'NOT REACHED'}")
    path = args.out or (HERE / "grading.json" if args.numbers == parser.get_default("numbers") else None)
    if path:
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        path.with_suffix(".md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()
