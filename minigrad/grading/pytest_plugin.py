"""`pytest --grade SUBMISSION`: the verdicts on a notebook, or on a folder of them, as tests, one for each task.

pytest loads this file wherever the package is installed.  So it holds the options alone; the rest comes when one is given.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser) -> None:
    say = parser.getgroup("minigrad", "grading notebooks of the course").addoption
    say("--grade", metavar="SUBMISSION", help="a notebook, a folder of them, or an LMS's zip; each task becomes a test")
    say("--grade-set", metavar="SET", default="", help="the set, 04 say; left out: the one that the checks are of")
    say("--grade-tasks", metavar="DIR", help="a folder with sets of your own")
    say("--grade-seed", metavar="SEED", type=int, help="the same cases in every run")
    say("--grade-unsafe-no-sandbox", action="store_true", help="run the students' code as if it were yours")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config, parser, args) -> None:
    """pytest takes the word after --grade for a place with tests, and would do as a student's pytest.ini or conftest.py says."""
    asked = early_config.known_args_namespace
    if not asked.grade or not (folder := Path(asked.grade).resolve()).is_dir():
        return
    settings = [] if asked.inifilename else [early_config.inipath]
    if folder in ((here := early_config.invocation_params.dir.resolve()), *here.parents):
        settings += [*here.glob("conftest.py"), *here.glob("test*/conftest.py")]
    for path in settings:
        if path and folder in path.resolve().parents:
            raise pytest.UsageError(
                f"--grade: {path} lies among the submissions, and pytest would obey it. If a student wrote it, remove it; if "
                "it is yours, put it elsewhere: call pytest from a folder above, or name settings with -c."
            )


def pytest_configure(config) -> None:
    if config.getoption("--grade"):
        from .verdict_items import Grading

        config.pluginmanager.register(Grading(config), "minigrad-grading")
