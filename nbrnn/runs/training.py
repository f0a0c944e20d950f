"""What is one training, at one moment, in memory?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.network import loops
from nbrnn.network.optimizers import DEFAULT, RULES
from nbrnn.network.params import Array, Carry, History, Layout, Parameters, Sampling, generator
from nbrnn.runs.checkpoint import Checkpoint, TrainingState
from nbrnn.runs.records import MetricsRow, Sample, finite

LOOK_EVERY = 100  # updates between two looks at the smooth loss: for the metrics and the best model


class Training:
    """A run in memory: everything that a checkpoint holds, and what the kernel works on."""

    def __init__(self, config: RunConfig, corpus: Corpus) -> None:
        self.config, self.corpus = config, corpus
        self.updates_per_epoch = corpus.updates_per_epoch(config.seq_length)
        self.updates = config.length(self.updates_per_epoch)
        self.layout = Layout(config.hidden, len(corpus.alphabet), np.dtype(config.dtype))
        real = self.layout.dtype.type
        # an optimizer's numbers are the settings of the same names
        self.optimizer = DEFAULT(*(real(getattr(config, name)) for name in DEFAULT._fields))
        self.clip, self.memory_names = real(config.clip), RULES[DEFAULT].memory
        theta = self.layout.initial(config.sigma, generator(config.seed, "start"))
        self.buffers = self.layout.buffers(theta, config.seq_length, len(self.memory_names))
        self.rng = generator(config.seed, "samples")
        self.carry = Carry()
        self.epoch_loss_sum = 0.0
        self.epoch_mean_loss: list[float] = []
        self.diverged = False
        self.best_without_state = -1  # the update of a best model whose state is not known

    def restore(self, last: Checkpoint, best: Checkpoint) -> None:
        """Go back to the moment of a checkpoint."""
        state = last.state
        assert state is not None
        m, best_theta, best_h = self.config.hidden, best.theta, best.h_prev
        if last.looked:
            best_theta, best_h = last.looked, last.looked.get("h_prev")
        self.buffers = self.buffers._replace(
            theta=self.layout.pack(last.theta),
            memory=tuple(self.layout.pack(last.memory[name]).flat for name in self.memory_names),
            best=self.layout.pack(best_theta).flat,
        )
        self.buffers.work.h[0, :m] = last.h_prev
        if best_h is not None:
            self.buffers.best_state[:m] = best_h
        elif state.best_update:  # of the first version, which did not keep it
            self.best_without_state = state.best_update
        self.rng.bit_generator.state = state.rng
        self.carry = Carry(
            update=last.update,
            smooth=math.nan if last.smooth_loss is None else last.smooth_loss,
            best_smooth=math.inf if state.best_smooth_loss is None else state.best_smooth_loss,
            best_update=state.best_update,
        )
        self.epoch_loss_sum = state.epoch_loss_sum
        self.epoch_mean_loss = list(state.epoch_mean_loss)

    @property
    def update(self) -> int:
        """The number of updates done."""
        return self.carry.update

    @property
    def window(self) -> int:
        """The number of the next window within its epoch."""
        return self.update % self.updates_per_epoch

    def advance(self, updates: int) -> list[MetricsRow]:
        """Do so many updates, within one epoch; return rows for metrics.csv."""
        first, epoch = self.update, self.update // self.updates_per_epoch
        history = History.empty(updates, looks(first, first + updates))
        codes = self.corpus.codes
        self.carry = loops.train(self.buffers, self.optimizer, self.clip, codes, self.carry, history)
        done = self.update - first
        self.diverged = done < updates
        # cumsum adds one by one: the same bits however the epoch is cut into chunks
        sums = np.cumsum(np.append(self.epoch_loss_sum, history.losses[:done]))
        self.epoch_loss_sum = float(sums[-1])
        if done and self.window == 0:
            self.epoch_mean_loss.append(self.epoch_loss_sum / self.updates_per_epoch)
            self.epoch_loss_sum = 0.0
        return [
            MetricsRow(update, epoch, *(float(row[update - first - 1]) for row in history[:2]))
            for update in looks(first, self.update)
        ]

    def sample(self) -> Sample:
        """Draw a sample from the current state."""
        length = self.config.sample_length
        h = np.zeros((2, self.layout.M), self.layout.dtype)
        h[0] = self.buffers.work.h[0] if self.window else 0
        start = self.window * self.config.seq_length
        first = self.corpus.codes[start : start + 1]
        text = np.empty(length, np.int32)
        loops.sample(self.buffers.theta, h, first, self.rng.random(length), Sampling(), text)
        return Sample(
            update=self.update,
            epoch=self.update // self.updates_per_epoch,
            smooth_loss=finite(self.carry.smooth),
            text="".join(self.corpus.alphabet[code] for code in text),
        )

    def is_finite(self) -> bool:
        """Whether all parameters are."""
        trained = self.buffers.theta.flat, *self.buffers.memory
        return all(bool(np.isfinite(flat).all()) for flat in trained)

    def checkpoint(self, theta: Parameters, h: Array, update: int, smooth_loss: float) -> Checkpoint:
        """Return a checkpoint of this model and its state, without what only `last` has."""
        position = update % self.updates_per_epoch * self.config.seq_length
        return Checkpoint(
            config=self.config,
            corpus_sha256=self.corpus.sha256,
            alphabet=self.corpus.alphabet,
            first_character=self.corpus.alphabet[self.corpus.codes[0]],
            update=update,
            epoch=update // self.updates_per_epoch,
            position=position,
            smooth_loss=finite(smooth_loss),
            theta=self.copied(theta),
            next_character=self.corpus.alphabet[self.corpus.codes[position]],
            h_prev=h[: self.config.hidden].copy(),
        )

    def now(self) -> Checkpoint:
        """Return a checkpoint of this moment's model."""
        h = self.buffers.work.h[0]
        return self.checkpoint(self.buffers.theta, h, self.update, self.carry.smooth)

    def best(self) -> Checkpoint:
        """Return a checkpoint of the best model so far."""
        theta, h = self.layout.views(self.buffers.best), self.buffers.best_state
        best = self.checkpoint(theta, h, self.carry.best_update, self.carry.best_smooth)
        return replace(best, h_prev=None) if best.update == self.best_without_state else best

    def last(self, metrics_sha256: str, samples_sha256: str, *, looked: bool) -> Checkpoint:
        """Return a checkpoint of this moment with all that it takes to go on.

        `looked`: with the best model so far, which no other file will have.
        """
        memory = map(self.layout.views, self.buffers.memory)
        best = self.best()
        return replace(
            self.now(),
            memory=dict(zip(self.memory_names, map(self.copied, memory), strict=True)),
            state=TrainingState(
                best_smooth_loss=finite(self.carry.best_smooth),
                best_update=self.carry.best_update,
                epoch_loss_sum=self.epoch_loss_sum,
                epoch_mean_loss=list(self.epoch_mean_loss),
                rng=self.rng.bit_generator.state,
                metrics_sha256=metrics_sha256,
                samples_sha256=samples_sha256,
            ),
            looked=best.arrays() if looked else {},
        )

    def copied(self, parameters: Parameters) -> dict[str, Array]:
        """Return contiguous copies, shaped as in the equations."""
        return {name: np.array(a, order="C") for name, a in self.layout.named(parameters).items()}


def looks(first: int, last: int) -> list[int]:
    """Return the updates after `first`, up to `last`, at which the metrics have a row."""
    marks = range((first // LOOK_EVERY + 1) * LOOK_EVERY, last + 1, LOOK_EVERY)
    return [1, *marks] if first == 0 < last else list(marks)
