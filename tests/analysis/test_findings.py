"""The best and those that may be, effects, chances: by simulation, closed forms, other programs."""

import itertools
import math
import sys

import numpy as np
import pytest
from scipy import stats as scipy_stats

from nbrnn.analysis.bootstrap import expected_best, expected_best_band, improvement
from nbrnn.analysis.effects import effects_of
from nbrnn.analysis.findings import join_confounded, round_down
from nbrnn.analysis.group_means import combined, group_means, moderated
from nbrnn.analysis.intervals import difference_of, interquartile_mean, skewness
from nbrnn.analysis.multiple_comparisons import ALPHA, p_of_being_best, p_of_largest, seeds_to_detect


def draws(rng, kind, size):
    """Return numbers of mean 0 and deviation 1, normal or skewed as best losses are."""
    return rng.normal(size=size) if kind == "normal" else (rng.gamma(4, 1, size) - 4) / 2


def kept(rng, counts, means, deviations, kind):
    """Return which of made-up configurations may be the best."""
    parts = zip(counts, means, deviations, strict=True)
    groups = group_means([mean + sd * draws(rng, kind, count) for count, mean, sd in parts])
    return ~(p_of_being_best(groups) < ALPHA)


@pytest.mark.parametrize("kind", ["normal", "skewed"])
@pytest.mark.parametrize(
    ("configurations", "seeds", "deviations", "simulations"),
    [(2, [4], [1], 250), (2, [3, 10], [1, 2], 250), (5, [4], [1, 2], 150), (5, [3, 6, 10], [1, 3], 150),
     (30, [4], [1], 20), (30, [3, 10], [1, 2], 20), (100, [5], [1], 6)],
)  # fmt: skip
def test_the_best_is_among_those_that_may_be(kind, configurations, seeds, deviations, simulations):
    rng = np.random.default_rng(0)
    counts, spread = (np.resize(values, configurations) for values in (seeds, deviations))
    held = 0
    for _ in range(simulations):  # all means are equal: the hardest case for any one of them
        held += kept(rng, counts, np.zeros(configurations), spread, kind)[0]
    error = math.sqrt(0.05 * 0.95 / simulations)
    assert held / simulations >= 0.95 - 2 * error


@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_no_more_may_be_the_best_than_must(kind):
    rng = np.random.default_rng(0)
    for count in (2, 10, 30):  # one better by 2 deviations: six standard errors
        sizes = [
            kept(rng, [20] * count, [0, *[2] * (count - 1)], [1] * count, kind).sum() for _ in range(20)
        ]
        assert np.mean(sizes) < 1.5


def test_of_two_normal_configurations_the_p_is_welch_s():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 9), rng.normal(1, 3, 5)
    groups = group_means([a, b])
    expected = scipy_stats.ttest_ind(b, a, equal_var=False, alternative="greater").pvalue
    assert p_of_being_best(groups)[1] >= expected * (1 - 1e-9)  # skewness only makes it larger
    symmetric = [np.array([-1.0, 0, 1]), np.array([3.0, 5, 5, 7])]
    expected = scipy_stats.ttest_ind(*symmetric[::-1], equal_var=False, alternative="greater").pvalue
    assert p_of_being_best(group_means(symmetric))[1] == pytest.approx(expected, rel=1e-6)


def test_p_of_the_largest_of_numbers_with_a_common_part():
    assert p_of_largest(1.5, np.zeros(7)) == pytest.approx(1 - scipy_stats.norm.cdf(1.5) ** 7)
    # Dunnett's one-sided 5 % points for infinite degrees of freedom: 1955, table 1a
    for others, point in ((1, 1.64), (2, 1.92), (3, 2.06), (5, 2.23), (9, 2.42)):
        assert p_of_largest(point, np.full(others, 0.5)) == pytest.approx(0.05, abs=0.001)


def test_nothing_is_said_of_one_seed_each_or_of_runs_that_are_all_the_same():
    assert np.isnan(p_of_being_best(group_means([np.ones(1), np.zeros(1)]))).all()
    same = p_of_being_best(group_means([np.zeros(3), np.zeros(3), np.ones(3)]))
    assert (same >= ALPHA).tolist() == [True, True, False]
    one = p_of_being_best(group_means([np.zeros(1), *np.random.default_rng(0).normal(9, 1, (9, 4))]))
    assert (one[1:] < ALPHA).all()  # its variance is that of the others


def test_variances_lean_towards_each_other_the_more_alike_they_are():
    rng = np.random.default_rng(0)
    alike = rng.normal(size=(40, 4)).var(axis=1, ddof=1)
    variances, degrees = moderated(alike, np.full(40, 3.0))
    assert np.ptp(variances) < np.ptp(alike) / 2
    assert degrees.min() > 6
    unlike = alike * 10.0 ** np.arange(-20, 20)
    variances, degrees = moderated(unlike, np.full(40, 3.0))
    assert variances == pytest.approx(unlike, rel=0.5)
    assert degrees.max() < 3.5


