"""PyTorch's own samples for its operators (OpInfo), computed by minigrad and compared with PyTorch.

For every operator with an adapter, and each of its samples in float64 and float32: value, shape and dtype; the gradient
by backward() and by grad(create_graph=True), with one another and with PyTorch's; and the second derivative along random
directions.  Where minigrad has `compile`, value and gradient of the compiled function too.

The environment of the benchmarks has PyTorch:

    .venv-bench/bin/python -m pytest tests/test_torch_operator_samples.py -s
"""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import operator_adapters_nn  # noqa: F401  (it adds its part of the table)
import operator_adapters_shapes  # noqa: F401  (the same)
import pytest
from operator_adapters import ADAPTERS, Skip
from oracles import torch_or_skip

import minigrad as mg
from minigrad import Tensor

torch = torch_or_skip("PyTorch's operator samples were not tried", "expecttest")

MOST = 80  # samples of an operator and dtype: some have hundreds, which differ in options alone
POSITIVE = {"weight", "pos_weight"}
TOLERANCE = {"float64": 1e-9, "float32": 2e-4}

# Operators without an adapter, by the beginning of their names, and why.
WITHOUT = {
    "minigrad has no complex numbers": "complex view_as_complex polar fft. stft cdouble cfloat chalf angle",
    "matrix decompositions and inverses": "cholesky linalg. lu qr svd pca_ ormqr triangular_solve pinverse logdet "
    "matrix_exp geqrf cov corrcoef norm.nuc inverse",
    "special functions": "special. digamma polygamma lgamma mvlgamma erf i0 sinc xlog1py igamma acos asin atan "
    "logcumsumexp logaddexp2",
    "order statistics and sorting": "median nanmedian mode quantile nanquantile kthvalue topk sort msort cummax cummin",
    "random numbers": "normal bernoulli svd_lowrank nn.functional.rrelu nn.functional.alpha_dropout "
    "nn.functional.feature_alpha_dropout nn.functional.fractional_max_pool native_dropout",
    "sparse, masked and segmented layouts": "to_sparse sparse masked. _segment_reduce masked_scatter",
    "assignment into a tensor": "index_ scatter put as_strided diagonal_scatter select_scatter slice_scatter fill zero_ "
    "_unsafe_masked_index renorm block_diag diag_embed diagflat",
    "piecewise constant or remainders": "trunc frac fmod remainder div.trunc div.floor __rmod__ nextafter copysign "
    "round.decimals floor_divide nan_to_num frexp",
    "PyTorch's memory, devices and dtypes": "to bfloat16 half",
    "forward or backward halves of an operator that has an adapter": "native_ _native_batch_norm _batch_norm _softmax_backward "
    "max_pool2d_with_indices torch.ops",
    "the same operator in another dtype": "softmax.with_dtype log_softmax.with_dtype nn.functional.softmin.with_dtype",
    "layers that minigrad does not offer": "nn.functional.adaptive nn.functional.avg_pool nn.functional.conv1d "
    "nn.functional.conv3d nn.functional.conv_transpose nn.functional.max_pool1d nn.functional.max_pool3d "
    "nn.functional.max_unpool nn.functional.local_response nn.functional.unfold nn.functional.fold "
    "nn.functional.interpolate nn.functional.upsample _upsample nn.functional.grid_sample grid_sampler "
    "nn.functional.embedding_bag nn.functional.multi_head nn.functional.pad. nn.functional.pdist cdist",
    "losses that minigrad does not offer": "nn.functional.multi nn.functional.ctc nn.functional.cosine_embedding "
    "nn.functional.triplet_margin_with nn.functional.linear_cross_entropy",
    "compositions of operators with an adapter": "acosh asinh atan2 combinations cartesian_prod cross cumprod "
    "cumulative_trapezoid gradient nanmean repeat_interleave float_power",
}


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.testing._internal.common_methods_invocations import op_db

