"""State: what a function uses besides its arguments, found by following references from it.

A closure, a global name, an attribute of a layer, an item of a list: each is a `Place`.  Places that hold arrays, tensors
or random generators are inputs of a recorded program, read anew at each call, and outputs where the function changes
them.  All others (numbers, flags, strings, functions, other objects) are constants, and the program is valid only while
they are the same: `State.conditions` says so as Python expressions.  Therefore a program never computes with a value
that has changed since it was recorded.
"""

from __future__ import annotations

import dis
import functools
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FrameType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np

from ..tensor import Tensor
from .messages import RecordingError

LIMIT = 100_000  # places; a function that reaches more has hold of something that it does not compute with
CONSTANTS = (int, float, bool, str, bytes, complex, type(None), type(...), np.dtype, slice, range, np.generic)
NUMBERS = {int, float, np.float64, np.float32, np.float16}  # types of constants that may become inputs
GENERATORS = (np.random.Generator, np.random.RandomState)
GONE = (KeyError, IndexError, AttributeError, ValueError)  # what reading a place that is gone raises
# Files whose code looks only into tensors and arrays.  (Layers and optimisers find their parameters by attributes' names.)
CORE = tuple(str(Path(__file__).parents[1] / f"{name}.py") for name in (
    "context", "einsum", "elementwise", "functions", "fused", "graph", "interop", "methods", "operations", "primitive",
    "rearranging", "reductions", "tensor", "windows", "losses",
)) + (str(Path(__file__).parent), str(Path(np.__file__).parent), "<minigrad primitive")  # fmt: skip
LIBRARY = {"minigrad", "numpy", *sys.stdlib_module_names} - {"__main__"}


class Place:
    """Where a value is kept in a container: `how` says in which way `key` leads to it.

    "item": container[key].  "class": the attribute of a class itself.  "attribute": any other one, such as a closure's cell or
    a slot.  The gradient of a leaf is at the attribute "node.grad" of the tensor: freezing gives a tensor another node.
    """

    __slots__ = ("container", "how", "key", "label", "value")

    def __init__(self, container: Any, key: Any, how: str, label: str | None = None) -> None:
        self.container, self.key, self.how = container, key, how
        self.label = label or (key if isinstance(key, str) else f"item{key}")  # what readers of a program see
        self.value = self.read()

    def read(self) -> Any:
        """What is there now."""
        if self.how == "item":
            return self.container[self.key]
        if self.how == "class":
            return self.container.__dict__[self.key]
        return self.container.node.grad if self.key == "node.grad" else getattr(self.container, self.key)

    def read_or(self, default: Any) -> Any:
        """What is there now, or `default` if the place is gone."""
        try:
            return self.read()
        except GONE:
            return default

    def write(self, value: Any) -> None:
        """Put `value` there."""
        if self.how == "item":
            self.container[self.key] = value
        elif self.key == "node.grad":
            self.container.node.grad = value
        elif self.how == "class" or isinstance(self.container, (CellType, FunctionType)):
            setattr(self.container, self.key, value)
        else:
            object.__setattr__(self.container, self.key, value)  # that of a frozen dataclass refuses

    def expression(self, name: str, bind: Callable[[Any], str]) -> str:
        """Python for the place, if its container is called `name`; `bind` names other objects."""
        if self.how == "attribute":
            return f"{name}.{self.key}"
        key = repr(self.key) if isinstance(self.key, (str, int, float, type(None))) else bind(self.key)
        return f"{name}.__dict__[{key}]" if self.how == "class" else f"{name}[{key}]"


