"""Programs: what was recorded computes the same bits as the function, from current values, and says why if it cannot."""

from __future__ import annotations

import cProfile
import sys
from typing import NamedTuple

import numpy as np
import pytest
from compiler_tools import SHORT, flat, loss_of, run_alone, same_bits, value_and_gradients
from hypothesis import given
from programs import programs

import minigrad as mg
from minigrad.compiler import RecordingError, compile, program

# ---------------------------------------------------------------- the same bits


@SHORT
@given(programs(without=("mask",)))
def test_eager_compiled_and_printed_agree_to_the_last_bit(random_program):
    """First and second derivatives of random graphs; the printed source runs with NumPy alone."""
    loss = loss_of(random_program)
    leaves = [np.array(x)[()] for x in random_program.leaves]
    with np.errstate(all="ignore"):
        expected = flat(value_and_gradients(loss)(*leaves))
        fast = compile(value_and_gradients(loss))
        for _ in range(3):
            same_bits(fast(*leaves), expected)
        assert len(fast.programs) == 1
        printed = program(loss, *leaves)
        same_bits(run_alone(printed, leaves), expected[: 1 + len(leaves)])


@SHORT
@given(programs(without=("mask",)))
def test_program_recorded_for_other_values_is_right(random_program):
    """The program depends on shapes, not on the values that it was recorded with."""
    loss = loss_of(random_program)
    leaves = [np.array(x)[()] for x in random_program.leaves]
    other = [x * 0.5 + 0.25 for x in leaves]
    with np.errstate(all="ignore"):
        fast = compile(value_and_gradients(loss))
        fast(*other)
        same_bits(fast(*leaves), value_and_gradients(loss)(*leaves))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts_and_dtypes(dtype):
    """A transposed, a strided and a float32 argument each give the bits of the function."""
    rng = np.random.default_rng(0)
    f = value_and_gradients(lambda x, w: ((x @ w).tanh() * x.sum(axis=0)[:3]).mean())
    fast = compile(f)
    w = rng.standard_normal((5, 3)).astype(dtype)
    for x in (rng.standard_normal((7, 5)), rng.standard_normal((5, 7)).T, rng.standard_normal((14, 5))[::2]):
        x = x.astype(dtype, order="K")
        same_bits(fast(x, w), f(x, w))


def test_division_by_zero_of_numbers():
    """Python's floats raise where NumPy's give infinity; the result is NumPy's."""
    f = compile(lambda x, y: x / y)
    with np.errstate(all="ignore"):
        assert f(np.float64(1), np.float64(2)) == 0.5
        assert f(np.float64(1), np.float64(0)) == np.inf
        assert np.isnan(f(np.float64(0), np.float64(0)))


# ---------------------------------------------------------------- nothing is stale


def network():
    rng = np.random.default_rng(0)
    return mg.layers.Sequential(
        mg.layers.Dense(4, 5, rng=rng), mg.layers.ReLU(), mg.layers.Dropout(0.5, rng=1), mg.layers.Dense(5, 3, rng=rng)
    )


def training_step(net):
    def step(x, y):
        net.zero_grad()
        loss = mg.losses.cross_entropy(y, net(x))
        loss.backward()
        net.sgd_step(0.1)
        return loss

    return step


def test_whole_training_step():
    """Parameters, gradients and dropout's random numbers are those of the uncompiled step, step after step."""
    nets = network(), network()
    fast, slow = compile(training_step(nets[0])), training_step(nets[1])
    rng = np.random.default_rng(3)
    for i in range(8):
        if i == 5:
            nets[0].eval(), nets[1].eval()
        x, y = rng.standard_normal((6, 4)), rng.integers(0, 3, 6)
        same_bits(fast(x, y).numpy(), slow(x, y).numpy())
        for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
            same_bits(p.data, q.data)
            same_bits(p.grad, q.grad)
    assert nets[0].layers[2].rng.random() == nets[1].layers[2].rng.random()


