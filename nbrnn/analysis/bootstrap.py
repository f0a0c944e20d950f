"""Bootstrap intervals of the probability of improvement and of the expected best of n runs."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

from nbrnn.analysis.intervals import LEVEL
from nbrnn.typing import Array

RESAMPLES = 1000
MIN_RUNS_PER_TRY = 4  # below which the interval holds the true value too seldom
TRIES = (1, 2, 3, 5, 10, 20, 50, 100)


def improvement(a: Array, b: Array) -> tuple[float, float, float]:
    """Return the probability that a run of `a` has a lower loss than one of `b`, with its interval.

    It is Mann and Whitney's U over the number of pairs; a tie counts half. The interval is the
    percentile bootstrap's over the runs of each (Bouthillier et al., Accounting for variance in machine
    learning benchmarks, MLSys 2021). Where all runs of one are lower, it is Clopper and Pearson's for as
    many trials as the smaller sample has runs. NaN without runs.
    """
    if not len(a) or not len(b):
        return np.nan, np.nan, np.nan
    # of the runs of `a` in order, how many are lower than each of b, and how many are not higher
    ordered = np.sort(a)
    below, up_to = (np.searchsorted(ordered, b, side) for side in ("left", "right"))
    p = float((below + up_to).sum() / (2 * len(a) * len(b)))
    if min(len(a), len(b)) < 2:
        return p, np.nan, np.nan
    if p in (0, 1):
        reached = float(((1 - LEVEL) / 2) ** (1 / min(len(a), len(b))))
        return (p, reached, 1.0) if p else (p, 0.0, 1 - reached)
    lower = drawn_lowest(np.asarray(a, float).tobytes())
    halves = lower[below] + lower[up_to] if (below != up_to).any() else 2 * lower[below]
    drawn = np.einsum("mr,mr->r", halves, resamples(len(b), 1)) / (2 * len(a) * len(b))
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return p, float(low), float(high)


@lru_cache(maxsize=1)  # one sample after the other is compared with all others
def drawn_lowest(sample: bytes) -> Array:
    """Return how often the lowest 0, 1, ... n runs of a sample are drawn, (n + 1, RESAMPLES)."""
    order = np.argsort(np.frombuffer(sample))
    drawn = np.cumsum(resamples(len(order), 0)[order], axis=0)
    return np.concatenate([np.zeros((1, RESAMPLES)), drawn])


@cache
def resamples(count: int, stream: int) -> Array:
    """Return how often each of `count` runs is in each resample, (count, RESAMPLES); always the same."""
    rng = np.random.default_rng((count, stream))
    drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return np.ascontiguousarray(drawn.T, dtype=float)


def expected_best(sample: Array, tries: int) -> float:
    """Return the expected lowest of so many independent draws from a sample.

    Dodge et al., Show your work: improved reporting of experimental results, EMNLP 2019: the lowest is
    at least the i-th of N in order with probability ((N - i + 1) / N)^n.
    """
    at_least = (1 - np.arange(len(sample) + 1) / len(sample)) ** tries
    return float(np.sort(sample) @ -np.diff(at_least))


def expected_best_band(sample: Array, tries: int) -> tuple[float, float, float]:
    """Return the expected lowest of so many draws with its interval, by the bootstrap.

    The estimate is biased upwards, and that of a resample again by about as much (Tang et al., Showing
    your work doesn't always work, ACL 2020): the percentiles are moved by twice that. The interval is
    NaN for fewer than MIN_RUNS_PER_TRY runs a try.
    """
    value = expected_best(sample, tries)
    if len(sample) < MIN_RUNS_PER_TRY * tries:
        return value, np.nan, np.nan
    ordered = np.sort(sample)
    count = len(sample)
    higher = count - np.cumsum(resamples(count, 0), axis=0)
    before = np.concatenate([np.ones((1, RESAMPLES)), (higher / count) ** tries])
    drawn = ordered @ -np.diff(before, axis=0)
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)) - 2 * (drawn.mean() - value)
    return value, float(low), float(high)
