"""The first difference between an answer and what is right, in the terms of whoever wrote the answer."""

from __future__ import annotations

import numpy as np

from .sealed.wire import Foreign

NARROW = 1e-4  # the least relative tolerance in float32


def difference(
    name: str,
    expected,
    got,
    tolerance: float,
    like: tuple[str, object] | None = None,
    source="it should be",
    hints=True,
):
    """What is wrong with `got`, called `name`, as a sentence; None if nothing is.

    `like` is the name and the value of what an array must resemble in shape and dtype.  With `hints` the sentence says
    what all wrong elements of an array have in common.

    >>> difference("dB", np.ones((3, 5)), np.ones((5, 3)), 1e-6, like=("B", np.zeros((3, 5))))
    'dB has shape (5, 3); B has shape (3, 5).'
    >>> difference("y", np.array([1.0, 2.0]), np.array([1.0, 4.0]), 1e-6)
    'y[1] is 4; it should be 2.'
    """
    if isinstance(expected, np.ndarray):
        return array_difference(name, expected, got, tolerance, like, source, hints)
    if got is None and expected is not None:
        return f"{name} is None. Does the function end with `return`?"
    if isinstance(expected, (tuple, list)):
        return sequence_difference(name, expected, got, tolerance, source)
    if isinstance(expected, dict):
        return dict_difference(name, expected, got, tolerance, source)
    if isinstance(expected, (float, np.floating)):
        if not is_number(got):
            return f"{name} is {described(got)}; it should be a number."
        return (
            None
            if np.isclose(got, expected, tolerance, tolerance, equal_nan=True)
            else told(name, got, source, expected)
        )
    same = isinstance(got, (type(expected), np.bool_, np.integer, int)) and got == expected
    return None if same else f"{name} is {described(got)}; it should be {expected!r}."


def array_difference(
    name: str, expected: np.ndarray, got, tolerance: float, like=None, source="it should be", hints=True
):
    if got is None:
        return f"{name} is None. Does the function end with `return`?"
    if not isinstance(got, (np.ndarray, np.generic)) and not (is_number(got) and expected.shape == ()):
        return f"{name} is {described(got)}; it should be an array."
    got = np.asarray(got)
    if got.dtype.kind not in "biuf":
        return f"{name} holds {got.dtype} and not numbers."
    if got.shape != expected.shape:
        whose = f"{like[0]} has shape {expected.shape}" if like else f"it should have shape {expected.shape}"
        return f"{name} has shape {got.shape}; {whose}."
    if not np.array_equal(got, expected):  # to the last bit, mostly: then there is no need for anything finer
        narrow = min(x.dtype.itemsize for x in (got, expected)) < 8
        tolerance = max(tolerance, NARROW) if narrow else tolerance
        near = tolerance * max(1.0, float(np.max(np.abs(expected), initial=0, where=np.isfinite(expected))))
        wrong = not_close(got, expected, tolerance, near)
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            where = f"{name}[{', '.join(map(str, at))}]" if at else name
            return told(where, got[at], source, expected[at]) + (pattern(got, expected, near) if hints else "")
    if expected.dtype.kind == "f" and got.dtype != expected.dtype:
        whose = f"{like[0]} is {expected.dtype}" if like else f"it should be {expected.dtype}"
        return f"{name} is {got.dtype}; {whose}."
    return None


def not_close(got: np.ndarray, expected: np.ndarray, tolerance: float, near: float) -> np.ndarray:
    """Where isclose says no; for finite floats in a tenth of its time."""
    if got.dtype.kind == expected.dtype.kind == "f":
        with np.errstate(all="ignore"):
            off = np.abs(got - expected)
            if np.all(np.isfinite(off)):
                return off > near + tolerance * np.abs(expected)
    return ~np.isclose(got, expected, tolerance, near, equal_nan=True)


def pattern(got: np.ndarray, expected: np.ndarray, near: float) -> str:
    """What all the wrong elements have in common, where that is one factor."""
    with np.errstate(all="ignore"):
        ratio = np.sum(got * expected) / np.sum(expected * expected) if np.any(expected) else 1.0
    if (
        expected.size > 1
        and np.isfinite(ratio)
        and abs(ratio - 1) > 1e-3
        and np.allclose(got, ratio * expected, rtol=1e-4, atol=near)
    ):
        return (
            " Every element is 0." if abs(ratio) < 1e-9 else f" Every element is {ratio:.4g} times what it should be."
        )
    return ""


def sequence_difference(name: str, expected, got, tolerance: float, source: str):
    if not isinstance(got, (tuple, list)):
        return f"{name} is {described(got)}; it should be a sequence of {len(expected)}."
    if len(got) != len(expected):
        return f"{name} has {len(got)} elements; it should have {len(expected)}."
    found = (
        difference(f"{name}[{i}]", e, g, tolerance, None, source)
        for i, (e, g) in enumerate(zip(expected, got, strict=True))
    )
    return next(filter(None, found), None)


def dict_difference(name: str, expected: dict, got, tolerance: float, source: str):
    if not isinstance(got, dict):
        return f"{name} is {described(got)}; it should be a dictionary."
    if set(got) != set(expected):
        missing, extra = sorted(map(repr, set(expected) - set(got))), sorted(map(repr, set(got) - set(expected)))
        return (
            f"{name} "
            + " and ".join(
                text
                for text in (missing and f"lacks {', '.join(missing)}", extra and f"has {', '.join(extra)} too many")
                if text
            )
            + "."
        )
    found = (difference(f"{name}[{key!r}]", e, got[key], tolerance, None, source) for key, e in expected.items())
    return next(filter(None, found), None)


def is_number(x) -> bool:
    return (
        isinstance(x, (int, float, np.number))
        and not isinstance(x, bool)
        or (isinstance(x, np.ndarray) and x.shape == ())
    )


def described(x) -> str:
    x = x.item() if isinstance(x, np.bool_) else x
    text = (
        f"{x!r}"
        if isinstance(x, (str, int, float, bool, type(None)))
        else f"a {x.kind if isinstance(x, Foreign) else type(x).__name__}"
    )
    return text if len(text) < 60 else f"{text[:57]}…"


def told(name: str, got, source: str, expected) -> str:
    expected = expected if expected else 0  # and never -0
    digits = next((n for n in (4, 6, 8, 12) if f"{got:.{n}g}" != f"{expected:.{n}g}"), 17)  # as many as tell them apart
    return f"{name} is {got:.{digits}g}; {source} {expected:.{digits}g}."
