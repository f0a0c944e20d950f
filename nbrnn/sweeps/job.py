"""How is one run of a sweep carried out, wherever that is, and what is kept of one that fails?"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import LockedError, NbrnnError
from nbrnn.runs.observer import Observer, Progress
from nbrnn.runs.run import run
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import DONE, Summary

PATIENCE = 10.0  # seconds that a process whose parent was killed may take to leave its run
NEWS_SECONDS = 0.25  # between two messages about a run that is done elsewhere


@dataclass(frozen=True)
class Job:
    """One run that a sweep asks for."""

    run_id: str
    config: RunConfig
    folder: Path
    command: tuple[str, ...]  # that the user typed, for env.json


def run_job(
    job: Job, corpus: Corpus, observer: Observer, stop: Callable[[], bool], force: bool
) -> Summary:
    """Train, from the start or from a checkpoint; return its summary.

    An error gives a summary with the status `failed` and the reason.
    """
    deadline = time.monotonic() + PATIENCE
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
                return failed(job, corpus, error)
            if stop():
                return Summary(status="interrupted")
            time.sleep(0.1)
        except Exception as error:
            return failed(job, corpus, error)


def failed(job: Job, corpus: Corpus, error: Exception) -> Summary:
    """Record the error that a run ended with; return its summary. Call it where the error is caught."""
    if isinstance(error, LockedError):  # the folder is another process's to write in
        return Summary(status="failed", reason=str(error))
    if isinstance(error, NbrnnError):
        return record_failure(job, corpus, str(error))
    if isinstance(error, MemoryError):
        return record_failure(job, corpus, "not enough memory")
    return record_failure(job, corpus, f"{type(error).__name__}: {error}", traceback.format_exc())


def record_failure(job: Job, corpus: Corpus, reason: str, trace: str | None = None) -> Summary:
    """Write into a run's folder, where that can be, that it failed and why; return the summary.

    What is finished there, or another run's, is not overwritten.
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


class Messenger(Observer):
    """Tells what happens in a run by `send`, which takes plain values to where the sweep is."""

    def __init__(self, send: Callable[[dict[str, Any]], object]) -> None:
        self.send = send
        self.next_time = 0.0

    def started(self, update: int, updates: int) -> None:
        """Send that the run starts."""
        self.send({"started": [update, updates]})

    def progressed(self, progress: Progress) -> None:
        """Send how far it is, now and then."""
        now = time.monotonic()
        if now >= self.next_time:
            self.next_time = now + NEWS_SECONDS
            self.send({"progressed": asdict(progress)})


def deliver(message: Mapping[str, Any], observer: Observer) -> None:
    """Tell an observer what a Messenger has sent."""
    if "started" in message:
        observer.started(*message["started"])
    else:
        observer.progressed(Progress(**message["progressed"]))
