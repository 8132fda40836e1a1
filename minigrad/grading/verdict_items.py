"""A submission as pytest sees it: a collector whose items are the tasks, 04/4.12, and the notebook as a whole, 04/notebook.

A notebook is graded when the first of its items runs.  An item fails with the reason and the tutor's sentence.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

from .batch import Grader, How, recognised
from .processes import Unsafe
from .record import Item, Record
from .submissions import Aside, Submission, find

WHOLE = "notebook"


class NotPassed(Exception):
    """Its message is all that is shown."""


class Grading:
    """The plugin, where --grade was given.  Other tests run beside it if they were named."""

    def __init__(self, config: pytest.Config) -> None:
        ask = config.getoption
        tasks = Path(ask("--grade-tasks")) if ask("--grade-tasks") else None
        self.source = Path(ask("--grade"))
        safe = not ask("--grade-unsafe-no-sandbox")
        self.grader = Grader(How(ask("--grade-set"), tasks, ask("--grade-seed"), safe))
        self.aside: list[Aside] = []
        if config.args_source != pytest.Config.ArgsSource.ARGS:
            config.args = []  # not the tests that the configuration names

    @pytest.hookimpl(tryfirst=True)  # before -k and -m choose
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        try:
            found = list(find(self.source, self.aside))
            if not found:
                raise ValueError(
                    f"{self.source}: no notebooks. Looked for files that end in .ipynb, in folders and zips."
                )
            for submission in found:
                items += Notebook.of(session, submission, self).collect()
        except ValueError as error:
            raise pytest.UsageError(f"--grade: {error}") from None

    def pytest_report_header(self) -> str:
        return f"grading: {self.source}" + (", WITHOUT A SANDBOX" if not self.grader.how.enclosed else "")

    def pytest_terminal_summary(self, terminalreporter) -> None:
        if self.aside:
            terminalreporter.section("not graded")
        for aside in self.aside:
            terminalreporter.line(f"{aside.file}: {aside.reason}")

    def pytest_unconfigure(self) -> None:
        self.grader.close()


class Notebook(pytest.Collector):
    """One submission."""

    submission: Submission
    grading: Grading

    @classmethod
    def of(cls, session: pytest.Session, submission: Submission, grading: Grading) -> Notebook:
        node = submission.file.replace("::", ":")
        made = cls.from_parent(session, name=submission.student, nodeid=node, path=session.config.rootpath / node)
        made.submission, made.grading = submission, grading
        return made

    def collect(self) -> Iterator[pytest.Item]:
        grader = self.grading.grader
        number = grader.how.set or recognised(self.submission)
        if not number:
            return [Whole.from_parent(self, name=WHOLE)]
        the_set = grader.set(number)
        whole = Whole.from_parent(self, name=f"{the_set.number}/{WHOLE}")
        return [whole, *(TaskOf.from_parent(self, name=f"{the_set.number}/{id}") for id in the_set.tasks)]

    @cached_property
    def record(self) -> Record:
        with warnings.catch_warnings():  # an overflow in a student's numbers is no error of the instructor's tests
            warnings.simplefilter("ignore")
            try:
                return self.grading.grader(self.submission)
            except Unsafe as error:
                pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


class Verdict(pytest.Item):
    parent: Notebook

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo, style=None):
        return str(excinfo.value) if excinfo.errisinstance(NotPassed) else super().repr_failure(excinfo, style)


class Whole(Verdict):
    """Fails if nothing could be graded; otherwise it carries what else happened: cells that failed, what it printed."""

    def runtest(self) -> None:
        record = self.parent.record
        self.user_properties += [
            ("score", record.score),
            ("points", record.points),
            ("sandbox", " ".join(record.layers)),
        ]
        if record.notes:
            self.add_report_section("call", "notes", "\n".join(record.notes))
        if record.output:
            self.add_report_section("call", "output", record.output)
        if record.error:
            raise NotPassed(record.error)


class TaskOf(Verdict):
    def runtest(self) -> None:
        item = self.item
        self.user_properties += [("score", item.score), ("points", item.points)]
        if not item.passed:
            raise NotPassed(
                "\n".join(filter(None, (item.reason, item.says, item.tried and f"Tried with {item.tried}.")))
            )

    @property
    def item(self) -> Item:
        record, id = self.parent.record, self.name.rpartition("/")[2]
        found = next((item for item in record.items if item.id == id), None)
        if found is None:
            raise NotPassed(record.error or "This task was not graded.")
        return found
