"""Set 03: graphs as plain lists and dictionaries: tables, paths, orders, and the backward pass over them."""

from __future__ import annotations

from collections import Counter, deque
from functools import reduce

import numpy as np

from ..compare import described, difference
from ..task import Misconception, Task


def signed(rng: np.random.Generator, low: float = 0.5, high: float = 2.0) -> float:
    """A short number of either sign, not near 0."""
    return round(float(rng.uniform(low, high) * rng.choice([-1, 1])), 2)


def plain(answer, *args):
    """Whatever sequence of numbers came, as a list."""
    value = answer(*args)
    return value.tolist() if hasattr(value, "tolist") else value


# ---------------------------------------------------------------- 3.1 and 3.2: (2x + xy)²


def table(I1, I2, I3, L):
    return {"I1": I1, "I2": I2, "I3": I3, "L": L}


def point(rng, trial):
    """First whole numbers, for a verdict that one can follow."""
    if trial == 0:
        return tuple(float(k) for k in rng.permutation([-5, -3, 3, 5, 7])[:2])
    return signed(rng), signed(rng)


BREAKDOWN = Task(
    id="3.1",
    title="Breakdown table",
    points=1,
    difficulty=1,
    minutes=5,
    name="breakdown",
    takes=("x", "y"),
    returns=("table",),
    draw=point,
    expect=lambda x, y: table(x + x, y * x, (2 + y) * x, ((2 + y) * x) * ((2 + y) * x)),
    misconceptions=[
        Misconception(
            "The last row repeats the one before it: the square was never taken. Every operation gets a row, the last one too.",
            lambda x, y: table(2 * x, x * y, 2 * x + x * y, 2 * x + x * y),
        ),
        Misconception(
            "The last row holds twice its operand. That is the slope of a square; the table of the forward pass holds values.",
            lambda x, y: table(2 * x, x * y, 2 * x + x * y, 2 * (2 * x + x * y)),
        ),
        Misconception(
            "The two parts were squared one by one and then added. The addition comes first here: the square is taken of its result.",
            lambda x, y: table(2 * x, x * y, 2 * x + x * y, (2 * x) ** 2 + (x * y) ** 2),
        ),
        Misconception(
            "In the row of xy you added. Two letters side by side are multiplied.",
            lambda x, y: table(2 * x, x + y, 2 * x + x + y, (2 * x + x + y) ** 2),
        ),
        Misconception(
            "For 2x you took the square of x. The 2 stands in front of x: it is a factor, not an exponent.",
            lambda x, y: table(x**2, x * y, x**2 + x * y, (x**2 + x * y) ** 2),
        ),
        Misconception(
            "The first two rows changed places. The names follow the formula as it is read, from left to right.",
            lambda x, y: table(x * y, 2 * x, 2 * x + x * y, (2 * x + x * y) ** 2),
        ),
    ],
)


def slopes_of_the_squares(x, y):
    """Each operation's response to one operand, the other held still."""
    h = 1e-6

    def slope(f, at):
        return (f(at + h) - f(at - h)) / (2 * h)

    I1, I2 = 2 * x, x * y
    return [
        slope(lambda x: 2 * x, x),
        slope(lambda x: x * y, x),
        slope(lambda y: x * y, y),
        slope(lambda I1: I1 + I2, I1),
        slope(lambda I2: I1 + I2, I2),
        slope(lambda I3: I3**2, I1 + I2),
    ]


LOCAL = Task(
    id="3.2",
    title="A number for each edge",
    points=1,
    difficulty=1,
    minutes=10,
    name="local_derivatives",
    takes=("x", "y"),
    returns=("derivatives",),
    probe=plain,
    draw=point,
    expect=slopes_of_the_squares,
    source="finite differences give",
    misconceptions=[
        Misconception(
            "On each edge you put the derivative of the whole L. An edge knows its own square only: how that square's result responds to this one operand.",
            lambda x, y: [2 * x * (2 + y) * k for k in (2 + y, 2 + y, x, 1, 1, 1)],
        ),
        Misconception(
            "The upstream gradient is in your numbers already: these are contributions. An edge's own number does not know what comes after its square.",
            lambda x, y: [2 * x * (2 + y) * k for k in (2, y, x, 1, 1, 1)],
        ),
        Misconception(
            "At the multiplication each operand got its own value. How fast a product moves with one factor is decided by the other.",
            lambda x, y: [2, x, y, 1, 1, 2 * x * (2 + y)],
        ),
        Misconception(
            "The slope of the last square is only half of what it must be: a square is its operand times itself, and both factors move.",
            lambda x, y: [2, y, x, 1, 1, x * (2 + y)],
        ),
        Misconception(
            "The last edge holds the square's value. Asked for is its slope: how fast it moves when its operand does.",
            lambda x, y: [2, y, x, 1, 1, (x * (2 + y)) ** 2],
        ),
        Misconception(
            "On edge 0 stands 2x, the value. When x moves by a little, 2x moves by a fixed multiple of it, wherever x is.",
            lambda x, y: [2 * x, y, x, 1, 1, 2 * x * (2 + y)],
        ),
        Misconception(
            "The addition has the values of its operands on its edges. A sum moves by as much as each of its terms, however large the term is.",
            lambda x, y: [2, y, x, 2 * x, x * y, 2 * x * (2 + y)],
        ),
    ],
)


# ---------------------------------------------------------------- 3.3 and 3.4: paths


def names(rng: np.random.Generator, n: int) -> list[str]:
    return rng.permutation(list("abcdefghkmnpqrtuvwyz"))[:n].tolist()


