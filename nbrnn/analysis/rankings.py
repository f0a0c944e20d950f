"""Agreement of the rankings of configurations by short and by long runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nbrnn.analysis.intervals import LEVEL
from nbrnn.typing import Array

RESAMPLES = 1000
MAX_DIFFERENCES = 10**8  # over all resamples: of many configurations there are fewer
# Shares of the configurations to keep at the shorter length; 0: the best one alone.
SHARES = {"best": 0.0, "quarter": 1 / 4, "half": 1 / 2}


def agreement(short: Sequence[Array], long: Sequence[Array]) -> dict[str, float]:
    """Return how the medians of configurations rank by short runs and by long ones.

    short, long: the losses of each configuration's runs, in the same order in both. `spearman` and
    `kendall` (tau-b) are rank correlations; `half_lost` and its like are the regrets: by how much the
    best median of the configurations kept by the first ranking exceeds the best of all in the second
    one. The lowest of noisy medians is below its expectation, so regrets are above 0 also where all
    configurations are equal. `half_keeps_best` is the share of resamples without regret.

    `spearman_low`, `spearman_high` and their like are the percentiles over resampled runs of each
    configuration, NaN where one has a single run: the range of values expected with new seeds. It is no
    confidence interval: the number itself may lie above it.
    """
    names = ["spearman", "kendall", *(f"{name}_lost" for name in SHARES)]
    values = measures_of(*(np.array([np.median(s) for s in samples]) for samples in (short, long)))
    row = dict(zip(names, values.tolist(), strict=True))
    drawn = np.full((1, len(values)), math.nan)
    if min(map(len, short)) > 1:
        drawn = np.array([measures_of(*one) for one in resampled(short, long)])
    for name, resamples in zip(names, drawn.T, strict=True):
        known = resamples[~np.isnan(resamples)] if not math.isnan(row[name]) else resamples[:0]
        ends = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
        low, high = np.quantile(known, ends).tolist() if known.size else (math.nan, math.nan)
        row |= {f"{name}_low": low, f"{name}_high": high}
    for i, name in enumerate(SHARES, 2):
        is_known = not np.isnan(drawn[:, i]).any()
        row[f"{name}_keeps_best"] = float((drawn[:, i] == 0).mean()) if is_known else math.nan
    return row


def measures_of(short: Array, long: Array) -> Array:
    """Return both rank correlations and the regret of each share, of medians (configurations,)."""
    order = np.argsort(short, kind="stable")  # ties in their order
    kept = (order[: max(1, math.ceil(share * len(order)))] for share in SHARES.values())
    regrets = (float(long[few].min() - long.min()) for few in kept)
    return np.array([*rank_correlations(short, long), *regrets])


def resampled(short: Sequence[Array], long: Sequence[Array]) -> Array:
    """Return the medians of resampled runs, (resamples, 2, configurations); always the same."""
    rng = np.random.default_rng(0)
    count = min(RESAMPLES, MAX_DIFFERENCES // len(short) ** 2)
    drawn = []
    for samples in zip(short, long, strict=True):
        both = np.array(samples)
        chosen = rng.integers(0, both.shape[1], (count, both.shape[1]))
        drawn.append(np.median(both[:, chosen], axis=2))
    return np.moveaxis(np.array(drawn), 2, 0).swapaxes(1, 2)


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
