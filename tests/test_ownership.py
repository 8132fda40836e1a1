"""Whose memory a gradient is: nobody's but the leaf's own, whatever the rules hand around on the way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import minigrad as mg
from minigrad.functions import everywhere

# Programs whose rules hand on views, the upstream gradient itself, or a number spread over many elements
PROGRAMS = {
    "the leaf itself": lambda a, b: a,
    "add": lambda a, b: a + b,
    "add to itself": lambda a, b: a + a,
    "add three times": lambda a, b: a + a + a,
    "subtract": lambda a, b: a - b,
    "copy": lambda a, b: a.copy(),
    "reshape": lambda a, b: (a.reshape(-1) + b.reshape(-1)).reshape(2, 3),
    "transpose": lambda a, b: a.T.T + b.T.T,
    "reshape and itself": lambda a, b: a.reshape(3, 2).reshape(2, 3) + a,
    "broadcast": lambda a, b: mg.tensor_broadcast_to(a, (2, 3)) + b,
    "concat": lambda a, b: mg.tensor_concat([a, b, a])[1:3],
    "stack": lambda a, b: mg.tensor_stack([a, b])[1],
    "slice": lambda a, b: a[:, :] + b[::1],
    "sum kept": lambda a, b: a.sum(keepdims=True) + b,
    "sum of everything": lambda a, b: (a + b).sum() + a.sum(),
    "mean": lambda a, b: (a.mean(0) + b.mean(0)).sum(),
    "where": lambda a, b: mg.tensor_where(True, a, b),
    "multiply": lambda a, b: a * b,
    "matmul": lambda a, b: a @ b.T @ a,
}


def arrays_of(*tensors) -> list[np.ndarray]:
    return [t.data if isinstance(t, mg.Tensor) else t for t in tensors]


@pytest.mark.parametrize("how", ["backward", "grad", "backward create_graph", "grad create_graph"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_share_memory_with_nothing(name, how):
    """Neither with each other, nor with the seed, nor with any value: `x.grad *= 0.5` may change nothing else."""
    a = mg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    b = mg.Tensor(np.arange(6.0).reshape(2, 3) + 0.5, requires_grad=True)
    middle = a * 1.0
    y = PROGRAMS[name](middle if how.startswith("grad") else a, b)
    seed = np.random.default_rng(0).normal(size=y.shape)
    before = [x.copy() for x in (seed, a.data, b.data, middle.data, y.data)]
    create_graph = how.endswith("create_graph")
    if how.startswith("grad"):
        gradients = mg.grad(y, [y, b] if y is middle else [y, middle, b], gradient=seed, create_graph=create_graph)
    else:
        y.backward(seed, create_graph=create_graph)
        gradients = [x.grad for x in (a, b) if x.grad is not None]
    assert all(isinstance(g, mg.Tensor if create_graph else np.ndarray) for g in gradients)
    gradients = arrays_of(*gradients)
    others = [seed, a.data, b.data, middle.data, y.data]
    for one, two in itertools.combinations(gradients, 2):
        assert not np.shares_memory(one, two)
    for g in gradients:
        assert g.flags.writeable
        assert not any(np.shares_memory(g, other) for other in others)
        g += 1e6  # whoever it belongs to would notice
    for x, x_before in zip(others, before, strict=True):
        np.testing.assert_array_equal(x, x_before)
    for t in (a, b):
        t.zero_grad()


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_of_one_tensor_asked_thrice_are_three_arrays(create_graph):
    """What is done to one answer must not reach the others."""
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    answers = arrays_of(*mg.grad(x * 3.0, [x, x, x], gradient=np.ones(2), create_graph=create_graph))
    for one, two in itertools.combinations(answers, 2):
        assert not np.shares_memory(one, two)
    np.testing.assert_array_equal(answers, np.full((3, 2), 3.0))


@pytest.mark.parametrize("uses", [1, 2, 3, 5])
def test_the_seed_is_never_written_to(uses):
    """The first contribution is borrowed: adding the second to it in place would write into the caller's array."""
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    h = x.copy()
    y = h
    for _ in range(uses - 1):
        y = y + h
    seed = np.array([3.0, 4.0])
    seed.flags.writeable = False
    y.backward(seed)
    np.testing.assert_array_equal(x.grad, uses * np.array([3.0, 4.0]))


def test_an_upstream_gradient_that_two_operands_borrow():
    """a + b hands the same g to both; what is added to one of them later must not reach the other."""
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    a, b = x.copy(), x * 5.0
    used_early = a + b
    y = used_early + a
    da, db = mg.grad(y, [a, b], gradient=np.ones(2))
    np.testing.assert_array_equal(da, [2, 2])
    np.testing.assert_array_equal(db, [1, 1])