def links(rng: np.random.Generator, trial: int):
    """Links in a row, each of them two or three parallel edges, a diamond, or a long way and a short one; around them edges that lead nowhere.

    Returns the edges, in no order, and both ends.  The first graph is a diamond and nothing else.
    """
    kinds = rng.permutation(["diamond"] if trial == 0 else ["twins", "diamond", "shortcut"])
    label = iter(names(rng, 14))
    start = here = next(label)
    edges, aside = [], [(next(label), start)]  # from before the start
    for kind in kinds:
        there = next(label)
        if kind == "twins":
            edges += [(here, there)] * (2 + trial % 2)
        elif kind == "diamond":
            left, right = next(label), next(label)
            edges += [(here, left), (here, right), (left, there), (right, there)]
            aside.append((left, next(label)))  # a dead end
        else:
            between = next(label)
            edges += [(here, there), (here, between), (between, there)]
        here = there
    aside.append((here, next(label)))  # beyond the end
    edges += aside * (trial > 0)
    return [edges[k] for k in rng.permutation(len(edges))], start, here


def ways(edges, s, t, along=None) -> float:
    """The sum over all paths from s to t of the products of `along`, by one system of equations; without `along`, their number."""
    circles = sorted({s, t, *(name for edge in edges for name in edge)})
    step = np.zeros((len(circles), len(circles)))
    for k, (i, j) in enumerate(edges):
        step[circles.index(i), circles.index(j)] += 1.0 if along is None else along[k]
    return float(np.linalg.inv(np.eye(len(circles)) - step)[circles.index(s), circles.index(t)])


ANOTHER = "something else when called a second time"


def is_edge_number(k, edges) -> bool:
    return isinstance(k, (int, np.integer)) and not isinstance(k, bool) and 0 <= k < len(edges)


def no_path(path, edges, s, t) -> str | None:
    """Why this is no path from s to t."""
    if not isinstance(path, (list, tuple)):
        return f"Your list holds {path!r}; every path is a list of edge numbers."
    for k in path:
        if not is_edge_number(k, edges):
            return f"{list(path)}: {k!r} is not the number of an edge. They run from 0 to {len(edges) - 1}."
    if not path:
        return None if s == t else f"One of your paths has no edge, and so it cannot lead from {s} to {t}."
    first, last = edges[path[0]], edges[path[-1]]
    for a, b in zip(path, path[1:], strict=False):
        if edges[a][1] != edges[b][0]:
            return f"{list(path)} is no path: edge {a} ends in {edges[a][1]}, and edge {b} begins in {edges[b][0]}."
    if first[0] != s:
        return f"{list(path)} begins in {first[0]}; it should begin in {s}."
    if last[1] != t:
        return f"{list(path)} ends in {last[1]}; it should end in {t}."
    return None


def are_all_paths(got, edges, s, t) -> str | None:
    """Each is a path, none is there twice, and over every edge lead as many as there should."""
    if got == ANOTHER:
        return f"all_paths returned {got}."
    if not isinstance(got, (list, tuple)):
        return f"all_paths returned {described(got)}; it should return a list of paths."
    for path in got:
        if problem := no_path(path, edges, s, t):
            return problem
    mine = Counter(tuple(int(k) for k in path) for path in got)
    for path, times in mine.items():
        if times > 1:
            return f"The path {list(path)} is in your list {times} times."
    if len(mine) == round(ways(edges, s, t)):
        return None
    if s == t:
        return f"From {s} to {s} leads one path, the one without edges, and your list is empty."
    if not mine:
        return f"all_paths found no way at all from {s} to {t}. What does it find from {t} to {t}?"
    used = Counter(k for path in mine for k in path)
    for k, (i, j) in enumerate(edges):
        there = round(ways(edges, s, i) * ways(edges, j, t))
        if used[k] < there:
            twins = [n for n, edge in enumerate(edges) if edge == (i, j)]
            aside = f" Edges {' and '.join(map(str, twins))} both lead from {i} to {j}." if len(twins) == 2 else ""
            return (
                f"Paths are missing: over edge {k}, from {i} to {j}, lead {there}, and in your list {used[k]}.{aside}"
            )
    return None


def sorted_paths(answer, edges, s, t):
    """The paths in one order, since any order is right, if they are the same after a call for another graph."""
    import copy

    def found(edges):
        value = answer(edges, s, t)
        try:
            return sorted(path.tolist() if hasattr(path, "tolist") else list(path) for path in value)
        except TypeError:
            return value

    first = found(copy.deepcopy(edges))
    answer([("p", "q")], "p", "q")
    return first if repr(first) == repr(found(edges)) else "something else when called a second time"


def walk(edges, s, t):
    """All paths, for the misconceptions to bend."""
    if s == t:
        return [[]]
    return [[k, *rest] for k, (i, j) in enumerate(edges) if i == s for rest in walk(edges, j, t)]


def one_list(edges, s, t):
    found, path = [], []

    def go(here):
        if here == t:
            found.append(path)
            return
        for k, (i, j) in enumerate(edges):
            if i == here:
                path.append(k)
                go(j)
                path.pop()

    go(s)
    return found


def each_circle_once(edges, s, t):
    found, seen = [], set()

    def go(here, path):
        if here == t:
            found.append(path)
            return
        seen.add(here)
        for k, (i, j) in enumerate(edges):
            if i == here and j not in seen:
                go(j, [*path, k])

    go(s, [])
    return found


def forgetting_nothing(edges, s, t, path=(), found=[]):  # noqa: B006
    if s == t:
        found.append(list(path))
    for k, (i, j) in enumerate(edges):
        if i == s:
            forgetting_nothing(edges, j, t, (*path, k), found)
    return found


