"""Set 04: the gradient of every operation of chapter 4, given the upstream gradient G, without broadcasting; and broadcasting undone."""

from __future__ import annotations

import numpy as np

from ..task import Misconception, Task, gradient, normal, sizes, upstream


def with_a_zero(rng: np.random.Generator, X: np.ndarray) -> np.ndarray:
    """One element is 0: who divides by X to get rid of a factor finds out."""
    X = X.copy()
    X.flat[rng.integers(X.size)] = 0
    return X


def shape_of(rng, trial) -> tuple[int, ...]:
    """The last trial has one axis more."""
    return sizes(rng, 3 if trial == 4 else 2)


def quotient_case(rng, trial):
    """Two tensors of one shape, the first with a 0 in trial 2; in trial 3 the same one twice."""
    shape = shape_of(rng, trial)
    A, B = normal(rng, *shape), normal(rng, *shape)
    if trial == 3:
        return A, A
    return (with_a_zero(rng, A) if trial == 2 else A), B


def pair(rng, trial):
    """The same, and the second may hold a 0 too."""
    A, B = quotient_case(rng, trial)
    return (A, B) if A is B else (A, with_a_zero(rng, B) if trial == 2 else B)


def one(rng, trial):
    return (normal(rng, *shape_of(rng, trial)),)


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
        Misconception(
            "With one tensor twice, as in X + X, you counted it once. X is used in two places, and each of them sends a contribution of its own.",
            lambda G, A, B: (G, np.zeros_like(G)) if A is B else (G, G),
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
        Misconception(
            "You turned the sign inside G itself. A second name is not a second array: what you returned for A, and what the caller holds, turned with it.",
            lambda G, A, B: (G, np.negative(G, out=G)),
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
        Misconception(
            "You divided the product by A again to be left with B. Where A is 0 that gives no number, and the other factor was at hand.",
            lambda G, A, B: (G * (A * B) / A, G * (A * B) / B),
        ),
        Misconception(
            "With one tensor twice, as in X·X, you gave the gradient of the square to each of the two places. They are added up later, so it would count twice.",
            lambda G, A, B: (2 * G * A, 2 * G * A) if A is B else (G * B, G * A),
        ),
        Misconception(
            "You multiplied into G itself, and made B's gradient from what was in it then. Whatever needs G needs it as it came.",
            lambda G, A, B: (np.multiply(G, B, out=G), G * A),
        ),
        Misconception(
            "That is the rule of the matrix product. Here every element meets one other element and no row or column.",
            lambda G, A, B: (G @ B.T, A.T @ G),
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
        Misconception(
            "The sign: the sigmoid rises everywhere, so its slope is nowhere negative.",
            lambda G, X: G * logistic(X) * (logistic(X) - 1),
        ),
        Misconception(
            "You took G for the sigmoid's output. G is what arrives from above; the output has to be computed from X.",
            lambda G, X: G * G * (1 - G),
        ),
        Misconception(
            "The first factor is right. In the second one, X stands where the output belongs.",
            lambda G, X: G * logistic(X) * (1 - X),
        ),
        Misconception(
            "A factor is missing: what you have falls from 1 to 0. The sigmoid is flat at both ends, and its slope is 0 at both.",
            lambda G, X: G * logistic(-X),
        ),
        Misconception(
            "At X = 1000 your exponential is beyond the largest float, and infinity over infinity is not a number. Write the same sigmoid with an exponent that cannot grow there.",
            lambda G, X: G * (np.exp(X) / (1 + np.exp(X))) * (1 - np.exp(X) / (1 + np.exp(X))),
        ),
        Misconception(
            "At X = -1000 you divide one infinity by another. The formula is right on paper; written with the output, which stays between 0 and 1, it also is in a computer.",
            lambda G, X: G * np.exp(-X) / (1 + np.exp(-X)) ** 2,
        ),
    ],
    name="sigmoid_backward",
    points=2,
    difficulty=1,
    minutes=10,
    fixed=[
        ((np.array([2.0, 3.0, 4.0]), np.array([-1000.0, 0.0, 1000.0])), np.array([0.0, 0.75, 0.0])),
    ],
)


def scalar_case(rng, trial):
    (A,) = one(rng, trial)
    return (with_a_zero(rng, A) if trial == 2 else A), float(rng.uniform(1.5, 3.0) * rng.choice([-1, 1]))


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
        Misconception(
            "The numbers are right, but you wrote them into G. It is not yours: whoever sent it may send it to others as well.",
            lambda G, A, c: np.multiply(G, c, out=G),
        ),
        Misconception(
            "You computed the result once more, from A. On the way back it is G that comes in.", lambda G, A, c: c * A
        ),
    ],
    constants=("c",),
    name="scalar_multiply_backward",
    points=1,
    difficulty=1,
    minutes=5,
    fixed=[((np.array([5.0, -7.0]), np.array([2.0, 3.0]), 0.0), np.array([0.0, 0.0]))],
)

