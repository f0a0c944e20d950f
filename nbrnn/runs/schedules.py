"""The learning rate of each update."""

from __future__ import annotations

import numpy as np

from nbrnn.config import RunConfig
from nbrnn.typing import Array


def learning_rates(config: RunConfig, first: int, count: int, updates: int) -> Array:
    """Return the learning rates (count,) of the updates after `first`, in a run of so many `updates`.

    Linear warm-up for `warmup` updates; then eta, or a linear or a cosine decay (Loshchilov and Hutter,
    ICLR 2017) that would reach 0 one update after the last.
    """
    done = np.arange(first, first + count)
    share = np.ones(count)
    if config.schedule != "constant":
        progress = np.maximum(done - config.warmup, 0) / max(1, updates - config.warmup)
        share = 1 - progress if config.schedule == "linear" else (1 + np.cos(np.pi * progress)) / 2
    if config.warmup:
        share = np.where(done < config.warmup, (done + 1) / config.warmup, share)
    return config.eta * share