def with_dead_ends(edges, s, t):
    onward = [[k, *rest] for k, (i, j) in enumerate(edges) if i == s and s != t for rest in with_dead_ends(edges, j, t)]
    return onward or [[]]


def circles_of(edges, path, s):
    return [s, *(edges[k][1] for k in path)]


PATHS = Task(
    id="3.3",
    title="All paths",
    points=3,
    difficulty=2,
    minutes=20,
    name="all_paths",
    takes=("edges", "s", "t"),
    probe=sorted_paths,
    draw=links,
    fixed=[
        (([("x", "P"), ("x", "P")], "x", "P"), None),
        (([("x", "P"), ("y", "P")], "y", "x"), None),
        (([("x", "P"), ("y", "P")], "x", "x"), None),
    ],
    accept=are_all_paths,
    misconceptions=[
        Misconception(
            "All your paths are one and the same list, and in the end it was emptied. What you put into the result must be a copy: the walk goes on changing its own.",
            one_list,
        ),
        Misconception(
            "Of two edges between the same circles only the first was ever walked: looking an edge up by its ends finds the first such edge again. Paths are counted by edges, not by circles.",
            lambda edges, s, t: list(
                map(list, {tuple(edges.index(edges[k]) for k in path): 0 for path in walk(edges, s, t)})
            ),
        ),
        Misconception(
            "Of two edges between the same circles only the last is left, as in a dictionary that is keyed by the two ends: the later edge has replaced the earlier. They are two edges, and two paths.",
            lambda edges, s, t: [
                path for path in walk(edges, s, t) if all(edges[k] not in edges[k + 1 :] for k in path)
            ],
        ),
        Misconception(
            "You listed the circles on the way. Two parallel edges cannot be told apart like that: list the numbers of the edges.",
            lambda edges, s, t: [circles_of(edges, path, s) for path in walk(edges, s, t)],
        ),
        Misconception(
            "A circle that one path had been through was closed to the next. Marking circles as seen is for reaching each of them once; here every way of reaching it counts.",
            each_circle_once,
        ),
        Misconception(
            "Ways that stop before the end are in your list. A walk that can go no further is kept only where it has arrived.",
            with_dead_ends,
        ),
        Misconception(
            "Your paths run backwards. You may search from the end, but each list has to begin with the edge that leaves the start.",
            lambda edges, s, t: [path[::-1] for path in walk(edges, s, t)],
        ),
        Misconception(
            "Your numbers are all too large by one: the first edge of the list has the number 0.",
            lambda edges, s, t: [[k + 1 for k in path] for path in walk(edges, s, t)],
        ),
        Misconception(
            "Paths of an earlier call are in your list. A default value such as `found=[]` is made once, and every call adds to the same list: make a fresh one inside.",
            forgetting_nothing,
        ),
        Misconception(
            "Only the shortest ways are in your list. A long way to the loss is a way too.",
            lambda edges, s, t: [path for path in walk(edges, s, t) if len(path) == min(map(len, walk(edges, s, t)))],
        ),
        Misconception(
            "From a circle to itself you found nothing. You are there already: that is one path, and it has no edges.",
            lambda edges, s, t: [] if s == t else walk(edges, s, t),
        ),
    ],
)


def weighted(rng, trial):
    edges, s, t = links(rng, trial)
    return edges, [float(rng.choice([-3, -2, 2, 3])) if trial == 0 else signed(rng) for _ in edges], s, t


def product(factors):
    result = 1.0
    for factor in factors:
        result *= factor
    return result


def products(edges, derivatives, s, t):
    return [product(derivatives[k] for k in path) for path in walk(edges, s, t)]


PATH_SUM = Task(
    id="3.4",
    title="The sum over the paths",
    points=2,
    difficulty=2,
    minutes=15,
    name="path_sum",
    takes=("edges", "derivatives", "s", "t"),
    returns=("gradient",),
    draw=weighted,
    expect=lambda edges, derivatives, s, t: ways(edges, s, t, derivatives),
    fixed=[
        (([("x", "P"), ("x", "P")], [3.0, 3.0], "x", "P"), 6.0),
        (([("x", "P"), ("y", "P")], [4.0, 3.0], "y", "x"), 0.0),
        (([("x", "P"), ("y", "P")], [4.0, 3.0], "x", "x"), 1.0),
    ],
    misconceptions=[
        Misconception(
            "Sum and product changed places. Along a path one square's stretching follows another's, so the numbers multiply; different paths move L side by side, so they add.",
            lambda edges, derivatives, s, t: product(sum(derivatives[k] for k in path) for path in walk(edges, s, t)),
        ),
        Misconception(
            "Everything was added, along the paths too. A nudge that is doubled and then tripled has become six times as large, not five.",
            lambda edges, derivatives, s, t: float(sum(derivatives[k] for path in walk(edges, s, t) for k in path)),
        ),
        Misconception(
            "Everything was multiplied, the paths too. Two ways side by side do not stretch each other's nudge: each brings its own, and the loss moves by both.",
            lambda edges, derivatives, s, t: product(products(edges, derivatives, s, t)),
        ),
        Misconception(
            "Only the first path counts in your result. Does a `return` stand inside the loop?",
            lambda edges, derivatives, s, t: next(iter(products(edges, derivatives, s, t)), 0.0),
        ),
        Misconception(
            "Only the last path is left in your result: each one overwrote the one before. Every path adds its own product.",
            lambda edges, derivatives, s, t: [0.0, *products(edges, derivatives, s, t)][-1],
        ),
        Misconception(
            "You took the mean over the paths. Each path moves L by its own full amount, and the amounts add up.",
            lambda edges, derivatives, s, t: float(np.mean(products(edges, derivatives, s, t) or [0.0])),
        ),
        Misconception(
            "Parallel edges were counted once. x·x uses x twice, and each use has its own edge, its own path, its own contribution.",
            lambda edges, derivatives, s, t: float(
                sum(
                    product(derivatives[k] for k in path)
                    for path in walk(edges, s, t)
                    if all(edges[k] not in edges[k + 1 :] for k in path)
                )
            ),
        ),
        Misconception(
            "A circle that one path had been through was closed to the next. Every way through it counts, so nothing may be marked as seen.",
            lambda edges, derivatives, s, t: float(
                sum(product(derivatives[k] for k in path) for path in each_circle_once(edges, s, t))
            ),
        ),
        Misconception(
            "From a tensor to itself you returned 0. It moves exactly as far as itself: there is one path, without edges, and a product of no factors is not 0.",
            lambda edges, derivatives, s, t: 0.0 if s == t else float(sum(products(edges, derivatives, s, t))),
        ),
    ],
)


