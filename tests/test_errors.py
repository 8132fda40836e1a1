"""Errors teach, in one shape: what was asked; what came; what to do."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, layers, losses


def leaf(*shape):
    return Tensor(np.ones(shape), requires_grad=True)


def used():
    y = leaf(2).sum()
    y.backward()
    return y


# what is done: the error, and what its message contains: what was asked, what came, what to do
ERRORS = {
    "backward of many": (
        lambda: leaf(2, 3).backward(),
        RuntimeError,
        "backward:",
        "(2, 3)",
        ".sum() or .mean()",
        "gradient=",
    ),
    "backward of a constant": (
        lambda: Tensor(1.0).backward(),
        RuntimeError,
        "backward:",
        "no operand",
        "requires_grad=True",
    ),
    "backward twice": (
        lambda: used().backward(),
        RuntimeError,
        "backward:",
        "tensor_sum",
        "already used",
        "retain_graph=True",
    ),
    "matmul": (
        lambda: leaf(2, 3) @ leaf(4, 5),
        ValueError,
        "matmul_tensor:",
        "(2, 3)",
        "(4, 5)",
        "inner sizes 3 and 4",
    ),
    "matmul transposed": (
        lambda: leaf(2, 3) @ leaf(5, 3),
        ValueError,
        "matmul_tensor:",
        "3 and 5",
        "transpose",
        "(3, 5)?",
    ),
    "matmul stack": (lambda: leaf(7, 2, 3) @ leaf(7, 5, 3), ValueError, "matmul_tensor:", "transpose", "(7, 3, 5)?"),
    "matmul vectors": (lambda: leaf(3) @ leaf(4), ValueError, "matmul_tensor:", "(3,)", "(4,)", "inner sizes 3 and 4"),
    "matmul number": (lambda: leaf(3) @ 2.0, TypeError, "matmul_tensor:", "number", "use *"),
    "matmul number left": (lambda: 2 @ leaf(3), TypeError, "matmul_tensor:", "number", "use *"),
    "matmul 0-d": (lambda: leaf(3) @ leaf(), ValueError, "matmul_tensor:", "number", "use *"),
    "matmul batches": (lambda: leaf(2, 5, 3) @ leaf(7, 3, 5), ValueError, "matmul_tensor:", "(2, 5, 3)", "(7, 3, 5)"),
    "add": (lambda: leaf(2, 3) + leaf(4), ValueError, "tensor_add:", "(2, 3)", "(4,)", "broadcast"),
    "where": (lambda: mg.tensor_where([True] * 2, leaf(3), 0), ValueError, "tensor_where:", "(3,)"),
    "concat axis": (
        lambda: mg.tensor_concat([leaf(2), leaf(2)], 1),
        ValueError,
        "tensor_concat:",
        "axis 1",
        "(2,)",
        "tensor_stack",
    ),
    "concat mixed": (
        lambda: mg.tensor_concat([leaf(2, 3), leaf(2)], -2),
        ValueError,
        "tensor_concat:",
        "axis -2",
        "tensor_stack",
    ),
    "concat sizes": (
        lambda: mg.tensor_concat([leaf(2, 3), leaf(2, 4)]),
        ValueError,
        "tensor_concat:",
        "(2, 3)",
        "(2, 4)",
    ),
    "concat nothing": (lambda: mg.tensor_concat([]), ValueError, "tensor_concat:"),
    "stack": (
        lambda: mg.tensor_stack([leaf(2), leaf(3)]),
        ValueError,
        "tensor_stack:",
        "(2,)",
        "(3,)",
        "tensor_concat",
    ),
    "stack axis": (lambda: mg.tensor_stack([leaf(2), leaf(2)], 3), ValueError, "axis 3"),
    "sum axis": (lambda: leaf(2, 3).sum(2), ValueError, "tensor_sum:", "(2, 3)", "axis 2"),
    "max axis": (lambda: leaf(2, 3).max((0, 0)), ValueError, "tensor_max:", "(2, 3)"),
    "reshape": (lambda: leaf(2, 3).reshape(4, 2), ValueError, "tensor_reshape:", "(2, 3)", "(4,2)"),
    "reshape two -1": (lambda: leaf(2, 3).reshape(-1, -1), ValueError, "tensor_reshape:", "(2, 3)"),
    "transpose": (lambda: leaf(2, 3).transpose(0, 1, 2), ValueError, "tensor_transpose:", "(2, 3)"),
    "transpose twice": (lambda: leaf(2, 3).transpose(0, 0), ValueError, "tensor_transpose:", "(2, 3)"),
    "broadcast_to": (lambda: mg.tensor_broadcast_to(leaf(3), (2,)), ValueError, "tensor_broadcast_to:", "(3,)", "(2,)"),
    "index": (lambda: leaf(2, 3)[5], IndexError, "tensor_getitem:", "(2, 3)", "index 5"),
    "indices": (lambda: leaf(2, 3)[0, 0, 0], IndexError, "tensor_getitem:", "(2, 3)", "too many"),
    "clip": (lambda: leaf(2).clip(1, 0), ValueError, "tensor_clip:", "low = 1", "high = 0", "Swap"),
    "scalar": (
        lambda: mg.scalar_multiply_tensor([2.0], leaf(1)),
        TypeError,
        "scalar_multiply_tensor:",
        "list",
        "tensor_mul",
    ),
    "learned scalar": (
        lambda: mg.scalar_multiply_tensor(leaf(), leaf(1)),
        TypeError,
        "scalar_multiply_tensor:",
        "c is a tensor",
        "use tensor_mul(c, a)",
    ),
    "tensor as condition": (
        lambda: mg.tensor_where(leaf(3), leaf(3), 0),
        TypeError,
        "tensor_where:",
        "condition is a tensor",
        "an array of booleans",
    ),
    "tensor as index": (
        lambda: leaf(3)[Tensor([0])],
        TypeError,
        "tensor_getitem:",
        "index is a tensor",
        "x[index.data]",
    ),
    "tensor as bound": (
        lambda: leaf(3).clip(leaf(), 1.0),
        TypeError,
        "tensor_clip:",
        "low is a tensor",
        "a constant",
        ".item() or .data",
    ),
    "dim": (
        lambda: mg.tensor_sum(leaf(2, 3), dim=0),
        TypeError,
        "tensor_sum:",
        "dim: no such parameter",
        "x, axis, keepdims",
        "PyTorch's dim is called axis here",
    ),
    "operand": (lambda: leaf(2) * "ab", TypeError, "tensor_mul:", "'ab'", "Give a tensor, an array, a number"),
    "complex operand": (lambda: leaf(2) * np.complex128(1j), TypeError, "tensor_mul:", "1j", "not real numbers"),
    "ragged operand": (lambda: leaf(2) * [[1, 2], [3]], TypeError, "tensor_mul:", "list", "array"),
    "dropout": (lambda: layers.Dropout(30), ValueError, "Dropout:", "p = 30", "[0, 1]", "give 0.3"),
    "dropout negative": (lambda: layers.Dropout(-0.1), ValueError, "Dropout:", "p = -0.1", "[0, 1]"),
    "dropout nan": (lambda: layers.Dropout(float("nan")), ValueError, "Dropout:", "nan", "[0, 1]"),
    "dense": (lambda: layers.Dense(0, 3), ValueError, "Dense:", "0 and 3", "at least 1"),
    "dense fraction": (lambda: layers.Dense(2.5, 3), ValueError, "Dense:", "2.5 and 3", "whole numbers"),
    "sequential": (lambda: layers.Sequential([layers.ReLU()]), TypeError, "Sequential:", "number 0", "one by one"),
    "rows": (lambda: losses.cross_entropy([[2, 0]], leaf(1, 2)), ValueError, "cross_entropy:", "sum to 1"),
    "swapped": (lambda: losses.cross_entropy(leaf(3, 2), [0, 1, 1]), ValueError, "cross_entropy:", "(3,)", "swap"),
    "dense input": (lambda: layers.Dense(3, 2)(np.ones((5, 4))), ValueError, "matmul_tensor:", "(5, 4)", "4 and 3"),
    "skip": (
        lambda: layers.SkipConnection(layers.Dense(3, 2))(leaf(5, 3)),
        ValueError,
        "SkipConnection:",
        "(5, 2)",
        "(5, 3)",
    ),
    "no forward": (lambda: layers.BaseLayer()(1), NotImplementedError, "BaseLayer has no forward", "Write one"),
    "sgd": (
        lambda: layers.Dense(3, 2).sgd_step(0.1),
        RuntimeError,
        "sgd_step:",
        "no parameter has a gradient",
        "backward()",
    ),
    "loss": (lambda: losses.hinge([0, 1], leaf(2)), ValueError, "hinge:", "[0.0]", "2*y − 1"),
    "reduction": (lambda: losses.hinge([1], leaf(1), "avg"), ValueError, "reduction='avg'", '"mean", "sum" or "none"'),
    "concat of two": (lambda: mg.tensor_concat(leaf(2), leaf(2)), TypeError, "tensor_concat:", "tensor_concat([a, b])"),
    "concat flat": (lambda: np.concatenate([leaf(2)], axis=None), TypeError, "tensor_concat:", "reshape(-1)"),
    "stack of two": (lambda: mg.tensor_stack(leaf(2), leaf(2)), TypeError, "tensor_stack:", "tensor_stack([a, b])"),
    "stack flat": (lambda: mg.tensor_stack([leaf(2)], axis=None), TypeError, "tensor_stack:", "reshape(-1)"),
    "clip below": (lambda: leaf(2).clip(None, 1), TypeError, "tensor_clip:", "low = None", "-np.inf"),
    "clip above": (lambda: leaf(2).clip(0, None), TypeError, "tensor_clip:", "high = None", "np.inf"),
    "rule's shape": (
        lambda: bad_rule().sum().backward(),
        ValueError,
        "transposed:",
        "(3, 2)",
        "(2, 3)",
        "It must have the operand's shape",
    ),
}


@mg.primitive(lambda g: g.T)
def transposed(x):
    return x + 0


def bad_rule():
    return transposed(leaf(2, 3))


@pytest.mark.parametrize(
    ("call", "kind", "parts"), [(call, kind, parts) for call, kind, *parts in ERRORS.values()], ids=ERRORS
)
def test_message(call, kind, parts):
    """NumPy's bare message, an AttributeError from inside, or nothing at all."""
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    missing = [part for part in parts if part not in message]
    assert not missing, f"{message!r} does not say {missing}"
    assert parts[0].endswith(":") is False or message.startswith(parts[0])


def test_broadcasting_error_says_what_to_do():
    """Both shapes come; so should the way out."""
    with pytest.raises(ValueError, match=r"(?s)^tensor_add: .*\(2, 3\).*\(2,\).*([Rr]eshape|axis)"):
        leaf(2, 3) + leaf(2)


def test_primitive_refuses_rules_that_need_different_things():
    with pytest.raises(TypeError, match=r"^product: its rules take different parameters"):

        @mg.primitive(lambda g, b: g * b, lambda g, a: g * a)
        def product(a, b):
            return a * b


def test_the_original_error_is_kept_as_the_cause():
    """The line of the traceback that failed."""
    with pytest.raises(ValueError) as caught:
        leaf(2) + leaf(3)
    assert isinstance(caught.value.__cause__, ValueError)
