"""Every line of the kernels, as plain Python on tiny shapes: run with NUMBA_DISABLE_JIT=1.

Not found by a plain `pytest`: without compilation the other tests would take hours.
"""

import math

import naive
import numpy as np
import pytest
from numba import config
from small_training import in_order

from nbrnn.network import readout, sampling_kernels, training_kernels
from nbrnn.network.buffers import Carry, History, Plan, Sampling, training_buffers, window_work
from nbrnn.network.layout import NAMES, Layout
from nbrnn.network.optimizers import OPTIMIZERS, RULES, AdaGrad
from nbrnn.network.simd import matmul

m, K, T = 6, 5, 3
CODES = np.random.default_rng(0).integers(0, K, 14).astype(np.int32)  # 4 windows an epoch


@pytest.fixture(params=["float64", "float32"])
def layout(request):
    return Layout(m, K, np.dtype(request.param))


def named(layout, parameters):
    return {name: np.array(a, float) for name, a in layout.named(parameters).items()}


def test_compilation_is_off():
    assert config.DISABLE_JIT


def test_training_is_that_of_the_naive_program(layout):
    theta = layout.initial(np.random.default_rng(0), 0.1)
    buffers, real = training_buffers(layout, theta, T, memory=1), layout.dtype.type
    expected = named(layout, theta)
    losses, smooths, _ = history = History.empty(102, [1, 100])
    optimizer = AdaGrad(real(0.1), real(1e-8))
    plan = in_order(CODES, T, 1, 0, 102, real(0.1))
    done, smooth, best_smooth, best_update = training_kernels.train(
        buffers, optimizer, real(0.5), real(1), CODES, plan, Carry(), history
    )
    _, naive_losses, naive_smooths, _ = naive.train(expected, CODES, 102, T, clip=0.5)
    tolerance = {"float64": 1e-12, "float32": 1e-3}[layout.dtype.name]
    assert (done, smooth) == (102, smooths[-1])
    assert np.allclose(losses, naive_losses, rtol=tolerance)
    assert np.allclose(smooths, naive_smooths, rtol=tolerance)
    assert (best_smooth, best_update) == (smooths[99], 100)
    for name in NAMES:
        assert np.allclose(named(layout, theta)[name], expected[name], rtol=0, atol=tolerance)


@pytest.mark.parametrize("B", [1, 2])
def test_the_padding_of_a_document_counts_nothing(layout, B):
    codes = np.array([0, 2, 0, 0, 1, 3, 0], np.int32)  # two documents: 2, which is padded, and 1 3
    theta, real = layout.initial(np.random.default_rng(0), 0.1), layout.dtype.type
    expected, history = named(layout, theta), History.empty(1)
    windows = [(0, 2), (3, 6)][:B]
    found = [
        naive.gradients(expected, codes[a:b], codes[a + 1 : b + 1], np.zeros(m)) for a, b in windows
    ]
    starts = np.array([[start for start, _ in windows]])
    plan = Plan(starts, np.ones((1, B), np.bool_), np.full(1, real(0.1)), end=0)
    buffers = training_buffers(layout, theta, T, memory=1, B=B)
    optimizer, grad = AdaGrad(real(0.1), real(1e-8)), layout.gradient(T * B)
    loss = training_kernels.loss_gradient(theta, grad, buffers.work, codes, starts[0], real(1 / B), 0)
    training_kernels.train(buffers, optimizer, real(5), real(1 / B), codes, plan, Carry(), history)
    tolerance = {"float64": 1e-12, "float32": 1e-4}[layout.dtype.name]
    assert history.losses[0] == pytest.approx(sum(loss for loss, _, _ in found) / B, rel=tolerance)
    assert loss == history.losses[0]
    for name in NAMES:
        gradient = sum(own[name] for _, own, _ in found) / B
        assert np.allclose(named(layout, grad)[name], gradient, rtol=tolerance, atol=tolerance**2)
        memory = named(layout, layout.views(buffers.memory[0]))[name]
        assert np.allclose(memory, gradient**2, rtol=tolerance, atol=tolerance**2)


def test_an_evaluation_that_finds_no_better_loss_keeps_the_best(layout):
    theta = layout.initial(np.random.default_rng(0), 0.1)
    buffers, history = training_buffers(layout, theta, T, memory=1), History.empty(1, [8])
    before = buffers.best.copy()
    plan, carry = in_order(CODES, T, 1, 7, 1, 0.1), Carry(7, 2.0, 1e-9, 5)
    carry = training_kernels.train(buffers, AdaGrad(0.1, 1e-8), 5.0, 1.0, CODES, plan, carry, history)
    assert (carry.update, carry.best_smooth, carry.best_update) == (8, 1e-9, 5)
    assert (buffers.best == before).all()


