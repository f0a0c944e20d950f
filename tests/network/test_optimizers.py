"""Steps along a gradient, of optimizers with 0, 1 and 2 buffers, against NumPy."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from nbrnn.network import optimizers, simd
from nbrnn.network.jit import jit
from nbrnn.network.optimizers import AdaGrad, Rule
from nbrnn.network.params import NAMES, Layout

CLIP = 0.5


class Descent(NamedTuple):
    eta: Any


def descent(optimizer, theta, memory, gradient):
    return theta - optimizer.eta * gradient, memory


class Moments(NamedTuple):
    eta: Any
    beta: Any


def moments(optimizer, theta, memory, gradient):
    first, second = memory
    rest = optimizer.beta - optimizer.beta * optimizer.beta
    first = optimizer.beta * first + rest * gradient
    second = optimizer.beta * second + rest * gradient * gradient
    root = simd.reciprocal_root(second + optimizer.eta)
    return theta - optimizer.eta * first * root, (first, second)


OPTIMIZERS = [AdaGrad(0.1, 0.01), Descent(0.1), Moments(0.1, 0.75)]


@pytest.fixture(autouse=True)
def more_optimizers(monkeypatch):
    monkeypatch.setitem(optimizers.RULES, Descent, Rule(descent, memory=(), sparse=True))
    monkeypatch.setitem(optimizers.RULES, Moments, Rule(moments, memory=("m", "v"), sparse=False))


@jit
def update(optimizer, clip, theta, memory, gradient, touched):
    optimizers.update_parameters(optimizer, clip, theta, memory, gradient, touched)


def expected_step(optimizer, theta, memory, g):
    g = np.clip(g, -CLIP, CLIP)
    if isinstance(optimizer, Descent):
        return theta - optimizer.eta * g, ()
    if isinstance(optimizer, AdaGrad):
        G = memory[0] + g * g
        return theta - optimizer.eta * g / np.sqrt(G + optimizer.epsilon), (G,)
    first = 0.75 * memory[0] + 0.1875 * g
    second = 0.75 * memory[1] + 0.1875 * g * g
    return theta - 0.1 * first / np.sqrt(second + 0.1), (first, second)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("m", "K"), [(5, 7), (16, 40)])
def test_every_step_is_that_of_numpy(optimizer, dtype, m, K):
    layout = Layout(m, K, np.dtype(dtype))
    real, rng = layout.dtype.type, np.random.default_rng(0)
    theta = layout.initial(0.1, rng)
    size = len(optimizers.RULES[type(optimizer)].memory)
    buffers = layout.buffers(theta, T=4, memory=size)
    expected = {
        name: (np.array(a, float), (np.zeros(a.shape),) * size)
        for name, a in layout.named(theta).items()
    }
    numbers = type(optimizer)(*map(real, optimizer))
    for rows in ([1, 2, 1, 3], [0, 0, 0, 0], [6, 2, 4, 1]):
        gradient = layout.gradient(4)
        gradient.rows[:] = rows
        for name, g in layout.named(gradient).items():
            g[...] = rng.standard_normal(g.shape)
            if name == "U":
                g[:, np.setdiff1d(np.arange(K), rows)] = 0
            expected[name] = expected_step(optimizer, *expected[name], np.array(g, float))
        update(numbers, real(CLIP), theta, buffers.memory, gradient, buffers.work.touched)
        assert not buffers.work.touched.any()
    tolerance = {"float64": 1e-13, "float32": 1e-5}[dtype]
    for name in NAMES:
        assert np.abs(layout.named(theta)[name] - expected[name][0]).max() < tolerance
        for flat, memory in zip(buffers.memory, expected[name][1], strict=True):
            assert np.abs(layout.named(layout.views(flat))[name] - memory).max() < tolerance
