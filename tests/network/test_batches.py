"""Windows at once: their products against NumPy, their loss and gradient against the naive program."""

from itertools import product

import naive
import numpy as np
import pytest
from small_training import in_order

from nbrnn.network import training_kernels
from nbrnn.network.buffers import (
    Carry,
    History,
    Plan,
    set_states_before,
    states_before,
    training_buffers,
)
from nbrnn.network.layout import NAMES, Layout
from nbrnn.network.optimizers import SGD, Adam
from nbrnn.network.simd import matmul

NOJIT = pytest.mark.nojit
PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-4)])


@pytest.mark.parametrize("columns", [16, 32, 112])
@PRECISIONS
def test_products_of_all_remainders(columns, dtype, tolerance):
    for rows, inner in product((1, 2, 3, 7, 8, 9, 13, 64, 65, 150), (1, 2, 5, 6, 8, 15, 16, 17, 100)):
        check_products(rows, inner, columns, dtype, tolerance)


def check_products(rows, inner, columns, dtype, tolerance):
    rng = np.random.default_rng(rows * 1000 + inner)
    A, B, C, D = (
        rng.standard_normal(shape).astype(dtype)
        for shape in (
            (rows + 3, inner + 2),  # of which only rows from 3 on and the first columns count
            (inner, columns),
            (rows + 1, columns),
            (inner, columns),
        )
    )
    used = A[3:, :inner].astype(float)
    expected = C.astype(float)
    expected[1:] += used @ B
    matmul.add_matmul(C, 1, A, 3, rows, B)
    shape = f"{rows} x {inner}"
    np.testing.assert_allclose(C, expected, rtol=0, atol=tolerance, err_msg=shape)

    expected = D + used.T @ C[1:]
    matmul.add_outer_products(D, A, 3, C, 1, rows)
    np.testing.assert_allclose(D, expected, rtol=0, atol=10 * tolerance, err_msg=shape)


@pytest.mark.parametrize("I", [1, 7, 8, 16, 17, 100])
@pytest.mark.parametrize("J", [1, 5, 8, 16, 31, 100])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_transpose_leaves_padding_alone(I, J, dtype):
    A = np.random.default_rng(0).random((I, J + 3)).astype(dtype)
    out = np.full((J, I + 5), -1, dtype)
    matmul.transpose(out, A)
    assert (out[:, :I] == A[:, :J].T).all()
    assert (out[:, I:] == -1).all()


def filled(layout, B, T, seed):
    """Return parameters, none of them 0, and buffers for B windows, whose states are not 0 either."""
    rng = np.random.default_rng(seed)
    theta = layout.initial(rng, 0.1)
    theta.c[:] = rng.standard_normal(layout.K)
    theta.layers[0].b[0, : layout.m] = rng.standard_normal(layout.m)
    buffers = training_buffers(layout, theta, T, memory=0, B=B)
    set_states_before(buffers.work, rng.uniform(-1, 1, (1, 1, B, layout.m)))
    return theta, buffers


def naive_sum(layout, theta, codes, starts, T, states):
    """Return the loss and the gradient of all windows together, and their last states."""
    plain = {name: np.array(a, float) for name, a in layout.named(theta).items()}
    windows = [
        naive.gradients(plain, codes[s : s + T], codes[s + 1 : s + T + 1], h)
        for s, h in zip(starts, states, strict=True)
    ]
    losses, gradients, last = zip(*windows, strict=True)
    return sum(losses), {name: sum(g[name] for g in gradients) for name in NAMES}, np.array(last)


@pytest.mark.parametrize("B", [2, 3, 8, 33])
@pytest.mark.parametrize(
    ("m", "K", "T"),
    [pytest.param(7, 20, 4, marks=NOJIT), (16, 16, 1), (33, 65, 5), (100, 87, 3)],
)
@PRECISIONS
def test_loss_and_gradient_are_those_of_the_naive_program(B, m, K, T, dtype, tolerance):
    layout, rng = Layout(m, K, np.dtype(dtype)), np.random.default_rng(0)
    theta, buffers = filled(layout, B, T, 1)
    work, gradient, real = buffers.work, buffers.gradient, layout.dtype.type
    codes = rng.integers(0, K, 200).astype(np.int32)
    for _ in range(2):  # a gradient used again holds nothing of the windows before
        starts = rng.integers(0, 199 - T, B)
        states = states_before(work)[0, 0, :, :m].astype(float)
        loss, expected, last = naive_sum(layout, theta, codes, starts, T, states)
        scale = 1 / (B * T)
        assert training_kernels.loss_gradient(
            theta, gradient, work, codes, starts, real(scale)
        ) == pytest.approx(loss * scale, rel=tolerance)
        assert np.allclose(work.layers[0].s[0, -B:, :m], last, rtol=0, atol=tolerance)
        for name, g in layout.named(gradient).items():
            assert np.allclose(g, expected[name] * scale, rtol=0, atol=tolerance)
        for padded in (*gradient.layers[0], gradient.V, work.layers[0].s, work.layers[0].dz):
            assert not padded[..., m:].any()
        assert not work.p[:, K:].any()


