"""The effect of each setting over all values of the others, and the interactions of settings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy  # which imports scipy.stats where that is first used
from scipy.special import ndtr, ndtri

from nbrnn.analysis.rank_statistics import LEVEL, Estimate, count_runs, holm, shift_of
from nbrnn.analysis.setting_importance import Importance, importance_of
from nbrnn.typing import Array

Method = Literal["grid", "fanova", "ranks"]
RANK_METHODS: tuple[Method, ...] = ("ranks", "fanova")  # of the ranks of medians alone
THIRDS = ("low", "middle", "high")
MAX_CONTRASTED = 8  # values of a setting, for interactions


@dataclass(frozen=True)
class Effect:
    """The effect of one setting.

    `levels` are its values, that of the lowest ranks first, `means` the medians at each of them,
    averaged over the other settings, `differences` the shifts from the first (that of itself is 0),
    with `p_holm` corrected for their number. `p` is that of no effect; by ranks it is corrected for the
    number of settings, and there are no means. `share` is that of the variance of the ranks of
    configurations which it explains, with `fanova` of what a forest predicts of these. `within` names
    the configurations that have the setting, where not all of them do.
    """

    setting: str
    method: Method
    levels: list[Any]
    means: list[float]
    differences: list[Estimate]
    p_holm: list[float]
    p: float
    share: float
    within: str = ""


@dataclass(frozen=True)
class Interaction:
    """The dependence of the effect of one setting on another one.

    `p` is that of no interaction, corrected for the number of contrasts; `change[i]` is the change
    from the level `base` of `setting` to `other` at the level `at[i]` of `by`, where p is lowest.
    """

    setting: str
    by: str
    p: float
    base: Any
    other: Any
    at: tuple[Any, Any]
    change: tuple[Estimate, Estimate]


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


def effects_of(values: Mapping[str, Sequence[Any]], samples: Sequence[Array]) -> Effects:
    """Return the effects of settings, whose values are given for each configuration with runs.

    samples: the losses of each configuration by seed, NaN where there is no run.

    A setting that some configurations lack (None) is analysed among those that have it: another setting
    decides whether it has an effect. `grid`: where all combinations of values are there, the shift from
    one value to another is taken within each combination of the others. Otherwise `ranks`: rank tests
    of one setting at a time, with shares by a random forest (`fanova`) where scikit-learn is installed
    and the forest predicts anything.
    """
    has = {name: tuple(value is not None for value in column) for name, column in values.items()}
    whole: Effects | None = None
    main, interactions = [], []
    for present in sorted(set(has.values()), key=lambda rows: -sum(rows)):
        rows = [i for i, is_there in enumerate(present) if is_there]
        inside = {
            name: [column[i] for i in rows]
            for name, column in values.items()
            if all(has[name][i] for i in rows) and len({column[i] for i in rows}) > 1
        }
        own = {name for name in inside if has[name] == present}
        if own:
            branch = branch_effects(inside, [samples[i] for i in rows])
            every = len(rows) == len(samples)
            within = "" if every else f"the {len(rows)} of {len(samples)} configurations that have it"
            main += [replace(one, within=within) for one in branch.main if one.setting in own]
            interactions += [pair for pair in branch.interactions if own & {pair.setting, pair.by}]
            whole = whole or branch
    return replace(whole, main=main, interactions=interactions) if whole else Effects("ranks")


def branch_effects(values: Mapping[str, Sequence[Any]], samples: Sequence[Array]) -> Effects:
    """Return the effects of settings that all of these configurations have."""
    levels = {name: sorted(set(column), key=sort_key) for name, column in values.items()}
    cells: dict[tuple[int, ...], list[Array]] = {}
    for row, sample in zip(zip(*values.values(), strict=True), samples, strict=True):
        place = tuple(own.index(value) for own, value in zip(levels.values(), row, strict=True))
        cells.setdefault(place, []).append(sample)
    grid = np.empty([len(own) for own in levels.values()], object)
    if len(cells) < grid.size:
        return ranked_effects(values, np.array([np.nanmedian(sample) for sample in samples]))
    for place, alike in cells.items():  # several where settings that some configurations lack differ
        grid[place] = pd.DataFrame(alike).median().to_numpy()
    main = [effect(name, own, np.moveaxis(grid, i, 0)) for i, (name, own) in enumerate(levels.items())]
    contrasts: list[Interaction] = []
    for i, j in combinations(range(len(levels)), 2):
        # the setting with fewer values is the one that changes
        a, b = (j, i) if grid.shape[i] > grid.shape[j] else (i, j)
        names = list(levels)[a], list(levels)[b]
        contrasts += contrasts_of(*names, levels, np.moveaxis(grid, (a, b), (0, 1)))
    p = holm([one.p for one in contrasts])
    corrected = [replace(one, p=q) for one, q in zip(contrasts, p, strict=True) if not math.isnan(q)]
    best: dict[tuple[str, str], Interaction] = {}
    for one in sorted(corrected, key=lambda one: one.p):
        best.setdefault((one.setting, one.by), one)
    return Effects("grid", main, list(best.values()))


def sort_key(value: Any) -> tuple[str, Any]:
    """Return the sort key of a setting's value: numbers by size, None and texts apart."""
    is_number = isinstance(value, int | float)
    return ("" if is_number else str(type(value)), value if is_number else str(value))


