"""Set 07: training loops, written and repaired.  What is right is computed in NumPy, layer by layer and by hand, without the library.

A network travels as its weights, [W, b, W, b]: Dense, ReLU, Dense.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..task import Misconception, Task


def weights_of(rng: np.random.Generator, d_in: int, width: int) -> list[np.ndarray]:
    return [
        rng.uniform(-1, 1, (width, d_in)),
        rng.uniform(-0.5, 0.5, width),
        rng.uniform(-1, 1, (1, width)),
        rng.uniform(-0.5, 0.5, 1),
    ]


def scores(weights, x, mask=1.0):
    """Dense, ReLU, Dense; the hidden numbers are multiplied by the mask."""
    W, b, V, c = weights
    return mask * np.maximum(x @ W.T + b, 0) @ V.T + c


def descended(weights, x, slope, steps, rate, mask=1.0):
    """The weights at first and after each step of gradient descent; slope(z) is the loss's gradient in the scores."""
    W, b, V, c = (w.copy() for w in weights)
    yield [W, b, V, c]
    for _ in range(steps):
        hidden = x @ W.T + b
        g = slope(scores([W, b, V, c], x, mask))
        back = (g @ V) * mask * (hidden > 0)
        V, c = V - rate * g.T @ (mask * np.maximum(hidden, 0)), c - rate * g.sum(axis=0)
        W, b = W - rate * back.T @ x, b - rate * back.sum(axis=0)
        yield [W, b, V, c]


def logistic(z):
    return 1 / (1 + np.exp(-z))


def cross_entropy_slope(y, z):
    return (logistic(z) - y) / len(y)


def cross_entropy_of_scores(y, z):
    return float(np.mean(np.logaddexp(0, z) - y * z))


def two_clouds(rng, n):
    """Points (n, 2) of two classes that overlap, and their labels 0 and 1."""
    labels = (rng.permutation(n) % 3 == 0).astype(float)
    return rng.normal(size=(n, 2)) + np.where(labels[:, None] == 1, 1, -1) * [1.0, 0.5], labels


# ---------------------------------------------------------------- the loop


def loop_case(rng, trial):
    """The first trial makes one step."""
    x, y = two_clouds(rng, [11, 7, 13, 17, 5][trial % 5])
    steps, rate = [1, 2, 7, 20, 3][trial % 5], [0.5, 1.0, 0.3, 0.7, 0.1][trial % 5]
    return weights_of(rng, 2, [3, 5, 7, 3, 5][trial % 5]), x, y[:, None], steps, rate, rng.normal(size=(3, 2))


def loop_run(answer, weights, x, y, steps, rate, new):
    """The losses, and what the trained model says of new points.  Old gradients lie in the model."""
    import numpy as np

    from minigrad.layers import Dense, ReLU, Sequential

    width, d_in = weights[0].shape
    model = Sequential(Dense(d_in, width), ReLU(), Dense(width, 1))
    for parameter, start in zip(model.parameters(), weights, strict=True):
        parameter.data[:] = start
    (10 * model(x).sum()).backward()
    losses = answer(model, x, y, steps, rate)
    if isinstance(losses, (list, tuple, np.ndarray)):
        losses = [float(loss) for loss in losses]
    return losses, model(new).numpy()


def loop_truth(weights, x, y, steps, rate, new):
    *before, last = descended(weights, x, partial(cross_entropy_slope, y), steps, rate)
    return [cross_entropy_of_scores(y, scores(w, x)) for w in before], scores(last, new)


def loop(clear="before", sign=1, loss_of=None, keep="before", more=0):
    """The five lines, right but for what is asked otherwise."""

    def train(model, x, y, steps, rate):
        from minigrad.losses import binary_cross_entropy_with_logits as cross_entropy

        def value():
            return loss_of(model, x, y) if loss_of else cross_entropy(y, model(x))

        losses = []
        if clear == "once":
            model.zero_grad()
        for _ in range(steps + more):
            loss = value()
            if clear == "before":
                model.zero_grad()
            loss.backward()
            if sign:
                model.sgd_step(sign * rate)
            if clear == "after":
                model.zero_grad()
            losses.append((loss if keep == "before" else value()).item())
        return losses[:steps]

    return train


def summed(model, x, y):
    from minigrad.losses import binary_cross_entropy_with_logits

    return binary_cross_entropy_with_logits(y, model(x), reduction="sum")


