"""Every primitive, one harness: what must hold for each row of the table in primitive_rows.py."""

from itertools import combinations

import numpy as np
import pytest
from primitive_rows import CASES, ROWS

import minigrad as mg
from minigrad import context, functions, fused, graph, operations

FLOATS = {"float32": np.float32, "float64": np.float64}
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-11}


def for_each(cases):
    return pytest.mark.parametrize("case", [pytest.param(case, id=f"{i} {case}") for i, case in enumerate(cases)])


for_each_case = for_each(CASES)
for_each_float = pytest.mark.parametrize("dtype", FLOATS.values(), ids=FLOATS)
for_operands = for_each([case for case in CASES if len(case.shapes) > 1])


# ---------------------------------------------------------------- oracles that owe nothing to the library


def directional(f, points, directions, h=1e-5):
    """d/dε f(points + ε directions) at 0, by the centred difference of five points."""

    def at(step):
        return np.asarray(f(*(x + step * h * d for x, d in zip(points, directions, strict=True))), np.float64)

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


def slopes(f, points, upstream):
    """The gradient of Σ f(points) ⊙ upstream for each point, one element at a time."""
    gradients = []
    for i, point in enumerate(points):
        gradient = np.zeros(point.shape)
        for index in np.ndindex(point.shape):
            directions = [np.zeros(x.shape) for x in points]
            directions[i][index] = 1
            gradient[index] = np.sum(directional(f, points, directions) * upstream)
        gradients.append(gradient)
    return gradients


def gradients(case, dtype=np.float64):
    """backward() into fresh leaves."""
    leaves = case.tensors(dtype)
    case.apply(*leaves).backward(case.upstream(dtype))
    return [x.grad for x in leaves]


# ---------------------------------------------------------------- the table


def has_rules(f) -> bool:
    return any(isinstance(cell.cell_contents, graph.Operation) for cell in getattr(f, "__closure__", None) or ())


def public(module) -> dict:
    return {name: f for name, f in vars(module).items() if not name.startswith("_") and callable(f)}


def test_every_primitive_has_a_row():
    """A primitive added without a row would not be tested at all."""
    exported = public(mg) | public(fused)
    named = {
        f for name, f in exported.items() if has_rules(f) or name.startswith("tensor_") or name.endswith("_tensor")
    }
    assert len(named) > 30
    missing = {f.__name__ for f in named} - {row.primitive.__name__ for row in ROWS}
    assert not missing, f"add rows for {sorted(missing)} to primitive_rows.py"


@pytest.mark.parametrize("module", [functions, operations], ids=lambda m: m.__name__)
def test_every_primitive_is_exported(module):
    """A primitive written but forgotten in __init__.py."""
    assert not {name for name, f in public(module).items() if has_rules(f)} - set(vars(mg))


# ---------------------------------------------------------------- values


@for_each_case
def test_value_is_numpys(case):
    """A wrong forward, a drift from float32 to float64, a tensor where arrays went in."""
    for dtype in FLOATS.values():
        arrays = case.arrays(dtype)
        expected = np.asarray(case.numpy(*arrays))
        plain, result = case.apply(*arrays), case.apply(*case.tensors(dtype))
        assert isinstance(plain, (np.ndarray, np.generic)) and isinstance(result, mg.Tensor)
        assert result.requires_grad
        for value in (plain, result.data):
            assert value.shape == expected.shape and value.dtype == case.result_dtype(dtype)
            np.testing.assert_allclose(value, expected, rtol=10 * np.finfo(dtype).eps, atol=10 * np.finfo(dtype).eps)


@for_each_case
def test_constants_stay_constant(case):
    """A graph recorded for operands that need no gradient, or inside no_grad()."""
    assert not case.apply(*map(mg.Tensor, case.arrays())).requires_grad
    with mg.no_grad():
        assert not case.apply(*case.tensors()).requires_grad


# ---------------------------------------------------------------- first derivatives


@for_each_float
@for_each_case
def test_gradient_is_the_slope_of_numpys_function(case, dtype):
    """A wrong rule, a wrong shape, a wrong dtype: judged by differences of the plain NumPy function, in float64."""
    expected = slopes(case.numpy, [x.astype(np.float64) for x in case.arrays(dtype)], case.upstream(dtype))
    for gradient, slope in zip(gradients(case, dtype), expected, strict=True):
        assert type(gradient) is np.ndarray and gradient.shape == slope.shape and gradient.dtype == dtype
        tolerance = max(2e-8, TOLERANCE[dtype])
        np.testing.assert_allclose(
            gradient, slope, rtol=tolerance, atol=tolerance * max(1, np.max(np.abs(slope), initial=0))
        )


@for_each_case
def test_gradcheck(case):
    """The library's own judge agrees: first and second derivatives; float32 operands are checked in float64."""
    mg.gradcheck(case.apply, *case.tensors(), second=True)
    if case.shapes == case.row.cases[0][0]:
        mg.gradcheck(case.apply, *case.tensors(np.float32), second=True)


