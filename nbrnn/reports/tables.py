"""What did the runs show, in numbers?"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.naming import configuration_names, run_id, varying
from nbrnn.reports.measures import BEST, COMPARED, MEASURES, PER_CHARACTER, PER_WINDOW
from nbrnn.reports.reading import (
    Progress,
    RunRecord,
    find_runs,
    find_runs_below,
    read_each,
    read_records,
)
from nbrnn.reports.stats import Mean, holm, mean_of
from nbrnn.runs.records import FAILURES
from nbrnn.runs.store import RunFolder
from nbrnn.visible import one_line

MOST_PAIRS = 5_000  # beyond that each configuration is compared with the best one only
SURE = 0.05  # the largest p of a difference that is called one


@dataclass
class Results:
    """Runs with their tables; all losses but those of `runs` are in one `unit`."""

    records: list[RunRecord]  # in the order of the rows of `runs`
    runs: pd.DataFrame
    compared: pd.DataFrame  # the same, with the measures in `unit`
    configurations: pd.DataFrame
    comparison: pd.DataFrame
    swept: list[str]  # the settings in which the runs differ
    unit: str
    unreadable: list[str]  # what is wrong with the runs that are left out

    @property
    def per_character(self) -> bool:
        """Whether losses are compared by the character rather than by the window."""
        return self.unit == PER_CHARACTER

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return all tables under the names of their files."""
        # A configuration is called `setting` in files, columns and JSON: scripts rely on that name.
        return {"runs": self.runs, "settings": self.configurations, "comparison": self.comparison}

    def lost_from_zero(self) -> list[str]:
        """Return a sentence for each run whose best model is worse than a unigram model from h = 0."""
        return [
            f"From h = 0 the best model of {name}, seed {record.config.seed} loses "
            f"{record.summary.score_best:.1f} nats per character, a unigram model only "
            f"{record.summary.score_unigram:.1f}."
            for record, name in zip(self.records, self.runs["setting"], strict=True)
            if record.summary.is_lost_from_zero
        ]

    def finished_by_seed(self, configuration: str) -> dict[int, RunRecord]:
        """Return the finished runs of a configuration by seed, the best run first."""
        rows = self.runs[(self.runs["setting"] == configuration) & (self.runs["status"] == "finished")]
        rows = rows.sort_values(BEST.column)
        seeds = zip(rows.index.tolist(), rows["seed"].tolist(), strict=True)
        return {seed: self.records[index] for index, seed in seeds}


def read(paths: Iterable[Path], progress: Progress | None = None) -> Results:
    """Return the tables of all runs in these folders of sweeps and of runs. Raises StoreError."""
    records, unreadable = read_records(find_runs(list(paths)), progress)
    swept = varying(record.config for record in records)
    runs = runs_table(records)
    per_character = "seq_length" in swept  # the sums over windows of different lengths do not compare
    scale = 1 / runs["seq_length"] if per_character else 1
    compared = runs.assign(**{m.column: runs[m.column] * scale for m in COMPARED})
    unit = PER_CHARACTER if per_character else PER_WINDOW
    configurations = configurations_table(compared, swept)
    return Results(
        records=records,
        runs=runs,
        compared=compared,
        configurations=configurations.assign(unit=unit),
        comparison=comparison_table(compared, list(configurations["setting"]), unit).assign(unit=unit),
        swept=swept,
        unit=unit,
        unreadable=unreadable,
    )


def read_runs(path: Path | str = "results") -> pd.DataFrame:
    """Return a row for each run in a folder and below it, as in runs.csv, with its `folder`.

    A run that cannot be read is left out, with a warning. Raises StoreError if there is none.
    """
    return frame_of(find_runs_below(Path(path)))


def frame_of(folders: Sequence[RunFolder]) -> pd.DataFrame:
    """Return a row for each of these runs, as `read_runs` does."""
    records, unreadable = read_each(folders)
    for problem in unreadable:
        warnings.warn(f"left out: {problem}", stacklevel=3)
    return runs_table(records).assign(folder=[str(record.folder) for record in records])


def runs_table(records: Sequence[RunRecord]) -> pd.DataFrame:
    """Return a row for each run, as in runs.csv."""
    names = configuration_names(
        [record.config for record in records],
        [(one_line(record.corpus.name), record.corpus.sha256) for record in records],
    )
    table = pd.DataFrame(map(row_of, records, names))
    numbers = [measure.column for measure in MEASURES]
    return table.assign(**{column: pd.to_numeric(table[column]) for column in numbers})


def row_of(record: RunRecord, configuration: str) -> dict[str, Any]:
    """Return the row of a run in runs.csv."""
    config, corpus, summary = record.config, record.corpus, record.summary
    settings = config.to_dict()
    seed = settings.pop("seed")
    return {
        "run_id": run_id(config, corpus.name, corpus.sha256),
        "setting": configuration,
        "corpus": one_line(corpus.name),
        "corpus_sha256": corpus.sha256,
        **{column_of(name): value for name, value in settings.items()},
        "seed": seed,
        "status": summary.status,
        "reason": summary.reason,
        **{measure.column: measure.of(summary) for measure in MEASURES},
    }


def column_of(name: str) -> str:
    """Return the column of a setting; `epochs` and `updates` are what was done."""
    return f"{name}_wanted" if name in ("epochs", "updates") else name