# What adapters do with these, a program of fixed steps cannot; the losses and layers are tested in test_compiler.py.
NOT_STATIC = {
    "nn.functional.binary_cross_entropy_with_logits": "the adapter looks at the labels",
    "nn.functional.gaussian_nll_loss": "the adapter looks at the variances",
    "nn.functional.kl_div": "the adapter looks at the target",
}
OPERATORS = {f"{op.name}.{op.variant_test_name}".rstrip("."): op for op in op_db}

COUNTS: dict[str, Counter] = {"eager": Counter(), "compiled": Counter()}
SKIPPED: Counter = Counter()
RAN: dict[str, set] = {"eager": set(), "compiled": set()}


class Sample:
    """One sample: its arguments for PyTorch and for minigrad, and the leaves that have a gradient in both."""

    def __init__(self, sample, loss: bool) -> None:
        self.leaves, pairs = [], {}

        def convert(x):
            if isinstance(x, torch.Tensor):
                if id(x) not in pairs:
                    # torch.clone keeps strides, and a batch norm writes into its running statistics
                    a = np.array(x.detach().numpy())
                    leaf = x.requires_grad and x.dtype.is_floating_point
                    copy = torch.tensor(a, requires_grad=leaf)
                    pairs[id(x)] = copy, (len(self.leaves) if leaf else None), a
                    if leaf:
                        self.leaves.append((copy, a))
                return pairs[id(x)]
            if isinstance(x, (list, tuple)):
                return type(x)(convert(item) for item in x) if type(x) in (list, tuple) else tuple(map(convert, x))
            return x

        self.arguments = [convert(x) for x in (sample.input, *sample.args)]
        options = dict(sample.kwargs)
        for weight in POSITIVE & options.keys():  # PyTorch's samples weigh losses negatively, which we refuse
            options[weight] = options[weight].detach().abs() if loss else options[weight]
        self.options = {name: convert(x) for name, x in options.items()}

    def fill(self, x, choose):
        if isinstance(x, tuple) and len(x) == 3 and isinstance(x[0], torch.Tensor):
            return choose(*x)
        if isinstance(x, (list, tuple)):
            return type(x)(self.fill(item, choose) for item in x)
        return x

    def call(self, f, choose) -> list:
        """The results of `f` as a list, those that may have a gradient."""
        y = f(
            *(self.fill(x, choose) for x in self.arguments),
            **{k: self.fill(x, choose) for k, x in self.options.items()},
        )
        return list(y) if isinstance(y, (list, tuple)) else [y]

    def torch_results(self, op) -> list:
        results = self.call(op, lambda copy, leaf, a: copy)
        return [y for y in results if y.dtype.is_floating_point]

    def minigrad_results(self, adapter, leaves) -> list:
        return self.call(adapter, lambda copy, leaf, a: a if leaf is None else leaves[leaf])


def reason_without(name: str) -> str | None:
    """Why the table has no adapter for an operator; None if nothing is said."""
    for reason, beginnings in WITHOUT.items():
        if name.startswith(tuple(beginnings.split())):
            return reason
    return None


def test_torch_operators_have_an_adapter_or_a_reason():
    """Of all operators with a derivative in float64, so that a new version of PyTorch adds none unnoticed."""
    names = [name for name, op in OPERATORS.items() if torch.float64 in op.dtypes and op.supports_autograd]
    unexplained = [name for name in names if name not in ADAPTERS and reason_without(name) is None]
    assert not unexplained
    counted = Counter(reason_without(name) for name in names if name not in ADAPTERS)
    print("\nwithout an adapter:", *(f"{n} {reason}" for reason, n in counted.most_common()), sep="\n  ")


def array(x) -> np.ndarray:
    return np.asarray(mg.interop.values(x))


