"""The walls around a student's process, one by one: the wire, the list of system calls, what the process knows, what the canary sees."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from attacks import code, packed, right
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.classroom.sealed import seccomp, wire
from minigrad.classroom.tasks import SETS
from minigrad.grading import canary, processes
from minigrad.grading.batch import Bytes, Grader, How
from minigrad.grading.canary import Unsafe
from minigrad.grading.cli import main
from minigrad.grading.processes import SEALED, Zygote
from minigrad.grading.sets import graded_set
from minigrad.grading.submissions import Submission

ROOT = Path(__file__).parent.parent
MESSAGES = Path(__file__).parent / "attacks/wire_messages.py"
linux = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")

# ---------------------------------------------------------------- the wire

numbers = hnp.arrays(
    st.one_of(
        hnp.boolean_dtypes(),
        hnp.integer_dtypes(),
        hnp.unsigned_integer_dtypes(),
        hnp.floating_dtypes(sizes=(16, 32, 64)),
    ),
    hnp.array_shapes(min_dims=0, min_side=0),
)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), numbers)
keys = st.one_of(st.integers(), st.text(), st.tuples(st.integers(), st.text()))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=12,
)


def same(a, b) -> bool:
    """The same types, shapes and bits."""
    if isinstance(a, (np.ndarray, np.generic)):
        little = a.dtype.newbyteorder("<")
        return (
            type(a) is type(b)
            and a.shape == b.shape
            and little == b.dtype
            and np.asarray(a, little).tobytes() == b.tobytes()
        )
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(map(same, a.values(), b.values()))
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@given(values)
def test_what_is_sent_arrives(value):
    assert same(value, wire.decode(wire.encode(value)))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_wire_error(raw):
    for message in (raw, len(raw).to_bytes(4, "little") + raw):
        try:
            wire.decode(message)
        except wire.WireError:
            pass


def test_an_array_that_comes_twice_is_one_array():
    """As in X + X: an answer may ask whether A is B, and gets the same reply here and in a notebook."""
    x = np.ones(3)
    a, b, (c,), d = wire.decode(wire.encode((x, x, [x], x.copy())))
    assert a is b is c is not d
    for bad in (b'{"s":0}', b'{"t":[{"a":["<f8",[0]]},{"s":1}]}', b'{"t":[{"a":["<f8",[0]]},{"s":true}]}', b'{"s":-1}'):
        with pytest.raises(wire.WireError):
            wire.decode(len(bad).to_bytes(4, "little") + bad)


@given(st.binary(max_size=60), st.lists(st.binary(max_size=9), max_size=5))
def test_several_messages_in_one(raw, parts):
    assert wire.split(wire.joined(parts)) == parts
    try:
        assert wire.joined(wire.split(raw)) == raw
    except wire.WireError:
        pass
    with pytest.raises(wire.WireError):
        wire.split(bytes(40 << 20))


def messages(*arguments: str, python: Path | str = sys.executable) -> str:
    done = subprocess.run([python, MESSAGES, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@linux
@pytest.mark.parametrize("count", [3_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_spoilt_messages_are_refused_in_little_memory(count):
    """Nothing but a WireError comes out, and a process with half a gigabyte reads all of them."""
    print(messages(str(count)).strip())


@pytest.mark.slow
@linux
def test_a_fuzzer_finds_no_way_through(tmp_path):
    python = next((p for p in (sys.executable, ROOT / ".venv-bench/bin/python") if knows_atheris(p)), None)
    if python is None:
        (pytest.fail if "MINIGRAD_CI" in os.environ else pytest.skip)("make .venv-bench/made, for atheris")
    told = messages("--guided", "60", str(tmp_path), python=python)
    assert "stat::number_of_executed_units" in told, told[-2000:]
    print(next(line for line in told.splitlines() if "number_of_executed_units" in line))


def knows_atheris(python: Path | str) -> bool:
    if not Path(python).exists():
        return False
    return subprocess.run([python, "-c", "import atheris"], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    "value", [np.broadcast_to(0.0, (1 << 20, 1 << 14)), [[]] * 100_001, dict.fromkeys(range(20_000)), "\0" * 1_000_000]
)
def test_what_is_too_large_is_not_sent(value):
    with pytest.raises(wire.WireError):
        wire.encode(value)


# ---------------------------------------------------------------- the list of system calls, read by a machine of our own

ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000
# By the kernel's tables, and not by ours.  Whatever its arguments are, the call is allowed.
ALLOWED = {
    "x86_64": {
        *range(0, 16),
        *range(17, 26),
        28,
        *range(32, 40),
        60,
        63,
        *range(73, 76),
        77,
        78,
        79,
        82,
        83,
        84,
        87,
        89,
    }
    | {*range(95, 101), 102, 104, 107, 108, 110, 111, 115, 121, 124, 127, 128, 131, 140, 158, 186, 201, 202, 204, 217}
    | {218, 219, 228, 229, 230, 231, 232, 233, 257, 258, 262, 263, 264, 267, 269, 270, 271, 273, 274, 281, 290, 291}
    | {292, 293, 309, 316, 318, 324, 332, 334, 439},
    "aarch64": {17, 19, 20, 21, 22, 23, 24, 32, 34, 35, 38, 46, 48, 56, 57, 59, 61, 62, 63, 64, 65, 66, 67, 68, 72, 73}
    | {
        78,
        79,
        80,
        82,
        83,
        93,
        94,
        96,
        98,
        99,
        100,
        101,
        102,
        103,
        113,
        114,
        115,
        123,
        124,
        128,
        132,
        134,
        135,
        136,
        137,
    }
    | {139, 141, 153, 155, 156, 158, 160, 163, 165, 166, 168, 169, *range(172, 180), 214, 215, 216, 222, 226, 233}
    | {276, 278, 283, 291, 293, 439},
}
DEPENDS = {  # on an argument: fcntl, ioctl, prctl, prlimit64, clone, kill, tgkill
    "x86_64": dict(zip((72, 16, 157, 302, 56, 62, 234), range(7), strict=True)),
    "aarch64": dict(zip((25, 29, 167, 261, 220, 129, 131), range(7), strict=True)),
}
PID, HIGH = 4711, 1 << 32
ALL = (1 << 64) - 1
CASES = [  # of each call that depends: arguments that are allowed, and that are not
    (
        [(9, c) for c in (0, 1, 2, 3, 4, 5, 6, 7, 1030)],
        [(9, c) for c in (8, 9, 10, 15, 16, 1024, 1026, 1031, 1033, 8 | HIGH)],
    ),
    (
        [(1, c) for c in (0x5401, 0x5413, 0x541B)],
        [(1, c) for c in (0, 0x5402, 0x5412, 0x541C, 0x5452, 0x8901, 0x5412 | HIGH)],
    ),
    ([(15,), (16,)], [(c,) for c in (0, 1, 4, 8, 22, 23, 24, 26, 35, 36, 38, 47, 0x59616D61, 4 | HIGH)]),
    ([(0, 7, 0), (0, 7, 0, 1)], [(1, 7, 0), (0, 7, 1), (0, 7, HIGH), (0, 7, HIGH | 1), (PID, 7, 0), (ALL, 7, 0)]),
    (
        [(0x3D0F00,), (0x10000,), (0x10000 | HIGH,)],
        [(0,), (17,), (0x10000000,), (0x4111,), (17 | HIGH,), (0x10000 << 32,)],
    ),
    ([(PID, 6)], [(0, 9), (1, 9), (ALL, 9), (PID + 1, 9), ((1 << 64) - PID, 9), (PID << 32, 9)]),
    ([(PID, PID, 6), (PID, 1, 6)], [(0, PID, 9), (1, PID, 9), (ALL, PID, 9), (PID - 1, PID, 9)]),
]


def run(program, number: int, architecture: int, args: tuple[int, ...] = ()) -> int:
    """What the kernel would do: seccomp_data is the number, the architecture, the instruction's address and six arguments."""
    data = number.to_bytes(4, "little") + architecture.to_bytes(4, "little") + bytes(8)
    data += b"".join(a.to_bytes(8, "little") for a in (*args, *[0] * (6 - len(args))))
    at, accumulator = 0, 0
    while True:
        what, yes, no, k = program[at]
        at += 1
        if what == 0x20:
            assert k % 4 == 0 and k < len(data)
            accumulator = int.from_bytes(data[k : k + 4], "little")
        elif what == 0x06:
            return k
        else:
            true = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: accumulator & k != 0}[what]
            at += yes if true else no


