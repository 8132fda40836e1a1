"""Primitives of one's own, through @minigrad.primitive and apply()."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import minigrad as mg
from minigrad.context import Observer, observing
from minigrad.graph import Operation
from minigrad.primitive import apply


@mg.primitive(lambda g, x: g * mg.tensor_neg(sine(x)))
def cosine(x):
    """cos X."""
    return np.cos(x)


@mg.primitive(lambda g, x: g * cosine(x))
def sine(x):
    """sin X."""
    return np.sin(x)


@mg.primitive(b=lambda g, a, k: g * a * k, a=lambda g, a, k: g * k)
def weighted(a, b, k=2.0):
    """Only its rules matter here, which are as if it were k a + k a b."""
    return a * k + b * 0.0


def leaf(data) -> mg.Tensor:
    return mg.Tensor(data, requires_grad=True)


def test_two_rules_that_use_each_other():
    """sin⁗ = sin: derivatives of any order from the same two rules."""
    x = leaf([0.3, -1.2])
    y = sine(x)
    for expected in (np.cos, lambda t: -np.sin(t), lambda t: -np.cos(t), np.sin):
        y = mg.grad(y, x, create_graph=True, gradient=np.ones(2))
        np.testing.assert_allclose(y.data, expected(x.data), rtol=1e-14)
    assert mg.gradcheck(sine, x, second=True).error < 1e-6


def test_rules_by_name_go_to_their_operands():
    """In whatever order they are written, each rule belongs to the operand whose name it bears."""
    a, b = leaf(3.0), leaf(5.0)
    da, db = mg.grad(weighted(a, b), [a, b])
    assert (da, db) == (2, 6)
    assert mg.grad(weighted(a, b, 10.0), a) == mg.grad(weighted(a=a, b=b, k=10.0), a) == 10


def test_an_operand_without_a_rule_is_a_constant():
    """By-name rules leave the other parameters out: they reach the function as they came."""
    seen = []

    @mg.primitive(x=lambda g, table: g * table[0])
    def lookup(table, x):
        seen.append(table)
        return table[0] * x

    table = [4.0]
    x = leaf(3.0)
    assert mg.grad(lookup(table, x), x) == 4
    assert seen[0] is table


def test_what_a_rule_can_ask_for():
    """An operand, the result, the shape of an operand, another parameter: each by its name, in any order."""
    asked = []

    @mg.primitive(lambda g, k, y, x_shape, x: asked.append((k, y, x_shape, x)) or g)
    def identity(x, k="nothing"):
        return x + 0.0

    x = leaf(np.ones((2, 3)))
    y = identity(x)
    y.backward(np.ones((2, 3)))
    ((k, result, shape, value),) = asked
    assert (k, shape) == ("nothing", (2, 3)) and result is y.data and value is x.data


def test_only_what_rules_ask_for_is_kept():
    """A rule that needs no values keeps no arrays alive; one that needs a shape keeps the shape."""
    x = leaf(np.ones((2, 3)))
    assert mg.tensor_add(x, x).node.saved == ()
    assert mg.tensor_sum(x, axis=0).node.saved == ((2, 3), 0)
    assert [type(value) for value in mg.tensor_exp(x).node.saved] == [np.ndarray]


@pytest.mark.parametrize("name", ["y", "t", "node", "plain", "op", "forward", "new", "graph", "Tensor", "observer"])
def test_parameters_may_have_any_name(name):
    """The wrapper that is written for an operation has names of its own; they may not capture the operation's."""
    namespace = {"primitive": mg.primitive}
    exec(
        f"@primitive(lambda g, {name}, k: g * {name} * k, k=lambda g, {name}, k: g * {name}**2 / 2)\n"
        f"def halved({name}, k): return {name} * {name} * k / 2\n"
        f"@primitive(lambda g, {name}: g * {name})\n"
        f"def scaled(x, {name}): return x * {name}",
        namespace,
    )
    x, k = leaf(3.0), leaf(5.0)
    assert mg.grad(namespace["halved"](x, k), [x, k]) == [15, 4.5]
    slope = mg.grad(namespace["halved"](x, k), x, create_graph=True)
    assert mg.grad(slope, [x, k]) == [5, 3]
    slope = mg.grad(namespace["scaled"](x, 7.0), x, create_graph=True)
    assert slope.item() == 7 and not slope.requires_grad
    operands = []

    class Seen(Observer):
        def computed(self, op, given, result):
            operands.extend(given)

    with observing(Seen()):
        namespace["halved"](x, k)
    assert operands[0] is x and operands[1] is k


