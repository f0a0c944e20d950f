"""What is in a folder: which runs and sweeps, how far are they, and how good?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from nbrnn.errors import StoreError
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import COMPLETE, Summary
from nbrnn.storage.sweep_folder import RequestedLength, SweepFolder, summary_in_sweep

DEEPEST = 3  # folders below the one that is listed


@dataclass(frozen=True)
class Entry:
    """A run, or a sweep with the best of its runs; None is what is not known.

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
        """Return plain values, with the time as ISO 8601 has it."""
        changed = datetime.fromtimestamp(self.changed, UTC).isoformat(timespec="seconds")
        return {**asdict(self), "folder": str(self.folder), "changed": changed}


def listing(path: Path) -> list[Entry]:
    """Return the runs of a sweep, or else the runs and sweeps in a folder and below, newest first.

    Raises StoreError if there is none.
    """
    if SweepFolder(path).is_sweep():
        sweep, wanted = SweepFolder(path), SweepFolder(path).requested_lengths()
        entries = [run_entry(run, wanted.get(run.path.name)) for run in sweep.runs()]
    else:
        entries = list(entries_below(path, DEEPEST))
    if not entries:
        raise StoreError(f"there is neither a run nor a sweep in {path}")
    return sorted(entries, key=lambda entry: (-entry.changed, entry.folder))


def entries_below(path: Path, depth: int) -> Iterator[Entry]:
    """Return the runs and sweeps in a folder, and in folders that are neither."""
    with suppress(OSError):  # not ours to read
        for child in path.iterdir():
            if not os.path.isdir(child):
                continue
            if SweepFolder(child).is_sweep():
                yield sweep_entry(SweepFolder(child))
            elif RunFolder(child).is_run():
                yield run_entry(RunFolder(child))
            elif depth > 1:
                yield from entries_below(child, depth - 1)


def run_entry(folder: RunFolder, wanted: RequestedLength | None = None) -> Entry:
    """Return what the summary of a run says."""
    summary = summary_of(folder, wanted)
    status = "damaged" if summary is None else summary.status
    changed = folder.path.stat().st_mtime  # of the last file that was replaced
    return entry(folder.path, "run", status, [summary], 1, changed)


def sweep_entry(folder: SweepFolder) -> Entry:
    """Return how many runs of a sweep are finished, and the best of them."""
    runs, wanted = folder.runs(), folder.requested_lengths()
    summaries = [summary_of(run, wanted.get(run.path.name)) for run in runs]
    asked = {run.path.name for run in runs}
    with suppress(StoreError):
        asked |= {run_id for request in folder.read_requests() for run_id in request.runs}
    finished = sum(summary is not None and summary.status in COMPLETE for summary in summaries)
    changed = max(path.stat().st_mtime for path in (folder.path, *(run.path for run in runs)))
    status = f"{finished}/{len(asked)} finished"
    return entry(folder.path, "sweep", status, summaries, len(asked), changed)


def entry(
    path: Path,
    kind: Literal["run", "sweep"],
    status: str,
    summaries: list[Summary | None],
    runs: int,
    changed: float,
) -> Entry:
    """Return an entry with the losses of the best of some runs, of a finished one if there is any."""
    known = [summary for summary in summaries if summary is not None]
    done = [summary for summary in known if summary.status in COMPLETE]
    best = min(done or known, key=bits, default=Summary(status="failed"))
    return Entry(
        folder=path,
        kind=kind,
        status=status,
        runs=runs,
        finished=len(done),
        updates=sum(summary.updates for summary in known),
        smooth_loss_best=best.smooth_loss_best,
        smooth_loss_final=best.smooth_loss_final,
        bits_per_character_best=best.bits_per_character_best,
        changed=changed,
    )


def bits(summary: Summary) -> float:
    """Return the best loss in the unit that runs with windows of any length share."""
    best = summary.bits_per_character_best
    return float("inf") if best is None else best


def summary_of(folder: RunFolder, wanted: RequestedLength | None) -> Summary | None:
    """Return the summary of a run as its sweep sees it, if it can be read."""
    try:
        return summary_in_sweep(folder, wanted)
    except StoreError:
        return None
