"""nbrnn's own kernels, called as a training calls them."""

import numpy as np

from bench.problem import Problem
from nbrnn.network import compiled, kernels
from nbrnn.network.params import Layout


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    compiled.ready("train", problem.dtype)
    layout = Layout(problem.m, problem.K, np.dtype(problem.dtype))
    real = layout.dtype.type
    theta, G, grad, best = layout.pack(problem.theta), *(layout.parameters() for _ in range(3))
    work, codes = layout.work(problem.T), problem.codes
    settings = real(problem.eta), real(problem.epsilon), real(problem.clip)
    done, smooth, best_smooth = 0, np.nan, np.inf

    def train(updates):
        nonlocal done, smooth, best_smooth
        losses, smooths = np.empty(updates), np.empty(updates)
        _, best_smooth, _ = kernels.train(
            theta, G, grad, best, work, codes, done, *settings, smooth, best_smooth, losses, smooths
        )
        done, smooth = done + updates, smooths[-1]
        return losses

    return train
