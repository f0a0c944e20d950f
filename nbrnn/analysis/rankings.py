"""Agreement of the rankings of configurations by short and by long runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nbrnn.analysis.bootstrap import RESAMPLES
from nbrnn.analysis.intervals import LEVEL
from nbrnn.typing import Array

MAX_DIFFERENCES = 10**8  # over all resamples: of many configurations there are fewer
# Shares of the configurations to keep at the shorter length; 0: the best one alone.
SHARES = {"best": 0.0, "quarter": 1 / 4, "half": 1 / 2}


class Ranged(NamedTuple):
    """A number and the range of values expected with new seeds (NaN: unknown).

    The range is no confidence interval: the number itself may lie above it.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """How two rankings of the same configurations agree.

    `spearman` and `kendall` (tau-b) are rank correlations of means. `regrets` has, by the names of
    SHARES, by how much the best mean of the configurations kept by the first ranking exceeds the best of
    all in the second one, `keeps_best` the share of resamples without regret. The lowest of noisy means
    is below its expectation, so regrets are above 0 also where all configurations are equal.
    """

    spearman: Ranged
    kendall: Ranged
    regrets: dict[str, Ranged]
    keeps_best: dict[str, float]


def agreement(short: Sequence[Array], long: Sequence[Array]) -> Agreement:
    """Return how the means of configurations rank by short runs and by long ones.

    short, long: the losses of each configuration's runs, in the same order in both. Ranges are the
    percentile bootstrap over the runs of each configuration, with deviations stretched by
    sqrt(n / (n - 1)) (Davison and Hinkley, Bootstrap methods and their application, 1997, section 2.3);
    NaN where a configuration has one run only.
    """
    means = np.array([[np.mean(sample) for sample in samples] for samples in (short, long)])
    spearman, kendall = rank_correlations(*means)
    regrets = {n: float(regret(means[0, None], means[1, None], share)[0]) for n, share in SHARES.items()}
    if min(map(len, short)) < 2:
        nothing = math.nan, math.nan
        return Agreement(
            Ranged(spearman, *nothing),
            Ranged(kendall, *nothing),
            {name: Ranged(value, *nothing) for name, value in regrets.items()},
            dict.fromkeys(SHARES, math.nan),
        )
    drawn = resampled(short, long)
    correlations = np.array([rank_correlations(a, b) for a, b in zip(*drawn, strict=True)])
    drawn_regrets = {name: regret(drawn[0], drawn[1], share) for name, share in SHARES.items()}
    return Agreement(
        ranged(spearman, correlations[:, 0]),
        ranged(kendall, correlations[:, 1]),
        {name: ranged(regrets[name], values) for name, values in drawn_regrets.items()},
        {name: float((values == 0).mean()) for name, values in drawn_regrets.items()},
    )


def ranged(value: float, drawn: Array) -> Ranged:
    """Return a number with the percentiles of its resamples, some of which may be NaN."""
    if math.isnan(value):
        return Ranged(value, math.nan, math.nan)
    low, high = np.nanquantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Ranged(value, float(low), float(high))


def resampled(short: Sequence[Array], long: Sequence[Array]) -> Array:
    """Return the means of resampled runs, (2, resamples, configurations); always the same."""
    rng = np.random.default_rng(0)
    count = min(RESAMPLES, MAX_DIFFERENCES // len(short) ** 2)
    drawn = []
    for samples in zip(short, long, strict=True):
        both = np.array(samples)
        n, means = both.shape[1], both.mean(axis=1, keepdims=True)
        weights = rng.multinomial(n, np.full(n, 1 / n), count) / n
        drawn.append(means + math.sqrt(n / (n - 1)) * (both - means) @ weights.T)
    return np.moveaxis(np.array(drawn), 0, 2)


def rank_correlations(a: Array, b: Array) -> tuple[float, float]:
    """Return Spearman's rho and Kendall's tau-b of two rows of numbers; NaN where all are equal.

    Kendall, Rank correlation methods, 1948: both are correlations of the signs of all differences, rho
    that of their sums for each number, which are its midranks but for a constant and a factor.
    """
    signs = [np.sign(row[:, None] - row) for row in (a, b)]
    return correlation(*(sign.sum(axis=1) for sign in signs)), correlation(*signs)


def correlation(a: Array, b: Array) -> float:
    """Return the correlation of two arrays around 0; NaN where one of them is 0."""
    scale = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / scale if scale else math.nan


def regret(short: Array, long: Array, share: float) -> Array:
    """Return by how much the best of those kept is worse than the best of all, (resamples,).

    short, long: (resamples, configurations). At least one configuration is kept, ties in their order.
    """
    count = max(1, math.ceil(share * short.shape[1]))
    kept = np.argsort(short, axis=1, kind="stable")[:, :count]
    best: Array = np.take_along_axis(long, kept, axis=1).min(axis=1) - long.min(axis=1)
    return best
