"""Whether rankings agree: against scipy, by counting, by simulation."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from nbrnn.analysis.rankings import agreement, rank_correlations


def samples(rng, means, runs, common=0.0):
    """Return the losses of runs at two lengths; those of one run have a part in common."""
    short, long = [], []
    for mean_short, mean_long in zip(*means, strict=True):
        first = rng.normal(size=runs)
        second = common * first + math.sqrt(1 - common**2) * rng.normal(size=runs)
        short.append(mean_short + first)
        long.append(mean_long + second)
    return short, long


@pytest.mark.parametrize("kind", ["all different", "ties"])
def test_correlations_are_those_of_scipy(kind):
    rng = np.random.default_rng(0)
    for count in (4, 5, 20):
        a, b = rng.normal(size=(2, count))
        if kind == "ties":
            a, b = np.round(a), np.round(a + b)
        expected = scipy_stats.spearmanr(a, b).statistic, scipy_stats.kendalltau(a, b).statistic
        assert rank_correlations(a, b) == pytest.approx(expected)
    assert np.isnan(rank_correlations(np.ones(4), np.arange(4.0))).all()


def test_what_is_lost_is_what_counting_says():
    rng = np.random.default_rng(1)
    for count in (4, 7, 12):
        short, long = samples(rng, rng.normal(size=(2, count)), 3)
        found = agreement(short, long)
        by_short = sorted(range(count), key=lambda i: np.median(short[i]))
        best = min(np.median(losses) for losses in long)
        for name, kept in (("best", 1), ("quarter", -(-count // 4)), ("half", -(-count // 2))):
            lost = min(np.median(long[i]) for i in by_short[:kept]) - best
            assert found[f"{name}_lost"] == pytest.approx(lost, abs=1e-12)
            assert 0 <= found[f"{name}_lost_low"] <= found[f"{name}_lost_high"]
        kept = [found[f"{name}_keeps_best"] for name in ("best", "quarter", "half")]
        assert kept == sorted(kept)
        assert kept[-1] <= 1


@pytest.mark.slow
def test_ranges_hold_rankings_by_other_seeds(monkeypatch):
    monkeypatch.setattr("nbrnn.analysis.rankings.RESAMPLES", 500)
    rng = np.random.default_rng(2)
    for common, runs in ((0.9, 3), (0.9, 10), (0, 5)):
        means = np.array([np.arange(8.0), np.arange(8) + rng.normal(size=8)]) / 2
        others = (samples(rng, means, runs, common) for _ in range(200))
        expected = np.mean(
            [
                rank_correlations(*(np.array([np.median(x) for x in each]) for each in two))
                for two in others
            ],
            axis=0,
        )
        held = np.zeros(2)
        for _ in range(25):
            found = agreement(*samples(rng, means, runs, common))
            for place, name in enumerate(("spearman", "kendall")):
                held[place] += found[f"{name}_low"] <= expected[place] <= found[f"{name}_high"]
        assert (held >= 22).all(), (common, runs, held)


def test_nothing_is_known_of_chance_from_single_runs_or_from_equal_ones():
    single = [np.array([float(i)]) for i in range(4)]
    found = agreement(single, single)
    assert found["spearman"] == found["kendall"] == 1
    assert np.isnan([found[name] for name in ("spearman_low", "half_lost_low", "half_keeps_best")]).all()
    correlation = ["spearman", "spearman_low", "spearman_high"]
    same = [np.ones(2) for _ in range(4)]
    assert np.isnan([agreement(same, same)[name] for name in correlation]).all()
    clear = [np.array([i, i + 0.1]) for i in range(4)]
    assert [agreement(clear, clear)[name] for name in (*correlation, "best_keeps_best")] == [1] * 4
