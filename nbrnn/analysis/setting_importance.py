"""Functional analysis of variance: the share of each setting, alone and with another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import scipy  # which imports scipy.stats where that is first used

from nbrnn.typing import Array

MIN_CONFIGURATIONS = 10  # with which a forest predicts anything
ROUGH_BELOW = 50  # configurations: a share of 1 may be estimated 0.1 too small and more
TREES = 64  # as Optuna has
MAX_DRAWN = 500  # configurations for one tree
MAX_LEVELS = 12  # of the numbers of a setting; more are grouped
MIXED = 256  # combinations of values, over which means are taken


@dataclass(frozen=True)
class Importance:
    """The shares of settings in the variance of a response, each from 0 to 1.

    `together` has those of pairs beyond each setting alone. `r_squared` is the forest's out-of-bag R²:
    at 0 and below it predicts nothing.
    """

    configurations: int
    r_squared: float
    alone: dict[str, float]
    together: dict[tuple[str, str], float]


def importance_of(values: Mapping[str, Sequence[Any]], response: Array) -> Importance | None:
    """Return the importance of settings, given their values and a response for each configuration.

    Functional analysis of variance over a random forest: Hutter, Hoos and Leyton-Brown, An efficient
    approach for assessing hyperparameter importance, ICML 2014. Values weigh as often as they were
    drawn. None for fewer than two settings, few configurations, a constant response, or no
    scikit-learn.
    """
    if len(values) < 2 or len(response) < MIN_CONFIGURATIONS or not np.ptp(response):
        return None
    try:
        from sklearn.ensemble import RandomForestRegressor
    except ImportError:
        return None
    codes = np.column_stack([codes_of(column) for column in values.values()])
    order = np.lexsort((response, *codes.T))
    codes, response = codes[order], response[order]
    drawn = min(len(response), MAX_DRAWN)
    forest = RandomForestRegressor(TREES, max_samples=drawn, oob_score=True, random_state=0)
    forest.fit(codes, response)
    # settings that are independent of each other, each value as often as it was drawn
    rng, places = np.random.default_rng(0), np.arange(MIXED) * len(response) // MIXED
    mixed = np.column_stack([rng.permutation(np.sort(column)[places]) for column in codes.T])
    total = float(forest.predict(mixed).var()) or 1.0

    def share(places: Sequence[int]) -> float:
        """Return the share of the means over all other settings."""
        levels = [np.unique(codes[:, place], return_counts=True) for place in places]
        combined = list(product(*(values for values, _ in levels)))
        rows = np.tile(mixed, (len(combined), 1))
        rows[:, places] = np.repeat(combined, MIXED, axis=0)
        means = forest.predict(rows).reshape(len(combined), MIXED).mean(axis=1)
        weights = [np.prod(counts) for counts in product(*(counts for _, counts in levels))]
        centre = np.average(means, weights=weights)
        return min(1.0, float(np.average((means - centre) ** 2, weights=weights)) / total)

    names = list(values)
    alone = {name: share([place]) for place, name in enumerate(names)}
    together = {
        (names[a], names[b]): max(0.0, share([a, b]) - alone[names[a]] - alone[names[b]])
        for a, b in combinations(range(len(names)), 2)
    }
    return Importance(len(response), float(forest.oob_score_), alone, together)


def codes_of(column: Sequence[Any]) -> Array:
    """Return the values of a setting as whole numbers: words, then numbers by size, in groups."""
    is_number = np.array([isinstance(value, int | float) for value in column])
    values = np.array(column, object)
    words, numbers = values[~is_number].astype(str), values[is_number].astype(float)
    distinct, word_codes = np.unique(words, return_inverse=True)
    groups = max(1, len(numbers) // MAX_LEVELS) if len(set(numbers)) > MAX_LEVELS else 1
    codes = np.empty(len(column))
    codes[~is_number] = word_codes
    codes[is_number] = len(distinct) + np.ceil(scipy.stats.rankdata(numbers) / groups)
    return codes
