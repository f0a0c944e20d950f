"""How well does the best model predict, from h = 0 and from the state that was kept with it?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nbrnn.corpus import Corpus
from nbrnn.runs.evaluation import bigram_loss, mean_loss, unigram_loss
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.storage.schemas import Summary
from nbrnn.typing import Array

MOST_READ = 200_000  # characters of the training text
BEGINNING, HELD_OUT = "training text, beginning", "held-out text"


class Losses(NamedTuple):
    """Losses on one text, read once, in nats for each of its characters; None where they are not known.

    Of the best model from h = 0 and from its kept state, and of models that count.
    """

    text: str
    characters: int
    zero: float | None
    kept: float | None
    unigram: float | None
    bigram: float | None


def losses_of(
    model: Checkpoint, corpus: Corpus, ngrams: Mapping[str, Array], summary: Summary
) -> list[Losses]:
    """Return the losses on the beginning of what was trained on, and on what was held out."""
    trained_on = model.config.trained_on(len(corpus))
    length = summary.score_characters or MOST_READ
    texts = {BEGINNING: corpus.codes[: min(length + 1, trained_on)]}
    if model.config.validation:
        texts[HELD_OUT] = corpus.codes[trained_on:]
    rows = []
    for name, codes in texts.items():
        if codes.size < 2:
            continue
        kept = None if model.h_prev is None else mean_loss(model, codes, state="kept")
        counted = [loss(codes, ngrams) if ngrams else None for loss in (unigram_loss, bigram_loss)]
        rows.append(Losses(name, codes.size - 1, mean_loss(model, codes), kept, *counted))
    return rows


def losses_in(summary: Summary) -> list[Losses]:
    """Return what the summary of a run says of these, where its text is not at hand."""
    rows = []
    if summary.score_characters:
        losses = summary.score_best, None, summary.score_unigram, None
        rows.append(Losses(BEGINNING, summary.score_characters, *losses))
    if summary.validation_characters:
        counted = summary.validation_unigram, summary.validation_bigram
        best = summary.validation_best
        rows.append(Losses(HELD_OUT, summary.validation_characters, best, None, *counted))
    return rows
