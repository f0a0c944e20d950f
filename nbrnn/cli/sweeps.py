"""What does the user type to train many networks?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nbrnn.cli.console import print_error, print_note, print_wrapped, surviving_closed_stdout
from nbrnn.cli.dry_run import Planned
from nbrnn.cli.options import (
    CorpusName,
    Encoding,
    Json,
    PresetName,
    Quiet,
    list_options,
    load,
)
from nbrnn.cli.reports import print_results, write_watched
from nbrnn.errors import ConfigError, NbrnnError
from nbrnn.naming import RESULTS
from nbrnn.presets import with_preset
from nbrnn.signals import Signals
from nbrnn.sweeps.grid import MOST_VALUES, grid

if TYPE_CHECKING:
    from nbrnn.reports.report import Report
    from nbrnn.storage.sweep_folder import SweepFolder
    from nbrnn.sweeps.sweep import Outcome

# What a command needs is imported inside of it: `nbrnn --help` is to be instant.


@list_options
def sweep(
    settings: dict[str, Any],
    corpus: CorpusName = None,
    preset: PresetName = None,
    draws: Annotated[
        int | None, typer.Option("--random", metavar="N", help="Draw N configurations from the grid.")
    ] = None,
    draw_seed: Annotated[int, typer.Option("--sweep-seed", help="Seed of the draw of --random.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The sweep's folder  [default: results/NAME]")] = None,
    name: Annotated[str | None, typer.Option(help="[default: made from corpus and lists]")] = None,
    jobs: Annotated[int, typer.Option(help="Runs at once; -1: one for each core.")] = -1,
    backend: Annotated[
        Literal["threading", "loky", "dask"] | None,
        typer.Option(help="Threads, processes, or a cluster  [default: threading]"),
    ] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Of dask.")] = None,
    max_failures: Annotated[
        int | None, typer.Option(metavar="N", help="Stop when N runs have failed.")
    ] = None,
    halving: Annotated[
        int | None,
        typer.Option(metavar="N", help="Drop the worse configurations on the way: one in N goes on."),
    ] = None,
    halving_from: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of the updates before any is dropped  [default: so that 1 is left, if it can]",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the runs, and say how long they take.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Do again what is done.")] = False,
    encoding: Encoding = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train with all combinations of settings and seeds.

    Several runs go on at once; in the end there is a report on them all.

    A LIST is values with commas between: 0.01,0.1; log:0.001:0.1:5 or lin:0:1:5 stand for five
    values; for whole numbers 0:9 for all from 0 to 9. The same command again goes on where it was
    interrupted; other lists with the same --out or --name add to a sweep.

    With --halving 2 all configurations are trained to a part of their length, the better half to twice
    that, and so on. What is dropped keeps its folder; without --halving it is trained to its end.
    """
    wanted = grid(listed_with_preset(preset, settings), draws, draw_seed)
    check_name(out, name)
    if not quiet:
        note_single_seed(settings.get("seed", ""))
    with Signals() as signals:
        text = load(corpus, encoding)

        from nbrnn.progress_bars import SweepDisplay
        from nbrnn.storage.sweep_folder import SweepFolder
        from nbrnn.sweeps.successive_halving import halving_of
        from nbrnn.sweeps.sweep import sweep as run_all

        rounds = halving_of(halving, halving_from)
        folder = SweepFolder(out or RESULTS / (name or wanted.name(text.name)))
        if dry_run:
            planned = Planned(wanted, text, folder, rounds)
            planned.print(as_json)
            if not quiet:
                planned.note_estimate(jobs if scheduler is None else 1, force)
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


def listed_with_preset(preset: str | None, lists: Mapping[str, str]) -> dict[str, str]:
    """Return the lists with those of a preset, each of one value. Raises ConfigError."""
    return {name: str(value) for name, value in with_preset(preset, lists).items()}


def note_single_seed(seeds: str) -> None:
    """Say that a number is a seed, where it may be meant as how many."""
    if seeds.isdecimal() and 1 < int(seeds) <= MOST_VALUES:
        print_note(f"1 seed: {seeds}; for {seeds} seeds: --seeds 0:{int(seeds) - 1}")


def check_name(out: Path | None, name: str | None) -> None:
    """Raise ConfigError unless at most one of the two says where, and the name is one."""
    if out is not None and name is not None:
        raise ConfigError("give either --out or --name, not both")
    if name is not None and (Path(name).name != name or name in ("", "..")):
        raise ConfigError(f"--name takes the name of a folder, not {name!r}: --out takes a path")


def finish(folder: SweepFolder, outcome: Outcome, signals: Signals, as_json: bool, quiet: bool) -> None:
    """Report on a sweep and print what came out of it; exit with 1 if not all of that is well."""
    with surviving_closed_stdout():
        written, wrong = report_on(folder, outcome, quiet) if not signals.waiting() else (None, None)
        print_outcome(folder, outcome, written, as_json, quiet)
    if signals.waiting():
        kept = f"all of it is kept in {folder}, and the same command goes on"
        raise signals.error(f"interrupted: {how_far(outcome)}; {kept}")
    if outcome.failures():
        from nbrnn.progress_bars import describe_failures

        print_error(describe_failures(outcome))
    if wrong is not None:
        print_error(f"the runs are done, but no report is written: {wrong}")
    if outcome.failures() or wrong is not None:
        raise typer.Exit(1)


def how_far(outcome: Outcome) -> str:
    """Return in words what has become of a sweep's runs."""
    total, left = len(outcome.jobs), len(outcome.jobs) - len(outcome.summaries)
    parts = [f"{outcome.count('finished'):,} of {total:,} runs finished"]
    for count, what in (
        (outcome.count("dropped"), "dropped"),
        (outcome.count("diverged"), "diverged"),
        (outcome.count("failed"), "failed"),
        (outcome.count("interrupted"), "stopped with a checkpoint"),
        (left, "to do"),
    ):
        parts += [f"{count:,} {what}"] if count else []
    return ", ".join(parts)


def report_on(
    folder: SweepFolder, outcome: Outcome, quiet: bool
) -> tuple[Report | None, NbrnnError | None]:
    """Write the report of a sweep; return it, or what went wrong, which costs no more than that."""
    if not outcome.summaries:
        return None, None
    try:
        return write_watched([folder.path], None, quiet), None
    except NbrnnError as error:
        return None, error


def print_outcome(
    folder: SweepFolder, outcome: Outcome, written: Report | None, as_json: bool, quiet: bool
) -> None:
    """Print what came out of a sweep."""
    counts = {status: outcome.count(status) for status in ("finished", "dropped", "diverged", "failed")}
    if as_json:
        runs = []
        for job in outcome.jobs:
            summary = outcome.summaries.get(job.run_id)
            row = {"run_id": job.run_id, "folder": str(job.folder), "settings": job.config.to_dict()}
            runs.append({**row, **(summary.to_dict() if summary else {"status": "not begun"})})
        document = {
            "folder": str(folder),
            "done_before": outcome.done_before,
            **counts,
            "seconds": outcome.seconds,
            "report": str(written.folder) if written else None,
            "runs": runs,
        }
        print(json.dumps(document, indent=2))
    elif not quiet:
        print_wrapped(f"{folder}: {how_far(outcome)}")
        if written:
            print_results(written)
