"""Gates and layers go to other programs and come from them: the same bits, and the same logits."""

import json

import numpy as np
import onnx
import pytest
from naive import STEPS
from onnx.reference import ReferenceEvaluator
from packaging.version import Version

from nbrnn.config import RunConfig
from nbrnn.errors import NbrnnError
from nbrnn.exchange.array_files import Contents, read
from nbrnn.exchange.export import export, torch_layers
from nbrnn.exchange.onnx_graph import network_graph
from nbrnn.exchange.weights import weights_in
from nbrnn.network.layout import Layout
from nbrnn.runs import evaluation
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
            states[n] = STEPS[layout.cell](W, U @ below, b, d, states[n])
            below = states[n][0]
        logits.append(theta["V"] @ below + theta["c"])
    return np.array(logits), np.array(states).swapaxes(0, 1)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("cell", "layers"), NETWORKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_come_back(cell, layers, dtype, suffix, tmp_path):
    model, path = made_up_model(cell, layers, dtype), tmp_path / f"m.{suffix}"
    for orientation in ("column", "row") if suffix in ("npz", "mat") else (None,):
        export(model, path, orientation)
        (weights,) = weights_in(path, read(path))
        written = np.dtype("float32" if suffix == "onnx" else dtype)
        assert weights.layout == Layout(m, K, written, cell, layers)
        assert weights.orientation == (orientation or "column")
        for own, found in ((model.theta, weights.theta), (model.states, weights.states)):
            assert list(own) == list(found)
            for name, array in own.items():
                np.testing.assert_array_equal(found[name], array.astype(written), strict=True)
        assert ALPHABET[weights.x0] == "b"


@pytest.mark.parametrize(("cell", "layers"), [("vanilla", 1), *NETWORKS])
def test_onnx(cell, layers, tmp_path):
    """ONNX's own evaluator in float64, and onnxruntime, which has float32 alone."""
    import onnxruntime

    model = made_up_model(cell, layers)
    states = np.random.default_rng(1).uniform(-1, 1, (len(model.layout.kind.states), layers, B, m))
    codes = np.random.default_rng(2).integers(0, K, (T, B))
    given = {f"{letter}0": rows for letter, rows in zip("hc", states, strict=False)}
    kind = model.layout.kind.torch
    theta = model.theta["V"], model.theta["c"]
    graph = network_graph(kind, torch_layers(model), *theta, np.dtype(float))
    expected = [logits_of(model, codes[:, b], states[:, :, b]) for b in range(B)]
    export(model, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    single = {name: array.astype(np.float32) for name, array in given.items()}
    computed = [(2e-5, session.run(None, {"x": codes, **single}))]
    # an earlier evaluator does not return the cell state of an LSTM
    if cell != "lstm" or Version(onnx.__version__) >= Version("1.23"):
        computed.append((1e-10, ReferenceEvaluator(graph).run(None, {"x": codes, **given})))
    for tolerance, (logits, *after) in computed:
        for b, (o, last) in enumerate(expected):
            assert np.abs(logits[:, b] - o).max() < tolerance
            assert np.abs(np.array(after)[:, :, b] - last).max() < tolerance
    metadata = session.get_modelmeta().custom_metadata_map
    h0 = np.array(json.loads(metadata["h0"]))
    assert h0.shape == ((m,) if layers == 1 else (layers, m))


def changed(model, **attributes):
    """Return the graph of a model with other attributes of its recurrent operator, as bytes."""
    theta = model.theta["V"], model.theta["c"]
    graph = network_graph(model.layout.kind.torch, torch_layers(model), *theta, np.dtype(np.float32))
    (node,) = [n for n in graph.graph.node if n.op_type in ("RNN", "GRU", "LSTM")]
    kept = [a for a in node.attribute if a.name not in attributes]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.extend(onnx.helper.make_attribute(n, value) for n, value in attributes.items())
    return graph


@pytest.mark.parametrize(
    ("cell", "attributes", "message"),
    [
        ("vanilla", {"direction": "bidirectional"}, "bidirectional or backward"),
        ("vanilla", {"activations": ["Relu"]}, "the RNN has the activations relu"),
        ("gru", {"linear_before_reset": 0}, "before the product"),
        ("lstm", {"input_forget": 1}, "input_forget"),
        ("gru", {"clip": 1.0}, "clip"),
    ],
)
def test_other_onnx_cells_are_one_line(cell, attributes, message, tmp_path):
    graph = changed(made_up_model(cell, 1), **attributes)
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(NbrnnError, match=message) as error:
        read(tmp_path / "m.onnx")
    assert "\n" not in str(error.value)


def test_other_graphs_are_one_line(tmp_path):
    path, model = tmp_path / "m.onnx", made_up_model("gru", 1)
    graph = changed(model)
    graph.graph.node.append(onnx.helper.make_node("Relu", ["logits"], ["r"]))
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(NbrnnError, match="has the operator Relu"):
        read(path)
    graph = changed(model)
    onnx.external_data_helper.set_external_data(graph.graph.initializer[0], "/etc/passwd")
    graph.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(NbrnnError, match="in another file"):
        read(path)
    data, rng = changed(model).SerializeToString(), np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged[: rng.integers(len(data))] if rng.random() < 0.5 else damaged)
        try:
            weights_in(path, read(path))  # what a flipped bit leaves may still be a network
        except NbrnnError as error:
            assert str(path) in str(error)


