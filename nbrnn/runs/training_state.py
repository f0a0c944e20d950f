"""A training in memory: all that a checkpoint holds, and what the kernels work on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nbrnn.config import NONE, RunConfig
from nbrnn.corpus import Corpus
from nbrnn.network import kernel_cache, training_kernels
from nbrnn.network.buffers import (
    Carry,
    Dropout,
    History,
    Plan,
    Sampling,
    set_states_before,
    states_before,
    training_buffers,
    window_work,
)
from nbrnn.network.layout import Parameters, generator
from nbrnn.network.optimizers import OPTIMIZERS, RULES
from nbrnn.runs.evaluation import loss_from, mean_over
from nbrnn.runs.initial_weights import with_weights
from nbrnn.runs.sampling import draw_codes
from nbrnn.runs.schedules import learning_rates
from nbrnn.runs.window_order import DocumentOrder, WindowOrder
from nbrnn.storage.checkpoint import Checkpoint, HeldOutLosses, TrainingState, layout_of
from nbrnn.storage.schemas import MetricsRow, Sample, ValidationRow, finite
from nbrnn.typing import Array

SETTLED = 1000  # updates in which the smooth loss of a run from trained weights forgets the first one
LOG_EVERY = (
    100  # updates between two rows of the metrics; also between two candidates for the best model
)


def prepare_kernels(config: RunConfig) -> None:
    """Compile or load all kernels that a run needs."""
    layout = layout_of(config, 1)
    train = "train_batch" if config.batch > 1 else "train_window"
    options = {"dropout": config.dropout > 0, "norm": config.clip_norm != NONE}
    kernel_cache.ready_for(train, layout, config.optimizer, **options)
    for kernel in ("sample", "evaluate") if config.validation else ("sample",):
        kernel_cache.ready_for(kernel, layout)


class Training:
    """One training: parameters, optimizer, losses, random generator, best model.

    `initial`: a model whose weights it starts from.
    """

    def __init__(self, config: RunConfig, corpus: Corpus, initial: Checkpoint | None = None) -> None:
        self.config, self.corpus = config, corpus
        parts = config.parts(len(corpus))
        self.codes, self.held_out = corpus.codes, corpus.stretches(parts.validation)
        training = corpus.stretches(parts.training)
        self.first_character = corpus.alphabet[training[0][0]]
        self.order: WindowOrder | DocumentOrder = WindowOrder(config, parts.training)
        if corpus.end is not None:
            self.order = DocumentOrder(config, training, corpus.end, self.order.per_epoch)
            self.codes = self.order.codes
        self.updates_per_epoch = self.order.per_epoch
        self.updates = config.length(len(corpus))
        self.layout = layout_of(config, len(corpus.alphabet))
        real = self.layout.dtype.type
        optimizer = OPTIMIZERS[config.optimizer]
        # an optimizer's numbers are the settings of the same names
        self.optimizer = optimizer(*(real(getattr(config, name)) for name in optimizer._fields))
        self.clip = real(math.inf if config.clip == NONE else config.clip)
        self.norm = None if config.clip_norm == NONE else real(config.clip_norm)
        summed = config.characters_in_loss / config.seq_length
        self.scale = real(summed / config.batch / self.order.filled)
        self.memory_names = RULES[optimizer].memory
        rng = generator(config.seed, "start", *config.replicate)
        theta = self.layout.initial(rng, config.sigma, config.init)
        if initial is not None:
            theta = self.layout.pack(with_weights(self.copy_arrays(theta), corpus.alphabet, initial))
        size = config.seq_length, len(self.memory_names), config.batch
        dropout = None
        if config.dropout:
            key = int(generator(config.seed, "dropout", *config.replicate).integers(2**63))
            dropout = Dropout.of(config.dropout, key, self.layout.dtype)
        self.buffers = training_buffers(self.layout, theta, *size, dropout)
        for sums in self.buffers.memory if config.adagrad_start else ():
            sums[:] = config.adagrad_start
        self.rng = generator(config.seed, "samples", *config.replicate)
        self.carry = Carry()
        self.validation = HeldOutLosses() if self.held_out else None
        self.epoch_loss_sum = 0.0
        self.epoch_mean_loss: list[float] = []
        self.diverged = False
        self.held_out_diverged = False  # the validation loss; the parameters may be finite
        self.best_without_state = -1  # the update of a best model whose state is not known

    def restore(self, last: Checkpoint, best: Checkpoint) -> None:
        """Return to the moment of a checkpoint."""
        state = last.state
        assert state is not None
        best_theta, best_states = best.theta, best.states
        if last.best_before_end:
            best_theta = last.best_before_end
            best_states = {name: best_theta[name] for name in last.states if name in best_theta}
        self.buffers = self.buffers._replace(
            theta=self.layout.pack(last.theta),
            memory=tuple(self.layout.pack(last.memory[name]).flat for name in self.memory_names),
            best=self.layout.pack(best_theta).flat,
        )
        set_states_before(self.buffers.work, self.layout.pack_states(last.states))
        if best_states:
            self.buffers.best_state[..., : self.layout.m] = self.layout.pack_states(best_states)
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
        if self.validation is not None:
            self.validation = state.validation or HeldOutLosses()
        self.diverged = self.held_out_diverged = False

    @property
    def update(self) -> int:
        """The number of updates done."""
        return self.carry.update

    def advance(self, updates: int) -> list[MetricsRow]:
        """Do so many updates, within one epoch; return rows for metrics.csv."""
        first, epoch = self.update, self.update // self.updates_per_epoch
        # where text is held out, its loss decides which model is the best
        candidates = logged_updates(first, first + updates) if self.validation is None else []
        if self.config.init_from is not None:
            candidates = [update for update in candidates if update >= SETTLED]
        history = History.empty(updates, candidates)
        rates = learning_rates(self.config, first, updates, self.updates)
        end = -1 if self.corpus.end is None else self.corpus.end
        plan = Plan(*self.order.windows(first, updates), rates.astype(self.layout.dtype), end)
        numbers = self.optimizer, self.clip, self.scale
        carry = training_kernels.train(
            self.buffers, *numbers, self.codes, plan, self.carry, history, self.norm
        )
        update, smooth, best_smooth, best_update = carry  # with NUMBA_DISABLE_JIT numbers of NumPy
        self.carry = Carry(int(update), float(smooth), float(best_smooth), int(best_update))
        done = self.update - first
        self.diverged = done < updates
        # cumsum adds one by one: the same bits however the epoch is cut into chunks
        sums = np.cumsum(np.append(self.epoch_loss_sum, history.losses[:done]))
        self.epoch_loss_sum = float(sums[-1])
        if done and self.update % self.updates_per_epoch == 0:
            self.epoch_mean_loss.append(self.epoch_loss_sum / self.updates_per_epoch)
            self.epoch_loss_sum = 0.0
        return [
            MetricsRow(update, epoch, *(float(row[update - first - 1]) for row in history[:2]))
            for update in logged_updates(first, self.update)
        ]

    @property
    def validate_every(self) -> int:
        """The number of updates between two evaluations on held-out text."""
        return self.config.updates_per_look(len(self.corpus))

    def validate(self) -> ValidationRow | None:
        """Evaluate the validation loss: the model with the lowest is the best.

        Returns None, and keeps nothing, where the loss is not finite or as large as what the kernel
        calls diverged.
        """
        assert self.validation is not None
        theta, loss = self.buffers.theta, self.evaluate()
        self.held_out_diverged = not loss <= 1 / np.finfo(self.layout.dtype).eps
        if self.held_out_diverged:
            return None
        if loss < self.validation.best_or_infinite:
            self.buffers.best[:] = theta.flat
            self.buffers.best_state[...] = states_before(self.buffers.work)
            self.carry = self.carry._replace(best_smooth=self.carry.smooth, best_update=self.update)
        self.validation = self.validation.with_loss(loss, self.update)
        return ValidationRow(self.update, self.update // self.updates_per_epoch, loss)

    def held_out_loss(self) -> float | None:
        """Return the validation loss of the model as it is now, without evaluating it twice."""
        if self.validation is None:
            return None
        if self.validation.update == self.update > 0:
            return self.validation.last
        return self.evaluate()

    def evaluate(self) -> float:
        """Return the loss of the model as it is now on the validation part, read from h = 0."""
        layout, theta, T, end = self.layout, self.buffers.theta, self.config.seq_length, self.corpus.end
        return mean_over(self.held_out, lambda codes: loss_from(None, layout, theta, codes, T, end))

    def is_better_than_best(self, held_out_loss: float | None) -> bool:
        """Return whether the model as it is now is better than the best candidate before."""
        if self.validation is None:
            return self.carry.smooth < self.carry.best_smooth
        return held_out_loss is not None and held_out_loss < self.validation.best_or_infinite

    @property
    def is_out_of_patience(self) -> bool:
        """Is True when the run is to end, after `patience` evaluations without a better loss."""
        patience = self.config.patience
        return bool(patience and self.validation and self.validation.since_best >= patience)

    def preview(self) -> Sample:
        """Draw a sample that is not kept, without a number of the stream for those that are."""
        return self.sample(generator(self.config.seed, "text", self.update))

    def sample(self, rng: np.random.Generator | None = None) -> Sample:
        """Draw a sample from the current state, for B > 1 that of the first window; or a document."""
        length = self.config.sample_length
        work = window_work(self.layout, 1)
        starts, is_reset = self.order.windows(self.update, 1)
        end = self.corpus.end
        if not is_reset[0, 0] and end is None:
            set_states_before(work, states_before(self.buffers.work)[:, :, :1])
        first = self.codes[0 if end is not None else starts[0, 0] :][:1]
        numbers = (rng or self.rng).random(length)
        pieces = draw_codes(self.buffers.theta, work, first, numbers, Sampling(), length, end)
        text = np.concatenate(list(pieces))
        return Sample(
            update=self.update,
            epoch=self.update // self.updates_per_epoch,
            smooth_loss=finite(self.carry.smooth),
            text="".join(self.corpus.alphabet[code] for code in text),
        )

    def is_finite(self) -> bool:
        """Return whether parameters, the optimizer's memory and the validation loss are finite."""
        trained = self.buffers.theta.flat, *self.buffers.memory
        return not self.held_out_diverged and all(bool(np.isfinite(flat).all()) for flat in trained)

    def checkpoint(
        self, theta: Parameters, states: Array, update: int, smooth_loss: float
    ) -> Checkpoint:
        """Return a checkpoint of a model and its states, without what only `last` has."""
        position = self.order.position(update)
        return Checkpoint(
            config=self.config,
            corpus_sha256=self.corpus.sha256,
            alphabet=self.corpus.alphabet,
            first_character=self.first_character,
            update=update,
            epoch=update // self.updates_per_epoch,
            position=position,
            smooth_loss=finite(smooth_loss),
            theta=self.copy_arrays(theta),
            next_character=self.corpus.alphabet[self.codes[position]],
            states=self.layout.named_states(states),
            separator=self.corpus.separator or None,
        )

    def now(self) -> Checkpoint:
        """Return a checkpoint of the model as it is now."""
        states = states_before(self.buffers.work)
        return self.checkpoint(self.buffers.theta, states, self.update, self.carry.smooth)

    def best(self) -> Checkpoint:
        """Return a checkpoint of the best model so far."""
        theta, states = self.layout.views(self.buffers.best), self.buffers.best_state
        best = self.checkpoint(theta, states, self.carry.best_update, self.carry.best_smooth)
        return replace(best, states={}) if best.update == self.best_without_state else best

    def last(self, hashes: Mapping[str, str], *, is_best: bool) -> Checkpoint:
        """Return a checkpoint with all that it takes to resume.

        `hashes` are those of the logs. `is_best`: the model as it is now is the best one, so that no
        other file holds the best one before it.
        """
        memory = map(self.layout.views, self.buffers.memory)
        return replace(
            self.now(),
            memory=dict(zip(self.memory_names, map(self.copy_arrays, memory), strict=True)),
            state=TrainingState(
                best_smooth_loss=finite(self.carry.best_smooth),
                best_update=self.carry.best_update,
                epoch_loss_sum=self.epoch_loss_sum,
                epoch_mean_loss=list(self.epoch_mean_loss),
                rng=self.rng.bit_generator.state,
                validation=self.validation,
                **hashes,
            ),
            best_before_end=self.best().arrays() if is_best else {},
        )

    def copy_arrays(self, parameters: Parameters) -> dict[str, Array]:
        """Return contiguous copies, shaped as in the equations."""
        return {name: np.array(a, order="C") for name, a in self.layout.named(parameters).items()}


def logged_updates(first: int, last: int) -> list[int]:
    """Return the updates after `first`, up to `last`, that have a row in the metrics."""
    updates = range((first // LOG_EVERY + 1) * LOG_EVERY, last + 1, LOG_EVERY)
    return [1, *updates] if first == 0 < last else list(updates)
