"""What several tests of the network use: a small training, and how far two arrays are apart."""

import numpy as np

from nbrnn.network import loops
from nbrnn.network.optimizers import AdaGrad
from nbrnn.network.params import Carry, History, Layout
from nbrnn.runs.training import looks


class Setup:
    def __init__(self, corpus, m, T, dtype="float64", sigma=0.1):
        self.codes, self.T = corpus.codes, T
        self.layout = Layout(m, len(corpus.alphabet), np.dtype(dtype))
        theta = self.layout.initial(sigma, np.random.default_rng(1))
        self.buffers = self.layout.buffers(theta, T, memory=1)
        self.theta, (self.memory,), self.gradient, self.best, self.best_state, self.work = self.buffers
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
        history = History.empty(updates, looks(first, first + updates))
        self.carry = loops.train(self.buffers, optimizer, real(clip), self.codes, self.carry, history)
        return history

    def named(self, parameters):
        return {name: np.array(a, float) for name, a in self.layout.named(parameters).items()}

    def named_memory(self):
        return self.named(self.layout.views(self.memory))


def distance(a, b):
    return np.abs(a - b).max() / np.abs(b).max()
