"""Which pictures do the results have?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nbrnn.naming import PER_CHARACTER, PER_WINDOW
from nbrnn.network.params import Array
from nbrnn.reports import drawings
from nbrnn.reports.findings import tries_table
from nbrnn.reports.reading import RunRecord
from nbrnn.reports.rows import rows_of
from nbrnn.reports.tables import Results, column_of
from nbrnn.runs.records import COMPLETE, DROPPED

MOST_TRIED = 5  # configurations in the picture of the expected best
FEWEST_TRIES = 3  # 1, 2 and 3 runs, of twelve
POINTS = 400  # of a curve in a picture

CAPTIONS = {
    "loss": "The smooth loss against updates: the mean of each configuration's seeds, with a band of "
    "one standard deviation or, for few runs, a thin line for each.",
    "held_out": "The held-out loss against updates, as the picture of the smooth loss shows it.",
    "best": "The {best} of every run, with the mean of each configuration and the 95 % "
    "confidence interval of that mean.",
    "tries": "The {best} that the best of so many runs is expected to have, with 95 % confidence bands: "
    "of the configurations that may be the best, as far as there are four times as many runs.",
    "heat": "The mean {best} over the two settings that were swept.",
    "parallel": "Each line is one configuration, through its values to its mean {best}.",
    "seconds": "The smooth loss against seconds of training, at the mean speed of each "
    "configuration's runs.",
}


def caption(results: Results, name: str) -> str:
    """Return what a picture shows, in words."""
    return CAPTIONS[name].format(best=results.best.words)


def figures(results: Results) -> Iterator[tuple[str, Figure]]:
    """Return the pictures that these results have, with their names."""
    configurations, unit = results.configurations, results.unit
    # without those that not all runs have: epochs, where others count updates
    columns = [c for name in results.swept if configurations[c := column_of(name)].notna().all()]
    values = {row["setting"]: [row[c] for c in columns] for row in rows_of(configurations)}
    looks = drawings.styles(values)
    smooth = {name: curve for name in values if (curve := curves_of(results, name))}
    if smooth:
        yield "loss", drawings.curves_figure(smooth, looks, "updates", f"smooth loss ({unit})")
    held_out = {name: curve for name in values if (curve := held_out_of(results, name))}
    if held_out:
        label = f"held-out loss ({PER_CHARACTER})"
        yield "held_out", drawings.curves_figure(held_out, looks, "updates", label)
    best_column, label = results.best.column, f"{results.best.words} ({results.unit_of(results.best)})"
    finished = configurations[configurations[f"{best_column}_mean"].notna()]
    if len(finished):
        compared = results.compared[results.compared["status"].isin(COMPLETE)]
        best = compared.set_index("setting")[best_column]
        losses = {name: best.loc[[name]].to_numpy(float) for name in finished["setting"]}
        interval = [f"{best_column}_{name}" for name in ("mean", "ci_low", "ci_high")]
        intervals = {row["setting"]: tuple(row[i] for i in interval) for row in rows_of(finished)}
        yield "best", drawings.dots_figure(losses, intervals, looks, label)
        if bands := tries_of(results):
            yield "tries", drawings.tries_figure(bands, looks, label)
        numeric = [c for c in columns if pd.api.types.is_numeric_dtype(finished[c])]
        one_each = not finished.duplicated(columns).any() if columns else False
        if len(columns) == len(numeric) == 2 and one_each:
            table = finished.pivot(index=columns[0], columns=columns[1], values=interval[0])
            rows, across = (columns[0], list(table.index)), (columns[1], list(table.columns))
            yield "heat", drawings.heat_figure(table.to_numpy(float), rows, across, f"mean {label}")
        if len(columns) >= 3:
            named = [{c: row[c] for c in columns} for row in rows_of(finished)]
            yield (
                "parallel",
                drawings.parallel_figure(named, finished[interval[0]].to_numpy(float), f"mean {label}"),
            )
    if smooth:
        yield "seconds", drawings.curves_figure(smooth, looks, "seconds", f"smooth loss ({unit})")


def tries_of(results: Results) -> dict[str, tuple[Array, Array]]:
    """Return the expected best of several runs where two configurations have enough of them."""
    table = tries_table(results.findings).dropna(subset=["ci_low"])
    bands = {}
    for name in results.findings.may_be_best[:MOST_TRIED]:
        rows = table[table["setting"] == name]
        if len(rows) >= FEWEST_TRIES:
            values = rows[["expected_best", "ci_low", "ci_high"]].to_numpy(float).T
            bands[name] = rows["tries"].to_numpy(float), values
    return bands if len(bands) > 1 else {}


def curves_of(results: Results, configuration: str) -> drawings.Curves | None:
    """Return the smooth losses of a configuration's finished runs, or else of those on their way."""
    chosen, records = chosen_of(results, configuration)
    if not records:
        return None
    unit, config = results.unit, records[0].config
    scale = 1.0 if unit == PER_WINDOW else 1 / config.characters_in_loss
    series = [(record.updates, record.smooth_losses * scale) for record in records]
    return curves(series, float((chosen["seconds"] / chosen["updates"]).mean()))


def held_out_of(results: Results, configuration: str) -> drawings.Curves | None:
    """Return the held-out losses of the same runs."""
    _, records = chosen_of(results, configuration)
    return curves([(record.looks, record.held_out_losses) for record in records])


def chosen_of(results: Results, configuration: str) -> tuple[pd.DataFrame, list[RunRecord]]:
    """Return a configuration's finished runs, or else those on their way."""
    runs = results.runs[results.runs["setting"] == configuration]
    finished = runs[runs["status"].isin(COMPLETE)]
    chosen = (
        finished if len(finished) else runs[runs["status"].isin(["running", "interrupted", DROPPED])]
    )
    return chosen, [results.records[i] for i in chosen.index.tolist()]


def curves(
    series: Sequence[tuple[Array, Array]], seconds_per_update: float = math.nan
) -> drawings.Curves | None:
    """Return curves, of updates and losses, as far as all of them go; None where there is none."""
    begun = [(updates, losses) for updates, losses in series if updates.size]
    if not begun:
        return None
    shortest = min(updates.size for updates, _ in begun)
    step = -(-shortest // POINTS)
    points = np.unique(np.append(np.arange(0, shortest, step), shortest - 1))
    return drawings.Curves(
        updates=begun[0][0][points],
        losses=np.array([losses[points] for _, losses in begun]),
        seconds_per_update=seconds_per_update,
    )
