"""Find the folders of runs, and read each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from nbrnn.config import RunConfig
from nbrnn.corpus import Description
from nbrnn.errors import StoreError
from nbrnn.naming import PER_WINDOW, run_id
from nbrnn.storage.run_folder import CONFIG, RunFolder
from nbrnn.storage.run_logs import METRICS, VALIDATION
from nbrnn.storage.schemas import COMPLETE, DONE, Environment, Summary
from nbrnn.storage.sweep_folder import RUNS, RequestedLength, SweepFolder, summary_in_sweep
from nbrnn.typing import Array

Progress = Callable[[str, int, int], object]  # called with what is done, how many of it, of how many


def ignore(what: str, done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class RunRecord:
    """The content of a run's folder, read and checked.

    `updates` (n,) and `smooth_losses` (n,) are its loss curve, `evaluations` (k,) the updates with a
    validation loss and `validation_losses` (k,) these, empty without; `samples` are its first, middle
    and last by update.
    """

    folder: RunFolder
    config: RunConfig
    corpus: Description
    summary: Summary
    updates: Array
    smooth_losses: Array
    evaluations: Array
    validation_losses: Array
    samples: Mapping[int, str]

    @property
    def is_imported(self) -> bool:
        """Whether another program trained it, with unknown settings."""
        return self.summary.status == "imported"

    @property
    def is_complete(self) -> bool:
        """Whether it has reached its end."""
        return self.summary.status in COMPLETE

    @cached_property
    def identity(self) -> str:
        """What distinguishes the experiment from others; imported weights differ by their folders."""
        folder = f" in {self.folder}" if self.is_imported else ""
        return run_id(self.config, "", self.corpus.sha256) + folder  # a text may have two names

    def scale(self, unit: str) -> float:
        """Return the factor that brings the training losses in its files to this unit."""
        return 1.0 if unit == PER_WINDOW else 1 / self.config.characters_in_loss

    def read_environment(self) -> Environment | None:
        """Return what its env.json says, None where that cannot be read."""
        try:
            return self.folder.read_env()
        except StoreError:
            return None


def find_runs(paths: Iterable[Path]) -> list[RunFolder]:
    """Return the runs in folders of sweeps and of runs. Raises StoreError where there is none."""
    folders: list[RunFolder] = []
    for path in paths:
        sweep, run = SweepFolder(path), RunFolder(path)
        if sweep.is_sweep():
            folders += sweep.runs()
        elif run.is_run():
            folders.append(run)
        else:
            raise StoreError(f"{path} is not the folder of a run or a sweep (nbrnn show lists them)")
    if not folders:
        raise StoreError(f"{', '.join(map(str, paths))}: no run has started yet")
    return folders


def find_runs_below(path: Path) -> list[RunFolder]:
    """Return all runs in a folder and below it, in sweeps or not. Raises StoreError if there is none."""
    folders = [RunFolder(config.parent) for config in sorted(path.rglob(CONFIG))]
    if not folders:
        raise StoreError(f"there is no run or sweep in the folder {path}")
    return folders


def read_records(
    folders: Sequence[RunFolder], progress: Progress = ignore
) -> tuple[list[RunRecord], list[str]]:
    """Return each experiment once, a finished run of it if there is one, and why others are unreadable.

    Raises StoreError if no run can be read.
    """
    every, unreadable = read_each(folders, progress)
    records: dict[str, RunRecord] = {}
    for record in every:
        if record.identity not in records or record.is_complete:
            records[record.identity] = record
    return list(records.values()), unreadable


def read_each(
    folders: Sequence[RunFolder], progress: Progress = ignore
) -> tuple[list[RunRecord], list[str]]:
    """Return the record of each folder, and why others cannot be read.

    Raises StoreError if none can.
    """
    records, unreadable = [], []
    wanted = wanted_in(folders)
    for number, folder in enumerate(folders, 1):
        progress("runs read", number, len(folders))
        try:
            records.append(read_record(folder, wanted.get(folder.path)))
        except StoreError as error:
            unreadable.append(str(error))
    if unreadable and not records:
        raise StoreError(unreadable[0])
    return records, unreadable


def sweep_around(folder: RunFolder) -> Path | None:
    """Return the folder of the sweep that a run may be of."""
    path = folder.path.resolve()  # that of a run may be given from within its sweep
    return path.parent.parent if path.parent.name == RUNS else None


def wanted_in(folders: Iterable[RunFolder]) -> dict[Path, RequestedLength | None]:
    """Return by folder what the sweeps around these runs want of them, where that may be longer."""
    lengths = cache(lambda sweep: SweepFolder(sweep).requested_lengths())
    return {
        folder.path: lengths(sweep).get(folder.path.resolve().name)
        for folder in folders
        if (sweep := sweep_around(folder))
    }


def read_summary(folder: RunFolder) -> Summary:
    """Return the summary of a run; the sweep around it may have dropped it. Raises StoreError."""
    return summary_in_sweep(folder, wanted_in([folder]).get(folder.path))


def read_record(folder: RunFolder, wanted: RequestedLength | None = None) -> RunRecord:
    """Return the record of a run, as its sweep sees it. Raises StoreError if a file is damaged."""
    config, corpus = folder.read_config()
    summary = folder.read_summary()
    updates, smooth_losses, evaluations, validation_losses = (np.empty(0) for _ in range(4))
    samples = []
    if folder.has_checkpoint() or summary.status in DONE:  # else it may end before these files are
        metrics = folder.read_metrics()
        updates, smooth_losses = metrics.update, metrics.smooth_loss
        check_increasing(updates, folder / METRICS)
        if config.validation:
            evaluations, _, validation_losses = folder.read_validation()
            check_increasing(evaluations, folder / VALIDATION)
        samples = folder.read_samples()
    if wanted is not None:
        config, summary = wanted.apply(config, summary, corpus.characters)
    kept = sorted({0, (len(samples) - 1) // 2, len(samples) - 1}) if samples else []
    texts = {samples[i].update: samples[i].text.replace("\r", "") for i in kept}
    if summary.best_update and texts and max(texts) == 0 and folder.has_text():
        # too short a run for samples while it trained
        texts[summary.best_update] = folder.read_text()[: config.sample_length]
    curves = updates, smooth_losses, evaluations, validation_losses
    return RunRecord(folder, config, corpus, summary, *curves, texts)


def check_increasing(updates: Array, path: Path) -> None:
    """Raise StoreError unless the updates in a file increase."""
    if not (np.diff(updates) > 0).all():
        raise StoreError(f"{path} is damaged: its updates do not increase")
