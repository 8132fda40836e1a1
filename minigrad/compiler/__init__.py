"""The derivative as a program: a function's forward and backward pass recorded, simplified, printed and compiled.

Read it in this order: calls.py, recording.py, state.py, trace.py, simplify.py, numpy_source.py, readable.py; then buffers.py,
updates.py, arguments.py and compiled.py, which make programs fast, and javascript.py.
"""

from .compiled import compile
from .messages import RecordingError
from .readable import Program, program

__all__ = ["Program", "RecordingError", "compile", "program"]