def verdict(value: int) -> str:
    return {0x7FFF0000: "allow", 0x80000000: "kill", 0x00050001: "EPERM", 0x00050026: "ENOSYS"}[value]


@pytest.mark.parametrize("machine", ARCH)
def test_the_list_lets_through_what_was_meant_and_nothing_else(machine):
    program, arch = seccomp.program(machine, PID), ARCH[machine]
    for number in range(1101):
        if number not in DEPENDS[machine]:
            allowed = number in ALLOWED[machine]
            for args in ((), (ALL,) * 6, (PID,) * 6):
                assert (verdict(run(program, number, arch, args)) == "allow") is allowed, number
    for number, kind in DEPENDS[machine].items():
        good, bad = CASES[kind]
        assert {verdict(run(program, number, arch, args)) for args in good} == {"allow"}, number
        assert {verdict(run(program, number, arch, args)) for args in bad} == {"EPERM"}, number


@pytest.mark.parametrize("machine", ARCH)
def test_calls_of_another_interface_end_the_process(machine):
    program = seccomp.program(machine, PID)
    for number, arch in itertools.product(
        range(1101), [0x40000003, 0x40000028, 0, *(set(ARCH.values()) - {ARCH[machine]})]
    ):
        assert verdict(run(program, number, arch)) == "kill"
    others = [X32 + n for n in range(1101)] + [(1 << 32) - 1, 1 << 31]
    if machine == "x86_64":
        assert {verdict(run(program, n, ARCH[machine])) for n in others} == {"kill"}
    else:
        assert "allow" not in {verdict(run(program, n, ARCH[machine])) for n in others}


