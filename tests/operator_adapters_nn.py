"""The part of the table of operators with linear algebra, layers and losses (see operator_adapters.py)."""

from __future__ import annotations

from functools import reduce
from math import log, pi, prod

import numpy as np
from operator_adapters import ADAPTERS, L, axes, constant, only, operator, plain, shape_of, vector_norm

from minigrad import layers, losses

# ---------------------------------------------------------------- linear algebra


def blended(x, product, beta, alpha):
    """β X + α (A B); at β = 0 PyTorch does not read X."""
    product = product if alpha == 1 else alpha * product
    return product + (x if beta == 1 else beta * x)


def outer(a, b):
    return a.reshape((-1, 1)) * b


ADAPTERS |= {
    "matmul": lambda a, b: a @ b,
    "mm": lambda a, b: a @ b,
    "mv": lambda a, b: a @ b,
    "bmm": lambda a, b: a @ b,
    "dot": lambda a, b: a @ b,
    "vdot": lambda a, b: a @ b,
    "inner": lambda a, b: a * b if not a.ndim or not b.ndim else inner(a, b),
    "outer": outer,
    "linalg.vecdot": lambda a, b, dim=-1: L.tensor_sum(a * b, dim),
    "addmm": lambda x, a, b, beta=1, alpha=1: blended(x, a @ b, beta, alpha),
    "addmm.decomposed": lambda x, a, b, beta=1, alpha=1: blended(x, a @ b, beta, alpha),
    "addmv": lambda x, a, b, beta=1, alpha=1: blended(x, a @ b, beta, alpha),
    "baddbmm": lambda x, a, b, beta=1, alpha=1: blended(x, a @ b, beta, alpha),
    "addbmm": lambda x, a, b, beta=1, alpha=1: blended(x, L.tensor_sum(a @ b, 0), beta, alpha),
    "addr": lambda x, a, b, beta=1, alpha=1: blended(x, outer(a, b), beta, alpha),
    "linalg.multi_dot": lambda xs: reduce(lambda a, b: a @ b, xs),
    "kron": lambda a, b: kron(a, b),
    "tensordot": lambda a, b, dims=2: tensordot(a, b, dims),
    "einsum": lambda xs, equation: L.tensor_einsum(equation.replace(" ", ""), *xs),
    "linalg.matrix_power": lambda x, n: matrix_power(x, n),
    "nn.functional.linear": lambda x, w, b=None: x @ w.T if b is None else x @ w.T + b,
    "nn.functional.bilinear": lambda a, b, w, bias=None: bilinear(a, b, w, bias),
}


def inner(a, b):
    y = a.reshape((-1, a.shape[-1])) @ b.reshape((-1, b.shape[-1])).T
    return y.reshape((*a.shape[:-1], *b.shape[:-1]))


def kron(a, b):
    rank = max(a.ndim, b.ndim)
    p, q = ((1,) * (rank - x.ndim) + x.shape for x in (a, b))
    y = a.reshape([n for size in p for n in (size, 1)]) * b.reshape([n for size in q for n in (1, size)])
    return y.reshape(tuple(m * n for m, n in zip(p, q, strict=True)))


def tensordot(a, b, dims):
    if isinstance(dims, int):
        dims = (list(range(a.ndim - dims, a.ndim)), list(range(dims)))
    of_a, of_b = ([i % x.ndim for i in d] for x, d in zip((a, b), dims, strict=True))
    free_a, free_b = ([i for i in range(x.ndim) if i not in used] for x, used in ((a, of_a), (b, of_b)))
    n = prod(a.shape[i] for i in of_a)
    only(n == prod(b.shape[i] for i in of_b), "an axis of size 1 that is broadcast")
    left = L.tensor_transpose(a, (*free_a, *of_a)).reshape((-1, n))
    right = L.tensor_transpose(b, (*of_b, *free_b)).reshape((n, -1))
    return (left @ right).reshape((*(a.shape[i] for i in free_a), *(b.shape[i] for i in free_b)))


def matrix_power(x, n):
    only(n >= 0, "inverse of a matrix")
    one = np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape)
    return reduce(lambda a, b: a @ b, [x] * n) if n else x * 0.0 + one