def compare(what: str, got, expected, tolerance: float, exact_dtype: bool = True) -> None:
    """Equal up to `tolerance` of the largest element; NaN and infinities where the other has them."""
    got, expected = array(got), np.asarray(expected)
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, PyTorch's {expected.shape}"
    assert not exact_dtype or got.dtype == expected.dtype, f"{what}: {got.dtype}, PyTorch's {expected.dtype}"
    finite = np.abs(expected[np.isfinite(expected)])
    scale = max(1.0, float(finite.max(initial=0)))
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def weighted(results: list, upstream: list):
    """Σ y ⊙ v over all results that have a graph: one number to differentiate."""
    terms = [mg.tensor_sum(y * v) for y, v in zip(results, upstream, strict=True) if isinstance(y, Tensor)]
    return sum(terms[1:], terms[0]) if terms else None


def gradients(root, leaves: list, create_graph: bool) -> list:
    if root is None or not root.requires_grad:
        return [Tensor(np.zeros(x.shape, x.dtype)) for x in leaves]
    return mg.grad(root, leaves, create_graph=create_graph, retain_graph=True)


def torch_gradients(root, leaves: list, create_graph: bool) -> list:
    if not root.requires_grad:
        return [torch.zeros_like(x) for x in leaves]
    found = torch.autograd.grad(root, leaves, create_graph=create_graph, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True)]


def agree(op, adapter, sample: Sample, mode: str, tolerance: float, count: Counter) -> None:
    """Compare one sample; AssertionError where the two libraries differ, Skip where minigrad has no counterpart."""
    rng = np.random.default_rng(0)
    leaves = [Tensor(a, requires_grad=True) for _, a in sample.leaves]
    ours = sample.minigrad_results(adapter, leaves)  # first: it may skip the sample
    theirs = sample.torch_results(op)
    assert len(ours) == len(theirs), f"{len(ours)} results, PyTorch has {len(theirs)}"
    for y, expected in zip(ours, theirs, strict=True):
        compare("value", y, expected.numpy(force=True), tolerance)
    if not leaves:
        return
    upstream = [rng.normal(size=y.shape).astype(array(y).dtype) for y in ours]
    their_leaves = [x for x, _ in sample.leaves]
    their_root = sum((y * torch.tensor(v)).sum() for y, v in zip(theirs, upstream, strict=True))
    second = op.supports_gradgrad and mode == "eager"
    expected = torch_gradients(their_root, their_leaves, create_graph=second)
    expected_arrays = [g.numpy(force=True) for g in expected]

    if mode == "compiled":
        if op.name in NOT_STATIC:
            raise Skip(NOT_STATIC[op.name])

        def loss(*xs):
            return weighted(sample.minigrad_results(adapter, xs), upstream)

        if loss(*leaves) is None:  # no result has a graph
            return
        _, found = mg.compile(mg.value_and_grad(loss))(*(a for _, a in sample.leaves))
        for g, e in zip([found] if len(leaves) == 1 else found, expected_arrays, strict=True):
            compare("gradient of the compiled function", g, e, tolerance)
        count["first order"] += 1
        return

    root = weighted(ours, upstream)
    with_graph = gradients(root, leaves, create_graph=True)
    if root is not None and root.requires_grad:
        root.backward(retain_graph=True)
    for x, g, e in zip(leaves, with_graph, expected_arrays, strict=True):
        by_backward = np.zeros(x.shape, x.dtype) if x.grad is None else x.grad
        compare("gradient by backward()", by_backward, e, tolerance)
        compare("gradient by grad(create_graph=True)", g, e, tolerance)
        np.testing.assert_allclose(array(g), by_backward, rtol=1e-5, atol=1e-6 * max(1, np.abs(e).max(initial=0)))
    count["first order"] += 1
    if not second:
        return
    directions = [rng.normal(size=x.shape).astype(x.dtype) for x in leaves]
    their_slope = sum((g * torch.tensor(d)).sum() for g, d in zip(expected, directions, strict=True))
    slope = weighted(with_graph, directions)
    pairs = zip(gradients(slope, leaves, False), torch_gradients(their_slope, their_leaves, False), strict=True)
    for g, e in pairs:
        compare("second order", g, e.numpy(force=True), 10 * tolerance)
    count["second order"] += 1


