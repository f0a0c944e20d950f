"""Which configurations are significantly worse than the best, and how many seeds a difference needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy  # which imports scipy.stats where that is first used
from scipy.special import ndtri

from nbrnn.analysis.rank_statistics import SIGNIFICANT
from nbrnn.typing import Array

POWER = 0.8  # of detecting a difference
SIMULATIONS = 4_000  # of repeated analyses
MAX_RUNS = 1_000  # of a configuration, whose differences are counted


def p_of_being_best(samples: Sequence[Array], paired: bool = False) -> Array:
    """Return for each configuration the p-value of there being none whose runs tend to be lower.

    Nemenyi's test of all pairs of mean ranks (Hollander, Wolfe and Chicken, Nonparametric statistical
    methods, 2014, section 6.5), corrected for continuity; a pair counts as having the seeds of the one
    with fewer. Where some are significantly worse than another one, the rest is ranked anew. If
    `paired`, the samples are of the same seeds, and runs are ranked within each (Demsar, Journal of
    Machine Learning Research 7, 2006). NaN where even runs that do not overlap would be too few.
    """
    if len(samples) < 2:
        return np.ones(len(samples))
    p = least_p([len(sample) for sample in samples], paired)
    p[p > SIGNIFICANT] = math.nan
    kept, largest = np.arange(len(samples)), 0.0
    while len(kept) > 1:
        now = np.maximum(tail_areas([samples[i] for i in kept.tolist()], paired), largest)
        p[kept] = np.where(np.isnan(p[kept]), math.nan, now)
        worse = now <= SIGNIFICANT
        if not worse.any():
            return p
        largest, kept = float(now[worse].max()), kept[~worse]
    p[kept] = np.where(np.isnan(p[kept]), math.nan, 1.0)
    return p


def least_p(counts: Sequence[int], paired: bool) -> Array:
    """Return the p-value of each configuration if all its runs were above all of another one."""
    n = np.array(counts)
    ranked = len(n) if paired else sum(counts)
    gaps = np.full((len(n), len(n)), ranked - 1.0) if paired else ranked - np.add.outer(n, n) / 2
    np.fill_diagonal(gaps, 0)
    return p_of_gaps(gaps, ranked * (ranked + 1) / 12, n)


def tail_areas(samples: Sequence[Array], paired: bool) -> Array:
    """Return the p-value of the largest difference of each mean rank from a lower one."""
    n = np.array([len(sample) for sample in samples])
    if paired:
        ranked = scipy.stats.rankdata(samples, axis=0)
        means, spread = ranked.mean(axis=1), float(ranked.var(axis=0, ddof=1).mean())
    else:
        ranked = scipy.stats.rankdata(np.concatenate(samples))
        means = np.array([part.mean() for part in np.split(ranked, np.cumsum(n)[:-1])])
        spread = float(ranked.var(ddof=1))
    return p_of_gaps(np.subtract.outer(means, means), spread, n)


def p_of_gaps(gaps: Array, spread: float, n: Array) -> Array:
    """Return the p-value of each largest gap between mean ranks (n, n), of this variance of ranks."""
    if spread == 0:  # all runs are equal
        return np.ones(len(n))
    fewer = np.minimum.outer(n, n)
    statistics = (gaps - 1 / fewer) / np.sqrt(spread / fewer)
    p: Array = scipy.stats.studentized_range.sf(statistics.max(axis=1), len(n), np.inf)
    return p


def critical_range(configurations: int) -> float:
    """Return what the range of so many independent normal numbers exceeds with 5 %, in deviations."""
    return float(scipy.stats.studentized_range.isf(SIGNIFICANT, configurations, np.inf))


def fewest_seeds(configurations: int, paired: bool = False) -> int:
    """Return with how many seeds each a configuration can be significantly worse at all."""
    seeds = 2
    while least_p([seeds] * configurations, paired)[0] > SIGNIFICANT:
        seeds += 1
    return seeds


def seeds_to_detect(samples: Sequence[Array], difference: float, configurations: int) -> int | None:
    """Return how many seeds of each configuration detect this difference of two of them with POWER.

    samples: runs that say how far losses of the same configuration differ. Noether, Sample size
    determination for some common nonparametric tests, Journal of the American Statistical Association
    82, 1987. None without two runs of any configuration.
    """
    parts = [np.subtract.outer(s[:MAX_RUNS], s[:MAX_RUNS]) for s in samples if len(s) > 1]
    apart = [part[~np.eye(len(part), dtype=bool)] for part in parts]
    if not apart or not difference > 0:
        return None
    below = np.concatenate(apart) - difference
    p = float((np.sign(-below) + 1).mean() / 2)  # that a run of the better one has the lower loss
    needed = critical_range(configurations) / math.sqrt(2) + float(ndtri(POWER))
    seeds = math.ceil(needed**2 / 6 / max(p - 0.5, 1e-9) ** 2)
    return max(seeds, fewest_seeds(configurations))


def false_claims(configurations: int, seeds: Sequence[int]) -> float:
    """Return how often equal configurations differ significantly in any of several analyses.

    seeds: those of each analysis, of which a later one has more. By simulation of means.
    """
    rng = np.random.default_rng(0)
    steps = np.sqrt(np.diff(seeds, prepend=0))[:, None]
    ends = rng.normal(size=(SIMULATIONS, len(seeds), configurations)) * steps
    means = ends.cumsum(axis=1) / np.sqrt(seeds)[:, None]
    is_claimed = np.ptp(means, axis=2) > critical_range(configurations)
    return float(is_claimed.any(axis=1).mean())
