"""How is everything shown on one page, which needs no other file?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from nbrnn.reports.figures import CAPTIONS
from nbrnn.reports.measures import BEST
from nbrnn.reports.rows import METHOD, comparison_rows, configuration_rows, measures_of, sentences
from nbrnn.reports.samples import Samples
from nbrnn.reports.tables import Results

MOST_SAMPLES = 12  # configurations whose samples are on the page; samples.md has all


def page(
    results: Results, pictures: Mapping[str, str], samples: Mapping[str, Samples], refresh: int
) -> str:
    """Return the page with everything, which needs no other file."""
    environment = Environment(
        loader=PackageLoader("nbrnn.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    statuses = results.runs["status"].value_counts()
    columns = [
        *("setting", "seed", "status", "updates", "smooth_loss_best", "smooth_loss_final"),
        *(
            "epoch_mean_loss_last",
            "bits_per_character_best",
            "score_best",
            "seconds",
            "updates_per_second",
        ),
    ]
    corpora = results.runs[["corpus", "corpus_sha256"]].drop_duplicates()
    return environment.get_template("page.html").render(
        title=" and ".join(corpora["corpus"].unique()[:3]),
        counts=", ".join(f"{count:,} {status}" for status, count in statuses.items()),
        configurations_count=len(results.configurations),
        seeds_count=results.runs["seed"].nunique(),
        unit=results.unit,
        pictures=[(CAPTIONS[name], image) for name, image in pictures.items()],
        measures=[
            (measure.words, configuration_rows(results, measure), comparison_rows(results, measure))
            for measure in measures_of(results)
        ],
        sentences=sentences(results, BEST),
        pairs=int((results.comparison["measure"] == BEST.column).sum()),
        unreadable=results.unreadable,
        lost=results.lost_from_zero(),
        method=METHOD,
        samples=dict(list(samples.items())[:MOST_SAMPLES]),
        more_samples=max(0, len(samples) - MOST_SAMPLES),
        run_columns=[column.replace("_", " ") for column in columns],
        runs=[[cell(value) for value in row] for row in results.runs[columns].itertuples(index=False)],
        refresh=refresh,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("nbrnn"),
    )


def cell(value: Any) -> str:
    """Return a cell of the table of runs."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
