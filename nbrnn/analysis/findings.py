"""The statistics of configurations by one measure: the best, the effects of settings, chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.analysis.bootstrap import TRIES, expected_best_band
from nbrnn.analysis.effects import Effects, effects_of
from nbrnn.analysis.group_means import GroupMeans, group_means
from nbrnn.analysis.intervals import Mean
from nbrnn.analysis.multiple_comparisons import (
    ALPHA,
    detectable_difference,
    p_of_being_best,
    seeds_to_detect,
)
from nbrnn.naming import short_texts
from nbrnn.storage.schemas import COMPLETE
from nbrnn.typing import Array

MARGIN = 0.75  # of what these seeds detect: the next difference is one that they cannot
MIN_COMMON_SEEDS = 2
FEW_VALUES = 3  # of a setting, whose order says little

TRIES_COLUMNS = ["setting", "n", "tries", "expected_best", "ci_low", "ci_high", "unit"]
EFFECTS_COLUMNS = [
    *("kind", "name", "value", "at", "method", "mean", "difference", "ci_low", "ci_high"),
    *("p_holm", "p", "share", "unit"),
]


@dataclass(frozen=True)
class Findings:
    """The statistics of configurations by one measure; all arrays are (configurations,)."""

    losses: dict[str, Array]  # of the finished runs of each configuration, lowest mean first
    groups: GroupMeans
    p_best: Array  # of being the best one
    effects: Effects
    unit: str

    @property
    def names(self) -> list[str]:
        """The configurations that have a finished run, the lowest mean first."""
        return list(self.losses)

    @property
    def may_be_best(self) -> list[str]:
        """The configurations that are not significantly worse than the best, the lowest mean first."""
        return [name for name, p in zip(self.losses, self.p_best, strict=True) if not p < ALPHA]

    @property
    def significantly_worse(self) -> list[str]:
        """The configurations that are significantly worse than the best, the lowest mean first."""
        return [name for name, p in zip(self.losses, self.p_best, strict=True) if p < ALPHA]

    @cached_property
    def tries(self) -> pd.DataFrame:
        """The expected lowest loss of 1, 2, 3, 5, ... runs of each configuration."""
        rows = [
            (name, len(losses), tries, *expected_best_band(losses, tries), self.unit)
            for name, losses in self.losses.items()
            for tries in TRIES
            if tries <= len(losses)
        ]
        return pd.DataFrame(rows, columns=TRIES_COLUMNS)

    def next_difference(self) -> tuple[float, int] | None:
        """Return the next round difference of the best two to detect, and the seeds that it takes.

        None if no other configuration may be the best, or the variability between seeds is unknown.
        """
        if len(self.may_be_best) < 2 or not self.groups.known:
            return None
        variances, counts = self.groups.variances[:2], self.groups.counts[:2]
        detectable = detectable_difference(float(np.sqrt(variances.sum())))
        sd = np.sqrt(variances * counts)
        if not detectable > 0 or not sd.min() > 0:
            return None
        difference = round_down(MARGIN * detectable)
        more = seeds_to_detect(difference, float(sd[0]), float(sd[1])) - counts.min()
        return difference, max(1, int(float(f"{max(more, 0):.2g}")))

    def bands_in(self, tries: int) -> dict[str, tuple[float, float, float]]:
        """Return the expected lowest loss of so many runs with its interval, by configuration.

        Empty where one that may be the best has too few runs for an interval.
        """
        rows = self.tries[(self.tries["tries"] == tries) & self.tries["ci_low"].notna()]
        bands = {
            str(name): (float(value), float(low), float(high))
            for name, value, low, high in rows[["setting", *TRIES_COLUMNS[3:6]]].itertuples(index=False)
        }
        return bands if set(self.may_be_best) <= set(bands) else {}


def round_down(value: float) -> float:
    """Return the largest of ..., 0.2, 0.5, 1, 2, 5, 10, 20, ... that is no larger."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(step for step in (1, 2, 5) if step * power <= value * (1 + 1e-9)) * power)


def findings_of(
    runs: pd.DataFrame, settings: Sequence[str], column: str, unit: str, paired: bool = False
) -> Findings:
    """Return the statistics of runs by one measure.

    runs: a row for each run, with its configuration under `setting`; `settings` are the columns of the
    settings that were swept. If `paired`, only common seeds count, and the effect that a seed has on all
    configurations is removed.
    """
    finished = runs[runs["status"].isin(COMPLETE) & runs[column].notna()]
    if paired:
        finished = without_seed_effects(finished, column)
    groups = finished.groupby("setting", sort=False)[column]
    losses = {str(name): group.to_numpy(float) for name, group in groups}
    losses = dict(sorted(losses.items(), key=lambda item: float(np.mean(item[1]))))
    first = finished.drop_duplicates("setting").set_index("setting").loc[list(losses)]
    columns = [*settings, *(["corpus"] if first["corpus_sha256"].nunique() > 1 else [])]
    values = join_confounded({name: plain_values(first[name]) for name in columns})
    means = group_means(list(losses.values()))
    return Findings(losses, means, p_of_being_best(means), effects_of(values, means), unit)


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


def without_seed_effects(finished: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the runs of common seeds, without what a seed adds to all configurations."""
    count = finished["setting"].nunique()
    common = finished[finished.groupby("seed")["setting"].transform("nunique") == count]
    if common["seed"].nunique() < MIN_COMMON_SEEDS:
        return finished
    seed_means = common.groupby("seed")[column].transform("mean")
    # the mean of a seed holds 1 / count of each run, whose deviations shrink by that much
    own = common[column] - seed_means
    centre = own.groupby(common["setting"]).transform("mean")
    whole = (own - centre) * np.sqrt(count / max(1, count - 1)) + centre
    return common.assign(**{column: whole + common[column].mean()})


def plain_values(column: pd.Series[Any]) -> list[Any]:
    """Return the values of a setting, None where it has none."""
    return [None if pd.isna(value) else value for value in column.tolist()]


def effects_table(findings: Findings) -> pd.DataFrame:
    """Return a row for each value of each swept setting, and two for each interaction.

    `difference` is that from the best value, or for an interaction the effect of going from one value to
    the other at another setting's value `at`. With the method `fanova` interactions have one row and
    their share alone.
    """
    effects, rows = findings.effects, []
    for effect in effects.main:
        common: dict[str, Any] = {"kind": "main effect", "name": effect.setting, "method": effect.method}
        common |= {"p": effect.p, "share": effect.share}
        for place, value in enumerate(effect.levels):
            row = {**common, "value": value}
            if effect.means:
                row |= {"mean": effect.means[place].mean, "p_holm": effect.p_holm[place]}
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


def difference_columns(difference: Mean) -> Mapping[str, float]:
    """Return the columns of a difference."""
    return {"difference": difference.mean, "ci_low": difference.low, "ci_high": difference.high}
