"""Set 08: other right answers, by other algorithms."""

import heapq
from functools import partial
from itertools import count
from weakref import ref

import numpy as np


class Node:
    def __init__(self, data, parents, send):
        self.data, self.parents, self.send, self.grad = np.asarray(data, dtype=float), parents, send, None


# ---------------------------------------------------------------- 8.1


class LocalDerivatives:
    """Keeps an array for each edge; send is a method."""

    def __init__(self, data):
        self.data, self.edges, self.grad = np.asarray(data, dtype=np.float64), [], None

    @property
    def parents(self):
        return [parent for parent, _ in self.edges]

    def send(self, g):
        return [g * local for _, local in self.edges]

    def to(self, *edges):
        self.edges += edges
        return self

    def __add__(self, other):
        one = np.ones(self.data.shape)
        return LocalDerivatives(self.data + other.data).to((self, one), (other, one))

    def __mul__(self, other):
        return LocalDerivatives(self.data * other.data).to((self, other.data), (other, self.data))


class Leaf:
    """Each operation is a class of its own."""

    parents, send, grad = (), None, None

    def __init__(self, data):
        self.data = np.array(data) * 1.0

    def __add__(self, other):
        return Sum(self, other)

    def __mul__(self, other):
        return Product(self, other)


class Sum(Leaf):
    def __init__(self, *parents):
        self.data, self.parents = parents[0].data + parents[1].data, parents

    def send(self, g):
        return g.copy(), g.copy()


class Product(Leaf):
    def __init__(self, *parents):
        self.data, self.parents = parents[0].data * parents[1].data, parents

    def send(self, g):
        return tuple(g * other.data for other in self.parents[::-1])


class Senders:
    """A list of functions, one for each parent."""

    def __init__(self, data, parents=None, senders=None):
        self.data, self.parents, self.senders = np.asarray(data, float), parents or [], senders or []
        self.send = lambda g: [send(g) for send in self.senders]

    def __add__(self, other):
        return Senders(self.data + other.data, [self, other], [np.copy, np.copy])

    def __mul__(self, other):
        factors = other.data, self.data
        return Senders(self.data * other.data, [self, other], [partial(np.multiply, factor) for factor in factors])


# ---------------------------------------------------------------- 8.2


def by_counting(root):
    uses, todo = {root: 0}, [root]
    while todo:
        for parent in todo.pop().parents:
            if parent not in uses:
                uses[parent] = 0
                todo.append(parent)
            uses[parent] += 1
    ready, found = [root], []
    while ready:
        tensor = ready.pop()
        found.append(tensor)
        for parent in tensor.parents:
            uses[parent] -= 1
            if not uses[parent]:
                ready.append(parent)
    return found


def by_iterators(root):
    found, seen, path = [], {root}, [(root, iter(root.parents))]
    while path:
        tensor, rest = path[-1]
        parent = next((p for p in rest if p not in seen), None)
        if parent is None:
            found.append(tensor)
            path.pop()
        else:
            seen.add(parent)
            path.append((parent, iter(parent.parents)))
    return reversed(found)


def by_height(root):
    """How many steps it is to the farthest leaf; the highest first."""
    height, todo = {}, [root]
    while todo:
        tensor = todo[-1]
        parents = tensor.parents
        waiting = [p for p in parents if p not in height]
        if waiting:
            todo += waiting[:1]
        else:
            height[todo.pop()] = 1 + max((height[p] for p in parents), default=-1)
    return sorted(height, key=height.get, reverse=True)


# ---------------------------------------------------------------- 8.3


def summed_at_the_visit(nodes, G):
    arrived = {id(node): [] for node in nodes}
    arrived[id(nodes[0])].append(G)
    for node in nodes:
        g = np.sum(arrived.pop(id(node)), axis=0)
        if node.send is None:
            node.grad = g + (0 if node.grad is None else node.grad)
        else:
            for parent, contribution in zip(node.parents, node.send(g), strict=True):
                arrived[id(parent)].append(contribution)


