"""A program as JavaScript, for small arrays: a function of nested arrays that needs no library.

Every array becomes a NumPy array of the *names* of its elements.  Reshaping, transposing, indexing, broadcasting and
joining are then done here, by NumPy itself on the names, and the JavaScript consists of assignments of numbers only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .recording import Instruction, Variable, perform, tree_map

if TYPE_CHECKING:
    from .readable import Program

LIMIT = 200_000  # elements in all results together

INFIX = {"+", "-", "*", "/", "<", "<=", ">", ">="}
FUNCTIONS = {
    np.exp: "Math.exp", np.log: "Math.log", np.log2: "Math.log2", np.log10: "Math.log10", np.log1p: "Math.log1p",
    np.expm1: "Math.expm1", np.sqrt: "Math.sqrt", np.sin: "Math.sin", np.cos: "Math.cos", np.tan: "Math.tan",
    np.sinh: "Math.sinh", np.cosh: "Math.cosh", np.tanh: "Math.tanh", np.arctan: "Math.atan", np.sign: "Math.sign",
    np.floor: "Math.floor", np.ceil: "Math.ceil", np.maximum: "Math.max", np.minimum: "Math.min", np.power: "Math.pow",
    np.logaddexp: "((a, b) => Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))))", np.square: "(x => x * x)",
    np.reciprocal: "(x => 1 / x)", np.isnan: "+Number.isNaN", np.isfinite: "+Number.isFinite",
    np.isinf: "(x => +(Math.abs(x) === Infinity))",
}  # fmt: skip
MOVES = {"reshape", "transpose", "swapaxes", "ravel", "flatten", "squeeze", "copy", "repeat", "take", "diagonal"}
MOVING = {np.broadcast_to, np.concatenate, np.stack, np.reshape, np.transpose, np.swapaxes, np.moveaxis, np.squeeze}
MOVING |= {np.expand_dims, np.ravel, np.array, np.copy, np.hstack, np.vstack, np.flip, np.roll, np.tile, np.repeat}
MOVING |= {np.tril, np.triu, np.pad, np.lib.stride_tricks.sliding_window_view}
REDUCED = {np.add: "+", np.multiply: "*"}
TO_UFUNC = {
    np.sum: np.add,
    np.prod: np.multiply,
    np.max: np.maximum,
    np.min: np.minimum,
    np.any: np.maximum,
    np.all: np.minimum,
}
METHODS = {
    "sum": np.add,
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "any": np.maximum,
    "all": np.minimum,
}


def javascript(program: Program) -> str:
    """The JavaScript function `program` with the parameters and results of the source; arrays are nested arrays."""
    return Translation(program).text()


class Translation:
    """Translates instruction by instruction; `elements[variable]` are the names of its elements."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lines: list[str] = []
        self.elements: dict[Variable, np.ndarray] = {}
        self.count = 0

    def text(self) -> str:
        p = self.program
        for x, name in zip(self._parameters(), p.parameters, strict=True):
            names = np.empty(x.value.shape, object)
            for index in np.ndindex(x.value.shape):
                names[index] = name + "".join(f"[{k}]" for k in index)
            self.elements[x] = names
        for k, i in enumerate(p.instructions):
            if k == p.backward_from:
                self.lines.append("// backward")
            self._translate(i)
        values = [self._nested(self._names(p.final(r.value))) for r in p.result]
        result = values[0] if len(values) == 1 else f"[{', '.join(values)}]"
        if p.gradients:
            result = f"[{result}, [{', '.join(self._nested(self._names(p.final(r.value))) for r in p.gradients)}]]"
        body = "".join(f"  {line}\n" for line in self.lines)
        return f"function program({', '.join(p.parameters)}) {{\n{body}  return {result};\n}}\n"

    def _parameters(self) -> list[Variable]:
        p = self.program
        plain = p.inputs[: len(p.parameters) - len(p.captured)]
        for x, place in p.captured:
            if not isinstance(x.value, (np.ndarray, np.generic)):
                raise self._untranslatable(f"random numbers ({place.label})")
        return [*plain, *(x for x, _ in p.captured)]

    def _untranslatable(self, what: str) -> NotImplementedError:
        return NotImplementedError(
            f"javascript: {what} cannot be translated. Use the operations of the course on small float64 arrays, or run "
            "the NumPy source."
        )

    # ---------------------------------------------------------------- names

    def _names(self, x: Any) -> np.ndarray:
        """The names of the elements, or the numbers themselves for a constant."""
        if type(x) is Variable:
            return self.elements[x]
        x = np.asarray(x)
        names = np.empty(x.shape, object)
        for index in np.ndindex(x.shape):
            names[index] = _number(x[index].item())
        return names

    def _nested(self, names: np.ndarray) -> str:
        if not names.ndim:
            return str(names[()])
        return f"[{', '.join(self._nested(row if isinstance(row, np.ndarray) else np.array(row, object)) for row in names)}]"

    def _assign(self, expressions: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """A variable for each expression; equal expressions share one."""
        names = np.empty(expressions.shape, object)
        known: dict[str, str] = {}
        for index in np.ndindex(expressions.shape):
            text = expressions[index]
            if text not in known:
                self.count += 1
                known[text] = f"t_{self.count}"
                rounded = f"Math.fround({text})" if dtype == np.float32 else text
                self.lines.append(f"const t_{self.count} = {rounded};")
            names[index] = known[text]
        if self.count > LIMIT:
            raise self._untranslatable(f"a program with more than {LIMIT:,} elements")
        return names

    # ---------------------------------------------------------------- instructions

    def _translate(self, i: Instruction) -> None:
        if i.kind == "check":
            self.lines.append(f"if ({self._names(i.args[0])[()]}) throw new Error('an argument fails a check');")
            return
        x = i.result
        if isinstance(x.value, (np.ndarray, np.generic)) and x.value.dtype == np.float16:
            raise self._untranslatable("float16")
        expressions = self._expressions(i)
        if isinstance(expressions, tuple):  # moved elements, which have names already
            self.elements[x] = np.array(expressions[0], object)
        else:
            self.elements[x] = self._assign(expressions, x.value.dtype)

    def _expressions(self, i: Instruction) -> Any:
        if i.kind == "operator" and i.target != "@":
            return self._each(self._operator(i), *i.args)
        if i.kind == "operator" or (i.kind == "method" and i.target == "dot") or i.target in (np.dot, np.matmul):
            return self._product(*i.args)
        if i.kind == "ufunc" and i.target in FUNCTIONS and not set(i.kwargs) - {"dtype"}:
            return self._each(lambda *xs: f"{FUNCTIONS[i.target]}({', '.join(xs)})", *i.args)
        if i.kind == "reduce":
            return self._reduce(i.target, i.args[0], i.kwargs.get("axis"), i.kwargs.get("keepdims", False))
        if i.kind == "function":
            return self._function(i)
        if i.kind == "method":
            return self._method(i)
        if i.kind == "getitem":
            return self._item(*i.args)
        if i.kind in ("setitem", "at"):
            return self._written(i.kind, i.target, *i.args)
        raise self._untranslatable(f"{i.kind} {i.target}")

    def _each(self, f: Callable[..., str], *operands: Any) -> np.ndarray:
        arrays = np.broadcast_arrays(*map(self._names, operands))
        out = np.empty(arrays[0].shape, object)
        for index in np.ndindex(out.shape):
            out[index] = f(*(a[index] for a in arrays))
        return out

    def _operator(self, i: Instruction) -> Callable[..., str]:
        if i.target in INFIX:
            number = "+" if i.target in "<=>=" else ""
            return lambda a, b: f"{number}({a} {i.target} {b})" if number else f"{a} {i.target} {b}"
        if i.target == "**":
            if type(i.args[1]) in (int, float) and i.args[1] == 2:
                return lambda a, b: f"{a} * {a}"
            return lambda a, b: f"Math.pow({a}, {b})"
        simple = {
            "==": "+({} === {})", "!=": "+({} !== {})", "&": "{} & {}", "|": "{} | {}", "^": "{} ^ {}", "negative": "-{}",
            "positive": "{}", "abs": "Math.abs({})", "~": "1 - {}", "//": "Math.floor({} / {})",
        }  # fmt: skip
        if i.target not in simple or (i.target == "~" and i.result.value.dtype != bool):
            raise self._untranslatable(f"the operator {i.target}")
        return simple[i.target].format

    def _product(self, a: Any, b: Any) -> np.ndarray:
        a, b = self._names(a), self._names(b)
        row, column = a.ndim == 1, b.ndim == 1
        a, b = a[None, :] if row else a, b[:, None] if column else b
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = np.broadcast_to(a, (*lead, *a.shape[-2:])), np.broadcast_to(b, (*lead, *b.shape[-2:]))
        out = np.empty((*lead, a.shape[-2], b.shape[-1]), object)
        for index in np.ndindex(out.shape):
            *at, r, c = index
            terms = [f"{x} * {y}" for x, y in zip(a[(*at, r)], b[(*at, slice(None), c)], strict=True)]
            out[index] = " + ".join(terms) or "0"
        out = out[..., 0, :] if row else out
        return out[..., 0] if column else out

    def _einsum(self, equation: str, *operands: Any) -> np.ndarray:
        """Sums of products for an equation with explicit output and without an ellipsis: "ij,jk->ik"."""
        left, output = equation.split("->")
        terms = list(zip(left.split(","), map(self._names, operands), strict=True))
        sizes = {letter: n for letters, names in terms for letter, n in zip(letters, names.shape, strict=True)}
        summed = [letter for letter in sizes if letter not in output]
        out = np.empty([sizes[letter] for letter in output], object)
        for index in np.ndindex(out.shape):
            at = dict(zip(output, index, strict=True))
            products = []
            for inner in np.ndindex(*(sizes[letter] for letter in summed)):
                at |= dict(zip(summed, inner, strict=True))
                products.append(" * ".join(names[tuple(at[x] for x in letters)] for letters, names in terms))
            out[index] = " + ".join(products) or "0"
        return out

    def _reduce(self, ufunc: np.ufunc, x: Any, axis: Any, keepdims: bool) -> np.ndarray:
        names = self._names(x)
        axes = range(names.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = sorted({k % names.ndim for k in axes}) if names.ndim else []
        kept = [k for k in range(names.ndim) if k not in axes]
        rows = names.transpose(*kept, *axes).reshape(*(names.shape[k] for k in kept), -1)
        out = np.empty(rows.shape[:-1], object)
        for index in np.ndindex(out.shape):
            if ufunc in REDUCED:
                out[index] = f" {REDUCED[ufunc]} ".join(rows[index]) or ("0" if ufunc is np.add else "1")
            elif ufunc in (np.maximum, np.minimum):
                out[index] = f"{FUNCTIONS[ufunc]}({', '.join(rows[index])})"
            else:
                raise self._untranslatable(f"numpy.{ufunc.__name__}.reduce")
        if keepdims:
            out = out.reshape([1 if k in axes else n for k, n in enumerate(names.shape)])
        return out

    def _cumulative(self, x: Any, axis: int | None = None) -> np.ndarray:
        """Sums from the first element on, along an axis or over all in order."""
        names = self._names(x).reshape(-1) if axis is None else np.moveaxis(self._names(x), axis, 0)
        dtype = x.value.dtype
        sums = [names[0]] if len(names) else []
        for row in names[1:]:
            sums.append(self._assign(np.asarray(sums[-1] + " + " + row, object), dtype))
        out = np.array(sums, object).reshape(names.shape)
        return out if axis is None else np.moveaxis(out, 0, axis)

    def _function(self, i: Instruction) -> Any:
        if i.target is np.where:
            return self._each(lambda c, a, b: f"{c} ? {a} : {b}", *i.args)
        if i.target in MOVING:
            kwargs = {k: v for k, v in i.kwargs.items() if k not in ("order", "dtype", "copy")}
            call = np.array if i.target is np.array else i.target
            named = tree_map(lambda x: self._names(x) if isinstance(x, (Variable, np.ndarray)) else x, i.args)
            return (np.vectorize(str, otypes=[object])(call(*named, **kwargs)),)  # pad and tril add zeros
        if i.target is np.einsum:
            return self._einsum(*i.args)
        if i.target is np.cumsum:
            return (self._cumulative(i.args[0], *i.args[1:2], **{k: v for k, v in i.kwargs.items() if k == "axis"}),)
        if i.target in TO_UFUNC:
            x, *rest = i.args
            axis = rest[0] if rest else i.kwargs.get("axis")
            if not set(i.kwargs) - {"axis", "keepdims"}:
                return self._reduce(TO_UFUNC[i.target], x, axis, i.kwargs.get("keepdims", False))
            if i.kwargs.get("initial") is not None and i.target in (np.max, np.min):
                reduced = self._reduce(TO_UFUNC[i.target], x, axis, i.kwargs.get("keepdims", False))
                f = FUNCTIONS[TO_UFUNC[i.target]]
                return np.vectorize(lambda t: f"{f}({t}, {i.kwargs['initial']})", otypes=[object])(reduced)
        raise self._untranslatable(f"numpy.{i.target.__name__}")

    def _method(self, i: Instruction) -> Any:
        x, *rest = i.args
        if i.target == "astype":
            if i.result.value.dtype.kind == "b":
                return self._each(lambda a: f"+({a} !== 0)", x)
            if i.result.value.dtype.kind in "iu" and x.value.dtype.kind == "f":
                return self._each(lambda a: f"Math.trunc({a})", x)
            return self._names(x).copy()
        if i.target == "cumsum":
            return (self._cumulative(x, *rest[:1], **{k: v for k, v in i.kwargs.items() if k == "axis"}),)
        if i.target in MOVES:
            names = self._names(x)
            kwargs = {k: v for k, v in i.kwargs.items() if k != "order"}
            return (perform("method", i.target, (names, *(() if i.target == "copy" else rest)), kwargs),)
        if i.target in METHODS and not set(i.kwargs) - {"axis", "keepdims"}:
            return self._reduce(
                METHODS[i.target], x, rest[0] if rest else i.kwargs.get("axis"), i.kwargs.get("keepdims", False)
            )
        raise self._untranslatable(f".{i.target}()")

    # ---------------------------------------------------------------- indices, also such as are computed

    def _item(self, x: Any, index: Any) -> Any:
        if type(x) is Variable and isinstance(x.value, (tuple, list)):
            raise self._untranslatable("a function with several results")
        names = self._names(x)
        if not _is_computed(index):
            return (names[index],)
        positions, shape = self._positions(index, names.shape)
        flat = f"[{', '.join(names.reshape(-1))}]"
        self.count += 1
        self.lines.append(f"const a_{self.count} = {flat};")
        array = f"a_{self.count}"
        out = np.empty(shape, object)
        for at in np.ndindex(shape):
            out[at] = f"{array}[{positions[at]}]"
        return out

    def _written(self, kind: str, ufunc: Any, x: Any, index: Any, new: Any) -> Any:
        names = self._names(x).copy()
        positions, shape = self._positions(index, names.shape)
        values = np.broadcast_to(self._names(new), shape).reshape(-1)
        flat, places = names.reshape(-1), positions.reshape(-1)
        if kind == "at" and ufunc is not np.add:
            raise self._untranslatable(f"numpy.{ufunc.__name__}.at")
        if not _is_computed(index):
            for p, value in zip(places, values, strict=True):
                flat[int(p)] = value if kind == "setitem" else f"{flat[int(p)]} + {value}"
            return flat.reshape(names.shape)
        for k in range(flat.size):
            for p, value in zip(places, values, strict=True):
                if kind == "setitem":
                    flat[k] = f"({p} === {k} ? {value} : {flat[k]})"
                else:
                    flat[k] = f"{flat[k]} + ({p} === {k} ? {value} : 0)"
        return flat.reshape(names.shape)

    def _positions(self, index: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
        """Where in the flattened array the picked elements lie, as JavaScript, and the shape of what is picked."""
        if not _is_computed(index):
            numbers = np.asarray(np.arange(int(np.prod(shape))).reshape(shape)[index])
            return np.vectorize(str, otypes=[object])(numbers) if numbers.size else numbers.astype(
                object
            ), numbers.shape
        parts = list(index) if isinstance(index, tuple) else [index]
        if not all(isinstance(p, (Variable, np.ndarray, list, int, np.integer)) for p in parts):
            return self._positions_beside_slices(parts, shape)
        steps = [int(np.prod(shape[k + 1 :])) for k in range(len(parts))]
        inner = shape[len(parts) :]
        wrapped = [
            self._each(
                lambda j, n=shape[k]: f"(({j} + {n}) % {n})", part if isinstance(part, Variable) else np.asarray(part)
            )
            for k, part in enumerate(parts)
        ]
        rows = np.broadcast_arrays(*wrapped)
        outer = rows[0].shape
        out = np.empty((*outer, *inner), object)
        for at in np.ndindex(outer):
            start = " + ".join(f"{r[at]} * {s}" for r, s in zip(rows, steps, strict=True))
            for k, rest in enumerate(np.ndindex(inner)):
                out[(*at, *rest)] = f"{start} + {k}"
        return out, out.shape

    def _positions_beside_slices(self, parts: list, shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
        """The same for one computed array among slices: x[:, i]."""
        computed = [k for k, part in enumerate(parts) if type(part) is Variable]
        if len(computed) > 1 or not all(type(part) in (Variable, slice) for part in parts):
            raise self._untranslatable("an index that mixes computed positions with slices and other parts")
        (k,) = computed
        n, step = shape[k], int(np.prod(shape[k + 1 :]))
        picked = self._each(lambda j: f"(({j} + {n}) % {n})", parts[k])
        first = np.arange(int(np.prod(shape))).reshape(shape)[tuple(slice(1) if x is parts[k] else x for x in parts)]
        before, after = first.shape[:k], first.shape[k + 1 :]
        first = first.reshape(*before, *(1,) * picked.ndim, *after)
        picked = picked.reshape(*(1,) * len(before), *picked.shape, *(1,) * len(after))
        out = np.asarray(np.vectorize(lambda p, j: f"{p} + {j} * {step}", otypes=[object])(first, picked), object)
        return out, out.shape


def _is_computed(index: Any) -> bool:
    return any(type(part) is Variable for part in (index if isinstance(index, tuple) else (index,)))


def _number(x: Any) -> str:
    if isinstance(x, bool):
        return str(int(x))
    if x != x:
        return "NaN"
    if x in (float("inf"), float("-inf")):
        return "Infinity" if x > 0 else "(-Infinity)"
    text = repr(x)
    return f"({text})" if text.startswith("-") else text
