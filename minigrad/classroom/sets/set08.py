"""Set 08: an engine from nothing, piece by piece: memory, order, accumulation, operations, broadcasting; then all of it in one class, and XOR.

What a student's engine should give for a line of code, `L = (x * x + y).mean()`, is found by running the same line on arrays and
nudging them.  The classes and functions below are the mistakes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

import numpy as np

from ..numeric import pulled_back
from ..task import Misconception, Task, normal, sizes, upstream


class Plain(np.ndarray):
    """An array that has the methods that the engines have."""

    def tanh(self):
        return np.tanh(self)


code = cache(lambda program: compile(program, "<program>", "exec"))


def computed(program: str, result: str, **arrays) -> np.ndarray:
    """What the program calls `result`, when its tensors are arrays.

    >>> computed("u = x * x; L = (u + 1).mean()", "L", x=np.array([1.0, 3.0]))
    array(6.)
    """
    scope = {name: np.asarray(x).view(Plain) for name, x in arrays.items()}
    exec(code(program), scope)
    return np.asarray(scope[result])


def slopes(program: str, result: str, G: np.ndarray, **arrays) -> dict[str, np.ndarray]:
    """What G, the gradient at `result`, sends to each of the arrays."""

    def forward(*values):
        return computed(program, result, **dict(zip(arrays, values, strict=True)))

    return {name: pulled_back(forward, G, tuple(arrays.values()), i) for i, name in enumerate(arrays)}


class Node:
    """The bare circle that the notebook gives, for the mistakes to be made with."""

    def __init__(self, data, parents, send) -> None:
        self.data, self.parents, self.send = np.asarray(data, dtype=float), parents, send
        self.grad = None


# ---------------------------------------------------------------- 8.1 a tensor that remembers

FIRST = ["x + y", "x * y", "x * x", "x + x", "(x + y) * y"]
PRODUCT, SUM = lambda a, b: a * b, lambda a, b: a + b


def memory_case(rng, trial):
    shape = sizes(rng, 2)
    x, y = normal(rng, *shape), normal(rng, *shape)
    if trial == 3:
        x = rng.integers(1, 9, shape)
    return FIRST[trial], upstream(rng, np.empty(shape)), x, y


def remembered(expression, G, x, y):
    """Nudge the left operand and the right one, each as if the other were somebody else."""
    left, right = {"x": x, "y": y, "(": x + y}[expression[0]] * 1.0, {"x": x, "y": y}[expression[-1]] * 1.0
    forward = PRODUCT if "*" in expression else SUM
    sent = tuple(pulled_back(forward, G, (left, right), i) for i in (0, 1))
    parents = ["another tensor" if expression[0] == "(" else expression[0], expression[-1]]
    return forward(left, right), parents, sent, "none"


def memory(answer, expression, G, x, y):
    """The result's data, its parents by their names, what it sends them, and the parents of a leaf."""
    import numpy as np

    leaves = {"x": answer(x), "y": answer(y)}
    result = eval(expression, dict(leaves))
    if any(result is leaf for leaf in leaves.values()):
        raise TypeError(f"{expression} changed an operand and returned it; it should make a new tensor")
    if not hasattr(result, "send"):
        raise TypeError(
            f"{expression} gave a {type(result).__name__}; it should be a tensor with data, parents and send"
        )
    names = {id(tensor): name for name, tensor in leaves.items()}
    sent = result.send(G)
    if isinstance(sent, np.ndarray):
        raise TypeError("send returned an array; it should return a tuple, one contribution for each parent")
    parents = [
        names.get(id(p), "another tensor" if hasattr(p, "parents") else type(p).__name__) for p in result.parents
    ]
    of_leaf = leaves["x"].parents
    if isinstance(of_leaf, list) and of_leaf and of_leaf is result.parents:
        parents = "the list of x's parents"
    return result.data, parents, None if sent is None else tuple(sent), "some" if of_leaf else "none"


def remembering(
    parents: Callable = lambda a, b: (a, b),
    product: Callable = lambda g, a, b: (g * b, g * a),
    sum: Callable = lambda g, a, b: (g, g),
):
    """A class that remembers in this way."""

    class Tracked:
        def __init__(self, data):
            self.data, self.parents, self.send = np.asarray(data, dtype=float), (), None

        def made(self, other, data, rule):
            result = Tracked(data)
            result.parents = parents(self, other)
            result.send = lambda g: rule(g, self.data, other.data)
            return result

        def __add__(self, other):
            return self.made(other, self.data + other.data, sum)

        def __mul__(self, other):
            return self.made(other, self.data * other.data, product)

    return Tracked


class SharedList(remembering()):
    def __init__(self, data, parents=[]):  # noqa: B006  the mistake itself
        super().__init__(data)
        self.parents = parents

    def made(self, other, data, rule):
        result = SharedList(data)
        result.parents += [self, other]
        result.send = lambda g: rule(g, self.data, other.data)
        return result


def late(g, a, b):
    senders = []
    for factor in (b, a):
        senders.append(lambda g: g * factor)  # noqa: B023  the mistake itself
    return tuple(send(g) for send in senders)


MEMORY = Task(
    id="8.1",
    title="A tensor that remembers",
    points=2,
    difficulty=1,
    minutes=15,
    name="Tracked",
    takes=("expression", "G", "x", "y"),
    draw=memory_case,
    expect=remembered,
    probe=memory,
    returns=(
        "the result's data",
        "the result's parents",
        "what send(G) returned",
        "the number of the leaf x's own parents",
    ),
    misconceptions=[
        Misconception(
            "x is a leaf, and yet it has parents. A default list is made once, when Python reads the `def`, and from then on all "
            "tensors share it.",
            SharedList,
        ),
        Misconception(
            "On x * y both parents were sent the same. A function made in a loop looks up the loop's variable when it is called, "
            "and by then the loop is over. Give each function its own value when you make it.",
            remembering(product=late),
        ),
        Misconception(
            "On x * y each parent got its own value as the factor. How fast a product moves with x is decided by the other one: that "
            "is the value to remember.",
            remembering(product=lambda g, a, b: (g * a, g * b)),
        ),
        Misconception(
            "send returned the local derivatives alone. What arrives from above multiplies them.",
            remembering(product=lambda g, a, b: (b, a), sum=lambda g, a, b: (np.ones_like(g), np.ones_like(g))),
        ),
        Misconception(
            "On x * x you noted x once. Two edges lead from x into this product, and each carries a contribution: parents are "
            "remembered for each use.",
            remembering(parents=lambda a, b: tuple(dict.fromkeys((a, b)))),
        ),
        Misconception(
            "You remembered the parents' arrays. An array does not know where it came from, so nobody could walk on from there: "
            "remember the tensors.",
            remembering(parents=lambda a, b: (a.data, b.data)),
        ),
    ],
)


# ---------------------------------------------------------------- 8.2 an order for the way back


def random_graph(rng, n: int) -> tuple:
    """n tensors, the last computed from all others, directly or not."""
    graph = [(), ()]
    for i in range(2, n):
        graph.append((i - 1, *(int(j) for j in rng.integers(0, i, rng.integers(1, 3)))))
    return tuple(tuple(rng.permutation(parents).tolist()) for parents in graph)


