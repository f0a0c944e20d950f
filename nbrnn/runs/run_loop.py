"""The loop of one run, from its start or a checkpoint to its end, and what it writes when."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import InitVar, dataclass
from typing import Any

import numpy as np
from msgspec import structs

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import CorpusError, StoreError, WriteError
from nbrnn.runs.background_writer import BackgroundWriter
from nbrnn.runs.finalize import summarize, with_best, with_scores
from nbrnn.runs.observer import Observer, Progress
from nbrnn.runs.provenance import current_environment
from nbrnn.runs.snapshots_and_dynamics import Recorder
from nbrnn.runs.training_state import Training, logged_updates, prepare_kernels
from nbrnn.storage.checkpoint import Checkpoint, HeldOutLosses, Kind
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.run_logs import LOGS, METRICS, SAMPLES, VALIDATION, log_names
from nbrnn.storage.safe_files import RESTORE
from nbrnn.storage.schemas import Status, Summary, finite

CHECKPOINT_SECONDS = 10.0  # between two checkpoints
CHUNK_SECONDS = 0.1  # of training in one call of the kernel: how long a signal may have to wait
REWIND_CHUNK = 1024  # updates between two checks that parameters are finite


@dataclass
class RunLoop:
    """A training and its folder; the fields are the arguments of `run`."""

    config: RunConfig
    corpus: Corpus
    folder: RunFolder
    observer: Observer
    stop: Callable[[], bool]
    command: Sequence[str]
    checkpoint_seconds: float
    chunk: int | None
    initial: InitVar[Checkpoint | None]
    snapshot_every: InitVar[int]
    track: InitVar[bool]

    def __post_init__(self, initial: Checkpoint | None, snapshot_every: int, track: bool) -> None:
        self.seconds = 0.0
        self.best_written = -1  # the update of the best model on disk
        self.newer_best: Checkpoint | None = None  # a best model on disk of a later update than this one
        self.clear_logs()
        self.writer = BackgroundWriter()
        try:
            self.training = Training(self.config, self.corpus, initial)
        except MemoryError:
            raise CorpusError(
                "not enough memory: give a smaller --hidden, --layers, --batch or --seq-length"
            ) from None
        events = self.folder, self.writer, self.observer
        self.recorder = Recorder(self.training, *events, snapshot_every, track)

    def clear_logs(self) -> None:
        """Forget the lines that are not written yet, and the hashes of the logs."""
        self.unwritten: dict[str, list[Any]] = {name: [] for name in log_names(self.config)}
        self.sha256 = {name: hashlib.sha256() for name in self.unwritten}

    def run(self, from_checkpoint: bool) -> Summary:
        """Train to the end, or until stopped; return the summary."""
        if from_checkpoint:
            self.restore()
            self.seconds = self.folder.read_summary().seconds
        self.observer.preparing()
        prepare_kernels(self.config)
        self.observer.started(self.training.update, self.training.updates)
        if from_checkpoint:
            self.folder.clear_outcome()
            # first, so that no moment shows the new length as finished
            self.progress_writer()()
            self.folder.write_config(self.config, self.corpus.describe())
            self.folder.write_env(current_environment(self.command))
        with self.writer:
            if not from_checkpoint:
                self.write_start()
            self.recorder.start()
            return self.finish(self.train())

    # -- where a run starts

    def write_start(self) -> None:
        """Write the files of a new run, and a checkpoint of its start."""

        def write_files() -> None:
            self.folder.clear()
            self.folder.write_config(self.config, self.corpus.describe())
            self.folder.write_env(current_environment(self.command))
            self.folder.repair_ngrams(self.config, self.corpus)
            self.folder.create_logs(self.sha256)

        self.writer.submit(write_files)
        self.update_hashes({name: LOGS[name].header for name in self.sha256})
        self.sample_when_due()
        self.commit()

    def restore(self) -> None:
        """Return to the last checkpoint in the folder, and cut the logs back to it."""
        last, best = self.folder.read_model("last"), self.folder.read_model("best")
        if set(last.memory) != set(self.training.memory_names):
            raise StoreError(
                f"{self.folder}: last.safetensors was written with another optimizer: {RESTORE}"
            )
        self.training.restore(last, best)
        if last.best_before_end:
            pass  # the best model on disk is that of the former end, and does not count any more
        elif best.update > last.update:
            # Killed between the two: the best model is of a later moment, and comes again in time.
            # Until then it is on disk, and the buffer only holds its place.
            self.newer_best, self.best_written = best, self.training.carry.best_update
        elif best.update != self.training.carry.best_update:
            raise StoreError(
                f"{self.folder}: last.safetensors and best.safetensors do not belong together: {RESTORE}"
            )
        elif best.config == self.config:
            self.best_written = best.update
        every, state = self.config.sample_every, last.state
        assert state is not None
        counts = {
            METRICS: len(logged_updates(0, last.update)),
            VALIDATION: last.update // self.training.validate_every,
            SAMPLES: 1 + last.update // every if every else 0,
        }
        self.clear_logs()
        kept = self.folder.truncate_logs(last.update, {name: counts[name] for name in self.sha256})
        self.update_hashes(kept)
        if not state.matches(self.hashes()):
            raise StoreError(f"{self.folder}: its metrics or samples belong to another run: {RESTORE}")
        self.folder.repair_ngrams(self.config, self.corpus)

    # -- training

    def train(self) -> Status:
        """Do all updates that are left; return the status that they end in."""
        training = self.training
        size, last_commit = 1, time.monotonic()
        updates_before, seconds_before = training.update, self.seconds
        while training.update < training.updates and not training.is_out_of_patience:
            if self.stop():
                return "interrupted"
            size = min(self.chunk or size, self.updates_to_next_event())
            training_seconds = self.advance(size)
            if training.diverged or training.held_out_diverged:
                return "diverged"
            size = max(1, min(2 * size, int(size * CHUNK_SECONDS / training_seconds)))
            rate = (training.update - updates_before) / (self.seconds - seconds_before)
            held_out = training.validation.last if training.validation else None
            losses = training.carry.smooth, training.carry.best_smooth, held_out
            self.observer.progressed(Progress(training.update, training.updates, *losses, rate))
            if self.observer.wants_sample():
                self.observer.sampled(training.preview())
            with self.resumable():
                self.writer.check()
                if time.monotonic() - last_commit > self.checkpoint_seconds:
                    self.writer.wait()  # for the one before: not more than one is kept in memory
                    self.commit()
                    self.writer.submit(self.progress_writer())
                    last_commit = time.monotonic()
        return "finished" if training.is_finite() else "diverged"

    def advance(self, updates: int) -> float:
        """Do so many updates, and what is due after them; return the seconds of the updates."""
        training = self.training
        self.recorder.before_updates()
        start = time.perf_counter()
        self.unwritten[METRICS] += training.advance(updates)
        seconds = time.perf_counter() - start
        self.seconds += seconds
        if training.diverged:
            return seconds
        if training.validation and training.update % training.validate_every == 0:
            row = training.validate()
            if row is None:
                return seconds
            self.unwritten[VALIDATION].append(row)
        self.sample_when_due()
        self.recorder.after_updates()
        return seconds

    def updates_to_next_event(self) -> int:
        """Return how many updates are left to the next of all that happens at fixed updates."""
        training = self.training
        events = [self.config.sample_every, training.validate_every, training.updates_per_epoch]
        to_event = [every - training.update % every for every in events if every]
        to_event += self.recorder.updates_to_next_event()
        return min(*to_event, training.updates - training.update)

    def sample_when_due(self) -> None:
        """Draw a sample if it is time for one."""
        every = self.config.sample_every
        if every and self.training.update % every == 0:
            self.unwritten[SAMPLES].append(self.training.sample())
            self.observer.sampled(self.unwritten[SAMPLES][-1])

    def rewind(self) -> bool:
        """Return to the last update after which all numbers were finite; False: asked to stop before.

        It depends on the run alone, the moment of the last checkpoint on the clock. Train on
        from that checkpoint, and halve the step whenever it goes too far.
        """
        training, seconds = self.training, self.seconds
        self.observer = Observer()  # the other one knows these updates already
        self.recorder.stop()
        self.writer.wait()
        try:
            self.restore()
        except StoreError as error:
            raise WriteError(f"{self.folder} has changed while the run was at work: {error}") from None
        updates, is_stopped = REWIND_CHUNK, False
        while updates and training.update < training.updates and not (is_stopped := self.stop()):
            before = training.last(self.hashes(), is_best=False), training.best()
            unwritten = {name: values.copy() for name, values in self.unwritten.items()}
            end, is_sound = min(training.update + updates, training.updates), True
            while is_sound and training.update < end:
                self.advance(min(end - training.update, self.updates_to_next_event()))
                is_sound = not training.diverged and training.is_finite()
            if not is_sound:
                training.restore(*before)
                self.unwritten = unwritten
                updates //= 2
        self.seconds = seconds
        return not is_stopped

    # -- writing

    def commit(self, *, is_best: bool = False) -> Checkpoint | None:
        """Bring the folder to this moment, but for the summary; return its checkpoint.

        `is_best`: the model as it is now is the best one; the best one before goes into `last`. Nothing
        is written of parameters that are not finite: the loss will show it.
        """
        training = self.training
        if not training.is_finite():
            return None
        self.append_to_logs()
        self.recorder.write_rows()
        if training.carry.best_update != self.best_written and not is_best:
            self.write_checkpoint("best", training.best())
            self.best_written = training.carry.best_update
            self.newer_best = None  # which that replaces
        last = training.last(self.hashes(), is_best=is_best)
        self.write_checkpoint("last", last)
        return last

    def append_to_logs(self) -> None:
        """Append the lines that are not written yet."""
        lines = {name: LOGS[name].encode(values) for name, values in self.unwritten.items()}
        self.update_hashes(lines)
        self.writer.submit(lambda: self.folder.append_to_logs(lines))
        self.unwritten = {name: [] for name in self.unwritten}

    def update_hashes(self, lines: Mapping[str, bytes]) -> None:
        """Add lines to the hashes of the logs."""
        for name, data in lines.items():
            self.sha256[name].update(data)

    def hashes(self) -> dict[str, str]:
        """Return the hashes of the logs, by their names in a checkpoint."""
        return {LOGS[name].sha256: sha256.hexdigest() for name, sha256 in self.sha256.items()}

    def write_checkpoint(self, kind: Kind, checkpoint: Checkpoint) -> None:
        """Write a checkpoint in the background."""
        self.writer.submit(lambda: self.folder.write_checkpoint(kind, checkpoint))

    def progress_writer(self) -> Callable[[], None]:
        """Return what writes a summary of the run so far."""
        summary = summarize(self.training, self.seconds, "running")
        return lambda: self.folder.write_summary(summary)

    @contextmanager
    def resumable(self) -> Iterator[None]:
        """Add to a WriteError that a checkpoint has survived it."""
        try:
            yield
        except WriteError as error:
            if not self.folder.has_checkpoint():
                raise
            whole = f"the last checkpoint is intact: --resume {self.folder} continues from it"
            raise WriteError(f"{error}; {whole}") from None

    # -- the end

    def finish(self, status: Status) -> Summary:
        """Write the last checkpoint and the summary; return the summary."""
        with self.resumable():
            conclude = self.conclude if self.training.is_finite() else self.conclude_rewound
            summary = conclude(status)
            self.writer.wait()
            if self.config.validation:
                losses = np.append(self.folder.read_metrics().smooth_loss, self.training.carry.smooth)
                lowest = float(losses[np.isfinite(losses)].min(initial=math.inf))
                summary = structs.replace(summary, smooth_loss_lowest=finite(lowest))
            self.folder.write_summary(summary)
        return summary

    def conclude(self, status: Status) -> Summary:
        """Write the last checkpoint and the best model, which may be the last; return the summary."""
        training, carry = self.training, self.training.carry
        held_out = training.held_out_loss() if status == "finished" else None
        is_best = status == "finished" and training.is_better_than_best(held_out)
        last = self.commit(is_best=is_best)
        assert last is not None
        best, best_smooth = training.best(), carry.best_smooth
        if self.newer_best is not None and self.newer_best.update > training.update:
            best, best_smooth = self.newer_best, self.newer_best.smooth_loss or math.inf
        if is_best:
            best, best_smooth = training.now(), carry.smooth
            self.write_checkpoint("best", best)
        summary = summarize(training, self.seconds, status)
        summary = with_best(summary, self.config, best_smooth, best.update)
        if held_out is not None:
            summary = structs.replace(summary, validation_final=finite(held_out))
            if is_best:
                summary = structs.replace(summary, validation_best=held_out)
        return with_scores(summary, last, best, self.corpus) if status == "finished" else summary

    def conclude_rewound(self, status: Status) -> Summary:
        """Write the last checkpoint that is finite, but all lines of the logs; return the summary."""
        summary, lines = summarize(self.training, self.seconds, status), self.unwritten
        if not self.rewind():
            return self.conclude("interrupted")
        self.commit()
        update, carry = self.training.update, self.training.carry
        self.unwritten = {name: [line for line in lines[name] if line.update > update] for name in lines}
        self.append_to_logs()
        losses = self.training.validation or HeldOutLosses()
        summary = structs.replace(summary, validation_best=losses.best)
        return with_best(summary, self.config, carry.best_smooth, carry.best_update)
