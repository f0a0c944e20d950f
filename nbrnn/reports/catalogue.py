"""Which tables are there, and how is each shown?

All files, the page and JSON follow from this list: a new table is one more row here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

import pandas as pd

from nbrnn.escaping import one_line
from nbrnn.reports.findings import effects_table
from nbrnn.reports.measures import SCORE, Measure
from nbrnn.reports.rows import (
    comparison_rows,
    effect_rows,
    length_rows,
    measures_of,
    method,
    run_rows,
    sentences,
    setting_rows,
    tries_rows,
)
from nbrnn.reports.tables import Results


class Text(NamedTuple):
    """A table as text, and what it says in words; one without rows is left out."""

    columns: list[str]
    rows: list[list[str]]
    heading: str = ""
    sentences: list[str] = []  # noqa: RUF012  (never changed)


@dataclass(frozen=True)
class Table:
    """A table: with all digits in NAME.csv and JSON, as text in NAME.md, NAME.tex and on the page."""

    name: str
    title: str
    frame: Callable[[Results], pd.DataFrame]
    texts: Callable[[Results], list[Text]]
    notes: Callable[[Results], list[str]] = lambda results: []  # paragraphs before it


def runs(results: Results) -> list[Text]:
    """Return the table of runs."""
    return [Text(*run_rows(results))]


def configurations(results: Results) -> list[Text]:
    """Return the table of configurations, for each measure."""
    return [
        Text(*setting_rows(results, measure), heading(results, measure))
        for measure in measures_of(results)
    ]


def differences(results: Results) -> list[Text]:
    """Return the differences of pairs of configurations, for each measure."""
    return [
        Text(
            *comparison_rows(results, measure),
            heading(results, measure),
            sentences(results, measure),
        )
        for measure in measures_of(results)
    ]


def heading(results: Results, measure: Measure) -> str:
    """Return what a measure is called, with its unit."""
    return f"{measure.words.capitalize()} ({results.unit_of(measure)})"


def effects(results: Results) -> list[Text]:
    """Return what each setting does."""
    return [Text(*effect_rows(results))]


def tries(results: Results) -> list[Text]:
    """Return the expected best of several runs."""
    return [Text(*tries_rows(results))]


def lengths(results: Results) -> list[Text]:
    """Return whether rankings by shorter runs hold."""
    return [Text(*length_rows(results))]


def about_configurations(results: Results) -> list[str]:
    """Return over what configurations are averaged, and what to know of their runs."""
    problems = [f"Left out: {one_line(problem)}." for problem in results.unreadable]
    first = f"Over the finished seeds of each configuration; {units(results)}."
    return [first, *results.lost_from_zero(), *problems]


def about_differences(results: Results) -> list[str]:
    """Return how differences are made."""
    if len(results.configurations) == 1:
        return ["There is one configuration only."]
    return [f"{method(results)} {units(results).capitalize()}."]


def about_effects(results: Results) -> list[str]:
    """Return what shares of a random search are."""
    effects = results.findings.effects
    if effects.importance is None or effects.method != "fanova":
        return []
    found = effects.importance
    return [
        f"Of the ranks of {found.configurations:,} configurations: shares by fANOVA over a random "
        f"forest (out-of-bag R² {found.r_squared:.2f}), those of two settings beyond each alone; p "
        "after Kruskal and Wallis."
    ]


def units(results: Results) -> str:
    """Return in which units losses are."""
    measures = measures_of(results)
    others = {results.unit_of(measure) for measure in measures} - {results.unit}
    which = "scores" if SCORE in measures else "held-out ones"
    return f"losses in {results.unit}" + "".join(f", {which} in {unit}" for unit in others)


TABLES = (
    Table("runs", "Runs", attrgetter("runs"), runs),
    # A configuration is called `setting` in files, columns and JSON: scripts rely on that name.
    Table(
        "settings", "Configurations", attrgetter("configurations"), configurations, about_configurations
    ),
    Table(
        "comparison",
        "Differences between configurations",
        attrgetter("comparison"),
        differences,
        about_differences,
    ),
    Table(
        "effects",
        "What each setting does",
        lambda results: effects_table(results.findings),
        effects,
        about_effects,
    ),
    Table("tries", "The expected best of several runs", lambda results: results.findings.tries, tries),
    Table("lengths", "Whether rankings by shorter runs hold", attrgetter("lengths"), lengths),
)
IN_ANSWER = ("effects", "tries", "lengths")  # of which the answer speaks