def test_how_many_seeds_tell():
    n = math.ceil(seeds_to_detect(0.5, 1, 2))
    rng = np.random.default_rng(0)
    told = [difference_of(rng.normal(0, 1, n), rng.normal(0.5, 2, n)).p < 0.05 for _ in range(600)]
    assert np.mean(told) == pytest.approx(0.8, abs=0.05)
    values = (1, 1.99, 2, 4.9, 5, 9, 0.07, 0.3)
    assert [round_down(v) for v in values] == pytest.approx([1, 1, 2, 2, 5, 5, 0.05, 0.2])


# ---------------------------------------------------------------- effects


def grid(rng, seeds):
    """Return values and losses of a grid of 2 x 3, eta worth 3 and sigma 0, 1, 2."""
    rows = list(itertools.product((0.1, 0.2), ("a", "b", "c")))
    losses = [
        10 + 3 * (eta == 0.2) + "abc".index(sigma) + rng.normal(size=next(seeds)) for eta, sigma in rows
    ]
    values = {"eta": [eta for eta, _ in rows], "sigma": [sigma for _, sigma in rows]}
    return values, losses


def test_main_effects_are_those_of_least_squares_with_robust_errors():
    values, losses = grid(np.random.default_rng(0), itertools.cycle([3, 8, 5]))
    groups = group_means(losses)
    found = effects_of(values, groups)
    # all runs by least squares on contrasts that sum to 0, the analysis of type III
    x, y = [], np.concatenate(losses)
    for eta, sigma, runs in zip(values["eta"], values["sigma"], losses, strict=True):
        e = 1 if eta == 0.2 else -1
        s = {"a": [1, 0], "b": [0, 1], "c": [-1, -1]}[sigma]
        x += [[1, e, *s, *(e * one for one in s)]] * len(runs)
    x = np.array(x, float)
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    eta, sigma = found.main
    assert eta.levels == [0.1, 0.2]
    assert eta.differences[1].mean == pytest.approx(2 * coefficients[1])
    means = dict(zip(sigma.levels, sigma.means, strict=True))
    assert means["a"].mean == pytest.approx(coefficients[0] + coefficients[2])
    # errors from a variance for each combination: the sandwich
    inverse = np.linalg.inv(x.T @ x)
    per_run = np.concatenate(
        [np.full(n, v * n) for n, v in zip(map(len, losses), groups.variances, strict=True)]
    )
    sandwich = inverse @ (x.T * per_run) @ x @ inverse
    assert eta.differences[1].sd == pytest.approx(2 * math.sqrt(sandwich[1, 1]))


def test_with_equal_variances_the_tests_are_those_of_the_analysis_of_variance():
    rng = np.random.default_rng(1)
    values, losses = grid(rng, itertools.repeat(20))
    losses = [np.mean(l) + (one := rng.normal(size=20)) - one.mean() for l in losses]
    losses = [l.mean() + (l - l.mean()) / l.std() for l in losses]  # of one variance exactly
    found = effects_of(values, group_means(losses))
    table = np.array([l.mean() for l in losses]).reshape(2, 3)
    centred = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    within = 20 / 19
    f = 20 * (centred**2).sum() / 2 / within
    assert found.interactions[0].p == pytest.approx(scipy_stats.f.sf(f, 2, 6 * 19), rel=0.05)
    f = 60 * ((table.mean(axis=1) - table.mean()) ** 2).sum() / within
    assert found.main[0].p == pytest.approx(scipy_stats.f.sf(f, 1, 6 * 19), rel=0.1)


def test_intervals_of_effects_cover_and_interactions_are_called_rarely():
    rng = np.random.default_rng(2)
    covered, called = [], []
    for _ in range(150):
        values, losses = grid(rng, itertools.cycle([3, 5, 4]))
        found = effects_of(values, group_means(losses))
        (eta,) = (one for one in found.main if one.setting == "eta")
        covered.append(eta.differences[1].low < 3 < eta.differences[1].high)
        called.append(found.interactions[0].p < 0.05)
    assert np.mean(covered) > 0.91
    assert np.mean(called) < 0.1


def test_what_is_missing_in_a_grid():
    rng = np.random.default_rng(3)
    rows = [row for row in itertools.product(range(4), range(4), range(2)) if sum(row) % 5]
    losses = [3 * a + b + rng.normal(0, 0.1, 3) for a, b, _ in rows]
    found = effects_of(dict(zip("abc", zip(*rows, strict=True), strict=True)), group_means(losses))
    assert found.method == "additive"
    a = found.main[0]
    assert a.levels == [0, 1, 2, 3]
    assert [one.mean for one in a.differences] == pytest.approx([0, 3, 6, 9], abs=0.2)
    assert found.main[2].p_holm[1] > 0.05


