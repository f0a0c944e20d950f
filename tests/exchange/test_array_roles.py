"""The names of other programs' arrays mean the same to import and to check."""

import numpy as np
import pytest

from nbrnn.checks.check import check
from nbrnn.errors import NbrnnError
from nbrnn.exchange.array_files import Contents
from nbrnn.exchange.weights import weights_in
from nbrnn.network.layout import shapes

M, K, T = 4, 6, 5
NAMES = {  # W, U, V, b, c, and the layout
    "ours": ("W", "U", "V", "b", "c", "column"),
    "a struct of MATLAB": ("RNN.W", "RNN.U", "RNN.V", "RNN.b", "RNN.c", "column"),
    "min-char-rnn": ("Whh", "Wxh", "Why", "bh", "by", "column"),
    "Ng's course": ("Waa", "Wax", "Wya", "ba", "by", "column"),
    "cs231n": ("Wh", "Wx", "W_vocab", "b", "b_vocab", "row"),
    "d2l": ("W_hh", "W_xh", "W_hq", "b_h", "b_q", "row"),
    "Keras": (
        *("simple_rnn/simple_rnn_cell/recurrent_kernel:0", "simple_rnn/simple_rnn_cell/kernel:0"),
        *("dense/kernel:0", "simple_rnn/simple_rnn_cell/bias:0", "dense/bias:0", "row"),
    ),
    "torch": (
        *("char.rnn.weight_hh_l0", "char.rnn.weight_ih_l0", "char.readout.weight"),
        *("char.rnn.bias_ih_l0", "char.readout.bias", "column"),
    ),
    "an nn.RNNCell": (
        *("cell.weight_hh", "cell.weight_ih", "out.weight", "cell.bias_hh", "out.bias", "column"),
    ),
    "torch's tutorial": (
        *("h2h.weight", "i2h.weight", "h2o.weight", "i2h.bias", "h2o.bias", "column"),
    ),
    "a group": ("epoch9/W", "epoch9/U", "epoch9/V", "epoch9/b", "epoch9/c", "row"),
    "no biases": ("W", "U", "V", None, None, "column"),
}  # fmt: skip


def program(*, is_biased=True):
    """Return parameters, one window of characters and the gradients of its summed loss."""
    rng = np.random.default_rng(0)
    theta = {name: rng.normal(size=shape) for name, shape in shapes(M, K).items()}
    theta |= {} if is_biased else {name: 0 * theta[name] for name in "bc"}
    x, y = rng.integers(0, K, (2, T))
    H = [np.zeros(M)]
    for k in x:
        H.append(np.tanh(theta["W"] @ H[-1] + theta["U"][:, k] + theta["b"]))
    o = np.array(H[1:]) @ theta["V"].T + theta["c"]
    do = np.exp(o) / np.exp(o).sum(1, keepdims=True) - np.eye(K)[y]
    return theta, x, y, {"V": do.T @ np.array(H[1:]), "c": do.sum(0)}


@pytest.mark.parametrize("names", NAMES.values(), ids=list(NAMES))
def test_import_and_check_take_the_same_names(names, tmp_path):
    *names, layout = names
    theta, x, y, gradients = program(is_biased=names[-1] is not None)
    name_of = dict(zip("WUVbc", names, strict=True))
    saved = {
        name_of[key]: array.T if layout == "row" else array
        for key, array in theta.items()
        if name_of[key]
    }
    (found,) = weights_in(tmp_path, Contents(dict(saved)))
    assert found.orientation == layout
    for key, array in theta.items():
        np.testing.assert_array_equal(found.theta[key], array)
    dV = gradients["V"].T if layout == "row" else gradients["V"]
    report = check({**saved, "x": x, "y": y, f"{name_of['V']}.grad": dV}, loss="sum")
    assert report.is_right
    assert [row.what for row in report.rows] == ["gradient of V"]
    assert not any("not understood" in note for note in report.notes)


def test_keras_and_torch_tell_the_layout_of_square_weights(tmp_path):
    rng = np.random.default_rng(0)
    for names, layout in (("Keras", "row"), ("torch", "column")):
        arrays = {name: rng.normal(size=(3, 3)) for name in NAMES[names][:3]}
        assert [found.orientation for found in weights_in(tmp_path, Contents(arrays))] == [layout]


def test_the_biases_of_torch_are_added_if_they_fit(tmp_path):
    theta, *_ = program()
    arrays = {"rnn.weight_hh_l0": theta["W"], "rnn.weight_ih_l0": theta["U"], "fc.weight": theta["V"]}
    arrays |= {"rnn.bias_ih_l0": theta["b"] / 4, "rnn.bias_hh_l0": theta["b"] * 3 / 4}
    (found,) = weights_in(tmp_path, Contents(arrays))
    np.testing.assert_allclose(found.theta["b"], theta["b"])
    for short in (theta["b"][:1], theta["b"][:2]):
        with pytest.raises(NbrnnError, match="two biases of different sizes"):
            weights_in(tmp_path, Contents({**arrays, "rnn.bias_hh_l0": short}))


