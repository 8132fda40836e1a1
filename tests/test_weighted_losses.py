"""Losses with weights and ignored labels, labels whose buffer is used again, and lists of tensors; beside PyTorch too."""

import numpy as np
import pytest
from beside_torch import torch_or_skip

import minigrad as mg
from minigrad import Tensor, losses

FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])
REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def rng(seed=0):
    return np.random.default_rng(seed)


LOGITS = rng().normal(size=(6, 3)) * 2
CLASSES = np.array([0, 2, 1, 1, 0, 2])
SOFT = rng(1).dirichlet([1, 1, 1], 6)
WEIGHT = np.array([0.5, 2.0, 3.0])


def leaf(x, dtype=np.float64):
    return Tensor(x, requires_grad=True, dtype=dtype)


def log_softmax(z):
    return z - np.log(np.exp(z).sum(1, keepdims=True))


# ---------------------------------------------------------------- cross-entropy by hand


def test_class_weights_by_hand():
    """The weighted mean divides by the weights that took part, not by n."""
    each = -WEIGHT[CLASSES] * log_softmax(LOGITS)[np.arange(6), CLASSES]
    assert losses.cross_entropy(CLASSES, LOGITS, weight=WEIGHT).item() == pytest.approx(
        each.sum() / WEIGHT[CLASSES].sum(), rel=1e-12
    )
    np.testing.assert_allclose(losses.cross_entropy(CLASSES, LOGITS, "none", WEIGHT).data, each, rtol=1e-12)
    soft = -(SOFT * WEIGHT * log_softmax(LOGITS)).sum(1)
    assert losses.cross_entropy(SOFT, LOGITS, weight=WEIGHT).item() == pytest.approx(soft.mean(), rel=1e-12)


@REDUCTIONS
def test_weights_of_one_change_nothing(reduction):
    for y in (CLASSES, SOFT):
        a, b = leaf(LOGITS), leaf(LOGITS)
        plain = losses.cross_entropy(y, a, reduction)
        weighted = losses.cross_entropy(y, b, reduction, weight=np.ones(3))
        np.testing.assert_allclose(weighted.data, plain.data, rtol=1e-13)
        plain.sum().backward()
        weighted.sum().backward()
        np.testing.assert_allclose(b.grad, a.grad, rtol=1e-11, atol=1e-14)


@REDUCTIONS
@pytest.mark.parametrize("ignored", [-1, -100, 1, 77])
def test_ignored_rows_are_as_if_left_out(reduction, ignored):
    """Of the mean as well; their own loss and gradient are 0, whatever is in the row."""
    y, kept = CLASSES.copy(), CLASSES != 1
    y[~kept] = ignored
    z = LOGITS.copy()
    z[~kept] = [np.nan, np.inf, -np.inf]
    a, b = leaf(z), leaf(LOGITS[kept])
    for weight in (None, WEIGHT):
        a.zero_grad()
        b.zero_grad()
        some = losses.cross_entropy(y, a, reduction, weight, ignore_index=ignored)
        rest = losses.cross_entropy(CLASSES[kept], b, reduction, weight)
        if reduction == "none":
            assert some.data[~kept].tolist() == [0, 0]
            np.testing.assert_allclose(some.data[kept], rest.data, rtol=1e-13)
        else:
            assert some.item() == pytest.approx(rest.item(), rel=1e-13)
        some.sum().backward()
        rest.sum().backward()
        np.testing.assert_allclose(a.grad[kept], b.grad, rtol=1e-12, atol=1e-15)
        assert not a.grad[~kept].any()


@REDUCTIONS
def test_a_batch_with_nothing_to_learn_costs_0(reduction):
    """0 / 0: one batch of nothing but padding would make every weight NaN."""
    x = leaf(LOGITS)
    for y, options in [
        (np.full(6, -1), {"ignore_index": -1}),
        (np.zeros(6, int), {"weight": [0.0, 1.0, 1.0]}),
        (np.array([-1, 0, 0, 0, 0, 0]), {"ignore_index": -1, "weight": [0, 1, 1]}),
    ]:
        x.zero_grad()
        loss = losses.cross_entropy(y, x, reduction, **options)
        loss.sum().backward()
        assert not loss.data.any() and not x.grad.any()