def told(graph) -> str:
    """A graph as text: T2: T0 T1; T3: T2 says whose parents are whose; who has none is not mentioned."""
    return "; ".join(f"T{i}: {' '.join(f'T{j}' for j in parents)}" for i, parents in enumerate(graph) if parents)


def parents_in(graph: str) -> dict[str, list[str]]:
    """
    >>> parents_in("T2: T0 T1; T3: T2")
    {'T2': ['T0', 'T1'], 'T0': [], 'T1': [], 'T3': ['T2']}
    """
    found: dict[str, list[str]] = {}
    for line in graph.split("; "):
        tensor, parents = line.split(": ")
        found[tensor] = parents.split()
        for parent in found[tensor]:
            found.setdefault(parent, [])
    return found


@cache
def deep(n: int) -> str:
    """A chain of n steps, as text."""
    return told(((), *((i,) for i in range(n))))


def order_case(rng, trial):
    if trial == 6:
        return deep(20_000), "T20000"
    graph = [
        ((), (), (0, 1), (), (2, 3)),
        ((), (), (0, 1), (0, 0), (3, 2)),
        ((), (), (0, 1), (2,), (2, 3), (0,), (2, 5), (5, 6), (4, 7)),
        ((), *((i, i) for i in range(40))),
        random_graph(rng, 8),
        random_graph(rng, 13),
    ][trial]
    return told(graph), f"T{len(graph) - 1}"


def walked(answer, graph, root):
    """The names of the tensors that the answer lists, in a first call and in a second; or a word about what stopped it."""
    import sys

    class TooOften(BaseException):
        pass

    class Tensor:
        def __init__(self, name):
            self.name, self.data, self.send, self.grad = name, 1.0, None, None

        @property
        def parents(self):
            left[0] -= 1
            if left[0] < 0:
                raise TooOften
            return parents[self.name]

    tensors, parents, edges = {}, {}, 0
    for line in graph.split("; "):
        name, *others = line.replace(":", "").split()
        for other in (name, *others):
            if other not in tensors:
                tensors[other], parents[other] = Tensor(other), ()
        parents[name] = tuple(tensors[other] for other in others)
        edges += len(others)
    left = [100 * (len(tensors) + edges)]
    limit, raised, lists = sys.getrecursionlimit(), False, []
    try:
        for _ in range(2):
            found = answer(tensors[root])
            if not hasattr(found, "__iter__"):
                return None if found is None else "no list"
            lists.append([tensor.name if isinstance(tensor, Tensor) else "?" for tensor in found])
    except RecursionError:
        return "recursion"
    except TooOften:
        return "too often"
    finally:
        raised = sys.getrecursionlimit() != limit
        sys.setrecursionlimit(limit)
    return "limit" if raised else lists


def order_problem(got, graph, root):
    parents = parents_in(graph)
    if isinstance(got, str):
        return {
            "recursion": f"order stopped with a RecursionError, on a graph of {len(parents)} tensors.",
            "too often": f"order asked the {len(parents)} tensors for their parents more than a hundred times each, and was stopped.",
            "limit": "order changed Python's recursion limit.",
            "no list": "order did not return a list.",
        }[got]
    first, second = (list_problem(names, parents, root) for names in got)
    return first or (second and f"Called once more with the same root, order gave another answer: {second}")


def list_problem(names, parents, root):
    if "?" in names:
        return "the list holds something that is not a tensor of the graph."
    place = {name: i for i, name in enumerate(names)}
    if len(place) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        return f"{twice} is in the list {names.count(twice)} times; each tensor belongs there once."
    if root not in place:
        return f"the root, {root}, is not in the list."
    for name in names:
        for parent in parents[name]:
            if parent not in place:
                return f"{parent} is not in the list, and {name} was computed from it."
            if place[parent] < place[name]:
                return f"{parent} comes before {name}, which was computed from it."
    return None


def recursive(root):
    seen, found = set(), []

    def visit(tensor):
        if tensor not in seen:
            seen.add(tensor)
            for parent in tensor.parents:
                visit(parent)
            found.append(tensor)

    visit(root)
    return found[::-1]


def recursive_at_discovery(root):
    found = {}

    def visit(tensor):
        if tensor not in found:
            found[tensor] = True
            for parent in tensor.parents:
                visit(parent)

    visit(root)
    return list(found)


def with_the_limit_raised(root):
    sys.setrecursionlimit(100_000)
    return by_depth(root)


def by_depth(root):
    """A right one: a tensor is done when all of its parents are."""
    found, seen, stack = [], set(), [(root, False)]
    while stack:
        tensor, done = stack.pop()
        if done:
            found.append(tensor)
        elif tensor not in seen:
            seen.add(tensor)
            stack.append((tensor, True))
            stack += [(parent, False) for parent in tensor.parents]
    return found[::-1]


def at_discovery(root):
    found, stack = {}, [root]
    while stack:
        tensor = stack.pop()
        if tensor not in found:
            found[tensor] = True
            stack += tensor.parents[::-1]
    return list(found)


def in_layers(root):
    found, seen = [root], {root}
    for tensor in found:
        for parent in tensor.parents:
            if parent not in seen:
                seen.add(parent)
                found.append(parent)
    return found


def for_each_use(root):
    found = [root]
    for tensor in found:
        found += tensor.parents
    return found


def remembering_the_last_call(root, seen=set()):  # noqa: B006  the mistake itself
    before = set(seen)
    found = [tensor for tensor in by_depth(root) if tensor not in before]
    seen.update(found)
    return found


ORDER = Task(
    id="8.2",
    title="An order for the way back",
    points=3,
    difficulty=2,
    minutes=20,
    name="order",
    takes=("graph", "root"),
    draw=order_case,
    accept=order_problem,
    probe=walked,
    trials=7,
    misconceptions=[
        Misconception(
            "The small graphs are right. On a chain of 20,000 tensors a function that calls itself for each parent needs 20,000 "
            "calls inside each other, and Python stops at about 1,000. Keep a list of your own of what is waiting.",
            recursive,
        ),
        Misconception(
            "A higher recursion limit moves the wall and does not remove it; in many places the interpreter crashes before it gets "
            "there. Do without calls inside each other.",
            with_the_limit_raised,
        ),
        Misconception(
            "Two things. You noted each tensor when you first came across it, though somebody else who used it may be visited later. And the function calls "
            "itself, which ends at about 1,000 calls inside each other.",
            recursive_at_discovery,
        ),
        Misconception(
            "You noted each tensor when you first came across it. On L = u * v with v computed from u, u may be come across "
            "before v, and it has to wait for v: what v will send it has not arrived yet.",
            at_discovery,
        ),
        Misconception(
            "You went layer by layer, away from the root. When a short path and a long one lead to the same tensor, it is met on the short "
            "one, too early: its place is after all who used it, the longest path.",
            in_layers,
        ),
        Misconception(
            "A tensor was listed once for each use. In a graph that doubles at each step, t = t + t, that is a million million "
            "visits after forty steps; each tensor is due once, when all of its uses are.",
            for_each_use,
        ),
        Misconception(
            "That is the order of the forward pass, parents first. The way back begins at the root.",
            lambda root: by_depth(root)[::-1],
        ),
        Misconception(
            "The first call is right and the second finds nothing new: what you noted as seen outlives the call. Marks on the tensors do, and "
            "so does a default value, which is made once, when Python reads the `def`.",
            remembering_the_last_call,
        ),
        Misconception(
            "The leaves are missing. They send nothing on, but they are where the gradients are wanted.",
            lambda root: [tensor for tensor in by_depth(root) if tensor.parents],
        ),
        Misconception(
            "The root itself is missing. It is the first to be visited: the gradient starts there.",
            lambda root: by_depth(root)[1:],
        ),
    ],
)


