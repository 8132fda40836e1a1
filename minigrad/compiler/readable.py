"""`program`: the forward and backward pass of a function as NumPy source that people can read."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor, grad
from .messages import RecordingError
from .numpy_source import Names, Printer, array_literal
from .recording import Instruction, RecordedArray, Variable, uses_of
from .simplify import simplify
from .state import Place
from .trace import Trace, trace


class Program:
    """A function's forward and backward pass as straight-line NumPy; made by `program`.

    `source` is the text, `operations` counts its instructions, and `bytes` is the size of the intermediate results that
    the forward pass keeps for the backward pass.  Calling the program runs the source: it takes arrays of the recorded
    shapes and dtypes and returns what the source returns.  `javascript` is the same program for small arrays.

    >>> import minigrad as mg
    >>> squares = mg.program(lambda x: (x * x).sum(), np.ones(3))
    >>> squares.operations, squares.bytes
    (3, 0)
    >>> squares(np.array([1.0, 2.0, 3.0]))
    (np.float64(14.0), (array([2., 4., 6.]),))
    """

    def __init__(self, recorded: Trace, names: list[str], frozen: set[int]) -> None:
        self.result, self.gradients = recorded.outputs
        wanted = [x.value for x in (*self.result, *self.gradients)]
        self.instructions, replaced = simplify(recorded.instructions, wanted, frozen)
        self.recorded, self.replaced = recorded, replaced
        self.backward_from = self._first_backward(recorded)
        self.names: dict[Any, str] = {}
        self.unique = Names()
        self.constants: dict[str, np.ndarray] = {}
        self.inputs = [x for x, _ in recorded.inputs]
        self.generators = [x for x, _ in recorded.generators]
        for x, wish in zip(self.inputs, names, strict=False):
            self.names[x] = self.unique.new(wish)
        used = uses_of(self.instructions, map(self.final, wanted))
        self.captured = [
            (x, place)
            for x, place in [*recorded.inputs[len(names) :], *recorded.generators]
            if x in used and isinstance(place, Place)
        ]
        for x, place in self.captured:
            wish = recorded.names.get(x) or place.label
            self.names[x] = self.unique.new(wish)
        self.parameters = [self.names[x] for x in (*self.inputs[: len(names)], *(x for x, _ in self.captured))]
        self._name_all()
        self.source = self._print()
        self._run: Callable | None = None

    def final(self, x: Any) -> Any:
        """What a recorded variable became in the simplified program."""
        return self.replaced.get(x, x) if type(x) is Variable else x

    def _first_backward(self, recorded: Trace) -> int:
        if recorded.backward_from is None:
            return len(self.instructions)
        forward = {id(i.result) for i in recorded.instructions[: recorded.backward_from]}
        return next((k for k, i in enumerate(self.instructions) if id(i.result) not in forward), len(self.instructions))

    # ---------------------------------------------------------------- names

    def _name_all(self) -> None:
        single = self.final(self.result[0].value) if len(self.result) == 1 else None
        for i in self.instructions[: self.backward_from]:
            x = i.result
            if x in self.recorded.names and x not in self.names:
                self.names[x] = self.unique.new(self.recorded.names[x])
        if type(single) is Variable and single not in self.names and self.gradients:
            self.names[single] = self.unique.new("L")
        next_t = 0
        for i in self.instructions[: self.backward_from]:
            if i.result is not None and i.result not in self.names:
                self.names[i.result], next_t = self.unique.numbered("t", next_t)
        for x, gradient in zip(self._differentiated(), self.gradients, strict=True):
            g = self.final(gradient.value)
            if type(g) is Variable and g not in self.names:
                self.names[g] = self.unique.new(f"d{self.names[x]}")
        for g, x in self.recorded.gradient_of.items():
            g, x = self.final(g), self.final(x)
            if type(g) is Variable and g not in self.names and type(x) is Variable and x in self.names:
                name = self.names[x]
                self.names[g] = self.unique.new(
                    f"g{name[1:]}" if name[0] == "t" and name[1:].isdigit() else f"g_{name}"
                )
        next_d = 0
        for i in self.instructions[self.backward_from :]:
            if i.result is not None and i.result not in self.names:
                self.names[i.result], next_d = self.unique.numbered("d", next_d)

    def _differentiated(self) -> list[Variable]:
        return [x for x in self.inputs if x.value.dtype.kind == "f"][: len(self.gradients)]

    def _name(self, x: Any) -> str:
        if type(x) is Variable:
            return self.names[x]
        if id(x) not in self.names:
            self.names[id(x)] = name = self.unique.new(f"c{len(self.constants)}")
            self.constants[name] = x
        return self.names[id(x)]

    # ---------------------------------------------------------------- the text

    def _print(self) -> str:
        printer = Printer(self._name)
        body: list[str] = []
        for k, i in enumerate(self.instructions):
            if k == self.backward_from:
                body.append("# backward")
            body += printer.statement(i)

        values, gradients = ([printer.operand(self.final(r.value)) for r in x] for x in (self.result, self.gradients))
        head = values[0] if len(values) == 1 else f"({', '.join(values)})"
        if gradients:
            head += f", ({', '.join(gradients)}{',' * (len(gradients) == 1)})"
        constants = [f"{name} = {array_literal(x)}" for name, x in self.constants.items()]
        lines = [f"def program({', '.join(self.parameters)}):", *(f"    {line}" for line in body), f"    return {head}"]
        return "\n".join([*constants, *[""] * (2 * bool(constants)), *lines]) + "\n"

    def __str__(self) -> str:
        return self.source.rstrip("\n")

    def __repr__(self) -> str:
        return f"<program of {self.operations} operations>"

    # ---------------------------------------------------------------- what it does and costs

    @property
    def operations(self) -> int:
        """The number of instructions."""
        return len(self.instructions)

    @property
    def bytes(self) -> int:
        """The size of the intermediate results that the forward pass keeps for the backward pass, in bytes."""
        made: dict[Variable, Instruction] = {i.result: i for i in self.instructions[: self.backward_from] if i.result}
        later = uses_of(self.instructions[self.backward_from :])
        return sum({x.base or x: x.value.nbytes for x in later if x in made}.values())

    def __call__(self, *args):
        """Run the source on arrays, tensors or numbers of the recorded shapes."""
        count = len(self.parameters) - len(self.captured)
        if len(args) != count:
            raise TypeError(f"program: {len(args)} arguments for {self.parameters[:count]}. Give one for each.")
        values = []
        for x, name, variable in zip(args, self.parameters, self.inputs, strict=False):
            array = np.asarray(x.value if isinstance(x, Tensor) else x, variable.value.dtype)
            if array.shape != variable.value.shape:
                raise ValueError(
                    f"program: {name} of shape {array.shape}; it was recorded for shape {variable.value.shape}. "
                    "Record another program for other shapes."
                )
            values.append(array if array.ndim else array[()])
        if self._run is None:
            namespace: dict[str, Any] = {"np": np}
            exec(compile(self.source, "<program>", "exec"), namespace)
            self._run = namespace["program"]
        return self._run(*values, *self.captured_values())

    def captured_values(self) -> list:
        """What the function uses besides its arguments, as it is now: the last parameters of the source."""
        values = [place.read() for _, place in self.captured]
        return [x[()] if isinstance(x, np.ndarray) and not x.ndim else x for x in values]

    @property
    def javascript(self) -> str:
        """The same program as a JavaScript function of nested arrays, for small arrays."""
        from .javascript import javascript

        return javascript(self)


def program(f: Callable, *examples: Any) -> Program:
    """Record `f` and its derivatives for arguments like `examples` as one straight-line program (a `Program`).

    `f` is called with tensors made from the examples: arrays, tensors and numbers.  Where it returns a tensor of one
    element, the program computes it and its gradients with respect to all floating-point arguments, and returns
    `(value, gradients)`; else it returns what `f` returns.  Derivatives of higher order may be part of `f`
    (`minigrad.grad` with create_graph=True).  Tensors and arrays that `f` uses besides its arguments become further
    parameters of the source, read from where `f` finds them when the program is called.

    RecordingError (a RuntimeError) if `f` asks for a tensor's value, to decide something for example.

    >>> print(program(lambda x, y: (2 * x + x * y) ** 2, 3.0, 4.0))
    def program(x, y):
        t0 = 2 * x
        t1 = x * y
        t2 = t0 + t1
        L = t2 ** 2
        # backward
        g2 = t2 + t2
        d0 = g2 * y
        dy = g2 * x
        d1 = g2 * 2
        dx = d0 + d1
        return L, (dx, dy)
    """
    arrays = [_example(x) for x in examples]
    marks: list[int] = []

    def forward_and_backward(*xs):
        tensors = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in xs]
        for t, x, example in zip(tensors, xs, examples, strict=True):
            t.value = x  # not a copy: the argument itself
            if getattr(example, "name", None):
                t.name = example.name
        y = f(*tensors)
        several = isinstance(y, (tuple, list))
        outputs = [x.value if isinstance(x, Tensor) else x for x in (y if several else [y])]
        if not all(isinstance(x, (np.ndarray, np.generic)) for x in outputs):
            raise RecordingError(f"program: f returned {type(y).__name__}. Return a tensor or an array, or several.")
        leaves = [t for t in tensors if t.requires_grad]
        differentiable = isinstance(y, Tensor) and y.requires_grad and y.size == 1 and leaves
        recording = next((x.recording for x in xs if type(x) is RecordedArray), None)
        marks.append(len(recording.instructions) if recording else 0)
        return outputs, grad(y, leaves) if differentiable else []

    recorded, state, _ = trace(forward_and_backward, arrays, lambda xs: xs, [f])
    recorded.backward_from = marks[-1]
    return Program(recorded, _parameter_names(f, examples), set(map(id, state.frozen)))


def _example(x: Any) -> np.ndarray:
    array = np.asarray(x.value if isinstance(x, Tensor) else x)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"program: an example of type {type(x).__name__}. Give tensors, arrays or numbers.")
    return array if isinstance(x, (Tensor, np.ndarray, np.generic)) or array.dtype.kind != "i" else array.astype(float)


def _parameter_names(f: Callable, examples: tuple) -> list[str]:
    try:
        signature = inspect.signature(f)
        bound = signature.bind(*examples).arguments
    except (TypeError, ValueError):
        return [f"x{i}" for i in range(len(examples))]
    names: list[str] = []
    for name, value in bound.items():
        several = signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
        names += [f"{name}{i}" for i in range(len(value))] if several else [name]
    return [getattr(x, "name", None) or name for x, name in zip(examples, names, strict=True)]
