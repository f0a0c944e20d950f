"""nbrnn's own kernels, called as a training calls them."""

import numpy as np

from bench.problem import Problem
from nbrnn.network import compiled, loops
from nbrnn.network.optimizers import AdaGrad
from nbrnn.network.params import History, Layout, Progress


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    compiled.ready("train", problem.dtype)
    layout = Layout(problem.m, problem.K, np.dtype(problem.dtype))
    real = layout.dtype.type
    buffers = layout.buffers(layout.pack(problem.theta), problem.T, memory=1)
    optimizer, clip = AdaGrad(real(problem.eta), real(problem.epsilon)), real(problem.clip)
    progress = Progress()

    def train(updates):
        nonlocal progress
        history = History(np.empty(updates), np.empty(updates))
        progress = loops.train(buffers, optimizer, clip, problem.codes, progress, history)
        return history.losses

    return train