DIVIDE = gradient(
    "4.5",
    "Division",
    lambda A, B: A / B,
    ("A", "B"),
    quotient_case,
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
            "You divided by A squared. What is squared is the denominator, which is B.",
            lambda G, A, B: (G / B, -G * B / A**2),
        ),
        Misconception(
            "A's gradient is right. From B's, the upstream gradient is missing: every operand gets its share of G.",
            lambda G, A, B: (G / B, -A / B**2),
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
    """A number below 0 only with a whole exponent, and 0 itself only where the power is smooth."""
    p = [2, 3, 0.5, -1, 1.5, 1][trial % 6]
    (A,) = one(rng, trial)
    return (with_a_zero(rng, A) if p in (1, 2, 3) else A if p == -1 else np.abs(A)), p


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
        Misconception(
            "You divided by A to lower the exponent. Where A is 0 that gives no number, although the slope of a square or a cube is a perfectly good one there.",
            lambda G, A, p: np.zeros_like(G) if p == 0 else G * p * A**p / A,
        ),
        Misconception(
            "One case is left: p = 0 where A is 0. The formula multiplies 0 by infinity there, and the product is no number. What does the graph of A⁰ look like?",
            lambda G, A, p: G * p * A ** (p - 1),
        ),
    ],
    constants=("p",),
    name="power_backward",
    points=2,
    difficulty=2,
    minutes=10,
    trials=6,
    fixed=[((np.array([5.0, -7.0, -4.0]), np.array([-2.0, 0.0, 3.0]), 0), np.zeros(3))],
)


def reduction_case(rng, trial):
    return normal(rng, *sizes(rng, 3)), [0, 1, None, -1, 2, -2][trial % 6]


def square_reduction(rng):
    """Where G fits into X in more than one way."""
    return normal(rng, 3, 3, 3), 1


def counted(X, axis):
    return X.size if axis is None else X.shape[axis]


