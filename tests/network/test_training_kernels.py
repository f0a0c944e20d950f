"""The driving kernels against the naive program."""

import math

import naive
import numpy as np
import pytest
from small_training import Setup, distance

from nbrnn.network import sampling_kernels, training_kernels
from nbrnn.network.buffers import Carry, Sampling, set_states_before, window_work
from nbrnn.network.layout import NAMES

# Two correct programs part ways: with eta = 0.1 and epsilon = 1e-8 AdaGrad's first steps have the
# size eta whatever the gradient, which enlarges the last bit's difference about ten times at each
# update where m is large. So trajectories of 300 updates are compared where they are not chaotic,
# and with m = 100 at full eta every single update from the kernel's own state.
NOJIT = pytest.mark.nojit
CALM = [
    pytest.param(20, 25, 0.1, id="m=20"),
    pytest.param(7, 3, 0.1, id="m=7 T=3", marks=NOJIT),
    pytest.param(1, 1, 0.1, id="m=1 T=1", marks=NOJIT),
    pytest.param(100, 25, 0.01, id="m=100 eta=0.01"),
    pytest.param(33, 10, 0.01, id="m=33 T=10 eta=0.01"),
]


@pytest.mark.parametrize(("m", "T", "eta"), CALM)
def test_300_updates_across_an_epochs_end_are_those_of_the_naive_program(corpus, m, T, eta):
    setup = Setup(corpus, m, T)
    setup.codes = setup.codes[: 140 * T + 7]  # 140 updates an epoch
    theta = setup.named(setup.theta)
    losses, smooths = setup.train(300, eta)
    memory, naive_losses, naive_smooths, h = naive.train(theta, setup.codes, 300, T, eta)
    assert distance(losses, naive_losses) < 1e-10
    assert distance(smooths, naive_smooths) < 1e-10
    assert distance(setup.h[0, :m], h) < 1e-10
    for name in NAMES:
        assert distance(setup.named(setup.theta)[name], theta[name]) < 1e-10
        assert distance(setup.named_memory()[name], memory[name]) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_each_of_300_updates_at_full_size_is_the_naive_one_from_the_same_state(corpus, dtype):
    setup = Setup(corpus, 100, 25, dtype)
    setup.codes = setup.codes[:3500]
    # float32: an element with a gradient near 0 may step by eta in either direction, so that
    # parameters are compared where the gradient is above rounding; losses to 7 digits
    tolerance = {"float64": 1e-10, "float32": 2e-4}[dtype]
    for update in range(300):
        start = update % 139 * 25
        theta, memory = setup.named(setup.theta), setup.named_memory()
        h = np.array(setup.h[0, :100], float) if start else np.zeros(100)
        x, y = setup.codes[start : start + 25], setup.codes[start + 1 : start + 26]
        loss, grad, h = naive.gradients(theta, x, y, h)
        losses, _ = setup.train(1)
        assert losses[0] == pytest.approx(loss, rel=max(tolerance / 10, 1e-13))
        assert distance(setup.h[0, :100], h) < tolerance
        for name, g in grad.items():
            g = np.clip(g, -5, 5)
            G = memory[name] + g * g
            expected = theta[name] - 0.1 * g / np.sqrt(G + 1e-8)
            sure = (np.abs(g) > 1e-3) | (g == 0)
            actual = setup.named(setup.theta)[name]
            if dtype == "float64":
                assert distance(setup.named_memory()[name], G) < tolerance
                assert np.abs(actual - expected).max() < 1e-9
            else:
                assert np.abs(actual - expected)[sure].max(initial=0) < 5e-3


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("m", [1, 13, 32, 33, 100])  # none to spare, remainders of all products
def test_a_gradient_used_again_holds_nothing_of_the_window_before(corpus, m, dtype):
    setup, tolerance = Setup(corpus, m, 25, dtype), {"float64": 1e-12, "float32": 1e-5}[dtype]
    theta, h0, real = setup.named(setup.theta), np.full(m, 0.5), setup.layout.dtype.type
    for start, length in ((0, 25), (50, 25), (200, 4), (90, 25), (300, 1), (17, 9)):
        window = window_work(setup.layout, length)
        set_states_before(window, h0[None, None, None])
        codes, zero = setup.codes[start : start + length + 1], np.zeros(1, int)
        arguments = setup.theta, setup.gradient, window, codes, zero, real(1)
        loss, actual = training_kernels.loss_gradient(*arguments), setup.named(setup.gradient)
        expected_loss, expected, _ = naive.gradients(theta, codes[:-1], codes[1:], h0)
        assert loss == pytest.approx(expected_loss, rel=tolerance)
        assert not actual["U"][:, np.setdiff1d(np.arange(setup.layout.K), codes[:-1])].any()
        assert set(codes[:-1]) <= set(setup.gradient.rows)
        for name in NAMES:
            assert distance(actual[name], expected[name]) < tolerance


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_padding_stays_exactly_zero(corpus, dtype):
    setup = Setup(corpus, 20, 25, dtype)
    setup.train(200)
    for array in (
        *setup.theta.layers[0],
        setup.theta.V,
        *setup.layout.views(setup.memory).layers[0],
        setup.h,
    ):
        assert array.shape[-1] == {"float64": 24, "float32": 32}[dtype]
        assert not array[..., 20:].any()


