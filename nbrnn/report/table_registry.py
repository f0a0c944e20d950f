"""The tables of a sweep's report.

All files, the page and JSON follow from this list: a new table is one more row here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nbrnn.analysis.effects import RANK_METHODS
from nbrnn.analysis.findings import effects_table
from nbrnn.analysis.measures import COMPARED, SCORE, TEST, Measure
from nbrnn.analysis.result_tables import Results, column_of
from nbrnn.naming import short_texts
from nbrnn.report.document import METHODS, Block, Bullets, Document, Paragraph, Section, Table
from nbrnn.report.formatting import (
    interval_text,
    loss_text,
    p_text,
    rows_of,
    setting_name,
    with_interval,
)

MAX_SENTENCES = 30
MAX_ROWS, MAX_ROWS_OF_OTHERS = 400, 100  # on the page, by the measure that ranks and by another one


class Content(NamedTuple):
    """A table as text, and sentences that say the same."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    sentences: Sequence[str] = ()


@dataclass(frozen=True)
class TableSpec:
    """A table: with all digits in NAME.csv and JSON, as text in NAME.md, NAME.tex and on the page.

    A table `by_measure` has a section for each; that of the measure that ranks is in NAME.tex, those of
    the others are in NAME-MEASURE.tex.
    """

    name: str
    title: str
    frame: Callable[[Results], pd.DataFrame]
    content: Callable[[Results, Measure], Content]
    notes: Callable[[Results], list[str]] = lambda results: []  # paragraphs before it
    by_measure: bool = False

    def sections(self, results: Results) -> list[Section]:
        """Return the section of each measure, or the only one; none without rows."""
        sections = []
        for measure in results.known_measures if self.by_measure else [results.best]:
            content, ranks = self.content(results, measure), measure is results.best
            name = self.name if ranks else f"{self.name}-{measure.column}"
            max_rows = MAX_ROWS if ranks else MAX_ROWS_OF_OTHERS
            blocks: list[Block] = [Table(name, *content[:3], is_sortable=True, max_rows=max_rows)]
            blocks += [Bullets(content.sentences)] if content.sentences else []
            words = results.label(measure)
            heading = words[0].upper() + words[1:] if self.by_measure else ""
            sections += [Section(heading, blocks)] if content.rows else []
        return sections

    def document(self, results: Results) -> Document:
        """Return the table as a document."""
        notes = [Paragraph(note) for note in self.notes(results)]
        return Document(self.title, "", [Section("", notes), *self.sections(results)])

    def blocks(self, results: Results) -> list[Block]:
        """Return the blocks of all its sections."""
        return [block for section in self.sections(results) for block in section.blocks]

    def tables(self, results: Results) -> list[Table]:
        """Return its tables."""
        return [block for block in self.blocks(results) if isinstance(block, Table)]

    @property
    def files(self) -> list[str]:
        """The names of the files that it may have."""
        more = [f"{self.name}-{measure.column}.tex" for measure in (SCORE, *COMPARED, *TEST)]
        return [f"{self.name}.csv", f"{self.name}.md", f"{self.name}.tex", *more]


def setting_cells(results: Results) -> tuple[list[str], dict[str, list[str]]]:
    """Return the swept settings and the values of each configuration, or else its name."""
    table, columns = results.configurations, [column_of(name) for name in results.swept]
    names = table["setting"].tolist()
    imported = any(record.is_imported for record in results.records)
    if not columns or imported or table.duplicated(columns).any():
        return ["configuration"], {name: [name] for name in names}
    texts = {column: short_texts(table[column].dropna()) for column in columns}
    rows = table[columns].astype(object).itertuples(index=False)
    cells = [
        ["-" if pd.isna(v) else texts[c][v] for c, v in zip(columns, row, strict=True)] for row in rows
    ]
    return results.swept, dict(zip(names, cells, strict=True))


