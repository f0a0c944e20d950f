"""What does a trained network do with its state and its gradient?"""

from typing import NamedTuple

import numpy as np

from nbrnn.network import training_kernels
from nbrnn.network.buffers import set_states_before, window_work
from nbrnn.network.layout import Layout
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.typing import Array

SETTLING, STEPS = 200, 2000  # characters that are read before growth is measured, and while it is
WINDOWS = 200


class Dynamics(NamedTuple):
    """Of one model, at the end of its training."""

    spectral_radius: float  # of W
    lyapunov_exponent: float  # nats a step: how fast a small change of the state grows, or dies
    saturated: float  # share of the states beyond -0.99 and 0.99
    gradient_norm: float  # median over windows, before the clipping
    clipped: float  # share of windows with an element of the gradient beyond the clip


def dynamics(model: Checkpoint, codes: Array, clip: float) -> Dynamics:
    """Measure the last model of a run on the text that it was trained on, from its position on."""
    codes = np.roll(codes, -model.position)
    gradients = gradients_of(model, codes[: WINDOWS * model.config.seq_length + 1])
    exponent, saturated = along(model, codes[: SETTLING + STEPS])
    return Dynamics(
        spectral_radius=spectral_radius(model.theta["W"]),
        lyapunov_exponent=exponent,
        saturated=saturated,
        gradient_norm=float(np.median(np.linalg.norm(gradients, axis=1))),
        clipped=float(np.mean(np.abs(gradients).max(axis=1) > clip)),
    )


def spectral_radius(W: Array) -> float:
    """Return the largest absolute value of an eigenvalue."""
    return float(np.abs(np.linalg.eigvals(W)).max())


def along(model: Checkpoint, codes: Array) -> tuple[float, float]:
    """Return the largest Lyapunov exponent along a text, and the share of states that are saturated.

    By the growth of a tangent vector (Benettin et al., Meccanica 15, 1980).
    """
    W, U, b = (model.theta[name].astype(np.float64) for name in "WUb")
    h = np.zeros(b.size) if model.h_prev is None else model.h_prev.astype(np.float64)
    tangent, growth, saturated = np.random.default_rng(0).standard_normal(b.size), [], []
    for x in codes:
        h = np.tanh(W @ h + U[:, x] + b)
        tangent = (1 - h * h) * (W @ tangent)
        size = np.linalg.norm(tangent)
        tangent /= size
        growth.append(np.log(size))
        saturated.append(np.mean(np.abs(h) > 0.99))
    return float(np.mean(growth[SETTLING:])), float(np.mean(saturated[SETTLING:]))


def gradients_of(model: Checkpoint, codes: Array) -> Array:
    """Return the gradient of each window, flat."""
    T, layout = model.config.seq_length, Layout(model.config.hidden, len(model.alphabet), np.dtype("d"))
    theta, gradient, work = layout.pack(model.theta), layout.gradient(T), window_work(layout, T)
    if model.states:
        set_states_before(work, layout.pack_states(model.states))
    found = []
    for start in range(0, codes.size - T, T):
        training_kernels.loss_gradient(theta, gradient, work, codes, np.array([start]), 1.0)
        found.append(gradient.flat.copy())
        work.layers[0].s[:, 0] = work.layers[0].s[:, -1]
    return np.array(found)