def squared(model, x, y):
    return ((y - model(x)) ** 2).mean()


def sigmoid_twice(model, x, y):
    from minigrad.losses import binary_cross_entropy_with_logits

    return binary_cross_entropy_with_logits(y, model(x).sigmoid())


LOOP = Task(
    id="7.1",
    title="The five lines",
    points=3,
    difficulty=1,
    minutes=15,
    name="train",
    takes=("weights", "x", "y", "steps", "rate", "new"),
    draw=loop_case,
    probe=loop_run,
    expect=loop_truth,
    returns=("losses", "model(new)"),
    misconceptions=[
        Misconception(
            "The gradients were never forgotten. backward() adds to what is there, so each step followed the sum of all gradients so far; the loss swings, and the steps grow.",
            loop(clear="never"),
        ),
        Misconception(
            "You forget the gradients after each step. That is too late for the first one: whatever somebody left in the model before you came went into it.",
            loop(clear="after"),
        ),
        Misconception(
            "You forget the gradients once, before the loop. From the second step on they pile up all the same: each backward() needs a clean start.",
            loop(clear="once"),
        ),
        Misconception(
            "The model climbs. The gradient points uphill, and a negative rate goes there.",
            loop(sign=-1),
        ),
        Misconception(
            "The model stands still. backward() says which way to go and goes nowhere itself.",
            loop(sign=0),
        ),
        Misconception(
            "The training is right, but your list begins one step late: the first loss is that of the untrained model.",
            loop(keep="after"),
        ),
        Misconception(
            "The losses of all points were added up. Asked for is their mean: otherwise twice as many points make steps twice as long.",
            loop(loss_of=summed),
        ),
        Misconception(
            "That is a squared error. It compares a score, which may be any number, with a label of 0 or 1. Asked for is the cross-entropy.",
            loop(loss_of=squared),
        ),
        Misconception(
            "The scores went through a sigmoid before they came to a loss that has one inside. It takes logits, as the model makes them.",
            loop(loss_of=sigmoid_twice),
        ),
        Misconception(
            "The model made one step too many.",
            loop(more=1),
        ),
    ],
)


# ---------------------------------------------------------------- digits

ENOUGH = 0.92


def digits_case(rng, trial):
    from minigrad.data import digits

    images, labels = digits()
    order = rng.permutation(len(labels))
    known, new = order[:1200], order[1200:]
    pixels = images.reshape(-1, 64) / 16
    return pixels[known], labels[known], pixels[new]


def truth_of(pixels):
    """The labels of images.  They are looked up where they are needed: a case goes to whoever answers, and must not hold them."""
    from minigrad.data import digits

    images, labels = digits()
    known = {image.tobytes(): label for image, label in zip(images.reshape(-1, 64) / 16, labels, strict=True)}
    return np.array([known[row.tobytes()] for row in pixels])


def digits_run(answer, pixels, labels, new):
    """The scores of new images, asked for twice."""
    import numpy as np

    model = answer(pixels, labels)
    if not callable(model):
        return None if model is None else type(model).__name__
    return tuple(np.array(getattr(s, "value", s)) for s in (model(new), model(new)))


def digits_judged(got, pixels, labels, new):
    if isinstance(got, str):
        return f"train_reader returned a {got}; it should return the model, which can then be asked about new images."
    first, second = got
    if first.shape != (len(new), 10):
        return f"for {len(new)} images the model gives scores of shape {first.shape}; it should be {(len(new), 10)}: ten scores for each image."
    if not np.all(np.isfinite(first)):
        return "the scores hold nan or infinity. The weights have run away: is the learning rate too large, or do gradients pile up?"
    if not np.array_equal(first, second):
        return (
            "asked twice for the same images, the model gave two answers. Something in it still draws random numbers."
        )
    answers, truth = first.argmax(axis=1), truth_of(new)
    right, most = np.mean(answers == truth), np.max(np.bincount(answers)) / len(answers)
    if right >= ENOUGH:
        return None
    told = f"{right:.1%} of {len(new)} new digits are read rightly; at least {ENOUGH:.0%} should be."
    if most > 0.5:
        return f"{told} {most:.0%} of them get one and the same answer. So does a model whose weights have run away, or never moved."
    if right < 0.2:
        return f"{told} That is guessing. Did the steps reach this model, and did each image keep its own label?"
    return f"{told} It has learnt something. Before you train it longer: does the loss fall smoothly, or swing?"


