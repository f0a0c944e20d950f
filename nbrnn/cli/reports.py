"""The commands report and compare."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nbrnn.cli import options
from nbrnn.cli.console import print_json, print_table, print_wrapped, surviving_closed_stdout, wrapped
from nbrnn.errors import ConfigError, StoreError
from nbrnn.signals import Signals
from nbrnn.values import plural

if TYPE_CHECKING:
    from nbrnn.analysis.measures import Measure
    from nbrnn.analysis.result_tables import Results
    from nbrnn.analysis.run_facts import RunFacts
    from nbrnn.report.run_report import RunReport
    from nbrnn.report.sweep_report import Report

RevealTest = Annotated[
    bool, typer.Option("--reveal-test", help="Show the test loss; the sweep's folder records that.")
]

MAX_CONFIGURATIONS = 5  # in the printed table; the report has all
MAX_NOTES = 3  # on unfinished runs, and on models worse than unigrams
MAX_LINES = 12  # of an answer on a terminal
LONG_NAME = 30  # characters, beyond which 80 columns have no room for more numbers
REFRESH = 10  # seconds between two reports of a running sweep
SmallestDifference = Annotated[
    float | None,
    typer.Option(
        metavar="NATS",
        help="Difference of losses worth detecting.  [default: 1 % of the lowest]",
    ),
]


def writer(
    paths: Sequence[Path], text: Path | None, reveal_test: bool, smallest: float | None
) -> Callable[..., Report | RunReport]:
    """Return the function that writes a report, of one run or of many. Raises ConfigError."""
    from nbrnn.storage.run_folder import RunFolder
    from nbrnn.storage.sweep_folder import SweepFolder

    if len(paths) == 1 and RunFolder(paths[0]).is_run() and not SweepFolder(paths[0]).is_sweep():
        from nbrnn.report.run_report import report as report_run

        if reveal_test:
            raise ConfigError("--reveal-test is for sweeps: the report of one run shows its test loss")
        return partial(report_run, paths[0], text=text)
    if text is not None:
        raise ConfigError("--text has no effect on the report of a sweep: leave it out")
    from nbrnn.report.sweep_report import report as report_all

    return partial(report_all, paths, reveal_test=reveal_test, smallest_difference=smallest)


def print_finished(results: Results) -> None:
    """Print how many runs are finished, where that is not all."""
    from nbrnn.storage.schemas import COMPLETE

    statuses = results.runs["status"]
    finished = int(statuses.isin(COMPLETE).sum())
    if finished < len(statuses):
        print(f"{finished:,} of {len(statuses):,} runs finished")


def print_answer(results: Results, rest: str) -> None:
    """Print the answer; `rest` names where the rest of it is."""
    from nbrnn.report.sweep_answer import answers

    print_first_lines(answers(results), rest)


def print_first_lines(texts: Sequence[str], rest: str) -> None:
    """Print some paragraphs; on a terminal the first dozen lines, and where the rest is."""
    left = MAX_LINES if sys.stdout.isatty() else sys.maxsize
    for number, text in enumerate(texts):
        left -= len(wrapped(text))
        if left < (number + 1 < len(texts)):  # the last line is for what is left out
            print_wrapped(f"More: {rest}")
            break
        print_wrapped(text)


def print_configurations(results: Results) -> None:
    """Print the tables of the best configurations: by the measure that ranks, and by a revealed test."""
    print_best(results, results.best)
    print_revealed(results)


def print_revealed(results: Results) -> None:
    """Print the test losses of the best configurations, if they are revealed."""
    from nbrnn.analysis.measures import TEST

    if TEST[0] in results.known_measures:
        print_best(results, TEST[0])


def print_best(results: Results, measure: Measure) -> None:
    """Print the table of the best configurations with their losses by one measure."""
    from nbrnn.report.table_registry import configuration_columns

    names = results.configurations["setting"].tolist()
    columns = {"configuration": names, **configuration_columns(results, measure)}
    wanted = ["configuration", f"{results.replicate}s", "median", "95 % CI"]
    if max(map(len, names)) < LONG_NAME:
        wanted += ["min", "max"]
    if results.configurations["failures"].any():
        wanted.insert(2, "failed")
    rows = list(zip(*(columns[column] for column in wanted), strict=True))
    print_table(results.label(measure), wanted, rows[:MAX_CONFIGURATIONS])
    if (more := len(rows) - MAX_CONFIGURATIONS) > 0:
        print(plural(more, "more configuration"))


def print_notes(results: Results) -> None:
    """Print which runs are unfinished or not comparable, were left out, or need their state."""
    from nbrnn.analysis.comparison_text import unfinished_runs
    from nbrnn.storage.schemas import DROPPED

    kinds = {"texts": ["corpus_sha256"], "lengths": ["epochs_wanted", "updates_wanted"]}
    for what, columns in kinds.items():
        if (count := len(results.runs[columns].drop_duplicates())) > 1:
            print(f"The runs have {count} different {what}: differences may come of that.")
    others = results.runs[results.runs["status"] != DROPPED]  # the answer counts those
    notes = [f"{name}: {ending}" for name, ending in unfinished_runs(others).items()]
    print_first(notes, "configurations with unfinished runs")
    print_first(results.models_worse_than_unigram(), "such models")
    print_wrapped(*results.notes_on_test())
    print_wrapped(*(f"not read, and left out: {problem}" for problem in results.unreadable))


def print_facts(facts: RunFacts) -> None:
    """Print the main facts of a run."""
    from nbrnn.report import run_document as words

    print_wrapped(f"{facts.folder}: {words.status(facts)}")
    print_wrapped(*(f"gradient check: {line}" for line in words.gradient_verdict(facts)))
    for table in (*words.smooth_table(facts), *words.loss_table(facts)):
        print_table("", table.columns, table.rows)
    print_wrapped(*words.longest_copy(facts))
    print_wrapped(*(f"not available: {line}" for line in facts.missing))


def print_results(written: Report) -> None:
    """Print the main results of many runs."""
    print_answer(written.results, str(written.page))
    print_configurations(written.results)
    print_notes(written.results)


def print_first(texts: Sequence[str], what: str) -> None:
    """Print the first texts, and how many more there are."""
    print_wrapped(*texts[:MAX_NOTES])
    if len(texts) > MAX_NOTES:
        print(f"{len(texts) - MAX_NOTES} more {what}")


def report(
    folders: options.Folders,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report.  [default: report/ in the first folder]")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Renew the report every 10 s until the sweep ends.")
    ] = False,
    text: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Text of the run, where it has moved.")
    ] = None,
    reveal_test: RevealTest = False,
    smallest_difference: SmallestDifference = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a page, tables and plots about sweeps and runs.

    For one run: the assignment's report. The folders are only read, except for report/ in the first one,
    or --out.
    """
    from nbrnn.progress_bars import ProgressDisplay
    from nbrnn.report.report_folder import report_place
    from nbrnn.report.sweep_report import Report
    from nbrnn.storage.sweep_folder import SweepFolder

    paths = [options.existing(folder) for folder in folders]
    if watch and reveal_test:
        raise ConfigError("give either --watch or --reveal-test, not both")
    write = writer(paths, text, reveal_test, smallest_difference)
    with Signals() as signals:
        if watch:
            report_place(paths[0], out)  # fails before the wait where it may not be written
            signals.defer()
        while watch and any(SweepFolder(path).is_at_work() for path in paths) and not signals.waiting():
            with suppress(StoreError):  # nothing has started yet
                written = write(out, refresh=REFRESH)
                if not quiet:
                    print(f"renewed: {written.page}", file=sys.stderr)
            pause(REFRESH, signals)
        with ProgressDisplay(quiet) as screen:
            written = write(out, progress=screen.step)
    if signals.waiting():
        raise signals.error()
    with surviving_closed_stdout():
        if as_json:
            print_json(written.document())
        elif not quiet:
            if isinstance(written, Report):
                print_finished(written.results)
                print_results(written)
            else:
                print_facts(written.facts)
            print_wrapped(f"report: {written.page}")