# ---------------------------------------------------------------- 8.3 carrying the gradient back


class Traced:
    """An array that writes down each step: (value, the numbers of its parents, the local derivatives; None for 1)."""

    def __init__(self, diary: list, value, parents=(), factors=()) -> None:
        self.diary, self.value, self.number = diary, value, len(diary)
        diary.append((value, parents, factors))

    def __add__(self, other):
        return Traced(self.diary, self.value + other.value, (self.number, other.number), (None, None))

    def __mul__(self, other):
        return Traced(self.diary, self.value * other.value, (self.number, other.number), (other.value, self.value))


def back_from(graph, root: int) -> tuple[int, ...]:
    """The numbers of those that the root was computed from, itself first, the youngest first."""
    found = {root}
    for number in range(root, -1, -1):
        if number in found:
            found.update(graph[number][1])
    return tuple(sorted(found, reverse=True))


SWEEPS = [
    ("L = x * y", "L"),
    ("L = x * x + y", "L"),
    ("L = (x + y) + x", "L"),
    ("u = x * y; L = u * u", "L"),
    ("u = x * x; L = u * y", "L, L"),
    ("u = x + y; K = u * x; L = u * u", "K, L"),
    ("u = x + x; v = u * y; L = u * v + x", "L, L"),
]


def sweep_case(rng, trial):
    program, calls = SWEEPS[trial]
    shape = sizes(rng, 2)
    x, y = normal(rng, *shape), normal(rng, *shape)
    diary: list = []
    scope = {"x": Traced(diary, x), "y": Traced(diary, y)}
    exec(code(program), scope)
    orders = tuple(back_from(diary, scope[result].number) for result in calls.split(", "))
    return program, calls, upstream(rng, x), x, y, tuple(diary), orders


def swept_slopes(program, calls, G, x, y, graph, orders):
    """Two calls add up."""
    each = [slopes(program, result, G, x=x, y=y) for result in calls.split(", ")]
    return sum(found["x"] for found in each), sum(found["y"] for found in each), "its own"


def swept(answer, program, calls, G, x, y, graph, orders):
    """x.grad and y.grad after the calls, and with whom one of them shares its memory."""
    import numpy as np

    class Tensor:
        pass

    def sender(factors):
        return lambda g: tuple(g if factor is None else g * factor for factor in factors)

    tensors = []
    for value, parents, factors in graph:
        tensor = Tensor()
        tensor.data, tensor.grad, tensor.parents = value, None, tuple(tensors[i] for i in parents)
        tensor.send = sender(factors) if parents else None
        tensors.append(tensor)
    for order in orders:
        answer([tensors[i] for i in order], G)
    by_x, by_y = (tensor.grad for tensor in tensors[:2])
    shared = [
        whose
        for whose, *pair in (("also y.grad's", by_x, by_y), ("also G's", by_x, G), ("also G's", by_y, G))
        if all(isinstance(g, np.ndarray) for g in pair) and np.shares_memory(*pair)
    ]
    return (*("still None" if g is None else g for g in (by_x, by_y)), (*shared, "its own")[0])


def keep(leaf, g):
    leaf.grad = g.copy() if leaf.grad is None else leaf.grad + g


def sweeping(
    receive: Callable = lambda waiting, parent, c: waiting.__setitem__(
        parent, waiting[parent] + c if parent in waiting else c
    ),
    keep: Callable = keep,
    seed: Callable = lambda G: G,
    edges: Callable = lambda parents, sent: zip(parents, sent, strict=True),
):
    """A sweep that does it in this way."""

    def backward(nodes, G):
        waiting = {nodes[0]: seed(G)}
        for node in nodes:
            if not node.parents:
                keep(node, waiting[node])
                continue
            for parent, contribution in edges(node.parents, node.send(waiting[node])):
                receive(waiting, parent, contribution)

    return backward


def in_place(waiting, parent, contribution):
    if parent in waiting:
        waiting[parent] += contribution
    else:
        waiting[parent] = contribution


def at_once(nodes, G):
    totals, arrived = {}, [(nodes[0], G)]
    for node, g in arrived:
        totals[node] = totals[node] + g if node in totals else g
        if node.parents:
            arrived += zip(node.parents, node.send(totals[node]), strict=True)
    for node in nodes:
        if not node.parents:
            keep(node, totals[node])


def on_the_nodes(nodes, G):
    nodes[0].grad = G.copy()
    for node in nodes:
        if node.parents:
            for parent, contribution in zip(node.parents, node.send(node.grad), strict=True):
                keep(parent, contribution)


def lent(leaf, g):
    leaf.grad = g if leaf.grad is None else leaf.grad + g


SWEEP = Task(
    id="8.3",
    title="The gradient carried back",
    points=3,
    difficulty=2,
    minutes=20,
    name="backward",
    takes=("program", "backward from", "G", "x", "y"),
    draw=sweep_case,
    expect=swept_slopes,
    probe=swept,
    trials=len(SWEEPS),
    returns=("x.grad", "y.grad", "the memory of a leaf's gradient"),
    source="finite differences give",
    misconceptions=[
        Misconception(
            "On x * x + y the second contribution to x replaced the first. A tensor that is used twice gets the sum of what its uses "
            "send: add, never overwrite.",
            sweeping(receive=dict.__setitem__),
        ),
        Misconception(
            "On x * x + y the first contribution to x was kept and the second thrown away. Every edge counts, also the ones that come "
            "when somebody was there before.",
            sweeping(receive=lambda waiting, parent, c: waiting.setdefault(parent, c)),
        ),
        Misconception(
            "On x * x one of the two contributions was lost, where both came from the same product. Each use of a parent is an edge of its own: count "
            "edges, not circles.",
            sweeping(edges=lambda parents, sent: dict(zip(parents, sent, strict=True)).items()),
        ),
        Misconception(
            "On u * u the tensor u was visited once for each use, and what it had received first was sent on twice. Visit it once, when all of it has "
            "arrived: that is what the order of `nodes` is for.",
            at_once,
        ),
        Misconception(
            "The first call is right and the second is not, on u = x * x; L = u * y. What u received in the first call was still with it in the second "
            "and went back again. Only leaves keep anything from call to call.",
            on_the_nodes,
        ),
        Misconception(
            "The second call threw away what the leaves had from the first. A leaf goes on accumulating until somebody sets its gradient to "
            "None.",
            sweeping(keep=lambda leaf, g: setattr(leaf, "grad", g.copy())),
        ),
        Misconception(
            "On (x + y) + x your sum at x went into an array that was not yours. An addition sends one array to both of its parents; whoever "
            "adds to it in place changes it for the other as well.",
            sweeping(receive=in_place),
        ),
        Misconception(
            "The numbers are right, but a leaf's gradient is an array that somebody else holds too: after L = (x + y) + x, a change of one would "
            "change the other. Give every leaf an array of its own.",
            sweeping(keep=lent),
        ),
        Misconception(
            "You started from ones. The gradient at the end of this graph is G, which may be what a larger graph sends.",
            sweeping(seed=np.ones_like),
        ),
    ],
)