class State:
    """All places that are reachable from `roots`, sorted by what they hold."""

    def __init__(self, roots: list) -> None:
        self.arrays: list[Place] = []
        self.generators: list[Place] = []
        self.tensors: dict[int, Tensor] = {}  # by id
        self.constants: list[Place] = []
        self.frozen: list[np.ndarray] = []  # arrays in tuples: they cannot be replaced, so their contents are compared
        self.names: dict[str, Any] = {}  # of the objects in `conditions`
        self.conditions: list[tuple[CodeType | None, str]] = []  # each with the code that it is about, or None
        self.attributes: dict[int, dict] = {}  # by id: the dictionaries of objects' attributes
        self.containers: list[tuple] = []  # lists and dicts, each with a copy of what it holds
        self.masks: dict[tuple, np.ndarray] = {}  # by key_of: arrays that select elements, whose contents are compared
        self._seen: dict[int, Any] = {}
        self._unset: dict[int, tuple[dict, set[str]]] = {}  # global names that functions use and that have no value
        self._found: set[tuple] = set()  # the places, by key_of
        self._unvisited = list(roots)
        while self._unvisited:
            self._look_into(self._unvisited.pop())
            if len(self._seen) > LIMIT:
                raise TypeError(
                    f"compile: the function refers to more than {LIMIT:,} objects. Pass what it needs as arguments "
                    "instead of keeping all of it in reach."
                )

    def bind(self, x: Any) -> str:
        """A name for `x` in `conditions`."""
        name = f"_s{id(x):x}"
        self.names[name] = x
        return name

    def _look_into(self, x: Any) -> None:
        if id(x) in self._seen or isinstance(x, (*CONSTANTS, ModuleType, BuiltinFunctionType)):
            return
        self._seen[id(x)] = x
        if isinstance(x, Tensor):
            self.tensors[id(x)] = x
        elif isinstance(x, np.ndarray):
            self.frozen.append(x)
        elif isinstance(x, FunctionType):
            self._look_into_function(x)
        elif isinstance(x, MethodType):
            self._unvisited += [x.__self__, x.__func__]
        elif isinstance(x, (staticmethod, classmethod)):
            self._unvisited.append(x.__func__)
        elif isinstance(x, property):
            self._unvisited += [f for f in (x.fget, x.fset) if f]
        elif isinstance(x, functools.partial):
            self._unvisited += [x.func, x.args, x.keywords]
        elif isinstance(x, type):
            self._look_into_class(x)
        elif type(x).__name__ == "Compiled" and is_library(type(x)):
            self._unvisited.append(x.f)  # not its programs
        else:
            self._look_into_object(x)

    def _look_into_object(self, x: Any) -> None:
        if isinstance(x, (tuple, frozenset)):
            self._unvisited += x
        elif isinstance(x, (set, deque)):
            self._unvisited += x
            self._require(f"_same_items({self.bind(x)}, {self.bind(list(x))})")
        elif isinstance(x, (list, dict)):
            self._look_into_items(x)
        if isinstance(getattr(x, "__dict__", None), dict):
            self._unvisited += type(x).__mro__
            self.attributes[id(vars(x))] = vars(x)
            self._look_into_items(vars(x))
        for kind in type(x).__mro__:
            for key, member in () if is_library(kind) else vars(kind).items():
                if isinstance(member, MemberDescriptorType):
                    if hasattr(x, key):
                        self._add(Place(x, key, "attribute"))
                    else:
                        self._require(f"not hasattr({self.bind(x)}, {key!r})")

    def _look_into_class(self, x: type) -> None:
        if is_library(x):
            return
        self._require(f"len({self.bind(x)}.__dict__) == {len(vars(x))}")
        for key, member in list(vars(x).items()):
            special = key.startswith("__") and not isinstance(member, FunctionType)
            if not special and not isinstance(member, (MemberDescriptorType, GetSetDescriptorType)):
                self._add(Place(x, key, "class"))

    def _look_into_function(self, f: FunctionType) -> None:
        if "_forward" in f.__globals__:  # a primitive's wrapper: what it wraps may use more
            self._unvisited.append(f.__wrapped__)
            return
        codes = list(_codes_in(f.__code__))
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
            if not is_assigned(cell):
                self._require(f"not _is_assigned({self.bind(cell)})")
                continue
            self._add(Place(cell, "cell_contents", "attribute", name))
            self._look_into_module(cell.cell_contents, codes)
        self._unvisited += [x for x in (f.__defaults__, f.__kwdefaults__) if x]
        if str(f.__globals__.get("__name__")).split(".")[0] not in LIBRARY:
            self._require(f"{self.bind(f)}.__code__ is {self.bind(f.__code__)}", f.__code__)
            for key in ("__defaults__", "__kwdefaults__"):
                if getattr(f, key):
                    self._require(f"{self.bind(f)}.{key} is {self.bind(getattr(f, key))}", f.__code__)
            self._look_into_globals(f.__globals__, codes)

    def _look_into_globals(self, names: dict, codes: list[CodeType]) -> None:
        used = {
            i.argval for code in codes for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")
        }
        for name in sorted(used & names.keys()):
            self._add(Place(names, name, "item"))
            self._look_into_module(names[name], codes)
        # Python's own, such as len, are hidden by a global variable that is made later.
        self._unset.setdefault(id(names), (names, set()))[1].update(used - names.keys())

    def _look_into_module(self, module: Any, codes: list[CodeType]) -> None:
        """What functions with these codes may use of a module of the user's."""
        installed = "site-packages" in (getattr(module, "__file__", None) or "")
        if isinstance(module, ModuleType) and not installed and module.__name__.split(".")[0] not in LIBRARY:
            for name in sorted({name for code in codes for name in code.co_names} & vars(module).keys()):
                self._add(Place(vars(module), name, "item"))

    def _look_into_items(self, x: list | dict) -> None:
        self.containers.append((x, x.copy()))
        keys = list(range(len(x))) if isinstance(x, list) else list(x)
        if isinstance(x, list):
            self._require(f"len({self.bind(x)}) == {len(x)}")
        elif id(x) not in self.attributes:
            self._require(f"[*{self.bind(x)}] == {self.bind(keys)}")
        for key in keys:
            self._add(Place(x, key, "item"))

    def _require(self, condition: str, code: CodeType | None = None) -> None:
        """A program holds while `condition` does; if it is about a function, only when that ran."""
        self.conditions.append((code, condition))

    def _add(self, place: Place) -> None:
        x = place.value
        if key_of(place) in self._found:
            return
        self._found.add(key_of(place))
        if type(x) is np.ndarray and x.dtype.kind in "biuf":
            self.arrays.append(place)
        elif isinstance(x, GENERATORS):
            self.generators.append(place)
        elif isinstance(x, (ModuleType, BuiltinFunctionType, CellType, CodeType)) or is_library(x):
            return
        else:
            self.constants.append(place)
            self._unvisited.append(x)

    def inputs(self) -> list[Place]:
        """The places of arrays that a program reads anew at each call: all but the masks, of which it holds copies."""
        for place in self.arrays:
            if key_of(place) in self.masks:
                place.write(self.masks[key_of(place)])
        return [place for place in self.arrays if key_of(place) not in self.masks]

    def check_masks(self) -> None:
        """RecordingError if the function has changed an array that it uses as a mask."""
        for place in self.arrays:
            mask = self.masks.get(key_of(place))
            if mask is not None and (place.read() is not mask or not same_bytes(mask, place.value)):
                raise RecordingError(
                    f"compile: the function selects elements by {place.label!r} and changes it, so the size of the result "
                    "would change from call to call. Use tensor_where(mask, x, 0), or leave this part uncompiled."
                )

    def restore(self) -> None:
        """Put back what every place held when it was found."""
        for container, items in self.containers:
            if isinstance(container, list):
                if len(container) != len(items):
                    container[:] = items
            elif [*container] != [*items]:
                container.clear()
                container.update(items)
        for place in (*self.arrays, *self.generators, *self.constants):
            if place.read() is not place.value:
                place.write(place.value)

    def guards(self, dynamic: set[tuple], ran: Ran) -> list[str]:
        """Python expressions that are all true while the constants are what they were, except the `dynamic` places.

        Left out is what the code that `ran` cannot have looked at.
        """
        names = ran.names()
        found = list(dict.fromkeys(text for code, text in self.conditions if code is None or code in ran.codes))
        for variables, unset in self._unset.values():
            if hidden := unset if names is None else unset & names:
                found.append(f"{self.bind(variables.keys().isdisjoint)}({self.bind(tuple(hidden))})")
        for attributes in self.attributes.values():
            if names is None:
                found.append(f"[*{self.bind(attributes)}] == {self.bind([*attributes])}")
            elif more := names - attributes.keys():
                found.append(f"{self.bind(attributes)}.keys().isdisjoint({self.bind(more)})")
        by_name = self.attributes.keys() | self._unset.keys()
        for place in self.constants:
            if key_of(place) in dynamic or not (names is None or self._may_be_read(place, by_name, names, ran.codes)):
                continue
            where, x = place.expression(self.bind(place.container), self.bind), place.value
            found.append(unchanged(x, where, self.bind))
        for place in self.arrays:
            if key_of(place) in self.masks:
                where = place.expression(self.bind(place.container), self.bind)
                found.append(f"type({where}) is ndarray and _same({where}, {self.bind(self.masks[key_of(place)])})")
        for x in self.tensors.values():
            node = f"{self.bind(x)}.node"
            is_leaf = x.node is not None and x.node.op is None
            found.append(f"{node} is not None" if is_leaf else f"{node} is {self.bind(x.node)}")
        for array in self.frozen:
            self.names[f"_copy{id(array):x}"] = array.copy()
            found.append(f"_same({self.bind(array)}, _copy{id(array):x})")
        return found

    def _may_be_read(self, place: Place, named: set[int], names: frozenset[str], codes: set[CodeType]) -> bool:
        """Whether code that uses these names can have read a place: attributes and variables are read by name."""
        by_name = place.how == "class" or isinstance(place.container, CellType) or id(place.container) in named
        special = getattr(place.value, "__code__", None) in codes  # a method such as __call__, which Python calls
        return not by_name or special or (place.label if place.how == "attribute" else place.key) in names


