"""The state of layers: names that cannot be mistaken, sharing that costs nothing, copies, and files of every wrong kind."""

import copy
import pickle
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.layers import BaseLayer, BatchNorm, Dense, Dropout, ReLU, Sequential, SkipConnection


def parameter(value=1.0):
    return Tensor(value, requires_grad=True)


def holding(**attributes):
    layer = BaseLayer()
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


# ---------------------------------------------------------------- names


def dotted_attribute():
    layer = holding(inner=Dense(1, 1))
    setattr(layer, "inner.weight", parameter())
    return layer


SAME_NAMES = {
    "an attribute with a dot": dotted_attribute,
    "a key with a dot": lambda: holding(heads={"a": {"b": parameter()}, "a.b": parameter()}),
    "1 and '1'": lambda: holding(heads={1: parameter(), "1": parameter()}),
    "1 and 1.5 in a dict in a dict": lambda: holding(heads={1: {5: parameter()}, 1.5: parameter()}),
    "a key like an index": lambda: holding(**{"layers": [parameter()], "layers.0": parameter()}),
    "a sequence": lambda: holding(**{"net": Sequential(Dense(1, 1)), "net.layers.0.bias": parameter()}),
    "a buffer": lambda: holding(**{"norm": BatchNorm(1), "norm.running_mean": parameter()}),
}


@pytest.mark.parametrize("make", SAME_NAMES.values(), ids=SAME_NAMES)
def test_two_parameters_never_share_a_name(make):
    """One of them would be saved under the other's name, and lost when the state is loaded."""
    layer = make()
    with pytest.raises(ValueError, match=r"^state: two parameters are both called .* Rename one"):
        layer.state_dict()
    with pytest.raises(ValueError, match="^state: two parameters"):
        layer.load_state_dict({})
    assert len(layer.parameters()) >= 2  # which needs no names


def test_dots_alone_do_no_harm(tmp_path):
    """A name that is odd but unique is saved and loaded like any other."""
    layer = holding(heads={"a.b": parameter(), "a": [parameter(2.0)], 1: parameter(3.0), "2": parameter(4.0)})
    np.savez(tmp_path / "odd.npz", **layer.state_dict())
    for p in layer.parameters():
        p.data += 10
    layer.load_state_dict(np.load(tmp_path / "odd.npz"))
    assert [p.item() for p in layer.parameters()] == [1, 2, 3, 4]


# ---------------------------------------------------------------- sharing, cycles and depth


def test_a_diamond_of_shared_layers_is_walked_once():
    """Every level holds the one below twice: 2**60 paths lead to the same two parameters."""
    layer = Dense(1, 1)
    for _ in range(60):
        layer = holding(left=layer, right=layer, both=[layer, {"again": layer}])
    assert len(layer.parameters()) == len(list(layer.named_parameters())) == len(layer.state_dict()) == 2
    layer.eval()
    layer.zero_grad()
    layer.load_state_dict(layer.state_dict())
    assert len(repr(layer).splitlines()) < 300 and "shared, shown above" in repr(layer)


def test_work_is_linear_in_the_number_of_layers(monkeypatch):
    """Counted, not timed: each of n layers that share one is opened once."""
    opened = []
    items = mg.layers.base._items
    monkeypatch.setattr(mg.layers.base, "_items", lambda prefix, x: opened.append(x) or items(prefix, x))
    shared = Dense(1, 1)
    model = holding(layers=[SkipConnection(shared) for _ in range(100)])
    model.parameters()
    assert len(opened) == 1 + 1 + 100 + 1  # the model, its list, the connections, the shared layer


def test_depth_and_cycles():
    """A stack of 1,200 layers, one inside the other, and containers that contain themselves."""
    layer = Dense(1, 1)
    for _ in range(1200):
        layer = SkipConnection(layer)
    assert len(layer.parameters()) == 2 and layer.eval().layer.layer.training is False
    ring = [parameter()]
    ring.append(ring)
    table = {"p": parameter(), "ring": ring}
    table["itself"] = table
    layer = holding(ring=ring, table=table)
    layer.layer = layer
    assert [name for name, _ in layer.named_parameters()] == ["ring.0", "table.p"]
    assert list(layer.children()) == [("layer", layer)] and repr(layer).count("BaseLayer") == 2


def test_layers_with_a_repr_of_their_own():
    """They are asked for it, once, also where they use the inherited one."""

    class Loud(Dense):
        def __repr__(self):
            return super().__repr__() + "!"

    assert repr(Sequential(Loud(1, 1))).splitlines()[1] == "  0: Dense(1, 1)  # 2 parameters!".replace("Dense", "Loud")


