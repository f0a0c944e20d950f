"""Which configurations may be the best, and how many more runs would tell?"""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import log_ndtr, ndtri, stdtr

from nbrnn.statistics.cells import Cells
from nbrnn.statistics.stats import LEVEL, Array

# One-sided, as of a two-sided interval of 95 %: of two configurations none is surely worse whose
# difference from the other has an interval around 0.
LEAST_P = (1 - LEVEL) / 2
TINY = 1e-300  # a p of which the normal quantile is finite
NODES, WEIGHTS = hermegauss(32)  # of the integral over a normal variable
SETTLED = 1e-4  # a p that need not be known better
ALMOST_NONE = 1e-9
POWER = 0.8  # with which a difference is to be found


def p_of_being_best(cells: Cells) -> Array:
    """Return for each configuration the p-value of its being the one with the lowest mean.

    Multiple comparisons with the best: Hsu, Constrained simultaneous confidence intervals for multiple
    comparisons with the best, Annals of Statistics 12, 1984. Each configuration is in turn the control
    of a one-sided comparison with all others (Dunnett 1955); it is surely not the best where one of
    them is significantly lower. Seeds and variances may be unequal: the statistics are Welch's, mapped
    to normal ones, and correlated as far as they share the control. Below LEAST_P it is surely worse;
    the truly best one is so with at most that probability, but for the approximations, of which
    `corrected` heeds that runs are skewed. NaN where nothing is known of how runs scatter.
    """
    count = len(cells.means)
    if count > 1 and not cells.known:
        return np.full(count, math.nan)
    p = np.ones(count)
    for i in range(count if count > 1 else 0):
        others = np.arange(count) != i
        mine, theirs = cells.variances[i], cells.variances[others]
        both = mine + theirs
        statistics = corrected((cells.means[i] - cells.means[others]) / np.sqrt(both), cells, i, others)
        degrees = both**2 / (mine**2 / cells.degrees[i] + theirs**2 / cells.degrees[others])
        tail = max(float(stdtr(degrees, -statistics).min()), TINY)
        p[i] = min(1.0, (count - 1) * tail)  # Bonferroni's bound, where it settles the matter
        if p[i] > SETTLED and tail < 1 / 2:
            p[i] = p_of_largest(-float(ndtri(tail)), mine / both)
    return p


def corrected(statistics: Array, cells: Cells, i: int, others: Array) -> Array:
    """Return Welch's statistics with the skewness of runs taken out, where it makes them too large.

    That is where the others vary more, whose means are more often far too low if runs are skewed to the
    left, or whose deviations are then too small if to the right. Hall, On the removal of skewness by
    transformation, Journal of the Royal Statistical Society B 54, 1992, equation (2.4).
    """
    third = cells.skewness * cells.variances**1.5 / np.sqrt(cells.counts)  # cumulant of a mean
    both = cells.variances[i] + cells.variances[others]
    g = (third[i] - third[others]) / both**1.5
    without = statistics + g * statistics**2 / 3 + g**2 * statistics**3 / 27 + g / 6
    return np.where(statistics > 0, np.minimum(statistics, without), statistics)


def p_of_largest(largest: float, shares: Array) -> float:
    """Return the probability that the largest of correlated normal numbers is at least this one.

    shares (numbers,): the part of each variance that comes from what all have in common.
    """
    common, own = np.sqrt(shares)[:, None], np.sqrt(1 - shares)[:, None]
    logs = log_ndtr((largest - common * NODES) / np.maximum(own, ALMOST_NONE)).sum(axis=0)
    return float(1 - WEIGHTS @ np.exp(logs) / WEIGHTS.sum())


def seeds_to_tell(difference: float, sd_a: float, sd_b: float) -> float:
    """Return how many runs of each of two configurations find such a difference with POWER.

    By the normal approximation of a two-sided test at 5 %.
    """
    return (quantile_sum() / difference) ** 2 * (sd_a**2 + sd_b**2)


def difference_told(error: float) -> float:
    """Return which difference of means is found with POWER at this standard error."""
    return quantile_sum() * error


def quantile_sum() -> float:
    """Return the normal quantiles of LEVEL, two-sided, and of POWER together."""
    return float(ndtri((1 + LEVEL) / 2) + ndtri(POWER))
