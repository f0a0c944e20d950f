"""What several tests of the network use: a small training, and how far two arrays are apart."""

import numpy as np

from nbrnn.network import training_kernels
from nbrnn.network.buffers import Carry, History, Plan, training_buffers
from nbrnn.network.layout import Layout
from nbrnn.network.optimizers import AdaGrad
from nbrnn.runs.training_state import logged_updates


class Setup:
    def __init__(self, corpus, m, T, dtype="float64", sigma=0.1):
        self.codes, self.T = corpus.codes, T
        self.layout = Layout(m, len(corpus.alphabet), np.dtype(dtype))
        theta = self.layout.initial(np.random.default_rng(1), sigma)
        self.buffers = training_buffers(self.layout, theta, T, memory=1)
        self.theta, (self.memory,), self.gradient, self.best, self.best_state, self.work = self.buffers
        self.h = self.work.layers[0].s[0]  # (T+1, M)
        self.carry = Carry()

    def train(self, updates, eta=0.1, epsilon=1e-8, clip=5.0):
        before = self.carry.update
        losses, smooths, _ = self.train_until_diverged(updates, eta, epsilon, clip)
        assert self.carry.update == before + updates
        return losses, smooths

    def train_until_diverged(self, updates, eta=0.1, epsilon=1e-8, clip=5.0):
        real = self.layout.dtype.type
        optimizer = AdaGrad(real(eta), real(epsilon))
        first = self.carry.update
        history = History.empty(updates, logged_updates(first, first + updates))
        plan = in_order(self.codes, self.T, 1, first, updates, real(eta))
        self.carry = training_kernels.train(
            self.buffers, optimizer, real(clip), real(1), self.codes, plan, self.carry, history
        )
        return history

    def named(self, parameters):
        return {name: np.array(a, float) for name, a in self.layout.named(parameters).items()}

    def named_memory(self):
        return self.named(self.layout.views(self.memory))


def in_order(codes, T, B, first, updates, eta):
    """Return the plan that reads B streams of codes from their beginning on, from update `first` on."""
    stream = (codes.size - 1) // B
    n = np.arange(first, first + updates) % (stream // T)
    starts = n[:, None] * T + np.arange(B) * stream
    return Plan(starts, np.repeat(n[:, None] == 0, B, axis=1), np.full(updates, eta))


def distance(a, b):
    return np.abs(a - b).max() / np.abs(b).max()
