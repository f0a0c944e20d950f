"""Weights, states, logits and gradients of a model, against the naive program and finite differences."""

import naive
import numpy as np
import pytest

import nbrnn
from nbrnn.config import RunConfig
from nbrnn.errors import ConfigError, CorpusError
from nbrnn.network.cells import CELLS
from nbrnn.runs.evaluation import gradients, read
from nbrnn.storage.checkpoint import Checkpoint, layout_of

ALPHABET = " adehlnost"
TEXT = "she sat on that old hen"
CODES = np.array([ALPHABET.index(character) for character in TEXT], np.int32)


def made_up_model(cell, layers, loss="sum"):
    """Return a network whose weights are random, and its weights in the names of the naive program."""
    options = {"cell": cell, "layers": layers, "loss": loss, "hidden": 5, "seq_length": 4}
    config = RunConfig(dtype="float64", **options)
    rng = np.random.default_rng(2)
    shapes = layout_of(config, len(ALPHABET)).shapes
    theta = {name: rng.normal(0, 0.6, shape) for name, shape in shapes.items()}
    model = Checkpoint(config, "", ALPHABET, "s", 0, 0, 0, None, theta)
    return model, {name if "." in name or name in "Vc" else f"{name}.1": a for name, a in theta.items()}


def naive_loss(theta, cell, layers, codes):
    """Return the loss of a text from h = 0, and the states after its last character but one."""
    before = [tuple(np.zeros(5) for _ in CELLS[cell].states) for _ in range(layers)]
    return naive.deep_loss(theta, cell, codes[:-1], codes[1:], before)


@pytest.mark.parametrize(("cell", "layers"), [("vanilla", 1), ("gru", 2), ("lstm", 1)])
def test_states_and_logits_are_those_of_the_naive_program(cell, layers):
    model, theta = made_up_model(cell, layers)
    reading = read(model, CODES)
    for t in range(1, len(CODES)):
        _, states = naive_loss(theta, cell, layers, CODES[: t + 1])
        assert np.allclose(reading.states[:, :, t - 1], states, rtol=1e-12, atol=1e-14)
        assert np.allclose(reading.logits[t - 1], theta["V"] @ states[-1][0] + theta["c"], rtol=1e-12)


@pytest.mark.parametrize(("cell", "layers"), [("vanilla", 1), ("gru", 2), ("lstm", 1)])
@pytest.mark.parametrize("loss", ["sum", "mean"])
def test_gradients_are_those_of_finite_differences(cell, layers, loss):
    model, theta = made_up_model(cell, layers, loss)
    share = 1 if loss == "sum" else 1 / (len(TEXT) - 1)
    for (name, gradient), array in zip(
        gradients(model, CODES).items(), model.theta.values(), strict=True
    ):
        assert gradient.shape == array.shape, name
        for index in list(np.ndindex(array.shape))[:: max(1, array.size // 8)]:
            value, differences = array[index], []
            for step in (1e-5, -1e-5):
                array[index] = value + step  # theta holds the same arrays
                differences.append(naive_loss(theta, cell, layers, CODES)[0])
            array[index] = value
            numerical = share * (differences[0] - differences[1]) / 2e-5
            assert gradient[index] == pytest.approx(numerical, rel=1e-5, abs=1e-7), name


def test_a_model_gives_plain_arrays(run_folder):
    model = nbrnn.Model(run_folder)
    weights = model.weights
    text = "the old house on the moor stood alone"
    h, o = model.states(text), model.logits(text)
    assert h.shape == (len(text), 20)
    assert np.allclose(o, h @ weights["V"].T + weights["c"], atol=1e-5)
    p = np.exp(o.astype(float))
    assert np.allclose(model.probabilities(text), p / p.sum(axis=1, keepdims=True), rtol=1e-6)
    expected = np.tanh(weights["W"] @ h[0] + weights["U"][:, model.alphabet.index("h")] + weights["b"])
    assert np.allclose(h[1], expected, atol=1e-6)
    gradient = model.gradients(text)
    assert {name: array.shape for name, array in gradient.items()} == {
        name: array.shape for name, array in weights.items()
    }
    weights["W"][:] = 0  # which are copies
    assert model.weights["W"].any()


def test_what_a_model_does_not_have_is_named(run_folder):
    model = nbrnn.Model(run_folder)
    assert np.array_equal(model.states("the moor", layer=1), model.states("the moor"))
    with pytest.raises(ConfigError, match="layer must be at most 1"):
        model.states("the moor", layer=2)
    with pytest.raises(ConfigError, match="state must be h"):
        model.states("the moor", state="c")
    with pytest.raises(CorpusError, match="at least two characters"):
        model.gradients("t")
