"""The command `nbrnn sweep`."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nbrnn.cli import options
from nbrnn.cli.console import print_error, print_json, print_note, print_wrapped, surviving_closed_stdout
from nbrnn.cli.reports import print_results
from nbrnn.errors import ConfigError, NbrnnError
from nbrnn.naming import RESULTS, span
from nbrnn.presets import with_preset
from nbrnn.signals import Signals
from nbrnn.sweeps.grid import MAX_VALUES, grid
from nbrnn.values import plural

if TYPE_CHECKING:
    from nbrnn.corpus import Corpus
    from nbrnn.report.sweep_report import Report
    from nbrnn.storage.schemas import Halving
    from nbrnn.storage.sweep_folder import SweepFolder
    from nbrnn.sweeps.grid import Grid
    from nbrnn.sweeps.sweep import Outcome

# A command imports what it needs inside its function, so that `nbrnn --help` is instant.


@options.list_options
def sweep(
    settings: dict[str, Any],
    corpus: options.CorpusNames = None,
    preset: options.PresetName = None,
    draws: Annotated[
        int | None, typer.Option("--random", metavar="N", help="Draw N configurations from the grid.")
    ] = None,
    draw_seed: Annotated[int, typer.Option("--sweep-seed", help="Seed of the draw of --random.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The sweep's folder  [default: results/NAME]")] = None,
    name: Annotated[str | None, typer.Option(help="[default: made from corpus and lists]")] = None,
    jobs: Annotated[int, typer.Option(help="Runs in parallel (-1: one for each core).")] = -1,
    backend: Annotated[
        Literal["threading", "loky", "dask"] | None,
        typer.Option(help="Threads, processes, or a cluster  [default: threading]"),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address of a dask scheduler.")
    ] = None,
    max_failures: Annotated[
        int | None, typer.Option(metavar="N", help="Stop when N runs have failed.")
    ] = None,
    halving: Annotated[
        int | None,
        typer.Option(metavar="N", help="Keep the best 1 in N configurations, round by round."),
    ] = None,
    halving_from: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Fraction of the updates in the first round  [default: small enough to end with 1]",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the runs and estimate their time.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Repeat runs that are done.")] = False,
    encoding: options.Encoding = None,
    documents: options.Documents = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train with all combinations of settings and seeds.

    Several runs train in parallel; at the end there is a report on all of them.

    A LIST has commas between values: 0.01,0.1. log:0.001:0.1:5 and lin:0:1:5 are five values each; 0:9
    are the whole numbers from 0 to 9. The same command continues after an interruption; other lists with
    the same --out or --name add to a sweep.

    With --halving 2 all configurations are trained to a part of their length, the better half to twice
    that, and so on. Dropped runs keep their folders; without --halving they are trained to their end.
    """
    lists = {name: str(value) for name, value in with_preset(preset, settings).items()}
    wanted = grid(lists, draws, draw_seed)
    check_name(out, name)
    if not quiet:
        note_single_seed(settings.get("seed", ""))
        if draws and draws > wanted.size:
            print_note(f"--random {draws}: all {plural(wanted.size, 'configuration')} are trained")
    with Signals() as signals:
        text = options.load(corpus, encoding, documents)

        from nbrnn.progress_bars import SweepDisplay
        from nbrnn.storage.sweep_folder import SweepFolder
        from nbrnn.sweeps.successive_halving import halving_of
        from nbrnn.sweeps.sweep import sweep as run_all

        rounds = halving_of(halving, halving_from)
        folder = SweepFolder(out or RESULTS / (name or wanted.name(text.name)))
        if dry_run:
            listed = DryRun(wanted, text, folder, rounds)
            listed.print(as_json)
            if not quiet:
                listed.note_estimate(jobs if scheduler is None else 1, force)
            return
        with SweepDisplay(str(folder), text, quiet, signals.defer) as watcher:
            outcome = run_all(
                wanted,
                text,
                folder,
                backend=backend,
                jobs=jobs,
                scheduler=scheduler,
                observer=watcher,
                stop=signals.waiting,
                force=force,
                max_failures=max_failures,
                halving=rounds,
            )
    finish(folder, outcome, signals, as_json, quiet)


def note_single_seed(seeds: str) -> None:
    """Say that a number is one seed, not the number of seeds."""
    if seeds.isdecimal() and 1 < int(seeds) <= MAX_VALUES:
        print_note(f"--seeds {seeds} is one seed; for {seeds} seeds give --seeds 0:{int(seeds) - 1}")


def check_name(out: Path | None, name: str | None) -> None:
    """Raise ConfigError for both a path and a name, and for a name that is a path."""
    if out is not None and name is not None:
        raise ConfigError("give either --out or --name, not both")
    if name is not None and (Path(name).name != name or name in ("", "..")):
        raise ConfigError(f"--name must be the name of a folder (got {name!r}): --out takes a path")


def finish(folder: SweepFolder, outcome: Outcome, signals: Signals, as_json: bool, quiet: bool) -> None:
    """Report on a sweep and print the results; exit with 1 if a run failed or there is no report."""
    written, problem = None, None
    with surviving_closed_stdout():
        if outcome.summaries and not signals.waiting():
            from nbrnn.progress_bars import ProgressDisplay
            from nbrnn.report.sweep_report import report

            if not quiet:
                print_note("Writing the report.")
            try:
                with ProgressDisplay(quiet) as screen:
                    written = report([folder.path], progress=screen.step)
            except NbrnnError as error:  # the runs are done all the same
                problem = error
        if as_json:
            print_json(document(folder, outcome, written))
        elif not quiet:
            print_wrapped(f"{folder}: {status_counts(outcome)}")
            if written:
                print_results(written)
    if written and not quiet:
        print_note(f"report: {written.page}")
    if signals.waiting():
        kept = f"everything is kept in {folder}, and the same command continues"
        raise signals.error(f"interrupted: {status_counts(outcome)}; {kept}")
    if outcome.failures():
        from nbrnn.progress_bars import describe_failures

        print_error(describe_failures(outcome))
    if problem is not None:
        print_error(f"the runs are done, but no report is written: {problem}")
    if outcome.failures() or problem is not None:
        raise typer.Exit(1)


def status_counts(outcome: Outcome) -> str:
    """Return in words how many runs ended how."""
    total = len(outcome.jobs)
    counts = {
        "dropped": outcome.count("dropped"),
        "diverged": outcome.count("diverged"),
        "failed": outcome.count("failed"),
        "stopped with a checkpoint": outcome.count("interrupted"),
        "to do": total - len(outcome.summaries),
    }
    parts = [f"{count:,} {status}" for status, count in counts.items() if count]
    return ", ".join([f"{outcome.count('finished'):,} of {total:,} runs finished", *parts])


def document(folder: SweepFolder, outcome: Outcome, written: Report | None) -> dict[str, Any]:
    """Return what --json prints."""
    runs = []
    for job in outcome.jobs:
        summary = outcome.summaries.get(job.run_id)
        row = {"run_id": job.run_id, "folder": str(job.folder), "settings": job.config.to_dict()}
        values = summary.to_dict() if summary else {"status": "not begun"}
        # what is compared does not show the test part
        runs.append(row | {name: v for name, v in values.items() if not name.startswith("test_")})
    statuses = ("finished", "dropped", "diverged", "failed")
    return {
        "folder": str(folder),
        "done_before": outcome.done_before,
        **{status: outcome.count(status) for status in statuses},
        "seconds": outcome.seconds,
        "report": str(written.folder) if written else None,
        "runs": runs,
    }


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