def asking_the_users(nodes, G):
    """Each tensor looks up who used it, and where."""
    sent = {}
    for node in nodes:
        total = np.zeros(np.shape(G)) if node is not nodes[0] else np.array(G)
        for user in nodes:
            for parent, contribution in zip(user.parents, sent.get(user, ()), strict=False):
                if parent is node:
                    total += contribution
        if node.parents:
            sent[node] = node.send(total)
        else:
            node.grad = total if node.grad is None else total + node.grad


def kept_and_wiped(nodes, G):
    """Sums on the nodes, in place, in arrays of their own; wiped in the end."""
    before = {node: node.grad for node in nodes if not node.parents}
    for node in nodes:
        node.grad = np.zeros_like(G)
    nodes[0].grad += G
    for node in nodes:
        for i, parent in enumerate(node.parents):
            parent.grad += node.send(node.grad)[i]
    for node in nodes:
        if node.parents:
            node.grad = None
        elif before[node] is not None:
            node.grad += before[node]


# ---------------------------------------------------------------- 8.4


def with_partial(forward, rules, *operands):
    arrays = tuple(x.data for x in operands)
    y = forward(*arrays)

    def asked(g, rule):
        return rule(g, y, *arrays)

    senders = [partial(asked, rule=rule) for rule in rules]
    return Node(y, operands, lambda g: [send(g) for send in senders])


def with_defaults(forward, rules, *operands):
    arrays = [x.data.copy() for x in operands]
    result = Node(forward(*arrays), list(operands), None)
    senders = []
    for rule in rules:
        senders.append(lambda g, rule=rule, y=result.data: rule(g, y, *arrays))
    result.send = lambda g: tuple(map(lambda send: send(g), senders))
    return result


def with_an_object(forward, rules, *operands):
    class Sender:
        def __init__(self, *arrays):
            self.arrays, self.y = arrays, forward(*arrays)

        def __call__(self, g):
            for rule in rules:
                yield rule(g, self.y, *self.arrays)

    sender = Sender(*(x.data for x in operands))
    return Node(sender.y, operands, sender)


# ---------------------------------------------------------------- 8.5


class ByLoops(Node):
    def __sub__(self, other):
        return ByLoops(self.data + -1.0 * other.data, (self, other), lambda g: [1.0 * g, 0.0 - g])

    def __matmul__(self, other):
        a, b = self.data, other.data
        y = sum(np.outer(a[:, l], b[l]) for l in range(len(b)))  # noqa: E741
        to_a = lambda g: np.stack([[np.sum(row * weights) for weights in b] for row in g])
        to_b = lambda g: sum(np.outer(a[i], g[i]) for i in range(len(a)))
        return ByLoops(y, (self, other), lambda g: (to_a(g), to_b(g)))

    def tanh(self):
        a = self.data
        return ByLoops(1 - 2 / (np.exp(2 * a) + 1), (self,), lambda g: (g / np.cosh(a) ** 2,))

    def mean(self):
        a = self.data
        return ByLoops(np.sum(a) / a.size, (self,), lambda g: [np.broadcast_to(g, a.shape) / a.size])


class ByEinsum(Node):
    def __sub__(self, other):
        return ByEinsum(np.subtract(self.data, other.data), [self, other], lambda g: (g, np.negative(g)))

    def __matmul__(self, other):
        a, b = self.data, other.data
        to = lambda g: (np.einsum("nm,km->nk", g, b), np.einsum("nk,nm->km", a, g))
        return ByEinsum(np.einsum("nk,km->nm", a, b), [self, other], to)

    def tanh(self):
        up, down = np.exp(self.data), np.exp(-self.data)
        return ByEinsum((up - down) / (up + down), [self], lambda g: (4 * g / (up + down) ** 2,))

    def mean(self):
        shape = self.data.shape
        weights = np.ones(shape) / np.prod(shape)
        return ByEinsum(np.vdot(weights, self.data), [self], lambda g: (weights * g,))


