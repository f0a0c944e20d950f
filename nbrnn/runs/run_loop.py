"""How does one experiment proceed from its start, or from a checkpoint, to its end?"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import structs

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import CorpusError, StoreError, WriteError
from nbrnn.runs.background_writer import WriteBehind
from nbrnn.runs.finalize import with_scores
from nbrnn.runs.observer import Observer, Progress
from nbrnn.runs.provenance import start_of
from nbrnn.runs.training_state import Training, looks, make_ready
from nbrnn.storage.append_logs import GROWING, METRICS, SAMPLES, VALIDATION, growing
from nbrnn.storage.checkpoint import Checkpoint, HeldOut, Kind
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import MetricsRow, Sample, Status, Summary, ValidationRow, finite, in_units

CHECKPOINT_SECONDS = 10.0  # between two checkpoints
CHUNK_SECONDS = 0.1  # of training in one call of the kernel: how long a signal may have to wait


class Execution:
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
        self.validations: list[ValidationRow] = []
        self.samples: list[Sample] = []
        self.best_written = -1  # the update of the best model on disk
        self.ahead: Checkpoint | None = None  # a best model on disk that is of a later moment
        self.sha256 = {name: hashlib.sha256() for name in growing(config)}
        self.behind = WriteBehind()
        try:
            self.training = Training(config, corpus)
        except MemoryError:
            raise CorpusError("not enough memory for so many hidden units or characters") from None

    def go(self, begun: bool) -> Summary:
        """Train to the end, or until stopped; return the summary. `begun`: from the checkpoint on."""
        if begun:
            self.restore()
        make_ready(self.config)
        self.observer.started(self.training.update, self.training.updates)
        if begun:
            self.folder.clear_outcome()
            # first, so that no moment shows the new length as finished
            self.progress_writer()()
            self.folder.write_config(self.config, self.corpus.describe())
            self.folder.write_env(start_of(self.command))
        with self.behind:
            if not begun:
                self.begin()
            return self.end(self.train())

    def restore(self) -> None:
        """Go back to the last checkpoint in the folder."""
        last, best = self.folder.read_model("last"), self.folder.read_model("best")
        if set(last.memory) != set(self.training.memory_names):
            raise StoreError(f"{self.folder}: its last checkpoint is of another optimizer")
        refuse_shorter(self.folder, self.training.updates, last, best)
        self.training.restore(last, best)
        if last.looked:
            pass  # the best model on disk is that of the run's end before, and does not count any more
        elif best.update > last.update:
            # Killed between the two: the best model is of a later moment, and comes again in time.
            # Until then it is on disk, and the buffer only holds its place.
            self.ahead, self.best_written = best, self.training.carry.best_update
        elif best.update != self.training.carry.best_update:
            raise StoreError(f"{self.folder}: its two checkpoints do not belong together")
        elif best.config == self.config:
            self.best_written = best.update
        self.restore_series(last)
        self.folder.repair_ngrams(self.config, self.corpus)
        self.seconds = self.folder.read_summary().seconds

    def restore_series(self, last: Checkpoint) -> None:
        """Cut the files that grow back to the checkpoint, of whose run they must be."""
        every, state = self.config.sample_every, last.state
        assert state is not None
        counts = {
            METRICS: len(looks(0, last.update)),
            VALIDATION: last.update // self.training.validate_every,
            SAMPLES: 1 + last.update // every if every else 0,
        }
        wanted = {name: counts[name] for name in self.sha256}
        self.note(self.folder.cut_series(last.update, wanted))
        if not state.ends(self.hashes()):
            raise StoreError(f"{self.folder}: its metrics or samples are of another run")

    def note(self, series: Mapping[str, bytes]) -> None:
        """Keep in mind what the files that grow hold."""
        for name, data in series.items():
            self.sha256[name].update(data)

    def hashes(self) -> dict[str, str]:
        """Return the hashes of the files that grow so far."""
        return {GROWING[name].sha256: sha256.hexdigest() for name, sha256 in self.sha256.items()}

    def begin(self) -> None:
        """Write the files of a new run, and a checkpoint of its start."""
        self.behind.submit(self.write_head)
        self.note({name: GROWING[name].header for name in self.sha256})
        self.sample_when_due()
        self.commit()

    def write_head(self) -> None:
        """Write what stands in a folder before the first checkpoint."""
        self.folder.clear()
        self.folder.write_config(self.config, self.corpus.describe())
        self.folder.write_env(start_of(self.command))
        self.folder.repair_ngrams(self.config, self.corpus)
        self.folder.begin_series(self.sha256)

    def train(self) -> Status:
        """Do all updates that are left; return the status that they end in."""
        training = self.training
        size, last_commit = 1, time.monotonic()
        updates_before, seconds_before = training.update, self.seconds
        while training.update < training.updates:
            if training.has_run_out_of_patience:
                break
            if self.stop():
                return "interrupted"
            start = time.perf_counter()
            size = min(self.chunk or size, self.updates_to_next_event())
            self.rows += training.advance(size)
            spent = time.perf_counter() - start
            self.seconds += spent
            if training.diverged:
                return "diverged"
            if training.is_validation_due():
                look = training.validate()
                if look is None:
                    return "diverged"
                self.validations.append(look)
            self.sample_when_due()
            size = max(1, min(2 * size, int(size * CHUNK_SECONDS / spent)))
            self.observer.progressed(
                Progress(
                    update=training.update,
                    updates=training.updates,
                    smooth_loss=training.carry.smooth,
                    best_smooth_loss=training.carry.best_smooth,
                    held_out_loss=training.validation.last if training.validation else None,
                    updates_per_second=(training.update - updates_before)
                    / (self.seconds - seconds_before),
                )
            )
            with self.resumable():
                self.behind.check()
                if time.monotonic() - last_commit > self.checkpoint_seconds:
                    self.behind.wait()  # for the one before: not more than one is kept in memory
                    self.commit()
                    self.behind.submit(self.progress_writer())
                    last_commit = time.monotonic()
        return "finished" if training.is_finite() else "diverged"

    def updates_to_next_event(self) -> int:
        """Return how many updates are left to the next sample, held-out loss, epoch's or run's end."""
        training = self.training
        events = [self.config.sample_every, training.validate_every, training.updates_per_epoch]
        to_event = [every - training.update % every for every in events if every]
        return min(*to_event, training.updates - training.update)

    def sample_when_due(self) -> None:
        """Draw a sample if it is time for one."""
        every = self.config.sample_every
        if every and self.training.update % every == 0:
            self.samples.append(self.training.sample())
            self.observer.sampled(self.samples[-1])

    def commit(self, *, looked: bool = False) -> Checkpoint | None:
        """Have the folder brought to this moment, but for the summary; return its checkpoint.

        `looked`: the best model of the looks goes into `last`, since the end has a better one.
        Parameters that are not finite are not written: the loss will show it at the next update.
        """
        training = self.training
        if not training.is_finite():
            return None
        self.append_series()
        if training.carry.best_update != self.best_written and not looked:
            self.write_checkpoint("best", training.best())
            self.best_written = training.carry.best_update
            self.ahead = None  # which that replaces
        last = training.last(self.hashes(), looked=looked)
        self.write_checkpoint("last", last)
        return last

    def write_checkpoint(self, kind: Kind, checkpoint: Checkpoint) -> None:
        """Have a checkpoint written."""
        self.behind.submit(lambda: self.folder.write_checkpoint(kind, checkpoint))

    def progress_writer(self) -> Callable[[], None]:
        """Return what writes a summary of the run so far."""
        carry = self.training.carry
        summary = self.summary("running", carry.best_smooth, carry.best_update)
        return lambda: self.folder.write_summary(summary)

    @contextmanager
    def resumable(self) -> Iterator[None]:
        """Let an error of writing say that a checkpoint has survived it."""
        try:
            yield
        except WriteError as error:
            if not self.folder.has_checkpoint():
                raise
            whole = f"the checkpoint before is whole: --resume {self.folder} goes on from it"
            raise WriteError(f"{error}; {whole}") from None

    def append_series(self) -> None:
        """Have what has come since added to the files that grow."""
        values: dict[str, list[Any]] = {
            METRICS: self.rows,
            VALIDATION: self.validations,
            SAMPLES: self.samples,
        }
        lines = {name: GROWING[name].encode(values[name]) for name in self.sha256}
        self.note(lines)
        self.behind.submit(lambda: self.folder.append_series(lines))
        self.rows, self.validations, self.samples = [], [], []

    def end(self, status: Status) -> Summary:
        """Write the last checkpoint and the summary; return the summary.

        The last update is looked at, too, when a run is finished: its model may be the best.
        """
        with self.resumable():
            summary = self.conclude(status)
            self.behind.wait()
            self.folder.write_summary(summary)
        return summary

    def conclude(self, status: Status) -> Summary:
        """Write the last checkpoint, and what belongs to it; return the summary."""
        training, carry = self.training, self.training.carry
        held_out = training.held_out_loss() if status == "finished" else None
        last_is_best = status == "finished" and training.is_better_than_best(held_out)
        last = self.commit(looked=last_is_best)
        if last is None:  # what is not finite is not kept, nor may the best model be
            self.append_series()
            self.behind.wait()
            kept, best = self.folder.read_checkpoint("last"), self.folder.read_checkpoint("best")
            best_smooth = math.inf if best.smooth_loss is None else best.smooth_loss
            looks = (kept.state and kept.state.validation) or HeldOut()
            summary = self.summary(status, best_smooth, best.update)
            return structs.replace(summary, validation_best=looks.best)
        best, best_smooth = training.best(), carry.best_smooth
        if self.ahead is not None and self.ahead.update > training.update:
            best, best_smooth = self.ahead, self.ahead.smooth_loss or math.inf
        if last_is_best:
            best, best_smooth = training.now(), carry.smooth
            self.write_checkpoint("best", best)
        summary = self.summary(status, best_smooth, best.update)
        if held_out is not None:
            best_held_out = held_out if last_is_best else summary.validation_best
            summary = structs.replace(
                summary, validation_best=best_held_out, validation_final=finite(held_out)
            )
        return with_scores(summary, last, best, self.corpus) if status == "finished" else summary

    def summary(self, status: Status, best_smooth: float, best_update: int) -> Summary:
        """Return what summary.json says, but for the scores."""
        training, characters = self.training, self.config.characters_in_loss
        held_out = training.validation or HeldOut()
        smooth = training.carry.smooth
        final, best = in_units(smooth / characters), in_units(best_smooth / characters)
        summary = Summary(
            status=status,
            updates=training.update,
            epochs=training.update / training.updates_per_epoch,
            smooth_loss_final=finite(smooth),
            nats_per_character_final=final.nats_per_character,
            bits_per_character_final=final.bits_per_character,
            perplexity_final=final.perplexity,
            smooth_loss_best=finite(best_smooth),
            nats_per_character_best=best.nats_per_character,
            bits_per_character_best=best.bits_per_character,
            perplexity_best=best.perplexity,
            best_update=best_update if training.update else None,
            epoch_mean_loss=list(training.epoch_mean_loss),
            validation_best=held_out.best,
            validation_final=held_out.last,
            seconds=self.seconds,
            updates_per_second=training.update / self.seconds if self.seconds else None,
        )
        if status == "diverged":
            at = training.update + training.diverged  # the one that was refused, or the last one done
            reason = f"update {at}: loss or weights not finite, or too large to mean anything"
            return structs.replace(summary, diverged_at=at, reason=reason)
        if status == "finished" and training.update < training.updates:
            looks = f"{self.config.patience} held-out losses without a better one"
            return structs.replace(summary, reason=f"ended early after {looks}")
        return summary


def refuse_shorter(folder: RunFolder, updates: int, last: Checkpoint, best: Checkpoint) -> None:
    """Raise StoreError if a run is further than so many updates."""
    done = max(last.update, best.update)
    if done > updates:
        raise StoreError(
            f"{folder} has done {done:,} updates of this run already, more than "
            f"{updates:,}: give a larger number, or another folder"
        )