def digit_reader(passes=3, zero=True, rate=0.5, together=True, begin=None, fresh=False):
    """A training on digits, right but for what is asked otherwise."""

    def train(pixels, labels):
        from minigrad.layers import Dense, ReLU, Sequential
        from minigrad.losses import cross_entropy

        rng = np.random.default_rng(0)

        def network():
            return Sequential(Dense(64, 32, rng=rng), ReLU(), Dense(32, 10, rng=rng))

        model = network()
        for parameter in model.parameters():
            if begin is not None:
                parameter.data[:] = begin
        for _ in range(passes):
            order = rng.permutation(len(labels))
            for batch in np.array_split(order, len(order) // 25):
                loss = cross_entropy(labels[batch], model(pixels[batch if together else np.sort(batch)]))
                if zero:
                    model.zero_grad()
                loss.backward()
                model.sgd_step(rate)
        return network() if fresh else model

    return train


def digit_as_a_number(pixels, labels):
    from minigrad.layers import Dense, ReLU, Sequential
    from minigrad.losses import mean_squared_error

    rng = np.random.default_rng(0)
    model = Sequential(Dense(64, 32, rng=rng), ReLU(), Dense(32, 1, rng=rng))
    for _ in range(5):
        loss = mean_squared_error(labels[:100, None], model(pixels[:100]))
        model.zero_grad()
        loss.backward()
        model.sgd_step(0.02)
    return model


def dropout_left_on(pixels, labels):
    from minigrad.layers import Dense, Dropout, ReLU, Sequential
    from minigrad.losses import cross_entropy

    rng = np.random.default_rng(0)
    model = Sequential(Dense(64, 32, rng=rng), ReLU(), Dropout(0.5, rng=1), Dense(32, 10, rng=rng))
    for _ in range(5):
        loss = cross_entropy(labels[:100], model(pixels[:100]))
        model.zero_grad()
        loss.backward()
        model.sgd_step(0.5)
    return model


DIGITS = Task(
    id="7.2",
    title="Somebody's handwriting",
    points=3,
    difficulty=2,
    minutes=30,
    name="train_reader",
    takes=("pixels", "labels", "new"),
    draw=digits_case,
    probe=digits_run,
    accept=digits_judged,
    trials=1,
    misconceptions=[
        Misconception(
            "The gradients of earlier batches were still there when the next one came. Each step followed all of them.",
            digit_reader(zero=False),
        ),
        Misconception("The model that you return never made a step.", digit_reader(passes=1, rate=0.0)),
        Misconception(
            "You shuffled the images and the labels each in their own way. Then nearly every image is shown with somebody else's label.",
            digit_reader(together=False),
        ),
        Misconception(
            "All weights began at 0. Then all hidden units are equal and stay equal, and here they even stay at 0: random weights tell them apart.",
            digit_reader(passes=1, begin=0.0),
        ),
        Misconception(
            "One model was trained, and another one returned, fresh from the shop.",
            digit_reader(passes=1, fresh=True),
        ),
        Misconception(
            "The rate is so small that the model has hardly moved when the training ends.",
            digit_reader(passes=1, rate=0.002),
        ),
        Misconception(
            "The digit as one number, with a squared error: then a 7 counts as nearly an 8. A digit is a name; give each of the ten a score.",
            digit_as_a_number,
        ),
        Misconception(
            "A dropout is still on. It is for training; switch it off before somebody uses the model.",
            dropout_left_on,
        ),
    ],
)


# ---------------------------------------------------------------- four patients


def line_case(rng, trial):
    n = [5, 11, 7, 13, 17][trial % 5]
    t = rng.uniform(0, 1, n)
    y = rng.uniform(1, 4) + rng.uniform(-3, 3) * t + 0.1 * rng.normal(size=n)
    return t, y, [1, 2, 5, 23, 60][trial % 5], [0.3, 0.2, 0.25, 0.1, 0.3][trial % 5]


def line_truth(t, y, steps, rate):
    """Each step multiplies the way that is left to the bottom by one and the same matrix."""
    X = np.column_stack([t, np.ones(len(t))])
    bottom = np.linalg.lstsq(X, y, rcond=None)[0]
    left = np.linalg.matrix_power(np.eye(2) - rate * 2 / len(t) * X.T @ X, steps) @ (0 - bottom)
    w, b = bottom + left
    return float(w), float(b)


def line_fit(cleared="", anew=False, shared=1.0, averaged=False, exchanged=False):
    """The loop of the task: which of "wb" are cleared, and what else was done about it."""

    def fit_line(t, y, steps, rate):
        import minigrad as mg
        from minigrad.losses import mean_squared_error

        w, b = mg.Tensor(0.0, requires_grad=True), mg.Tensor(0.0, requires_grad=True)
        for step in range(steps):
            if anew:
                w, b = mg.Tensor(0.0, requires_grad=True), mg.Tensor(0.0, requires_grad=True)
            for name, parameter in (("w", w), ("b", b)):
                if name in cleared:
                    parameter.zero_grad()
            mean_squared_error(y, w * t + b).backward()
            w.data -= shared * rate * w.grad
            b.data -= shared * rate * b.grad / (step + 1 if averaged else 1)
        return (b.item(), w.item()) if exchanged else (w.item(), b.item())

    return fit_line


LINE = Task(
    id="7.3",
    title="The line that swings",
    points=2,
    difficulty=1,
    minutes=10,
    name="fit_line",
    takes=("t", "y", "steps", "rate"),
    draw=line_case,
    expect=line_truth,
    returns=("w", "b"),
    misconceptions=[
        Misconception(
            "It still swings. Make two steps with a pencil: what is in each of the two gradients when the second backward() comes?",
            line_fit("w"),
        ),
        Misconception(
            "Now b is well, and w has caught the illness: every parameter that backward() reaches adds to what it has.",
            line_fit("b"),
        ),
        Misconception(
            "Nothing is forgotten now, neither for w nor for b. The line that you took out was right; it was not enough.",
            line_fit(""),
        ),
        Misconception(
            "You make the parameters anew in every step. That clears their gradients, and throws away what they have learnt.",
            line_fit("", anew=True),
        ),
        Misconception(
            "A smaller rate makes it swing less, and doesn't cure it. The step should follow this step's gradient alone.",
            line_fit("w", shared=0.1),
        ),
        Misconception(
            "You divided the pile by the number of steps. That is the mean of all gradients so far; asked for is the present one.",
            line_fit("w", averaged=True),
        ),
        Misconception(
            "The line is cured. But you return b first, and w was asked for first.", line_fit("wb", exchanged=True)
        ),
        Misconception(
            "That is the bottom of the valley, where the descent would end one day. Asked for is how far it gets in so many steps.",
            lambda t, y, steps, rate: tuple(np.polyfit(t, y, 1)),
        ),
    ],
)


def hinge_case(rng, trial):
    x, labels = two_clouds(rng, [11, 23, 7, 31, 17][trial % 5])
    return x, labels, [1, 3, 10, 40, 20][trial % 5], [0.5, 0.2, 0.3, 0.1, 0.4][trial % 5]


def hinge_truth(x, labels, steps, rate):
    signs = np.where(labels == 1, 1.0, -1.0)
    w, b = np.zeros(x.shape[1]), 0.0
    for _ in range(steps):
        pulls = np.where(signs * (x @ w + b) < 1, -signs, 0.0) / len(x)
        w, b = w - rate * pulls @ x, b - rate * pulls.sum()
    return w, float(b), float(np.mean((x @ w + b > 0) == (labels == 1)))


def hinge_fit(coded=None, compared=lambda labels: labels, border=0.0, loss_of=None):
    """The loop of the task: how the labels are coded in the loss, and with what the answers are compared."""

    def train_hinge(x, labels, steps, rate):
        import minigrad as mg

        w, b = mg.Tensor(np.zeros(x.shape[1]), requires_grad=True), mg.Tensor(0.0, requires_grad=True)
        signs = labels if coded is None else coded(labels)
        for _ in range(steps):
            z = x @ w + b
            loss = loss_of(labels, z) if loss_of else (1 - signs * z).relu().mean()
            w.zero_grad()
            b.zero_grad()
            loss.backward()
            w.data -= rate * w.grad
            b.data -= rate * b.grad
        says_1 = x @ w.data + b.data > border
        return w.numpy(), b.item(), float(np.mean(says_1 == compared(labels)))

    return train_hinge


def recoded_in_place(labels):
    labels[labels == 0] = -1
    return labels


def by_cross_entropy(labels, z):
    return (z.softplus() - labels * z).mean()


HINGE = Task(
    id="7.4",
    title="The class that nobody hears",
    points=2,
    difficulty=2,
    minutes=15,
    name="train_hinge",
    takes=("x", "labels", "steps", "rate"),
    draw=hinge_case,
    expect=hinge_truth,
    returns=("w", "b", "the share of right answers"),
    misconceptions=[
        Misconception(
            "One of the two classes still has no say. Put its label into the loss: what is left of the score?",
            hinge_fit(),
        ),
        Misconception(
            "You shifted the labels, and now the other class has the 0 and no say. The two must pull in opposite directions, and equally hard.",
            hinge_fit(lambda labels: labels - 1),
        ),
        Misconception(
            "The classes are exchanged: the loss now asks for a positive score where the label is 0.",
            hinge_fit(lambda labels: 1 - 2 * labels),
        ),
        Misconception(
            "The classes pull in opposite directions now, but with labels of size one half: the score has to be twice as large for the same margin.",
            hinge_fit(lambda labels: labels - 0.5),
        ),
        Misconception(
            "The border is right now. But the answers are compared with the new labels: to False a −1 is as wrong as a 1, so no 0 is ever counted as right.",
            hinge_fit(lambda labels: 2 * labels - 1, compared=lambda labels: 2 * labels - 1),
        ),
        Misconception(
            "You wrote the new coding into the caller's labels, which came as 0 and 1, and which you compare with afterwards. Make a new array for the loss.",
            hinge_fit(recoded_in_place),
        ),
        Misconception(
            "The threshold was moved, but the loss is still deaf to the label 0. The mistake is in what is learnt, not in how it is read.",
            hinge_fit(border=0.5),
        ),
        Misconception(
            "You took another loss. Cross-entropy is content with 0 and 1, but the patient is a hinge loss: that one can be cured, too.",
            hinge_fit(loss_of=by_cross_entropy),
        ),
    ],
)


def curve_case(rng, trial):
    n = [7, 5, 11, 17, 13][trial % 5]
    x = rng.uniform(-1, 1, (n, 1))
    y = np.sin(4 * x[:, 0]) + 0.1 * rng.normal(size=n)
    return (
        weights_of(rng, 1, [3, 5, 7, 3, 5][trial % 5]),
        x,
        y,
        [1, 3, 10, 40, 20][trial % 5],
        [0.1, 0.05, 0.1, 0.05, 0.03][trial % 5],
    )


def curve_run(answer, weights, x, y, steps, rate):
    from minigrad.layers import Dense, ReLU, Sequential

    width, d_in = weights[0].shape
    model = Sequential(Dense(d_in, width), ReLU(), Dense(width, 1))
    for parameter, start in zip(model.parameters(), weights, strict=True):
        parameter.data[:] = start
    return answer(model, x, y, steps, rate)


def curve_truth(weights, x, y, steps, rate):
    *_, last = descended(weights, x, lambda z: 2 / len(y) * (z - y[:, None]), steps, rate)
    return scores(last, x)[:, 0]


def curve_fit(loss_of):
    def fit_curve(model, x, y, steps, rate):
        for _ in range(steps):
            loss = loss_of(y, model(x))
            model.zero_grad()
            loss.backward()
            model.sgd_step(rate)
        return model(x).numpy().ravel()

    return fit_curve


CURVE = Task(
    id="7.5",
    title="The curve that stays flat",
    points=2,
    difficulty=2,
    minutes=10,
    name="fit_curve",
    takes=("weights", "x", "y", "steps", "rate"),
    draw=curve_case,
    probe=curve_run,
    expect=curve_truth,
    returns=("answers",),
    misconceptions=[
        Misconception(
            "The loss still compares every label with every prediction. Print the shape of the difference before you square it.",
            curve_fit(lambda y, p: ((y - p) ** 2).mean()),
        ),
        Misconception(
            "You changed what the table of differences is divided by. It still holds every label against every prediction; it should not be a table.",
            curve_fit(lambda y, p: ((y - p) ** 2).sum() / len(y)),
        ),
        Misconception(
            "The shapes agree now, but you add the squares up. Asked for is their mean, or the steps grow with the number of points.",
            curve_fit(lambda y, p: ((y - p.reshape(-1)) ** 2).sum()),
        ),
        Misconception(
            "You cut one column out of the table. There every prediction is compared with one and the same label.",
            curve_fit(lambda y, p: ((y - p)[:, 0] ** 2).mean()),
        ),
        Misconception(
            "You cut one row out of the table. There a single prediction is compared with all labels.",
            curve_fit(lambda y, p: ((y - p)[0] ** 2).mean()),
        ),
        Misconception(
            "You took the mean of the differences before you squared them. Too high here and too low there then cancel each other.",
            curve_fit(lambda y, p: (y - p.reshape(-1)).mean() ** 2),
        ),
    ],
)


def watch_case(rng, trial):
    x, y = two_clouds(rng, [11, 7, 13, 17, 5][trial % 5])
    width, p = [5, 7, 11, 7, 13][trial % 5], [0.5, 0.2, 0.5, 0.3, 0.4][trial % 5]
    uniform = rng.permuted(np.linspace(0.02, 0.98, len(x) * width)).reshape(len(x), width)
    new, steps, rate = rng.normal(size=(3, 2)), [1, 2, 5, 11, 7][trial % 5], [0.5, 1.0, 0.3, 0.7, 0.5][trial % 5]
    return weights_of(rng, 2, width), p, uniform, x, y[:, None], new, steps, rate


def watch_run(answer, weights, p, uniform, x, y, new, steps, rate):
    """The dropout draws the same numbers at each call, so that it does not matter how often it is called."""
    import numpy as np

    from minigrad.layers import Dense, Dropout, ReLU, Sequential

    class Same:
        def random(self, shape):
            return np.resize(uniform, shape)

    width, d_in = weights[0].shape
    model = Sequential(Dense(d_in, width), ReLU(), Dropout(p), Dense(width, 1))
    for parameter, start in zip(model.parameters(), weights, strict=True):
        parameter.data[:] = start
    model[2].rng = Same()
    return answer(model, x, y, new, steps, rate)


def watch_truth(weights, p, uniform, x, y, new, steps, rate):
    mask = (uniform >= p) / (1 - p)
    _, *after = descended(weights, x, partial(cross_entropy_slope, y), steps, rate, mask)
    return np.array([scores(w, new)[:, 0] for w in after])


def watch_fit(first=None, before_training=None, before_use=None, afterwards=lambda model, seen: seen):
    """The loop of the task, with the mode that is set at each place: True for training, None for nothing."""

    def train_and_watch(model, x, y, new, steps, rate):
        import minigrad as mg
        from minigrad.losses import binary_cross_entropy_with_logits

        def mode(training):
            if training is not None:
                model.train(training)

        watched = []
        mode(first)
        for _ in range(steps):
            mode(before_training)
            loss = binary_cross_entropy_with_logits(y, model(x))
            model.zero_grad()
            loss.backward()
            model.sgd_step(rate)
            mode(before_use)
            with mg.no_grad():
                watched.append(afterwards(model, model(new).numpy().ravel()))
        return np.array(watched)

    return train_and_watch


WATCH = Task(
    id="7.6",
    title="Two answers to one question",
    points=2,
    difficulty=2,
    minutes=15,
    name="train_and_watch",
    takes=("weights", "p", "uniform", "x", "y", "new", "steps", "rate"),
    draw=watch_case,
    probe=watch_run,
    expect=watch_truth,
    returns=("watched",),
    misconceptions=[
        Misconception(
            "The new points still go through the dropout. no_grad() records no graph; that is all it does.",
            watch_fit(),
        ),
        Misconception(
            "After the first look the dropout stays off, and the rest of the training goes on without it. Who switches something off for a while has to switch it on again.",
            watch_fit(before_use=False),
        ),
        Misconception(
            "The dropout is off from the start, so there is none in the training either. It is the looking that should go without.",
            watch_fit(first=False),
        ),
        Misconception(
            "The two modes are exchanged: off while it trains, on while you look.",
            watch_fit(before_training=False, before_use=True),
        ),
        Misconception(
            "With the dropout off you made the answers smaller besides. This dropout has paid for its losses already, during training.",
            watch_fit(before_training=True, before_use=False, afterwards=lambda model, seen: seen * (1 - model[2].p)),
        ),
    ],
)

TASKS = [LOOP, DIGITS, LINE, HINGE, CURVE, WATCH]
