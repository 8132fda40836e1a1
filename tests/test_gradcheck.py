"""The judge is judged: right rules pass, wrong ones fail, and the message says where."""

import itertools
import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import GradcheckError, Tensor, gradcheck, primitive
from minigrad.interop import values


def product(rule_a, rule_b):
    """A ⊙ B with these rules."""

    @primitive(rule_a, rule_b)
    def product(a, b):
        return a * b

    return product


def operands():
    rng = np.random.default_rng(0)
    return Tensor(rng.uniform(1, 2, (2, 3)), True), Tensor(rng.uniform(3, 4, (2, 3)), True)


def off_in_one_element(g, a, b):
    wrong = np.ones((2, 3))
    wrong[1, 2] = 1.001
    return g * b * wrong


# ---------------------------------------------------------------- right rules pass


def test_right_rules_pass():
    right = product(lambda g, a, b: g * b, lambda g, a, b: g * a)
    for second in (False, True):
        worst = gradcheck(right, *operands(), second=second)
        assert worst.error < 1e-6


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x,
        lambda x: (x * 1e-4).exp() * 1e6,
        lambda x: x.sum() * 0,
        lambda x: x**3 - x * 12,
        lambda x: mg.tensor_concat([x, x * x]).sigmoid(),
        lambda x: x[0],
        lambda x: x * 1e8,
        lambda x: x * 1e-8,
    ],
    ids=["identity", "large", "zero", "cubic", "joined", "unused", "1e8", "1e-8"],
)
def test_no_false_alarm(f):
    """Zero slopes, large and small scales: an alarm that rings for nothing is switched off."""
    gradcheck(f, Tensor([1.0, 2.0, -0.7, 30.0], True), second=True)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (2, 3, 5)])
def test_every_shape(shape):
    gradcheck(lambda x: x * x, Tensor(np.full(shape, 1.5), True), second=True)


# ---------------------------------------------------------------- wrong rules fail


WRONG = {
    "sign flipped": (lambda g, a, b: -g * b, lambda g, a, b: g * a, 0),
    "factor missing": (lambda g, a, b: g, lambda g, a, b: g * a, 0),
    "factor of two": (lambda g, a, b: 2 * g * b, lambda g, a, b: g * a, 0),
    "upstream missing": (lambda g, a, b: b + 0 * g, lambda g, a, b: g * a, 0),
    "zero": (lambda g, a, b: g * 0, lambda g, a, b: g * a, 0),
    "nan": (lambda g, a, b: g * np.nan, lambda g, a, b: g * a, 0),
    "swapped": (lambda g, a, b: g * a, lambda g, a, b: g * b, None),
    "second operand": (lambda g, a, b: g * b, lambda g, a, b: g * a * 1.00001, 1),
    "off in one element": (off_in_one_element, lambda g, a, b: g * a, 0),
    "rows exchanged": (lambda g, a, b: (g * b)[::-1], lambda g, a, b: g * a, 0),
    "upstream summed": (lambda g, a, b: g.sum() * b / 6, lambda g, a, b: g * a, 0),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_rules_fail(wrong):
    rule_a, rule_b, tensor = WRONG[wrong]
    with pytest.raises(
        GradcheckError, match=r"^product: first derivative in tensor [01] at \([01], [012]\): backward gives"
    ) as caught:
        gradcheck(product(rule_a, rule_b), *operands())
    if tensor is not None:
        assert f"in tensor {tensor} " in str(caught.value)


def test_the_message_says_where_and_what():
    """Function, tensor, index, what came and what was expected."""
    f = product(off_in_one_element, lambda g, a, b: g * a)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(f, *operands())
    message = str(caught.value)
    assert message.startswith("product: first derivative in tensor 0 at (1, 2): backward gives ")
    assert "(relative error 1.0e-03, allowed 1e-06)" in message
    given, difference = (
        float(message.split(mark)[1].split()[0].rstrip(",")) for mark in ("backward gives ", "centred differences ")
    )
    assert given / difference == pytest.approx(1.001, rel=1e-5)
    assert issubclass(GradcheckError, AssertionError)


def test_the_tensor_is_counted_among_those_that_were_given():
    """A constant in front must not shift the number in the message."""
    f = product(lambda g, a, b: g * b, lambda g, a, b: -g * a)
    a, b = operands()
    with pytest.raises(GradcheckError, match="in tensor 1 at"):
        gradcheck(f, a.detach(), b)


def test_wrong_by_a_small_amount_where_the_loss_is_large():
    """A floor under the relative error that hides a wrong element among large ones."""
    scales = np.array([1.0, 1e3])

    @primitive(lambda g: g * scales * np.array([1.5, 1.0]))
    def scaled(x):
        return x * scales

    with pytest.raises(GradcheckError, match=r"at \(0,\)"):
        gradcheck(scaled, Tensor([1.0, 1.0], True))


def test_a_rule_that_forgets_a_reuse():
    """x ⊙ x by one path alone."""

    @primitive(lambda g, x: g * x)
    def square(x):
        return x * x

    with pytest.raises(GradcheckError, match="^square: "):
        gradcheck(square, Tensor([1.0, 2.0], True))


def test_wrong_second_derivative_behind_a_right_first():
    """A rule that computes with plain values: its own derivative is lost."""

    @primitive(lambda g, x: g * 3 * values(x) ** 2)
    def cube(x):
        return x**3

    x = Tensor([1.0, 2.0], True)
    gradcheck(cube, x)
    with pytest.raises(
        GradcheckError, match=r"^cube: second derivative in tensor 0 at \([01],\): backward gives 0, centred"
    ):
        gradcheck(cube, x, second=True)


def test_wrong_second_derivative_in_a_mixed_term():
    f = product(lambda g, a, b: g * b, lambda g, a, b: g * values(a))
    gradcheck(f, *operands())
    with pytest.raises(GradcheckError, match="^product: second derivative"):
        gradcheck(f, *operands(), second=True)


def test_a_mistake_hidden_by_a_row_of_ones():
    """A rule right only for g = 1: the upstream gradient must be random."""

    @primitive(lambda g, x: g * g * 2 * x)
    def square(x):
        return x * x

    square(x := Tensor([1.0, 2.0], True)).sum().backward()
    assert x.grad.tolist() == [2, 4]
    with pytest.raises(GradcheckError):
        gradcheck(square, x)


def test_a_kink_is_reported():
    with pytest.raises(GradcheckError, match="kink"):
        gradcheck(mg.tensor_abs, Tensor([1e-9], True))


def test_tolerance():
    f = product(lambda g, a, b: g * b * 1.0001, lambda g, a, b: g * a)
    with pytest.raises(GradcheckError, match=r"allowed 1e-05"):
        gradcheck(f, *operands(), tolerance=1e-5)
    worst = gradcheck(f, *operands(), tolerance=1e-3)
    assert worst.tensor == 0 and worst.error == pytest.approx(1e-4, rel=0.01)
    assert worst.backward / worst.difference == pytest.approx(1.0001, rel=1e-6) and len(worst.index) == 2


# ---------------------------------------------------------------- what it leaves alone


def test_float32_is_checked_in_float64():
    """In float32 a difference is all rounding."""
    seen = set()

    def f(x):
        seen.add(x.dtype)
        return x.exp()

    x = Tensor([1.0, 2.0], True, np.float32)
    assert gradcheck(f, x).error < 1e-6 and seen == {np.dtype(np.float64)}
    assert x.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tensors_are_left_as_they_were(dtype):
    """Moved values put back wrongly; gradients left behind; a graph for a constant."""
    a, b, c = Tensor([1.1, 2.2], True, dtype), Tensor(3.3, True, dtype), Tensor([4.4, 5.5])
    a.grad = np.array([7.0, 7.0], dtype)
    before = [x.data.tobytes() for x in (a, b, c)]
    gradcheck(lambda *t: t[0] * t[1] * t[2], a, b, c, second=True)
    assert [x.data.tobytes() for x in (a, b, c)] == before
    assert a.grad.tolist() == [7, 7] and b.grad is None and not c.requires_grad


def test_the_same_tensor_given_twice():
    x = Tensor([1.0, 2.0], True)
    gradcheck(lambda a, b: a * b, x, x, second=True)


def test_seed():
    """The same seed, the same verdict to the last digit; another, another upstream gradient."""
    f = product(lambda g, a, b: g * b * 1.0000001, lambda g, a, b: g * a)
    assert gradcheck(f, *operands(), seed=3) == gradcheck(f, *operands(), seed=3)
    assert gradcheck(f, *operands(), seed=3) != gradcheck(f, *operands(), seed=4)


# ---------------------------------------------------------------- what it refuses


def test_no_tensor_that_requires_a_gradient():
    for given in ((), (Tensor(1.0),)):
        with pytest.raises(ValueError, match=r"^gradcheck: no tensor given for .* requires a gradient"):
            gradcheck(lambda *x: Tensor(1.0), *given)


def test_a_function_that_is_random():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"^gradcheck: .* gave two values for the same input.*eval\(\)"):
        gradcheck(lambda x: x * rng.normal(), Tensor([1.0], True))
    with pytest.raises(ValueError, match="two values"):
        gradcheck(mg.layers.Dropout(0.5, rng=0), Tensor(np.ones(20), True))


