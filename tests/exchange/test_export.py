"""Each exported file is loaded by what it is for, and computes and writes what nbrnn does."""

import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
from harness import import_interop, made_up_text, one_line_error
from safetensors import safe_open
from scipy.io import loadmat

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus, encode
from nbrnn.network.layout import generator
from nbrnn.runs.model import Model
from nbrnn.runs.run import run

LENGTH = 3000  # characters whose losses are compared
SEED, WRITTEN = 5, 300

pytestmark = pytest.mark.usefixtures("without_pictures")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a run whose network has learned something, and a text."""
    folder, text = tmp_path_factory.mktemp("export") / "run", made_up_text(LENGTH + 1)
    run(
        RunConfig(updates=500, hidden=24, batch=2, optimizer="adam"),
        Corpus.from_text(text, "made-up"),
        folder,
    )
    return folder, text


@pytest.fixture
def exported(nbrnn, trained, tmp_path):
    """Return a function that exports the run, and returns the file's path as a text."""

    def call(name, *options):
        nbrnn("export", trained[0], name, *options)
        return str(tmp_path / name)

    return call


def from_logits(step, alphabet, h, first, text):
    """Return the losses of a text from h = 0, and what is written from h and a character.

    step(h, code): the next state and the logits.
    """
    losses, state = [], np.zeros_like(h)
    codes = encode(text, alphabet)
    for x, y in pairwise(codes):
        state, o = step(state, x)
        losses.append(np.log(np.exp(o - o.max()).sum()) + o.max() - o[y])
    return np.array(losses), written(step, alphabet, h, first)


def written(step, alphabet, h, first):
    """Return what is written from h and a character on, from the same uniforms as by nbrnn."""
    code, out = alphabet.index(first), []
    for uniform in generator(SEED, "text").random(WRITTEN):
        h, o = step(h, code)
        p = np.exp(o - o.max())
        code = int(np.searchsorted(np.cumsum(p / p.sum()), uniform, side="right"))
        out.append(alphabet[code])
    return "".join(out)


def check(folder, checkpoint, text, losses, written):
    """Compare with ours."""
    model = Model(folder, checkpoint)
    codes = encode(text, model.alphabet)
    ours = -np.log(model.probabilities(text)[np.arange(LENGTH), codes[1:]])
    assert losses.shape == (LENGTH,)
    assert np.abs(losses - ours).max() < 1e-5
    assert written == model.sample(WRITTEN, seed=SEED)


@pytest.mark.parametrize(
    ("kind", "layout", "checkpoint"),
    [
        ("npz", "column", "best"),
        ("npz", "row", "last"),
        ("mat", "column", "last"),
        ("mat", "row", "best"),
    ],
)
def test_numpy_and_matlab(exported, trained, kind, layout, checkpoint):
    file = exported(f"m.{kind}", "--layout", layout, "--checkpoint", checkpoint)
    arrays = dict(np.load(file)) if kind == "npz" else loadmat(file)
    alphabet = "".join(map(chr, arrays["alphabet"].ravel()))
    W, U, V, b, c, h0, x0 = (arrays[name] for name in ("W", "U", "V", "b", "c", "h0", "x0"))
    m, K = 24, len(alphabet)
    assert W.dtype == np.float32
    eye = np.eye(K, dtype=np.float32)
    if layout == "column":
        assert (b.shape, c.shape, h0.shape, x0.shape) == ((m, 1), (K, 1), (m, 1), (K, 1))

        def step(h, code):
            h = np.tanh(W @ h + U @ eye[:, [code]] + b)
            return h, (V @ h + c).ravel()
    else:
        assert (b.shape, c.shape, h0.shape, x0.shape) == ((1, m), (1, K), (1, m), (1, K))

        def step(h, code):
            h = np.tanh(h @ W + eye[[code]] @ U + b)
            return h, (h @ V + c).ravel()

    folder, text = trained
    first = alphabet[int(x0.argmax())]
    check(folder, checkpoint, text, *from_logits(step, alphabet, h0, first, text))


