"""Multiple comparisons with the best configuration, and the seeds needed to detect a difference."""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import log_ndtr, ndtri, stdtr

from nbrnn.analysis.group_means import GroupMeans
from nbrnn.analysis.intervals import LEVEL
from nbrnn.typing import Array

# One-sided, as a two-sided interval of 95 %: of two configurations neither is significantly worse where
# the interval of their difference includes 0.
ALPHA = (1 - LEVEL) / 2
TINY = 1e-300  # a p-value whose normal quantile is finite
NODES, WEIGHTS = hermegauss(32)  # of the integral over a normal variable
SETTLED = 1e-4  # a p-value that need not be known better
ALMOST_NONE = 1e-9
POWER = 0.8  # of detecting a difference


def p_of_being_best(groups: GroupMeans) -> Array:
    """Return for each configuration the p-value of its having the lowest mean.

    Multiple comparisons with the best: Hsu, Constrained simultaneous confidence intervals for multiple
    comparisons with the best, Annals of Statistics 12, 1984. Each configuration is in turn the control
    of a one-sided comparison with all others (Dunnett 1955). Seeds and variances may be unequal: the
    statistics are Welch's, mapped to normal ones, and correlated as far as they share the control.
    Below ALPHA a configuration is significantly worse than the best. NaN where the variability between
    seeds is unknown.
    """
    count = len(groups.means)
    if count > 1 and not groups.known:
        return np.full(count, math.nan)
    p = np.ones(count)
    for i in range(count if count > 1 else 0):
        others = np.arange(count) != i
        own, variances = groups.variances[i], groups.variances[others]
        both = own + variances
        statistics = (groups.means[i] - groups.means[others]) / np.sqrt(both)
        statistics = without_skewness(statistics, groups, i, others)
        degrees = both**2 / (own**2 / groups.degrees[i] + variances**2 / groups.degrees[others])
        tail = max(float(stdtr(degrees, -statistics).min()), TINY)
        p[i] = min(1.0, (count - 1) * tail)  # Bonferroni's bound, where it settles the matter
        if p[i] > SETTLED and tail < 1 / 2:
            p[i] = p_of_largest(-float(ndtri(tail)), own / both)
    return p


def without_skewness(statistics: Array, groups: GroupMeans, i: int, others: Array) -> Array:
    """Return Welch's statistics with the skewness of runs removed where it makes them too large.

    Hall, On the removal of skewness by transformation, Journal of the Royal Statistical Society B 54,
    1992, equation (2.4).
    """
    third = groups.skewness * groups.variances**1.5 / np.sqrt(groups.counts)  # cumulant of a mean
    both = groups.variances[i] + groups.variances[others]
    g = (third[i] - third[others]) / both**1.5
    without = statistics + g * statistics**2 / 3 + g**2 * statistics**3 / 27 + g / 6
    return np.where(statistics > 0, np.minimum(statistics, without), statistics)


def p_of_largest(largest: float, shares: Array) -> float:
    """Return the probability that the largest of correlated normal numbers is at least this one.

    shares (numbers,): the part of each variance that all numbers have in common.
    """
    common, own = np.sqrt(shares)[:, None], np.sqrt(1 - shares)[:, None]
    logs = log_ndtr((largest - common * NODES) / np.maximum(own, ALMOST_NONE)).sum(axis=0)
    return float(1 - WEIGHTS @ np.exp(logs) / WEIGHTS.sum())


def seeds_to_detect(difference: float, sd_a: float, sd_b: float) -> float:
    """Return how many runs of each of two configurations detect a difference with POWER.

    By the normal approximation of a two-sided test at 5 %.
    """
    return (quantile_sum() / difference) ** 2 * (sd_a**2 + sd_b**2)


def detectable_difference(error: float) -> float:
    """Return which difference of means is detected with POWER at this standard error."""
    return quantile_sum() * error


def quantile_sum() -> float:
    """Return the sum of the normal quantiles of LEVEL, two-sided, and of POWER."""
    return float(ndtri((1 + LEVEL) / 2) + ndtri(POWER))