def test_updates_may_be_cut_into_calls_anyhow(corpus):
    whole, cut = Setup(corpus, 20, 25, "float32"), Setup(corpus, 20, 25, "float32")
    losses, smooths = whole.train(230)
    parts = [cut.train(n) for n in (1, 1, 7, 100, 121)]
    assert np.array_equal(losses, np.concatenate([part[0] for part in parts]))
    assert np.array_equal(smooths, np.concatenate([part[1] for part in parts]))
    assert np.array_equal(whole.theta.flat, cut.theta.flat)
    assert np.array_equal(whole.memory, cut.memory)


def test_the_best_model_is_the_one_with_the_lowest_smooth_loss_at_an_evaluation(corpus):
    setup = Setup(corpus, 10, 25)
    _, smooths = setup.train(950)
    best_smooth, best_update = setup.carry.best_smooth, setup.carry.best_update
    evaluations = [1, *range(100, 951, 100)]
    assert best_update == min(evaluations, key=lambda u: smooths[u - 1])
    assert best_smooth == smooths[best_update - 1]
    again = Setup(corpus, 10, 25)
    again.train(best_update)
    assert np.array_equal(again.theta.flat, setup.best)
    assert np.array_equal(again.h[0], setup.best_state[0, 0, 0])


@NOJIT
def test_an_evaluation_that_finds_no_better_loss_keeps_the_best(corpus):
    setup = Setup(corpus, 5, 4)
    before, setup.carry = setup.best.copy(), Carry(199, 2.0, 1e-9, 5)
    setup.train(1)
    assert (setup.carry.best_smooth, setup.carry.best_update) == (1e-9, 5)
    assert np.array_equal(setup.best, before)


@pytest.mark.parametrize("value", [pytest.param(math.nan, marks=NOJIT), math.inf, 1e30])
def test_training_stops_before_a_loss_without_meaning(corpus, value):
    setup = Setup(corpus, 10, 25, "float32")
    setup.theta.V[0, 0] = value
    before = setup.theta.flat.copy()
    setup.train_until_diverged(5)
    assert setup.carry.update == 0
    assert np.array_equal(setup.theta.flat, before, equal_nan=True)


# ---------------------------------------------------------------- sampling


def drawn(logits, uniform, temperature=1.0, top_k=0, top_p=1.0):
    sampling = Sampling(float(temperature), top_k, top_p)
    return sampling_kernels.draw(np.array(logits, float), uniform, sampling)