@NOJIT
def test_only_reset_windows_begin_at_zero_and_the_others_continue():
    layout, T, B = Layout(9, 6, np.dtype(np.float64)), 3, 4
    theta, buffers = filled(layout, B, T, 2)
    states = states_before(buffers.work)[0, 0, :, :9]
    codes = np.random.default_rng(3).integers(0, 6, 80).astype(np.int32)
    plan = in_order(codes, T, B, 0, 3, 0.0)
    plan.reset[:] = [[True, False, True, False], [False] * 4, [False, True, False, False]]
    history = History.empty(3)
    carry = training_kernels.train(buffers, SGD(0.0), 5.0, 0.5, codes, plan, Carry(), history)
    assert carry.update == 3
    for n in range(3):
        states[plan.reset[n]] = 0
        loss, _, states = naive_sum(layout, theta, codes, plan.starts[n], T, states)
        assert history.losses[n] == pytest.approx(loss / 2, rel=1e-13)
    assert np.allclose(states_before(buffers.work)[0, 0, :, :9], states, rtol=0, atol=1e-13)


@NOJIT
@pytest.mark.parametrize("B", [1, 2])
@PRECISIONS
def test_the_padding_of_a_document_counts_nothing(B, dtype, tolerance):
    codes = np.array([0, 2, 0, 0, 1, 3, 0], np.int32)  # two documents: 2, which is padded, and 1 3
    layout, T = Layout(6, 5, np.dtype(dtype)), 3
    theta, real = layout.initial(np.random.default_rng(0), 0.1), layout.dtype.type
    plain = {name: np.array(a, float) for name, a in layout.named(theta).items()}
    found = [
        naive.gradients(plain, codes[a:b], codes[a + 1 : b + 1], np.zeros(6))
        for a, b in [(0, 2), (3, 6)][:B]
    ]
    plan = Plan(np.array([[0, 3][:B]]), np.ones((1, B), np.bool_), np.full(1, real(0.1)), end=0)
    buffers, history = training_buffers(layout, theta, T, memory=2, B=B), History.empty(1)
    optimizer, gradient = Adam(*map(real, (0.1, 0.5, 0.5, 1e-8))), layout.gradient(T * B)
    arguments = buffers.work, codes, plan.starts[0], real(1 / B), 0
    loss = training_kernels.loss_gradient(theta, gradient, *arguments)
    training_kernels.train(buffers, optimizer, real(5), real(1 / B), codes, plan, Carry(), history)
    assert loss == history.losses[0] == pytest.approx(sum(own[0] for own in found) / B, rel=tolerance)
    for name in NAMES:
        expected = sum(own[1][name] for own in found) / B
        assert np.allclose(layout.named(gradient)[name], expected, rtol=0, atol=tolerance)
        memory = layout.named(layout.views(buffers.memory[0]))[name]
        assert np.allclose(memory, expected / 2, rtol=0, atol=tolerance)


@pytest.mark.parametrize("low", [-1e4, 0.0, 1e4])
def test_padding_takes_no_part_in_the_softmax(low):
    layout, T, B = Layout(3, 5, np.dtype(np.float32)), 2, 2
    theta, buffers = filled(layout, B, T, 4)
    theta.c[:] += np.float32(low)  # far below and above the 0 that padding might stand for
    codes, starts = np.arange(9, dtype=np.int32) % 5, np.array([0, 3])
    states = states_before(buffers.work)[0, 0, :, :3].astype(float)
    loss, _, _ = naive_sum(layout, theta, codes, starts, T, states)
    found = training_kernels.loss_gradient(
        theta, buffers.gradient, buffers.work, codes, starts, np.float32(1)
    )
    assert found == pytest.approx(loss, rel=1e-3)
