"""What is made of a run that has ended: a text, a picture, and how well its models do from h = 0?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs

from nbrnn.corpus import Corpus
from nbrnn.naming import title, unit_of
from nbrnn.runs.evaluation import bigram_loss, mean_loss, unigram_loss
from nbrnn.runs.sampling import sample
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXT_LENGTH = 1000  # characters that the best model writes
# Characters that are scored: no more than a share of those trained on, which takes 2 % of a run's
# time, but enough to tell something.
MOST_SCORED, LEAST_SCORED, SHARE_SCORED = 200_000, 10_000, 0.03
MOST_FOR_LEAST = 2 * 10**9  # multiplications that these may take, of a short run with many units


def with_scores(summary: Summary, last: Checkpoint, best: Checkpoint, corpus: Corpus) -> Summary:
    """Return the summary of a finished run with the losses of its models from h = 0 on.

    A smooth loss tells how a model did that learned as it went, from the state that it was in. These
    tell how it does on the text, or on its beginning, when it no longer learns and knows no state.
    """
    trained = summary.updates * last.config.seq_length * last.config.batch
    m, K = last.theta["U"].shape
    least = min(LEAST_SCORED, MOST_FOR_LEAST // (m * (m + 2 * K)) + 1)
    length = min(MOST_SCORED, max(least, int(SHARE_SCORED * trained)))
    trained_on = best.config.trained_on(len(corpus))
    codes, ngrams = corpus.codes[: min(length + 1, trained_on)], corpus.counts(trained_on)
    score_best = mean_loss(best, codes)
    summary = structs.replace(
        summary,
        score_characters=codes.size - 1,
        score_best=score_best,
        score_final=score_best if last.update == best.update else mean_loss(last, codes),
        score_unigram=unigram_loss(codes, ngrams),
    )
    held_out = corpus.codes[trained_on:]
    if held_out.size == 0:
        return summary
    return structs.replace(
        summary,
        validation_characters=held_out.size - 1,
        validation_unigram=unigram_loss(held_out, ngrams),
        validation_bigram=bigram_loss(held_out, ngrams),
    )


def write_text(folder: RunFolder) -> None:
    """Let the best model write, unless it has."""
    if not folder.has_text():
        folder.write_text(sample(folder.read_checkpoint("best"), TEXT_LENGTH))


def draw_loss(folder: RunFolder) -> None:
    """Draw the loss of a run that has ended, unless the picture is there."""
    if folder.has_plot():
        return
    from nbrnn.plots import save  # matplotlib takes a third of a second

    figure = loss_figure_of(folder)
    folder.write_plot(lambda file: save(figure, file, "png"))


def loss_figure_of(folder: RunFolder, with_baselines: bool = True) -> Figure:
    """Return the picture of a run's loss; of a held-out one with those of models that count.

    Raises StoreError.
    """
    from nbrnn.plots import held_out_figure, loss_figure

    config, corpus = folder.read_config()
    metrics, summary = folder.read_metrics(), folder.read_summary()
    updates, losses = metrics.update, metrics.smooth_loss
    if updates.size and summary.updates > updates[-1] and summary.smooth_loss_final is not None:
        updates = np.append(updates, summary.updates)
        losses = np.append(losses, summary.smooth_loss_final)
    words, updates_per_epoch = title(config, corpus.name), config.updates_per_epoch(corpus.characters)
    if not config.validation:
        best = summary.best_update, summary.smooth_loss_best
        return loss_figure((updates, losses), best, words, updates_per_epoch, unit_of(config))
    looks = folder.read_validation()
    held_out = np.array([looks.update, looks.loss])
    if summary.validation_final is not None and summary.updates > max(looks.update, default=0):
        held_out = np.append(held_out, [[summary.updates], [summary.validation_final]], axis=1)
    counted = {"unigram": summary.validation_unigram, "bigram": summary.validation_bigram}
    baselines = counted if with_baselines else {}
    return held_out_figure(
        (updates, losses / config.characters_in_loss),
        (held_out[0], held_out[1]),
        (summary.best_update, summary.validation_best),
        {name: loss for name, loss in baselines.items() if loss is not None},
        words,
        updates_per_epoch,
    )
