"""The statistics of configurations by one measure: the best, the effects of settings, chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.analysis.effects import Effects, effects_of
from nbrnn.analysis.multiple_comparisons import p_of_being_best, seeds_to_detect
from nbrnn.analysis.rank_statistics import SIGNIFICANT, Estimate, expected_best, median_of
from nbrnn.naming import short_texts
from nbrnn.storage.schemas import COMPLETE, DROPPED
from nbrnn.typing import Array

TRIES = (1, 2, 3, 5, 10, 20, 50, 100)
MIN_COMMON_SEEDS = 2
FEW_VALUES = 3  # of a setting, whose order says little
MIN_SAME = 2  # runs that are bit-identical by more than chance
SMALLEST_DIFFERENCE = 0.01  # of the lowest loss, that is worth detecting
FAR_OFF = 20.0  # times the median distance of runs from the median of their configuration
MIN_CENTRE = 3  # runs, whose median says where the others should be

TRIES_COLUMNS = ["setting", "n", "tries", "expected_best", "ci_low", "ci_high", "unit"]
EFFECTS_COLUMNS = [
    *("kind", "name", "value", "at", "method", "mean", "difference", "ci_low", "ci_high"),
    *("p_holm", "p", "share", "unit", "within"),
]


@dataclass(frozen=True)
class Findings:
    """The statistics of configurations by one measure; `p_best` is NaN where there are too few seeds.

    `same` has, by the name of a configuration, those that are bit-identical to it: they are no others.
    """

    losses: dict[str, Array]  # of the finished runs of each configuration, lowest median first
    p_best: dict[str, float]  # of no other one's being better, in the same order
    effects: Effects
    unit: str
    paired: bool = False
    dropped: int = 0  # configurations without a finished run, among which the best was chosen, too
    same: dict[str, list[str]] = field(default_factory=dict)
    far_off: list[tuple[str, int, float]] = field(default_factory=list)  # names, seeds and losses

    @property
    def names(self) -> list[str]:
        """The different configurations that have a finished run, the lowest median first."""
        return list(self.losses)

    @property
    def too_few(self) -> bool:
        """Whether there are too few seeds to call any configuration significantly worse."""
        return len(self.losses) > 1 and all(map(np.isnan, self.p_best.values()))

    @property
    def may_be_best(self) -> list[str]:
        """The configurations that are not significantly worse than the best, the lowest median first."""
        return [name for name, p in self.p_best.items() if not p <= SIGNIFICANT]

    @property
    def unknown(self) -> list[str]:
        """The configurations with too few seeds to judge."""
        return [name for name, p in self.p_best.items() if np.isnan(p)]

    @property
    def significantly_worse(self) -> list[str]:
        """The configurations that are significantly worse than the best, the lowest median first."""
        return [name for name, p in self.p_best.items() if p <= SIGNIFICANT]

    @property
    def p_of_all(self) -> dict[str, float]:
        """The p-value of each configuration, also of those that are bit-identical to another one."""
        others = {other: self.p_best[name] for name, names in self.same.items() for other in names}
        return {**self.p_best, **others}

    @property
    def best(self) -> Estimate:
        """The median of the best configuration, with an interval that holds for the best of them all."""
        return median_of(next(iter(self.losses.values())), len(self.losses) + self.dropped)

    def seeds_for(self, difference: float) -> int | None:
        """Return how many seeds detect that another one is higher than the best by this."""
        return seeds_to_detect(list(self.losses.values()), difference, len(self.losses), self.paired)

    @cached_property
    def tries(self) -> pd.DataFrame:
        """The expected lowest loss of 1, 2, 3, 5, ... runs of each configuration."""
        rows = [
            (name, len(losses), tries, expected_best(losses, tries), np.nan, np.nan, self.unit)
            for name, losses in self.losses.items()
            for tries in TRIES
            if tries <= len(losses)
        ]
        return pd.DataFrame(rows, columns=TRIES_COLUMNS)


def findings_of(
    runs: pd.DataFrame, settings: Sequence[str], column: str, unit: str, paired: bool = False
) -> Findings:
    """Return the statistics of runs by one measure.

    runs: a row for each run, with its configuration under `setting`; `settings` are the columns of the
    settings that were swept. If `paired`, only common seeds count, and differences are those of seeds.
    """
    finished = runs[runs["status"].isin(COMPLETE) & runs[column].notna()]
    common = common_seeds(finished) if paired else finished
    paired = paired and len(common) > 0
    finished = (common if paired else finished).sort_values("seed", kind="stable")
    groups = finished.groupby("setting", sort=False)[column]
    losses = {str(name): group.to_numpy(float) for name, group in groups}
    same = bit_identical(finished, column)
    others = {name for names in same.values() for name in names}
    distinct = {name: sample for name, sample in losses.items() if name not in others}
    p_values = p_of_being_best(list(distinct.values()), paired).tolist()
    p_best = dict(zip(distinct, p_values, strict=True))
    order = sorted(distinct, key=lambda n: (p_best[n] <= SIGNIFICANT, float(np.median(distinct[n]))))
    by_seed = finished.pivot(index="seed", columns="setting", values=column)
    first = finished.drop_duplicates("setting").set_index("setting").loc[list(losses)]
    columns = [*settings, *(["corpus"] if first["corpus_sha256"].nunique() > 1 else [])]
    values = join_confounded(
        {name: [None if pd.isna(value) else value for value in first[name].tolist()] for name in columns}
    )
    return Findings(
        {name: distinct[name] for name in order},
        {name: p_best[name] for name in order},
        effects_of(values, [by_seed[name].to_numpy(float) for name in losses]),
        unit,
        paired,
        runs.loc[runs["status"] == DROPPED, "setting"].nunique(),
        same,
        far_off(finished, column),
    )


def common_seeds(finished: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of seeds that all configurations have; none where these are too few."""
    count = finished["setting"].nunique()
    common = finished[finished.groupby("seed")["setting"].transform("nunique") == count]
    return common if common["seed"].nunique() >= MIN_COMMON_SEEDS else common.iloc[:0]


