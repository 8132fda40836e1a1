"""The names that the examples in docstrings use."""

from types import ModuleType

import numpy as np
import pytest

import minigrad


@pytest.fixture(autouse=True)
def names_of_examples(request, doctest_namespace):
    names = {"np": np}
    for module in (minigrad, minigrad.losses, minigrad.layers, minigrad.optimisers):
        names |= {k: v for k, v in vars(module).items() if not isinstance(v, ModuleType)}
    own = request.node.dtest.globs if hasattr(request.node, "dtest") else ()  # a module's own names come first
    doctest_namespace.update({name: value for name, value in names.items() if name not in own})
    yield
    doctest_namespace.clear()  # it is one for the whole session
