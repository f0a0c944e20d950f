"""Student's distribution and Holm's correction, against SciPy and by hand."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from nbrnn.reports.stats import holm, mean_of, t_quantile, t_within


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 10, 19, 20, 49, 500])
def test_students_distribution_is_scipys(degrees):
    assert t_quantile(degrees) == pytest.approx(scipy_stats.t.ppf(0.975, degrees), rel=1e-12)
    for t in (0, 0.01, 0.5, 1, 2.1, 5, 30):
        expected = 1 - 2 * scipy_stats.t.sf(t, degrees)
        assert t_within(t, degrees) == pytest.approx(expected, abs=1e-14)


def test_quantiles_of_the_printed_tables():
    printed = {1: 12.706, 2: 4.303, 5: 2.571, 10: 2.228, 30: 2.042, 120: 1.980}
    assert {n: round(t_quantile(n), 3) for n in printed} == printed


@pytest.mark.parametrize("n", [2, 3, 20])
def test_mean_and_interval_are_those_of_scipys_t_test(n):
    sample = np.random.default_rng(n).normal(0.3, 1, n)
    test = scipy_stats.ttest_1samp(sample, 0)
    interval = test.confidence_interval(0.95)
    mean = mean_of(sample)
    assert (mean.n, mean.mean) == (n, pytest.approx(sample.mean()))
    assert (mean.low, mean.high) == pytest.approx((interval.low, interval.high))
    assert mean.p == pytest.approx(test.pvalue)
    assert mean.sd == pytest.approx(sample.std(ddof=1))


def test_an_interval_holds_the_true_mean_in_95_of_100_cases():
    rng = np.random.default_rng(0)
    means = [mean_of(rng.normal(5, 2, 4)) for _ in range(4000)]
    held = np.mean([mean.low < 5 < mean.high for mean in means])
    assert held == pytest.approx(0.95, abs=0.012)


def test_what_cannot_be_known_is_nan():
    assert math.isnan(mean_of([]).mean)
    one = mean_of([3.0])
    assert one.mean == 3
    assert math.isnan(one.sd)
    assert math.isnan(one.low)
    assert math.isnan(one.p)
    same = mean_of([0.0, 0.0, 0.0])
    assert (same.low, same.high, same.p) == (0, 0, 1)
    assert mean_of([2.0, 2.0]).p == 0
    assert mean_of([0.1] * 3).sd == 0  # which np.std does not say
    sure = mean_of(np.random.default_rng(0).normal(100, 1, 13))
    assert 0 <= sure.p < 1e-15


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    corrected = holm([math.nan, 0.02, 0.001])
    assert math.isnan(corrected[0])
    assert corrected[1:] == pytest.approx([0.02, 0.002])
    assert holm([]) == []
    assert holm([0.01, 0.5], 10) == [0.1, 1.0]
