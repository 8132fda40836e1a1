"""Set 02: slopes measured instead of derived, and rules put to the test with them.

The functions that a case is about travel as text and become functions in the probe.  What is right is found without a step:
by fractions, and by the derivative in the direction of i, which loses no digit.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ..task import Misconception, Task, normal, sizes, upstream


def with_function(answer, f, *args):
    """f comes as text, and the answer gets a function."""
    import numpy as np

    return answer(eval(f"lambda x: {f}", {"np": np}), *args)


def function(text: str, variables: str = "x"):
    return eval(f"lambda {variables}: {text}", {"np": np})


# ---------------------------------------------------------------- one number

SMOOTH = ["x**3 - 2*x", "1 / (1 + x**2)", "x / (3 + x**2)", "(x - 1) * (x + 2)", "x**4 - x"]


def one_number(rng, trial):
    """The third x is a whole number, the fourth step goes backwards."""
    x = 2 if trial == 2 else round(float(rng.uniform(0.3, 2.0) * rng.choice([-1, 1])), 3)
    h = [0.1, 0.5, 0.25, -0.2, 0.01][trial % 5]
    return SMOOTH[trial % 5], x, h


def exact_forward(f, x, h):
    f, x, h = function(f), Fraction(x), Fraction(h)
    return float((f(x + h) - f(x)) / h)


FORWARD = Task(
    id="2.1",
    title="Forward difference",
    points=1,
    difficulty=1,
    minutes=5,
    name="forward_difference",
    takes=("f", "x", "h"),
    draw=one_number,
    probe=with_function,
    expect=exact_forward,
    returns=("the slope",),
    misconceptions=[
        Misconception(
            "Only the second height was divided: a division binds tighter than a minus. Put the rise in parentheses.",
            lambda f, x, h: f(x + h) - f(x) / h,
        ),
        Misconception(
            "That is how far f rose. A slope is what it rises by for each unit of x, so the rise is shared out over the step.",
            lambda f, x, h: f(x + h) - f(x),
        ),
        Misconception(
            "You took the height where you started minus the height where you arrived. Then uphill counts as downhill.",
            lambda f, x, h: (f(x) - f(x + h)) / h,
        ),
        Misconception(
            "You looked back: the second point is h before x. Forward means from x to x + h.",
            lambda f, x, h: (f(x) - f(x - h)) / h,
        ),
        Misconception(
            "You stepped to both sides of x. That is the better measurement, and the next task; here one of the two points is x itself.",
            lambda f, x, h: (f(x + h) - f(x - h)) / (2 * h),
        ),
        Misconception(
            "You divided by the place where you arrived. What counts is how far you went to get there.",
            lambda f, x, h: (f(x + h) - f(x)) / (x + h),
        ),
        Misconception(
            "For a negative h the run is negative, too. Strip its sign and the slope gets the wrong one.",
            lambda f, x, h: (f(x + h) - f(x)) / abs(h),
        ),
    ],
)


def numbers_or_arrays(rng, trial):
    x = [
        round(float(rng.uniform(0.3, 2.0)), 3),
        normal(rng, *sizes(rng, 1)),
        normal(rng, *sizes(rng, 2)),
        rng.integers(-4, 5, sizes(rng, 2)),
        normal(rng, *sizes(rng, 3)),
    ][trial % 5]
    return SMOOTH[[0, 1, 2, 4, 0][trial % 5]], x, [0.1, 0.5, 0.25, 0.2, 0.3][trial % 5]


def exact_centred(f, x, h):
    f, h = function(f), Fraction(h)

    def slope(x):
        return float((f(Fraction(x) + h) - f(Fraction(x) - h)) / (2 * h))

    if not isinstance(x, np.ndarray):
        return slope(x)
    return np.array([slope(number) for number in x.ravel().tolist()]).reshape(x.shape)


def nudged_in_place(f, x, h):
    x += h
    above = f(x)
    x -= 2 * h
    return (above - f(x)) / (2 * h)


CENTRED = Task(
    id="2.2",
    title="Centred difference",
    points=1,
    difficulty=1,
    minutes=5,
    name="centred_difference",
    takes=("f", "x", "h"),
    draw=numbers_or_arrays,
    probe=with_function,
    expect=exact_centred,
    returns=("slope",),
    misconceptions=[
        Misconception(
            "It is twice the slope. From the point on the left to the one on the right it is farther than h.",
            lambda f, x, h: (f(x + h) - f(x - h)) / h,
        ),
        Misconception(
            "Python reads from left to right: it divided by 2 and then multiplied by h. Put the run in parentheses.",
            lambda f, x, h: (f(x + h) - f(x - h)) / 2 * h,
        ),
        Misconception(
            "Only the second height was divided. Put the rise in parentheses before you divide it by the run.",
            lambda f, x, h: f(x + h) - f(x - h) / (2 * h),
        ),
        Misconception(
            "One of your two points is x itself: that is the forward difference. Centred means that x lies in the middle.",
            lambda f, x, h: (f(x + h) - f(x)) / h,
        ),
        Misconception(
            "Your points are h apart. Asked for is a step of h to each side, so that they are twice as far from each other.",
            lambda f, x, h: (f(x + h / 2) - f(x - h / 2)) / h,
        ),
        Misconception(
            "Left minus right: then uphill counts as downhill. Take the height on the right first.",
            lambda f, x, h: (f(x - h) - f(x + h)) / (2 * h),
        ),
        Misconception(
            "The slope is right, but x was moved and left there. += on an array changes the caller's own numbers.",
            nudged_in_place,
        ),
    ],
)


# ---------------------------------------------------------------- how close


def two_gradients(rng, trial):
    """Both signs, sizes from 10⁻⁶ to 1000, some pairs of zeros."""
    if trial == 3:
        return np.array(normal(rng)), np.array(normal(rng)), 0.001
    shape = sizes(rng, [1, 2, 3, 0, 2][trial % 5])
    a = rng.choice([-1, 1], shape) * 10.0 ** rng.uniform(-6, 3, shape)
    b = a * rng.choice([-1, 1, 1.5, 0.999], shape)
    same = rng.random(shape) < 0.2
    a[same] = b[same] = 0
    if trial == 4:
        a, b = rng.integers(-9, 10, shape), rng.integers(-9, 10, shape)
    else:  # of each kind one at least
        (a.flat[0], b.flat[0]), (a.flat[1], b.flat[1]) = (0.0, 0.0), (2e-6, -3e-6)
    return a, b, float(rng.uniform(1e-4, 1e-3))


def error_by_element(a, b, floor):
    def error(a, b):
        return float(abs(Fraction(a) - Fraction(b)) / max(abs(Fraction(a)), abs(Fraction(b)), Fraction(floor)))

    return np.array(
        [error(*pair) for pair in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)], dtype=np.float64
    ).reshape(a.shape)


def larger(a, b):
    return np.maximum(np.abs(a), np.abs(b))


RELATIVE = Task(
    id="2.3",
    title="Relative error",
    points=2,
    difficulty=2,
    minutes=10,
    name="relative_error",
    takes=("a", "b", "floor"),
    draw=two_gradients,
    expect=error_by_element,
    returns=("error",),
    misconceptions=[
        Misconception(
            "You divided by b alone. Exchange a and b and the error becomes another one; neither of the two is the truth.",
            lambda a, b, floor: np.abs(a - b) / np.maximum(np.abs(b), floor),
        ),
        Misconception(
            "You divided by a alone. If a rule returns 0, its error should be 1, not something huge: the larger of the two is the measure.",
            lambda a, b, floor: np.abs(a - b) / np.maximum(np.abs(a), floor),
        ),
        Misconception(
            "All elements were divided by the largest of the whole array. A wrong small element hides behind a large one: each has a size of its own.",
            lambda a, b, floor: np.abs(a - b) / max(np.max(np.abs(a)), np.max(np.abs(b)), floor),
        ),
        Misconception(
            "The floor is not used. Without it two zeros give 0/0, and two numbers that are nothing but rounding count as badly wrong.",
            lambda a, b, floor: np.abs(a - b) / larger(a, b),
        ),
        Misconception(
            "You added the floor to the size. It is a limit from below: where the numbers are larger than the floor it has no say.",
            lambda a, b, floor: np.abs(a - b) / (larger(a, b) + floor),
        ),
        Misconception(
            "You divided by the sum of the two sizes, about twice as much as the larger one. A wrong sign should give 2.",
            lambda a, b, floor: np.abs(a - b) / np.maximum(np.abs(a) + np.abs(b), floor),
        ),
        Misconception(
            "The larger number is not always the one of larger size: −5 is less than 1. Strip the signs before you compare the two.",
            lambda a, b, floor: np.abs(a - b) / np.maximum(np.maximum(a, b), floor),
        ),
        Misconception(
            "An error has no sign: too low is as bad as too high.",
            lambda a, b, floor: (a - b) / np.maximum(larger(a, b), floor),
        ),
        Misconception(
            "That is the absolute error. Off by 0.001 is excellent for a gradient of 1000 and worthless for one of 0.001.",
            lambda a, b, floor: np.abs(a - b),
        ),
        Misconception(
            "You returned the worst error alone. Which element it belongs to is then lost: asked for is one for each.",
            lambda a, b, floor: np.max(np.abs(a - b) / np.maximum(larger(a, b), floor)),
        ),
        Misconception(
            "Below the floor you declared everything right. The floor only makes small differences count less; it does not forgive them.",
            lambda a, b, floor: np.where(larger(a, b) < floor, 0, np.abs(a - b) / np.maximum(larger(a, b), floor)),
        ),
    ],
)


# ---------------------------------------------------------------- whole arrays

STEP = float(np.cbrt(np.finfo(np.float64).eps))


def array_case(rng, trial):
    a, b, c = sizes(rng, 3)
    f, x = [
        ("np.sin(10 * x)", normal(rng, a, b)),
        ("x @ x.T", normal(rng, a, b)),
        ("x.transpose(1, 2, 0)", normal(rng, a, b, c)),
        ("np.sin(20 * np.cumsum(x))", normal(rng, a, b)),
        ("x ** 3", np.array(normal(rng))),
        ("x ** 3", rng.choice([-4, -3, -2, 2, 3, 4], (a, b))),
        ("np.sin(x)", normal(rng, a).astype(np.float32)),
        ("x ** 2 / 1e16", 1e16 * normal(rng, a)),
        ("np.sum(x ** 3)", normal(rng, a, b)),
        ("np.maximum(x, -x)", normal(rng, a, b) * rng.permuted(np.arange(a * b) % 3 > 0).reshape(a, b)),
    ][trial % 10]
    return f, x, upstream(rng, function(f)(x.astype(np.float64)))


def along_i(f, x, G):
    """The gradient of Σ G f(x): the imaginary part, when x goes a tiny step in the direction of i, and one against it."""
    f, gradient = function(f), np.empty(x.shape)
    for index in np.ndindex(x.shape):
        e = np.zeros(x.shape, np.complex128)
        e[index] = 1e-30j
        gradient[index] = np.sum(G * (f(x + e) - f(x - e))).imag / 2e-30
    return gradient


def measured(f, x, G, step=lambda x: STEP * max(1, abs(x)), weigh=lambda G: G, heights=None):
    """Centred differences as they should be, but for what is asked otherwise; `heights` replaces f(x + e) − f(x − e)."""
    x = np.array(x, np.float64)
    d = np.zeros(x.shape)
    for k in np.ndindex(x.shape):
        e = np.zeros(x.shape)
        e[k] = h = step(x[k])
        rise = heights(f, x, e) if heights else f(x + e) - f(x - e)
        d[k] = np.sum(weigh(G) * rise) / (2 * h)
    return d


def one_sided(f, x, e):
    """With the bend taken out, so that only corners tell it from a centred difference."""
    return 4 * f(x + e) - 3 * f(x) - f(x + 2 * e)


def all_at_once(f, x, G):
    h = STEP * np.maximum(1, np.abs(x))
    return G * (f(x + h) - f(x - h)) / (2 * h)


def one_buffer(f, x, G):
    x = np.array(x, np.float64)
    d = np.zeros(x.shape)
    for k in np.ndindex(x.shape):
        old = x[k]
        h = STEP * max(1, abs(old))
        x[k] = old + h
        above = f(x)
        x[k] = old - h
        below = f(x)
        x[k] = old
        d[k] = np.sum(G * (above - below)) / (2 * h)
    return d


def put_back_by_arithmetic(f, x, G):
    x = np.asarray(x, np.float64)
    d = np.zeros(x.shape)
    for k in np.ndindex(x.shape):
        h = STEP * max(1, abs(x[k]))
        x[k] += h
        above = np.array(f(x))
        x[k] -= 2 * h
        below = np.array(f(x))
        x[k] += h
        d[k] = np.sum(G * (above - below)) / (2 * h)
    return d


def not_put_back(f, x, G):
    x = np.array(x, np.float64)
    d = np.zeros(x.shape)
    for k in np.ndindex(x.shape):
        h = STEP * max(1, abs(x[k]))
        x[k] += h
        above = np.array(f(x))
        x[k] -= 2 * h
        d[k] = np.sum(G * (above - np.array(f(x)))) / (2 * h)
    return d


def integer_nudge(f, x, G):
    if x.dtype.kind != "i":
        return measured(f, x, G)
    return np.zeros(x.shape)


def in_its_own_dtype(f, x, G):
    d = np.zeros(x.shape)
    for k in np.ndindex(x.shape):
        up, down = (x.copy() if x.dtype == np.float32 else x.astype(np.float64) for _ in range(2))
        h = STEP * max(1, abs(float(x[k])))
        up[k], down[k] = float(x[k]) + h, float(x[k]) - h
        d[k] = np.sum(G * (f(up) - f(down))) / (2 * h)
    return d


GRADIENT = Task(
    id="2.4",
    title="The gradient of an array function",
    points=3,
    difficulty=3,
    minutes=20,
    name="numeric_gradient",
    takes=("f", "x", "G"),
    draw=array_case,
    probe=with_function,
    expect=along_i,
    returns=("dx",),
    trials=10,
    misconceptions=[
        Misconception(
            "Every output counted the same: G was not used. The loss is Σ G f(x), and each output enters it with its own weight.",
            lambda f, x, G: measured(f, x, G, weigh=np.ones_like),
        ),
        Misconception(
            "You nudged all elements of x at the same time. That works only where each output looks at its own input; to know what one element does, move that one alone.",
            all_at_once,
        ),
        Misconception(
            "f may return a view of what you gave it. Then both heights are one array, and after the second nudge both show the second. Keep a copy of the first, or nudge a copy of x.",
            one_buffer,
        ),
        Misconception(
            "x came back with another last digit: taking a step away again is not exact. Put the old number back, or nudge a copy.",
            put_back_by_arithmetic,
        ),
        Misconception(
            "After its turn each element stayed where the nudge had left it. The next element is then measured at another place.",
            not_put_back,
        ),
        Misconception(
            "x held whole numbers, and so did the array that you nudged: the step was cut off, and nothing moved. Measure in float64.",
            integer_nudge,
        ),
        Misconception(
            "You measured in float32, where a step this small is mostly rounding. Whatever x is, measure in float64.",
            in_its_own_dtype,
        ),
        Misconception(
            "One step for all sizes of x. Next to a huge number a small step is nothing: x + h is x. Let the step grow with x.",
            lambda f, x, G: measured(f, x, G, step=lambda x: 1e-5),
        ),
        Misconception(
            "You stepped to one side only. What f does on the other side of x is not heard, and at a corner that is half of the answer.",
            lambda f, x, G: measured(f, x, G, heights=one_sided),
        ),
    ],
)


# ---------------------------------------------------------------- rules on trial

# the function, the rule of somebody, how many axes x has, and whether the rule is right
RULES = [
    ("np.sin(x)", "g * np.cos(x)", 2, True),
    ("x.T", "g.T", 2, True),
    ("x[2:]", "np.append([0.0, 0.0], g)", 1, True),
    ("np.cumsum(x)", "np.cumsum(g[::-1])[::-1]", 1, True),
    ("1e-9 * np.exp(x)", "1e-9 * g * np.exp(x)", 2, True),
    ("np.sum(x)", "np.full(x.shape, g)", 2, True),
    ("x[::-1]", "g", 1, False),
    ("x ** 2", "2 * x", 2, False),
    ("np.abs(x)", "g", 2, False),
    ("np.cos(x)", "g * np.sin(x)", 2, False),
    ("np.tanh(x)", "np.append(g[:-1] / np.cosh(x[:-1]) ** 2, 0)", 1, False),
    ("np.sum(x, axis=0)", "g", 2, False),
    ("1e-9 * np.sin(x)", "-1e-9 * g * np.cos(x)", 2, False),
    ("np.exp(x)", "1.001 * g * np.exp(x)", 2, False),
    ("x.T", "g.reshape(x.shape)", 2, False),
    ("x ** 3", "3 * g * np.exp(2 * np.log(x))", 2, False),
]


def on_trial(rng, trial):
    """Each rule once, in an order that the seed decides: who answers by counting is wrong."""
    order = np.random.default_rng(rng.bit_generator.seed_seq.entropy).permutation(len(RULES))
    f, rule, axes, _ = RULES[order[trial]]
    return f, rule, (29,) if axes == 1 else (5, 7)


def with_function_and_rule(answer, f, rule, shape):
    """Both come as text, and the answer gets functions."""
    import numpy as np

    return answer(eval(f"lambda x: {f}", {"np": np}), eval(f"lambda g, x: {rule}", {"np": np}), shape)


def truth(f, rule, shape):
    return next(right for text, by, _, right in RULES if (text, by) == (f, rule))


def agree(b, d):
    """Whether two gradients are the same, as it should be done."""
    return b.shape == d.shape and np.all(np.abs(b - d) <= 1e-6 * np.maximum(larger(b, d), 1e-6 * np.max(np.abs(d))))


def examiner(agree=agree, point=lambda rng, shape: rng.normal(size=shape), weigh=lambda G: G, right_if=bool):
    """An answer that is right but for what is asked otherwise."""

    def is_right(f, rule, shape):
        rng = np.random.default_rng(0)
        x = point(rng, shape)
        G = weigh(rng.normal(size=np.shape(f(x))))
        return right_if(agree(rule(G, x), measured(f, x, G)))

    return is_right


TRIAL = Task(
    id="2.5",
    title="Rules on trial",
    points=3,
    difficulty=3,
    minutes=20,
    name="is_right",
    takes=("f", "rule", "shape"),
    draw=on_trial,
    probe=with_function_and_rule,
    expect=truth,
    returns=("the verdict",),
    trials=len(RULES),
    misconceptions=[
        Misconception(
            "With ones as G the outputs can't be told apart. A rule that mixes them up looks right, and so does one that leaves G out.",
            examiner(weigh=np.ones_like),
        ),
        Misconception(
            "Your x has no negative numbers. A rule that is wrong only for those walks free.",
            examiner(point=lambda rng, shape: rng.uniform(0.5, 2, shape)),
        ),
        Misconception(
            "You looked at the first element only. A rule can be wrong at the last.",
            examiner(agree=lambda b, d: b.shape == d.shape and agree(b.ravel()[:1], d.ravel()[:1])),
        ),
        Misconception(
            "You compared sums over all elements. In a sum, wrong places don't show, nor does a number too many here and too few there.",
            examiner(
                agree=lambda b, d: b.shape == d.shape and agree(np.sum(b, keepdims=True), np.sum(d, keepdims=True))
            ),
        ),
        Misconception(
            "The rule's gradient had another shape than x, and broadcasting hid it in your comparison. Ask for the shape first.",
            examiner(agree=lambda b, d: agree(b + 0 * d, d)),
        ),
        Misconception(
            "Your tolerance is absolute. Where the whole gradient is smaller than that, every rule passes, even one with the wrong sign.",
            examiner(agree=lambda b, d: b.shape == d.shape and np.allclose(b, d, rtol=1e-6, atol=1e-8)),
        ),
        Misconception(
            "You allow an error of a hundredth or more. In float64 a right rule agrees to seven digits, and one that is off by a thousandth has something wrong in it.",
            examiner(agree=lambda b, d: b.shape == d.shape and np.allclose(b, d, rtol=1e-2, atol=0)),
        ),
        Misconception(
            "You compared sizes, and the sign got lost.",
            examiner(agree=lambda b, d: agree(np.abs(b), np.abs(d))),
        ),
        Misconception(
            "0/0: where both gradients are 0, the relative error is nan, and nothing is smaller than nan. Two zeros agree.",
            examiner(agree=lambda b, d: b.shape == d.shape and bool(np.all(np.abs(b - d) / larger(b, d) < 1e-6))),
        ),
        Misconception(
            "nan passed: it is larger than no tolerance. Ask whether every error is small, not whether some error is large.",
            examiner(agree=lambda b, d: b.shape == d.shape and not np.any(np.abs(b - d) / larger(b, d) > 1e-6)),
        ),
        Misconception(
            "You ask for the same number to the last digit. A measured slope has some rounding in it, so no rule passes that.",
            examiner(agree=lambda b, d: np.array_equal(b, d)),
        ),
        Misconception(
            "Everything passes. Is the comparison the value that the function returns?",
            lambda f, rule, shape: True,
        ),
        Misconception(
            "True and False are exchanged: True means that the rule is right.",
            examiner(right_if=lambda agrees: not agrees),
        ),
    ],
)

TASKS = [FORWARD, CENTRED, RELATIVE, GRADIENT, TRIAL]