def named_rows(
    results: Results, names: Iterable[str], columns: Mapping[str, Iterable[str]]
) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows, after the settings of the configurations with these names."""
    heads, cells = setting_cells(results)
    rows = zip(*columns.values(), strict=True)
    return [*heads, *columns], [[*cells[name], *row] for name, row in zip(names, rows, strict=True)]


def configuration_columns(results: Results, measure: Measure) -> dict[str, list[str]]:
    """Return the columns of configurations by one measure.

    Whether one is significantly worse is said by the measure that ranks them.
    """
    table, unit = results.configurations, results.unit_of(measure)

    def losses(name: str) -> list[str]:
        return [loss_text(value, unit) for value in table[f"{measure.column}_{name}"]]

    ends = table[[f"{measure.column}_ci_low", f"{measure.column}_ci_high"]].itertuples(index=False)
    worse = [
        "" if pd.isna(verdict) else str(verdict).lower() for verdict in table["significantly_worse"]
    ]
    return {
        f"{results.replicate}s": table["n"].map(str).tolist(),
        "failed": table["failures"].map(str).tolist(),
        "median": losses("median"),
        "95 % CI": [interval_text(low, high, unit) for low, high in ends],
        "worse": worse,
        **{name: losses(name.lower()) for name in ("mean", "sd", "IQM", "min", "max")},
    }


def configurations(results: Results, measure: Measure) -> Content:
    """Return the table of configurations by one measure."""
    caption = f"The {results.label(measure)} of each configuration, over its {over(results)}."
    columns = configuration_columns(results, measure)
    return Content(caption, *named_rows(results, results.configurations["setting"], columns))


def over(results: Results) -> str:
    """Return what the figures of a configuration are means over."""
    if results.folds > 1:
        return "parts of the text, each the mean of its finished seeds"
    return "finished seeds"


def runs(results: Results, measure: Measure) -> Content:
    """Return the table of runs."""
    frame, units = results.compared, {m.column: results.unit_of(m) for m in results.measures}
    columns: dict[str, Iterable[str]] = {
        **({"fold": frame["fold"].map(str)} if results.folds > 1 else {}),
        "seed": frame["seed"].map(str),
        "status": frame["status"],
        "updates": frame["updates"].map("{:,.0f}".format),
        **{
            measure.words: [loss_text(value, units[measure.column]) for value in frame[measure.column]]
            for measure in results.known_measures
        },
        "seconds": frame["seconds"].map("{:,.1f}".format),
        "µs per update": (1e6 / frame["updates_per_second"]).map(lambda value: loss_text(value, "")),
        "run": frame["run_id"],
    }
    caption = f"All runs; {units_in_words(results)}."
    return Content(caption, *named_rows(results, frame["setting"], columns))


def differences(results: Results, measure: Measure) -> Content:
    """Return the differences of pairs of configurations by one measure."""
    table = results.comparison[results.comparison["measure"] == measure.column]
    caption = f"Differences of the {results.label(measure)} between configurations."
    columns = ["a", "b", f"{results.replicate}s", "shift", "95 % CI", "P(a lower)", "p (Holm)"]
    rows = [difference_row(row) for row in rows_of(table)]
    return Content(caption, columns, rows, table["sentence"].head(MAX_SENTENCES).tolist())


def difference_row(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of a pair of configurations."""
    a, b, unit = row["n_a"], row["n_b"], row["unit"]
    p, low, high = (row[f"improvement{end}"] for end in ("", "_low", "_high"))
    return [
        row["a"],
        row["b"],
        str(row["n"]) if row["paired"] else str(a) if a == b else f"{a}, {b}",
        loss_text(row["shift"], unit),
        interval_text(row["ci_low"], row["ci_high"], unit),
        "-" if np.isnan(p) else with_interval(p, low, high),
        p_text(row["p_holm"]),
    ]


