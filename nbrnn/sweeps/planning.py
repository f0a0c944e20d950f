"""Which runs does a sweep have, and which of them are done?"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress

from nbrnn.corpus import Corpus
from nbrnn.errors import StoreError
from nbrnn.naming import run_id
from nbrnn.runs.run import check_length, done_summary
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Halving, Summary, SweepRequest
from nbrnn.storage.sweep_folder import RequestedLength, SweepFolder, summary_in_sweep
from nbrnn.sweeps.grid import Grid
from nbrnn.sweeps.job import Job


def plan(grid: Grid, corpus: Corpus, folder: SweepFolder) -> list[Job]:
    """Return all runs of a grid."""
    command = tuple(sys.argv)
    jobs = []
    for config in grid.experiments():
        name = run_id(config, corpus.name, corpus.sha256)
        jobs.append(Job(name, config, folder.run(name).path, command))
    return jobs


def request_of(grid: Grid, corpus: Corpus, jobs: Iterable[Job], halving: Halving | None) -> SweepRequest:
    """Return what sweep.json is to say of a sweep."""
    return SweepRequest(
        corpus=corpus.describe(),
        **grid.describe(),
        runs=[job.run_id for job in jobs],
        command=sys.argv,
        halving=halving,
    )


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


def begun_before(sweep: SweepFolder, job: Job, characters: int) -> Summary | None:
    """Return the summary of a run that is as long, or the beginning of a longer one which is so far."""
    if (summary := done_before(sweep, job)) is not None:
        return summary
    folder = RunFolder(job.folder)
    with suppress(StoreError):
        if folder.has_checkpoint() and folder.read_config()[0].same_but_length(job.config):
            done = max(folder.read_model(kind).update for kind in ("last", "best"))
            if done > job.config.length(characters):
                return folder.read_summary()
    return None


def status_before(job: Job, wanted: RequestedLength | None = None) -> str:
    """Return the status in which a run was left; `new` if it was not begun."""
    folder = RunFolder(job.folder)
    try:
        return summary_in_sweep(folder, wanted).status if folder.is_run() else "new"
    except StoreError:
        return "damaged"
