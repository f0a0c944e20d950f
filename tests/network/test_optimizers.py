"""The steps of all optimizers along a gradient, against the formulas of their papers in NumPy."""

import naive
import numpy as np
import pytest
from small_training import in_order

from nbrnn.network import optimizers, training_kernels
from nbrnn.network.buffers import Carry, History, training_buffers
from nbrnn.network.layout import NAMES, Layout
from nbrnn.network.optimizers import RULES, SGD, AdaGrad, RMSProp

pytestmark = pytest.mark.nojit

CLIP = 0.5
NUMBERS = {"eta": 0.1, "beta1": 0.75, "beta2": 0.875, "epsilon": 0.01}
KINDS = pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
# In float32 the steps are compiled for these tests alone.
PRECISIONS = pytest.mark.parametrize(
    "dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)]
)


def expected_step(kind, theta, memory, g, t):
    """Return theta and memory after update t, by the formulas of the papers."""
    eta, beta1, beta2, epsilon = NUMBERS.values()
    g = np.clip(g, -CLIP, CLIP)
    if kind is SGD:
        return theta - eta * g, ()
    if kind is AdaGrad:
        G = memory[0] + g**2
        return theta - eta * g / np.sqrt(G + epsilon), (G,)
    if kind is RMSProp:
        G = beta2 * memory[0] + (1 - beta2) * g**2
        return theta - eta * g / np.sqrt(G + epsilon), (G,)
    m = beta1 * memory[0] + (1 - beta1) * g
    v = beta2 * memory[1] + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return theta - eta * m_hat / (np.sqrt(v_hat) + epsilon), (m, v)


def settings(kind, dtype):
    """Return the optimizer with the numbers that it has of NUMBERS."""
    return kind(*(np.dtype(dtype).type(NUMBERS[name]) for name in kind._fields))


@KINDS
@PRECISIONS
@pytest.mark.parametrize(("m", "K"), [(5, 7), (16, 40)])
def test_every_step_is_that_of_numpy(kind, dtype, m, K):
    layout = Layout(m, K, np.dtype(dtype))
    real, rng = layout.dtype.type, np.random.default_rng(0)
    theta = layout.initial(rng, 0.1)
    size = len(RULES[kind].memory)
    buffers = training_buffers(layout, theta, T=4, memory=size)
    expected = {
        name: (np.array(a, float), (np.zeros(a.shape),) * size)
        for name, a in layout.named(theta).items()
    }
    for t, rows in enumerate(([1, 2, 1, 3], [0, 0, 0, 0], [6, 2, 4, 1]), 1):
        gradient = layout.gradient(4)
        gradient.rows[:] = rows
        for name, g in layout.named(gradient).items():
            g[...] = rng.standard_normal(g.shape)
            if name == "U":
                g[:, np.setdiff1d(np.arange(K), rows)] = 0
            expected[name] = expected_step(kind, *expected[name], np.array(g, float), t)
        now = optimizers.at(settings(kind, dtype), real(NUMBERS["eta"]), t, real)
        assert {type(number) for number in now} == {real}
        optimizers.update_parameters(
            now, real(CLIP), theta, buffers.memory, gradient, buffers.work.touched
        )
        assert not buffers.work.touched.any()
    tolerance = {"float64": 1e-13, "float32": 1e-5}[dtype]
    for name in NAMES:
        assert np.abs(layout.named(theta)[name] - expected[name][0]).max() < tolerance
        for flat, memory in zip(buffers.memory, expected[name][1], strict=True):
            assert np.abs(layout.named(layout.views(flat))[name] - memory).max() < tolerance


@KINDS
@PRECISIONS
def test_without_a_gradient_and_memory_nothing_moves(kind, dtype):
    layout = Layout(5, 7, np.dtype(dtype))
    real, theta = layout.dtype.type, layout.initial(np.random.default_rng(0), 0.1)
    buffers, before = training_buffers(layout, theta, 4, len(RULES[kind].memory)), theta.flat.copy()
    optimizer = settings(kind, dtype)
    if "epsilon" in kind._fields:
        optimizer = optimizer._replace(epsilon=real(1e-12))
    now = optimizers.at(optimizer, real(0.1), 1, real)
    optimizers.update_parameters(
        now, real(CLIP), theta, buffers.memory, buffers.gradient, buffers.work.touched
    )
    assert np.array_equal(theta.flat, before)
    assert not any(memory.any() for memory in buffers.memory)


@KINDS
@pytest.mark.parametrize("B", [1, 3])
def test_training_is_by_these_steps(kind, B):
    m, K, T, updates = 7, 5, 4, 20
    layout = Layout(m, K, np.dtype(float))
    theta = layout.initial(np.random.default_rng(1), 0.1)
    buffers = training_buffers(layout, theta, T, len(RULES[kind].memory), B)
    codes = np.random.default_rng(0).integers(0, K, 100).astype(np.int32)
    plan = in_order(codes, T, B, 0, updates, NUMBERS["eta"])
    scale, history = 1 / (B * T), History.empty(updates)
    expected = {
        name: (np.array(a), (np.zeros(a.shape),) * len(buffers.memory))
        for name, a in layout.named(theta).items()
    }
    training_kernels.train(buffers, settings(kind, float), CLIP, scale, codes, plan, Carry(), history)
    states = np.zeros((B, m))
    for n in range(updates):
        states[plan.reset[n]] = 0
        plain, loss, total = {name: expected[name][0] for name in NAMES}, 0, dict.fromkeys(NAMES, 0)
        for b, s in enumerate(plan.starts[n]):
            x, y = codes[s : s + T], codes[s + 1 : s + T + 1]
            one, grad, states[b] = naive.gradients(plain, x, y, states[b])
            loss += one * scale
            total = {name: total[name] + grad[name] * scale for name in NAMES}
        for name in NAMES:
            expected[name] = expected_step(kind, *expected[name], total[name], n + 1)
        assert history.losses[n] == pytest.approx(loss, rel=1e-11)
    for name in NAMES:
        assert np.abs(layout.named(theta)[name] - expected[name][0]).max() < 1e-11
