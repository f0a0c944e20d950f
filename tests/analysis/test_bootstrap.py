"""The probability of improvement and the interquartile mean, against what rliable printed.

rliable 1.2.0 (Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice,
2021) with arch 7.2.0, NumPy 2.4.6 and SciPy 1.17.1. For losses its scores are turned round:

    a, b = (-np.array(SAMPLES[name])[:, None] for name in pair)  # (runs, 1 task)
    get_interval_estimates({"": [a, b]}, lambda a, b: np.array([probability_of_improvement(a, b)]),
                           reps=50_000, random_state=np.random.RandomState(0))

Where all of one sample are lower its interval is [1, 1], ours that of Clopper and Pearson.
"""

import numpy as np
import pytest

from nbrnn.analysis.bootstrap import improvement
from nbrnn.analysis.intervals import interquartile_mean

SAMPLES = {
    "a": [42.69, 43.05, 42.71, 44.90, 42.33, 43.48, 42.95, 42.52],
    "b": [43.10, 42.85, 45.20, 43.77, 44.02, 43.31, 42.90, 46.15],
    "c": [43.61, 42.75, 44.10, 43.02, 43.99],
    "d": [2.5, 2.5, 2.25, 2.75, 2.5, 3.0, 2.25],  # with ties
    "e": [2.5, 2.75, 2.75, 2.5, 3.0, 2.25, 2.75, 3.5, 2.5, 2.75],
    "f": [1.25, 1.5, 9.75],
}
IMPROVEMENT = {
    "ab": (0.78125, 0.5156, 0.9688),
    "ac": (0.75, 0.45, 1.0),
    "ca": (0.25, 0.0, 0.55),
    "de": (0.6714285714285714, 0.4, 0.9071),
}
# Of aggregate_iqm. A quarter, rounded down, is cut off each end: nothing of three, one of five or seven.
INTERQUARTILE_MEANS = {
    "a": 42.85,
    "b": 43.55,
    "c": 43.54,
    "d": 2.5,
    "e": 2.6666666666666665,
    "f": 4.166666666666667,
}


@pytest.mark.parametrize("pair", IMPROVEMENT)
def test_the_probability_of_improvement_is_rliable_s(pair):
    expected, low, high = IMPROVEMENT[pair]
    found = improvement(*(np.array(SAMPLES[name]) for name in pair))
    assert found[0] == pytest.approx(expected, rel=1e-12)
    # ends from 1,000 resamples have standard deviations up to 0.016 here; possible values are 1/64 apart
    assert found[1:] == pytest.approx((low, high), abs=0.04)


def test_the_interquartile_mean_is_rliable_s():
    found = {name: interquartile_mean(np.array(sample)) for name, sample in SAMPLES.items()}
    assert found == pytest.approx(INTERQUARTILE_MEANS, rel=1e-12)
