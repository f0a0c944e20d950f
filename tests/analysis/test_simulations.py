"""The guarantees of the statistics, by simulation: a few here, many in `tox -e simulations`."""

import math
from itertools import product

import pytest

from nbrnn.analysis.multiple_comparisons import false_claims, fewest_seeds
from results.statistics import (
    CELLS,
    NUMBERS,
    SHAPES,
    UNEQUAL,
    best_covered,
    claims_after,
    coverage,
    grid_claims,
    kept_among,
    kept_of_our_own,
    nested,
    pair_covered,
    power,
)

PROMISED = 0.94  # of what is called 95 %
MANY = 2000


def few(held, simulations, promised=PROMISED):
    """Return whether a share is not below what is promised by more than chance."""
    return held >= promised - 3 * math.sqrt(promised * (1 - promised) / simulations)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("count", "seeds"), [(2, (5,)), (5, (10, 7))])
def test_the_best_is_kept(shape, count, seeds):
    for null in ("chances", "medians"):
        held, _, unknown = coverage(shape, count, seeds, null, 100)
        assert few(held, 100)
        assert unknown == 0


def test_the_best_is_kept_whatever_the_others_do():
    assert kept_of_our_own(10, 8) > 0.85
    for shape, deviations in UNEQUAL:
        assert few(kept_among(shape, deviations, 5, (9, 9), 100), 100)
        assert few(kept_among(shape, deviations, 5, (50, 8), 60), 60)


@pytest.mark.simulations
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("count", "seeds"), CELLS)
def test_the_best_is_kept_in_every_cell(shape, count, seeds):
    # with more seeds it is found that with equal medians one of two skewed ones is lower more often
    for null in ("chances", "medians") if max(seeds) <= 10 else ("chances",):
        held, error, unknown = coverage(shape, count, seeds, null, MANY // max(1, count // 5))
        assert held >= PROMISED - 2 * error
        assert unknown == 0 or min(seeds) < fewest_seeds(count)


@pytest.mark.simulations
def test_the_best_is_kept_whatever_the_others_do_in_many():
    assert few(kept_of_our_own(10, 100), 100)
    assert few(kept_of_our_own(20, 50), 50)
    for (shape, deviations), (count, seeds) in product(UNEQUAL, NUMBERS):
        assert few(kept_among(shape, deviations, count, seeds, MANY), MANY)


def test_too_few_seeds_are_called_too_few():
    for count, seeds in ((2, 4), (5, 6), (100, 10)):
        assert coverage("normal", count, (seeds,), "medians", 8) == (1, 0, 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_intervals_hold_the_truth(shape):
    assert few(best_covered(shape, 20, 10, 100)[0], 100)
    assert best_covered(shape, 100, 3, 5) == (1, 0)
    for seeds in (5, 20):
        assert all(few(held, 200) for held in pair_covered(shape, seeds, 200))


@pytest.mark.simulations
@pytest.mark.parametrize("shape", SHAPES)
def test_intervals_hold_the_truth_in_many(shape):
    for count, seeds in ((5, 10), (20, 6), (20, 10), (30, 50)):
        assert few(best_covered(shape, count, seeds, MANY)[0], MANY)
    for seeds in (5, 10, 50):
        assert all(few(held, MANY) for held in pair_covered(shape, seeds, MANY))
    for seeds in (3, 5, 10):
        assert all(few(1 - claimed, MANY // 4) for claimed in grid_claims(shape, seeds, MANY // 4))


@pytest.mark.simulations
@pytest.mark.parametrize("alike", [0.2, 0.5, 0.95])
@pytest.mark.parametrize("seeds", [4, 5, 10])
def test_runs_with_the_same_seed_claim_no_effect(seeds, alike):
    assert few(1 - grid_claims("normal", seeds, MANY // 2, alike)[0], MANY // 2)


def test_the_recommended_seeds_find_the_difference():
    for sd in (1.0, 3.0):
        found, seeds = power("normal", 2, sd, 60)
        assert few(found, 60, 0.8)
        assert seeds < 60


@pytest.mark.simulations
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("count", "sd"), [(2, 1.0), (2, 3.0), (5, 1.0), (5, 3.0), (20, 1.0)])
def test_the_recommended_seeds_find_the_difference_in_many(shape, count, sd):
    assert few(power(shape, count, sd, 200)[0], 200, 0.78)


def test_repeated_looks_claim_no_more_than_is_told():
    looks = (5, 10, 15, 20)
    told = false_claims(3, looks)
    assert 0.1 < told < 0.18
    assert claims_after(looks, 3, 200) <= told + 0.03
    assert false_claims(2, [5]) == pytest.approx(0.05, abs=0.015)


def test_a_setting_without_effect_gets_none_from_the_one_that_decides_whether_it_is_there():
    called, share = nested(12)
    assert called <= 3 / 12
    assert share < 0.35  # of a forest over the twenty that have it


def test_no_effect_is_called_one():
    for shape in ("exponential", "5 % of runs +20 sd"):
        assert all(few(1 - claimed, 60) for claimed in grid_claims(shape, 5, 60))
