"""How much of what configurations differ by does each setting account for, alone or with another one?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbrnn.statistics.stats import Array, ranks

FEWEST = 10  # configurations, with which a forest predicts anything
ROUGH = 50  # below which a share that should be 1 may be found 0.1 too small and more
TREES = 64  # as Optuna has
MOST_DRAWN = 500  # configurations for one tree
MOST_PLACES = 50  # of the numbers of a setting; of more, equal parts
NOT_A_SPLIT = -1


@dataclass(frozen=True)
class Importance:
    """The shares of settings in the variance of heights, each from 0 to 1.

    `together` is what two settings account for beyond what each does alone. `r_squared` is the
    coefficient of determination R² of the forest for configurations that it has not seen: what is not
    above 0 says nothing.
    """

    configurations: int
    r_squared: float
    alone: dict[str, float]
    together: dict[tuple[str, str], float]


@dataclass(frozen=True)
class Places:
    """The different values of a setting, as a forest sees them.

    `features` (values, columns): the place of a number among the others, -1 for what is none, and a
    column for each word, 1 where it is. `of` (configurations,) says which value each has, `weights`
    (values,) how many of them have it, as shares.
    """

    features: Array
    of: NDArray[np.integer]
    weights: Array


def importance_of(values: Mapping[str, Sequence[Any]], heights: Array) -> Importance | None:
    """Return the importance of settings, whose values are given for each configuration with a height.

    Functional analysis of variance over a random forest: Hutter, Hoos and Leyton-Brown, An efficient
    approach for assessing hyperparameter importance, ICML 2014. It averages over the values as often as
    they were drawn, so that scales do not matter; the order of configurations does not, either. None
    for fewer than two settings, for few configurations, where all heights are the same, and without
    scikit-learn.
    """
    if len(values) < 2 or len(heights) < FEWEST or not np.ptp(heights):
        return None
    try:
        from sklearn.ensemble import RandomForestRegressor
    except ImportError:
        return None
    places = [places_of(column) for column in values.values()]
    seen = np.hstack([one.features[one.of] for one in places])
    order = np.lexsort((heights, *seen.T))
    drawn = min(len(heights), MOST_DRAWN)
    forest = RandomForestRegressor(TREES, max_samples=drawn, oob_score=True, random_state=0)
    forest.fit(seen[order], heights[order])
    pairs = list(combinations(range(len(places)), 2))
    shares = np.mean([tree_shares(one.tree_, places, pairs) for one in forest.estimators_], axis=0)
    names = list(values)
    alone = dict(zip(names, shares.tolist(), strict=False))
    found = zip(pairs, shares[len(names) :].tolist(), strict=True)
    together = {(names[a], names[b]): share for (a, b), share in found}
    return Importance(len(heights), float(forest.oob_score_), alone, together)


def places_of(column: Sequence[Any]) -> Places:
    """Return the different values of a setting, of many numbers equal parts."""
    is_number = np.array([isinstance(value, int | float) for value in column])
    words = [None if number else str(value) for value, number in zip(column, is_number, strict=True)]
    place = np.full(len(column), -1.0)
    if is_number.any():
        numbers = [value for value, number in zip(column, is_number, strict=True) if number]
        place[is_number] = ranks(numbers)
        if len(set(numbers)) > MOST_PLACES:
            place[is_number] = np.ceil(place[is_number] * MOST_PLACES / len(numbers))
    different = sorted({word for word in words if word is not None})
    rows = np.column_stack([place, *([word == one for word in words] for one in different)])
    features, of, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return Places(features, of.reshape(-1), counts / len(column))


def tree_shares(tree: Any, places: Sequence[Places], pairs: Sequence[tuple[int, int]]) -> Array:
    """Return the shares of settings, and then of pairs of them, in the variance of a tree.

    Each leaf is a box, whose volume is the product of the shares of each setting's values in it, so
    that means over all other settings are sums over leaves (Hutter et al., algorithm 2).
    """
    inside = boxes(tree, places)
    weights = [one.weights for one in places]
    volumes = np.array([box @ weight for box, weight in zip(inside, weights, strict=True)])
    heights = tree.value[tree.children_left == NOT_A_SPLIT, 0, 0]
    whole = volumes.prod(axis=0)
    heights = heights - heights @ whole
    total = heights**2 @ whole
    if not total > 0:  # it is one leaf
        return np.zeros(len(places) + len(pairs))
    alone = []
    for s, box in enumerate(inside):
        rest = np.delete(volumes, s, axis=0).prod(axis=0)
        alone.append(weights[s] @ ((heights * rest) @ box) ** 2)
    together = []
    for a, b in pairs:
        rest = np.delete(volumes, (a, b), axis=0).prod(axis=0)
        means = (inside[a].T * (heights * rest)) @ inside[b]
        together.append(weights[a] @ means**2 @ weights[b] - alone[a] - alone[b])
    shares: Array = np.maximum([*alone, *together], 0) / total  # rounding may take one below
    return shares


def boxes(tree: Any, places: Sequence[Places]) -> list[Array]:
    """Return for each setting which of its values are in each leaf: 1 or 0, (leaves, values)."""
    counts, columns = zip(*(one.features.shape for one in places), strict=True)
    rows, starts = np.cumsum(counts)[:-1], np.cumsum((0, *columns[:-1]))
    table = np.full((sum(counts), sum(columns)), np.nan)  # what a setting's columns say of others
    for part, start, one in zip(np.split(table, rows), starts, places, strict=True):
        part[:, start : start + one.features.shape[1]] = one.features
    inside = np.ones((tree.node_count, len(table)), bool)
    splits = np.flatnonzero(tree.children_left != NOT_A_SPLIT)
    for node in splits:  # parents come before their children
        column, threshold = table[:, tree.feature[node]], tree.threshold[node]
        inside[tree.children_left[node]] = inside[node] & ~(column > threshold)  # NaN is on both sides
        inside[tree.children_right[node]] = inside[node] & ~(column <= threshold)
    leaves = inside[tree.children_left == NOT_A_SPLIT].astype(float)
    return np.split(leaves, rows, axis=1)
