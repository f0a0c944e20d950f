"""Medians, shifts, chances: against SciPy, printed tables, counting; Holm's by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from nbrnn.analysis.rank_statistics import (
    expected_best,
    holm,
    improvement,
    median_of,
    shift_of,
)


def test_the_interval_of_a_median_lies_between_the_numbers_of_the_printed_table():
    # Conover 1999, table A3, or Hollander and Wolfe, table A.2: at least 95 %, n and the lower rank
    printed = {6: 1, 8: 1, 9: 2, 12: 3, 15: 4, 20: 6, 25: 8, 50: 18}
    for n, rank in printed.items():
        sample = np.random.default_rng(n).normal(size=n)
        found, ordered = median_of(sample), np.sort(sample)
        assert (found.low, found.high) == (ordered[rank - 1], ordered[n - rank])
        assert found.value == np.median(sample)
    assert math.isnan(median_of(np.arange(5.0)).low)


def test_the_interval_of_the_best_of_many_is_wider():
    sample = np.random.default_rng(0).normal(size=10)
    assert median_of(sample, 20).low == sample.min()  # 2 / 1024 is below 0.05 / 20
    assert math.isnan(median_of(sample, 30).low)


def test_p_of_a_median_is_that_of_the_sign_test():
    sample = np.random.default_rng(1).normal(0.5, 1, 15)
    expected = scipy_stats.binomtest(int((sample > 0).sum()), 15).pvalue
    assert median_of(sample).p == pytest.approx(expected)
    assert median_of([0.0, 0.0, 1.0]).p == 1
    assert median_of([0.0, 0.0]).p == 1
    assert math.isnan(median_of([]).value)


def test_the_shift_is_the_median_of_all_differences():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 12), rng.normal(0, 3, 9)
    found = shift_of([(a, b)])
    assert found.value == np.median([x - y for x in a for y in b])
    assert found.low < found.value < found.high
    # the interval holds the shifts that the test does not refuse
    for end, outwards in ((found.low, -1), (found.high, 1)):
        assert shift_of([(a - end - 1e-9 * outwards, b)]).p <= 0.08
        assert shift_of([(a - end + 1e-9 * outwards, b)]).p > 0.05
        assert shift_of([(a - end - 1e-9 * outwards, b)]).p <= shift_of([(a - end, b)]).p


def test_its_p_is_that_of_mann_and_whitney_or_of_brunner_and_munzel():
    rng = np.random.default_rng(2)
    a = rng.normal(size=600)
    for b in (rng.normal(0.15, 1, 600), rng.normal(0.3, 4, 600), rng.exponential(1.2, 300) - 0.7):
        normal = scipy_stats.brunnermunzel(a, b, distribution="normal").pvalue
        z, expected = (scipy_stats.norm.isf(p / 2) for p in (shift_of([(a, b)]).p, normal))
        assert z == pytest.approx(expected, rel=0.08)
    alike = scipy_stats.mannwhitneyu(a, a + 0.1, method="asymptotic").pvalue
    assert shift_of([(a, a + 0.1)]).p == pytest.approx(alike, rel=0.05)


def test_of_losses_far_more_spread_each_counts_once():
    wide, narrow = np.arange(-2.0, 8.0), 0.5 + 1e-3 * np.arange(10)  # 7 of 10 above
    largest = 10 * 10 / (2 * math.sqrt(10))  # Birnbaum and Klose
    assert shift_of([(wide, narrow)]).p == pytest.approx(2 * scipy_stats.norm.sf((70 - 50.5) / largest))


def test_blocks_add_to_what_is_known_of_a_shift():
    rng = np.random.default_rng(1)
    blocks = [(level + 1 + rng.normal(size=4), level + rng.normal(size=4)) for level in (0, 100, 200)]
    assert math.isnan(shift_of(blocks[:1]).low)
    together = shift_of(blocks)
    assert together.low < 1 < together.high < 4
    assert (shift_of([(np.ones(3), np.empty(0))]).n, together.n) == (0, 12)
    lost = [(np.append(a, np.nan), b) for a, b in blocks]  # a run that a seed has not
    assert shift_of(lost) == together
    assert shift_of([*blocks[:2], lost[2]]) == together
    equal = shift_of([(np.ones(9), np.ones(9))])
    assert (equal.value, equal.low, equal.high, equal.p) == (0, 0, 0, 1)


def test_the_probability_of_improvement():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 15), rng.normal(0.5, 2, 9)
    p, low, high = improvement(a, b)
    assert p == pytest.approx(np.mean([x < y for x in a for y in b]))
    assert p == pytest.approx(1 - improvement(b, a)[0])
    assert low < p < high
    assert improvement(np.ones(3), np.ones(4))[0] == 0.5
    p, low, high = improvement(np.zeros(3), np.ones(5))
    assert (p, high) == (1, 1)
    assert low == pytest.approx(scipy_stats.binomtest(3, 3).proportion_ci().low)
    five = improvement(np.array([0.0, 0, 0, 2, 2]), np.ones(5))
    assert five[1:] == pytest.approx(tuple(scipy_stats.binomtest(3, 5).proportion_ci()))
    assert math.isnan(improvement(np.zeros(1), np.ones(1))[1])
    assert math.isnan(improvement(np.empty(0), np.ones(1))[0])


def test_a_higher_probability_has_a_higher_interval():
    ends = [improvement(np.r_[np.zeros(k), np.full(10 - k, 2.0)], np.ones(10)) for k in range(11)]
    assert all(np.diff(column).min() >= 0 for column in np.transpose(ends))


def test_the_probability_of_improvement_is_rliable_s():
    # rliable 1.2.0 (Agarwal et al. 2021), its scores turned round: probability_of_improvement
    a = np.array([42.69, 43.05, 42.71, 44.90, 42.33, 43.48, 42.95, 42.52])
    c = np.array([43.61, 42.75, 44.10, 43.02, 43.99])
    assert improvement(a, c)[0] == pytest.approx(0.75)
    assert improvement(c, a)[0] == pytest.approx(0.25)


def test_the_expected_best_is_the_mean_over_all_choices():
    sample = np.random.default_rng(0).normal(size=7)
    for tries in (1, 2, 3, 7):
        every = [min(drawn) for drawn in itertools.combinations(sample, tries)]
        assert expected_best(sample, tries) == pytest.approx(np.mean(every))


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    corrected = holm([math.nan, 0.02, 0.001])
    assert math.isnan(corrected[0])
    assert corrected[1:] == pytest.approx([0.02, 0.002])
    assert holm([]) == []
    assert holm([0.01, 0.5], 10) == [0.1, 1.0]
