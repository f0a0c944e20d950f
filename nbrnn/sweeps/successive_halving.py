"""Successive halving: the configurations that continue after a part of their length.

Successive halving: Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter
optimization, AISTATS 2016.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from msgspec import structs

from nbrnn.config import RunConfig
from nbrnn.errors import ConfigError
from nbrnn.runs.training_state import LOG_EVERY
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.run_logs import Validation, best_after
from nbrnn.storage.schemas import DROPPED, Halving, HalvingLoss, Round, Summary
from nbrnn.sweeps.job import Job
from nbrnn.values import check_range

MAX_RATE = 10_000


def halving_of(rate: int | None, start: float | None) -> Halving | None:
    """Return the request to drop configurations, if there is one. Raises ConfigError."""
    if rate is None:
        if start is not None:
            raise ConfigError("--halving-from has no effect without --halving: give both")
        return None
    check_range("--halving", rate, 2, MAX_RATE, whole=True)
    if start is not None:
        check_range("--halving-from", start, 0, 1 / rate, exclusive=True)
    return Halving(rate=rate, start=start)


@dataclass
class HalvingRounds:
    """The rounds of successive halving over the runs of a sweep, and what was decided in them.

    Rounds are counted down to 0: in round k runs have 1 / rate^k of their updates, and at least enough
    for one evaluation. Without halving there is only round 0. Raises ConfigError for runs that cannot
    be compared before their end.
    """

    jobs: Sequence[Job]  # all runs, of full length
    halving: Halving | None
    characters: int  # of the text

    def __post_init__(self) -> None:
        if self.halving is None:
            return
        configs = [jobs[0].config for jobs in self.configurations]
        for config in configs:
            if config.schedule != "constant":
                other = f"--schedule {config.schedule}"
                raise ConfigError(
                    f"--halving makes runs longer, which {other} does not allow: leave one out"
                )
        for name in ("epochs", "updates"):
            if len({getattr(config, name) for config in configs}) > 1:
                raise ConfigError(f"--halving takes one length, the longest: give one value of --{name}")
        if len(configs) < 2:
            raise ConfigError("--halving needs at least two configurations to choose from")
        if not self.kept:
            raise ConfigError(
                "--halving: the runs are too short to be compared before their end: "
                "give more --epochs or --updates"
            )

    @cached_property
    def configurations(self) -> list[list[Job]]:
        """The runs of each configuration."""
        runs: dict[RunConfig, list[Job]] = {}
        for job in self.jobs:
            runs.setdefault(job.config.configuration, []).append(job)
        return list(runs.values())

    @cached_property
    def kept(self) -> dict[int, int]:
        """How many configurations continue after each round but 0, by its number, the first round first.

        Rounds in which all runs have the same lengths, because evaluations are rare, are one round.
        """
        if self.halving is None:
            return {}
        rate, smallest_share, rounds = self.halving.rate, self.halving.start or 0, 0
        size = len(self.configurations)
        while size > 1 and rate ** -(rounds + 1) >= smallest_share:
            size, rounds = math.ceil(size / rate), rounds + 1
        size, kept = len(self.configurations), {}
        for number in range(rounds, 0, -1):
            if self.lengths(number) != self.lengths(number - 1):
                size = kept[number] = math.ceil(size / rate)
        return kept

    def lengths(self, number: int) -> list[int]:
        """Return the updates of each configuration in a round."""
        return [self.length(jobs[0].config, number) for jobs in self.configurations]

    def length(self, config: RunConfig, number: int) -> int:
        """Return the updates of a run in a round, at whose end it is evaluated anyway."""
        full = config.length(self.characters)
        if number == 0 or self.halving is None:
            return full
        every = LOG_EVERY
        if config.validation:
            every = config.updates_per_look(self.characters) or 1
        smallest: int = max(math.ceil(full / self.halving.rate**number), config.warmup)
        return min(full, every * math.ceil(smallest / every))

    def shortened(self, job: Job, number: int) -> Job:
        """Return a run with its length in a round."""
        length = self.length(job.config, number)
        if length == job.config.length(self.characters):
            return job
        return replace(job, config=replace(job.config, epochs=None, updates=length))

    @property
    def decided(self) -> list[Round]:
        """What was decided so far."""
        return self.halving.rounds if self.halving is not None else []

    @property
    def undecided(self) -> list[int]:
        """The numbers of the rounds to come, without 0."""
        return list(self.kept)[len(self.decided) :]

    @property
    def last_rounds(self) -> dict[str, int]:
        """The number of the last round of each dropped run, by its id."""
        rounds = zip(self.kept, self.decided, strict=False)
        return {run_id: number for number, decided in rounds for run_id in decided.dropped_runs}

    def remaining_jobs(self, number: int) -> list[Job]:
        """Return the runs that are not dropped, with their lengths in a round."""
        dropped = self.last_rounds
        return [self.shortened(job, number) for job in self.jobs if job.run_id not in dropped]

    def dropped_jobs(self) -> list[Job]:
        """Return the dropped runs, with their lengths in their last round."""
        last = self.last_rounds
        return [self.shortened(job, last[job.run_id]) for job in self.jobs if job.run_id in last]

    def dropped_summaries(self, summaries: Mapping[str, Summary]) -> dict[str, Summary]:
        """Return the summaries of dropped runs with this status; their own files call them finished."""
        dropped = {}
        for job in self.dropped_jobs():
            if (summary := summaries.get(job.run_id)) is not None:
                is_short = summary.updates <= job.config.length(self.characters)
                if summary.status == "finished" and is_short:
                    summary = structs.replace(summary, status=DROPPED)
                dropped[job.run_id] = summary
        return dropped

    def schedule(self) -> list[tuple[list[int], int]]:
        """Return for each round the lengths of all configurations, and how many take part."""
        lengths = [self.lengths(number) for number in (*self.kept, 0)]
        return list(zip(lengths, (len(self.configurations), *self.kept.values()), strict=True))

    def expected_jobs(self) -> list[Job]:
        """Return runs with their final lengths, if the rounds to come drop the last configurations."""
        last, jobs = self.last_rounds, self.dropped_jobs()
        remaining = [runs for runs in self.configurations if runs[0].run_id not in last]
        for number in self.undecided:
            count = self.kept[number]
            jobs += [self.shortened(job, number) for runs in remaining[count:] for job in runs]
            remaining = remaining[:count]
        return jobs + [job for runs in remaining for job in runs]

    def decide(self, number: int) -> Round:
        """Compare the remaining configurations at the end of a round; keep the best ones.

        Raises StoreError if a run cannot be read.
        """
        assert self.halving is not None
        held_out = all(job.config.validation for job in self.jobs)
        dropped, ranked = self.last_rounds, []
        for jobs in self.configurations:
            if jobs[0].run_id in dropped:
                continue
            lengths = [self.length(job.config, number) for job in jobs]  # folds differ by a window
            losses = [
                loss_after(job, length, held_out, self.characters)
                for job, length in zip(jobs, lengths, strict=True)
            ]
            known = [loss for loss in losses if loss is not None]
            mean = math.fsum(known) / len(known) if known else math.inf
            standing = HalvingLoss(
                runs=[job.run_id for job in jobs],
                update=lengths[0],
                loss=mean if len(known) == len(jobs) else None,
            )
            ranked.append((len(jobs) - len(known), mean, standing))
        ordered = [standing for *_, standing in sorted(ranked, key=lambda item: item[:2])]
        count, share = self.kept[number], self.halving.rate**-number
        decided = Round(share=share, kept=ordered[:count], dropped=ordered[count:])
        self.halving = structs.replace(self.halving, rounds=[*self.halving.rounds, decided])
        return decided


def loss_after(job: Job, update: int, held_out: bool, characters: int) -> float | None:
    """Return the lowest loss of a run up to an update, in nats per character, however long it is.

    None if it did not come so far, because it diverged. Raises StoreError.
    """
    folder, scale = RunFolder(job.folder), 1 if held_out else job.config.characters_in_loss
    summary, (config, _) = folder.read_summary(), folder.read_config()
    if summary.status == "finished" and summary.updates <= update <= config.length(characters):
        best = summary.validation_best if held_out else summary.smooth_loss_best
    else:
        log = folder.read_validation() if held_out else folder.read_metrics()
        losses = log.loss if isinstance(log, Validation) else log.smooth_loss
        is_long_enough = log.update.max(initial=0) >= update
        best = best_after(log.update, losses, update) if is_long_enough else None
    return None if best is None else best / scale