def test_later_backward_leaves_earlier_gradients_alone():
    """A kept handle to `.grad` is a record: backward() adds into a new array."""
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    (x * 3.0).sum().backward()
    first = x.grad
    (x * 4.0).sum().backward()
    np.testing.assert_array_equal(first, [3, 3])
    np.testing.assert_array_equal(x.grad, [7, 7])
    x.zero_grad()
    assert x.grad is None
    np.testing.assert_array_equal(first, [3, 3])


def test_training_data_in_place_leaves_gradients_alone():
    """sgd_step writes into .data; neither the gradients nor the array that the leaf was made from may move with it."""
    given = np.array([1.0, 2.0])
    x = mg.Tensor(given, requires_grad=True)
    (x + x).sum().backward()
    x.data -= 0.1 * x.grad
    np.testing.assert_array_equal(given, [1, 2])
    np.testing.assert_array_equal(x.grad, [2, 2])


class Noted:
    """A gradient that counts how it is added up."""

    shape, dtype, base = (), np.dtype(float), None

    def __init__(self, number: float, events: list[str]) -> None:
        self.number, self.events = number, events

    def copy(self):
        self.events.append("new buffer")
        return Noted(self.number, self.events)

    def __add__(self, other):
        self.events.append("new buffer")
        return Noted(self.number + other.number, self.events)

    def __iadd__(self, other):
        self.events.append("in place")
        self.number += other.number
        return self


@pytest.mark.parametrize("at_leaf", [True, False])
def test_one_buffer_is_made_and_reused(at_leaf):
    """One allocation however many paths there are: the second contribution makes the sum, the others are added to it."""
    events = []

    @mg.primitive(lambda g, k: Noted(k, events))
    def noted(x, k):
        return 1.0 * x

    @mg.primitive(lambda g: np.float64(g.number))
    def end(x):
        return 1.0 * x

    x = mg.Tensor(1.0, requires_grad=True)
    h = x if at_leaf else end(x)
    total = noted(h, 1.0)
    for k in (10.0, 100.0, 1000.0):
        total = total + noted(h, k)
    total.backward()
    assert events == ["new buffer", "in place", "in place"]
    assert (x.node.grad.number if at_leaf else x.grad) == 1111


def test_accumulation_takes_turns_with_broadcasting():
    """A leaf reached whole, broadcast and as a number in one graph adds all three up, in its own shape."""
    x = mg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = (x + np.zeros((2, 3))).sum() + (x * 2.0).sum() + x[0] * 10.0
    y.backward()
    np.testing.assert_array_equal(x.grad, [14, 4, 4])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_have_the_dtype_of_their_leaf(name, dtype):
    """And so have values: nothing drifts to float64 on the way there or back."""
    a, b = (mg.Tensor(np.ones((2, 3)), requires_grad=True, dtype=dtype) for _ in range(2))
    y = PROGRAMS[name](a, b) * 2.0
    assert y.dtype == dtype
    y.backward(np.ones(y.shape))
    assert all(x.grad is None or (x.grad.dtype == dtype and x.grad.shape == (2, 3)) for x in (a, b))


def test_leaves_of_two_dtypes_in_one_graph():
    """Where float32 meets float64 the result is float64, and each leaf gets its own back."""
    a = mg.Tensor([1.0], requires_grad=True, dtype=np.float32)
    b = mg.Tensor([2.0], requires_grad=True)
    y = (a * b).sum() + a.sum()
    da, db = mg.grad(y, [a, b], retain_graph=True)
    assert (y.dtype, da.dtype, db.dtype) == (np.float64, np.float32, np.float64)
    da, db = mg.grad(y, [a, b], create_graph=True, retain_graph=True)
    assert (da.dtype, db.dtype) == (np.float32, np.float64)
    y.backward()
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)


def test_scalar_gradients_are_arrays():
    """Inside, numbers are NumPy scalars, for speed; whoever asks gets an array."""
    x = mg.Tensor(2.0, requires_grad=True)
    (x * x).backward()
    assert isinstance(x.grad, np.ndarray) and isinstance(mg.grad(x * x, x), np.ndarray)
    handle = x.grad
    handle *= 0  # what zeroing in place means
    assert x.grad == 0


# ---------------------------------------------------------------- what rules keep stays theirs