def test_arrays_that_are_no_network_are_one_line(tmp_path):
    theta = {name.replace(".", ""): a for name, a in made_up_model("gru", 2).theta.items()}
    for name, array, message in [
        ("V", np.float64(1), r"V must be \(5, 7\), not \(\)"),
        ("W1", np.ones((0, 0)), r"W1? must be \(21, 7\), not \(0, 0\)"),
        ("b2", np.full(3 * m, np.longdouble("1e4000")), "b2 has NaN or infinite numbers"),
        ("d2", np.ones(m + 1), r"d2 must be \(7,\), not \(8,\)"),
        ("W3", np.ones((3 * m, m)), "layer 3 has no U"),
        ("best.W1", theta["W1"], None),
    ]:
        contents = Contents({**theta, name: np.asarray(array)})
        if message is None:
            assert len(weights_in(tmp_path, contents)) == 1
        else:
            with pytest.raises(NbrnnError, match=message):
                weights_in(tmp_path, contents)


@pytest.mark.parametrize(("cell", "kind"), [("gru", "gru"), ("lstm", "lstm")])
def test_keras(cell, kind, tmp_path):
    """Gates z r h and two biases in a GRU; i f c o in an LSTM, as ours; all matrices transposed."""
    model = made_up_model(cell, 1)
    W, U, b = (model.theta[f"{name}.1"] for name in "WUb")
    bias = b
    if cell == "gru":
        order = np.r_[m : 2 * m, :m, 2 * m : 3 * m]
        second = np.r_[np.zeros(2 * m), model.theta["d.1"]]
        W, U, bias = W[order], U[order], np.array([b[order], second[order]])
    arrays = {f"{kind}/recurrent_kernel:0": W.T, f"{kind}/kernel:0": U.T, f"{kind}/bias:0": bias}
    arrays |= {"dense/kernel:0": model.theta["V"].T, "dense/bias:0": model.theta["c"]}
    (weights,) = weights_in(tmp_path, Contents(dict(arrays)))
    for name, array in model.theta.items():
        np.testing.assert_array_equal(weights.theta[name], array)
    if cell == "gru":
        with pytest.raises(NbrnnError, match="reset_after=False"):
            weights_in(tmp_path, Contents({**arrays, "gru/bias:0": bias[0]}))


@pytest.mark.slow
def test_a_run_comes_back_by_the_commands(nbrnn, text_file):
    """The kernels are those of tests/kernels.py."""
    network = ["--cell", "gru", "--layers", "2", "--dtype", "float64", "--hidden", "8", "--batch", "3"]
    network += ["--optimizer", "sgd", "--dropout", "0.3", "--clip-norm", "1"]
    nbrnn("train", text_file, *network, "--updates", "0", "--out", "run")
    for file in ("m.npz", "m.mat", "m.safetensors"):
        assert "gru, 2 layers of m = 8 hidden units" in nbrnn("export", "run", file).stdout
        done = nbrnn("import", file, "--out", file[2:], "--json")
        document = json.loads(done.stdout)
        assert (document["cell"], document["layers"]) == ("gru", 2)
        texts = [nbrnn("sample", run, "--length", "100").stdout for run in ("run", file[2:])]
        assert texts[0] == texts[1]


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
    ours = evaluation.softmax(evaluation.read(model, codes.astype(np.int32)).logits)
    assert np.abs(np.log(ours) - theirs).max() < 1e-10


@pytest.mark.interop
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter
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
    limit = 1e-6 if suffix == "onnx" else 1e-10  # two biases, and an embedding, added in float32
    assert np.abs(logits_of(model, codes, zero)[0] - theirs).max() < limit


def read_model(path):
    """Return the model in a file of torch."""
    (weights,) = weights_in(path, read(path))
    layout = weights.layout
    config = RunConfig(
        updates=0, cell=layout.cell, layers=layout.layers, hidden=m, dtype=layout.dtype.name
    )
    return Checkpoint(config, "", ALPHABET, "a", 0, 0, 0, None, weights.theta)