def test_parameters_are_read_at_each_call():
    """In place, assigned, replaced, and used without any argument."""
    w = mg.Tensor([1.0, 2.0], requires_grad=True)
    fast = compile(lambda x: (w * w).sum() * x)
    assert fast(np.float64(2)).item() == 10
    w.data[:] = 3
    assert fast(np.float64(2)).item() == 36
    w.data = np.array([1.0, 0.0])
    assert fast(np.float64(2)).item() == 2
    w = mg.Tensor([5.0, 0.0], requires_grad=True)
    assert fast(np.float64(2)).item() == 50


def test_arrays_and_numbers_of_closures_are_current():
    """Arrays changed in place or replaced, numbers, and arrays inside tuples."""
    c, factor, pair = np.ones(3), 2.0, (np.ones(3), 1)
    fast = compile(lambda x: (np.exp(c) * x * factor + pair[0]).sum())
    x = np.arange(3.0)

    def check():
        assert fast(x) == (np.exp(c) * x * factor + pair[0]).sum()

    check()
    c[0] = 7
    check()
    c = np.zeros(3)
    check()
    factor = 3.0
    check()
    pair[0][1] = -1
    check()


def test_state_that_counts():
    """An optimiser's step count and moving averages, as Adam keeps them."""

    class Average:
        def __init__(self):
            self.steps, self.mean = 0, np.zeros(2)

        def __call__(self, x):
            self.steps += 1
            self.mean = 0.9 * self.mean + 0.1 * x
            return self.mean / (1 - 0.9**self.steps)

    one, two = Average(), Average()
    fast = compile(one)
    for i in range(6):
        same_bits(fast(np.array([1.0, i])), two(np.array([1.0, i])))
        assert one.steps == two.steps and type(one.steps) is int
        same_bits(one.mean, two.mean)
    assert len(fast.programs) == 1


def test_failed_recording_leaves_everything_as_it_was():
    """Parameters, generators and numbers are put back, and the function works uncompiled."""
    net = network()
    before = [p.data.copy() for p in net.parameters()]

    def step(x):
        training_step(net)(x, np.array([0, 1]))
        return float(net(x).sum())

    with pytest.raises(RecordingError):
        compile(step)(np.ones((2, 4)))
    for p, q in zip(net.parameters(), before, strict=True):
        assert type(p.value) is np.ndarray
        same_bits(p.data, q)
        assert p.grad is None
    assert type(net.layers[2].rng) is np.random.Generator
    same_bits(net.layers[2].rng.random(), np.random.default_rng(1).random())


# ---------------------------------------------------------------- simplification


def test_nothing_superfluous():
    """Common subexpressions once, unused results never, constants folded, no copies."""
    p = program(lambda x: (x.exp() * x.exp().copy() + 0 * (x * 7).sum().detach().data * 0).sum(), np.ones(3))
    assert p.source.count("np.exp") == 1
    assert "copy" not in p.source
    assert program(lambda x: (x + 1) * 1.0, np.ones(3)).operations == 1
    assert p.bytes > 0


def test_names():
    """Parameters have the function's names, tensors their own, gradients are called after them."""

    def loss(weight, x):
        h = weight * x
        h.name = "hidden"
        return h.exp().sum()

    text = str(program(loss, np.ones(3), np.ones(3)))
    assert "def program(weight, x):" in text and "hidden = weight * x" in text
    assert "return L, (dweight, dx)" in text and "# backward" in text


def test_flags_select_programs_and_running_statistics_move():
    """A layer that keeps statistics in training: they move at each call, and not after eval()."""

    class Centred(mg.layers.BaseLayer):
        def __init__(self):
            self.weight, self.mean = mg.Tensor(np.ones(2), requires_grad=True), mg.Tensor(np.zeros(2))

        def forward(self, x):
            if self.training:
                self.mean.data = 0.9 * self.mean.data + 0.1 * x.data.mean(axis=0)
            return ((x - self.mean) * self.weight).sum()

    one, two = Centred(), Centred()
    fast = compile(lambda x: one(x))
    for i in range(6):
        one.train(i % 3 < 2), two.train(i % 3 < 2)
        x = mg.Tensor(np.full((4, 2), float(i)))
        same_bits(fast(x).numpy(), two(x).numpy())
        same_bits(one.mean.data, two.mean.data)
    assert len(fast.programs) == 2


