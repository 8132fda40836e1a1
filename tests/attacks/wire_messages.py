"""Messages for the wire that nobody should send: `python wire_messages.py N` reads N of them, in little memory.

With `--guided SECONDS` a fuzzer (atheris) looks for new ways through the code by itself.  Only WireError may come out.
"""

from __future__ import annotations

import json
import random
import resource
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "minigrad/classroom/sealed"))
import wire  # noqa: E402

ROOM = 512 << 20  # bytes beyond what is in use at the start
SAME = np.ones(2)
VALUES = [
    None,
    (SAME, SAME, [SAME]),
    (np.ones((3, 5)), ("G",), ()),
    {"dA": np.float32([1, 2]), "n": (3, None, True, -0.5), "t": "text"},
    [np.int64(7), np.zeros((0, 4)), np.array(3.0), [[], ()], {}, {(1, "a"): {2: 3}}, iter(())],
    ([np.arange(12).reshape(3, 4), np.float16([1]), np.bool_([True])], 10**300, float("nan"), float("inf")),
    [np.array(["text"]), np.array([None]), np.array([1j]), "\ud800\0ünïcödé" * 50],
]
BITS = [
    '{"a":',
    '{"n":',
    '{"t":[',
    '{"l":[',
    '{"d":[[',
    '{"o":"',
    "[",
    "]",
    "}",
    ",",
    ":",
    '"',
    "null",
    "true",
    "NaN",
    "1e999",
]
BITS += [
    "-1",
    "0",
    "1",
    "4294967296",
    "9" * 400,
    '"<f8"',
    '"|b1"',
    '"|O"',
    '"<U9"',
    "[3,5]",
    "[1e3]",
    "[true]",
    "[-1]",
    "[0,99999999]",
]
BITS += [
    "[33554432,33554432]",
    "[" * 50,
    "]" * 50,
    '"\\ud800"',
    '{"a":["<f8",[2]]}',
    '{"n":["<f8",[]]}',
    '{"a":["x",null]}',
    "{}",
    '{"a":1,"n":2}',
]


def framed(skeleton: bytes, rest: bytes = b"", size: int | None = None) -> bytes:
    return (len(skeleton) if size is None else size).to_bytes(4, "little") + skeleton + rest


def spoilt(rng: random.Random, good: list[bytes]) -> bytes:
    """A message with bits turned, a piece cut out, doubled or put in from another one; or a skeleton made of scraps."""
    raw = bytearray(rng.choice(good))
    kind = rng.randrange(6)
    if kind == 0:
        for _ in range(rng.randint(1, 8)):
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del raw[rng.randrange(len(raw)) :]
    elif kind == 2:
        at, other = rng.randrange(len(raw)), rng.choice(good)
        raw[at : at + rng.randrange(40)] = other[rng.randrange(len(other)) :][: rng.randrange(200)]
    elif kind == 3:
        skeleton = "".join(rng.choices(BITS, k=rng.randint(1, 20))).encode()
        return framed(skeleton, rng.randbytes(rng.choice([0, 8, 16, 120])))
    elif kind == 4:
        return framed(json.dumps(part(rng, 0)).encode(), rng.randbytes(rng.choice([0, 8, 24, 64])))
    else:
        raw[:4] = rng.choice([rng.randbytes(4), b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\x40\0"])
    return bytes(raw)


def part(rng: random.Random, depth: int):
    """Nearly what `encode` writes."""
    inner = lambda: part(rng, depth + 1) if depth < 6 else None
    shape = [
        rng.choice([0, 1, 2, 3, -1, True, 1.0, None, "3", 1 << 25, 1 << 40, 1 << 63]) for _ in range(rng.randrange(4))
    ]
    array = [
        rng.choice(["<f8", "<f4", "|b1", "<i8", "|O", "f", ">f8", "<U1", "", None, 7, []]),
        rng.choice([shape, None, 3]),
    ]
    return rng.choice(
        [
            lambda: {
                rng.choice("antldosxy"): rng.choice(
                    [array, [array], inner(), [inner(), inner()], "x" * rng.choice([1, 200])]
                )
            },
            lambda: {"d": [[inner(), inner()] for _ in range(rng.randrange(3))]},
            lambda: {rng.choice("lt"): [inner() for _ in range(rng.randrange(4))]},
            lambda: rng.choice([None, True, 1, -1.5, float("nan"), 1 << 70, "text", [], {}, [1]]),
        ]
    )()


def read(message: bytes) -> bool:
    """Whether there is a value in it.  What can be read can be written again."""
    try:
        value = wire.decode(message)
    except wire.WireError:
        return False
    try:
        wire.encode(value)
    except wire.WireError:
        pass
    return True


def main(arguments: list[str]) -> None:
    good = [wire.encode(value) for value in VALUES]
    if arguments[0] == "--guided":
        return guided(int(arguments[1]), good)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, now + ROOM))
    rng = random.Random(4)
    values = sum(read(spoilt(rng, good)) for _ in range(int(arguments[0])))
    for message in largest():
        read(message)
    print(
        f"{arguments[0]} messages read, {values} with a value in them; at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB"
    )


def largest():
    """What would take the most memory of all that is short enough."""
    room = wire.MOST_SKELETON
    for scrap in (b"[],", b"{},", b'"",', b"0.5,", b'{"":{}},', b'{"l":[]},', b'"\\ud800",', b"9" * 4000 + b","):
        yield framed(b'{"l":[' + scrap * ((room - 10) // len(scrap)) + b"0]}")
    yield framed(b'{"a":["<f8",[4194304]]}')
    yield framed(b'{"d":[' + b",".join(b"[%d,0]" % (i * ((1 << 61) - 1)) for i in range(40_000)) + b"]}")
    yield framed(b"[" * room)


def guided(seconds: int, good: list[bytes]) -> None:
    import atheris

    atheris.instrument_func(wire.decode)
    for name, function in list(vars(wire._Reader).items()):
        if callable(function):
            setattr(wire._Reader, name, atheris.instrument_func(function))
    corpus = Path(sys.argv[3])
    for i, message in enumerate(good):
        (corpus / f"{i}").write_bytes(message)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=4096",
        "-rss_limit_mb=1024",
        "-timeout=5",
        "-print_final_stats=1",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