@pytest.mark.parametrize("machine", ARCH)
def test_the_program_is_one_that_the_kernel_takes(machine):
    program = seccomp.program(machine, PID)
    assert 0 < len(program) < 4096
    for at, (what, yes, no, k) in enumerate(program):
        assert what in (0x20, 0x15, 0x35, 0x45, 0x06) and 0 <= k < 1 << 32
        assert 0 <= yes < 256 and 0 <= no < 256
        if what != 0x06:
            assert at + 1 + max(yes, no) < len(program)
    assert program[-1][0] == 0x06


@pytest.mark.parametrize("machine", ARCH)
@pytest.mark.parametrize("pid", [2, 4711, (1 << 22) - 1, 0xFF00])
def test_the_filter_that_is_installed_is_the_program(machine, pid):
    """It is packed once, for nobody; the process's own number is written over that."""
    packed = seccomp.packed(machine).replace(struct.pack("<I", seccomp.SOMEBODY), struct.pack("<I", pid))
    assert packed == b"".join(struct.pack("<HBBI", *line) for line in seccomp.program(machine, pid))


# ---------------------------------------------------------------- what the process knows

KNOWS = """
import gc, os, sys
secret = [m for m in sys.modules if m.startswith("minigrad.") and m.split(".")[1] in ("classroom", "grading") and m != "minigrad.classroom"]
files = [getattr(m, "__file__", "") or "" for m in list(sys.modules.values())]
secret += [f for f in files if "/classroom/" in f and "/sealed/" not in f or "/grading/" in f or "/sets/" in f]
secret += [type(x).__name__ for x in gc.get_objects() if type(x).__name__ in ("Task", "Misconception", "GradedSet", "Case")]
secret += [k for k in os.environ if k not in ("PATH", "LANG", "HOME", "TMPDIR", "MPLBACKEND", "MPLCONFIGDIR", "LC_CTYPE") and not k.endswith("_THREADS")]
print("KNOWS", secret)
print("LIBRARY", "Tensor" in vars(sys.modules["minigrad"]))
"""


def graded(grader: Grader, source: str):
    return grader(Submission("ann", "ann", "ann.ipynb", reader=Bytes(packed([code(source)]))))


@linux
@pytest.mark.parametrize("number, library", [("04", False), ("05", True)])
def test_the_process_never_saw_a_task(number, library):
    """Neither modules nor objects nor variables of the environment; the library where the set is about using it."""
    grader = Grader(How(number))
    try:
        record = graded(grader, KNOWS)
    finally:
        grader.close()
    assert record.output.split("\n")[:2] == ["KNOWS []", f"LIBRARY {library}"], record.output + record.error


@pytest.mark.parametrize("number", SETS)
def test_cells_compiled_in_advance_are_those_that_students_have(number):
    """They lie in the memory of the process: nothing of a solution may be among them."""
    (exercise,) = (ROOT / "exercises").glob(f"{number}-*.ipynb")
    cells = {"".join(cell["source"]) for cell in json.loads(exercise.read_text(encoding="utf-8"))["cells"]}
    given = set(graded_set(number).given)
    assert given and given <= cells


# ---------------------------------------------------------------- a wall that is missing is seen


@pytest.fixture
def rebuilt(tmp_path, monkeypatch):
    """The sealed folder with a wall left away: `rebuilt("landlock")` fails to build it, with `pretends` it says that it stands."""

    def rebuild(*walls: str, pretends: bool = False) -> None:
        folder = tmp_path / "sealed"
        shutil.copytree(SEALED, folder, ignore=shutil.ignore_patterns("__pycache__"))
        said = "pass" if pretends else 'raise OSError("left away")'
        with open(folder / "sandbox.py", "a") as file:
            for wall in walls:
                file.write(f"\n\ndef {wall}(*args):\n    {said}\n")
        monkeypatch.setattr(processes, "SEALED", folder)

    return rebuild


