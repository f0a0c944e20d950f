"""What is one training, at one moment, in memory?"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.network import loops
from nbrnn.network.optimizers import RULES, AdaGrad
from nbrnn.network.params import History, Layout, Parameters, Progress, Sampling, generator
from nbrnn.runs.checkpoint import Checkpoint


class Training:
    """A run in memory: everything that a checkpoint holds, and what the kernel works on."""

    def __init__(self, config: RunConfig, corpus: Corpus) -> None:
        self.config, self.corpus = config, corpus
        self.updates_per_epoch = corpus.updates_per_epoch(config.seq_length)
        self.updates = config.length(self.updates_per_epoch)
        self.layout = Layout(config.hidden, len(corpus.alphabet), np.dtype(config.dtype))
        theta = self.layout.initial(config.sigma, generator(config.seed, "start"))
        self.buffers = self.layout.buffers(theta, config.seq_length, len(RULES[AdaGrad].memory))
        self.rng = generator(config.seed, "samples")
        self.update = 0
        self.smooth_loss = math.nan
        self.best_smooth_loss, self.best_update = math.inf, 0
        self.epoch_loss_sum = 0.0
        self.epoch_mean_loss: list[float] = []
        self.diverged = False

    def restore(self, last: Checkpoint, best: Checkpoint) -> None:
        """Go back to the moment of a checkpoint."""
        self.buffers = self.buffers._replace(
            theta=self.layout.pack(last.theta),
            memory=(self.layout.pack(last.adagrad).flat,),
            best=self.layout.pack(best.theta).flat,
        )
        self.buffers.work.h[0, : self.config.hidden] = last.h_prev
        progress = last.progress
        self.rng.bit_generator.state = progress["rng"]
        self.update = last.update
        self.smooth_loss = math.nan if last.smooth_loss is None else last.smooth_loss
        best_smooth_loss = progress["best_smooth_loss"]
        self.best_smooth_loss = math.inf if best_smooth_loss is None else best_smooth_loss
        self.best_update = progress["best_update"]
        self.epoch_loss_sum = progress["epoch_loss_sum"]
        self.epoch_mean_loss = list(progress["epoch_mean_loss"])

    @property
    def window(self) -> int:
        """The number of the next window within its epoch."""
        return self.update % self.updates_per_epoch

    def advance(self, updates: int) -> list[tuple[int, int, float, float]]:
        """Do so many updates, within one epoch; return rows for metrics.csv."""
        real = self.layout.dtype.type
        config, first = self.config, self.update
        optimizer = AdaGrad(real(config.eta), real(config.epsilon))
        before = Progress(first, self.smooth_loss, self.best_smooth_loss, self.best_update)
        history = History(losses=np.empty(updates), smooths=np.empty(updates))
        after = loops.train(
            self.buffers, optimizer, real(config.clip), self.corpus.codes, before, history
        )
        self.update, self.smooth_loss, self.best_smooth_loss, self.best_update = after
        done = self.update - first
        self.diverged = done < updates
        epoch = first // self.updates_per_epoch
        rows = [
            (first + n + 1, epoch, float(history.losses[n]), float(history.smooths[n]))
            for n in looks(first, first + done)
        ]
        if done:
            # cumsum adds one by one: the same bits however the epoch is cut into chunks
            losses = np.append(self.epoch_loss_sum, history.losses[:done])
            self.epoch_loss_sum = float(np.cumsum(losses)[-1])
            if self.window == 0:
                self.epoch_mean_loss.append(self.epoch_loss_sum / self.updates_per_epoch)
                self.epoch_loss_sum = 0.0
        return rows

    def sample(self) -> dict[str, Any]:
        """Draw a sample from the current state, as a row for samples.jsonl."""
        length = self.config.sample_length
        h = np.zeros((2, self.layout.M), self.layout.dtype)
        h[0] = self.buffers.work.h[0] if self.window else 0
        start = self.window * self.config.seq_length
        first = self.corpus.codes[start : start + 1]
        text = np.empty(length, np.int32)
        loops.sample(self.buffers.theta, h, first, self.rng.random(length), Sampling(), text)
        return {
            "update": self.update,
            "epoch": self.update // self.updates_per_epoch,
            "smooth_loss": finite(self.smooth_loss),
            "text": "".join(self.corpus.alphabet[code] for code in text),
        }

    def is_finite(self) -> bool:
        """Whether all parameters are."""
        trained = self.buffers.theta.flat, *self.buffers.memory
        return all(bool(np.isfinite(flat).all()) for flat in trained)

    def checkpoint(self, theta: Parameters, update: int, smooth_loss: float) -> Checkpoint:
        """Return a checkpoint of these parameters, without what only `last` has."""
        arrays = {name: np.array(a, order="C") for name, a in self.layout.named(theta).items()}
        return Checkpoint(
            config=self.config,
            corpus_sha256=self.corpus.sha256,
            alphabet=self.corpus.alphabet,
            first_character=self.corpus.alphabet[self.corpus.codes[0]],
            update=update,
            epoch=update // self.updates_per_epoch,
            position=update % self.updates_per_epoch * self.config.seq_length,
            smooth_loss=finite(smooth_loss),
            theta=arrays,
        )

    def last(self) -> Checkpoint:
        """Return a checkpoint of this moment."""
        (memory,) = map(self.layout.views, self.buffers.memory)
        adagrad = {name: np.array(a, order="C") for name, a in self.layout.named(memory).items()}
        return replace(
            self.checkpoint(self.buffers.theta, self.update, self.smooth_loss),
            adagrad=adagrad,
            h_prev=self.buffers.work.h[0, : self.config.hidden].copy(),
            progress={
                "best_smooth_loss": finite(self.best_smooth_loss),
                "best_update": self.best_update,
                "epoch_loss_sum": self.epoch_loss_sum,
                "epoch_mean_loss": self.epoch_mean_loss,
                "rng": self.rng.bit_generator.state,
            },
        )


def looks(first: int, last: int) -> list[int]:
    """Return the n for which the metrics show update first + n + 1, out of those up to `last`."""
    every = loops.LOOK_EVERY
    marks = list(range((first // every + 1) * every, last + 1, every))
    return [mark - first - 1 for mark in ([1] if first == 0 < last and every > 1 else []) + marks]


def per_character(nats: float) -> dict[str, float | None]:
    """Return a loss per character in nats, in bits, and as perplexity; None is beyond JSON."""
    return {
        "nats_per_character": finite(nats),
        "bits_per_character": finite(nats / math.log(2)),
        "perplexity": math.exp(nats) if nats < 700 else None,
    }


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it."""
    return value if math.isfinite(value) else None
