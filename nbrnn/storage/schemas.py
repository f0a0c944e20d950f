"""What the files of a run and of a sweep hold, as types that are decoded strictly."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from nbrnn.corpus import Description

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Status = Literal["running", "finished", "interrupted", "diverged", "failed", "imported", "dropped"]

DONE: tuple[Status, ...] = ("finished", "diverged", "imported")  # which do not resume
COMPLETE: tuple[Status, ...] = ("finished", "imported")  # which have their final model
FAILURES: tuple[Status, ...] = ("diverged", "failed")
DROPPED: Status = "dropped"  # as its sweep sees a run; its own summary says `finished`


class Summary(Struct, frozen=True, kw_only=True):
    """The result of a run so far: `summary.json`. None stands for what is missing or not finite.

    Smooth losses are in nats per window (with the mean loss: per character): after the last update, at
    the best model, and, where text is held out, so that the two may differ, the lowest one. Scores are
    nats per character over the first characters of the text, read once from h = 0: of the best and the
    last model, and of the unigram baseline. `validation_...` and `test_...` are the same over the
    validation and the test part, also of the bigram baseline.
    """

    status: Status
    updates: Count = 0
    epochs: float = 0.0
    smooth_loss_final: float | None = None
    nats_per_character_final: float | None = None
    bits_per_character_final: float | None = None
    perplexity_final: float | None = None
    smooth_loss_best: float | None = None
    smooth_loss_lowest: float | None = None
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
    test_characters: Count | None = None
    test_best: float | None = None
    test_final: float | None = None
    test_unigram: float | None = None
    test_bigram: float | None = None
    seconds: float = 0.0
    updates_per_second: float | None = None
    diverged_at: Count | None = None
    reason: str | None = None
    traceback: str | None = None

    @property
    def is_lost_from_zero(self) -> bool:
        """Return whether the best model, from h = 0, is worse than unigrams, unlike its smooth loss.

        The dynamics may have several attractors, and h = 0 lead to another than training followed.
        """
        losses = self.score_best, self.score_unigram, self.nats_per_character_best
        best, unigram, smooth = (math.nan if loss is None else loss for loss in losses)
        return best > unigram > smooth

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, without the optional fields that are None."""
        values = msgspec.structs.asdict(self)
        return {name: v for name, v in values.items() if v is not None or name not in OPTIONAL_FIELDS}


OPTIONAL_FIELDS = (
    *(n for n in Summary.__struct_fields__ if n.startswith(("score_", "validation_", "test_"))),
    *("smooth_loss_lowest", "diverged_at", "reason", "traceback"),
)


class Sample(Struct, frozen=True, kw_only=True):
    """A sample of the model after an update: a line of `samples.jsonl`."""

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
    """A row of `validation.csv`: the validation loss after an update, in nats per character."""

    update: int
    epoch: int
    loss: float


class Environment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The software and the machine of a run: `env.json`, with those of each resumption in `resumed`."""

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
    resumed: list[Environment] = []


class HalvingLoss(Struct, frozen=True, kw_only=True):
    """The loss of a configuration in a round: the mean of the best losses of its runs up to `update`.

    In nats per character, held-out where all runs hold text out, else smooth; None where a run diverged
    before its first loss.
    """

    runs: list[str]
    update: Count
    loss: float | None


class Round(Struct, frozen=True, kw_only=True):
    """What successive halving decided, the lowest loss first.

    `share` of the updates is the aim; the `update` of a configuration is the next one with a loss.
    """

    share: float
    kept: list[HalvingLoss]
    dropped: list[HalvingLoss]

    @property
    def dropped_runs(self) -> set[str]:
        """The ids of the runs that are dropped."""
        return {run_id for configuration in self.dropped for run_id in configuration.runs}


class Halving(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the worse configurations of a sweep are dropped, and what was decided so far.

    After each round the best of them, one in `rate`, continue to `rate` times as many updates. `start`
    is the smallest share of the updates after which any are dropped; without it there are as many rounds
    as leave a single configuration for the last one, where runs have losses often enough.
    """

    rate: int
    start: float | None = None
    rounds: list[Round] = []


class SweepRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a user asked of a sweep: an entry of `sweep.json`."""

    corpus: Description
    settings: dict[str, list[Any]]
    seeds: list[int]
    random: int | None
    sweep_seed: int | None
    runs: list[str]
    command: list[str]
    halving: Halving | None = None
    folds: list[int] = []  # without it fold 0

    def is_same_as(self, other: SweepRequest) -> bool:
        """Return whether two requests differ at most in the typed command and the decisions since."""

        def compared(request: SweepRequest) -> SweepRequest:
            halving = request.halving and msgspec.structs.replace(request.halving, rounds=[])
            return msgspec.structs.replace(request, command=[], halving=halving)

        return compared(self) == compared(other)


class SweepFile(Struct, frozen=True, kw_only=True):
    """The content of `sweep.json`."""

    schema: int
    requests: list[SweepRequest]


class Reveal(Struct, frozen=True, kw_only=True):
    """That somebody looked at the test part in a comparison: a line of `test_reveals.jsonl`."""

    date: str  # ISO 8601, in UTC
    command: list[str]


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
