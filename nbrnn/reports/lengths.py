"""Does the ranking of configurations by short runs hold?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.config import RunConfig
from nbrnn.reports.reading import RunRecord
from nbrnn.statistics.rankings import SHARES, agreement
from nbrnn.statistics.stats import Array
from nbrnn.storage.append_logs import best_after
from nbrnn.storage.schemas import COMPLETE, DROPPED

FEWEST = 4  # configurations whose ranking says something
MOST = 1000  # beyond which all their pairs take too long
BEGINNINGS = (1 / 8, 1 / 4, 1 / 2)  # of runs, after which they are ranked
MOST_LENGTHS = 10  # of which all pairs are looked at; of more, each with the longest
HELD_OUT, SMOOTH = "validation_best", "smooth_loss_best"  # measures that have a history

LENGTHS_COLUMNS = [
    *("measure", "by", "short", "long", "configurations", "runs"),
    *(f"{name}{end}" for name in ("spearman", "kendall") for end in ("", "_low", "_high")),
    *(f"{name}_{end}" for name in SHARES for end in ("lost", "lost_low", "lost_high", "keeps_best")),
    "unit",
]


@dataclass(frozen=True)
class LengthRun:
    """A finished run: its experiment apart from length and seed, and its loss."""

    key: tuple[RunConfig, str]
    record: RunRecord
    loss: float  # at its end, in the unit of the table
    scale: float  # of the losses in its files, to that unit

    @property
    def length(self) -> tuple[str, int]:
        """How long it was to be, in which unit."""
        config = self.record.config
        return ("epochs", config.epochs or 0) if config.updates is None else ("updates", config.updates)

    @property
    def updates(self) -> int:
        """How many updates it was to have."""
        return self.record.config.length(self.record.corpus.characters)

    def loss_after(self, share: float, measure: str) -> float | None:
        """Return the best loss after a share of its updates; None before the first look."""
        record, until = self.record, share * self.updates
        if measure == HELD_OUT:
            return best_after(record.looks, record.held_out_losses, until)
        if not ((record.updates > 1) & (record.updates <= until)).any():
            return None  # the first update alone tells nothing
        best = best_after(record.updates, record.smooth_losses, until)
        return None if best is None else best * self.scale


Samples = dict[Any, list[tuple[float, float]]]  # short and long loss of each run, by configuration


def lengths_table(
    records: Sequence[RunRecord],
    losses: Sequence[float],
    scales: Sequence[float],
    measure: str,
    unit: str,
) -> pd.DataFrame:
    """Return how rankings of configurations by shorter runs agree with those by longer ones.

    `losses` are those of the runs by this measure in this unit, which losses in their files are brought
    to by `scales`. `by` says what `short` and `long` are: epochs or updates, of runs that differ in
    nothing else, or shares of the updates, for a ranking by the beginnings of the same runs. That is
    made where the learning rate does not depend on a run's length, and no run was dropped by it.
    Configurations of which a run diverged, which halving keeps last, are left out.
    """
    diverged = {key_of(record) for record in records if record.summary.status == "diverged"}
    runs = [
        LengthRun(key, record, loss, scale)
        for record, loss, scale in zip(records, losses, scales, strict=True)
        if record.summary.status in COMPLETE and not record.is_imported and np.isfinite(loss)
        if (key := key_of(record)) not in diverged
    ]
    dropped = any(record.summary.status == DROPPED for record in records)
    found = [*by_lists(runs), *(by_history(runs, measure) if not dropped else ())]
    rows = [
        {"measure": measure, "by": by, "short": short, "long": long, "unit": unit, **row_of(samples)}
        for by, short, long, samples in found
        if FEWEST <= len(samples) <= MOST
    ]
    return pd.DataFrame(rows, columns=LENGTHS_COLUMNS)


def key_of(record: RunRecord) -> tuple[RunConfig, str]:
    """Return what experiments have in common that differ in length and seed."""
    return replace(record.config, epochs=None, updates=0, seed=0), record.corpus.sha256


def by_lists(runs: Sequence[LengthRun]) -> Iterator[tuple[str, float, float, Samples]]:
    """Return the pairs of lengths that were asked for."""
    for by in ("epochs", "updates"):
        at: dict[int, dict[Any, dict[int, float]]] = {}
        for run in runs:
            if run.length[0] == by:
                of_length = at.setdefault(run.length[1], {})
                of_length.setdefault(run.key, {})[run.record.config.seed] = run.loss
        lengths = sorted(at)
        pairs = list(combinations(lengths, 2))
        if len(lengths) > MOST_LENGTHS:
            pairs = [(length, lengths[-1]) for length in lengths[:-1]]
        for short, long in pairs:
            samples = {
                key: [(of_short[seed], of_long[seed]) for seed in of_short if seed in of_long]
                for key, of_short in at[short].items()
                if (of_long := at[long].get(key, {}))
            }
            yield by, short, long, {key: both for key, both in samples.items() if both}


def by_history(runs: Sequence[LengthRun], measure: str) -> Iterator[tuple[str, float, float, Samples]]:
    """Return the beginnings of the longest runs of each configuration."""
    if measure not in (HELD_OUT, SMOOTH):
        return
    longest: dict[Any, int] = {}
    for run in runs:
        longest[run.key] = max(run.updates, longest.get(run.key, 0))
    of_these = [
        run
        for run in runs
        if run.updates == longest[run.key] and run.record.config.schedule == "constant"
    ]
    for share in BEGINNINGS:
        before = [run.loss_after(share, measure) for run in of_these]
        if any(loss is None for loss in before):
            continue  # runs are too short for that
        samples: Samples = {}
        for run, loss in zip(of_these, before, strict=True):
            assert loss is not None
            samples.setdefault(run.key, []).append((loss, run.loss))
        yield "share", share, 1.0, samples


def row_of(samples: Samples) -> dict[str, Any]:
    """Return the columns of how two rankings agree."""
    both: list[Array] = [np.array(pairs).T for pairs in samples.values()]
    found = agreement([losses[0] for losses in both], [losses[1] for losses in both])
    row: dict[str, Any] = {"configurations": len(both), "runs": sum(losses.shape[1] for losses in both)}
    for name, (value, low, high) in (("spearman", found.spearman), ("kendall", found.kendall)):
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    for name, (value, low, high) in found.regrets.items():
        row |= {f"{name}_lost": value, f"{name}_lost_low": low, f"{name}_lost_high": high}
        row[f"{name}_keeps_best"] = found.keeps_best[name]
    return row
