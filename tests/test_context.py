"""Blocks hold for the code inside them and for nothing else: threads, generators, asynchronous tasks, decorators."""

from __future__ import annotations

import _thread
import asyncio
import threading
from contextlib import contextmanager

import numpy as np
import pytest

import minigrad as mg
from minigrad import context
from minigrad.context import Observer, observing


def records() -> bool:
    return (mg.Tensor(1.0, requires_grad=True) * 2.0).requires_grad


@pytest.fixture(autouse=True)
def no_block_is_left():
    yield
    assert context.active_blocks() == () and records()


# ---------------------------------------------------------------- threads


def test_overlapping_blocks_of_two_threads():
    """The first to enter leaves first: with one flag for the process, the second would switch recording off for good."""
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()
    seen = {}

    def first():
        with mg.no_grad():
            first_in.set()
            second_in.wait(10)
        seen["first"] = records()
        first_out.set()

    def second():
        first_in.wait(10)
        with mg.no_grad():
            second_in.set()
            first_out.wait(10)
            seen["second"] = records()

    threads = [threading.Thread(target=f) for f in (first, second)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == {"first": True, "second": False} and records()


@pytest.mark.parametrize("block", [mg.no_grad, mg.trace, mg.debug])
def test_a_block_does_not_reach_into_other_threads(block):
    """A thread that evaluates, draws or debugs must not change what the thread that trains does."""
    inside, go_on = threading.Event(), threading.Event()

    def other():
        with block():
            inside.set()
            go_on.wait(10)

    t = threading.Thread(target=other)
    t.start()
    inside.wait(10)
    y = mg.Tensor([1.0], requires_grad=True) * 2.0
    go_on.set()
    t.join()
    assert y.requires_grad and not hasattr(y.node, "traced") and y.data.flags.writeable


def test_two_threads_that_debug_share_an_array():
    """Each freezes the same array; it is writeable again when both graphs are gone, not before and not never."""
    shared = mg.Tensor([1.0, 2.0], requires_grad=True)
    both_in = threading.Barrier(2)
    frozen = []

    def work():
        with mg.debug():
            y = shared * shared
            both_in.wait(10)
            frozen.append(not shared.data.flags.writeable)
            both_in.wait(10)
            del y

    threads = [threading.Thread(target=work) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert frozen == [True, True] and shared.data.flags.writeable


def test_a_block_that_no_code_called():
    """The main program, and a thread's function without `threading` around it, have no frame above their own."""
    seen, done = [], threading.Event()

    def top():
        try:
            with mg.no_grad():
                seen.append(records())
        finally:
            done.set()

    top()
    done.clear()
    _thread.start_new_thread(top, ())
    assert done.wait(10) and seen == [False, False]


# ---------------------------------------------------------------- generators


def test_a_generator_does_not_switch_its_caller_off():
    def batches():
        with mg.no_grad():
            yield records()
            yield records()

    for inside in batches():
        assert records() and not inside


def test_generators_that_overlap():
    """They end in another order than they began, which restoring "the state before" would get wrong."""

    def evaluating():
        with mg.no_grad():
            yield records()
            yield records()

    one, two = evaluating(), evaluating()
    assert (next(one), next(two)) == (False, False)
    one.close()
    assert records() and next(two) is False
    two.close()


def test_a_block_around_a_generator_holds_inside_it():
    def inner():
        yield records()

    with mg.no_grad():
        assert list(inner()) == [False]


def test_a_context_manager_made_of_a_generator_holds_for_its_caller():
    """`contextlib.contextmanager` gives its block to the body of the caller's with statement."""

    @contextmanager
    def inference():
        with mg.no_grad():
            yield

    with inference():
        assert not records()


def test_an_observer_in_a_generator_is_told_of_its_own_operations():
    class Names(Observer):
        def computed(self, op, operands, result):
            seen.append(op.name)

    def work():
        with observing(Names()):
            mg.Tensor(1.0) + 1.0
            yield
            mg.Tensor(1.0) - 1.0

    seen = []
    for _ in work():
        mg.Tensor(1.0) * 1.0
    assert seen == ["tensor_add", "tensor_sub"]


# ---------------------------------------------------------------- asynchronous code


def test_tasks_have_blocks_of_their_own():
    async def evaluate(inside: asyncio.Event, done: asyncio.Event) -> bool:
        with mg.no_grad():
            inside.set()
            await done.wait()
            return records()

    async def main():
        inside, done = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(evaluate(inside, done))
        await inside.wait()
        during = records()
        done.set()
        return during, await task

    assert asyncio.run(main()) == (True, False)


def test_an_asynchronous_generator_does_not_switch_its_caller_off():
    async def batches():
        with mg.no_grad():
            yield records()

    async def main():
        return [(inside, records()) async for inside in batches()]

    assert asyncio.run(main()) == [(False, True)]


# ---------------------------------------------------------------- decorators


def test_decorated_functions_of_every_kind_do_not_record():
    @mg.no_grad()
    def plain(first, *, depth=2):
        """Calls itself, which enters the block again."""
        return [(first, records())] + (plain(first, depth=depth - 1) if depth else [])

    @mg.no_grad()
    def generator(first, *, second):
        sent = yield first, second, records()
        yield sent, records()

    @mg.no_grad()
    async def coroutine(first, *, second):
        return first, second, records()

    @mg.no_grad()
    async def asynchronous_generator(first, *, second):
        yield first, second, records()

    async def collected():
        return [x async for x in asynchronous_generator(1, second=2)]

    assert plain(1, depth=1) == [(1, False)] * 2 and plain.__doc__.startswith("Calls itself")
    made = generator(1, second=2)
    assert next(made) == (1, 2, False) and records() and made.send("sent") == ("sent", False)
    made.close()
    assert asyncio.run(coroutine(1, second=2)) == (1, 2, False) and asyncio.run(collected()) == [(1, 2, False)]


def test_a_decorator_without_parentheses_is_refused():
    with pytest.raises(TypeError, match=r"@no_grad\(\)"):
        mg.no_grad(lambda: 1)


def test_a_block_that_is_entered_twice_ends_twice():
    """The inner end must not end the outer block too."""
    block = mg.no_grad()
    with block:
        with block:
            assert not records()
        assert not records()


def test_a_block_in_a_plain_function_lasts_while_others_run():
    """Only a generator can be suspended in the middle of a block: what a function entered by hand holds until its exit."""

    def enter():
        block = mg.no_grad()
        block.__enter__()
        return block

    block = enter()
    assert not records()
    block.__exit__(None, None, None)


def test_a_block_ends_with_an_error():
    block = mg.no_grad()
    with pytest.raises(ZeroDivisionError), block, block:
        assert not records()
        raise ZeroDivisionError


# ---------------------------------------------------------------- debug: what it protects


@pytest.mark.parametrize(
    "pick", [lambda x, i: x[i], lambda x, i: x[i, 0], lambda x, i: x[:, 0][i]], ids=["i", "(i, 0)", "0, i"]
)
def test_debug_protects_index_arrays(pick):
    """An index array is needed by the rule, inside a tuple too; to refill it before the backward pass is an error."""
    x, rows = mg.Tensor(np.ones((3, 2)), requires_grad=True), np.array([0, 1])
    with mg.debug():
        y = pick(x, rows).sum()
        with pytest.raises(ValueError, match="read-only"):
            rows[0] = 2
        y.backward()
        rows[0] = 2


@pytest.mark.parametrize(
    "pick", [lambda x, i: x[i], lambda x, i: x[i, 0], lambda x, i: x[(i, [0, 0])]], ids=["i", "(i, 0)", "(i, [0, 0])"]
)
def test_a_list_as_index_may_be_changed_before_the_backward_pass(pick):
    """The rule keeps a copy of a list; an array can be protected, a list cannot."""
    x, rows = mg.Tensor(np.ones((3, 2)), requires_grad=True), [0, 1]
    y = pick(x, rows).sum()
    rows[:] = [2, 2]
    y.backward()
    assert x.grad[:, 0].tolist() == [1, 1, 0]
