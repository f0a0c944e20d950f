"""GRU and LSTM beside JAX and PyTorch: microseconds a character, one thread, interleaved.

    python -m bench.cells                 the sizes of the documentation, and results/bench/cells.csv
    python -m bench.cells CELL,M,B ...    others, which are only printed

Adam, windows of 50 of 65 characters, float32. All start from the same parameters and read the same
windows; the loss of the first update must agree. Each is timed by the processor's time of its process,
in turn, and the median of the rounds counts.
"""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np

from nbrnn.corpus import load
from nbrnn.network import kernel_cache, training_kernels
from nbrnn.network.buffers import Carry, History, Plan, training_buffers
from nbrnn.network.cells import CELLS
from nbrnn.network.layout import Layout, generator
from nbrnn.network.optimizers import Adam

FILE = Path(__file__).parents[1] / "results" / "bench" / "cells.csv"
SIZES = ("vanilla,100,16", "gru,100,1", "gru,100,16", "gru,256,16", "lstm,100,16", "lstm,256,16")
T, K, ETA, BETA1, BETA2, EPSILON = 50, 65, 1e-3, 0.9, 0.999, 1e-8
ROUNDS, SECONDS = 9, 0.3  # of each program, and in a round about


class Task:
    """One network, its initial parameters, and the windows of a text."""

    def __init__(self, cell: str, m: int, B: int) -> None:
        self.layout, self.B = Layout(m, K, np.dtype(np.float32), cell), B
        named = self.layout.named(self.layout.initial(generator(0, "start"), None, "scaled"))
        self.theta = {name.removesuffix(".1"): np.array(array) for name, array in named.items()}
        codes = np.minimum(load("brontes").codes, K - 1)
        self.codes = codes[: len(codes) // (T * B) * T * B + 1].astype(np.int32)
        self.stream = (self.codes.size - 1) // B
        self.per_epoch = self.stream // T

    def starts(self, first: int, updates: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where the windows of some updates begin, and which updates begin an epoch."""
        number = np.arange(first, first + updates)[:, None] % self.per_epoch
        return number * T + np.arange(self.B) * self.stream, number == 0

    def windows(self, first: int, updates: int) -> np.ndarray:
        """Return the characters of some updates and those after them, (updates, T+1, B)."""
        starts, _ = self.starts(first, updates)
        return self.codes[starts[:, None] + np.arange(T + 1)[:, None]]


def nbrnn(task: Task):
    """Return a function that does the next updates and returns their losses."""
    layout, B, real = task.layout, task.B, np.float32
    kernel = "train_batch" if B > 1 else "train_window"
    kernel_cache.ready_for(kernel, layout, "adam")
    theta = layout.initial(generator(0, "start"), None, "scaled")
    buffers, carry = training_buffers(layout, theta, T, memory=2, B=B), Carry()
    optimizer = Adam(*map(real, (ETA, BETA1, BETA2, EPSILON)))

    def train(updates):
        nonlocal carry
        starts, reset = task.starts(carry.update, updates)
        plan = Plan(starts, np.repeat(reset, B, axis=1), np.full(updates, ETA, real))
        history = History.empty(updates)
        scale = real(1 / (T * B))
        carry = training_kernels.train(
            buffers, optimizer, real(np.inf), scale, task.codes, plan, carry, history
        )
        return history.losses

    return train


def torch(task: Task):
    """The same with torch's module, a linear layer and Adam in one kernel."""
    import torch as library

    library.set_num_threads(1)
    cell, m, B = CELLS[task.layout.cell], task.layout.m, task.B
    module, head = getattr(library.nn, cell.torch)(K, m), library.nn.Linear(m, K)
    theta = {name: library.from_numpy(array) for name, array in task.theta.items()}
    with library.no_grad():
        module.weight_hh_l0.copy_(theta["W"])
        module.weight_ih_l0.copy_(theta["U"])
        module.bias_ih_l0.copy_(theta["b"])
        module.bias_hh_l0.zero_()
        head.weight.copy_(theta["V"])
        head.bias.copy_(theta["c"])
    parameters = [*module.parameters(), *head.parameters()]
    optimiser = library.optim.Adam(parameters, ETA, (BETA1, BETA2), EPSILON, fused=True)
    zero = library.zeros(1, B, m)
    start = (zero, zero) if len(cell.states) == 2 else zero
    number, state = 0, start

    def train(updates):
        nonlocal number, state
        losses = np.empty(updates)
        for n, text in enumerate(library.from_numpy(task.windows(number, updates)).long()):
            if number % task.per_epoch == 0:
                state = start
            number += 1
            hs, state = module(library.nn.functional.one_hot(text[:-1], K).float(), state)
            scores = head(hs).view(T * B, K)
            loss = library.nn.functional.cross_entropy(scores, text[1:].flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
            losses[n] = loss.item()
        return losses

    return train


def jax(task: Task):
    """The same in JAX: two scans, and the gradient of W as one product over all steps."""
    import jax as library

    jnp, sigmoid = library.numpy, library.nn.sigmoid
    cell, m, B = task.layout.cell, task.layout.m, task.B
    theta = {n: jnp.asarray(a.T.copy() if a.ndim == 2 else a) for n, a in task.theta.items()}

    def step(W, d, state, a):
        h, z = state[0], state[0] @ W
        if cell == "vanilla":
            return (jnp.tanh(z + a[0] + a[1]),)
        if cell == "lstm":
            i, f, g, o = jnp.split(z + a[0] + a[1], 4, axis=1)
            c = sigmoid(f) * state[1] + sigmoid(i) * jnp.tanh(g)
            return sigmoid(o) * jnp.tanh(c), c
        (r, u, n), (x_r, x_u, x_n) = jnp.split(z + a[1], 3, axis=1), jnp.split(a[0], 3, axis=1)
        n = jnp.tanh(x_n + sigmoid(r + x_r) * (n + d))
        return (n + sigmoid(u + x_u) * (h - n),)

    def loss_of(theta, nothing, text, state):
        W, d = library.lax.stop_gradient(theta["W"]), theta.get("d", 0.0)

        def one(state, a):
            new = step(W, d, state, a)
            return new, new[0]

        last, hs = library.lax.scan(one, state, (theta["U"][text[:-1]] + theta["b"], nothing))
        scores = library.nn.log_softmax(hs @ theta["V"] + theta["c"])
        loss = -jnp.take_along_axis(scores, text[1:, :, None], axis=2).mean()
        return loss, (jnp.concatenate([state[0][None], hs[:-1]]), last)

    def update(carry, given):
        theta, mean, square, state, t = carry
        text, is_first = given
        state = library.tree.map(lambda s: jnp.where(is_first, 0, s), state)
        nothing = jnp.zeros((T, B, theta["b"].size), jnp.float32)  # whose gradient is that of W h
        both = library.value_and_grad(loss_of, argnums=(0, 1), has_aux=True)
        (loss, (before, state)), (g, dz) = both(theta, nothing, text, state)
        g["W"] = before.reshape(T * B, m).T @ dz.reshape(T * B, -1)
        t = t + 1
        mean = {n: BETA1 * mean[n] + (1 - BETA1) * g[n] for n in g}
        square = {n: BETA2 * square[n] + (1 - BETA2) * g[n] ** 2 for n in g}
        root = jnp.sqrt(1 - BETA2**t)
        rate = ETA * root / (1 - BETA1**t)
        theta = {n: theta[n] - rate * mean[n] / (jnp.sqrt(square[n]) + EPSILON * root) for n in g}
        return (theta, mean, square, state, t), loss

    @partial(library.jit, donate_argnums=0)
    def many(carry, texts, firsts):
        return library.lax.scan(update, carry, (texts, firsts))

    zeros = {name: jnp.zeros_like(array) for name, array in theta.items()}
    state = tuple(jnp.zeros((B, m)) for _ in CELLS[cell].states)
    carry, number = (theta, zeros, dict(zeros), state, 0.0), 0
    carry = library.tree.map(lambda a: jnp.array(a, jnp.float32), carry)  # each may be given away

    def train(updates):
        nonlocal carry, number
        _, firsts = task.starts(number, updates)
        carry, losses = many(carry, task.windows(number, updates), firsts[:, 0])
        number += updates
        return np.asarray(losses, float)

    return train


def measure(size: str) -> dict[str, float]:
    """Return the microseconds a character that each program takes on one size."""
    cell, m, B = size.split(",")
    task = Task(cell, int(m), int(B))
    programs = {start.__name__: start(task) for start in (nbrnn, jax, torch)}
    first = {name: float(train(1)[0]) for name, train in programs.items()}
    if max(first.values()) - min(first.values()) > 1e-4:
        raise SystemExit(f"{size}: different losses: {first}")
    updates, times = {}, {name: [] for name in programs}
    for name, train in programs.items():
        train(4)  # compiles
        begun = time.process_time()
        train(4)
        updates[name] = max(4, int(4 * SECONDS / (time.process_time() - begun)))
        train(updates[name])  # compiles for this number
    for _ in range(ROUNDS):
        for name, train in programs.items():
            begun = time.process_time()
            train(updates[name])
            seconds = time.process_time() - begun
            times[name].append(seconds / (updates[name] * T * task.B) * 1e6)
    return {name: float(np.median(each)) for name, each in times.items()}


def main(sizes: Sequence[str]) -> None:
    """Time the programs on all sizes, print what they take, and write it for the default ones."""
    print(f"{'us a character':16}{'nbrnn':>9}{'jax':>9}{'torch':>9}{'jax /':>9}{'torch /':>9}")
    lines = []
    for size in sizes or SIZES:
        ours, *theirs = measure(size).values()
        numbers = [ours, *theirs, *(each / ours for each in theirs)]
        print(f"{size:16}" + "".join(f"{number:9.2f}" for number in numbers), flush=True)
        lines.append([*size.split(","), *(f"{number:.2f}" for number in numbers[:3])])
    if not sizes:
        with FILE.open("w", newline="") as file:
            head = ["cell", "hidden", "batch", "nbrnn", "jax", "torch"]
            csv.writer(file, lineterminator="\n").writerows([head, *lines])


if __name__ == "__main__":
    main(sys.argv[1:])
