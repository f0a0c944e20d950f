"""Where may a report be written, and how?"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from nbrnn import plots
from nbrnn.errors import StoreError
from nbrnn.reports.catalogue import TABLES
from nbrnn.reports.figures import CAPTIONS
from nbrnn.storage.atomic_files import (
    MAX_LOG,
    delete,
    delete_unfinished,
    is_there,
    read_bytes,
    write_bytes,
)
from nbrnn.storage.folder_locks import check_folders, is_empty_but_for
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.sweep_folder import SweepFolder

Content = bytes | str  # of a file

PAGE = "index.html"
KINDS: tuple[plots.Kind, ...] = ("png", "svg", "pdf")  # of each picture
TEXTS = ("answer", "samples")
GRADIENT = "gradcheck.json"  # the check that a report of one run keeps
TABLES_OF_ONE = ("setup", "gradcheck-max", "gradcheck-norm", "smooth", "losses", "copying", "passages")
PICTURES_OF_ONE = ("loss", "copying")
MARK = b"Made by nbrnn"  # in the page of every report


def place_of(named: Path, out: Path | None) -> Path:
    """Return where a report goes: to `out`, or to report/ in the folder of a run or a sweep.

    Raises StoreError unless it is new, empty, or the folder of an older report.
    """
    if out is None:
        out = SweepFolder(named).report
        check_folders(named, out)
    if RunFolder(out).is_run() or SweepFolder(out).is_sweep():
        raise StoreError(f"{out} is the folder of a run or a sweep: give another --out")
    if not is_ours(out):
        raise StoreError(f"{out} holds other files: give a new or an empty folder with --out")
    return out


def is_ours(folder: Path) -> bool:
    """Whether nothing is in a folder yet, or a report. Raises StoreError if it cannot be read."""
    if is_empty_but_for(folder, PAGE):
        return True
    return is_there(folder / PAGE) and MARK in read_bytes(folder / PAGE, MAX_LOG)


def files_of_several() -> Iterator[str]:
    """Return the names that files of a report of several runs may have, but for the page."""
    yield from (f"{table.name}.{kind}" for table in TABLES for kind in ("csv", "md", "tex"))
    yield from (f"{name}.md" for name in TEXTS)
    yield from (f"{name}.{kind}" for name in CAPTIONS for kind in KINDS)


def files_of_one() -> Iterator[str]:
    """Return the names that files of the report of one run may have, but for the page."""
    yield from ("report.md", GRADIENT)
    yield from (f"{name}.tex" for name in TABLES_OF_ONE)
    yield from (f"{name}.{kind}" for name in PICTURES_OF_ONE for kind in KINDS)


def write_files(out: Path, contents: Mapping[str, bytes]) -> None:
    """Write all files of a report: the page first, by which the folder is known as ours.

    Those that an older report, of one run or of several, may have left, and this one has not, are
    deleted. Raises WriteError.
    """
    for name in sorted(contents, key=lambda name: name != PAGE):
        write_bytes(out / name, contents[name])
    for name in (*files_of_several(), *files_of_one()):
        if name not in contents:
            delete(out / name)
    delete_unfinished(out, contents)


def encoded(content: Content) -> bytes:
    """Return a file's bytes; a lone surrogate, as in a file name that is not UTF-8, is escaped."""
    return content if isinstance(content, bytes) else content.encode(errors="backslashreplace")


def drawn(figure: Figure, kind: plots.Kind) -> bytes:
    """Return a picture as a file's bytes."""
    file = io.BytesIO()
    plots.save(figure, file, kind)
    return file.getvalue()