def test_a_function_that_counts():
    calls = itertools.count()
    with pytest.raises(ValueError, match="two values"):
        gradcheck(lambda x: x + next(calls), Tensor([1.0], True))


def test_a_function_that_gives_nan():
    """NaN is unequal to itself: that is no reason to call f random."""

    @primitive(lambda g: g)
    def spoiled(x):
        return x * math.nan

    with pytest.raises((GradcheckError, ValueError)) as caught:
        gradcheck(spoiled, Tensor([1.0], True))
    assert "two values" not in str(caught.value)


# ---------------------------------------------------------------- what a large value may not hide


@primitive(lambda g: 7 * g)
def sevenfold(x):
    """Its rule is wrong: the derivative is 1."""
    return x * 1.0


SCALES = {
    "alone": lambda f, x: f(x),
    "tiny": lambda f, x: f(x) * 1e-10,
    "beside 1000": lambda f, x: f(x) * 1e-7 + 1000.0,
    "beside a million": lambda f, x: f(x) * 1e-4 + 1e6,
    "in a sum that cancels": lambda f, x: mg.tensor_concat([f(x) * 1e-7 + 1000.0, x * 0.0 - 1000.0]),
}


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_a_wrong_rule_does_not_hide_behind_the_value_of_the_function(scale):
    """Nor is a right one refused there: what is forgiven is what rounding does to a difference quotient, and no more."""
    x = Tensor([0.3], True)
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: scale(sevenfold, x), x)
    for seed in range(20):
        gradcheck(lambda x: scale(mg.tensor_copy, x), x, seed=seed)


def test_what_is_not_a_tensor_is_named():
    with pytest.raises(TypeError, match=r"argument 1 of f is ndarray\. Give Tensor"):
        gradcheck(lambda x, y: x * y, Tensor([1.0], True), np.array([1.0]))
    with pytest.raises(TypeError, match="f returned float, not a tensor"):
        gradcheck(lambda x: 2.0, Tensor([1.0], True))
