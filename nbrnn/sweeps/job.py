"""Carry out one run of a sweep, on any backend, and record why it failed."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import LockedError, NbrnnError
from nbrnn.runs.observer import Observer, Progress
from nbrnn.runs.run import run
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import DONE, Summary

LOCK_SECONDS = 10.0  # that a process whose parent was killed may take to leave its run
MESSAGE_SECONDS = 0.25  # between two messages about a run in another process


@dataclass(frozen=True)
class Job:
    """One run of a sweep."""

    run_id: str
    config: RunConfig
    folder: Path
    command: tuple[str, ...]  # that the user typed, for env.json


def run_job(
    job: Job, corpus: Corpus, observer: Observer, stop: Callable[[], bool], force: bool
) -> Summary:
    """Train, from the start or from a checkpoint; return the summary, with an error as its reason."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return run(
                job.config,
                corpus,
                job.folder,
                observer=observer,
                stop=stop,
                force=force,
                draw=False,
                command=job.command,
            )
        except LockedError as error:
            if time.monotonic() > deadline:
                return record_error(job, corpus, error)
            if stop():
                return Summary(status="interrupted")
            time.sleep(0.1)
        except Exception as error:
            return record_error(job, corpus, error)


def record_error(job: Job, corpus: Corpus, error: Exception) -> Summary:
    """Record the error that a run ended with; return its summary. Call it where the error is caught."""
    if isinstance(error, LockedError):  # another process writes in the folder
        return Summary(status="failed", reason=str(error))
    if isinstance(error, NbrnnError):
        return record_failure(job, corpus, str(error))
    if isinstance(error, MemoryError):
        return record_failure(job, corpus, "not enough memory")
    return record_failure(job, corpus, f"{type(error).__name__}: {error}", traceback.format_exc())


def record_failure(job: Job, corpus: Corpus, reason: str, trace: str | None = None) -> Summary:
    """Write into a run's folder, if possible, that it failed and why; return the summary.

    A finished run, and the folder of another run, are not overwritten.
    """
    folder = RunFolder(job.folder)
    before = Summary(status="running")
    with suppress(NbrnnError):  # the reason may be that nothing can be read or written
        before = folder.read_summary()
    summary = structs.replace(before, status="failed", reason=reason, traceback=trace, diverged_at=None)
    with suppress(NbrnnError):
        if folder.is_run() or folder.is_free():
            with folder.locked():
                if not folder.is_run():
                    folder.write_config(job.config, corpus.describe())
                is_ours = folder.read_config()[0] == job.config
                if is_ours and folder.read_summary().status not in DONE:
                    folder.write_summary(summary)
    return summary


class Relay(Observer):
    """Passes on the start of a run and its progress, as a method's name and arguments.

    Between two calls about the progress there are `seconds` at least.
    """

    def __init__(self, send: Callable[..., object], seconds: float = 0.0) -> None:
        self.send, self.seconds = send, seconds
        self.next_time = 0.0

    def started(self, update: int, updates: int) -> None:
        """Pass it on."""
        self.send("started", update, updates)

    def progressed(self, progress: Progress) -> None:
        """Pass it on, unless that was just done."""
        now = time.monotonic()
        if now >= self.next_time:
            self.next_time = now + self.seconds
            self.send("progressed", progress)
