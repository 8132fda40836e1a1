"""Values at kinks, ties and extremes, where finite differences can't judge, and what each primitive refuses."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

import minigrad as mg

FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def slope(f, *points, upstream=None, dtype=np.float64):
    """The gradients of f at `points`, from an upstream gradient of tens unless another is given."""
    leaves = [mg.Tensor(x, requires_grad=True, dtype=dtype) for x in points]
    y = f(*leaves)
    y.backward(np.full(y.shape, 10.0) if upstream is None else upstream)
    gradients = [x.grad.tolist() for x in leaves]
    return gradients if len(gradients) > 1 else gradients[0]


# ---------------------------------------------------------------- kinks: a choice is tested by its value


@FLOATS
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_choices_at_zero(dtype, zero):
    """ReLU'(0) = 0, leaky ReLU'(0) = α, |x|'(0) = 0: promised in the book, and nothing else decides them."""
    assert slope(mg.relu_tensor, [zero], dtype=dtype) == [0]
    assert slope(mg.tensor_abs, [zero], dtype=dtype) == [0]
    assert slope(mg.leaky_relu_tensor, [zero], dtype=dtype) == pytest.approx([0.1], rel=1e-6)
    assert slope(lambda x: mg.leaky_relu_tensor(x, 0.5), [zero], dtype=dtype) == [5]


def test_a_leaky_relu_may_be_steeper_on_the_left():
    """A slope above 1 swaps the maximum for a minimum."""
    x, steep = np.array([-3.0, 10.0]), 2.0
    np.testing.assert_array_equal(mg.leaky_relu_tensor(x, steep), [-6, 10])
    assert slope(lambda x: mg.leaky_relu_tensor(x, steep), x) == [20, 10]


def test_relu_sides():
    assert slope(mg.relu_tensor, [-1e-300, 1e-300, -np.inf, np.inf]) == [0, 10, 0, 10]
    assert slope(mg.tensor_abs, [-1e-300, 1e-300]) == [-10, 10]


@pytest.mark.parametrize("f", [mg.tensor_maximum, mg.tensor_minimum])
def test_ties_of_two_share_evenly(f):
    """A tie that both win, or that one wins alone; x ∨ x must still be x."""
    assert slope(f, [3.0, 0.0], [3.0, -0.0]) == [[5, 5], [5, 5]]
    assert slope(lambda x: f(x, x), [3.0]) == [10]
    assert slope(lambda x: f(x, 0), [0.0]) == [5]  # unlike relu


def test_larger_takes_all():
    assert slope(mg.tensor_maximum, [1.0, 2.0], [2.0, 1.0]) == [[0, 10], [10, 0]]
    assert slope(mg.tensor_minimum, [1.0, 2.0], [2.0, 1.0]) == [[10, 0], [0, 10]]


@FLOATS
@pytest.mark.parametrize("f", [mg.tensor_max, mg.tensor_min])
@pytest.mark.parametrize("keepdims", [False, True])
def test_ties_of_a_reduction_share_evenly(f, keepdims, dtype):
    """The gradient given to each of the winners, or to the first alone; a count in the wrong dtype."""
    x = [[7.0, 7.0, 7.0], [1.0, 1.0, 1.0]]
    rows = np.array([[30.0], [60.0]])
    assert slope(lambda t: f(t, 1, keepdims), x, upstream=rows if keepdims else rows[:, 0], dtype=dtype) == [
        [10] * 3,
        [20] * 3,
    ]
    winner = 0 if f is mg.tensor_max else 1
    whole = slope(lambda t: f(t, None, keepdims), x, upstream=np.full((1, 1) if keepdims else (), 30), dtype=dtype)
    assert whole[winner] == [10] * 3 and whole[1 - winner] == [0] * 3


def test_max_by_rows_and_columns_with_some_ties():
    x = [[1.0, 5.0, 5.0], [9.0, 5.0, 2.0]]
    assert slope(lambda t: t.max(axis=0), x, upstream=[6, 8, 4]) == [[0, 4, 4], [6, 4, 0]]
    assert slope(lambda t: t.min(axis=(0, 1)), x, upstream=6) == [[6, 0, 0], [0, 0, 0]]


def test_clip_passes_the_gradient_on_its_bounds():
    x = [-1.0, np.nextafter(-1, -2), np.nextafter(-1, 0), 0.0, 1.0, np.nextafter(1, 2)]
    assert slope(lambda t: t.clip(-1, 1), x) == [10, 0, 10, 10, 10, 0]


def test_where_takes_the_chosen_side_alone():
    """0 · inf = NaN from the side that was not chosen."""
    assert slope(lambda a, b: mg.tensor_where(np.array([True, False]), a, b), [1.0, np.inf], [np.nan, 2.0]) == [
        [10, 0],
        [0, 10],
    ]


# ---------------------------------------------------------------- power


