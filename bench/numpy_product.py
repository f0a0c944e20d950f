"""What the core's matrix products reach at best: one `update` is a product of two matrices by NumPy."""

import numpy as np

from bench.problem import Problem

SIZE = 1000
FLOPS = 2 * SIZE**3


def start(problem: Problem):
    """Return a function that does so many products."""
    A = np.random.default_rng(0).standard_normal((SIZE, SIZE)).astype(problem.dtype)
    out = np.empty_like(A)

    def train(updates):
        for _ in range(updates):
            np.dot(A, A, out=out)
        return np.zeros(updates)

    return train