def put_back(G, axis):
    """G with the axis that was reduced, now of size 1."""
    return G if axis is None else np.expand_dims(G, axis)


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
            lambda G, X, axis: np.broadcast_to(put_back(G, axis), X.shape) / counted(X, axis),
        ),
        Misconception(
            "The axis is back, but with size 1: G was not spread over the elements along it.",
            lambda G, X, axis: np.reshape(G, (1,) * X.ndim) if axis is None else np.expand_dims(G, axis),
        ),
        Misconception(
            "X's own values came in. Every element counts once in a sum, whatever its value.",
            lambda G, X, axis: X * put_back(G, axis),
        ),
        Misconception(
            "You spread G over X without putting the summed axis back. The axes are lined up from the right then, and G's meet the wrong ones of X.",
            lambda G, X, axis: np.broadcast_to(G, X.shape).copy(),
        ),
        Misconception(
            "You put the summed axis back at the end, whichever one it was. It belongs where it was taken away.",
            lambda G, X, axis: np.broadcast_to(G[..., None], X.shape).copy(),
        ),
        Misconception(
            "You summed once more, over G. On the way back a sum spreads out what it gets.",
            lambda G, X, axis: np.sum(G, axis=axis),
        ),
        Misconception(
            "You added up all of G. An element went into one total only, and hears from that one.",
            lambda G, X, axis: np.full(X.shape, np.sum(G)),
        ),
    ],
    constants=("axis",),
    name="sum_backward",
    points=2,
    difficulty=2,
    minutes=10,
    trials=6,
    square=square_reduction,
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
            lambda G, X, axis: np.broadcast_to(put_back(G, axis), X.shape).copy(),
        ),
        Misconception(
            lambda G, X, axis: (
                f"You divided by {X.size}, all elements of X. Divide by those that were averaged into one, here {counted(X, axis)}."
            ),
            lambda G, X, axis: np.broadcast_to(put_back(G, axis), X.shape) / X.size,
        ),
        Misconception(
            "You divided by the size of the mean, not by how many elements were averaged into each of its entries.",
            lambda G, X, axis: np.broadcast_to(put_back(G, axis), X.shape) / np.size(G),
        ),
        Misconception(
            "You took the mean of G. G is not averaged on the way back; each entry goes to the elements that it came from.",
            lambda G, X, axis: np.full(X.shape, np.mean(G)),
        ),
        Misconception(
            "The share is right, but it is not spread over the elements that had it: the axis that was averaged has size 1.",
            lambda G, X, axis: (np.reshape(G, (1,) * X.ndim) if axis is None else put_back(G, axis)) / counted(X, axis),
        ),
        Misconception(
            "The share is right, but it went to the wrong elements: without the averaged axis in its place, G's axes meet the wrong ones of X.",
            lambda G, X, axis: np.broadcast_to(G, X.shape) / counted(X, axis),
        ),
        Misconception(
            "Axis 0 was taken for no axis at all: `if axis` is false for 0 as it is for None. Ask for None by its name.",
            lambda G, X, axis: np.broadcast_to(put_back(G, axis), X.shape) / (counted(X, axis) if axis else X.size),
        ),
    ],
    constants=("axis",),
    name="mean_backward",
    points=2,
    difficulty=2,
    minutes=10,
    trials=6,
    square=square_reduction,
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
        Misconception(
            "You transposed G. That moves its numbers to other places; a reshape leaves them in their order, on the way back too.",
            lambda G, X, shape: G.T,
        ),
        Misconception(
            "You laid G out as one row and left it there. What is still missing is X's shape.",
            lambda G, X, shape: G.ravel(),
        ),
        Misconception(
            "The numbers are right, but you reshaped G itself: the caller holds the same array, and now it has another shape.",
            lambda G, X, shape: (G.resize(X.shape, refcheck=False), G)[1],
        ),
    ],
    constants=("shape",),
    name="reshape_backward",
    points=1,
    difficulty=1,
    minutes=5,
)


def transpose_case(rng, trial):
    axes = [(1, 2, 0), (2, 0, 1), (1, 0), (-1, 0, 1), (2, 0, 3, 1), (0, 2, 1)][trial % 6]
    return normal(rng, *sizes(rng, len(axes))), axes


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
        Misconception(
            "You returned G as it came. Its axes stand in the order of the result; X wants its own back.",
            lambda G, X, axes: G,
        ),
        Misconception(
            "Only the negative axes are left: -1 is the last axis, and for sorting it looks like the first.",
            lambda G, X, axes: np.transpose(G, np.argsort(axes)),
        ),
        Misconception(
            "You read the permutation backwards. That is not the way back: ask of each axis of X where it went.",
            lambda G, X, axes: np.transpose(G, axes[::-1]),
        ),
    ],
    constants=("axes",),
    name="transpose_backward",
    points=2,
    difficulty=2,
    minutes=15,
    trials=6,
)


