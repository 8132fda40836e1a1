"""Values, and values only, between the grader and a student's process: JSON for the skeleton, then the arrays' raw bytes.

No pickle: nothing that is read here can run.  `decode` believes nothing: tags and dtypes are on a list, and every size is checked
against the bytes that came before anything is allocated.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

MOST_BYTES = 32 << 20  # of all arrays of one value
MOST_NODES = 100_000
MOST_DEPTH = 40
MOST_PARTS = 1000  # messages in one
MOST_AXES = 16
MOST_TEXT = 1 << 21
MOST_KEYS = 10_000  # of a dictionary: who chooses them so that they collide makes each cost as much as all before it
MOST_SKELETON = 4 << 20
DTYPES = {np.dtype(c).newbyteorder("<").str: np.dtype(c) for c in "?bhilqBHILQefd"}
SIZE = 4  # bytes of the skeleton's length, in front


class WireError(ValueError):
    """Bytes that are no message, or a value that is too large for one."""


class Foreign:
    """In the place of a value that does not travel: the name of its type."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return f"<a {self.kind}>"


def encode(value) -> bytes:
    """
    >>> decode(encode({"dA": np.float32([1, 2]), "n": (3, None)}))
    {'dA': array([1., 2.], dtype=float32), 'n': (3, None)}
    >>> decode(encode([iter(())]))
    [<a tuple_iterator>]
    """
    arrays: list[bytes] = []
    skeleton = json.dumps(_packed(value, arrays, [0, 0], 0, {})).encode()
    if len(skeleton) > MOST_SKELETON:
        raise WireError("a value with too much text")
    return b"".join([len(skeleton).to_bytes(SIZE, "little"), skeleton, *arrays])


def _packed(value, arrays: list[bytes], used: list[int], depth: int, sent: dict[int, int]):
    """The skeleton of a value; its arrays are appended, `used` counts nodes and bytes, `sent` knows which array was the how-manieth."""
    used[0] += 1
    if used[0] > MOST_NODES or depth > MOST_DEPTH:
        raise WireError("a value with too many parts")
    if value is None or type(value) in (bool, float):
        return value
    if isinstance(value, np.ndarray):
        if id(value) in sent:
            return {"s": sent[id(value)]}  # the same array once more: X + X is not X + Y
        packed = {"a": _buffer(value, arrays, used)}
        if packed["a"][1] is not None:
            sent[id(value)] = len(sent)
        return packed
    if isinstance(value, np.generic):
        return {"n": _buffer(np.asarray(value), arrays, used)} if value.dtype.kind in "biuf" else {"o": _kind(value)}
    if isinstance(value, int):
        return int(value) if value.bit_length() <= 1024 else {"o": "number of more than 300 digits"}
    if isinstance(value, str):
        return str(value) if len(value) <= MOST_TEXT else {"o": f"text of {len(value)} characters"}
    if isinstance(value, (list, tuple)):
        return {"t" if isinstance(value, tuple) else "l": [_packed(x, arrays, used, depth + 1, sent) for x in value]}
    if isinstance(value, dict):
        if len(value) > MOST_KEYS:
            raise WireError("a dictionary with too many keys")
        pairs = [[_packed(x, arrays, used, depth + 1, sent) for x in pair] for pair in value.items()]
        return {"d": pairs}
    return {"o": _kind(value)}


def _kind(value) -> str:
    return type(value).__name__[:100]


def _buffer(array: np.ndarray, arrays: list[bytes], used: list[int]) -> list:
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in DTYPES:
        return [f"array of {array.dtype}"[:100], None]
    used[1] += array.size * array.itemsize  # before a broadcast one is written out
    if used[1] > MOST_BYTES or array.ndim > MOST_AXES:
        raise WireError("arrays that are too large")
    arrays.append(np.asarray(array, dtype).tobytes())
    return [dtype.str, array.shape]


