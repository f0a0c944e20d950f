"""Which windows of the text does an update read, and from which state?"""

from __future__ import annotations

import numpy as np

from nbrnn.config import RunConfig
from nbrnn.network.layout import generator
from nbrnn.typing import Array


class Windows:
    """The windows of a run's updates, on so many characters to train on.

    `sequential`: B streams through the text, stream b from character b floor((N-1)/B) on; each hands
    its state on, and begins an epoch from h = 0. `random`: windows anywhere, from h = 0. `chunks`: the
    text's windows in L pieces, laid end to end in a new random order each epoch and read by B streams; a
    piece begins from h = 0. The order of an epoch is made from the seed and the epoch's number alone.
    """

    def __init__(self, config: RunConfig, characters: int) -> None:
        self.config, self.characters = config, characters
        self.T, self.B = config.seq_length, config.batch
        self.per_epoch = (characters - 1) // (self.T * self.B)  # updates
        self.epoch = -1  # whose order was made last
        self.of_epoch: tuple[Array, Array] = np.empty(0), np.empty(0)

    def of(self, first: int, count: int) -> tuple[Array, Array]:
        """Return where the windows of the updates after `first` begin, and which from h = 0.

        Both (count, B), of updates within one epoch.
        """
        epoch, number = divmod(first, self.per_epoch)
        if self.config.order == "sequential":
            numbers = np.arange(number, number + count)
            streams = np.arange(self.B) * ((self.characters - 1) // self.B)
            in_order = numbers[:, None] * self.T + streams
            return in_order, np.repeat(numbers[:, None] == 0, self.B, axis=1)
        if self.epoch != epoch:
            rng = generator(self.config.seed, "order", epoch)
            self.of_epoch = self.random(rng) if self.config.order == "random" else self.chunks(rng)
            self.epoch = epoch
        starts, fresh = self.of_epoch
        return starts[number : number + count], fresh[number : number + count]

    def random(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return an epoch of windows anywhere."""
        shape = self.per_epoch, self.B
        return rng.integers(0, self.characters - self.T, shape), np.ones(shape, np.bool_)

    def chunks(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return an epoch of pieces in random order."""
        windows, L = (self.characters - 1) // self.T, self.config.chunks
        assert L is not None
        cuts = np.arange(L + 1) * windows // L
        pieces = rng.permutation(L)
        firsts, lengths = cuts[pieces], np.diff(cuts)[pieces]
        ends = np.cumsum(lengths)
        within = np.arange(windows) - np.repeat(ends - lengths, lengths)  # its piece
        starts = (np.repeat(firsts, lengths) + within) * self.T
        used = self.per_epoch * self.B
        of_streams = starts[:used].reshape(self.B, -1).T, (within == 0)[:used].reshape(self.B, -1).T
        of_streams[1][:1] = True  # a stream may begin within a piece
        return np.ascontiguousarray(of_streams[0]), np.ascontiguousarray(of_streams[1])

    def position(self, update: int) -> int:
        """Return where in the text the first stream is after an update: what it would read next."""
        if self.config.order == "sequential" or update == 0:
            return int(self.of(update, 1)[0][0, 0])
        return int(self.of(update - 1, 1)[0][0, 0]) + self.T


def learning_rates(config: RunConfig, first: int, count: int, updates: int) -> Array:
    """Return the learning rates (count,) of the updates after `first`, of so many of a run.

    It rises in a line for `warmup` updates; then it is eta, or falls in a line, or in half a period of
    a cosine (Loshchilov and Hutter, ICLR 2017), so that an update after the run's last one had 0.
    """
    done = np.arange(first, first + count)
    share = np.ones(count)
    if config.schedule != "constant":
        through = np.maximum(done - config.warmup, 0) / max(1, updates - config.warmup)
        share = 1 - through if config.schedule == "linear" else (1 + np.cos(np.pi * through)) / 2
    if config.warmup:
        share = np.where(done < config.warmup, (done + 1) / config.warmup, share)
    return config.eta * share