def concat_case(rng, trial):
    """Shapes that differ along the joined axis alone; three axes in the last trials."""
    axis, ndim = [(0, 2), (1, 2), (-1, 2), (1, 3), (-3, 3)][trial % 5]
    shape = [7, 3] if trial == 1 else list(sizes(rng, ndim))  # 7 rows: more than A has columns
    operands = []
    for length in rng.permutation([1, 4, 6])[:2].tolist():
        shape[axis] = length
        operands.append(normal(rng, *shape))
    return *operands, axis


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
            "You took rows, whichever axis was joined. The joined axis is the only one that grew.",
            lambda G, A, B, axis: (G[: len(A)], G[len(A) :]),
        ),
        Misconception(
            "You took columns, whichever axis was joined. Cut along the axis that is asked for.",
            lambda G, A, B, axis: (G[:, : A.shape[1]], G[:, A.shape[1] :]),
        ),
        Misconception(
            "The place to cut is right, the axis is not: np.split cuts along axis 0 unless it is told another one.",
            lambda G, A, B, axis: tuple(np.split(G, [A.shape[axis]])),
        ),
        Misconception(
            "You cut at len(A), and that is how many rows A has. What counts is how far A goes along the joined axis.",
            lambda G, A, B, axis: tuple(np.split(G, [len(A)], axis)),
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
        Misconception(
            "dA is right. dB is the transpose of what you want: sum over the batch axis of A, and let the other two stand as they do in B.",
            lambda G, A, B: (G @ B.T, G.T @ A),
        ),
        Misconception(
            "dA is right. In dB the two factors stand in the wrong order: B had A on its left, and so has its gradient.",
            lambda G, A, B: (G @ B.T, G @ A.T),
        ),
        Misconception(
            "dA is right. In dB, A is not turned: the axis that meets G must be the one that they have in common.",
            lambda G, A, B: (G @ B.T, A @ G),
        ),
        Misconception(
            "dB is right. In dA, B is not turned: the axis that meets G must be the one that they have in common.",
            lambda G, A, B: (G @ B, A.T @ G),
        ),
        Misconception(
            "You averaged over the batch. Each row of A used B once, and every use counts in full; a mean is the business of a loss that takes one.",
            lambda G, A, B: (G @ B.T, A.T @ G / len(A)),
        ),
        Misconception(
            "Those are the operands, transposed. They still have to be multiplied by what arrives from above.",
            lambda G, A, B: (B.T, A.T),
        ),
    ],
    name="matmul_backward",
    points=3,
    difficulty=3,
    minutes=20,
    square=lambda rng: (normal(rng, 3, 3), normal(rng, 3, 3)),
)


def stack_case(rng, trial):
    """A stack of matrices, and one that all of them are multiplied by."""
    t, n, k, m = sizes(rng, 4)
    return normal(rng, t, n, k), normal(rng, k, m)


def turned(X):
    """Each matrix of a stack, transposed."""
    return np.swapaxes(X, -1, -2)


STACK = gradient(
    "4.12b",
    "A stack of matrices",
    lambda A, B: A @ B,
    ("A", "B"),
    stack_case,
    [
        Misconception(
            "dB has an axis too many: one gradient for each matrix of the stack. There is one B, and it hears from all of them.",
            lambda G, A, B: (G @ B.T, turned(A) @ G),
        ),
        Misconception(
            "You averaged over the stack. B was used once for each matrix of it, and every use counts in full.",
            lambda G, A, B: (G @ B.T, (turned(A) @ G).mean(axis=0)),
        ),
        Misconception(
            "You summed the stack before multiplying. Then the rows of one matrix meet the gradients of another, with which they had nothing to do.",
            lambda G, A, B: (G @ B.T, A.sum(axis=0).T @ G.sum(axis=0)),
        ),
        Misconception(
            "Only one matrix of the stack was asked. All of them used B.",
            lambda G, A, B: (G @ B.T, A[0].T @ G[0]),
        ),
        Misconception(
            "A.T reverses all three axes, the stack's too. Each matrix is to be turned where it lies: its two axes, the last ones, change places.",
            lambda G, A, B: (G @ B.T, (A.T @ G).sum(axis=0)),
        ),
        Misconception(
            "dB has B's axes the other way round: the one that A and B had in common comes first.",
            lambda G, A, B: (G @ B.T, (turned(G) @ A).sum(axis=0)),
        ),
    ],
    name="stack_matmul_backward",
    points=3,
    difficulty=3,
    minutes=15,
    square=lambda rng: (normal(rng, 3, 3, 3), normal(rng, 3, 3)),
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
        Misconception(
            "You multiplied by the output. What opens or shuts for G is a gate of ones and zeros: how large X was plays no part.",
            lambda G, X: G * np.maximum(X, 0),
        ),
        Misconception(
            "At X = 0 you chose ½, which is what a centred difference says there. It is no derivative either; this course's choice is 0.",
            lambda G, X: G * np.heaviside(X, 0.5),
        ),
        Misconception(
            "The numbers are right, but you wrote the zeros into G itself, and the caller has lost what stood there.",
            lambda G, X: np.multiply(G, X > 0, out=G),
        ),
        Misconception(
            "You returned the gate. It says where to let something through, and what is to come through is G.",
            lambda G, X: 1.0 * (X > 0),
        ),
        Misconception(
            "For negative X you sent G back with its sign turned. There the result does not move at all, in either direction.",
            lambda G, X: G * np.sign(X),
        ),
    ],
    name="relu_backward",
    points=1,
    difficulty=1,
    minutes=10,
    fixed=[((np.array([5.0, -7.0, -4.0]), KINK), np.array([0.0, 0.0, -4.0]))],
)