class ByTransposes(Node):
    def made(self, data, rules, *others):
        return type(self)(data, (self, *others), lambda g: tuple(rule(g) for rule in rules))

    def __sub__(self, other):
        return self.made(self.data - other.data, (np.positive, np.negative), other)

    def __matmul__(self, other):
        a, b = self.data, other.data
        return self.made((b.T @ a.T).T, (lambda g: (b @ g.T).T, lambda g: (g.T @ a).T), other)

    def tanh(self):
        y = np.tanh(self.data)
        return self.made(y, (lambda g: g - g * y * y,))

    def mean(self):
        a = self.data
        return self.made(np.average(a), (lambda g: np.ones_like(a) * (g / a.size),))


# ---------------------------------------------------------------- 8.6


def stretching(fitted):
    class Stretched(Node):
        def __add__(self, other):
            b = other.data if isinstance(other, Node) else other
            return self.made(other, self.data + b, lambda g: g, lambda g: g)

        def __mul__(self, other):
            a, b = self.data, other.data if isinstance(other, Node) else other
            return self.made(other, a * b, lambda g: g * b, lambda g: g * a)

        __radd__, __rmul__ = __add__, __mul__

        def made(self, other, data, *rules):
            parents = (self, other) if isinstance(other, Node) else (self,)
            send = lambda g: tuple(fitted(rule(g), p.data.shape) for rule, p in zip(rules, parents, strict=False))
            return Stretched(data, parents, send)

    return Stretched


def by_counting_cells(c, shape):
    """Number the operand's elements, copy the numbers as broadcasting does, and add up what has the same number."""
    size = int(np.prod(shape))
    numbers = np.broadcast_to(np.arange(size).reshape(shape), c.shape)
    return np.bincount(numbers.ravel(), c.ravel(), size).reshape(shape)


def by_one_sum(c, shape):
    lead = c.ndim - len(shape)
    axes = tuple(i for i in range(c.ndim) if i < lead or shape[i - lead] == 1)
    return c.sum(axis=axes).reshape(shape)


def by_adding_into(c, shape):
    total = np.zeros(shape)
    for index in np.ndindex(c.shape):
        mine = index[c.ndim - len(shape) :]
        total[tuple(0 if n == 1 else i for i, n in zip(mine, shape, strict=True))] += c[index]
    return total


# ---------------------------------------------------------------- 8.7


def recomputed(x):
    a = x.data
    return Node(np.exp(a), [x], lambda g: (g * np.exp(a),))


def with_a_method(x):
    y = np.exp(x.data)
    times = partial(np.multiply, y)
    return Node(y, (x,), lambda g: [times(g)])


def with_a_weak_reference(x):
    result = Node(np.e**x.data, (x,), None)
    seen = ref(result)
    result.send = lambda g: (g * seen().data,)
    return result


# ---------------------------------------------------------------- 8.8


def fit(c, shape):
    c = np.asarray(c)
    extra = tuple(range(c.ndim - len(shape)))
    c = c.sum(axis=extra)
    return c.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def operators(cls):
    """The operators, by way of cls.step(forward, local gradients, *operands)."""

    def binary(forward, rule, swap=False):
        def method(self, other):
            pair = self, other if isinstance(other, cls) else cls(other)
            return cls.step(forward, rule, *(pair[::-1] if swap else pair))

        return method

    add = np.add, lambda g, y, a, b: (g, g)
    sub = np.subtract, lambda g, y, a, b: (g, -g)
    mul = np.multiply, lambda g, y, a, b: (g * b, g * a)
    cls.__add__ = cls.__radd__ = binary(*add)
    cls.__mul__ = cls.__rmul__ = binary(*mul)
    cls.__sub__, cls.__rsub__ = binary(*sub), binary(*sub, swap=True)
    cls.__matmul__ = binary(np.matmul, lambda g, y, a, b: (g @ b.T, a.T @ g))
    cls.tanh = lambda self: cls.step(np.tanh, lambda g, y, a: (g * (1 - y * y),), self)
    cls.mean = lambda self: cls.step(np.mean, lambda g, y, a: (np.full(a.shape, g / a.size),), self)
    return cls


