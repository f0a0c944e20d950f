"""How do the tables look as text: on a terminal, in Markdown, on the page?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.naming import PER_CHARACTER, short_texts
from nbrnn.reports.findings import effects_table
from nbrnn.reports.measures import Measure
from nbrnn.reports.tables import Results, column_of
from nbrnn.statistics.effects import OF_RANKS

MOST_SENTENCES = 30
CONFIGURATION = "configuration"
NEW_SEEDS = "(with new seeds)"  # a range that is no confidence interval


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table under the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table for JSON, with None for what is not there."""
    return rows_of(table.astype(object).where(table.notna(), None))


def setting_cells(results: Results) -> tuple[list[str], dict[str, list[str]]]:
    """Return the swept settings and the values of each configuration, or else its name."""
    table, columns = results.configurations, [column_of(name) for name in results.swept]
    names = table["setting"].tolist()
    imported = any(record.is_imported for record in results.records)
    if not columns or imported or table.duplicated(columns).any():
        return [CONFIGURATION], {name: [name] for name in names}
    texts = {column: short_texts(table[column].dropna()) for column in columns}
    rows = table[columns].astype(object).itertuples(index=False)
    cells = [
        ["-" if pd.isna(v) else texts[c][v] for c, v in zip(columns, row, strict=True)] for row in rows
    ]
    return results.swept, dict(zip(names, cells, strict=True))


def configuration_rows(results: Results, measure: Measure) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table of configurations for one measure, by their names."""
    cells = {name: [name] for name in results.configurations["setting"]}
    return rows_behind([CONFIGURATION], cells, results, measure)


def setting_rows(results: Results, measure: Measure) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table of configurations, a column for each swept setting."""
    return rows_behind(*setting_cells(results), results, measure)


def rows_behind(
    heads: list[str], cells: Mapping[str, list[str]], results: Results, measure: Measure
) -> tuple[list[str], list[list[str]]]:
    """Return the table of configurations for one measure behind the cells that name them."""
    figures = ("seeds", "failed", "mean", "sd", "95 % CI", "IQM", "median", "min", "max")
    rows, unit = [], results.unit_of(measure)
    for row in rows_of(results.configurations):
        mean, sd, *rest = (
            figure_of(row[f"{measure.column}_{name}"], unit)
            for name in ("mean", "sd", "iqm", "median", "min", "max")
        )
        low, high = (row[f"{measure.column}_ci_{end}"] for end in ("low", "high"))
        interval = interval_of(low, high, unit)
        counts = [str(row["n"]), str(row["failures"])]
        rows.append([*cells[row["setting"]], *counts, mean, sd, interval, *rest])
    return [*heads, *figures], rows


