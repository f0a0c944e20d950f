"""How sure is a mean, and the difference of two?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit  # scipy.stats.t calls them too, and takes 0.5 s to import

LEVEL = 0.95  # of confidence
ROUNDING = 1e-15  # relative, of a standard deviation


@dataclass(frozen=True)
class Mean:
    """The mean of a sample with its confidence interval; NaN is what cannot be known.

    The interval is Student's: mean -+ t sd / sqrt(n), with the quantile t of n - 1 degrees of
    freedom (Student, The probable error of a mean, Biometrika 6, 1908). `p` is the probability of a
    mean at least as far from 0 if the true one is 0.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p: float


def mean_of(sample: Sequence[float] | NDArray[np.floating]) -> Mean:
    """Return the mean of independent numbers, with all that tells how sure it is."""
    n = len(sample)
    if n == 0:
        return Mean(0, *(math.nan,) * 5)
    mean = float(np.mean(sample))
    if n == 1:
        return Mean(1, mean, *(math.nan,) * 4)
    sd = float(np.std(sample, ddof=1))
    if sd <= ROUNDING * float(np.max(np.abs(sample))):  # they are all the same
        return Mean(n, mean, 0.0, mean, mean, 1.0 if mean == 0 else 0.0)
    error = sd / math.sqrt(n)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * error
    p = 2 * float(stdtr(n - 1, -abs(mean) / error))  # of the tail itself: 1 - P would round it to 0
    return Mean(n, mean, sd, mean - half, mean + half, p)


def holm(p: Sequence[float], comparisons: int = 0) -> list[float]:
    """Return p-values that hold for all of several comparisons at once; NaN counts as none.

    `comparisons` is their number if there were more than these.
    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 1979.
    """
    order = [i for i in np.argsort(p) if not math.isnan(p[i])]
    adjusted, largest = [math.nan] * len(p), 0.0
    count = max(comparisons, len(order))
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (count - rank) * p[i]))
        adjusted[i] = largest
    return adjusted
