"""What the user types about many runs."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nbrnn.cli.console import complain, print_table, print_wrapped, surviving_closed_stdout
from nbrnn.cli.options import (
    RESULTS,
    CorpusName,
    Encoding,
    Folders,
    Json,
    Quiet,
    existing,
    list_options,
    load,
)
from nbrnn.cli.signals import Signals
from nbrnn.errors import ConfigError, NbrnnError, StoreError
from nbrnn.sweeps.grid import grid
from nbrnn.visible import visible

if TYPE_CHECKING:
    from nbrnn.reports.report import Report
    from nbrnn.reports.tables import Results
    from nbrnn.runs.sweep_store import SweepFolder
    from nbrnn.sweeps.job import Job
    from nbrnn.sweeps.sweep import Outcome

# What a command needs is imported inside of it: `nbrnn --help` is to be instant.

MOST_SHOWN = 3  # failed runs that are named in one line
MOST_CONFIGURATIONS = 12  # that are printed at the end of a sweep; the report has all
LONG_NAME = 30  # characters, beyond which 80 columns have no room for more numbers
REFRESH = 10  # seconds between two reports of a sweep that goes on


@list_options
def sweep(
    settings: dict[str, Any],
    corpus: CorpusName = None,
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the runs.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Do again what is done.")] = False,
    encoding: Encoding = "utf-8",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train with all combinations of settings and seeds, several at once, and report on them.

    A LIST is values with commas between: 0.01,0.1; log:0.001:0.1:5 or lin:0:1:5 stand for five
    values; for whole numbers 0:9 for all from 0 to 9. The same command again goes on where it was
    interrupted; other lists with the same --out or --name add to a sweep.
    """
    wanted = grid(settings, draws, draw_seed)
    check_name(out, name)
    with Signals() as signals:
        text = load(corpus, encoding)

        from nbrnn.cli.watch import SweepWatcher
        from nbrnn.runs.sweep_store import SweepFolder
        from nbrnn.sweeps.sweep import plan
        from nbrnn.sweeps.sweep import sweep as run_all

        folder = SweepFolder(out or RESULTS / (name or wanted.name(text.name)))
        if dry_run:
            print_plan(plan(wanted, text, folder), as_json)
            return
        with SweepWatcher(str(folder), text, quiet, signals.defer) as watcher:
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
            )
    finish(folder, outcome, signals, as_json, quiet)


def check_name(out: Path | None, name: str | None) -> None:
    """Raise ConfigError unless at most one of the two says where, and the name is one."""
    if out is not None and name is not None:
        raise ConfigError("give either --out or --name, not both")
    if name is not None and (Path(name).name != name or name in ("", "..")):
        raise ConfigError(f"--name takes the name of a folder, not {name!r}: --out takes a path")


def finish(folder: SweepFolder, outcome: Outcome, signals: Signals, as_json: bool, quiet: bool) -> None:
    """Report on a sweep and print what came out of it; exit with 1 if not all of that is well."""
    with surviving_closed_stdout():
        written, wrong = report_on(folder, outcome) if not signals.waiting() else (None, None)
        print_outcome(folder, outcome, written, as_json, quiet)
    if signals.waiting():
        ended = f"{outcome.count('finished')} of {len(outcome.jobs)} runs are finished"
        raise signals.error(f"interrupted: {ended}; the same command goes on")
    if outcome.failures():
        complain(did_not_finish(outcome))
    if wrong is not None:
        complain(f"the runs are done, but no report is written: {wrong}")
    if outcome.failures() or wrong is not None:
        raise typer.Exit(1)


def did_not_finish(outcome: Outcome) -> str:
    """Return in one line which runs diverged or failed, and why."""
    failures, total = outcome.failures(), len(outcome.jobs)
    named = [f"{run_id} ({reason})" for run_id, reason in list(failures.items())[:MOST_SHOWN]]
    more = f" and {len(failures) - MOST_SHOWN} more" if len(failures) > MOST_SHOWN else ""
    stopped = "; stopped by --max-failures" if len(outcome.summaries) < total else ""
    return f"{len(failures)} of {total} runs did not finish: {'; '.join(named)}{more}{stopped}"


def report_on(folder: SweepFolder, outcome: Outcome) -> tuple[Report | None, NbrnnError | None]:
    """Write the report of a sweep; return it, or what went wrong, which costs no more than that."""
    from nbrnn.reports.report import report as write_report

    if not outcome.summaries:
        return None, None
    try:
        return write_report([folder.path]), None
    except NbrnnError as error:
        return None, error


