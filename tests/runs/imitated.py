"""A run as the naive program does it, by the settings of a config."""

from typing import Any, NamedTuple

import naive
import numpy as np

from nbrnn.network.layout import Layout, generator


class Imitation(NamedTuple):
    """What came out of it. h (B, m); losses and smooths have an entry for each update."""

    theta: dict[str, Any]
    memory: dict[str, dict[str, Any]]
    losses: list[float]
    smooths: list[float]
    h: Any


def start(config, K):
    """Return the initial parameters of a run, which are compared elsewhere."""
    layout = Layout(config.hidden, K, np.dtype(float))
    theta = layout.initial(generator(config.seed, "start", *config.replicate), config.sigma, config.init)
    return {name: np.array(array) for name, array in layout.named(theta).items()}


def epoch_of(config, N, number):
    """Return the order of an epoch on N characters."""
    if config.order == "sequential":
        return naive.sequential(N, config.seq_length, config.batch)
    return epoch_of_stretches(config, ((0, N),), number)


def epoch_of_stretches(config, part, number):
    """Return the order of an epoch on stretches of the text; sequential, if they are several."""
    T, B = config.seq_length, config.batch
    rng = generator(config.seed, "order", number, *config.replicate)
    laid = [(s, s == start) for start, end in part for s in range(start, end - T, T)]
    if config.order == "random":
        places = [s for start, end in part for s in range(start, end - T)]
        shape = len(laid) // B, B
        return [[(places[n], True) for n in row] for row in rng.integers(0, len(places), shape)]
    if config.order == "chunks":
        L, windows, pieces = config.chunks, laid, []
        for piece in rng.permutation(L):
            first, end = (n * len(windows) // L for n in (piece, piece + 1))
            numbered = list(enumerate(windows))[first:end]
            pieces += [(s, is_first or n == first) for n, (s, is_first) in numbered]
        laid = pieces
    length = len(laid) // B
    of_streams = [laid[b * length : (b + 1) * length] for b in range(B)]
    return [
        [(start, is_first or n == 0) for start, is_first in row]
        for n, row in enumerate(zip(*of_streams, strict=True))
    ]


def imitate(config, corpus, updates=None):
    """Return the outcome of a run, or of its first updates."""
    length = config.length(len(corpus))
    updates = length if updates is None else updates
    part = config.parts(len(corpus)).training
    (first, end), *more = part
    plan, epoch = [], 0
    while len(plan) < updates:
        if more:
            plan += epoch_of_stretches(config, part, epoch)
        else:
            order = epoch_of(config, end - first, epoch)
            plan += [[(first + start, is_reset) for start, is_reset in row] for row in order]
        epoch += 1
    theta = start(config, len(corpus.alphabet))
    numbers = {n: getattr(config, n) for n in ("beta1", "beta2", "epsilon", "adagrad_start")}
    optimizer = naive.OPTIMIZERS[config.optimizer](
        theta, **{name: number for name, number in numbers.items() if number is not None}
    )
    etas = naive.rates(config.eta, config.schedule, config.warmup, length)
    outcome = naive.follow(
        theta,
        corpus.codes,
        config.seq_length,
        plan[:updates],
        optimizer,
        etas[:updates],
        clip=np.inf if config.clip == "none" else config.clip,
        loss=config.loss,
    )
    return Imitation(theta, optimizer.memory, *outcome)
