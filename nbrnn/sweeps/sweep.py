"""Which experiments, in parallel, where, and which are done already?"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import joblib
from msgspec import structs

from nbrnn.config import check_range
from nbrnn.corpus import Corpus
from nbrnn.errors import ConfigError, NbrnnError, StoreError, SweepError
from nbrnn.runs.finalize import draw_loss
from nbrnn.runs.observer import Observer, Progress
from nbrnn.runs.training_state import prepare_kernels
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import DONE, DROPPED, FAILURES, Halving, Round, Summary, SweepRequest
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import Grid
from nbrnn.sweeps.job import Job, run_job
from nbrnn.sweeps.planning import begun_before, check_lengths, done_before, plan, request_of
from nbrnn.sweeps.successive_halving import Ladder, check_grid

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

    def entered(self, runs: int, done: int) -> None:
        """A round of successive halving begins, of so many runs, some of which are as far already."""

    def decided(self, decided: Round) -> None:
        """A round of successive halving has ended, and the worse configurations are dropped."""

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
    undecided: bool = False  # whether successive halving waits for runs that failed
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
    halving: Halving | None = None,
) -> Outcome:
    """Do all runs of a grid that are not done yet, `jobs` at once (-1: as many as there are cores).

    They run in threads, or, with a `scheduler`, on its cluster, unless `backend` says otherwise. What
    was interrupted goes on, what failed is done again; `force` does everything again. It ends early
    when `stop` says so, and when `max_failures` runs have diverged or failed. With `halving` all runs
    are done to a part of their length first, and only the better configurations go on; what is decided
    stands in sweep.json, and is not decided again. Raises ConfigError for options that do not go
    together, StoreError if the folder holds something else, LockedError if another sweep is at work in
    it, WriteError if it cannot be written, ClusterError without a scheduler at that address,
    CorpusError for too short a text.
    """
    check_options(backend, jobs, scheduler, max_failures)
    if halving is not None:
        check_grid(grid)
    if not folder.is_sweep() and not folder.is_free():
        raise StoreError(f"{folder} holds other files: give a new or an empty folder, or a sweep's")
    planned = plan(grid, corpus, folder)
    check_lengths(planned, corpus)
    ladder = Ladder(planned, halving, len(corpus)) if halving is not None else None
    with folder.locked():
        request = request_of(grid, corpus, planned, halving)
        outcome = Outcome(planned)
        if ladder is not None and not force:
            ladder.halving = folder.with_decisions(request).halving or ladder.halving
        ends = [*ladder.dropped(), *ladder.left(0)] if ladder is not None else planned
        if not force:
            before = {job.run_id: done_before(folder, job) for job in ends}
            if ladder is not None:  # what was dropped may have been made longer since
                again = {job.run_id: begun_before(folder, job, len(corpus)) for job in ladder.dropped()}
                before |= again
            outcome.summaries = {run_id: summary for run_id, summary in before.items() if summary}
            outcome.done_before = len(outcome.summaries)
        if ladder is not None:
            outcome.summaries |= ladder.dropped_of(outcome.summaries)
        sweeping = Sweeping(folder, outcome, observer or SweepObserver(), stop, force, max_failures)
        sweeping.observer.planned(outcome)
        left = [job for job in ends if job.run_id not in outcome.summaries]
        if left:
            with place(corpus, left, backend, scheduler) as where:
                folder.add_request(request)
                sweeping.observer.ready()
                slots = where.slots if jobs < 0 else jobs
                if ladder is None:
                    sweeping.go(left, where, slots, outcome.summaries)
                else:
                    sweeping.climb(ladder, request, where, slots)
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
        from nbrnn.sweeps.dask_backend import Cluster

        return Cluster(scheduler, corpus)
    for job in jobs:
        prepare_kernels(job.config)
    if backend == "loky":
        from nbrnn.sweeps.loky_backend import Processes

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
        self.failures: set[str] = set()
        self.fatal: NbrnnError | None = None  # an error that meets every run

    def stopping(self) -> bool:
        """Whether to do no more."""
        too_many = self.max_failures is not None and len(self.failures) >= self.max_failures
        return too_many or self.fatal is not None or self.stop()

    def climb(self, ladder: Ladder, request: SweepRequest, where: Place, slots: int) -> None:
        """Do the rounds of successive halving; what one decides is kept before the next begins.

        Where a run fails, nothing is decided: it is tried again by the same command.
        """
        summaries = self.outcome.summaries
        if self.force:  # what was decided before, too
            self.folder.replace_request(request)
        missing = [job for job in ladder.dropped() if job.run_id not in summaries]
        self.go(missing, where, slots, summaries)
        summaries |= ladder.dropped_of(summaries)
        for number in ladder.rounds[len(ladder.halving.rounds) :]:
            ended: dict[str, Summary] = {}
            now: dict[str, Summary] = {}
            jobs = ladder.left(number)
            if not self.force:
                before = {job.run_id: begun_before(self.folder, job, ladder.characters) for job in jobs}
                ended = {run_id: summary for run_id, summary in before.items() if summary}
            self.observer.entered(len(jobs), len(ended))
            self.go([job for job in jobs if job.run_id not in ended], where, slots, now)
            self.force = False  # the rounds to come go on from here
            ended |= now
            # a run that failed may do better the next time
            self.outcome.undecided = any(one.status == "failed" for one in now.values())
            if self.stopping() or self.outcome.undecided:
                summaries |= {name: one for name, one in ended.items() if one.status != "finished"}
                return
            decided = ladder.decide(number)
            self.folder.replace_request(structs.replace(request, halving=ladder.halving))
            self.observer.decided(decided)
            summaries |= ladder.dropped_of(ended)
        jobs = ladder.left(0)
        left = [job for job in jobs if job.run_id not in summaries]
        self.observer.entered(len(jobs), len(jobs) - len(left))
        self.go(left, where, slots, summaries)

    def go(self, jobs: list[Job], where: Place, slots: int, summaries: dict[str, Summary]) -> None:
        """Run jobs, so many at once, and put down the summaries of those that end."""
        start = time.monotonic()
        parallel = joblib.Parallel(
            n_jobs=max(1, min(slots, len(jobs))),
            backend="threading",
            return_as="generator_unordered",
            batch_size=1,
        )
        calls = (joblib.delayed(self.run)(job, where) for job in self.until_stopped(jobs))
        for job, summary in parallel(calls):
            if summary is not None:
                summaries[job.run_id] = summary
                if summary.status in FAILURES:
                    self.failures.add(job.run_id)
                self.observer.ended(job, summary)
        self.outcome.seconds += time.monotonic() - start
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
        done = [job for job in ended if summaries[job.run_id].status in (*DONE, DROPPED)]
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
