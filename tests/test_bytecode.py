"""The bytecode in the site (book/_online/bytecode.py), asked of the Python in the browser: test_site.py runs this in Node."""

from __future__ import annotations

import importlib.util
import sys

import pytest


@pytest.mark.skipif(sys.platform != "emscripten", reason="of the Python in the browser")
@pytest.mark.parametrize("name", ["numpy", "numpy.linalg", "json.decoder", "typing"])
def test_a_module_comes_with_the_bytecode_of_its_source(name):
    """A wait for Python twice as long; or bytecode that, unnoticed for ever, says something else."""
    spec = importlib.util.find_spec(name)
    zipped = ".zip/" in spec.origin
    assert not zipped or spec.origin.endswith(".pyc")
    made = spec.loader.get_data(spec.origin if zipped else spec.cached)
    source = spec.loader.get_data(spec.origin.removesuffix("c"))
    assert made[:8] == importlib.util.MAGIC_NUMBER + b"\x01\0\0\0"  # by its source's hash, unchecked
    assert made[8:16] == importlib.util.source_hash(source)