def effects(results: Results, measure: Measure) -> Content:
    """Return the table of the effects of settings."""
    columns = ["setting", "value", "at", "median", "shift", "95 % CI", "p (Holm)", "share"]
    rows = [
        [
            setting_name(str(row["name"])),
            value_text(row["value"]),
            value_text(row["at"]),
            loss_text(row["mean"], row["unit"]),
            loss_text(row["difference"], row["unit"]),
            interval_text(row["ci_low"], row["ci_high"], row["unit"]),
            p_text(row["p"] if row["method"] in RANK_METHODS else row["p_holm"]),
            "-" if np.isnan(row["share"]) else f"{row['share']:.0%}",
        ]
        for row in rows_of(effects_table(results.findings))
    ]
    method = {"ranks": "by ranks", "fanova": "by fANOVA"}.get(
        results.findings.effects.method, "over all values of the other settings"
    )
    return Content(f"The effect of each setting on the {measure.words}, {method}.", columns, rows)


def value_text(value: Any) -> str:
    """Return a value of a setting, or "-" where there is none."""
    missing = value is None or (isinstance(value, float) and np.isnan(value))
    return "-" if missing else f"{value:g}" if isinstance(value, float) else str(value)


def tries(results: Results, measure: Measure) -> Content:
    """Return the table of the expected best of several runs."""
    table, unit = results.findings.tries, results.findings.unit
    tries = sorted(set(table["tries"]))
    cells: dict[str, dict[int, str]] = {}
    for row in rows_of(table):
        cells.setdefault(row["setting"], {})[row["tries"]] = loss_text(row["expected_best"], unit)
    rows = [[name, *(texts.get(n, "-") for n in tries)] for name, texts in cells.items()]
    caption = f"The expected {measure.words} ({unit}) of the best of several runs."
    return Content(caption, ["configuration", *(f"best of {n}" for n in tries)], rows)


def settings_notes(results: Results) -> list[str]:
    """Return over what configurations are averaged, and what is known of their runs."""
    first = f"Over the {over(results)}; {units_in_words(results)}."
    problems = [f"Left out: {problem}." for problem in results.unreadable]
    return [first, *notes_on_parts(results), *results.models_worse_than_unigram(), *problems]


def notes_on_parts(results: Results) -> list[str]:
    """Return how runs on several parts of the text are counted, and what is known of the test part."""
    several = f"The runs are on {results.folds} parts of the text. {METHODS['parts']}"
    return [*([several] if results.folds > 1 else []), *results.notes_on_test()]


def comparison_notes(results: Results) -> list[str]:
    """Return how differences are computed."""
    if len(results.configurations) == 1:
        return ["There is one configuration only."]
    which = "paired" if results.comparison["paired"].any() else "shifts"
    return [f"{METHODS[which]} {METHODS['pairs']} {units_in_words(results).capitalize()}."]


def effects_notes(results: Results) -> list[str]:
    """Return what the shares of a random search are."""
    effects = results.findings.effects
    if effects.importance is None or effects.method != "fanova":
        return []
    return [
        f"Shares of the variance of the ranks of {effects.importance.configurations:,} configurations, "
        f"by fANOVA over a random forest (out-of-bag R² {effects.importance.r_squared:.2f}); those of "
        "two settings beyond each alone; p after Kruskal and Wallis."
    ]


def units_in_words(results: Results) -> str:
    """Return the units of losses."""
    measures = results.known_measures
    others = {results.unit_of(measure) for measure in measures} - {results.unit}
    which = (
        "scores"
        if SCORE in measures
        else "held-out and test ones"
        if TEST[0] in measures
        else "held-out ones"
    )
    return f"losses in {results.unit}" + "".join(f", {which} in {unit}" for unit in others)


TABLES = (
    TableSpec("runs", "Runs", lambda r: r.runs, runs),
    # A configuration is called `setting` in files, columns and JSON: scripts rely on that name.
    TableSpec(
        "settings", "Configurations", lambda r: r.configurations, configurations, settings_notes, True
    ),
    TableSpec("comparison", "Differences", lambda r: r.comparison, differences, comparison_notes, True),
    TableSpec(
        "effects", "Effects of settings", lambda r: effects_table(r.findings), effects, effects_notes
    ),
    TableSpec("tries", "Expected best of several runs", lambda r: r.findings.tries, tries),
)
IN_ANSWER = ("effects", "tries")  # tables that the answer refers to
