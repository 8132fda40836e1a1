"""What stands for an array while a program is recorded goes wherever an array goes, and stays what it is."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.compiler.recording import RecordedArray
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
    """The table is no argument, but what is picked from it depends on one: the program must not keep the first choice."""
    table = np.arange(16.0).reshape(4, 4)
    picked = mg.compile(lambda i: mg.tensor_getitem(mg.Tensor(table), pick(i)))
    for i in (np.array([0, 1]), np.array([3, 0])):
        np.testing.assert_array_equal(picked(i).data, table[pick(i)])


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
