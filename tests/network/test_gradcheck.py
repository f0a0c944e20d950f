"""The gradient check passes on the right gradient and finds planted bugs."""

from threading import Event

import naive
import numpy as np
import pytest

from nbrnn.corpus import Corpus
from nbrnn.errors import CorpusError
from nbrnn.network import gradcheck, rnn


def errors(corpus, m=5, **options):
    """Return the largest error of each parameter in each case."""
    differences = gradcheck.gradcheck(corpus, m, **options)
    return {(d.parameter, d.case): d.largest for d in differences}


@pytest.mark.parametrize("sigma", [0.01, 0.1, 0.3])
def test_every_weight_is_below_1e_6_in_every_case(corpus, sigma):
    found = errors(corpus, sigma=sigma)
    assert len(found) == 5 * 3
    assert max(found.values()) < 1e-6


def test_all_weights_are_checked(corpus):
    K = len(corpus.alphabet)
    told = []
    differences = gradcheck.gradcheck(corpus, 5, seq_length=5, progress=lambda *now: told.append(now))
    weights = {d.parameter: d.weights for d in differences}
    total = len(gradcheck.CASES) * sum(weights.values())
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert weights == {"W": 25, "U": 5 * K, "V": 5 * K, "b": 5, "c": K}


def drop_first_state_from_dW(grad, theta, h, da):
    grad.W[...] -= np.outer(da[0, : grad.W.shape[0]], h[0])


def forget_bias(grad, theta, h, da):
    grad.b[...] = 0


def forget_last_input(grad, theta, h, da):
    grad.W[...] -= np.outer(da[-1, : grad.W.shape[0]], h[-2])


@pytest.mark.parametrize(
    ("bug", "parameter", "cases"),
    [
        (drop_first_state_from_dW, "W", ("h0 random", "second window")),
        (forget_bias, "b", gradcheck.CASES),
        (forget_last_input, "W", gradcheck.CASES),
    ],
)
def test_a_planted_bug_is_found(corpus, monkeypatch, bug, parameter, cases):
    backward = rnn.backward

    def wrong(theta, grad, x, h, do, da):
        backward(theta, grad, x, h, do, da)
        bug(grad, theta, h, da)

    monkeypatch.setattr(rnn, "backward", wrong)
    found = {key for key, error in errors(corpus).items() if error > 1e-6}
    assert found == {(parameter, case) for case in cases}


def test_a_gradient_that_is_no_number_is_all_wrong(corpus, monkeypatch):
    backward = rnn.backward

    def wrong(theta, grad, x, h, do, da):
        backward(theta, grad, x, h, do, da)
        grad.V[0, 0] = np.nan
        grad.W[0, 0] = np.inf

    monkeypatch.setattr(rnn, "backward", wrong)
    found = errors(corpus)
    assert {key[0] for key, error in found.items() if error == 1} == {"V", "W"}


def test_a_forgotten_tanh_derivative_is_found(corpus, monkeypatch):
    def wrong(theta, grad, x, h, do, da):
        m = grad.W.shape[0]
        grad.flat[:] = 0
        for t in reversed(range(len(x))):
            grad.V[...] += np.outer(do[t], h[t + 1])
            grad.c[...] += do[t]
            da[t] = do[t] @ theta.V  # and not times 1 - h^2
            if t + 1 < len(x):
                da[t] += theta.W.T @ da[t + 1, :m]
            grad.W[...] += np.outer(da[t, :m], h[t])
            grad.U[x[t]] += da[t]
            grad.b[...] += da[t]

    monkeypatch.setattr(rnn, "backward", wrong)
    found = {key[0] for key, error in errors(corpus, sigma=0.5).items() if error > 1e-6}
    assert found == {"W", "U", "b"}


def test_numerical_differences_agree_with_the_naive_gradient(corpus):
    """What the check compares with is itself right, whatever the kernels' gradient says."""
    x, y = corpus.codes[:4], corpus.codes[1:5]
    layout = gradcheck.Layout(3, len(corpus.alphabet), np.dtype(float))
    theta, work = layout.initial(0.1, np.random.default_rng(0)), layout.work(4)
    named = {name: np.array(a) for name, a in layout.named(theta).items()}
    _, expected, _ = naive.gradients(named, x, y, np.zeros(3))
    for name, indices in gradcheck.flat_indices(layout).items():
        nonsense = np.full(indices.size, 7.0)
        numerical = gradcheck.numerical_gradient(
            theta, work, corpus.codes[:5], indices.ravel(), nonsense, Event()
        )
        assert np.abs(numerical - expected[name].ravel()).max() < 1e-3


def test_a_text_of_less_than_two_windows_is_refused():
    with pytest.raises(CorpusError, match="at least 51"):
        gradcheck.gradcheck(Corpus.from_text("ab" * 25, "short"), 5)
