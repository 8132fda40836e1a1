"""The errors of recording: what a fixed program cannot do, with the line of the user's code that asked for it."""

from __future__ import annotations

import linecache
import os
import sys
from typing import Any, ClassVar

import numpy as np

PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
NUMPY = os.path.dirname(np.__file__) + os.sep


class RecordingError(RuntimeError):
    """A function asked for a value while it was recorded, or did what a fixed program cannot do."""

    variable: Any = None  # the variable whose value was asked for, where one alone would be enough
    raised: ClassVar[list[RecordingError]] = []  # in this recording: a function may catch them, and must not go on

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.raised.append(self)


def user_line() -> str:
    """The innermost line of code outside minigrad and NumPy that is being executed, for messages."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith((PACKAGE, NUMPY, "<")) or path.startswith(("<stdin", "<doctest", "<ipython")):
            text = linecache.getline(path, frame.f_lineno).strip()
            return f" ({os.path.basename(path)}, line {frame.f_lineno}{f': `{text}`' if text else ''})"
        frame = frame.f_back
    return ""


def value_needed(what: str, variable: Any = None) -> RecordingError:
    """The error for code that needs a value while there are only shapes."""
    error = RecordingError(
        f"{what}{user_line()}, but the function is being recorded as a program. The program is a static graph: it is "
        "built once for given shapes and dtypes and then runs with other values, so no Python code may depend on "
        "them. (Without compiling, minigrad builds a dynamic graph anew at each call, and such code works.) Choose "
        "between values with tensor_where(condition, a, b), pass what is constant as a Python number, or leave this "
        "part uncompiled."
    )
    error.variable = variable
    return error


class NotRecorded(RecordingError, AttributeError):
    """What arrays, generators and NumPy have, and programs do not."""


def not_recorded(what: str, advice: str) -> NotRecorded:
    """The error for what a recording cannot follow, with what to do instead."""
    return NotRecorded(f"{what} is not available in a recorded program{user_line()}. {advice}")
