"""What does the user see of a sweep that is only planned?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nbrnn.cli.console import note, span

if TYPE_CHECKING:
    from nbrnn.corpus import Corpus
    from nbrnn.storage.schemas import Halving
    from nbrnn.storage.sweep_folder import SweepFolder
    from nbrnn.sweeps.grid import Grid


class Planned:
    """All runs of a sweep, what has become of each, and the rounds of successive halving, if any.

    Raises what `nbrnn.sweeps.sweep.sweep` does about its options.
    """

    def __init__(self, grid: Grid, corpus: Corpus, folder: SweepFolder, halving: Halving | None) -> None:
        from nbrnn.sweeps.planning import check_lengths, plan, request_of, status_before
        from nbrnn.sweeps.successive_halving import Ladder, check_grid

        self.corpus, self.ladder = corpus, None
        self.jobs = plan(grid, corpus, folder)
        check_lengths(self.jobs, corpus)
        if halving is not None:
            check_grid(grid)
            self.ladder = Ladder(self.jobs, halving, len(corpus))
            request = request_of(grid, corpus, self.jobs, halving)
            self.decided = folder.with_decisions(request).halving or halving
        wanted = folder.requested_lengths()
        self.statuses = [status_before(job, wanted.get(job.run_id)) for job in self.jobs]

    def print(self, as_json: bool) -> None:
        """Print them."""
        from nbrnn.naming import namer

        if as_json:
            rows = [
                {**job.config.to_dict(), "status": status, "run_id": job.run_id}
                for job, status in zip(self.jobs, self.statuses, strict=True)
            ]
            print(json.dumps(rows, indent=2))
            return
        name_of = namer(job.config for job in self.jobs)
        for job, status in zip(self.jobs, self.statuses, strict=True):
            print(f"{status:<11} {name_of(job.config, with_seed=True)}")
        print(f"{len(self.jobs):,} runs, {sum(map(self.is_left, self.statuses)):,} to do")
        if self.ladder is not None:
            (first, count), *between, (_, last) = self.ladder.counts()
            parts = [f"{count:,} configurations to {span(first)} updates"]
            parts += [f"{n:,} to {span(lengths)}" for lengths, n in between] + [f"{last:,} to the end"]
            print(", then the best ".join(parts[:2]) + "".join(f", {part}" for part in parts[2:]))

    def is_left(self, status: str) -> bool:
        """Whether a run with this status is to be done, or done further."""
        from nbrnn.storage.schemas import DONE, DROPPED

        return status not in DONE and not (status == DROPPED and self.ladder is not None)

    def note_estimate(self, slots: int, force: bool) -> None:
        """Say how long the runs that are to be done will take, so many at once, and how much room."""
        import joblib

        from nbrnn.sweeps.cost_estimate import estimate

        status = dict(zip((job.run_id for job in self.jobs), self.statuses, strict=True))
        jobs = self.jobs
        if self.ladder is not None:
            if not force:
                self.ladder.halving = self.decided
            jobs = self.ladder.expected()
        left = [job for job in jobs if force or self.is_left(status[job.run_id])]
        cores = joblib.cpu_count()
        expected = estimate(left, self.corpus, min(slots, cores) if slots > 0 else cores)
        runs, cores_used = plural(expected.runs, "run"), plural(expected.slots, "core")
        note(f"{runs} to do: about {duration(expected.seconds)} on {cores_used}, {size(expected.bytes)}")


def plural(count: int, what: str) -> str:
    """Return a number of things."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time in the largest unit that leaves it at least 1.5."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"


def size(count: float) -> str:
    """Return a number of bytes."""
    for unit, length in (("TB", 1e12), ("GB", 1e9)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{max(count / 1e6, 1):.0f} MB"