def test_a_parameter_may_end_in_shape():
    """`new_shape` is a parameter of that name, not the shape of an operand called `new`."""

    @mg.primitive(lambda g, x_shape, new_shape: g.reshape(x_shape) * len(new_shape))
    def refolded(x, new_shape):
        return x.reshape(new_shape) * len(new_shape)

    x = leaf([1.0, 2.0])
    np.testing.assert_array_equal(mg.grad(refolded(x, (2, 1)), x, gradient=np.ones((2, 1))), [2, 2])


def test_arrays_in_arrays_out():
    """On arrays, numbers and lists a primitive is a NumPy function: no tensor appears, nothing is recorded."""
    for x in (np.array([0.5, 1.0]), np.float32(0.5), 0.5, [0.5, 1.0], True):
        got = sine(x)
        assert not isinstance(got, mg.Tensor)
        np.testing.assert_allclose(got, np.sin(x), rtol=1e-6)
    assert isinstance(mg.tensor_concat([np.ones(2), [3.0]]), np.ndarray)
    assert isinstance(mg.tensor_add(np.ones(2), np.ones(2)), np.ndarray)
    assert isinstance(mg.tensor_stack([np.ones(2)]), np.ndarray)


def test_constants_make_tensors_without_graph():
    """A tensor that needs no gradient makes tensors that need none, and so does everything inside no_grad()."""
    constant, x = mg.Tensor([1.0, 2.0]), leaf([1.0, 2.0])
    for y in (sine(constant), constant + 1.0, mg.tensor_concat([constant, constant])):
        assert isinstance(y, mg.Tensor) and not y.requires_grad
    with mg.no_grad():
        for y in (sine(x), x + 1.0, mg.tensor_concat([x, constant])):
            assert isinstance(y, mg.Tensor) and not y.requires_grad
    assert sine(x).requires_grad and mg.tensor_concat([constant, x]).requires_grad


def test_no_grad_nests_and_recovers():
    """The inner block ends inside the outer one; an error ends both; as a decorator it holds for the call."""
    x = leaf(1.0)
    with mg.no_grad():
        with mg.no_grad():
            pass
        assert not (x * x).requires_grad
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        raise ZeroDivisionError

    @mg.no_grad()
    def predict(x):
        return x * x

    assert not predict(x).requires_grad and (x * x).requires_grad


def test_a_primitive_looks_like_its_function():
    """Name, docstring, defaults and source are those that were written: students print them."""
    assert cosine.__name__ == "cosine" and cosine.__doc__ == "cos X."
    assert inspect.signature(weighted).parameters["k"].default == 2.0
    assert "return np.cos(x)" in inspect.getsource(cosine)
    assert repr(cosine(leaf(0.0)).node.op) == "<operation cosine>"


def test_rules_that_differ_in_what_they_need():
    """All rules of an operation get the same; the error says which operation and what each asked for."""
    with pytest.raises(TypeError, match=r"product: its rules take different parameters after g"):

        @mg.primitive(lambda g, b: g * b, lambda g, a: g * a)
        def product(a, b):
            return a * b


@pytest.mark.parametrize(
    ("rules", "named", "culprit"),
    [
        ((lambda g: g, lambda g: g), {}, ""),
        ((), {"z": lambda g: g}, "z"),
        ((lambda g, unknown: g,), {}, "unknown"),
        ((lambda g, z_shape: g,), {}, "z_shape"),
    ],
    ids=["one rule too many", "a rule for no operand", "an unknown need", "the shape of no operand"],
)
def test_rules_that_cannot_be(rules, named, culprit):
    """A slip in the rules is told where it was made, by the operation's name, not by a NameError at the first call."""
    with pytest.raises(TypeError, match=rf"misruled.*\b{culprit}\b"):

        @mg.primitive(*rules, **named)
        def misruled(x):
            return x


