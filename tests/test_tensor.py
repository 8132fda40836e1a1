"""Tensor by itself: construction, what it holds, how it shows itself, and where its gradients are kept."""

import gc
import math
import operator

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor

# ---------------------------------------------------------------- construction


def test_a_leaf_copies_its_data():
    """Training would change the caller's array."""
    given = np.array([1.0, 2.0])
    leaf = Tensor(given, requires_grad=True)
    assert not np.shares_memory(leaf.data, given)
    assert not np.shares_memory(Tensor(Tensor(given), requires_grad=True).data, given)
    assert leaf.requires_grad and leaf.grad is None


def test_a_constant_shares_its_data():
    """A copy of a large data set for every batch."""
    given = np.array([1.0, 2.0])
    assert Tensor(given).data is given
    assert np.shares_memory(Tensor(Tensor(given)).data, given)
    assert not Tensor(given).requires_grad


@pytest.mark.parametrize("data", [3, [1, 2], True, [True, False], np.arange(3, dtype=np.int8), np.uint64(7), range(4)])
def test_integers_and_booleans(data):
    """They stay what they are in a constant; a leaf can only be moved a little if it is float64."""
    expected = np.asarray(data)
    assert Tensor(data).dtype == expected.dtype
    leaf = Tensor(data, requires_grad=True)
    assert leaf.dtype == np.float64
    np.testing.assert_array_equal(leaf.data, expected)
    assert Tensor(data, requires_grad=True, dtype=np.int32).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, "f4"])
def test_floats_keep_their_dtype(dtype):
    assert Tensor(np.ones(2, dtype), requires_grad=True).dtype == dtype
    assert Tensor([1, 2], dtype=dtype).dtype == dtype
    assert Tensor(1.5, dtype=dtype, requires_grad=True).dtype == dtype


@pytest.mark.parametrize(
    "data",
    [
        "abc",
        None,
        1j,
        [1j],
        {"a": 1},
        object(),
        [None],
        np.array(["1"]),
        np.array([1], object),
        np.datetime64("2020-01-01"),
        [b"x"],
    ],
    ids=lambda data: f"{type(data).__name__} {data}"[:20],
)
def test_what_is_not_numeric_is_refused(data):
    """A tensor of objects computes, after a fashion, and fails far from here."""
    for requires_grad in (True, False):
        with pytest.raises(TypeError, match=r"^Tensor: .*real numbers"):
            Tensor(data, requires_grad)


def test_ragged_lists_are_refused():
    with pytest.raises(ValueError, match=r"^Tensor: .*rectangular"):
        Tensor([[1.0, 2.0], [3.0]])


# ---------------------------------------------------------------- what it holds


SHAPES = pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,), (2, 0, 3)])


@SHAPES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_data_and_grad_are_always_arrays(shape, dtype):
    """A gradient that comes back as np.float64: code that writes into it fails for scalars alone."""
    x = Tensor(np.ones(shape), requires_grad=True, dtype=dtype)
    y = (x * 2).sum()
    y.backward()
    for array in (x.data, x.grad, x.numpy(), y.data, mg.grad((x * x).sum(), x), Tensor(np.ones(shape, dtype)).data):
        assert type(array) is np.ndarray and array.dtype == dtype
    assert x.grad.shape == x.data.shape == x.shape == shape
    (x * 3).sum().backward()
    assert type(x.grad) is np.ndarray
    assert (x.ndim, x.size, x.dtype) == (len(shape), math.prod(shape), dtype)


def test_writing_into_the_data_of_a_number():
    """The array of a 0-d tensor must be its memory, not a copy."""
    for requires_grad in (True, False):
        x = Tensor(2.0, requires_grad)
        x.data[...] = 5
        x.data += 1
        assert x.item() == 6 and (x * 2).item() == 12
        x.numpy()[()] = 7
        assert x.item() == 7


def test_setting_data():
    x = Tensor([1.0, 2.0], requires_grad=True, dtype=np.float32)
    x.data = [3, 4]
    assert x.data.tolist() == [3, 4] and x.dtype == np.float32 and x.requires_grad
    (x * x).sum().backward()
    assert x.grad.tolist() == [6, 8]
    for wrong in ([1.0], 5.0, np.ones((2, 1))):
        with pytest.raises(ValueError, match=r"^data: .*\(2,\).*Make a new Tensor"):
            x.data = wrong
    assert x.data.tolist() == [3, 4]
    number = Tensor(1.0, requires_grad=True)
    number.data = 4
    assert number.item() == 4.0 and number.data.shape == ()


