"""How long do an update and the reading of held-out text take on this machine?"""

from __future__ import annotations

import time
from dataclasses import replace

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.runs.evaluation import loss_from
from nbrnn.runs.training_state import Training, prepare_kernels

TRIAL_SECONDS = 0.2  # of training, unless another time is given
SAFE_ETA = 1e-6  # with which no trial diverges
READ_CHARACTERS = 5_000


def update_seconds(config: RunConfig, corpus: Corpus, seconds: float | None = None) -> float:
    """Train for a moment, with the kernels ready; return the seconds of an update."""
    prepare_kernels(config)
    training = Training(replace(config, eta=SAFE_ETA), corpus)
    training.advance(1)  # fills the caches
    limit = TRIAL_SECONDS if seconds is None else seconds
    start, size, passed = time.perf_counter(), 1, 0.0
    while passed < limit and not training.diverged:
        left = training.updates_per_epoch - training.update % training.updates_per_epoch
        training.advance(min(size, left))
        passed, size = time.perf_counter() - start, 2 * size
    return passed / max(1, training.update - 1)


def reading_seconds(config: RunConfig, corpus: Corpus) -> float:
    """Return the seconds in which a network reads a character of held-out text."""
    training = Training(config, corpus)
    codes = corpus.codes[:READ_CHARACTERS]
    start = time.perf_counter()
    loss_from(None, training.layout, training.buffers.theta, codes, config.seq_length)
    return (time.perf_counter() - start) / codes.size
