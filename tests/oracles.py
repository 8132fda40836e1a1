"""PyTorch, as the second opinion of several tests."""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest


def torch_or_skip(unchecked: str, *modules: str):
    """PyTorch, and its dependencies for tests; or a skip, also of a whole module, that says what stays `unchecked`.

    It takes gigabytes, so only the environment of the benchmarks has it; there, in CI, its absence is a failure.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [import_module(name) for name in ("torch", *modules)][0]
    except ImportError as error:
        why = f"{error.name} is not installed: {unchecked}"
        if "MINIGRAD_CI" in os.environ and Path(sys.prefix).name == ".venv-bench":
            pytest.fail(why)
        pytest.skip(why, allow_module_level=True)
