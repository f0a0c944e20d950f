"""The steps of all optimizers along a gradient, against the formulas of their papers in NumPy."""

import naive
import numpy as np
import pytest
from small_training import in_order

from nbrnn.network import optimizers, training_kernels
from nbrnn.network.buffers import Carry, History, training_buffers
from nbrnn.network.layout import NAMES, Layout
from nbrnn.network.optimizers import OPTIMIZERS, RULES

pytestmark = pytest.mark.nojit

CLIP = 0.5
NUMBERS = {"eta": 0.1, "beta1": 0.75, "beta2": 0.875, "epsilon": 0.01}
KINDS = pytest.mark.parametrize("kind", OPTIMIZERS)
# In float32 the steps are compiled for these tests alone.
PRECISIONS = pytest.mark.parametrize(
    "dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)]
)


def memories(kind):
    return len(RULES[OPTIMIZERS[kind]].memory)


def settings(kind, dtype):
    """Return the optimizer with the numbers that it has of NUMBERS."""
    fields = OPTIMIZERS[kind]._fields
    return OPTIMIZERS[kind](*(np.dtype(dtype).type(NUMBERS[name]) for name in fields))


def naive_optimizer(kind, theta):
    """Return the same in the naive program."""
    fields = OPTIMIZERS[kind]._fields
    numbers = {name: NUMBERS[name] for name in fields if name != "eta"}
    return naive.OPTIMIZERS[kind](theta, **numbers)


def plain(layout, parameters):
    return {name: np.array(a, float) for name, a in layout.named(parameters).items()}


@KINDS
@PRECISIONS
@pytest.mark.parametrize(("m", "K"), [(5, 7), (16, 40)])
def test_every_step_is_that_of_numpy(kind, dtype, m, K):
    layout = Layout(m, K, np.dtype(dtype))
    real, rng = layout.dtype.type, np.random.default_rng(0)
    theta = layout.initial(rng, 0.1)
    buffers, expected = training_buffers(layout, theta, 4, memories(kind)), plain(layout, theta)
    optimizer = naive_optimizer(kind, expected)
    for t, rows in enumerate(([1, 2, 1, 3], [0, 0, 0, 0], [6, 2, 4, 1]), 1):
        gradient = layout.gradient(4)
        gradient.rows[:] = rows
        for name, g in layout.named(gradient).items():
            g[...] = rng.standard_normal(g.shape)
            if name == "U":
                g[:, np.setdiff1d(np.arange(K), rows)] = 0
        clipped = {n: np.clip(g, -CLIP, CLIP) for n, g in plain(layout, gradient).items()}
        optimizer.step(expected, clipped, NUMBERS["eta"])
        now = optimizers.at(settings(kind, dtype), real(NUMBERS["eta"]), t, real)
        assert {type(number) for number in now} == {real}
        optimizers.update_parameters(
            now, real(CLIP), theta, buffers.memory, gradient, buffers.work.touched
        )
        assert not buffers.work.touched.any()
    tolerance = {"float64": 1e-13, "float32": 1e-5}[dtype]
    for name in NAMES:
        assert np.abs(layout.named(theta)[name] - expected[name]).max() < tolerance
        for flat, memory in zip(buffers.memory, optimizer.memory.values(), strict=True):
            assert np.abs(layout.named(layout.views(flat))[name] - memory[name]).max() < tolerance


@KINDS
@PRECISIONS
def test_without_a_gradient_and_memory_nothing_moves(kind, dtype):
    layout = Layout(5, 7, np.dtype(dtype))
    real, theta = layout.dtype.type, layout.initial(np.random.default_rng(0), 0.1)
    buffers, before = training_buffers(layout, theta, 4, memories(kind)), theta.flat.copy()
    optimizer = settings(kind, dtype)
    if "epsilon" in optimizer._fields:
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
    buffers, expected = training_buffers(layout, theta, T, memories(kind), B), plain(layout, theta)
    codes = np.random.default_rng(0).integers(0, K, 100).astype(np.int32)
    plan, history = in_order(codes, T, B, 0, updates, NUMBERS["eta"]), History.empty(updates)
    number = 1 / (B * T)
    training_kernels.train(buffers, settings(kind, float), CLIP, number, codes, plan, Carry(), history)
    windows = [list(zip(*rows, strict=True)) for rows in zip(plan.starts, plan.reset, strict=True)]
    optimizer = naive_optimizer(kind, expected)
    losses, *_ = naive.follow(expected, codes, T, windows, optimizer, plan.eta, CLIP, "mean")
    assert history.losses == pytest.approx(losses, rel=1e-11)
    for name in NAMES:
        assert np.abs(layout.named(theta)[name] - expected[name]).max() < 1e-11
