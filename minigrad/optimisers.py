"""Optimisers: `Optimiser.step` applies an update rule (updates.py) to every parameter; schedules change the learning rate.

optimiser = SGD(model.parameters(), learning_rate=0.1, momentum=0.9)
for x, y in batches:
    loss = mean_squared_error(y, model(x))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from math import cos, inf, nan, pi
from typing import Any, ClassVar

import numpy as np

from .interop import values
from .primitive import STAND_INS, as_array, violated
from .states import names_in, read_state
from .tensor import Tensor
from .updates import adam_update, adamw_update, sgd_update

__all__ = ["Adam", "AdamW", "CosineSchedule", "Optimiser", "SGD", "Schedule", "StepSchedule"]
__all__ += ["adam_update", "adamw_update", "clip_gradients", "sgd_update"]


# ---------------------------------------------------------------- optimisers


class Optimiser:
    """What all optimisers share.  A subclass names its `arrays`, the state of each parameter, and writes `update`.

    `parameters` are leaves, each once: `model.parameters()`.  Frozen ones are allowed, and skipped while they are frozen.
    TypeError or ValueError for anything else.

    >>> class SignDescent(Optimiser):
    ...     def update(self, p, g, state, t):
    ...         return p - self.learning_rate * np.sign(g), state
    >>> w = Tensor([3.0, -4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> SignDescent([w], learning_rate=0.5).step()
    >>> w.data
    array([ 2.5, -3.5])
    """

    arrays: tuple[str, ...] = ()  # names of the state's arrays, each of the parameter's shape, starting at 0

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float) -> None:
        self.parameters = _checked_parameters(type(self).__name__, parameters)
        self.learning_rate = learning_rate
        self.states: list[Sequence] = [() for _ in self.parameters]  # () until a parameter's first step
        self.steps = [0 for _ in self.parameters]

    @property
    def learning_rate(self) -> float:
        """η, the size of a step; it can be set at any time."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, new: float) -> None:
        self._learning_rate = _checked(type(self).__name__, "learning_rate", new)

    def update(self, p: np.ndarray, g: np.ndarray, state: tuple, t: int) -> tuple[np.ndarray, tuple]:
        """The new value of a parameter and its new state, at its step number t."""
        raise NotImplementedError(f"{type(self).__name__} has no update(self, p, g, state, t).")

    def step(self) -> None:
        """Change every parameter by its gradient, in place and in its own dtype (float16 is computed in float32).

        Frozen parameters and those without a gradient stay.  RuntimeError if no parameter has a gradient.
        """
        trained = [i for i, p in enumerate(self.parameters) if p.requires_grad]
        moved = [i for i in trained if self.parameters[i].grad is not None]
        if trained and not moved:
            raise RuntimeError(
                f"{type(self).__name__}.step: no parameter has a gradient. Call backward() on a loss computed from them first."
            )
        for i in moved:
            p = self.parameters[i]
            dtype = np.promote_types(p.dtype, np.float32)
            state: list | Any = self.states[i] or [np.zeros(p.shape, dtype) for _ in self.arrays]
            value, g = p.data.astype(dtype, copy=False), values(p.grad).astype(dtype, copy=False)
            p.data[...], new = self.update(value, g, tuple(state), self.steps[i] + 1)
            if state:
                state[:] = new  # the same list at each step, so that a compiled step finds its arrays again
                self.states[i] = state
            self.steps[i] += 1

    def zero_grad(self) -> None:
        """Reset the gradients of all parameters to None."""
        for p in self.parameters:
            if p.requires_grad:
                p.zero_grad()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of the learning rate, and of each parameter's steps and arrays: "0.steps", "0.velocity".

        Names begin with the parameter's place in the list.  `np.savez("optimiser.npz", **optimiser.state_dict())` keeps them.
        """
        state = {"learning_rate": np.array(self.learning_rate)}
        for i, (steps, arrays) in enumerate(zip(self.steps, self.states, strict=True)):
            state[f"{i}.steps"] = np.array(steps)
            state |= {f"{i}.{name}": np.array(x) for name, x in zip(self.arrays, arrays, strict=False)}
        return state

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a dict, or from `np.load("optimiser.npz")`, of an optimiser of this kind for parameters of these shapes.

        TypeError for a path or an array, KeyError where the names differ, ValueError where shapes do: each before anything
        is changed.  The other hyperparameters stay as they were given.
        """
        caller, found = f"{type(self).__name__}.load_state_dict", set(names_in(state, "load_state_dict"))
        names = ["learning_rate"]
        for i in range(len(self.parameters)):
            own = [f"{i}.{name}" for name in self.arrays]
            names += [f"{i}.steps", *(own if found & set(own) else ())]  # no arrays before the first step
        new = read_state(state, caller, names)
        rate = _checked(caller, "learning_rate", new["learning_rate"][()])
        steps: list[int] = []
        states: list[Sequence] = []
        for i, p in enumerate(self.parameters):
            count = new[f"{i}.steps"]
            if count.ndim or count.dtype.kind not in "iu" or count < 0:
                raise ValueError(
                    f"{caller}: {i}.steps is {count!r}; it must be one whole number. Save the state again."
                )
            names = [f"{i}.{name}" for name in self.arrays if f"{i}.{name}" in new]
            for name in names:
                if new[name].shape != p.shape:
                    raise ValueError(
                        f"{caller}: {name} has shape {new[name].shape}, parameter {i} {p.shape}. "
                        "Give the parameters in the order in which they were when the state was saved."
                    )
            if count and len(names) < len(self.arrays):
                raise KeyError(f"{caller}: {self.arrays} of parameter {i} are missing, which has made {count} steps.")
            dtype = np.promote_types(p.dtype, np.float32)
            steps.append(int(count))
            states.append([np.array(new[name], dtype) for name in names] or ())
        self.learning_rate, self.steps, self.states = rate, steps, states

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name.lstrip('_')}={x}" for name, x in vars(self).items() if isinstance(x, (int, float)))
        return f"{type(self).__name__}({len(self.parameters)} parameters, {numbers})"


class SGD(Optimiser):
    """Stochastic gradient descent, with momentum, Nesterov's or the plain one, and weight decay (see `sgd_update`).

    >>> w = Tensor([1.0], requires_grad=True)
    >>> optimiser = SGD([w], learning_rate=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimiser.zero_grad()
    ...     (2.0 * w).sum().backward()
    ...     optimiser.step()  # v = 2, then 0.9 · 2 + 2 = 3.8
    >>> w.data.round(6)
    array([0.42])
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        learning_rate: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.momentum = _checked("SGD", "momentum", momentum, below=1)
        self.nesterov = bool(nesterov)
        self.weight_decay = _checked("SGD", "weight_decay", weight_decay)
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov=True with momentum 0 changes nothing. Give a momentum, 0.9 say.")
        self.arrays = ("velocity",) if momentum else ()

    def update(self, p: np.ndarray, g: np.ndarray, state: tuple, t: int) -> tuple[np.ndarray, tuple]:
        return sgd_update(p, g, state, self.learning_rate, self.momentum, self.nesterov, self.weight_decay)


class Adam(Optimiser):
    """Adam: each element's step is its average gradient over its root mean square gradient (see `adam_update`).

    >>> w = Tensor([1.0, 1.0], requires_grad=True)
    >>> optimiser = Adam([w], learning_rate=0.1)
    >>> (w * [1.0, -1000.0]).sum().backward()
    >>> optimiser.step()
    >>> w.data.round(6)  # gradients of any size make first steps of one size
    array([0.9, 1.1])
    """

    arrays = ("mean", "mean_square")
    rule: ClassVar[Callable] = staticmethod(adam_update)

    def __init__(
        self,
        parameters: Iterable[Tensor],
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, learning_rate)
        kind = type(self).__name__
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(f"{kind}: betas = {betas!r}; give two numbers, (0.9, 0.999) say.")
        self.beta1, self.beta2 = (_checked(kind, "betas", beta, below=1) for beta in betas)
        self.eps = _checked(kind, "eps", eps)
        self.weight_decay = _checked(kind, "weight_decay", weight_decay)

    def update(self, p: np.ndarray, g: np.ndarray, state: tuple, t: int) -> tuple[np.ndarray, tuple]:
        return self.rule(p, g, state, t, self.learning_rate, self.beta1, self.beta2, self.eps, self.weight_decay)


class AdamW(Adam):
    """Adam with decoupled weight decay (see `adamw_update`).

    >>> w = Tensor([1.0], requires_grad=True)
    >>> optimiser = AdamW([w], learning_rate=0.1, weight_decay=0.5)
    >>> (0.0 * w).sum().backward()
    >>> optimiser.step()
    >>> w.data
    array([0.95])
    """

    rule: ClassVar[Callable] = staticmethod(adamw_update)

    def __init__(
        self,
        parameters: Iterable[Tensor],
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, learning_rate, betas, eps, weight_decay)


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by one factor so that their norm, √Σ g² over all parameters, is at most `max_norm`; return the norm before.

    Gradients below it stay as they are; parameters without a gradient count as 0 (Pascanu, Mikolov & Bengio 2013).
    FloatingPointError if the norm is infinite or NaN, which no factor repairs; then nothing is changed.  ValueError for a
    `max_norm` that is not positive.

    >>> w = Tensor([0.0, 0.0], requires_grad=True)
    >>> (w * [30.0, 40.0]).sum().backward()
    >>> clip_gradients([w], max_norm=1.0)
    50.0
    >>> w.grad
    array([0.6, 0.8])
    """
    parameters = _checked_parameters("clip_gradients", parameters)
    if max_norm != inf:  # which only asks for the norm
        _checked("clip_gradients", "max_norm", max_norm, positive=True)
    moved = [(p, p.grad) for p in parameters if p.requires_grad and p.grad is not None]
    gradients = [as_array(values(g), np.float64) for _, g in moved]
    for i, g in enumerate(gradients):
        if violated(~np.all(np.isfinite(g))):
            raise FloatingPointError(
                f"clip_gradients: the gradient of shape {g.shape} ({i + 1} of {len(moved)}) has infinite or NaN elements. "
                "Lower the learning rate, or find where they come from with minigrad.debug()."
            )
    largest = reduce(np.maximum, (np.max(np.abs(g), initial=0) for g in gradients), np.float64(0))
    scale = np.where(largest > 0, largest, 1.0)  # no square of a scaled gradient overflows
    norm = scale * np.sqrt(sum(np.sum((g / scale) ** 2) for g in gradients))
    recorded = type(norm) in STAND_INS  # then whether the norm is too large is decided at each call
    if max_norm != inf and (recorded or norm > max_norm):
        factor = max_norm / np.maximum(norm, max_norm)
        for p, before in moved:
            p.grad = before * factor.astype(before.dtype)
    return norm if recorded else float(norm)


# ---------------------------------------------------------------- schedules


class Schedule:
    """What all schedules share: `step()`, after every step of the optimiser or every epoch, sets its learning rate.

    A subclass writes `rate(t)`.  TypeError if `optimiser` is none.

    >>> class Halving(Schedule):
    ...     def rate(self, t):
    ...         return self.initial / 2**t
    >>> optimiser = SGD([Tensor(1.0, requires_grad=True)], learning_rate=1.0)
    >>> schedule = Halving(optimiser)
    >>> schedule.step()
    >>> optimiser.learning_rate
    0.5
    """

    def __init__(self, optimiser: Optimiser) -> None:
        if not isinstance(optimiser, Optimiser):
            raise TypeError(f"{type(self).__name__}: got {type(optimiser).__name__}; give the optimiser.")
        self.optimiser, self.initial, self.count = optimiser, optimiser.learning_rate, 0

    def rate(self, t: int) -> float:
        """The learning rate after t steps."""
        raise NotImplementedError(f"{type(self).__name__} has no rate(self, t).")

    def step(self) -> None:
        """Count one step, and set the optimiser's learning rate."""
        self.count += 1
        self.optimiser.learning_rate = self.rate(self.count)

    def state_dict(self) -> dict[str, np.ndarray]:
        """The number of steps and the initial learning rate, as arrays that a file can hold."""
        return {"count": np.array(self.count), "initial": np.array(self.initial)}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a saved state, and set the optimiser's learning rate."""
        new = read_state(state, f"{type(self).__name__}.load_state_dict", ["count", "initial"])
        self.count, self.initial = int(new["count"]), float(new["initial"])
        self.optimiser.learning_rate = self.rate(self.count)


class StepSchedule(Schedule):
    """The initial learning rate, multiplied by `factor` after every `every` steps.

    >>> optimiser = SGD([Tensor(1.0, requires_grad=True)], learning_rate=1.0)
    >>> schedule = StepSchedule(optimiser, every=2, factor=0.1)
    >>> for _ in range(4):
    ...     schedule.step()
    ...     print(round(optimiser.learning_rate, 6))
    1.0
    0.1
    0.1
    0.01
    """

    def __init__(self, optimiser: Optimiser, every: int, factor: float = 0.1) -> None:
        super().__init__(optimiser)
        self.every = _checked_count("StepSchedule", "every", every)
        self.factor = _checked("StepSchedule", "factor", factor, positive=True)

    def rate(self, t: int) -> float:
        return self.initial * self.factor ** (t // self.every)


class CosineSchedule(Schedule):
    """Half a cosine from the initial learning rate down to `final` in `steps` steps; afterwards it stays there.

    η = final + (initial − final) (1 + cos(π t / steps)) / 2 (Loshchilov & Hutter 2017, without restarts).

    >>> optimiser = SGD([Tensor(1.0, requires_grad=True)], learning_rate=1.0)
    >>> schedule = CosineSchedule(optimiser, steps=4)
    >>> for _ in range(5):
    ...     schedule.step()
    ...     print(round(optimiser.learning_rate, 6))
    0.853553
    0.5
    0.146447
    0.0
    0.0
    """

    def __init__(self, optimiser: Optimiser, steps: int, final: float = 0.0) -> None:
        super().__init__(optimiser)
        self.steps = _checked_count("CosineSchedule", "steps", steps)
        self.final = _checked("CosineSchedule", "final", final)

    def rate(self, t: int) -> float:
        return self.final + (self.initial - self.final) * (1 + cos(pi * min(t, self.steps) / self.steps)) / 2


# ---------------------------------------------------------------- what is accepted


def _checked(name: str, what: str, value, below: float = inf, positive: bool = False) -> float:
    """`value` as a float; ValueError unless it is a number from 0 (or above 0 if `positive`) to less than `below`."""
    try:
        number = nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        number = nan
    if not 0 <= number < below or (positive and not number):
        upper = f" and less than {below}" if below < inf else ", finite"
        raise ValueError(f"{name}: {what} = {value!r}; give a number {'above' if positive else 'at least'} 0{upper}.")
    return number


def _checked_count(name: str, what: str, value: int) -> int:
    """`value` as an int; ValueError unless it is a whole number, at least 1."""
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}: {what} = {value!r}; give a whole number, at least 1.")
    return int(value)


def _checked_parameters(name: str, parameters: Iterable[Tensor]) -> list[Tensor]:
    """The parameters as a list; an error if they are anything but leaves, each once."""
    if hasattr(parameters, "parameters"):
        raise TypeError(f"{name}: got the layer {type(parameters).__name__} itself. Give layer.parameters().")
    if isinstance(parameters, (Tensor, np.ndarray)) or not isinstance(parameters, Iterable):
        raise TypeError(
            f"{name}: got {type(parameters).__name__}. Give a list of parameters, such as model.parameters()."
        )
    parameters, seen = list(parameters), set()
    if not parameters:
        raise ValueError(f"{name}: no parameters. Give model.parameters(); a generator can be read only once.")
    for i, p in enumerate(parameters):
        if not isinstance(p, Tensor):
            hint = " Of named_parameters() give the tensors alone: parameters()." if isinstance(p, tuple) else ""
            raise TypeError(f"{name}: number {i} is {type(p).__name__}, not a tensor.{hint}")
        if p.node is not None and p.node.op is not None:
            raise ValueError(
                f"{name}: number {i}, of shape {p.shape}, was computed by {p.node.op.name}. Give the leaves it came from."
            )
        if p.node is None and not getattr(p, "frozen", False):
            raise ValueError(
                f"{name}: number {i}, of shape {p.shape}, is a constant. Make it with requires_grad=True to learn it."
            )
        if id(p) in seen:
            raise ValueError(
                f"{name}: number {i}, of shape {p.shape}, is given twice, and would make two steps. Give each once."
            )
        seen.add(id(p))
    return parameters