def test_setting_grad():
    x = Tensor([1.0, 2.0], requires_grad=True)
    mine = np.array([10.0, 20.0])
    x.grad = mine
    x.sum().backward()
    assert x.grad.tolist() == [11, 21] and mine.tolist() == [10, 20]
    x.grad = None
    assert x.grad is None
    x.sum().backward()
    x.zero_grad()
    assert x.grad is None


@pytest.mark.parametrize("wrong", [[1.0], 5.0, np.ones((2, 1)), "ab"], ids=repr)
def test_grad_set_to_something_that_is_none(wrong):
    """A gradient of another shape would be broadcast by the next step, or the next backward, in silence."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises((ValueError, TypeError), match="^grad: "):
        x.grad = wrong
    assert x.grad is None


def test_only_leaves_keep_a_gradient():
    x = Tensor([1.0], requires_grad=True)
    y = x * 2
    y.backward()
    with pytest.warns(UserWarning, match=r"only leaves keep a gradient.*minigrad.grad") as warned:
        assert y.grad is None
    assert warned[0].filename == __file__  # it points at who asked
    assert Tensor([1.0]).grad is None
    for t in (y, Tensor([1.0])):
        with pytest.raises(AttributeError, match="^grad: only a leaf"):
            t.grad = np.ones(1)
        with pytest.raises(AttributeError, match="^grad: only a leaf"):
            t.zero_grad()


def test_item_float_bool_len():
    for x in (Tensor(2.5), Tensor([2.5]), Tensor([[2.5]])):
        assert x.item() == float(x) == 2.5 and type(x.item()) is float
        assert bool(x) and not bool(x * 0)
    assert type(Tensor(3).item()) is int
    assert f"{Tensor(2.5):.2f} {Tensor([2.5])}" == "2.50 Tensor([2.5])"
    for x in (Tensor([1.0, 2.0]), Tensor(np.zeros((0,)))):
        for f in (Tensor.item, float):
            with pytest.raises(ValueError, match=r"^item: shape \((2|0),\) holds [02] numbers.*numpy\(\)"):
                f(x)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Tensor([1.0, 2.0]))
    assert len(Tensor(np.zeros((3, 2)))) == 3
    with pytest.raises(TypeError, match=r"^len\(\) of a tensor without axes"):
        len(Tensor(1.0))


def test_iteration_gives_rows_with_gradients():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = x
    assert first.data.tolist() == [1, 2]
    (first * 10 + second).sum().backward()
    assert x.grad.tolist() == [[10, 10], [1, 1]]
    with pytest.raises(TypeError, match="without axes"):
        iter(Tensor(1.0))


def test_elements_cannot_be_assigned():
    """The graph may need the old ones."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"^assignment: .*tensor_where.*\.data\[\.\.\.\]"):
        x[0] = 5.0
    x.data[0] = 5.0
    assert x.data.tolist() == [5, 2]


def test_detach():
    """A constant in the same memory; the graph behind it is not kept alive or reached."""
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    d = x.detach()
    assert not d.requires_grad and d.grad is None and np.shares_memory(d.data, x.data)
    (x * d).sum().backward()
    assert x.grad.tolist() == [1, 2]
    assert not (x * 2).detach().requires_grad


def test_numpy_shares_memory():
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert np.shares_memory(x.numpy(), x.data) and type(x.numpy()) is np.ndarray


# ---------------------------------------------------------------- names and repr


