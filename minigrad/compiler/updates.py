"""Updates in place: what `p.data -= step` becomes in a compiled program.

A changed array is written at the end of a call, when everything that reads its old values has been computed.  Where the
last instruction of the change is element-wise, it writes into the array itself, and the instructions that only it needs
are moved next to it, so that a step of many parameters works in a few buffers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .buffers import UFUNC_OF
from .recording import Instruction, Variable, uses_of, variables_in
from .state import Place
from .trace import Argument, Trace


def find_updates(recorded: Trace, instructions: list[Instruction], finals: list, final: Callable) -> dict:
    """{number of an effect: the instruction "update" that carries it out in place}."""
    found: dict[int, Instruction] = {}
    producer = {i.result: i for i in instructions if i.result is not None}
    uses = uses_of(instructions, finals)
    input_at = {source: x for x, source in recorded.inputs}
    for k, effect in enumerate(recorded.effects):
        x, target = final(effect.value), input_at.get(_source(effect.place))
        i = producer.get(x) if type(x) is Variable else None
        if not effect.in_place or i is None or target is None or uses[x] != 1 or x.layout != target.layout:
            continue
        if i.kind == "operator" and i.target in UFUNC_OF and i.target != "@" and target in variables_in(i.args):
            found[k] = Instruction("update", i, i.args, {"place": target}, None)
    targets = [u.kwargs["place"] for u in found.values()]
    return {k: u for k, u in found.items() if not _reads_another(u, u.kwargs["place"], targets)}


def sink_updates(updates: dict, instructions: list[Instruction], finals: list) -> list[Instruction]:
    """The updates, each after the instructions that only it needs."""
    targets = [u.kwargs["place"] for u in updates.values()]
    taken = {id(u.target) for u in updates.values()}
    consumers: dict[Variable, list] = {}
    for i in instructions:
        for x in variables_in((i.args, i.kwargs)):
            consumers.setdefault(x, []).append(i)
    returned = {x for x in finals if type(x) is Variable}
    producer = {i.result: i for i in instructions if i.result is not None}
    order = {id(i): k for k, i in enumerate(instructions)}
    tail: list[Instruction] = []
    for update in updates.values():
        chain, group = [update], {id(update.target)}
        waiting = list(variables_in(update.args))
        while waiting:
            x = waiting.pop()
            i = producer.get(x)
            if i is None or x in returned or id(i) in taken or i.kind not in ("operator", "ufunc"):
                continue
            if all(id(c) in group for c in consumers[x]) and not _reads_another(i, update.kwargs["place"], targets):
                chain.append(i)
                group.add(id(i))
                taken.add(id(i))
                waiting += variables_in(i.args)
        tail += [*sorted(chain[1:], key=lambda i: order[id(i)]), update]
    return tail


def _reads_another(i: Instruction, own: Variable, targets: list[Variable]) -> bool:
    """Whether `i` reads an array that another update changes, or a view of its own target."""
    return any((x.base or x) in targets and x is not own for x in variables_in(i.args))


def _source(place: Any) -> Any:
    """The input that is read from the place of an effect."""
    return place if isinstance(place, Place) or place[1] == "grad" else Argument(place[0])
