"""Set 06: other right answers, by other algorithms."""

import numpy as np

import minigrad as mg
from minigrad import layers

# ---------------------------------------------------------------- 6.1


def limit(d_in, d_out):
    return (6 / (d_in + d_out)) ** 0.5


def one_by_one(d_in, d_out, rng):
    a = limit(d_in, d_out)
    return np.array([[a * (2 * rng.random() - 1) for _ in range(d_in)] for _ in range(d_out)])


class DenseByRows:
    """Each output for itself, then side by side."""

    def __init__(self, d_in, d_out, rng):
        self.weight = mg.Tensor(rng.normal(size=(d_out, d_in)), requires_grad=True)
        self.bias = mg.Tensor(np.zeros(d_out), requires_grad=True)

    def forward(self, x):
        return mg.tensor_stack([(x * self.weight[j]).sum(axis=1) + self.bias[j] for j in range(len(self.bias))], axis=1)


class DenseTurned(DenseByRows):
    def forward(self, x):
        return (self.weight @ x.T + self.bias.reshape(-1, 1)).T


class DenseWithOnes(DenseByRows):
    """The bias as the weights of one more input, which is always 1."""

    def forward(self, x):
        wide = mg.tensor_concat([self.weight, self.bias.reshape(-1, 1)], axis=1)
        return mg.tensor_concat([x, np.ones((x.shape[0], 1))], axis=1) @ wide.T


class DenseFromLibrary(layers.Dense):
    def __init__(self, d_in, d_out, rng):
        super().__init__(d_in, d_out, rng=rng)


def dense_backward_by_rows(G, X, W, b):
    dX, dW, db = np.zeros_like(X), np.zeros_like(W), np.zeros_like(b)
    for i in range(len(X)):
        for j in range(len(b)):
            dX[i] += G[i, j] * W[j]
            dW[j] += G[i, j] * X[i]
            db[j] += G[i, j]
    return dX, dW, db


def dense_backward_by_engine(G, X, W, b):
    tensors = [mg.Tensor(t, requires_grad=True) for t in (X, W, b)]
    x, w, bias = tensors
    (x @ w.T + bias).backward(G)
    return tuple(t.grad for t in tensors)


# ---------------------------------------------------------------- 6.2


def fold_by_homogeneous(W1, b1, W2, b2):
    """Both layers as matrices with one more row and column, multiplied."""

    def whole(W, b):
        return np.block([[W, b[:, None]], [np.zeros((1, W.shape[1])), np.ones((1, 1))]])

    both = whole(W2, b2) @ whole(W1, b1)
    return both[:-1, :-1], both[:-1, -1]


def fold_by_points(W1, b1, W2, b2):
    """From what the two layers make of points enough, by least squares."""
    d = W1.shape[1]
    X = np.random.default_rng(0).normal(size=(3 * d, d))
    Y = (X @ W1.T + b1) @ W2.T + b2
    fitted = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), Y, rcond=None)[0]
    return fitted[:-1].T, fitted[-1]


# ---------------------------------------------------------------- 6.3


class DropoutByBinomial:
    def __init__(self, p, rng):
        self.p, self.rng = p, rng
        self.train()

    def train(self, mode=True):
        self.training = mode
        return self

    def eval(self):
        return self.train(False)

    def forward(self, X):
        self.factor = 1.0
        if self.training and self.p > 0:
            self.factor = self.rng.binomial(1, 1 - self.p, X.shape) / (1 - self.p) if self.p < 1 else 0.0
        return self.factor * X

    def backward(self, G):
        return self.factor * G


class DropoutByIndex:
    """Remembers which ones were dropped, and writes zeros there."""

    training = True

    def __init__(self, p, rng):
        self.p, self.rng = p, rng

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, X):
        self.dropped = np.flatnonzero(self.rng.random(X.size) < self.p) if self.training else []
        self.active = self.training
        return self.backward(X)

    def backward(self, G):
        out = G.copy()
        if self.active and self.p < 1:
            out /= 1 - self.p
        out.ravel()[self.dropped] = 0
        return out


class DropoutByLibrary:
    """The library's layer, and its graph for the way back."""

    def __init__(self, p, rng):
        self.layer = layers.Dropout(p, rng)

    def train(self):
        self.layer.train()

    def eval(self):
        self.layer.eval()

    def forward(self, X):
        self.x = mg.Tensor(X, requires_grad=True)
        self.y = self.layer(self.x)
        return self.y.data.copy()

    def backward(self, G):
        return mg.grad(self.y, self.x, gradient=G, retain_graph=True)


class DropoutTwoWays:
    """A forward of its own for each mode, exchanged by the switch."""

    def __init__(self, p, rng):
        self.p, self.rng, self.last = p, rng, None
        self.train()

    def train(self):
        self.forward = self.dropping

    def eval(self):
        self.forward = self.passing

    def dropping(self, X):
        kept = self.rng.choice([False, True], size=X.shape, p=[self.p, 1 - self.p])
        self.last = np.where(kept, 1 / (1 - self.p) if self.p != 1 else 0, 0)
        return np.where(kept, X * self.last, 0.0)

    def passing(self, X):
        self.last = None
        return X

    def backward(self, G):
        return G if self.last is None else np.multiply(G, self.last)


# ---------------------------------------------------------------- 6.4