def test_one_tensor_given_twice():
    """A program for two tensors is not used where both are one tensor, whose gradient is a sum."""

    def f(x, y):
        (x * x * y).sum().backward()
        return x.grad.copy(), y.grad.copy()

    fast = compile(f)
    x, y = mg.Tensor([2.0], requires_grad=True), mg.Tensor([5.0], requires_grad=True)
    assert [g.item() for g in fast(x, y)] == [20, 4]
    x.zero_grad()
    assert [g.item() for g in fast(x, x)] == [12, 12]
    x.zero_grad(), y.zero_grad()
    assert [g.item() for g in fast(x, y)] == [20, 4]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_any_two_tensors_of_several_may_be_one(n):
    """Whichever two they are, few or many: each gets the whole gradient, as without compiling."""

    def f(*tensors):
        for x in tensors:
            x.zero_grad()
        sum(k * x * x for k, x in enumerate(tensors, 1)).sum().backward()
        return [x.grad.copy() for x in tensors]

    fast, tensors = compile(f), [mg.Tensor([k + 2.0], requires_grad=True) for k in range(n)]
    assert [g.item() for g in fast(*tensors)] == [2 * (k + 1) * (k + 2) for k in range(n)]
    for i in range(n):
        for j in range(i):
            given = [tensors[i] if k == j else x for k, x in enumerate(tensors)]
            for got, expected in zip(fast(*given), f(*given), strict=True):
                assert np.array_equal(got, expected)


@pytest.mark.parametrize("profiler", ["cProfile", "a function"])
def test_profilers_go_on_after_the_first_call(profiler):
    """Recording watches which code runs as a profiler does, and puts back the one that was there."""
    fast, seen = compile(lambda x: x * 2), []

    def after():
        pass

    with_c = cProfile.Profile()
    before = sys.getprofile()
    if profiler == "cProfile":
        with_c.enable()
    else:
        sys.setprofile(lambda frame, event, argument: seen.append(frame.f_code))
    try:
        assert fast(np.ones(2)).tolist() == [2, 2]
        after()
    finally:
        with_c.disable()
        sys.setprofile(before)
    codes = [entry.code for entry in with_c.getstats()] if profiler == "cProfile" else seen
    assert after.__code__ in codes


def test_softmax_subtracts_the_maximum_of_each_call():
    """Recorded with small numbers, it does not overflow with large ones."""
    fast = compile(lambda x: mg.layers.activations.softmax(mg.Tensor(x)))
    for scale in (1.0, 1000.0):
        x = scale * np.arange(6.0).reshape(2, 3)
        same_bits(fast(x).numpy(), mg.layers.activations.softmax(mg.Tensor(x)).numpy())


