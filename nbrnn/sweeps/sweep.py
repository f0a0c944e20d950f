"""Train the runs of a sweep in parallel, on any backend."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal, get_args

import joblib
from msgspec import structs

from nbrnn.corpus import Corpus
from nbrnn.errors import ConfigError, NbrnnError, StoreError, SweepError, install_command
from nbrnn.runs.finalize import draw_loss
from nbrnn.runs.observer import Observer, Progress
from nbrnn.runs.training_state import prepare_kernels
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import DONE, DROPPED, FAILURES, Halving, Round, Summary, SweepRequest
from nbrnn.storage.sweep_folder import SweepFolder
from nbrnn.sweeps.grid import Grid
from nbrnn.sweeps.job import Job, Relay, run_job
from nbrnn.sweeps.planning import done_before, plan, request_of
from nbrnn.sweeps.successive_halving import HalvingRounds
from nbrnn.values import check_choice, check_range, shortened

Backend = Literal["threading", "loky", "dask"]
# Runs a job, called by several threads at once. The third argument says whether to stop, the last one
# whether to do again what is done.
RunJob = Callable[[Job, Observer, Callable[[], bool], bool], Summary]

MAX_JOBS = 256


class SweepObserver:
    """The interface through which a sweep reports its events, from several threads; ignores them."""

    def planned(self, outcome: Outcome) -> None:
        """The sweep starts; the outcome has the runs that were done before."""

    def started(self, job: Job, update: int, updates: int) -> None:
        """A run starts, or resumes."""

    def progressed(self, job: Job, progress: Progress) -> None:
        """A run has made progress."""

    def ended(self, job: Job, summary: Summary) -> None:
        """A run has ended: finished, diverged, failed or interrupted."""

    def entered(self, runs: int, done: int) -> None:
        """A round starts, `done` of its runs were done before; without halving there is one round."""

    def decided(self, decided: Round) -> None:
        """A round of successive halving has ended, and the worse configurations are dropped."""

    def ready(self) -> None:
        """The first run is about to start."""

    def drawing(self, done: int, runs: int) -> None:
        """All runs have ended, and `done` of their plots are drawn."""


@dataclass
class Outcome:
    """The runs of a sweep, and the summaries of those that ended in any way."""

    jobs: list[Job]
    summaries: dict[str, Summary] = field(default_factory=dict)  # by run id
    done_before: int = 0
    undecided: bool = False  # whether successive halving waits for runs that failed
    seconds: float = 0.0  # that the runs took together, by the clock

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
    """Train all runs of a grid that are not done yet, `jobs` at once (-1: one for each core).

    They run in threads, or, with a `scheduler`, on its cluster, unless `backend` says otherwise.
    Interrupted runs resume, failed ones are tried again; `force` does everything again. The sweep ends
    early when `stop` says so, and when `max_failures` runs have diverged or failed. With `halving` all
    runs are trained to a part of their length first, and only the better configurations continue;
    sweep.json keeps the decisions, which are not made again. Raises ConfigError for options that do not
    go together, StoreError if the folder holds something else, LockedError if another sweep uses it,
    WriteError if it cannot be written, ClusterError without a scheduler at that address, CorpusError for
    too short a text.
    """
    check_options(backend, jobs, scheduler, max_failures)
    if not folder.is_sweep() and not folder.is_free():
        raise StoreError(f"{folder} holds other files: give a new folder, or that of a sweep")
    outcome = Outcome(plan(grid, corpus, folder))
    rounds = HalvingRounds(outcome.jobs, halving, len(corpus))
    observer = observer or SweepObserver()
    with folder.locked():
        request = request_of(grid, corpus, outcome.jobs, halving)
        if not force:
            rounds.halving = folder.with_decisions(request).halving
            # a dropped run may have been made longer since
            outcome.summaries = done_before(folder, rounds.dropped_jobs(), len(corpus))
            outcome.summaries |= done_before(folder, rounds.remaining_jobs(0))
            outcome.done_before = len(outcome.summaries)
            outcome.summaries |= rounds.dropped_summaries(outcome.summaries)
        observer.planned(outcome)
        ends = [*rounds.dropped_jobs(), *rounds.remaining_jobs(0)]
        if left := [job for job in ends if job.run_id not in outcome.summaries]:
            with started_backend(corpus, left, backend, scheduler) as (run, max_parallel):
                folder.add_request(request)
                observer.ready()
                parallel = max_parallel if jobs < 0 else jobs
                options = observer, run, parallel, stop, force, max_failures
                SweepExecution(folder, request, outcome, rounds, *options).run_rounds()
        else:
            folder.add_request(request)
        draw_plots(outcome, observer, stop)
        return outcome


def check_options(
    backend: Backend | None, jobs: int, scheduler: str | None, max_failures: int | None
) -> None:
    """Raise ConfigError for options of a sweep that are out of range or do not go together."""
    if backend is not None:
        check_choice("--backend", backend, get_args(Backend))
    if scheduler is not None and not isinstance(scheduler, str):
        wrong = f"(got {shortened(scheduler)})"
        raise ConfigError(f"--scheduler must be an address, as tcp://HOST:8786 {wrong}")
    if backend == "dask" and scheduler is None:
        raise ConfigError("--backend dask needs --scheduler ADDRESS")
    if backend not in (None, "dask") and scheduler is not None:
        raise ConfigError(f"--scheduler has no effect with --backend {backend}: leave it out")
    if jobs != -1:
        check_range("--jobs", jobs, 1, MAX_JOBS, whole=True)
    if max_failures is not None:
        check_range("--max-failures", max_failures, 1, whole=True)


@contextmanager
def started_backend(
    corpus: Corpus, jobs: list[Job], backend: Backend | None, scheduler: str | None
) -> Iterator[tuple[RunJob, int]]:
    """Yield what runs a job, with the kernels ready, and how many at once keep it busy."""
    if scheduler is not None:
        if importlib.util.find_spec("distributed") is None:
            raise SweepError(f"--scheduler needs the extra dask: {install_command('dask')}")
        from nbrnn.sweeps.dask_backend import MAX_SUBMITTED, DaskBackend

        with DaskBackend(scheduler, corpus) as dask:
            yield dask.run, MAX_SUBMITTED
        return
    for job in jobs:
        prepare_kernels(job.config)
    if backend == "loky":
        from nbrnn.sweeps.loky_backend import LokyBackend

        with LokyBackend(corpus) as loky:
            yield loky.run, joblib.cpu_count()
    else:  # the kernels let other threads run, which share the corpus
        yield lambda job, *options: run_job(job, corpus, *options), joblib.cpu_count()


@dataclass
class SweepExecution:
    """A sweep in progress: joblib's threads each wait for one run, on any backend."""

    folder: SweepFolder
    request: SweepRequest
    outcome: Outcome
    rounds: HalvingRounds
    observer: SweepObserver
    run: RunJob
    parallel: int
    stop: Callable[[], bool]
    force: bool
    max_failures: int | None
    failures: set[str] = field(default_factory=set)
    fatal: NbrnnError | None = None  # an error that every run would meet

    def should_stop(self) -> bool:
        """Whether to start no more runs, and to interrupt those in progress."""
        too_many = self.max_failures is not None and len(self.failures) >= self.max_failures
        return too_many or self.fatal is not None or self.stop()

    def run_rounds(self) -> None:
        """Run the rounds of successive halving, without it the one; keep each decision on disk.

        If a run fails, nothing is decided: the same command tries it again.
        """
        rounds, summaries = self.rounds, self.outcome.summaries
        if self.force and rounds.halving is not None:  # earlier decisions do not hold
            self.folder.replace_request(self.request)
        self.run_jobs(rounds.dropped_jobs(), summaries)
        summaries |= rounds.dropped_summaries(summaries)
        for number in rounds.undecided:
            jobs = rounds.remaining_jobs(number)
            before = {} if self.force else done_before(self.folder, jobs, rounds.characters)
            self.observer.entered(len(jobs), len(before))
            self.run_jobs(jobs, ended := dict(before))
            self.force = False  # the next rounds continue from here
            # a run that failed may succeed the next time
            self.outcome.undecided = any(
                one.status == "failed" and name not in before for name, one in ended.items()
            )
            if self.should_stop() or self.outcome.undecided:
                summaries |= {name: one for name, one in ended.items() if one.status != "finished"}
                return
            decided = rounds.decide(number)
            self.folder.replace_request(structs.replace(self.request, halving=rounds.halving))
            self.observer.decided(decided)
            summaries |= rounds.dropped_summaries(ended)
        jobs = rounds.remaining_jobs(0)
        self.observer.entered(len(jobs), sum(job.run_id in summaries for job in jobs))
        self.run_jobs(jobs, summaries)

    def run_jobs(self, jobs: list[Job], summaries: dict[str, Summary]) -> None:
        """Run the jobs that have no summary in parallel, and add the summaries of those that end."""
        start, jobs = time.monotonic(), [job for job in jobs if job.run_id not in summaries]
        parallel = joblib.Parallel(
            n_jobs=max(1, min(self.parallel, len(jobs))),
            backend="threading",
            return_as="generator_unordered",
            batch_size=1,
        )
        started = takewhile(lambda job: not self.should_stop(), jobs)
        for job, summary in parallel(joblib.delayed(self.run_job)(job) for job in started):
            if summary is not None:
                summaries[job.run_id] = summary
                if summary.status in FAILURES:
                    self.failures.add(job.run_id)
                self.observer.ended(job, summary)
        self.outcome.seconds += time.monotonic() - start
        if self.fatal is not None:
            raise self.fatal

    def run_job(self, job: Job) -> tuple[Job, Summary | None]:
        """Run a job; no summary if it was not started, or met an error that every run would meet."""
        if self.should_stop():
            return job, None
        try:
            self.folder.check_run(job.run_id)
        except StoreError as error:  # of this run alone, and nothing is written there
            return job, Summary(status="failed", reason=str(error))
        relay = Relay(lambda event, *what: getattr(self.observer, event)(job, *what))
        try:
            return job, self.run(job, relay, self.should_stop, self.force)
        except NbrnnError as error:
            self.fatal = error
        except OSError as error:  # of a process that cannot be started
            self.fatal = SweepError(f"{error.strerror or error}: fewer --jobs may help")
        return job, None


def draw_plots(outcome: Outcome, observer: SweepObserver, stop: Callable[[], bool]) -> None:
    """Draw the plots that the runs which have ended lack.

    Only now: Matplotlib is not safe in threads, and a plot takes as long as some thousand updates.
    """
    statuses = {run_id: summary.status for run_id, summary in outcome.summaries.items()}
    ended = [job for job in outcome.jobs if statuses.get(job.run_id) in (*DONE, DROPPED)]
    folders = [folder for job in ended if not (folder := RunFolder(job.folder)).has_plot()]
    for number, folder in enumerate(folders):
        if stop():
            return
        observer.drawing(number, len(folders))
        with suppress(NbrnnError), folder.locked():  # the results do not depend on a plot
            draw_loss(folder)
    observer.drawing(len(folders), len(folders))
