"""The names that the examples in docstrings use."""

from types import ModuleType

import numpy as np
import pytest

import minigrad


@pytest.fixture(autouse=True)
def names_of_examples(doctest_namespace):
    for module in (minigrad, minigrad.losses, minigrad.layers):
        doctest_namespace.update({k: v for k, v in vars(module).items() if not isinstance(v, ModuleType)})
    doctest_namespace["np"] = np
