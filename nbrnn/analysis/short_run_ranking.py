"""Whether short runs rank configurations as long ones do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from nbrnn.typing import Array

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

LossPairs = dict[Any, list[tuple[float, float]]]  # short and long loss of each run, by configuration


@dataclass(frozen=True)
class LengthRun:
    """A finished run: its experiment apart from length and seed, and its loss."""

    key: tuple[RunConfig, str]
    record: RunRecord
    loss: float  # at its end, in the unit of the table
    scale: float  # of the losses in its files, to that unit

    @property
    def length(self) -> tuple[str, int]:
        """Its length and the unit of that."""
        config = self.record.config
        return ("epochs", config.epochs or 0) if config.updates is None else ("updates", config.updates)

    @property
    def updates(self) -> int:
        """Its length in updates."""
        return self.record.config.length(self.record.corpus.characters)

    def loss_after(self, share: float, measure: str) -> float | None:
        """Return the best loss after a share of its updates; None before the first evaluation."""
        record, until = self.record, share * self.updates
        if measure == HELD_OUT:
            return best_after(record.looks, record.held_out_losses, until)
        if not ((record.updates > 1) & (record.updates <= until)).any():
            return None  # the first update alone says nothing
        best = best_after(record.updates, record.smooth_losses, until)
        return None if best is None else best * self.scale


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
    runs = [
        LengthRun(key, record, loss, record.scale(training_unit))
        for record, loss in zip(records, losses, strict=True)
        if record.is_complete and not record.is_imported and np.isfinite(loss)
        if (key := key_of(record)) not in diverged
    ]
    dropped = any(record.summary.status == DROPPED for record in records)
    results = [*by_lengths(runs), *(by_history(runs, measure) if not dropped else ())]
    rows = [
        {"measure": measure, "by": by, "short": short, "long": long, "unit": unit, **agreement_row(both)}
        for by, short, long, both in results
        if MIN_CONFIGURATIONS <= len(both) <= MAX_CONFIGURATIONS
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def key_of(record: RunRecord) -> tuple[RunConfig, str]:
    """Return what experiments have in common that differ in length, seed and fold."""
    return replace(record.config.configuration, epochs=None, updates=0), record.corpus.sha256


def by_lengths(runs: Sequence[LengthRun]) -> Iterator[tuple[str, float, float, LossPairs]]:
    """Return the pairs of lengths that were swept."""
    for by in ("epochs", "updates"):
        losses: dict[int, dict[Any, dict[Any, float]]] = {}  # by length, configuration, seed and fold
        for run in runs:
            if run.length[0] == by:
                of_length = losses.setdefault(run.length[1], {})
                of_length.setdefault(run.key, {})[replicate_name(run.record.config)] = run.loss
        lengths = sorted(losses)
        pairs = list(combinations(lengths, 2))
        if len(lengths) > MAX_LENGTHS:
            pairs = [(length, lengths[-1]) for length in lengths[:-1]]
        for short, long in pairs:
            both = {
                key: [(loss, after[seed]) for seed, loss in before.items() if seed in after]
                for key, before in losses[short].items()
                for after in [losses[long].get(key, {})]
            }
            yield by, short, long, {key: pairs for key, pairs in both.items() if pairs}


def by_history(runs: Sequence[LengthRun], measure: str) -> Iterator[tuple[str, float, float, LossPairs]]:
    """Return the beginnings of the longest runs of each configuration."""
    if measure not in (HELD_OUT, SMOOTH):
        return
    longest: dict[Any, int] = {}
    keys = [(run.key, run.record.config.fold) for run in runs]  # an epoch of another fold may be shorter
    for key, run in zip(keys, runs, strict=True):
        longest[key] = max(run.updates, longest.get(key, 0))
    runs = [
        run
        for key, run in zip(keys, runs, strict=True)
        if run.updates == longest[key] and run.record.config.schedule == "constant"
    ]
    for share in BEGINNINGS:
        both: LossPairs = {}
        for run in runs:
            if (loss := run.loss_after(share, measure)) is None:
                break  # runs are too short for that
            both.setdefault(run.key, []).append((loss, run.loss))
        else:
            yield "share", share, 1.0, both


def agreement_row(pairs: LossPairs) -> dict[str, Any]:
    """Return the columns of the agreement of two rankings."""
    both: list[Array] = [np.array(losses).T for losses in pairs.values()]
    result = agreement([losses[0] for losses in both], [losses[1] for losses in both])
    row: dict[str, Any] = {"configurations": len(both), "runs": sum(losses.shape[1] for losses in both)}
    ranges = {"spearman": result.spearman, "kendall": result.kendall}
    ranges |= {f"{name}_lost": regret for name, regret in result.regrets.items()}
    for name, (value, low, high) in ranges.items():
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return row | {f"{name}_keeps_best": share for name, share in result.keeps_best.items()}
