"""Conv2d and MaxPool2d: by loops over every patch, and beside PyTorch."""

import numpy as np
import pytest
from beside_torch import torch_or_skip
from layer_tools import agree, check_gradients

from minigrad import Tensor
from minigrad.layers import Conv2d, MaxPool2d

FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])
# kernel, stride, padding, height and width of the image
GEOMETRIES = [
    (1, 1, 0, (1, 1)),
    (3, 1, 0, (5, 4)),
    (3, 1, 1, (4, 5)),
    (2, 2, 0, (5, 7)),
    ((3, 2), (2, 1), (1, 0), (6, 5)),
    ((1, 3), (3, 2), (0, 2), (4, 3)),
    (4, 1, 2, (2, 3)),
]


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def both(x):
    return x if isinstance(x, tuple) else (x, x)


def patches(x, kernel, stride):
    """Every patch and the place of its result, one after another."""
    for i, top in enumerate(range(0, x.shape[2] - kernel[0] + 1, stride[0])):
        for j, left in enumerate(range(0, x.shape[3] - kernel[1] + 1, stride[1])):
            yield i, j, x[:, :, top : top + kernel[0], left : left + kernel[1]]


@pytest.mark.parametrize(("kernel", "stride", "padding", "image"), GEOMETRIES, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_convolution_by_loops(kernel, stride, padding, image, bias):
    """Not flipped, every channel in every output, the strides and paddings of the two axes not exchanged."""
    layer, x = Conv2d(2, 3, kernel, stride, padding, bias, rng=0), draws(2, 2, *image)
    b = draws(3, seed=1) if bias else np.zeros(3)
    if bias:
        layer.bias.data = b
    high, wide = both(padding)
    padded = np.pad(x, ((0, 0), (0, 0), (high, high), (wide, wide)))
    y = layer(x).data
    seen = 0
    for i, j, patch in patches(padded, both(kernel), both(stride)):
        expected = np.einsum("ncij,ocij->no", patch, layer.weight.data) + b
        np.testing.assert_allclose(y[:, :, i, j], expected, rtol=1e-12, atol=1e-13)
        seen += 1
    assert y.shape[:2] == (2, 3) and seen == y.shape[2] * y.shape[3]


@pytest.mark.parametrize(("kernel", "stride", "padding", "image"), GEOMETRIES, ids=str)
def test_convolution_gradients(kernel, stride, padding, image):
    """Where patches overlap, a pixel gets the gradient of each; where they leave gaps, none."""
    check_gradients(Conv2d(1, 2, kernel, stride, padding, rng=0), draws(1, 1, *image), second=False)


def test_convolution_second_derivatives():
    check_gradients(Conv2d(2, 2, 2, 1, 1, rng=0), draws(1, 2, 2, 2))


@pytest.mark.parametrize(
    ("kernel", "stride", "image"),
    [(2, None, (4, 6)), (2, None, (5, 7)), ((1, 3), (2, 1), (4, 5)), (3, 1, (4, 4))],
    ids=str,
)
def test_pooling_by_loops(kernel, stride, image):
    layer, x = MaxPool2d(kernel, stride), draws(2, 3, *image)
    y, seen = layer(x), 0
    for i, j, patch in patches(x, both(kernel), both(kernel if stride is None else stride)):
        np.testing.assert_array_equal(np.asarray(y)[:, :, i, j], patch.max((2, 3)))
        seen += 1
    assert seen == y.shape[2] * y.shape[3]
    check_gradients(layer, draws(1, 1, *image), second=False)


def test_ties_in_a_pool_share():
    x = Tensor(np.zeros((1, 1, 2, 2)), requires_grad=True)
    MaxPool2d(2)(x).sum().backward()
    assert x.grad.tolist() == [[[[0.25, 0.25], [0.25, 0.25]]]]


@FLOATS
@pytest.mark.parametrize(("kernel", "stride", "padding", "image"), GEOMETRIES, ids=str)
def test_convolution_equals_torch(kernel, stride, padding, image, dtype):
    torch = torch_or_skip()
    for bias in (True, False):
        layer = Conv2d(3, 4, kernel, stride, padding, bias, rng=0, dtype=dtype)
        module = torch.nn.Conv2d(3, 4, kernel, stride, padding, bias=bias)
        names = {"weight": "weight"} | ({"bias": "bias"} if bias else {})
        agree(torch, layer, module, draws(2, 3, *image), names, dtype)


@FLOATS
def test_pooling_equals_torch(dtype):
    torch = torch_or_skip()
    for kernel, stride in [(2, None), ((3, 2), (1, 2)), (3, 2)]:
        agree(torch, MaxPool2d(kernel, stride), torch.nn.MaxPool2d(kernel, stride), draws(2, 3, 7, 6), {}, dtype)


def test_convolution_starts_as_glorot_says():
    """Fan in and fan out count the places of the kernel."""
    layer = Conv2d(20, 30, 3, rng=0)
    bound = np.sqrt(6 / (50 * 9))
    w = layer.weight.data
    assert np.abs(w).max() <= bound and w.var() == pytest.approx(bound**2 / 3, rel=0.05) and not layer.bias.data.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(2, 3, 3)(np.ones((1, 3, 5, 5))), r"^Conv2d: x of shape .*\(n, 2, height, width\)"),
        (lambda: Conv2d(2, 3, 3)(np.ones((2, 5, 5))), r"^Conv2d: x of shape \(2, 5, 5\)"),
        (
            lambda: Conv2d(2, 3, 3)(np.ones((1, 2, 5, 2))),
            r"^Conv2d: the image, \(5, 2\) .* smaller than the kernel, \(3, 3\)",
        ),
        (lambda: Conv2d(0, 3, 3), "^Conv2d: channels_in = 0; give a whole number, at least 1"),
        (lambda: Conv2d(2, 3.0, 3), "^Conv2d: channels_out = 3.0"),
        (lambda: Conv2d(2, 3, 0), "^Conv2d: kernel_size = 0; give a whole number, at least 1"),
        (lambda: Conv2d(2, 3, (3, 3, 3)), r"kernel_size = \(3, 3, 3\)"),
        (lambda: Conv2d(2, 3, 3, stride=0), "stride = 0"),
        (lambda: Conv2d(2, 3, 3, padding=-1), "padding = -1; give a whole number, at least 0"),
        (lambda: Conv2d(2, 3, 3, padding="same"), "padding = 'same'"),
        (lambda: MaxPool2d(2)(np.ones((1, 2, 1, 4))), "^MaxPool2d: the image"),
        (lambda: MaxPool2d(2)(np.ones((2, 4, 4))), "^MaxPool2d: x of shape"),
        (lambda: MaxPool2d(2.0), "^MaxPool2d: kernel_size = 2.0"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_repr():
    assert repr(Conv2d(1, 2, 3)) == "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=(0, 0))  # 20 parameters"
    assert repr(MaxPool2d(2)) == "MaxPool2d((2, 2), stride=(2, 2))"