# ---------------------------------------------------------------- 8.4 any operation, from its rules

TABLE = [
    ("a * b", ("g * b", "g * a"), "x, z"),
    ("np.tanh(a)", ("g * (1 - y**2)",), "x"),
    ("a @ b", ("g @ b.T", "a.T @ g"), "x, z"),
    ("a * b - c", ("g * b", "g * a", "-g"), "x, z, w"),
    ("a[::-1] - b", ("g[::-1]", "-g"), "x, z"),
    ("a * b", ("g * b", "g * a"), "x, x"),
]


def apply_case(rng, trial):
    forward, rules, tensors = TABLE[trial]
    n, k, m = sizes(rng, 3)
    shapes = [(n, k), (k, m)] if "@" in forward else [(n, k)] * len(rules)
    values = [normal(rng, *shape) for shape in shapes]
    if tensors == "x, x":
        values[1] = values[0]
    return forward, rules, tensors, upstream(rng, of_arrays(forward, values)), values


def of_arrays(forward, values):
    return eval(forward, {"np": np} | dict(zip("abc", values, strict=False)))


def applied_slopes(forward, rules, tensors, G, values):
    sent = tuple(pulled_back(lambda *x: of_arrays(forward, x), G, tuple(values), i) for i in range(len(values)))
    return of_arrays(forward, values), tensors.split(", "), sent


def applied(answer, forward, rules, tensors, G, values):
    """The result's data, its parents' names, and what it sends them after the operands got new data and another result was made."""
    import numpy as np

    class Tensor:
        def __init__(self, data):
            self.data, self.parents, self.send, self.grad = data, (), None, None

    letters = ", ".join("abc"[: len(values)])
    scope = {"np": np}
    of_operands = eval(f"lambda {letters}: {forward}", scope)
    pieces = tuple(eval(f"lambda g, y, {letters}: {rule}", scope) for rule in rules)
    for piece in pieces:
        piece.__qualname__ = "rule"
    names = tensors.split(", ")
    leaves = {name: Tensor(value) for name, value in zip(names, values, strict=True)}
    result = answer(of_operands, pieces, *(leaves[name] for name in names))
    if not hasattr(result, "send"):
        raise TypeError(f"the result is a {type(result).__name__}; it should be a Node with data, parents and send")
    named = {id(leaf): name for name, leaf in leaves.items()}
    data, parents = result.data, [named.get(id(p), type(p).__name__) for p in result.parents]
    for leaf in leaves.values():
        leaf.data = leaf.data + 1.0
    answer(lambda a: -a, (lambda g, y, a: -g,), Tensor(G))
    sent = result.send(G)
    if isinstance(sent, np.ndarray):
        raise TypeError("send returned an array; it should return a tuple, one contribution for each parent")
    return data, parents, None if sent is None else tuple(sent)


def applying(send: Callable, parents: Callable = lambda operands: operands):
    """An apply whose results send in this way: send(rules, y, values, operands) makes the function of g."""

    def apply(forward, rules, *operands):
        values = [x.data for x in operands]
        y = forward(*values)
        return Node(y, parents(operands), send(rules, y, values, operands))

    return apply


def late_rules(rules, y, values, operands):
    senders = []
    for rule in rules:
        senders.append(lambda g: rule(g, y, *values))  # noqa: B023  the mistake itself
    return lambda g: tuple(send(g) for send in senders)


def asked_once(rules, y, values, operands):
    local = [rule(np.ones_like(y), y, *values) for rule in rules]
    return lambda g: tuple(g * d for d in local)


def sent_by(rules, y, values, operands):
    return lambda g: tuple(rule(g, y, *values) for rule in rules)


APPLY = Task(
    id="8.4",
    title="Operations from rules",
    points=2,
    difficulty=2,
    minutes=15,
    name="apply",
    takes=("forward", "rules", "tensors", "G", "values"),
    draw=apply_case,
    expect=applied_slopes,
    probe=applied,
    trials=len(TABLE),
    returns=("the result's data", "the result's parents", "what send(G) returned"),
    misconceptions=[
        Misconception(
            "On a * b all parents were sent what the last rule gives. A function made in a loop looks up `rule` when it is called, and by then the loop has "
            "reached the end.",
            applying(late_rules),
        ),
        Misconception(
            "You asked each rule once, with ones for g, and multiplied later. That is right where every element goes its own way; on a[::-1] - b, "
            "which moves the elements, g has to go through the rule itself.",
            applying(asked_once),
        ),
        Misconception(
            "The rules were asked with ones instead of g: those are the local derivatives. What arrives from above must go into the rule.",
            applying(lambda rules, y, values, operands: lambda g: tuple(r(np.ones_like(y), y, *values) for r in rules)),
        ),
        Misconception(
            "Between the two passes x got new data, as after a step of training, and your rules saw the new data. The slope was asked for where the forward pass "
            "was: keep the arrays of that moment.",
            applying(
                lambda rules, y, values, operands: lambda g: tuple(r(g, y, *(x.data for x in operands)) for r in rules)
            ),
        ),
        Misconception(
            "On a * b with x for both, x became one parent. Every operand has a rule, and so a place among the parents, also when the same tensor "
            "comes twice.",
            applying(sent_by, lambda operands: tuple(dict.fromkeys(operands))),
        ),
        Misconception(
            "The contributions come out in the opposite order. The first belongs to the first parent.",
            applying(
                lambda rules, y, values, operands: lambda g: tuple(r(g, y, *values) for r in rules)[::-1],
            ),
        ),
    ],
)


# ---------------------------------------------------------------- 8.5 and 8.6 more operations, and shapes that differ


def one_step(answer, expression, G, a, b):
    """The result's data, and the sum of what it sends to a, and to b."""
    import numpy as np

    leaves = {"a": answer(a, (), None), "b": answer(b, (), None)}
    result = eval(expression, dict(leaves))
    if not hasattr(result, "send"):
        raise TypeError(
            f"{expression} gave a {type(result).__name__}; it should be a tensor with data, parents and send"
        )
    sent = result.send(G)
    if isinstance(sent, np.ndarray):
        raise TypeError("send returned an array; it should return a tuple, one contribution for each parent")
    if sent is None or len(sent) != len(result.parents):
        came = "nothing" if sent is None else f"{len(sent)} contributions"
        raise TypeError(f"on {expression} send returned {came} for {len(result.parents)} parents")
    total = {"a": "nothing", "b": "nothing"}
    for parent, contribution in zip(result.parents, sent, strict=True):
        for name, leaf in leaves.items():
            if parent is leaf:
                total[name] = contribution if isinstance(total[name], str) else total[name] + contribution
    return result.data, total["a"], total["b"]


def step_slopes(expression, G, a, b):
    found = slopes(f"y = {expression}", "y", G, a=a, b=b)
    return computed(f"y = {expression}", "y", a=a, b=b), found["a"], found["b"] if "b" in expression else "nothing"


MORE = ["a - b", "a @ b", "a.tanh()", "a.mean()", "a - a"]


