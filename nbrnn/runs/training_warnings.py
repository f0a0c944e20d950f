"""Warnings of a text and of a run, each by one rule, with what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nbrnn.config import SETTINGS, RunConfig
from nbrnn.corpus import Corpus
from nbrnn.storage.checkpoint import layout_of
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.run_logs import Metrics, Validation
from nbrnn.storage.schemas import Summary
from nbrnn.typing import Array

MIN_EVALUATIONS = 5  # without a better loss
PATIENCES = (5, 10, 20, 50, 100)
LATE = 0.5  # share of the run that must lie after the best model
MIN_UPDATES = 2_000  # of a run whose smooth loss is judged
RISE = 1.02  # by which the smooth loss must have risen
MIN_ROWS = 20  # of the metrics, by whose second half a learning rate is judged
FAR = 2  # times the loss of uniform guessing: too much even for a shorter run
PASSAGE_BITS = 6
PASSAGE = 2**PASSAGE_BITS  # characters of a repeated passage
MAX_EXAMINED = 2_000_000  # characters of the text
SAMPLED = 1 / 8
MAX_REPEATED = 0.1  # share of the passages


def text_warnings(config: RunConfig, corpus: Corpus) -> Iterator[str]:
    """Yield what is wrong with a text for a run, before it starts."""
    parameters = sum(map(math.prod, layout_of(config, len(corpus.alphabet)).shapes.values()))
    characters = config.trained_on(len(corpus))
    if parameters > characters and not config.dropout:
        see = "" if config.validation else ", and --validation 0.1 to see whether it does"
        yield (
            f"the network has {parameters:,} parameters, more than the {characters:,} characters to "
            f"learn from: it may learn them by heart; give a smaller --hidden or more text{see}"
        )
    repeated = repeated_share(corpus.codes[:MAX_EXAMINED])
    if repeated > MAX_REPEATED:
        yield (
            f"about {repeated:.0%} of the text repeats earlier passages of {PASSAGE} characters: remove "
            "duplicates, or a validation loss will be too low"
        )


def repeated_share(codes: Array) -> float:
    """Return about which share of the passages in codes (N,) occurred before.

    Of all passages the share SAMPLED is compared, chosen by their hashes, so that equal ones are.
    """
    if codes.size <= PASSAGE:
        return 0.0
    rng = np.random.default_rng(0)
    hashes = rng.integers(2**64, size=int(codes.max()) + 1, dtype=np.uint64)[codes]
    for step in range(PASSAGE_BITS):  # from passages of one length to those of twice the length
        factor = rng.integers(2**64, dtype=np.uint64) | np.uint64(1)
        following = hashes[2**step :]
        hashes = hashes[: -(2**step)] * factor
        hashes += following
    sampled = hashes[hashes < SAMPLED * 2**64]
    return 1 - np.unique(sampled).size / max(1, sampled.size)


def run_warning(folder: RunFolder) -> str:
    """Return what is to be warned of in a run that has finished, if anything. Raises StoreError."""
    config, corpus = folder.read_config()
    summary = folder.read_summary()
    if summary.status != "finished":
        return ""
    edge = edge_warning(config, len(corpus.alphabet), folder.read_metrics())
    if edge:  # which explains the others
        return edge
    if config.validation:
        return stagnation_warning(summary, folder.read_validation())
    return rise_warning(summary)


def edge_warning(config: RunConfig, K: int, metrics: Metrics) -> str:
    """Return a warning if the mean loss of the second half of a run is above uniform guessing."""
    rows = metrics.loss.size
    if rows < 2:
        return ""
    loss = float(np.mean(metrics.loss[rows // 2 :])) / config.characters_in_loss
    if loss <= math.log(K) * (1 if rows >= MIN_ROWS else FAR):
        return ""
    smaller = min(config.eta / 10, SETTINGS["eta"].default_in(vars(config)))
    return (
        f"the loss is {loss:.3g} nats per character, above the {math.log(K):.3g} of uniform guessing: "
        f"the learning rate is too large; try --eta {smaller:g}"
    )


def stagnation_warning(summary: Summary, validation: Validation) -> str:
    """Return a warning if the validation loss was lowest long before the end."""
    losses, updates = validation.loss, validation.update
    if losses.size <= MIN_EVALUATIONS:
        return ""
    best = int(np.argmin(losses))
    is_late = updates[best] <= (1 - LATE) * summary.updates
    if losses.size - 1 - best < MIN_EVALUATIONS or not is_late:
        return ""
    warning = (
        f"the validation loss was lowest at update {int(updates[best]):,} of {summary.updates:,} "
        f"({losses[best]:.4f}; at the end {losses[-1]:.4f} nats per character)"
    )
    for patience in PATIENCES:
        last = end_with(patience, losses)
        if best < last < losses.size - 1:
            return (
                f"{warning}: --patience {patience} would have ended it at update {int(updates[last]):,}"
            )
    return f"{warning}: fewer --epochs would have been enough"


def end_with(patience: int, losses: Sequence[float] | Array) -> int:
    """Return the index of the evaluation after which a run with this patience ends."""
    lowest, since = math.inf, 0
    for number, loss in enumerate(losses):
        lowest, since = (loss, 0) if loss < lowest else (lowest, since + 1)
        if since == patience:
            return number
    return len(losses) - 1


def rise_warning(summary: Summary) -> str:
    """Return a warning if the smooth loss was lowest long before the end, and is higher now."""
    best, last = summary.nats_per_character_best, summary.nats_per_character_final
    if best is None or last is None or summary.best_update is None or summary.updates < MIN_UPDATES:
        return ""
    if summary.best_update > (1 - LATE) * summary.updates or last < RISE * best:
        return ""
    return (
        f"the smooth loss was lowest at update {summary.best_update:,} of {summary.updates:,} "
        f"({best:.4f}; at the end {last:.4f} nats per character): "
        "try a smaller --eta, or --schedule linear"
    )
