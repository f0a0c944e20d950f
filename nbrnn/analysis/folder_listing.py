"""List the runs and sweeps in a folder: how far they are, and their best loss."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, Literal

from nbrnn.errors import StoreError
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import COMPLETE, Summary
from nbrnn.storage.sweep_folder import RequestedLength, SweepFolder, summary_in_sweep

MAX_DEPTH = 3  # of folders below the one that is listed


@dataclass(frozen=True)
class Entry:
    """A run, or a sweep with the best of its runs; None: not known.

    `changed` is in seconds since 1970; smooth losses are in nats per window.
    """

    folder: Path
    kind: Literal["run", "sweep"]
    status: str
    runs: int
    finished: int
    updates: int
    smooth_loss_best: float | None
    smooth_loss_final: float | None
    bits_per_character_best: float | None
    changed: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with the time in ISO 8601."""
        changed = datetime.fromtimestamp(self.changed, UTC).isoformat(timespec="seconds")
        return {**asdict(self), "folder": str(self.folder), "changed": changed}


def listing(path: Path) -> list[Entry]:
    """Return the runs of a sweep, or else the runs and sweeps in a folder and below, newest first.

    Raises StoreError if there is none.
    """
    if SweepFolder(path).is_sweep():
        wanted = SweepFolder(path).requested_lengths()
        entries = [run_entry(run, wanted) for run in SweepFolder(path).runs()]
    else:
        entries = list(entries_below(path, MAX_DEPTH))
    if not entries:
        raise StoreError(f"there is no run or sweep in the folder {path}")
    return sorted(entries, key=lambda entry: (-entry.changed, entry.folder))


def entries_below(path: Path, depth: int) -> Iterator[Entry]:
    """Return the runs and sweeps in a folder, and in folders that are neither."""
    with suppress(OSError):  # not ours to read
        for child in filter(os.path.isdir, path.iterdir()):
            if SweepFolder(child).is_sweep():
                yield sweep_entry(SweepFolder(child))
            elif RunFolder(child).is_run():
                yield run_entry(RunFolder(child), {})
            elif depth > 1:
                yield from entries_below(child, depth - 1)


def run_entry(folder: RunFolder, wanted: Mapping[str, RequestedLength]) -> Entry:
    """Return the entry of a run, as the sweep sees it that wants these lengths."""
    summaries = list(readable([folder], wanted))
    status = summaries[0].status if summaries else "damaged"
    changed = folder.path.stat().st_mtime  # of the last file that was replaced
    return entry(folder.path, "run", status, summaries, 1, changed)


def sweep_entry(folder: SweepFolder) -> Entry:
    """Return the entry of a sweep."""
    runs = folder.runs()
    summaries = list(readable(runs, folder.requested_lengths()))
    requested = {run.path.name for run in runs}
    with suppress(StoreError):
        requested.update(*(request.runs for request in folder.read_requests()))
    finished = sum(summary.status in COMPLETE for summary in summaries)
    changed = max(path.stat().st_mtime for path in (folder.path, *(run.path for run in runs)))
    status = f"{finished}/{len(requested)} finished"
    return entry(folder.path, "sweep", status, summaries, len(requested), changed)


def readable(folders: Sequence[RunFolder], wanted: Mapping[str, RequestedLength]) -> Iterator[Summary]:
    """Return the summaries of runs that can be read, as their sweep sees them."""
    for folder in folders:
        with suppress(StoreError):
            yield summary_in_sweep(folder, wanted.get(folder.path.name))


def entry(
    path: Path,
    kind: Literal["run", "sweep"],
    status: str,
    summaries: Sequence[Summary],
    runs: int,
    changed: float,
) -> Entry:
    """Return an entry with the losses of the best of some runs, of a finished one if there is any.

    It is chosen by the validation loss where all of them have one.
    """
    some = [summary for summary in summaries if summary.status in COMPLETE] or summaries
    held_out = all(summary.validation_best is not None for summary in some)

    def loss(summary: Summary) -> float:  # comparable for windows of any length
        value = summary.validation_best if held_out else summary.bits_per_character_best
        return inf if value is None else value

    best = min(some, key=loss, default=Summary(status="failed"))
    losses = best.smooth_loss_best, best.smooth_loss_final, best.bits_per_character_best
    updates = sum(summary.updates for summary in summaries)
    finished = sum(summary.status in COMPLETE for summary in summaries)
    return Entry(path, kind, status, runs, finished, updates, *losses, changed)
