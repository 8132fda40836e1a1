"""What a rule says, for a reader: the library's own expression with the graph's names in it, and again with numbers."""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable
from html import escape

import numpy as np

from ..graph import Node
from .symbols import number_text
from .text import name_html

# What the library writes otherwise, for speed or for vectors and stacks: by operand, in the operation's own names.
FORMULAS = {
    "tensor_pow": ("g * p * x**(p - 1)", "g * x**p * log(x)"),
    "matmul_tensor": ("g @ b.T", "a.T @ g"),
    "affine": ("g @ w", "g.T @ x", "g"),
    "binary_cross_entropy_with_logits": ("(sigmoid(y_pred) - y_true) * g / n",),
}

# What no short formula says.
WORDS = {
    "tensor_sum": "g, handed to every element that was summed",
    "tensor_mean": "g divided by the number of elements averaged, handed to each of them",
    "tensor_max": "g, at the elements that are the largest",
    "tensor_min": "g, at the elements that are the smallest",
    "tensor_maximum": "g where it is the larger one, half of g at a tie, elsewhere 0",
    "tensor_minimum": "g where it is the smaller one, half of g at a tie, elsewhere 0",
    "tensor_where": "g where it was chosen, elsewhere 0",
    "tensor_clip": "g where its value is between the bounds, elsewhere 0",
    "tensor_concat": "the slice of g that it filled",
    "tensor_reshape": "g in the shape that it had",
    "tensor_transpose": "g with its axes put back",
    "tensor_getitem": "g, put back where it was taken from, elsewhere 0",
    "leaky_relu_tensor": "g where its value is positive, elsewhere g times the slope",
}

NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")


def explain(node: Node, position: int, g, names: dict[int, str]) -> tuple[str, str]:
    """The rule for operand `position` of `node`, as HTML: with `names`, and with numbers where all in it are numbers.

    `names` are those of the operands that have a circle, by position, and of the result.
    """
    op = node.op
    if op.name in WORDS:
        return NAME.sub(lambda word: name_html("g") if word[0] == "g" else word[0], WORDS[op.name]), ""
    if op.name in FORMULAS:
        formula = FORMULAS[op.name][position]
    else:
        formula = expression(dict(op.rules)[position])
    symbols, numbers = {"g": name_html("g")}, {"g": spoken(g)}
    for need, origin, value in zip(op.needs, op.origins, node.saved, strict=True):
        numbers[need] = spoken(value)
        if origin in names:
            symbols[need] = name_html(names[origin])
        elif numbers[need] is not None:
            symbols[need] = numbers[need]
    if op.name == "tensor_pow" and position == 0 and numbers["p"] == "2":
        formula = "g * p * x"
    used = [word for word in NAME.findall(formula) if word in numbers]
    whole = used and all(numbers[word] is not None for word in used)
    return written(formula, symbols), written(formula, numbers) if whole else ""


def spoken(value) -> str | None:
    """A number's text; None for anything but a number."""
    is_number = isinstance(value, int | float | np.number | np.ndarray) and np.ndim(value) == 0
    return number_text(np.asarray(value).item()) if is_number else None


def written(formula: str, texts: dict[str, str | None]) -> str:
    """The formula as people write it, with these texts for its names.

    >>> written("-g * a / b**2", {"g": "−3", "b": "4"})
    '−(−3) · a / 4^2'
    """
    parts, end = [], 0
    for word in NAME.finditer(formula):
        text = texts.get(word[0])
        if text is None:
            text = escape(word[0])
        elif text.startswith("−") and word.start():
            text = f"({text})"
        parts += [sign(formula[end : word.start()]), text]
        end = word.end()
    return "".join([*parts, sign(formula[end:])])


def sign(code: str) -> str:
    """
    >>> sign(" * (1 - "), sign("**2"), sign(".T @ ")
    (' · (1 − ', '^2', 'ᵀ @ ')
    """
    for old, new in ("**", "^"), ("*", "·"), ("-", "−"), (".T", "ᵀ"):
        code = code.replace(old, new)
    return escape(code)


def expression(rule: Callable) -> str:
    """A rule's own words: a lambda's body; of a function with a name, what its docstring begins with, or else the name.

    >>> expression(lambda g, a, b: -g * a / b**2)
    '-g * a / b**2'
    """
    if rule.__name__ != "<lambda>":
        return re.split(r"[.,;]\s", rule.__doc__ or rule.__name__)[0].strip(" .\n")
    code = rule.__code__
    spans = [p for p in code.co_positions() if None not in p and (p[0], p[2]) < (p[1], p[3])]
    lines = [
        linecache.getline(code.co_filename, k).encode() for k in range(1, max((p[1] for p in spans), default=0) + 1)
    ]
    if not spans or not lines[-1]:
        return "its rule"
    (first, start), (last, end) = min((p[0], p[2]) for p in spans), max((p[1], p[3]) for p in spans)
    body = lines[first - 1 : last]
    body[-1] = body[-1][:end]
    body[0] = body[0][start:]
    return " ".join(re.sub(r"\s#.*", "", b"".join(body).decode()).split())