@operators
class Tape:
    """No graph: one long list of what happened, played backwards."""

    tape = []

    def __init__(self, data):
        self.data, self.grad, self.position, self.leaf = np.array(data, float), np.zeros(np.shape(data)), -1, True

    @staticmethod
    def step(forward, rule, *operands):
        arrays = [x.data for x in operands]
        result = Tape(forward(*arrays))
        result.leaf = False
        result.position = len(Tape.tape)
        Tape.tape.append((result, operands, arrays, rule))
        return result

    def backward(self):
        waiting, owners = {id(self): np.ones(self.data.shape)}, {id(self): self}
        position = self.position
        while not all(owners[key].leaf for key in waiting):
            result, operands, arrays, rule = Tape.tape[position]
            position -= 1
            g = waiting.pop(id(result), None)
            if g is not None:
                for x, d in zip(operands, rule(g, result.data, *arrays), strict=True):
                    waiting[id(x)], owners[id(x)] = waiting.get(id(x), 0) + fit(d, x.data.shape), x
        for key, g in waiting.items():
            owners[key].grad = owners[key].grad + g

    def zero_grad(self):
        self.grad = np.zeros_like(self.data)


@operators
class Heap:
    """Youngest first, out of a heap."""

    clock = count(0, -1)

    def __init__(self, data):
        self.data, self.grad, self.parents, self.rule = np.array(data, float), None, (), None
        self.age = next(Heap.clock)

    @staticmethod
    def step(forward, rule, *operands):
        arrays = [x.data for x in operands]
        result = Heap(forward(*arrays))
        y = result.data
        result.parents, result.rule = operands, lambda g: rule(g, y, *arrays)
        return result

    def backward(self):
        heap, waiting = [(self.age, self)], {self: [np.ones_like(self.data)]}
        while heap:
            _, tensor = heapq.heappop(heap)
            g = sum(waiting.pop(tensor))
            if tensor.rule is None:
                tensor.grad = g if tensor.grad is None else tensor.grad + g
            else:
                for parent, d in zip(tensor.parents, tensor.rule(g), strict=True):
                    if parent not in waiting:
                        waiting[parent] = []
                        heapq.heappush(heap, (parent.age, parent))
                    waiting[parent].append(fit(d, parent.data.shape))

    def zero_grad(self):
        self.grad = None


@operators
class Counting:
    """Counts each tensor's uses; whoever has heard from all of them is next.  Sums on the tensors, wiped before each call."""

    def __init__(self, data):
        self.data, self.grad, self.parents, self.rule = np.array(data, float), None, [], None

    @staticmethod
    def step(forward, rule, *operands):
        arrays = [x.data for x in operands]
        result = Counting(forward(*arrays))
        result.parents = list(operands)
        result.rule = lambda g: rule(g, forward(*arrays), *arrays)
        return result

    def backward(self):
        everybody, uses = [self], {self: 0}
        for tensor in everybody:
            tensor.sum = np.zeros(tensor.data.shape)
            for parent in tensor.parents:
                if parent not in uses:
                    everybody.append(parent)
                uses[parent] = uses.get(parent, 0) + 1
        self.sum = self.sum + 1
        ready = [self]
        while ready:
            tensor = ready.pop()
            if not tensor.parents:
                tensor.grad = tensor.sum if tensor.grad is None else tensor.grad + tensor.sum
                continue
            for parent, d in zip(tensor.parents, tensor.rule(tensor.sum), strict=True):
                parent.sum = parent.sum + fit(d, parent.data.shape)
                uses[parent] -= 1
                if not uses[parent]:
                    ready.append(parent)

    def zero_grad(self):
        self.grad = np.zeros(self.data.shape)