def test_one_class_and_an_ignored_row():
    """The row that does not count is looked up somewhere, and there is but one place."""
    assert losses.cross_entropy([0, -1], np.ones((2, 1)), "none", ignore_index=-1).data.tolist() == [0, 0]


def test_without_weights_the_composition_is_as_short_as_before():
    """Weights of 1 give the same numbers, in twice the operations."""
    seen = []

    class Watch(mg.context.Observer):
        def computed(self, op, operands, result):
            seen.append(op.name)

    with mg.context.observing(Watch()):
        losses.cross_entropy(CLASSES, leaf(LOGITS))
    names = ["tensor_sub", "tensor_exp", "tensor_sum", "tensor_log", "tensor_getitem", "tensor_sub", "tensor_mean"]
    assert seen == names


def test_gradients_of_weighted_losses():
    """First and second derivatives in the logits; in weights too, where they are tensors."""
    for y in (CLASSES, SOFT):
        for reduction in ("mean", "none"):
            mg.gradcheck(
                lambda z, w, y=y, r=reduction: losses.cross_entropy(y, z, r, weight=w),
                leaf(LOGITS),
                leaf(WEIGHT),
                second=True,
            )
    p, y, w = rng(3).uniform(0.2, 0.8, (4, 3)), rng(4).uniform(0.1, 0.9, (4, 3)), rng(5).uniform(0.5, 2, (4, 3))
    mg.gradcheck(lambda p, w: losses.binary_cross_entropy(y, p, weight=w), leaf(p), leaf(w), second=True)
    mg.gradcheck(
        lambda z, w, v: losses.binary_cross_entropy_with_logits(y, z, weight=w, pos_weight=v),
        leaf(p * 4 - 2),
        leaf(w),
        leaf(WEIGHT),
        second=True,
    )


def test_binary_weights_by_hand():
    """pos_weight only where the label is positive; the mean still over all elements."""
    y, z = np.array([1.0, 0.0, 0.25]), np.array([0.5, -1.0, 2.0])
    p = 1 / (1 + np.exp(-z))
    each = -3 * y * np.log(p) - (1 - y) * np.log(1 - p)
    assert losses.binary_cross_entropy_with_logits(y, z, pos_weight=3.0).item() == pytest.approx(each.mean(), rel=1e-12)
    each = (-y * np.log(p) - (1 - y) * np.log(1 - p)) * WEIGHT
    for loss, x in ((losses.binary_cross_entropy, p), (losses.binary_cross_entropy_with_logits, z)):
        np.testing.assert_allclose(loss(y, x, "none", weight=WEIGHT).data, each, rtol=1e-12)
        assert loss(y, x, "sum", WEIGHT).item() == pytest.approx(each.sum(), rel=1e-12)


@FLOATS
def test_weights_keep_the_dtype_of_the_predictions(dtype):
    for weight in (WEIGHT, WEIGHT.tolist(), WEIGHT.astype(np.float32), Tensor(WEIGHT)):
        for y, options in [
            (CLASSES, {"ignore_index": 2}),
            (SOFT, {"weight": weight}),
            (CLASSES, {"weight": weight, "ignore_index": 2}),
        ]:
            x = leaf(LOGITS, dtype)
            loss = losses.cross_entropy(y, x, **options)
            loss.backward()
            assert loss.dtype == x.grad.dtype == dtype
        x = leaf(LOGITS, dtype)
        loss = losses.binary_cross_entropy_with_logits(SOFT, x, weight=weight, pos_weight=weight)
        loss.backward()
        assert loss.dtype == x.grad.dtype == dtype


# ---------------------------------------------------------------- beside PyTorch


@FLOATS
@REDUCTIONS
def test_cross_entropy_equals_torch(reduction, dtype):
    """With weights, ignored rows, both, and rows of probabilities."""
    torch = torch_or_skip()
    y = CLASSES.copy()
    y[2] = -100
    cases = [
        (CLASSES, {"weight": WEIGHT}),
        (y, {"ignore_index": -100}),
        (CLASSES, {"ignore_index": 1, "weight": WEIGHT}),
        (SOFT, {"weight": WEIGHT}),
        (SOFT, {}),
    ]
    for labels, options in cases:
        a, b = leaf(LOGITS, dtype), torch.tensor(LOGITS.astype(dtype), requires_grad=True)
        theirs = {k: torch.tensor(v.astype(dtype)) if k == "weight" else v for k, v in options.items()}
        target = torch.tensor(labels if labels.ndim == 1 else labels.astype(dtype))
        compare(losses.cross_entropy(labels, a, reduction, **options), a,
                torch.nn.functional.cross_entropy(b, target, reduction=reduction, **theirs), b)  # fmt: skip