def more_case(rng, trial):
    n, k, m = sizes(rng, 3)
    a, b = normal(rng, n, k), normal(rng, *((k, m) if MORE[trial] == "a @ b" else (n, k)))
    return MORE[trial], upstream(rng, computed(f"y = {MORE[trial]}", "y", a=a, b=b)), a, b


def matrix_squares(rng):
    return "a @ b", normal(rng, 3, 3), normal(rng, 3, 3), normal(rng, 3, 3)


RULES = {
    "sub": lambda g, y, a, b: (g, -g),
    "matmul": lambda g, y, a, b: (g @ b.T, a.T @ g),
    "tanh": lambda g, y, a: (g * (1 - y**2),),
    "mean": lambda g, y, a: (np.full_like(a, g / a.size),),
}


def more(**rules):
    """A class with these rules in the place of the right ones."""
    rules = RULES | rules

    class More(Node):
        def made(self, rule, data, *operands):
            values = [x.data for x in operands]
            return More(data, operands, lambda g: rule(g, data, *values))

        def __sub__(self, other):
            return self.made(rules["sub"], self.data - other.data, self, other)

        def __matmul__(self, other):
            return self.made(rules["matmul"], self.data @ other.data, self, other)

        def tanh(self):
            return self.made(rules["tanh"], np.tanh(self.data), self)

        def mean(self):
            return self.made(rules["mean"], self.data.mean(), self)

    return More


OPERATIONS = Task(
    id="8.5",
    title="Four more operations",
    points=3,
    difficulty=2,
    minutes=20,
    name="More",
    takes=("expression", "G", "a", "b"),
    draw=more_case,
    expect=step_slopes,
    probe=one_step,
    trials=len(MORE),
    square=matrix_squares,
    returns=("the result's data", "what a is sent", "what b is sent"),
    misconceptions=[
        Misconception(
            "On a - b both operands are sent the same. Raising b lowers the difference, so what b is sent has the other sign.",
            more(sub=lambda g, y, a, b: (g, g)),
        ),
        Misconception(
            "On a - b the signs are the wrong way round: it is b, the one taken away, that pulls the result down.",
            more(sub=lambda g, y, a, b: (-g, g)),
        ),
        Misconception(
            "On a @ b the transposes are missing; square matrices would hide it. Write down the shapes: on the way back a matrix is crossed from the other side.",
            more(matmul=lambda g, y, a, b: (g @ b, a @ g)),
        ),
        Misconception(
            "On a @ b the factors stand in the wrong order. The axis that a and b share must not be summed over; the one that comes from g must.",
            more(matmul=lambda g, y, a, b: (b.T @ g, g @ a.T)),
        ),
        Misconception(
            "On a.tanh() the slope was taken from a, where the result of the forward pass belongs. It lies between -1 and 1, and so its slope is never negative.",
            more(tanh=lambda g, y, a: (g * (1 - a**2),)),
        ),
        Misconception(
            "On a.tanh() you used the slope of the sigmoid. The two are relatives; the hyperbolic tangent is steeper, 1 in the middle.",
            more(tanh=lambda g, y, a: (g * y * (1 - y),)),
        ),
        Misconception(
            "On a.mean() every element was sent all of g, as from a sum. Each of them moves the mean by its share only.",
            more(mean=lambda g, y, a: (np.full_like(a, g),)),
        ),
        Misconception(
            "On a.mean() the share is right, but it is one number. A gradient has the shape of its tensor, so every element of a needs its share.",
            more(mean=lambda g, y, a: (g / a.size,)),
        ),
        Misconception(
            "On a.mean() you divided by the number of rows. Divide by the number of elements that were averaged, here all of them.",
            more(mean=lambda g, y, a: (np.full_like(a, g / len(a)),)),
        ),
    ],
)

STRETCHED = [
    ("a + b", "nk", "k"),
    ("a * b", "n1", "nk"),
    ("a * b", "n1", "1k"),
    ("b + a", "mnk", "n1"),
    ("a * b", "", "nk"),
    ("2.5 * a", "nk", ""),
    ("a + 3", "nk", ""),
    ("a * a", "nk", ""),
]


def stretched_case(rng, trial):
    expression, *letters = STRETCHED[trial]
    n, k, m = sizes(rng, 3)
    shapes = [tuple({"n": n, "k": k, "m": m, "1": 1}[letter] for letter in word) for word in letters]
    a, b = (normal(rng, *shape) for shape in shapes)
    return expression, upstream(rng, computed(f"y = {expression}", "y", a=a, b=b)), a, b


def unstretched(c, shape):
    """The sum over all copies of an element."""
    if c.shape == shape:
        return c
    lead = c.ndim - len(shape)
    axes = tuple(i for i in range(c.ndim) if i < lead or shape[i - lead] != c.shape[i])
    return c.sum(axis=axes, keepdims=True).reshape(shape)


def leading_axes(c, shape):
    return c.sum(axis=tuple(range(c.ndim - len(shape))))


def axes_lost(c, shape):
    lead = c.ndim - len(shape)
    return c.sum(axis=tuple(i for i in range(c.ndim) if i < lead or shape[i - lead] != c.shape[i]))


def first_copy(c, shape):
    c = c[(0,) * (c.ndim - len(shape))]
    return c[tuple(slice(0, 1) if n == 1 else slice(None) for n in shape)]


def averaged(c, shape):
    total = unstretched(c, shape)
    return total / (c.size / total.size)


def stretching(undo: Callable, other: Callable = unstretched, early: bool = False):
    """A class that undoes broadcasting in this way, for the left operand; for the right one by `other`."""

    class Stretched(Node):
        def made(self, right, data, local):
            right = right if isinstance(right, Stretched) else Stretched(right, (), None)
            shapes = self.data.shape, right.data.shape

            def send(g):
                factors = local(self.data, right.data)
                if early:
                    return tuple(undo(undo(g, shape) * f, shape) for shape, f in zip(shapes, factors, strict=True))
                first, second = (np.asarray(g * f) for f in factors)
                return undo(first, shapes[0]), other(second, shapes[1])

            return Stretched(data(self.data, right.data), (self, right), send)

        def __add__(self, right):
            return self.made(right, np.add, lambda a, b: (1.0, 1.0))

        def __mul__(self, right):
            return self.made(right, np.multiply, lambda a, b: (b, a))

        __radd__, __rmul__ = __add__, __mul__

    return Stretched


