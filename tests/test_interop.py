"""Operators, methods and NumPy's functions on tensors: the same values as NumPy's, and gradients, or an error."""

import operator

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul]
OTHERS = {
    "float": 1.5,
    "int": 2,
    "bool": True,
    "list": [1.0, 2.0, 3.0],
    "list of ints": [1, 2, 3],
    "tuple": (1.0, 2.0, 3.0),
    "float64 scalar": np.float64(1.5),
    "float32 scalar": np.float32(1.5),
    "int scalar": np.int16(2),
    "0-d": np.array(2.0),
} | {
    str(np.dtype(t)): np.array([1, 2, 3], t)
    for t in (bool, np.int8, np.uint8, np.int64, np.float16, np.float32, np.float64)
}


@pytest.mark.parametrize("reflected", [False, True])
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("operate", OPERATORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_operators_with_everything_on_either_side(operate, other, reflected, dtype):
    """array * tensor made an array of tensors, or 2 ** x lost its gradient, or a Python number made float32 float64."""
    array = np.array([0.5, 1.5, 2.5], dtype)
    x = Tensor(array, requires_grad=True)
    if operate is operator.matmul and np.ndim(other) == 0:
        with pytest.raises((TypeError, ValueError), match="^matmul_tensor: .*number"):
            operate(x, other)
        return
    raw = np.asarray(other) if isinstance(other, (list, tuple)) else other
    y, expected = (operate(other, x), operate(raw, array)) if reflected else (operate(x, other), operate(array, raw))
    assert type(y) is Tensor and y.requires_grad
    assert y.dtype == expected.dtype and y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected, rtol=1e-6)
    y.sum().backward()
    assert x.grad.dtype == dtype and x.grad.shape == (3,)
    wide = np.asarray(other, np.float64)
    mg.gradcheck(lambda t: operate(wide, t) if reflected else operate(t, wide), Tensor(array, True))
    twin = Tensor(array, True, np.float64)
    (operate(wide, twin) if reflected else operate(twin, wide)).sum().backward()
    np.testing.assert_allclose(x.grad, twin.grad, rtol=1e-2 if raw_is_half(other) else 1e-5)


def raw_is_half(x) -> bool:
    return getattr(x, "dtype", None) == np.float16


def test_unary_operators():
    x = Tensor([-1.0, 2.0], requires_grad=True)
    (-x * 10 + abs(x)).sum().backward()
    assert x.grad.tolist() == [-11, -9]


