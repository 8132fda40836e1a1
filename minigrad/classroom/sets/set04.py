"""Set 04: the gradient of every operation of chapter 4, given the upstream gradient G, without broadcasting; and broadcasting undone."""

from __future__ import annotations

import numpy as np

from ..task import Misconception, Task, gradient, sizes, upstream


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Both signs, nothing near 0."""
    return rng.uniform(0.5, 2.0, shape) * rng.choice([-1, 1], shape)


def pair(rng, trial):
    """Two tensors of one shape; the last trial has one axis more."""
    shape = sizes(rng, 3 if trial == 4 else 2)
    return normal(rng, *shape), normal(rng, *shape)


def one(rng, trial):
    return (normal(rng, *sizes(rng, 3 if trial == 4 else 2)),)


ADD = gradient(
    "4.1",
    "Addition",
    lambda A, B: A + B,
    ("A", "B"),
    pair,
    [
        Misconception(
            "That is the gradient of a product. A sum moves by as much as each of its terms, whatever the other one is.",
            lambda G, A, B: (G * B, G * A),
        ),
        Misconception(
            "You shared G out among the two. Each operand feels all of it: a gradient is a slope, and slopes are not divided up.",
            lambda G, A, B: (G / 2, G / 2),
        ),
        Misconception(
            "You returned the sum itself: the forward pass. Asked for is what a nudge of A and of B does to the loss.",
            lambda G, A, B: (A + B, A + B),
        ),
    ],
    name="add_backward",
    points=1,
    difficulty=1,
    minutes=5,
)

SUB = gradient(
    "4.1b",
    "Subtraction",
    lambda A, B: A - B,
    ("A", "B"),
    pair,
    [
        Misconception(
            "B pulls the result down, so its gradient has the other sign than A's.",
            lambda G, A, B: (G, G),
        ),
        Misconception(
            "The signs are the wrong way round: it is B, the one subtracted, that pulls the result down.",
            lambda G, A, B: (-G, G),
        ),
        Misconception(
            "The minus belongs to B alone: raising A still raises the result.",
            lambda G, A, B: (-G, -G),
        ),
    ],
    name="sub_backward",
    points=1,
    difficulty=1,
    minutes=5,
)

MUL = gradient(
    "4.2",
    "Element-wise multiplication",
    lambda A, B: A * B,
    ("A", "B"),
    pair,
    [
        Misconception(
            "Each operand got its own value as the factor. How fast a product moves with A is decided by the other factor.",
            lambda G, A, B: (G * A, G * B),
        ),
        Misconception(
            "You halved it, as if each factor were responsible for one half. Each gets the whole slope along its own direction.",
            lambda G, A, B: (G * B / 2, G * A / 2),
        ),
        Misconception(
            "Both factors at once: that is the forward value times G. Only the other factor stays when one is nudged.",
            lambda G, A, B: (G * A * B, G * A * B),
        ),
    ],
    name="mul_backward",
    points=1,
    difficulty=1,
    minutes=5,
)


def logistic(x):
    return 1 / (1 + np.exp(-x))


SIGMOID = gradient(
    "4.3",
    "Sigmoid",
    logistic,
    ("X",),
    one,
    [
        Misconception(
            "You put X itself where the sigmoid's output belongs. The derivative is written in the output, which lies between 0 and 1.",
            lambda G, X: G * X * (1 - X),
        ),
        Misconception(
            "The sigmoid was applied twice: once more to a value that had already been through it.",
            lambda G, X: G * logistic(logistic(X)) * (1 - logistic(logistic(X))),
        ),
        Misconception(
            "That is the sigmoid, not its slope. Where it is flat, at both ends, nothing must come through.",
            lambda G, X: G * logistic(X),
        ),
        Misconception(
            "One minus the square is the slope of the hyperbolic tangent. The sigmoid is its narrower relative.",
            lambda G, X: G * (1 - logistic(X) ** 2),
        ),
    ],
    name="sigmoid_backward",
    points=2,
    difficulty=1,
    minutes=10,
    fixed=[
        ((np.array([2.0, 3.0]), np.array([-1000.0, 1000.0])), np.array([0.0, 0.0])),
    ],
)


def scalar_case(rng, trial):
    return (*one(rng, trial), float(rng.uniform(1.5, 3.0) * rng.choice([-1, 1])))


SCALAR = gradient(
    "4.4",
    "Multiplication by a number",
    lambda A, c: c * A,
    ("A",),
    scalar_case,
    [
        Misconception("c was forgotten: a nudge of A arrives c times as large.", lambda G, A, c: G),
        Misconception(
            "You returned one number, the gradient of c. c is a constant here; asked for is A's, which has A's shape.",
            lambda G, A, c: np.sum(G * A),
        ),
        Misconception(
            "You divided by c. The result moves c times as fast as A, not c times as slowly.", lambda G, A, c: G / c
        ),
        Misconception(
            "A's own values came in. With c fixed, the slope does not depend on where A is.", lambda G, A, c: c * G * A
        ),
    ],
    constants=("c",),
    name="scalar_multiply_backward",
    points=1,
    difficulty=1,
    minutes=5,
)

DIVIDE = gradient(
    "4.5",
    "Division",
    lambda A, B: A / B,
    ("A", "B"),
    pair,
    [
        Misconception(
            "B's gradient went down with B once; the denominator comes in squared.",
            lambda G, A, B: (G / B, -G * A / B),
        ),
        Misconception(
            "The sign of B's gradient: a larger denominator makes a smaller quotient, if all is positive.",
            lambda G, A, B: (G / B, G * A / B**2),
        ),
        Misconception(
            "You treated the division as a product. A is divided by B, so its slope is too.",
            lambda G, A, B: (G * B, G * A),
        ),
        Misconception(
            "A is missing from B's gradient: the larger the numerator, the more a change of B costs.",
            lambda G, A, B: (G / B, -G / B**2),
        ),
        Misconception(
            "You changed G in place. Whoever sent it, or the other operand, still needs it.",
            lambda G, A, B: (G.__itruediv__(B), -G * A / B),
        ),
    ],
    name="divide_backward",
    points=2,
    difficulty=2,
    minutes=10,
)


def power_case(rng, trial):
    p = [2, 3, 0.5, -1, 1.5][trial % 5]
    (A,) = one(rng, trial)
    return (A if p in (2, 3, -1) else np.abs(A)), p


POWER = gradient(
    "4.6",
    "Power",
    lambda A, p: A**p,
    ("A",),
    power_case,
    [
        Misconception(
            "The exponent stayed as it was. It comes down as a factor, and drops by one.", lambda G, A, p: G * p * A**p
        ),
        Misconception(
            "The exponent dropped by one, but it did not come down as a factor.", lambda G, A, p: G * A ** (p - 1)
        ),
        Misconception(
            "That is the slope in the exponent, as for pᴬ. Here the base moves and the exponent stands still.",
            lambda G, A, p: G * A**p * np.log(np.abs(A)),
        ),
        Misconception(
            "You integrated: the exponent went up by one. A slope goes the other way.",
            lambda G, A, p: G * A ** (p + 1) / (p + 1) if p != -1 else G * np.log(np.abs(A)),
        ),
    ],
    constants=("p",),
    name="power_backward",
    points=2,
    difficulty=1,
    minutes=10,
)


def reduction_case(rng, trial):
    shape = sizes(rng, 3)
    return normal(rng, *shape), [0, 1, 2, None, 1][trial % 5]


def counted(X, axis):
    return X.size if axis is None else X.shape[axis]


SUM = gradient(
    "4.7",
    "Sum along an axis",
    lambda X, axis: np.sum(X, axis=axis),
    ("X",),
    reduction_case,
    [
        Misconception(
            "You returned G as it came. The axis that the sum removed must be put back, and every element along it gets G's value.",
            lambda G, X, axis: G,
        ),
        Misconception(
            "You divided by the number of elements. That is a mean; a sum passes G on undivided.",
            lambda G, X, axis: (
                np.broadcast_to(G if axis is None else np.expand_dims(G, axis), X.shape) / counted(X, axis)
            ),
        ),
        Misconception(
            "The axis is back, but with size 1: G was not spread over the elements along it.",
            lambda G, X, axis: np.reshape(G, (1,) * X.ndim) if axis is None else np.expand_dims(G, axis),
        ),
        Misconception(
            "X's own values came in. Every element counts once in a sum, whatever its value.",
            lambda G, X, axis: X * (G if axis is None else np.expand_dims(G, axis)),
        ),
    ],
    constants=("axis",),
    name="sum_backward",
    points=2,
    difficulty=2,
    minutes=10,
)

MEAN = gradient(
    "4.8",
    "Mean along an axis",
    lambda X, axis: np.mean(X, axis=axis),
    ("X",),
    reduction_case,
    [
        Misconception(
            "The division is missing: that is the gradient of a sum. Each element has only a share in the mean.",
            lambda G, X, axis: np.broadcast_to(G if axis is None else np.expand_dims(G, axis), X.shape).copy(),
        ),
        Misconception(
            lambda G, X, axis: (
                f"You divided by {X.size}, all elements of X. Divide by those that were averaged into one, here {counted(X, axis)}."
            ),
            lambda G, X, axis: np.broadcast_to(G if axis is None else np.expand_dims(G, axis), X.shape) / X.size,
        ),
        Misconception(
            "You divided by the size of the mean, not by how many elements were averaged into each of its entries.",
            lambda G, X, axis: np.broadcast_to(G if axis is None else np.expand_dims(G, axis), X.shape) / np.size(G),
        ),
        Misconception(
            "You took the mean of G. G is not averaged on the way back; each entry goes to the elements that it came from.",
            lambda G, X, axis: np.full(X.shape, np.mean(G)),
        ),
    ],
    constants=("axis",),
    name="mean_backward",
    points=2,
    difficulty=2,
    minutes=10,
)


def reshape_case(rng, trial):
    a, b, c = sizes(rng, 3)
    return normal(rng, a, b, c), [(a * b, c), (c, b, a), (-1,), (b, a * c), (a, b * c)][trial % 5]


RESHAPE = gradient(
    "4.9",
    "Reshape",
    lambda X, shape: X.reshape(shape),
    ("X",),
    reshape_case,
    [
        Misconception(
            "You left G in the shape of the output. A gradient has the shape of its own tensor, here X's.",
            lambda G, X, shape: G,
        ),
        Misconception(
            "The shape is X's, but the numbers went in column by column. A reshape reads and writes row by row, both ways.",
            lambda G, X, shape: G.reshape(X.shape, order="F"),
        ),
        Misconception(
            "You reversed the axes. A reshape moves no axis: the numbers keep their order and only the shape changes.",
            lambda G, X, shape: G.reshape(X.shape[::-1]).T,
        ),
    ],
    constants=("shape",),
    name="reshape_backward",
    points=1,
    difficulty=1,
    minutes=5,
)


def transpose_case(rng, trial):
    axes = [(1, 2, 0), (2, 0, 1), (1, 2, 0), (0, 2, 1), (2, 0, 1)][trial % 5]
    return normal(rng, *sizes(rng, 3)), axes


TRANSPOSE = gradient(
    "4.10",
    "Transpose",
    lambda X, axes: np.transpose(X, axes),
    ("X",),
    transpose_case,
    [
        Misconception(
            "You permuted once more in the same way. Undo it: where did each axis of X go, and how does it come back? (1, 2, 0) tells the two apart.",
            lambda G, X, axes: np.transpose(G, axes),
        ),
        Misconception(
            "You reversed all axes. That undoes a plain transpose, but not every permutation.",
            lambda G, X, axes: np.transpose(G),
        ),
        Misconception(
            "A reshape gives the right shape and puts the numbers in the wrong places. An axis has to be moved back, not relabelled.",
            lambda G, X, axes: G.reshape(X.shape),
        ),
    ],
    constants=("axes",),
    name="transpose_backward",
    points=2,
    difficulty=2,
    minutes=15,
    square=lambda rng: (normal(rng, 3, 3, 3), (1, 2, 0)),
)


def concat_case(rng, trial):
    n, *widths = sizes(rng, 3)
    axis = trial % 2
    return tuple(normal(rng, n, w) if axis else normal(rng, w, n) for w in widths) + (axis,)


def halves(G, A, B, axis):
    n = G.shape[axis] // 2
    first, rest = np.split(G, [n], axis)
    return first, rest


CONCAT = gradient(
    "4.11",
    "Concatenation",
    lambda A, B, axis: np.concatenate([A, B], axis),
    ("A", "B"),
    concat_case,
    [
        Misconception(
            "You cut G into equal halves. Cut it where A ends: each operand gets the slice that it filled.", halves
        ),
        Misconception(
            "You gave both operands all of G. Each gets only the part that it filled.", lambda G, A, B, axis: (G, G)
        ),
        Misconception(
            "You cut from the wrong end: A was first, so its slice comes first.",
            lambda G, A, B, axis: tuple(np.split(G, [B.shape[axis]], axis))[::-1],
        ),
        Misconception(
            "You cut along the other axis. The joined axis is the only one that grew.",
            lambda G, A, B, axis: tuple(np.split(G, [A.shape[1 - axis] // 2], 1 - axis)),
        ),
    ],
    constants=("axis",),
    name="concat_backward",
    points=2,
    difficulty=2,
    minutes=10,
)


def product_case(rng, trial):
    n, k, m = sizes(rng, 3)
    return normal(rng, n, k), normal(rng, k, m)


MATMUL = gradient(
    "4.12",
    "Matrix multiplication",
    lambda A, B: A @ B,
    ("A", "B"),
    product_case,
    [
        Misconception(
            "The factors stand in the wrong order. Write the shapes down, and put the two matrices so that the inner sizes meet.",
            lambda G, A, B: (B.T @ G, G @ A.T),
        ),
        Misconception(
            "The transposes are missing. On the way back a matrix is crossed from the other side: its rows become columns.",
            lambda G, A, B: (G @ B, A @ G),
        ),
        Misconception(
            "You formed the transpose of the products that you want: each axis of the result must be that of the operand.",
            lambda G, A, B: (B @ G.T, G.T @ A),
        ),
        Misconception(
            "That is the rule of the element-wise product. In a matrix product every element of A reaches a whole row of the result.",
            lambda G, A, B: (G * B, G * A),
        ),
        Misconception(
            "The two gradients are exchanged: the first to be returned is A's.", lambda G, A, B: (A.T @ G, G @ B.T)
        ),
    ],
    name="matmul_backward",
    points=3,
    difficulty=3,
    minutes=20,
    square=lambda rng: (normal(rng, 3, 3), normal(rng, 3, 3)),
)

KINK = np.array([-2.0, 0.0, 3.0])

RELU = gradient(
    "4.13",
    "ReLU",
    lambda X: np.maximum(X, 0),
    ("X",),
    one,
    [
        Misconception(
            "At X = 0 you chose 1. There is no derivative there, so a choice is made, and this course's is 0.",
            lambda G, X: G * (X >= 0),
        ),
        Misconception(
            "The mask was made from G. What decides is the sign that X had in the forward pass, not the sign of what comes back.",
            lambda G, X: G * (G > 0),
        ),
        Misconception(
            "You applied the ReLU to G. Negative gradients must come through where X was positive.",
            lambda G, X: np.maximum(G, 0) * (X > 0),
        ),
        Misconception(
            "You returned X where it is positive: the forward pass. What passes there is G.",
            lambda G, X: np.maximum(X, 0),
        ),
        Misconception("The sides are exchanged: G passes where X was positive.", lambda G, X: G * (X < 0)),
    ],
    name="relu_backward",
    points=1,
    difficulty=1,
    minutes=10,
    fixed=[((np.array([5.0, -7.0, -4.0]), KINK), np.array([0.0, 0.0, -4.0]))],
)

LEAKY = gradient(
    "4.14",
    "Leaky ReLU",
    lambda X, alpha: np.where(X > 0, X, alpha * X),
    ("X",),
    lambda rng, trial: (*one(rng, trial), float(rng.uniform(0.05, 0.3))),
    [
        Misconception(
            "At X = 0 you chose 1. There is no derivative there, so a choice is made, and this course's is α.",
            lambda G, X, alpha: G * np.where(X >= 0, 1, alpha),
        ),
        Misconception(
            "Nothing came through for negative X: that is the plain ReLU. The leak is the point of this one.",
            lambda G, X, alpha: G * (X > 0),
        ),
        Misconception(
            "The slope α is on the wrong side: it belongs to negative X.",
            lambda G, X, alpha: G * np.where(X > 0, alpha, 1),
        ),
        Misconception(
            "For negative X you returned α without G. α is the local derivative; what arrives from above multiplies it.",
            lambda G, X, alpha: np.where(X > 0, G, alpha),
        ),
        Misconception(
            "The mask was made from G. What decides is the sign of X.",
            lambda G, X, alpha: G * np.where(G > 0, 1, alpha),
        ),
    ],
    constants=("alpha",),
    name="leaky_relu_backward",
    points=1,
    difficulty=1,
    minutes=10,
    fixed=[((np.array([5.0, -7.0, -4.0]), KINK, 0.1), np.array([0.5, -0.7, -4.0]))],
)


# ---------------------------------------------------------------- broadcasting undone


def stretched(rng, trial):
    """G, and the shape of an operand that broadcasting stretched to G's."""
    a, b, c = sizes(rng, 3)
    whole, shape = [((a, b), (a, 1)), ((a, b, c), (c,)), ((a, b, c), (1, c)), ((a, b, c), (b, 1)), ((a, b), ())][
        trial % 5
    ]
    G = upstream(rng, np.empty(whole, np.float32 if trial == 1 else np.float64))
    return G, shape


