"""`compile`: run a function as a program, one for each combination of shapes, dtypes and constants."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import update_wrapper
from typing import Any

import numpy as np

from ..context import active_blocks, observers, records
from ..tensor import Tensor
from .arguments import Structure
from .buffers import Plan, python_floats
from .messages import RecordingError
from .recording import Variable, uses_of
from .simplify import simplify
from .state import GONE, NUMBERS, Place, is_assigned, key_of, same_bytes, same_items
from .trace import ONE_AT_A_TIME, Argument, Result, SameTensor, StateGrew, Trace, trace
from .updates import find_updates, sink_updates

PROGRAMS = 64  # kept for each compiled function; the one that was not used for longest is dropped
MISS = object()  # what a program returns if it was not made for such a call
FAILED = object()  # in place of a result, if the function itself has to say what is wrong


class CheckFailed(Exception):
    """A check of an argument failed in a program; the function itself then says which."""


FAILURES = CheckFailed, ZeroDivisionError, OverflowError  # where Python's numbers raise, NumPy's give infinity


def compile(f: Callable) -> Callable:
    """Make a function that computes what `f` computes, as a recorded program.

    At the first call with arguments of certain shapes and dtypes `f` is recorded: it is run twice on stand-ins for its
    arrays (arguments and whatever else it uses), and every NumPy call is written down, those of backward passes
    included.  The program is simplified and afterwards runs without `f`, with buffers that are reused.  Results have the
    same bits as those of `f` and are the caller's own memory.  Arrays, tensors and random generators are inputs; Python
    numbers, strings and flags are constants, so for each value of these there is another program.  State outside the
    arguments (layers, optimisers, closures, global names, attributes of objects and classes) is read and changed at each
    call as `f` would; where a constant in it has changed, a new program is recorded, in which numbers that changed, such as
    a learning rate, are inputs from then on.

    Returned tensors have no graph.  To get gradients compile a function that computes them, for example
    `compile(value_and_grad(f))` or a whole training step; a schedule's step(), which computes with Python's numbers, comes
    after the call.  Inside `trace()` and `debug()` the function itself runs, as it does where arrays that are changed in
    place share memory.

    RecordingError (a RuntimeError) if `f` asks for a tensor's value, to decide something for example.

    >>> def slope(x):
    ...     x = Tensor(x, requires_grad=True)
    ...     return grad((x**3).sum(), x)
    >>> fast = compile(slope)
    >>> fast(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    return update_wrapper(Compiled(f), f, updated=())


class Compiled:
    """A compiled function; see `compile`.  `programs` are those recorded so far, the last used first."""

    def __init__(self, f: Callable) -> None:
        self.f = f
        self.programs: list[Executable] = []
        self.grew = 0
        self.varying: dict[tuple, type] = {}  # numbers of the state that changed, by key_of their places
        self.pinned: set[tuple] = set()  # those that are constants nevertheless, because they decide something

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else compile(self.f.__get__(instance, owner))

    def __call__(self, *args, **kwargs):
        if active_blocks() and observers():  # trace(), debug(), or the recording of a function that calls this one
            return self.f(*args, **kwargs)
        result = self._run(args, kwargs)
        if result is MISS:
            with ONE_AT_A_TIME:  # what another thread was recording may fit, and its stand-ins are gone now
                result = self._run(args, kwargs)
                if result is MISS:
                    result = self._record(args, kwargs)
        return result

    def _run(self, args: tuple, kwargs: dict):
        """The result of the first program that was made for such a call; MISS if there is none."""
        for k, program in enumerate(self.programs):
            try:
                entry = program.idle.pop()
            except IndexError:  # another thread is using it
                entry = program.instance()
            try:
                result = entry(args, kwargs)
            except FAILURES:
                result = FAILED
            finally:
                program.idle.append(entry)
            if result is FAILED:
                return self.f(*args, **kwargs)
            if result is not MISS:
                if k:
                    self._move_to_front(program)
                return result
        return MISS

    def _move_to_front(self, program: Executable) -> None:
        self.programs = [program, *(p for p in self.programs if p is not program)]

    def _record(self, args: tuple, kwargs: dict):
        with ONE_AT_A_TIME:
            structure = Structure(args, kwargs)
            if structure.repeats_a_tensor:  # one tensor under two names: its gradient is a sum, a case of its own
                return self.f(*args, **kwargs)
            try:
                recorded, state, guards = self._trace(structure)
            except StateGrew:
                self.grew += 1
                if self.grew > 3:
                    raise TypeError(
                        "compile: at each call the function adds to a list, a dict or an object that it keeps. Return "
                        "what it collects instead."
                    ) from None
                return self.f(*args, **kwargs)
            except (ValueError, IndexError):  # while recording every check passes; the function itself fails first
                return self.f(*args, **kwargs)
            guards.append(
                "(not _active_blocks() or _records(_active_blocks()))"
                if records(active_blocks())
                else "not _records(_active_blocks())"
            )
            executable = Executable(recorded, structure, guards, state.names, set(map(id, state.frozen)))
            executable.numbers = [place for place in state.constants if type(place.value) in NUMBERS]
            self.programs = [executable, *self.programs[: PROGRAMS - 1]]
        result = self._run(args, kwargs)
        return self.f(*args, **kwargs) if result is MISS else result

    def _trace(self, structure: Structure) -> tuple:
        """Record the function, with numbers of its state that change from call to call, such as a learning rate, as inputs.

        Where they decide something, floats alone are, or none: then there is a program for each value.
        """
        g = lambda args, kwargs: self.f(*args, **kwargs)
        arguments = g, structure.leaves, structure.rebuild, [self.f, *structure.objects]
        for program in self.programs:
            now = [(place, place.read_or(None)) for place in program.numbers]
            changed = {key_of(place): type(x) for place, x in now if type(x) is type(place.value) and x != place.value}
            self.varying |= {key: kind for key, kind in changed.items() if key not in self.pinned}
        for kinds in (NUMBERS, NUMBERS - {int}):
            varying = {key for key, kind in self.varying.items() if kind in kinds}
            if varying:
                try:
                    return trace(*arguments, varying)
                except RecordingError:
                    self.pinned |= {key for key in varying if self.varying[key] is int or int not in kinds}
                    self.varying = {key: kind for key, kind in self.varying.items() if key not in self.pinned}
        return trace(*arguments)


class Executable:
    """A program as a Python function that checks its arguments first.  `source` is its text."""

    def __init__(self, recorded: Trace, structure: Structure, guards: list, names: dict, frozen: set[int]) -> None:
        self.structure, self.recorded = structure, recorded
        self.returned: list = []
        self._collect(recorded.outputs)
        self.returned += [e.value for e in recorded.effects]
        instructions, replaced = simplify(recorded.instructions, self.returned, frozen)
        self.final = lambda x: replaced.get(x, x) if type(x) is Variable else x
        finals = [self.final(x) for x in self.returned]
        used = uses_of(instructions, finals).keys()
        floats = python_floats(instructions)
        floats |= self._float_inputs(instructions, finals, floats)
        inputs = [x for x, _ in recorded.inputs] + [x for x, _ in recorded.generators]
        self.inputs = {x: k for k, x in enumerate(inputs)}
        effects = finals[len(finals) - len(recorded.effects) :]
        self.updates = find_updates(recorded, instructions, finals, self.final)  # {k: instruction}
        tail = sink_updates(self.updates, instructions, finals)
        moved = {id(i) for i in tail} | {id(i.target) for i in tail if i.kind == "update"}
        instructions = [i for i in instructions if id(i) not in moved]
        finals = finals[: len(finals) - len(effects)] + [x for k, x in enumerate(effects) if k not in self.updates]
        self.plan = plan = Plan(instructions, inputs, finals, floats, tail)
        self.owned: set[Variable] = set()
        body = list(structure.lines)
        finding = [f"if not ({' and '.join(guards)}): return MISS"] if guards else []
        finding += self._reads(used, floats)
        body += ["try:", *(f"    {line}" for line in finding), "except GONE: return MISS"] if finding else []
        body += self._memory_check()
        body += self._drawing_once([*plan.lines, f"_r = {self._rebuilt(recorded.outputs)}"])
        body += self._effects()
        body += ["return _r"]
        head = f"def make({', '.join(plan.buffers)}):\n" + "".join(f"    {line}\n" for line in plan.setup)
        head += "    def program(args, kwargs):\n"
        self.source = head + "".join(f"        {line}\n" for line in body) + "    return program\n"
        self.namespace = plan.globals | names | structure.names | {
            "np": np, "ndarray": np.ndarray, "float64": np.float64, "asarray": np.asarray, "copyto": np.copyto,
            "Tensor": Tensor, "MISS": MISS, "CheckFailed": CheckFailed, "FAILURES": FAILURES,
            "_state": _state, "_put_back": _put_back, "_same": same_bytes, "GONE": GONE, "_records": records, "_active_blocks": active_blocks,
            "_shared": _share_memory, "_same_items": same_items, "_is_assigned": is_assigned, "_tensor": _constant,
        }  # fmt: skip
        exec(_compiled_text(self.source), self.namespace)
        self.first_buffers: tuple | None = tuple(plan.buffers.values())
        self.shapes = [(x.shape, x.dtype, "C" if x.flags.c_contiguous else "F") for x in self.first_buffers]
        self.operations = len(instructions)
        self.bytes = sum(x.nbytes for x in self.first_buffers)
        self.idle: list[Callable] = [self.instance()]
        self.numbers: list[Place] = []  # of the state
        for i in recorded.instructions:  # the examples are not needed any more
            if i.result is not None:
                i.result.value = None
        structure.leaves = []
        del self.recorded, self.plan, self.final, self.returned, self.updates

    def instance(self) -> Callable:
        """The function with buffers of its own, for one thread at a time."""
        buffers, self.first_buffers = self.first_buffers, None
        return self.namespace["make"](*(buffers or (np.empty(*shape) for shape in self.shapes)))

    def _collect(self, x: Any) -> None:
        if type(x) is Result:
            self.returned.append(x.value)
        elif isinstance(x, (tuple, list)) and type(x) is not SameTensor:
            for item in x:
                self._collect(item)
        elif type(x) is dict:
            for item in x.values():
                self._collect(item)

    def _float_inputs(self, instructions: list, finals: list, floats: set) -> set[Variable]:
        """The 0-d inputs that only arithmetic on Python floats uses."""
        others = uses_of([i for i in instructions if i.result not in floats], finals).keys()
        arrays = {x for x, _ in self.recorded.inputs if isinstance(x.value, np.float64)}
        return arrays - others

    def _reads(self, used: Collection[Variable], floats: set) -> list[str]:
        lines: list[str] = []
        structure = self.structure
        for x, source in (*self.recorded.inputs, *self.recorded.generators):
            name, where, array = self.plan.names[x], self._array_at(source), self._example(source)
            if x not in used and isinstance(source, Argument):
                continue
            if x not in used and where.endswith(".node.grad"):  # it was replaced without being read
                lines.append(f"if {where} is None: return MISS")
                continue
            if not isinstance(source, Argument):
                before = len(structure.lines)
                if isinstance(array, (np.ndarray, np.generic)):
                    structure.lines.append(f"{name} = {where}")
                    structure.check_array(array, name)
                    lines += structure.lines[before:]
                    del structure.lines[before:]
                    where = name
                elif isinstance(array, (int, float)):
                    lines.append(f"if type({where}) is not {type(array).__name__}: return MISS")
                else:
                    lines.append(f"{name} = {where}")
                    lines.append(f"if type({name}) is not {structure.bind(type(array))}: return MISS")
                    where = name
            if x in floats and not x.number:
                lines.append(f"{name} = {where}.item()")
            elif isinstance(array, np.ndarray) and not array.ndim:
                lines.append(f"{name} = {where}[()]")
            elif name != where:
                lines.append(f"{name} = {where}")
        for source in self.recorded.without_gradient:
            lines.append(f"if {self._array_at(source)} is not None: return MISS")
        return lines

    def _memory_check(self) -> list[str]:
        """A line that leaves the call to the function itself if what it writes into shares memory with another input."""
        written = {e.place if isinstance(e.place, Place) else e.place[0] for e in self.recorded.effects if e.in_place}
        if not written:
            return []
        names: tuple[list[str], list[str]] = [], []
        for _, source in self.recorded.inputs:
            if isinstance(self._example(source), np.ndarray):
                target = source in written if isinstance(source, Place) else source[0] in written and len(source) == 1
                names[not target].append(self._array_at(source))
        return [f"if _shared(({', '.join(names[0])},), ({', '.join([*names[1], ''])})): raise CheckFailed"]

    def _example(self, source: Any) -> Any:
        """What an input was when the function was recorded."""
        if isinstance(source, Place):
            return source.value
        leaf = self.structure.leaves[source[0]]
        return leaf if not isinstance(leaf, Tensor) else leaf.value if isinstance(source, Argument) else leaf.node.grad

    def _array_at(self, source: Any) -> str:
        """Python for the array of an input."""
        if isinstance(source, Place):
            return source.expression(self.structure.bind(source.container), self.structure.bind)
        if isinstance(source, Argument):
            return f"{'v' * isinstance(self.structure.leaves[source.position], Tensor)}x{source.position}"
        return f"x{source[0]}.node.grad"

    def _drawing_once(self, lines: list[str]) -> list[str]:
        """The lines that compute; where they fail after random numbers were drawn, the generators are put back."""
        generators = [self.plan.names[x] for x, _ in self.recorded.generators]
        if not generators:
            return lines
        saved, text = ", ".join(f"_state({g})" for g in generators), ", ".join(generators)
        inside = [f"    {line}" for line in lines]
        return [
            f"_before = [{saved}]",
            "try:",
            *inside,
            "except FAILURES:",
            f"    _put_back([{text}], _before)",
            "    raise",
        ]

    # ---------------------------------------------------------------- results

    def _value(self, x: Any) -> str:
        """A value as memory of the caller's own."""
        x, plan = self.final(x), self.plan
        if type(x) is not Variable:
            if isinstance(x, np.ndarray):
                return f"{plan.name(x)}.copy()"
            return plan.printer.operand(x) if not isinstance(x, np.generic) else self.structure.bind(x)
        name = plan.names[x]
        if x.number:
            return f"np.{x.value.dtype.name}({name})"
        if x in plan.as_float:
            return f"float64({name})"
        if isinstance(x.value, np.generic):
            return name
        root = plan.root.get(x, x)
        whole = x.value.flags.writeable and (x.value.flags.c_contiguous or x.value.flags.f_contiguous)
        if root in self.inputs or root in self.owned or not (whole and x.value.nbytes == root.value.nbytes):
            new = root is x and root not in self.owned and root not in self.inputs
            if new and any(i.result is x and i.target is np.broadcast_to for i in plan.instructions):
                return name  # Plan wrote it as an array of its own
            return f"{name}.copy('K')"
        self.owned.add(root)
        return name

    def _rebuilt(self, x: Any) -> str:
        if type(x) is Result:
            value = self._value(x.value)
            if type(x.value) is Variable and x.value.number and not x.tensor:
                return f"{value}.item()"
            if x.tensor:
                return f"_tensor({value})"
            scalar = isinstance(x.value.value if type(x.value) is Variable else x.value, np.generic)
            if scalar and x.array:
                last = self.final(x.value)
                return f"asarray({self.plan.names[last] if last in self.plan.as_float else value})"
            return value
        if type(x) is SameTensor:
            return f"x{x.which}" if isinstance(x.which, int) else self.structure.bind(x.which)
        if isinstance(x, tuple) and hasattr(x, "_fields"):
            return f"{self.structure.bind(type(x))}({', '.join(map(self._rebuilt, x))})"
        if type(x) is tuple:
            return f"({''.join(f'{self._rebuilt(item)}, ' for item in x)})"
        if type(x) is list:
            return f"[{', '.join(map(self._rebuilt, x))}]"
        if type(x) is dict:
            return f"{{{', '.join(f'{self.structure.bind(k)}: {self._rebuilt(v)}' for k, v in x.items())}}}"
        return self.structure.bind(x)

    def _effects(self) -> list[str]:
        values, writes = [], []
        for k, effect in enumerate(self.recorded.effects):
            if k in self.updates:
                continue
            value = self._value(effect.value)
            values.append(f"_e{k} = {value}" + (".item()" if effect.number and type(effect.value) is Variable else ""))
            if isinstance(effect.place, Place):
                where = effect.place.expression(self.structure.bind(effect.place.container), self.structure.bind)
            else:
                position, what = effect.place
                where = f"x{position}" + {"value": ".value", "grad": ".node.grad", "array": ""}[what]
            writes.append(f"copyto({where}, _e{k})" if effect.in_place else f"{where} = _e{k}")
        return values + self.plan.tail_lines + writes


def _share_memory(written: tuple, others: tuple) -> bool:
    """Whether an array that is written into may share memory with another one: both are views of one, or one of the other."""
    owners = {id(x if x.base is None else x.base) for x in written}
    return len(owners) < len(written) or not owners.isdisjoint(id(x if x.base is None else x.base) for x in others)


def _state(generator: Any) -> Any:
    return generator.get_state() if isinstance(generator, np.random.RandomState) else generator.bit_generator.state


def _put_back(generators: list, states: list) -> None:
    for generator, state in zip(generators, states, strict=True):
        if isinstance(generator, np.random.RandomState):
            generator.set_state(state)
        else:
            generator.bit_generator.state = state


def _constant(value: Any) -> Tensor:
    t = object.__new__(Tensor)
    t.node, t.value = None, value
    return t


def _compiled_text(source: str) -> Any:
    import builtins
    import linecache

    name = f"<minigrad program {id(source):x}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    return builtins.compile(source, name, "exec")
