"""What is one training, at one moment, in memory?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.network import kernels
from nbrnn.network.params import Array, Layout, Parameters, generator
from nbrnn.runs.checkpoint import Checkpoint, TrainingState
from nbrnn.runs.records import MetricsRow, Sample, finite


class Training:
    """A run in memory: everything that a checkpoint holds, and what the kernel works on."""

    def __init__(self, config: RunConfig, corpus: Corpus) -> None:
        self.config, self.corpus = config, corpus
        self.updates_per_epoch = corpus.updates_per_epoch(config.seq_length)
        self.updates = config.length(self.updates_per_epoch)
        self.layout = Layout(config.hidden, len(corpus.alphabet), np.dtype(config.dtype))
        self.theta = self.layout.initial(config.sigma, generator(config.seed, "start"))
        self.G, self.grad = self.layout.parameters(), self.layout.parameters()
        self.best = self.layout.pack(self.layout.named(self.theta))
        self.work = self.layout.work(config.seq_length)
        self.rng = generator(config.seed, "samples")
        self.update = 0
        self.smooth_loss = math.nan
        self.best_smooth_loss, self.best_update = math.inf, 0
        self.epoch_loss_sum = 0.0
        self.epoch_mean_loss: list[float] = []
        self.diverged = False

    def restore(self, last: Checkpoint, best: Checkpoint) -> None:
        """Go back to the moment of a checkpoint."""
        self.theta = self.layout.pack(last.theta)
        self.G = self.layout.pack(last.memory["adagrad"])
        self.best = self.layout.pack(best.theta)
        self.work.h[0, : self.config.hidden] = last.h_prev
        state = last.state
        assert state is not None
        self.rng.bit_generator.state = state.rng
        self.update = last.update
        self.smooth_loss = math.nan if last.smooth_loss is None else last.smooth_loss
        self.best_smooth_loss = math.inf if state.best_smooth_loss is None else state.best_smooth_loss
        self.best_update = state.best_update
        self.epoch_loss_sum = state.epoch_loss_sum
        self.epoch_mean_loss = list(state.epoch_mean_loss)

    @property
    def window(self) -> int:
        """The number of the next window within its epoch."""
        return self.update % self.updates_per_epoch

    def advance(self, updates: int) -> list[MetricsRow]:
        """Do so many updates, within one epoch; return rows for metrics.csv."""
        real = self.layout.dtype.type
        config, first = self.config, self.update
        losses, smooths = np.empty(updates), np.empty(updates)
        done, self.best_smooth_loss, best_update = kernels.train(
            self.theta, self.G, self.grad, self.best, self.work, self.corpus.codes, first,
            real(config.eta), real(config.epsilon), real(config.clip),
            self.smooth_loss, self.best_smooth_loss, losses, smooths,
        )  # fmt: skip
        self.diverged = done < updates
        if best_update >= 0:
            self.best_update = best_update
        epoch = first // self.updates_per_epoch
        rows = [
            MetricsRow(first + n + 1, epoch, float(losses[n]), float(smooths[n]))
            for n in looks(first, first + done)
        ]
        if done:
            self.update += done
            self.smooth_loss = float(smooths[done - 1])
            # cumsum adds one by one: the same bits however the epoch is cut into chunks
            self.epoch_loss_sum = float(np.cumsum(np.append(self.epoch_loss_sum, losses[:done]))[-1])
            if self.window == 0:
                self.epoch_mean_loss.append(self.epoch_loss_sum / self.updates_per_epoch)
                self.epoch_loss_sum = 0.0
        return rows

    def sample(self) -> Sample:
        """Draw a sample from the current state."""
        length = self.config.sample_length
        h = np.zeros((2, self.layout.M), self.layout.dtype)
        h[0] = self.work.h[0] if self.window else 0
        start = self.window * self.config.seq_length
        first = self.corpus.codes[start : start + 1]
        text = np.empty(length, np.int32)
        kernels.sample(self.theta, h, first, self.rng.random(length), 1.0, 0, 1.0, text)
        return Sample(
            update=self.update,
            epoch=self.update // self.updates_per_epoch,
            smooth_loss=finite(self.smooth_loss),
            text="".join(self.corpus.alphabet[code] for code in text),
        )

    def is_finite(self) -> bool:
        """Whether all parameters are."""
        return bool(np.isfinite(self.theta.flat).all() and np.isfinite(self.G.flat).all())

    def checkpoint(self, theta: Parameters, update: int, smooth_loss: float) -> Checkpoint:
        """Return a checkpoint of these parameters, without what only `last` has."""
        return Checkpoint(
            config=self.config,
            corpus_sha256=self.corpus.sha256,
            alphabet=self.corpus.alphabet,
            first_character=self.corpus.alphabet[self.corpus.codes[0]],
            update=update,
            epoch=update // self.updates_per_epoch,
            position=update % self.updates_per_epoch * self.config.seq_length,
            smooth_loss=finite(smooth_loss),
            theta=self.copied(theta),
        )

    def last(self) -> Checkpoint:
        """Return a checkpoint of this moment."""
        return replace(
            self.checkpoint(self.theta, self.update, self.smooth_loss),
            memory={"adagrad": self.copied(self.G)},
            h_prev=self.work.h[0, : self.config.hidden].copy(),
            state=TrainingState(
                best_smooth_loss=finite(self.best_smooth_loss),
                best_update=self.best_update,
                epoch_loss_sum=self.epoch_loss_sum,
                epoch_mean_loss=list(self.epoch_mean_loss),
                rng=self.rng.bit_generator.state,
            ),
        )

    def copied(self, parameters: Parameters) -> dict[str, Array]:
        """Return contiguous copies, shaped as in the equations."""
        return {name: np.array(a, order="C") for name, a in self.layout.named(parameters).items()}


def looks(first: int, last: int) -> list[int]:
    """Return the n for which the metrics show update first + n + 1, out of those up to `last`."""
    every = kernels.LOOK_EVERY
    marks = list(range((first // every + 1) * every, last + 1, every))
    return [mark - first - 1 for mark in ([1] if first == 0 < last and every > 1 else []) + marks]
