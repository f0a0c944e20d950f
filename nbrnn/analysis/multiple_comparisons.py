"""Which configurations are significantly worse than the best, and how many seeds a difference needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.special import ndtri

from nbrnn.analysis.rank_statistics import SIGNIFICANT, median_of, sd_of_positive, shift_of
from nbrnn.typing import Array

POWER = 0.8  # of detecting a difference
SIMULATIONS = 20_000  # of repeated analyses
MIN_SEEDS = 5  # of both configurations, with which one is called worse
MAX_SEEDS = 1_000  # that are advised
MAX_RIVALS = 20  # of the lowest medians, with which a configuration is compared


def p_of_being_best(samples: Sequence[Array], paired: bool = False) -> Array:
    """Return for each configuration the p-value of there being none whose runs tend to be lower.

    The smallest p-value of a comparison with a single other one, times the number of others
    (Bonferroni): no third one has a say. If `paired`, the samples are of the same seeds, and the sign
    of the difference is tested. NaN where there are too few seeds for any to be significantly lower.
    """
    rivals = lowest_medians(samples)
    return np.array([p_of_none_lower(i, samples, rivals, paired) for i in range(len(samples))])


def lowest_medians(samples: Sequence[Array]) -> list[int]:
    """Return the places of the samples with the lowest medians, of those with seeds enough to tell."""
    medians = {i: float(np.median(x)) for i, x in enumerate(samples) if len(x) >= MIN_SEEDS}
    return sorted(medians, key=medians.__getitem__)[:MAX_RIVALS]


def p_of_none_lower(
    i: int, samples: Sequence[Array], rivals: Sequence[int], paired: bool = False
) -> float:
    """Return the p-value of none of the rivals having lower runs than this one, as `p_of_being_best`."""
    if len(samples) == 1:
        return 1.0
    others = [j for j in rivals if j != i]
    most = max((len(samples[j]) for j in others), default=0)
    if (len(samples) - 1) * least_p(len(samples[i]), most, paired) > SIGNIFICANT:
        return math.nan
    return min(1.0, (len(samples) - 1) * min(p_of_lower(samples[i], samples[j], paired) for j in others))


def p_of_lower(a: Array, b: Array, paired: bool) -> float:
    """Return the p-value of two samples whose second one tends to be lower, 1 where it does not.

    It is at least the chance that all runs of the one lie on one side of the other's, which may be
    narrow between them.
    """
    fewer = min(len(a), len(b))
    if fewer < MIN_SEEDS:
        return 1.0
    difference = median_of(a - b) if paired else shift_of([(a, b)])
    return max(difference.p, 0.5**fewer) if difference.value > 0 else 1.0


@cache
def least_p(n: int, m: int, paired: bool) -> float:
    """Return the p-value of two samples of these sizes that vary alike and do not overlap."""
    a, b = ((np.arange(size) + 0.5) / size for size in (n, m))
    return p_of_lower(a + 2, b, paired)


def fewest_seeds(configurations: int, paired: bool = False) -> int:
    """Return with how many seeds each a configuration can be significantly worse at all."""
    seeds = MIN_SEEDS
    while (configurations - 1) * least_p(seeds, seeds, paired) > SIGNIFICANT:
        seeds += 1
    return seeds


def seeds_to_detect(
    samples: Sequence[Array], difference: float, configurations: int, paired: bool = False
) -> int | None:
    """Return how many seeds detect with POWER that another one is higher by this than the first sample.

    Noether, Sample size determination for some common nonparametric tests, Journal of the American
    Statistical Association 82, 1987, with the variance of `shift_of`, or of the sign test if `paired`:
    both are averages over the other samples. None with too few runs of the first, or of all others, to
    know how they vary; MAX_SEEDS + 1 for more than MAX_SEEDS.
    """
    best, others = samples[0], [sample for sample in samples[1:] if len(sample) >= MIN_SEEDS]
    if len(best) < MIN_SEEDS or not others or not difference > 0:
        return None
    chances, variances = [], []  # of a positive difference, and of its share for a single seed
    for other in others:
        if paired:
            differences = other - best - np.median(other - best)
            variances.append(0.25)
        else:
            differences = np.subtract.outer(other - np.median(other), best - np.median(best))
            variances.append(sd_of_positive([(best, other)]) ** 2 / len(best) / len(other) ** 2)
        chances.append((np.sign(differences + difference) + 1).mean() / 2)
    needed = critical_value(configurations) + float(ndtri(POWER))
    excess = max(float(np.mean(chances)) - 0.5, 1e-9)
    seeds = math.ceil(min(needed**2 * float(np.mean(variances)) / excess**2, MAX_SEEDS + 1))
    return max(seeds, fewest_seeds(configurations, paired))


def critical_value(configurations: int) -> float:
    """Return the normal quantile from which the difference of two of so many is significant."""
    return float(ndtri(1 - SIGNIFICANT / 2 / (configurations - 1)))


def false_claims(configurations: int, seeds: Sequence[int]) -> float:
    """Return how often any of equal configurations is significantly worse in any of several analyses.

    seeds: those of each analysis, of which a later one has more. By simulation of means.
    """
    rng = np.random.default_rng(0)
    steps = np.sqrt(np.diff(seeds, prepend=0))[:, None]
    ends = rng.normal(size=(SIMULATIONS, len(seeds), configurations)) * steps
    means = ends.cumsum(axis=1) / np.sqrt(seeds)[:, None]
    is_claimed = np.ptp(means, axis=2) / math.sqrt(2) > critical_value(configurations)
    return float(is_claimed.any(axis=1).mean())
