"""What do the runs say: which configurations may be the best, what do settings do, what does luck?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.naming import short_texts
from nbrnn.statistics.best import LEAST_P, difference_told, p_of_being_best, seeds_to_tell
from nbrnn.statistics.cells import Cells, cells_of
from nbrnn.statistics.chances import TRIES, expected_best_band
from nbrnn.statistics.effects import Effects, effects_of
from nbrnn.statistics.stats import Array, Mean
from nbrnn.storage.schemas import COMPLETE

STEPS = (1.0, 2.0, 5.0)  # of the round numbers between one power of ten and the next
CLEARLY = 0.75  # of what these seeds tell: the next question is one that they cannot answer
FEWEST_RUNS = 2
FEW_VALUES = 3  # of a setting, whose order says little

TRIES_COLUMNS = ["setting", "n", "tries", "expected_best", "ci_low", "ci_high", "unit"]
EFFECTS_COLUMNS = [
    *("kind", "name", "value", "at", "method", "mean", "difference", "ci_low", "ci_high"),
    *("p_holm", "p", "share", "unit"),
]


@dataclass(frozen=True)
class Findings:
    """What the finished runs say of configurations by one measure; all arrays are (configurations,)."""

    losses: dict[str, Array]  # of the finished runs of each configuration, lowest mean first
    cells: Cells
    p_best: Array  # of being the best one
    effects: Effects
    unit: str

    @property
    def names(self) -> list[str]:
        """The configurations that have a finished run, the lowest mean first."""
        return list(self.losses)

    @property
    def may_be_best(self) -> list[str]:
        """The configurations that may be the best, the lowest mean first."""
        return [name for name, p in zip(self.losses, self.p_best, strict=True) if not p < LEAST_P]

    @property
    def surely_worse(self) -> list[str]:
        """The configurations that are surely not the best, the lowest mean first."""
        return [name for name, p in zip(self.losses, self.p_best, strict=True) if p < LEAST_P]

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

    def cheapest_next(self) -> tuple[float, int] | None:
        """Return the next difference to tell, a round number, and how many more seeds each that takes.

        It is asked of the best configuration and its nearest rival. None if nothing is open, or nothing
        known of how runs scatter.
        """
        if len(self.may_be_best) < 2 or not self.cells.known:
            return None
        variances, counts = self.cells.variances[:2], self.cells.counts[:2]
        told = difference_told(float(np.sqrt(variances.sum())))
        spread = np.sqrt(variances * counts)
        if not told > 0 or not spread.min() > 0:
            return None
        difference = rounded_down(CLEARLY * told)
        more = seeds_to_tell(difference, float(spread[0]), float(spread[1])) - counts.min()
        return difference, max(1, two_digits(more))

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


def rounded_down(value: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, ... and 0.5, 0.2, ... that is no larger."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(step for step in STEPS if step * power <= value * (1 + 1e-9)) * power)


def two_digits(value: float) -> int:
    """Return a positive number with two digits at most."""
    return int(float(f"{max(value, 0):.2g}"))


def findings_of(
    runs: pd.DataFrame, settings: Sequence[str], column: str, unit: str, paired: bool = False
) -> Findings:
    """Return what the runs say by one measure.

    runs: a row for each run, with its configuration under `setting`; `settings` are the columns of the
    settings that were swept. If `paired`, only common seeds count, and what each of these has in common
    in all configurations is taken out.
    """
    finished = runs[runs["status"].isin(COMPLETE) & runs[column].notna()]
    if paired:
        finished = without_seeds(finished, column)
    losses = {
        str(name): group[column].to_numpy(float)
        for name, group in finished.groupby("setting", sort=False)
    }
    losses = dict(sorted(losses.items(), key=lambda item: float(np.mean(item[1]))))
    first = finished.drop_duplicates("setting").set_index("setting").loc[list(losses)]
    columns = [*settings, *(["corpus"] if first["corpus_sha256"].nunique() > 1 else [])]
    values = told_apart({name: plain(first[name]) for name in columns})
    cells = cells_of(list(losses.values()))
    return Findings(losses, cells, p_of_being_best(cells), effects_of(values, cells), unit)


def told_apart(values: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Return the values of settings by configuration, where two that always change together are one.

    Nothing tells what each of them does. Where all of them do, there are no settings, only
    configurations.
    """
    alike: dict[tuple[int, ...], list[str]] = {}
    for name, column in values.items():
        alike.setdefault(places(column), []).append(name)
    joined: dict[str, Sequence[Any]] = {}
    for names in alike.values():
        texts = [short_texts(values[name]) for name in names]
        rows = zip(*(values[name] for name in names), strict=True)
        together = [", ".join(t[v] for t, v in zip(texts, row, strict=True)) for row in rows]
        joined[" with ".join(names)] = together if len(names) > 1 else values[names[0]]
    return {} if len(values) > len(joined) == 1 else joined


def places(column: Sequence[Any]) -> tuple[int, ...]:
    """Return the same for two settings that always change together.

    Of many numbers that are all different, as of a random search, those that also have the same order.
    """
    distinct = list(dict.fromkeys(column))
    if len(distinct) == len(column) > FEW_VALUES and all(isinstance(v, int | float) for v in column):
        distinct.sort(reverse=column[0] > column[-1])
    place = {value: number for number, value in enumerate(distinct)}
    return tuple(place[value] for value in column)


def without_seeds(finished: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the runs of common seeds, without what a seed adds to all configurations."""
    count = finished["setting"].nunique()
    common = finished[finished.groupby("seed")["setting"].transform("nunique") == count]
    if common["seed"].nunique() < FEWEST_RUNS:
        return finished
    of_seed = common.groupby("seed")[column].transform("mean")
    # the mean of a seed holds 1 / count of each run, whose deviations shrink by that much
    own = common[column] - of_seed
    centre = own.groupby(common["setting"]).transform("mean")
    whole = (own - centre) * np.sqrt(count / max(1, count - 1)) + centre
    return common.assign(**{column: whole + common[column].mean()})


def plain(column: pd.Series[Any]) -> list[Any]:
    """Return the values of a setting, None where it has none."""
    return [None if pd.isna(value) else value for value in column.tolist()]


def effects_table(findings: Findings) -> pd.DataFrame:
    """Return a row for each value of each setting that was swept, and two for each interaction.

    `difference` is that from the best value, with its interval, or for an interaction what going from
    one value to the other does at another setting's value `at`. With the method `fanova` interactions
    have one row and their share alone.
    """
    effects, rows = findings.effects, []
    for effect in effects.main:
        common: dict[str, Any] = {"kind": "main effect", "name": effect.setting, "method": effect.method}
        common |= {"p": effect.p, "share": effect.share}
        for place, value in enumerate(effect.levels):
            row = {**common, "value": value}
            if effect.means:
                row |= {"mean": effect.means[place].mean, "p_holm": effect.p_holm[place]}
                row |= difference_columns(effect.behind[place])
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