@NOJIT
def test_characters_are_drawn_by_their_probability():
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    uniforms = (np.arange(1000) + 0.5) / 1000
    counts = np.bincount([drawn(np.log(weights), u) for u in uniforms], minlength=4)
    assert np.abs(counts - 1000 * weights).max() <= 1


@NOJIT
def test_temperature_sharpens_and_at_zero_takes_the_likeliest():
    logits = [0.0, 1.0, 0.5]
    assert {drawn(logits, u, temperature=0) for u in np.linspace(0, 0.999, 50)} == {1}
    uniforms = (np.arange(1000) + 0.5) / 1000
    counts = np.bincount([drawn(logits, u, temperature=0.5) for u in uniforms], minlength=3)
    expected = np.exp(np.array(logits) / 0.5)
    assert np.abs(counts - 1000 * expected / expected.sum()).max() <= 1
    assert drawn(logits, 0.5, temperature=1e-300) == 1


@NOJIT
def test_top_k_and_top_p_cut_the_unlikely():
    logits = np.log([0.1, 0.4, 0.3, 0.2])
    uniforms = np.linspace(0, 0.9999, 400)
    assert {drawn(logits, u, top_k=1) for u in uniforms} == {1}
    assert {drawn(logits, u, top_k=2) for u in uniforms} == {1, 2}
    assert {drawn(logits, u, top_k=9) for u in uniforms} == {0, 1, 2, 3}
    assert {drawn(logits, u, top_p=0.3) for u in uniforms} == {1}
    assert {drawn(logits, u, top_p=0.6) for u in uniforms} == {1, 2}
    assert {drawn(logits, u, top_p=0.85) for u in uniforms} == {1, 2, 3}
    # of the three likeliest (4/9, 3/9, 2/9) two make up 0.75
    assert {drawn(logits, u, top_k=3, top_p=0.75) for u in uniforms} == {1, 2}
    # rounding may leave a little beyond the last character: it is that one then
    assert drawn(np.log([0.5, 0.5]), 1.0) == 1
    weights = np.array([0.0, 1.0, 0.0])
    sampling_kernels.keep_likeliest(weights, 3, 1.1)
    assert weights.tolist() == [0, 1, 0]


@NOJIT
def test_sampling_feeds_each_character_back(corpus):
    setup = Setup(corpus, 10, 25, sigma=1)  # so that characters are far from equally likely
    theta = setup.named(setup.theta)
    uniforms = np.random.default_rng(0).random(50)
    _, states, _ = naive.forward(theta, corpus.codes[2:3], [0], np.zeros(10))  # before the last of prime
    expected = naive.sample(theta, corpus.codes[3], states[-1], uniforms)
    text = np.empty(50, np.int32)
    work = window_work(setup.layout, 1)
    sampling_kernels.sample(setup.theta, work, corpus.codes[2:4], uniforms, Sampling(), text)
    assert text.tolist() == expected


@NOJIT
def test_evaluation_hands_the_state_on_and_takes_the_short_last_window(corpus):
    setup = Setup(corpus, 10, 25)
    codes = corpus.codes[:113]
    expected, _, _ = naive.forward(setup.named(setup.theta), codes[:-1], codes[1:], np.zeros(10))
    assert sampling_kernels.evaluate(setup.theta, setup.work, codes) == pytest.approx(
        expected, rel=1e-13
    )


@NOJIT
def test_numerical_gradient_is_that_of_the_naive_loss(corpus):
    setup = Setup(corpus, 5, 4)
    x, y, step = corpus.codes[:4], corpus.codes[1:5], 1e-3
    indices = np.arange(3, setup.theta.flat.size, 7)
    gradient = np.empty(indices.size)
    training_kernels.numerical_gradient(
        setup.theta, setup.work, corpus.codes[:5], indices, step, gradient
    )
    _, expected, _ = naive.gradients(setup.named(setup.theta), x, y, np.zeros(5))
    assert distance(gradient, setup.layout.pack(expected).flat[indices]) < 1e-8