# ---------------------------------------------------------------- 3.5: accumulate


def recorded(rng, trial):
    """A computation's records: tensors used twice, one squared, two not used.  The first is small; the last doubles sixty times."""
    if trial == 0:
        return ([([], []), *((p, rng.choice([-3.0, -2.0, 2.0, 3.0], 2).tolist()) for p in ([0, 0], [1, 0]))],)
    if trial == 4:
        return ([([], []), *(([i, i], rng.uniform(0.3, 0.7, 2).tolist()) for i in range(60))],)
    parents, used = [[], [], []], [0, 1, 2]
    for k in range(5 + trial):
        newest, *_, other = used[-1], *rng.permutation(used[:-1]).tolist()
        parents.append([newest, newest] if k == 2 else [[newest, other], [other, newest]][k % 2])
        used.append(len(parents) - 1)
        if k == 1:
            parents += [[used[-1], 0], [len(parents), 2]]
    return ([(p, [signed(rng) for _ in p]) for p in parents],)


def all_gradients(records):
    """All sums over paths at once: a system of equations, g = (1 at the loss) + g D."""
    D = np.zeros((len(records), len(records)))
    for i, (parents, derivatives) in enumerate(records):
        for p, d in zip(parents, derivatives, strict=True):
            D[i, p] += d
    seed = np.eye(len(records))[-1]
    return np.linalg.solve((np.eye(len(records)) - D).T, seed).tolist()


def twice(answer, records):
    """What two calls return, if it is the same; and a stop to whoever walks the paths one by one."""

    import copy

    class Enough(Exception):
        pass

    class Watched(list):
        looks = 0

        def __getitem__(self, i):
            self.looks += 1
            if self.looks > 30_000:
                raise Enough
            return super().__getitem__(i)

    found = []
    try:
        for given in (copy.deepcopy(records), records):
            value = answer(Watched(given))
            found.append(value.tolist() if hasattr(value, "tolist") else value)
    except Enough:
        return "stopped after 30,000 looks at records"
    return found[0] if repr(found[0]) == repr(found[1]) else "something else when called a second time"


def swept(
    records, order=lambda n: range(n)[::-1], receive=lambda old, new: old + new, local=lambda g, d: g * d, fill=0.0
):
    """A backward pass, for the misconceptions to bend."""
    gradients = [fill] * len(records)
    gradients[-1] = 1.0
    for i in order(len(records)):
        for p, d in zip(*records[i], strict=True):
            gradients[p] = receive(gradients[p], local(gradients[i], d))
    return gradients


def visited_per_consumer(records):
    gradients = [0.0] * len(records)
    gradients[-1] = 1.0
    waiting = [len(records) - 1]
    while waiting:
        i = waiting.pop()
        for p, d in zip(*records[i], strict=True):
            gradients[p] += gradients[i] * d
            waiting.append(p)
    return gradients


def path_by_path(records):
    gradients = [0.0] * len(records)

    def go(i, g):
        gradients[i] += g
        for p, d in zip(*records[i], strict=True):
            go(p, g * d)

    go(len(records) - 1, 1.0)
    return gradients


def remembering():
    kept = {}

    def backward(records):
        for i, g in enumerate(swept(records)):
            kept[i] = kept.get(i, 0.0) + g
        return [kept[i] for i in range(len(records))]

    return backward


def renumbered(records):
    gradients = [0.0] * len(records)
    gradients[-1] = 1.0
    for i, (parents, derivatives) in enumerate(reversed(list(records))):
        for p, d in zip(parents, derivatives, strict=True):
            gradients[p] += gradients[i] * d
    return gradients


def each_parent_once(records):
    return swept([(list(d), list(d.values())) for d in (dict(zip(*r, strict=True)) for r in records)])