def effect(name: str, levels: Sequence[Any], grid: Array) -> Effect:
    """Return the effect of the setting along the first axis of a grid of runs."""
    grid = grid.reshape(len(levels), -1)
    medians = np.vectorize(np.nanmedian, otypes=[float])(grid)
    means, places = medians.mean(axis=1), scipy.stats.rankdata(medians, axis=0).mean(axis=1)
    first, *rest = order = np.lexsort((means, places)).tolist()
    shifts = [shift_of(list(zip(grid[i], grid[first], strict=True))) for i in rest]
    p = [min(1.0, (len(levels) - 1) * one.p) for one in shifts]  # the first is the best of all levels
    ranks = scipy.stats.rankdata(medians).reshape(medians.shape)
    return Effect(
        setting=name,
        method="grid",
        levels=[levels[i] for i in order],
        means=means[order].tolist(),
        differences=[Estimate(min(map(count_runs, grid[first])), 0.0, 0.0, 0.0, 1.0), *shifts],
        p_holm=[1.0, *p],
        p=min(1.0, math.comb(len(levels), 2) * min(one.p for one in shifts)),
        share=float(ranks.mean(axis=1).var() / (ranks.var() or 1)),
    )


def contrasts_of(
    name: str, by: str, levels: Mapping[str, Sequence[Any]], grid: Array
) -> Iterator[Interaction]:
    """Yield how the shift between two values of one setting differs between two values of another.

    These are the settings along the first two axes of a grid of runs.
    """
    values, of_by = levels[name], levels[by]
    grid = grid.reshape(*grid.shape[:2], -1)
    own, others = (range(0, n, -(-n // MAX_CONTRASTED)) for n in grid.shape[:2])
    for base, other in combinations(own, 2):
        pairs = [list(zip(grid[other, at], grid[base, at], strict=True)) for at in others]
        shifts = dict(zip(others, map(shift_of, pairs), strict=True))
        for low, high in combinations(sorted(others, key=lambda at: shifts[at].value), 2):
            change = shifts[low], shifts[high]
            error = math.hypot(*(standard_error(one) for one in change))
            p = 2 * float(ndtr((change[0].value - change[1].value) / error)) if error else math.nan
            at = of_by[low], of_by[high]
            yield Interaction(name, by, p, values[base], values[other], at, change)


def standard_error(shift: Estimate) -> float:
    """Return the standard error that the interval of a shift implies."""
    return (shift.high - shift.low) / (2 * float(ndtri((1 + LEVEL) / 2)))


def ranked_effects(values: Mapping[str, Sequence[Any]], medians: Array) -> Effects:
    """Return the effects of settings on the ranks of medians."""
    ranked = [rank_effect(name, column, medians) for name, column in values.items()]
    p_values = holm([effect.p for effect in ranked])
    main = [replace(one, p=p) for one, p in zip(ranked, p_values, strict=True) if not math.isnan(one.p)]
    importance = importance_of(
        {one.setting: values[one.setting] for one in main}, scipy.stats.rankdata(medians)
    )
    if importance is None or not importance.r_squared > 0:
        return Effects("ranks", main, importance=importance)
    shared = [replace(one, method="fanova", share=importance.alone[one.setting]) for one in main]
    return Effects("fanova", shared, importance=importance)


def rank_effect(name: str, column: Sequence[Any], medians: Array) -> Effect:
    """Return the share of the variance of ranks that a setting explains; many numbers count by thirds.

    The rank test of Kruskal and Wallis, Use of ranks in one-criterion variance analysis, Journal of the
    American Statistical Association 47, 1952, and Kelley's epsilon squared, An unbiased correlation
    ratio measure, Proceedings of the National Academy of Sciences 21, 1935.
    """
    groups = np.array(column, object)
    is_number = [isinstance(value, int | float) for value in column]
    if len(set(groups[is_number])) > len(THIRDS):
        places = scipy.stats.rankdata(groups[is_number].astype(float)) - 0.5
        groups[is_number] = np.array(THIRDS, object)[(3 * places / len(places)).astype(int)]
    levels = sorted(dict.fromkeys(groups), key=lambda g: THIRDS.index(g) if g in THIRDS else 0)
    if len(levels) < 2 or len(column) <= len(levels):
        return Effect(name, "ranks", levels, [], [], [], math.nan, 0.0)
    ranks = scipy.stats.rankdata(medians)
    members = [ranks[groups == level] for level in levels]
    h, p = scipy.stats.kruskal(*members) if np.ptp(ranks) else (0.0, 1.0)
    share = (h - len(levels) + 1) / (len(column) - len(levels))
    best_first = [levels[i] for i in np.argsort([m.mean() for m in members], kind="stable")]
    return Effect(name, "ranks", best_first, [], [], [], float(p), max(0.0, float(share)))
