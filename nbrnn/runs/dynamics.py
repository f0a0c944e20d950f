"""What `--track` measures of a network while it trains: the rows of dynamics.csv."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from nbrnn.config import RunConfig
from nbrnn.network import kernel_cache, training_kernels
from nbrnn.network.buffers import batch_work, set_states_before, states_before, window_work
from nbrnn.network.layout import Gradient, Layout, generator
from nbrnn.runs.training_state import Training
from nbrnn.typing import Array

MAX_SHARE = 0.02  # of the run's time
SATURATED = 0.9  # a state beyond this, in absolute value, is saturated
ITERATIONS = 10  # of the power method
STEP = 1e-6  # of the finite difference along a vector of norm 1
# Time, in multiply-adds: of the eigenvalues of an (m, m) matrix, by m^3, and of what depends on nothing.
EIGENVALUES, OTHER = 200, 6e7


def columns(layout: Layout) -> list[str]:
    """Return the columns of dynamics.csv for a network."""
    names = [name for name, shape in layout.shapes.items() if len(shape) == 2]
    return [
        *("update", "epoch", "sharpness"),
        *(f"gradient_{name}" for name in names),
        *(f"update_{name}" for name in names),
        *(f"radius_{name}" for name in recurrent_names(layout)),
        *(f"saturated_{layout.in_file('h', layer)}" for layer in range(layout.layers)),
    ]


def recurrent_names(layout: Layout) -> list[str]:
    """Return the names of the (m, m) blocks of each layer's W: its own, or W.LAYER.GATE."""
    names, gates = [layout.in_file("W", layer) for layer in range(layout.layers)], layout.kind.gate_names
    return names if len(gates) == 1 else [f"{name}.{gate}" for name in names for gate in gates]


def updates_between_rows(config: RunConfig, layout: Layout, characters: int) -> int:
    """Return the updates between two rows: as many evaluations as keep the cost within 2 % of the time.

    The cost is counted in multiply-adds, so that it depends on the run alone.
    """
    update = 3 * config.seq_length * config.batch * layout.multiply_adds
    blocks = len(recurrent_names(layout))
    gradients = (ITERATIONS + 2) * 10 / layout.dtype.itemsize  # in float64, which vectors hold less of
    updates = gradients + (EIGENVALUES * blocks * layout.m**3 + OTHER) / update
    evaluation = config.updates_per_look(characters)
    return evaluation * math.ceil(updates / (MAX_SHARE * evaluation))


class Probe:
    """The loss of the windows that a training reads next, in float64 and without dropout."""

    def __init__(self, training: Training) -> None:
        config, self.scale = training.config, float(training.scale)
        T, B = config.seq_length, config.batch
        self.layout = replace(training.layout, dtype=np.dtype(np.float64))
        self.theta = self.layout.pack(training.layout.named(training.buffers.theta))
        self.work = window_work(self.layout, T) if B == 1 else batch_work(self.layout, T, B)
        starts, is_reset = training.order.windows(training.update, 1)
        self.codes, self.starts = training.codes, np.ascontiguousarray(starts[0])
        self.end = -1 if training.corpus.end is None else training.corpus.end
        states = states_before(training.buffers.work)
        states[:, :, is_reset[0]] = 0
        set_states_before(self.work, states[..., : self.layout.m])
        self.buffer = self.layout.gradient(T * B)
        kernel_cache.ready_for("window_gradient" if B == 1 else "batch_gradient", self.layout)

    def gradient(self) -> Gradient:
        """Return the gradient, in a buffer that the next call overwrites."""
        arguments = self.work, self.codes, self.starts, self.scale, self.end
        training_kernels.loss_gradient(self.theta, self.buffer, *arguments)
        return self.buffer

    def states(self) -> Array:
        """Return h (layers, T B, m) along the windows, once the gradient is there."""
        return np.stack([layer.s[0, -len(layer.dh) :, : self.layout.m] for layer in self.work.layers])

    def sharpness(self, seed: int) -> float:
        """Return the eigenvalue of the loss's Hessian that is largest in absolute value.

        By the power method: the product of the Hessian and a vector is a difference of two gradients.
        """
        at, flat = self.gradient().flat.copy(), self.theta.flat
        theta, rng, value = flat.copy(), generator(seed, "gradcheck"), 0.0
        shapes = self.layout.shapes
        vector = self.layout.pack({name: rng.standard_normal(shapes[name]) for name in shapes}).flat
        for _ in range(ITERATIONS):
            norm = np.linalg.norm(vector)
            if norm == 0:
                break
            vector = vector / norm
            flat[:] = theta + STEP * vector
            product = (self.gradient().flat - at) / STEP
            value, vector = float(vector @ product), product
        flat[:] = theta
        return value


def measure(training: Training, before: Array) -> list[float]:
    """Return a row of dynamics.csv after an update; `before` is theta.flat without that update.

    Gradient, states and sharpness are those of the windows that the next update reads.
    """
    layout, theta = training.layout, training.buffers.theta
    probe = Probe(training)
    gradient = {name: array.copy() for name, array in probe.layout.named(probe.gradient()).items()}
    states = np.abs(probe.states())
    step = layout.named(layout.views(theta.flat.astype(np.float64) - before))
    matrices = [name for name, shape in layout.shapes.items() if len(shape) == 2]
    weights = layout.named(theta)
    blocks = [
        weights[layout.in_file("W", n)].reshape(-1, layout.m, layout.m) for n in range(len(states))
    ]
    radii = np.abs(np.linalg.eigvals(np.concatenate(blocks))).max(axis=1)
    return [
        *(training.update, training.update // training.updates_per_epoch),
        probe.sharpness(training.config.seed),
        *(float(np.linalg.norm(gradient[name])) for name in matrices),
        *(float(np.linalg.norm(step[name])) for name in matrices),
        *map(float, radii),
        *map(float, (states > SATURATED).mean(axis=(1, 2))),
    ]
