"""Functional analysis of variance: the share of each setting, alone and with another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbrnn.analysis.intervals import ranks
from nbrnn.typing import Array

MIN_CONFIGURATIONS = 10  # with which a forest predicts anything
ROUGH_BELOW = 50  # configurations: a share of 1 may be estimated 0.1 too small and more
TREES = 64  # as Optuna has
MAX_DRAWN = 500  # configurations for one tree
MAX_LEVELS = 50  # of the numbers of a setting; more are grouped
NOT_A_SPLIT = -1


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


@dataclass(frozen=True)
class Levels:
    """The different values of a setting, as features of a forest.

    `features` (values, columns): the rank of a number (-1: none), and an indicator of each word. `of`
    (configurations,): the value of each. `weights` (values,): the share of configurations with it.
    """

    features: Array
    of: NDArray[np.integer]
    weights: Array


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
    levels = [levels_of(column) for column in values.values()]
    features = np.hstack([one.features[one.of] for one in levels])
    order = np.lexsort((response, *features.T))
    drawn = min(len(response), MAX_DRAWN)
    forest = RandomForestRegressor(TREES, max_samples=drawn, oob_score=True, random_state=0)
    forest.fit(features[order], response[order])
    pairs = list(combinations(range(len(levels)), 2))
    shares = np.mean([tree_shares(one.tree_, levels, pairs) for one in forest.estimators_], axis=0)
    names = list(values)
    alone = dict(zip(names, shares.tolist(), strict=False))
    joint = zip(pairs, shares[len(names) :].tolist(), strict=True)
    together = {(names[a], names[b]): share for (a, b), share in joint}
    return Importance(len(response), float(forest.oob_score_), alone, together)


def levels_of(column: Sequence[Any]) -> Levels:
    """Return the different values of a setting; many numbers are grouped."""
    is_number = np.array([isinstance(value, int | float) for value in column])
    words = [None if number else str(value) for value, number in zip(column, is_number, strict=True)]
    rank = np.full(len(column), -1.0)
    if is_number.any():
        numbers = [value for value, number in zip(column, is_number, strict=True) if number]
        rank[is_number] = ranks(numbers)
        if len(set(numbers)) > MAX_LEVELS:
            rank[is_number] = np.ceil(rank[is_number] * MAX_LEVELS / len(numbers))
    different = sorted({word for word in words if word is not None})
    rows = np.column_stack([rank, *([word == one for word in words] for one in different)])
    features, of, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return Levels(features, of.reshape(-1), counts / len(column))


def tree_shares(tree: Any, levels: Sequence[Levels], pairs: Sequence[tuple[int, int]]) -> Array:
    """Return the shares of settings, and then of pairs of them, in the variance of a tree.

    Each leaf is a box, whose volume is the product of the shares of each setting's values in it, so
    that means over all other settings are sums over leaves (Hutter et al., algorithm 2).
    """
    inside = boxes(tree, levels)
    weights = [one.weights for one in levels]
    volumes = np.array([box @ weight for box, weight in zip(inside, weights, strict=True)])
    leaf_values = tree.value[tree.children_left == NOT_A_SPLIT, 0, 0]
    whole = volumes.prod(axis=0)
    leaf_values = leaf_values - leaf_values @ whole
    total = leaf_values**2 @ whole
    if not total > 0:  # it is one leaf
        return np.zeros(len(levels) + len(pairs))
    alone = []
    for s, box in enumerate(inside):
        rest = np.delete(volumes, s, axis=0).prod(axis=0)
        alone.append(weights[s] @ ((leaf_values * rest) @ box) ** 2)
    together = []
    for a, b in pairs:
        rest = np.delete(volumes, (a, b), axis=0).prod(axis=0)
        means = (inside[a].T * (leaf_values * rest)) @ inside[b]
        together.append(weights[a] @ means**2 @ weights[b] - alone[a] - alone[b])
    shares: Array = np.maximum([*alone, *together], 0) / total  # rounding may take one below
    return shares


def boxes(tree: Any, levels: Sequence[Levels]) -> list[Array]:
    """Return for each setting whether each of its values is in each leaf: 1 or 0, (leaves, values)."""
    counts, columns = zip(*(one.features.shape for one in levels), strict=True)
    rows, starts = np.cumsum(counts)[:-1], np.cumsum((0, *columns[:-1]))
    table = np.full((sum(counts), sum(columns)), np.nan)  # a setting's columns are NaN for others
    for part, start, one in zip(np.split(table, rows), starts, levels, strict=True):
        part[:, start : start + one.features.shape[1]] = one.features
    inside = np.ones((tree.node_count, len(table)), bool)
    splits = np.flatnonzero(tree.children_left != NOT_A_SPLIT)
    for node in splits:  # parents come before their children
        column, threshold = table[:, tree.feature[node]], tree.threshold[node]
        inside[tree.children_left[node]] = inside[node] & ~(column > threshold)  # NaN is on both sides
        inside[tree.children_right[node]] = inside[node] & ~(column <= threshold)
    leaves = inside[tree.children_left == NOT_A_SPLIT].astype(float)
    return np.split(leaves, rows, axis=1)
