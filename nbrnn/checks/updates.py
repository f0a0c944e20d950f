"""Steps of the optimizers in NumPy, and the smooth loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nbrnn.checks.equations import Arrays
from nbrnn.config import NONE, RunConfig
from nbrnn.typing import Array

KEPT = 0.999  # of the smooth loss, at each update
Gradient = Callable[[Arrays, int], Arrays]  # of theta and the number of the step


@dataclass(frozen=True)
class Steps:
    """An optimizer with its constants; the fields after `clip` are what a program may do instead."""

    optimizer: str
    eta: float
    epsilon: float = 0.0
    beta1: float = 0.0
    beta2: float = 0.0
    clip: float = np.inf
    clips_norm: bool = False
    other_side: bool = False  # epsilon stands outside the root, for Adam inside
    adam_t: str = "right"  # of the bias correction: "none", "late" or "first"
    order: tuple[str, ...] = ()  # of the parameters, if t advances with each
    keeps_memory: bool = True

    @classmethod
    def of(cls, config: RunConfig) -> Steps:
        """Return the steps that the settings describe."""
        epsilon, beta1, beta2 = (getattr(config, name) or 0.0 for name in ("epsilon", "beta1", "beta2"))
        clip = np.inf if config.clip == NONE else float(config.clip)
        return cls(config.optimizer, config.eta, epsilon, beta1, beta2, clip)

    def run(self, theta: Arrays, gradient: Gradient, n: int) -> Arrays:
        """Return the parameters after n steps."""
        mean = {name: np.zeros_like(array) for name, array in theta.items()}
        square = dict(mean)
        for t in range(1, n + 1):
            g, following = self.clipped(gradient(theta, t)), {}
            for name, array in theta.items():
                m, v = (mean[name], square[name]) if self.keeps_memory else (0.0, 0.0)
                mean[name] = self.beta1 * m + (1 - self.beta1) * g[name]
                decay, share = (1, 1) if self.optimizer == "adagrad" else (self.beta2, 1 - self.beta2)
                square[name] = decay * v + share * g[name] ** 2
                direction = self.direction(g[name], mean[name], square[name], t, name)
                following[name] = array - self.eta * direction
            theta = following
        return theta

    def clipped(self, g: Arrays) -> Arrays:
        """Return gradients, each entry clipped to [-clip, clip]."""
        if not self.clips_norm:
            return {name: np.clip(array, -self.clip, self.clip) for name, array in g.items()}
        norm = np.sqrt(sum((array**2).sum() for array in g.values()))
        return {name: array * min(1, self.clip / norm) for name, array in g.items()}

    def direction(self, g: Array, m: Array, v: Array, t: int, name: str) -> Array:
        """Return what a step of learning rate 1 takes away."""
        if self.optimizer == "sgd":
            return g
        if self.optimizer == "adam":
            g = m
            if self.adam_t != "none":
                k = {"late": t + 1, "first": 1}.get(self.adam_t, t)
                if self.order:
                    k = len(self.order) * (t - 1) + self.order.index(name) + 1
                g, v = m / (1 - self.beta1**k), v / (1 - self.beta2**k)
        is_inside = (self.optimizer != "adam") != self.other_side
        root = np.sqrt(v + self.epsilon) if is_inside else np.sqrt(v) + self.epsilon
        return np.where(g == 0, 0.0, g / root)


def smooth_series(losses: Array, start: float, kept: float = KEPT) -> Array:
    """Return the smooth loss after each update, which is `start` at the first."""
    smooth = np.empty(len(losses))
    for update, loss in enumerate(losses):
        smooth[update] = kept * smooth[update - 1] + (1 - kept) * loss if update else start
    return smooth
