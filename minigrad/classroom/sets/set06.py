"""Set 06: layers written from nothing but tensors: weights and their range, Dense, dropout, the skip connection, parameters and a step."""

from __future__ import annotations

import numpy as np

from ..numeric import pulled_back
from ..task import Misconception, Task, gradient, normal, sizes, upstream


def but(right: type, **methods) -> type:
    """A wrong class: `right`, with other methods."""
    return type(right.__name__, (right,), methods)


# ---------------------------------------------------------------- 6.1 Glorot's range


def many_layers(answer, d_in, d_out, seed):
    """What is to be seen of some four thousand weights, drawn for layer after layer."""
    import numpy as np

    rng = np.random.default_rng(seed)
    first, second = answer(d_in, d_out, rng), answer(d_in, d_out, rng)
    if first is None:
        return None
    draws = [np.asarray(answer(d_in, d_out, rng)) for _ in range(4000 // (d_in * d_out))]
    weights = np.array(draws, dtype=float)
    again = answer(d_in, d_out, np.random.default_rng(seed))
    said = {True: "the same weights", False: "other weights"}
    return (
        np.shape(first),
        float(weights.min()),
        float(weights.max()),
        float(weights.std()),
        said[np.array_equal(first, second)],
        said[np.array_equal(first, again)],
    )


def glorot_expect(d_in, d_out, seed):
    variance = 2 / (d_in + d_out)
    a = np.sqrt(3 * variance)  # the half width of a uniform distribution with that variance
    return (d_out, d_in), -a, a, np.sqrt(variance), "other weights", "the same weights"


def bound(d_in, d_out):
    return np.sqrt(6 / (d_in + d_out))


GLOROT = Task(
    id="6.1",
    title="Glorot's range",
    points=2,
    difficulty=1,
    minutes=10,
    name="glorot_uniform",
    takes=("d_in", "d_out", "seed"),
    draw=lambda rng, trial: (*sizes(rng, 2), int(rng.integers(1_000_000))),
    expect=glorot_expect,
    probe=many_layers,
    returns=(
        "the shape",
        "the smallest of 4000 weights",
        "the largest of 4000 weights",
        "the standard deviation",
        "what a second call with one generator gives",
        "what an equal generator gives",
    ),
    trials=3,
    tolerance=0.02,
    misconceptions=[
        Misconception(
            lambda d_in, d_out, seed: (
                f"Your weights have shape {(d_in, d_out)}: a column for each output. In this course a weight has a row for each output."
            ),
            lambda d_in, d_out, rng: rng.uniform(-bound(d_in, d_out), bound(d_in, d_out), (d_in, d_out)),
        ),
        Misconception(
            "Your range depends on the number of inputs alone. Gradients come from the other side, and there the number of outputs decides: both count.",
            lambda d_in, d_out, rng: rng.uniform(-np.sqrt(6 / d_in), np.sqrt(6 / d_in), (d_out, d_in)),
        ),
        Misconception(
            "You took the standard deviation for the limit. Numbers spread evenly over a range have a standard deviation smaller than half its width.",
            lambda d_in, d_out, rng: rng.uniform(
                -np.sqrt(2 / (d_in + d_out)), np.sqrt(2 / (d_in + d_out)), (d_out, d_in)
            ),
        ),
        Misconception(
            "The standard deviation is right, but these numbers have a bell curve: some are far out. Asked for is an even spread, with nothing outside.",
            lambda d_in, d_out, rng: rng.normal(0, np.sqrt(2 / (d_in + d_out)), (d_out, d_in)),
        ),
        Misconception(
            "Your range is half as wide as it should be. The limit is the distance from 0 to either end, not from end to end.",
            lambda d_in, d_out, rng: rng.uniform(-bound(d_in, d_out) / 2, bound(d_in, d_out) / 2, (d_out, d_in)),
        ),
        Misconception(
            "All your weights are positive. The range has two sides, so that signals can cancel and the mean stays 0.",
            lambda d_in, d_out, rng: rng.uniform(0, bound(d_in, d_out), (d_out, d_in)),
        ),
        Misconception(
            "The square root is missing: what has to fit is the variance, and that is the square of a size.",
            lambda d_in, d_out, rng: rng.uniform(-6 / (d_in + d_out), 6 / (d_in + d_out), (d_out, d_in)),
        ),
        Misconception(
            "Every call begins again from the same seed, so all layers of one size start equal. Draw from the generator that you were given.",
            lambda d_in, d_out, rng: np.random.default_rng(0).uniform(
                -bound(d_in, d_out), bound(d_in, d_out), (d_out, d_in)
            ),
        ),
        Misconception(
            "You drew from a generator of your own, so nobody can repeat the experiment. Draw from the one that you were given.",
            lambda d_in, d_out, rng: np.random.default_rng().uniform(
                -bound(d_in, d_out), bound(d_in, d_out), (d_out, d_in)
            ),
        ),
        Misconception(
            "Nothing was drawn: every weight has the same value, and then all outputs of the layer do the same for ever.",
            lambda d_in, d_out, rng: np.full((d_out, d_in), bound(d_in, d_out)),
        ),
    ],
)


# ---------------------------------------------------------------- 6.1 Dense


def dense_with(answer, X, W, b, G):
    """A layer as it is born; then, with given weights, its output and the gradients."""
    import warnings

    import numpy as np

    import minigrad as mg

    layer = answer(W.shape[1], W.shape[0], np.random.default_rng(0))
    for name in ("weight", "bias"):
        if not isinstance(getattr(layer, name), mg.Tensor):
            raise TypeError(f"{name} is a {type(getattr(layer, name)).__name__}, no tensor")
    w, b_shape = layer.weight.data, layer.bias.shape
    drawn = "all different" if np.unique(w).size == w.size else "not all different"
    start = "not 0" if np.any(layer.bias.data) else "0"
    seen = w.shape, drawn, b_shape, start
    if w.size != W.size or layer.bias.size != b.size:
        return *seen, *["not tried: the shapes are wrong"] * 4
    given = W if w.shape == W.shape else W.T if w.shape == W.T.shape else W.reshape(w.shape)
    layer.weight.data = given
    layer.bias.data = b.reshape(b_shape)

    x = mg.Tensor(X, requires_grad=True)
    Y = layer.forward(x)
    if Y is None:
        return *seen, None, *["nothing: there is no Y"] * 3
    if not isinstance(Y, mg.Tensor) or not Y.requires_grad:
        none = "nothing: Y has no graph"
        return *seen, np.asarray(Y), none, none, none
    Y.backward(G if Y.shape == G.shape else np.ones(Y.shape))

    def arrived(t):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if t.grad is not None:
                return t.grad
        if not t.requires_grad:
            return "nothing: it requires no gradient"
        return "nothing: it was computed" if t.node.op is not None else "nothing: it was not used"

    return *seen, Y.data, arrived(x), arrived(layer.weight), arrived(layer.bias)


def affine(X, W, b):
    return X @ W.T + b


def dense_expect(X, W, b, G):
    gradients = (pulled_back(affine, G, (X, W, b), i) for i in range(3))
    return W.shape, "all different", b.shape, "0", affine(X, W, b), *gradients


def dense_case(rng, trial):
    n, d_in, d_out = sizes(rng, 3)
    X, W, b = normal(rng, n, d_in), normal(rng, d_out, d_in), normal(rng, d_out)
    return X, W, b, upstream(rng, affine(X, W, b))


def dense_square(rng):
    X, W, b = normal(rng, 3, 3), normal(rng, 3, 3), normal(rng, 3)
    return X, W, b, upstream(rng, affine(X, W, b))


class PlainDense:
    """A right one, for the wrong ones to differ from in a point each."""

    def __init__(self, d_in, d_out, rng):
        self.weight = leaf(self.start(d_in, d_out, rng))
        self.bias = leaf(self.bias_start(d_out))

    def start(self, d_in, d_out, rng):
        return rng.uniform(-1, 1, (d_out, d_in))

    def bias_start(self, d_out):
        return np.zeros(d_out)

    def forward(self, x):
        return x @ self.weight.T + self.bias


def leaf(values, requires_grad=True):
    import minigrad as mg

    return mg.Tensor(values, requires_grad=requires_grad)


def constants(layer, d_in, d_out, rng):
    layer.weight, layer.bias = leaf(rng.normal(size=(d_out, d_in)), False), leaf(np.zeros(d_out), False)


def scaled_afterwards(layer, d_in, d_out, rng):
    layer.weight, layer.bias = 0.5 * leaf(rng.normal(size=(d_out, d_in))), leaf(np.zeros(d_out))


DENSE = Task(
    id="6.1b",
    title="Dense",
    points=3,
    difficulty=2,
    minutes=20,
    name="Dense",
    takes=("X", "W", "b", "G"),
    draw=dense_case,
    square=dense_square,
    expect=dense_expect,
    probe=dense_with,
    returns=(
        "weight.shape",
        "at the start, what stands in weight",
        "bias.shape",
        "at the start, what stands in bias",
        "Y",
        "dX",
        "dW",
        "db",
    ),
    like={"dX": "X", "dW": "W", "db": "b"},
    misconceptions=[
        Misconception(
            "You multiplied by the weight as it stands. It has a row for each output, and a row of X must meet those rows: turn it.",
            but(PlainDense, forward=lambda self, x: x @ self.weight + self.bias),
        ),
        Misconception(
            "Your weight has a column for each output. That works as well, but whoever loads weights into this layer counts on a row for each output.",
            but(
                PlainDense,
                start=lambda self, d_in, d_out, rng: rng.uniform(-1, 1, (d_in, d_out)),
                forward=lambda self, x: x @ self.weight + self.bias,
            ),
        ),
        Misconception(
            "The bias was never added: no gradient reaches it, and it will never learn.",
            but(PlainDense, forward=lambda self, x: x @ self.weight.T),
        ),
        Misconception(
            "You subtracted the bias. It is added.",
            but(PlainDense, forward=lambda self, x: x @ self.weight.T - self.bias),
        ),
        Misconception(
            "Your bias stands upright, with one row for each output. It has to lie along the outputs, so that the same one is added to every row of the batch.",
            but(PlainDense, bias_start=lambda self, d_out: np.zeros((d_out, 1))),
        ),
        Misconception(
            "Your tensors are constants, so nothing was recorded for them. What is to learn has to require a gradient.",
            but(PlainDense, __init__=constants),
        ),
        Misconception(
            "Your weight is the result of an operation: the leaf behind it gets the gradient, and nobody has its name. Scale the numbers first, then make the leaf.",
            but(PlainDense, __init__=scaled_afterwards),
        ),
        Misconception(
            "All weights begin equal. Then all outputs are equal, so are their gradients, and they stay equal for ever: draw them.",
            but(PlainDense, start=lambda self, d_in, d_out, rng: np.zeros((d_out, d_in))),
        ),
        Misconception(
            "The bias was drawn as well. It begins at 0: the weights alone break the tie.",
            but(PlainDense, bias_start=lambda self, d_out: np.random.default_rng(1).uniform(-1, 1, d_out)),
        ),
        Misconception(
            "You computed Y with plain numbers, which don't remember where they came from. Use the tensors themselves.",
            but(PlainDense, forward=lambda self, x: x.data @ self.weight.data.T + self.bias.data),
        ),
    ],
)

DENSE_BACKWARD = gradient(
    "6.1c",
    "Dense, backward by hand",
    affine,
    ("X", "W", "b"),
    lambda rng, trial: dense_case(rng, trial)[:3],
    [
        Misconception(
            "The gradient of b still has a row for each example. The bias was used once in every row, and each use sends its contribution: accumulate them.",
            lambda G, X, W, b: (G @ W, G.T @ X, G),
        ),
        Misconception(
            "You averaged over the batch for b. Each row's contribution counts in full; if the loss is a mean, its 1/n is in G already.",
            lambda G, X, W, b: (G @ W, G.T @ X, G.mean(axis=0)),
        ),
        Misconception(
            "For b you summed over the outputs. It is the examples that share one bias.",
            lambda G, X, W, b: (G @ W, G.T @ X, G.sum(axis=1)),
        ),
        Misconception(
            "For b you summed over everything. Each output has a bias of its own.",
            lambda G, X, W, b: (G @ W, G.T @ X, np.sum(G)),
        ),
        Misconception(
            "The gradient of W is turned over: it needs a row for each output, as W itself.",
            lambda G, X, W, b: (G @ W, X.T @ G, G.sum(axis=0)),
        ),
        Misconception(
            "On the way back to X you transposed W once more. It was transposed on the way out, so going back it stands as it is.",
            lambda G, X, W, b: (G @ W.T, G.T @ X, G.sum(axis=0)),
        ),
        Misconception(
            "A bias is not multiplied by anything, so its own value does not come into its gradient.",
            lambda G, X, W, b: (G @ W, G.T @ X, G.sum(axis=0) * b),
        ),
    ],
    square=lambda rng: dense_square(rng)[:3],
    name="dense_backward",
    points=2,
    difficulty=2,
    minutes=15,
)


# ---------------------------------------------------------------- 6.2 two layers that are one


def fold_case(rng, trial):
    d_in, hidden, d_out = sizes(rng, 3)
    return normal(rng, hidden, d_in), normal(rng, hidden), normal(rng, d_out, hidden), normal(rng, d_out)


def by_probing(W1, b1, W2, b2):
    """What a layer must be that gives for 0 and for each unit vector what the two layers give."""

    def both(x):
        return W2 @ (W1 @ x + b1) + b2

    b = both(np.zeros(W1.shape[1]))
    return np.stack([both(e) - b for e in np.eye(W1.shape[1])], axis=1), b


FOLD = Task(
    id="6.2",
    title="Two layers that are one",
    points=2,
    difficulty=2,
    minutes=15,
    name="fold",
    takes=("W1", "b1", "W2", "b2"),
    draw=fold_case,
    square=lambda rng: (normal(rng, 3, 3), normal(rng, 3), normal(rng, 3, 3), normal(rng, 3)),
    expect=by_probing,
    returns=("W", "b"),
    source="the two layers, tried out, give",
    misconceptions=[
        Misconception(
            "The product is in the wrong order. The layer that acts last stands on the left, next to what comes out.",
            lambda W1, b1, W2, b2: (W1 @ W2, W2 @ b1 + b2),
        ),
        Misconception(
            "The first bias was added as it was. It goes through the second layer on its way out.",
            lambda W1, b1, W2, b2: (W2 @ W1, b1 + b2),
        ),
        Misconception(
            "The first bias was lost. Feed a 0 into the two layers: what comes out is not the second bias alone.",
            lambda W1, b1, W2, b2: (W2 @ W1, b2),
        ),
        Misconception(
            "The second bias was lost. It is added last and nothing happens to it.",
            lambda W1, b1, W2, b2: (W2 @ W1, W2 @ b1),
        ),
        Misconception(
            "W came out transposed. It needs a row for each output of the second layer.",
            lambda W1, b1, W2, b2: ((W2 @ W1).T, W2 @ b1 + b2),
        ),
        Misconception(
            "The second bias went through the second layer. It is added behind it.",
            lambda W1, b1, W2, b2: (W2 @ W1, W2 @ (b1 + b2)),
        ),
        Misconception(
            "The wrong bias goes through a layer: it is the first one, and it goes through the second layer.",
            lambda W1, b1, W2, b2: (W2 @ W1, W1 @ b2 + b1),
        ),
        Misconception(
            "You added the weights, or multiplied them element by element. One layer after the other is a matrix product.",
            lambda W1, b1, W2, b2: (W1 * W2, W2 @ b1 + b2),
        ),
    ],
)


# ---------------------------------------------------------------- 6.3 dropout


def dropped_and_back(answer, p, X, G, seed):
    """What is to be seen of a dropout layer from outside, in words that do not depend on how it draws."""
    import numpy as np

    def factors(y, x, where=True):
        """The different values of y / x."""
        if y is None:
            return "nothing: None was returned"
        if np.shape(y) != x.shape:
            return f"nothing: the shape is {np.shape(y)} and not {x.shape}"
        found = np.unique(np.round((np.asarray(y) / x)[np.broadcast_to(where, x.shape)], 9)) + 0.0
        return " or ".join(f"{v:.4g}" for v in found) if found.size < 4 else "many different values"

    layer = answer(p, np.random.default_rng(seed))
    x, g = X.copy(), G.copy()
    Y = layer.forward(X)
    if np.shape(Y) != x.shape:
        return factors(Y, x), *["not tried"] * 9
    Y = np.array(Y)
    dX = layer.backward(G)
    again = layer.forward(x.copy())
    layer.eval()
    used = layer.forward(x.copy())
    back = layer.backward(g.copy())
    layer.train()
    after = layer.forward(x.copy())
    other = answer(p, np.random.default_rng(seed)).forward(x.copy())
    zero = Y == 0
    same = {True: "the same", False: "another"}
    if zero.all() or not zero.any():
        how_dropped = "everything" if zero.all() else "nothing"
    else:
        how_dropped = (
            "the same in all" if np.all(zero == zero[0]) or np.all(zero == zero[:, :1]) else "each element for itself"
        )
    return (
        factors(Y, x),
        float(np.mean(zero)),
        factors(dX, g, zero),
        factors(dX, g, ~zero),
        same[np.array_equal(Y, again, equal_nan=True)],
        same[np.array_equal(Y, other, equal_nan=True)],
        how_dropped,
        factors(used, x),
        factors(back, g),
        factors(after, x),
    )


def dropout_expect(p, X, G, seed):
    scale = f"{1 / (1 - p):.4g}" if p < 1 else ""
    factors = {0: "1", 1: "0"}.get(p, f"0 or {scale}")
    some = 0 < p < 1
    return (
        factors,
        float(p),
        "0" if p > 0 else "",
        scale,
        "another" if some else "the same",
        "the same",
        {0: "nothing", 1: "everything"}.get(p, "each element for itself"),
        "1",
        "1",
        factors,
    )


class PlainDropout:
    def __init__(self, p, rng):
        self.p, self.rng, self.training, self.mask = p, rng, True, None

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def kept(self, X):
        return self.rng.random(X.shape) >= self.p

    def scale(self):
        return 1 / (1 - self.p) if self.p < 1 else 0.0

    def forward(self, X):
        self.mask = self.kept(X) * self.scale() if self.training else np.ones(X.shape)
        return X * self.mask

    def backward(self, G):
        return G * self.mask


def each_once(self, X):
    self.first = PlainDropout.kept(self, X) if not hasattr(self, "first") else self.first
    return self.first


def scaled_in_use(self, X):
    """The way it was first published."""
    self.mask = self.kept(X) if self.training else np.full(X.shape, 1 - self.p)
    return X * self.mask


DROPOUT = Task(
    id="6.3",
    title="Dropout, both ways",
    points=3,
    difficulty=3,
    minutes=30,
    name="Dropout",
    takes=("p", "X", "G", "seed"),
    draw=lambda rng, trial: (
        [0.5, 0.2, 0.7, 0.0, 1.0][trial % 5],
        normal(rng, 67, 61),
        normal(rng, 67, 61),
        int(rng.integers(1_000_000)),
    ),
    expect=dropout_expect,
    probe=dropped_and_back,
    returns=(
        "in training, Y / X",
        "the share of zeros in Y",
        "where Y is 0, dX / G",
        "where Y is not 0, dX / G",
        "what a second forward pass gives",
        "what a layer with an equal generator gives",
        "what is dropped in the rows and columns",
        "after eval(), Y / X",
        "after eval(), dX / G",
        "after train(), Y / X",
    ),
    tolerance=0.05,
    misconceptions=[
        Misconception(
            "The backward pass drew a mask of its own. Whoever was not heard on the way out is not to blame: keep the mask of the forward pass.",
            but(PlainDropout, backward=lambda self, G: G * self.kept(G) * self.scale() if self.training else G),
        ),
        Misconception(
            "The kept elements were not scaled up. The next layer gets less in training than it will get in use; on average it should get the same.",
            but(PlainDropout, scale=lambda self: 1.0),
        ),
        Misconception(
            "The mask is on the way back, but the scale isn't. What was made larger on the way out moves the result by that much more.",
            but(PlainDropout, backward=lambda self, G: G * (self.mask != 0)),
        ),
        Misconception(
            "You scale down in use instead of up in training. It was published like that at first; the contract wants a layer that does nothing in use.",
            but(PlainDropout, forward=scaled_in_use),
        ),
        Misconception(
            "It still drops after eval(). In use nobody wants a random answer: forward has to look at the switch.",
            but(PlainDropout, eval=lambda self: None),
        ),
        Misconception(
            "After train() it still doesn't drop: the switch goes one way only.",
            but(PlainDropout, train=lambda self: None),
        ),
        Misconception(
            "In use the backward pass still has the mask of the last training step. The gradient must belong to the forward pass that was just made.",
            but(PlainDropout, forward=lambda self, X: PlainDropout.forward(self, X) if self.training else X),
        ),
        Misconception(
            "You took p for the probability of being kept. Here it is that of being dropped.",
            but(
                PlainDropout,
                kept=lambda self, X: self.rng.random(X.shape) < self.p,
                scale=lambda self: 1 / self.p if self.p > 0 else 0.0,
            ),
        ),
        Misconception(
            "The right ones are dropped, but the scale belongs to the others: divide by the share that is kept.",
            but(PlainDropout, scale=lambda self: 1 / self.p if self.p > 0 else 1.0),
        ),
        Misconception(
            "The mask is drawn once and kept for ever, so the same elements never learn. Each forward pass draws its own.",
            but(PlainDropout, kept=each_once),
        ),
        Misconception(
            "Whole columns are dropped, the same in every row. Each element is to be drawn for itself.",
            but(
                PlainDropout,
                kept=lambda self, X: np.broadcast_to(self.rng.random(X.shape[1]) >= self.p, X.shape),
            ),
        ),
        Misconception(
            "You drew from a generator of your own, so nobody can repeat the run. Use the one that you were given.",
            but(PlainDropout, kept=lambda self, X: np.random.default_rng().random(X.shape) >= self.p),
        ),
        Misconception(
            "With p = 1 you divided by zero, and 0 times infinity is not a number. Everything is dropped then: say what comes out.",
            but(PlainDropout, scale=lambda self: np.divide(1, 1 - self.p)),
        ),
        Misconception(
            "The gradient came through as if nothing had been dropped. The way back passes the same mask, and the same scale.",
            but(PlainDropout, backward=lambda self, G: G),
        ),
    ],
)


# ---------------------------------------------------------------- 6.4 the skip connection


def skip_around(answer, X, A, G):
    """The skip connection around tanh(X A): its output, the gradients of both, and what it says to another shape."""
    import numpy as np

    import minigrad as mg

    class Inner:
        def __init__(self, function):
            self.forward = function

        def __call__(self, x):
            return self.forward(x)

    x, a = mg.Tensor(X, requires_grad=True), mg.Tensor(A, requires_grad=True)
    Y = answer(Inner(lambda x: (x @ a).tanh())).forward(x)
    try:
        answer(Inner(lambda x: x.sum(axis=1, keepdims=True))).forward(mg.Tensor(X))
        said = "no error"
    except Exception as error:
        said = type(error).__name__
    X[...] = x.data  # so that it is seen if the answer changed it
    if Y is None:
        return None, "nothing: there is no Y", "nothing: there is no Y", said
    if not isinstance(Y, mg.Tensor) or not Y.requires_grad:
        return np.asarray(Y), "nothing: Y has no graph", "nothing: Y has no graph", said
    Y.backward(G if Y.shape == G.shape else np.ones(Y.shape))
    dX, dA = ("nothing: it is not in the graph" if t.grad is None else t.grad for t in (x, a))
    return Y.data, dX, dA, said


def residual(X, A):
    return np.tanh(X @ A) + X


def skip_expect(X, A, G):
    return residual(X, A), pulled_back(residual, G, (X, A), 0), pulled_back(residual, G, (X, A), 1), "ValueError"


def skip_case(rng, trial):
    n, d = sizes(rng, 2)
    X, A = normal(rng, n, d), normal(rng, d, d) / 2
    return X, A, upstream(rng, X)


class PlainSkip:
    def __init__(self, layer):
        self.layer = layer

    def forward(self, x):
        if (y := self.layer.forward(x)).shape != x.shape:
            raise ValueError(f"{x.shape} became {y.shape}")
        return self.joined(x, y)

    def joined(self, x, y):
        return y + x


SKIP = Task(
    id="6.4",
    title="Skip connection",
    points=2,
    difficulty=1,
    minutes=15,
    name="SkipConnection",
    takes=("X", "A", "G"),
    draw=skip_case,
    expect=skip_expect,
    probe=skip_around,
    returns=("Y", "dX", "the gradient in the layer's parameter", "what a layer that changes the shape gives"),
    like={"Y": "X", "dX": "X", "the gradient in the layer's parameter": "A"},
    misconceptions=[
        Misconception(
            "Only the layer is there. The way around it is missing: X itself has to be added.",
            but(PlainSkip, joined=lambda self, x, y: y),
        ),
        Misconception(
            "The two ways were multiplied. Then a layer that gives 0 stops everything; added, it lets X pass.",
            but(PlainSkip, joined=lambda self, x, y: y * x),
        ),
        Misconception(
            "You subtracted X. The layer's output is what is added to it.",
            but(PlainSkip, joined=lambda self, x, y: y - x),
        ),
        Misconception(
            "The layer was applied twice on the way through.",
            but(PlainSkip, joined=lambda self, x, y: self.layer.forward(y) + x),
        ),
        Misconception(
            "You added the layer's output to itself. The second way goes around the layer.",
            but(PlainSkip, joined=lambda self, x, y: y + y),
        ),
        Misconception(
            "You put the two side by side. They are added, element by element, and the shape stays.",
            but(PlainSkip, forward=lambda self, x: np.concatenate([x, self.layer.forward(x)], axis=1)),
        ),
        Misconception(
            "You took the mean of the two ways. They are added, each in full.",
            but(PlainSkip, joined=lambda self, x, y: (y + x) / 2),
        ),
        Misconception(
            "X was added as plain numbers: the gradient comes back through the layer alone, and the way around is cut.",
            but(PlainSkip, joined=lambda self, x, y: y + x.data),
        ),
        Misconception(
            "The layer got a detached X: its own parameters learn, but what comes back through it never reaches X. X feeds two paths, and both count.",
            but(PlainSkip, joined=lambda self, x, y: self.layer.forward(x.detach()) + x),
        ),
        Misconception(
            "The layer's output was added as plain numbers: the layer learns nothing and hands nothing back.",
            but(PlainSkip, joined=lambda self, x, y: y.data + x),
        ),
        Misconception(
            "Nothing happens when the layer changes the shape: a column is broadcast over the whole of X without a word. Compare the shapes before you add.",
            but(PlainSkip, forward=lambda self, x: self.layer.forward(x) + x),
        ),
    ],
)


def skip_by_hand(answer, G, J):
    """`J` is the Jacobian of a layer on rows; a number 1 stands for a layer that hands back the array that it was given."""
    return answer(G, lambda g: g if J.ndim == 0 else g @ J)


def through_and_around(G, J):
    """Row by row: what a nudge of each element of X does to Σ G (X Jᵀ + X)."""
    J = np.eye(G.shape[1]) * J if J.ndim == 0 else J
    return pulled_back(lambda X: X @ J.T + X, G, (np.zeros(G.shape),), 0)


def skip_hand_case(rng, trial):
    n, d = sizes(rng, 2)
    return normal(rng, n, d), normal(rng, d, d) if trial != 3 else np.array(1.0)


def added_in_place(G, layer_backward):
    dX = layer_backward(G)
    dX += G
    return dX


SKIP_BACKWARD = Task(
    id="6.4b",
    title="Skip connection, backward by hand",
    points=1,
    difficulty=1,
    minutes=10,
    name="skip_backward",
    takes=("G", "J"),
    draw=skip_hand_case,
    expect=through_and_around,
    probe=skip_by_hand,
    returns=("dX",),
    like={"dX": "G"},
    source="finite differences give",
    misconceptions=[
        Misconception(
            "Only the way through the layer is there: the other path was overwritten, or forgotten. X feeds two paths, and accumulates both.",
            lambda G, layer_backward: layer_backward(G) * 1,
        ),
        Misconception(
            "Only the way around the layer is there. X went into the layer as well, and that path brings its own contribution.",
            lambda G, layer_backward: G * 1,
        ),
        Misconception(
            "You divided the sum by two. Contributions are added; nobody averages them.",
            lambda G, layer_backward: (layer_backward(G) + G) / 2,
        ),
        Misconception(
            "The two contributions were multiplied. Along a path one multiplies; between paths one adds.",
            lambda G, layer_backward: layer_backward(G) * G,
        ),
        Misconception(
            "You added into the array that the layer returned, and that layer had handed back G itself. Make a new array for the sum.",
            added_in_place,
        ),
        Misconception(
            "The sum went through the layer once more. The contribution of the way around meets no layer.",
            lambda G, layer_backward: layer_backward(layer_backward(G) + G),
        ),
    ],
)


# ---------------------------------------------------------------- 6.5 parameters


def found_in(answer, tree):
    """How often each tensor of a network comes out of parameters(), by its place in it.

    `tree` says what to build: {"layer": {attribute: …}} a layer, ["tensor", value] and ["constant", value] tensors,
    ["like", place] what stands at another place; {"list": […]}, {"tuple": […]} and {"dict": {…}} are those, the rest is itself.
    """
    import minigrad as mg

    built, names = {}, {}

    def build(what, place):
        if isinstance(what, list):
            kind, x = what
            if kind == "like":
                return built[x]
            made = mg.Tensor(x, requires_grad=kind == "tensor")
            names[id(made)] = place + ("" if kind == "tensor" else " (a constant)")
        elif isinstance(what, dict):
            ((kind, x),) = what.items()
            if kind == "layer":
                made = answer()
                for name, y in x.items():
                    setattr(made, name, build(y, f"{place}.{name}" if place else name))
            elif kind == "dict":
                made = {key: build(y, f"{place}[{key!r}]") for key, y in x.items()}
            else:
                made = [build(y, f"{place}[{i}]") for i, y in enumerate(x)]
                made = tuple(made) if kind == "tuple" else made
        else:
            return what
        built[place] = made
        return made

    network = build(tree, "")
    found = network.parameters()
    if found is None:
        return None
    counts = {}
    for t in found:
        name = names.get(id(t), f"a {type(t).__name__} that is none of its attributes")
        counts[name] = counts.get(name, 0) + 1
    return counts


def places(tree):
    """The parameters of a tree, once each, by the same names; read off the description, with nothing built."""
    found = {}

    def visit(what, place):
        if isinstance(what, list) and what[0] == "tensor":
            found[place] = 1
        elif isinstance(what, dict):
            ((kind, x),) = what.items()
            for name, y in x.items() if isinstance(x, dict) else enumerate(x):
                dotted = f"{place}.{name}" if place else name
                visit(y, dotted if kind == "layer" else f"{place}[{name!r}]")

    visit(tree, "")
    return found


def network_case(rng, trial):
    def t(kind="tensor"):
        return [kind, float(rng.uniform(-1, 1))]

    def layer(**more):
        return {"layer": {"weight": t(), "bias": t(), "alpha": 0.3, "name": "a layer"} | more}

    def draw():
        if trial == 0:  # one layer, and things in it that are no parameters
            return layer(mean=t("constant"), slope=t(), size=7, off=None)
        if trial == 1:  # layers in layers
            return layer(first=layer(), second=layer(inside=layer(scale=t())), seen=t("constant"))
        if trial == 2:  # layers in lists and tuples
            return {"layer": {"layers": {"list": [layer(), 5, layer()]}, "heads": {"tuple": [layer(), t()]}}}
        if trial == 3:  # and in dictionaries, and in lists of lists
            inner = {"list": [{"list": [layer(), t()]}, layer()]}
            return {"layer": {"blocks": {"dict": {"left": layer(), "right": inner}}, "last": layer(), "names": "ab"}}
        # the same layer at two places, and three parameters that happen to be equal
        same = ["tensor", 0.0]
        one = {"layer": {"weight": same, "bias": ["tensor", 0.0]}}
        return {"layer": {"first": one, "again": ["like", "first"], "tied": ["like", "first.bias"], "gain": same}}

    return (draw(),)


class PlainBase:
    """Finds everything, each once.  `reached` goes through attributes, `opened` through what is in containers."""

    def parameters(self):
        return list({id(x): x for x in self.reached(vars(self).values()) if self.counts(x)}.values())

    def counts(self, x):
        return hasattr(x, "requires_grad") and x.requires_grad

    def reached(self, things):
        for x in things:
            if isinstance(x, PlainBase):
                yield from self.within(x)
            elif isinstance(x, (list, tuple, dict)):
                yield from self.opened(x.values() if isinstance(x, dict) else x)
            else:
                yield x

    def within(self, layer):
        return self.reached(vars(layer).values())

    def opened(self, things):
        return self.reached(things)


def those_in(things, layers):
    """Of some things those that are layers, or those that are none."""
    return [x for x in things if isinstance(x, PlainBase) == layers]


def closed_inside(self, things):
    return self.reached(x for x in things if not isinstance(x, (list, tuple, dict)))


def dictionaries_closed(self, things):
    return PlainBase.reached(self, (x for x in things if not isinstance(x, dict)))


def by_equality(self):
    found = []
    for x in PlainBase.reached(self, vars(self).values()):
        if self.counts(x) and x not in found:
            found.append(x)
    return found


def lists_among_them(self):
    own, layers = those_in(vars(self).values(), False), those_in(vars(self).values(), True)
    return [x for x in own if self.counts(x)] + [layer.parameters() for layer in layers]


def usual_names(layer):
    """The layer's own weight and bias, and in everything else only layers."""
    for name, x in vars(layer).items():
        if name in ("weight", "bias"):
            yield x
        elif isinstance(x, (PlainBase, list, tuple, dict)):
            yield from usual_names_in(x)


def usual_names_in(x):
    if isinstance(x, PlainBase):
        yield from usual_names(x)
    elif isinstance(x, (list, tuple, dict)):
        for y in x.values() if isinstance(x, dict) else x:
            yield from usual_names_in(y)


PARAMETERS = Task(
    id="6.5",
    title="Who remembers the weights?",
    points=3,
    difficulty=3,
    minutes=30,
    name="BaseLayer",
    takes=("network",),
    draw=network_case,
    expect=places,
    probe=found_in,
    returns=("what parameters() found",),
    fixed=[(({"layer": {"size": 3}},), {})],
    misconceptions=[
        Misconception(
            "You looked at the layer's own attributes and no further. A layer may hold layers, and lists of them: ask each for its own parameters.",
            but(PlainBase, reached=lambda self, things: things),
        ),
        Misconception(
            "You went down one level. A layer in a layer may hold a layer again.",
            but(PlainBase, within=lambda self, layer: those_in(vars(layer).values(), layers=False)),
        ),
        Misconception(
            "Lists, tuples and dictionaries stayed closed. A network keeps most of its layers in one of those.",
            but(PlainBase, opened=lambda self, things: []),
        ),
        Misconception(
            "Lists were opened, but dictionaries weren't.",
            but(PlainBase, reached=dictionaries_closed),
        ),
        Misconception(
            "A list inside a list or a dictionary stayed closed. Whatever opens the outer one has to open in the same way what it finds there.",
            but(PlainBase, opened=closed_inside),
        ),
        Misconception(
            "Of what is in a list you took the layers alone. A parameter may stand in a list by itself.",
            but(
                PlainBase,
                opened=lambda self, things: self.reached(x for x in things if not hasattr(x, "requires_grad")),
            ),
        ),
        Misconception(
            "What an inner layer gives is a list, and you put the list itself among the parameters. Its elements are what you want.",
            but(PlainBase, parameters=lists_among_them),
        ),
        Misconception(
            "Constants came along. A parameter is a tensor that requires a gradient; the others are not to be moved.",
            but(PlainBase, counts=lambda self, x: hasattr(x, "requires_grad")),
        ),
        Misconception(
            "A tensor that is used at two places was listed twice, and would make two steps at a time. It is one parameter.",
            but(PlainBase, parameters=lambda self: list(filter(self.counts, self.reached(vars(self).values())))),
        ),
        Misconception(
            "Two parameters that happen to be equal were taken for one. `==` and `in` compare numbers; whether it is the same tensor, its identity says.",
            but(PlainBase, parameters=by_equality),
        ),
        Misconception(
            "You looked for weight and bias. Whoever writes a layer names the attributes as they like: look at what they hold.",
            but(PlainBase, parameters=lambda self: list({id(x): x for x in usual_names(self)}.values())),
        ),
    ],
)


# ---------------------------------------------------------------- 6.6 one step


def two_steps(answer, X, y, a, c, rate):
    """A line fitted by two steps; a third parameter stands by that the loss does not use."""
    import numpy as np

    import minigrad as mg

    layer = answer()
    layer.a, layer.c = mg.Tensor(a, requires_grad=True), mg.Tensor(c, requires_grad=True)
    layer.unused = mg.Tensor([5.0, 7.0], requires_grad=True)
    mine = [layer.unused, layer.a, layer.c]
    layer.parameters = lambda: mine

    def backward():
        loss = ((X @ layer.a + layer.c - y) ** 2).mean()
        loss.backward()

    backward()
    layer.sgd_step(rate)
    kept = "gone" if mine[1].grad is None or not np.any(mine[1].grad) else "still there"
    first = mine[1].data.copy(), mine[2].data.copy()
    unused = mine[0].data.copy()
    layer.zero_grad()
    left = "still there" if any(p.grad is not None and np.any(p.grad) for p in mine) else "gone"
    backward()
    layer.sgd_step(rate)
    return *first, unused, kept, left, mine[1].data.copy(), mine[2].data.copy()


def step_expect(X, y, a, c, rate):
    def loss(a, c):
        return np.mean((X @ a + c - y) ** 2)

    steps = []
    for _ in range(2):
        one = np.array(1.0)
        da, dc = (pulled_back(loss, one, (a, c), i) for i in range(2))
        a, c = a - rate * da, np.asarray(c - rate * dc)
        steps += [a, c]
    return *steps[:2], np.array([5.0, 7.0]), "still there", "gone", *steps[2:]


class PlainTrainable:
    def zero_grad(self):
        for p in self.parameters():
            p.zero_grad()

    def sgd_step(self, learning_rate):
        for p in self.parameters():
            if p.grad is not None:
                p.data = self.moved(p, learning_rate)

    def moved(self, p, rate):
        return p.data - rate * p.grad


def local_name_only(self):
    for p in self.parameters():
        g = p.grad
        g = None  # noqa: F841


def everything_empty(self):
    for p in self.parameters():
        p.zero_grad()
        p.data = np.zeros(p.shape)


def forgets_first(self, learning_rate):
    self.zero_grad()
    PlainTrainable.sgd_step(self, learning_rate)


def forgets_afterwards(self, learning_rate):
    PlainTrainable.sgd_step(self, learning_rate)
    self.zero_grad()


def behind_the_loop(self, learning_rate):
    *_, p = self.parameters()
    p.data = self.moved(p, learning_rate)


def ends_the_loop(self, learning_rate):
    for p in self.parameters():
        if p.grad is not None:
            p.data = self.moved(p, learning_rate)
            return


def step_case(rng, trial):
    X = normal(rng, 11, sizes(rng, 1)[0])
    return X, normal(rng, 11), normal(rng, X.shape[1]), np.asarray(normal(rng)), float(rng.uniform(0.02, 0.2))


STEP = Task(
    id="6.6",
    title="One step downhill",
    points=2,
    difficulty=2,
    minutes=15,
    name="Trainable",
    takes=("X", "y", "a", "c", "learning_rate"),
    draw=step_case,
    expect=step_expect,
    probe=two_steps,
    returns=(
        "a after one step",
        "c after one step",
        "a parameter without a gradient",
        "after sgd_step() the gradient",
        "after zero_grad() the gradient",
        "a after a second step",
        "c after a second step",
    ),
    tolerance=1e-6,
    misconceptions=[
        Misconception(
            "You went uphill: the gradient says in which direction the loss rises. Go the other way.",
            but(PlainTrainable, moved=lambda self, p, rate: p.data + rate * p.grad),
        ),
        Misconception(
            "The learning rate was left out. The gradient says which way is down; how far to go is for the rate to say.",
            but(PlainTrainable, moved=lambda self, p, rate: p.data - p.grad),
        ),
        Misconception(
            "Nothing moved. A new tensor under the loop's own name is forgotten at once: change the numbers of the parameter itself.",
            but(PlainTrainable, moved=lambda self, p, rate: p.data),
        ),
        Misconception(
            "The step took the parameter's place. It is to be added to where the parameter was.",
            but(PlainTrainable, moved=lambda self, p, rate: -rate * p.grad),
        ),
        Misconception(
            "Only the sign of the gradient was used. Plain gradient descent goes further where it is steeper.",
            but(PlainTrainable, moved=lambda self, p, rate: p.data - rate * np.sign(p.grad)),
        ),
        Misconception(
            "The step was multiplied by the parameter. Where a parameter stands does not say how far it should move.",
            but(PlainTrainable, moved=lambda self, p, rate: p.data * (1 - rate * p.grad)),
        ),
        Misconception(
            "The gradients are still there after zero_grad(): a name inside the loop was set, not the parameter's own gradient. The next backward() adds to the old one.",
            but(PlainTrainable, zero_grad=local_name_only),
        ),
        Misconception(
            "zero_grad() emptied the parameters. What is to be forgotten is their gradients, not what they have learned.",
            but(PlainTrainable, zero_grad=everything_empty),
        ),
        Misconception(
            "The step forgot the gradients before it had used them, so it had nothing to go by.",
            but(PlainTrainable, sgd_step=forgets_first),
        ),
        Misconception(
            "sgd_step() forgot the gradients on the way out. Somebody may want to look at them after the step; forgetting is for zero_grad(), when it is asked to.",
            but(PlainTrainable, sgd_step=forgets_afterwards),
        ),
        Misconception(
            "Only one parameter moved: the loop ended after the first. Look at the indentation.",
            but(PlainTrainable, sgd_step=ends_the_loop),
        ),
        Misconception(
            "Only the last parameter moved: the line that moves them stands behind the loop. Look at the indentation.",
            but(PlainTrainable, sgd_step=behind_the_loop),
        ),
    ],
)

TASKS = [GLOROT, DENSE, DENSE_BACKWARD, FOLD, DROPOUT, SKIP, SKIP_BACKWARD, PARAMETERS, STEP]