@pytest.mark.parametrize("shape", [(30, 5), (60, 50)])
def test_kinks_of_small_and_large_arrays(shape):
    """ReLU, absolute value, maximum and clip choose by np.where or by bits: the same bits, for NaN, infinity and −0, too."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, *shape))
    x[0, :4] = np.nan, np.inf, -0.0, 0.0
    f = value_and_gradients(
        lambda x, y: (mg.relu_tensor(x) * y + abs(x) * mg.tensor_maximum(x, y) + x.clip(-1, 1) ** 2).mean()
    )
    with np.errstate(all="ignore"):
        fast = compile(f)
        for a, b in ((y, x), (x, y), (x.astype(np.float32), y.astype(np.float32))):
            same_bits(fast(a, b), f(a, b))


def test_indices_and_masks_are_checked_at_each_call():
    """An embedding's indices, attention's mask, weights of classes and rows to ignore: constants of one call, not of all."""
    table, rng = mg.layers.Embedding(4, 3, rng=0), np.random.default_rng(1)
    fast = compile(lambda i: table(i).sum())
    for i in ([0, 1], [3, 3]):
        same_bits(fast(np.array(i)).numpy(), table(np.array(i)).sum().numpy())
    with pytest.raises(IndexError, match="from 0 to 3"):
        fast(np.array([0, 4]))
    attend = mg.layers.attention.scaled_dot_product_attention
    fast = compile(lambda q, mask: attend(mg.Tensor(q), mg.Tensor(q), q, mask))
    for _ in range(3):
        q, mask = rng.standard_normal((3, 2)), rng.random((3, 3)) < 0.5
        same_bits(fast(q, mask).numpy(), attend(mg.Tensor(q), mg.Tensor(q), q, mask).numpy())
    loss = lambda y, z, w: mg.losses.cross_entropy(y, mg.Tensor(z), weight=w, ignore_index=-1)
    fast = compile(loss)
    for y in ([0, 1, -1], [-1, -1, -1], [2, -1, 0]):
        z, w = rng.standard_normal((3, 3)), rng.random(3)
        same_bits(fast(np.array(y), z, w).numpy(), loss(np.array(y), z, w).numpy())
    with pytest.raises(ValueError, match="at least 0"):
        fast(np.array([0, 1, 2]), np.ones((3, 3)), -np.ones(3))


def test_float16_is_accumulated_in_float32():
    """5,000 ones: a float16 sum of them stops at 2,048."""
    x = np.ones((5000, 2), np.float16)
    f = lambda x, b: mg.grad(((mg.Tensor(x) + b).sum(axis=0) * 1.0).sum(), b)
    call = lambda f: f(x, mg.Tensor(np.ones(2, np.float16), requires_grad=True))
    same_bits(call(compile(f)), call(f))
    assert np.all(call(f) == 5000)


# ---------------------------------------------------------------- arguments, results, methods


class Pair(NamedTuple):
    """Two arrays."""

    a: np.ndarray
    b: np.ndarray


def test_structures_come_and_go():
    """Lists, dicts, named tuples, strings, numbers and tensors that are returned as they came."""

    def f(xs, *, table, pair, mode="double", zero=0.0, t=None):
        first = xs[0] * (2 if mode == "double" else 3) + zero
        return {"first": first, "list": [xs[1], table["w"] - 1], "pair": Pair(pair.b, pair.a)}, (mode, None, 1.5), t

    x, t = np.arange(3.0), mg.Tensor(1.0)
    fast = compile(f)
    for mode, zero in (("double", 0.0), ("triple", 0.0), ("double", -0.0), ("double", 0.0)):
        arguments = dict(table={"w": x + 1}, pair=Pair(x, x * 2), mode=mode, zero=zero, t=t)
        got, wanted = fast([x, x * 5], **arguments), f([x, x * 5], **arguments)
        assert got[1] == wanted[1] and got[2] is t and type(got[0]["pair"]) is Pair
        same_bits(list(got[0]["list"]), wanted[0]["list"])
        same_bits(got[0]["first"], wanted[0]["first"])
        same_bits(got[0]["pair"].a, wanted[0]["pair"].a)
        assert not np.shares_memory(got[0]["pair"].a, arguments["pair"].b)
    assert len(fast.programs) == 3
    with pytest.raises(TypeError, match="dtype complex128"):
        compile(lambda x: x)(np.array([1j]))


def test_methods():
    """A compiled method knows its instance."""

    class Model:
        def __init__(self, factor):
            self.factor = factor

        @compile
        def scaled(self, x):
            return x * self.factor

    assert Model(2.0).scaled(np.float64(3)) == 6 and Model(5.0).scaled(np.float64(3)) == 15


def test_in_place_writes_and_numpy_functions():
    """fill, out=, +=, ufunc.at, split, broadcast_arrays, iteration: the same bits, the argument unchanged."""

    def f(x):
        y = x.copy()
        y += 1
        np.multiply(y, 2, out=y)
        y[1] = 5
        np.add.at(y, [0, 0], x[:2])
        z = np.zeros_like(y)
        z.fill(3)
        part = y[1:]
        part[:2] *= 3
        for number in part[-1:]:
            number += 4  # of NumPy's numbers a new one
        y[0] -= part[0]
        left, right = np.split(y, 2)
        a, b = np.broadcast_arrays(left, right[:1])
        return [y, part, z, left * right, a + b, sum(part for part in y), len(x) * y.mT.T if y.ndim > 1 else y]

    x = np.arange(4.0)
    fast = compile(f)
    for _ in range(2):
        same_bits(fast(x), f(x))
    same_bits(x, np.arange(4.0))
