"""Whether all these tests would notice if the library were wrong: `tests/mutation` changes it in three thousand ways."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="mutants are judged in forked processes")
def test_nearly_every_mutant_is_killed_or_known_to_be_equivalent(capfd):
    """A survivor is a line of the library that no test holds in place; the report names it, and few may be left."""
    root = Path(__file__).parents[1]
    with capfd.disabled():  # the report, killed/total in its last line, belongs in the log
        done = subprocess.run([sys.executable, "-m", "tests.mutation"], cwd=root, stdin=subprocess.DEVNULL)
    assert done.returncode == 0
