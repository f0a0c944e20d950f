"""Which runs are there, and what do their folders say?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nbrnn.config import RunConfig
from nbrnn.corpus import Description
from nbrnn.errors import StoreError
from nbrnn.naming import run_id
from nbrnn.storage.append_logs import METRICS, VALIDATION
from nbrnn.storage.run_folder import CONFIG, RunFolder
from nbrnn.storage.schemas import COMPLETE, DONE, Summary
from nbrnn.storage.sweep_folder import RUNS, RequestedLength, SweepFolder, summary_in_sweep
from nbrnn.typing import Array


@dataclass(frozen=True)
class RunRecord:
    """What the folder of a run says, all of it read and found sound.

    `updates` (n,) and `smooth_losses` (n,) are the curve of its loss, `looks` (k,) and
    `held_out_losses` (k,) that of its held-out loss, empty without; `samples` are its first, its middle
    and its last sample by update.
    """

    folder: RunFolder
    config: RunConfig
    corpus: Description
    summary: Summary
    updates: Array
    smooth_losses: Array
    looks: Array
    held_out_losses: Array
    samples: Mapping[int, str]

    @property
    def is_imported(self) -> bool:
        """Whether another program trained it: with which settings is not known."""
        return self.summary.status == "imported"

    @cached_property
    def identity(self) -> str:
        """What tells the experiment from others: the same text may have two names.

        Imported weights are told apart by their folders.
        """
        folder = f" in {self.folder}" if self.is_imported else ""
        return run_id(self.config, "", self.corpus.sha256) + folder


def find_runs(paths: Iterable[Path]) -> list[RunFolder]:
    """Return the runs in folders of sweeps and of runs. Raises StoreError where there is none."""
    found: list[RunFolder] = []
    for path in paths:
        sweep, run = SweepFolder(path), RunFolder(path)
        if sweep.is_sweep():
            found += sweep.runs()
        elif run.is_run():
            found.append(run)
        else:
            raise StoreError(f"{path} is neither the folder of a run nor that of a sweep")
    if not found:
        raise StoreError(f"{', '.join(map(str, paths))}: no run has begun yet")
    return found


def find_runs_below(path: Path) -> list[RunFolder]:
    """Return all runs in a folder and below it, in sweeps or not. Raises StoreError if there is none."""
    found = [RunFolder(config.parent) for config in sorted(path.rglob(CONFIG))]
    if not found:
        raise StoreError(f"there is no run in {path}, nor below it")
    return found


Progress = Callable[[str, int, int], object]  # told what is done, how many of it, of how many


def read_records(
    folders: Sequence[RunFolder], progress: Progress | None = None
) -> tuple[list[RunRecord], list[str]]:
    """Return each experiment once, finished if it is anywhere, and what is wrong with unreadable runs.

    Raises StoreError if no run can be read.
    """
    found, unreadable = read_each(folders, progress)
    records: dict[str, RunRecord] = {}
    for record in found:
        if record.identity not in records or record.summary.status in COMPLETE:
            records[record.identity] = record
    return list(records.values()), unreadable


def read_each(
    folders: Sequence[RunFolder], progress: Progress | None = None
) -> tuple[list[RunRecord], list[str]]:
    """Return what each folder says, and what is wrong with those that cannot be read.

    Raises StoreError if none can.
    """
    records, unreadable = [], []
    wanted = wanted_in(folders)
    for number, folder in enumerate(folders, 1):
        if progress is not None:
            progress("runs read", number, len(folders))
        try:
            records.append(read_record(folder, wanted.get(folder.path)))
        except StoreError as error:
            unreadable.append(str(error))
    if unreadable and not records:
        raise StoreError(unreadable[0])
    return records, unreadable


def wanted_in(folders: Iterable[RunFolder]) -> dict[Path, RequestedLength]:
    """Return by folder what the sweeps around these runs want of them, where that may be longer."""
    sweeps: dict[Path, dict[str, RequestedLength]] = {}
    found = {}
    for folder in folders:
        path = folder.path.resolve()  # that of a run may be given from within its sweep
        if path.parent.name == RUNS:
            sweep = path.parent.parent
            if sweep not in sweeps:
                sweeps[sweep] = SweepFolder(sweep).requested_lengths()
            if path.name in sweeps[sweep]:
                found[folder.path] = sweeps[sweep][path.name]
    return found


def read_summary(folder: RunFolder) -> Summary:
    """Return the summary of a run as the sweep around it, if any, sees it. Raises StoreError."""
    return summary_in_sweep(folder, wanted_in([folder]).get(folder.path))


def read_record(folder: RunFolder, wanted: RequestedLength | None = None) -> RunRecord:
    """Return what the folder of a run says, and what its sweep makes of that.

    Raises StoreError if any of it is damaged.
    """
    config, corpus = folder.read_config()
    summary = folder.read_summary()
    updates, smooth_losses, samples = np.empty(0), np.empty(0), []
    looks, held_out_losses = np.empty(0), np.empty(0)
    if folder.has_checkpoint() or summary.status in DONE:  # else it may end before these files are
        metrics = folder.read_metrics()
        updates, smooth_losses = metrics.update, metrics.smooth_loss
        check_increasing(updates, folder / METRICS)
        if config.validation:
            looks, _, held_out_losses = folder.read_validation()
            check_increasing(looks, folder / VALIDATION)
        samples = folder.read_samples()
    if wanted is not None:
        config, summary = wanted.apply(config, summary, corpus.characters)
    places = {0, (len(samples) - 1) // 2, len(samples) - 1} if samples else set()
    texts = {samples[i].update: samples[i].text.replace("\r", "") for i in sorted(places)}
    curves = updates, smooth_losses, looks, held_out_losses
    return RunRecord(folder, config, corpus, summary, *curves, texts)


def check_increasing(updates: Array, path: Path) -> None:
    """Raise StoreError unless the updates in a file increase."""
    if not (np.diff(updates) > 0).all():
        raise StoreError(f"{path} is damaged: its updates do not increase")