@for_each_case
def test_reverse_is_the_transpose_of_forward(case):
    """⟨v, Jᵀu⟩ = ⟨u, Jv⟩ for random u and v: mistakes that cancel element by element."""
    points, u = case.arrays(), case.upstream()
    v = [np.random.default_rng(2).normal(size=x.shape) for x in points]
    left = sum(np.sum(g * d) for g, d in zip(gradients(case), v, strict=True))
    right = np.sum(u * directional(case.numpy, points, v))
    assert left == pytest.approx(right, rel=1e-8, abs=1e-8)


# ---------------------------------------------------------------- second derivatives


@for_each_case
def test_second_derivative_by_projections(case):
    """Rules that do not differentiate: h(x) = ⟨Jᵀ(x) u, v⟩ has the slope along w that its own gradient says."""
    points, u = case.arrays(), case.upstream()
    v, w = ([np.random.default_rng(seed).normal(size=x.shape) for x in points] for seed in (3, 4))

    def h(*values):
        leaves = [mg.Tensor(x, requires_grad=True) for x in values]
        slopes = mg.grad(case.apply(*leaves), leaves, create_graph=True, gradient=u)
        return leaves, sum(((g * d).sum() for g, d in zip(slopes, v, strict=True)), mg.Tensor(0.0))

    leaves, y = h(*points)
    left = sum(np.sum(g * d) for g, d in zip(mg.grad(y, leaves), w, strict=True)) if y.requires_grad else 0
    right = directional(lambda *values: h(*values)[1].item(), points, w)
    assert left == pytest.approx(float(right), rel=1e-7, abs=1e-7)


@for_each_case
def test_rules_are_linear_in_the_upstream_gradient(case):
    """d⟨Jᵀu, v⟩/du = Jv: a rule must let the derivative through to g, whose graph is only there with create_graph."""
    points, leaves = case.arrays(), case.tensors()
    v = [np.random.default_rng(5).normal(size=x.shape) for x in points]
    u = mg.Tensor(case.upstream(), requires_grad=True)
    slopes = mg.grad(case.apply(*leaves), leaves, create_graph=True, gradient=u)
    y = sum((g * d).sum() for g, d in zip(slopes, v, strict=True))
    np.testing.assert_allclose(mg.grad(y, u), directional(case.numpy, points, v), rtol=1e-7, atol=1e-8)


@for_each_case
def test_rules_say_the_same_on_arrays_and_tensors(case):
    """A rule that branches on what it is given."""
    for dtype in FLOATS.values():
        leaves, u = case.tensors(dtype), case.upstream(dtype)
        fast = mg.grad(case.apply(*leaves), leaves, gradient=u)
        lifted = mg.grad(case.apply(*leaves), leaves, gradient=u, create_graph=True)
        for array, tensor in zip(fast, lifted, strict=True):
            assert type(array) is np.ndarray and isinstance(tensor, mg.Tensor)
            assert array.dtype == tensor.dtype == dtype
            np.testing.assert_allclose(tensor.data, array, rtol=1e-12 if dtype is np.float64 else 1e-6, atol=1e-300)


# ---------------------------------------------------------------- dtypes on the way


@for_each_case
def test_dtype_is_kept_on_the_way_back(case, dtype=np.float32):
    """A gradient that is float64 between two float32 tensors: slow, and unseen, since leaves convert what they get."""
    seen = []

    class Watch(context.Observer):
        def contributed(self, node, position, g, contribution):
            seen.append((g.dtype, contribution.dtype))

    leaves = case.tensors(dtype)
    inner = [mg.tensor_copy(x) for x in leaves]
    y = case.apply(*inner)
    with context.observing(Watch()):
        found = mg.grad(y, inner, gradient=case.upstream(dtype))
    assert seen and set(seen) == {(case.result_dtype(dtype), np.dtype(dtype))}
    for g, x in zip(found, inner, strict=True):
        assert type(g) is np.ndarray and g.dtype == dtype and g.shape == x.shape


# ---------------------------------------------------------------- operands of every kind


