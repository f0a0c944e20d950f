"""What does the user type to see what many runs showed: report, compare?"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nbrnn.cli.console import print_table, print_wrapped, surviving_closed_stdout, wrapped
from nbrnn.cli.options import Folders, Json, Quiet, existing
from nbrnn.errors import ConfigError, StoreError
from nbrnn.escaping import visible
from nbrnn.signals import Signals

if TYPE_CHECKING:
    from nbrnn.assignment.gather import Facts
    from nbrnn.assignment.report import RunReport
    from nbrnn.reports.report import Report
    from nbrnn.reports.tables import Results

MOST_CONFIGURATIONS = 5  # that are printed as a table; the report has all
MOST_NOTES = 3  # on runs that did not finish or are lost from h = 0
MOST_LINES = 12  # of an answer on a terminal
LONG_NAME = 30  # characters, beyond which 80 columns have no room for more numbers
REFRESH = 10  # seconds between two reports of a sweep that goes on


def writer(paths: Sequence[Path], text: Path | None) -> Callable[..., Report | RunReport]:
    """Return what writes a report: of one run the assignment's. Raises ConfigError."""
    from nbrnn.storage.run_folder import RunFolder
    from nbrnn.storage.sweep_folder import SweepFolder

    if len(paths) == 1 and RunFolder(paths[0]).is_run() and not SweepFolder(paths[0]).is_sweep():
        from nbrnn.assignment.report import report as write_about_run

        return partial(write_about_run, paths[0], text=text)
    if text is not None:
        raise ConfigError("--text is for the report of one run")
    from nbrnn.reports.report import report as write_about_all

    return partial(write_about_all, paths)


def write_watched(paths: Sequence[Path], out: Path | None, quiet: bool) -> Report:
    """Write a report about many runs, with its progress on a terminal."""
    from nbrnn.progress_bars import ProgressDisplay
    from nbrnn.reports.report import report as write_report

    with ProgressDisplay(quiet) as screen:
        return write_report(paths, out, progress=screen.step)


def print_finished(results: Results) -> None:
    """Print how many runs are finished, where that is not all."""
    from nbrnn.storage.schemas import COMPLETE

    statuses = results.runs["status"]
    finished = int(statuses.isin(COMPLETE).sum())
    if finished < len(statuses):
        print(f"{finished:,} of {len(statuses):,} runs finished")


def print_answer(results: Results, rest: str) -> None:
    """Print what the runs say."""
    from nbrnn.reports.answers import answers

    print_first_lines(answers(results), rest)


def print_first_lines(texts: Sequence[str], rest: str) -> None:
    """Print some paragraphs; on a terminal the first dozen lines, and where the rest is."""
    left = MOST_LINES if sys.stdout.isatty() else sys.maxsize
    for number, text in enumerate(texts):
        left -= len(wrapped(text))
        if left < (number + 1 < len(texts)):  # the last line is for what is left out
            print_wrapped(f"More: {rest}")
            break
        print_wrapped(text)


def print_configurations(results: Results) -> None:
    """Print the table of the best configurations."""
    from nbrnn.reports.rows import configuration_rows

    columns, rows = configuration_rows(results, results.best)
    wanted = ["configuration", "seeds", "mean", "95 % CI"]
    if max(map(len, results.configurations["setting"])) < LONG_NAME:
        wanted += ["min", "max"]
    if results.configurations["failures"].any():
        wanted.insert(2, "failed")
    keep = [columns.index(column) for column in wanted]
    cells = [[row[i] for i in keep] for row in rows]
    best = f"{results.best.words} ({results.unit_of(results.best)})"
    print_table(best, wanted, cells[:MOST_CONFIGURATIONS])
    if len(cells) > MOST_CONFIGURATIONS:
        print(f"and {len(cells) - MOST_CONFIGURATIONS} more configurations")


def print_notes(results: Results) -> None:
    """Print which runs did not finish, were left out, or have a model that needs its state."""
    from nbrnn.reports.comparison import endings
    from nbrnn.storage.schemas import DROPPED

    others = results.runs[results.runs["status"] != DROPPED]  # of which the answer speaks
    notes = [f"{name}: {how}" for name, how in endings(others).items()]
    print_first(notes, "configurations with runs that are not finished")
    print_first(results.lost_from_zero(), "such models")
    for problem in results.unreadable:
        print_wrapped(f"left out: {visible(problem)}")