def leaky_case(rng, trial):
    """The usual slopes, one above 1, and one that turns the sign."""
    usual = float(rng.uniform(0.05, 0.3))
    return *one(rng, trial), [usual, usual, 1.7, -0.6, usual][trial % 5]


LEAKY = gradient(
    "4.14",
    "Leaky ReLU",
    lambda X, alpha: np.where(X > 0, X, alpha * X),
    ("X",),
    leaky_case,
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
        Misconception(
            "You told the sides apart by the output. With a negative α both sides come out positive; only X knows on which it was.",
            lambda G, X, alpha: G * np.where(np.where(X > 0, X, alpha * X) > 0, 1, alpha),
        ),
        Misconception(
            "You took the larger of X and α·X for the function. With α above 1 the larger one is on the wrong side; the contract speaks of the sign of X.",
            lambda G, X, alpha: G * np.where(alpha * X < X, 1, alpha),
        ),
        Misconception(
            "At X = 0 you chose the middle between α and 1, as a centred difference does. This course's choice is α.",
            lambda G, X, alpha: G * np.where(X == 0, (1 + alpha) / 2, np.where(X > 0, 1, alpha)),
        ),
        Misconception(
            "The numbers are right, but you scaled them in G itself: it belongs to the caller.",
            lambda G, X, alpha: np.multiply(G, alpha, out=G, where=X <= 0),
        ),
        Misconception(
            "You returned the two slopes. They are there to multiply what arrives from above.",
            lambda G, X, alpha: np.where(X > 0, 1, alpha),
        ),
        Misconception(
            "You multiplied by the output. A straight line has the same slope everywhere: how far from 0 X was plays no part.",
            lambda G, X, alpha: G * np.where(X > 0, X, alpha * X),
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
    cases = [
        ((a, b), (a, 1)),
        ((a, b, c), (c,)),
        ((a, b, c), (1, c)),
        ((a, b, c), (b, 1)),
        ((a, b), ()),
        ((a, b, c), (a, 1, c)),
    ]
    whole, shape = cases[trial % 6]
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


def from_the_left(G, shape):
    """Size 1 looked for in the axes of G while the leading ones are still there."""
    lead = G.ndim - len(shape)
    for i, n in enumerate(shape):
        if n == 1:
            G = G.sum(axis=i, keepdims=True)
    return G.sum(axis=tuple(range(lead)))


def from_the_wrong_end(G, shape):
    while G.ndim > len(shape):
        G = G.sum(axis=-1)
    return G.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


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
        Misconception(
            "You added up all of G. Only the copies of one and the same element belong together.",
            lambda G, shape: np.full(shape, G.sum()),
        ),
        Misconception(
            "You looked for the axes of size 1 while the leading axes were still there, so you met the wrong ones: two shapes are lined up from the right.",
            from_the_left,
        ),
        Misconception(
            "You took the surplus axes away at the right end. Shapes are lined up there; what is added, is added at the left.",
            from_the_wrong_end,
        ),
    ],
    trials=6,
    fixed=[
        ((np.arange(6.0).reshape(2, 3), (2, 3)), np.arange(6.0).reshape(2, 3)),
        ((np.arange(6.0).reshape(2, 1, 3), (1, 3)), np.array([[3.0, 5.0, 7.0]])),
    ],
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
    STACK,
    RELU,
    LEAKY,
    UNBROADCAST,
]