BACKWARD = Task(
    id="3.5",
    title="Accumulate",
    points=3,
    difficulty=2,
    minutes=20,
    name="backward",
    takes=("records",),
    returns=("gradients",),
    probe=twice,
    draw=recorded,
    expect=all_gradients,
    fixed=[(([([], [])],), [1.0]), (([([], []), ([0, 0], [3.0, 3.0])],), [6.0, 1.0])],
    misconceptions=[
        Misconception(
            "A contribution overwrote the one that was there. Wherever a tensor is used twice, only the last one is left: add to what has come before.",
            lambda records: swept(records, receive=lambda old, new: new),
        ),
        Misconception(
            "You went through the records from the oldest to the youngest. A tensor can send nothing back before its own gradient has arrived, and gradients come from the loss.",
            lambda records: swept(records, order=range),
        ),
        Misconception(
            "You reversed the list, and its numbers with it: the last record became number 0. The parents' numbers count from the first record.",
            renumbered,
        ),
        Misconception(
            "You added up local derivatives. What is sent back is a contribution: the gradient of the result is a factor in it.",
            lambda records: swept(records, local=lambda g, d: d),
        ),
        Misconception(
            "A tensor that stands twice among the parents got one contribution. A dictionary, a set and NumPy's `G[[0, 0]] += …` keep one of the two; x·x has two edges, and each brings its own.",
            each_parent_once,
        ),
        Misconception(
            "A tensor was visited once for each of its consumers, and each time it sent on all that it had, the old contributions again with the new. Wait until all have come, then visit it once.",
            visited_per_consumer,
        ),
        Misconception(
            "Nothing came back, since nothing was put in. The walk begins with how fast the loss moves with itself.",
            lambda records: [0.0] * len(records),
        ),
        Misconception(
            "Every tensor began with a gradient of its own. Only the loss does; the others have what is sent to them.",
            lambda records: swept(records, fill=1.0),
        ),
        Misconception(
            "You followed every path on its own. The numbers are right, but a tensor that is used twice doubles the number of paths, and sixty of them in a row are too many for any computer. Each edge has to be used once.",
            path_by_path,
        ),
        Misconception(
            "The second call began where the first had ended: old gradients were still there. Make a fresh list in each call, inside the function; a default value or a global is made once and kept.",
            remembering(),
        ),
    ],
)


# ---------------------------------------------------------------- 3.6: an order


def made_from(rng, trial):
    """Which tensors each was made from, in no order; two that the loss was not made from, using what the loss uses.  The first two are small."""
    label = iter(names(rng, 14))
    made = [next(label) for _ in range(2)]
    parents = {name: [] for name in made}
    if trial < 2:
        x, loss, a, b = made[0], *(next(label) for _ in range(3))
        parents = [{x: [], a: [x], b: [a], loss: [x, b]}, {x: [], a: [x, x], loss: [x, a]}][trial]
        return {key: parents[key] for key in rng.permutation(list(parents)).tolist()}, loss
    for k in range(3 + trial):
        both = [made[-1], made[-1]] if k == 3 else rng.permutation([made[-1], made[rng.integers(len(made) - 1)]])
        name = next(label)
        parents[name] = [str(p) for p in both]
        made.append(name)
    aside = [next(label), next(label)]
    parents[aside[0]] = [made[-2], made[2]]
    parents[aside[1]] = [aside[0], made[0]]
    return {key: parents[key] for key in rng.permutation(list(parents)).tolist()}, made[-1]


def reached(parents, loss) -> set[str]:
    found, waiting = {loss}, [loss]
    while waiting:
        for p in parents[waiting.pop()]:
            if p not in found:
                found.add(p)
                waiting.append(p)
    return found


def is_order(got, parents, loss) -> str | None:
    """Whether everything that the loss was made from is there once, and after all that was made from it."""
    if got == "RecursionError":
        return f"visiting_order raised RecursionError on a chain of {len(parents) - 1} operations."
    if isinstance(got, dict) and set(got) == {"first", "then"}:
        again = is_order(got["then"], parents, loss)
        return is_order(got["first"], parents, loss) or (again and f"When called a second time: {again}")
    if not isinstance(got, (list, tuple)):
        return f"visiting_order returned {described(got)}; it should return a list of names."
    if strange := [name for name in got if not isinstance(name, str) or name not in parents]:
        return f"{strange[0]!r} is in your list, and it is no name in parents. Was it left over from an earlier call?"
    needed = reached(parents, loss)
    at = {name: i for i, name in reversed(list(enumerate(got)))}
    if len(at) < len(got):
        name = next(name for name in at if got.count(name) > 1)
        return f"{name} is in your list {got.count(name)} times. Each tensor is visited once."
    if extra := [name for name in got if name not in needed]:
        return f"{extra[0]} is in your list. {loss} was not made from it."
    if missing := [name for name in parents if name in needed and name not in at]:
        return f"{missing[0]} is missing from your list. {loss} was made from it, perhaps by way of others."
    for child in parents:
        for p in parents[child]:
            if child in needed and at[p] < at[child]:
                return f"{p} is visited before {child}, which was made from it and still has a contribution to send."
    return None


def until_too_deep(answer, parents, loss):
    """The order, or both if a second call gives another; or the one error that is worth a word of its own."""
    import copy

    def listed(value):
        return (
            value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, (list, tuple)) else value
        )

    try:
        first, then = listed(answer(copy.deepcopy(parents), loss)), listed(answer(parents, loss))
    except RecursionError:
        return "RecursionError"
    return then if repr(first) == repr(then) else {"first": first, "then": then}


def depth_first(parents, loss):
    order, seen = [], set()

    def go(name):
        seen.add(name)
        order.append(name)
        for p in parents[name]:
            if p not in seen:
                go(p)

    go(loss)
    return order


def breadth_first(parents, loss):
    order = {loss: None}
    waiting = deque(order)
    while waiting:
        new = [p for p in dict.fromkeys(parents[waiting.popleft()]) if p not in order]
        order.update(dict.fromkeys(new))
        waiting += new
    return list(order)


def breadth_first_again_and_again(parents, loss):
    order = [loss]
    for name in order:
        order += parents[name]
    return order


def parents_first(parents, loss):
    order, seen = [], set()

    def go(name):
        seen.add(name)
        for p in parents[name]:
            if p not in seen:
                go(p)
        order.append(name)

    go(loss)
    return order


