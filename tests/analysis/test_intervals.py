"""Student's intervals and p, against printed tables, closed forms and simulation; Holm's by hand."""

import math

import numpy as np
import pytest

from nbrnn.analysis.intervals import holm, mean_of


def quantile_of(n):
    """Return how many standard errors of the mean the interval of n numbers reaches from it."""
    mean = mean_of(np.arange(n))
    return (mean.high - mean.mean) / (mean.sd / math.sqrt(n))


def test_quantiles_of_the_printed_tables():
    printed = {  # of P = 0.975, by degrees of freedom: Abramowitz and Stegun, table 26.10
        1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262,
        10: 2.228, 15: 2.131, 20: 2.086, 30: 2.042, 40: 2.021, 60: 2.000, 120: 1.980,
    }  # fmt: skip
    assert {degrees: round(quantile_of(degrees + 1), 3) for degrees in printed} == printed


def test_quantiles_in_closed_form():
    assert quantile_of(2) == pytest.approx(math.tan(math.pi * 0.475), rel=1e-12)
    assert quantile_of(3) == pytest.approx(0.95 * math.sqrt(2 / (1 - 0.95**2)), rel=1e-12)


@pytest.mark.parametrize("t", [0.01, 0.5, 1, 2.1, 5, 30, 1e4, 1e8])
def test_p_in_closed_form(t):
    cauchy = 2 / math.pi * math.atan(1 / t)  # one degree of freedom
    assert mean_of([t - 1, t + 1]).p == pytest.approx(cauchy, rel=1e-7)
    assert mean_of([1 - t, -1 - t]).p == pytest.approx(cauchy, rel=1e-7)
    root = math.sqrt(2 + t * t)  # two: 1 - t / root, without its rounding
    mean = t / math.sqrt(3)
    assert mean_of([mean - 1, mean, mean + 1]).p == pytest.approx(2 / (root * (root + t)), rel=1e-7)


@pytest.mark.parametrize("n", [4, 5, 10, 20])
def test_p_is_the_area_under_the_density(n):
    sample = np.random.default_rng(n).normal(0.3, 1, n)
    mean, degrees = mean_of(sample), n - 1
    t = abs(mean.mean) / (mean.sd / math.sqrt(n))
    # density ~ (1 + x^2 / degrees)^(-(degrees + 1) / 2): with x = sqrt(degrees) tan u a power of cos u
    u = np.linspace(0, math.pi / 2, 1_000_001)
    density = np.cos(u) ** (degrees - 1)
    within = u <= math.atan(t / math.sqrt(degrees))
    assert mean.p == pytest.approx(1 - density[within].sum() / density.sum(), abs=1e-5)
    assert mean.sd == pytest.approx(math.sqrt(((sample - sample.mean()) ** 2).sum() / degrees))
    assert (mean.n, mean.mean) == (n, pytest.approx(sample.sum() / n))


def test_an_interval_holds_the_true_mean_in_95_of_100_cases():
    rng = np.random.default_rng(0)
    means = [mean_of(rng.normal(5, 2, 4)) for _ in range(4000)]
    held = np.mean([mean.low < 5 < mean.high for mean in means])
    assert held == pytest.approx(0.95, abs=0.012)


def test_p_is_uniform_where_the_true_mean_is_0():
    rng = np.random.default_rng(1)
    p = np.sort([mean_of(rng.normal(0, 3, 5)).p for _ in range(4000)])
    # Kolmogorov's distance, whose 0.1 % point is 1.95 / sqrt(n)
    assert np.abs(p - (np.arange(4000) + 0.5) / 4000).max() < 1.95 / math.sqrt(4000)


def test_p_does_not_round_to_0():
    sure = mean_of(np.random.default_rng(0).normal(100, 1, 13))
    assert 0 < sure.p < 1e-15


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


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    corrected = holm([math.nan, 0.02, 0.001])
    assert math.isnan(corrected[0])
    assert corrected[1:] == pytest.approx([0.02, 0.002])
    assert holm([]) == []
    assert holm([0.01, 0.5], 10) == [0.1, 1.0]
