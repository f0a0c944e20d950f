"""The list of runs and the estimate of `nbrnn sweep --dry-run`."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from nbrnn.cli.console import print_json, print_note
from nbrnn.naming import span
from nbrnn.values import plural

if TYPE_CHECKING:
    from nbrnn.corpus import Corpus
    from nbrnn.storage.schemas import Halving
    from nbrnn.storage.sweep_folder import SweepFolder
    from nbrnn.sweeps.grid import Grid


class DryRun:
    """The runs of a sweep with their statuses. Raises what `nbrnn.sweeps.sweep.sweep` does."""

    def __init__(self, grid: Grid, corpus: Corpus, folder: SweepFolder, halving: Halving | None) -> None:
        from nbrnn.sweeps.planning import plan, request_of, status_before
        from nbrnn.sweeps.successive_halving import HalvingRounds

        self.corpus, self.halving, self.jobs = corpus, halving, plan(grid, corpus, folder)
        self.rounds = HalvingRounds(self.jobs, halving, len(corpus))
        self.request = folder.with_decisions(request_of(grid, corpus, self.jobs, halving))
        wanted = folder.requested_lengths()
        self.statuses = {job.run_id: status_before(job, wanted.get(job.run_id)) for job in self.jobs}

    def print(self, as_json: bool) -> None:
        """Print the runs, and the rounds of successive halving."""
        from nbrnn.naming import namer

        if as_json:
            rows = [
                {**job.config.to_dict(), "status": self.statuses[job.run_id], "run_id": job.run_id}
                for job in self.jobs
            ]
            print_json(rows)
            return
        name_of = namer(job.config for job in self.jobs)
        for job in self.jobs:
            print(f"{self.statuses[job.run_id]:<11} {name_of(job.config, with_seed=True)}")
        print(f"{len(self.jobs):,} runs, {sum(map(self.is_left, self.statuses)):,} to do")
        if self.halving is not None:
            (first, count), *between, (_, last) = self.rounds.schedule()
            parts = [f"{n:,} to {span(lengths)}" for lengths, n in between] + [f"{last:,} to the end"]
            print(f"{count:,} configurations to {span(first)} updates, then the best {', '.join(parts)}")

    def is_left(self, run_id: str) -> bool:
        """Whether a run is to be started or resumed."""
        from nbrnn.storage.schemas import DONE, DROPPED

        done = (*DONE, DROPPED) if self.halving is not None else DONE
        return self.statuses[run_id] not in done

    def note_estimate(self, parallel: int, force: bool) -> None:
        """Say what time and disk space the runs need that are left, so many at once (-1: each core)."""
        import joblib
        from rich import filesize

        from nbrnn.sweeps.cost_estimate import estimate

        if not force:
            self.rounds.halving = self.request.halving
        left = [job for job in self.rounds.expected_jobs() if force or self.is_left(job.run_id)]
        cores = joblib.cpu_count()
        parallel = max(1, min(len(left), cores, parallel if parallel > 0 else cores))
        seconds, size = estimate(left, self.corpus, parallel)
        runs = plural(len(left), "run")
        used = plural(parallel, "core")
        time = timedelta(seconds=math.ceil(seconds))
        print_note(f"{runs} to do: about {time} (h:mm:ss) on {used}, {filesize.decimal(size)}")
