"""The compiled kernels against NumPy, automatic differentiation and exact arithmetic."""

import math
import os
from concurrent.futures import ThreadPoolExecutor

import naive
import numpy as np
import pytest

from nbrnn.network import kernels
from nbrnn.network.params import NAMES, Layout

# Two correct programs part ways: with eta = 0.1 and epsilon = 1e-8 AdaGrad's first steps have the
# size eta whatever the gradient, which enlarges the last bit's difference about ten times at each
# update where m is large. So trajectories of 300 updates are compared where they are not chaotic,
# and with m = 100 at full eta every single update from the kernel's own state.
CALM = [
    pytest.param(20, 25, 0.1, id="m=20"),
    pytest.param(7, 3, 0.1, id="m=7 T=3"),
    pytest.param(1, 1, 0.1, id="m=1 T=1"),
    pytest.param(100, 25, 0.01, id="m=100 eta=0.01"),
    pytest.param(33, 10, 0.01, id="m=33 T=10 eta=0.01"),
]


class Setup:
    def __init__(self, corpus, m, T, dtype="float64", sigma=0.1):
        self.codes, self.T = corpus.codes, T
        self.layout = Layout(m, len(corpus.alphabet), np.dtype(dtype))
        self.theta = self.layout.initial(sigma, np.random.default_rng(1))
        self.G, self.grad, self.best = (self.layout.parameters() for _ in range(3))
        self.work = self.layout.work(T)
        self.smooth, self.done = math.nan, 0

    def train(self, updates, eta=0.1, epsilon=1e-8, clip=5.0):
        real = self.layout.dtype.type
        losses, smooths = np.empty(updates), np.empty(updates)
        settings = real(eta), real(epsilon), real(clip)
        done, _, _ = kernels.train(
            self.theta, self.G, self.grad, self.best, self.work, self.codes, self.done,
            *settings, self.smooth, math.inf, losses, smooths,
        )  # fmt: skip
        assert done == updates
        self.smooth, self.done = smooths[-1], self.done + updates
        return losses, smooths

    def named(self, parameters):
        return {name: np.array(a, float) for name, a in self.layout.named(parameters).items()}


def distance(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.mark.parametrize(("m", "T", "eta"), CALM)
def test_300_updates_across_an_epochs_end_are_those_of_the_naive_program(corpus, m, T, eta):
    setup = Setup(corpus, m, T)
    setup.codes = setup.codes[: 140 * T + 7]  # 140 updates an epoch
    theta = setup.named(setup.theta)
    losses, smooths = setup.train(300, eta)
    memory, naive_losses, naive_smooths, h = naive.train(theta, setup.codes, 300, T, eta)
    assert distance(losses, naive_losses) < 1e-10
    assert distance(smooths, naive_smooths) < 1e-10
    assert distance(setup.work.h[0, :m], h) < 1e-10
    for name in NAMES:
        assert distance(setup.named(setup.theta)[name], theta[name]) < 1e-10
        assert distance(setup.named(setup.G)[name], memory[name]) < 1e-10


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_each_of_300_updates_at_full_size_is_the_naive_one_from_the_same_state(corpus, dtype):
    setup = Setup(corpus, 100, 25, dtype)
    setup.codes = setup.codes[:3500]
    # float32: an element with a gradient near 0 may step by eta in either direction, so that
    # parameters are compared where the gradient is above rounding; losses to 7 digits
    tolerance = {"float64": 1e-10, "float32": 2e-4}[dtype]
    for update in range(300):
        start = update % 139 * 25
        theta, memory = setup.named(setup.theta), setup.named(setup.G)
        h = np.array(setup.work.h[0, :100], float) if start else np.zeros(100)
        x, y = setup.codes[start : start + 25], setup.codes[start + 1 : start + 26]
        loss, grad, h = naive.gradients(theta, x, y, h)
        losses, _ = setup.train(1)
        assert losses[0] == pytest.approx(loss, rel=max(tolerance / 10, 1e-13))
        assert distance(setup.work.h[0, :100], h) < tolerance
        for name, g in grad.items():
            g = np.clip(g, -5, 5)
            G = memory[name] + g * g
            expected = theta[name] - 0.1 * g / np.sqrt(G + 1e-8)
            sure = (np.abs(g) > 1e-3) | (g == 0)
            actual = setup.named(setup.theta)[name]
            if dtype == "float64":
                assert distance(setup.named(setup.G)[name], G) < tolerance
                assert np.abs(actual - expected).max() < 1e-9
            else:
                assert np.abs(actual - expected)[sure].max(initial=0) < 5e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("m", "T"),  # no unit to spare and many, one character and many, remainders of all products
    [(1, 1), (1, 25), (5, 2), (32, 2), (33, 1), (33, 25), (100, 1), (100, 25)],
)
def test_loss_and_gradients_are_those_of_automatic_differentiation(corpus, m, T):
    import jax  # here, because it takes seconds; not optional

    jax.config.update("jax_enable_x64", True)
    np_ = jax.numpy
    setup = Setup(corpus, m, T, sigma=0.3 if m < 50 else 0.1)
    x, y = setup.codes[:T], setup.codes[1 : T + 1]
    h0 = np.random.default_rng(0).uniform(-1, 1, m)

    def loss_of(theta):
        h, loss = h0, 0.0
        for t in range(T):
            h = np_.tanh(theta["W"] @ h + theta["U"][:, x[t]] + theta["b"])
            loss -= jax.nn.log_softmax(theta["V"] @ h + theta["c"])[y[t]]
        return loss

    rng = np.random.default_rng(2)
    theta = {k: v + 0.1 * rng.standard_normal(v.shape) for k, v in setup.named(setup.theta).items()}
    expected_loss, expected = jax.value_and_grad(loss_of)(theta)
    loss, grad = kernel_gradient(setup, theta, h0, x, y)
    assert loss == pytest.approx(float(expected_loss), rel=1e-12)
    for name in NAMES:
        assert distance(grad[name], np.asarray(expected[name])) < 1e-10


