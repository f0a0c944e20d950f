"""What does each setting do, averaged over the others, and which of them interact?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Any, Literal

import numpy as np
from scipy.special import chdtrc, fdtrc

from nbrnn.statistics.cells import Cells, combined
from nbrnn.statistics.importance import Importance, importance_of
from nbrnn.statistics.stats import Array, Mean, holm, ranks

Method = Literal["grid", "additive", "fanova", "ranks"]
OF_RANKS: tuple[Method, ...] = ("ranks", "fanova")  # those that look at ranks of means alone
THIRDS = ("low", "middle", "high")


@dataclass(frozen=True)
class Effect:
    """What one setting does.

    `levels` are its values, best first, `means` the means at each of them, averaged over the other
    settings, `behind` how far each is from the best one (the first is 0), with `p_holm` corrected for
    all pairs of levels. `p` is that of no effect at all, `share` of 0 to 1 how much of the variance
    between configurations it accounts for, with `ranks` of that of their ranks, with `fanova` of what
    a forest predicts of these; there are no means then.
    """

    setting: str
    method: Method
    levels: list[Any]
    means: list[Mean]
    behind: list[Mean]
    p_holm: list[float]
    p: float
    share: float


@dataclass(frozen=True)
class Interaction:
    """How far the effect of one setting depends on another one.

    `p` is that of no interaction, corrected for the number of pairs of settings; `change[i]` is what
    going from the level `base` of `setting` to `other` does at the level `at[i]` of `by`, for the two
    levels at which that differs most.
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
    """What all settings do, and how that was found."""

    method: Method
    main: list[Effect] = field(default_factory=list)
    interactions: list[Interaction] = field(default_factory=list)
    importance: Importance | None = None  # with the method `ranks` that of a forest that is no good

    @property
    def together(self) -> list[tuple[tuple[str, str], float]]:
        """The pairs of settings with their shares beyond each alone, largest first, of `fanova`."""
        if self.importance is None or self.method != "fanova":
            return []
        return sorted(self.importance.together.items(), key=lambda pair: -pair[1])


def effects_of(values: Mapping[str, Sequence[Any]], cells: Cells) -> Effects:
    """Return the effects of settings, whose values are given for each configuration with a mean.

    Where all combinations of values are there, these are marginal means with equal weights of all
    combinations, as of the analysis of variance of type III, however many seeds each has, and each
    configuration has a variance of its own. Where some combinations are missing, or all have one seed
    only, a sum of effects is fitted by least squares, and its errors grow by what it leaves over. Where
    there are too few for that, as in a random search, only ranks are looked at: one setting at a time,
    and their shares by a random forest, where that is installed and predicts anything. Losses
    themselves would let one that is far off decide what matters.
    """
    values = {name: list(column) for name, column in values.items() if len(set(column)) > 1}
    levels = {name: sorted(set(column), key=order) for name, column in values.items()}
    rows = list(zip(*values.values(), strict=True))
    whole = len(rows) == len(set(rows)) == math.prod(map(len, levels.values()))
    if whole and cells.known:
        main = [
            effect(name, "grid", levels[name], indicator(values[name], levels[name]), cells)
            for name in values
        ]
        pairs = [interaction(a, b, values, levels, cells) for a, b in combinations(values, 2)]
        p = holm([pair.p for pair in pairs])
        return Effects("grid", main, [replace(pair, p=q) for pair, q in zip(pairs, p, strict=True)])
    return additive_effects(values, levels, cells) or ranked_effects(values, cells.means)


def order(value: Any) -> tuple[str, Any]:
    """Return by what values of a setting are sorted: numbers by size, None and texts apart."""
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
    cells: Cells,
    degrees: float | None = None,
) -> Effect:
    """Return what a setting does, of which `weights` (levels, configurations) give the mean at each."""
    averages = weights @ cells.means
    ranked = [int(i) for i in np.argsort(averages, kind="stable")]
    means = [combined(weights[i], cells, degrees) for i in ranked]
    behind = [combined(weights[i] - weights[ranked[0]], cells, degrees) for i in ranked]
    corrected = holm([one.p for one in behind[1:]], math.comb(len(levels), 2))
    centred = np.eye(len(levels)) - 1 / len(levels)
    p = wald(centred, [combined(row, cells, degrees) for row in weights], weights, cells)
    share = float(np.var(averages) / np.var(cells.means)) if np.ptp(cells.means) else 0.0
    shown = [levels[i] for i in ranked]
    return Effect(name, method, shown, means, behind, [1.0, *corrected], p, min(1.0, share))


