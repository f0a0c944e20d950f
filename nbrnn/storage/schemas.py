"""What is said of a run and of a sweep in their files, as types that reading decodes strictly."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from nbrnn.corpus import Description

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Status = Literal["running", "finished", "interrupted", "diverged", "failed", "imported", "dropped"]

DONE: tuple[Status, ...] = ("finished", "diverged", "imported")  # which do not go on
COMPLETE: tuple[Status, ...] = ("finished", "imported")  # which have their final model
FAILURES: tuple[Status, ...] = ("diverged", "failed")
DROPPED: Status = "dropped"  # of a run as its sweep sees it; to itself it is finished, only shorter


class Summary(Struct, frozen=True, kw_only=True):
    """What came out of a run so far: `summary.json`. None is what it has not, or what is not finite.

    Smooth losses are nats per window (of the mean loss: per character), of the last update and of the
    best model. Scores are nats per character over the first characters of the text, read once from h = 0
    on: of the best and the last model, and of one that knows how often each character occurs. The same
    over the held-out text are `validation_...`, also of a model that knows how often pairs do.
    """

    status: Status
    updates: Count = 0
    epochs: float = 0.0
    smooth_loss_final: float | None = None
    nats_per_character_final: float | None = None
    bits_per_character_final: float | None = None
    perplexity_final: float | None = None
    smooth_loss_best: float | None = None
    nats_per_character_best: float | None = None
    bits_per_character_best: float | None = None
    perplexity_best: float | None = None
    best_update: Count | None = None
    epoch_mean_loss: list[float] = []
    score_characters: Count | None = None
    score_best: float | None = None
    score_final: float | None = None
    score_unigram: float | None = None
    validation_characters: Count | None = None
    validation_best: float | None = None
    validation_final: float | None = None
    validation_unigram: float | None = None
    validation_bigram: float | None = None
    seconds: float = 0.0
    updates_per_second: float | None = None
    diverged_at: Count | None = None
    reason: str | None = None
    traceback: str | None = None

    @property
    def is_lost_from_zero(self) -> bool:
        """Whether the best model, started from h = 0, is worse than counting, against its smooth loss.

        The dynamics may have several attractors, and h = 0 lead to another than training followed.
        """
        losses = self.score_best, self.score_unigram, self.nats_per_character_best
        best, unigram, smooth = (math.nan if loss is None else loss for loss in losses)
        return best > unigram > smooth

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; what only some ends have is left out of the others."""
        values = msgspec.structs.asdict(self)
        return {name: v for name, v in values.items() if v is not None or name not in OF_SOME_ENDS}


OF_SOME_ENDS = (
    *("score_characters", "score_best", "score_final", "score_unigram"),
    *("validation_characters", "validation_best", "validation_final"),
    *("validation_unigram", "validation_bigram"),
    *("diverged_at", "reason", "traceback"),
)


class Sample(Struct, frozen=True, kw_only=True):
    """A text that the model of some update wrote: a line of `samples.jsonl`."""

    update: Count
    epoch: Count
    smooth_loss: float | None
    text: str


class MetricsRow(NamedTuple):
    """A row of `metrics.csv`: an update, counted from 1, with its loss.

    In nats per window, or with the mean loss per character; of several windows the mean.
    """

    update: int
    epoch: int
    loss: float
    smooth_loss: float


class ValidationRow(NamedTuple):
    """A row of `validation.csv`: the held-out loss after an update, in nats per character."""

    update: int
    epoch: int
    loss: float


class Start(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """With what a run was started: `env.json`, with later starts of the same run in `resumed`."""

    nbrnn: str
    python: str
    numpy: str
    numba: str
    llvm: str
    cpu: str
    cpu_target: str
    cpus: int | None
    platform: str
    git_commit: str | None
    command: list[str]
    started: str
    resumed: list[Start] = []


class Standing(Struct, frozen=True, kw_only=True):
    """How a configuration stood in a round: the mean of the best losses of its runs after `update`.

    In nats per character, held-out where all runs hold text out, else smooth; None where a run has none,
    because it diverged.
    """

    runs: list[str]
    update: Count
    loss: float | None


class Round(Struct, frozen=True, kw_only=True):
    """What successive halving decided, the lowest loss first.

    `share` of the updates is what was aimed at: the next look of each run is the `update` of a standing.
    """

    share: float
    kept: list[Standing]
    dropped: list[Standing]

    @property
    def dropped_runs(self) -> set[str]:
        """The ids of the runs that do not go on."""
        return {run_id for standing in self.dropped for run_id in standing.runs}


class Halving(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the worse configurations of a sweep are dropped, and what was decided so far.

    In each round the best of them, one in `rate`, go on to `rate` times as many updates. `start` is the
    smallest share of the updates after which any are dropped; without it as many rounds come before the
    last one as leave a single configuration, where runs are looked at often enough.
    """

    rate: int
    start: float | None = None
    rounds: list[Round] = []


class SweepRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a sweep was asked for: an entry of `sweep.json`."""

    corpus: Description
    settings: dict[str, list[Any]]
    seeds: list[int]
    random: int | None
    sweep_seed: int | None
    runs: list[str]
    command: list[str]
    halving: Halving | None = None

    def is_as(self, other: SweepRequest) -> bool:
        """Whether the same is asked for, whatever was typed and decided since."""
        return self.asked() == other.asked()

    def asked(self) -> SweepRequest:
        """Return what is asked for alone."""
        halving = self.halving and msgspec.structs.replace(self.halving, rounds=[])
        return msgspec.structs.replace(self, command=[], halving=halving)


class SweepFile(Struct, frozen=True, kw_only=True):
    """The content of `sweep.json`."""

    schema: int
    requests: list[SweepRequest]


class Units(NamedTuple):
    """A loss per character in its units; None where it is not finite or beyond float64."""

    nats_per_character: float | None
    bits_per_character: float | None
    perplexity: float | None


def in_units(nats: float) -> Units:
    """Return a loss in nats per character in all its units."""
    return Units(finite(nats), finite(nats / math.log(2)), math.exp(nats) if nats < 700 else None)


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it."""
    return value if math.isfinite(value) else None