def by_counting(parents, roots, consumers, counted=list, told=list):
    """Whoever has heard from as many consumers as were counted is next."""
    missing = Counter(p for name in consumers for p in counted(parents[name]))
    order, ready = [], deque(roots)
    while ready:
        order.append(name := ready.popleft())
        for p in told(parents[name]):
            missing[p] -= 1
            if missing[p] == 0:
                ready.append(p)
    return order


def unused(parents):
    used = {p for made_from in parents.values() for p in made_from}
    return [name for name in parents if name not in used]


DEEP = {"x": [], **{f"t{k}": [f"t{k - 1}" if k else "x"] for k in range(4000)}}

ORDER = Task(
    id="3.6",
    title="Who is next?",
    points=3,
    difficulty=3,
    minutes=25,
    name="visiting_order",
    takes=("parents", "loss"),
    probe=until_too_deep,
    draw=made_from,
    accept=is_order,
    fixed=[
        (({"x": [], "y": [], "I1": ["x"], "I2": ["x", "y"], "I3": ["I1", "I2"], "L": ["I3"]}, "L"), None),
        (({"x": [], "a": ["x", "x"], "b": ["x"], "c": ["b"], "L": ["a", "c"]}, "L"), None),
        (({"x": [], "y": []}, "x"), None),
        ((DEEP, "t3999"), None),
    ],
    misconceptions=[
        Misconception(
            "You went as deep as you could along the first parent, and noted each tensor on arrival. On the way you met tensors that others still had to send to: note a tensor when nobody is left who could.",
            depth_first,
        ),
        Misconception(
            "You sorted by the shortest way from the loss. What a tensor has to wait for is the longest one.",
            breadth_first,
        ),
        Misconception(
            "A tensor is visited once for each of its consumers in your order. Its contributions are gathered first, and then it is visited, once.",
            breadth_first_again_and_again,
        ),
        Misconception(
            "That is the order of the forward pass, in which things are made. On the way back the loss comes first.",
            parents_first,
        ),
        Misconception(
            "You relied on the order of the dictionary. It says nothing about age here: only who was made from whom is certain.",
            lambda parents, loss: list(parents)[::-1],
        ),
        Misconception(
            "You began with everything that no other tensor was made from. The walk begins at the loss alone, and what it was not made from gets no visit.",
            lambda parents, loss: by_counting(parents, unused(parents), parents),
        ),
        Misconception(
            "Some tensors waited for a message that never came: you counted consumers that the loss was not made from. They are not visited, so they send nothing.",
            lambda parents, loss: by_counting(parents, [loss], parents),
        ),
        Misconception(
            "A name that stands twice among the parents was counted once and taken off twice, so somebody was thought ready while another consumer had yet to be visited.",
            lambda parents, loss: by_counting(parents, [loss], reached(parents, loss), counted=dict.fromkeys),
        ),
        Misconception(
            "A name that stands twice among the parents was counted twice and taken off once. It waits for ever, and so does everything that it was made from.",
            lambda parents, loss: by_counting(parents, [loss], reached(parents, loss), told=dict.fromkeys),
        ),
        Misconception(
            "The leaves are left out. They send nothing on, but they are the ones whose gradients are wanted.",
            lambda parents, loss: [
                name for name in by_counting(parents, [loss], reached(parents, loss)) if parents[name]
            ],
        ),
        Misconception(
            "The order is right, but the function calls itself once for each step of a chain, and Python stops that after some thousand. Keep a list of what is waiting, and a loop.",
            lambda parents, loss: parents_first(parents, loss)[::-1],
        ),
    ],
)


# ---------------------------------------------------------------- 3.7: a row and many tables


def tables(rng, trial):
    """Jacobians of steps from m[0] numbers to m[1], to m[2], …; in two trials all of one size, where every product exists."""
    m = [5] * 5 if trial in (1, 3) else rng.permutation([3, 5, 7, 11, 13])[: 4 + trial % 2].tolist()
    jacobians = [rng.uniform(0.5, 1.5, (b, a)) * rng.choice([-1, 1], (b, a)) for a, b in zip(m, m[1:], strict=False)]
    return rng.uniform(0.5, 1.5, m[-1]) * rng.choice([-1, 1], m[-1]), jacobians


def counted(answer, g, jacobians):
    """The row, and how many numbers were multiplied on the way to it."""
    import numpy as np

    class Number:
        multiplied = 0

        def __init__(self, value):
            self.value = float(value)

        def __mul__(self, other):
            if isinstance(other, np.ndarray):
                return NotImplemented
            Number.multiplied += 1
            return Number(self.value * float(other))

        def __add__(self, other):
            return NotImplemented if isinstance(other, np.ndarray) else Number(self.value + float(other))

        def __float__(self):
            return self.value

        def __neg__(self):
            return Number(-self.value)

        def __repr__(self):
            return repr(self.value)

        def conjugate(self):
            return self

        __rmul__, __radd__ = __mul__, __add__

    number = np.frompyfunc(Number, 1, 1)
    value = answer(number(g), [number(J) for J in jacobians])
    try:
        return np.asarray(value).astype(float) if value is not None else None, Number.multiplied
    except (TypeError, ValueError):
        return value, Number.multiplied


def is_row(got, g, jacobians) -> str | None:
    """The row by forward steps, one for each input; and not many more multiplications than there are entries."""
    row, multiplied = got
    moves = np.eye(jacobians[0].shape[1]) if jacobians else np.eye(len(g))
    for J in jacobians:
        moves = np.stack([J @ move for move in moves.T], axis=1)
    expected = np.array([np.sum(g * move) for move in moves.T])
    if problem := difference("row", expected, row, 1e-6):
        return problem
    entries = sum(J.size for J in jacobians)
    if multiplied > 1.25 * entries:
        return f"The row is right, and it took {multiplied:,} multiplications. {entries:,} are enough: one for each entry of the Jacobians."
    return None