BROADCASTING = Task(
    id="8.6",
    title="Shapes that differ",
    points=3,
    difficulty=3,
    minutes=25,
    name="Stretched",
    takes=("expression", "G", "a", "b"),
    draw=stretched_case,
    expect=step_slopes,
    probe=one_step,
    trials=len(STRETCHED),
    returns=("the result's data", "what a is sent", "what b is sent"),
    misconceptions=[
        Misconception(
            lambda expression, G, a, b: (
                f"On {expression}, shapes {a.shape} and {b.shape}, the contributions have the result's shape, {G.shape}. Broadcasting copied an operand; "
                "every copy sends something back, and the parts are added."
            ),
            stretching(lambda c, shape: c, lambda c, shape: c),
        ),
        Misconception(
            "The axes that broadcasting put in front are summed, and an axis of size 1 is not. It was stretched as well, as in a column (3, 1) "
            "that meets (3, 5).",
            stretching(leading_axes, leading_axes),
        ),
        Misconception(
            "The sums are right, but a column (3, 1) got a gradient of shape (3,). An axis of size 1 is an axis: put it back.",
            stretching(axes_lost, axes_lost),
        ),
        Misconception(
            "You averaged over the copies. Each of them reaches the loss, so their contributions are added.",
            stretching(averaged, averaged),
        ),
        Misconception(
            "You sent back what one of the copies gets. All of them reach the loss: add them up.",
            stretching(first_copy, first_copy),
        ),
        Misconception(
            "The right operand's contribution is fine; the left one's still has the result's shape. Either of the two may have been the small one.",
            stretching(lambda c, shape: c),
        ),
        Misconception(
            "The left operand's contribution is fine; the right one's still has the result's shape. Either of the two may have been stretched.",
            stretching(unstretched, lambda c, shape: c),
        ),
        Misconception(
            "On a * b you summed G first and multiplied by the other factor afterwards. Each copy met another number: multiply copy by copy, then "
            "sum.",
            stretching(unstretched, early=True),
        ),
    ],
)


# ---------------------------------------------------------------- 8.7 gone at once


def exp_case(rng, trial):
    x = normal(rng, *sizes(rng, 2))
    return upstream(rng, x), x


def let_go(answer, G, x):
    """The result's data, what it sends, and when it is gone after nobody wants it any more."""
    import gc
    import weakref

    import numpy as np

    class Tensor:
        def __init__(self, data):
            self.data, self.parents, self.send, self.grad = data, (), None, None

    leaf = Tensor(x)
    collecting = gc.isenabled()
    gc.disable()
    try:
        result = answer(leaf)
        if not hasattr(result, "send"):
            raise TypeError(f"the result is a {type(result).__name__}; it should be a Node with data, parents and send")
        watch, data, sent = weakref.ref(result), np.array(result.data), result.send(G)
        if isinstance(sent, np.ndarray) or sent is None or len(sent) != 1:
            raise TypeError("send should return a tuple with one contribution, since there is one parent")
        contribution = sent[0]
        del result, sent
        when = "at once"
        if watch() is not None:
            gc.collect(0)
            when = "when the garbage collector comes" if watch() is None else "never"
    finally:
        if collecting:
            gc.enable()
    return data, contribution, when


def exp_of(send: Callable, after: Callable = lambda x, result: None):
    """An exponential whose result sends in this way: send(g, x, result)."""

    def exp(x):
        result = Node(np.exp(x.data), (x,), None)
        result.send = lambda g: (send(g, x.data, result),)
        after(x, result)
        return result

    return exp


def loose_exp(local: Callable, after: Callable = lambda x, result: None):
    """One without a cycle, with the local derivative local(x, y)."""

    def exp(x):
        a, y = x.data, np.exp(x.data)
        result = Node(y, (x,), lambda g: (local(g, a, y),))
        after(x, result)
        return result

    return exp


def noted_at_the_parent(x, result):
    x.children = [*getattr(x, "children", ()), result]


EXP = Task(
    id="8.7",
    title="Gone at once",
    points=2,
    difficulty=3,
    minutes=15,
    name="exp",
    takes=("G", "x"),
    draw=exp_case,
    expect=lambda G, x: (np.exp(x), pulled_back(np.exp, G, (x,), 0), "at once"),
    probe=let_go,
    trials=3,
    returns=("the result's data", "what x is sent", "the moment at which a forgotten result is freed"),
    misconceptions=[
        Misconception(
            "The numbers are right, and y = exp(x) outlives its last user. Its send holds y, and y holds its send: a circle of two, each kept alive "
            "by the other. A function needs the numbers only, not the tensor.",
            exp_of(lambda g, x, y: g * y.data),
        ),
        Misconception(
            "The numbers are right, and yet somebody older than y = exp(x) still holds it. Children know their parents; when parents know "
            "their children too, or a list knows everybody, nothing is ever forgotten.",
            loose_exp(lambda g, x, y: g * y, noted_at_the_parent),
        ),
        Misconception(
            "You brought the exponent down, as for a power. In a power the base moves; here the exponent does.",
            loose_exp(lambda g, x, y: g * x * np.exp(x - 1)),
        ),
        Misconception(
            "You passed g on as it came. The exponential is steep where it is large, and that is its slope.",
            loose_exp(lambda g, x, y: g),
        ),
        Misconception(
            "The local derivative is right. g, from above, still has to multiply it.", loose_exp(lambda g, x, y: y)
        ),
    ],
)


# ---------------------------------------------------------------- 8.8 the whole engine

LEAVES = ("x", "y", "W", "b", "c", "s")

PROGRAMS = [
    ("L = (x * y).mean()", "L"),
    ("L = (x * x + x).mean()", "L"),
    ("u = (x @ W + b).tanh(); L = (u * u).mean()", "L"),
    ("L = (c * x + y).mean()", "L"),
    ("L = (1 - 2 * x - y).mean()", "L"),
    ("L = ((s - x) * c - y).mean()", "L"),
    ("L = s * s + s", "L"),
    ("L = s", "L"),
    ("L = ((x + y) + x).mean() + s", "L"),
    ("u = x * y; v = u + x; L = (u * v).mean()", "L"),
    ("u = x * x; L = (u * y).mean()", "L, L"),
    ("u = x.tanh(); K = u.mean(); L = (u * y).mean()", "K, L"),
    ("L = (x * y * y).mean()", "L, zero, L"),
]


def random_program(rng) -> str:
    """Each line uses the one before, and nothing is subtracted, which some do in two steps: the way back is the same for everybody."""
    lines, last = [], "x"
    for name in "uvw":
        other = str(rng.choice(["x", "y", "c", "s", "0.5", *(line[0] for line in lines)]))
        left, right = (last, other) if rng.random() < 0.5 else (other, last)
        step = f"{left} {rng.choice(['+', '*'])} {right}" if rng.random() < 0.8 else f"{last}.tanh()"
        lines.append(f"{name} = {step}")
        last = name
    return "; ".join([*lines, "L = w.mean()"])


def engine_case(rng, trial):
    program, calls = PROGRAMS[trial] if trial < len(PROGRAMS) else (random_program(rng), "L")
    n, k, m = sizes(rng, 3)
    shapes = (n, k), (n, k), (k, m), (m,), (n, 1), ()
    return (program, calls, *(normal(rng, *shape) for shape in shapes))


def used_in(program: str) -> list[str]:
    return [name for name in LEAVES if name in code(program).co_names]


def engine_slopes(program, calls, *values):
    """Each backward() adds the gradient of its result; zero_grad() begins anew."""
    used = used_in(program)
    arrays = {name: x for name, x in zip(LEAVES, values, strict=True) if name in used}
    total = dict.fromkeys(arrays, 0)
    for call in calls.split(", "):
        if call == "zero":
            total = dict.fromkeys(arrays, 0)
        else:
            found = slopes(program, call, np.array(1.0), **arrays)
            total = {name: total[name] + found[name] for name in arrays}
    gradients = (np.asarray(total[name]) if name in used else None for name in LEAVES)
    return (np.asarray(computed(program, "L", **arrays)), *gradients)


