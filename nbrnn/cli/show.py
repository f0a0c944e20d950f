"""The command `show`."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nbrnn.cli import options
from nbrnn.cli.completion import folders
from nbrnn.cli.console import print_json, print_wrapped
from nbrnn.cli.run_losses import loss_lines
from nbrnn.cli.train import print_warnings
from nbrnn.config import option_name
from nbrnn.errors import StoreError
from nbrnn.escaping import one_line, visible
from nbrnn.naming import RESULTS
from nbrnn.values import plural

if TYPE_CHECKING:
    from nbrnn.analysis.folder_listing import Entry
    from nbrnn.storage.run_folder import RunFolder


def show(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Folder of a run, of a sweep, or of many.  [default: results]",
            show_default=False,
            autocompletion=folders,
        ),
    ] = RESULTS,
    as_json: options.Json = False,
) -> None:
    """Print one run, or list the runs and sweeps in a folder.

    For a run: its settings, losses, last sample and files. For a sweep: its runs.
    """
    from nbrnn.storage.model_archive import open_run

    path = options.existing(folder)
    run = open_run(path)
    if run.is_run():
        show_run(run, as_json)
    else:
        show_listing(path, as_json)


def show_run(folder: RunFolder, as_json: bool) -> None:
    """Print one run."""
    import msgspec

    from nbrnn.analysis.run_records import read_summary

    config, corpus = folder.read_config()
    summary, samples = read_summary(folder), folder.read_samples()
    last = samples[-1] if samples else None
    if as_json:
        document = {
            "folder": str(folder),
            "config": config.to_dict(),
            "corpus": msgspec.to_builtins(corpus),
            "summary": summary.to_dict(),
            "last_sample": msgspec.to_builtins(last),
        }
        print_json(document)
        return
    documents = f", documents: {corpus.documents}" if corpus.documents else ""
    size = f"{corpus.characters:,} characters, {len(corpus.alphabet)} distinct{documents}"
    print_wrapped(
        f"{folder}: {summary.status}, {plural(summary.updates, 'update')}",
        f"text: {corpus.name}, {size}",
    )
    if summary.status == "imported":
        print_wrapped(summary.reason or "")
    values = config.to_dict()
    # The other settings of imported weights are unknown.
    names = ("hidden", "dtype") if summary.status == "imported" else tuple(values)
    settings = {option_name(name): values[name] for name in names if values[name] is not None}
    print_wrapped("settings: " + " ".join(f"{name} {value}" for name, value in settings.items()))
    print_wrapped(*loss_lines(summary, config, corpus))
    if last and last.update == 0 and folder.has_text():  # too short a run for samples while it trained
        print(f"sample of the best model:\n\n{visible(folder.read_text())}\n")
    elif last:
        print(f"sample at update {last.update:,}:\n\n{visible(last.text)}\n")
    print_wrapped("files: " + ", ".join(folder.file_names()))
    with suppress(StoreError):  # of a damaged file, which matters where it is used
        print_warnings(folder, summary)


def show_listing(path: Path, as_json: bool) -> None:
    """Print what there is in a folder. Raises StoreError if that is nothing."""
    from nbrnn.analysis.folder_listing import listing
    from nbrnn.storage.sweep_folder import SweepFolder

    if not os.path.isdir(path):  # which takes any name
        first = ": nbrnn train makes the first run" if path == RESULTS else ""
        problem = "is not a folder" if os.path.exists(path) else "does not exist"
        raise StoreError(f"{str(path)!r} {problem}{first}")
    entries = listing(path)
    if as_json:
        print_json([entry.to_dict() for entry in entries])
        return
    where = SweepFolder(path).run("").path if SweepFolder(path).is_sweep() else path
    finished, runs = (sum(getattr(entry, name) for entry in entries) for name in ("finished", "runs"))
    print(f"{where}: {finished:,} of {runs:,} runs finished\n")
    print_row("status", "loss", "age", "name")
    for entry in entries:
        bits = entry.bits_per_character_best
        loss = "-" if bits is None else f"{bits * math.log(2):.3f}"
        print_row(entry.status, loss, age_of(entry), one_line(str(entry.folder.relative_to(where))))
    print("\nloss: smooth loss of the best model in nats per character; for a sweep, of its best run")


def print_row(status: str, loss: str, age: str, name: str) -> None:
    """Print a line, on a terminal with a long name in several."""
    begin = f"{status:<12}  {loss:>6}  {age:>4}  "
    room = shutil.get_terminal_size().columns - len(begin) if sys.stdout.isatty() else len(name)
    room = max(room, 10)
    for start in range(0, max(len(name), 1), room):
        print((" " * len(begin) if start else begin) + name[start : start + room])


def age_of(entry: Entry) -> str:
    """Return how long ago something was written, in the unit that gives one or two digits."""
    seconds = max(0.0, time.time() - entry.changed)
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:.0f}s"
