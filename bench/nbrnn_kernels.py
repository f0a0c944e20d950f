"""nbrnn's own kernels, called as a training calls them."""

import numpy as np

from bench.problem import Problem
from nbrnn.network import kernel_cache, training_kernels
from nbrnn.network.buffers import Carry, History, Plan, training_buffers
from nbrnn.network.layout import Layout
from nbrnn.network.optimizers import OPTIMIZERS, RULES


def start(problem: Problem):
    """Return a function that does the next updates and returns their losses."""
    T, B, per_epoch = problem.T, problem.batch, problem.updates_per_epoch
    codes, first_characters = problem.codes, problem.first_characters
    kernel_cache.ready("train_batch" if B > 1 else "train_window", problem.dtype, problem.optimizer)
    layout = Layout(problem.m, problem.K, np.dtype(problem.dtype))
    real = layout.dtype.type
    kind = OPTIMIZERS[problem.optimizer]
    optimizer = kind(*(real(getattr(problem, name)) for name in kind._fields))
    memory = len(RULES[kind].memory)
    buffers = training_buffers(layout, layout.pack(problem.theta), T, memory=memory, B=B)
    clip, scale, carry = real(problem.clip), real(problem.scale), Carry()

    def train(updates):
        nonlocal carry
        numbers = (carry.update + np.arange(updates))[:, None] % per_epoch
        reset = np.repeat(numbers == 0, B, axis=1)
        eta = np.full(updates, problem.eta, layout.dtype)
        plan = Plan(numbers * T + first_characters, reset, eta)
        history = History.empty(updates)
        carry = training_kernels.train(buffers, optimizer, clip, scale, codes, plan, carry, history)
        return history.losses

    return train