def kernel_gradient(setup, theta, h0, x, y):
    packed, grad, work = setup.layout.pack(theta), setup.grad, setup.work
    work.h[0, : h0.size] = h0
    kernels.forward(packed, x, work.h, work.p)
    kernels.softmax_loss(work.p, y, work.losses)
    kernels.backward(packed, grad, x, work.h, work.p, work.da)
    return work.losses.sum(), setup.named(grad)


def test_the_naive_gradient_is_that_of_the_kernels_too(corpus):
    setup = Setup(corpus, 13, 9)
    theta, h0 = setup.named(setup.theta), np.full(13, 0.5)
    x, y = setup.codes[:9], setup.codes[1:10]
    loss, grad = kernel_gradient(setup, theta, h0, x, y)
    naive_loss, naive_grad, _ = naive.gradients(theta, x, y, h0)
    assert loss == pytest.approx(naive_loss, rel=1e-13)
    for name in NAMES:
        assert distance(grad[name], naive_grad[name]) < 1e-12


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_padding_stays_exactly_zero(corpus, dtype):
    setup = Setup(corpus, 20, 25, dtype)
    setup.train(200)
    for array in (setup.theta.W, setup.theta.U, setup.theta.V, setup.G.W, setup.work.h):
        assert array.shape[-1] == {"float64": 24, "float32": 32}[dtype]
        assert not array[:, 20:].any()


def test_updates_may_be_cut_into_calls_anyhow(corpus):
    whole, cut = Setup(corpus, 20, 25, "float32"), Setup(corpus, 20, 25, "float32")
    losses, smooths = whole.train(230)
    parts = [cut.train(n) for n in (1, 1, 7, 100, 121)]
    assert np.array_equal(losses, np.concatenate([part[0] for part in parts]))
    assert np.array_equal(smooths, np.concatenate([part[1] for part in parts]))
    assert np.array_equal(whole.theta.flat, cut.theta.flat)
    assert np.array_equal(whole.G.flat, cut.G.flat)


def test_the_best_model_is_the_one_with_the_lowest_smooth_loss_at_a_look(corpus):
    setup = Setup(corpus, 10, 25)
    losses, smooths = np.empty(950), np.empty(950)
    _, best_smooth, best_update = kernels.train(
        setup.theta, setup.G, setup.grad, setup.best, setup.work, setup.codes, 0,
        0.1, 1e-8, 5.0, math.nan, math.inf, losses, smooths,
    )  # fmt: skip
    looks = [1, *range(100, 951, 100)]
    assert best_update == min(looks, key=lambda u: smooths[u - 1])
    assert best_smooth == smooths[best_update - 1]
    again = Setup(corpus, 10, 25)
    again.train(best_update)
    assert np.array_equal(again.theta.flat, setup.best.flat)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_training_stops_before_a_loss_without_meaning(corpus, value):
    setup = Setup(corpus, 10, 25, "float32")
    setup.theta.V[0, 0] = value
    before = setup.theta.flat.copy()
    losses = np.empty(5)
    done, _, _ = kernels.train(
        setup.theta, setup.G, setup.grad, setup.best, setup.work, setup.codes, 0,
        np.float32(0.1), np.float32(1e-8), np.float32(5), math.nan, math.inf, losses, losses,
    )  # fmt: skip
    assert done == 0
    assert np.array_equal(setup.theta.flat, before, equal_nan=True)