# ---------------------------------------------------------------- copies


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_copies_keep_what_is_shared(copied):
    """A layer that is shared inside is shared inside the copy, which trains alone."""
    dense = Dense(2, 2, rng=0)
    model = Sequential(dense, ReLU(), dense, Dropout(0.5, rng=1), BatchNorm(2))
    twin = copied(model)
    assert twin[0] is twin[2] and twin[0] is not dense and len(twin.parameters()) == 4
    x = np.random.default_rng(0).normal(size=(5, 2))
    first, second = model(x), twin(x)
    np.testing.assert_array_equal(first.data, second.data)  # the generators are copied, too
    before = model.state_dict()
    second.sum().backward()
    twin.sgd_step(0.1)
    assert all(p.grad is None for p in model.parameters()) and all(p.grad is not None for p in twin.parameters())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert np.any(twin[0].weight.data != dense.weight.data)


def test_a_shallow_copy_shares_its_parameters():
    """As everywhere in Python."""
    dense = Dense(2, 2)
    assert copy.copy(dense).weight is dense.weight


def test_buffers_are_saved_in_copies():
    """Running statistics are not parameters, and a model without them is useless at inference."""
    model = Sequential(Dense(2, 3, rng=0), BatchNorm(3))
    model(np.random.default_rng(0).normal(size=(9, 2)))
    state = model.state_dict()
    assert list(state)[-2:] == ["layers.1.running_mean", "layers.1.running_var"] and len(model.parameters()) == 4
    other = Sequential(Dense(2, 3, rng=1), BatchNorm(3))
    other.load_state_dict(state)
    x = np.ones((1, 2))
    np.testing.assert_array_equal(model.eval()(x).data, other.eval()(x).data)
    state["layers.1.running_mean"] += 1
    assert np.all(other[1].running_mean != state["layers.1.running_mean"])
    with pytest.raises(ValueError, match=r"layers.1.running_mean has shape \(3,\)"):
        other.load_state_dict(state | {"layers.1.running_mean": np.ones(4)})


# ---------------------------------------------------------------- what is given to load_state_dict


@pytest.fixture
def dense():
    return Dense(1, 2, rng=0)


GOOD = {"weight": np.ones((2, 1)), "bias": np.ones(2)}
WRONG = {
    "path": ("model.npz", TypeError, r"^load_state_dict: got the path 'model.npz'.*np.load\(path\)"),
    "Path": (Path("model.npz"), TypeError, r"the path .*model.npz.*np.load\(path\)"),
    "bytes": (b"model.npz", TypeError, r"np.load\(path\)"),
    "array": (np.ones((2, 3)), TypeError, r"one array of shape \(2, 3\).*np.savez"),
    "pickled dict": (np.array(GOOD, object), TypeError, r"one array of shape \(\) and dtype object.*np.savez"),
    "layer": (Dense(1, 2), TypeError, r"Dense.*Give its state_dict\(\)"),
    "nothing": (None, TypeError, r"got NoneType.*np.load"),
    "list": ([1, 2], TypeError, r"got list"),
    "unnamed": ({"arr_0": np.ones(1), "arr_1": np.ones(1)}, KeyError, r"without names.*np.savez\(path, \*\*"),
    "partly unnamed": (GOOD | {"arr_0": np.ones(1)}, KeyError, r"unknown \['arr_0'\].*without names"),
    "empty": ({}, KeyError, r"missing \['weight', 'bias'\]"),
    "numbers as keys": ({0: np.ones(1)} | GOOD, KeyError, r"unknown \[0\]"),
    "many names": ({str(i): 1 for i in range(50)} | GOOD, KeyError, "and 42 more"),
    "objects": (GOOD | {"bias": np.array([1, None])}, ValueError, "^load_state_dict: 'bias' holds object"),
    "text": (
        GOOD | {"bias": np.array(["a", "b"])},
        ValueError,
        "^load_state_dict: 'bias' holds <U1; a state holds real numbers",
    ),
    "complex": (GOOD | {"bias": np.array([1j, 2j])}, ValueError, "^load_state_dict: 'bias' holds complex128"),
    "dates": (GOOD | {"bias": np.zeros(2, "M8[s]")}, ValueError, "^load_state_dict: 'bias' holds datetime64"),
    "ragged": (GOOD | {"bias": [[1], [1, 2]]}, ValueError, "^load_state_dict: 'bias' cannot be read as an array"),
    "shape": (GOOD | {"bias": np.ones((2, 1))}, ValueError, r"bias has shape \(2,\); the state holds \(2, 1\)"),
}


