"""Data frames of runs: a row a run, a row a configuration, a row a pair of configurations."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.analysis.findings import Findings, findings_of
from nbrnn.analysis.measures import MEASURES, TEST, Measure, compared
from nbrnn.analysis.pairwise import comparison_table
from nbrnn.analysis.rank_statistics import SIGNIFICANT, median_of
from nbrnn.analysis.run_records import (
    Progress,
    RunRecord,
    find_runs,
    find_runs_below,
    ignore,
    read_each,
    read_records,
    sweep_around,
)
from nbrnn.errors import StoreError
from nbrnn.escaping import one_line
from nbrnn.naming import (
    PER_WINDOW,
    configuration_names,
    folder_path,
    replicate_name,
    run_id,
    unit_of,
    varying,
)
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import COMPLETE, DROPPED, FAILURES, Summary
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.values import check_range, plural


@dataclass
class Results:
    """Runs with their data frames; all losses but those of `runs` are in one `unit`."""

    records: list[RunRecord]  # in the order of the rows of `runs`
    runs: pd.DataFrame
    compared: pd.DataFrame  # the same, with the measures in `unit`
    configurations: pd.DataFrame
    comparison: pd.DataFrame
    findings: Findings  # by the measure that ranks them
    swept: list[str]  # the settings in which the runs differ
    measures: list[Measure]  # by which they are compared; the first ranks them
    unit: str  # of training losses
    unreadable: list[str]  # why runs are left out
    folds: int = 1  # if several, each configuration has one loss a fold: the mean over its seeds
    reveals_test: bool = False
    earlier_reveals: Sequence[str] = ()  # the times at which the test part was revealed
    smallest_difference: float | None = None  # that is worth detecting
    analyses: list[int] = field(default_factory=list)  # the numbers of seeds of each report so far

    @property
    def best(self) -> Measure:
        """The measure by which configurations are ranked."""
        return self.measures[0]

    @property
    def known_measures(self) -> list[Measure]:
        """The compared measures that some run has: a short one may end before its first epoch does."""
        return [measure for measure in self.measures if self.runs[measure.column].notna().any()]

    def unit_of(self, measure: Measure) -> str:
        """Return the unit of a measure in these tables."""
        return measure.unit_in(self.unit)

    def label(self, measure: Measure) -> str:
        """Return a measure in words, with its unit in these tables."""
        return f"{measure.words} ({self.unit_of(measure)})"

    def models_worse_than_unigram(self) -> list[str]:
        """Return a sentence for each run whose best model loses to unigrams when started from h = 0."""
        return [
            worse_than_unigram(
                record.summary, f"The best model of {name}, {replicate_name(record.config)},"
            )
            + "."
            for record, name in zip(self.records, self.runs["setting"], strict=True)
            if record.summary.is_lost_from_zero
        ]

    def finished_by_seed(self, configuration: str) -> dict[int | str, RunRecord]:
        """Return the finished runs of a configuration by seed and fold, the best run first."""
        is_own = (self.runs["setting"] == configuration) & self.runs["status"].isin(COMPLETE)
        ranked = self.runs[is_own].sort_values(self.best.column, kind="stable")
        return {
            f"{config.seed}, fold {config.fold}" if config.fold else config.seed: self.records[i]
            for i in ranked.index
            for config in [self.records[i].config]
        }

    @property
    def replicate(self) -> str:
        """What statistics count as one of several independent losses of a configuration."""
        return "part" if self.folds > 1 else "seed"

    def notes_on_test(self) -> list[str]:
        """Return how often the test part was revealed, or how to do so; nothing without one."""
        if not any(record.config.test for record in self.records):
            return []
        count = len(self.earlier_reveals)
        first = f", first on {self.earlier_reveals[0][:10]}" if count else ""
        which = "is shown here and ranks nothing" if self.reveals_test else "is hidden (--reveal-test)"
        times = f"; it was revealed {plural(count, 'time')} so far{first}" if count else ""
        return [f"The test loss {which}{times}."]


def worse_than_unigram(summary: Summary, model: str) -> str:
    """Return a sentence, without full stop, on a best model that is worse than unigrams from h = 0."""
    return (
        f"{model} has a loss of {summary.score_best:.3g} nats per character from h = 0 instead of its "
        f"own state, more than a unigram model ({summary.score_unigram:.3g})"
    )


def read_results(
    paths: Iterable[Path],
    progress: Progress = ignore,
    paired: bool = False,
    reveal_test: bool = False,
    smallest_difference: float | None = None,
) -> Results:
    """Return the results of all runs in these folders of sweeps and of runs.

    Differences are those of all finished runs or, if `paired`, seed by seed. `reveal_test` shows
    the test loss, and records that in the folders of the sweeps. Raises ConfigError and StoreError.
    """
    if smallest_difference is not None:
        check_range("--smallest-difference", smallest_difference, 0, exclusive=True)
    folders = find_runs(list(paths))
    records, unreadable = read_records(folders, progress)
    if reveal_test and not any(record.config.test for record in records):
        raise StoreError("no run holds out a test part (--test): leave --reveal-test out")
    sweeps = tested_sweeps(records)
    if reveal_test:
        record_reveal(sweeps)
    reveals = sorted({reveal for sweep in sweeps for reveal in sweep.read_reveals()})
    results = results_of(records, unreadable, paired, reveal_test)
    return replace(results, smallest_difference=smallest_difference, earlier_reveals=reveals)


def tested_sweeps(records: Iterable[RunRecord]) -> list[SweepFolder]:
    """Return the sweeps of those runs that have a test part."""
    paths = dict.fromkeys(path for r in records if r.config.test and (path := sweep_around(r.folder)))
    return [sweep for sweep in map(SweepFolder, paths) if sweep.is_sweep()]


def record_reveal(sweeps: Iterable[SweepFolder]) -> None:
    """Record in sweeps, once in all, that their test part is revealed now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for sweep in sweeps:
        sweep.record_reveal(now)


