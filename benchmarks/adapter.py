"""What a library has to answer before it can be measured: `Library`, and `Functional` for those that transform functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from workloads import LEARNING_RATE, Workload


class Library:
    """A library with leaves, `loss.backward()` and `.grad`, that computes on NumPy arrays.  Override what differs.

    The operations of the workloads are attributes: functions of the library itself, so that nothing of ours stands
    in between.
    """

    title: str
    package: str  # as it is called where packages come from
    compiles = False  # whether the first step is slower because it compiles
    only: frozenset[str] | None = None  # the workloads that it can do, where it can't do all

    def prepare(self, work: Workload) -> Callable[[], tuple]:
        """A function that goes one step: forward, backward and, in training, the update.  -> (loss, gradients)"""
        leaves, constants = work.data()
        leaves = [self.leaf(a) for a in leaves]
        constants = [self.constant(a) for a in constants]

        def step() -> tuple:
            for p in leaves:
                self.clear(p)
            loss = work.loss(self, leaves, constants)
            loss.backward()
            if work.trains:
                for p in leaves:
                    self.update(p)
            return loss, [p.grad for p in leaves]

        return step

    def leaf(self, array: np.ndarray):
        raise NotImplementedError

    def constant(self, array: np.ndarray):
        return array

    def clear(self, leaf) -> None:
        leaf.grad = None

    def update(self, leaf) -> None:
        leaf.data -= LEARNING_RATE * leaf.grad

    def array(self, value) -> np.ndarray:
        """A loss or a gradient, as an array."""
        return np.asarray(value)

    def swapaxes(self, x, a: int, b: int):
        return x.swapaxes(a, b)

    def softmax(self, x):
        e = self.exp(x)
        return e / e.sum(axis=-1, keepdims=True)

    def affine(self, x, w, b):
        return x @ w.T + b

    def cross_entropy(self, y, z):
        return self.mean(self.relu(z) - z * y + self.log(self.exp(-self.abs(z)) + 1.0))


class Functional(Library):
    """A library that turns a function into the function of its value and gradients."""

    def prepare(self, work: Workload) -> Callable[[], tuple]:
        leaves, constants = work.data()
        constants = [self.constant(a) for a in constants]
        loss = self.loss_of(work)
        differentiated = self.value_and_grad(lambda leaves, constants: loss(self, leaves, constants))

        def once(leaves: list, constants: list) -> tuple:
            value, gradients = differentiated(leaves, constants)
            return value, gradients, self.updated(leaves, gradients) if work.trains else leaves

        once = self.compiled(once)
        leaves = [self.constant(a) for a in leaves]

        def step() -> tuple:
            nonlocal leaves
            value, gradients, leaves = self.finished(once(leaves, constants))
            return value, gradients

        return step

    def loss_of(self, work: Workload) -> Callable:
        """The workload's loss, or the same as this library wants it written."""
        return work.loss

    def value_and_grad(self, loss: Callable) -> Callable:
        raise NotImplementedError

    def updated(self, leaves: list, gradients: list) -> list:
        raise NotImplementedError

    def compiled(self, step: Callable) -> Callable:
        return step

    def finished(self, results: tuple) -> tuple:
        """The results, once they are there."""
        return results
