"""Blocks that change what operations do while they last: `no_grad()`, and observers such as `trace()` and `debug()`.

Which blocks are active is a context variable, so each thread and each asynchronous task has its own.  Generators share the
context of their caller; a block that was entered in a generator is therefore active only while that generator runs, unless
the generator is a context manager (`contextlib.contextmanager`), whose block is meant for the caller.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from types import FrameType, TracebackType
from typing import TypeVar

GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR

_blocks: ContextVar[tuple[Entry, ...]] = ContextVar("minigrad_blocks", default=())

# () almost always.  To ask costs an operation 20 ns.
active_blocks = _blocks.get

F = TypeVar("F", bound=Callable)


class Observer:
    """Base class whose methods `trace()`, `debug()` and the flipbook override to be told of each step."""

    def computed(self, op, operands: tuple, result) -> None:
        """`op` was applied to `operands`, as the caller gave them, and made the tensor `result`."""

    def contributed(self, node, position: int, g, contribution) -> None:
        """The gradient rule for operand `position` of `node` turned the upstream gradient `g` into `contribution`."""

    def freed(self, node) -> None:
        """`node` was visited, and its saved values are about to be freed."""


class Block:
    """A `with` block, or a decorator, for the operations inside it."""

    records = True  # whether operations leave nodes behind
    observer: Observer | None = None

    def __enter__(self) -> Block | Observer:
        _blocks.set((*_blocks.get(), Entry(self, suspendable(sys._getframe(1)))))
        return self.observer or self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Remove the latest entry of this block, which may not be the latest of all: blocks in generators can overlap."""
        entries = list(_blocks.get())
        for i in reversed(range(len(entries))):
            if entries[i].block is self:
                del entries[i]
                break
        _blocks.set(tuple(entries))

    def __call__(self, function: F) -> F:
        """Decorate a function, a generator function or an asynchronous one: the block lasts while its body runs."""
        if inspect.isasyncgenfunction(function):

            async def decorated(*args, **kwargs):
                with self.fresh():
                    async for item in function(*args, **kwargs):
                        yield item

        elif inspect.iscoroutinefunction(function):

            async def decorated(*args, **kwargs):  # type: ignore[misc]  # the four have one name
                with self.fresh():
                    return await function(*args, **kwargs)

        elif inspect.isgeneratorfunction(function):

            def decorated(*args, **kwargs):
                with self.fresh():
                    return (yield from function(*args, **kwargs))

        else:

            def decorated(*args, **kwargs):
                with self.fresh():
                    return function(*args, **kwargs)

        return wraps(function)(decorated)  # type: ignore[return-value]

    def fresh(self) -> Block:
        """Return the block for one call of a decorated function; one with a state of its own makes a new one."""
        return self


def suspendable(frame: FrameType) -> FrameType | None:
    """Return `frame` if it is a generator's that may stop in the middle of a block and give way to its caller."""
    caller = frame.f_back
    is_context_manager = caller is not None and caller.f_globals.get("__name__") == "contextlib"
    return frame if frame.f_code.co_flags & GENERATOR and not is_context_manager else None


class Entry:
    """One time that a block was entered; `frame` is the generator's, if it was entered in one."""

    __slots__ = ("block", "frame")

    def __init__(self, block: Block, frame: FrameType | None) -> None:
        self.block, self.frame = block, frame

    def is_active(self) -> bool:
        """Whether the code that is running belongs to the block: always, unless its generator is suspended."""
        if self.frame is None:
            return True
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame is not self.frame:
            frame = frame.f_back
        return frame is not None


def records(blocks: tuple[Entry, ...]) -> bool:
    """Whether operations inside these blocks are recorded."""
    return all(entry.block.records or not entry.is_active() for entry in blocks)


def observers(blocks: tuple[Entry, ...] | None = None) -> list[Observer]:
    """Return the observers of the given blocks (default: the active ones), outermost first."""
    entries = _blocks.get() if blocks is None else blocks
    if not entries:
        return []
    return [entry.block.observer for entry in entries if entry.block.observer is not None and entry.is_active()]


class observing(Block):
    """Tell `observer` of every operation and every gradient rule in the block."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer


class no_grad(Block):
    """Compute without recording: no graph, no gradients.  Use it as `with no_grad():` or as the decorator `@no_grad()`.

    It holds for the thread or the asynchronous task that entered it, and in a generator only while that runs.

    >>> import minigrad as mg
    >>> x = mg.Tensor(2.0, requires_grad=True)
    >>> with mg.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """

    records = False

    def __init__(self, *given) -> None:
        if given:
            raise TypeError("no_grad takes no arguments. As a decorator write it with parentheses: @no_grad().")