@pytest.mark.parametrize("operate", [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow])
def test_in_place_operators_rebind(operate):
    """t += 1 inside a loop must not change what the graph, or another name, refers to."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    t = operate(x, 3.0)
    assert t is not x and x.data.tolist() == [1, 2] and t.requires_grad
    t.sum().backward()
    assert x.grad is not None


def test_an_array_cannot_take_a_tensor_in_place():
    """array += tensor would throw the gradient away."""
    a = np.ones(2)
    with pytest.raises(TypeError, match="^numpy.add: .*written into an array.*new one"):
        a += Tensor([1.0, 2.0], requires_grad=True)
    assert a.tolist() == [1, 1]


METHODS = {
    "sum": (lambda x: x.sum(), np.sum),
    "sum 0": (lambda x: x.sum(0), lambda a: a.sum(0)),
    "sum keep": (lambda x: x.sum(axis=(0, -1), keepdims=True), lambda a: a.sum(axis=(0, -1), keepdims=True)),
    "mean": (lambda x: x.mean(1, True), lambda a: a.mean(1, keepdims=True)),
    "max": (lambda x: x.max(axis=1), lambda a: a.max(axis=1)),
    "min": (lambda x: x.min(-1), lambda a: a.min(-1)),
    "reshape": (lambda x: x.reshape(3, -1), lambda a: a.reshape(3, -1)),
    "reshape tuple": (lambda x: x.reshape((6,)), lambda a: a.reshape(6)),
    "reshape -1": (lambda x: x.reshape(-1), lambda a: a.reshape(-1)),
    "reshape ()": (lambda x: x[0, 0].reshape(), lambda a: a[0, 0].reshape(())),
    "T": (lambda x: x.T, lambda a: a.T),
    "mT": (lambda x: x.reshape(1, 2, 3).mT, lambda a: a.reshape(1, 2, 3).mT),
    "transpose": (lambda x: x.transpose(), lambda a: a.transpose()),
    "transpose axes": (lambda x: x.transpose(1, 0), lambda a: a.transpose(1, 0)),
    "transpose tuple": (lambda x: x.transpose((-1, 0)), lambda a: a.transpose((-1, 0))),
    "transpose 1-d": (lambda x: x[0].transpose(0), lambda a: a[0]),
    "transpose None": (lambda x: x.transpose(None), lambda a: a.T),
    "sigmoid": (lambda x: x.sigmoid(), lambda a: 1 / (1 + np.exp(-a))),
    "softplus": (lambda x: x.softplus(), lambda a: np.log1p(np.exp(a))),
    "relu": (lambda x: x.relu(), lambda a: np.maximum(a, 0)),
    "leaky_relu": (lambda x: x.leaky_relu(), lambda a: np.maximum(a, 0.01 * a)),
    "leaky_relu alpha": (lambda x: x.leaky_relu(alpha=0.3), lambda a: np.maximum(a, 0.3 * a)),
    "exp": (lambda x: x.exp(), np.exp),
    "log": (lambda x: (x * x).log(), lambda a: np.log(a * a)),
    "sqrt": (lambda x: (x * x).sqrt(), np.abs),
    "tanh": (lambda x: x.tanh(), np.tanh),
    "abs": (lambda x: x.abs(), np.abs),
    "clip": (lambda x: x.clip(-0.55, 0.55), lambda a: a.clip(-0.55, 0.55)),
    "copy": (lambda x: x.copy(), np.copy),
    "dot": (lambda x: x.dot(x.T), lambda a: a @ a.T),
    "index": (lambda x: x[..., 1:], lambda a: a[..., 1:]),
    "mask": (lambda x: x[x > 0], lambda a: a[a > 0]),
}


FUNCTIONS = {
    "exp": (np.exp, None),
    "sqrt": (lambda x: np.sqrt(x * x), None),
    "log": (lambda x: np.log(x * x), None),
    "tanh": (np.tanh, None),
    "abs": (np.abs, None),
    "negative": (np.negative, None),
    "add": (lambda x: np.add(x, 1), None),
    "subtract": (lambda x: np.subtract([[1], [2]], x), None),
    "multiply": (lambda x: np.multiply(np.float64(3), x), None),
    "divide": (lambda x: np.divide(1, x), None),
    "power": (lambda x: np.power(x, 2), None),
    "matmul": (lambda x: np.matmul(np.ones((5, 2)), x), None),
    "maximum": (lambda x: np.maximum(x, 0.1), None),
    "minimum": (lambda x: np.minimum(0.1, x), None),
    "sum": (np.sum, None),
    "sum axis": (lambda x: np.sum(x, axis=0, keepdims=True), None),
    "mean": (lambda x: np.mean(x, 1), None),
    "max": (lambda x: np.max(x, axis=1), None),
    "min": (np.min, None),
    "add.reduce": (lambda x: np.add.reduce(x), None),
    "add.reduce axis": (lambda x: np.add.reduce(x, axis=1, keepdims=True), None),
    "add.reduce all": (lambda x: np.add.reduce(x, axis=None), None),
    "maximum.reduce": (lambda x: np.maximum.reduce(x), None),
    "minimum.reduce": (lambda x: np.minimum.reduce(x, 1), None),
    "reshape": (lambda x: np.reshape(x, (3, 2)), None),
    "transpose": (np.transpose, None),
    "transpose axes": (lambda x: np.transpose(x, (1, 0)), None),
    "concatenate": (lambda x: np.concatenate([x, np.ones((2, 1))], axis=1), None),
    "stack": (lambda x: np.stack([x, np.ones((2, 3))], -1), None),
    "where": (lambda x: np.where(x > 0, x, 0.0), None),
    "broadcast_to": (lambda x: np.broadcast_to(x, (5, 2, 3)), None),
    "copy": (np.copy, None),
    "float64 *": (lambda x: np.float64(2) * x, None),
    "array @": (lambda x: np.ones((5, 2)) @ x, None),
}


@pytest.mark.parametrize(
    ("ours", "numpys"), [*METHODS.values(), *FUNCTIONS.values()], ids=[*METHODS, *(f"np.{n}" for n in FUNCTIONS)]
)
def test_methods_and_numpys_functions(ours, numpys):
    """A method bound to the wrong primitive, an argument that means something else than in NumPy."""
    array = np.array([[0.5, -1.5, 2.5], [-0.25, 0.75, -2.0]])
    y = ours(Tensor(array, requires_grad=True))
    assert type(y) is Tensor and y.requires_grad
    expected = (numpys or ours)(array)
    assert y.shape == np.shape(expected)
    np.testing.assert_allclose(y.data, expected, rtol=1e-14)
    mg.gradcheck(ours, Tensor(array, requires_grad=True))


CONSTANT = [np.sign, np.isnan, np.isfinite, np.isinf, np.floor, np.ceil, np.rint, np.shape, np.ndim, np.size, np.argmax]
CONSTANT += [np.argmin, np.argsort, np.zeros_like, np.ones_like]


@pytest.mark.parametrize("f", CONSTANT, ids=lambda f: f.__name__)
def test_what_is_constant_gives_arrays(f):
    array = np.array([[1.5, -0.5], [np.inf, 2.0]])
    result = f(Tensor(array, requires_grad=True))
    assert not isinstance(result, Tensor)
    np.testing.assert_array_equal(result, f(array))


def test_constant_functions_of_several_arguments():
    x, y = Tensor([1.0, 2.0], requires_grad=True), Tensor([1.0, 2.0])
    assert np.allclose(x, y) and np.array_equal(x, [1.0, 2.0]) and np.isclose([1.0, 3.0], x).tolist() == [True, False]
    assert (
        np.argmax(x, axis=0) == 1
        and np.less(x, 1.5).tolist() == [True, False]
        and np.equal(1.0, x).tolist() == [True, False]
    )


def test_tensors_given_by_keyword():
    """A tensor that reaches NumPy inside dispatch once more: endless recursion."""
    x = Tensor([1.0, 3.0, 2.0], requires_grad=True)
    assert np.argmax(a=x) == 1
    assert np.allclose(a=x, b=x)


UNSUPPORTED = {
    "numpy.arctan": lambda x: np.arctan(x),
    "numpy.cbrt": lambda x: np.cbrt(x),
    "numpy.cumprod": lambda x: np.cumprod(x),
    "numpy.kron": lambda x: np.kron(x, x),
    "numpy.linalg.inv": lambda x: np.linalg.inv(x),
    "numpy.linalg.norm of a matrix with an order": lambda x: np.linalg.norm(x.reshape(1, -1), 2),
    "numpy.median": lambda x: np.median(x),
    "numpy.add.accumulate": lambda x: np.add.accumulate(x),
    "numpy.add.outer": lambda x: np.add.outer(x, x),
    "numpy.subtract.reduce": lambda x: np.subtract.reduce(x),
    "numpy.add.at": lambda x: np.add.at(np.zeros(3), [0, 1, 2], x),
    "numpy.floor_divide": lambda x: x.data // x,
    "numpy.remainder": lambda x: x.data % x,
    "numpy.fft.fft": lambda x: np.fft.fft(x),
}


@pytest.mark.parametrize(("name", "call"), UNSUPPORTED.items(), ids=UNSUPPORTED)
def test_what_has_no_rule_is_an_error_that_names_it(name, call):
    """An array that silently lost its gradient."""
    with pytest.raises(TypeError, match=rf"^{name}: no rule differentiates it\. Use .*x\.numpy\(\)"):
        call(Tensor([1.0, 2.0, 3.0], requires_grad=True))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.add(x, 1, out=np.zeros(3)),
        lambda x: np.exp(x, where=np.array([True, False, True])),
        lambda x: np.sum(x, dtype=np.float32),
        lambda x: np.max(x, initial=0),
        lambda x: np.mean(x, where=np.array([True, False, True])),
        lambda x: np.concatenate([x, x], dtype=np.float32),
        lambda x: x // 2,
        lambda x: x % 2,
        lambda x: divmod(x, 2),
    ],
    ids=range(9),
)
def test_options_without_a_rule_are_errors(call):
    with pytest.raises(TypeError):
        call(Tensor([1.0, 2.0, 3.0], requires_grad=True))


def test_asarray():
    x = Tensor([1.0, 2.0])
    assert np.shares_memory(np.asarray(x), x.data) and type(np.asarray(x)) is np.ndarray
    assert not np.shares_memory(np.array(x), x.data)
    assert np.asarray(x, np.float32).dtype == np.float32
    assert np.asarray(Tensor(2.0)).shape == () and np.asarray(Tensor(2.0)).dtype == np.float64
    assert np.shares_memory(np.asarray(x, copy=False), x.data)
    assert not np.shares_memory(np.asarray(x, copy=True), x.data)


def test_sum_of_a_list_of_tensors():
    """Python's sum() starts from 0."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    sum([x, x * 2, x]).sum().backward()
    assert x.grad.tolist() == [4, 4]