def print_written(written: Report | RunReport) -> None:
    """Print what a report says, and where it is."""
    from nbrnn.reports.report import Report

    if isinstance(written, Report):
        print_results(written)
    else:
        print_facts(written.facts)
    print_wrapped(f"report: {written.page}")


def print_facts(facts: Facts) -> None:
    """Print what is known of a run, in short."""
    from nbrnn.assignment.sections import longest_copy, status, verdict
    from nbrnn.assignment.tables import loss_table, smooth_table

    print_wrapped(f"{facts.folder}: {status(facts)}")
    for line in verdict(facts):
        print_wrapped(f"gradient check: {line}")
    for table in filter(None, (smooth_table(facts), loss_table(facts))):
        print_table("", table.columns, table.rows)
    for line in longest_copy(facts):
        print_wrapped(line)
    for line in facts.missing:
        print_wrapped(f"not in the report: {visible(line)}")


def print_results(written: Report) -> None:
    """Print what many runs say."""
    print_finished(written.results)
    print_answer(written.results, str(written.page))
    print_configurations(written.results)
    print_notes(written.results)


def print_first(texts: Sequence[str], what: str) -> None:
    """Print the first texts, and how many more there are."""
    for text in texts[:MOST_NOTES]:
        print_wrapped(text)
    if len(texts) > MOST_NOTES:
        print(f"and {len(texts) - MOST_NOTES} more {what}")


def report(
    folders: Folders,
    out: Annotated[
        Path | None, typer.Option(help="Where to  [default: report/ in the first folder]")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Again every 10 s, until the sweep ends.")
    ] = False,
    text: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The text of the one run, where it has moved.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a page, tables and plots about sweeps and runs.

    Of one run: the assignment's report. The folders are only read, but for report/ in the first one, or
    --out.
    """
    from nbrnn.progress_bars import ProgressDisplay
    from nbrnn.reports.writing import place_of
    from nbrnn.storage.sweep_folder import SweepFolder

    paths = [existing(folder) for folder in folders]
    write = writer(paths, text)
    with Signals() as signals:
        if watch:
            place_of(paths[0], out)  # before anybody waits for what may not be written there
            signals.defer()
        while watch and any(SweepFolder(path).is_at_work() for path in paths) and not signals.waiting():
            with suppress(StoreError):  # nothing has begun yet
                written = write(out, refresh=REFRESH)
                if not quiet:
                    print(f"{written.page} is new", file=sys.stderr)
            pause(REFRESH, signals)
        with ProgressDisplay(quiet) as screen:
            written = write(out, progress=screen.step)
    if signals.waiting():
        raise signals.error()
    with surviving_closed_stdout():
        if as_json:
            print(json.dumps(written.document(), indent=2))
        elif not quiet:
            print_written(written)


def pause(seconds: float, signals: Signals) -> None:
    """Wait, unless a signal comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not signals.waiting():
        time.sleep(0.1)


def compare(
    folders: Folders,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="OLD", help="The same by another version or machine, or of another text."),
    ] = None,
    paired: Annotated[
        bool, typer.Option("--paired", help="Seed by seed: where seeds have something in common.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say which configuration is best, and what each setting does.

    With --json: the differences of all pairs. With --against: what changed since OLD, whose
    configurations are the same.
    """
    from nbrnn.progress_bars import ProgressDisplay
    from nbrnn.reports.rows import plain_rows
    from nbrnn.reports.tables import read

    paths = [existing(folder) for folder in folders]
    with ProgressDisplay(quiet=False) as screen:
        if against:
            from nbrnn.reports.against import changes

            change = changes(paths, [existing(folder) for folder in against], paired, screen.step)
        else:
            results = read(paths, screen.step, paired)
    if against:
        if as_json:
            print(json.dumps(plain_rows(change.table), indent=2))
        else:
            print_first_lines(change.sentences, "--json")
        return
    if as_json:
        print(json.dumps(plain_rows(results.comparison), indent=2))
        return
    print_finished(results)
    print_answer(results, f"nbrnn report {' '.join(map(str, folders))}")
    print_notes(results)
    if len(results.configurations) == 1:
        print("There is one configuration only.")
