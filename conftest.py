"""The names that the examples in docstrings use."""

import numpy as np
import pytest

import minigrad


@pytest.fixture(autouse=True)
def names_of_examples(doctest_namespace):
    doctest_namespace.update(vars(minigrad) | vars(minigrad.losses) | vars(minigrad.layers), np=np)