# ---------------------------------------------------------------- elementary functions


def ulps(actual, exact, dtype):
    """Return the error in units of the last place of the exact value."""
    return np.abs(actual.astype(exact.dtype) - exact) / np.spacing(np.abs(exact).astype(dtype))


def largest_over_float32(first, last, every, measure):
    """Return the largest of what is measured of every so-manieth positive float32 from first to last."""
    start, end = (int(np.float32(x).view(np.uint32)) for x in (first, last))
    chunk = every << 17

    def of_a_chunk(low):
        bits = np.arange(low, min(low + chunk, end + 1), every, dtype=np.uint32)
        return measure(bits.view(np.float32))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return np.max(list(threads.map(of_a_chunk, range(start, end + 1, chunk))))  # NaN is the largest


def applied(kernel, x):
    """Return what a kernel, which works in place, makes of x."""
    y = x.copy()
    kernel(y)
    return y


def steps(a, b):
    """Return how many float32 lie between a and b, of the same sign."""
    return np.abs(a.view(np.int32) - b.view(np.int32))


# Over all float32, both signs of tanh: a reference is computed only where one is needed.
EVERY = pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 997])


@EVERY
def test_float32_tanh_is_within_4_ulp_over_all_numbers(every):
    def from_itself(x):  # tanh x = x (1 - x^2/3 + ...): nearer to x than a third of an ulp
        return max(steps(applied(kernels.tanh, sign * x), sign * x).max() for sign in (1, -1))

    def from_the_exact(x):
        exact = np.tanh(x.astype(np.float64))
        both = applied(kernels.tanh, x), -applied(kernels.tanh, -x)
        assert np.max(both) <= 1
        return np.max([ulps(y, exact, np.float32) for y in both])

    def from_one(x):  # tanh x > 1 - 2^-25, which is 1 when rounded
        return max(
            steps(sign * applied(kernels.tanh, sign * x), np.float32(1)).max() for sign in (1, -1)
        )

    smallest, infinity = np.float32(1e-45), np.float32(np.inf)
    small, large = np.float32(2**-12), np.float32(9.1)
    assert applied(kernels.tanh, np.float32([0, -0.0])).tolist() == [0, 0]
    assert largest_over_float32(smallest, small, every, from_itself) <= 3
    assert largest_over_float32(small, large, every, from_the_exact) < 4  # 3.2 with FMA
    assert largest_over_float32(large, infinity, every, from_one) == 0


@EVERY
def test_float32_exp_is_within_2_ulp_over_all_numbers(every):
    lowest = -np.log(np.finfo(np.float32).tiny)  # of the normal numbers, taken for all below
    at_lowest = applied(kernels.exp, np.float32([-lowest]))[0]

    def from_one(x):  # 1 - 2^-25 <= exp(-x) <= 1
        return steps(applied(kernels.exp, -x), np.float32(1)).max()

    def from_the_exact(x):
        y = applied(kernels.exp, -x)
        assert np.max(y) <= 1
        return ulps(y, np.exp(-np.minimum(x, lowest).astype(np.float64)), np.float32).max()

    def from_the_lowest(x):
        return steps(applied(kernels.exp, -x), at_lowest).max()

    small, large = np.float32(2**-25), np.nextafter(lowest, np.float32(np.inf))
    assert largest_over_float32(0, small, every, from_one) == 0
    assert largest_over_float32(small, large, every, from_the_exact) < 2  # 1.2 with FMA
    assert largest_over_float32(large, np.inf, every, from_the_lowest) == 0


def test_float64_exp_and_tanh_are_within_a_few_ulp():
    x = np.concatenate([-np.geomspace(1e-300, 700, 400_001), np.geomspace(1e-300, 700, 400_001)])
    wide = x.astype(np.longdouble)
    a = x[:400_001].copy()
    kernels.exp(a)
    assert ulps(a, np.exp(wide[:400_001]), np.float64).max() < 2
    a = x.copy()
    kernels.tanh(a)
    assert ulps(a, np.tanh(wide), np.float64).max() < 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elementary_functions_at_the_edges(dtype):
    a = np.array([0, -np.inf, -1e30, np.nan], dtype)
    kernels.exp(a)
    assert a[0] == 1
    assert 0 <= a[1] <= np.finfo(dtype).tiny * 1.01
    assert 0 <= a[2] <= np.finfo(dtype).tiny * 1.01
    assert np.isnan(a[3])
    a = np.array([0, np.inf, -np.inf, np.nan], dtype)
    kernels.tanh(a)
    assert a[:3].tolist() == [0, 1, -1]
    assert np.isnan(a[3])


