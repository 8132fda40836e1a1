"""Tracing: run a function on stand-ins, and find what a program of it needs, returns and changes.

The arguments' arrays and all state (see `state.py`) are replaced by recorded arrays while the function runs, and put
back afterwards.  The function is run twice.  If the two recordings differ, it draws random numbers or reads a state that
tracing cannot see, and a program of it would freeze them: that is an error.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from threading import RLock
from typing import Any, NamedTuple

import numpy as np

from ..context import Observer, observing
from ..tensor import Tensor
from .messages import RecordingError, not_recorded
from .recording import Instruction, RecordedArray, Recording, Variable, tree_map
from .state import GENERATORS, GONE, NUMBERS, Place, Ran, State, key_of

ONE_AT_A_TIME = RLock()  # while a function is recorded, its state holds stand-ins


class Argument(NamedTuple):
    """An input that comes from the call: the position among the flattened arguments."""

    position: int


class Result(NamedTuple):
    """A returned array or number, or tensor if `tensor`; `array` is false for a number, as sums of arrays are."""

    value: Any
    tensor: bool
    array: bool


class SameTensor(NamedTuple):
    """A tensor that was an argument (its position) or state (the tensor) and is returned as it is."""

    which: int | Tensor


class Effect(NamedTuple):
    """A place that the function changes: in place, or by storing another value there."""

    place: Place | tuple[int, str]  # of an argument the position, and "value", "grad" or, if it is an array, "array"
    in_place: bool
    value: Any
    number: bool


class StateGrew(Exception):
    """The function created state when it was recorded, so this call is carried out without a program."""


class Trace:
    """What one run of a function did."""

    def __init__(self) -> None:
        self.recording = Recording()
        self.inputs: list[tuple[Variable, Any]] = []  # with an Argument or a Place
        self.generators: list[tuple[Variable, Any]] = []  # the same
        self.without_gradient: list = []  # where a leaf's gradient was None; a Place or (position, "grad")
        self.outputs: Any = None
        self.effects: list[Effect] = []
        self.names: dict[Variable, str] = {}
        self.gradient_of: dict[Variable, Variable] = {}
        self.foreign: dict[int, Tensor] = {}  # tensors that the function used and that hold no stand-in
        self.backward_from: int | None = None
        self.ran: Ran | None = None  # the code that ran, if the recording watched

    @property
    def instructions(self) -> list[Instruction]:
        return self.recording.instructions

    def fingerprint(self) -> list:
        """The instructions with variables numbered and constants by content: equal for equal programs."""
        numbers: dict[Variable, int] = {}

        def name(x: Any) -> Any:
            if type(x) is Variable:
                return ("variable", numbers.setdefault(x, len(numbers)))
            if isinstance(x, (np.ndarray, np.generic)):
                return (x.shape, x.dtype.str, x.tobytes())
            return repr(x)

        return [
            (i.kind, str(i.target), tree_map(name, i.args), tree_map(name, i.kwargs), name(i.result))
            for i in self.instructions
        ]

    def constants(self) -> dict[int, np.ndarray]:
        """The arrays among the instructions' arguments, by id."""
        found: dict[int, np.ndarray] = {}
        for i in self.instructions:
            tree_map(lambda x: found.update({id(x): x}) if isinstance(x, np.ndarray) else None, (i.args, i.kwargs))
        return found


class RecordedGenerator:
    """Stands for a random generator: every draw becomes an instruction, carried out at each call of the program."""

    def __init__(self, recording: Recording, generator: Any) -> None:
        self.recording, self.generator = recording, Variable(copy.deepcopy(generator))

    def __getattr__(self, method: str) -> Callable:
        if method.startswith("_"):
            raise AttributeError(method)
        if method in ("bit_generator", "spawn", "shuffle", "seed", "get_state", "set_state"):
            raise not_recorded(
                f".{method} of a random generator", "Draw numbers from it alone; permutation(x) shuffles."
            )

        def draw(*args, **kwargs):
            return self.recording.apply("draw", method, (self.generator, *args), kwargs)

        return draw


class _Names(Observer):
    """Keeps the names of tensors, and whose gradient each gradient is."""

    def __init__(self, trace: Trace) -> None:
        self.trace, self.results, self.variables = trace, [], {}

    def computed(self, op, operands, result) -> None:
        for x in operands:
            if isinstance(x, Tensor) and type(x.value) is not RecordedArray:
                self.trace.foreign[id(x)] = x
        if type(result.value) is RecordedArray:
            self.results.append(result)
            if result.node is not None:
                self.variables[result.node] = result.value.variable

    def contributed(self, node, position, g, contribution) -> None:
        g = g.value if isinstance(g, Tensor) else g
        if type(g) is RecordedArray and node in self.variables:
            self.trace.gradient_of.setdefault(g.variable, self.variables[node])

    def finish(self) -> None:
        for t in self.results:
            if t.name and type(t.value) is RecordedArray:
                self.trace.names.setdefault(t.value.variable, t.name)


