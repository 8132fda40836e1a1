"""`BaseLayer`: what all layers share (chapter 6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from reprlib import recursive_repr

import numpy as np

from ..interop import values
from ..tensor import Tensor


class BaseLayer:
    """A function of tensors with parameters to learn.  A subclass sets them as attributes and writes `forward`.

    Parameters are the leaves that require a gradient, found in the attributes of a layer, of the layers in its
    attributes, and of those in lists, tuples and dicts; each is named by the way to it, "layers.0.weight".

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

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, x). Write one that returns a tensor.")

    def __call__(self, *inputs: Tensor) -> Tensor:
        return self.forward(*inputs)

    # ---------------------------------------------------------------- what is in it

    def children(self) -> Iterator[tuple[str, BaseLayer]]:
        """The layers directly inside this one, with their names."""
        return ((name, x) for name, x in _attributes(vars(self)) if isinstance(x, BaseLayer))

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Each parameter once, with the name of the first way to it."""
        seen = set()
        for name, x in self._walk(""):
            if isinstance(x, Tensor) and x.requires_grad and x.node.op is None and id(x) not in seen:
                seen.add(id(x))
                yield name, x

    def parameters(self) -> list[Tensor]:
        """The parameters, in the order in which they were set."""
        return [p for _, p in self.named_parameters()]

    def _walk(self, prefix: str, within: tuple = ()) -> Iterator[tuple[str, object]]:
        """Every attribute of this layer and of the layers inside it, with the way to it."""
        for name, x in _attributes(vars(self)):
            yield prefix + name, x
            if isinstance(x, BaseLayer) and x not in (*within, self):
                yield from x._walk(f"{prefix}{name}.", (*within, self))

    # ---------------------------------------------------------------- training

    def train(self, mode: bool = True) -> BaseLayer:
        """Behave as in training, here and in every layer inside (dropout drops)."""
        self.training = mode
        for _, x in self._walk(""):
            if isinstance(x, BaseLayer):
                x.training = mode
        return self

    def eval(self) -> BaseLayer:
        """Behave as in use (dropout lets everything pass)."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
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
        """Copies of all parameters by name.  `np.savez("model.npz", **layer.state_dict())` keeps them in a file."""
        return {name: p.data.copy() for name, p in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Set all parameters from a dict, or from `np.load("model.npz")`; names and shapes must agree.

        KeyError or ValueError where they don't, before anything is changed.
        """
        own = dict(self.named_parameters())
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or unknown:
            raise KeyError(
                f"load_state_dict: missing {missing}, unknown {unknown}. The layers must be built as when it was saved."
            )
        new = {name: np.array(state[name], p.dtype) for name, p in own.items()}
        for name, p in own.items():
            if new[name].shape != p.shape:
                raise ValueError(f"load_state_dict: {name} has shape {p.shape}; the state holds {new[name].shape}.")
        for name, p in own.items():
            p.data = new[name]

    # ---------------------------------------------------------------- display

    def extra(self) -> str:
        """What stands in the parentheses of the repr."""
        return ""

    @recursive_repr("(itself)")
    def __repr__(self) -> str:
        count = sum(p.size for p in self.parameters())
        lines = [
            f"{type(self).__name__}({self.extra()})" + (f"  # {count:,} parameter{'s' * (count != 1)}" if count else "")
        ]
        for name, layer in self.children():
            lines += [f"  {name}: " + repr(layer).replace("\n", "\n  ")]
        return "\n".join(lines)


def _attributes(of: Mapping) -> Iterator[tuple[str, object]]:
    """Names and values, with lists, tuples and dicts opened: "layers.0"."""
    for name, x in of.items():
        items = x if isinstance(x, dict) else dict(enumerate(x)) if isinstance(x, (list, tuple)) else None
        if items is None:
            yield str(name), x
        else:
            yield from ((f"{name}.{inner}", y) for inner, y in _attributes(items))