# What reads attributes and variables by names that are not in the code.
DYNAMIC = set("getattr hasattr vars dir __dict__ attrgetter eval exec locals globals inspect".split())


class Ran:
    """The Python code that runs in a `with` block, as far as this thread calls it."""

    def __init__(self) -> None:
        self.codes: set[CodeType] = set()

    def __enter__(self) -> Ran:
        self._before = sys.getprofile()
        sys.setprofile(self._called)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)
        if hasattr(self._before, "enable"):  # cProfile's profiler, which cannot be called
            self._before.enable()
        else:
            sys.setprofile(self._before)

    def _called(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            self.codes.add(frame.f_code)

    def names(self) -> frozenset[str] | None:
        """The names by which it can have read variables and attributes; None if it may have made up names."""
        found: set[str] = set()
        for code in self.codes:
            if code.co_filename.startswith(CORE):
                continue
            if not DYNAMIC.isdisjoint(code.co_names):
                return None
            found.update(code.co_names, code.co_freevars, code.co_cellvars)
        return frozenset(found)


def is_library(x: Any) -> bool:
    """Whether `x` is a class or a function of minigrad, NumPy or Python itself, which refers to nothing of the user's."""
    if isinstance(x, type):
        return x.__module__.split(".")[0] in LIBRARY
    if not isinstance(x, FunctionType) or x.__closure__ or "_forward" in x.__globals__:
        return False
    return str(x.__globals__.get("__name__")).split(".")[0] in LIBRARY


def unchanged(x: Any, where: str, bind: Callable[[Any], str]) -> str:
    """Python for the condition that `x` is still what stands at `where`: the same object, or an equal constant."""
    if x is None or isinstance(x, bool):
        return f"{where} is {x}"
    name = bind(x)
    if not isinstance(x, CONSTANTS):
        return f"{where} is {name}"
    same = f"{where} is {name} or type({where}) is {bind(type(x))} and {where} == {name}"
    if isinstance(x, (float, np.floating)) and x == 0:  # −0.0 equals it, and is another number
        same = f"({same}) and repr({where}) == {repr(x)!r}"
    return f"({same})"


def key_of(place: Place) -> tuple:
    """What identifies a place."""
    return id(place.container), place.key


def same_bytes(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays hold the same bits."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def same_items(x: Collection, items: list) -> bool:
    """Whether a set or a deque holds what it held: the same objects, or equal constants."""
    return len(x) == len(items) and all(
        a is b or (type(a) is type(b) and isinstance(a, CONSTANTS) and a == b) for a, b in zip(x, items, strict=True)
    )


def is_assigned(cell: CellType) -> bool:
    """Whether a variable of a closure has a value."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes_in(constant)
