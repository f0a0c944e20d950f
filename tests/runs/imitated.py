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
    theta = layout.initial(generator(config.seed, "start"), config.sigma, config.init)
    return {name: np.array(array) for name, array in layout.named(theta).items()}


def epoch_of(config, N, number):
    """Return the order of an epoch on N characters."""
    T, B, rng = config.seq_length, config.batch, generator(config.seed, "order", number)
    if config.order == "sequential":
        return naive.sequential(N, T, B)
    if config.order == "random":
        return naive.anywhere(N, T, B, rng)
    return naive.by_pieces(N, T, B, config.chunks, rng)


def imitate(config, corpus, updates=None):
    """Return the outcome of a run, or of its first updates."""
    length = config.length(len(corpus))
    updates = length if updates is None else updates
    codes = corpus.codes[: len(corpus) - int(config.validation * len(corpus))]
    plan, epoch = [], 0
    while len(plan) < updates:
        plan += epoch_of(config, len(codes), epoch)
        epoch += 1
    theta = start(config, len(corpus.alphabet))
    numbers = {n: getattr(config, n) for n in ("beta1", "beta2", "epsilon")}
    optimizer = naive.OPTIMIZERS[config.optimizer](
        theta, **{name: number for name, number in numbers.items() if number is not None}
    )
    etas = naive.rates(config.eta, config.schedule, config.warmup, length)
    outcome = naive.follow(
        theta,
        codes,
        config.seq_length,
        plan[:updates],
        optimizer,
        etas[:updates],
        clip=np.inf if config.clip == "none" else config.clip,
        loss=config.loss,
    )
    return Imitation(theta, optimizer.memory, *outcome)
