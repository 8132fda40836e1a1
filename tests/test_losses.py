"""Losses: against their closed forms, at their extremes, with labels of every kind, and beside a second implementation."""

import os

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, fused, losses


def logistic(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def rng(seed=0):
    return np.random.default_rng(seed)


N = (5, 3)
ROWS = np.arange(5)
CLASSES = np.array([0, 2, 1, 1, 0])
BINARY = rng(1).integers(0, 2, N).astype(float)
SIGNS = 2 * BINARY - 1
SOFT = rng(2).dirichlet([1, 1, 1], 5)

# loss: y_true, y_pred, each element's loss, and each element's slope
FORMS = {
    "mean_squared_error": (
        rng(3).normal(size=N),
        rng(4).normal(size=N),
        lambda y, p: (y - p) ** 2,
        lambda y, p: 2 * (p - y),
    ),
    "mean_absolute_error": (
        rng(3).normal(size=N),
        rng(4).normal(size=N),
        lambda y, p: abs(y - p),
        lambda y, p: np.sign(p - y),
    ),
    "binary_cross_entropy": (
        BINARY,
        rng(5).uniform(0.05, 0.95, N),
        lambda y, p: -y * np.log(p) - (1 - y) * np.log(1 - p),
        lambda y, p: (p - y) / (p * (1 - p)),
    ),
    "binary_cross_entropy_with_logits": (
        rng(6).uniform(0, 1, N),
        rng(7).normal(size=N) * 3,
        lambda y, z: -y * np.log(logistic(z)) - (1 - y) * np.log(logistic(-z)),
        lambda y, z: logistic(z) - y,
    ),
    "hinge": (SIGNS, rng(8).normal(size=N), lambda y, p: np.maximum(0, 1 - y * p), lambda y, p: -y * (1 - y * p > 0)),
    "cross_entropy": (
        CLASSES,
        rng(9).normal(size=N) * 3,
        lambda y, z: -np.log(softmax(z)[ROWS, y]),
        lambda y, z: softmax(z) - np.eye(3)[y],
    ),
    "cross_entropy one-hot": (
        SOFT,
        rng(9).normal(size=N),
        lambda y, z: -np.sum(y * np.log(softmax(z)), 1),
        lambda y, z: softmax(z) - y,
    ),
}
for_each_loss = pytest.mark.parametrize("name", FORMS)
FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def loss_of(name):
    return getattr(losses, name.split()[0])


# ---------------------------------------------------------------- closed forms


@for_each_loss
@FLOATS
@pytest.mark.parametrize("reduction", [None, "mean", "sum", "none"])
def test_closed_form(name, dtype, reduction):
    """Value and gradient of every loss and reduction: 2/n (ŷ − y) and its like; "mean" where nothing is said."""
    y, p, form, slope = FORMS[name]
    p = p.astype(dtype)
    x = Tensor(p, requires_grad=True)
    result = loss_of(name)(y, x) if reduction is None else loss_of(name)(y, x, reduction)
    each, slopes = form(y, p.astype(float)), slope(y, p.astype(float))
    upstream = rng(10).uniform(0.5, 1.5, each.shape)
    if reduction == "none":
        expected = each
        slopes = slopes * upstream.reshape(upstream.shape + (1,) * (2 - upstream.ndim))
        result.backward(upstream)
    else:
        expected, slopes = (each.sum(), slopes) if reduction == "sum" else (each.mean(), slopes / each.size)
        result.backward()
    tolerance = 2e-5 if dtype is np.float32 else 1e-12
    assert result.dtype == x.grad.dtype == dtype
    np.testing.assert_allclose(result.data, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(x.grad, slopes, rtol=tolerance, atol=tolerance)


@for_each_loss
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradcheck(name, reduction):
    """First and second derivatives in the predictions; in float labels too, where they are tensors."""
    y, p, *_ = FORMS[name]
    mg.gradcheck(lambda x: loss_of(name)(y, x, reduction), Tensor(p, requires_grad=True), second=True)
    if name not in ("hinge", "cross_entropy"):
        y = (y + 1) / 3 if name == "binary_cross_entropy" else y  # where there is room on both sides
        mg.gradcheck(lambda t, x: loss_of(name)(t, x, reduction), Tensor(y, True), Tensor(p, True))


def test_reduction_is_one_of_three():
    for name, (y, p, *_) in FORMS.items():
        with pytest.raises(ValueError, match="reduction='average'"):
            loss_of(name)(y, p, reduction="average")


def test_every_loss_is_tested():
    assert {name.split()[0] for name in FORMS} == set(losses.__all__)


# ---------------------------------------------------------------- labels of every kind


def test_labels_in_another_dtype_get_their_gradient():
    """A conversion to the dtype of the predictions would cut them off."""
    y = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    losses.mean_squared_error(y, np.array([3.0, 3.0], np.float32)).backward()
    np.testing.assert_array_equal(y.grad, [-2, -1])


def kinds_of(y):
    kinds = {"list": y.tolist(), "tensor": Tensor(y), "float64": y.astype(np.float64), "float32": y.astype(np.float32)}
    if np.all(y == y.astype(int)):
        kinds |= {"ints": y.astype(int), "int8": y.astype(np.int8), "list of ints": y.astype(int).tolist()}
        kinds |= {"int tensor": Tensor(y.astype(int))}
        if np.all(y == y.astype(bool)):
            kinds |= {"bools": y.astype(bool), "bool tensor": Tensor(y.astype(bool))}
    return kinds


KINDS = [
    pytest.param(name, kind, id=f"{name} {label}")
    for name, (y, *_) in FORMS.items()
    for label, kind in kinds_of(y).items()
    if not (name == "cross_entropy" and "float" in label)
]
KINDS += [
    pytest.param("cross_entropy one-hot", kind, id=f"cross_entropy exact one-hot {label}")
    for label, kind in kinds_of(np.eye(3)[CLASSES]).items()
]


@FLOATS
@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_labels_of_every_kind(name, kind, dtype):
    """Integer labels, or float64 ones, that turn a float32 training into float64."""
    p = FORMS[name][1].astype(dtype)
    y = np.asarray(kind)
    if not (name == "cross_entropy"):
        y = y.astype(float)
    seen = []

    class Watch(mg.context.Observer):
        def contributed(self, node, position, g, contribution):
            seen.append(contribution.dtype)

    x = Tensor(p, requires_grad=True)
    result = loss_of(name)(kind, x)
    with mg.context.observing(Watch()):
        result.backward()
    np.testing.assert_allclose(result.item(), np.mean(FORMS[name][2](y, p.astype(float))), rtol=1e-5)
    np.testing.assert_allclose(x.grad, FORMS[name][3](y, p.astype(float)) / result_size(name), rtol=1e-4, atol=1e-6)
    assert result.dtype == dtype and set(seen) == {np.dtype(dtype)}


def result_size(name):
    return 5 if "cross_entropy" in name and "binary" not in name else 15


@for_each_loss
def test_predictions_may_be_arrays_and_lists(name):
    y, p, form, _ = FORMS[name]
    assert loss_of(name)(y, p.astype(np.float32)).dtype == np.float32
    for prediction in (p, p.tolist(), Tensor(p)):
        result = loss_of(name)(y, prediction)
        assert isinstance(result, Tensor) and not result.requires_grad
        assert result.item() == pytest.approx(form(y, p).mean(), rel=1e-12)


def test_predictions_that_are_integers():
    """A perfect classifier's 0 and 1."""
    assert losses.binary_cross_entropy([1, 0], [1, 0]).item() == 0
    assert losses.mean_squared_error([1, 0], [3, 0]).item() == 2
    assert losses.hinge([1, -1], [0, 0]).item() == 1
    assert losses.cross_entropy([0], [[0, 0]]).item() == pytest.approx(np.log(2))


# ---------------------------------------------------------------- kinks and extremes


def gradient(loss, y, p, dtype=np.float64, **options):
    x = Tensor(p, requires_grad=True, dtype=dtype)
    result = loss(y, x, **options)
    result.sum().backward()
    return result.data.tolist(), x.grad.tolist()


def test_kinks():
    """|0| has slope 0; the hinge at its corner, by relu, 0."""
    assert gradient(losses.mean_absolute_error, [1.0], [1.0]) == (0, [0])
    assert gradient(losses.hinge, [1, -1], [1.0, -1.0]) == (0, [0, 0])


@FLOATS
def test_logits_at_extremes(dtype):
    """log(1 + e^z) overflows, or log σ(z) is −inf."""
    y, z = [1.0, 0.0, 1.0, 0.0], [1e4, 1e4, -1e4, -1e4]
    assert gradient(losses.binary_cross_entropy_with_logits, y, z, dtype, reduction="none") == (
        [0, 1e4, 1e4, 0],
        [0, 1, -1, 0],
    )
    x = Tensor(z, requires_grad=True, dtype=dtype)
    loss = fused.binary_cross_entropy_with_logits(np.array(y, dtype), x)
    loss.backward()
    assert loss.item() == 5000 and x.grad.tolist() == [0, 0.25, -0.25, 0] and loss.dtype == dtype


@FLOATS
def test_probabilities_at_extremes(dtype):
    """log 0: a right answer costs nothing, a wrong one much, and no gradient is infinite or NaN."""
    each, slopes = gradient(
        losses.binary_cross_entropy, [0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], dtype, reduction="none"
    )
    assert each[:2] == [0, 0] and slopes[:2] == [1, -1]
    assert all(50 < loss < 1000 for loss in each[2:]) and np.all(np.isfinite(slopes))
    assert slopes[2] > 1e30 and slopes[3] < -1e30


@FLOATS
def test_probabilities_are_changed_by_nothing_but_zero(dtype):
    """Clipping p to [1e-7, 1 − 1e-7], as many do, is wrong by factors at small p."""
    p = np.array([1e-3, 1e-10, 1e-30], dtype)
    each, slopes = gradient(losses.binary_cross_entropy, [1.0] * 3, p, dtype, reduction="none")
    np.testing.assert_allclose(each, -np.log(p.astype(float)), rtol=1e-6)
    np.testing.assert_allclose(slopes, -1 / p.astype(float), rtol=1e-6)


@FLOATS
def test_cross_entropy_at_extremes(dtype):
    z = [[1e4, 0.0, -1e4], [1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]]
    each, slopes = gradient(losses.cross_entropy, [0, 2, 1], z, dtype, reduction="none")
    np.testing.assert_allclose(each, [0, 2e4, np.log(3)], rtol=1e-6)
    np.testing.assert_allclose(slopes, [[0, 0, 0], [1, 0, -1], [1 / 3, -2 / 3, 1 / 3]], rtol=1e-6, atol=1e-12)


# ---------------------------------------------------------------- properties


def test_cross_entropies_of_probabilities_and_of_logits_agree():
    z = np.linspace(-15, 15, 31)
    for y in (np.zeros(31), np.ones(31), rng().uniform(size=31)):
        logits, probabilities = Tensor(z, requires_grad=True), Tensor(z, requires_grad=True)
        a = losses.binary_cross_entropy_with_logits(y, logits)
        b = losses.binary_cross_entropy(y, probabilities.sigmoid())
        c = fused.binary_cross_entropy_with_logits(y, Tensor(z))
        assert a.item() == pytest.approx(b.item(), rel=1e-9) and a.item() == pytest.approx(c.item(), rel=1e-13)
        a.backward()
        b.backward()
        np.testing.assert_allclose(logits.grad, probabilities.grad, rtol=1e-8, atol=1e-9)


def test_cross_entropy_of_two_classes_is_the_binary_one():
    z, y = rng().normal(size=7), rng(1).integers(0, 2, 7)
    two = losses.cross_entropy(y, np.stack([np.zeros(7), z], 1), "none")
    np.testing.assert_allclose(two.data, losses.binary_cross_entropy_with_logits(y, z, "none").data, rtol=1e-13)


def test_classes_and_one_hot_rows_agree():
    z = FORMS["cross_entropy"][1]
    for reduction in ("mean", "sum", "none"):
        a, b = losses.cross_entropy(CLASSES, z, reduction), losses.cross_entropy(np.eye(3)[CLASSES], z, reduction)
        np.testing.assert_allclose(a.data, b.data, rtol=1e-13)


def test_as_many_rows_as_classes():
    """Labels (3,) for logits (3, 3) are class numbers, not a row of probabilities."""
    z = rng().normal(size=(3, 3))
    np.testing.assert_allclose(
        losses.cross_entropy([2, 0, 1], z, "none").data, -np.log(softmax(z))[[0, 1, 2], [2, 0, 1]], rtol=1e-13
    )


def test_cross_entropy_knows_no_shift_and_no_order():
    z = FORMS["cross_entropy"][1]
    value, slopes = gradient(losses.cross_entropy, CLASSES, z)
    shifted, shifted_slopes = gradient(losses.cross_entropy, CLASSES, z + rng().normal(size=(5, 1)) * 100)
    assert shifted == pytest.approx(value, rel=1e-11)
    np.testing.assert_allclose(shifted_slopes, slopes, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(np.sum(slopes, 1), 0, atol=1e-15)
    order = np.array([2, 0, 1])
    permuted, _ = gradient(losses.cross_entropy, np.argsort(order)[CLASSES], z[:, order])
    assert permuted == pytest.approx(value, rel=1e-13)


@for_each_loss
def test_losses_are_not_negative_and_do_not_know_the_order_of_rows(name):
    y, p, *_ = FORMS[name]
    order = rng().permutation(5)
    result = loss_of(name)(y, p, "none").data
    assert np.all(result >= 0)
    np.testing.assert_allclose(loss_of(name)(y[order], p[order], "none").data, result[order], rtol=1e-13)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("name", [name for name in FORMS if not name.startswith("cross")])
@pytest.mark.parametrize(
    "shapes", [((5,), (5, 1)), ((5, 1), (5,)), ((5,), ()), ((5,), (3,)), ((1, 5), (5, 1))], ids=str
)
def test_shapes_must_agree(name, shapes):
    """A column beside a row: a matrix of losses that trains to nonsense."""
    y, p = np.ones(shapes[0]), np.full(shapes[1], 0.5)
    with pytest.raises(ValueError, match=rf"^{name}: y_true of shape .* and y_pred of shape .*; they must be the same"):
        loss_of(name)(y, p)


@pytest.mark.parametrize(
    ("y", "z"),
    [
        ([0, 1], np.ones((3, 2))),
        ([0, 2], np.ones((2, 2))),
        ([-1, 0], np.ones((2, 2))),
        ([0.0, 1.0], np.ones((2, 2))),
        ([[0], [1]], np.ones((2, 2))),
        ([0, 1], np.ones(2)),
        (0, np.ones((2, 2))),
        (np.ones((2, 3)), np.ones((2, 2))),
        ([True, False], np.ones((2, 2))),
    ],
    ids=["rows", "above", "below", "floats", "column", "logits", "number", "one-hot", "bools"],
)
def test_cross_entropy_labels(y, z):
    with pytest.raises(ValueError, match="^cross_entropy: "):
        losses.cross_entropy(y, z)


def test_a_right_and_certain_answer_still_costs_a_little():
    """log(1 + e^z) − z, say, is 0 at z = 40, and so is its gradient."""
    z = Tensor([40.0, -40.0], requires_grad=True)
    loss = losses.binary_cross_entropy_with_logits([1.0, 0.0], z, "sum")
    loss.backward()
    np.testing.assert_allclose(loss.item(), 2 * np.exp(-40), rtol=1e-12)
    np.testing.assert_allclose(z.grad, [-np.exp(-40), np.exp(-40)], rtol=1e-12)


@pytest.mark.parametrize("loss", [losses.binary_cross_entropy, losses.binary_cross_entropy_with_logits])
@pytest.mark.parametrize("labels", [[-1, 1], [0, 2], [-1e-6, 1]])
def test_labels_of_a_cross_entropy_are_probabilities(loss, labels):
    """Labels −1 and +1 make a loss without a lower bound, which training then follows."""
    with pytest.raises(ValueError, match=rf"^{loss.__name__}: labels from .*\(y \+ 1\) / 2"):
        loss(labels, [0.5, 0.5])
    loss([0, 1], [0.5, 0.5])
    loss([0.3, 0.9], [0.5, 0.5])


@pytest.mark.parametrize("labels, wrong", [([0, 1], 0.0), ([2, 1], 2.0), ([0.5, -1], 0.5)])
def test_hinge_names_the_labels_that_are_wrong(labels, wrong):
    with pytest.raises(ValueError, match=rf"^hinge: labels \[{wrong}\];.*2\*y − 1"):
        losses.hinge(labels, [0.5, 0.5])


@pytest.mark.parametrize("p", [[-0.01, 0.5], [0.5, 1.01], [-3.0, 4.0], [np.inf, 0.5]])
def test_probabilities_outside_0_and_1(p):
    with pytest.raises(ValueError, match=r"^binary_cross_entropy: .*\[0, 1\].*binary_cross_entropy_with_logits"):
        losses.binary_cross_entropy([1, 0], p)


# ---------------------------------------------------------------- a second implementation


def second_implementation(name):
    """An installed library, or a loud skip; an error where MINIGRAD_CI promises one."""
    try:
        return __import__(name)
    except ImportError:
        if os.environ.get("MINIGRAD_CI") == "1" and name == "autograd":
            pytest.fail(f"{name} is not installed, and MINIGRAD_CI asks for every oracle")
        pytest.skip(f"{name} is not installed: the losses go without its second opinion")


@for_each_loss
def test_autograd_agrees(name):
    """HIPS autograd differentiates the closed form."""
    autograd = second_implementation("autograd")
    anp = __import__("autograd.numpy").numpy
    y, p, *_ = FORMS[name]

    def softmax_loss(z, labels):
        log_p = z - anp.log(anp.sum(anp.exp(z), axis=1, keepdims=True))
        return -anp.mean(anp.sum(labels * log_p, axis=1))

    forms = {
        "mean_squared_error": lambda p: anp.mean((y - p) ** 2),
        "mean_absolute_error": lambda p: anp.mean(anp.abs(y - p)),
        "binary_cross_entropy": lambda p: anp.mean(-y * anp.log(p) - (1 - y) * anp.log(1 - p)),
        "binary_cross_entropy_with_logits": lambda z: anp.mean(anp.logaddexp(0, z) - y * z),
        "hinge": lambda p: anp.mean(anp.maximum(0, 1 - y * p)),
        "cross_entropy": lambda z: softmax_loss(z, np.eye(3)[CLASSES]),
        "cross_entropy one-hot": lambda z: softmax_loss(z, SOFT),
    }
    value, slopes = gradient(loss_of(name), y, p)
    assert value == pytest.approx(float(forms[name](p)), rel=1e-12)
    np.testing.assert_allclose(slopes, autograd.grad(forms[name])(p), rtol=1e-11, atol=1e-13)


@for_each_loss
@FLOATS
def test_torch_agrees(name, dtype):
    """PyTorch's own losses, where it is installed."""
    torch = second_implementation("torch")
    F = torch.nn.functional
    functions = {
        "mean_squared_error": F.mse_loss,
        "mean_absolute_error": F.l1_loss,
        "binary_cross_entropy": F.binary_cross_entropy,
        "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
        "hinge": lambda p, y: torch.clamp(1 - y * p, min=0).mean(),
        "cross_entropy": F.cross_entropy,
        "cross_entropy one-hot": F.cross_entropy,
    }
    y, p, *_ = FORMS[name]
    x = torch.tensor(p.astype(dtype), requires_grad=True)
    labels = torch.tensor(y if name == "cross_entropy" else y.astype(dtype))
    loss = functions[name](x, labels)
    loss.backward()
    value, slopes = gradient(loss_of(name), y, p, dtype)
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    assert value == pytest.approx(loss.item(), rel=tolerance)
    np.testing.assert_allclose(slopes, x.grad.numpy(), rtol=tolerance, atol=tolerance)
