"""Which windows of the text an update reads, and which of them start from h = 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nbrnn.config import RunConfig
from nbrnn.network.layout import generator
from nbrnn.text_parts import Part, windows
from nbrnn.typing import Array


class WindowOrder:
    """The windows of a run's updates, on the training part of a text.

    `sequential`: B streams through the text, stream b from character b floor((N-1)/B) on; each carries
    its state over, and starts an epoch from h = 0. `random`: windows anywhere, from h = 0. `chunks`: the
    windows of the text in L pieces, laid end to end in a new random order each epoch and read by B
    streams; a piece starts from h = 0. The order of an epoch depends on the seed and its number alone.

    No window crosses the end of the text. Where the part goes on at the beginning of the text, the first
    window there starts from h = 0, and sequential streams start at whole windows instead.
    """

    filled = 1.0  # the share of the characters to predict that is no padding

    def __init__(self, config: RunConfig, part: Part) -> None:
        self.config, self.part = config, part
        self.T, self.B = config.seq_length, config.batch
        self.per_epoch = windows(part, self.T) // self.B  # updates
        self.epoch = -1  # whose order is kept
        self.order: tuple[Array, Array] = np.empty(0), np.empty(0)

    def windows(self, first: int, count: int) -> tuple[Array, Array]:
        """Return where the windows of the updates after `first` start in the text, and which from h = 0.

        Both (count, B), of updates within one epoch.
        """
        epoch, number = divmod(first, self.per_epoch)
        if self.config.order == "sequential":
            return self.sequential(np.arange(number, number + count)[:, None])
        if self.epoch != epoch:
            rng = generator(self.config.seed, "order", epoch, *self.config.replicate)
            self.order = self.random(rng) if self.config.order == "random" else self.chunks(rng)
            self.epoch = epoch
        starts, is_reset = self.order
        return starts[number : number + count], is_reset[number : number + count]

    def sequential(self, numbers: Array) -> tuple[Array, Array]:
        """Return the windows with these numbers (count, 1) in each of the streams."""
        if len(self.part) == 1:
            ((first, end),) = self.part
            streams = first + np.arange(self.B) * ((end - first - 1) // self.B)
            return numbers * self.T + streams, np.repeat(numbers == 0, self.B, axis=1)
        whole = windows(self.part, self.T)
        numbers_in_part = numbers + np.arange(self.B) * (whole // self.B)
        return self.starts(numbers_in_part), (numbers == 0) | (numbers_in_part == self.seam)

    @property
    def seam(self) -> int:
        """The number of the first whole window after the end of the text; -1 where there is none."""
        return windows(self.part[:1], self.T) if len(self.part) > 1 else -1

    def starts(self, numbers: Array) -> Array:
        """Return where the whole windows with these numbers start in the text."""
        starts = self.part[0][0] + numbers * self.T
        if len(self.part) == 1:
            return starts
        beyond = self.part[1][0] + (numbers - self.seam) * self.T
        return np.where(numbers < self.seam, starts, beyond)

    def random(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return an epoch of windows anywhere."""
        shape = self.per_epoch, self.B
        counts = [max(0, end - start - self.T) for start, end in self.part]  # of places to start
        places = rng.integers(0, sum(counts), shape)
        starts = self.part[0][0] + places
        if len(self.part) == 2:
            starts = np.where(places < counts[0], starts, self.part[1][0] + places - counts[0])
        return starts, np.ones(shape, np.bool_)

    def chunks(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return an epoch of pieces in random order."""
        count, L = windows(self.part, self.T), self.config.chunks
        assert L is not None
        cuts = np.arange(L + 1) * count // L
        numbers, is_first = laid(cuts[:-1], np.diff(cuts), rng.permutation(L))
        return in_streams(self.starts(numbers), is_first | (numbers == self.seam), self.B)

    def position(self, update: int) -> int:
        """Return which character of the text the first stream would read after an update."""
        if self.config.order == "sequential" or update == 0:
            return int(self.windows(update, 1)[0][0, 0])
        return int(self.windows(update - 1, 1)[0][0, 0]) + self.T


def laid(firsts: Array, counts: Array, order: Array) -> tuple[Array, Array]:
    """Return the windows of pieces that are laid end to end, and which is the first of its piece.

    firsts, counts: the number of each piece's first window, and how many it has.
    """
    counts = counts[order]
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(firsts[order], counts) + place, place == 0


def in_streams(starts: Array, is_reset: Array, B: int) -> tuple[Array, Array]:
    """Return windows, both (count, B), as B streams read them; a stream may start within a piece."""
    used = starts.size // B * B
    starts, is_reset = (
        np.ascontiguousarray(array[:used].reshape(B, -1).T) for array in (starts, is_reset)
    )
    is_reset[:1] = True
    return starts, is_reset


def document_windows(
    config: RunConfig, stretches: Sequence[Array], end: int | None
) -> tuple[Array, Array]:
    """Return the length of each document, with its first separator, and the number of its windows."""
    lengths = np.concatenate([np.diff(np.flatnonzero(codes == end)) for codes in stretches])
    return lengths, -(-lengths // config.seq_length)


class DocumentOrder:
    """The windows of a run's updates, on documents to train on.

    A stretch (N,) is documents with the separator `end` before, between and after them. A document is
    cut into windows of T characters from its separator on; the last one is padded with separators. Those
    of all documents, in the order of the text or (`random`) in a new random order each time, are laid
    end to end and read by B streams. A document starts from h = 0, and so does what is left of one where
    a stream starts within it. An epoch has as many updates as one on a text of this length: reading all
    documents once takes some more, as their last windows are not full.

    Attributes:
        codes: The padded documents, in which the windows start.
        filled: The share of the characters to predict that is no padding.
        per_pass: Updates in which all documents are read once.

    """

    def __init__(self, config: RunConfig, stretches: Sequence[Array], end: int, per_epoch: int) -> None:
        self.config, self.per_epoch = config, per_epoch
        self.T, self.B = config.seq_length, config.batch
        codes = np.concatenate([*(stretch[:-1] for stretch in stretches), stretches[-1][-1:]])
        ends = np.flatnonzero(codes == end)
        lengths, self.counts = document_windows(config, stretches, end)
        self.firsts = np.cumsum(self.counts) - self.counts  # the first of them
        windows = int(self.counts.sum())
        self.codes = np.full(windows * self.T + 1, end, codes.dtype)
        shift = self.firsts * self.T - ends[:-1]
        self.codes[np.arange(codes.size - 1) + np.repeat(shift, lengths)] = codes[:-1]
        self.filled = float(lengths.sum() / (windows * self.T))
        self.per_pass = windows // self.B
        self.laid: tuple[int, Array, Array] = (-1, np.empty(0), np.empty(0))

    def windows(self, first: int, count: int) -> tuple[Array, Array]:
        """Return where the windows of the updates after `first` start, and which from h = 0."""
        starts, resets = [], []
        while count:
            number, place = divmod(first, self.per_pass)
            if self.laid[0] != number:
                self.laid = number, *self.lay(number)
            part = slice(place, place + count)
            starts.append(self.laid[1][part])
            resets.append(self.laid[2][part])
            first, count = first + len(starts[-1]), count - len(starts[-1])
        return np.concatenate(starts), np.concatenate(resets)

    def lay(self, number: int) -> tuple[Array, Array]:
        """Return the windows of one reading of all documents, both (per_pass, B)."""
        order = np.arange(self.counts.size)
        if self.config.order == "random":
            rng = generator(self.config.seed, "order", number, *self.config.replicate)
            order = rng.permutation(order)
        numbers, is_first = laid(self.firsts, self.counts, order)
        return in_streams(numbers * self.T, is_first, self.B)

    def position(self, update: int) -> int:
        """Return which character of `codes` the first stream would read after an update."""
        if update == 0:
            return int(self.windows(0, 1)[0][0, 0])
        return int(self.windows(update - 1, 1)[0][0, 0]) + self.T
