"""`minigrad gradescope SET`: a zip that makes Gradescope give our scores; and, in there, `python -m minigrad.grading.gradescope`.

Gradescope unpacks it into /autograder/source, runs setup.sh once, and run_autograder for each submission, which it puts into
/autograder/submission; it reads /autograder/results/results.json.  Another place than /autograder may be named by $AUTOGRADER.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from ..classroom.tasks import SETS, tasks_of
from . import policy
from .batch import Grader, How, recognised
from .policy import Mark, Setting
from .record import SCHEMA, Record
from .roster import Person
from .sets import GradedSet, graded_set
from .submissions import Submission, find

PACKAGE = Path(__file__).parents[1]
PINS = PACKAGE.parent / "requirements.txt"
NEEDED = "numpy grandalf matplotlib tzdata"  # what students may import, and the zones of a course file
MOST = 5  # notebooks of one submission that are graded

SETUP = """\
#!/usr/bin/env bash
# Once, when the container is made: a Python of its own with what grading needs.
set -euo pipefail
cd "${AUTOGRADER:-/autograder}/source"
python=
for name in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$name; break; fi
done
if [ -z "$python" ]; then
    apt-get update
    apt-get install -y --no-install-recommends python3.11 python3.11-venv
    python=python3.11
fi
"$python" -m venv venv
venv/bin/pip install --no-cache-dir -c requirements.txt NEEDED
echo "$PWD/package" > "$(venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/minigrad.pth"
venv/bin/python -c 'import minigrad.grading.gradescope'
""".replace("NEEDED", NEEDED)

RUN = """\
#!/usr/bin/env bash
place="${AUTOGRADER:-/autograder}"
exec "$place/source/venv/bin/python" -m minigrad.grading.gradescope "$place"
"""


# ---------------------------------------------------------------- making the zip


@dataclass(frozen=True)
class Asked:
    """What the instructor chose; it goes into the zip."""

    set: str
    seed: int | None = None
    enclosed: bool = True


def write(path: Path, asked: Asked, tasks: Path | None = None, course: Path | None = None) -> GradedSet:
    """The autograder of a set at `path`; ValueError if something that belongs into it is missing or wrong."""
    the_set = graded_set(asked.set, tasks)
    if the_set.solution is None or not PINS.exists():
        raise ValueError("an autograder is made in a clone of the repository: the solutions are not installed here.")
    files = {"setup.sh": SETUP.encode(), "run_autograder": RUN.encode(), "requirements.txt": PINS.read_bytes()}
    files["asked.json"] = json.dumps({"set": the_set.number, "seed": asked.seed, "enclosed": asked.enclosed}).encode()
    if course:
        policy.read(course, known={n: tasks_of(n) for n in SETS} | {the_set.number: the_set.tasks})
        files["course.toml"] = course.read_bytes()
    for source in sorted(PACKAGE.rglob("*.*")):
        if source.is_file() and "__pycache__" not in source.parts:
            files[f"package/{source.relative_to(PACKAGE.parent).as_posix()}"] = source.read_bytes()
    try:
        about = distribution("minigrad-course")
        files[f"package/minigrad_course-{about.version}.dist-info/METADATA"] = about.read_text("METADATA").encode()
    except PackageNotFoundError:
        pass  # then it says "unreleased", there as here
    home = "package/solutions" if the_set.folder is None else "tasks"
    own = [the_set.solution] if the_set.folder is None else the_set.sources
    files |= {f"{home}/{source.name}": source.read_bytes() for source in own}
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = ZipInfo(name)  # of 1980: the same files make the same zip
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = (0o755 if name in ("setup.sh", "run_autograder") else 0o644) << 16
            archive.writestr(entry, content)
    return the_set


# ---------------------------------------------------------------- in the container


def main(place: Path) -> int:
    """Grade what lies in `place`/submission; 0 if there is a score."""
    source, out = place / "source", place / "results/results.json"
    asked = Asked(**json.loads((source / "asked.json").read_text(encoding="utf-8")))
    tasks, course = source / "tasks", source / "course.toml"
    grader = Grader(How(asked.set, tasks if tasks.exists() else None, asked.seed, asked.enclosed))
    try:
        setting = policy.read(course if course.exists() else None)
        results = results_of(best(place / "submission", grader), grader.set(asked.set), setting)
    except (ValueError, RuntimeError, OSError) as error:
        results = refused(str(error))
    finally:
        grader.close()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(results["output"])
    return 0 if results["extra_data"] else 1


def best(folder: Path, grader: Grader) -> Record:
    """Of the notebooks that are of this set, the one with the best score; of others only if there are no such."""
    found = list(find(folder))
    if not found:
        return grader(Submission("", "", "", reader=nothing))
    own = [submission for submission in found if recognised(submission) == grader.set(grader.how.set).number]
    return max(
        (grader(submission) for submission in (own or found)[:MOST]),
        key=lambda record: (record.score, not record.error),
    )


def nothing() -> bytes:
    raise ValueError("No notebook was handed in. Asked for is the file that ends in .ipynb.")


def results_of(record: Record, the_set: GradedSet, setting: Setting) -> dict[str, Any]:
    """In Gradescope's format.  The score is the sum of the tests'; being late is Gradescope's business."""
    if not record.items:
        return refused(record.error)
    seen = {task.id: (task.title, task.points) for task in the_set.tasks.values()}
    wanted = policy.tasks_of(setting, the_set.number, seen)
    marks = policy.grade(setting, Person(record.student), the_set.number, record, wanted).marks
    unsafe = [] if record.layers or record.error else ["GRADED WITHOUT A SANDBOX, as the instructor chose."]
    graded = f"{record.file or 'Nothing'}, graded by set {the_set.number} ({the_set.version})."
    return {
        "output": "\n".join([*unsafe, graded, *filter(None, [record.error]), *record.notes]),
        "output_format": "text",
        "execution_time": round(record.seconds),
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [test_of(mark) for mark in marks],
        "extra_data": {
            "schema": SCHEMA,
            "versions": record.versions,
            "sandbox": record.layers,
            "sha256": record.sha256,
            "seeds": {item.id: item.seed for item in record.items},
        },
    }


def test_of(mark: Mark) -> dict[str, Any]:
    said = [mark.reason, mark.item.says if mark.item else "", *(mark.item.remarks if mark.item else ())]
    return {
        "number": mark.id,
        "name": mark.title,
        "score": mark.score,
        "max_score": mark.points,
        "status": "passed" if mark.score == mark.points else "failed",
        "output": "\n".join(filter(None, said)),
        "output_format": "text",
        "visibility": "visible",
    }


def refused(why: str) -> dict[str, Any]:
    """No score at all, rather than a wrong one."""
    said = f"NOT GRADED. {why} Tell your instructor: this is not about your work."
    test = {"name": "Not graded", "status": "failed", "output": said, "output_format": "text", "visibility": "visible"}
    return {"output": said, "output_format": "text", "stdout_visibility": "hidden", "tests": [test], "extra_data": {}}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