class Forward:
    """No way back at all: every tensor carries along how it moves with each element of each leaf."""

    def __init__(self, data, moves=None):
        self.data, self.grad = np.array(data, float), None
        eye = np.eye(self.data.size).reshape(-1, *self.data.shape)
        self.moves = {self: list(eye)} if moves is None else moves

    def step(self, other, f, slope):
        """slope(da, db) is how the result moves when the operands move so; None for one that stands still."""
        other = other if isinstance(other, Forward) else Forward(other)
        moves = {leaf: [slope(da, 0 * other.data) for da in self.moves[leaf]] for leaf in self.moves}
        for leaf, rows in other.moves.items():
            mine = [slope(0 * self.data, db) for db in rows]
            moves[leaf] = [p + q for p, q in zip(moves[leaf], mine, strict=True)] if leaf in moves else mine
        return Forward(f(self.data, other.data), moves)

    def __add__(self, other):
        return self.step(other, np.add, lambda da, db: da + db)

    def __sub__(self, other):
        return self.step(other, np.subtract, lambda da, db: da - db)

    def __rsub__(self, other):
        return Forward(other) - self

    def __mul__(self, other):
        b = other.data if isinstance(other, Forward) else other
        return self.step(other, np.multiply, lambda da, db: da * b + self.data * db)

    def __matmul__(self, other):
        return self.step(other, np.matmul, lambda da, db: da @ other.data + self.data @ db)

    __radd__, __rmul__ = __add__, __mul__

    def tanh(self):
        y = np.tanh(self.data)
        return Forward(y, {leaf: [(1 - y**2) * d for d in rows] for leaf, rows in self.moves.items()})

    def mean(self):
        return Forward(self.data.mean(), {leaf: [d.mean() for d in rows] for leaf, rows in self.moves.items()})

    def backward(self):
        for leaf, rows in self.moves.items():
            g = np.reshape([d.sum() for d in rows], leaf.data.shape)
            leaf.grad = g if leaf.grad is None else leaf.grad + g

    def zero_grad(self):
        self.grad = None


# ---------------------------------------------------------------- 8.9


def new_leaves_each_time(Tensor, X, Y, weights, rate, steps):
    def predict(W1, b1, W2, b2):
        return (Tensor(X) @ W1 + b1).tanh() @ W2 + b2

    for _ in range(steps):
        leaves = [Tensor(w) for w in weights]
        error = predict(*leaves) - Tensor(Y)
        (error * error).mean().backward()
        weights = [w - rate * leaf.grad for w, leaf in zip(weights, leaves, strict=True)]
    return predict(*map(Tensor, weights)).data, weights


def the_last_part_of_the_sum(Tensor, X, Y, weights, rate, steps):
    """Lets the gradients pile up, and takes the difference to the last time."""
    X, Y, (W1, b1, W2, b2) = Tensor(X), Tensor(Y), (leaves := [Tensor(w) for w in weights])
    before = [0.0] * 4
    P = (X @ W1 + b1).tanh() @ W2 + b2
    for _ in range(steps):
        ((P - Y) * (P - Y)).mean().backward()
        for i, leaf in enumerate(leaves):
            leaf.data = leaf.data - rate * (leaf.grad - before[i])
            before[i] = leaf.grad
        P = (X @ W1 + b1).tanh() @ W2 + b2
    return P.data, [leaf.data for leaf in leaves]


def in_place(Tensor, X, Y, weights, rate, steps):
    net = {name: Tensor(w) for name, w in zip(("W1", "b1", "W2", "b2"), weights, strict=True)}

    def forward(inputs):
        hidden = Tensor(inputs) @ net["W1"] + net["b1"]
        return hidden.tanh() @ net["W2"] + net["b2"]

    while steps:
        D = forward(X) - Tensor(Y)
        loss = D * D
        loss.mean().backward()
        for w in net.values():
            w.data -= rate * w.grad
            w.zero_grad()
        steps -= 1
    return np.array(forward(X).data), tuple(w.data for w in net.values())


VARIANTS = {
    "8.1": [LocalDerivatives, Leaf, Senders],
    "8.2": [by_counting, by_iterators, by_height],
    "8.3": [summed_at_the_visit, asking_the_users, kept_and_wiped],
    "8.4": [with_partial, with_defaults, with_an_object],
    "8.5": [ByLoops, ByEinsum, ByTransposes],
    "8.6": [stretching(by_counting_cells), stretching(by_one_sum), stretching(by_adding_into)],
    "8.7": [recomputed, with_a_method, with_a_weak_reference],
    "8.8": [Tape, Heap, Counting, Forward],
    "8.9": [new_leaves_each_time, the_last_part_of_the_sum, in_place],
}
