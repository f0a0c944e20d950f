"""The gradient check passes on the right gradient and finds planted bugs."""

from threading import Event

import naive
import numpy as np
import pytest

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import CorpusError
from nbrnn.network import gradcheck, training_kernels
from nbrnn.network.buffers import set_states_before, states_before


def errors(corpus, **settings):
    """Return the largest error of each parameter in each case."""
    differences = gradcheck.gradcheck(corpus, RunConfig(**{"hidden": 5, **settings}))
    return {(d.parameter, d.case): d.largest for d in differences}


@pytest.mark.parametrize("sigma", [0.01, 0.1, 0.3])
def test_every_weight_is_below_1e_6_in_every_case(corpus, sigma):
    found = errors(corpus, sigma=sigma)
    assert len(found) == 5 * 3
    assert max(found.values()) < 1e-6


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("loss", ["sum", "mean"])
@pytest.mark.parametrize("init", ["normal", "scaled", "orthogonal"])
def test_every_weight_is_right_for_all_kinds_of_runs(corpus, batch, loss, init):
    found = errors(corpus, hidden=3, seq_length=5, batch=batch, loss=loss, init=init)
    assert len(found) == 5 * 3
    assert max(found.values()) < 1e-6


def plant(monkeypatch, bug):
    """Let a function change the gradient of a window after it was computed."""
    right = training_kernels.loss_gradient

    def wrong(theta, gradient, work, codes, starts, scale):
        right(theta, gradient, work, codes, starts, scale)
        bug(gradient, theta, work, codes[starts[0] :])

    monkeypatch.setattr(training_kernels, "loss_gradient", wrong)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("factor", [2, 1.0001])
def test_a_gradient_of_another_scale_is_found(corpus, monkeypatch, batch, factor):
    def scaled(gradient, theta, work, codes):
        gradient.flat[:] *= factor

    plant(monkeypatch, scaled)
    found = errors(corpus, hidden=3, seq_length=5, batch=batch, loss="mean")
    assert min(found.values()) > 1e-6


def test_of_several_windows_each_is_read_from_its_own_state(corpus, monkeypatch):
    right = training_kernels.loss_gradient

    def wrong(theta, gradient, work, *windows):
        set_states_before(work, states_before(work)[:, :, ::-1])
        right(theta, gradient, work, *windows)

    monkeypatch.setattr(training_kernels, "loss_gradient", wrong)
    found = {case for (_, case), error in errors(corpus, batch=3).items() if error > 1e-6}
    assert found == {"h0 random", "second window"}


def test_all_weights_are_checked(corpus):
    K = len(corpus.alphabet)
    told = []
    config = RunConfig(hidden=5, seq_length=5)
    differences = gradcheck.gradcheck(corpus, config, progress=lambda *now: told.append(now))
    weights = {d.parameter: d.weights for d in differences}
    total = len(gradcheck.CASES) * sum(weights.values())
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert weights == {"W": 25, "U": 5 * K, "V": 5 * K, "b": 5, "c": K}


def drop_first_state_from_dW(gradient, theta, work, codes):
    (dW,), (da,), (h,) = gradient.layers[0].W, work.layers[0].dz, work.layers[0].s
    dW -= np.outer(da[0, : len(dW)], h[0])


def forget_bias(gradient, theta, work, codes):
    gradient.layers[0].b[...] = 0


def forget_last_input(gradient, theta, work, codes):
    (dW,), (da,), (h,) = gradient.layers[0].W, work.layers[0].dz, work.layers[0].s
    dW -= np.outer(da[-1, : len(dW)], h[-2])


@pytest.mark.parametrize(
    ("bug", "parameter", "cases"),
    [
        (drop_first_state_from_dW, "W", ("h0 random", "second window")),
        (forget_bias, "b", gradcheck.CASES),
        (forget_last_input, "W", gradcheck.CASES),
    ],
)
def test_a_planted_bug_is_found(corpus, monkeypatch, bug, parameter, cases):
    plant(monkeypatch, bug)
    found = {key for key, error in errors(corpus).items() if error > 1e-6}
    assert found == {(parameter, case) for case in cases}


def test_a_gradient_that_is_no_number_is_all_wrong(corpus, monkeypatch):
    def break_two(gradient, theta, work, codes):
        gradient.V[0, 0] = np.nan
        gradient.layers[0].W[0, 0, 0] = np.inf

    plant(monkeypatch, break_two)
    found = errors(corpus)
    assert {key[0] for key, error in found.items() if error == 1} == {"V", "W"}


@pytest.mark.parametrize("batch", [1, 3])
def test_numerical_differences_agree_with_the_naive_gradient(corpus, batch):
    """What the check compares with is itself right, whatever the kernels' gradient says."""
    config = RunConfig(hidden=3, seq_length=4, batch=batch, loss="mean", dtype="float64")
    layout = gradcheck.Layout(3, len(corpus.alphabet), np.dtype(float))
    theta = layout.initial(np.random.default_rng(0), 0.1)
    named = {name: np.array(a) for name, a in layout.named(theta).items()}
    expected = {name: np.zeros_like(array) for name, array in named.items()}
    for b in range(batch):
        x = corpus.codes[b * (4999 // batch) :]
        _, gradient, _ = naive.gradients(named, x[:4], x[1:5], np.zeros(3))
        for name, g in gradient.items():
            expected[name] += g / (4 * batch)
    windows = gradcheck.windows_of(corpus, config, layout, theta, "h0 = 0")
    for name, indices in gradcheck.flat_indices(layout).items():
        nonsense = np.full(indices.size, 7.0)
        numerical = gradcheck.numerical_gradient(theta, windows, indices.ravel(), nonsense, Event())
        assert np.abs(numerical - expected[name].ravel()).max() < 1e-3 * windows.scale


@pytest.mark.parametrize(("batch", "least"), [(1, 51), (3, 151)])
def test_a_text_of_less_than_two_windows_is_refused(batch, least):
    config = RunConfig(hidden=5, batch=batch)
    with pytest.raises(CorpusError, match=f"at least {least}"):
        gradcheck.gradcheck(Corpus.from_text("ab" * (least // 2), "short"), config)