def test_of_a_random_search_the_ranks_tell_what_matters(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    rng = np.random.default_rng(4)
    eta, sigma = rng.uniform(size=(2, 30)).tolist()
    losses = [10 * (one - 0.5) ** 2 + rng.normal(0, 0.3, 2) for one in eta]  # best in the middle
    found = effects_of({"eta": eta, "sigma": sigma}, group_means(losses))
    assert found.method == "ranks"
    assert (found.main[0].levels[0], found.main[0].p < 0.01) == ("middle", True)
    assert found.main[1].p > 0.05
    groups = [[np.mean(l) for e, l in zip(eta, losses, strict=True) if e in part]
              for part in np.array_split(sorted(eta), 3)]  # fmt: skip
    assert found.main[0].p == pytest.approx(scipy_stats.kruskal(*groups).pvalue)


def test_a_combination_of_means_is_welch_s():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=5), rng.normal(size=12)
    found = combined(np.array([1.0, -1.0]), group_means([a, b]))
    assert (found.low, found.high) == pytest.approx((difference_of(a, b).low, difference_of(a, b).high))
    expected = scipy_stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx(tuple(expected))


# ---------------------------------------------------------------- chances


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
    assert math.isnan(improvement(np.zeros(1), np.ones(1))[1])
    assert math.isnan(improvement(np.empty(0), np.ones(1))[0])


def test_its_interval_covers():
    rng = np.random.default_rng(1)
    true = scipy_stats.norm.cdf(1 / math.sqrt(2))
    ends = [improvement(rng.normal(0, 1, 20), rng.normal(1, 1, 20))[1:] for _ in range(300)]
    assert np.mean([low <= true <= high for low, high in ends]) > 0.9


def test_the_expected_best_of_n():
    sample = np.random.default_rng(0).normal(size=5)
    for tries in (1, 2, 3):
        every = [min(draw) for draw in itertools.product(sample, repeat=tries)]
        assert expected_best(sample, tries) == pytest.approx(np.mean(every))
    uniform = (np.arange(10_000) + 0.5) / 10_000
    for tries in (1, 4, 9):
        assert expected_best(uniform, tries) == pytest.approx(1 / (tries + 1), abs=1e-3)
    value, low, high = expected_best_band(np.random.default_rng(1).normal(size=50), 5)
    assert low < value < high
    assert math.isnan(expected_best_band(sample, 3)[1])  # too few runs


def test_means_of_the_middle_and_skewness():
    sample = np.random.default_rng(0).gamma(2, 1, 21)
    assert interquartile_mean(sample) == pytest.approx(scipy_stats.trim_mean(sample, 0.25))
    assert skewness(sample)[0] == pytest.approx(scipy_stats.skew(sample, bias=False))
    assert skewness(sample)[1] == pytest.approx(0.501, abs=0.001)  # of 21: Joanes and Gill
    assert math.isnan(skewness(np.ones(5))[0])


def test_settings_that_always_change_together_are_one():
    values = {"batch": [1, 8, 1, 8], "order": ["a", "a", "b", "b"], "eta": [0.1, 0.2, 0.1, 0.2]}
    joined = {"batch with eta": ["1, 0.1", "8, 0.2", "1, 0.1", "8, 0.2"], "order": values["order"]}
    assert join_confounded(values) == joined
    assert join_confounded({"order": values["order"]}) == {"order": values["order"]}
    assert join_confounded({"loss": ["sum", "mean"], "clip": [5.0, "none"]}) == {}
    drawn = {"eta": [0.1, 0.3, 0.2, 0.4], "sigma": [3.0, 1.0, 2.0, 4.0]}  # as of a random search
    assert join_confounded(drawn) == drawn
    falling = {"eta": drawn["eta"], "sigma": [4.0, 2.0, 3.0, 1.0], "clip": [1.0, 1.0, 2.0, 2.0]}
    assert list(join_confounded(falling)) == ["eta with sigma", "clip"]


def test_a_setting_that_some_configurations_lack_has_its_ranks():
    rng = np.random.default_rng(6)
    beta = [None, *rng.uniform(size=9)] * 2  # none as of another optimizer, which is better
    clip = ["none", 1.0, 2.0, 3.0, 4.0] * 4
    losses = [np.array([5 + (one is not None), 5.0 + (one is not None)]) for one in beta]
    losses = [loss + rng.normal(0, 0.1, 2) for loss in losses]
    found = {
        one.setting: one for one in effects_of({"beta1": beta, "clip": clip}, group_means(losses)).main
    }
    assert set(found) == {"beta1", "clip"}
    assert set(found["beta1"].levels) == {None, "low", "middle", "high"}
    assert found["beta1"].levels[0] is None
    assert "none" in found["clip"].levels
