"""Which measures of a run are there: their columns, their names in words, their units?

All tables, pages and JSON follow from this one: a new measure is one more row here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from nbrnn.runs.records import Summary

PER_WINDOW, PER_CHARACTER = "nats per window", "nats per character"

Value = float | None  # None is what a run has not (yet)


@dataclass(frozen=True)
class Measure:
    """One number that says how a run went.

    `column` is its name in runs.csv and in JSON, where the columns of configurations begin with it.
    `rank` is its place among the measures by which configurations are compared; 0: it is none.
    """

    column: str
    words: str
    unit: str
    of: Callable[[Summary], Value]
    rank: int = 0


def field(name: str, words: str, unit: str = "", rank: int = 0) -> Measure:
    """Return the measure that is a field of a run's summary."""
    return Measure(name, words, unit, attrgetter(name), rank)


def last_epoch(summary: Summary) -> Value:
    """Return the mean loss of the last whole epoch."""
    return summary.epoch_mean_loss[-1] if summary.epoch_mean_loss else None


MEASURES = (
    field("updates", "updates"),
    field("epochs", "epochs"),
    field("smooth_loss_final", "final smooth loss", PER_WINDOW, rank=2),
    field("smooth_loss_best", "best smooth loss", PER_WINDOW, rank=1),
    field("bits_per_character_final", "final smooth loss", "bits per character"),
    field("bits_per_character_best", "best smooth loss", "bits per character"),
    field("best_update", "update of the best model"),
    field("score_best", "score of the best model from h = 0", PER_CHARACTER),
    field("score_final", "score of the last model from h = 0", PER_CHARACTER),
    Measure("epoch_mean_loss_last", "mean loss of the last epoch", PER_WINDOW, last_epoch, rank=3),
    field("seconds", "seconds of training"),
    field("updates_per_second", "updates per second"),
)

COMPARED = sorted((measure for measure in MEASURES if measure.rank), key=lambda measure: measure.rank)
BEST = COMPARED[0]  # by which configurations are ranked
