"""How each library is asked for a loss and its gradients: one adapter each, and nothing else knows the libraries.

To add one: subclass `Library`, or `Functional` where a function is transformed, and put it into LIBRARIES.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from adapter import Functional, Library
from workloads import LEARNING_RATE, Arrays, Workload


class NumPy(Library):
    title, package = "NumPy by hand", "numpy"

    def prepare(self, work: Workload) -> Callable[[], tuple]:
        import handwritten

        leaves, constants = work.data()
        compute = handwritten.of(work)

        def step() -> tuple[float, Arrays]:
            loss, gradients = compute(leaves, constants)
            if work.trains:
                for p, g in zip(leaves, gradients, strict=True):
                    p -= LEARNING_RATE * g
            return loss, gradients

        return step


class Minigrad(Library):
    title, package = "minigrad", "minigrad-course"

    def __init__(self) -> None:
        import minigrad as mg

        self.Tensor = mg.Tensor
        self.relu, self.leaky_relu, self.sigmoid = mg.relu_tensor, mg.leaky_relu_tensor, mg.sigmoid_tensor
        self.exp, self.log, self.abs, self.mean = mg.tensor_exp, mg.tensor_log, mg.tensor_abs, mg.tensor_mean
        self.softmax = mg.tensor_softmax
        self.affine, self.cross_entropy = mg.fused.affine, mg.fused.binary_cross_entropy_with_logits

    def leaf(self, array: np.ndarray):
        return self.Tensor(array, requires_grad=True)

    def array(self, value) -> np.ndarray:
        return value.numpy() if isinstance(value, self.Tensor) else np.asarray(value)


class CompiledMinigrad(Minigrad):
    """The whole step, with the update in training, as one recorded program."""

    title, package, compiles = "minigrad compiled", "minigrad-course", True

    def prepare(self, work: Workload) -> Callable[[], tuple]:
        import minigrad as mg

        leaves, constants = work.data()
        leaves = [self.leaf(a) for a in leaves]
        loss, trains, this = work.loss, work.trains, self

        def once(leaves: list, constants: list) -> tuple:
            value = loss(this, leaves, constants)
            gradients = mg.grad(value, leaves)
            if trains:
                for p, g in zip(leaves, gradients, strict=True):
                    p.data -= LEARNING_RATE * g
            return value, gradients

        once = mg.compile(once)
        return lambda: once(leaves, constants)


class MyGrad(Library):
    title, package = "MyGrad", "mygrad"

    def __init__(self) -> None:
        import mygrad
        from mygrad.nnet import activations

        self.leaf = mygrad.tensor
        self.relu, self.sigmoid, self.swapaxes = activations.relu, activations.sigmoid, mygrad.swapaxes
        self.leaky_relu = lambda x: activations.leaky_relu(x, 0.01)
        self.exp, self.log, self.abs, self.mean = mygrad.exp, mygrad.log, mygrad.abs, mygrad.mean

    def clear(self, leaf) -> None:
        leaf.null_grad()


class Torch(Library):
    title, package = "PyTorch eager", "torch"

    def __init__(self) -> None:
        import torch
        from torch.nn import functional

        torch.set_num_threads(1)
        self.torch = torch
        self.relu, self.leaky_relu, self.sigmoid = torch.relu, functional.leaky_relu, torch.sigmoid
        self.exp, self.log, self.abs, self.mean = torch.exp, torch.log, torch.abs, torch.mean
        self.affine = functional.linear
        self.cross_entropy = lambda y, z: functional.binary_cross_entropy_with_logits(z, y)
        self.softmax = lambda x: torch.softmax(x, -1)

    def leaf(self, array: np.ndarray):
        return self.constant(array).requires_grad_()

    def constant(self, array: np.ndarray):
        return self.torch.from_numpy(array.copy())

    def update(self, leaf) -> None:
        with self.torch.no_grad():
            leaf.sub_(leaf.grad, alpha=LEARNING_RATE)

    def array(self, value) -> np.ndarray:
        return value.detach().numpy()


class CompiledTorch(Torch):
    """torch.compile of the loss; the backward pass is compiled with it.  It needs a C++ compiler."""

    title, package, compiles = "torch.compile", "torch", True
    only = frozenset(
        {"scalar", "elementwise", "mlp", "mlp-fused", "large-mlp", "large-mlp-fused", "broadcast", "attention"}
    )

    def prepare(self, work: Workload) -> Callable[[], tuple]:
        this, loss = self, work.loss
        compiled = self.torch.compile(lambda leaves, constants: loss(this, leaves, constants))
        return super().prepare(replace(work, loss=lambda _, leaves, constants: compiled(leaves, constants)))


class Micrograd(Library):
    title, package = "micrograd", "micrograd"
    only = frozenset({"scalar", "chain"})

    def __init__(self) -> None:
        from micrograd.engine import Value

        self.Value = Value

    def leaf(self, array: np.ndarray):
        return self.Value(float(array))

    def clear(self, leaf) -> None:
        leaf.grad = 0.0

    def array(self, value) -> np.ndarray:
        return np.asarray(value.data if isinstance(value, self.Value) else value)


class Autograd(Functional):
    title, package = "HIPS autograd", "autograd"

    def __init__(self) -> None:
        import autograd
        import autograd.numpy as np

        self.value_and_grad = autograd.value_and_grad
        self.exp, self.log, self.abs, self.mean = np.exp, np.log, np.abs, np.mean
        self.relu = lambda x: np.maximum(x, 0)
        self.leaky_relu = lambda x: np.where(x > 0, x, 0.01 * x)
        self.sigmoid = lambda x: 0.5 * np.tanh(0.5 * x) + 0.5

    def updated(self, leaves: Arrays, gradients: Arrays) -> Arrays:
        for p, g in zip(leaves, gradients, strict=True):
            p -= LEARNING_RATE * g
        return leaves


class Jax(Functional):
    """The whole step is compiled.  Long loops are written as `scan`, for compiling them unrolled takes minutes."""

    title, package, compiles = "JAX with jit", "jax", True

    def __init__(self) -> None:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        import jax

        jax.config.update("jax_enable_x64", True)
        np = jax.numpy
        self.jax, self.constant, self.value_and_grad = jax, np.asarray, jax.value_and_grad
        self.compiled, self.finished = jax.jit, jax.block_until_ready
        self.relu, self.sigmoid, self.softmax = jax.nn.relu, jax.nn.sigmoid, jax.nn.softmax
        self.leaky_relu = lambda x: np.where(x > 0, x, 0.01 * x)
        self.exp, self.log, self.abs, self.mean = np.exp, np.log, np.abs, np.mean

    def loss_of(self, work: Workload) -> Callable:
        return {"recurrent": self.recurrent, "chain": self.chain}.get(work.name, work.loss)

    def updated(self, leaves: list, gradients: list) -> list:
        return [p - LEARNING_RATE * g for p, g in zip(leaves, gradients, strict=True)]

    def recurrent(self, L, leaves, constants):
        w, u = leaves
        h, *inputs = constants
        step = lambda h, x: (self.sigmoid(h @ w + x @ u), None)  # noqa: E731
        h, _ = self.jax.lax.scan(step, h, self.jax.numpy.stack(inputs))
        return self.mean(h * h)

    def chain(self, L, leaves, constants):
        (x,) = leaves
        y, _ = self.jax.lax.scan(lambda y, _: (y + x, None), x, length=len(constants[0]))
        return y


LIBRARIES = {
    "numpy": NumPy,
    "minigrad": Minigrad,
    "compiled": CompiledMinigrad,
    "autograd": Autograd,
    "mygrad": MyGrad,
    "torch": Torch,
    "torch-compile": CompiledTorch,
    "jax": Jax,
    "micrograd": Micrograd,
}