@pytest.mark.parametrize(
    "foreign",
    [1j, np.complex64(1j), np.array([1j, 1, 1]), np.array([1, 2, 3], object), "abc", None, np.array(["a"] * 3)],
    ids=range(7),
)
@pytest.mark.parametrize(
    "operate", [operator.add, operator.mul, mg.tensor_maximum, mg.tensor_divide], ids=lambda f: f.__name__
)
def test_operands_that_are_no_real_numbers(operate, foreign):
    """A tensor of complex numbers or objects, whose gradient would be cast to something else."""
    with pytest.raises(TypeError):
        operate(Tensor([1.0, 2.0, 3.0], requires_grad=True), foreign)


def test_a_complex_factor():
    with pytest.raises(TypeError, match="scalar_multiply_tensor"):
        mg.scalar_multiply_tensor(np.complex64(1j), Tensor([1.0], requires_grad=True))


# ---------------------------------------------------------------- the same call on arrays and on tensors

A = np.arange(6.0).reshape(2, 3) + 0.5
SAME = {
    "sin": lambda x: np.sin(x),
    "cos": lambda x: np.cos(x),
    "tan": lambda x: np.tan(x),
    "sinh": lambda x: np.sinh(x),
    "cosh": lambda x: np.cosh(x),
    "log1p": lambda x: np.log1p(x),
    "log2": lambda x: np.log2(x),
    "log10": lambda x: np.log10(x),
    "expm1": lambda x: np.expm1(x),
    "square": lambda x: np.square(x),
    "reciprocal": lambda x: np.reciprocal(x),
    "positive": lambda x: np.positive(x),
    "amax": lambda x: np.amax(x, axis=0),
    "amin": lambda x: np.amin(x, axis=1),
    "clip": lambda x: np.clip(x, 1.0, 4.0),
    "dot": lambda x: np.dot(x, A.T),
    "prod": lambda x: np.prod(x, axis=1),
    "multiply.reduce": lambda x: np.multiply.reduce(x),
    "cumsum": lambda x: np.cumsum(x, axis=1),
    "var": lambda x: np.var(x, axis=0, ddof=1),
    "std": lambda x: np.std(x, keepdims=True),
    "linalg.norm": lambda x: np.linalg.norm(x),
    "linalg.norm of rows": lambda x: np.linalg.norm(x, 1, axis=1),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, A),
    "squeeze": lambda x: np.squeeze(x[None]),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "ravel": lambda x: np.ravel(x),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "flip": lambda x: np.flip(x, 1),
    "split": lambda x: np.split(x, 3, axis=1)[1],
    "hstack": lambda x: np.hstack([x, A]),
    "vstack": lambda x: np.vstack([x, A]),
    "pad": lambda x: np.pad(x, ((1, 0), (0, 2))),
    "tril": lambda x: np.tril(x),
    "triu": lambda x: np.triu(x, 1),
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([[0], [2]]), 1),
}


@pytest.mark.parametrize("call", SAME.values(), ids=SAME)
def test_numpys_name_gives_numpys_values_and_a_gradient(call):
    """Leaving the course costs nothing: what works on an array works on a tensor, with its derivatives."""
    y = call(Tensor(A, requires_grad=True))
    assert y.requires_grad
    np.testing.assert_allclose(y.numpy(), call(A), rtol=1e-14)
    mg.gradcheck(call, Tensor(A, requires_grad=True), second=True)


def test_signs_and_whole_numbers():
    x = Tensor(2.5, requires_grad=True)
    assert (+x).item() == 2.5 and (+x).requires_grad and int(x) == 2 and Tensor([[1, 2]]).tolist() == [[1, 2]]
    with pytest.raises(ValueError):
        int(Tensor([1.0, 2.0]))
