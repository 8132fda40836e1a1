"""`BaseLayer`: what all layers share (chapter 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from reprlib import recursive_repr
from typing import Any, ClassVar

import numpy as np

from ..interop import values
from ..states import read_state
from ..tensor import Tensor


class BaseLayer:
    """A function of tensors with parameters to learn.  A subclass sets them as attributes and writes `forward`.

    Parameters are the leaves made with `requires_grad=True` (frozen ones included), found in the attributes of a layer, of
    the layers in its attributes, and of those in lists, tuples and dicts.  Each is named by the path to it, "layers.0.weight";
    one that several paths lead to is named by the first.  `buffers` names the attributes that hold arrays which are saved
    with the parameters but not learned, such as running statistics.

    >>> class Scale(BaseLayer):
    ...     def __init__(self):
    ...         self.factor = Tensor(2.0, requires_grad=True)
    ...
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> Scale()(3.0).item(), [name for name, _ in Scale().named_parameters()]
    (6.0, ['factor'])
    """

    training = True
    buffers: ClassVar[tuple[str, ...]] = ()

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, x). Write one that returns a tensor.")

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        return self.forward(*inputs, **options)

    # ---------------------------------------------------------------- what is in it

    def children(self) -> Iterator[tuple[str, BaseLayer]]:
        """The layers directly inside this one, with their names."""
        return ((name, x) for name, x in _contents(self, nested=False) if isinstance(x, BaseLayer))

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Each parameter once, with the name of the first path to it.  ValueError if two have the same name."""
        return iter(_by_name(_parameters(self)).items())

    def parameters(self) -> list[Tensor]:
        """The parameters, each once, in the order in which they were set."""
        return [p for _, p in _parameters(self)]

    # ---------------------------------------------------------------- training

    def train(self, mode: bool = True) -> BaseLayer:
        """Behave as in training, here and in every layer inside (dropout drops)."""
        for _, layer in _layers(self):
            layer.training = mode
        return self

    def eval(self) -> BaseLayer:
        """Behave as at inference (dropout is the identity)."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Reset the gradients of all parameters to None."""
        for p in self.parameters():
            if p.requires_grad:  # a frozen one has none
                p.zero_grad()

    def sgd_step(self, learning_rate: float) -> None:
        """One step of gradient descent: p ← p − learning_rate · ∂L/∂p, in place.

        A parameter that the loss did not depend on stays.  RuntimeError if none has a gradient.
        """
        moved = [p for p in self.parameters() if p.grad is not None]
        if not moved:
            raise RuntimeError(
                "sgd_step: no parameter has a gradient. Call backward() on a loss computed by this layer first."
            )
        for p in moved:
            p.data -= learning_rate * values(p.grad)

    # ---------------------------------------------------------------- saving

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers by name.  `np.savez("model.npz", **layer.state_dict())` keeps them in a file.

        ValueError if two have the same name: nothing would tell them apart in the file.
        """
        owners = _by_name(_state(self))
        return {name: np.array(values(getattr(owner, key))) for name, (owner, key) in owners.items()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Set all parameters and buffers from a dict, or from `np.load("model.npz")`; names and shapes must agree.

        The values are copied, in the layer's own dtype.  TypeError for a path or an array, KeyError where the names differ,
        ValueError for another shape or for what is not real numbers: each before anything is changed.
        """
        owners = _by_name(_state(self))
        found, new = read_state(state, "load_state_dict", owners), {}
        for name, (owner, key) in owners.items():
            own = values(getattr(owner, key))
            if found[name].shape != own.shape:
                raise ValueError(
                    f"load_state_dict: {name} has shape {own.shape}; the state holds {found[name].shape}. "
                    "Build the layer with the sizes that were saved."
                )
            new[name] = np.array(found[name], own.dtype)
        for name, (owner, key) in owners.items():
            setattr(owner, key, new[name])

    # ---------------------------------------------------------------- display

    def extra(self) -> str:
        """The text between the parentheses of the repr."""
        return ""

    @recursive_repr("(itself)")
    def __repr__(self) -> str:
        lines, shown, waiting = [], set(), [("", "", self)]
        while waiting:
            indent, name, layer = waiting.pop()
            if layer is not self and type(layer).__repr__ is not BaseLayer.__repr__:  # a subclass has its own
                lines.append(indent + name + repr(layer).replace("\n", "\n" + indent))
                continue
            count, inside = sum(p.size for p in layer.parameters()), list(layer.children())
            notes = f"{count:,} parameter{'s' * (count != 1)}" if count else ""
            if id(layer) in shown and (count or inside):
                notes, inside = "shared, shown above", []
            shown.add(id(layer))
            lines.append(f"{indent}{name}{type(layer).__name__}({layer.extra()})" + (f"  # {notes}" if notes else ""))
            waiting += [(indent + "  ", f"{inner}: ", x) for inner, x in reversed(inside)]
        return "\n".join(lines)


