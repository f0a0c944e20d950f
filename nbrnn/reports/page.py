"""How is everything shown on one page, which needs no other file?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from nbrnn.reports.answers import ANSWER_METHOD, answers
from nbrnn.reports.figures import caption
from nbrnn.reports.rows import (
    comparison_rows,
    configuration_rows,
    effect_rows,
    measures_of,
    method,
    sentences,
    tries_rows,
)
from nbrnn.reports.samples import Samples
from nbrnn.reports.tables import Results

MOST_SAMPLES = 12  # configurations whose samples are on the page; samples.md has all


@cache
def template() -> Template:
    """Return the template of the page; to compile it takes longer than to fill it."""
    environment = Environment(
        loader=PackageLoader("nbrnn.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def page(
    results: Results, pictures: Mapping[str, str], samples: Mapping[str, Samples], refresh: int
) -> str:
    """Return the page with everything, which needs no other file."""
    statuses = results.runs["status"].value_counts()
    columns = [
        *("setting", "seed", "status", "updates", "smooth_loss_best", "smooth_loss_final"),
        *(
            "epoch_mean_loss_last",
            "bits_per_character_best",
            "score_best",
            *(m.column for m in results.measures if m.column.startswith("validation")),
            "seconds",
            "updates_per_second",
        ),
    ]
    corpora = results.runs[["corpus", "corpus_sha256"]].drop_duplicates()
    return template().render(
        title=" and ".join(corpora["corpus"].unique()[:3]),
        counts=", ".join(f"{count:,} {status}" for status, count in statuses.items()),
        configurations_count=len(results.configurations),
        seeds_count=results.runs["seed"].nunique(),
        unit=results.unit,
        pictures=[(caption(results, name), image) for name, image in pictures.items()],
        measures=[
            (
                f"{measure.words} ({results.unit_of(measure)})",
                configuration_rows(results, measure),
                comparison_rows(results, measure),
            )
            for measure in measures_of(results)
        ],
        sentences=sentences(results, results.best),
        pairs=int((results.comparison["measure"] == results.best.column).sum()),
        unreadable=results.unreadable,
        lost=results.lost_from_zero(),
        method=method(results),
        answers=answers(results),
        answer_method=ANSWER_METHOD,
        answer_tables=[
            (title, table)
            for title, table in (
                ("What each setting does", effect_rows(results)),
                ("The expected best of several runs", tries_rows(results)),
            )
            if table[1] and len(results.configurations) > 1
        ],
        samples=dict(list(samples.items())[:MOST_SAMPLES]),
        more_samples=max(0, len(samples) - MOST_SAMPLES),
        run_columns=[column.replace("_", " ") for column in columns],
        runs=[list(map(cell, row)) for row in results.compared[columns].to_numpy(object)],
        refresh=refresh,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("nbrnn"),
    )


def cell(value: Any) -> str:
    """Return a cell of the table of runs."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{2 if abs(value) >= 10 else 3}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