EVERYTHING = ("own_namespaces", "filter_calls", "landlock")


@linux
@pytest.mark.parametrize(
    "walls, pretends, could",
    [
        (("landlock",), False, ["read a file", "write a file"]),
        (("landlock",), True, ["read a file", "write a file"]),
        (("filter_calls",), False, ["start a process"]),
        (("filter_calls",), True, ["start a process"]),
        (EVERYTHING, False, ["signal the grader", "connect", "run a program"]),
    ],
)
def test_the_canary_refuses_where_a_wall_is_missing(rebuilt, walls, could, pretends):
    rebuilt(*walls, pretends=pretends)
    with Zygote(library=False, preload=False) as zygote:
        zygote.trial = canary.must_hold
        for ask in (zygote.wait, zygote.start, zygote.wait):  # it does not stand because somebody has asked before
            with pytest.raises(Unsafe) as error:
                ask()
            for what in could:
                assert what in str(error.value)
            assert "--unsafe-no-sandbox" in str(error.value)


@linux
def test_without_namespaces_the_other_walls_hold(rebuilt):
    """As in a container that forbids them: the layers say so, and nothing comes through."""
    rebuilt("own_namespaces")
    with Zygote(library=False, preload=False) as zygote:
        zygote.trial = canary.must_hold
        zygote.wait()
        assert zygote.layers == ("landlock", "limits", "no powers", "seccomp")


@linux
def test_a_canary_that_does_not_come_back_is_no_good_news(rebuilt, monkeypatch):
    rebuilt()
    with open(processes.SEALED / "runner.py", "a") as file:
        file.write("\n\ndef serve(*args):\n    os._exit(1)\n")
    with Zygote(library=False, preload=False) as zygote, pytest.raises(Unsafe, match="did not come back"):
        zygote.trial = canary.must_hold
        zygote.wait()


@linux
@pytest.mark.parametrize(
    "instead, said",
    [('raise OSError("no more processes")', "no more processes"), ("import time; time.sleep(60)", "it said nothing")],
)
def test_a_process_that_does_not_start(rebuilt, monkeypatch, tmp_path, capsys, instead, said):
    """The run ends with what it said, and waits for nobody; no student is told that it was their notebook."""
    rebuilt()
    monkeypatch.setattr(processes, "BOOT_SECONDS", 1)
    (processes.SEALED / "zygote.py").write_text(instead)
    (tmp_path / "class").mkdir()
    (tmp_path / "class/ann.ipynb").write_bytes(packed(right()))
    assert main(["grade", str(tmp_path / "class"), "--out", str(tmp_path / "out"), "--set", "04"]) == 2
    told = capsys.readouterr().err
    assert "did not start" in told and said in told and "Traceback" not in told
    assert not (tmp_path / "out/records.jsonl").read_bytes()


@linux
def test_nothing_is_graded_where_nothing_holds(rebuilt, tmp_path, capsys):
    """The command refuses with words, writes no report, and the flag lets it go on, with every report saying so."""
    rebuilt("landlock", "own_namespaces", "filter_calls")
    (tmp_path / "class").mkdir()
    (tmp_path / "class/ann.ipynb").write_bytes(packed(right()))
    command = ["grade", str(tmp_path / "class"), "--out", str(tmp_path / "out"), "--set", "04"]
    assert main(command) == 2
    assert "--unsafe-no-sandbox" in capsys.readouterr().err
    assert not (tmp_path / "out/grades.csv").exists()
    assert main([*command, "--unsafe-no-sandbox"]) == 0
    said = "graded without a sandbox"
    pages = [*(tmp_path / "out").rglob("*.html"), tmp_path / "out/grades.csv", tmp_path / "out/moodle-04.csv"]
    assert len(pages) >= 4 and all(said in page.read_text(encoding="utf-8-sig").casefold() for page in pages)


def test_the_runner_imports_nothing_of_the_package():
    """What stands beside the student's code has no other import than Python's own, NumPy, and its neighbours."""
    neighbours = {path.stem for path in SEALED.glob("*.py")} | {"sealed", "numpy", ""}
    for path in SEALED.glob("*.py"):
        for line in path.read_text().splitlines():
            if line.startswith(("import ", "from ")) and not line.startswith("from .. "):
                name = line.split()[1].split(".")[0]
                assert name in sys.stdlib_module_names or name in neighbours, f"{path.name}: {line}"