def engine_run(answer, program, calls, x, y, W, b, c, s):
    """The value of L, and the gradients of the leaves that the program names; after that the leaves' data are changed in place."""
    import numpy as np

    values = {"x": x, "y": y, "W": W, "b": b, "c": c, "s": s}
    compiled = compile(program, "<program>", "exec")
    leaves = {name: answer(value) for name, value in values.items() if name in compiled.co_names}
    scope = dict(leaves)
    exec(compiled, scope)
    try:
        for call in calls.split(", "):
            if call == "zero":
                for leaf in leaves.values():
                    leaf.zero_grad()
            else:
                scope[call].backward()
    except RecursionError:
        return ("a RecursionError",) * 7
    gradients = {name: "still None" if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}
    found = (np.array(scope["L"].data), *map(gradients.get, values))
    for leaf in leaves.values():
        if isinstance(leaf.data, np.ndarray):
            leaf.data += 1
    return found


CHAIN = "L = s\nfor _ in range(2_000): L = L + s"
TWO = np.full((2, 2), 2.0)


def engine(flaw: str = ""):
    """An engine; with the name of a flaw, one that has it."""

    class Tensor:
        def __init__(self, data, parents=(), send=None):
            copied = np.asarray if flaw == "borrowed" else np.array
            self.data, self.parents, self.send, self.grad = copied(data, dtype=float), parents, send, None

        def made(self, data, rule, *operands):
            arrays = [x.data for x in operands]

            def send(g):
                sent = zip(operands, rule(g, data, *arrays), strict=True)
                return [(x, undo(np.asarray(d), x.data.shape)) for x, d in sent]

            undo = {"copies": lambda d, shape: d, "leading": leading_axes}.get(flaw, unstretched)
            return Tensor(data, operands, send)

        def pair(self, other, f, rule):
            other = other if isinstance(other, Tensor) else Tensor(other)
            return self.made(f(self.data, other.data), rule, self, other)

        def __add__(self, other):
            return self.pair(other, np.add, lambda g, y, a, b: (g, g))

        def __sub__(self, other):
            return self.pair(other, np.subtract, RULES["sub"])

        def __mul__(self, other):
            return self.pair(other, np.multiply, lambda g, y, a, b: (g * b, g * a))

        def __matmul__(self, other):
            return self.pair(other, np.matmul, RULES["matmul"])

        __radd__, __rmul__ = __add__, __mul__

        def __rsub__(self, other):
            return self - other if flaw == "reflected" else Tensor(other) - self

        def tanh(self):
            slope = {"tanh": lambda g, y, a: (g * (1 - a**2),)}.get(flaw, RULES["tanh"])
            return self.made(np.tanh(self.data), slope, self)

        def mean(self):
            share = {"mean": lambda g, y, a: (np.full_like(a, np.sum(g)),)}.get(
                flaw, lambda g, y, a: (g * np.full_like(a, 1 / a.size),)
            )
            return self.made(self.data.mean(), share, self)

        def zero_grad(self):
            self.grad = self.grad if flaw == "zero" else None

        def backward(self):
            one = np.ones(1) if flaw == "seed" else np.ones(self.data.shape)
            if flaw == "revisit":
                return self.revisit(one)
            if flaw == "stale":
                return self.stale(one)
            find = {"recursion": recursive, "layers": in_layers}.get(flaw, by_depth)
            waiting = {self: one}
            for node in find(self):
                g = waiting[node]
                if node.send is None:
                    fresh = node.grad is None or flaw in ("forgetful", "assign")
                    node.grad = g + 0.0 if fresh else node.grad + g
                    continue
                for parent, d in node.send(g):
                    if parent not in waiting or flaw in ("overwrite", "assign"):
                        waiting[parent] = d
                    elif flaw == "alias":
                        waiting[parent] += d
                    else:
                        waiting[parent] = waiting[parent] + d
            return None

        def revisit(self, one):
            totals, arrived = {}, [(self, one)]
            for node, g in arrived:
                totals[node] = totals[node] + g if node in totals else g
                if node.send:
                    arrived += node.send(totals[node])
            for leaf, g in totals.items():
                if leaf.send is None:
                    keep(leaf, g)

        def stale(self, one):
            self.grad = one
            for node in by_depth(self):
                for parent, d in node.send(node.grad) if node.send else ():
                    keep(parent, d)

    if flaw == "loop":
        rules = {
            "__add__": (np.add, lambda g, y, a, b: (g, g)),
            "__sub__": (np.subtract, RULES["sub"]),
            "__mul__": (np.multiply, lambda g, y, a, b: (g * b, g * a)),
        }
        for name, (f, rule) in rules.items():
            setattr(Tensor, name, lambda self, other: self.pair(other, f, rule))  # noqa: B023  the mistake itself
        Tensor.__radd__ = Tensor.__rmul__ = Tensor.__mul__
    return Tensor


ENGINE = Task(
    id="8.8",
    title="The whole engine",
    points=6,
    difficulty=3,
    minutes=60,
    name="Tensor",
    takes=("program", "backward from", *LEAVES),
    draw=engine_case,
    expect=engine_slopes,
    probe=engine_run,
    trials=len(PROGRAMS) + 4,
    fixed=[
        (
            (CHAIN, "L", TWO, TWO, TWO, TWO[0], TWO[:, :1], np.array(2.0)),
            (np.array(4_002.0), None, None, None, None, None, np.array(2_001.0)),
        )
    ],
    returns=("the value of L", *(f"{name}.grad" for name in LEAVES)),
    misconceptions=[
        Misconception(
            "On x * x + x a later contribution to x replaced an earlier one. What comes from several uses is added up.",
            engine("overwrite"),
        ),
        Misconception(
            "Wherever a gradient comes to a tensor that has one, yours takes its place: on x * x + x, and in a second backward(). Both times it "
            "should be added.",
            engine("assign"),
        ),
        Misconception(
            "On u * v, with v computed from u, u was visited each time something arrived, and what had arrived before was sent on again. Once each, when "
            "everything is there.",
            engine("revisit"),
        ),
        Misconception(
            "On u * v, with v = u + x, u was visited before v, and what v sent it was never passed on. A tensor's turn comes after everybody who used it, "
            "not after the first.",
            engine("layers"),
        ),
        Misconception(
            "One backward() is right, and a second that goes through the same u is not: u still held what the first had sent. What is not a leaf starts "
            "from nothing in each call.",
            engine("stale"),
        ),
        Misconception(
            "A second backward() replaced what the leaves had. They accumulate from call to call, and forget in zero_grad().",
            engine("forgetful"),
        ),
        Misconception("After zero_grad() the old gradient is still in the sum. It should begin anew.", engine("zero")),
        Misconception(
            "On a loop of 2,000 additions the way back called itself 2,000 times, one inside the other, and Python stops at about 1,000. Walk along "
            "a list instead.",
            engine("recursion"),
        ),
        Misconception(
            "On (x + y) + x a sum was made in place, in an array that the other parent of the addition had been given too. Add into an array "
            "of your own.",
            engine("alias"),
        ),
        Misconception(
            "backward() on s itself, a tensor without axes, left a gradient of shape (1,). The seed has the shape of what backward() was called on.",
            engine("seed"),
        ),
        Misconception(
            "On x @ W + b and on c * x a gradient has the result's shape, not its tensor's. Broadcasting copied b and c; the copies' contributions are to be summed.",
            engine("copies"),
        ),
        Misconception(
            "The row b of x @ W + b is right and the column c of c * x is not: an axis of size 1 that was stretched is to be summed too.",
            engine("leading"),
        ),
        Misconception(
            "1 - x came out as x - 1. When the number stands on the left Python calls the reflected method, and for a difference the order "
            "matters.",
            engine("reflected"),
        ),
        Misconception(
            "x + y and x - y came out as products. Methods made in a loop all look up the loop's variables when they are called, and find the last ones there.",
            engine("loop"),
        ),
        Misconception(
            "On tanh() the slope was computed from the input. It is written in the output, which lies between -1 and 1.",
            engine("tanh"),
        ),
        Misconception(
            "The gradients are right. But a tensor keeps the caller's own array, and a step made in place, as in `x.data -= 0.1 * x.grad`, changes the "
            "caller's numbers. Copy what you are given.",
            engine("borrowed"),
        ),
        Misconception(
            "On mean() the gradient is that of a sum: each element's share in the average is missing.", engine("mean")
        ),
    ],
)