@for_each_float
@for_operands
def test_each_operand_constant_in_turn(case, dtype):
    """A rule that runs, or a result that changes, because the other operand is a constant of some kind."""
    arrays, upstream = case.arrays(dtype), case.upstream(dtype)
    complete = gradients(case, dtype)
    for i, array in enumerate(arrays):
        kinds = [array, mg.Tensor(array)]
        kinds += [array.tolist()] if array.size else []
        kinds += [array.item(), array[()], np.float64(array.item())] if array.ndim == 0 else []
        for constant in kinds:
            raw = constant.data if isinstance(constant, mg.Tensor) else constant
            leaves = [mg.Tensor(x, requires_grad=True) for x in arrays]
            leaves[i] = constant
            y = case.apply(*leaves)
            if not isinstance(raw, list):
                with_constant = [raw if j == i else x for j, x in enumerate(arrays)]
                assert y.dtype == (dtype if type(raw) is float else case.numpy(*with_constant).dtype)
            y.backward(upstream)
            for j, leaf in enumerate(leaves):
                if j != i:
                    assert leaf.grad.dtype == dtype
                    np.testing.assert_allclose(leaf.grad, complete[j], rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
            if isinstance(constant, mg.Tensor):
                assert constant.grad is None


@for_each([case for case in CASES if len(case.shapes) > 1 and len(set(case.shapes)) == 1])
def test_one_tensor_for_all_operands(case):
    """x ⊙ x: a contribution that is lost, or counted twice, where paths from one tensor meet again."""
    x = mg.Tensor(case.arrays()[0], requires_grad=True)
    copies = [mg.Tensor(x.data, requires_grad=True) for _ in case.shapes]
    case.apply(*[x] * len(copies)).backward(case.upstream())
    case.apply(*copies).backward(case.upstream())
    np.testing.assert_allclose(x.grad, sum(c.grad for c in copies), rtol=1e-13, atol=1e-13)


# ---------------------------------------------------------------- memory


@for_each_case
def test_nothing_given_is_written_to(case):
    """An operand, a constant or an upstream gradient changed in place."""
    for requires_grad in (True, False):
        arrays = case.arrays()
        tensors = [mg.Tensor(x, requires_grad=requires_grad) for x in arrays]
        upstream = case.upstream()
        held = [*arrays, *(t.data for t in tensors), upstream]
        held += [v for v in case.parameters.values() if isinstance(v, np.ndarray)]
        before = [x.tobytes() for x in held]
        y = case.apply(*tensors)
        result = y.data.tobytes()
        if requires_grad:
            y.backward(upstream, retain_graph=True)
            y.backward(upstream, create_graph=True)
            (y + y).backward(2 * upstream)
        assert [x.tobytes() for x in held] == before
        assert y.data.tobytes() == result


def assert_apart(named: list[tuple[str, np.ndarray]], fixed=()) -> None:
    for (one, a), (other, b) in [*combinations(named, 2), *((x, y) for x in named for y in fixed)]:
        assert not np.shares_memory(a, b), f"{one} shares memory with {other}"


@for_each_case
@pytest.mark.parametrize("depth", [0, 1])
def test_gradients_share_memory_with_nothing(case, depth):
    """Training that changes a gradient through another one, through the seed, or through the data."""
    arrays, upstream = case.arrays(), case.upstream()
    leaves = [mg.Tensor(x, requires_grad=True) for x in arrays]
    inner = [mg.tensor_copy(x) for x in leaves] if depth else leaves
    y = case.apply(*inner)
    found = mg.grad(y, inner, gradient=upstream, retain_graph=True)
    y.backward(upstream)
    named = [(f"grad {i}", g) for i, g in enumerate(found)] + [(f".grad {i}", x.grad) for i, x in enumerate(leaves)]
    fixed = [("upstream", upstream), ("result", y.data)]
    fixed += [(f"array {i}", x) for i, x in enumerate(arrays)] + [
        (f"data {i}", x.data) for i, x in enumerate([*leaves, *inner])
    ]
    assert_apart(named, fixed)
    for _, g in named:
        g += 1  # and each can be written to: not a broadcast view


@for_each_case
def test_second_backward_adds(case):
    """Gradients replaced instead of added up, or a held gradient changed behind its owner's back."""
    leaves, upstream = case.tensors(), case.upstream()
    case.apply(*leaves).backward(upstream)
    held = [x.grad for x in leaves]
    before = [g.copy() for g in held]
    case.apply(*leaves).backward(3 * upstream)
    for x, g, b in zip(leaves, held, before, strict=True):
        np.testing.assert_allclose(x.grad, 4 * b, rtol=1e-13)
        np.testing.assert_array_equal(g, b)


# ---------------------------------------------------------------- memory layouts


LAYOUTS = {
    "transposed": (lambda x: x.T, lambda t: t.T),
    "reversed": (lambda x: x[::-1] if x.ndim else x, lambda t: t[::-1] if t.ndim else t),
    "every other": (lambda x: np.repeat(x, 2, -1) if x.ndim else x, lambda t: t[..., ::2] if t.ndim else t),
}


@for_each_case
def test_memory_layout_makes_no_difference(case):
    """A rule that takes a short cut for transposed operands, as the W.T of a dense layer, and errs for some shapes."""
    expected, upstream = gradients(case), case.upstream()
    for lay, undo in LAYOUTS.values():
        views = [undo(mg.Tensor(np.array(lay(x), order="C"), requires_grad=True)) for x in case.arrays()]
        seed = undo(np.array(lay(upstream), order="C"))
        y = case.apply(*views)
        np.testing.assert_allclose(y.data, case.numpy(*case.arrays()), rtol=1e-13, atol=1e-13)
        for g, e in zip(mg.grad(y, views, gradient=seed), expected, strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-13, atol=1e-13)
