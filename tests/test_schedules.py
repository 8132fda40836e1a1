"""Clipped gradients and schedules of the learning rate: by hand, at their ends, and beside PyTorch."""

import numpy as np
import pytest
from beside_torch import torch_or_skip

from minigrad import Tensor
from minigrad.optimisers import SGD, CosineSchedule, StepSchedule, clip_gradients

FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def leaf(value, dtype=np.float64):
    return Tensor(np.array(value, dtype), requires_grad=True)


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