def configurations_table(runs: pd.DataFrame, swept: Sequence[str]) -> pd.DataFrame:
    """Return a row for each configuration, over its finished seeds, the lowest mean best loss first."""
    rows = []
    for configuration, group in runs.groupby("setting", sort=False):
        finished = group[group["status"] == "finished"]
        row: dict[str, Any] = {"setting": configuration}
        for name in swept:
            row[column_of(name)] = group[column_of(name)].iloc[0]
        row["n"] = len(finished)
        row["failures"] = int(group["status"].isin(FAILURES).sum())
        row["unfinished"] = len(group) - row["n"] - row["failures"]
        for measure in (compared.column for compared in COMPARED):
            values = finished[measure].dropna()
            mean = mean_of(values.to_numpy())
            row |= {f"{measure}_{name}": getattr(mean, name) for name in ("mean", "sd")}
            row |= {f"{measure}_ci_low": mean.low, f"{measure}_ci_high": mean.high}
            row |= {f"{measure}_{name}": getattr(values, name)() for name in ("median", "min", "max")}
        rows.append(row)
    return pd.DataFrame(rows).sort_values(f"{BEST.column}_mean", kind="stable", ignore_index=True)


def endings(runs: pd.DataFrame) -> dict[str, str]:
    """Return in words, for each configuration with a run that is not finished, how they ended."""
    ended = {}
    for configuration, group in runs.groupby("setting", sort=False):
        statuses = group["status"][group["status"] != "finished"]
        counts = Counter(status if status in FAILURES else "unfinished" for status in statuses)
        n = len(group)
        if counts and max(counts.values()) == n:
            (how,) = counts
            seeds = {1: "its only seed", 2: "both seeds"}.get(n, f"all {n} seeds")
            ended[str(configuration)] = f"{how} with {seeds}"
        elif counts:
            parts = (f"{count} {how}" for how, count in counts.items())
            ended[str(configuration)] = f"{n - len(statuses)} of {n} runs finished, {', '.join(parts)}"
    return ended


def pairs(configurations: Sequence[str]) -> list[tuple[str, str]]:
    """Return all pairs of configurations, or those with the first one if there are too many."""
    if math.comb(len(configurations), 2) <= MOST_PAIRS:
        return list(combinations(configurations, 2))
    return [(configurations[0], other) for other in configurations[1:]]


def comparison_table(runs: pd.DataFrame, configurations: Sequence[str], unit: str) -> pd.DataFrame:
    """Return the difference of each pair of configurations over their common seeds, for each measure.

    A seed gives both runs of a pair the same random numbers, and the differences are taken seed by
    seed: Student's paired t. `p_holm` is corrected for the number of pairs.
    """
    finished = runs[runs["status"] == "finished"]
    none_finished = set(runs["setting"]) - set(finished["setting"])
    how = {name: words for name, words in endings(runs).items() if name in none_finished}
    rows = []
    for measure in COMPARED:
        table = finished.pivot(index="seed", columns="setting", values=measure.column)
        if not table.notna().any(axis=None):
            continue
        found = []
        for a, b in pairs(configurations):
            if a in table and b in table:
                difference = (table[a] - table[b]).dropna().to_numpy()
            else:
                difference = np.empty(0)
            mean = mean_of(difference)
            found.append((a, b, mean, int((difference < 0).sum()), int((difference > 0).sum())))
        # all pairs, even if those without the best are left out: the best was chosen by looking at all
        corrected = holm([mean.p for _, _, mean, _, _ in found], math.comb(len(configurations), 2))
        for (a, b, mean, a_lower, b_lower), p_holm in zip(found, corrected, strict=True):
            rows.append(
                {
                    "measure": measure.column,
                    "a": a,
                    "b": b,
                    "n": mean.n,
                    "mean_difference": mean.mean,
                    "sd": mean.sd,
                    "ci_low": mean.low,
                    "ci_high": mean.high,
                    "a_lower": a_lower,
                    "b_lower": b_lower,
                    "p": mean.p,
                    "p_holm": p_holm,
                    "sentence": incomparable(a, b, how)
                    or sentence(a, b, mean, p_holm, measure.words, unit),
                }
            )
    return pd.DataFrame(rows, columns=COMPARISON)


COMPARISON = [
    *("measure", "a", "b", "n", "mean_difference", "sd", "ci_low", "ci_high"),
    *("a_lower", "b_lower", "p", "p_holm", "sentence"),
]


def incomparable(a: str, b: str, how: Mapping[str, str]) -> str | None:
    """Return in words why two configurations do not compare, if one has no finished run."""
    ended = [f"{name} {how[name]}" for name in (a, b) if name in how]
    return f"{a} and {b} cannot be compared: {', '.join(ended)}." if ended else None


def sentence(a: str, b: str, difference: Mean, p_holm: float, measure: str, unit: str) -> str:
    """Return in words what the difference of two configurations says of them."""
    n = difference.n
    seeds = f"{n} paired seed{'s' if n != 1 else ''}"
    if n < 2:
        return f"{seeds} cannot tell {a} and {b} apart."
    if difference.sd == 0 and difference.mean == 0:
        return f"{a} and {b} are the same in {seeds}."
    low, high = difference.low, difference.high
    if low <= 0 <= high:
        interval = f"95 % CI of the difference {digits(low)} to {digits(high)}"
        return f"{seeds} do not tell {a} and {b} apart ({interval})."
    if difference.mean > 0:
        a, b, low, high = b, a, -high, -low
    interval = f"95 % CI {digits(-high)} to {digits(-low)}, {seeds}"
    per = " per character" if unit == PER_CHARACTER else ""
    doubt = "" if p_holm <= SURE else "; not sure among so many comparisons"
    lower = f"{digits(abs(difference.mean))} nats{per} lower"
    return f"{a}: {measure} {lower} than {b} ({interval}{doubt})."


def digits(value: float) -> str:
    """Return a difference with two digits, or all before the point."""
    return f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}"