def wald(projection: Array, means: Sequence[Mean], weights: Array, cells: Cells) -> float:
    """Return the p-value of a projection of means being zero, each with a variance of its own.

    means (values,), weights (values, configurations). Brunner, Dette and Munk, Box-type approximations
    in nonparametric factorial designs, Journal of the American Statistical Association 92, 1997.
    """
    x = np.array([mean.mean for mean in means])
    variances = weights**2 @ cells.variances
    degrees = variances**2 / (weights**4 @ (cells.variances**2 / cells.degrees))
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
    cells: Cells,
) -> Interaction:
    """Return how far the effects of two settings depend on each other, averaged over the rest."""
    if len(levels[a]) > len(levels[b]):
        a, b = b, a  # the one with fewer values is said to change
    rows = list(product(levels[a], levels[b]))
    weights = indicator(list(zip(values[a], values[b], strict=True)), rows)
    shape = len(levels[a]), len(levels[b])
    centred = [np.eye(size) - 1 / size for size in shape]
    p = wald(np.kron(*centred), [combined(row, cells) for row in weights], weights, cells)
    table = (weights @ cells.means).reshape(shape)
    base, other, low, high = max(
        (
            (i, j, *(int(k) for k in (np.argmin(table[j] - table[i]), np.argmax(table[j] - table[i]))))
            for i, j in combinations(range(shape[0]), 2)
        ),
        key=lambda found: np.ptp(table[found[1]] - table[found[0]]),
    )
    at = weights.reshape(*shape, -1)
    changes = [combined(at[other, k] - at[base, k], cells) for k in (low, high)]
    names = levels[a][base], levels[a][other], (levels[b][low], levels[b][high])
    return Interaction(a, b, p, *names, (changes[0], changes[1]))


def additive_effects(
    values: Mapping[str, Sequence[Any]], levels: Mapping[str, Sequence[Any]], cells: Cells
) -> Effects | None:
    """Return effects that add up, fitted by least squares; None if there are too few configurations."""
    count = len(cells.means)
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
    squares = float(cells.means @ residuals @ cells.means)
    expected = float(np.diag(residuals) @ cells.variances) if cells.known else 0.0
    degrees = None
    if squares > expected:  # the settings interact, or nothing else is known
        degrees = float(left)
        variances = (
            cells.variances * (squares / expected) if expected else np.full(count, squares / left)
        )
        cells = replace(cells, variances=variances, degrees=np.full(count, degrees))
    averages = [np.full(len(levels[name]) - 1, 1 / len(levels[name])) for name in values]
    main = []
    for place, name in enumerate(values):
        rows = []
        for level in range(len(levels[name])):
            parts = list(averages)
            parts[place] = np.eye(len(levels[name]))[level, 1:]
            rows.append(np.concatenate([[1.0], *parts]) @ inverse)
        main.append(effect(name, "additive", levels[name], np.array(rows), cells, degrees))
    return Effects("additive", main)


def ranked_effects(values: Mapping[str, Sequence[Any]], means: Array) -> Effects:
    """Return what settings have to do with the ranks of means."""
    ranked = [rank_effect(name, column, means) for name, column in values.items()]
    main = [effect for effect in ranked if not math.isnan(effect.p)]
    found = importance_of({effect.setting: values[effect.setting] for effect in main}, ranks(means))
    if found is None or not found.r_squared > 0:
        return Effects("ranks", main, importance=found)
    shared = [replace(one, method="fanova", share=found.alone[one.setting]) for one in main]
    return Effects("fanova", shared, importance=found)


def rank_effect(name: str, column: Sequence[Any], means: Array) -> Effect:
    """Return how much of the ranks of means a setting accounts for.

    Of many numbers it is their thirds, beside what is no number, as where a setting has no effect.

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
    heights = ranks(means)
    members = [heights[[group == level for group in groups]] for level in levels]
    count, middle = len(column), (len(column) + 1) / 2
    between = sum(len(m) * (float(m.mean()) - middle) ** 2 for m in members)
    total = float(((heights - middle) ** 2).sum()) or 1.0
    h = (count - 1) * between / total
    share = 1 - (1 - between / total) * (count - 1) / (count - len(levels))
    by_mean = np.argsort([m.mean() for m in members], kind="stable")
    best_first = [levels[place] for place in by_mean]
    p = float(chdtrc(len(levels) - 1, h))
    return Effect(name, "ranks", best_first, [], [], [], p, max(0.0, share))
