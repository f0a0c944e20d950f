"""Means of groups of runs, and the intervals of weighted sums of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, polygamma

from nbrnn.analysis.intervals import Mean, estimate
from nbrnn.typing import Array

ROUNDING = 1e-14  # relative, of a mean
MAX_SKEWNESS = 3.0  # beyond which a few runs say nothing
MIN_GROUPS = 3  # that say something of each other's variance


@dataclass(frozen=True)
class GroupMeans:
    """The mean of each group of runs; all arrays are (groups,).

    `variances` are those of the means, `degrees` their degrees of freedom (0: unknown), `skewness` that
    of a run, common to all groups.
    """

    counts: Array
    means: Array
    variances: Array
    degrees: Array
    skewness: float

    @property
    def known(self) -> bool:
        """Whether the variability between runs is known."""
        return bool((self.degrees > 0).all())


def group_means(samples: Sequence[Array]) -> GroupMeans:
    """Return the means of samples of at least one number each, with their variances.

    A variance from few runs borrows from those of the other groups as far as these agree (`moderated`),
    but is never below that of its own runs.
    """
    counts = np.array([len(sample) for sample in samples], float)
    means = np.array([np.mean(sample) for sample in samples])
    own = np.array([np.var(sample, ddof=1) if len(sample) > 1 else 0.0 for sample in samples])
    variances, degrees = moderated(own, counts - 1)
    least = (ROUNDING * max(1.0, float(np.abs(means).max(initial=0)))) ** 2
    errors = np.maximum(np.maximum(variances, own) / counts, least)
    return GroupMeans(counts, means, errors, degrees, common_skewness(samples))


def moderated(variances: Array, degrees: Array) -> tuple[Array, Array]:
    """Return variances shrunk towards their common centre, with their degrees of freedom.

    The more alike they are, the more they shrink: Smyth, Linear models and empirical Bayes methods for
    assessing differential expression in microarray experiments, Statistical Applications in Genetics
    and Molecular Biology 3, 2004, section 6.2. At most the degrees of all others are borrowed.
    """
    known = (degrees > 0) & (variances > 0)
    if known.sum() < MIN_GROUPS:
        return variances, degrees
    half = degrees[known] / 2
    logs = np.log(variances[known]) - digamma(half) + np.log(half)
    excess = float(np.var(logs, ddof=1) - polygamma(1, half).mean())
    if excess > 0:
        prior = 2 * inverse_trigamma(excess)
        centre = math.exp(logs.mean() + float(digamma(prior / 2)) - math.log(prior / 2))
    else:
        prior, centre = math.inf, float((degrees * variances).sum() / degrees.sum())
    borrowed = np.minimum(prior, degrees.sum() - degrees)
    total = borrowed + degrees
    return (borrowed * centre + degrees * variances) / total, total


def inverse_trigamma(value: float) -> float:
    """Return x with trigamma(x) = value > 0, by Newton's method on 1 / trigamma (Smyth 2004)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x


def common_skewness(samples: Sequence[Array]) -> float:
    """Return the common skewness of all samples: their third cumulants over their deviations cubed."""
    third = cubes = 0.0
    for sample in samples:
        n = len(sample)
        if n > 2:
            deviations = sample - np.mean(sample)
            third += n * float((deviations**3).sum()) / (n - 1)
            cubes += (n - 2) * float(np.var(sample, ddof=1)) ** 1.5
    return float(np.clip(third / cubes, -MAX_SKEWNESS, MAX_SKEWNESS)) if cubes > 0 else 0.0


def combined(weights: Array, groups: GroupMeans, degrees: float | None = None) -> Mean:
    """Return a weighted sum of means with its interval, by Satterthwaite's degrees of freedom.

    weights (groups,); `degrees` are those of a variance that all means share. Satterthwaite, An
    approximate distribution of estimates of variance components, Biometrics Bulletin 2, 1946.
    """
    used = weights != 0
    value = float(weights @ groups.means)
    if not used.any() or not (groups.degrees[used] > 0).all():
        return Mean(int(used.sum()), value, *(math.nan,) * 4)
    parts = weights[used] ** 2 * groups.variances[used]
    if degrees is None:
        degrees = float(parts.sum() ** 2 / (parts**2 / groups.degrees[used]).sum())
    error = math.sqrt(parts.sum())
    return estimate(int(used.sum()), value, error, error, degrees)
