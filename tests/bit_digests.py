"""Print a digest of what each kernel computes for networks of many sizes.

`python bit_digests.py PRECISION B [--no-cache] [OPTIMIZER ...]`; no optimizer: of evaluations only.
"""

import hashlib
import json
import sys
from itertools import product

import numpy as np

from nbrnn.network import kernel_cache, sampling_kernels, training_kernels
from nbrnn.network.buffers import (
    Carry,
    History,
    Plan,
    Sampling,
    states_before,
    training_buffers,
    window_work,
)
from nbrnn.network.layout import Layout
from nbrnn.network.optimizers import OPTIMIZERS, RULES

CHARACTERS, HIDDEN, LENGTHS, UPDATES = (15, 33, 64, 65, 80), (10, 100), (5, 25), 10
NUMBERS = {"eta": 0.01, "epsilon": 1e-8, "beta1": 0.9, "beta2": 0.99}


def digest(*arrays):
    """Return a hash of the bits of arrays."""
    return hashlib.sha256(
        b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    ).hexdigest()


class Case:
    """A network of one size, a text, and B windows in it for each of a few updates."""

    def __init__(self, dtype, B, K, m, T):
        self.rng = np.random.default_rng(1)
        self.layout, self.B, self.T = Layout(m, K, np.dtype(dtype)), B, T
        self.codes = self.rng.integers(0, K, 200).astype(np.int32)
        self.starts = self.rng.integers(0, 200 - T, (UPDATES, B))
        self.theta = self.layout.initial(self.rng, 0.1)
        self.scales = {"sum": self.number(1 / B), "mean": self.number(1 / (T * B))}

    def number(self, value):
        return self.layout.dtype.type(value)

    def train(self, optimizer, loss):
        kind, number = OPTIMIZERS[optimizer], self.number
        theta, history = self.layout.pack(self.layout.named(self.theta)), History.empty(UPDATES, [5])
        buffers = training_buffers(self.layout, theta, self.T, len(RULES[kind].memory), self.B)
        plan = Plan(
            self.starts, self.starts % 2 == 0, np.full(UPDATES, NUMBERS["eta"], self.layout.dtype)
        )
        rule = kind(*(number(NUMBERS[name]) for name in kind._fields))
        training_kernels.train(
            buffers, rule, number(5), self.scales[loss], self.codes, plan, Carry(), history
        )
        return digest(theta.flat, *buffers.memory, buffers.best, *history[:2])

    def gradient(self, loss):
        gradient = self.layout.gradient(self.T * self.B)
        buffers = training_buffers(self.layout, self.theta, self.T, 0, self.B)
        arguments = self.theta, gradient, buffers.work, self.codes, self.starts[0], self.scales[loss]
        return digest(gradient.flat, np.array(training_kernels.loss_gradient(*arguments)))

    def numerical_gradient(self):
        out = np.empty(20)
        indices = np.arange(20) * (self.theta.flat.size // 20)
        work, codes = window_work(self.layout, self.T), self.codes[: self.T + 1]
        training_kernels.numerical_gradient(self.theta, work, codes, indices, 1e-3, out)
        return digest(out)

    def evaluate(self):
        work = window_work(self.layout, self.T)
        return digest(np.array(sampling_kernels.evaluate(self.theta, work, self.codes)))

    def sample(self):
        work, text, uniforms = window_work(self.layout, 1), np.empty(50, np.int32), self.rng.random(50)
        sampling_kernels.sample(self.theta, work, self.codes[:7], uniforms, Sampling(0.7, 9, 0.9), text)
        return digest(states_before(work), text)


def digests(dtype, B, optimizers, cached=True):
    """Return a digest by kernel and sizes; without optimizers only of `evaluate`."""
    rest = ("evaluate", "numerical_gradient", "sample") if B == 1 else ()
    rest = rest if optimizers else rest[:1]
    if cached:
        group = "batch" if B > 1 else "window"
        for optimizer in optimizers:
            kernel_cache.ready(f"{group}_gradient", dtype)
            kernel_cache.ready(f"train_{group}", dtype, optimizer)
        for kernel in rest:
            kernel_cache.ready(kernel, dtype)
    result = {}
    for K, m, T in product(CHARACTERS, HIDDEN, LENGTHS):
        case, size = Case(dtype, B, K, m, T), f"K={K} m={m} T={T}"
        for loss in case.scales if optimizers else ():
            result[f"gradient {size} {loss}"] = case.gradient(loss)
            for optimizer in optimizers:
                result[f"{optimizer} {size} {loss}"] = case.train(optimizer, loss)
        for kernel in rest:
            result[f"{kernel} {size}"] = getattr(case, kernel)()
    return result


if __name__ == "__main__":
    precision, windows, *options = sys.argv[1:]
    names = [name for name in options if name in OPTIMIZERS]
    print(json.dumps(digests(precision, int(windows), names, "--no-cache" not in options)))