@FLOATS
@REDUCTIONS
def test_binary_cross_entropies_equal_torch(reduction, dtype):
    torch = torch_or_skip()
    F = torch.nn.functional
    y = rng(8).uniform(size=(6, 3))
    for weight in (WEIGHT, rng(9).uniform(size=(6, 3)), rng(9).uniform(size=(6, 1))):
        for name, x, positive in [
            ("binary_cross_entropy", rng(7).uniform(0.1, 0.9, (6, 3)), None),
            ("binary_cross_entropy_with_logits", LOGITS, None),
            ("binary_cross_entropy_with_logits", LOGITS, WEIGHT),
        ]:
            a, b = leaf(x, dtype), torch.tensor(x.astype(dtype), requires_grad=True)
            ours = {"weight": weight} | ({} if positive is None else {"pos_weight": positive})
            theirs = {k: torch.tensor(v.astype(dtype)) for k, v in ours.items()}
            compare(getattr(losses, name)(y, a, reduction, **ours), a,
                    getattr(F, name)(b, torch.tensor(y.astype(dtype)), reduction=reduction, **theirs), b)  # fmt: skip


def compare(ours, a, theirs, b):
    ours.sum().backward()
    theirs.sum().backward()
    tolerance = 1e-4 if a.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- labels whose buffer is used again


BINARY = (rng(2).uniform(size=(6, 3)) > 0.5) * 1.0
P = rng(3).uniform(0.1, 0.9, (6, 3))
BUFFERS = {
    "mean_squared_error": (SOFT, P),
    "mean_absolute_error": (SOFT, P),
    "binary_cross_entropy": (BINARY, P),
    "binary_cross_entropy_with_logits": (BINARY, P),
    "hinge": (2 * BINARY - 1, P),
    "cross_entropy": (CLASSES, LOGITS),
    "cross_entropy soft": (SOFT, LOGITS),
}


@pytest.mark.parametrize("wrapped", [False, True], ids=["array", "tensor"])
@pytest.mark.parametrize("name", BUFFERS)
def test_a_buffer_of_labels_may_be_filled_with_the_next_batch(name, wrapped):
    """Between loss and backward: the gradient is that of the labels which the loss was computed from."""
    loss, (y, x) = getattr(losses, name.split()[0]), BUFFERS[name]
    gradients = []
    for change in (False, True):
        labels, t = y.copy(), leaf(x)
        result = loss(Tensor(labels) if wrapped else labels, t)
        if change:
            labels[...] = np.roll(labels, 1, axis=-1) if labels.ndim > 1 else 0
        result.backward()
        gradients.append(t.grad)
    np.testing.assert_array_equal(*gradients)


def test_buffers_of_weights_too():
    gradients = []
    for change in (False, True):
        w, t, u = WEIGHT.copy(), leaf(LOGITS), leaf(LOGITS)
        results = (
            losses.cross_entropy(CLASSES, t, weight=w),
            losses.binary_cross_entropy_with_logits(BINARY, u, "sum", w, w),
        )
        if change:
            w[:] = 0
        for result in results:
            result.backward()
        gradients.append(np.stack([t.grad, u.grad]))
    np.testing.assert_array_equal(*gradients)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("name", BUFFERS)
