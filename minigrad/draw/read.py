"""From a live tensor to circles and squares.  Everything that is read is turned into text at once: nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, count

import numpy as np

from ..graph import Node, Pass
from ..tensor import Tensor
from .model import Circle, Square
from .symbols import WITH_NUMBER, describe, describe_with_number, number_text


def read(t: Tensor) -> tuple[tuple[Circle, ...], tuple[Square, ...], dict[object, int]]:
    """The circles, the squares, and for each leaf and node the position of its circle.

    An operand is the result of another node, a leaf, or a constant.  A constant number that the operation's symbol can
    say is folded into it (the 2 of "×2"); any other constant is a circle of its own.
    """
    nodes = computed(t)
    sources: dict[object, Circle] = {} if nodes else {t.node: lone(t)}
    drawn = []  # for each node its symbol, its words, and its inputs: nodes, leaves or what identifies a constant
    for node in nodes:
        number = foldable(node)
        inputs = []
        for i, (operand, parent) in enumerate(zip(node.op.operands, node.parents, strict=True)):
            if parent is None or parent.op is None:
                if number and operand == number[0]:
                    continue
                parent, circle = source(node, i)
                sources.setdefault(parent, circle)
            inputs.append(parent)
        drawn.append((*(describe_with_number(node.op.name, *number) if number else describe(node.op.name)), inputs))

    circles = sources | {node: result(node, "result" if node is t.node else "intermediate") for node in nodes}
    position = {key: i for i, key in enumerate(circles)}
    squares = [
        Square(symbol, words, tuple(position[key] for key in inputs), position[node])
        for node, (symbol, words, inputs) in zip(nodes, drawn, strict=True)
    ]
    return named(list(circles.values())), tuple(squares), position


def computed(t: Tensor) -> list[Node]:
    """The nodes that `t` was computed by, oldest first."""
    found, stack = set(), [t.node]
    while stack:
        node = stack.pop()
        if node is None or node.op is None or node in found:
            continue
        if isinstance(node.saved, Pass):
            raise RuntimeError(
                f"draw: the graph was already used by backward(), and {node.op.name} has let go of its operands. "
                "Draw before backward(), or pass retain_graph=True to it."
            )
        found.add(node)
        stack += node.parents
    return sorted(found, key=lambda node: -node.age)  # ages count down


def results(position: dict) -> list[Node]:
    """Of what read() gives a position to, the nodes that computed something, oldest first, as the squares are."""
    return [node for node in position if isinstance(node, Node) and node.op]


# ---------------------------------------------------------------- circles


def lone(t: Tensor) -> Circle:
    """A tensor that nothing was recorded for: a constant, or a leaf."""
    text = value_text(t.value)
    return Circle(t.name or (text if t.node is None else ""), "constant" if t.node is None else "leaf", t.shape, text)


def source(node: Node, i: int) -> tuple[object, Circle]:
    """The leaf or the constant that is operand `i` of `node`: what identifies it, and its circle."""
    parent: Node | None = node.parents[i]
    value, name = kept(node, i)
    if parent is not None:  # its values only where the results have theirs, too
        return parent, Circle(name or getattr(parent, "name", ""), "leaf", parent.shape, traced_text(node, value))
    text = value_text(value)
    shape = None if value is None else np.shape(value)
    # Python's own numbers may be one object by chance; an array is one constant, wherever it is used.
    key = (id(value), name) if isinstance(value, (np.ndarray, np.generic)) else (node, i)
    return key, Circle(name or (text if shape == () else ""), "constant", shape, text)


def result(node: Node, kind: str) -> Circle:
    """What `node` computed."""
    value = node.traced.value if hasattr(node, "traced") else None
    return Circle(getattr(node, "name", ""), kind, node.shape, traced_text(node, value))


def named(circles: list[Circle]) -> tuple[Circle, ...]:
    """The same circles; those without a name get one that is free: T1 a leaf, C1 a constant, I1, I2, …, and L."""
    taken = {circle.name for circle in circles}
    letters = {"leaf": "T", "constant": "C", "intermediate": "I", "result": "L"}
    names = {kind: free_names(letter, taken) for kind, letter in letters.items()}
    return tuple(circle if circle.name else replace(circle, name=next(names[circle.kind])) for circle in circles)


def free_names(letter: str, taken: set[str]) -> Iterator[str]:
    """I1, I2, … without those that are taken; L alone comes before L1, for there is only one result."""
    candidates = chain([letter] if letter == "L" else [], (f"{letter}{k}" for k in count(1)))
    return (name for name in candidates if name not in taken)


# ---------------------------------------------------------------- values


def kept(node: Node, i: int) -> tuple[object, str]:
    """Value and name of operand `i`, as traced or else as saved for the rules; None and "" where neither has it."""
    if hasattr(node, "traced"):
        return node.traced.operands[i], node.traced.names[i] or ""
    needs, operand = node.op.needs, node.op.operands[i]
    return (node.saved[needs.index(operand)] if operand in needs else None), ""


def foldable(node: Node) -> tuple[str, str] | None:
    """The constant number that the operation's symbol can say: (which operand or parameter it is, its text)."""
    op = node.op
    constants = {name: value for name, value in zip(op.needs, node.saved, strict=True) if name not in op.operands}
    for i, parent in enumerate(node.parents):
        value, name = kept(node, i)
        if parent is None and not name:  # what has a name is drawn
            constants[op.operands[i]] = value
    for name, value in constants.items():
        if (op.name, name) in WITH_NUMBER and value is not None and np.ndim(value) == 0:
            return name, value_text(value)
    return None


def traced_text(node: Node, value) -> str:
    """A value, but only if `node` was traced: a picture shows the values of all tensors or of none."""
    return value_text(value) if hasattr(node, "traced") else ""


def value_text(value) -> str:
    """A number, or up to three of them; "" for what is longer or unknown.

    >>> value_text(3.0), value_text(np.array([1.0, -2.5])), value_text(np.zeros((2, 2)))
    ('3', '[1, −2.5]', '')
    """
    if value is None or np.ndim(value) > 1 or np.size(value) > 3:
        return ""
    numbers = np.asarray(value).tolist()
    text = f"[{', '.join(map(number_text, numbers))}]" if isinstance(numbers, list) else number_text(numbers)
    return text if len(text) <= 18 else ""
