"""Means and differences with confidence intervals, corrected p-values, ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit  # scipy.stats takes 0.5 s to import

from nbrnn.typing import Array

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


def mean_of(sample: Sequence[float] | Array) -> Mean:
    """Return the mean of independent numbers, with its interval."""
    n = len(sample)
    if n == 0:
        return Mean(0, *(math.nan,) * 5)
    mean = float(np.mean(sample))
    if n == 1:
        return Mean(1, mean, *(math.nan,) * 4)
    sd = float(np.std(sample, ddof=1))
    if sd <= ROUNDING * float(np.max(np.abs(sample))):  # all equal
        return Mean(n, mean, 0.0, mean, mean, 1.0 if mean == 0 else 0.0)
    return estimate(n, mean, sd, sd / math.sqrt(n), n - 1)


def difference_of(a: Array, b: Array) -> Mean:
    """Return the difference mean(a) - mean(b) of two independent samples, with its interval.

    Welch, The generalization of Student's problem when several different population variances are
    involved, Biometrika 34, 1947. `n` is the size of the smaller sample, `sd` the standard deviation of
    the difference between one number of `a` and one of `b`.
    """
    n = min(len(a), len(b))
    if n == 0:
        return Mean(0, *(math.nan,) * 5)
    mean = float(np.mean(a) - np.mean(b))
    if n == 1:
        return Mean(1, mean, *(math.nan,) * 4)
    variances = np.array([np.var(a, ddof=1), np.var(b, ddof=1)])
    counts = np.array([len(a), len(b)])
    sd = math.sqrt(variances.sum())
    if sd <= ROUNDING * float(max(np.max(np.abs(a)), np.max(np.abs(b)))):  # all equal in each
        return Mean(n, mean, 0.0, mean, mean, 1.0 if mean == 0 else 0.0)
    parts = variances / counts
    degrees = parts.sum() ** 2 / (parts**2 / (counts - 1)).sum()
    return estimate(n, mean, sd, math.sqrt(parts.sum()), float(degrees))


def estimate(n: int, mean: float, sd: float, error: float, degrees: float) -> Mean:
    """Return a mean whose standard error is known from so many degrees of freedom."""
    half = float(stdtrit(degrees, (1 + LEVEL) / 2)) * error
    p = 2 * float(stdtr(degrees, -abs(mean) / error))  # of the tail itself: 1 - P would round it to 0
    return Mean(n, mean, sd, mean - half, mean + half, p)


def interquartile_mean(sample: Array) -> float:
    """Return the mean of what is left without the lowest and the highest quarter.

    Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice, 2021.
    """
    cut = len(sample) // 4
    return float(np.mean(np.sort(sample)[cut : len(sample) - cut])) if len(sample) else math.nan


def skewness(sample: Array) -> tuple[float, float]:
    """Return a sample's skewness and its standard error in a normal sample; NaN for fewer than three.

    Adjusted for bias: Joanes and Gill, Comparing measures of sample skewness and kurtosis, The
    Statistician 47, 1998.
    """
    n = len(sample)
    deviations = sample - np.mean(sample) if n else sample
    if n < 3 or not np.any(deviations):
        return math.nan, math.nan
    g1 = float(np.mean(deviations**3) / np.mean(deviations**2) ** 1.5)
    error = math.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3)))
    return g1 * math.sqrt(n * (n - 1)) / (n - 2), error


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


def ranks(values: Sequence[Any] | Array) -> Array:
    """Return the ranks of numbers from 1; those that are equal share theirs."""
    _, place, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