@pytest.mark.parametrize(
    "p", [0, 0.0, np.float64(0), np.array(0.0), mg.Tensor(0.0)], ids=["int", "float", "scalar", "array", "tensor"]
)
def test_power_zero_at_zero(p):
    """d(x⁰)/dx = 0 everywhere: p x^(p−1) is 0·∞ at 0."""
    assert slope(lambda x: x**p, [0.0, -0.0, 2.0, -3.0, np.inf]) == [0] * 5
    x = mg.Tensor(0.0, requires_grad=True)
    (dx,) = mg.grad(x**p, [x], create_graph=True)
    assert dx.item() == 0
    if dx.requires_grad:
        assert mg.grad(dx, x) == 0


def test_power_zero_among_others():
    """One exponent 0 in an array: only its elements are special."""
    exponents = np.array([0.0, 1.0, 2.0, 3.0])
    assert slope(lambda x: x**exponents, [0.0, 0.0, 0.0, 0.0]) == [0, 10, 0, 0]
    assert slope(lambda x: x ** exponents.astype(int), [2.0, 2.0, 2.0, 2.0]) == [0, 10, 40, 120]


@pytest.mark.parametrize(("p", "expected"), [(1, 10), (1.0, 10), (2, 0), (3, 0), (1.5, 0)])
def test_power_at_zero(p, expected):
    assert slope(lambda x: x**p, 0.0) == expected
    assert slope(lambda x, q: x**q, 0.0, float(p)) == [expected, 0]


def test_power_between_0_and_1_has_infinite_slope_at_zero():
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert slope(lambda x: x**0.5, 0.0) == math.inf
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert slope(mg.tensor_sqrt, 0.0) == math.inf


def test_gradient_in_the_exponent():
    """0 at a = 0; aᵖ log a for a > 0; NaN for a < 0, where an integer p has no neighbours."""
    assert slope(lambda p: 0.0**p, [0.0, 0.5, 1.0, 2.0]) == [0, 0, 0, 0]
    assert slope(lambda p: np.zeros(4) ** p, [0.0, 0.5, 1.0, 2.0]) == [0, 0, 0, 0]
    assert slope(lambda p: 2**p, [3.0]) == pytest.approx([80 * math.log(2)], rel=1e-14)
    with pytest.warns(RuntimeWarning, match="invalid value"):
        base, exponent = slope(lambda a, p: a**p, [-2.0, 2.0], [3.0, 3.0])
    assert base == [120, 120]
    assert math.isnan(exponent[0]) and exponent[1] == pytest.approx(80 * math.log(2))


def test_negative_base_with_integer_exponent():
    """Section 5 squares negative differences."""
    assert slope(lambda x: x**2, -3.0) == -60
    assert slope(lambda x: x**3, -3.0) == 270
    assert slope(lambda x: x**-1, -2.0) == -2.5
    assert slope(lambda x: x ** np.array([2.0, 3.0]), [-3.0, -3.0]) == [-60, 270]
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert math.isnan((mg.Tensor(-2.0) ** 0.5).item())


# ---------------------------------------------------------------- extremes


def exact(f, x) -> float:
    with localcontext() as context:
        context.prec = 400  # 1 + e^−745 needs 324
        return float(f(Decimal(float(x))))


EXTREMES = [0.0, 1e-30, 1e-8, 0.5, 1, 5, 15, 17, 30, 36.7, 37, 40, 80, 87, 88.5, 89, 100, 300, 700, 708, 745, 800, 1e4]


@FLOATS
@pytest.mark.parametrize(
    ("f", "formula", "derivative"),
    [
        (mg.sigmoid_tensor, lambda x: 1 / (1 + (-x).exp()), lambda x: (-abs(x)).exp() / (1 + (-abs(x)).exp()) ** 2),
        (mg.tensor_softplus, lambda x: (1 + x.exp()).ln(), lambda x: 1 / (1 + (-x).exp())),
    ],
    ids=["sigmoid", "softplus"],
)
def test_accurate_at_both_ends(f, formula, derivative, dtype):
    """Overflow warnings (errors here), 0 where 4e−18 was right, or inf: judged by 400 decimal digits."""
    points = np.array([s * x for x in EXTREMES for s in (1, -1)], dtype)
    info = np.finfo(dtype)
    x = mg.Tensor(points, requires_grad=True)
    y = f(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.data, [exact(formula, p) for p in points], rtol=8 * info.eps, atol=float(info.tiny))
    y.sum().backward()
    np.testing.assert_allclose(x.grad, [exact(derivative, p) for p in points], rtol=8 * info.eps, atol=2 * info.eps)
    single = [f(mg.Tensor(p, dtype=dtype)).item() for p in points]  # numbers take the same road as arrays
    np.testing.assert_allclose(single, y.data, rtol=4 * info.eps, atol=float(info.tiny))


@FLOATS
def test_sigmoid_and_tanh_at_infinity(dtype):
    ends = [-np.inf, -1e4, 1e4, np.inf]
    assert mg.sigmoid_tensor(mg.Tensor(ends, dtype=dtype)).data.tolist() == [0, 0, 1, 1]
    assert slope(mg.sigmoid_tensor, ends, dtype=dtype) == [0, 0, 0, 0]
    assert mg.Tensor(ends, dtype=dtype).tanh().data.tolist() == [-1, -1, 1, 1]
    assert slope(mg.tensor_tanh, ends, dtype=dtype) == [0, 0, 0, 0]
    assert slope(mg.tensor_softplus, [-1e4, 1e4], dtype=dtype) == [0, 10]