def results_of(
    records: list[RunRecord], unreadable: list[str], paired: bool = False, reveal_test: bool = False
) -> Results:
    """Return the results of these runs; `unreadable` says why others are left out.

    Of several parts of the text, each counts once, by its mean over seeds, and differences are taken
    part by part.
    """
    swept = varying(record.config for record in records if not record.is_imported)
    runs = runs_table(records, reveal_test)
    folds = max(1, runs["fold"].nunique())
    unit = unit_of(*(record.config for record in records))
    measures = compared((record.summary for record in records), reveal_test)
    scales = [record.scale(unit) for record in records]
    scaled = {m.column: runs[m.column] * scales for m in measures if m.unit == PER_WINDOW}
    in_unit = runs.assign(**scaled)
    independent = part_means(in_unit, measures) if folds > 1 else in_unit
    paired = paired or folds > 1
    configurations = configurations_table(independent, swept, measures)
    best = measures[0]
    best_unit = best.unit_in(unit)
    findings = findings_of(independent, list(map(column_of, swept)), best.column, best_unit, paired)
    names, p_of_all = configurations["setting"], findings.p_of_all
    p_best = [p_of_all.get(name, np.nan) for name in names]
    return Results(
        records=records,
        runs=runs,
        compared=in_unit,
        configurations=configurations.assign(
            unit=unit,
            p_best=p_best,
            may_be_best=[
                name in p_of_all and not p <= SIGNIFICANT for name, p in zip(names, p_best, strict=True)
            ],
            dropped=names.map((runs["status"] == DROPPED).groupby(runs["setting"]).sum()),
            significantly_worse=pd.array(
                [None if np.isnan(p) else p <= SIGNIFICANT for p in p_best], "boolean"
            ),
        ),
        comparison=comparison_table(
            independent, list(names), measures, unit, paired, "part" if folds > 1 else "paired seed"
        ),
        findings=findings,
        swept=swept,
        measures=measures,
        unit=unit,
        unreadable=unreadable,
        folds=folds,
        reveals_test=reveal_test,
    )


