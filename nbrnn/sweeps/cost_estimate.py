"""Estimate the time and the disk space of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.network.optimizers import OPTIMIZERS, RULES
from nbrnn.runs.timing import update_seconds
from nbrnn.runs.training_state import LOG_EVERY
from nbrnn.storage.checkpoint import layout_of
from nbrnn.sweeps.job import Job
from nbrnn.text_parts import size

MAX_TRIALS = 8  # the times of other networks are interpolated
READING = 0.4  # time for a character of held-out text, in that of training: no backward pass
RUN_SECONDS = 0.3  # for the plot and the files of a run
# bytes: a row of metrics.csv, of validation.csv, of samples.jsonl beside the text, all other files
METRICS_BYTES, VALIDATION_BYTES, SAMPLE_BYTES, OTHER_BYTES = 46, 32, 90, 62_000
MODELS = 3  # in a folder: the last model, the best, the best before the end


def estimate(jobs: Sequence[Job], corpus: Corpus, parallel: int) -> tuple[float, int]:
    """Return the seconds that runs take, so many at once, and their bytes on disk.

    Some of the networks are trained for a moment.
    """
    configs = [job.config for job in jobs]
    if not configs:
        return 0.0, 0
    works = [update_work(config, corpus) for config in configs]
    config_of = dict(sorted(zip(works, configs, strict=True), key=lambda pair: pair[0]))
    picked = np.linspace(0, len(config_of) - 1, min(len(config_of), MAX_TRIALS)).round().astype(int)
    timed = np.array(list(config_of))[picked]
    per_update = np.interp(works, timed, [update_seconds(config_of[work], corpus) for work in timed])
    updates = np.array([updates_with_reading(config, len(corpus)) for config in configs])
    seconds = updates * per_update + RUN_SECONDS
    size = sum(folder_bytes(config, corpus) for config in configs)
    return max(seconds.max(), seconds.sum() / parallel), size


def update_work(config: RunConfig, corpus: Corpus) -> float:
    """Return what the time of an update grows with: its multiply-adds, times the bytes of a number."""
    layout = layout_of(config, len(corpus.alphabet))
    return float(config.seq_length * config.batch * layout.multiply_adds * layout.dtype.itemsize)


def evaluations(config: RunConfig, characters: int) -> int:
    """Return how often a run evaluates its held-out text, if its patience lasts."""
    if not config.validation:
        return 0
    return config.length(characters) // config.updates_per_look(characters)


def updates_with_reading(config: RunConfig, characters: int) -> float:
    """Return the updates of a run, with the time of its evaluations counted in updates, too."""
    held_out = size(config.parts(characters).validation)
    read = evaluations(config, characters) * held_out / (config.seq_length * config.batch)
    return config.length(characters) + READING * read


def folder_bytes(config: RunConfig, corpus: Corpus) -> int:
    """Return the size of a run's folder."""
    updates, every = config.length(len(corpus)), config.sample_every
    layout = layout_of(config, len(corpus.alphabet))
    copies = MODELS + len(RULES[OPTIMIZERS[config.optimizer]].memory)
    return (
        copies * layout.size * layout.dtype.itemsize
        + updates // LOG_EVERY * METRICS_BYTES
        + evaluations(config, len(corpus)) * VALIDATION_BYTES
        + (1 + updates // every if every else 0) * (config.sample_length + SAMPLE_BYTES)
        + sum(array.nbytes for array in corpus.counts(config.parts(len(corpus)).training).values())
        + OTHER_BYTES
    )
