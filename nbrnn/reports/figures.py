"""Which pictures do the results have?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nbrnn import plots
from nbrnn.reports.measures import BEST
from nbrnn.reports.rows import rows_of
from nbrnn.reports.tables import Results, column_of

POINTS = 400  # of a curve in a picture

CAPTIONS = {
    "loss": "The smooth loss against updates: the mean of each configuration's seeds, with a band of "
    "one standard deviation or, for few runs, a thin line for each.",
    "best": "The best smooth loss of every run, with the mean of each configuration and the 95 % "
    "confidence interval of that mean.",
    "heat": "The mean best smooth loss over the two settings that were swept.",
    "parallel": "Each line is one configuration, through its values to its mean best smooth loss.",
    "seconds": "The smooth loss against seconds of training, at the mean speed of each "
    "configuration's runs.",
}


def figures(results: Results) -> Iterator[tuple[str, Figure]]:
    """Return the pictures that these results have, with their names."""
    configurations, unit = results.configurations, results.unit
    # without those that not all runs have: epochs, where others count updates
    columns = [c for name in results.swept if configurations[c := column_of(name)].notna().all()]
    values = {row["setting"]: [row[c] for c in columns] for row in rows_of(configurations)}
    looks = plots.styles(values)
    curves = {name: curve for name in values if (curve := curves_of(results, name))}
    if curves:
        yield "loss", plots.curves_figure(curves, looks, "updates", unit)
    finished = configurations[configurations[f"{BEST.column}_mean"].notna()]
    if len(finished):
        compared = results.compared[results.compared["status"] == "finished"]
        best = compared.set_index("setting")[BEST.column]
        losses = {name: best.loc[[name]].to_numpy(float) for name in finished["setting"]}
        interval = [f"{BEST.column}_{name}" for name in ("mean", "ci_low", "ci_high")]
        intervals = {row["setting"]: tuple(row[i] for i in interval) for row in rows_of(finished)}
        yield "best", plots.dots_figure(losses, intervals, looks, unit)
        numeric = [c for c in columns if pd.api.types.is_numeric_dtype(finished[c])]
        one_each = not finished.duplicated(columns).any() if columns else False
        if len(columns) == len(numeric) == 2 and one_each:
            table = finished.pivot(index=columns[0], columns=columns[1], values=interval[0])
            rows, across = (columns[0], list(table.index)), (columns[1], list(table.columns))
            yield "heat", plots.heat_figure(table.to_numpy(float), rows, across, unit)
        if len(columns) >= 3:
            named = [{c: row[c] for c in columns} for row in rows_of(finished)]
            yield "parallel", plots.parallel_figure(named, finished[interval[0]].to_numpy(float), unit)
    if curves:
        yield "seconds", plots.curves_figure(curves, looks, "seconds", unit)


def curves_of(results: Results, configuration: str) -> plots.Curves | None:
    """Return the curves of a configuration's finished runs, or else of those that are on their way."""
    runs = results.runs[results.runs["setting"] == configuration]
    finished = runs[runs["status"] == "finished"]
    chosen = finished if len(finished) else runs[runs["status"].isin(["running", "interrupted"])]
    records = [record for i in chosen.index.tolist() if (record := results.records[i]).updates.size]
    if not records:
        return None
    shortest = min(record.updates.size for record in records)
    step = -(-shortest // POINTS)
    points = np.unique(np.append(np.arange(0, shortest, step), shortest - 1))
    scale = 1 / float(runs["seq_length"].iloc[0]) if results.per_character else 1.0
    return plots.Curves(
        updates=records[0].updates[points],
        losses=np.array([record.smooth_losses[points] for record in records]) * scale,
        seconds_per_update=float((chosen["seconds"] / chosen["updates"]).mean()),
    )
