"""Gates and layers go to other programs and come from them: the same bits, and the same logits."""

import json

import numpy as np
import pytest
from naive import STEPS
from onnx.reference import ReferenceEvaluator

from nbrnn.config import RunConfig
from nbrnn.exchange.array_files import read
from nbrnn.exchange.export import export, torch_layers
from nbrnn.exchange.importer import model_of
from nbrnn.exchange.onnx_graph import network_graph
from nbrnn.exchange.weights import weights_in
from nbrnn.runs.evaluation import probabilities
from nbrnn.storage.checkpoint import Checkpoint, layout_of

m, K, T, B = 7, 5, 9, 3
ALPHABET = "abcde"
NETWORKS = [("vanilla", 2), ("gru", 1), ("gru", 2), ("lstm", 1), ("lstm", 3)]
SUFFIXES = ("npz", "mat", "safetensors", "onnx")


def made_up_model(cell, layers, dtype="float64"):
    """Return a model with random parameters, biases included, and states to continue from."""
    config = RunConfig(updates=0, cell=cell, layers=layers, hidden=m, dtype=dtype)
    layout, rng = layout_of(config, K), np.random.default_rng(layers)
    theta = {name: rng.normal(size=shape).astype(dtype) for name, shape in layout.shapes.items()}
    states = {name: rng.uniform(-1, 1, m).astype(dtype) for name in layout.state_names}
    return Checkpoint(config, "", ALPHABET, "a", 0, 0, 0, None, theta, "b", states=states)


def logits_of(model, codes, states):
    """Return o_t (T, K) and the last states (rows, L, m), by the naive program in float64.

    states (rows of a state, L, m).
    """
    layout = model.layout
    theta = {name: np.asarray(array, float) for name, array in model.theta.items()}
    states, logits = [tuple(states[:, n].astype(float)) for n in range(layout.layers)], []
    for code in codes:
        below = np.eye(K)[code]
        for n in range(layout.layers):
            W, U, b, d = (theta.get(layout.in_file(name, n)) for name in "WUbd")
            states[n] = STEPS[layout.cell](W, U @ below, b, d, states[n], np)
            below = states[n][0]
        logits.append(theta["V"] @ below + theta["c"])
    return np.array(logits), np.array(states).swapaxes(0, 1)


def read_back(path):
    """Return the model in a file that we have written."""
    (weights,) = weights_in(path, read(path))
    return model_of(weights, ALPHABET, None)


@pytest.fixture
def no_corpus(monkeypatch):
    """Let a model be made without a text."""
    monkeypatch.setattr("nbrnn.exchange.importer.Checkpoint", lambda **fields: fields)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("cell", "layers"), NETWORKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_come_back(cell, layers, dtype, suffix, tmp_path):
    model, path = made_up_model(cell, layers, dtype), tmp_path / f"m.{suffix}"
    for orientation in ("column", "row") if suffix in ("npz", "mat") else (None,):
        export(model, path, orientation)
        (weights,) = weights_in(path, read(path))
        written = np.dtype("float32" if suffix == "onnx" else dtype)
        assert weights.layout == layout_of(model.config, K).__class__(m, K, written, cell, layers)
        assert weights.orientation == (orientation or "column")
        for own, found in ((model.theta, weights.theta), (model.states, weights.states)):
            assert list(own) == list(found)
            for name, array in own.items():
                np.testing.assert_array_equal(found[name], array.astype(written), strict=True)
        assert ALPHABET[weights.x0] == "b"