# ---------------------------------------------------------------- products


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 19, 20, 25, 45])
@pytest.mark.parametrize("inner", [1, 2, 4, 5, 6, 9, 10, 13])
@pytest.mark.parametrize("columns", [16, 32, 112])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-4)])
def test_products_of_all_remainders(rows, inner, columns, dtype, tolerance):
    rng = np.random.default_rng(rows * 100 + inner)

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def check(actual, expected):
        assert np.allclose(actual, expected, rtol=0, atol=tolerance)

    A, B, C = normal(rows, inner), normal(inner, columns), normal(rows, columns)
    kernels.matmul(C, np.asfortranarray(A), B)
    check(C, A @ B)

    D, E = normal(rows, columns), normal(inner, columns)
    for upwards in (True, False):
        F = normal(inner + 1, rows)
        expected = F.copy()
        expected[1:] += E @ D.T
        kernels.add_matvecs(F, 1, D, E, 0, inner, upwards)
        check(F, expected)

        x, y = normal(2, rows), normal(2, columns)
        expected = y.copy()
        expected[0] += x[1] @ D
        kernels.add_vecmat(y, 0, x, 1, D, upwards)
        check(y, expected)


@kernels.jit
def products_of_rows(C, A, B):
    kernels.add_dots(4, C, 0, A, 0, B, 0)


def test_rows_that_are_not_contiguous_do_not_compile():
    A, B, C = np.ones((4, 8)), np.ones((1, 8)), np.zeros((1, 4))
    products_of_rows(C, A, B)
    assert C.tolist() == [[8.0] * 4]
    with pytest.raises(TypeError, match="contiguous"):
        products_of_rows(C, np.asfortranarray(A), B)


# ---------------------------------------------------------------- sampling


def drawn(logits, uniform, temperature=1.0, top_k=0, top_p=1.0):
    return kernels.draw(np.array(logits, float), uniform, temperature, top_k, top_p)


def test_characters_are_drawn_by_their_probability():
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    uniforms = (np.arange(1000) + 0.5) / 1000
    counts = np.bincount([drawn(np.log(weights), u) for u in uniforms], minlength=4)
    assert np.abs(counts - 1000 * weights).max() <= 1


def test_temperature_sharpens_and_at_zero_takes_the_likeliest():
    logits = [0.0, 1.0, 0.5]
    assert {drawn(logits, u, temperature=0) for u in np.linspace(0, 0.999, 50)} == {1}
    uniforms = (np.arange(1000) + 0.5) / 1000
    counts = np.bincount([drawn(logits, u, temperature=0.5) for u in uniforms], minlength=3)
    expected = np.exp(np.array(logits) / 0.5)
    assert np.abs(counts - 1000 * expected / expected.sum()).max() <= 1
    assert drawn(logits, 0.5, temperature=1e-300) == 1


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


def test_sampling_feeds_each_character_back(corpus):
    setup = Setup(corpus, 10, 25)
    setup.train(100)
    theta = setup.named(setup.theta)
    h, x, expected = np.zeros(10), corpus.codes[3], []
    uniforms = np.random.default_rng(0).random(50)
    for n in range(-1, 50):  # one character of prime before the last
        _, hs, ps = naive.forward(theta, [corpus.codes[2] if n < 0 else x], [0], h)
        h = hs[-1]
        if n >= 0:
            x = int(np.searchsorted(np.cumsum(ps[0]), uniforms[n], side="right"))
            expected.append(x)
    text = np.empty(50, np.int32)
    start = np.zeros((2, setup.layout.M))
    kernels.sample(setup.theta, start, corpus.codes[2:4], uniforms, 1.0, 0, 1.0, text)
    assert text.tolist() == expected


def test_evaluation_hands_the_state_on_and_takes_the_short_last_window(corpus):
    setup = Setup(corpus, 10, 25)
    codes = corpus.codes[:113]
    expected, _, _ = naive.forward(setup.named(setup.theta), codes[:-1], codes[1:], np.zeros(10))
    assert kernels.evaluate(setup.theta, setup.work, codes) == pytest.approx(expected, rel=1e-13)


def test_numerical_gradient_is_that_of_the_naive_loss(corpus):
    setup = Setup(corpus, 5, 4)
    x, y, step = corpus.codes[:4], corpus.codes[1:5], 1e-3
    indices = np.arange(setup.theta.flat.size)
    gradient = np.empty(indices.size)
    kernels.numerical_gradient(setup.theta, indices, x, y, setup.work, step, gradient)
    filled = setup.layout.parameters()
    filled.flat[:] = gradient
    _, expected, _ = naive.gradients(setup.named(setup.theta), x, y, np.zeros(5))
    for name in NAMES:
        assert distance(setup.named(filled)[name], expected[name]) < 1e-8
