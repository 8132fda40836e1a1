"""Set 07: other right answers, by other algorithms."""

import numpy as np

import minigrad as mg
from minigrad.layers import Dense, ReLU, Sequential, SkipConnection
from minigrad.losses import binary_cross_entropy_with_logits, cross_entropy, mean_squared_error

# ---------------------------------------------------------------- 7.1


def train_by_grad(model, x, y, steps, rate):
    """grad() returns the gradients, and leaves those in the model alone."""
    losses = []
    for _ in range(steps):
        loss = binary_cross_entropy_with_logits(y, model(x))
        parameters = model.parameters()
        for parameter, slope in zip(parameters, mg.grad(loss, parameters), strict=True):
            parameter.data -= rate * slope
        losses.append(loss.item())
    return losses


def train_from_the_scores(model, x, y, steps, rate):
    """The loss's gradient by hand, sigmoid minus label; the library takes it from there."""
    losses = []
    model.zero_grad()
    for _ in range(steps):
        z = model(x)
        losses.append(np.mean(np.logaddexp(0, z.numpy()) - y * z.numpy()))
        z.backward((1 / (1 + np.exp(-z.numpy())) - y) / len(y))
        model.sgd_step(rate)
        model.zero_grad()
    return losses


def train_in_numpy(model, x, y, steps, rate):
    """No graph at all."""
    W, b, V, c = (p.data for p in model.parameters())
    losses = np.zeros(steps)
    for step in range(steps):
        a = x @ W.T + b
        h = a * (a > 0)
        z = h @ V.T + c
        losses[step] = np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))))
        g = (0.5 * (1 + np.tanh(z / 2)) - y) / len(y)
        slopes = ((g @ V * (a > 0)).T @ x, (g @ V * (a > 0)).sum(0), g.T @ h, g.sum(0))
        for parameter, slope in zip((W, b, V, c), slopes, strict=True):
            parameter -= rate * slope
    return losses.tolist()


# ---------------------------------------------------------------- 7.2


def reader_with_momentum(pixels, labels):
    rng = np.random.default_rng()
    model = Sequential(Dense(64, 40, rng=rng), ReLU(), Dense(40, 10, rng=rng))
    speeds = [np.zeros(p.shape) for p in model.parameters()]
    for _ in range(400):
        batch = rng.integers(len(labels), size=40)
        loss = cross_entropy(labels[batch], model(pixels[batch]))
        for p, v, slope in zip(model.parameters(), speeds, mg.grad(loss, model.parameters()), strict=True):
            v *= 0.9
            v -= 0.05 * slope
            p.data += v
    return model


def reader_that_learns_half(pixels, labels):
    """A hidden layer left as it was drawn, and the last one solved at once, as a regression of ten signs."""
    model = Sequential(Dense(64, 300, rng=0), ReLU(), Dense(300, 10))
    hidden = model[1](model[0](pixels)).numpy()
    table = np.column_stack([hidden, np.ones(len(hidden))])
    W = np.linalg.solve(table.T @ table + np.eye(301), table.T @ (2 * np.eye(10)[labels] - 1))
    model[2].weight.data[:], model[2].bias.data[:] = W[:300].T, W[300]
    return model


def reader_with_skip(pixels, labels):
    rng = np.random.default_rng()
    block = SkipConnection(Sequential(Dense(32, 32, rng=rng), ReLU()))
    model = Sequential(Dense(64, 32, rng=rng), ReLU(), block, Dense(32, 10, rng=rng))
    for step in range(700):
        batch = rng.choice(len(labels), 32, replace=False)
        model.zero_grad()
        cross_entropy(np.eye(10)[labels[batch]], model(pixels[batch])).backward()
        model.sgd_step(0.2 if step < 500 else 0.05)
    return model


# ---------------------------------------------------------------- 7.3


def line_by_matrix(t, y, steps, rate):
    """One parameter vector, one product."""
    X = np.column_stack([t, np.ones(len(t))])
    theta = mg.Tensor(np.zeros(2), requires_grad=True)
    for _ in range(steps):
        theta.data -= rate * mg.grad(((y - X @ theta) ** 2).mean(), [theta])[0]
    return tuple(theta.numpy().tolist())


def line_by_layer(t, y, steps, rate):
    line = Dense(1, 1)
    line.weight.data[:] = 0
    for _ in range(steps):
        line.zero_grad()
        mean_squared_error(y[:, None], line(t[:, None])).backward()
        line.sgd_step(rate)
    return line.weight.item(), line.bias.item()


def line_by_formula(t, y, steps, rate):
    w = b = 0.0
    for _ in range(steps):
        error = w * t + b - y
        w, b = w - rate * 2 * np.mean(error * t), b - rate * 2 * np.mean(error)
    return w, b