def test_wrong_calls_are_errors_as_of_any_function():
    with pytest.raises(TypeError, match="argument"):
        sine()
    with pytest.raises(TypeError, match="argument"):
        sine(leaf(1.0), leaf(2.0))
    with pytest.raises(TypeError, match="argument"):
        weighted(leaf(1.0), leaf(2.0), unknown=3)


def test_the_first_call_may_be_by_name():
    """A wrapper is written when it is first called, however that is."""

    @mg.primitive(lambda g: g * 3.0)
    def tripled(x):
        return x * 3.0

    assert tripled(x=leaf(2.0)).item() == 6


def test_numbers_where_a_function_needs_arrays():
    """A number has no .T: the advice is to wrap it.  An attribute that arrays lack, too, is the function's own mistake."""

    @mg.primitive(lambda g: g)
    def turned(x):
        return x.T

    @mg.primitive(lambda g: g)
    def mistaken(x):
        return x.transposed

    with pytest.raises(TypeError, match=r"turned: .*Wrap it"):
        turned(2.0)
    with pytest.raises(AttributeError, match=r"mistaken: .*transposed"):
        mistaken(leaf([2.0]))


def test_own_operations_along_an_axis_refuse_other_names_for_it():
    """An unknown name is refused, the hint comes only where it fits, and operations without an axis leave it to Python."""

    @mg.primitive(lambda g, x_shape, axis: mg.tensor_broadcast_to(mg.tensor_expand_dims(g, axis), x_shape))
    def summed(x, axis=None):
        return np.sum(x, axis)

    @mg.primitive(lambda g: g)
    def same(x):
        return x + 0.0

    x = leaf(np.ones((2, 3)))
    assert mg.grad(summed(x, axis=1), x, gradient=np.array([1.0, 2.0])).tolist() == [[1, 1, 1], [2, 2, 2]]
    with pytest.raises(TypeError, match=r"^summed: dim: no such parameter; it takes x, axis\. PyTorch's dim"):
        summed(x, dim=1)
    with pytest.raises(TypeError, match=r"^summed: keep: no such parameter; it takes x, axis\.$"):
        summed(x, axis=1, keep=True)
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        same(x, dim=1)


def test_defaults_and_annotations_need_no_source():
    """The wrapper is written as text, in which an array or a class without a name would not be found again."""

    two_and_three = np.array([2.0, 3.0])

    def scaled(x, factors=two_and_three):
        return x * factors

    class Real:
        pass

    scaled.__annotations__ = {"x": Real, "return": Real}
    scaled = mg.primitive(lambda g, factors: g * factors)(scaled)
    x = leaf([1.0, 1.0])
    assert mg.grad(scaled(x), x, gradient=np.ones(2)).tolist() == [2, 3]


@pytest.mark.parametrize("join", [mg.tensor_concat, mg.tensor_stack])
def test_operands_to_be_joined_may_come_from_a_generator(join):
    """Any iterable will do, and is gone through once; none at all is an error that names the operation."""
    x = leaf([1.0])
    assert join(x * k for k in (1.0, 2.0)).size == 2
    with pytest.raises(ValueError, match=join.__name__):
        join(y for y in ())
    with pytest.raises(TypeError, match=f"^{join.__name__}: "):
        join([x, "words"])


# ---------------------------------------------------------------- apply


def joined(operands):
    """Σ kᵢ xᵢ with k = 1, 2, 3 …, for any number of operands of one shape."""
    rules = [lambda g, k=k: g * k for k in range(1, len(operands) + 1)]
    op = Operation("joined", tuple(f"operands[{i}]" for i in range(len(operands))), (), rules)
    return apply(op, lambda arrays: sum(k * x for k, x in enumerate(arrays, 1)), operands)


