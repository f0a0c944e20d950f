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
SIMULATIONS = 4_000  # of repeated analyses
MIN_SEEDS = 5  # with which anything is called significant
MAX_SEEDS = 1_000  # that are advised
MAX_RIVALS = 20  # of the lowest medians, with which a configuration is compared


def p_of_being_best(samples: Sequence[Array], paired: bool = False) -> Array:
    """Return for each configuration the p-value of there being none whose runs tend to be lower.

    The smallest p-value of a comparison with a single other one, times the number of others
    (Bonferroni): no third one has a say. If `paired`, the samples are of the same seeds, and the sign
    of the difference is tested. NaN where there are too few seeds for any to be significantly lower.
    """
    return np.array([p_of_none_lower(i, samples, paired) for i in range(len(samples))])


def p_of_none_lower(i: int, samples: Sequence[Array], paired: bool = False) -> float:
    """Return the p-value of no configuration having lower runs than this one, as `p_of_being_best`."""
    if not can_be_worse(i, samples, paired):
        return math.nan
    by_median = sorted(range(len(samples)), key=lambda j: float(np.median(samples[j])))
    each = [p_of_lower(samples[i], samples[j], paired) for j in by_median[:MAX_RIVALS] if j != i]
    return min(1.0, (len(samples) - 1) * min(each)) if each else 1.0


def p_of_lower(a: Array, b: Array, paired: bool) -> float:
    """Return the p-value of two samples whose second one tends to be lower, 1 where it does not."""
    difference = median_of(a - b) if paired else shift_of([(a, b)])
    return difference.p if difference.value > 0 else 1.0


def can_be_worse(i: int, samples: Sequence[Array], paired: bool) -> bool:
    """Return whether all runs of a configuration could be significantly above those of another one."""
    own, *others = (len(sample) for sample in (samples[i], *samples[:i], *samples[i + 1 :]))
    return not others or len(others) * least_p(own, max(others), paired) <= SIGNIFICANT


@cache
def least_p(n: int, m: int, paired: bool) -> float:
    """Return the p-value of two samples of these sizes that vary alike and do not overlap."""
    if min(n, m) < MIN_SEEDS:
        return 1.0
    a, b = ((np.arange(size) + 0.5) / size for size in (n, m))
    return p_of_lower(a + 2, b, paired)


def fewest_seeds(configurations: int, paired: bool = False) -> int:
    """Return with how many seeds each a configuration can be significantly worse at all."""
    seeds = MIN_SEEDS
    while (configurations - 1) * least_p(seeds, seeds, paired) > SIGNIFICANT:
        seeds += 1
    return seeds


def seeds_to_detect(samples: Sequence[Array], difference: float, configurations: int) -> int | None:
    """Return how many seeds detect with POWER that another one is higher by this than the first sample.

    Noether, Sample size determination for some common nonparametric tests, Journal of the American
    Statistical Association 82, 1987, with the variance of `shift_of`: both are averages over the other
    samples. None with too few runs to know how they vary; MAX_SEEDS + 1 for more than MAX_SEEDS.
    """
    best, *others = [sample - np.median(sample) for sample in samples]
    if not others or min(map(len, (best, *others))) < MIN_SEEDS or not difference > 0:
        return None
    chances = [(np.sign(np.subtract.outer(other + difference, best)) + 1).mean() / 2 for other in others]
    signs = [sd_of_positive([(best, other)]) ** 2 / len(best) / len(other) ** 2 for other in others]
    needed = critical_value(configurations) + float(ndtri(POWER))
    excess = max(float(np.mean(chances)) - 0.5, 1e-9)
    seeds = math.ceil(min(needed**2 * float(np.mean(signs)) / excess**2, MAX_SEEDS + 1))
    return max(seeds, fewest_seeds(configurations))


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