def bilinear(a, b, w, bias):
    y = L.tensor_sum((a[..., None, None, :] @ w)[..., 0, :] * b[..., None, :], -1)
    return y if bias is None else y + bias


# ---------------------------------------------------------------- softmax and normalisation


def softmax(x, dim=-1, dtype=None, **options):
    only(dtype is None, "option dtype")
    return L.tensor_softmax(x, dim if x.ndim else None)


def log_softmax(x, dim=-1, dtype=None, **options):
    only(dtype is None, "option dtype")
    return L.tensor_log_softmax(x, dim if x.ndim else None)


ADAPTERS |= {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "nn.functional.softmin": lambda x, dim=-1, **options: softmax(-x, dim, **options),
    "nn.functional.normalize": lambda x, p=2.0, dim=1, eps=1e-12: (
        x / L.tensor_maximum(vector_norm(x, p, dim if x.ndim else None, keepdim=True), eps)
    ),
    "nn.functional.rms_norm": lambda x, shape, weight=None, eps=None: rms_norm(x, shape, weight, eps),
    "nn.functional.pairwise_distance": lambda a, b, p=2.0, eps=1e-6, keepdim=False: vector_norm(
        a - b + eps, p, -1, keepdim
    ),
}


@operator("nn.functional.cosine_similarity")
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    shape = np.broadcast_shapes(x1.shape, x2.shape)
    a, b = (L.tensor_broadcast_to(x, shape) for x in (x1, x2))
    lengths = [L.tensor_maximum(L.tensor_sqrt(L.tensor_sum(x * x, axes(x, dim))), eps) for x in (a, b)]
    return L.tensor_sum(a * b, axes(a, dim)) / (lengths[0] * lengths[1])


def rms_norm(x, shape, weight, eps):
    eps = np.finfo(x.dtype).eps if eps is None else eps
    y = x / L.tensor_sqrt(L.tensor_mean(x * x, tuple(range(-len(shape), 0)), keepdims=True) + float(eps))
    return y if weight is None else y * weight


def with_parameters(layer, weight, bias, shape, dtype):
    """A layer whose parameters are these tensors, or 1 and 0."""
    layer.weight = np.ones(shape, dtype) if weight is None else weight
    layer.bias = np.zeros(shape, dtype) if bias is None else bias
    return layer


@operator("nn.functional.layer_norm")
def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    shape = shape_of((shape,))
    return with_parameters(L.LayerNorm(shape, eps), weight, bias, shape, x.dtype)(x)


@operator("nn.functional.batch_norm", "nn.functional.batch_norm.without_cudnn")
def batch_norm(x, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    features = x.shape[1] if x.ndim > 1 else 0
    only(features, "batches without features")
    layer = with_parameters(L.BatchNorm(features, eps=eps, dtype=x.dtype), weight, bias, (features,), x.dtype)
    if not training:
        layer.running_mean, layer.running_var = constant(mean), constant(var)
        layer.eval()
    return layer(x)


@operator("nn.functional.group_norm")
def group_norm(x, groups, weight=None, bias=None, eps=1e-5):
    only(x.size, "empty groups")
    y = x.reshape((x.shape[0], groups, -1))
    centred = y - L.tensor_mean(y, -1, keepdims=True)
    y = (centred / L.tensor_sqrt(L.tensor_mean(centred**2, -1, keepdims=True) + eps)).reshape(x.shape)
    y = y if weight is None else y * weight.reshape((-1, *[1] * (x.ndim - 2)))
    return y if bias is None else y + bias.reshape((-1, *[1] * (x.ndim - 2)))


@operator("nn.functional.instance_norm")
def instance_norm(x, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5, **running):
    only(use_input_stats, "running statistics")
    return group_norm(x, x.shape[1], weight, bias, eps)


# ---------------------------------------------------------------- layers


def images(x):
    only(x.ndim == 4, "an image without a batch")
    return x


@operator("nn.functional.conv2d")
def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    only(groups == 1, "groups of channels")
    only(set(np.ravel(dilation).tolist()) == {1}, "dilation")
    only(padding != "same", "padding='same'")
    padding = 0 if padding == "valid" else padding
    stride, padding = (n if isinstance(n, int) else tuple(n) if len(n) == 2 else n[0] for n in (stride, padding))
    layer = L.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], stride, padding, bias is not None)
    layer.weight, layer.bias = weight, bias
    return layer(images(x))


