"""Every cell and number of layers against the naive program: loss, gradient, states, dropout, files.

Some are compiled; `tox -e nojit` runs all line by line, `tox -e interop` holds all against torch.
"""

import naive
import numpy as np
import pytest
from numba import config
from small_training import in_order

from nbrnn.network import sampling_kernels, training_kernels
from nbrnn.network.buffers import (
    Carry,
    Dropout,
    History,
    Sampling,
    batch_work,
    set_states_before,
    states_before,
    training_buffers,
    window_work,
)
from nbrnn.network.cells import CELLS
from nbrnn.network.dropout import fill_mask, philox
from nbrnn.network.layout import Layout, generator
from nbrnn.network.optimizers import SGD

pytestmark = pytest.mark.nojit

T = 4
COMPILED = [("gru", 2), ("lstm", 1)]  # by tests/kernels.py
OTHERS = [("vanilla", 2), ("gru", 1), ("lstm", 2)] if config.DISABLE_JIT else []
NETWORKS = pytest.mark.parametrize(("cell", "layers"), [*COMPILED, *OTHERS])
BATCHES = pytest.mark.parametrize("B", [1, 3])
ONE_OF_BATCHES = pytest.mark.parametrize("B", [1, 3] if config.DISABLE_JIT else [3])


class Network:
    """A small network, none of whose numbers is 0, and B windows of a text."""

    def __init__(self, cell, layers, B, m=5, K=7, dropout=None):
        rng = np.random.default_rng(1)
        self.layout, self.B = Layout(m, K, np.dtype(float), cell, layers), B
        self.arrays = {name: rng.normal(0, 0.5, a) for name, a in self.layout.shapes.items()}
        self.theta = self.layout.pack(self.arrays)
        self.codes = rng.integers(0, K, 60).astype(np.int32)
        self.starts = np.array([0, 17, 30])[:B]
        self.states = rng.uniform(-1, 1, (layers, len(CELLS[cell].states), B, m))
        self.work = (
            batch_work(self.layout, T, B, dropout) if B > 1 else window_work(self.layout, T, dropout)
        )
        set_states_before(self.work, self.states)

    def naive_loss(self, arrays, masks=None):
        """Return the loss of all windows together, and the states after each."""
        total, after = 0.0, []
        for b, s in enumerate(self.starts):
            x, y = self.codes[s : s + T], self.codes[s + 1 : s + T + 1]
            own = None if masks is None else [mask[:, b] for mask in masks]
            before = [tuple(layer[:, b]) for layer in self.states]
            loss, states = naive.deep_loss(arrays, self.layout.cell, x, y, before, own)
            total, after = total + loss, [*after, states]
        return total, after

    def gradient(self):
        """Return the loss and the gradient, which is filled twice."""
        gradient = self.layout.gradient(T * self.B)
        for _ in range(2):
            loss = training_kernels.loss_gradient(
                self.theta, gradient, self.work, self.codes, self.starts, 1.0
            )
        return loss, gradient


def differences(network, masks=None, step=1e-4):
    """Return the numerical gradient of the naive loss, by fourth-order differences."""
    found = {}
    for name, array in network.arrays.items():
        found[name] = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            value, total = array[index], 0.0
            for shift, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
                array[index] = value + shift * step
                total += weight * network.naive_loss(network.arrays, masks)[0]
            array[index] = value
            found[name][index] = total / (12 * step)
    return found


@NETWORKS
@BATCHES
def test_loss_gradient_and_states_are_those_of_the_naive_program(cell, layers, B):
    network = Network(cell, layers, B)
    layout = network.layout
    expected_loss, after = network.naive_loss(network.arrays)
    loss, gradient = network.gradient()
    assert loss == pytest.approx(expected_loss, rel=1e-13)
    for layer, own in enumerate(network.work.layers):
        expected = np.swapaxes([states[layer] for states in after], 0, 1)
        assert np.abs(own.s[:, -B:, : layout.m] - expected).max() < 1e-14
        for padded in (own.s, own.dz, *gradient.layers[layer]):
            assert not padded[..., layout.m :].any()
    for name, expected in differences(network).items():
        assert np.abs(layout.named(gradient)[name] - expected).max() < 1e-9


@ONE_OF_BATCHES
def test_dropout_is_the_same_for_the_same_update_and_has_the_naive_gradient(B):
    seed, p, update = 2**40 + 5, 0.3, 2**33 + 7
    network = Network("gru", 2, B, dropout=Dropout.of(p, seed, np.dtype(float)))
    layout = network.layout
    network.work.update[0] = update
    size = T * B * layout.M
    masks = [naive.mask(p, seed, update, layer, size) for layer in range(2)]
    masks = [mask.reshape(T, B, layout.M)[..., : layout.m] for mask in masks]
    expected_loss, _ = network.naive_loss(network.arrays, masks)
    loss, gradient = network.gradient()
    assert loss == pytest.approx(expected_loss, rel=1e-13)
    for name, expected in differences(network, masks).items():
        assert np.abs(layout.named(gradient)[name] - expected).max() < 1e-9
    network.work.update[0] += 1
    assert network.gradient()[0] != pytest.approx(expected_loss, rel=1e-6)