def through(rule, x: np.ndarray, seed: np.ndarray, behind=lambda y: y * 1.0) -> mg.Tensor:
    """A leaf after backward() through one operation with this rule; its upstream gradient is the engine's own array."""
    operation = mg.primitive(rule)(lambda x: x.copy())
    t = mg.Tensor(x, requires_grad=True)
    y = behind(operation(t))
    y.backward(seed.reshape(y.shape))
    return t


@pytest.mark.parametrize("create_graph", [False, True])
def test_what_a_rule_keeps_is_not_handed_out(create_graph):
    """A rule may return an array that it caches; `x.grad *= 0.5` must not change the cache, nor another leaf's gradient."""
    kept = np.array([1.0, 2.0, 3.0])
    cached = mg.primitive(lambda g: kept if isinstance(g, np.ndarray) else mg.Tensor(kept))(lambda x: x.copy())
    x, z = (mg.Tensor(np.ones(3), requires_grad=True) for _ in range(2))
    (cached(x) + cached(z)).backward(np.ones(3), create_graph=create_graph)
    for t in (x, z):
        gradient = arrays_of(t.grad)[0]
        gradient *= 2
    np.testing.assert_array_equal(kept, [1, 2, 3])
    np.testing.assert_array_equal(arrays_of(x.grad)[0], [2, 4, 6])


def test_a_view_that_cannot_be_written_is_copied():
    """`x.grad *= 0.5` must work, whatever kind of array a rule returned."""
    x = through(lambda g: np.broadcast_to(g, g.shape), np.ones(3), np.array([1.0, 2.0, 3.0]))
    x.grad *= 2
    np.testing.assert_array_equal(x.grad, [2, 4, 6])


PARTS = {"half": lambda g: g[:2], "every other": lambda g: g[::2], "middle": lambda g: g[1:3].reshape(2)}


@pytest.mark.parametrize("shape, in_memory", [((64, 64), True), ((4097,), False), ((2**14, 2**14), False), ((), True)])
def test_one_number_everywhere(shape, in_memory):
    """The gradient of a sum: filled where it is small; a gigabyte where it is large would be waste."""
    spread = everywhere(np.float32(3), shape)
    assert (spread.shape, spread.dtype, spread.flags.writeable) == (shape, np.float32, in_memory)
    assert spread.min() == spread.max() == 3 if spread.size < 10_000 else spread[5, -1] == 3


def test_the_gradient_of_a_large_sum_is_an_array_of_its_own():
    x = mg.Tensor(np.ones((65, 67)), requires_grad=True)
    x.sum().backward()
    x.grad[2, 3] += 1
    assert x.grad.sum() == 65 * 67 + 1


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_small_part_does_not_keep_the_whole(part):
    """A leaf that filled a corner of a large result keeps a gradient of its own size."""
    taken = mg.primitive(lambda g: part(g))(lambda x: np.concatenate([x, x]))
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    (taken(x) * 1.0).backward(np.arange(4.0))
    np.testing.assert_array_equal(x.grad, part(np.arange(4.0)))
    assert x.grad.base is None or x.grad.base.size == x.grad.size


VIEWS = {
    "itself": lambda g: g,
    "turned": lambda g: g[::-1],
    "reshaped": lambda g: g.reshape(3),
    "transposed": lambda g: g.T,
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("held", ["array", "view", "its base", "both"])
def test_an_upstream_gradient_that_somebody_holds_is_copied(view, held):
    """Whoever kept the upstream gradient, or an array that it is a view of, does not share it with the leaf."""
    kept = []

    @mg.primitive(lambda g: hold(g))
    def upstream(x):
        """Hands on an array that it keeps, or that is a view of one that it keeps."""
        return x.copy()

    def hold(g):
        whole = g * 1.0
        kept.extend({"array": [whole], "view": [whole[:]], "its base": [whole], "both": [whole, whole[:]]}[held])
        return whole if held == "array" else whole[:]

    x = through(lambda g: view(g), np.ones(3), np.array([1.0, 2.0, 3.0]), upstream)
    x.grad += 100
    for array in kept:
        np.testing.assert_array_equal(array, [1, 2, 3])


BEHIND = {"an array of its own": lambda y: y * 1.0, "a view": lambda y: y.reshape(3, 1) * 1.0}


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
def test_a_view_of_something_else_is_copied(behind):
    """A rule may return a view of an array of its own, such as a table, which then stays its own."""
    table = np.array([1.0, 2.0, 3.0])
    x = through(lambda g: table[::-1], np.ones(3), np.ones(3), behind)
    x.grad += 100
    np.testing.assert_array_equal(table, [1, 2, 3])
