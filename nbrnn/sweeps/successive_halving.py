"""Which configurations go on, after how much of their length?

Successive halving: Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter
optimization, AISTATS 2016.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from msgspec import structs

from nbrnn.config import RunConfig, check_range
from nbrnn.errors import ConfigError
from nbrnn.runs.training_state import LOG_EVERY
from nbrnn.storage.append_logs import Validation, best_after
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import DROPPED, Halving, HalvingLoss, Round, Summary
from nbrnn.sweeps.grid import Grid
from nbrnn.sweeps.job import Job

MOST_RATE = 10_000  # more configurations than anybody lists


def halving_of(rate: int | None, start: float | None) -> Halving | None:
    """Return how to drop configurations, if they are to be dropped. Raises ConfigError."""
    if rate is None:
        if start is not None:
            raise ConfigError("--halving-from goes with --halving: give that, too")
        return None
    if isinstance(rate, bool) or not isinstance(rate, int):
        raise ConfigError(f"--halving must be a whole number, not {rate!r}")
    check_range("--halving", rate, 2, MOST_RATE)
    if start is not None:
        if isinstance(start, bool) or not isinstance(start, int | float):
            raise ConfigError(f"--halving-from must be a number, not {start!r}")
        check_range("--halving-from", start, 0, 1 / rate, exclusive=True)
    return Halving(rate=rate, start=start)


def check_grid(grid: Grid) -> None:
    """Raise ConfigError where runs cannot be made longer, or their lengths differ, or nothing can go."""
    schedules = [schedule for schedule in grid.axes.get("schedule", []) if schedule != "constant"]
    if schedules:
        raise ConfigError(
            f"--halving makes runs longer, which --schedule {schedules[0]} does not allow: leave one out"
        )
    for name in ("epochs", "updates"):
        if len(grid.axes.get(name, [])) > 1:
            raise ConfigError(f"--halving chooses the lengths itself: give one value of --{name}")
    if len(grid.configurations()) < 2:
        raise ConfigError("--halving needs at least two configurations to choose from")


@dataclass
class Ladder:
    """The rounds of successive halving over the runs of a sweep, and what was decided in them.

    Rounds are counted down to 0: in round k runs have 1 / rate^k of their updates, and at least enough
    to be looked at once. Raises ConfigError for runs that are too short for that.
    """

    jobs: Sequence[Job]  # all runs, of full length
    halving: Halving
    characters: int

    def __post_init__(self) -> None:
        if not self.kept:
            raise ConfigError("--halving: the runs are too short to be compared before their end")

    @cached_property
    def configurations(self) -> list[list[Job]]:
        """The runs of each configuration."""
        found: dict[RunConfig, list[Job]] = {}
        for job in self.jobs:
            found.setdefault(replace(job.config, seed=0), []).append(job)
        return list(found.values())

    @cached_property
    def kept(self) -> dict[int, int]:
        """How many configurations go on after each round, by its number, the first round first.

        Rounds in which all runs have the same lengths, because of their looks, are one, after which one
        in `rate` goes on as after any other.
        """
        rate, least, rounds = self.halving.rate, self.halving.start or 0, 0
        size = len(self.configurations)
        while size > 1 and rate ** -(rounds + 1) >= least:
            size, rounds = math.ceil(size / rate), rounds + 1
        size, kept = len(self.configurations), {}
        for number in range(rounds, 0, -1):
            if self.lengths(number) != self.lengths(number - 1):
                size = kept[number] = math.ceil(size / rate)
        return kept

    @property
    def rounds(self) -> list[int]:
        """The numbers of the rounds after which configurations are dropped."""
        return list(self.kept)

    def lengths(self, number: int) -> list[int]:
        """Return the updates of each configuration in a round."""
        return [self.update(jobs[0].config, number) for jobs in self.configurations]

    def update(self, config: RunConfig, number: int) -> int:
        """Return after how many updates a run is looked at in a round: at one of its own looks."""
        full = config.length(self.characters)
        every = LOG_EVERY
        if config.validation:
            every = config.updates_per_look(self.characters) or 1
        wanted: int = max(math.ceil(full / self.halving.rate**number), config.warmup)
        return min(full, every * math.ceil(wanted / every))

    def at(self, job: Job, number: int) -> Job:
        """Return a run as long as it is in a round; 0 is the last one."""
        update = self.update(job.config, number)
        if update == job.config.length(self.characters):
            return job
        return replace(job, config=replace(job.config, epochs=None, updates=update))

    @property
    def last_rounds(self) -> dict[str, int]:
        """The number of the last round of each run that was dropped, by its id."""
        decided = zip(self.rounds, self.halving.rounds, strict=False)
        return {run_id: number for number, one in decided for run_id in one.dropped_runs}

    def left(self, number: int) -> list[Job]:
        """Return the runs that were not dropped so far, as long as they are in a round."""
        dropped = self.last_rounds
        return [self.at(job, number) for job in self.jobs if job.run_id not in dropped]

    def dropped(self) -> list[Job]:
        """Return the runs that were dropped so far, as long as they are to be."""
        last = self.last_rounds
        return [self.at(job, last[job.run_id]) for job in self.jobs if job.run_id in last]

    def dropped_of(self, summaries: Mapping[str, Summary]) -> dict[str, Summary]:
        """Return the summaries of dropped runs; to themselves they may be finished."""
        found = {}
        for job in self.dropped():
            summary = summaries.get(job.run_id)
            if summary is None:
                continue
            is_short = summary.updates <= job.config.length(self.characters)
            if summary.status == "finished" and is_short:
                summary = structs.replace(summary, status=DROPPED)
            found[job.run_id] = summary
        return found

    def counts(self) -> list[tuple[list[int], int]]:
        """Return the lengths of all rounds and the last one, and how many configurations go so far."""
        lengths = [self.lengths(number) for number in (*self.kept, 0)]
        return list(zip(lengths, (len(self.configurations), *self.kept.values()), strict=True))

    def expected(self) -> list[Job]:
        """Return runs as long as they will be, if what is undecided drops the last configurations."""
        last, jobs = self.last_rounds, self.dropped()
        left = [runs for runs in self.configurations if runs[0].run_id not in last]
        for number in self.rounds[len(self.halving.rounds) :]:
            count = self.kept[number]
            jobs += [self.at(job, number) for runs in left[count:] for job in runs]
            left = left[:count]
        return jobs + [job for runs in left for job in runs]

    def decide(self, number: int) -> Round:
        """Compare the configurations that are left, at the end of a round; say which of them go on.

        Raises StoreError where a run cannot be read.
        """
        held_out = all(job.config.validation for job in self.jobs)
        dropped, standings = self.last_rounds, []
        for jobs in self.configurations:
            if jobs[0].run_id in dropped:
                continue
            update = self.update(jobs[0].config, number)
            losses = [loss_after(job, update, held_out, self.characters) for job in jobs]
            known = [loss for loss in losses if loss is not None]
            mean = math.fsum(known) / len(known) if known else math.inf
            standing = HalvingLoss(
                runs=[job.run_id for job in jobs],
                update=update,
                loss=mean if len(known) == len(jobs) else None,
            )
            standings.append((len(jobs) - len(known), mean, standing))
        ordered = [standing for *_, standing in sorted(standings, key=lambda item: item[:2])]
        count, share = self.kept[number], self.halving.rate**-number
        decided = Round(share=share, kept=ordered[:count], dropped=ordered[count:])
        self.halving = structs.replace(self.halving, rounds=[*self.halving.rounds, decided])
        return decided


def loss_after(job: Job, update: int, held_out: bool, characters: int) -> float | None:
    """Return the best loss of a run after so many updates, in nats per character, however long it is.

    None for one that has not come so far: it diverged. Raises StoreError.
    """
    folder, scale = RunFolder(job.folder), 1 if held_out else job.config.characters_in_loss
    summary, (config, _) = folder.read_summary(), folder.read_config()
    if summary.status == "finished" and summary.updates <= update <= config.length(characters):
        best = summary.validation_best if held_out else summary.smooth_loss_best
    else:
        series = folder.read_validation() if held_out else folder.read_metrics()
        losses = series.loss if isinstance(series, Validation) else series.smooth_loss
        came_so_far = series.update.max(initial=0) >= update
        best = best_after(series.update, losses, update) if came_so_far else None
    return None if best is None else best / scale