KNOWN = [  # from the authors' test vectors
    ((0,) * 4, (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_random_numbers_are_those_of_the_authors(counter, key, expected):
    with np.errstate(over="ignore"):
        assert tuple(map(int, philox(*map(np.uint64, (*counter, *key))))) == expected
    assert naive.philox(counter, key) == expected


def test_a_mask_drops_its_share_and_keeps_the_mean():
    mask, dropout = np.empty((40, 16)), Dropout.of(0.25, 3, np.dtype(float))
    fill_mask(mask, dropout, 9, 1)
    assert set(mask.ravel()) == {0, 1 / 0.75}
    assert np.array_equal(mask.ravel(), naive.mask(0.25, 3, 9, 1, mask.size))
    assert (mask == 0).mean() == pytest.approx(0.25, abs=0.07)  # 4 standard deviations


@NETWORKS
def test_evaluation_reading_and_samples_are_those_of_the_naive_program(cell, layers):
    network = Network(cell, layers, 1)
    layout, codes = network.layout, network.codes[:11]
    zero = [tuple(np.zeros((len(CELLS[cell].states), layout.m))) for _ in range(layers)]
    expected, _ = naive.deep_loss(network.arrays, cell, codes[:-1], codes[1:], zero)
    work = window_work(layout, T)
    assert sampling_kernels.evaluate(network.theta, work, codes) == pytest.approx(expected, rel=1e-13)
    work = window_work(layout, T)
    sampling_kernels.read(network.theta, work, codes[:T])
    expected, _ = naive.deep_loss(network.arrays, cell, codes[:T], codes[1 : T + 1], zero)
    losses = np.log(np.exp(work.p).sum(axis=1)) - work.p[np.arange(T), codes[1 : T + 1]]
    assert losses.sum() == pytest.approx(expected, rel=1e-13)
    work, text = window_work(layout, 1), np.empty(20, np.int32)
    uniforms = np.random.default_rng(0).random(20)
    sampling_kernels.sample(network.theta, work, codes[:3], uniforms, Sampling(), text)
    cut, pieces = window_work(layout, 1), [np.empty(9, np.int32), np.empty(11, np.int32)]
    sampling_kernels.sample(network.theta, cut, codes[:3], uniforms[:9], Sampling(), pieces[0])
    sampling_kernels.sample(network.theta, cut, pieces[0][-1:], uniforms[9:], Sampling(), pieces[1])
    assert text.tolist() == [*pieces[0], *pieces[1]]


@ONE_OF_BATCHES
def test_the_norm_of_the_gradient_is_limited_before_its_elements(B):
    dropout = Dropout.of(0.3, 1, np.dtype(float))
    network = Network("gru", 2, B, dropout=dropout)
    _, gradient = network.gradient()
    norm = np.linalg.norm(gradient.flat)
    for limit, factor in ((norm / 2, 0.5), (2 * norm, 1.0)):
        theta = network.layout.pack(network.arrays)
        buffers = training_buffers(network.layout, theta, T, 0, B, dropout)
        plan = in_order(network.codes, T, B, 0, 1, 0.1)._replace(
            starts=network.starts[None], reset=np.zeros((1, B), bool)
        )
        set_states_before(buffers.work, network.states)
        training_kernels.train(
            buffers, SGD(0.1), 0.4, 1.0, network.codes, plan, Carry(), History.empty(1), limit
        )
        expected = network.theta.flat - 0.1 * np.clip(factor * gradient.flat, -0.4, 0.4)
        assert np.abs(theta.flat - expected).max() < 1e-14


# ---------------------------------------------------------------- names, shapes, initialization


@NETWORKS
def test_parameters_and_states_keep_their_names_and_values(cell, layers):
    network = Network(cell, layers, 3)
    layout = network.layout
    for name, array in layout.named(network.theta).items():
        assert np.array_equal(array, network.arrays[name])
    rows = CELLS[cell].gates * 5
    assert layout.shapes["W.1"] == (rows, 5)
    assert layout.shapes["U.1"] == (rows, 7)
    if layers == 2:
        assert layout.shapes["U.2"] == (rows, 5)
    named = layout.named_states(states_before(network.work))
    assert list(named)[: len(CELLS[cell].states)] == [f"{s}_prev.1" for s in CELLS[cell].states]
    assert np.array_equal(layout.pack_states(named), network.states)


def test_scaled_and_orthogonal_mean_each_gate():
    layout = Layout(80, 60, np.dtype(float), "lstm", 2)
    scaled = layout.named(layout.initial(generator(0, "start"), None, "scaled"))
    for name, deviation in {"W.1": 160, "U.1": 120, "W.2": 160, "U.2": 160, "V": 80}.items():
        assert scaled[name].std() == pytest.approx(deviation**-0.5, rel=0.05)
    forget = np.repeat([0, 1, 0, 0], 80)
    assert np.array_equal(scaled["b.1"], forget)
    assert np.array_equal(scaled["b.2"], forget)
    orthogonal = layout.named(layout.initial(generator(0, "start"), 0.1, "orthogonal"))
    for W in orthogonal["W.2"].reshape(4, 80, 80):
        assert np.abs(W @ W.T - np.eye(80)).max() < 1e-12
    assert not orthogonal["b.1"].any()