def joined(parts: list[bytes]) -> bytes:
    """Several messages as one.

    >>> split(joined([b"ab", b"", b"c"]))
    [b'ab', b'', b'c']
    """
    return b"".join(piece for part in parts for piece in (len(part).to_bytes(SIZE, "little"), part))


def split(message: bytes) -> list[bytes]:
    """The messages in it; WireError if the last one is not whole."""
    parts, at = [], 0
    while at < len(message):
        start = at + SIZE
        at = start + int.from_bytes(message[at:start], "little")
        if at > len(message):
            raise WireError("a message that ends too early")
        if len(parts) == MOST_PARTS:
            raise WireError("more messages than anybody has to send")
        parts.append(message[start:at])
    return parts


def decode(message: bytes) -> Any:
    """The value in `message`; WireError for anything that `encode` would not have written."""
    start = SIZE + int.from_bytes(message[:SIZE], "little")
    if not SIZE < start <= min(len(message), MOST_SKELETON + SIZE):
        raise WireError("a message that ends too early")
    try:
        skeleton = json.loads(message[SIZE:start])
    except (ValueError, RecursionError):
        raise WireError("a skeleton that is no JSON") from None
    reader = _Reader(message, start)
    try:
        value = reader.value(skeleton, 0)
    except WireError:
        raise
    except Exception as error:  # a shape of text, a pair of three: whatever there is
        raise WireError(f"a part that makes no sense ({type(error).__name__})") from None
    if reader.at != len(message):
        raise WireError("bytes that nobody asked for")
    return value


class _Reader:
    def __init__(self, message: bytes, at: int) -> None:
        self.message, self.at, self.nodes = message, at, 0
        self.arrays: list[np.ndarray] = []

    def value(self, x, depth: int):
        self.nodes += 1
        if self.nodes > MOST_NODES or depth > MOST_DEPTH:
            raise WireError("a value with too many parts")
        if x is None or type(x) in (bool, int, float):
            return x
        if type(x) is str and len(x) <= MOST_TEXT:
            return x
        if type(x) is not dict or len(x) != 1:
            raise WireError("a part without a tag")
        ((tag, inner),) = x.items()
        if tag == "a":
            array = self.array(*inner)
            if isinstance(array, np.ndarray):
                self.arrays.append(array)
            return array
        if tag == "s" and type(inner) is int and 0 <= inner < len(self.arrays):
            return self.arrays[inner]
        if tag == "n":
            array = self.array(*inner)
            if not isinstance(array, np.ndarray) or array.ndim:
                raise WireError("a number with axes")
            return array[()]
        if tag in ("l", "t") and type(inner) is list:
            items = [self.value(item, depth + 1) for item in inner]
            return items if tag == "l" else tuple(items)
        if tag == "d" and type(inner) is list and len(inner) <= MOST_KEYS:
            return {self.key(k): self.value(v, depth + 1) for k, v in inner}
        if tag == "o" and type(inner) is str and len(inner) <= 100:
            return Foreign(inner)
        raise WireError("a tag that is none")

    def key(self, x):
        key = self.value(x, MOST_DEPTH - 3)
        hash(key)
        return key

    def array(self, dtype: str, shape: list | None):
        if shape is None and type(dtype) is str and len(dtype) <= 100:
            return Foreign(dtype)
        if dtype not in DTYPES or type(shape) is not list or len(shape) > MOST_AXES:
            raise WireError("an array of no dtype or shape that is allowed")
        count = 1
        for n in shape:
            if type(n) is not int or not 0 <= n <= MOST_BYTES:
                raise WireError("a shape that is none")
            count *= n
        size = count * DTYPES[dtype].itemsize
        if size > MOST_BYTES or self.at + size > len(self.message):
            raise WireError("an array larger than its bytes")
        array = np.frombuffer(self.message, DTYPES[dtype], count, self.at).reshape(shape).copy()
        self.at += size
        return array