# ---------------------------------------------------------------- 7.4


def hinge_by_rows(x, labels, steps, rate):
    """Two losses, one for each kind."""
    w, b = mg.Tensor(np.zeros(x.shape[1]), requires_grad=True), mg.Tensor(0.0, requires_grad=True)
    for _ in range(steps):
        z = x @ w + b
        loss = (labels * (1 - z).relu() + (1 - labels) * (1 + z).relu()).mean()
        for parameter, slope in zip((w, b), mg.grad(loss, [w, b]), strict=True):
            parameter.data -= rate * slope
    return w.numpy(), b.item(), 1 - np.mean(np.abs((x @ w.numpy() + b.item() > 0) - labels))


def hinge_by_mask(x, labels, steps, rate):
    """The subgradient by hand: whoever is inside the margin pulls."""
    signs = np.where(labels > 0.5, 1, -1)
    theta, table = np.zeros(x.shape[1] + 1), np.column_stack([x, np.ones(len(x))])
    for _ in range(steps):
        inside = signs * (table @ theta) < 1
        theta = theta + rate * (signs * inside) @ table / len(x)
    return theta[:-1], theta[-1], np.mean(np.sign(table @ theta) == signs)


def hinge_by_layer(x, labels, steps, rate):
    layer = Dense(x.shape[1], 1)
    layer.weight.data[:] = 0
    signs = np.array([{0.0: -1.0, 1.0: 1.0}[y] for y in labels])
    for _ in range(steps):
        layer.zero_grad()
        mg.losses.hinge(signs[:, None], layer(x), reduction="sum").backward()
        layer.sgd_step(rate / len(x))
    right = [(z > 0) == (y == 1) for z, y in zip(layer(x).numpy().ravel(), labels, strict=True)]
    return layer.weight.numpy()[0], layer.bias.item(), sum(right) / len(right)


# ---------------------------------------------------------------- 7.5


def curve(loss_of):
    def fit_curve(model, x, y, steps, rate):
        for _ in range(steps):
            loss = loss_of(y, model(x))
            model.zero_grad()
            loss.backward()
            model.sgd_step(rate)
        return model(x).numpy().ravel()

    return fit_curve


def by_diagonal(y, p):
    """Of the table of all pairs, those that belong together."""
    n = np.arange(len(y))
    return ((y - p) ** 2)[n, n].mean()


def by_products(y, p):
    """Σ(y − p)² multiplied out."""
    n = len(y)
    return ((p.T @ p).sum() - 2 * (y @ p).sum() + y @ y) / n


# ---------------------------------------------------------------- 7.6


def watch_without_the_layer(model, x, y, new, steps, rate):
    """The layers one by one, but for the dropout."""
    watched = np.empty((steps, len(new)))
    for step in range(steps):
        model.zero_grad()
        binary_cross_entropy_with_logits(y, model(x)).backward()
        model.sgd_step(rate)
        h = new
        for layer in model.layers:
            h = h if type(layer).__name__ == "Dropout" else layer(h)
        watched[step] = h.numpy()[:, 0]
    return watched


def watch_by_replay(model, x, y, new, steps, rate):
    """First all of the training, then all of the looking."""
    kept = []
    for _ in range(steps):
        loss = binary_cross_entropy_with_logits(y, model(x))
        for p, slope in zip(model.parameters(), mg.grad(loss, model.parameters()), strict=True):
            p.data -= rate * slope
        kept.append(model.state_dict())
    model.eval()
    watched = []
    for state in kept:
        model.load_state_dict(state)
        watched.append(model(new).numpy().ravel())
    return np.stack(watched)


def watch_in_numpy(model, x, y, new, steps, rate):
    watched = []
    for _ in range(steps):
        model.train(True)
        loss = binary_cross_entropy_with_logits(y, model(x), reduction="sum") / len(y)
        model.zero_grad()
        loss.backward()
        model.sgd_step(rate)
        W, b, V, c = (p.data for p in model.parameters())
        watched.append((np.maximum(new @ W.T + b, 0) @ V.T + c)[:, 0])
    return np.array(watched)


VARIANTS = {
    "7.1": [train_by_grad, train_from_the_scores, train_in_numpy],
    "7.2": [reader_with_momentum, reader_that_learns_half, reader_with_skip],
    "7.3": [line_by_matrix, line_by_layer, line_by_formula],
    "7.4": [hinge_by_rows, hinge_by_mask, hinge_by_layer],
    "7.5": [
        curve(lambda y, p: ((y[:, None] - p) ** 2).mean()),
        curve(by_diagonal),
        curve(by_products),
    ],
    "7.6": [watch_without_the_layer, watch_by_replay, watch_in_numpy],
}