def part_means(runs: pd.DataFrame, measures: Sequence[Measure]) -> pd.DataFrame:
    """Return a row for each configuration and part of the text with the means over its finished seeds.

    Seeds are nested in parts, so that these means are independent: with equally many seeds the nested
    mixed model has Student's intervals of them. Unfinished runs stay; `seed` is the fold.
    """
    finished = runs["status"].isin(COMPLETE)
    columns = [measure.column for measure in measures]
    grouped = runs[finished].groupby(["setting", "fold"], sort=False)
    means = grouped.first().assign(**grouped[columns].mean()).reset_index()
    return pd.concat([means.assign(seed=means["fold"]), runs[~finished]], ignore_index=True)


def read_runs(path: Path | str = "results", *, reveal_test: bool = False) -> pd.DataFrame:
    """Return a row for each run in a folder and below it, as in runs.csv, with its `folder`.

    `reveal_test` adds the test losses, and records that in the folders of the sweeps. A run that cannot
    be read is left out, with a warning. Raises StoreError if there is none.
    """
    return runs_frame(find_runs_below(folder_path(path)), reveal_test)


def runs_frame(folders: Sequence[RunFolder], reveal_test: bool = False) -> pd.DataFrame:
    """Return a row for each of these runs, as `read_runs` does."""
    records, unreadable = read_each(folders)
    for problem in unreadable:
        warnings.warn(f"left out of the table: {problem}", stacklevel=3)
    if reveal_test:
        record_reveal(tested_sweeps(records))
    return runs_table(records, reveal_test).assign(folder=[str(record.folder) for record in records])


def runs_table(records: Sequence[RunRecord], reveal_test: bool = False) -> pd.DataFrame:
    """Return a row for each run, as in runs.csv."""
    measures = [*MEASURES, *(TEST if reveal_test else ())]
    trained = [record for record in records if not record.is_imported]
    texts = [(one_line(record.corpus.name), record.corpus.sha256) for record in trained]
    trained_names = iter(configuration_names([record.config for record in trained], texts))
    names = [
        f"imported {one_line(str(record.folder))}" if record.is_imported else next(trained_names)
        for record in records
    ]
    table = pd.DataFrame(
        run_row(record, name, measures) for record, name in zip(records, names, strict=True)
    )
    numbers = [measure.column for measure in measures]
    return table.assign(**{column: pd.to_numeric(table[column]) for column in numbers})


def run_row(record: RunRecord, configuration: str, measures: Sequence[Measure]) -> dict[str, Any]:
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
        **{measure.column: measure.of(summary) for measure in measures},
    }


def column_of(name: str) -> str:
    """Return the column of a setting; the columns `epochs` and `updates` count what was done."""
    return f"{name}_wanted" if name in ("epochs", "updates") else name


def configurations_table(
    runs: pd.DataFrame, swept: Sequence[str], measures: Sequence[Measure]
) -> pd.DataFrame:
    """Return a row for each configuration, over its finished seeds, the lowest median first.

    The intervals are those of medians.
    """
    rows = []
    for configuration, group in runs.groupby("setting", sort=False):
        finished = group[group["status"].isin(COMPLETE)]
        row: dict[str, Any] = {"setting": configuration}
        row |= {column_of(name): group[column_of(name)].iloc[0] for name in swept}
        row["n"] = len(finished)
        row["failures"] = int(group["status"].isin(FAILURES).sum())
        dropped = int((group["status"] == DROPPED).sum())
        row["unfinished"] = len(group) - row["n"] - row["failures"] - dropped
        for measure in (measure.column for measure in measures):
            values = finished[measure].dropna()
            median = median_of(values.to_numpy())
            row |= {f"{measure}_mean": values.mean(), f"{measure}_sd": values.std()}
            row |= {f"{measure}_ci_low": median.low, f"{measure}_ci_high": median.high}
            row |= {f"{measure}_{name}": getattr(values, name)() for name in ("median", "min", "max")}
            quarter = len(values) // 4
            row[f"{measure}_iqm"] = values.sort_values()[quarter : len(values) - quarter].mean()
        rows.append(row)
    return pd.DataFrame(rows).sort_values(
        f"{measures[0].column}_median", kind="stable", ignore_index=True
    )
