"""Which losses must an implementation have? Window by window, with the naive program's gradients."""

from functools import cache

import numpy as np

from bench.problem import Problem
from tests import naive


@cache
def expected_losses(problem: Problem, updates: int) -> np.ndarray:
    """Return the losses of the first updates, in float64."""
    theta = {name: array.astype(float) for name, array in problem.theta.items()}
    memory = {name: (np.zeros_like(array), np.zeros_like(array)) for name, array in theta.items()}
    streams, T, B = problem.streams, problem.T, problem.batch
    losses = np.empty(updates)
    for n in range(updates):
        place = n % problem.updates_per_epoch
        if place == 0:
            states = np.zeros((B, problem.m))
        text = streams[place * T : (place + 1) * T + 1]
        loss, gradient = 0.0, {name: np.zeros_like(array) for name, array in theta.items()}
        for b in range(B):
            of_one, parts, states[b] = naive.gradients(theta, text[:-1, b], text[1:, b], states[b])
            loss += problem.scale * of_one
            for name, part in parts.items():
                gradient[name] += problem.scale * part
        for name, g in gradient.items():
            theta[name] -= step(problem, n + 1, memory[name], np.clip(g, -problem.clip, problem.clip))
        losses[n] = loss
    return losses


def step(problem: Problem, t: int, memory: tuple[np.ndarray, np.ndarray], g: np.ndarray) -> np.ndarray:
    """Return what update t, counted from 1, takes off a parameter, and remember its gradient."""
    mean, square = memory
    if problem.optimizer == "adagrad":
        square += g * g
        return problem.eta * g / np.sqrt(square + problem.epsilon)
    mean += (1 - problem.beta1) * (g - mean)
    square += (1 - problem.beta2) * (g * g - square)
    m, v = mean / (1 - problem.beta1**t), square / (1 - problem.beta2**t)
    return problem.eta * m / (np.sqrt(v) + problem.epsilon)
