"""The measures of a run: their columns, words and units.

All tables, pages and JSON follow from this list: a new measure is one more row here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter

from nbrnn.naming import PER_CHARACTER, PER_WINDOW
from nbrnn.storage.schemas import COMPLETE, Summary


@dataclass(frozen=True)
class Measure:
    """One number that says how a run went.

    `column` is its name in runs.csv and in JSON, where the columns of configurations begin with it.
    `rank` is its place among the measures by which configurations are compared; 0: it is none.
    """

    column: str
    words: str
    unit: str
    of: Callable[[Summary], float | None]
    rank: int = 0

    def unit_in(self, unit: str) -> str:
        """Return the unit of this measure in tables whose training losses are in `unit`."""
        return unit if self.unit == PER_WINDOW else self.unit


def field(name: str, words: str, unit: str = "", rank: int = 0) -> Measure:
    """Return the measure that is a field of a run's summary."""
    return Measure(name, words, unit, attrgetter(name), rank)


SCORE = field("score_best", "score of the best model from h = 0", PER_CHARACTER)

MEASURES = (
    field("updates", "updates"),
    field("epochs", "epochs"),
    field("smooth_loss_final", "final smooth loss", PER_WINDOW, rank=2),
    field("smooth_loss_best", "smooth loss of the best model", PER_WINDOW, rank=1),
    field("smooth_loss_lowest", "lowest smooth loss", PER_WINDOW),
    field("bits_per_character_final", "final smooth loss", "bits per character"),
    field("bits_per_character_best", "smooth loss of the best model", "bits per character"),
    field("best_update", "update of the best model"),
    SCORE,
    field("score_final", "score of the last model from h = 0", PER_CHARACTER),
    Measure(
        "epoch_mean_loss_last",
        "mean loss of the last epoch",
        PER_WINDOW,
        lambda summary: summary.epoch_mean_loss[-1] if summary.epoch_mean_loss else None,
        rank=3,
    ),
    field("validation_best", "validation loss of the best model", PER_CHARACTER, rank=4),
    field("validation_final", "validation loss of the last model", PER_CHARACTER, rank=5),
    field("seconds", "seconds of training"),
    field("updates_per_second", "updates per second"),
)

TEST = (  # measures that are hidden where configurations are compared, unless they are revealed
    field("test_best", "test loss of the best model", PER_CHARACTER),
    field("test_final", "test loss of the last model", PER_CHARACTER),
)

COMPARED = sorted((measure for measure in MEASURES if measure.rank), key=lambda measure: measure.rank)


def compared(summaries: Iterable[Summary], reveal_test: bool = False) -> list[Measure]:
    """Return the measures by which these runs are compared, the one that ranks them first.

    It is the validation loss where all finished runs have one, and the score from h = 0 where models
    were imported, which have no other. The test loss, if it is revealed, comes last: it ranks nothing.
    """
    summaries = list(summaries)
    finished = [summary for summary in summaries if summary.status in COMPLETE]
    held_out = [measure for measure in COMPARED if measure.column.startswith("validation")]
    others = [measure for measure in COMPARED if measure not in held_out]
    if any(summary.status == "imported" for summary in summaries):
        others = [SCORE, *others]
    if all(measure.of(summary) is None for measure in held_out for summary in summaries):
        held_out = []
    ranks = finished and all(summary.validation_best is not None for summary in finished)
    measures = held_out + others if ranks else others + held_out
    return [*measures, *(TEST if reveal_test else ())]
