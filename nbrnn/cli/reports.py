"""What does the user type to see what many runs showed: report, compare?"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nbrnn.cli.console import print_table, print_wrapped, surviving_closed_stdout
from nbrnn.cli.options import Folders, Json, Quiet, existing
from nbrnn.cli.signals import Signals
from nbrnn.errors import StoreError
from nbrnn.visible import visible

if TYPE_CHECKING:
    from nbrnn.reports.report import Report
    from nbrnn.reports.tables import Results

MOST_CONFIGURATIONS = 12  # that are printed at the end of a sweep; the report has all
LONG_NAME = 30  # characters, beyond which 80 columns have no room for more numbers
REFRESH = 10  # seconds between two reports of a sweep that goes on


def write_watched(paths: Sequence[Path], out: Path | None, quiet: bool) -> Report:
    """Write a report, with its progress on a terminal."""
    from nbrnn.cli.watch import Screen
    from nbrnn.reports.report import report as write_report

    with Screen(quiet) as screen:
        return write_report(paths, out, progress=screen.step)


def print_finished(results: Results) -> None:
    """Print how many runs are finished, where that is not all."""
    statuses = results.runs["status"]
    finished = int((statuses == "finished").sum())
    if finished < len(statuses):
        print(f"{finished:,} of {len(statuses):,} runs finished")


def print_configurations(results: Results, numbered: bool = False) -> None:
    """Print the table of the best configurations; of all, with the numbers of `print_differences`."""
    from nbrnn.reports.measures import BEST
    from nbrnn.reports.rows import configuration_rows
    from nbrnn.reports.tables import endings

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
    ended = endings(results.runs)
    for name, how in list(ended.items())[:MOST_CONFIGURATIONS]:
        print_wrapped(f"{name}: {how}")
    if ended:
        print()
    for sentence in results.lost_from_zero()[:MOST_CONFIGURATIONS]:
        print_wrapped(sentence)
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
    """Write a page, tables and plots about sweeps and runs.

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
        written = write_watched(paths, out, quiet)
    if signals.waiting():
        raise signals.error()
    with surviving_closed_stdout():
        if as_json:
            print(json.dumps(written.document(), indent=2))
        elif not quiet:
            print_finished(written.results)
            print_configurations(written.results)
            print_wrapped(f"report: {written.page}")


def pause(seconds: float, signals: Signals) -> None:
    """Wait, unless a signal comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not signals.waiting():
        time.sleep(0.1)


def compare(folders: Folders, as_json: Json = False) -> None:
    """Print how configurations differ, seed by seed."""
    from nbrnn.cli.watch import Screen
    from nbrnn.reports.measures import BEST
    from nbrnn.reports.rows import METHOD, plain_rows, sentences
    from nbrnn.reports.tables import read

    with Screen(quiet=False) as screen:
        results = read([existing(folder) for folder in folders], screen.step)
    if as_json:
        print(json.dumps(plain_rows(results.comparison), indent=2))
        return
    print_finished(results)
    print_configurations(results, numbered=True)
    if results.comparison.empty:
        print("There is one configuration only.")
        return
    print_differences(results)
    for text in sentences(results, BEST)[: len(results.configurations) - 1]:
        print_wrapped(text)
    print()
    print_wrapped(METHOD)
