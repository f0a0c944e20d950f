"""Whether short runs rank configurations as long ones do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.analysis.rankings import SHARES, agreement
from nbrnn.analysis.run_records import RunRecord
from nbrnn.config import RunConfig
from nbrnn.naming import replicate_name
from nbrnn.storage.append_logs import best_after
from nbrnn.storage.schemas import DROPPED

MIN_CONFIGURATIONS = 4  # for a ranking that says something
MAX_CONFIGURATIONS = 1000  # beyond which all their pairs take too long
BEGINNINGS = (1 / 8, 1 / 4, 1 / 2)  # of runs, after which they are ranked
MAX_LENGTHS = 10  # of which all pairs are compared; of more, each with the longest
HELD_OUT, SMOOTH = "validation_best", "smooth_loss_best"  # measures that have a history

COLUMNS = [
    *("measure", "by", "short", "long", "configurations", "runs"),
    *(f"{name}{end}" for name in ("spearman", "kendall") for end in ("", "_low", "_high")),
    *(f"{name}_{end}" for name in SHARES for end in ("lost", "lost_low", "lost_high", "keeps_best")),
    "unit",
]

# What rankings are by, the shorter and the longer length, and both losses of each run.
Ranking = tuple[str, float, float, pd.DataFrame]


def lengths_table(
    records: Sequence[RunRecord], losses: Sequence[float], training_unit: str, measure: str, unit: str
) -> pd.DataFrame:
    """Return how rankings of configurations by shorter runs agree with those by longer ones.

    `losses` are those of the runs by this measure in this unit. `by` says what `short` and `long` are:
    epochs or updates, of runs that differ in nothing else, or shares of the updates, for a ranking by
    the beginnings of the same runs, where the learning rate does not depend on a run's length and no run
    was dropped. Configurations of which a run diverged are left out.
    """
    diverged = {key_of(record) for record in records if record.summary.status == "diverged"}
    runs = pd.DataFrame(
        {
            "configuration": key_of(record),
            "replicate": replicate_name(record.config),
            "fold": record.config.fold,
            "by": "epochs" if record.config.updates is None else "updates",
            "length": record.config.epochs if record.config.updates is None else record.config.updates,
            "updates": record.config.length(record.corpus.characters),
            "is_constant": record.config.schedule == "constant",
            "loss": loss,
            **{s: loss_after(record, s, measure, record.scale(training_unit)) for s in BEGINNINGS},
        }
        for record, loss in zip(records, losses, strict=True)
        if record.is_complete and not record.is_imported and np.isfinite(loss)
        if key_of(record) not in diverged
    )
    if runs.empty:
        return pd.DataFrame(columns=COLUMNS)
    runs["configuration"] = pd.factorize(runs["configuration"])[0]
    rankings = list(by_lengths(runs))
    if not any(record.summary.status == DROPPED for record in records):
        rankings += by_beginnings(runs)
    rows = [
        {"measure": measure, "by": by, "short": short, "long": long, "unit": unit, **agreement_row(both)}
        for by, short, long, both in rankings
        if MIN_CONFIGURATIONS <= both["configuration"].nunique() <= MAX_CONFIGURATIONS
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def key_of(record: RunRecord) -> tuple[RunConfig, str]:
    """Return what experiments have in common that differ in length, seed and fold."""
    return replace(record.config.configuration, epochs=None, updates=0), record.corpus.sha256


def loss_after(record: RunRecord, share: float, measure: str, scale: float) -> float | None:
    """Return the best loss after a share of a run's updates; None before the first evaluation."""
    until = share * record.config.length(record.corpus.characters)
    if measure == HELD_OUT:
        return best_after(record.evaluations, record.validation_losses, until)
    if measure != SMOOTH or not ((record.updates > 1) & (record.updates <= until)).any():
        return None  # the first update alone says nothing
    best = best_after(record.updates, record.smooth_losses, until)
    return None if best is None else best * scale


def by_lengths(runs: pd.DataFrame) -> Iterator[Ranking]:
    """Return the pairs of lengths that were swept."""
    for by, group in runs.groupby("by"):
        lengths = sorted(set(group["length"]))
        pairs = list(combinations(lengths, 2))
        if len(lengths) > MAX_LENGTHS:
            pairs = [(length, lengths[-1]) for length in lengths[:-1]]
        columns = ["configuration", "replicate", "loss"]
        of_length = {length: rows[columns] for length, rows in group.groupby("length")}
        for short, long in pairs:
            both = of_length[short].merge(of_length[long], on=columns[:2])
            yield str(by), short, long, both.drop(columns="replicate")


def by_beginnings(runs: pd.DataFrame) -> Iterator[Ranking]:
    """Return the beginnings of the longest runs of each configuration."""
    # an epoch of another fold may be shorter
    longest = runs.groupby(["configuration", "fold"])["updates"].transform("max")
    whole = runs[(runs["updates"] == longest) & runs["is_constant"]]
    for share in BEGINNINGS:
        if whole[share].notna().all():  # else runs are too short for that
            yield "share", share, 1.0, whole[["configuration", share, "loss"]]


def agreement_row(both: pd.DataFrame) -> dict[str, Any]:
    """Return the columns of the agreement of two rankings; both: configuration, short and long loss."""
    groups = both.set_index("configuration").astype(float).groupby(level=0, sort=False)
    short, long = zip(*(group.to_numpy().T for _, group in groups), strict=True)
    return {"configurations": len(short), "runs": len(both), **agreement(short, long)}
