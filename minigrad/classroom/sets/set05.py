"""Set 05: losses as compositions of minigrad's operations, their gradients in closed form, and cross-entropy from logits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..numeric import pulled_back
from ..task import Misconception, Task, sizes

# ---------------------------------------------------------------- what the losses are, without gradients: for the oracle


def mean_square(y, p):
    return np.mean((y - p) ** 2)


def mean_size(y, p):
    return np.mean(np.abs(y - p))


def cross_entropy(y, p):
    return np.mean(-np.log(np.where(y == 1, p, 1 - p)))


def margin(y, p):
    return np.mean(np.maximum(0, 1 - y * p))


def logit_costs(y, z):
    """−log of the probability that σ(z) gives to the label, accurate wherever z is."""
    return np.logaddexp(0, np.where(y == 1, -z, z))


def logit_cross_entropy(y, z):
    return np.mean(logit_costs(y, z))


def near_square_far_line(y, p, delta):
    d = np.abs(y - p)
    return np.mean(np.where(d <= delta, d**2 / 2, delta * (d - delta / 2)))


# ---------------------------------------------------------------- cases


def shaped(rng, trial):
    """A shape: two axes, in the fourth trial one, in the last three."""
    return sizes(rng, {3: 1, 4: 3}.get(trial, 2))


def mixed(rng, shape, values):
    """An array of two values, both of them there."""
    return rng.permutation(np.resize(values, int(np.prod(shape)))).reshape(shape).astype(np.float64)


def narrow(trial, *arrays):
    """The second trial is in float32."""
    return tuple(x.astype(np.float32) if trial == 1 else x for x in arrays)


def quantities(rng, trial):
    """Truths and predictions, each wrong by more than a little, to both sides."""
    shape = shaped(rng, trial)
    y = rng.uniform(-2, 2, shape)
    return narrow(trial, y, y + rng.uniform(0.3, 2, shape) * mixed(rng, shape, [-1, 1]))


def probabilities(rng, trial):
    shape = shaped(rng, trial)
    return narrow(trial, mixed(rng, shape, [0, 1]), rng.uniform(0.05, 0.95, shape))


def scores(rng, trial):
    """Labels −1 and +1, and scores on all sides of the margin, none at it."""
    shape = shaped(rng, trial)
    y = mixed(rng, shape, [-1, 1, 1])
    m = rng.permutation(np.resize([-1.5, 0.5, 2.0], y.size)).reshape(shape) + rng.uniform(-0.3, 0.3, shape)
    return narrow(trial, y, y * m)


def logits(rng, trial):
    """Moderate ones, large ones, and huge ones, each with both labels."""
    size = [1, 1, 35, 1000, 1000][trial % 5]
    n = 11
    z = np.concatenate([rng.uniform(0.2, 3, n), size * rng.uniform(0.8, 1, n)])
    both = np.concatenate([z, -z])
    y = np.concatenate([mixed(rng, (2 * n,), [0, 1])] * 2)
    order = rng.permutation(y.size)
    return narrow(trial, y[order].reshape(2, -1), both[order].reshape(2, -1))


# ---------------------------------------------------------------- the two kinds of tasks


def value_and_gradient(answer, y_true, y_pred, *more):
    """The loss that a composition computes, and what backward() leaves in y_pred."""
    import minigrad as mg

    p = mg.Tensor(y_pred, requires_grad=True)
    loss = answer(mg.Tensor(y_true), p, *more)
    y_pred[...] = p.data  # so that it is seen if the answer changed it
    if loss is None:
        return None, "nothing: there is no loss"
    if not isinstance(loss, mg.Tensor):
        return loss, "nothing: the loss has no graph"
    if loss.size != 1:
        return loss.data, f"nothing: {loss.size} losses, not one"
    if not loss.requires_grad:
        return loss.data, "nothing: the loss has no graph"
    loss.backward()
    return loss.data, "nothing: y_pred is not in the graph" if p.grad is None else p.grad


def composition(
    id: str, title: str, forward: Callable, draw: Callable, misconceptions, constants: tuple[str, ...] = (), **about
) -> Task:
    """A task that asks for `forward` as tensors: judged by its value, and by the gradient that reaches y_pred."""

    def expect(y_true, y_pred, *more):
        value = np.asarray(forward(y_true.astype(np.float64), y_pred.astype(np.float64), *more), y_pred.dtype)
        return value, slope(forward, y_true, y_pred, *more)

    return Task(
        id=id,
        title=title,
        takes=("y_true", "y_pred", *constants),
        draw=draw,
        expect=expect,
        misconceptions=(
            *misconceptions,
            Misconception(
                "The graph was left on the way: plain numbers don't remember where they came from. "
                "Compute with the tensors themselves.",
                lambda y_true, y_pred, *more: float(forward(y_true.data, y_pred.data, *more)),
            ),
            Misconception(
                "You made a new leaf of the result. A graph begins at its leaves: what came before, y_pred too, is not in it.",
                lambda y_true, y_pred, *more: leaf(forward(y_true.data, y_pred.data, *more)),
            ),
        ),
        probe=value_and_gradient,
        returns=("the loss", "the gradient in y_pred"),
        like={"the gradient in y_pred": "y_pred"},
        **about,
    )


def closed_form(id: str, title: str, forward: Callable, draw: Callable, misconceptions, second="y_pred", **about):
    """A task that asks for the gradient of `forward` in its second argument, as a NumPy function."""
    return Task(
        id=id,
        title=title,
        takes=("y_true", second),
        draw=draw,
        expect=lambda y_true, y_pred: slope(forward, y_true, y_pred),
        misconceptions=misconceptions,
        returns=("the gradient",),
        like={"the gradient": second},
        source="finite differences give",
        **about,
    )


def leaf(value):
    import minigrad as mg

    return mg.Tensor(value, requires_grad=True)


def slope(forward, *args):
    return pulled_back(forward, np.array(1.0), args, 1)


# ---------------------------------------------------------------- 5.1 to 5.3

MSE = composition(
    "5.1",
    "Mean squared error, composed",
    mean_square,
    quantities,
    [
        Misconception(
            "You added the squares up and did not average them. A loss that grows with the batch asks for another learning rate whenever the batch changes.",
            lambda y, p: ((y - p) ** 2).sum(),
        ),
        Misconception(
            "A loss for each element is left. Training needs one number to go back from: reduce them.",
            lambda y, p: (y - p) ** 2,
        ),
        Misconception(
            "Those are the sizes of the errors. Squared, an error twice as large costs four times as much.",
            lambda y, p: abs(y - p).mean(),
        ),
        Misconception(
            "You squared the mean error. Before that, errors to both sides have cancelled each other: square first, then average.",
            lambda y, p: (y - p).mean() ** 2,
        ),
        Misconception(
            "There is a square root around it. That is another loss, with another slope: its gradient gets no smaller as the errors do.",
            lambda y, p: ((y - p) ** 2).mean() ** 0.5,
        ),
        Misconception(
            "It is half of what was asked for. Some people put a ½ in front, so that the gradient looks nicer; the mean of the squares has none.",
            lambda y, p: 0.5 * ((y - p) ** 2).mean(),
        ),
        Misconception(
            "You squared both and subtracted then. It is the difference that has to be squared.",
            lambda y, p: (y**2 - p**2).mean(),
        ),
    ],
    name="mse",
    points=1,
    difficulty=1,
    minutes=5,
)


def line_case(rng, trial):
    n = 7 + trial
    x = rng.uniform(1, 9, n)
    a, c = float(rng.uniform(1, 3)), float(rng.uniform(2, 5))
    return x, a * x + c + rng.uniform(0.5, 3, n) * mixed(rng, (n,), [-1, 1, 1]), a, c


def line_slopes(x, y, a, c):
    def loss(a, c):
        return mean_square(y, a * x + c)

    h = 1e-6
    return (loss(a + h, c) - loss(a - h, c)) / (2 * h), (loss(a, c + h) - loss(a, c - h)) / (2 * h)


def residuals(x, y, a, c):
    return 2 * (a * x + c - y)


LINE = Task(
    id="5.2",
    title="From the loss to two parameters",
    points=2,
    difficulty=2,
    minutes=15,
    name="line_gradient",
    takes=("x", "y", "a", "c"),
    draw=line_case,
    expect=line_slopes,
    returns=("da", "dc"),
    source="finite differences give",
    misconceptions=[
        Misconception(
            "The factor x is missing from da: in a long ride the price per kilometre is used many times, and so it gets more of the blame.",
            lambda x, y, a, c: (np.mean(residuals(x, y, a, c)), np.mean(residuals(x, y, a, c))),
        ),
        Misconception(
            "You returned one number for each ride. All rides use the same a and the same c: their contributions are accumulated into one.",
            lambda x, y, a, c: (residuals(x, y, a, c) * x / x.size, residuals(x, y, a, c) / x.size),
        ),
        Misconception(
            "You added up over the rides; the loss is their mean.",
            lambda x, y, a, c: (np.sum(residuals(x, y, a, c) * x), np.sum(residuals(x, y, a, c))),
        ),
        Misconception(
            "Every sign is turned round. Where the predictions are too high, a larger price makes the loss larger.",
            lambda x, y, a, c: (-np.mean(residuals(x, y, a, c) * x), -np.mean(residuals(x, y, a, c))),
        ),
        Misconception(
            "The square's own factor was lost: on the way back through it, the exponent comes down.",
            lambda x, y, a, c: (np.mean(residuals(x, y, a, c) * x) / 2, np.mean(residuals(x, y, a, c)) / 2),
        ),
        Misconception(
            "You multiplied two means. Each ride's error belongs to its own x: multiply ride by ride, then average.",
            lambda x, y, a, c: (np.mean(residuals(x, y, a, c)) * np.mean(x), np.mean(residuals(x, y, a, c))),
        ),
        Misconception(
            "That is how the loss moves with x. The rides are data and stay as they are; a is what may move, and the factor that comes with it is x.",
            lambda x, y, a, c: (np.mean(residuals(x, y, a, c)) * a, np.mean(residuals(x, y, a, c))),
        ),
        Misconception(
            "The two are exchanged: da comes first.",
            lambda x, y, a, c: (np.mean(residuals(x, y, a, c)), np.mean(residuals(x, y, a, c) * x)),
        ),
    ],
)

MSE_GRADIENT = closed_form(
    "5.3",
    "Mean squared error, its gradient",
    mean_square,
    quantities,
    [
        Misconception(
            "It is half of the gradient: when a square is differentiated, its exponent comes down as a factor.",
            lambda y, p: (p - y) / p.size,
        ),
        Misconception(
            "You did not divide by the number of elements. Each of them has only its share in a mean.",
            lambda y, p: 2 * (p - y),
        ),
        Misconception(
            "The sign is turned round. A prediction that is too high must have a positive gradient, for raising it makes things worse.",
            lambda y, p: 2 * (y - p) / p.size,
        ),
        Misconception(
            "You divided by the number of rows. The mean was taken over all elements.",
            lambda y, p: 2 * (p - y) / len(p),
        ),
        Misconception(
            "You averaged the gradient itself into one number. Every prediction is pushed for itself: the mean is a factor in front.",
            lambda y, p: np.mean(2 * (p - y)),
        ),
        Misconception(
            "Those are the squared errors, a part of the loss itself. Asked for is how fast it moves.",
            lambda y, p: (p - y) ** 2 / p.size,
        ),
        Misconception(
            "You computed the difference in y_pred itself. Whoever gave it to you still needs the predictions.",
            lambda y, p: 2 * p.__isub__(y) / p.size,
        ),
    ],
    name="mse_gradient",
    points=1,
    difficulty=1,
    minutes=10,
)


# ---------------------------------------------------------------- 5.4 mean absolute error

RIGHT_ONE = (np.array([1.0, 3.0, 2.0]), np.array([4.0, 1.5, 2.0]))  # the last is right: a kink

MAE = composition(
    "5.4",
    "Mean absolute error, composed",
    mean_size,
    quantities,
    [
        Misconception(
            "You added the errors up and did not average them. The loss of a larger batch must not be larger for that alone.",
            lambda y, p: abs(y - p).sum(),
        ),
        Misconception(
            "A loss for each element is left. Reduce them: backward() starts from one number.", lambda y, p: abs(y - p)
        ),
        Misconception(
            "Those are squared errors. Here an error counts by its size, and the one outlier no more than that.",
            lambda y, p: ((y - p) ** 2).mean(),
        ),
        Misconception(
            "Errors to one side were charged and errors to the other were paid back: they cancel. Take the size of each before you average.",
            lambda y, p: (p - y).mean(),
        ),
        Misconception(
            "The size came last: first the errors cancelled each other in the mean. Take the size of each one first.",
            lambda y, p: abs((y - p).mean()),
        ),
        Misconception(
            "Where a prediction is right, your gradient is not a number: a root is infinitely steep at 0. "
            "There is an operation for the size of a number that has a slope of its own there.",
            lambda y, p: (((y - p) ** 2) ** 0.5).mean(),
        ),
        Misconception(
            "Only predictions that are too low cost something. Being too high is as wrong.",
            lambda y, p: (y - p).relu().mean(),
        ),
    ],
    name="mae",
    fixed=[(RIGHT_ONE, (np.array(1.5), np.array([1 / 3, -1 / 3, 0.0])))],
    points=1,
    difficulty=1,
    minutes=5,
)

MAE_GRADIENT = closed_form(
    "5.4b",
    "Mean absolute error, its gradient",
    mean_size,
    quantities,
    [
        Misconception(
            "The sign is turned round: where the prediction is too high, raising it makes the error larger.",
            lambda y, p: np.sign(y - p) / p.size,
        ),
        Misconception(
            "You did not divide by the number of elements. In a mean, each of them pulls with its share.",
            lambda y, p: np.sign(p - y),
        ),
        Misconception(
            "The size of the error came in. Here an error of 100 pulls no harder than one of 1: only its side counts.",
            lambda y, p: (p - y) / p.size,
        ),
        Misconception(
            "Where a prediction is right you divided 0 by 0. There is no derivative there, so a choice is made, and the contract says which.",
            lambda y, p: (p - y) / np.abs(p - y) / p.size,
        ),
        Misconception(
            "A prediction that is right was sent down. The loss has a corner there, and the contract says which slope to choose.",
            lambda y, p: np.where(p >= y, 1, -1).astype(p.dtype) / p.size,
        ),
        Misconception(
            "A prediction that is right was sent up. The loss has a corner there, and the contract says which slope to choose.",
            lambda y, p: np.where(p > y, 1, -1).astype(p.dtype) / p.size,
        ),
        Misconception(
            "You looked at the sign of the prediction. What counts is on which side of the truth it is.",
            lambda y, p: np.sign(p) / p.size,
        ),
    ],
    name="mae_gradient",
    fixed=[(RIGHT_ONE, np.array([1 / 3, -1 / 3, 0.0]))],
    points=1,
    difficulty=1,
    minutes=10,
)


# ---------------------------------------------------------------- 5.4 binary cross-entropy


def logistic(x):
    return 1 / (1 + np.exp(-x))


BCE = composition(
    "5.4c",
    "Binary cross-entropy, composed",
    cross_entropy,
    probabilities,
    [
        Misconception(
            "The sign: the logarithm of a probability is never positive, and a loss should be 0 at best.",
            lambda y, p: (y * p.log() + (1 - y) * (1 - p).log()).mean(),
        ),
        Misconception(
            "Only the examples with label 1 cost anything. For a label 0, the probability given to what happened is the other one.",
            lambda y, p: -(y * p.log()).mean(),
        ),
        Misconception(
            "The two labels are exchanged: you charge most for what was predicted well.",
            lambda y, p: -((1 - y) * p.log() + y * (1 - p).log()).mean(),
        ),
        Misconception(
            "For a label 0 you took the logarithm of p as well. p is the probability of a 1; what is left over is that of a 0.",
            lambda y, p: -(y * p.log() + (1 - y) * p.log()).mean(),
        ),
        Misconception(
            "1 minus the logarithm is not the logarithm of 1 minus p. Subtract inside, then take the logarithm.",
            lambda y, p: -(y * p.log() + (1 - y) * (1 - p.log())).mean(),
        ),
        Misconception(
            "You put the probabilities through a sigmoid first. They were taken for logits; they have been through it.",
            lambda y, p: -(y * p.sigmoid().log() + (1 - y) * (1 - p.sigmoid()).log()).mean(),
        ),
        Misconception(
            "The arguments are swapped: the logarithm belongs around the prediction, and a label says which term counts. The logarithm of a label 0 is minus infinity.",
            lambda y, p: -(p * y.log() + (1 - p) * (1 - y).log()).mean(),
        ),
        Misconception(
            "You added the losses up and did not average them. Twice as many mails must not cost twice as much.",
            lambda y, p: -(y * p.log() + (1 - y) * (1 - p).log()).sum(),
        ),
        Misconception(
            "A loss for each mail is left. The graph has to end in one number.",
            lambda y, p: -(y * p.log() + (1 - y) * (1 - p).log()),
        ),
    ],
    name="bce",
    points=2,
    difficulty=2,
    minutes=10,
)

BCE_GRADIENT = closed_form(
    "5.4d",
    "Binary cross-entropy, its gradient",
    cross_entropy,
    probabilities,
    [
        Misconception(
            "The sign is turned round. Where the label is 1, a higher probability must make the loss smaller.",
            lambda y, p: (y - p) / (p * (1 - p)) / p.size,
        ),
        Misconception(
            "You did not divide by the number of elements: the loss is a mean.",
            lambda y, p: (p - y) / (p * (1 - p)),
        ),
        Misconception(
            "That is the gradient in the logit, one step further back: the sigmoid's slope has cancelled the denominator. Here the input is the probability, and it gets steep near a sure mistake.",
            lambda y, p: (p - y) / p.size,
        ),
        Misconception(
            "Examples with label 0 got no gradient. Their loss depends on p as well, through what p leaves over.",
            lambda y, p: -y / p / p.size,
        ),
        Misconception(
            "The second term has the wrong sign. There p stands behind a minus inside the logarithm, and that minus comes out.",
            lambda y, p: (-y / p - (1 - y) / (1 - p)) / p.size,
        ),
        Misconception(
            "You put p through a sigmoid. It is a probability already.",
            lambda y, p: (logistic(p) - y) / (logistic(p) * (1 - logistic(p))) / p.size,
        ),
        Misconception(
            "Multiplied where you should divide: the surer a wrong prediction is, the steeper the loss.",
            lambda y, p: (p - y) * p * (1 - p) / p.size,
        ),
    ],
    name="bce_gradient",
    points=2,
    difficulty=2,
    minutes=15,
)


# ---------------------------------------------------------------- 5.4 hinge

AT_MARGIN = (np.array([1.0, -1.0, 1.0]), np.array([1.0, -1.0, -1.0]))

HINGE = composition(
    "5.4e",
    "Hinge loss, composed",
    margin,
    scores,
    [
        Misconception(
            "You converted the labels as if they were 0 and 1. They are −1 and +1 already.",
            lambda y, p: (1 - (2 * y - 1) * p).relu().mean(),
        ),
        Misconception(
            "You asked for the right side and no more. The hinge loss wants a margin as well: a score that is right by a hair still costs something.",
            lambda y, p: (-y * p).relu().mean(),
        ),
        Misconception(
            "Scores beyond the margin earned something back. Enough is enough: a loss is never below 0.",
            lambda y, p: (1 - y * p).mean(),
        ),
        Misconception(
            "The sign: a score on its label's side costs more in yours than one on the other side.",
            lambda y, p: (1 + y * p).relu().mean(),
        ),
        Misconception(
            "You squared it. That loss exists, but in this one the pull is the same all the way.",
            lambda y, p: ((1 - y * p).relu() ** 2).mean(),
        ),
        Misconception(
            "Exactly at the margin half of the pull is left. A maximum of two that tie shares the gradient out; "
            "the operation whose other side is always 0 doesn't, and the contract asks for its choice.",
            lambda y, p: np.maximum(1 - y * p, 0.0).mean(),
        ),
        Misconception(
            "You added the losses up and did not average them: more examples, more loss.",
            lambda y, p: (1 - y * p).relu().sum(),
        ),
        Misconception("A loss for each score is left. Reduce them to one number.", lambda y, p: (1 - y * p).relu()),
        Misconception(
            "The label was subtracted. What the loss looks at is the product of label and score: it is positive where they agree.",
            lambda y, p: (1 - (y - p)).relu().mean(),
        ),
    ],
    name="hinge",
    fixed=[(AT_MARGIN, (np.array(2 / 3), np.array([0.0, 0.0, -1 / 3])))],
    points=2,
    difficulty=2,
    minutes=10,
)

HINGE_GRADIENT = closed_form(
    "5.4f",
    "Hinge loss, its gradient",
    margin,
    scores,
    [
        Misconception(
            "The sign is turned round: a label +1 pulls the score up, so raising the score lowers the loss.",
            lambda y, p: np.where(y * p < 1, y, 0) / p.size,
        ),
        Misconception(
            "Every score is pulled, also those beyond the margin. There the loss is flat and nothing pulls.",
            lambda y, p: -y / p.size,
        ),
        Misconception(
            "The sides are exchanged: you pull the scores that are beyond the margin and leave the others alone.",
            lambda y, p: np.where(y * p > 1, -y, 0) / p.size,
        ),
        Misconception(
            "Only scores on the wrong side are pulled. Those that are right but within the margin must be pulled as well.",
            lambda y, p: np.where(y * p < 0, -y, 0) / p.size,
        ),
        Misconception(
            "You compared the score itself with the margin. For a label −1 the margin lies on the other side: compare the product of label and score.",
            lambda y, p: np.where(p < 1, -y, 0) / p.size,
        ),
        Misconception(
            "Exactly at the margin you still pull. The loss has a corner there; the contract says which slope to choose.",
            lambda y, p: np.where(y * p <= 1, -y, 0) / p.size,
        ),
        Misconception(
            "You did not divide by the number of elements: each score has its share in a mean.",
            lambda y, p: np.where(y * p < 1, -y, np.zeros_like(y)),
        ),
        Misconception(
            "You divided by the number of scores within the margin. The mean counts those as well that cost nothing.",
            lambda y, p: np.where(y * p < 1, -y, 0) / np.sum(y * p < 1).astype(y.dtype),
        ),
        Misconception(
            "You returned the costs, not how fast they move. Within the margin the pull does not depend on how far it is.",
            lambda y, p: np.maximum(0, 1 - y * p) / p.size,
        ),
        Misconception(
            "You differentiated in the label. It is the score that moves, and the other factor of the product that stays.",
            lambda y, p: np.where(y * p < 1, -p, 0) / p.size,
        ),
    ],
    name="hinge_gradient",
    fixed=[(AT_MARGIN, np.array([0.0, 0.0, -1 / 3]))],
    points=2,
    difficulty=2,
    minutes=15,
)


# ---------------------------------------------------------------- 5.5 logits


def with_logarithm(answer, y_true, z):
    """The losses, and their logarithms: in those one sees whether a tiny loss is right, down to 1e-300."""
    import numpy as np

    losses = answer(y_true, z)
    if not isinstance(losses, np.ndarray) or losses.shape != z.shape or losses.dtype.kind != "f":
        return losses, "not asked for"
    return losses, np.log(np.maximum(losses, 1e-300, dtype=np.float64))


def logit_expect(y_true, z):
    costs = logit_costs(y_true, z.astype(np.float64))
    return costs.astype(z.dtype), np.log(np.maximum(costs, 1e-300))


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def clipped(y, z):
    p = np.clip(logistic(z), 1e-7, 1 - 1e-7)
    return -y * np.log(p) - (1 - y) * np.log(1 - p)


LOGITS = Task(
    id="5.5",
    title="Cross-entropy from logits",
    points=3,
    difficulty=3,
    minutes=25,
    name="bce_with_logits",
    takes=("y_true", "z"),
    draw=lambda rng, trial: tuple(x.astype(np.float64) for x in logits(rng, trial)),
    expect=logit_expect,
    probe=with_logarithm,
    returns=("L", "log(L)"),
    like={"L": "z"},
    misconceptions=[
        Misconception(
            "First the sigmoid, then the logarithm: by then a sure p has been rounded to 0 or 1, and 0 times infinity is not a number. "
            "Work out on paper what the logarithm of a sigmoid is, before anything is rounded.",
            lambda y, z: -y * np.log(logistic(z)) - (1 - y) * np.log(1 - logistic(z)),
        ),
        Misconception(
            "A factor 0 was to switch off the term of the other label. But that term has overflowed, and 0 times infinity is not a number: take exponentials of negative numbers only.",
            lambda y, z: y * np.log(1 + np.exp(-z)) + (1 - y) * np.log(1 + np.exp(z)),
        ),
        Misconception(
            "The exponential of a large logit has overflowed. Arrange it so that only exponentials of negative numbers are taken: they can't.",
            lambda y, z: np.log1p(np.exp(np.where(y == 1, -z, z))),
        ),
        Misconception(
            "Clipping the probability hides the trouble: a prediction that is a thousand wrong costs no more than one that is sixteen wrong, and there the loss is flat.",
            clipped,
        ),
        Misconception(
            "Two large numbers were subtracted whose first sixteen digits are the same, and the small loss was lost in between. "
            "Let the label choose what to compute, and nothing needs to be subtracted.",
            lambda y, z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))) - y * z,
        ),
        Misconception(
            "Close, but tiny losses came out as 0: 1 plus something below 1e-16 is 1, and its logarithm 0. NumPy has a logarithm for exactly this.",
            lambda y, z: np.maximum(np.where(y == 1, -z, z), 0) + np.log(1 + np.exp(-np.abs(z))),
        ),
        Misconception(
            "The labels are exchanged: a large logit says 1, and must cost nothing where the label is 1.",
            lambda y, z: logit_costs(1 - y, z),
        ),
        Misconception(
            "You took z for a probability. It is a logit, any number at all: the sigmoid comes in between.",
            lambda y, z: -y * np.log(z) - (1 - y) * np.log(1 - z),
        ),
        Misconception("You took the mean. Here each element keeps its own loss.", logit_cross_entropy),
        Misconception("The sign: a loss is never negative.", lambda y, z: -logit_costs(y, z)),
        Misconception(
            "That is the cost of a label 0, whatever the label is. A label 1 makes large logits cheap.",
            lambda y, z: softplus(z),
        ),
    ],
)

LOGITS_GRADIENT = closed_form(
    "5.6",
    "Cross-entropy from logits, its gradient",
    logit_cross_entropy,
    logits,
    [
        Misconception(
            "The logit itself was compared with the label. What the label is compared with is the probability.",
            lambda y, z: (z - y) / z.size,
        ),
        Misconception(
            "The sign is turned round: prediction minus truth, as for the squared error.",
            lambda y, z: (y - logistic(z)) / z.size,
        ),
        Misconception(
            "You did not divide by the number of elements: the loss is a mean.", lambda y, z: logistic(z) - y
        ),
        Misconception(
            "You divided by the number of rows. The mean was taken over all elements.",
            lambda y, z: (logistic(z) - y) / len(z),
        ),
        Misconception(
            "The sigmoid's slope came in once too often. It has cancelled against the denominator of the cross-entropy's own slope: that is the good news about this pair.",
            lambda y, z: (logistic(z) - y) * logistic(z) * (1 - logistic(z)) / z.size,
        ),
        Misconception(
            "That is the gradient in the probability. One step further back, through the sigmoid, is the logit.",
            lambda y, z: (logistic(z) - y) / (logistic(z) * (1 - logistic(z))) / z.size,
        ),
        Misconception(
            "At large logits infinity was divided by infinity. Write the sigmoid so that an overflow can't be in both halves of the fraction.",
            lambda y, z: (np.exp(z) / (1 + np.exp(z)) - y) / z.size,
        ),
        Misconception(
            "You returned the probabilities over n: the labels are missing.", lambda y, z: logistic(z) / z.size
        ),
    ],
    second="z",
    name="bce_with_logits_gradient",
    points=2,
    difficulty=2,
    minutes=10,
)


# ---------------------------------------------------------------- 5.7 one more


def huber_case(rng, trial):
    """Errors on both sides of delta and of 0, none near the corner."""
    shape = shaped(rng, trial)
    delta = float(rng.uniform(0.7, 1.6))
    small = mixed(rng, shape, [0, 1])
    d = delta * np.where(small, rng.uniform(0.2, 0.8, shape), rng.uniform(1.3, 4, shape))
    y = rng.uniform(-2, 2, shape)
    return (*narrow(trial, y, y + d * mixed(rng, shape, [-1, 1])), delta)


def where(condition, a, b):
    import minigrad as mg

    return mg.tensor_where(condition, a, b)


HUBER = composition(
    "5.7",
    "A loss of your own",
    near_square_far_line,
    huber_case,
    [
        Misconception(
            "The two pieces don't meet: at δ your loss jumps. The line has to start at the height where the parabola ends.",
            lambda y, p, delta: where(abs(y - p) <= delta, (y - p) ** 2 / 2, delta * abs(y - p)).mean(),
        ),
        Misconception(
            "The parabola lacks its ½: it arrives at δ too high and too steep for the line.",
            lambda y, p, delta: where(abs(y - p) <= delta, (y - p) ** 2, delta * (abs(y - p) - 0.5 * delta)).mean(),
        ),
        Misconception(
            "A prediction far above the truth was treated as near, or one far below. Compare the size of the error with δ, not the error.",
            lambda y, p, delta: where(p - y <= delta, (y - p) ** 2 / 2, delta * (abs(y - p) - 0.5 * delta)).mean(),
        ),
        Misconception(
            "The pieces are exchanged: near the truth it is a parabola, far away a line.",
            lambda y, p, delta: where(abs(y - p) > delta, (y - p) ** 2 / 2, delta * (abs(y - p) - 0.5 * delta)).mean(),
        ),
        Misconception(
            "Your line has the slope 1. To go on as the parabola arrives, it needs the slope that the parabola has at δ.",
            lambda y, p, delta: where(abs(y - p) <= delta, (y - p) ** 2 / 2, abs(y - p) - 0.5 * delta).mean(),
        ),
        Misconception(
            "You cut the error off at δ. Then everything further away costs the same, and nothing pulls it back.",
            lambda y, p, delta: (np.minimum(abs(y - p), delta) ** 2 / 2).mean(),
        ),
        Misconception(
            "You added up and did not average.",
            lambda y, p, delta: where(abs(y - p) <= delta, (y - p) ** 2 / 2, delta * (abs(y - p) - 0.5 * delta)).sum(),
        ),
    ],
    constants=("delta",),
    name="huber",
    fixed=[
        (
            (np.array([0.0, 0.0, 0.0, 0.0]), np.array([0.0, 2.0, -2.0, 3.0]), 2.0),
            (np.array(2.0), np.array([0.0, 0.5, -0.5, 0.5])),
        )
    ],
    points=2,
    difficulty=3,
    minutes=20,
)

TASKS = [
    MSE,
    LINE,
    MSE_GRADIENT,
    MAE,
    MAE_GRADIENT,
    BCE,
    BCE_GRADIENT,
    HINGE,
    HINGE_GRADIENT,
    LOGITS,
    LOGITS_GRADIENT,
    HUBER,
]
