"""Optimisers: against their formulas by hand and beside PyTorch, what they leave alone, their states, and what they refuse."""

import copy
import pickle

import numpy as np
import pytest
from beside_torch import torch_or_skip

import minigrad as mg
from minigrad import Tensor, optimisers
from minigrad.layers import Dense, Sequential, Tanh
from minigrad.optimisers import SGD, Adam, AdamW, CosineSchedule, Optimiser, StepSchedule, clip_gradients

OPTIMISERS = {
    "plain": (SGD, {}),
    "decay": (SGD, {"weight_decay": 0.1}),
    "momentum": (SGD, {"momentum": 0.9}),
    "momentum, decay": (SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    "nesterov": (SGD, {"momentum": 0.8, "nesterov": True}),
    "nesterov, decay": (SGD, {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    "adam": (Adam, {}),
    "adam, decay": (Adam, {"weight_decay": 0.1}),
    "adam, betas": (Adam, {"betas": (0.5, 0.8), "eps": 1e-3}),
    "adamw": (AdamW, {}),
    "adamw, decay": (AdamW, {"weight_decay": 0.2, "betas": (0.8, 0.99)}),
    "adamw, none": (AdamW, {"weight_decay": 0.0}),
}
for_each = pytest.mark.parametrize(("kind", "options"), OPTIMISERS.values(), ids=OPTIMISERS)
FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def leaf(value, dtype=np.float64):
    return Tensor(np.array(value, dtype), requires_grad=True)


def model(seed=0, dtype=np.float64):
    return Sequential(Dense(3, 4, rng=seed, dtype=dtype), Tanh(), Dense(4, 1, rng=seed + 1, dtype=dtype))


def batches(n, dtype=np.float64):
    rng = np.random.default_rng(7)
    return [(rng.normal(size=(6, 3)).astype(dtype), rng.normal(size=(6, 1)).astype(dtype)) for _ in range(n)]


def train(net, optimiser, data):
    for x, y in data:
        optimiser.zero_grad()
        mg.losses.mean_squared_error(y, net(x)).backward()
        optimiser.step()


# ---------------------------------------------------------------- the rules


def quadratic(kind, steps, **options):
    """Steps on L = w² from w = 1, whose gradient is 2w."""
    w = leaf(1.0)
    optimiser, seen = kind([w], learning_rate=0.1, **options), []
    for _ in range(steps):
        optimiser.zero_grad()
        (w * w).backward()
        optimiser.step()
        seen.append(w.item())
    return seen


def test_momentum_by_hand():
    """v ← μ v + g, w ← w − η v; the step of Nesterov is η (g + μ v)."""
    assert quadratic(SGD, 3) == pytest.approx([0.8, 0.64, 0.512])
    assert quadratic(SGD, 2, momentum=0.5) == pytest.approx([0.8, 0.8 - 0.1 * (0.5 * 2 + 1.6)])
    assert quadratic(SGD, 2, momentum=0.5, nesterov=True) == pytest.approx([0.7, 0.7 - 0.1 * (1.4 + 0.5 * (1 + 1.4))])
    assert quadratic(SGD, 1, weight_decay=0.5) == pytest.approx([1 - 0.1 * (2 + 0.5)])


def test_adam_by_hand():
    """The first step is η whatever the gradient; averages that start from 0 are made up for."""
    m, v, w = 0.0, 0.0, 1.0
    for t, ours in enumerate(quadratic(Adam, 5), 1):
        m, v = 0.9 * m + 0.1 * 2 * w, 0.999 * v + 0.001 * (2 * w) ** 2
        w -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        assert ours == pytest.approx(w, rel=1e-12)
    assert quadratic(Adam, 1) == pytest.approx([0.9])
    assert quadratic(AdamW, 1, weight_decay=0.5) == pytest.approx([0.95 - 0.1])


def by_the_paper(
    kind, p, gradients, rate, momentum=0.0, nesterov=False, weight_decay=0.0, betas=(0.9, 0.999), eps=1e-8
):
    """The same numbers from sums over all earlier gradients: no running average is kept."""
    seen = []
    for t, g in enumerate(gradients, 1):
        seen.append(g if kind is AdamW else g + weight_decay * p)
        if kind is SGD:
            velocity = sum(momentum ** (t - 1 - i) * past for i, past in enumerate(seen))
            p = p - rate * (seen[-1] + momentum * velocity if nesterov else velocity)
            continue
        share = [[(1 - beta) * beta ** (t - 1 - i) / (1 - beta**t) for i in range(t)] for beta in betas]
        mean = sum(s * past for s, past in zip(share[0], seen, strict=True))
        square = sum(s * past**2 for s, past in zip(share[1], seen, strict=True))
        decay = rate * weight_decay * p if kind is AdamW else 0
        p = p - rate * mean / (square**0.5 + eps) - decay
    return p


@for_each
def test_equals_the_sums_of_the_paper(kind, options):
    """Six steps with given gradients, each rule against a formula that keeps no state."""
    rng = np.random.default_rng(3)
    start, gradients = rng.normal(size=4), rng.normal(size=(6, 4))
    w = leaf(start)
    optimiser = kind([w], learning_rate=0.1, **options)
    for g in gradients:
        w.grad = g
        optimiser.step()
    expected = by_the_paper(kind, start, gradients, 0.1, **({"weight_decay": 0.01} if kind is AdamW else {}) | options)
    np.testing.assert_allclose(w.data, expected, rtol=1e-12)


def test_defaults_are_those_of_the_papers():
    """Of the rules as functions, and of the optimisers."""
    p, g, state = np.array([1.0, -2.0]), np.array([0.5, 1e-8]), (np.array([0.1, 0.2]), np.array([0.3, 0.4]))
    for rule, explicit in [
        (lambda *a: optimisers.sgd_update(p, g, state[:1], *a), (0.1, 0.0, False, 0.0)),
        (lambda *a: optimisers.adam_update(p, g, state, 3, *a), (0.1, 0.9, 0.999, 1e-8, 0.0)),
        (lambda *a: optimisers.adamw_update(p, g, state, 3, *a), (0.1, 0.9, 0.999, 1e-8, 0.01)),
    ]:
        np.testing.assert_array_equal(rule(0.1)[0], rule(*explicit)[0])
    momentum = optimisers.sgd_update(p, g, state[:1], 0.1, momentum=0.5)
    np.testing.assert_array_equal(momentum[0], p - 0.1 * (0.5 * state[0] + g))
    for kind, decay in ((Adam, 0.0), (AdamW, 0.01)):
        o = kind([leaf(1.0)])
        found = (o.learning_rate, o.beta1, o.beta2, o.eps, o.weight_decay)
        assert found == (0.001, 0.9, 0.999, 1e-8, decay)
    o = SGD([leaf(1.0)], 0.1)
    assert (o.momentum, o.nesterov, o.weight_decay) == (0, False, 0)
    assert StepSchedule(o, 3).factor == 0.1 and CosineSchedule(o, 3).final == 0


@FLOATS
@for_each
def test_equals_torch(kind, options, dtype):
    """PyTorch's optimiser, 50 steps of a network: every parameter, at the end and on the way."""
    torch = torch_or_skip()
    net, data = model(dtype=dtype), batches(50, dtype)
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in net.parameters()]
    other = getattr(torch.optim, kind.__name__)(theirs, lr=0.05, **options)
    optimiser = kind(net.parameters(), learning_rate=0.05, **options)
    tolerance = 2e-4 if dtype is np.float32 else 1e-12
    for x, y in data:
        train(net, optimiser, [(x, y)])
        other.zero_grad()
        w, b, w2, b2 = theirs
        hidden = torch.tanh(torch.tensor(x) @ w.T + b)
        torch.nn.functional.mse_loss(hidden @ w2.T + b2, torch.tensor(y)).backward()
        other.step()
        for p, q in zip(net.parameters(), theirs, strict=True):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=tolerance, atol=tolerance)


@for_each
def test_rules_change_nothing_but_what_they_return(kind, options):
    """An update that wrote into its arguments would change gradients and states that others hold."""
    optimiser = kind([leaf([1.0])], learning_rate=0.1, **options)
    p, g, *state = (np.full(3, value) for value in (1.0, 2.0, 3.0, 4.0))
    state = tuple(state[: len(optimiser.arrays)])
    for array in (p, g, *state):
        array.flags.writeable = False
    new, states = optimiser.update(p, g, state, 1)
    assert new.shape == p.shape and len(states) == len(state)
    assert not any(np.shares_memory(x, y) for x in (new, *states) for y in (p, g, *state))


@FLOATS
@for_each
def test_a_step_is_in_place_and_in_the_dtype(kind, options, dtype):
    """float32 that turns into float64, or an array that others hold and that no longer is the parameter."""
    net = model(dtype=dtype)
    memory = [p.data for p in net.parameters()]
    optimiser = kind(net.parameters(), learning_rate=np.float64(0.05), **options)
    train(net, optimiser, batches(3, dtype))
    assert all(p.data is array and array.dtype == dtype for p, array in zip(net.parameters(), memory, strict=True))
    assert all(array.dtype == dtype for state in optimiser.states for array in state)


def test_half_precision_is_computed_in_single():
    """ε = 1e-8 is 0 in float16, and 0 / 0 would be NaN."""
    w = leaf([1.0, 2.0], np.float16)
    optimiser = Adam([w], learning_rate=0.1)
    (w * np.array([0.0, 1.0], np.float16)).sum().backward()
    optimiser.step()
    assert w.dtype == np.float16 and w.data.tolist() == pytest.approx([1, 1.9], rel=1e-3)


@for_each
def test_training_lowers_the_loss(kind, options):
    net, (x, y) = model(), batches(1)[0]
    first = mg.losses.mean_squared_error(y, net(x)).item()
    train(net, kind(net.parameters(), learning_rate=0.02, **options), [(x, y)] * 100)
    assert mg.losses.mean_squared_error(y, net(x)).item() < 0.6 * first


# ---------------------------------------------------------------- what is left alone


def test_parameters_without_gradient_stay():
    """Momentum or decay of a parameter that the loss does not depend on."""
    used, unused = leaf([1.0]), leaf([1.0])
    optimiser = AdamW([used, unused], learning_rate=0.1)
    (used * 2).sum().backward()
    optimiser.step()
    assert unused.data.tolist() == [1] and used.data[0] < 1 and optimiser.steps == [1, 0]


def test_a_step_before_backward_says_so():
    optimiser = SGD([leaf([1.0])], learning_rate=0.1)
    with pytest.raises(RuntimeError, match=r"^SGD.step: no parameter has a gradient. Call backward"):
        optimiser.step()


@pytest.mark.skipif(Tensor.requires_grad.fset is None, reason="requires_grad cannot be set")
def test_frozen_parameters_stay():
    """Freezing after the optimiser was made, and thawing: the state waits."""
    a, b = leaf([1.0]), leaf([1.0])
    optimiser = SGD([a, b], learning_rate=0.1, momentum=0.9)

    def step():
        optimiser.zero_grad()
        (a * b).sum().backward()
        optimiser.step()

    step()
    a.requires_grad = False
    kept, v = a.item(), optimiser.states[0][0].copy()
    step()
    assert a.item() == kept and b.item() != kept and optimiser.states[0][0] == v
    a.requires_grad = True
    step()
    assert a.item() != kept
    a.requires_grad = b.requires_grad = False
    optimiser.step()
    clip_gradients([a, b], 1.0)
    assert SGD([a], learning_rate=0.1).parameters == [a]


def test_gradients_that_are_tensors():
    """After backward(create_graph=True)."""
    w = leaf([1.0, 2.0])
    (w * w).sum().backward(create_graph=True)
    SGD([w], learning_rate=0.5).step()
    assert w.data.tolist() == [0, 0] and type(w.data) is np.ndarray
    w.zero_grad()


# ---------------------------------------------------------------- states


@FLOATS
@for_each
def test_training_goes_on_from_a_file_as_if_never_stopped(kind, options, dtype, tmp_path):
    """Momentum, averages, step numbers and the learning rate: to the last bit, and in the dtype."""
    data = batches(10, dtype)
    whole = model(dtype=dtype)
    optimiser = kind(whole.parameters(), learning_rate=0.05, **options)
    train(whole, optimiser, data[:5])
    optimiser.learning_rate = 0.01
    np.savez(tmp_path / "model.npz", **whole.state_dict())
    np.savez(tmp_path / "optimiser.npz", **optimiser.state_dict())
    train(whole, optimiser, data[5:])

    resumed = model(9, dtype)
    again = kind(resumed.parameters(), learning_rate=1.0, **options)
    with np.load(tmp_path / "model.npz") as file:
        resumed.load_state_dict(file)
    with np.load(tmp_path / "optimiser.npz") as file:
        again.load_state_dict(file)
    train(resumed, again, data[5:])
    for p, q in zip(whole.parameters(), resumed.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    assert all(array.dtype == dtype for state in again.states for array in state)


def test_a_state_before_the_first_step_and_after_a_frozen_one():
    a, b = leaf([1.0]), leaf([1.0])
    fresh = Adam([a, b], learning_rate=0.5)
    other = Adam([a, b])
    other.load_state_dict(fresh.state_dict())
    assert other.learning_rate == 0.5 and other.states == [(), ()] and other.steps == [0, 0]
    (a * 2).sum().backward()
    fresh.step()
    other.load_state_dict(fresh.state_dict())
    assert other.steps == [1, 0] and other.states[1] == ()


def test_states_are_copies():
    w = leaf([1.0])
    optimiser = SGD([w], learning_rate=0.1, momentum=0.9)
    (w * 2).sum().backward()
    optimiser.step()
    state = optimiser.state_dict()
    optimiser.load_state_dict(state)
    state["0.velocity"] += 100
    assert optimiser.states[0][0].tolist() == [2]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
@for_each
def test_copies_go_on_together(kind, options, copied):
    """A model and its optimiser copied as a pair: the copy trains its own model, in the same way."""
    net = model()
    optimiser = kind(net.parameters(), learning_rate=0.05, **options)
    train(net, optimiser, batches(3))
    twin, its = copied((net, optimiser))
    assert all(p is q for p, q in zip(its.parameters, twin.parameters(), strict=True))
    before = net.state_dict()
    train(twin, its, batches(3))
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    train(net, optimiser, batches(3))
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def stepped(kind=Adam):
    w = leaf([1.0, 2.0])
    optimiser = kind([w], learning_rate=0.1)
    (w * 2).sum().backward()
    optimiser.step()
    return optimiser


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: "optimiser.npz", TypeError, r"the path 'optimiser.npz'.*np.load\(path\)"),
        (lambda s: {"learning_rate": 0.1}, KeyError, "missing .*0.steps"),
        (lambda s: s | {"0.velocity": np.ones(2)}, KeyError, "unknown .*0.velocity"),
        (lambda s: s | {"1.steps": 3}, KeyError, "unknown .*1.steps"),
        (lambda s: s | {"0.mean": np.ones(3)}, ValueError, r"0.mean has shape \(3,\), parameter 0 \(2,\)"),
        (lambda s: s | {"0.mean": ["a", "b"]}, ValueError, "'0.mean' holds <U1"),
        (lambda s: s | {"0.steps": 1.5}, ValueError, "0.steps is"),
        (lambda s: s | {"0.steps": -1}, ValueError, "0.steps is"),
        (lambda s: s | {"learning_rate": np.nan}, ValueError, "learning_rate = "),
        (lambda s: {k: v for k, v in s.items() if "mean" not in k}, KeyError, "missing"),
    ],
    ids=["path", "missing", "of SGD", "another", "shape", "text", "half a step", "negative", "nan", "no arrays"],
)
def test_a_state_that_does_not_fit_changes_nothing(change, error, message):
    optimiser = stepped()
    before = optimiser.state_dict()
    with pytest.raises(error, match=message):
        optimiser.load_state_dict(change(optimiser.state_dict()))
    assert all(np.array_equal(value, before[name]) for name, value in optimiser.state_dict().items())