def test_lists_of_tensors(name):
    """The list becomes an array without a word, and nothing is trained."""
    loss, (y, x) = getattr(losses, name.split()[0]), BUFFERS[name]
    rows = [leaf(row) for row in x]
    message = rf"^{name.split()[0]}: a list of tensors would lose their gradients. .*tensor_stack"
    for given in (rows, tuple(rows), [[leaf(value) for value in row] for row in x], [x[0], *rows[1:]]):
        with pytest.raises(TypeError, match=message):
            loss(y, given)
    with pytest.raises(TypeError, match=message):
        loss(rows, x)
    t = leaf(x)
    loss(y, t).backward()
    loss(y, mg.tensor_stack(rows)).backward()
    np.testing.assert_array_equal(np.stack([row.grad for row in rows]), t.grad)
    loss(y.tolist(), x.tolist())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: losses.cross_entropy(CLASSES, LOGITS, weight=[1, 2]),
            r"^cross_entropy: weight of shape \(2,\).*\(3,\)",
        ),
        (lambda: losses.cross_entropy(CLASSES, LOGITS, weight=1.0), r"^cross_entropy: weight of shape \(\)"),
        (lambda: losses.cross_entropy(CLASSES, LOGITS, weight=[1, -1, 1]), "^cross_entropy: weight .* at least 0"),
        (lambda: losses.cross_entropy(CLASSES, LOGITS, weight=[1, np.nan, 1]), "^cross_entropy: weight .* finite"),
        (lambda: losses.cross_entropy(CLASSES - 1, LOGITS), "integers from 0 to 2, or rows"),
        (
            lambda: losses.cross_entropy(CLASSES - 2, LOGITS, ignore_index=-1),
            r"integers from 0 to 2 \(or ignore_index, -1\)",
        ),
        (
            lambda: losses.cross_entropy(SOFT, LOGITS, ignore_index=0),
            "^cross_entropy: ignore_index is for class numbers",
        ),
        (
            lambda: losses.binary_cross_entropy(BINARY, P, weight=np.ones(6)),
            r"^binary_cross_entropy: weight of shape \(6,\)",
        ),
        (
            lambda: losses.binary_cross_entropy_with_logits(BINARY[0], P[0], pos_weight=np.ones((6, 3))),
            r"^binary_cross_entropy_with_logits: pos_weight of shape \(6, 3\) for predictions of shape \(3,\)",
        ),
        (lambda: losses.mean_squared_error(["a"], [1.0]), "^mean_squared_error: values of dtype <U1"),
        (lambda: losses.cross_entropy([["a"] * 3] * 6, LOGITS), "^cross_entropy: values of dtype <U1"),
        (lambda: losses.hinge([[1.0], [1.0, -1.0]], [1.0]), "^hinge: not a rectangular array"),
        (lambda: losses.hinge([1.0], [1j]), "^hinge: values of dtype complex128"),
        (
            lambda: losses.cross_entropy(CLASSES, LOGITS, weight=["a"] * 3),
            "^cross_entropy: weight: values of dtype <U1",
        ),
        (
            lambda: losses.cross_entropy(CLASSES, LOGITS, weight=[leaf(1.0)] * 3),
            "^cross_entropy: weight: a list of tensors",
        ),
    ],
)
def test_weights_and_labels_that_do_not_fit(call, message):
    """A weight that broadcasts the losses to a larger matrix, or one below 0 that rewards mistakes."""
    with pytest.raises((ValueError, TypeError), match=message):
        call()


@FLOATS
def test_a_probability_rounded_past_1(dtype):
    """Its digits are shown, and the advice is to clip, not that these are logits."""
    above = np.nextafter(dtype(1), dtype(2))
    with pytest.raises(ValueError, match=rf"^binary_cross_entropy: predictions from 0.0 to {above};.*clip"):
        losses.binary_cross_entropy([1.0], np.array([above]))
    with pytest.raises(ValueError, match=r"from -1e-10 to .*tensor_clip\(p, 0, 1\)"):
        losses.binary_cross_entropy([1.0], [-1e-10])
    with pytest.raises(ValueError, match=r"to 1.0000000001;.*clip"):
        losses.binary_cross_entropy([1.0], [1 + 1e-10])
    for p, advice in [(1.0009, "clip"), (1 + 0.001, "logits"), (-0.0009, "clip"), (-0.001, "logits")]:
        with pytest.raises(ValueError, match=advice):
            losses.binary_cross_entropy([1.0], [p])
    with pytest.raises(ValueError, match="look like logits"):
        losses.binary_cross_entropy([1.0, 0.0], [1 + 1e-10, -2.0])
    with pytest.raises(ValueError, match=r"labels from 0.0 to 1.0000000001;.*\(y \+ 1\) / 2"):
        losses.binary_cross_entropy([1 + 1e-10], [1.0])