class SkipByStack:
    """Both ways on top of each other, and a sum over them."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, x):
        through = self.layer.forward(x)
        if through.shape != x.shape:
            raise ValueError("the shapes differ")
        return mg.tensor_stack([through, x]).sum(axis=0)


class SkipBySubtraction(SkipByStack):
    def forward(self, x):
        y = self.layer(x)
        if np.shape(y) != np.shape(x):
            raise ValueError("the shapes differ")
        return y - (-1 * x)


class SkipFromLibrary(layers.SkipConnection):
    pass


class SkipRowByRow(SkipByStack):
    """Every row for itself, the first one as a trial of the shape."""

    def forward(self, x):
        if self.layer(x[:1]).shape != x[:1].shape:
            raise ValueError("the shapes differ")
        out = [self.layer(x[i : i + 1]) + x[i : i + 1] for i in range(x.shape[0])]
        return mg.tensor_concat(out, axis=0)


def accumulated(G, layer_backward):
    dX = np.zeros_like(G)
    dX += G
    dX += layer_backward(G)
    return dX


# ---------------------------------------------------------------- 6.5


class BaseByStack:
    """No recursion: a list of what is still to be looked at."""

    def parameters(self):
        found, seen, waiting = [], set(), [self]
        while waiting:
            x = waiting.pop()
            if id(x) in seen:
                continue
            seen.add(id(x))
            if isinstance(x, mg.Tensor):
                found += [x] if x.requires_grad else []
            elif isinstance(x, dict):
                waiting += list(x.values())
            elif isinstance(x, (list, tuple)):
                waiting += list(x)
            elif hasattr(x, "__dict__"):
                waiting += list(vars(x).values())
        return found


class BaseByRegistration:
    """Listens when an attribute is set, as other libraries do; looks into containers when asked."""

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
        self.__dict__.setdefault("_set", {})[name] = value

    def parameters(self):
        def inside(x):
            if isinstance(x, mg.Tensor):
                return {x} if x.requires_grad else set()
            if isinstance(x, BaseByRegistration):
                x = x.__dict__.get("_set", {})
            if isinstance(x, dict):
                x = list(x.values())
            return set().union(*map(inside, x)) if isinstance(x, (list, tuple)) else set()

        return inside(self)


class BaseByGenerator:
    """A list that grows while one walks along it."""

    def parameters(self, seen=None):
        seen = set() if seen is None else seen
        ahead = list(self.__dict__.values())
        for x in ahead:
            if isinstance(x, (list, tuple, dict)):
                ahead.extend(x.values() if isinstance(x, dict) else x)
            elif hasattr(x, "parameters"):
                yield from x.parameters(seen)
            elif getattr(x, "requires_grad", False) and x not in seen:
                seen.add(x)
                yield x


class BaseFromLibrary(layers.BaseLayer):
    pass


# ---------------------------------------------------------------- 6.6


class InPlace:
    def zero_grad(self):
        for p in self.parameters():
            p.grad = None

    def sgd_step(self, learning_rate):
        for p in self.parameters():
            if p.grad is not None:
                p.data[...] -= learning_rate * p.grad


class BySetting:
    def zero_grad(self):
        for p in self.parameters():
            if p.grad is not None:
                p.grad = np.zeros(p.shape)

    def sgd_step(self, learning_rate):
        for p in filter(lambda p: p.grad is not None, self.parameters()):
            p.data = np.add(p.data, -learning_rate * p.grad)


class ElementByElement:
    def zero_grad(self):
        for p in self.parameters():
            p.zero_grad()

    def sgd_step(self, learning_rate):
        for p in self.parameters():
            for i in np.ndindex(p.shape) if p.grad is not None else ():
                p.data[i] = p.data[i] - p.grad[i] * learning_rate


class TrainableFromLibrary:
    """The library's own methods, lent."""

    zero_grad = layers.BaseLayer.zero_grad
    sgd_step = layers.BaseLayer.sgd_step


VARIANTS = {
    "6.1": [
        one_by_one,
        lambda d_in, d_out, rng: (2 * rng.random((d_out, d_in)) - 1) * limit(d_in, d_out),
        lambda d_in, d_out, rng: layers.Dense(d_in, d_out, rng=rng).weight.data,
        lambda d_in, d_out, rng: (
            rng.uniform(-1, 1, d_in * d_out).reshape(d_out, d_in) * np.sqrt(6) / np.sqrt(d_in + d_out)
        ),
    ],
    "6.1b": [DenseByRows, DenseTurned, DenseWithOnes, DenseFromLibrary],
    "6.1c": [
        lambda G, X, W, b: (np.einsum("ij,jk->ik", G, W), np.einsum("ij,ik->jk", G, X), np.einsum("ij->j", G)),
        dense_backward_by_rows,
        dense_backward_by_engine,
        lambda G, X, W, b: ((W.T @ G.T).T, (X.T @ G).T, np.ones(len(G), G.dtype) @ G),
    ],
    "6.2": [
        fold_by_homogeneous,
        fold_by_points,
        lambda W1, b1, W2, b2: ((W1.T @ W2.T).T, np.einsum("ij,j->i", W2, b1) + b2),
    ],
    "6.3": [DropoutByBinomial, DropoutByIndex, DropoutByLibrary, DropoutTwoWays],
    "6.4": [SkipByStack, SkipBySubtraction, SkipFromLibrary, SkipRowByRow],
    "6.4b": [
        lambda G, layer_backward: G + layer_backward(G),
        accumulated,
        lambda G, layer_backward: np.sum([layer_backward(G), G], axis=0),
        lambda G, layer_backward: np.stack([layer_backward(row[None])[0] + row for row in G]),
    ],
    "6.5": [BaseByStack, BaseByRegistration, BaseByGenerator, BaseFromLibrary],
    "6.6": [InPlace, BySetting, ElementByElement, TrainableFromLibrary],
}