def test_name():
    x = Tensor([1.0], requires_grad=True, name="x")
    assert x.name == "x" and x.node.name == "x"
    y = x * 2
    assert y.name is None
    y.name = "y"
    assert y.name == "y" and y.node.name == "y"
    assert Tensor(1.0).name is None and Tensor(1.0, name="c").name == "c"


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (Tensor(2.0), "Tensor(2.)"),
        (Tensor(2), "Tensor(2)"),
        (Tensor([True]), "Tensor([ True])"),
        (Tensor([1.0, 2.5]), "Tensor([1. , 2.5])"),
        (Tensor(np.float32(0.5)), "Tensor(0.5, dtype=float32)"),
        (Tensor([1], dtype=np.int8), "Tensor([1], dtype=int8)"),
        (Tensor(1.0, requires_grad=True), "Tensor(1., requires_grad=True)"),
        (Tensor(1.0, requires_grad=True, name="x"), "Tensor(1., name='x', requires_grad=True)"),
        (Tensor([1.0], True, np.float32, "w"), "Tensor([1.], dtype=float32, name='w', requires_grad=True)"),
        (Tensor([1.0], True) * 2, "Tensor([2.], from tensor_mul)"),
        (Tensor(1.0, True).exp().detach(), "Tensor(2.71828183)"),
        (Tensor(np.zeros((2, 2))), "Tensor([[0., 0.],\n        [0., 0.]])"),
        (Tensor(np.zeros((0, 2))), "Tensor([])"),
    ],
    ids=str,
)
def test_repr(tensor, expected):
    """What a learner sees first: the numbers, what is unusual about them, and where they came from."""
    if tensor.size:
        assert repr(tensor) == expected
    else:
        assert repr(tensor).startswith(expected[:-1])


def test_repr_of_a_large_tensor_is_short():
    assert len(repr(Tensor(np.zeros((1000, 1000))))) < 500


# ---------------------------------------------------------------- comparisons


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
@pytest.mark.parametrize("kind", [Tensor, np.asarray, list, float], ids=lambda k: k.__name__)
def test_comparisons_give_arrays_of_booleans(compare, kind):
    """A comparison has no derivative; it is used for masks."""
    a = np.array([1.0, 2.0, 3.0])
    b = 2.0 if kind is float else kind([2.0, 2.0, 2.0])
    x = Tensor(a, requires_grad=True)
    result, reflected = compare(x, b), compare(b, x)
    assert type(result) is np.ndarray and result.dtype == bool
    np.testing.assert_array_equal(result, compare(a, 2.0))
    np.testing.assert_array_equal(reflected, compare(2.0, a))


@pytest.mark.parametrize("operate", [mg.tensor_mul, lambda w, three: three * w], ids=["left", "right"])
def test_a_subclass_of_tensor_is_a_tensor(operate):
    """Somebody's Parameter(Tensor), taken for a constant, would get no gradient."""

    class Weight(Tensor):
        pass

    w = Weight([1.0, 2.0], requires_grad=True)
    y = operate(w, 3)
    assert type(y) is Tensor and y.data.tolist() == [3, 6]
    y.backward([1.0, 10.0])
    assert w.grad.tolist() == [3, 30]
    assert isinstance(mg.tensor_exp(Weight([0.0])), Tensor)  # without a gradient too


def test_tensors_are_hashed_by_identity():
    """Sets and dicts of parameters."""
    x, y = Tensor([1.0]), Tensor([1.0])
    assert hash(x) != hash(y)
    assert {x: 1, y: 2}[x] == 1 and len({x, y, x}) == 2


# ---------------------------------------------------------------- no_grad


def test_no_grad_as_context():
    x = Tensor(2.0, requires_grad=True)
    with mg.no_grad():
        inside = x * x
        leaf = Tensor(1.0, requires_grad=True)
        with mg.no_grad():
            pass
        nested = x * x
    assert not inside.requires_grad and not nested.requires_grad and (x * x).requires_grad
    assert leaf.requires_grad and (leaf * 2).requires_grad


def test_no_grad_as_decorator():
    x = Tensor(2.0, requires_grad=True)

    @mg.no_grad()
    def predict(factor):
        """Doc."""
        return x * factor

    for _ in range(2):  # the second call too
        assert not predict(3).requires_grad
    assert predict(3).item() == 6 and predict.__name__ == "predict" and (x * x).requires_grad


def test_no_grad_ends_with_an_exception():
    """A failed evaluation must not switch learning off for good."""
    x = Tensor(2.0, requires_grad=True)
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        raise ZeroDivisionError
    assert (x * x).requires_grad


# ---------------------------------------------------------------- memory


def test_a_graph_leaves_no_garbage():
    """Reference cycles: memory that waits for the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        x = Tensor(np.ones(5), requires_grad=True)
        y = (x.exp() * x + [1.0] * 5).sum()
        repr(y), mg.grad(y, x, create_graph=True), y.backward()
        del y
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_nodes_in_a_debugger():
    x = Tensor([1.0], requires_grad=True, name="x")
    assert (repr(x.node), repr((x * x).node)) == ("<leaf x (1,)>", "<node tensor_mul (1,)>")
    assert x.node.parents == x.node.saved == ()  # who walks a graph need not ask whether a node is a leaf