def test_apply_records_what_needs_a_gradient():
    a, b, constant = leaf([1.0]), leaf([2.0]), mg.Tensor([3.0])
    y = joined([a, constant, b, [4.0]])
    assert y.data == 1 + 6 + 6 + 16
    assert y.node.parents == (a.node, None, b.node, None) and y.node.shape == (1,)
    da, db = mg.grad(y, [a, b], create_graph=True)
    assert (da.item(), db.item()) == (1, 3)


def test_apply_names_what_returned_nothing():
    """As the decorator does: the operation, and what its forward function returned."""
    op = Operation("forgetful", ("x",), (), [lambda g: g])
    with pytest.raises(TypeError, match=r"^forgetful: its forward function returned None: is a `return` missing\?"):
        apply(op, lambda arrays: None, [leaf([1.0])])


def test_apply_tells_observers():
    """The operation, its operands as they came, and the result."""
    told = []

    class Seen(Observer):
        def computed(self, op, operands, result):
            told.append((op.name, operands, result))

    a, b = leaf([1.0]), np.array([2.0])
    with observing(Seen()):
        y = joined([a, b])
    ((name, operands, result),) = told
    assert name == "joined" and operands[0] is a and operands[1] is b and result is y


def test_apply_on_arrays_and_constants():
    assert isinstance(joined([np.ones(2), 2.0]), np.ndarray)
    assert joined([mg.Tensor([1.0]), 2.0]).node is None
    with mg.no_grad():
        assert joined([leaf([1.0]), 2.0]).node is None


@pytest.mark.parametrize("operation", [joined, mg.tensor_concat, lambda xs: mg.tensor_add(*xs)])
@pytest.mark.parametrize("operand", [{"a": 1}, "words", None, [[1.0], [2.0, 3.0]], 1j, np.array(["a"])], ids=str)
def test_what_is_not_numeric_is_named(operation, operand):
    with pytest.raises((TypeError, ValueError), match=r"(joined|tensor_concat|tensor_add): "):
        operation([leaf([1.0]), operand])


def test_errors_of_numpy_are_headed_by_what_was_asked():
    """The operation, the shapes that came, then NumPy's own words; of the same kind, and from the same cause."""
    with pytest.raises(
        ValueError, match=r"tensor_add: a of shape \(2,\), b of shape \(3,\): operands could not be"
    ) as caught:
        leaf([1.0, 2.0]) + leaf([1.0, 2.0, 3.0])
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(ValueError, match=r"joined: operands\[0\] of shape \(2,\), operands\[1\] of shape \(3,\): "):
        joined([leaf([1.0, 2.0]), leaf([1.0, 2.0, 3.0])])
    with pytest.raises(IndexError, match=r"tensor_getitem: x of shape \(2,\): "):
        leaf([1.0, 2.0])[5]
    with pytest.raises(TypeError, match=r"tensor_reshape: x of shape \(2,\): "):
        leaf([1.0, 2.0]).reshape("no shape")


WHY_NOT = {
    "the inner sizes 3 and 2 differ. Did you mean to transpose the second operand, (3, 2)?": ((5, 3), (2, 3)),
    "the inner sizes 3 and 2 differ. Did you mean to transpose the second operand, (7, 3, 2)?": ((5, 3), (7, 2, 3)),
    "the inner sizes 3 and 2 differ. They must be equal.": ((5, 3), (2, 7)),
    "the inner sizes 2 and 3 differ. They must be equal.": ((5, 2), (3,)),
    "the inner sizes 1 and 3 differ. They must be equal.": ((5, 1), (3,)),  # a vector has no other way to lie
    "the stacks (2,) and (5,) do not broadcast": ((2, 3, 3), (5, 3, 3)),
    "a number has no rows or columns": ((), (3,)),
    "a number has no rows or columns. To scale by a number use *.": ((3,), ()),
}


@pytest.mark.parametrize("message", WHY_NOT)
def test_a_product_that_cannot_be_says_why(message):
    """And what to do: the advice must fit the shapes, or it leads astray."""
    a, b = (leaf(np.ones(shape)) for shape in WHY_NOT[message])
    with pytest.raises(ValueError, match="matmul") as caught:
        a @ b
    assert message in str(caught.value)
