"""Plan where each intermediate result is stored, and write the program for it.

Results that nothing outside can see are written into buffers, which are allocated once and reused: within a call as soon
as their value is no longer needed, often in place, and from call to call.  What the function returns is always newly
allocated.  A buffer has the memory layout that the result had when it was recorded, because NumPy adds in the order in
which elements lie in memory, and the compiled program gives the same bits as the function itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .choosing import Choice, choice, steps
from .numpy_source import Printer
from .recording import Instruction, Variable, example, variables_in

UFUNC_OF = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "<": np.less, "<=": np.less_equal,
    ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal, "&": np.bitwise_and,
    "|": np.bitwise_or, "^": np.bitwise_xor, "negative": np.negative, "abs": np.absolute, "@": np.matmul,
}  # fmt: skip


class Plan:
    """The body of a compiled program: `lines`, the `buffers` and `constants` that they use by name."""

    def __init__(
        self, instructions: list[Instruction], inputs: list, returned: list, numbers: set, tail: list[Instruction]
    ) -> None:
        self.instructions = instructions = [*instructions, *tail]
        self.tail_lines: list[str] = []  # what is done once the results are put together: updates in place
        self.tail_from = len(instructions) - len(tail)
        self.names: dict[Any, str] = {}
        self.lines: list[str] = []
        self.buffers: dict[str, np.ndarray] = {}
        self.setup: list[str] = []  # integer views of buffers, made together with them
        self.globals: dict[str, Any] = {"np": np}
        self.free: dict[tuple, list[str]] = {}
        self.free_names: list[str] = []
        self.buffer_of: dict[Variable, str] = {}
        self.as_float = numbers  # variables that are Python floats in the compiled program
        self.count = 0
        self.printer = Printer(self.name)
        self.root: dict[Variable, Variable] = {}
        for i in instructions:
            if i.result is not None:
                self.root[i.result] = self._root_of(i)
        self.last_use = self._last_uses(returned)
        self.visible = {self.root.get(x, x) for x in returned if type(x) is Variable}
        for x in inputs:
            self.names[x] = f"a{len(self.names)}"
        main = self.lines
        for k, i in enumerate(instructions):
            if k == self.tail_from:
                self.lines = self.tail_lines
            self._write(k, i)
        self.lines = main

    # ---------------------------------------------------------------- which values share memory

    def _root_of(self, i: Instruction) -> Variable:
        """The variable whose memory the result lies in: its own, or that of the operand it is a view of.

        Only the recording knows whether it is a view.  The examples share no memory where an operand was replaced by an
        equal one that had been computed before.
        """
        operands = variables_in(i.args)
        several = [x for x in operands if type(x.value) in (tuple, list)]
        parts = i.result.value if type(i.result.value) in (tuple, list) else []
        if not operands or not (i.result.base or several or any(getattr(x, "base", None) is not None for x in parts)):
            return i.result
        x = i.result.value
        shared = [y for y in operands if isinstance(y.value, np.ndarray) and isinstance(x, np.ndarray)]
        shared = several or [y for y in shared if np.may_share_memory(x, y.value)] or operands
        return self.root.get(shared[0], shared[0])

    def _last_uses(self, returned: list) -> dict[Variable, int]:
        last: dict[Variable, int] = {}
        for k, i in enumerate(self.instructions):
            for x in (*variables_in((i.args, i.kwargs)), *([i.result] if i.result is not None else [])):
                last[x] = k
                root = self.root.get(x, x)
                last[root] = max(k, last.get(root, 0))
        for x in returned:
            if type(x) is Variable:
                last[x] = last[self.root.get(x, x)] = len(self.instructions)
        return last

    # ---------------------------------------------------------------- names

    def name(self, x: Any) -> str:
        if type(x) is Variable:
            return self.names[x]
        key = f"c{id(x):x}"
        self.globals[key] = x
        return key

    def function(self, f: Any) -> str:
        key = f"f_{f.__name__}"
        self.globals[key] = f
        return key

    def _reduction(self, ufunc: np.ufunc) -> str:
        key = f"f_{ufunc.__name__}_reduce"
        self.globals[key] = ufunc.reduce
        return key

    def _temporary(self) -> str:
        if self.free_names:
            return self.free_names.pop()
        self.count += 1
        return f"t{self.count}"

    # ---------------------------------------------------------------- lines

    def _write(self, k: int, i: Instruction) -> None:
        dying = [x for x in dict.fromkeys(variables_in((i.args, i.kwargs))) if self.last_use[x] == k]
        if i.kind == "check":
            self.lines += [f"if {self.name(i.args[0])}: raise CheckFailed"]
        elif i.kind == "update":
            self.lines.append(self._into(i.target, self.names[i.kwargs["place"]]))
        elif i.result not in self.visible and (by_bits := choice(i)) is not None:
            self._choose(k, i, by_bits)
        elif i.result is not None and i.result not in self.as_float and self._fits_a_buffer(i):
            in_place = self._reusable_operand(k, i)
            if in_place is not None:
                name = self.buffer_of.pop(in_place)
            else:
                name = self._buffer(i.result)
            self.lines.append(self._into(i, name))
            self.names[i.result] = self.buffer_of[i.result] = name
        else:
            released = [self.names[x] for x in dying if x not in self.buffer_of and self.names[x][0] == "t"]
            used = self._temporary() if not released or i.kind in ("setitem", "at") else None
            if used is None:  # the name of an operand that is not needed any more
                used = released[0]
                dying = [x for x in dying if self.names[x] != used]
            lines = self._plain(i, used)
            if i.result is not None:
                self.names[i.result] = used
            self.lines += lines
        for x in dying:
            if x not in self.buffer_of and self.names[x][0] == "t":
                self.free_names.append(self.names[x])
        for x in [*dying, i.result]:
            root = self.root.get(x, x)
            if root in self.buffer_of and self.last_use[root] == k:
                name = self.buffer_of.pop(root)
                self.free.setdefault(root.layout, []).append(name)

    def _plain(self, i: Instruction, name: str) -> list[str]:
        """An instruction whose result is newly allocated, or a view, or a number."""
        result = i.result
        old = {x: self.names[x] for x in variables_in((i.args, i.kwargs)) if x in self.as_float and not x.number}
        if result in self.as_float:
            operands = [self._float(x) for x in i.args]
            text = {"negative": "-{}"}.get(i.target, f"{{}} {i.target} {{}}").format(*operands)
            return [f"{name} = {text}"]
        for x in old:
            self.names[x] = f"float64({old[x]})"
        if result is not None:
            self.names[result] = name
        if i.kind == "reduce" and result is not None:
            axis, rest = i.kwargs["axis"], {k: v for k, v in i.kwargs.items() if k != "axis" and v is not False}
            extra = "".join(f", {k}={self.printer.operand(v)}" for k, v in rest.items())
            lines = [f"{name} = {self._reduction(i.target)}({self.printer.operand(i.args[0])}, {axis!r}{extra})"]
        elif i.kind == "function" and i.target is np.where and len(i.args) == 3:
            condition, *choices = self.printer.operand(i.args[0]), *self._operands(i._replace(args=i.args[1:]))
            lines = [f"{name} = np.where({', '.join([condition, *choices])})"]
        elif i.kind == "function" and i.target is np.broadcast_to and type(i.args[0]) is Variable:
            lines = [f"{name} = {self._broadcast(i)}"]
        else:
            lines = self.printer.statement(i)
        self.names.update(old)
        return lines

    def _broadcast(self, i: Instruction) -> str:
        """np.broadcast_to, or, for what is returned, an array of its own at once."""
        x, shape = self.name(i.args[0]), i.result.value.shape
        if self.root[i.result] in self.visible:
            return f"np.full({shape}, {x}, {self.printer.operand(i.result.value.dtype)})"
        return f"np.broadcast_to({x}, {shape})"

    def _float(self, x: Any) -> str:
        if type(x) is Variable:
            return self.names[x] if x in self.as_float or x.number else f"{self.names[x]}.item()"
        text = repr(x.item() if isinstance(x, np.generic) else x)
        return f"({text})" if text.startswith("-") else text if text not in ("inf", "nan") else f"float('{text}')"

    def _fits_a_buffer(self, i: Instruction) -> bool:
        """Whether NumPy can write the result into given memory, and only this program sees it."""
        x = i.result.value
        if (
            not isinstance(x, np.ndarray)
            or not x.ndim
            or not x.size
            or i.result in self.visible
            or self.root[i.result] is not i.result
        ):
            return False
        if not (x.flags.c_contiguous or x.flags.f_contiguous):
            return False
        if i.kind == "operator":
            return i.target in UFUNC_OF or (i.target == "**" and _is_two(i.args[1]))
        if i.kind == "ufunc":
            return not i.kwargs and i.target.nout == 1
        if i.kind == "reduce":
            return x.flags.c_contiguous and set(i.kwargs) <= {"axis", "keepdims", "dtype"}
        if i.kind == "function" and i.target is np.concatenate:
            return x.flags.c_contiguous and "dtype" not in i.kwargs
        return i.kind == "method" and i.target == "dot" and x.flags.c_contiguous and x.ndim == 2

    def _reusable_operand(self, k: int, i: Instruction) -> Variable | None:
        """An operand whose buffer the result may overwrite."""
        if i.kind not in ("operator", "ufunc") or i.target in ("@", np.sign):  # in place sign takes 20 times as long
            return None
        if i.kind == "ufunc" and i.target.signature:
            return None
        for x in variables_in(i.args):
            if x in self.buffer_of and self.last_use[self.root.get(x, x)] == k and x.layout == i.result.layout:
                return x
        return None

    def _choose(self, k: int, i: Instruction, c: Choice) -> None:
        """Write a choice by bits, into the memory of its first operand if that is not needed any more."""
        a, b = (self.root.get(x, x) if type(x) is Variable else None for x in (c.a, c.b))
        dies = a in self.buffer_of and c.a is a and a is not b and self.last_use[a] == k
        out = self.buffer_of.pop(a) if dies else self._buffer(i.result)
        self.names[i.result] = self.buffer_of[i.result] = out
        for f, *operands in steps(c):
            x, y = (self._bits(out if z is None else z, c) if z is not c.condition else self.name(z) for z in operands)
            self.lines.append(f"{self.function(f)}({x}, {y}, {self._bits(out, c)})")

    def _bits(self, x: Any, c: Choice) -> str:
        """An array's bits as integers, by the name of a buffer, as a variable or as a constant."""
        if isinstance(x, np.ndarray):
            return self._number(x)
        name = x if type(x) is str else self.names[x]
        integer = self.globals.setdefault(c.bits.__name__, c.bits).__name__
        if name not in self.buffers:
            return f"{name}.view({integer})"
        view = f"i{name}"
        if (line := f"{view} = {name}.view({integer})") not in self.setup:
            self.setup.append(line)
        return view

    def _buffer(self, x: Variable) -> str:
        waiting = self.free.get(x.layout)
        if waiting:
            return waiting.pop()
        name = f"b{len(self.buffers)}"
        self.buffers[name] = np.empty(x.value.shape, x.value.dtype, "C" if x.value.flags.c_contiguous else "F")
        return name

    def _operands(self, i: Instruction) -> list[str]:
        """The operands of an element-wise instruction; numbers beside arrays of floats as arrays without axes.

        NumPy would make such an array of a number at each call, in 0.2 µs, from Python's in 0.3 µs.
        """
        dtypes = {x.dtype for x in map(example, i.args) if isinstance(x, (np.ndarray, np.generic))}
        texts = self.printer.operands(i)
        if len(dtypes) == 1 and (dtype := dtypes.pop()).kind == "f":
            for k, x in enumerate(i.args):
                if type(x) in (int, float) or isinstance(x, np.generic) and x.dtype == dtype:
                    texts[k] = self._number(np.asarray(x, dtype))
        return texts

    def _number(self, x: np.ndarray) -> str:
        """The name of an array without axes."""
        key = f"n{x.tobytes().hex()}_{x.dtype.char}"
        self.globals[key] = x
        return key

    def _into(self, i: Instruction, out: str) -> str:
        """The instruction as a call that writes into `out`."""
        old = {x: self.names[x] for x in variables_in(i.args) if x in self.as_float and not x.number}
        for x in old:
            weak = all(y.value.dtype == np.float64 for y in variables_in(i.args)) and i.kind != "reduce"
            self.names[x] = old[x] if weak else f"float64({old[x]})"
        if i.kind == "operator" and i.target == "**":
            text = f"{self.function(np.square)}({self.printer.operand(i.args[0])}, {out})"
        elif i.kind in ("operator", "ufunc"):
            f = UFUNC_OF[i.target] if i.kind == "operator" else i.target
            by_position = "" if f not in (np.maximum, np.minimum) else "out="  # a third position is deprecated there
            text = f"{self.function(f)}({', '.join([*self._operands(i), by_position + out])})"
        elif i.kind == "reduce":
            axis, keep, dtype = i.kwargs["axis"], i.kwargs.get("keepdims", False), i.kwargs.get("dtype")
            x = self.printer.operand(i.args[0])
            text = f"{self._reduction(i.target)}({x}, {axis!r}, {self.printer.operand(dtype)}, {out}, {keep!r})"
        elif i.kind == "function":
            text = f"{self.function(np.concatenate)}({self.printer.arguments(i.args, i.kwargs)}, out={out})"
        else:
            text = f"{self.function(np.dot)}({self.printer.arguments(i.args, i.kwargs)}, {out})"
        self.names.update(old)
        return text


def _is_two(x: Any) -> bool:
    return type(x) in (int, float) and x == 2


def python_floats(instructions: list[Instruction]) -> set[Variable]:
    """Results that may be Python floats: 0-d float64, from + - * / and squares of such, where both give the same bits."""
    found: set[Variable] = set()

    def is_number(x: Any) -> bool:
        if type(x) is Variable:
            value = x.value
            return isinstance(value, np.generic) and value.dtype == np.float64
        return isinstance(x, np.float64) or type(x) in (int, float)

    for i in instructions:
        x = i.result
        if i.kind == "operator" and x is not None and x.value.shape == () and x.value.dtype == np.float64:
            if (
                x.number
                or all(map(is_number, i.args))
                and (
                    i.target in ("+", "-", "*", "/", "negative")
                    or (i.target == "**" and type(i.args[1]) is int and 0 < i.args[1] < 5)
                )
            ):
                found.add(x)
    return found