def test_sigmoid_is_symmetric():
    """σ(−x) = 1 − σ(x) = 1/(1 + e^x)."""
    x = np.linspace(-30, 30, 101)
    np.testing.assert_allclose(mg.sigmoid_tensor(x) + mg.sigmoid_tensor(-x), 1, rtol=1e-15)
    np.testing.assert_allclose(mg.tensor_softplus(x) - mg.tensor_softplus(-x), x, rtol=1e-14, atol=1e-14)


def test_nan_stays_nan():
    """A NaN swallowed by a comparison hides where a training went wrong."""
    nan = mg.Tensor([np.nan])
    for f in (
        mg.relu_tensor,
        mg.leaky_relu_tensor,
        mg.sigmoid_tensor,
        mg.tensor_softplus,
        mg.tensor_abs,
        mg.tensor_max,
    ):
        assert np.isnan(f(nan).data).all(), f.__name__
    assert np.isnan(nan.clip(0, 1).data).all() and np.isnan(mg.tensor_maximum(nan, 0).data).all()


def test_reductions_of_nothing():
    x = mg.Tensor(np.zeros((0, 3)), requires_grad=True)
    assert x.sum().item() == 0 and x.sum(0).data.tolist() == [0, 0, 0]
    x.sum().backward()
    assert x.grad.shape == (0, 3)
    with pytest.raises(ValueError, match=r"tensor_max: x of shape \(0, 3\)"):
        x.max()


# ---------------------------------------------------------------- indices


def test_repeated_indices_accumulate():
    """x[[0, 0, 2]]: assignment would keep the last gradient alone."""
    x = [1.0, 2.0, 3.0]
    assert slope(lambda t: t[[0, 0, 2]], x, upstream=[1, 10, 100]) == [11, 0, 100]
    assert slope(lambda t: t[np.array([[0, -3], [0, 1]])], x, upstream=[[1, 10], [100, 1000]]) == [111, 1000, 0]
    pairs = np.array([1, 1, 0]), np.array([0, 0, 1])
    assert slope(lambda t: t[pairs], [[1.0, 2.0], [3.0, 4.0]], upstream=[1, 10, 100]) == [[0, 100], [11, 0]]


def test_an_embedding_is_trained_by_the_words_that_came():
    words = np.random.default_rng(0).integers(0, 7, 100)
    table = mg.Tensor(np.zeros((7, 3)), requires_grad=True)
    table[words].sum().backward()
    np.testing.assert_array_equal(table.grad, np.bincount(words, minlength=7)[:, None] * np.ones(3))


# ---------------------------------------------------------------- joins


def test_each_operand_of_a_concat_gets_the_slice_that_it_filled():
    x = mg.Tensor(np.zeros((2, 1)), requires_grad=True)
    upstream = np.arange(10.0).reshape(2, 5)
    mg.tensor_concat([x, np.ones((2, 2)), x, [[1], [2]]], axis=-1).backward(upstream)
    np.testing.assert_array_equal(x.grad, upstream[:, [0]] + upstream[:, [3]])


def test_stack_takes_numbers_and_arrays():
    """A tensor of scalars is stacked with constants of any kind."""
    x = mg.Tensor(1.0, requires_grad=True)
    y = mg.tensor_stack([x, 2.0, np.float64(3), np.array(4.0), 5])
    assert y.data.tolist() == [1, 2, 3, 4, 5]
    y.backward(np.arange(1.0, 6))
    assert x.grad == 1
    np.testing.assert_array_equal(mg.tensor_stack([[1.0, 2.0], mg.Tensor([3.0, 4.0])], axis=1).data, [[1, 3], [2, 4]])


# ---------------------------------------------------------------- a parameter that should be a constant


LEARNED = mg.Tensor(0.5, requires_grad=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: mg.scalar_multiply_tensor(LEARNED, x),
        lambda x: mg.leaky_relu_tensor(x, LEARNED),
        lambda x: mg.tensor_clip(x, LEARNED, 1),
        lambda x: mg.tensor_clip(x, 0, LEARNED),
        lambda x: mg.tensor_mul(x, [LEARNED, LEARNED]),
        lambda x: x + [LEARNED, 1.0],
    ],
    ids=["scalar", "alpha", "low", "high", "list", "operator"],
)
def test_no_gradient_is_lost_in_silence(call):
    """A tensor that requires a gradient, where none would reach it: an error that says so, no constant in its place."""
    with pytest.raises(TypeError, match="tensor"):
        call(mg.Tensor([1.0, -2.0], requires_grad=True))


def test_where_with_a_tensor_for_the_condition():
    """np.where dispatches back to us: this must not recurse."""
    condition, x = mg.Tensor([True, False]), mg.Tensor([1.0, 2.0], requires_grad=True)
    for operands in ((x, 0.0), (np.ones(2), np.zeros(2))):
        try:
            y = mg.tensor_where(condition, *operands)
        except TypeError as error:
            assert "condition" in str(error)
        else:
            assert np.asarray(y).tolist() == [1, 0]
