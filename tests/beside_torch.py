"""PyTorch, for tests that compare with it."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest


def torch_or_skip() -> ModuleType:
    """PyTorch, or a skip; a failure where MINIGRAD_CI asks for every oracle, in the environment that is made for it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch
    except ImportError:
        required = "MINIGRAD_CI" in os.environ and Path(sys.prefix).name == ".venv-bench"
        (pytest.fail if required else pytest.skip)("torch is not installed: this is not compared with PyTorch")
    return torch
