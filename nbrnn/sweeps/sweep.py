"""Which experiments, in parallel, where, and which are done already?"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import joblib

from nbrnn.corpus import Corpus
from nbrnn.errors import NbrnnError, StoreError, SweepError
from nbrnn.network import compiled
from nbrnn.runs.run import Observer, Report, draw_loss
from nbrnn.runs.store import DONE, FAILURES, RunFolder, SweepFolder
from nbrnn.sweeps.grid import Grid
from nbrnn.sweeps.job import Job, do

Backend = Literal["threading", "loky", "dask"]


class SweepObserver:
    """Is told what happens in a sweep, from several threads; this one does nothing with it."""

    def planned(self, outcome: Outcome) -> None:
        """The sweep starts; the outcome has the runs that were done before."""

    def started(self, job: Job, update: int, updates: int) -> None:
        """A run starts, or goes on."""

    def progressed(self, job: Job, report: Report) -> None:
        """A run is further."""

    def ended(self, job: Job, summary: dict[str, Any]) -> None:
        """A run has ended, in one of all ways."""

    def ready(self) -> None:
        """The first run is about to start."""

    def drawing(self) -> None:
        """All runs have ended; their pictures are drawn."""


@dataclass
class ForJob(Observer):
    """Tells the observer of a sweep what one of its runs tells."""

    job: Job
    observer: SweepObserver

    def started(self, update: int, updates: int) -> None:
        """Pass it on."""
        self.observer.started(self.job, update, updates)

    def progressed(self, report: Report) -> None:
        """Pass it on."""
        self.observer.progressed(self.job, report)


class Place(Protocol):
    """Where runs are done, and how many at once make it busy."""

    slots: int

    def do(self, job: Job, observer: Observer, stop: Callable[[], bool], force: bool) -> dict[str, Any]:
        """Do a run, called by several threads at once; return its summary."""


@dataclass
class Threads:
    """Runs in this process: the kernels let other threads run, which share the corpus."""

    corpus: Corpus
    slots: int = field(default_factory=joblib.cpu_count)

    def do(self, job: Job, observer: Observer, stop: Callable[[], bool], force: bool) -> dict[str, Any]:
        """Do a run in this thread."""
        return do(job, self.corpus, observer, stop, force)


@dataclass
class Outcome:
    """What has come out of a sweep: its runs, and the summaries of those that ended in any way."""

    jobs: list[Job]
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)  # by run id
    done_before: int = 0
    seconds: float = 0.0  # that the runs took together, by the clock on the wall

    def count(self, *statuses: str) -> int:
        """Return the number of runs that ended so."""
        return sum(summary["status"] in statuses for summary in self.summaries.values())

    def failures(self) -> dict[str, str]:
        """Return run id and reason of the runs that diverged or failed."""
        return {
            run_id: f"{summary['status']}: {summary.get('reason')}"
            for run_id, summary in self.summaries.items()
            if summary["status"] in FAILURES
        }


def plan(grid: Grid, corpus: Corpus, folder: SweepFolder) -> list[Job]:
    """Return all runs of a grid."""
    ids = [(config.run_id(corpus.name, corpus.sha256), config) for config in grid.configs()]
    return [Job(run_id, config, folder.run(run_id).path) for run_id, config in ids]


def done_before(job: Job) -> dict[str, Any] | None:
    """Return the summary of a run that need not be done, if there is one."""
    folder = RunFolder(job.folder)
    try:
        if folder.is_run() and folder.read_config()[0] == job.config and folder.has_text():
            summary = folder.read_summary()
            return summary if summary["status"] in DONE else None
    except StoreError:
        pass  # the run itself will say what is wrong
    return None


def status_before(job: Job) -> str:
    """Return the status in which a run was left; `new` if it was not begun."""
    folder = RunFolder(job.folder)
    try:
        return str(folder.read_summary()["status"]) if folder.is_run() else "new"
    except StoreError:
        return "damaged"


def sweep(
    grid: Grid,
    corpus: Corpus,
    folder: SweepFolder,
    *,
    backend: Backend = "threading",
    jobs: int = -1,
    scheduler: str = "",
    observer: SweepObserver | None = None,
    stop: Callable[[], bool] = lambda: False,
    force: bool = False,
    max_failures: int | None = None,
) -> Outcome:
    """Do all runs of a grid that are not done yet, `jobs` at once (-1: as many as there are cores).

    What was interrupted goes on, what failed is done again; `force` does everything again. It ends
    early when `stop` says so, and when `max_failures` runs have diverged or failed. Raises StoreError
    if the folder holds something else, LockedError if another sweep is at work in it, WriteError if
    it cannot be written, ClusterError without a scheduler at that address.
    """
    if not folder.is_sweep() and not folder.is_free():
        raise StoreError(f"{folder} holds other files: give a new or an empty folder, or a sweep's")
    with folder.locked():
        planned = plan(grid, corpus, folder)
        wanted = {"corpus": corpus.describe(), **grid.describe()}
        wanted["runs"] = [job.run_id for job in planned]
        outcome = Outcome(planned)
        if not force:
            before = {job.run_id: done_before(job) for job in planned}
            outcome.summaries = {run_id: summary for run_id, summary in before.items() if summary}
            outcome.done_before = len(outcome.summaries)
        sweeping = Sweeping(outcome, observer or SweepObserver(), stop, force, max_failures)
        sweeping.observer.planned(outcome)
        left = [job for job in planned if job.run_id not in outcome.summaries]
        if left:
            with place(backend, corpus, left, scheduler) as where:
                folder.add_request(wanted, sys.argv)
                sweeping.observer.ready()
                sweeping.go(left, where, where.slots if jobs < 0 else jobs)
        else:
            folder.add_request(wanted, sys.argv)
        sweeping.draw()
        return outcome


def place(
    backend: Backend, corpus: Corpus, jobs: list[Job], scheduler: str
) -> AbstractContextManager[Place]:
    """Return where runs are done, with the kernels ready."""
    if backend == "dask":
        if importlib.util.find_spec("distributed") is None:
            raise SweepError("--scheduler needs the extra dask: pip install 'nbrnn[dask]'")
        from nbrnn.sweeps.cluster import Cluster

        return Cluster(scheduler, corpus)
    for dtype in {job.config.dtype for job in jobs}:
        compiled.ready_to_train(dtype)
    if backend == "loky":
        from nbrnn.sweeps.process import Processes

        return Processes(corpus)
    return nullcontext(Threads(corpus))


class Sweeping:
    """A sweep at work: joblib's threads each see to one run, wherever that is done."""

    def __init__(
        self,
        outcome: Outcome,
        observer: SweepObserver,
        stop: Callable[[], bool],
        force: bool,
        max_failures: int | None,
    ) -> None:
        self.outcome, self.observer = outcome, observer
        self.stop, self.force = stop, force
        self.max_failures = max_failures
        self.failures = 0
        self.fatal: NbrnnError | None = None  # an error that meets every run

    def stopping(self) -> bool:
        """Whether to do no more."""
        too_many = self.max_failures is not None and self.failures >= self.max_failures
        return too_many or self.fatal is not None or self.stop()

    def go(self, jobs: list[Job], where: Place, slots: int) -> None:
        """Do runs, so many at once."""
        start = time.monotonic()
        parallel = joblib.Parallel(
            n_jobs=min(slots, len(jobs)),
            backend="threading",
            return_as="generator_unordered",
            batch_size=1,
        )
        calls = (joblib.delayed(self.do)(job, where) for job in self.until_stopped(jobs))
        for job, summary in parallel(calls):
            if summary is not None:
                self.outcome.summaries[job.run_id] = summary
                self.failures += summary["status"] in FAILURES
                self.observer.ended(job, summary)
        self.outcome.seconds = time.monotonic() - start
        if self.fatal is not None:
            raise self.fatal

    def until_stopped(self, jobs: list[Job]) -> Iterator[Job]:
        """Return the runs one by one, as long as there is no reason to stop."""
        for job in jobs:
            if self.stopping():
                return
            yield job

    def do(self, job: Job, where: Place) -> tuple[Job, dict[str, Any] | None]:
        """Do a run; without a summary if it was not even begun, or met an error that meets all."""
        if self.stopping():
            return job, None
        try:
            return job, where.do(job, ForJob(job, self.observer), self.stopping, self.force)
        except NbrnnError as error:
            self.fatal = error
        except OSError as error:  # of a process that cannot be started
            self.fatal = SweepError(f"{error.strerror or error}: fewer --jobs may help")
        return job, None

    def draw(self) -> None:
        """Draw the pictures of the runs that have ended.

        Only now: matplotlib is not made for threads, and takes as long as some thousand updates.
        """
        self.observer.drawing()
        for job in self.outcome.jobs:
            if self.stop():
                return
            if self.outcome.summaries.get(job.run_id, {}).get("status") in DONE:
                with suppress(NbrnnError):  # a picture less is no reason to lose a sweep's outcome
                    draw_loss(RunFolder(job.folder))
