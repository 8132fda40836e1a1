"""What the tests of the engine look through: counters, and a garbage collector that is switched off."""

from __future__ import annotations

import gc
import types
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from minigrad.context import Observer, observing


class Rules(Observer):
    """Counts the rules that ran and the nodes that were freed, once a visit, by the operation's name."""

    def __init__(self) -> None:
        self.ran, self.freed_nodes = Counter(), Counter()

    def contributed(self, node, position, g, contribution) -> None:
        self.ran[node.op.name] += 1

    def freed(self, node) -> None:
        self.freed_nodes[node.op.name] += 1


@contextmanager
def counting_rules() -> Iterator[Rules]:
    with observing(Rules()) as rules:
        yield rules


@contextmanager
def no_collector() -> Iterator[None]:
    """Nothing in the block is left to the garbage collector: it is off, and at the end it finds nothing."""
    gc.collect()
    gc.disable()
    try:
        yield
        assert gc.collect() == 0, "the block made reference cycles"
    finally:
        gc.enable()


def reachable(start) -> list:
    """All that an object keeps alive, short of what Python and modules keep alive anyway."""
    seen, found, unseen = {id(start)}, [], [start]
    while unseen:
        x = unseen.pop()
        found.append(x)
        if isinstance(x, types.FunctionType):  # not its globals: they hold everything
            children = [*(x.__closure__ or ()), *(x.__defaults__ or ())]
        elif isinstance(x, (type, types.ModuleType, types.BuiltinFunctionType)):
            continue
        else:
            children = gc.get_referents(x)
        for child in children:
            if id(child) not in seen:
                seen.add(id(child))
                unseen.append(child)
    return found
