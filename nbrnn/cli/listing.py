"""Print the list of the runs and sweeps in a folder."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nbrnn.cli.console import print_json
from nbrnn.errors import StoreError
from nbrnn.escaping import one_line
from nbrnn.naming import RESULTS

if TYPE_CHECKING:
    from nbrnn.analysis.folder_listing import Entry

WIDTHS = (12, 6, 4)  # of status, loss and age; the name has the rest of 80 columns


def show_listing(path: Path, as_json: bool) -> None:
    """Print what there is in a folder. Raises StoreError if that is nothing."""
    from nbrnn.analysis.folder_listing import listing
    from nbrnn.storage.sweep_folder import SweepFolder

    if not os.path.isdir(path):  # which takes any name
        first = ": nbrnn train makes the first run" if path == RESULTS else ""
        raise StoreError(f"{str(path)!r} is not a folder of runs{first}")
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
    begin = f"{status:<{WIDTHS[0]}}  {loss:>{WIDTHS[1]}}  {age:>{WIDTHS[2]}}  "
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
