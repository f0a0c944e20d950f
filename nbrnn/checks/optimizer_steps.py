"""Steps of optimizers in NumPy, with a switch for each mistake."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from nbrnn.checks.faults import STEP_FAULTS
from nbrnn.config import NONE, RunConfig
from nbrnn.typing import Array

Theta = dict[str, Array]

ADAPTIVE = ("adagrad", "rmsprop", "adam")
OF_OPTIMIZER = {
    **dict.fromkeys(("no bias correction", "t off by one", "t stays at 1"), ("adam",)),
    **dict.fromkeys(("no bias correction of the mean", "no bias correction of the square"), ("adam",)),
    **dict.fromkeys(("memory not kept", "memory of the gradient, not of its square"), ADAPTIVE),
    **dict.fromkeys(("epsilon on the other side of the root", "no root", "plain gradient"), ADAPTIVE),
}


def faults_of(config: RunConfig, n: int) -> list[str]:
    """Return the mistakes that n steps with these settings can show."""
    later = ("memory not kept", "t stays at 1")
    return [
        fault
        for fault in STEP_FAULTS
        if config.optimizer in OF_OPTIMIZER.get(fault, (config.optimizer,))
        and (config.clip != NONE or "clipped" not in fault)
        and (n > 1 or fault not in later)
    ]


def stepped(
    theta: Theta,
    gradient: Callable[[Theta], Theta],
    config: RunConfig,
    n: int = 1,
    faults: Collection[str] = (),
) -> Theta:
    """Return the parameters after n steps along the gradient of these and of each that follows."""
    G = {name: np.zeros_like(array) for name, array in theta.items()}
    mean = {name: np.zeros_like(array) for name, array in theta.items()}
    eta = config.eta * (config.eta if "eta twice" in faults else 1)
    eta *= (-1 if "uphill" in faults else 1) * (2 if "stepped twice" in faults else 1)
    for t in range(1, n + 1):
        if "memory not kept" in faults:
            G = {name: np.zeros_like(array) for name, array in theta.items()}
            mean = dict(G)
        g = clipped(gradient(theta), config.clip, faults)
        following = {}
        for name, array in theta.items():
            step, mean[name], G[name] = direction(g[name], mean[name], G[name], t, config, faults)
            following[name] = array - eta * step
        theta = following
    return theta


def clipped(gradient: Theta, clip: float | str, faults: Collection[str]) -> Theta:
    """Return gradients clipped to [-clip, clip], or, as a mistake, all together by their norm."""
    if clip == NONE or "not clipped" in faults:
        return gradient
    most = float(clip)
    if "clipped by norm" in faults:
        norm = np.sqrt(sum((array**2).sum() for array in gradient.values()))
        return {name: array * min(1, most / norm) for name, array in gradient.items()}
    return {name: np.clip(array, -most, most) for name, array in gradient.items()}


def direction(
    g: Array, mean: Array, G: Array, t: int, config: RunConfig, faults: Collection[str]
) -> tuple[Array, Array, Array]:
    """Return what a step of learning rate 1 takes away, and the memories after it."""
    if config.optimizer == "sgd" or "plain gradient" in faults:
        return g, mean, G
    square = np.abs(g) if "memory of the gradient, not of its square" in faults else g * g
    epsilon = config.epsilon or 0.0
    if config.optimizer == "adagrad":
        G = G + square
        return divided(g, G, epsilon, True, faults), mean, G
    beta2 = config.beta2 or 0.0
    G = beta2 * G + (1 - beta2) * square
    if config.optimizer == "rmsprop":
        return divided(g, G, epsilon, True, faults), mean, G
    beta1 = config.beta1 or 0.0
    mean = beta1 * mean + (1 - beta1) * g
    t = 1 if "t stays at 1" in faults else t + 1 if "t off by one" in faults else t
    none = "no bias correction" in faults
    of_mean = 1 if none or "no bias correction of the mean" in faults else 1 - beta1**t
    of_square = 1 if none or "no bias correction of the square" in faults else 1 - beta2**t
    return divided(mean / of_mean, G / of_square, epsilon, False, faults), mean, G


def divided(step: Array, G: Array, epsilon: float, inside: bool, faults: Collection[str]) -> Array:
    """Return step / sqrt(G + epsilon), or step / (sqrt(G) + epsilon)."""
    if "no root" in faults:
        return step / (G + epsilon)
    if "epsilon on the other side of the root" in faults:
        inside = not inside
    return np.asarray(step / (np.sqrt(G + epsilon) if inside else np.sqrt(G) + epsilon))
