"""What stands for an array while a program is recorded goes wherever an array goes, and stays what it is."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.compiler.recording import RecordedArray
from minigrad.functions import _put
from minigrad.primitive import as_array, recorded_with

PICKS = {
    "i": lambda i: i,
    "i,": lambda i: (i,),
    "i, 0": lambda i: (i, 0),
    "0, i": lambda i: (0, i),
    ":, i": lambda i: (slice(None), i),
    "i, i": lambda i: (i, i),
}


@pytest.mark.parametrize("pick", PICKS.values(), ids=PICKS)
def test_a_constant_picked_by_a_recorded_index(pick):
    """The table is the function's own, but what is picked depends on an argument: the program must not keep one choice."""

    def f(i):
        return mg.tensor_getitem(np.arange(16.0).reshape(4, 4), pick(i))

    compiled = mg.compile(f)
    for i in (np.array([0, 1]), np.array([3, 0])):
        np.testing.assert_array_equal(compiled(i), f(i))


def test_a_constant_is_put_at_a_recorded_index():
    """The gradient of picking where the upstream gradient is a constant of the function."""
    put = mg.compile(lambda i: _put(np.array([1.0, 2.0]), i, (4,)))
    assert put(np.array([0, 3])).tolist() == [1, 0, 0, 2] and put(np.array([2, 2])).tolist() == [0, 0, 3, 0]


@pytest.mark.parametrize("shape, strides", [((64, 64), (512, 8)), ((17, 241), (0, 0))], ids=["4096", "4097"])
def test_a_number_everywhere_has_one_layout_eager_and_recorded(shape, strides):
    """Up to 4096 places have memory of their own, more are a view; sums of other layouts could differ in the last bit."""

    def f(x):
        y = mg.tensor_broadcast_to(x, shape)
        assert y.strides == strides
        return y

    for x in np.float64(2), np.float64(3):
        assert np.array_equal(f(x), np.full(shape, x)) and np.array_equal(mg.compile(f)(x), np.full(shape, x))


def test_an_array_of_a_recording_is_taken_as_it_is():
    """It is converted only where its dtype differs and copied only where a copy was asked for: each would be an instruction."""

    def f(x, i):
        assert type(x) is type(i) is RecordedArray
        assert as_array(x) is as_array(x, x.dtype) is recorded_with(i, x) is recorded_with((i, 0), x) is x
        single, copied = as_array(x, np.float32), as_array(x, copy=True)
        assert type(single) is RecordedArray and copied is not x
        return single, copied

    x = np.array([1.0, 1 / 3])
    single, copied = mg.compile(f)(x, np.array([0]))
    assert single.dtype == np.float32 and np.array_equal(single, x.astype(np.float32)) and np.array_equal(copied, x)


def test_a_gradient_without_values_can_be_written_into():
    """The gradient of a sum holds no value of the argument, but it is the function's own array, in a recording, too."""

    def f(x):
        t = mg.Tensor(x, requires_grad=True)
        g = mg.grad((t + 1.0).sum(), t)
        g += x
        return g

    compiled = mg.compile(f)
    for x in (np.array([2.0, 3.0]), np.array([4.0, 5.0])):
        assert compiled(x).tolist() == f(x).tolist() == [x[0] + 1, x[1] + 1]


def test_indices_that_change_after_they_were_used():
    """An embedding keeps a copy of its indices for the backward pass, in a recording, too."""
    table = mg.layers.Embedding(4, 2, rng=0)

    def gradient(i):
        y = table(i).sum()
        i += 1
        return mg.grad(y, table.weight)

    compiled = mg.compile(gradient)
    for i in (np.array([0, 0]), np.array([1, 2])):
        rows = np.bincount(i, minlength=4)
        np.testing.assert_array_equal(compiled(i), np.column_stack([rows, rows]))
