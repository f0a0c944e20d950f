"""How one experiment proceeds from its start, or from a checkpoint, to its end."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import CorpusError, StoreError, WriteError
from nbrnn.naming import title
from nbrnn.network import compiled
from nbrnn.runs.environment import session
from nbrnn.runs.records import DONE, MetricsRow, Sample, Status, Summary, finite, in_units
from nbrnn.runs.sample import sample
from nbrnn.runs.store import RunFolder
from nbrnn.runs.training import Training, looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHECKPOINT_SECONDS = 10.0  # between two checkpoints
MOST_EPOCHS = 100_000  # their mean losses stand in the header of every checkpoint
FINAL_LENGTH = 1000  # characters that the best model writes in the end
CHUNK_SECONDS = 0.1  # of training in one call of the kernel: how long a signal may have to wait


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    update: int
    updates: int  # of the whole run
    smooth_loss: float
    best_smooth_loss: float
    updates_per_second: float


class Observer:
    """Is told what happens in a run; this one does nothing with it."""

    def started(self, update: int, updates: int) -> None:
        """The run starts, or goes on after `update` updates."""

    def progressed(self, progress: Progress) -> None:
        """Another chunk of updates is done."""

    def sampled(self, sample: Sample) -> None:
        """A sample was drawn."""


def run(
    config: RunConfig,
    corpus: Corpus,
    folder: Path | str,
    *,
    observer: Observer | None = None,
    stop: Callable[[], bool] = lambda: False,
    force: bool = False,
    draw: bool = True,
    command: Sequence[str] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    chunk: int | None = None,
) -> Summary:
    """Train, from the start or from where the folder's last checkpoint is; return the summary.

    A folder with the same run finished is left as it is. `stop` is asked between chunks of updates
    whether to end after a checkpoint, as `interrupted`; `force` starts anew; without `draw` there is
    no picture, which takes as long as some thousand updates; `command` is what the user typed, for
    env.json (this process's own, if none is given); `chunk` fixes the number of updates in a chunk,
    which changes no result. Raises StoreError if the folder holds something else,
    LockedError if another process is at work in it, WriteError if it cannot be written, CorpusError
    for too short a text.
    """
    where = RunFolder(folder)
    windows = corpus.updates_per_epoch(config.seq_length)
    if windows == 0:
        raise CorpusError(
            f"{corpus.name}: {len(corpus)} characters are too few for --seq-length "
            f"{config.seq_length}: at least {config.seq_length + 1} are needed"
        )
    if config.length(windows) / windows > MOST_EPOCHS:
        raise CorpusError(f"{corpus.name}: so many updates are more than {MOST_EPOCHS:,} epochs")
    where.refuse_strangers()
    with where.locked():
        if where.is_run() and not force:
            check_same(where, config, corpus)
        elif where.is_run():
            where.read_config()  # raises StoreError, rather than delete what is not ours
        begun = where.has_checkpoint() and not force
        summary = where.read_summary() if begun else Summary(status="running")
        if summary.status not in DONE or where.read_config()[0] != config:
            typed = sys.argv if command is None else command
            run = Run(
                config, corpus, where, observer or Observer(), stop, typed, checkpoint_seconds, chunk
            )
            summary = run.go(begun)
        if summary.status != "interrupted":
            if not where.has_text():
                where.write_text(sample(where.read_checkpoint("best"), FINAL_LENGTH))
            if draw:
                draw_loss(where)
        return summary


def check_same(folder: RunFolder, config: RunConfig, corpus: Corpus) -> None:
    """Raise StoreError unless the folder holds this run, or its beginning."""
    there, corpus_there = folder.read_config()
    if corpus_there.sha256 != corpus.sha256:
        raise StoreError(
            f"{folder} holds a run on another text ({corpus_there.name}): give another --out, or --force"
        )
    if not there.same_but_length(config):
        ours, theirs = config.to_dict(), there.to_dict()
        different = ", ".join(
            f"{name} {theirs[name]}"
            for name in ours
            if ours[name] != theirs[name] and name not in ("epochs", "updates")
        )
        raise StoreError(f"{folder} holds another run, with {different}: give another --out, or --force")


class Run:
    """A training with its folder: what is written, and when."""

    def __init__(
        self,
        config: RunConfig,
        corpus: Corpus,
        folder: RunFolder,
        observer: Observer,
        stop: Callable[[], bool],
        command: Sequence[str],
        checkpoint_seconds: float,
        chunk: int | None,
    ) -> None:
        self.folder, self.observer, self.stop, self.command = folder, observer, stop, command
        self.checkpoint_seconds, self.chunk = checkpoint_seconds, chunk
        self.config, self.corpus = config, corpus
        self.seconds = 0.0
        self.rows: list[MetricsRow] = []
        self.samples: list[Sample] = []
        self.best_written = -1  # the update of the best model on disk
        try:
            self.training = Training(config, corpus)
        except MemoryError:
            raise CorpusError("not enough memory for so many hidden units or characters") from None

    def go(self, begun: bool) -> Summary:
        """Train to the end, or until stopped; return the summary. `begun`: from the checkpoint on."""
        if begun:
            self.restore()
        compiled.ready_to_train(self.config.dtype)
        self.observer.started(self.training.update, self.training.updates)
        if begun:
            self.folder.clear_outcome()
            # first, so that no moment shows the new length as finished
            self.folder.write_summary(self.summary("running"))
            self.folder.write_config(self.config, self.corpus.describe())
            self.folder.write_env(session(self.command))
        else:
            self.begin()
        status = self.train()
        return self.end(status)

    def restore(self) -> None:
        """Go back to the last checkpoint in the folder."""
        last, best = self.folder.read_checkpoint("last"), self.folder.read_checkpoint("best")
        for checkpoint in (last, best):
            if not (
                checkpoint.config.same_but_length(self.config)
                and checkpoint.corpus_sha256 == self.corpus.sha256
            ):
                raise StoreError(f"{self.folder}: its checkpoints belong to another run")
        done = max(last.update, best.update)
        if done > self.training.updates:
            raise StoreError(
                f"{self.folder} has done {done:,} updates of this run already, more than "
                f"{self.training.updates:,}: give a larger number, or another folder"
            )
        self.training.restore(last, best)
        if best.update > last.update:
            # Killed between the two: the best model is of a later moment, and comes again in time.
            self.best_written = self.training.carry.best_update
        elif best.update != self.training.carry.best_update:
            raise StoreError(f"{self.folder}: its two checkpoints do not belong together")
        elif best.config == self.config:
            self.best_written = best.update
        every = self.config.sample_every
        self.folder.clear_unfinished()
        self.folder.cut_series(
            last.update,
            rows=len(looks(0, last.update)),
            samples=1 + last.update // every if every else 0,
        )
        self.seconds = self.folder.read_summary().seconds

    def begin(self) -> None:
        """Write the files of a new run, and a checkpoint of its start."""
        self.folder.clear()
        self.folder.write_config(self.config, self.corpus.describe())
        self.folder.write_env(session(self.command))
        self.folder.write_ngrams(self.corpus.counts)
        self.folder.begin_series()
        self.sample_when_due()
        self.commit("running")

    def train(self) -> Status:
        """Do all updates that are left; return the status that they end in."""
        training = self.training
        size, last_commit = 1, time.monotonic()
        updates_before, seconds_before = training.update, self.seconds
        while training.update < training.updates:
            if self.stop():
                return "interrupted"
            start = time.perf_counter()
            size = min(self.chunk or size, self.updates_to_next_event())
            self.rows += training.advance(size)
            spent = time.perf_counter() - start
            self.seconds += spent
            if training.diverged:
                return "diverged"
            self.sample_when_due()
            size = max(1, min(2 * size, int(size * CHUNK_SECONDS / spent)))
            self.observer.progressed(
                Progress(
                    update=training.update,
                    updates=training.updates,
                    smooth_loss=training.carry.smooth,
                    best_smooth_loss=training.carry.best_smooth,
                    updates_per_second=(training.update - updates_before)
                    / (self.seconds - seconds_before),
                )
            )
            if time.monotonic() - last_commit > self.checkpoint_seconds:
                self.commit("running")
                last_commit = time.monotonic()
        return "finished" if training.is_finite() else "diverged"

    def updates_to_next_event(self) -> int:
        """Return how many updates are left to the next sample, epoch's end, or the run's end."""
        training, every = self.training, self.config.sample_every
        to_sample = every - training.update % every if every else training.updates
        to_epoch = training.updates_per_epoch - training.window
        return min(to_sample, to_epoch, training.updates - training.update)

    def sample_when_due(self) -> None:
        """Draw a sample if it is time for one."""
        every = self.config.sample_every
        if every and self.training.update % every == 0:
            self.samples.append(self.training.sample())
            self.observer.sampled(self.samples[-1])

    def commit(self, status: Status) -> None:
        """Bring the folder to this moment. Raises WriteError; a checkpoint before survives.

        Parameters that are not finite are not written: the loss will show it at the next update.
        """
        training = self.training
        if not training.is_finite():
            return
        try:
            self.folder.append_metrics(self.rows)
            self.folder.append_samples(self.samples)
            self.rows, self.samples = [], []
            if training.carry.best_update != self.best_written:
                theta = training.layout.views(training.buffers.best)
                carry = training.carry
                best = training.checkpoint(theta, carry.best_update, carry.best_smooth)
                self.folder.write_checkpoint("best", best)
                self.best_written = training.carry.best_update
            self.folder.write_checkpoint("last", training.last())
            self.folder.write_summary(self.summary(status))
        except WriteError as error:
            if not self.folder.has_checkpoint():
                raise
            raise WriteError(
                f"{error}; the checkpoint before is whole: --resume {self.folder} goes on from it"
            ) from None

    def end(self, status: Status) -> Summary:
        """Write the last checkpoint and the summary; return the summary."""
        self.commit(status)
        if not self.training.is_finite():  # nor may the best model be: it is the one on disk
            best = self.folder.read_checkpoint("best")
            known = math.inf if best.smooth_loss is None else best.smooth_loss
            carry = self.training.carry._replace(best_smooth=known, best_update=best.update)
            self.training.carry = carry
        summary = self.summary(status)
        if status == "diverged":
            self.folder.append_metrics(self.rows)
            self.folder.append_samples(self.samples)
            self.folder.write_summary(summary)
        return summary

    def summary(self, status: Status) -> Summary:
        """Return what summary.json says."""
        training, T = self.training, self.config.seq_length
        carry = training.carry
        final, best = in_units(carry.smooth / T), in_units(carry.best_smooth / T)
        summary = Summary(
            status=status,
            updates=training.update,
            epochs=training.update / training.updates_per_epoch,
            smooth_loss_final=finite(carry.smooth),
            nats_per_character_final=final.nats_per_character,
            bits_per_character_final=final.bits_per_character,
            perplexity_final=final.perplexity,
            smooth_loss_best=finite(carry.best_smooth),
            nats_per_character_best=best.nats_per_character,
            bits_per_character_best=best.bits_per_character,
            perplexity_best=best.perplexity,
            best_update=carry.best_update if training.update else None,
            epoch_mean_loss=list(training.epoch_mean_loss),
            seconds=self.seconds,
            updates_per_second=training.update / self.seconds if self.seconds else None,
        )
        if status != "diverged":
            return summary
        at = training.update + training.diverged  # the one that was refused, or the last one done
        reason = f"update {at}: loss or weights not finite, or too large to mean anything"
        return structs.replace(summary, diverged_at=at, reason=reason)


def draw_loss(folder: RunFolder) -> None:
    """Draw the loss of a run that has ended, unless the picture is there."""
    if folder.has_plot():
        return
    from nbrnn.plots import save  # matplotlib takes a third of a second

    figure = loss_figure_of(folder)
    folder.write_plot(lambda file: save(figure, file, "png"))


def loss_figure_of(folder: RunFolder) -> Figure:
    """Return the picture of a run's loss. Raises StoreError."""
    from nbrnn.plots import loss_figure

    config, corpus = folder.read_config()
    metrics, summary = folder.read_metrics(), folder.read_summary()
    return loss_figure(
        (metrics.update, metrics.smooth_loss),
        (summary.best_update, summary.smooth_loss_best),
        title(config, corpus.name),
        corpus.updates_per_epoch(config.seq_length),
    )