@operator("nn.functional.max_pool2d")
def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    only(not ceil_mode and not return_indices, "ceil_mode or indices")
    only(set(np.ravel(dilation).tolist()) == {1} and not np.any(padding), "dilation or padding")
    kernel, stride = (n if n is None or isinstance(n, int) else tuple(n) for n in (kernel_size, stride))
    return L.MaxPool2d(kernel, stride or None)(images(x))


@operator("nn.functional.embedding")
def embedding(weight, indices, padding_idx=None, max_norm=None, scale_grad_by_freq=False, sparse=False, **options):
    only(padding_idx is None and max_norm is None and not scale_grad_by_freq, "padding_idx, max_norm or frequencies")
    layer = L.Embedding(*weight.shape)
    layer.weight = weight
    return layer(indices)


@operator("nn.functional.scaled_dot_product_attention")
def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    only(dropout_p == 0, "dropout draws its own numbers")
    only(attn_mask is None or attn_mask.dtype == bool, "a mask that is added")
    only(not enable_gqa and scale is None, "grouped heads or another scale")
    return L.scaled_dot_product_attention(q, k, v, attn_mask, is_causal)


@operator("nn.functional.dropout", "nn.functional.dropout2d", "nn.functional.dropout3d")
def dropout(x, p=0.5, training=True, inplace=False):
    only(p == 0 or not training, "dropout draws its own numbers")
    layer = layers.Dropout(p if p < 1 else 0.5)
    return (layer if training else layer.eval())(x)


# ---------------------------------------------------------------- losses: the prediction comes first in PyTorch


def reduced(loss, reduction="mean", **options):
    plain(options)
    if reduction == "none":
        return loss
    return L.tensor_mean(loss) if reduction == "mean" else L.tensor_sum(loss)


def called(loss, *args, **options):
    """A loss of minigrad with the options that it knows; samples with others are skipped."""
    given = {name: x for name, x in options.items() if x is not None}
    unknown = [name for name in given if name not in loss.__code__.co_varnames[: loss.__code__.co_argcount]]
    only(not unknown, f"option {', '.join(unknown)}")
    return loss(*args, **given)


@operator("nn.functional.mse_loss")
def mse_loss(x, y, reduction="mean", weight=None, **options):
    plain(options | {"weight": weight})
    only(x.shape == y.shape, "two shapes")
    return losses.mean_squared_error(y, x, reduction)


@operator("nn.functional.l1_loss")
def l1_loss(x, y, reduction="mean", **options):
    plain(options)
    only(x.shape == y.shape, "two shapes")
    return losses.mean_absolute_error(y, x, reduction)


@operator("nn.functional.binary_cross_entropy")
def binary_cross_entropy(p, y, reduction="mean", weight=None):
    return called(losses.binary_cross_entropy, y, p, reduction=reduction, weight=weight)


