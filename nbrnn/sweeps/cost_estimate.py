"""How long will a sweep take, and how much room on disk?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.runs.evaluation import loss_from
from nbrnn.runs.training_state import LOG_EVERY, Training, prepare_kernels
from nbrnn.sweeps.job import Job

TRIAL_SECONDS = 0.2  # that networks of one shape are trained for
MOST_SHAPES = 8  # that are timed; the others are reckoned from those
TRIAL_CHARACTERS = 20_000  # that are read as held-out text is
CALM = 1e-6  # a learning rate with which nothing diverges
RUN_SECONDS = 0.3  # for the picture of a run, its text and its files
ROW_BYTES = 46  # of metrics.csv
LOOK_BYTES = 32  # of validation.csv
SAMPLE_BYTES = 90  # of samples.jsonl beside the text
OTHER_BYTES = 62_000  # of a run's picture, text and JSON


class Shape(NamedTuple):
    """What the time of an update depends on."""

    hidden: int
    seq_length: int
    batch: int
    optimizer: str
    dtype: str

    def work(self, characters: int) -> float:
        """Return what an update takes, in no unit: its products, twice as many bytes for float64."""
        m, size = self.hidden, np.dtype(self.dtype).itemsize
        return float(self.seq_length * self.batch * m * (m + 2 * characters) * size)


@dataclass(frozen=True)
class Trial:
    """What a short training has shown.

    Seconds of an update, arrays in the two checkpoints, and seconds that it takes to read on by one
    character, as for the held-out loss.
    """

    seconds: float
    copies: int
    reading: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """What the runs of a sweep will take: seconds by the clock on the wall, and bytes on disk."""

    runs: int
    seconds: float
    bytes: int
    slots: int


def estimate(jobs: Sequence[Job], corpus: Corpus, slots: int) -> Estimate:
    """Return what runs will take, so many at once, after training each shape of them for a moment."""
    long_enough = [job for job in jobs if job.config.updates_per_epoch(len(corpus))]
    trials = trials_of([job.config for job in long_enough], corpus)
    seconds, size = [0.0], 0
    for job in long_enough:
        trial = trials[shape_of(job.config)]
        updates = job.config.length(len(corpus))
        seconds.append(
            updates * trial.seconds + held_out_read(job.config, corpus) * trial.reading + RUN_SECONDS
        )
        size += size_of(job.config, updates, trial.copies, corpus)
    slots = max(1, min(slots, len(jobs)))
    return Estimate(len(jobs), max(*seconds, sum(seconds) / slots), size, slots)


def held_out_read(config: RunConfig, corpus: Corpus) -> int:
    """Return how many characters a run reads for its held-out losses."""
    return held_out_looks(config, len(corpus)) * (len(corpus) - config.trained_on(len(corpus)))


def held_out_looks(config: RunConfig, characters: int) -> int:
    """Return how often a run looks at its held-out loss; it may run out of patience before."""
    if not config.validation:
        return 0
    return config.length(characters) // config.updates_per_look(characters)


def shape_of(config: RunConfig) -> Shape:
    """Return the shape of a run's network."""
    return Shape(config.hidden, config.seq_length, config.batch, config.optimizer, config.dtype)


def trials_of(configs: Sequence[RunConfig], corpus: Corpus) -> Mapping[Shape, Trial]:
    """Return a trial of each shape; of those beyond MOST_SHAPES, one reckoned from the most similar."""
    K = len(corpus.alphabet)
    # of one shape a config that holds text out, where there is one: its trial shows more
    one_of = {shape_of(config): config for config in sorted(configs, key=lambda c: c.validation)}
    shapes = sorted(one_of, key=lambda shape: shape.work(K))
    places = np.linspace(0, len(shapes) - 1, min(len(shapes), MOST_SHAPES)).round().astype(int)
    timed = {shapes[place]: trial_of(one_of[shapes[place]], corpus) for place in places}
    trials = dict(timed)
    for shape in shapes:
        if shape not in timed:
            near = min(timed, key=lambda other: abs(np.log(other.work(K) / shape.work(K))))
            ratio = shape.work(K) / near.work(K)
            seconds, reading = timed[near].seconds * ratio, timed[near].reading * ratio
            trials[shape] = replace(timed[near], seconds=seconds, reading=reading)
    return trials


def trial_of(config: RunConfig, corpus: Corpus) -> Trial:
    """Train for a moment, with the kernels ready, and return what that showed."""
    prepare_kernels(config)
    training = Training(replace(config, eta=CALM), corpus)
    training.advance(1)  # brings arrays and code near
    start, size, spent = time.perf_counter(), 1, 0.0
    while spent < TRIAL_SECONDS and not training.diverged:
        training.advance(
            min(size, training.updates_per_epoch - training.update % training.updates_per_epoch)
        )
        spent, size = time.perf_counter() - start, 2 * size
    copies = 3 + len(training.memory_names)  # the last model, the best, the best before the end
    seconds = spent / max(1, training.update - 1)
    return Trial(seconds, copies, seconds_to_read(training) if config.validation else 0.0)


def seconds_to_read(training: Training) -> float:
    """Return how long a training takes to read a character for its held-out loss."""
    codes, start = training.codes[:TRIAL_CHARACTERS], time.perf_counter()
    loss_from(0, training.layout, training.buffers.theta, codes, training.config.seq_length)
    return (time.perf_counter() - start) / codes.size


def size_of(config: RunConfig, updates: int, copies: int, corpus: Corpus) -> int:
    """Return the bytes of a run's folder."""
    m, K, every = config.hidden, len(corpus.alphabet), config.sample_every
    parameters = m * (m + 2 * K + 1) + K
    samples = 1 + updates // every if every else 0
    return (
        copies * parameters * np.dtype(config.dtype).itemsize
        + updates // LOG_EVERY * ROW_BYTES
        + held_out_looks(config, len(corpus)) * LOOK_BYTES
        + samples * (config.sample_length + SAMPLE_BYTES)
        + sum(array.nbytes for array in corpus.counts(config.trained_on(len(corpus))).values())
        + OTHER_BYTES
    )
