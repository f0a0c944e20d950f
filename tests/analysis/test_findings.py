"""The best and those that may be, effects, edges, far-off and identical runs: against other programs."""

import itertools
import math
import sys

import numpy as np
import pytest
from recorded import grid, record
from scipy import stats as scipy_stats

from nbrnn.analysis.effects import effects_of
from nbrnn.analysis.findings import join_confounded
from nbrnn.analysis.grid_edges import edges_of
from nbrnn.analysis.multiple_comparisons import (
    MAX_SEEDS,
    fewest_seeds,
    p_of_being_best,
    seeds_to_detect,
)
from nbrnn.analysis.rank_statistics import shift_of
from nbrnn.analysis.result_tables import results_of


def test_a_pair_has_the_p_of_the_difference_and_a_third_configuration_has_no_say():
    rng = np.random.default_rng(0)
    samples = [rng.normal(3 * level, 1 + level, 9) for level in (0, 1, 2)]
    pair = shift_of([(samples[1], samples[0])]).p
    assert p_of_being_best(samples[:2])[1] == pair < 0.05
    for third in (samples[2], samples[2] + 100, samples[2] / 100 + 50):
        assert p_of_being_best([*samples[:2], third])[1] == pytest.approx(2 * pair)
    assert p_of_being_best(samples[::-1]).tolist() == p_of_being_best(samples)[::-1].tolist()


def test_paired_p_is_that_of_the_sign_test():
    seeds = np.random.default_rng(1).normal(0, 100, 14)
    samples = [
        seeds + shift + np.random.default_rng(i).normal(size=14) for i, shift in enumerate((0, 1, 8))
    ]
    found = p_of_being_best(samples, paired=True)
    lower = [int((samples[i] > samples[0]).sum()) for i in (1, 2)]
    assert found[1:] == pytest.approx([min(1, 2 * scipy_stats.binomtest(k, 14).pvalue) for k in lower])
    assert found[2] < 0.001 < p_of_being_best(samples)[2]


def test_no_more_may_be_the_best_than_must():
    rng = np.random.default_rng(0)
    for count in (2, 10, 30):  # one better by 2 deviations: six standard errors
        kept = [
            (p_of_being_best([2 * (i > 0) + rng.normal(size=20) for i in range(count)]) > 0.05).sum()
            for _ in range(20)
        ]
        assert np.mean(kept) < 1.5


def test_nothing_is_said_of_too_few_runs_or_of_runs_that_are_all_the_same():
    assert np.isnan(p_of_being_best([np.ones(1), np.zeros(1)])).all()
    assert np.isnan(p_of_being_best([np.arange(4.0), np.arange(4) + 9.0])).all()
    assert p_of_being_best([np.arange(5.0), np.arange(5) + 9.0]).tolist()[1] < 0.05
    assert p_of_being_best([np.zeros(6), np.zeros(6), np.zeros(6)]).tolist() == [1, 1, 1]
    assert p_of_being_best([np.zeros(5)]).tolist() == [1]
    assert [fewest_seeds(count) for count in (2, 3, 5, 10, 100)] == [5, 6, 7, 8, 11]
    assert [fewest_seeds(count, paired=True) for count in (2, 5, 100)] == [6, 8, 12]
    one = p_of_being_best([np.zeros(1), *(np.arange(7) + 9.0 * i for i in range(5))])
    assert np.isnan(one).tolist() == [True, *[False] * 5]


def test_a_run_far_off_decides_nothing():
    rng = np.random.default_rng(3)
    samples = [level + rng.normal(size=8) for level in (0, 1, 5, 6)]
    before = p_of_being_best(samples)
    samples[3] = np.where(samples[3] == samples[3].max(), 1e9, samples[3])
    assert ((p_of_being_best(samples) < 0.05) == (before < 0.05)).all()


def test_how_many_seeds_a_difference_takes_is_noether_s():
    rng = np.random.default_rng(0)
    samples = list(rng.normal(size=(2, 400)))
    p = scipy_stats.norm.cdf(0.5 / math.sqrt(2))
    expected = (1.96 + 0.8416) ** 2 / 6 / (p - 0.5) ** 2
    assert seeds_to_detect(samples, 0.5, 2) == pytest.approx(expected, rel=0.15)
    assert seeds_to_detect(samples, 0.5, 30) > 2 * expected
    assert seeds_to_detect([samples[0], 3 * samples[1]], 0.5, 2) > 3 * expected
    assert seeds_to_detect([sample[:4] for sample in samples], 0.5, 2) is None
    assert seeds_to_detect(samples, 1e6, 5) == 8
    assert seeds_to_detect(samples, 1e-6, 5) == MAX_SEEDS + 1


# ---------------------------------------------------------------- effects


