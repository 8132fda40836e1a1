"""PyTorch, as the second opinion of several tests."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import pytest


def torch_or_skip(unchecked: str):
    """PyTorch, or a skip that says what stays `unchecked`.

    It takes gigabytes, so only the environment of the benchmarks has it; there, in CI, its absence is a failure.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch
    except ImportError:
        promised = "MINIGRAD_CI" in os.environ and Path(sys.prefix).name == ".venv-bench"
        (pytest.fail if promised else pytest.skip)(f"torch is not installed: {unchecked}")
    return torch