VJP = Task(
    id="3.7",
    title="A row and many tables",
    points=2,
    difficulty=2,
    minutes=10,
    name="pull_back",
    takes=("g", "jacobians"),
    probe=counted,
    draw=tables,
    accept=is_row,
    fixed=[((np.array([2.0, -3.0]), []), None)],
    misconceptions=[
        Misconception(
            "The row meets the Jacobian of the first step first. On the way back the last step is undone first: the step nearest to the loss stands beside the row.",
            lambda g, jacobians: reduce(np.matmul, jacobians, g),
        ),
        Misconception(
            "The vector stands on the wrong side of the Jacobians: from there it asks how a nudge travels forward. A gradient is a row, and meets a Jacobian from the left.",
            lambda g, jacobians: reduce(lambda v, J: J @ v, jacobians[::-1], g),
        ),
        Misconception(
            "You took the steps in the order of the forward pass, and the Jacobians from the other side: that carries a nudge forward. A gradient goes from the end to the start.",
            lambda g, jacobians: reduce(lambda v, J: J @ v, jacobians, g),
        ),
        Misconception(
            "You multiplied the tables with each other, from the input on, and let the row in at the end. A table times a table is the expensive product; a row times a table is a row again.",
            lambda g, jacobians: g @ reduce(lambda whole, J: J @ whole, jacobians) if jacobians else g,
        ),
        Misconception(
            "You multiplied the tables with each other, from the loss on, and let the row in at the end. Begin with the row, and two tables never meet.",
            lambda g, jacobians: g @ reduce(lambda whole, J: whole @ J, jacobians[::-1]) if jacobians else g,
        ),
        Misconception(
            "You began with a table, the identity, and so a table met a table in every step. Begin with the row that you were given.",
            lambda g, jacobians: g @ reduce(np.matmul, jacobians[::-1], np.eye(len(g))),
        ),
        Misconception(
            "The tables were multiplied in the order of the list. What happens first stands on the right, nearest to the input: J2 J1, not J1 J2. And the row can begin, so that no two tables meet.",
            lambda g, jacobians: g @ reduce(np.matmul, jacobians) if jacobians else g,
        ),
        Misconception(
            "The upstream gradient is not in your result: it is what arrives from above, and every result carries it.",
            lambda g, jacobians: reduce(np.matmul, jacobians[::-1], np.ones(len(g))),
        ),
    ],
)


# ---------------------------------------------------------------- 3.8: an `if` and a loop


def price(width):
    while width > 10:
        width = width / 2
    if width > 6:
        return width**2
    return 5 * width


def halved(width):
    """The width that the `if` gets to see, and how often it was halved."""
    times = 0
    while width > 10:
        width, times = width / 2, times + 1
    return width, times


def wide(rng, trial):
    """In turn on both branches, with no loop, one halving, and several; well away from the jumps."""
    low, high, times = [(6.5, 9.5, 0), (1.0, 5.5, 0), (6.5, 9.5, 3), (5.2, 5.8, 1), (5.2, 5.8, 4), (6.5, 9.5, 5)][trial]
    return (round(float(rng.uniform(low, high)), 1) * 2**times,)


def branch(width, large=lambda w: 2 * w, small=lambda w: 5.0):
    return large(width) if width > 6 else small(width)


def other_side(width):
    times = 0
    while width >= 10:
        width, times = width / 2, times + 1
    return (2 * width if width >= 6 else 5.0) * 0.5**times


PRICE = Task(
    id="3.8",
    title="A loop and an if",
    points=2,
    difficulty=1,
    minutes=10,
    name="price_slope",
    takes=("width",),
    returns=("slope",),
    draw=wide,
    trials=6,
    expect=lambda width: (price(width + 1e-6) - price(width - 1e-6)) / 2e-6,
    fixed=[((6.0,), 5.0), ((10.0,), 20.0), ((12.0,), 2.5), ((40.0,), 5.0)],
    misconceptions=[
        Misconception(
            "The loop left no trace in your slope. Each halving is an operation like any other: what passes through it is halved too.",
            lambda width: branch(halved(width)[0]),
        ),
        Misconception(
            "However often the loop ran, your slope knows of one halving. Every round is a square of its own in the graph, and each has its factor.",
            lambda width: branch(halved(width)[0]) * 0.5 ** min(halved(width)[1], 1),
        ),
        Misconception(
            "You divided by twice the number of rounds. Factors along a path multiply: after three halvings an eighth is left, not a sixth.",
            lambda width: branch(halved(width)[0]) / max(1, 2 * halved(width)[1]),
        ),
        Misconception(
            "You differentiated the branches as if there were no loop. For a width of more than 10 the program halves first, and what it pays for is what is left.",
            branch,
        ),
        Misconception(
            "Your slope grows with every halving. A nudge of the width arrives smaller after each round, not larger.",
            lambda width: branch(halved(width)[0]) * 2 ** halved(width)[1],
        ),
        Misconception(
            "You differentiated the square at the width that came in. Its operand is the width after the loop.",
            lambda width: branch(halved(width)[0], large=lambda w: 2 * width) * 0.5 ** halved(width)[1],
        ),
        Misconception(
            "The `if` was asked about the width that came in. The program asks it after the loop.",
            lambda width: branch(width, large=lambda w: 2 * halved(w)[0]) * 0.5 ** halved(width)[1],
        ),
        Misconception(
            "Both branches are in your slope. The one that was not taken left nothing in the graph, and has no say.",
            lambda width: (2 * halved(width)[0] + 5) * 0.5 ** halved(width)[1],
        ),
        Misconception(
            "You returned the price itself. Asked for is how fast it changes with the width.",
            price,
        ),
        Misconception(
            "At a width of exactly 6, or 10, you took the other branch. There is no derivative there, and what counts is what the program does: `>` is false for equal numbers.",
            other_side,
        ),
    ],
)


