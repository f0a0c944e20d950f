"""Record what a user wants to see of a training besides its result."""

from __future__ import annotations

from dataclasses import InitVar, dataclass

from nbrnn.runs.background_writer import BackgroundWriter
from nbrnn.runs.dynamics import columns, measure, updates_between_rows
from nbrnn.runs.observer import Evaluation, Observer
from nbrnn.runs.training_state import Training
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.run_logs import DYNAMICS, csv_log
from nbrnn.typing import Array


@dataclass
class Recorder:
    """Keeps the weights every `snapshot_every` updates (0: never), measures them with `track`.

    It also tells the observer of evaluations. Nothing of this changes the training.
    """

    training: Training
    folder: RunFolder
    writer: BackgroundWriter
    observer: Observer
    snapshot_every: int
    track: InitVar[bool]

    def __post_init__(self, track: bool) -> None:
        config, layout, length = self.training.config, self.training.layout, len(self.training.corpus)
        self.row_every = updates_between_rows(config, layout, length) if track else 0
        self.log = csv_log(columns(layout), "")
        self.rows: list[list[float]] = []
        self.before: Array | None = None  # the weights before the update that a row is about

    def start(self) -> None:
        """Write the header of dynamics.csv, or cut off the rows after the update of the checkpoint."""
        update = self.training.update
        if self.row_every:
            self.writer.submit(lambda: self.folder.start_dynamics(self.log, update))

    def stop(self) -> None:
        """Record nothing more."""
        self.snapshot_every = self.row_every = 0
        self.before = None
        self.observer = Observer()

    def updates_to_next_event(self) -> list[int]:
        """Return how many updates are left to the next snapshot, and to a row and the update before."""
        update, every = self.training.update, self.row_every
        left = [self.snapshot_every - update % self.snapshot_every] if self.snapshot_every else []
        return [*left, every - update % every, every - (update + 1) % every] if every else left

    def before_updates(self) -> None:
        """Keep the weights before an update that a row is about."""
        if self.row_every and (self.training.update + 1) % self.row_every == 0:
            self.before = self.training.buffers.theta.flat.copy()

    def after_updates(self) -> None:
        """Write a snapshot and measure a row, where they are due."""
        training, update = self.training, self.training.update
        is_snapshot_due = self.snapshot_every and update % self.snapshot_every == 0
        is_row_due = self.before is not None  # for one update alone
        is_evaluated = update % training.validate_every == 0
        if not (is_snapshot_due or is_row_due or is_evaluated) or not training.is_finite():
            return
        if is_snapshot_due:
            snapshot = training.now()
            self.writer.submit(lambda: self.folder.write_snapshot(snapshot))
        if self.before is not None:
            self.rows.append(measure(training, self.before))
            self.before = None
        if is_evaluated:
            held_out = training.validation.last if training.validation else None
            weights = training.copy_arrays(training.buffers.theta)
            evaluation = Evaluation(update, training.carry.smooth, held_out, weights)
            self.observer.evaluated(evaluation)

    def write_rows(self) -> None:
        """Append the rows that are not written yet."""
        lines, self.rows = self.log.encode(self.rows), []
        if lines:
            self.writer.submit(lambda: self.folder.append_to_logs({DYNAMICS: lines}))