def metadata_of(file):
    with safe_open(file, framework="numpy") as tensors:
        return tensors.metadata()


@pytest.mark.slow
@pytest.mark.interop
def test_torch(exported, trained):
    torch = import_interop("torch")
    from safetensors.torch import load_file

    file = exported("m.safetensors")
    metadata, tensors = metadata_of(file), load_file(file)
    alphabet = metadata["alphabet"]

    class Network(torch.nn.Module):
        def __init__(self, K, m):
            super().__init__()
            self.rnn, self.linear = torch.nn.RNN(K, m), torch.nn.Linear(m, K)

        def forward(self, x, h):
            states, h = self.rnn(torch.nn.functional.one_hot(x, len(alphabet)).float(), h)
            return self.linear(states), h

    network = Network(len(alphabet), 24)
    network.load_state_dict(tensors)  # strictly: these names and no others
    folder, text = trained
    codes = torch.tensor(encode(text, alphabet).astype(np.int64))
    with torch.no_grad():
        o, _ = network(codes[:-1], torch.zeros(1, 24))
        losses = torch.nn.functional.cross_entropy(o, codes[1:], reduction="none").numpy()

        def step(h, code):
            o, h = network(torch.tensor([code]), h)
            return h, o[0].numpy()

        text_written = written(
            step, alphabet, torch.tensor([json.loads(metadata["h0"])]), metadata["x0"]
        )
    check(folder, "best", text, losses, text_written)


def test_onnx(exported, trained):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported("m.onnx"), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    alphabet = metadata["alphabet"]
    folder, text = trained
    codes = encode(text, alphabet).astype(np.int64)
    zero = np.zeros((1, 1, 24), np.float32)
    o, _ = session.run(None, {"x": codes[:-1, np.newaxis], "h0": zero})
    o = o[:, 0].astype(float)
    losses = np.log(np.exp(o).sum(axis=1)) - o[np.arange(LENGTH), codes[1:]]

    def step(h, code):
        o, h = session.run(["logits", "h"], {"x": np.array([[code]]), "h0": h})
        return h, o[0, 0]

    h0 = np.array(json.loads(metadata["h0"]), np.float32).reshape(1, 1, 24)
    check(folder, "best", text, losses, written(step, alphabet, h0, metadata["x0"]))
    two = np.stack([codes[:50], codes[50:100]], axis=1)  # batch and time are free
    o2, h2 = session.run(None, {"x": two, "h0": np.repeat(zero, 2, axis=1)})
    assert (o2.shape, h2.shape) == ((50, 2, len(alphabet)), (1, 2, 24))
    np.testing.assert_allclose(o2[:, 0], o[:50], atol=1e-5)


def test_what_cannot_be_exported_is_one_line(nbrnn, trained, tmp_path):
    folder, _ = trained
    assert ".onnx" in one_line_error(nbrnn("export", folder, "m.h5", code=2))
    assert "--layout" in one_line_error(
        nbrnn("export", folder, "m.safetensors", "--layout", "row", code=2)
    )
    assert "cannot write" in one_line_error(nbrnn("export", folder, "no/m.npz", code=1))
    assert "neither the folder of a run" in one_line_error(nbrnn("export", tmp_path, "m.npz", code=2))
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_place_of_the_file_is_replaced(exported, tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "m.npz").symlink_to("precious")
    exported("m.npz")
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "m.npz").is_symlink()


def test_without_the_package_onnx_says_how_to_get_it(nbrnn, trained, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    assert "[onnx]" in one_line_error(nbrnn("export", trained[0], "m.onnx", code=2))


@pytest.mark.parametrize("name", ["best.safetensors", "last.safetensors"])
def test_an_export_replaces_no_file_of_a_run(nbrnn, run_folder, tmp_path, name):
    folder = shutil.copytree(run_folder, tmp_path / "run")
    before = (folder / name).read_bytes()
    done = nbrnn("export", folder, folder / name, code=2)
    assert "is a file of the run" in one_line_error(done)
    assert (folder / name).read_bytes() == before
