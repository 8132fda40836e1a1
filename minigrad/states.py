"""Reading a saved state: from what a caller gives to `load_state_dict` to named arrays of numbers, or an error that says why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike

import numpy as np

from .interop import values


def read_state(state: Mapping, caller: str, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The arrays called `names` from a dict or from `np.load("state.npz")`, which must hold these and no others.

    TypeError for anything that is not a mapping, KeyError where the names differ, ValueError for what cannot be read or is
    not real numbers.

    >>> read_state({"bias": [1, 2]}, "load_state_dict", ["bias"])
    {'bias': array([1, 2])}
    """
    found, names = names_in(state, caller), list(names)
    missing, unknown = _without(names, found), _without(found, names)
    if missing or unknown:
        advice = "Build it as it was when the state was saved."
        if unknown and all(str(name).startswith("arr_") for name in unknown):
            advice = "These arrays were saved without names: save with np.savez(path, **x.state_dict())."
        raise KeyError(f"{caller}: missing {_some(missing)}, unknown {_some(unknown)}. {advice}")
    return {name: _array(state, name, caller) for name in names}


def names_in(state: Mapping, caller: str) -> list:
    """The names in a state; TypeError for anything without names."""
    if isinstance(state, Mapping):
        return list(state)
    if isinstance(state, (str, bytes, PathLike)):
        came, advice = f"the path {str(state)!r}", "It takes the arrays themselves: give np.load(path)."
    elif hasattr(state, "read"):
        came, advice = "an open file", "It takes the arrays themselves: give np.load(file)."
    elif isinstance(state, np.ndarray):
        came = f"one array of shape {state.shape} and dtype {state.dtype}"
        advice = "It takes arrays by name: save with np.savez(path, **x.state_dict()) and give np.load(path)."
    elif hasattr(state, "state_dict"):
        came, advice = f"the object itself, {type(state).__name__}", "Give its state_dict()."
    else:
        came, advice = type(state).__name__, 'Give a dict of arrays, or np.load("state.npz").'
    raise TypeError(f"{caller}: got {came}, which is no mapping of names to arrays. {advice}")


def _array(state: Mapping, name: str, caller: str) -> np.ndarray:
    if getattr(state, "zip", True) is None:
        raise ValueError(
            f"{caller}: the file was closed before {name!r} was read. Load inside the with block, or give dict(np.load(path))."
        )
    try:
        array = np.asarray(values(state[name]))
    except Exception as error:  # a damaged archive fails in zipfile, zlib, NumPy or the operating system
        raise ValueError(
            f"{caller}: {name!r} cannot be read as an array: {type(error).__name__}: {error} "
            "Save it again, as arrays of numbers."
        ) from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{caller}: {name!r} holds {array.dtype}; a state holds real numbers. Save it again.")
    return array


def _without(names: list, others: list) -> list:
    """The names that are not among the others, in order."""
    known = set(others)
    return [name for name in names if name not in known]


def _some(names: list) -> str:
    """The first of these names, and how many more there are."""
    return str(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