def pause(seconds: float, signals: Signals) -> None:
    """Wait, unless a signal comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not signals.waiting():
        time.sleep(0.1)


def compare(
    folders: options.Folders,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="OLD", help="Runs to compare with: of another version, machine or text."),
    ] = None,
    paired: Annotated[
        bool,
        typer.Option("--paired", help="Take differences seed by seed."),
    ] = False,
    reveal_test: RevealTest = False,
    smallest_difference: SmallestDifference = None,
    as_json: options.Json = False,
) -> None:
    """Show the best configuration and the effects of settings.

    With --json: the differences of all pairs. With --against: what changed since OLD, for the
    configurations that both have.
    """
    from nbrnn.analysis.baseline_diff import changes
    from nbrnn.analysis.result_tables import read_results
    from nbrnn.progress_bars import ProgressDisplay
    from nbrnn.report.formatting import plain_rows

    paths, others = ([options.existing(f) for f in given or []] for given in (folders, against))
    if against and reveal_test:
        raise ConfigError("--against does not compare test losses: leave --reveal-test out")
    if against:
        with ProgressDisplay(quiet=False) as screen:
            change = changes(paths, others, paired, screen.step)
        if as_json:
            print_json(plain_rows(change.table))
        else:
            print_first_lines(change.sentences, "--json")
        return
    with ProgressDisplay(quiet=False) as screen:
        results = read_results(paths, screen.step, paired, reveal_test, smallest_difference)
    if as_json:
        print_json(plain_rows(results.comparison))
        return
    print_finished(results)
    print_answer(results, f"nbrnn report {' '.join(map(str, folders))}")
    print_revealed(results)
    print_notes(results)
    if len(results.configurations) == 1:
        print("There is one configuration only.")