@pytest.mark.parametrize("mode", ["eager", "compiled"])
@pytest.mark.parametrize("name", sorted(ADAPTERS))
@pytest.mark.filterwarnings("ignore")  # PyTorch's
def test_torch_operator(name, mode):
    """Every sample agrees, or is skipped for a reason that is counted."""
    op = OPERATORS.get(name)
    assert op is not None, f"{name} is not in PyTorch's database: is the name right?"
    if mode == "compiled" and not hasattr(mg, "compile"):
        pytest.skip("this version has no minigrad.compile")
    count, reasons, failures = Counter(), Counter(), []
    for dtype in ("float64", "float32"):
        torch.manual_seed(0)
        samples = list(op.sample_inputs("cpu", getattr(torch, dtype), requires_grad=op.supports_autograd))
        order, tried = np.random.default_rng(0).permutation(len(samples)), 0
        for i in order:
            given = samples[i]
            if tried == MOST:
                reasons[f"more than {MOST} samples of an operator and dtype"] += 1
                continue
            try:
                # PyTorch's faster attention has no second derivative
                with np.errstate(all="ignore"), sdpa_kernel(SDPBackend.MATH):
                    agree(op, ADAPTERS[name], Sample(given, "cross_entropy" in name), mode, TOLERANCE[dtype], count)
                count["agreed"] += 1
            except Skip as reason:
                reasons[str(reason)] += 1
                continue
            except Exception as error:  # all samples are tried, and all that differ are shown
                failures.append(f"{dtype} sample {i}, {given.summary()[:300]}: {type(error).__name__}: {error}")
            count["tried"] += 1
            tried += 1
    COUNTS[mode].update(count)
    if mode == "eager":
        SKIPPED.update(reasons)
    assert not failures, f"{len(failures)} of {count['tried']} samples differ:\n" + "\n".join(failures[:4])
    if not count["agreed"]:
        pytest.skip(f"no sample of {name}: {dict(+reasons)}")
    RAN[mode].add(name)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x.exp() * (1 + 1e-6),
        lambda x: x.exp().astype(np.float32),
        lambda x: x.exp().reshape((1, *x.shape)),
        lambda x: x.exp() + 1e-3 * (x - x.detach()),
        lambda x: x.exp() + 1e-3 * (x - x.detach()) ** 2,
    ],
    ids=["value", "dtype", "shape", "first order", "second order"],
)
@pytest.mark.filterwarnings("ignore")  # PyTorch's
def test_torch_operator_that_is_wrong_is_found(wrong):
    """The comparison itself: a small mistake in the value or in one of the derivatives fails."""
    op = OPERATORS["exp"]
    (given, *_) = op.sample_inputs("cpu", torch.float64, requires_grad=True)
    agree(op, ADAPTERS["exp"], Sample(given, loss=False), "eager", TOLERANCE["float64"], Counter())
    with pytest.raises(AssertionError):
        agree(op, wrong, Sample(given, loss=False), "eager", TOLERANCE["float64"], Counter())


@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_torch_operators_are_many(mode, request):
    """The test above cannot become empty unnoticed; run with -s this prints what was tried and what was skipped."""
    selected = {item.name for item in request.session.items}
    if mode == "compiled" and not hasattr(mg, "compile"):
        pytest.skip("this version has no minigrad.compile")
    if not all(f"test_torch_operator[{name}-{mode}]" in selected for name in ADAPTERS):
        pytest.skip("only some operators were selected")
    count = COUNTS[mode]
    print(f"\n{mode}: {len(RAN[mode])} operators; {count['agreed']} samples of {count['tried']} agree", end="; ")
    print(f"first order {count['first order']}, second order {count['second order']}")
    print("skipped:", *(f"{n} for {reason}" for reason, n in SKIPPED.most_common() if n), sep="\n  ")
    assert count["agreed"] == count["tried"]
    assert len(RAN[mode]) >= LEAST_OPERATORS
    assert count["agreed"] >= LEAST_SAMPLES


LEAST_OPERATORS, LEAST_SAMPLES = 230, 4100