def run(f: Callable, leaves: list, rebuild: Callable, state: State, dynamic: set[tuple], watch: bool = False) -> Trace:
    """One recording of `f`; everything is as before when it returns.  To `watch` what code runs takes half as long again."""
    trace = Trace()
    trace.ran = Ran() if watch else None
    recording = trace.recording
    swapped: list[tuple] = []  # place, stand-in, where it comes from, the stand-in's variable

    def swap(place: Place, source: Any) -> None:
        value = place.value
        if isinstance(value, GENERATORS):
            stand_in = RecordedGenerator(recording, value)
            trace.generators.append((stand_in.generator, place))
        else:
            stand_in = recording.input(value)
            trace.inputs.append((stand_in.variable, source))
        swapped.append((place, stand_in, source, getattr(stand_in, "variable", None)))
        place.write(stand_in)

    tensors = {id(x): x for x in leaves if isinstance(x, Tensor)} | state.tensors
    position_of = {id(x): i for i, x in enumerate(leaves) if isinstance(x, Tensor) and id(x) not in state.tensors}
    arguments, gradients = [], []
    observer = _Names(trace)
    with ONE_AT_A_TIME:
        kept = [
            (x, x.value, x.node, x.node.grad if x.node is not None and x.node.op is None else None)
            for x in tensors.values()
        ]
        try:
            for i, x in enumerate(leaves):
                if isinstance(x, Tensor):
                    arguments.append(x)
                elif isinstance(x, GENERATORS):
                    arguments.append(RecordedGenerator(recording, x))
                    trace.generators.append((arguments[-1].generator, Argument(i)))
                else:
                    arguments.append(recording.input(x))
                    trace.inputs.append((arguments[-1].variable, Argument(i)))
            for key, x in tensors.items():
                place = Place(x, "value", "attribute")
                swap(place, Argument(position_of[key]) if key in position_of else place)
                if x.name:
                    trace.names[swapped[-1][3]] = x.name
                if x.node is not None and x.node.op is None:
                    place = Place(x, "node.grad", "attribute")
                    source = (position_of[key], "grad") if key in position_of else place
                    gradients.append((place, key))
                    if isinstance(place.value, (np.ndarray, np.generic)):
                        swap(place, source)
                    else:
                        trace.without_gradient.append(source)
            for place in (*state.inputs(), *state.generators, *(p for p in state.constants if key_of(p) in dynamic)):
                swap(place, place)
            given = [x.variable if type(x) is RecordedArray else None for x in arguments]
            with observing(observer):
                returned = _call(f, rebuild(arguments), swapped, state, trace.ran)
            observer.finish()
            if any(x.node is not node for x, _, node, _ in kept):
                raise RecordingError(
                    "compile: the function sets requires_grad of a tensor that is kept outside. Freeze before the call."
                )
            trace.outputs = _outputs(returned, tensors, position_of)
            for i, x in enumerate(arguments):
                if type(x) is RecordedArray and x.variable is not given[i]:
                    trace.effects.append(Effect((i, "array"), True, x.variable, False))
            state.check_masks()
            _find_effects(trace, swapped, gradients, position_of, state, dynamic)
            _refuse_new_state(state)
        finally:
            recording.close()
            for x, value, node, grad in kept:
                x.value, x.node = value, node
                if x.node is not None and x.node.op is None:
                    x.node.grad = grad
            state.restore()
    return trace


def _call(f: Callable, arguments: tuple, swapped: list, state: State, ran: Ran | None) -> Any:
    """What `f` returns.  An array of its state that it uses as a mask becomes a constant: the mask's sum is a size."""
    RecordingError.raised.clear()
    try:
        with ran or nullcontext():
            returned = f(*arguments)
    except Exception:
        if not RecordingError.raised:  # NumPy makes another error of it, and a function may catch it
            raise
    if not RecordingError.raised:
        return returned
    error = RecordingError.raised[0]
    for place, stand_in, _, variable in swapped:
        if error.variable is not None and error.variable is variable is stand_in.bound and place in state.arrays:
            state.masks[key_of(place)] = place.value.copy()
            raise _Again
    raise error


def _outputs(x: Any, tensors: dict, position_of: dict) -> Any:
    """The structure that was returned, with a Result or SameTensor in place of each array and tensor."""
    if isinstance(x, Tensor):
        if id(x) in tensors:
            return SameTensor(position_of.get(id(x), x))
        return Result(x.value.variable if type(x.value) is RecordedArray else x.value, True, True)
    if type(x) is RecordedArray:
        return Result(x.variable, False, x.is_array)
    if isinstance(x, (np.ndarray, np.generic)):
        return Result(x, False, isinstance(x, np.ndarray))
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(_outputs(item, tensors, position_of) for item in x))
    if type(x) in (tuple, list):
        return type(x)([_outputs(item, tensors, position_of) for item in x])
    if type(x) is dict:
        return {key: _outputs(item, tensors, position_of) for key, item in x.items()}
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    raise RecordingError(
        f"compile: the function returned {type(x).__name__}. Return tensors, arrays, numbers, strings, None, or "
        "tuples, lists and dicts of these."
    )


