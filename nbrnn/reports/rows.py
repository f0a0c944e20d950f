"""How do the tables look as text: on a terminal, in Markdown, on the page?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nbrnn.reports.measures import COMPARED, Measure
from nbrnn.reports.tables import Results

MOST_SENTENCES = 30


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table under the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table for JSON, with None for what is not there."""
    return rows_of(table.astype(object).where(table.notna(), None))


def configuration_rows(results: Results, measure: Measure) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table of configurations for one measure."""
    columns = ["configuration", "seeds", "failed", "mean", "sd", "95 % CI", "median", "min", "max"]
    rows = []
    for row in rows_of(results.configurations):
        mean, sd, *rest = (
            figure_of(row[f"{measure.column}_{name}"], results)
            for name in ("mean", "sd", "median", "min", "max")
        )
        low, high = (row[f"{measure.column}_ci_{end}"] for end in ("low", "high"))
        interval = interval_of(low, high, results)
        rows.append([row["setting"], str(row["n"]), str(row["failures"]), mean, sd, interval, *rest])
    return columns, rows


def figure_of(value: float, results: Results) -> str:
    """Return a loss with the digits that mean something."""
    return f"{value:.{3 if results.per_character else 2}f}" if np.isfinite(value) else "-"


def interval_of(low: float, high: float, results: Results) -> str:
    """Return a confidence interval, if there is one."""
    return f"{figure_of(low, results)} to {figure_of(high, results)}" if np.isfinite(low) else "-"


def measures_of(results: Results) -> list[Measure]:
    """Return what is compared and some run has: a short one ends before its first epoch does."""
    return [measure for measure in COMPARED if results.runs[measure.column].notna().any()]


METHOD = (
    "The difference is taken seed by seed, since a seed gives both configurations the same random "
    "numbers; mean and 95 % confidence interval after Student (The probable error of a mean, "
    "Biometrika 6, 1908). Each interval stands for its pair alone; p is corrected for the number of "
    "pairs after Holm (A simple sequentially rejective multiple test procedure, Scandinavian Journal of "
    "Statistics 6, 1979)."
)


def comparison_rows(results: Results, measure: Measure) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table of differences for one measure."""
    columns = ["a", "b", "seeds", "mean", "95 % CI", "a lower", "b lower", "p (Holm)"]
    rows = []
    for row in rows_of(results.comparison[results.comparison["measure"] == measure.column]):
        p = row["p_holm"]
        rows.append(
            [
                row["a"],
                row["b"],
                str(row["n"]),
                figure_of(row["mean_difference"], results),
                interval_of(row["ci_low"], row["ci_high"], results),
                str(row["a_lower"]),
                str(row["b_lower"]),
                "-" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}",
            ]
        )
    return columns, rows


def sentences(results: Results, measure: Measure) -> list[str]:
    """Return the differences of configurations in words; all pairs, or the first of too many."""
    rows = results.comparison[results.comparison["measure"] == measure.column]
    return [str(text) for text in rows["sentence"]][:MOST_SENTENCES]
