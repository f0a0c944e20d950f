"""nbrnn's own kernels, called as a training calls them."""

import numpy as np

from bench.problem import Problem
from nbrnn.network import compiled, loops
from nbrnn.network.optimizers import AdaGrad
from nbrnn.network.params import Carry, History, Layout


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    compiled.ready("train", problem.dtype)
    layout = Layout(problem.m, problem.K, np.dtype(problem.dtype))
    real = layout.dtype.type
    buffers = layout.buffers(layout.pack(problem.theta), problem.T, memory=1)
    optimizer, clip = AdaGrad(real(problem.eta), real(problem.epsilon)), real(problem.clip)
    carry = Carry()

    def train(updates):
        nonlocal carry
        history = History.empty(updates)
        carry = loops.train(buffers, optimizer, clip, problem.codes, carry, history)
        return history.losses

    return train