def whole(rng, seeds, scale=1.0):
    """Return values and losses of a grid of 2 x 3, eta worth 3 and sigma 0, 1, 2."""
    rows = list(itertools.product((0.1, 0.2), ("a", "b", "c")))
    losses = [
        10 + 3 * (eta == 0.2) + "abc".index(sigma) + scale * rng.normal(size=next(seeds))
        for eta, sigma in rows
    ]
    return {"eta": [eta for eta, _ in rows], "sigma": [sigma for _, sigma in rows]}, losses


def test_effects_of_a_grid_are_shifts_within_the_other_settings():
    values, losses = whole(np.random.default_rng(0), itertools.cycle([3, 8, 5]))
    found = effects_of(values, losses)
    eta, sigma = found.main
    assert (found.method, eta.levels, sigma.levels) == ("grid", [0.1, 0.2], ["a", "b", "c"])
    differences = np.concatenate([np.subtract.outer(losses[i + 3], losses[i]).ravel() for i in range(3)])
    assert eta.differences[1].value == np.median(differences)
    assert eta.differences[1].low < 3 < eta.differences[1].high
    assert eta.means == [np.mean([np.median(x) for x in half]) for half in (losses[:3], losses[3:])]
    assert eta.p == eta.p_holm[1] < 0.001
    assert sigma.p_holm[2] == pytest.approx(2 * sigma.differences[2].p)
    assert not [pair for pair in found.interactions if pair.p < 0.05]


def test_an_interaction_is_named_with_its_largest_contrast():
    rng = np.random.default_rng(0)
    rows = list(itertools.product((1, 2), (1, 2, 3)))
    losses = [(-4 if a == 2 and b == 3 else 2 * (a == 2)) + rng.normal(size=8) for a, b in rows]
    found = effects_of({"a": [a for a, _ in rows], "b": [b for _, b in rows]}, losses)
    (pair,) = found.interactions
    assert (pair.setting, pair.by, pair.base, pair.other, pair.at[0]) == ("a", "b", 1, 2, 3)
    assert pair.p < 0.001
    assert [round(change.value / 3) for change in pair.change] == [-1, 1]


def test_runs_with_the_same_seed_are_no_independent_blocks():
    rng = np.random.default_rng(0)
    rows = list(itertools.product((1, 2), range(10)))
    values = {"a": [a for a, _ in rows], "b": [b for _, b in rows]}
    of_seeds = {a: np.arange(8) + 0.5 * (a == 2) for a in (1, 2)}  # the same for each b
    assert effects_of(values, [of_seeds[a] + 9.0 * b for a, b in rows]).main[0].p > 0.5
    independent = [rng.permutation(of_seeds[a]) + 9.0 * b for a, b in rows]
    assert effects_of(values, independent).main[0].p < 0.2
    assert effects_of(values, [sample[:1] for sample in independent]).main[0].p > 0.05


def test_configurations_that_are_one_to_a_setting_count_once_by_seed():
    rng = np.random.default_rng(0)
    rows = [("sgd", None, 1), ("sgd", None, 2), *(("adam", b, c) for b in range(4) for c in (1, 2))]
    values = dict(zip(("optimizer", "beta1", "clip"), map(list, zip(*rows, strict=True)), strict=True))
    of_seed = {name: rng.normal(size=8) for name in ("sgd", "adam")}  # the same for each beta1
    samples = [of_seed[name].copy() for name, *_ in rows]
    for sample in samples:
        sample[0] = np.nan
    optimizer = next(one for one in effects_of(values, samples).main if one.setting == "optimizer")
    alone = shift_of([(of_seed["adam"][1:], of_seed["sgd"][1:])] * 2)
    assert optimizer.p == pytest.approx(alone.p)