def print_plan(jobs: list[Job], as_json: bool) -> None:
    """Print all runs of a sweep, and what has become of each."""
    from nbrnn.naming import namer
    from nbrnn.runs.records import DONE
    from nbrnn.sweeps.sweep import status_before

    statuses = [status_before(job) for job in jobs]
    if as_json:
        rows = [
            {**job.config.to_dict(), "status": status, "run_id": job.run_id}
            for job, status in zip(jobs, statuses, strict=True)
        ]
        print(json.dumps(rows, indent=2))
        return
    name_of = namer(job.config for job in jobs)
    for job, status in zip(jobs, statuses, strict=True):
        print(f"{status:<11} {name_of(job.config, with_seed=True)}")
    print(f"{len(jobs):,} runs, {sum(status not in DONE for status in statuses):,} to do")


def print_outcome(
    folder: SweepFolder, outcome: Outcome, written: Report | None, as_json: bool, quiet: bool
) -> None:
    """Print what came out of a sweep."""
    counts = {status: outcome.count(status) for status in ("finished", "diverged", "failed")}
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
        parts = [f"{count:,} {status}" for status, count in counts.items() if count]
        print_wrapped(f"{folder}: {', '.join(parts) or 'nothing done'}")
        if written:
            print_configurations(written.results)
            print_wrapped(f"report: {written.page}")


def print_configurations(results: Results, numbered: bool = False) -> None:
    """Print the table of the best configurations; of all, with the numbers of `print_differences`."""
    from nbrnn.reports.measures import BEST
    from nbrnn.reports.rows import configuration_rows

    columns, rows = configuration_rows(results, BEST)
    wanted = ["configuration", "seeds", "mean", "95 % CI"]
    if max(map(len, results.configurations["setting"])) < LONG_NAME:
        wanted += ["min", "max"]
    if results.configurations["failures"].any():
        wanted.insert(2, "failed")
    keep = [columns.index(column) for column in wanted]
    cells = [[row[i] for i in keep] for row in rows]
    most = len(cells) if numbered else MOST_CONFIGURATIONS
    if numbered:
        cells = [[f"{number} {row[0]}", *row[1:]] for number, row in enumerate(cells, 1)]
    print_table(f"best smooth loss ({results.unit})", wanted, cells[:most])
    if len(cells) > most:
        print(f"and {len(cells) - most} more configurations\n")
    for problem in results.unreadable:
        print_wrapped(f"left out: {visible(problem)}")


def print_differences(results: Results) -> None:
    """Print the table of differences, which calls the configurations by their numbers."""
    from nbrnn.reports.measures import BEST
    from nbrnn.reports.rows import comparison_rows

    numbers = {name: str(number) for number, name in enumerate(results.configurations["setting"], 1)}
    columns, rows = comparison_rows(results, BEST)
    cells = [[f"{numbers[a]} - {numbers[b]}", *rest] for a, b, *rest in rows]
    print_table(f"differences ({results.unit})", ["pair a - b", *columns[2:]], cells)


def report(
    folders: Folders,
    out: Annotated[
        Path | None, typer.Option(help="Where to  [default: report/ in the first folder]")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Again every 10 s, until the sweep ends.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write tables, samples, plots and a page about sweeps and runs.

    The folders are only read, but for report/ in the first one, or --out.
    """
    from nbrnn.reports.report import report as write_report
    from nbrnn.runs.sweep_store import SweepFolder

    paths = [existing(folder) for folder in folders]
    with Signals() as signals:
        if watch:
            signals.defer()
        while watch and any(SweepFolder(path).is_at_work() for path in paths) and not signals.waiting():
            with suppress(StoreError):  # nothing has begun yet
                written = write_report(paths, out, refresh=REFRESH)
                if not quiet:
                    print(f"{written.page} is new", file=sys.stderr)
            pause(REFRESH, signals)
        written = write_report(paths, out)
    if signals.waiting():
        raise signals.error()
    with surviving_closed_stdout():
        if as_json:
            print(json.dumps(written.document(), indent=2))
        elif not quiet:
            print_configurations(written.results)
            print_wrapped(f"report: {written.page}")


def pause(seconds: float, signals: Signals) -> None:
    """Wait, unless a signal comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not signals.waiting():
        time.sleep(0.1)


def compare(folders: Folders, as_json: Json = False) -> None:
    """Print how configurations differ, over the seeds that they have in common."""
    from nbrnn.reports.measures import BEST
    from nbrnn.reports.rows import METHOD, plain_rows, sentences
    from nbrnn.reports.tables import read

    results = read([existing(folder) for folder in folders])
    if as_json:
        print(json.dumps(plain_rows(results.comparison), indent=2))
        return
    print_configurations(results, numbered=True)
    if results.comparison.empty:
        print("There is one configuration only.")
        return
    print_differences(results)
    for text in sentences(results, BEST)[: len(results.configurations) - 1]:
        print_wrapped(text)
    print()
    print_wrapped(METHOD)