def _find_effects(trace, swapped, gradients, position_of, state, dynamic) -> None:
    replaced = {key_of(entry[0]) for entry in swapped}

    def value_of(x: Any, place: Place) -> Any:
        if type(x) is RecordedArray:
            return x.variable
        if x is None or isinstance(x, (bool, int, float, str, np.ndarray, np.generic)):
            return x
        raise RecordingError(
            f"compile: the function stores {type(x).__name__} in {place.key!r} while it is recorded. It may store arrays "
            "and numbers; return everything else."
        )

    for place, stand_in, source, variable in swapped:
        now = place.read()
        if isinstance(stand_in, RecordedGenerator):
            if now is not stand_in:
                raise RecordingError("compile: the function replaces a random generator. Create it outside.")
            continue
        target = (source.position, "value") if isinstance(source, Argument) else source
        number = not isinstance(place.value, (np.ndarray, np.generic))
        if type(now) is RecordedArray and now is not stand_in and now.bound is variable:
            continue  # the same number as an array
        if now is not stand_in:
            trace.effects.append(Effect(target, False, value_of(now, place), number))
        elif stand_in.variable is not variable:
            in_place = isinstance(place.value, np.ndarray)
            trace.effects.append(Effect(target, in_place, stand_in.variable, number))
    for place, key in gradients:
        now = place.read()
        if key_of(place) not in replaced and now is not place.value:
            target = (position_of[key], "grad") if key in position_of else place
            if isinstance(now, Tensor):
                raise RecordingError("compile: backward(create_graph=True) leaves graphs in .grad. Use minigrad.grad.")
            trace.effects.append(Effect(target, False, value_of(now, place), False))
    for place in state.constants:
        if key_of(place) in replaced:
            continue
        try:
            now = place.read()
        except GONE:
            raise StateGrew from None
        if now is place.value or type(now) is type(place.value) is not Tensor and _equal(now, place.value):
            continue
        was = type(place.value)
        if was in NUMBERS and (type(now) is was or (type(now) is RecordedArray and was not in (int, float))):
            dynamic.add(key_of(place))
            raise _Again
        if type(now) is RecordedArray:
            trace.effects.append(Effect(place, False, now.variable, False))
        elif isinstance(now, (bool, int, float, str, type(None))):
            trace.effects.append(Effect(place, False, now, False))
        else:
            raise StateGrew


def _equal(a: Any, b: Any) -> bool:
    return isinstance(a, (int, float, str, bool, bytes)) and a == b


def _refuse_new_state(state: State) -> None:
    for container, items in state.containers:
        if len(container) != len(items):
            raise StateGrew


class _Again(Exception):
    """The function has to be recorded anew: a number in its state changes at each call, or a mask has to be constant."""


def trace(
    f: Callable, leaves: list, rebuild: Callable, roots: list, varying: Iterable[tuple] = ()
) -> tuple[Trace, State, list[str]]:
    """Record `f`; the trace, the state, and the conditions under which the program holds.

    The numbers at the places `varying` (see `key_of`) are inputs, as are those that `f` changes.
    """
    with ONE_AT_A_TIME:
        return _trace(f, leaves, rebuild, roots, set(varying))


def _trace(f: Callable, leaves: list, rebuild: Callable, roots: list, dynamic: set[tuple]) -> tuple:
    extra: dict[int, Tensor] = {}
    masks: dict[tuple, np.ndarray] = {}
    for _ in range(20):
        state = State(roots)
        state.tensors |= extra
        state.masks = masks
        try:
            first, second = (run(f, leaves, rebuild, state, dynamic, watch) for watch in (False, True))
        except _Again:
            continue
        persistent = {key: x for key, x in first.foreign.items() if key in second.foreign}
        if persistent:
            extra |= persistent
            continue
        if first.fingerprint() != second.fingerprint():
            raise RecordingError(
                "compile: the function did two different things when it was run twice with the same arguments. A "
                "program would repeat one of them for ever. Draw random numbers from a numpy.random.Generator that is "
                "kept in a variable or an attribute (not numpy.random.rand), and pass what changes as an argument."
            )
        both = first.constants().keys() & second.constants().keys()
        state.frozen += [x for key, x in second.constants().items() if key in both and key not in map(id, state.frozen)]
        return second, state, state.guards(dynamic, second.ran)
    raise RecordingError("compile: the function changes its own state in a way that no fixed program can follow.")
