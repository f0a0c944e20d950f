"""The effect of each setting averaged over the others, and the interactions of settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Any, Literal

import numpy as np
from scipy.special import chdtrc, fdtrc

from nbrnn.analysis.group_means import GroupMeans, combined
from nbrnn.analysis.importance import Importance, importance_of
from nbrnn.analysis.intervals import Mean, holm, ranks
from nbrnn.typing import Array

Method = Literal["grid", "additive", "fanova", "ranks"]
RANK_METHODS: tuple[Method, ...] = ("ranks", "fanova")  # of the ranks of means alone
THIRDS = ("low", "middle", "high")


@dataclass(frozen=True)
class Effect:
    """The effect of one setting.

    `levels` are its values, best first, `means` the means at each of them, averaged over the other
    settings, `differences` those from the best one (the first is 0), with `p_holm` corrected for all
    pairs of levels. `p` is that of no effect, `share` the share of the variance between configurations
    that it explains: with `ranks` of their ranks, with `fanova` of what a forest predicts of these;
    there are no means then.
    """

    setting: str
    method: Method
    levels: list[Any]
    means: list[Mean]
    differences: list[Mean]
    p_holm: list[float]
    p: float
    share: float


@dataclass(frozen=True)
class Interaction:
    """The dependence of the effect of one setting on another one.

    `p` is that of no interaction, corrected for the number of pairs of settings; `change[i]` is the
    change from the level `base` of `setting` to `other` at the level `at[i]` of `by`, for the two levels
    at which it differs most.
    """

    setting: str
    by: str
    p: float
    base: Any
    other: Any
    at: tuple[Any, Any]
    change: tuple[Mean, Mean]


@dataclass(frozen=True)
class Effects:
    """The effects of all settings, and the method by which they were estimated."""

    method: Method
    main: list[Effect] = field(default_factory=list)
    interactions: list[Interaction] = field(default_factory=list)
    importance: Importance | None = None  # with `ranks` that of a forest that predicts nothing

    @property
    def together(self) -> list[tuple[tuple[str, str], float]]:
        """The pairs of settings with their shares beyond each alone, largest first (`fanova`)."""
        if self.importance is None or self.method != "fanova":
            return []
        return sorted(self.importance.together.items(), key=lambda pair: -pair[1])


def effects_of(values: Mapping[str, Sequence[Any]], groups: GroupMeans) -> Effects:
    """Return the effects of settings, whose values are given for each configuration with a mean.

    `grid`: where all combinations of values are there, marginal means with equal weights of all
    combinations, as in an analysis of variance of type III; each configuration has its own variance.
    `additive`: where combinations are missing, or all have one seed, a sum of effects fitted by least
    squares, whose errors grow by the lack of fit. `ranks`: where there are too few for that, as in a
    random search, rank tests of one setting at a time, with shares by a random forest (`fanova`) where
    scikit-learn is installed and the forest predicts anything.
    """
    values = {name: list(column) for name, column in values.items() if len(set(column)) > 1}
    levels = {name: sorted(set(column), key=sort_key) for name, column in values.items()}
    rows = list(zip(*values.values(), strict=True))
    whole = len(rows) == len(set(rows)) == math.prod(map(len, levels.values()))
    if whole and groups.known:
        main = [
            effect(name, "grid", levels[name], indicator(values[name], levels[name]), groups)
            for name in values
        ]
        pairs = [interaction(a, b, values, levels, groups) for a, b in combinations(values, 2)]
        p = holm([pair.p for pair in pairs])
        return Effects("grid", main, [replace(pair, p=q) for pair, q in zip(pairs, p, strict=True)])
    return additive_effects(values, levels, groups) or ranked_effects(values, groups.means)


def sort_key(value: Any) -> tuple[str, Any]:
    """Return the sort key of a setting's value: numbers by size, None and texts apart."""
    is_number = isinstance(value, int | float)
    return ("" if is_number else str(type(value)), value if is_number else str(value))


def indicator(column: Sequence[Any], levels: Sequence[Any]) -> Array:
    """Return the weights of the mean at each level, (levels, configurations)."""
    table = np.array([[value == level for value in column] for level in levels], float)
    shares: Array = table / table.sum(axis=1, keepdims=True)
    return shares


def effect(
    name: str,
    method: Method,
    levels: Sequence[Any],
    weights: Array,
    groups: GroupMeans,
    degrees: float | None = None,
) -> Effect:
    """Return the effect of a setting; weights (levels, configurations) give the mean at each level."""
    averages = weights @ groups.means
    ranked = [int(i) for i in np.argsort(averages, kind="stable")]
    means = [combined(weights[i], groups, degrees) for i in ranked]
    differences = [combined(weights[i] - weights[ranked[0]], groups, degrees) for i in ranked]
    corrected = holm([one.p for one in differences[1:]], math.comb(len(levels), 2))
    centred = np.eye(len(levels)) - 1 / len(levels)
    p = wald(centred, [combined(row, groups, degrees) for row in weights], weights, groups)
    share = float(np.var(averages) / np.var(groups.means)) if np.ptp(groups.means) else 0.0
    shown = [levels[i] for i in ranked]
    return Effect(name, method, shown, means, differences, [1.0, *corrected], p, min(1.0, share))


def wald(projection: Array, means: Sequence[Mean], weights: Array, groups: GroupMeans) -> float:
    """Return the p-value of a projection of means being zero, each with a variance of its own.

    means (values,), weights (values, configurations). Brunner, Dette and Munk, Box-type approximations
    in nonparametric factorial designs, Journal of the American Statistical Association 92, 1997.
    """
    x = np.array([mean.mean for mean in means])
    variances = weights**2 @ groups.variances
    degrees = variances**2 / (weights**4 @ (groups.variances**2 / groups.degrees))
    product_ = projection * variances
    trace = float(np.trace(product_))
    first = trace**2 / float(np.trace(product_ @ product_))
    second = trace**2 / float((np.diag(projection) ** 2 * variances**2 / degrees).sum())
    return float(fdtrc(first, second, max(0.0, float(x @ projection @ x)) / trace))