@pytest.mark.parametrize(("cell", "layers"), [("vanilla", 1), *NETWORKS])
def test_onnx(cell, layers, tmp_path):
    """Its own evaluator in float64, and onnxruntime, which has float32 alone."""
    import onnxruntime

    model = made_up_model(cell, layers)
    states = np.random.default_rng(1).uniform(-1, 1, (len(model.layout.kind.states), layers, B, m))
    codes = np.random.default_rng(2).integers(0, K, (T, B))
    given = {f"{letter}0": rows for letter, rows in zip("hc", states, strict=False)}
    kind = model.layout.kind.torch
    theta = model.theta["V"], model.theta["c"]
    graph = network_graph(kind, torch_layers(model), *theta, np.dtype(float))
    expected = [logits_of(model, codes[:, b], states[:, :, b]) for b in range(B)]
    logits, *after = ReferenceEvaluator(graph).run(None, {"x": codes, **given})
    export(model, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    single = {name: array.astype(np.float32) for name, array in given.items()}
    logits32, *after32 = session.run(None, {"x": codes, **single})
    for b, (o, last) in enumerate(expected):
        assert np.abs(logits[:, b] - o).max() < 1e-10
        assert np.abs(np.array(after)[:, :, b] - last).max() < 1e-10
        assert np.abs(logits32[:, b] - o).max() < 2e-5
        assert np.abs(np.array(after32)[:, :, b] - last).max() < 2e-5
    metadata = session.get_modelmeta().custom_metadata_map
    h0 = np.array(json.loads(metadata["h0"]))
    assert h0.shape == ((m,) if layers == 1 else (layers, m))


# ---------------------------------------------------------------- torch


def network_of(torch, kind, layers, size=0):
    """Return a torch module in float64; with an embedding if it has a size."""

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            if size:
                self.embedding = torch.nn.Embedding(K, size)
            self.rnn = getattr(torch.nn, kind)(size or K, m, layers)
            self.linear = torch.nn.Linear(m, K)
            self.double()

        def forward(self, x, states=None):
            x = self.embedding(x) if size else torch.nn.functional.one_hot(x, K).to(self.linear.weight)
            hs, states = self.rnn(x, states)
            return self.linear(hs)

    return Network()


@pytest.mark.interop
@pytest.mark.slow
@pytest.mark.parametrize(("cell", "layers"), [("vanilla", 1), ("gru", 2), ("lstm", 1)])
def test_torch_has_our_logits(cell, layers, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    model = made_up_model(cell, layers)
    export(model, tmp_path / "m.safetensors")
    network = network_of(torch, model.layout.kind.torch, layers)
    network.load_state_dict(load_file(tmp_path / "m.safetensors"))
    codes = np.random.default_rng(0).integers(0, K, 50)
    with torch.no_grad():
        theirs = torch.log_softmax(network(torch.from_numpy(codes)), 1).numpy()
    assert np.abs(np.log(probabilities(model, codes.astype(np.int32))) - theirs).max() < 1e-10


@pytest.mark.interop
@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("suffix", ["safetensors", "onnx"])
def test_networks_of_torch_are_read(kind, layers, size, suffix, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save

    torch.manual_seed(0)
    network = network_of(torch, kind, layers, size)
    path, codes = tmp_path / f"m.{suffix}", np.random.default_rng(0).integers(0, K, 20)
    x = torch.from_numpy(codes)
    if suffix == "onnx":
        network.float()
        torch.onnx.export(network, (x[:, None],), path, dynamo=False)
        network.load_state_dict({n: a.double() for n, a in network.state_dict().items()})
        network.double()
    else:
        save(network.state_dict(), path)
    model = read_model(path)
    zero = np.zeros((len(model.layout.kind.states), layers, m))
    with torch.no_grad():
        theirs = network(x).numpy()
    # an embedding is folded into U: of float32 that is rounded
    limit = 1e-6 if suffix == "onnx" and size else 1e-10
    assert np.abs(logits_of(model, codes, zero)[0] - theirs).max() < limit


def read_model(path):
    """Return the model in a file of torch."""
    (weights,) = weights_in(path, read(path))
    layout = weights.layout
    config = RunConfig(
        updates=0, cell=layout.cell, layers=layout.layers, hidden=m, dtype=layout.dtype.name
    )
    return Checkpoint(config, "", ALPHABET, "a", 0, 0, 0, None, weights.theta)