def whole(what: str, value: int, least: int = 1) -> int:
    """`value` as an int; ValueError unless it is a whole number, at least `least`."""
    if not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{what} = {value!r}; give a whole number, at least {least}.")
    return int(value)


def _contents(layer: BaseLayer, nested: bool = True) -> Iterator[tuple[str, object]]:
    """The path to, and the value of, every attribute of `layer` and of what it holds; of inner layers too if `nested`.

    In depth-first order, as written.  Every layer and container is opened once, however many paths lead to it, and a stack
    takes the place of recursion: shared layers cost no more than their number, and cycles and depth do no harm.
    """
    opened, stack = {id(layer)}, [_items("", layer)]
    while stack:
        for path, x in stack[-1]:
            yield path, x
            is_open = isinstance(x, (dict, list, tuple)) or (nested and isinstance(x, BaseLayer))
            if is_open and id(x) not in opened:
                opened.add(id(x))
                stack.append(_items(path + ".", x))
                break
        else:
            stack.pop()


def _items(prefix: str, x) -> Iterator[tuple[str, object]]:
    """What is directly inside a layer, a dict, a list or a tuple, with its path."""
    inside = vars(x).items() if isinstance(x, BaseLayer) else x.items() if isinstance(x, dict) else enumerate(x)
    return iter([(f"{prefix}{key}", value) for key, value in inside])


def _parameters(layer: BaseLayer) -> Iterator[tuple[str, Tensor]]:
    seen = set()
    for path, x in _contents(layer):
        if isinstance(x, Tensor) and is_parameter(x) and id(x) not in seen:
            seen.add(id(x))
            yield path, x


def is_parameter(x: Tensor) -> bool:
    """Whether gradients are kept for this tensor, or were until it was frozen."""
    return x.node.op is None if x.node is not None else bool(getattr(x, "frozen", False))


def _layers(layer: BaseLayer) -> Iterator[tuple[str, BaseLayer]]:
    """This layer and every one inside it, each once, with the path to it."""
    seen = {id(layer)}
    yield "", layer
    for path, x in _contents(layer):
        if isinstance(x, BaseLayer) and id(x) not in seen:
            seen.add(id(x))
            yield path, x


def _state(layer: BaseLayer) -> Iterator[tuple[str, tuple[object, str]]]:
    """The name of each parameter and buffer, and where its values are: (tensor, "data") or (layer, attribute)."""
    yield from ((name, (p, "data")) for name, p in _parameters(layer))
    for path, inner in _layers(layer):
        yield from ((f"{path}.{key}" if path else key, (inner, key)) for key in type(inner).buffers)


def _by_name(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a dict; ValueError if a name comes twice."""
    found = {}
    for name, x in pairs:
        if name in found:
            raise ValueError(
                f"state: two parameters are both called {name!r}, because an attribute or a key contains a dot, or because "
                "two keys look the same as text, as 1 and '1' do. Rename one of them."
            )
        found[name] = x
    return found
