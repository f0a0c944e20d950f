"""Medians, shifts and probabilities with intervals for losses of any distribution.

Everything here counts runs in order, so that the size of what is far off does not matter. Where there
are too few runs, an interval is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, betaincinv, ndtr, ndtri

from nbrnn.typing import Array

LEVEL = 0.95  # of confidence
SIGNIFICANT = 0.05  # the largest p of a significant difference
MIN_SPREAD = 4  # runs that say how much they vary: with 3, an effect over 8 blocks has 8 % false claims


@dataclass(frozen=True)
class Estimate:
    """A number with its interval and the p-value of its being 0; NaN is what cannot be known."""

    n: int
    value: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan


def median_of(sample: Sequence[float] | Array, comparisons: int = 1) -> Estimate:
    """Return the median of independent numbers, with its interval between two of them.

    The interval is that of the sign test, of any continuous distribution (Conover, Practical
    nonparametric statistics, 1999, section 3.2). It holds for the best of so many `comparisons` too.
    """
    x = np.sort(np.asarray(sample, float))
    n = len(x)
    if n == 0:
        return Estimate(0, math.nan)
    signs = np.count_nonzero(x < 0), np.count_nonzero(x > 0)
    p = min(1.0, 2 * float(bdtr(min(signs), sum(signs), 0.5))) if sum(signs) else 1.0
    tails = bdtr(np.arange(n), n, 0.5)
    cut = int(np.searchsorted(tails, SIGNIFICANT / 2 / comparisons, "right"))
    ends = (float(x[cut - 1]), float(x[n - cut])) if cut else (math.nan, math.nan)
    return Estimate(n, float(np.median(x)), *ends, p)


def shift_of(blocks: Sequence[tuple[Array, Array]]) -> Estimate:
    """Return by how much numbers of the first sample exceed those of the second, over all blocks.

    The estimate is the median of all differences within blocks (Hodges and Lehmann, Annals of
    Mathematical Statistics 34, 1963); test and interval are those of the number of positive ones. In
    several blocks each place is that of a seed, whose runs may depend on each other; NaN is no run. `n`
    is the number of runs of the smaller sample.
    """
    used = [(a, b) for a, b in blocks if count_runs(a) and count_runs(b)]
    if not used:
        return Estimate(0, math.nan)
    differences = np.concatenate([np.subtract.outer(a, b).ravel() for a, b in used])
    differences = np.sort(differences[~np.isnan(differences)])
    count, sd = len(differences), sd_of_positive(used)
    n = min(sum(map(count_runs, side)) for side in zip(*used, strict=True))
    excess = np.count_nonzero(differences > 0) - np.count_nonzero(differences < 0)
    p = min(1.0, 2 * float(ndtr(-(abs(excess) - 1) / 2 / sd)))
    cut = math.floor(count / 2 - 0.5 - float(ndtri((1 + LEVEL) / 2)) * sd)
    ends = (float(differences[cut]), float(differences[-1 - cut])) if cut >= 0 else (math.nan, math.nan)
    return Estimate(n, float(np.median(differences)), *ends, p)


def count_runs(sample: Array) -> int:
    """Return how many numbers are not NaN."""
    return int(np.count_nonzero(~np.isnan(sample)))


def sd_of_positive(blocks: Sequence[tuple[Array, Array]]) -> float:
    """Return the standard deviation of the number of positive differences if neither tends to be lower.

    It follows from the places of each number in the other sample (Brunner and Munzel, Biometrical
    Journal 42, 2000), added up over blocks for each seed: of samples moved to the same median, or as
    they are, whichever is larger. It is at least that of equal distributions (Mann and Whitney 1947),
    and at most that of any two (Birnbaum and Klose, Annals of Mathematical Statistics 28, 1957).
    """
    sizes = np.array([(count_runs(a), count_runs(b)) for a, b in blocks])
    pairs, fewer = sizes.prod(axis=1), sizes.min(axis=1)
    least = math.sqrt(pairs @ (sizes.sum(axis=1) + 1) / 12)
    most = float((pairs / np.sqrt(4 * fewer)).sum())
    if fewer.max() < MIN_SPREAD:
        return most
    moved, _ = spread_of([(a - np.nanmedian(a), b - np.nanmedian(b)) for a, b in blocks])
    spread, excess = spread_of(blocks)
    share = 0.5 + excess / float(pairs.sum())
    # a share of p varies by p (1 - p): what two humps of losses do is seen without moving them only
    as_they_are = spread / math.sqrt(4 * share * (1 - share)) if 0 < share < 1 else 0.0
    return min(max(moved, as_they_are, least), most)


def spread_of(blocks: Sequence[tuple[Array, Array]]) -> tuple[float, float]:
    """Return the standard deviation of the number of positive differences, and its excess over half."""
    signs = np.full([len(blocks), *(max(map(len, side)) for side in zip(*blocks, strict=True))], np.nan)
    for block, (a, b) in zip(signs, blocks, strict=True):
        block[: len(a), : len(b)] = np.sign(np.subtract.outer(a, b)) / 2
    is_there, total = ~np.isnan(signs), np.nansum(signs, axis=0)
    places = total.sum(axis=1)[is_there.any(axis=(0, 2))], total.sum(axis=0)[is_there.any(axis=(0, 1))]
    return math.sqrt(sum(len(own) * own.var(ddof=1) for own in places)), float(total.sum())


def improvement(a: Array, b: Array) -> tuple[float, float, float]:
    """Return the probability that a run of `a` has a lower loss than one of `b`, with its interval.

    It is Mann and Whitney's U over the number of pairs; a tie counts half. Its variance is at most that
    of a share among as many trials as the smaller sample has runs (Birnbaum and Klose 1957): the
    interval is Clopper and Pearson's for these.
    """
    n = min(len(a), len(b))
    if n == 0:
        return math.nan, math.nan, math.nan
    signs = np.sign(np.subtract.outer(b, a))
    p = float((signs + 1).mean() / 2)
    if n == 1:
        return p, math.nan, math.nan
    low = float(betaincinv(n * p, n - n * p + 1, SIGNIFICANT / 2)) if p > 0 else 0.0
    high = float(betaincinv(n * p + 1, n - n * p, 1 - SIGNIFICANT / 2)) if p < 1 else 1.0
    return p, low, high


def expected_best(sample: Array, tries: int) -> float:
    """Return the expected lowest of so many different runs of a sample, which is unbiased.

    The i-th of N in order is the lowest of n with probability C(N - i, n - 1) / C(N, n), as in pass@k
    (Chen et al., Evaluating large language models trained on code, 2021).
    """
    count = len(sample)
    weights = [math.comb(count - 1 - i, tries - 1) / math.comb(count, tries) for i in range(count)]
    return float(np.sort(sample) @ weights)


def holm(p: Sequence[float], comparisons: int = 0) -> list[float]:
    """Return p-values that hold for all of several comparisons at once; NaN counts as none.

    `comparisons` is their number if there were more than these.
    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 1979.
    """
    raw, order = np.asarray(p, float), np.argsort(p)  # NaN comes last
    count = max(comparisons, int(np.count_nonzero(~np.isnan(raw))))
    adjusted = np.empty(len(raw))
    adjusted[order] = np.minimum(1, np.maximum.accumulate((count - np.arange(len(raw))) * raw[order]))
    return adjusted.tolist()
