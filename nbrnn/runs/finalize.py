"""What is made of a run at its end: the summary, scores from h = 0, a sample, a picture."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.naming import title, unit_of
from nbrnn.runs.evaluation import bigram_loss, mean_loss, mean_over, unigram_loss
from nbrnn.runs.sampling import sample
from nbrnn.runs.training_state import Training
from nbrnn.storage.checkpoint import Checkpoint, HeldOutLosses
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Status, Summary, finite, in_units

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXT_LENGTH = 1000  # characters of the final sample
# Scored characters: at most 3 % of those trained on, which takes 2 % of a run's time, but, where that
# takes no more multiplications than these, enough for two digits.
MAX_SCORED, MIN_SCORED, SCORED_SHARE = 200_000, 10_000, 0.03
MAX_MULTIPLICATIONS = 2 * 10**9


def summarize(training: Training, seconds: float, status: Status) -> Summary:
    """Return what summary.json says of a training at this moment, but for the scores."""
    carry, config = training.carry, training.config
    losses = training.validation or HeldOutLosses()
    summary = Summary(
        status=status,
        updates=training.update,
        epochs=training.update / training.updates_per_epoch,
        **smooth_loss_fields("final", carry.smooth, config),
        epoch_mean_loss=list(training.epoch_mean_loss),
        validation_best=losses.best,
        validation_final=losses.last,
        seconds=seconds,
        updates_per_second=training.update / seconds if seconds else None,
    )
    if status == "diverged":
        at = training.update + training.diverged  # the one that was refused, or the last one done
        reason = f"at update {at:,} the loss or a weight became infinite, NaN or too large"
        summary = structs.replace(summary, diverged_at=at, reason=reason)
    elif status == "finished" and training.update < training.updates:
        losses_without = f"{config.patience} validation losses without a better one"
        summary = structs.replace(summary, reason=f"ended early after {losses_without}")
    return with_best(summary, config, carry.best_smooth, carry.best_update)


def with_best(summary: Summary, config: RunConfig, smooth_loss: float, update: int) -> Summary:
    """Return a summary with the smooth loss and the update of the best model."""
    fields = smooth_loss_fields("best", smooth_loss, config)
    return structs.replace(summary, **fields, best_update=update if summary.updates else None)


def smooth_loss_fields(model: str, smooth_loss: float, config: RunConfig) -> dict[str, Any]:
    """Return the fields of a summary with the smooth loss of the `best` or the `final` model."""
    units = in_units(smooth_loss / config.characters_in_loss)._asdict()
    values = {"smooth_loss": finite(smooth_loss), **units}
    return {f"{name}_{model}": value for name, value in values.items()}


def with_scores(summary: Summary, last: Checkpoint, best: Checkpoint, corpus: Corpus) -> Summary:
    """Return the summary of a finished run with the losses of its models, read once from h = 0.

    Only here is the test part read, by the best and by the last model.

    The smooth loss is of a model that was still learning, from the state that training had left.
    """
    trained = summary.updates * last.config.seq_length * last.config.batch
    least = min(MIN_SCORED, MAX_MULTIPLICATIONS // last.layout.multiply_adds + 1)
    length = min(MAX_SCORED, max(least, int(SCORED_SHARE * trained)))
    parts = best.config.parts(len(corpus))
    ngrams = corpus.counts(parts.training)
    stretches = {
        "score": [corpus.stretches(parts.training)[0][: length + 1]],
        "validation": corpus.stretches(parts.validation),
        "test": corpus.stretches(parts.test),
    }
    fields: dict[str, Any] = {}
    for name, codes in stretches.items():
        if not codes:
            continue
        fields[f"{name}_characters"] = sum(stretch.size - 1 for stretch in codes)
        if name != "validation":  # whose losses are those of the training
            loss = fields[f"{name}_best"] = mean_over(codes, partial(mean_loss, best))
            if last.update != best.update:
                loss = mean_over(codes, partial(mean_loss, last))
            fields[f"{name}_final"] = loss
        fields[f"{name}_unigram"] = mean_over(codes, lambda stretch: unigram_loss(stretch, ngrams))
        if name != "score":
            fields[f"{name}_bigram"] = mean_over(codes, lambda stretch: bigram_loss(stretch, ngrams))
    return structs.replace(summary, **fields)


def write_text(folder: RunFolder) -> None:
    """Write a sample of the best model, unless it is there."""
    if not folder.has_text():
        folder.write_text(sample(folder.read_checkpoint("best"), TEXT_LENGTH))


def draw_loss(folder: RunFolder) -> None:
    """Draw the loss of a run that has ended, unless the picture is there.

    Deletes what a killed process left of it: call it with the folder locked.
    """
    folder.clear_unfinished()
    if folder.has_plot():
        return
    from nbrnn.run_plots import save  # matplotlib takes a third of a second

    figure = loss_figure_of(folder)
    folder.write_plot(lambda file: save(figure, file, "png"))


def loss_figure_of(folder: RunFolder, with_baselines: bool = True) -> Figure:
    """Return the picture of a run's loss; of a held-out one with those of models that count.

    Raises StoreError.
    """
    from nbrnn.run_plots import held_out_figure, loss_figure

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
    validation = folder.read_validation()
    held_out = np.array([validation.update, validation.loss])
    if summary.validation_final is not None and summary.updates > max(validation.update, default=0):
        held_out = np.append(held_out, [[summary.updates], [summary.validation_final]], axis=1)
    baselines = {"unigram": summary.validation_unigram, "bigram": summary.validation_bigram}
    return held_out_figure(
        (updates, losses / config.characters_in_loss),
        (held_out[0], held_out[1]),
        (summary.best_update, summary.validation_best),
        {name: loss for name, loss in baselines.items() if with_baselines and loss is not None},
        words,
        updates_per_epoch,
    )
