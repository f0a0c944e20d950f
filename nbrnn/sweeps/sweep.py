"""Which experiments, in parallel, where, and which are done already?"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import joblib

from nbrnn.config import check_range
from nbrnn.corpus import Corpus
from nbrnn.errors import ConfigError, NbrnnError, StoreError, SweepError
from nbrnn.naming import run_id
from nbrnn.runs.outcome import draw_loss
from nbrnn.runs.progress import Observer, Progress
from nbrnn.runs.records import DONE, FAILURES, Summary, SweepRequest
from nbrnn.runs.run import check_length, done_summary
from nbrnn.runs.store import RunFolder
from nbrnn.runs.sweep_store import SweepFolder
from nbrnn.runs.training import make_ready
from nbrnn.sweeps.grid import Grid
from nbrnn.sweeps.job import Job, run_job

Backend = Literal["threading", "loky", "dask"]

MOST_JOBS = 256


class SweepObserver:
    """Is told what happens in a sweep, from several threads; this one does nothing with it."""

    def planned(self, outcome: Outcome) -> None:
        """The sweep starts; the outcome has the runs that were done before."""

    def started(self, job: Job, update: int, updates: int) -> None:
        """A run starts, or goes on."""

    def progressed(self, job: Job, progress: Progress) -> None:
        """A run is further."""

    def ended(self, job: Job, summary: Summary) -> None:
        """A run has ended: finished, diverged, failed or interrupted."""

    def ready(self) -> None:
        """The first run is about to start."""

    def drawing(self, done: int, runs: int) -> None:
        """All runs have ended, and the pictures of `done` of them are drawn."""


@dataclass
class ForJob(Observer):
    """Tells the observer of a sweep what one of its runs tells."""

    job: Job
    observer: SweepObserver

    def started(self, update: int, updates: int) -> None:
        """Pass it on."""
        self.observer.started(self.job, update, updates)

    def progressed(self, progress: Progress) -> None:
        """Pass it on."""
        self.observer.progressed(self.job, progress)


class Place(Protocol):
    """Where jobs run, and how many at once make it busy."""

    slots: int

    def run(self, job: Job, observer: Observer, stop: Callable[[], bool], force: bool) -> Summary:
        """Run a job, called by several threads at once; return its summary."""


@dataclass
class Threads:
    """Runs in this process: the kernels let other threads run, which share the corpus."""

    corpus: Corpus
    slots: int = field(default_factory=joblib.cpu_count)

    def run(self, job: Job, observer: Observer, stop: Callable[[], bool], force: bool) -> Summary:
        """Run a job in this thread."""
        return run_job(job, self.corpus, observer, stop, force)


@dataclass
class Outcome:
    """What has come out of a sweep: its runs, and the summaries of those that ended in any way."""

    jobs: list[Job]
    summaries: dict[str, Summary] = field(default_factory=dict)  # by run id
    done_before: int = 0
    seconds: float = 0.0  # that the runs took together, by the clock on the wall

    def count(self, *statuses: str) -> int:
        """Return the number of runs that ended so."""
        return sum(summary.status in statuses for summary in self.summaries.values())

    def failures(self) -> dict[str, str]:
        """Return run id and reason of the runs that diverged or failed."""
        return {
            run_id: f"{summary.status}: {summary.reason}"
            for run_id, summary in self.summaries.items()
            if summary.status in FAILURES
        }


def plan(grid: Grid, corpus: Corpus, folder: SweepFolder) -> list[Job]:
    """Return all runs of a grid."""
    command = tuple(sys.argv)
    jobs = []
    for config in grid.experiments():
        name = run_id(config, corpus.name, corpus.sha256)
        jobs.append(Job(name, config, folder.run(name).path, command))
    return jobs


def check_lengths(jobs: Iterable[Job], corpus: Corpus) -> None:
    """Raise CorpusError if one of the runs cannot be trained on this text: before any begins."""
    for job in jobs:
        check_length(job.config, corpus)


def done_before(sweep: SweepFolder, job: Job) -> Summary | None:
    """Return the summary of a run that need not be done, if there is one."""
    folder = RunFolder(job.folder)
    try:
        sweep.check_run(job.run_id)
        if folder.is_run() and folder.has_text():
            return done_summary(folder, job.config, longer_too=True)
    except StoreError:
        pass  # the run itself will say what is wrong
    return None


def status_before(job: Job) -> str:
    """Return the status in which a run was left; `new` if it was not begun."""
    folder = RunFolder(job.folder)
    try:
        return folder.read_summary().status if folder.is_run() else "new"
    except StoreError:
        return "damaged"


def sweep(
    grid: Grid,
    corpus: Corpus,
    folder: SweepFolder,
    *,
    backend: Backend | None = None,
    jobs: int = -1,
    scheduler: str | None = None,
    observer: SweepObserver | None = None,
    stop: Callable[[], bool] = lambda: False,
    force: bool = False,
    max_failures: int | None = None,
) -> Outcome:
    """Do all runs of a grid that are not done yet, `jobs` at once (-1: as many as there are cores).

    They run in threads, or, with a `scheduler`, on its cluster, unless `backend` says otherwise. What
    was interrupted goes on, what failed is done again; `force` does everything again. It ends early
    when `stop` says so, and when `max_failures` runs have diverged or failed. Raises ConfigError for
    options that do not go together, StoreError if the folder holds something else, LockedError if
    another sweep is at work in it, WriteError if it cannot be written, ClusterError without a
    scheduler at that address, CorpusError for too short a text.
    """
    check_options(backend, jobs, scheduler, max_failures)
    if not folder.is_sweep() and not folder.is_free():
        raise StoreError(f"{folder} holds other files: give a new or an empty folder, or a sweep's")
    with folder.locked():
        planned = plan(grid, corpus, folder)
        check_lengths(planned, corpus)
        request = SweepRequest(
            corpus=corpus.describe(),
            **grid.describe(),
            runs=[job.run_id for job in planned],
            command=sys.argv,
        )
        outcome = Outcome(planned)
        if not force:
            before = {job.run_id: done_before(folder, job) for job in planned}
            outcome.summaries = {run_id: summary for run_id, summary in before.items() if summary}
            outcome.done_before = len(outcome.summaries)
        sweeping = Sweeping(folder, outcome, observer or SweepObserver(), stop, force, max_failures)
        sweeping.observer.planned(outcome)
        left = [job for job in planned if job.run_id not in outcome.summaries]
        if left:
            with place(corpus, left, backend, scheduler) as where:
                folder.add_request(request)
                sweeping.observer.ready()
                sweeping.go(left, where, where.slots if jobs < 0 else jobs)
        else:
            folder.add_request(request)
        sweeping.draw()
        return outcome


def check_options(
    backend: Backend | None, jobs: int, scheduler: str | None, max_failures: int | None
) -> None:
    """Raise ConfigError for options of a sweep that are out of range or do not go together."""
    if backend not in (None, *get_args(Backend)):
        raise ConfigError(f"--backend must be {' or '.join(get_args(Backend))}, not {backend}")
    if backend == "dask" and scheduler is None:
        raise ConfigError("--backend dask needs --scheduler ADDRESS")
    if backend not in (None, "dask") and scheduler is not None:
        raise ConfigError(f"--scheduler goes with --backend dask, not {backend}")
    if jobs != -1:
        check_range("--jobs", jobs, 1, MOST_JOBS)
    if max_failures is not None:
        check_range("--max-failures", max_failures, 1)


def place(
    corpus: Corpus, jobs: list[Job], backend: Backend | None, scheduler: str | None
) -> AbstractContextManager[Place]:
    """Return where jobs run, with the kernels ready."""
    if scheduler is not None:
        if importlib.util.find_spec("distributed") is None:
            raise SweepError("--scheduler needs the extra dask: pip install 'nbrnn[dask]'")
        from nbrnn.sweeps.cluster import Cluster

        return Cluster(scheduler, corpus)
    for job in jobs:
        make_ready(job.config)
    if backend == "loky":
        from nbrnn.sweeps.process import Processes

        return Processes(corpus)
    return nullcontext(Threads(corpus))


class Sweeping:
    """A sweep at work: joblib's threads each see to one run, wherever that is done."""

    def __init__(
        self,
        folder: SweepFolder,
        outcome: Outcome,
        observer: SweepObserver,
        stop: Callable[[], bool],
        force: bool,
        max_failures: int | None,
    ) -> None:
        self.folder, self.outcome, self.observer = folder, outcome, observer
        self.stop, self.force = stop, force
        self.max_failures = max_failures
        self.failures = 0
        self.fatal: NbrnnError | None = None  # an error that meets every run

    def stopping(self) -> bool:
        """Whether to do no more."""
        too_many = self.max_failures is not None and self.failures >= self.max_failures
        return too_many or self.fatal is not None or self.stop()

    def go(self, jobs: list[Job], where: Place, slots: int) -> None:
        """Run jobs, so many at once."""
        start = time.monotonic()
        parallel = joblib.Parallel(
            n_jobs=min(slots, len(jobs)),
            backend="threading",
            return_as="generator_unordered",
            batch_size=1,
        )
        calls = (joblib.delayed(self.run)(job, where) for job in self.until_stopped(jobs))
        for job, summary in parallel(calls):
            if summary is not None:
                self.outcome.summaries[job.run_id] = summary
                self.failures += summary.status in FAILURES
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

    def run(self, job: Job, where: Place) -> tuple[Job, Summary | None]:
        """Run a job; without a summary if it was not even begun, or met an error that meets all."""
        if self.stopping():
            return job, None
        try:
            self.folder.check_run(job.run_id)
        except StoreError as error:  # of this run alone, and nothing is written there
            return job, Summary(status="failed", reason=str(error))
        try:
            return job, where.run(job, ForJob(job, self.observer), self.stopping, self.force)
        except NbrnnError as error:
            self.fatal = error
        except OSError as error:  # of a process that cannot be started
            self.fatal = SweepError(f"{error.strerror or error}: fewer --jobs may help")
        return job, None

    def draw(self) -> None:
        """Draw the pictures of the runs that have ended.

        Only now: matplotlib is not made for threads, and takes as long as some thousand updates.
        """
        summaries = self.outcome.summaries
        ended = [job for job in self.outcome.jobs if job.run_id in summaries]
        done = [job for job in ended if summaries[job.run_id].status in DONE]
        for number, job in enumerate(done):
            if self.stop():
                return
            self.observer.drawing(number, len(done))
            folder = RunFolder(job.folder)
            with (
                suppress(NbrnnError),
                folder.locked(),
            ):  # a picture less is no reason to lose the outcome
                draw_loss(folder)
        self.observer.drawing(len(done), len(done))