def interaction(
    a: str,
    b: str,
    values: Mapping[str, Sequence[Any]],
    levels: Mapping[str, Sequence[Any]],
    groups: GroupMeans,
) -> Interaction:
    """Return the interaction of two settings, averaged over the others."""
    if len(levels[a]) > len(levels[b]):
        a, b = b, a  # the setting with fewer values is the one that changes
    rows = list(product(levels[a], levels[b]))
    weights = indicator(list(zip(values[a], values[b], strict=True)), rows)
    shape = len(levels[a]), len(levels[b])
    centred = [np.eye(size) - 1 / size for size in shape]
    p = wald(np.kron(*centred), [combined(row, groups) for row in weights], weights, groups)
    table = (weights @ groups.means).reshape(shape)
    base, other, low, high = max(
        (
            (i, j, *(int(k) for k in (np.argmin(table[j] - table[i]), np.argmax(table[j] - table[i]))))
            for i, j in combinations(range(shape[0]), 2)
        ),
        key=lambda pair: np.ptp(table[pair[1]] - table[pair[0]]),
    )
    at = weights.reshape(*shape, -1)
    changes = [combined(at[other, k] - at[base, k], groups) for k in (low, high)]
    names = levels[a][base], levels[a][other], (levels[b][low], levels[b][high])
    return Interaction(a, b, p, *names, (changes[0], changes[1]))


def additive_effects(
    values: Mapping[str, Sequence[Any]], levels: Mapping[str, Sequence[Any]], groups: GroupMeans
) -> Effects | None:
    """Return additive effects, fitted by least squares; None for too few configurations."""
    count = len(groups.means)
    design = [np.ones((count, 1))]  # each setting's levels but the first
    for name, column in values.items():
        design.append(
            np.array([[value == level for level in levels[name][1:]] for value in column], float)
        )
    x = np.hstack(design)
    left = count - x.shape[1]
    if not values or left < max(1, x.shape[1] // 2) or np.linalg.matrix_rank(x) < x.shape[1]:
        return None
    inverse = np.linalg.pinv(x)
    residuals = np.eye(count) - x @ inverse
    squares = float(groups.means @ residuals @ groups.means)
    expected = float(np.diag(residuals) @ groups.variances) if groups.known else 0.0
    degrees = None
    if squares > expected:  # the settings interact, or nothing else is known
        degrees = float(left)
        variances = (
            groups.variances * (squares / expected) if expected else np.full(count, squares / left)
        )
        groups = replace(groups, variances=variances, degrees=np.full(count, degrees))
    averages = [np.full(len(levels[name]) - 1, 1 / len(levels[name])) for name in values]
    main = []
    for place, name in enumerate(values):
        rows = []
        for level in range(len(levels[name])):
            parts = list(averages)
            parts[place] = np.eye(len(levels[name]))[level, 1:]
            rows.append(np.concatenate([[1.0], *parts]) @ inverse)
        main.append(effect(name, "additive", levels[name], np.array(rows), groups, degrees))
    return Effects("additive", main)


def ranked_effects(values: Mapping[str, Sequence[Any]], means: Array) -> Effects:
    """Return the effects of settings on the ranks of means."""
    ranked = [rank_effect(name, column, means) for name, column in values.items()]
    main = [effect for effect in ranked if not math.isnan(effect.p)]
    importance = importance_of({effect.setting: values[effect.setting] for effect in main}, ranks(means))
    if importance is None or not importance.r_squared > 0:
        return Effects("ranks", main, importance=importance)
    shared = [replace(one, method="fanova", share=importance.alone[one.setting]) for one in main]
    return Effects("fanova", shared, importance=importance)


def rank_effect(name: str, column: Sequence[Any], means: Array) -> Effect:
    """Return the share of the variance of ranks that a setting explains; many numbers count by thirds.

    The rank test of Kruskal and Wallis, Use of ranks in one-criterion variance analysis, Journal of the
    American Statistical Association 47, 1952, and Kelley's epsilon squared, An unbiased correlation
    ratio measure, Proceedings of the National Academy of Sciences 21, 1935.
    """
    groups = list(column)
    numbers = [value for value in column if isinstance(value, int | float)]
    if len(set(numbers)) > len(THIRDS):
        places = (min(2, int(3 * (rank - 0.5) / len(numbers))) for rank in ranks(numbers))
        groups = [THIRDS[next(places)] if isinstance(v, int | float) else v for v in column]
    levels = sorted(set(groups), key=lambda g: THIRDS.index(g) if g in THIRDS else 0)
    if len(levels) < 2 or len(column) <= len(levels):
        return Effect(name, "ranks", list(levels), [], [], [], math.nan, 0.0)
    ranked = ranks(means)
    members = [ranked[[group == level for group in groups]] for level in levels]
    count, middle = len(column), (len(column) + 1) / 2
    between = sum(len(m) * (float(m.mean()) - middle) ** 2 for m in members)
    total = float(((ranked - middle) ** 2).sum()) or 1.0
    h = (count - 1) * between / total
    share = 1 - (1 - between / total) * (count - 1) / (count - len(levels))
    by_mean = np.argsort([m.mean() for m in members], kind="stable")
    best_first = [levels[place] for place in by_mean]
    p = float(chdtrc(len(levels) - 1, h))
    return Effect(name, "ranks", best_first, [], [], [], p, max(0.0, share))
