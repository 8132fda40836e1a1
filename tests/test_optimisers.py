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


# ---------------------------------------------------------------- clipping


def test_clipping_by_the_norm_of_all():
    """Each clipped alone would turn the direction."""
    a, b, c = leaf([0.0]), leaf([0.0, 0.0]), leaf([0.0])
    (a * 2.0 + (b * [3.0, 6.0]).sum()).sum().backward()
    assert clip_gradients([a, b, c], max_norm=10.0) == 7.0 and a.grad.tolist() == [2]
    assert clip_gradients(iter([a, b, c]), np.inf) == 7.0 and a.grad.tolist() == [2]
    assert clip_gradients([a, b, c], max_norm=3.5) == 7.0
    assert a.grad.tolist() == [1] and b.grad.tolist() == [1.5, 3] and c.grad is None


@pytest.mark.parametrize(
    ("dtype", "size"), [(np.float16, 6e4), (np.float32, 1e38), (np.float64, 1e300), (float, 1e-300)]
)
def test_clipping_overflows_nowhere(dtype, size):
    """The square of a large gradient is infinite long before its norm is, and that of a small one 0."""
    w = leaf([0.0, 0.0], dtype)
    w.grad = np.array([size, size], dtype)
    assert clip_gradients([w], size) == pytest.approx(np.sqrt(2) * float(dtype(size)), rel=1e-3)
    assert w.grad.dtype == dtype and w.grad[0] == pytest.approx(size / np.sqrt(2), rel=1e-3)


def test_clipping_nothing():
    w = leaf([1.0])
    assert clip_gradients([w], 1.0) == 0.0
    w.grad = np.zeros(1)
    assert clip_gradients([w], 1.0) == 0.0 and w.grad.tolist() == [0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_norm_that_is_not_finite_changes_nothing(bad):
    """No factor repairs it: NaN or 0 in every gradient, silently."""
    a, b = leaf([1.0]), leaf([1.0, 2.0])
    a.grad, b.grad = np.array([5.0]), np.array([1.0, bad])
    with pytest.raises(FloatingPointError, match=r"^clip_gradients: the gradient of shape \(2,\) \(2 of 2\)"):
        clip_gradients([a, b], 1.0)
    assert a.grad.tolist() == [5] and b.grad[0] == 1


@FLOATS
def test_clipping_equals_torch(dtype):
    torch = torch_or_skip()
    rng = np.random.default_rng(0)
    gradients = [rng.normal(size=shape).astype(dtype) for shape in ((3, 4), (5,), ())]
    ours, theirs = [leaf(np.ones(g.shape), dtype) for g in gradients], []
    for p, g in zip(ours, gradients, strict=True):
        p.grad = g.copy()
        theirs.append(torch.tensor(np.ones(g.shape, dtype), requires_grad=True))
        theirs[-1].grad = torch.tensor(g)
    norm = torch.nn.utils.clip_grad_norm_(theirs, 0.5)
    assert clip_gradients(ours, 0.5) == pytest.approx(float(norm), rel=1e-6)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=3e-6)  # PyTorch adds 1e-6 to the norm


# ---------------------------------------------------------------- schedules


def rates(schedule, n):
    found = []
    for _ in range(n):
        schedule.step()
        found.append(schedule.optimiser.learning_rate)
    return found


def test_schedules_equal_torch():
    torch = torch_or_skip()
    for ours, theirs in [
        (lambda o: StepSchedule(o, 3, 0.5), lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5)),
        (lambda o: CosineSchedule(o, 20, 0.01), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20, 0.01)),
    ]:
        other = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.4)
        schedule, expected = theirs(other), []
        for _ in range(20):
            other.step()
            schedule.step()
            expected.append(other.param_groups[0]["lr"])
        np.testing.assert_allclose(rates(ours(SGD([leaf(1.0)], 0.4)), 20), expected, rtol=1e-12, atol=1e-15)


def test_cosine_schedule_ends_and_stays():
    """Past its end the cosine would rise again."""
    found = rates(CosineSchedule(SGD([leaf(1.0)], 1.0), steps=10, final=0.2), 15)
    assert found[4] == pytest.approx(0.6) and found[9:] == pytest.approx([0.2] * 6)
    assert all(a >= b for a, b in zip(found, found[1:], strict=False))


@pytest.mark.parametrize(
    "make", [lambda o: StepSchedule(o, 3, 0.5), lambda o: CosineSchedule(o, 9)], ids=["step", "cosine"]
)
def test_schedules_go_on(make, tmp_path):
    one = make(SGD([leaf(1.0)], 0.8))
    expected = rates(one, 8)[4:]
    two = make(SGD([leaf(1.0)], 0.8))
    rates(two, 4)
    np.savez(tmp_path / "schedule.npz", **two.state_dict())
    three = make(SGD([leaf(1.0)], 123.0))
    with np.load(tmp_path / "schedule.npz") as file:
        three.load_state_dict(file)
    assert three.optimiser.learning_rate == two.optimiser.learning_rate
    assert rates(three, 4) == expected
    with pytest.raises(TypeError, match="np.load"):
        three.load_state_dict("schedule.npz")


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
