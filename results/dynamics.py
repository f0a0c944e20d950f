"""What does a trained network do with its state and its gradient?"""

from typing import NamedTuple

import numpy as np

from nbrnn.network import loops
from nbrnn.network.params import Array, Layout
from nbrnn.runs.checkpoint import Checkpoint

SETTLING, STEPS = 200, 2000  # characters that are read before growth is measured, and while it is
WINDOWS = 200


class Dynamics(NamedTuple):
    """Of one model, at the end of its training."""

    spectral_radius: float  # of W
    lyapunov_exponent: float  # nats a step: how fast a small change of the state grows, or dies
    clipped: float  # share of windows with an element of the gradient beyond the clip


def dynamics(model: Checkpoint, codes: Array, clip: float) -> Dynamics:
    """Measure the last model of a run on the text that it was trained on, from its position on."""
    codes = np.roll(codes, -model.position)
    largest = largest_elements(model, codes[: WINDOWS * model.config.seq_length + 1])
    return Dynamics(
        spectral_radius=spectral_radius(model.theta["W"]),
        lyapunov_exponent=lyapunov_exponent(model, codes[: SETTLING + STEPS]),
        clipped=float(np.mean(largest > clip)),
    )


def spectral_radius(W: Array) -> float:
    """Return the largest absolute value of an eigenvalue."""
    return float(np.abs(np.linalg.eigvals(W)).max())


def lyapunov_exponent(model: Checkpoint, codes: Array) -> float:
    """Return the largest one along a text, by the growth of a tangent vector (Benettin et al. 1980)."""
    W, U, b = (model.theta[name].astype(np.float64) for name in "WUb")
    h = np.zeros(b.size) if model.h_prev is None else model.h_prev.astype(np.float64)
    tangent, growth = np.random.default_rng(0).standard_normal(b.size), []
    for x in codes:
        h = np.tanh(W @ h + U[:, x] + b)
        tangent = (1 - h * h) * (W @ tangent)
        size = np.linalg.norm(tangent)
        tangent /= size
        growth.append(np.log(size))
    return float(np.mean(growth[SETTLING:]))


def largest_elements(model: Checkpoint, codes: Array) -> Array:
    """Return the largest absolute element of the gradient of each window."""
    T, layout = model.config.seq_length, Layout(model.config.hidden, len(model.alphabet), np.dtype("d"))
    theta, gradient, work = layout.pack(model.theta), layout.gradient(T), layout.work(T)
    if model.h_prev is not None:
        work.h[0, : layout.m] = model.h_prev
    largest = []
    for start in range(0, codes.size - T, T):
        loops.loss_gradient(theta, gradient, work, codes, np.array([start]), 1.0)
        largest.append(np.abs(gradient.flat).max())
        work.h[0] = work.h[-1]
    return np.array(largest)