def by_differences(G, shape):
    """What a nudge of each element of the operand does to Σ G X, X being broadcast."""
    result = np.empty(shape)
    for index in np.ndindex(*shape):
        nudge = np.zeros(shape)
        nudge[index] = 1
        result[index] = np.sum(G * nudge, dtype=np.float64)
    return result.astype(G.dtype)


def leading_only(G, shape):
    return G.sum(axis=tuple(range(G.ndim - len(shape))))


def axis_lost(G, shape):
    lead = G.ndim - len(shape)
    axes = tuple(i for i in range(G.ndim) if i < lead or shape[i - lead] != G.shape[i])
    return G.sum(axis=axes)


def averaged(G, shape):
    total = by_differences(G, shape)
    return total / G.dtype.type(G.size / max(total.size, 1))


def picked(G, shape):
    lead = G.ndim - len(shape)
    G = G[(0,) * lead]
    return G[tuple(slice(0, 1) if n == 1 else slice(None) for n in shape)]


UNBROADCAST = Task(
    id="4.15",
    title="Broadcasting undone",
    points=3,
    difficulty=3,
    minutes=20,
    name="unbroadcast",
    takes=("G", "shape"),
    draw=stretched,
    expect=by_differences,
    misconceptions=[
        Misconception(
            lambda G, shape: (
                f"You returned G as it came. The operand had shape {shape} and your gradient {G.shape}: every copy of an element sends its part back, and the parts are added."
            ),
            lambda G, shape: G,
        ),
        Misconception(
            lambda G, shape: (
                f"Only the leading axes were summed. An axis of size 1 in {shape} was stretched too: sum over it and keep it."
            ),
            leading_only,
        ),
        Misconception("You took the mean over the copies. Each copy adds its whole contribution.", averaged),
        Misconception(
            lambda G, shape: f"The sum is right, but the axis of size 1 was dropped: the operand's shape is {shape}.",
            axis_lost,
        ),
        Misconception("You picked one of the copies. All of them reach the loss: add them up.", picked),
    ],
    fixed=[((np.arange(6.0).reshape(2, 3), (2, 3)), np.arange(6.0).reshape(2, 3))],
    returns=("dX",),
)

TASKS = [
    ADD,
    SUB,
    MUL,
    SIGMOID,
    SCALAR,
    DIVIDE,
    POWER,
    SUM,
    MEAN,
    RESHAPE,
    TRANSPOSE,
    CONCAT,
    MATMUL,
    RELU,
    LEAKY,
    UNBROADCAST,
]