def run_rows(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table of runs."""
    heads, cells = setting_cells(results)
    runs, units = results.compared, {m.column: results.unit_of(m) for m in results.measures}
    columns = {
        "seed": runs["seed"].map(str),
        "status": runs["status"],
        "updates": runs["updates"].map("{:,.0f}".format),
        **{
            measure.words: [figure_of(value, units[measure.column]) for value in runs[measure.column]]
            for measure in measures_of(results)
        },
        "seconds": runs["seconds"].map("{:,.1f}".format),
        "µs per update": (1e6 / runs["updates_per_second"]).map(lambda v: figure_of(v, "")),
        "run": runs["run_id"],
    }
    rest = zip(*columns.values(), strict=True)
    rows = [[*cells[name], *row] for name, row in zip(runs["setting"], rest, strict=True)]
    return [*heads, *columns], rows


def figure_of(value: float, unit: str) -> str:
    """Return a loss with the digits that mean something."""
    return f"{value:.{3 if unit == PER_CHARACTER else 2}f}" if np.isfinite(value) else "-"


def interval_of(low: float, high: float, unit: str) -> str:
    """Return a confidence interval, if there is one."""
    return f"{figure_of(low, unit)} to {figure_of(high, unit)}" if np.isfinite(low) else "-"


def measures_of(results: Results) -> list[Measure]:
    """Return what is compared and some run has: a short one ends before its first epoch does."""
    return [measure for measure in results.measures if results.runs[measure.column].notna().any()]


METHOD = (
    "Differences are those of the means of all finished seeds, with 95 % confidence intervals after "
    "Welch (The generalization of Student's problem, Biometrika 34, 1947)."
)
METHOD_PAIRED = (
    "The difference is taken seed by seed, mean and 95 % confidence interval after Student (The "
    "probable error of a mean, Biometrika 6, 1908)."
)
METHOD_OF_ALL = (
    "Each interval stands for its pair alone; p is corrected for the number of pairs after Holm (A "
    "simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, "
    "1979). P(a lower) is the probability that a run of a has a lower loss than one of b, with its "
    "bootstrap interval."
)


def method(results: Results) -> str:
    """Return how the differences are made."""
    paired = results.comparison["paired"].any()
    return f"{METHOD_PAIRED if paired else METHOD} {METHOD_OF_ALL}"


def comparison_rows(results: Results, measure: Measure) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table of differences for one measure."""
    columns = ["a", "b", "seeds", "mean", "95 % CI", "P(a lower)", "p (Holm)"]
    rows = []
    for row in rows_of(results.comparison[results.comparison["measure"] == measure.column]):
        rows.append(
            [
                row["a"],
                row["b"],
                seeds_of(row),
                figure_of(row["mean_difference"], row["unit"]),
                interval_of(row["ci_low"], row["ci_high"], row["unit"]),
                chance_of(row),
                p_of(row["p_holm"]),
            ]
        )
    return columns, rows


def seeds_of(row: Mapping[str, Any]) -> str:
    """Return how many seeds each of two configurations has, or how many pairs there are."""
    a, b = row["n_a"], row["n_b"]
    return str(row["n"]) if row["paired"] else str(a) if a == b else f"{a}, {b}"


def chance_of(row: Mapping[str, Any]) -> str:
    """Return the probability of improvement with its interval."""
    p, low, high = (row[f"improvement{end}"] for end in ("", "_low", "_high"))
    if np.isnan(p):
        return "-"
    return f"{p:.2f}" if np.isnan(low) else f"{p:.2f} ({low:.2f} to {high:.2f})"


def effect_rows(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table of what each setting does."""
    columns = ["setting", "value", "at", "mean", "difference", "95 % CI", "p (Holm)", "share"]
    rows = []
    for row in rows_of(effects_table(results.findings)):
        share = row["share"]
        rows.append(
            [
                str(row["name"]).replace("_wanted", ""),
                text_of(row["value"]),
                text_of(row["at"]),
                figure_of(row["mean"], row["unit"]),
                figure_of(row["difference"], row["unit"]),
                interval_of(row["ci_low"], row["ci_high"], row["unit"]),
                p_of(row["p"] if row["method"] in OF_RANKS else row["p_holm"]),
                "-" if np.isnan(share) else f"{share:.0%}",
            ]
        )
    return columns, rows


def tries_rows(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table of the expected best of several runs."""
    table = results.findings.tries
    tries = sorted(set(table["tries"]))
    cells: dict[str, dict[int, str]] = {}
    for row in rows_of(table):
        value, unit = figure_of(row["expected_best"], row["unit"]), row["unit"]
        interval = interval_of(row["ci_low"], row["ci_high"], unit)
        shown = value if interval == "-" else f"{value} ({interval})"
        cells.setdefault(row["setting"], {})[row["tries"]] = shown
    rows = [[name, *(its.get(number, "-") for number in tries)] for name, its in cells.items()]
    return ["configuration", *(f"best of {number}" for number in tries)], rows


def length_rows(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table of how rankings by shorter runs hold."""
    kept = {"half": "better half", "quarter": "better quarter", "best": "best one"}
    columns = ["ranked after", "configurations", *(f"{n} {NEW_SEEDS}" for n in ("Spearman", "Kendall"))]
    rows = []
    for row in rows_of(results.lengths):
        cells = [after(row), str(row["configurations"])]
        for name in ("spearman", "kendall"):
            cells.append(with_range(*(f"{row[name + end]:.2f}" for end in ("", "_low", "_high"))))
        cells += [lost_of(row, name) for name in kept]
        rows.append(cells)
    return columns + [f"lost by the {words} {NEW_SEEDS}" for words in kept.values()], rows


def after(row: Mapping[str, Any]) -> str:
    """Return after how much of which length configurations were ranked."""
    if row["by"] == "share":
        return f"1/{1 / row['short']:.0f} of the updates"
    return f"{row['short']:,.0f} of {row['long']:,.0f} {row['by']}"


def lost_of(row: Mapping[str, Any], kept: str) -> str:
    """Return what was lost by keeping the best few, and what would be with new seeds."""
    ends = ("", "_low", "_high")
    return with_range(*(figure_of(row[f"{kept}_lost{end}"], row["unit"]) for end in ends))


def with_range(value: str, low: str, high: str, of: str = "") -> str:
    """Return a number with the range, of something, in which it would fall, if there is one."""
    return value if low in ("-", "nan") else f"{value} ({of}{low} to {high})"


def text_of(value: Any) -> str:
    """Return a value of a setting, or "-" where there is none."""
    missing = value is None or (isinstance(value, float) and np.isnan(value))
    return "-" if missing else f"{value:g}" if isinstance(value, float) else str(value)


def p_of(p: float) -> str:
    """Return a p-value."""
    return "-" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def sentences(results: Results, measure: Measure) -> list[str]:
    """Return the differences of configurations in words; all pairs, or the first of too many."""
    rows = results.comparison[results.comparison["measure"] == measure.column]
    return [str(text) for text in rows["sentence"]][:MOST_SENTENCES]