def bit_identical(finished: pd.DataFrame, column: str) -> dict[str, list[str]]:
    """Return the configurations all of whose runs are those of an earlier one, by its name."""
    kinds: dict[tuple[Any, ...], list[str]] = {}
    numbers = [column, "smooth_loss_final", "updates"]
    for name, group in finished.groupby("setting", sort=False):
        runs = zip(group["seed"], *(group[number] for number in numbers), strict=True)
        kinds.setdefault((group["corpus_sha256"].iloc[0], *runs), []).append(str(name))
    alike = (names for key, names in kinds.items() if len(key) > MIN_SAME and len(names) > 1)
    return {names[0]: names[1:] for names in alike}


def far_off(finished: pd.DataFrame, column: str) -> list[tuple[str, int, float]]:
    """Return the configuration, seed and loss of each run far off the others of its configuration.

    Of configurations with a run or two, off those of all.
    """
    losses, names = finished[column], finished["setting"]
    few = losses.groupby(names).transform("size") < MIN_CENTRE
    distance = (losses - losses.groupby(names).transform("median").mask(few, losses.median())).abs()
    typical = distance.groupby(few).transform("median")
    own = distance.groupby(names).transform("median").mask(few, typical)
    rows = finished[(distance > FAR_OFF * np.maximum(own, typical)) & (typical > 0)]
    return [
        (str(n), int(s), float(v))
        for n, s, v in zip(rows["setting"], rows["seed"], rows[column], strict=True)
    ]


def join_confounded(values: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Return the values of settings by configuration, with settings that always change together joined.

    Where all of them do, there are no settings, only configurations.
    """
    alike: dict[tuple[int, ...], list[str]] = {}
    for name, column in values.items():
        alike.setdefault(pattern(column), []).append(name)
    joined: dict[str, Sequence[Any]] = {}
    for names in alike.values():
        texts = [short_texts(values[name]) for name in names]
        rows = zip(*(values[name] for name in names), strict=True)
        together = [", ".join(t[v] for t, v in zip(texts, row, strict=True)) for row in rows]
        joined[" with ".join(names)] = together if len(names) > 1 else values[names[0]]
    return {} if len(values) > len(joined) == 1 else joined


def pattern(column: Sequence[Any]) -> tuple[int, ...]:
    """Return the pattern in which a setting changes, the same for two that always change together.

    Of many numbers that are all different, as in a random search, it is their order.
    """
    distinct = list(dict.fromkeys(column))
    if len(distinct) == len(column) > FEW_VALUES and all(isinstance(v, int | float) for v in column):
        distinct.sort(reverse=column[0] > column[-1])
    place = {value: number for number, value in enumerate(distinct)}
    return tuple(place[value] for value in column)


def effects_table(findings: Findings) -> pd.DataFrame:
    """Return a row for each value of each swept setting, and two for each interaction.

    `difference` is that from the best value, or for an interaction the effect of going from one value to
    the other at another setting's value `at`. With the method `fanova` interactions have one row and
    their share alone.
    """
    effects, rows = findings.effects, []
    for effect in effects.main:
        common: dict[str, Any] = {"kind": "main effect", "name": effect.setting, "method": effect.method}
        common |= {"p": effect.p, "share": effect.share, "within": effect.within}
        for place, value in enumerate(effect.levels):
            row = {**common, "value": value}
            if effect.means:
                row |= {"mean": effect.means[place], "p_holm": effect.p_holm[place]}
                row |= difference_columns(effect.differences[place])
            rows.append(row)
    for pair in effects.interactions:
        texts = short_texts({pair.base, pair.other})
        name = f"{pair.setting} by {pair.by}"
        value = f"{texts[pair.other]} instead of {texts[pair.base]}"
        for at, change in zip(pair.at, pair.change, strict=True):
            row = {"kind": "interaction", "name": name, "value": value, "at": at, "p_holm": pair.p}
            rows.append({**row, "method": effects.method, **difference_columns(change)})
    for (one, other), share in effects.together:
        row = {"kind": "interaction", "name": f"{one} by {other}"}
        rows.append({**row, "method": effects.method, "share": share})
    return pd.DataFrame(rows, columns=EFFECTS_COLUMNS).assign(unit=findings.unit)


def difference_columns(difference: Estimate) -> Mapping[str, float]:
    """Return the columns of a difference."""
    return {"difference": difference.value, "ci_low": difference.low, "ci_high": difference.high}
