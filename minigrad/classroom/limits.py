"""A call that may take so many seconds and no more, where the system has an alarm to ring."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 10


class TookTooLong(BaseException):
    """Not an Exception: a student's `except Exception` must not swallow it."""


@contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """TookTooLong after `seconds`.  Without limit on Windows, in the browser, and outside the main thread."""
    can_ring = hasattr(signal, "setitimer") and sys.platform != "emscripten"
    if not can_ring or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_):
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    began = time.monotonic()
    around, _ = signal.setitimer(
        signal.ITIMER_REAL, seconds
    )  # a limit within a limit: the outer one goes on afterwards
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if around:
            signal.setitimer(signal.ITIMER_REAL, max(around - (time.monotonic() - began), 1e-3))