def test_where_combinations_are_missing_only_ranks_are_tested(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    rng = np.random.default_rng(4)
    eta, sigma = rng.uniform(size=(2, 30)).tolist()
    losses = [10 * (one - 0.5) ** 2 + rng.normal(0, 0.3, 2) for one in eta]  # best in the middle
    losses[sigma.index(min(sigma))] += 1e9
    found = effects_of({"eta": eta, "sigma": sigma}, losses)
    assert found.method == "ranks"
    assert (found.main[0].levels[0], found.main[0].p < 0.01) == ("middle", True)
    assert found.main[1].p > 0.05
    medians = [[np.median(l) for e, l in zip(eta, losses, strict=True) if e in part]
               for part in np.array_split(sorted(eta), 3)]  # fmt: skip
    assert found.main[0].p == pytest.approx(2 * scipy_stats.kruskal(*medians).pvalue)


def test_a_setting_that_some_configurations_lack_is_analysed_among_the_others(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    rng = np.random.default_rng(6)
    beta = [None, *rng.uniform(size=9)] * 2  # none as of another optimizer, which is better
    clip = ["none", 1.0, 2.0, 3.0, 4.0] * 4
    losses = [5.0 + (one is not None) + rng.normal(0, 0.1, 2) for one in beta]
    optimizer = ["sgd" if one is None else "adam" for one in beta]
    values = {"optimizer": optimizer, "beta1": beta, "clip": clip}
    found = {one.setting: one for one in effects_of(values, losses).main}
    assert set(found["beta1"].levels) == {"low", "middle", "high"}
    assert found["beta1"].within == "the 18 of 20 configurations that have it"
    assert found["optimizer"].p < 0.05 < found["beta1"].p
    assert "none" in found["clip"].levels  # which is a value of its own


def test_a_grid_within_a_branch_has_its_effects():
    rng = np.random.default_rng(0)
    rows = [("sgd", None), ("adam", 0.8), ("adam", 0.9)]
    losses = [level + rng.normal(size=8) for level in (9, 0, 5)]
    found = effects_of({"optimizer": [r[0] for r in rows], "beta1": [r[1] for r in rows]}, losses)
    assert found.method == "grid"
    optimizer, beta = found.main
    assert (optimizer.levels, beta.levels) == (["adam", "sgd"], [0.8, 0.9])
    assert 3.5 < beta.differences[1].value < 6.5


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


# ---------------------------------------------------------------- of whole sweeps


def test_the_next_values_beyond_an_edge():
    rng = np.random.default_rng(0)

    def edges(name, tried, best, slope=-9.0):
        losses = [slope * i + rng.normal(size=6) for i in range(len(tried))]
        return [
            (e.is_largest, e.next_values)
            for e in edges_of(effects_of({name: tried}, losses), {name: best})
        ]

    assert edges("eta", [0.1, 0.2, 0.4], 0.4) == [(True, [0.8, 1.6])]
    assert edges("eta", [0.1, 0.2, 0.4], 0.1) == [(False, [0.05, 0.025])]
    assert edges("eta", [0.1, 0.2, 0.4], 0.2) == []
    assert edges("hidden", [50, 100, 200], 200) == [(True, [400, 800])]
    assert edges("warmup", [0, 100, 300], 300) == [(True, [500, 700])]
    assert edges("warmup", [0, 100, 300], 0) == []  # there is nothing below
    assert edges("eta", [0.1, 0.2], 0.2) == [(True, [0.4, 0.8])]
    assert edges("eta", [0.1, 0.2], 0.2, slope=0) == []  # two values that do not differ
    assert edges("epsilon", [1e-8, 1.0], 1.0) == [(True, [3.2, 10])]


def test_configurations_whose_runs_are_bit_identical_count_as_one():
    runs = grid({(0.1, 0.1): 40, (0.3, 0.1): 60})
    again = [
        record(
            one.summary.smooth_loss_best,
            sigma=one.config.sigma,
            eta=0.1,
            clip="none",
            seed=one.config.seed,
        )
        for one in runs
        if one.config.sigma == 0.1
    ]
    results = results_of([*runs, *again], [])
    findings = results.findings
    assert findings.same == {"sigma 0.1, clip 5": ["sigma 0.1, clip none"]}
    assert len(findings.names) == 2
    table = results.configurations.set_index("setting")
    assert table["significantly_worse"].to_dict() == {
        "sigma 0.1, clip 5": False, "sigma 0.1, clip none": False, "sigma 0.3, clip 5": True,
    }  # fmt: skip


def test_runs_far_off_are_found():
    runs = grid({(0.1, 0.1): 40, (0.3, 0.1): 45, (0.5, 0.1): 60})
    assert results_of(runs, []).findings.far_off == []
    runs[2] = record(99.0, sigma=0.1, eta=0.1, seed=2)
    assert results_of(runs, []).findings.far_off == [("sigma 0.1", 2, 99.0)]
    single = [record(40 + i / 10, sigma=0.1 + i, seed=0) for i in range(9)] + [record(500.0, sigma=50.0)]
    assert [name for name, *_ in results_of(single, []).findings.far_off] == ["sigma 50"]


def test_the_best_is_never_one_that_is_significantly_worse():
    rng = np.random.default_rng(0)
    lower_median = np.repeat([39.0, 90.0], [16, 15])
    lower_ranks = np.repeat([38.0, 40.0], [15, 16])
    losses = {0.1: lower_median + rng.normal(0, 0.1, 31), 0.3: lower_ranks + rng.normal(0, 0.1, 31)}
    runs = [record(x, sigma=s, seed=i) for s, sample in losses.items() for i, x in enumerate(sample)]
    findings = results_of(runs, []).findings
    assert findings.significantly_worse == ["sigma 0.1"]
    assert findings.names == ["sigma 0.3", "sigma 0.1"]


def test_values_with_equal_ranks_keep_their_order():
    words = list("hcafbdge")
    medians = [np.array([float(rank)]) for rank in (*range(8), *reversed(range(8, 16)))]
    effects = effects_of({"order": words * 2, "eta": list(range(16))}, medians)
    assert next(one.levels for one in effects.main if one.setting == "order") == words