# ---------------------------------------------------------------- 8.9 XOR

SQUARE = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = np.array([[0.0], [1.0], [1.0], [0.0]])


def training_case(rng, trial):
    n, d, h = sizes(rng, 3)
    X, Y, k = (SQUARE, XOR, 1) if trial in (0, 3) else (normal(rng, n, d), normal(rng, n, 2), 2)
    if trial in (0, 3):
        d, h = 2, 3
    weights = [normal(rng, d, h), normal(rng, h) / 2, normal(rng, h, k), normal(rng, k) / 2]
    return X, Y, weights, float(rng.uniform(0.05, 0.2)), [3, 7, 0, 60][trial]


def descended(X, Y, weights, rate, steps, **changes):
    """The same in closed form, without an engine; `changes` are the mistakes."""
    w = [x.copy() for x in weights]
    piled = [0 * x for x in w]
    before = w

    def forward(W, b, V, c):
        H = X @ W + b
        H = H if changes.get("straight") else np.tanh(H)
        return H, H @ V + c

    for _ in range(steps):
        W, b, V, c = weights if changes.get("once") else w
        H, P = forward(W, b, V, c)
        G = np.ones_like(P) / P.size if changes.get("unsquared") else 2 * (P - Y) / P.size
        back = (G @ V.T) * (1 if changes.get("straight") else 1 - H**2)
        gradients = [X.T @ back, back.sum(0), H.T @ G, G.sum(0)]
        if changes.get("piled"):
            gradients = piled = [p + g for p, g in zip(piled, gradients, strict=True)]
        if changes.get("weights_only"):
            gradients = [g if g.ndim == 2 else 0 * g for g in gradients]
        before = w
        step = -rate if changes.get("uphill") else rate
        w = [x - step * g for x, g in zip(w, gradients, strict=True)]
    return forward(*(before if changes.get("early") else w))[1], w


def trained(answer, X, Y, weights, rate, steps):
    """What comes out, with an engine that knows no rules and no graph's order: it nudges every number and computes again."""
    import numpy as np

    class Tensor:
        __array_ufunc__ = None  # array @ tensor is refused in plain words

        def __init__(self, data, recompute=None, operands=()):
            self.data, self.grad, self.recompute = np.array(data, dtype=float), None, recompute
            self.operands = [(x, x.data.copy()) for x in operands]

        def made(self, f, *others):
            operands = (self, *(x if isinstance(x, Tensor) else Tensor(x) for x in others))
            return Tensor(f(*(x.data for x in operands)), f, operands)

        __add__ = __radd__ = lambda self, other: self.made(lambda a, b: a + b, other)
        __sub__ = lambda self, other: self.made(lambda a, b: a - b, other)
        __rsub__ = lambda self, other: self.made(lambda a, b: b - a, other)
        __mul__ = __rmul__ = lambda self, other: self.made(lambda a, b: a * b, other)
        __matmul__ = lambda self, other: self.made(lambda a, b: a @ b, other)
        tanh = lambda self: self.made(np.tanh)
        mean = lambda self: self.made(np.mean)

        def leaves(self):
            found = {}
            for x, data in self.operands:
                found.update(x.leaves() if x.recompute else {x: data})
            return found

        def again(self, at):
            return self.recompute(*(x.again(at) if x.recompute else at[x] for x, _ in self.operands))

        def backward(self):
            at = self.leaves()
            for leaf, data in at.items():
                slope = np.zeros_like(data)
                for i in np.ndindex(data.shape):
                    middle = data[i]
                    data[i] = middle + 1e-6
                    above = self.again(at)
                    data[i] = middle - 1e-6
                    slope[i] = (above - self.again(at)) / 2e-6
                    data[i] = middle
                leaf.grad = slope if leaf.grad is None else leaf.grad + slope

        def zero_grad(self):
            self.grad = None

    return answer(Tensor, X, Y, weights, rate, steps)


def going_wrong(change: str):
    """An answer with this mistake; the engine that it is given does not matter for it."""
    return lambda Tensor, X, Y, weights, rate, steps: descended(X, Y, weights, rate, steps, **{change: True})


TRAINING = Task(
    id="8.9",
    title="XOR",
    points=3,
    difficulty=2,
    minutes=25,
    name="train",
    takes=("X", "Y", "weights", "rate", "steps"),
    draw=training_case,
    expect=descended,
    probe=trained,
    trials=4,
    tolerance=1e-4,
    returns=("predictions", "weights"),
    misconceptions=[
        Misconception(
            "The first step is right, and from then on every step goes too far, by the gradients of all steps before. Leaves accumulate; make them "
            "forget between two steps.",
            going_wrong("piled"),
        ),
        Misconception(
            "The loss goes up. The gradient points uphill; a step down is against it.", going_wrong("uphill")
        ),
        Misconception(
            "All steps used the gradient of the first. A graph is a record of one forward pass; after a step, compute the loss again, with the weights as they "
            "are now.",
            going_wrong("once"),
        ),
        Misconception(
            "These are the predictions from before the last step. The loop computes, then moves the weights: compute once more at the end.",
            going_wrong("early"),
        ),
        Misconception(
            "Nothing was learned: the weights are those that you were given. `w = ...` in a loop gives a new value to the name `w` and leaves the tensor as it was; the "
            "new array has to go into the tensor that the network uses.",
            lambda Tensor, X, Y, weights, rate, steps: descended(X, Y, weights, rate, 0),
        ),
        Misconception(
            "The matrices learn and the biases stand still. They are leaves like the others, and every one of them takes its step.",
            going_wrong("weights_only"),
        ),
        Misconception(
            "There is no bend in your network. Two linear maps in a row are one linear map, and no straight line divides XOR's points rightly.",
            going_wrong("straight"),
        ),
        Misconception(
            "The loss is the mean of the errors themselves. Too high and too low cancel, and ever lower is ever better: square them first.",
            going_wrong("unsquared"),
        ),
    ],
)

TASKS = [MEMORY, ORDER, SWEEP, APPLY, OPERATIONS, BROADCASTING, EXP, ENGINE, TRAINING]