def test_training_stops_at_nan(layout):
    theta = layout.initial(np.random.default_rng(0), 0.1)
    theta.c[0] = math.nan
    buffers, history = training_buffers(layout, theta, T, memory=1), History.empty(1)
    plan = in_order(CODES, T, 1, 0, 1, 0.1)
    carry = training_kernels.train(buffers, AdaGrad(0.1, 1e-8), 5.0, 1.0, CODES, plan, Carry(), history)
    assert carry.update == 0


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("B", [1, 2, 3])
def test_windows_at_once_have_the_naive_gradients(layout, name, B):
    layout = Layout(m, 20, layout.dtype)  # more characters than a vector has numbers
    theta = layout.initial(np.random.default_rng(0), 0.1)
    kind, real = OPTIMIZERS[name], layout.dtype.type
    buffers = training_buffers(layout, theta, T, len(RULES[kind].memory), B)
    codes = np.random.default_rng(0).integers(0, K, 40).astype(np.int32)
    plain, starts = named(layout, theta), np.array([0, 17, 30])[:B]
    expected = [
        naive.gradients(plain, codes[s : s + T], codes[s + 1 : s + T + 1], np.zeros(m)) for s in starts
    ]
    loss = training_kernels.loss_gradient(
        theta, buffers.gradient, buffers.work, codes, starts, real(0.25)
    )
    assert loss == pytest.approx(0.25 * sum(one[0] for one in expected), rel=1e-6)
    for parameter, g in named(layout, buffers.gradient).items():
        whole = sum(one[1][parameter] for one in expected)
        assert np.allclose(g, 0.25 * whole, rtol=0, atol=1e-6)
    history = History.empty(3, [1, 2])
    plan = in_order(codes, T, B, 0, 3, real(0.01))
    optimizer = kind(*(real(0.5) for _ in kind._fields))
    done = training_kernels.train(buffers, optimizer, real(5), real(1), codes, plan, Carry(), history)
    assert done.update == 3
    assert np.isfinite(history.losses).all()


@pytest.mark.parametrize("rows", [1, 2, 9, 17])
@pytest.mark.parametrize(("I", "columns"), [(1, 16), (3, 32), (20, 48)])
def test_products_that_are_added(rows, I, columns):
    rng = np.random.default_rng(0)
    A, B, C = rng.random((rows + 1, I)), rng.random((I, columns)), rng.random((rows + 2, columns))
    expected = C.copy()
    expected[2:] += A[1:] @ B
    matmul.add_matmul(C, 2, A, 1, rows, B)
    assert np.allclose(C, expected)
    D = rng.random((I, columns))
    expected = D + A[1:].T @ C[2:]
    matmul.add_outer_products(D, A, 1, C, 2, rows)
    assert np.allclose(D, expected)
    E = np.zeros((columns, 48))
    matmul.transpose(E, D)
    assert (E[:, :I] == D.T).all()
    assert not E[:, I:].any()


@pytest.mark.parametrize(("rows", "inner"), [(1, 1), (3, 6), (5, 11), (25, 4)])
@pytest.mark.parametrize("columns", [16, 32])
@pytest.mark.parametrize("ascending", [True, False])
def test_products(rows, inner, columns, ascending):
    rng = np.random.default_rng(0)
    A, B, C = rng.random((rows, inner)), rng.random((inner, columns)), np.empty((rows, columns))
    matmul.matmul(C, A, B)
    assert np.allclose(C, A @ B)
    D, E, F = rng.random((rows, columns)), rng.random((inner, columns)), rng.random((inner + 1, rows))
    expected = F[1:] + E @ D.T
    matmul.add_matvecs(F, 1, D, E, 0, inner, ascending)
    assert np.allclose(F[1:], expected)
    x, y = rng.random((2, rows)), rng.random((2, columns))
    expected = y[0] + x[1] @ D
    matmul.add_vecmat(y, 0, x, 1, D, ascending)
    assert np.allclose(y[0], expected)


def test_evaluation_and_numerical_gradient(layout):
    theta, work = layout.initial(np.random.default_rng(0), 0.1), window_work(layout, T)
    plain = named(layout, theta)
    loss, grad, _ = naive.gradients(plain, CODES[:-1], CODES[1:], np.zeros(m))
    assert sampling_kernels.evaluate(theta, work, CODES) == pytest.approx(loss, rel=1e-5)
    if layout.dtype == np.float64:
        _, grad, _ = naive.gradients(plain, CODES[:T], CODES[1 : T + 1], np.zeros(m))
        index, found = np.array([theta.layers[0].U.size]), np.empty(1)  # of W[0, 0]
        work = window_work(layout, T)
        training_kernels.numerical_gradient(theta, work, CODES[: T + 1], index, 1e-3, found)
        assert found[0] == pytest.approx(grad["W"][0, 0], abs=1e-9)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1.0, 0, 1.0), (0.0, 0, 1.0), (0.5, 2, 1.0), (1.0, 3, 0.5)]
)
def test_sampling(layout, temperature, top_k, top_p):
    theta = layout.initial(np.random.default_rng(0), 0.1)
    text = np.empty(20, np.int32)
    uniforms = np.random.default_rng(0).random(20)
    sampling_kernels.sample(
        theta, window_work(layout, 1), CODES[:3], uniforms, Sampling(temperature, top_k, top_p), text
    )
    assert ((text >= 0) & (text < K)).all()


def test_drawing_from_few_weights():
    # rounding may leave a little beyond the last character: it is that one then
    assert sampling_kernels.draw(np.log([0.5, 0.5]), 1.0, Sampling()) == 1
    weights = np.array([0.0, 1.0, 0.0])
    sampling_kernels.keep_likeliest(weights, 3, 1.1)
    assert weights.tolist() == [0, 1, 0]


@pytest.mark.parametrize("size", [1, 15, 16, 17, 40])
def test_the_largest_of_a_row(size):
    o = np.random.default_rng(size).standard_normal(size)
    assert readout.max_logit(o) == o.max()
