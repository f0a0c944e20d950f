"""The runs of a sweep, and those of them that are done."""

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
    """Return all runs of a grid. Raises CorpusError if one cannot be trained on this text."""
    command = tuple(sys.argv)
    jobs = []
    for config in grid.experiments():
        check_length(config, corpus)
        name = run_id(config, corpus.name, corpus.sha256)
        jobs.append(Job(name, config, folder.run(name).path, command))
    return jobs


def request_of(grid: Grid, corpus: Corpus, jobs: Iterable[Job], halving: Halving | None) -> SweepRequest:
    """Return the request that sweep.json records."""
    return SweepRequest(
        corpus=corpus.describe(),
        **grid.describe(),
        runs=[job.run_id for job in jobs],
        command=sys.argv,
        halving=halving,
    )


def done_before(
    sweep: SweepFolder, jobs: Iterable[Job], characters: int | None = None
) -> dict[str, Summary]:
    """Return the summaries of the runs that are done already, by run id.

    With the number of the text's `characters` also those of longer runs, unfinished, that are as far.
    """
    summaries = {}
    for job in jobs:
        folder, summary = RunFolder(job.folder), None
        with suppress(StoreError):  # the run itself will say what is wrong
            sweep.check_run(job.run_id)
            if folder.is_run() and folder.has_text():
                summary = done_summary(folder, job.config, longer_too=True)
        if summary is None and characters is not None:
            with suppress(StoreError):
                summary = summary_if_reached(folder, job, characters)
        if summary is not None:
            summaries[job.run_id] = summary
    return summaries


def summary_if_reached(folder: RunFolder, job: Job, characters: int) -> Summary | None:
    """Return the summary of a longer run that is as far, else None. Raises StoreError."""
    if folder.has_checkpoint() and folder.read_config()[0].same_but_length(job.config):
        update = max(folder.read_model(kind).update for kind in ("last", "best"))
        if update > job.config.length(characters):
            return folder.read_summary()
    return None


def status_before(job: Job, wanted: RequestedLength | None = None) -> str:
    """Return the status in which a run was left; `new` if it was not started."""
    folder = RunFolder(job.folder)
    try:
        return summary_in_sweep(folder, wanted).status if folder.is_run() else "new"
    except StoreError:
        return "damaged"
