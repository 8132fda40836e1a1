"""What comes out: tables for people and for an LMS, JSON for programs, a page for each student and one for the class.

`write` goes through the records twice and keeps a line of numbers of each, so that ten thousand need little memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ..policy import Setting
from ..record import Record
from .gather import Class
from .pages import Pages
from .results import Results
from .tables import Tables, about

__all__ = ["write"]


def write(results: Path, records: Callable[[], Iterator[Record]], setting: Setting = Setting()) -> Class:  # noqa: B008, it is frozen
    """Write every report of `records()` into the folder `results`, in place of the last ones."""
    results = Path(results)
    results.mkdir(parents=True, exist_ok=True)
    everybody = Class(setting)
    everybody.first(records())
    with Pages(results, everybody) as pages, Results(results, everybody) as tree, Tables(results, everybody) as tables:
        for grade in everybody.second(records()):
            tree.add(grade)
            tables.add(grade)
            pages.add(grade)
    about(results, everybody)
    return everybody