# ---------------------------------------------------------------- 3.9: an unrolled chain


def listen(w, u, h0, xs):
    h = h0
    for x in xs:
        h = np.tanh(w * h + u * x)
    return float(h)


def melody(rng, trial):
    notes = [3, 5, 2, 8, 1][trial]
    xs = [signed(rng, 0.2, 1.0) for _ in range(notes)]
    return signed(rng, 0.6, 1.3), signed(rng, 0.3, 0.9), signed(rng, 0.3, 0.9), xs


def nudged(w, u, h0, xs):
    h = 1e-6
    return (
        (listen(w + h, u, h0, xs) - listen(w - h, u, h0, xs)) / (2 * h),
        (listen(w, u + h, h0, xs) - listen(w, u - h, h0, xs)) / (2 * h),
    )


def through_time(
    w,
    u,
    h0,
    xs,
    slope=lambda before, after: 1 - after**2,
    carry=lambda g, s, w: g * s * w,
    share=lambda g, s, w: g * s,
    operands=lambda before, after, x, w, u: (before, x),
    receive=lambda old, new: old + new,
    order=reversed,
):
    """The walk back, for the misconceptions to bend."""
    h = [h0]
    for x in xs:
        h.append(np.tanh(w * h[-1] + u * x))
    g, dw, du = 1.0, 0.0, 0.0
    for k in order(range(len(xs))):
        s = slope(h[k], h[k + 1])
        by_w, by_u = operands(h[k], h[k + 1], xs[k], w, u)
        dw = receive(dw, share(g, s, w) * by_w)
        du = receive(du, share(g, s, w) * by_u)
        g = carry(g, s, w)
    return float(dw), float(du)


def bent(**how):
    return lambda w, u, h0, xs: through_time(w, u, h0, xs, **how)


CHAIN = Task(
    id="3.9",
    title="Back through time",
    points=4,
    difficulty=3,
    minutes=25,
    name="chain_backward",
    takes=("w", "u", "h0", "xs"),
    returns=("dw", "du"),
    draw=melody,
    expect=nudged,
    source="finite differences give",
    fixed=[((0.5, 2.0, 0.25, []), (0.0, 0.0))],
    misconceptions=[
        Misconception(
            "Only the last step's contribution is there. w and u were used in every step, and each use sends its own.",
            bent(order=lambda steps: list(steps)[-1:]),
        ),
        Misconception(
            "Each step overwrote what the one before had left, so only one contribution survived. They accumulate.",
            bent(receive=lambda old, new: new),
        ),
        Misconception(
            "Every step was treated as if the loss came right after it. Between a step and the loss lie all later steps, and each leaves its factor in the upstream gradient.",
            bent(carry=lambda g, s, w: g),
        ),
        Misconception(
            "On the way back from step to step w is missing: the state before is multiplied by it.",
            bent(carry=lambda g, s, w: g * s),
        ),
        Misconception(
            "On the way back from step to step the slope of tanh is missing: the state before goes through it too.",
            bent(carry=lambda g, s, w: g * w),
        ),
        Misconception(
            "What you send to w and u has not been through tanh. They stand inside it, so its slope is a factor in their contributions too.",
            bent(share=lambda g, s, w: g),
        ),
        Misconception(
            "The slope of tanh is missing everywhere: you walked back through a chain without the bend.",
            bent(slope=lambda before, after: 1.0),
        ),
        Misconception(
            "At w you multiplied by the state after the step. Its factor is the state that went in.",
            bent(operands=lambda before, after, x, w, u: (after, x)),
        ),
        Misconception(
            "w and u got their own values as factors. In a product the slope along one factor is the other one: what stood beside w and u in the step?",
            bent(operands=lambda before, after, x, w, u: (w, u)),
        ),
        Misconception(
            "w is a factor in what you send to w and to u. It belongs on the way to the earlier state only, so it comes in after the other two have had their share.",
            bent(share=lambda g, s, w: g * s * w),
        ),
        Misconception(
            "The two results changed places: dw is asked for first.",
            lambda w, u, h0, xs: through_time(w, u, h0, xs)[::-1],
        ),
        Misconception(
            "The slope of tanh was taken at the state before the step. Its output, the state after, is what it is written in.",
            bent(slope=lambda before, after: 1 - before**2),
        ),
        Misconception(
            "tanh was applied once more, to a state that had been through it already. Its slope is written in its output.",
            bent(slope=lambda before, after: 1 - np.tanh(after) ** 2),
        ),
        Misconception(
            "You walked from the first step to the last. The upstream gradient is known at the end: begin there.",
            bent(order=iter),
        ),
        Misconception(
            "You divided by the number of steps. Each contribution counts in full: the gradient is their sum.",
            lambda w, u, h0, xs: tuple(d / max(len(xs), 1) for d in through_time(w, u, h0, xs)),
        ),
    ],
)

TASKS = [BREAKDOWN, LOCAL, PATHS, PATH_SUM, BACKWARD, ORDER, VJP, PRICE, CHAIN]