@pytest.mark.parametrize(("state", "error", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_state_is_named_and_changes_nothing(dense, state, error, message):
    before = dense.state_dict()
    with pytest.raises(error, match=message):
        dense.load_state_dict(state)
    assert all(np.array_equal(value, before[name]) for name, value in dense.state_dict().items())


def test_of_many_names_eight_are_shown(dense):
    """A message of a thousand names hides what is wrong."""
    with pytest.raises(KeyError, match=r"missing \[\], unknown \['0', '1', '2', '3', '4', '5', '6', '7'\]\. Build it"):
        dense.load_state_dict(GOOD | {str(i): 1 for i in range(8)})
    with pytest.raises(KeyError, match=r"unknown \['0', '1', '2', '3', '4', '5', '6', '7'\] and 1 more\. Build it"):
        dense.load_state_dict(GOOD | {str(i): 1 for i in range(9)})
    with pytest.raises(KeyError, match=r"missing \['bias'\], unknown \[\]\. Build it"):
        dense.load_state_dict({"weight": 1})


def test_files_that_are_not_what_they_seem(dense, tmp_path):
    """Closed, damaged inside, of another program, or with pickled objects."""
    path = tmp_path / "model.npz"
    np.savez(path, **GOOD)
    with np.load(path) as file:
        pass
    with pytest.raises(ValueError, match="the file was closed"):
        dense.load_state_dict(file)

    data = bytearray(path.read_bytes())
    at = data.index(np.ones(2).tobytes(), data.index(b"bias.npy"))
    data[at] ^= 1
    path.write_bytes(data)
    with np.load(path) as file, pytest.raises(ValueError, match="'bias' cannot be read as an array: BadZipFile"):
        dense.load_state_dict(file)

    np.savez(path, **GOOD | {"bias": np.array([1, None])})
    with np.load(path) as file, pytest.raises(ValueError, match="'bias' cannot be read as an array.*allow_pickle"):
        dense.load_state_dict(file)

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weight", b"text")
        archive.writestr("bias", b"text")
    with np.load(path) as file, pytest.raises(ValueError, match="'weight' holds"):
        dense.load_state_dict(file)
    with open(path, "rb") as file, pytest.raises(TypeError, match=r"got an open file.*np.load\(file\)"):
        dense.load_state_dict(file)


def test_states_of_tensors_lists_and_other_dtypes_are_loaded(dense):
    """What can be meant in one way only is not refused."""
    dense.load_state_dict({"bias": [True, False], "weight": Tensor(np.array([[1], [2]], np.int8), requires_grad=True)})
    assert dense.bias.data.tolist() == [1, 0] and dense.weight.data.tolist() == [[1], [2]]
    assert dense.weight.dtype == np.float64 and dense.weight.requires_grad


# ---------------------------------------------------------------- freezing


@pytest.mark.skipif(Tensor.requires_grad.fset is None, reason="requires_grad cannot be set")
def test_frozen_parameters_stay_parameters():
    """A frozen layer that lost its weights from the saved state."""
    model = Sequential(Dense(2, 2, rng=0), Dense(2, 1, rng=1))
    names = list(model.state_dict())
    for p in model[0].parameters():
        p.requires_grad = False
    assert list(model.state_dict()) == names and len(model.parameters()) == 4
    before = model.state_dict()
    model(np.ones((3, 2))).sum().backward()
    model.sgd_step(0.1)
    model.zero_grad()
    after = model.state_dict()
    assert [np.array_equal(before[name], after[name]) for name in names] == [True, True, False, False]
    model.load_state_dict({name: value + 1 for name, value in before.items()})
    np.testing.assert_array_equal(model[0].weight.data, before["layers.0.weight"] + 1)
    assert not model[0].weight.requires_grad


def test_layers_in_two_threads():
    """Two models that share nothing may be used at once."""
    sums = []

    def train(seed):
        model = Sequential(Dense(4, 4, rng=seed), BatchNorm(4), Dense(4, 1, rng=seed))
        x = np.random.default_rng(seed).normal(size=(8, 4))
        for _ in range(20):
            model.zero_grad()
            (model(x) ** 2).mean().backward()
            model.sgd_step(0.1)
        sums.append((seed, float(sum(np.sum(value) for value in model.state_dict().values()))))

    threads = [threading.Thread(target=train, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = dict(sums)
    for seed in (0, 1):
        train(seed)
        assert dict(sums)[seed] == together[seed]