# ---------------------------------------------------------------- what is refused


used_up = (p for p in [leaf(1.0)])
SGD(used_up, learning_rate=0.1)
TWICE = leaf(1.0)
PARAMETERS = {
    "nothing": ([], ValueError, "no parameters"),
    "a generator used twice": (used_up, ValueError, "a generator can be read only once"),
    "one twice": ([TWICE, leaf(2.0), TWICE], ValueError, "number 2, of shape .* is given twice"),
    "a result": ([leaf(1.0) * 2], ValueError, "number 0, .* was computed by tensor_mul"),
    "a constant": ([Tensor(1.0)], ValueError, "number 0, .* is a constant.*requires_grad=True"),
    "an array": (np.ones(3), TypeError, r"got ndarray.*model.parameters\(\)"),
    "arrays": ([np.ones(3)], TypeError, "number 0 is ndarray, not a tensor"),
    "a tensor": (leaf([1.0]), TypeError, "got Tensor"),
    "a layer": (Dense(1, 1), TypeError, r"the layer Dense itself. Give layer.parameters\(\)"),
    "names": (list(Dense(1, 1).named_parameters()), TypeError, r"number 0 is tuple.*parameters\(\)"),
    "none": (None, TypeError, "got NoneType"),
}


@pytest.mark.parametrize(("parameters", "error", "message"), PARAMETERS.values(), ids=PARAMETERS)
def test_parameters_are_leaves_each_once(parameters, error, message):
    """A parameter given twice makes two steps, a computed tensor none that anything sees."""
    with pytest.raises(error, match="^Adam: .*" + message):
        Adam(parameters)
    with pytest.raises(error, match="^clip_gradients: "):
        clip_gradients(parameters, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: SGD(p, -0.1), "^SGD: learning_rate = -0.1; give a number at least 0, finite"),
        (lambda p: SGD(p, np.nan), "learning_rate = nan"),
        (lambda p: SGD(p, np.inf), "learning_rate = inf"),
        (lambda p: SGD(p, "0.1"), "learning_rate = '0.1'"),
        (lambda p: SGD(p, None), "learning_rate = None"),
        (lambda p: SGD(p, 0.1, momentum=1.0), "momentum = 1.0; give a number at least 0 and less than 1"),
        (lambda p: SGD(p, 0.1, momentum=-0.1), "momentum = -0.1"),
        (lambda p: SGD(p, 0.1, nesterov=True), "nesterov=True with momentum 0"),
        (lambda p: SGD(p, 0.1, weight_decay=-1), "weight_decay = -1"),
        (lambda p: Adam(p, betas=0.9), "^Adam: betas = 0.9; give two numbers"),
        (lambda p: AdamW(p, betas=(0.9, 1.0)), "^AdamW: betas = 1.0"),
        (lambda p: Adam(p, eps=-1e-8), "eps = "),
        (lambda p: AdamW(p, weight_decay=np.nan), "weight_decay = nan"),
        (lambda p: setattr(SGD(p, 0.1), "learning_rate", -1), "^SGD: learning_rate = -1"),
        (lambda p: clip_gradients(p, 0), "^clip_gradients: max_norm = 0; give a number above 0"),
        (lambda p: clip_gradients(p, -1), "max_norm = -1"),
        (lambda p: clip_gradients(p, np.nan), "max_norm = nan"),
        (lambda p: StepSchedule(SGD(p, 0.1), 0), "^StepSchedule: every = 0; give a whole number"),
        (lambda p: StepSchedule(SGD(p, 0.1), 5, factor=0), "factor = 0"),
        (lambda p: CosineSchedule(SGD(p, 0.1), 2.5), "^CosineSchedule: steps = 2.5"),
        (lambda p: CosineSchedule(SGD(p, 0.1), 5, final=-1), "final = -1"),
    ],
)
def test_hyperparameters(make, message):
    """Momentum 1 is never braked, a learning rate of NaN destroys every weight in one step."""
    with pytest.raises(ValueError, match=message):
        make([leaf([1.0])])
    assert SGD([leaf(1.0)], learning_rate=0).learning_rate == 0


def test_a_schedule_of_something_else():
    with pytest.raises(TypeError, match="^CosineSchedule: got Sequential; give the optimiser"):
        CosineSchedule(model(), 10)


def test_repr():
    """Hyperparameters at a glance."""
    assert repr(SGD([leaf(1.0)], 0.1, 0.9)) == (
        "SGD(1 parameters, learning_rate=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)"
    )


def test_base_classes_say_what_is_missing():
    (w := leaf(1.0)).backward()
    with pytest.raises(NotImplementedError, match="^Optimiser has no update"):
        Optimiser([w], 0.1).step()
    with pytest.raises(NotImplementedError, match="^Schedule has no rate"):
        optimisers.Schedule(SGD([w], 0.1)).step()