def test_what_other_names_mean_is_not_guessed(tmp_path):
    theta, *_ = program()
    for more, said in [
        ({"weights.V": theta["V"] + 1}, "V and weights.V are both read as V, and differ"),
        ({"U": np.ones((0, K))}, "the shapes do not fit together"),
        ({"W": np.zeros((0, 0))}, "the shapes do not fit together"),
        ({"b": np.full(M, np.float64("nan"))}, "b has NaN or infinite numbers"),
        ({"b": np.array(["a"] * M)}, None),  # text, so that there is no b
        ({"c": np.full(K, np.longdouble("1e4000"))}, "c has NaN or infinite numbers"),
    ]:
        contents = Contents({**theta, **more})
        if said is None:
            assert not weights_in(tmp_path, contents)[0].theta["b"].any()
        else:
            with pytest.raises(NbrnnError, match=said):
                weights_in(tmp_path, contents)


def test_an_embedding_is_folded_into_U():
    """U = W_ih E^T; its gradient is not that of W_ih, which is left out."""
    theta, x, y, _ = program()
    rng = np.random.default_rng(1)
    E, of_input = rng.normal(size=(K, 3)), rng.normal(size=(M, 3))
    H = [np.zeros(M)]
    for k in x:
        H.append(np.tanh(theta["W"] @ H[-1] + of_input @ E[k] + theta["b"]))
    saved = {"rnn.weight_hh_l0": theta["W"], "rnn.bias_ih_l0": theta["b"], "rnn.weight_ih_l0": of_input}
    saved |= {"embedding.weight": E, "fc.weight": theta["V"], "fc.bias": theta["c"]}
    report = check({**saved, "x": x, "y": y, "H": np.array(H[1:]), "rnn.weight_ih_l0.grad": of_input})
    assert report.is_right
    assert any("rnn.weight_ih_l0.grad" in note for note in report.notes)
    (found,) = weights_in(M, Contents(dict(saved)))
    np.testing.assert_allclose(found.theta["U"], of_input @ E.T)
    keras = {"simple_rnn/recurrent_kernel:0": theta["W"].T, "simple_rnn/bias:0": theta["b"]}
    keras |= {"simple_rnn/kernel:0": of_input.T, "embedding/embeddings:0": E}
    keras |= {"dense/kernel:0": theta["V"].T, "dense/bias:0": theta["c"]}
    (found,) = weights_in(M, Contents(keras))
    np.testing.assert_allclose(found.theta["U"], of_input @ E.T)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            {"rnn.weight_hh_l0": (16, 4), "rnn.weight_ih_l0": (16, 6)},
            "the network has 1 lstm layer,",
        ),
        (
            {"rnn.weight_hh_l0": (12, 4), "rnn.weight_ih_l0": (12, 6)},
            "the network has 1 gru layer,",
        ),
        (
            {"rnn.weight_hh_l1": (4, 4), "rnn.weight_ih_l1": (4, 4)},
            "the network has 2 vanilla layers,",
        ),
    ],
)
def test_gates_and_layers_are_not_checked(names, message):
    arrays = {"rnn.weight_hh_l0": np.ones((4, 4)), "rnn.weight_ih_l0": np.ones((4, 6))}
    arrays |= {"fc.weight": np.ones((6, 4)), **{name: np.ones(shape) for name, shape in names.items()}}
    with pytest.raises(NbrnnError, match=f"{message} but only one with one vanilla layer can"):
        check({**arrays, "loss": np.float64(1)})
    assert weights_in(M, Contents(dict(arrays)))
    with pytest.raises(NbrnnError, match="the shapes do not fit together"):
        weights_in(M, Contents({**arrays, "fc.weight": np.ones((6, 5))}))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"rnn.weight_hh_l0_reverse": (4, 4)}, "a bidirectional network cannot predict"),
        ({"rnn.weight_hr_l0": (3, 4)}, "projections"),
        ({"other.weight_hh_l0": (4, 4)}, "several recurrent layers"),
        ({"rnn.weight_hh_l2": (4, 4), "rnn.weight_ih_l2": (4, 4)}, "layer 2 has no W and no U"),
        ({"rnn.bias_hh_l0": (4,), "rnn.bias_ih_l0": (3,)}, "two biases of different sizes"),
    ],
)
def test_other_networks_are_refused_in_plain_words(more, message):
    arrays = {"rnn.weight_hh_l0": np.ones((4, 4)), "rnn.weight_ih_l0": np.ones((4, 6))}
    arrays |= {"fc.weight": np.ones((6, 4)), **{name: np.ones(shape) for name, shape in more.items()}}
    for call in (lambda: check({**arrays, "loss": 1.0}), lambda: weights_in(M, Contents(dict(arrays)))):
        with pytest.raises(NbrnnError, match=message):
            call()