@operator("nn.functional.binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(z, y, reduction="mean", weight=None, pos_weight=None):
    only(np.shape(z) == np.shape(y), "two shapes")
    y_values = constant(y)
    only(y_values.min(initial=0) >= 0 and y_values.max(initial=0) <= 1, "labels that are not probabilities")
    options = {"reduction": reduction, "weight": weight, "pos_weight": pos_weight}
    return called(losses.binary_cross_entropy_with_logits, y, z, **options)


@operator("nn.functional.cross_entropy")
def cross_entropy(z, y, weight=None, reduction="mean", ignore_index=-100, label_smoothing=0.0, **options):
    plain(options)
    only(not label_smoothing, "label smoothing")
    only(z.ndim == 2, "logits with other than two axes")
    if y.ndim == 2:
        rows = constant(y)
        only(rows.min() >= 0 and np.allclose(rows.sum(1), 1, atol=1e-4), "rows that are no probabilities")
        ignore_index = None
    elif not np.any(constant(y) == ignore_index):
        ignore_index = None
    options = {"weight": weight, "reduction": reduction, "ignore_index": ignore_index}
    return called(losses.cross_entropy, y, z, **options)


@operator("nn.functional.nll_loss")
def nll_loss(log_p, y, weight=None, reduction="mean", ignore_index=-100):
    only(log_p.ndim == 2 and y.size, "log-probabilities with other than two axes")
    y = constant(y)
    w = (np.ones(log_p.shape[1], log_p.dtype) if weight is None else constant(weight))[
        np.where(y == ignore_index, 0, y)
    ]
    w = np.where(y == ignore_index, 0, w).astype(log_p.dtype)
    loss = -log_p[np.arange(len(y)), np.where(y == ignore_index, 0, y)] * w
    only(reduction != "mean" or w.sum(), "every row ignored")
    return L.tensor_sum(loss) / w.sum() if reduction == "mean" else reduced(loss, reduction)


ADAPTERS |= {
    "nn.functional.smooth_l1_loss": lambda x, y, reduction="mean", beta=1.0: huber(
        x, y, reduction, beta, 1 / (beta or 1)
    ),
    "nn.functional.huber_loss": lambda x, y, reduction="mean", weight=None, delta=1.0: huber(
        x, y, reduction, delta, 1.0
    ),
    "nn.functional.soft_margin_loss": lambda x, y, **options: reduced(L.tensor_softplus(-y * x), **options),
    "nn.functional.hinge_embedding_loss": lambda x, y, margin=1.0, **options: reduced(
        L.tensor_where(constant(y) != -1, x, 0.0) + L.tensor_where(constant(y) != 1, L.relu_tensor(margin - x), 0.0),
        **options,
    ),
    "nn.functional.margin_ranking_loss": lambda a, b, y, margin=0.0, **options: reduced(
        L.relu_tensor(-y * (a - b) + margin), **options
    ),
    "nn.functional.kl_div": lambda x, y, reduction="mean", log_target=False, **options: kl_div(
        x, y, reduction, log_target, **options
    ),
    "nn.functional.poisson_nll_loss": lambda x, y, **options: poisson_nll(x, y, **options),
    "nn.functional.gaussian_nll_loss": lambda x, y, var, **options: gaussian_nll(x, y, var, **options),
    "nn.functional.triplet_margin_loss": lambda a, p, n, **options: triplet(a, p, n, **options),
}


def huber(x, y, reduction, delta, scale):
    only(delta > 0, "no quadratic part")
    d = L.tensor_abs(x - y)
    return reduced(scale * L.tensor_where(d < delta, d * d / 2, delta * (d - delta / 2)), reduction)


def kl_div(x, y, reduction, log_target, **options):
    plain(options)
    if log_target:
        loss = L.tensor_exp(y) * (y - x)
    else:
        only(constant(y).min(initial=1) > 0, "a probability of 0")
        loss = y * (L.tensor_log(y) - x)
    return L.tensor_sum(loss) / x.shape[0] if reduction == "batchmean" else reduced(loss, reduction)


def poisson_nll(x, y, log_input=True, full=False, eps=1e-8, reduction="mean", **options):
    plain(options)
    loss = L.tensor_exp(x) - y * x if log_input else x - y * L.tensor_log(x + eps)
    if full:
        large = constant(y) > 1
        safe = L.tensor_where(large, y, 2.0)
        stirling = safe * L.tensor_log(safe) - safe + L.tensor_log(2 * pi * safe) / 2
        loss = loss + L.tensor_where(large, stirling, 0.0)
    return reduced(loss, reduction)


def gaussian_nll(x, y, var, full=False, eps=1e-6, reduction="mean"):
    only(not isinstance(var, float), "one variance for all")
    if var.shape != x.shape and x.shape[:-1] == var.shape:
        var = var.reshape((*var.shape, 1))
    only(constant(var).min(initial=1) > eps, "clamped variances")
    loss = (L.tensor_log(var) + (x - y) ** 2 / var) / 2
    return reduced(loss + log(2 * pi) / 2 if full else loss, reduction)


def triplet(a, p, n, margin=1.0, p_norm=2.0, eps=1e-6, swap=False, reduction="mean", **options):
    plain(options)
    near, far = vector_norm(a - p + eps, p_norm, -1), vector_norm(a - n + eps, p_norm, -1)
    far = L.tensor_minimum(far, vector_norm(p - n + eps, p_norm, -1)) if swap else far
    return reduced(L.relu_tensor(near - far + margin), reduction)
