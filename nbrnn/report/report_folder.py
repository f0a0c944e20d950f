"""The folder of a report: where it may be, which files are its own, how they are written."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from nbrnn import run_plots
from nbrnn.errors import StoreError
from nbrnn.report.figures import CAPTIONS
from nbrnn.report.html import MARK
from nbrnn.report.table_registry import TABLES
from nbrnn.storage import safe_files as files
from nbrnn.storage.folder_locks import check_folders, is_empty_but_for
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.sweep_folder import SweepFolder

PAGE = "index.html"
ANALYSES = "analyses.json"  # the reports of a sweep so far
GRADIENT = "gradcheck.json"  # the check that the report of a run stores
REPRODUCIBILITY = "reproducibility.tex"
KINDS: tuple[run_plots.Kind, ...] = ("png", "svg", "pdf")  # of each picture
RUN_TABLES = ("setup", "gradcheck-max", "gradcheck-norm", "smooth", "losses", "copying", "passages")
RUN_FIGURES = ("loss", "copying")
PATIENCE = 60.0  # seconds that another report into the same folder may take
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # where a spreadsheet takes a cell for a formula


@dataclass(frozen=True)
class WrittenReport:
    """The files of a report."""

    folder: Path
    files: list[str]

    @property
    def page(self) -> Path:
        """The page with everything."""
        return self.folder / PAGE


def report_place(named: Path, out: Path | None) -> Path:
    """Return where a report goes: to `out`, or to report/ in the folder of a run or a sweep.

    Raises StoreError unless it is new, empty, or the folder of an older report.
    """
    if out is None:
        out = SweepFolder(named).report
        check_folders(named, out)
    if RunFolder(out).is_run() or SweepFolder(out).is_sweep():
        raise StoreError(f"{out} is the folder of a run or a sweep: give another --out")
    if not is_report(out):
        raise StoreError(f"{out} holds other files: give a new or an empty folder with --out")
    return out


def is_report(folder: Path) -> bool:
    """Whether a folder is empty, or holds a report. Raises StoreError if it cannot be read."""
    if is_empty_but_for(folder, PAGE):
        return True
    return files.is_there(folder / PAGE) and MARK.encode() in files.read_bytes(
        folder / PAGE, files.MAX_LOG
    )


def sweep_files() -> Iterator[str]:
    """Return the names that the files of a report of many runs may have, but for the page."""
    yield from ("answer.md", "samples.md", REPRODUCIBILITY, ANALYSES)
    yield from (name for table in TABLES for name in table.files)
    # earlier versions ranked shorter runs and drew parallel coordinates
    yield from (f"lengths.{kind}" for kind in ("csv", "md", "tex"))
    yield from (f"{name}.{kind}" for name in (*CAPTIONS, "parallel") for kind in KINDS)


def run_files() -> Iterator[str]:
    """Return the names that the files of a report of one run may have, but for the page."""
    yield from ("report.md", GRADIENT, REPRODUCIBILITY)
    yield from (f"{name}.tex" for name in RUN_TABLES)
    yield from (f"{name}.{kind}" for name in RUN_FIGURES for kind in KINDS)


def write_report(out: Path, contents: Mapping[str, bytes | str]) -> list[str]:
    """Write all files of a report and return their names; the page first, which marks the folder.

    What an older report of a run or of a sweep left, and this one does not have, is deleted. A lone
    surrogate, as in a file name that is not UTF-8, is escaped. Raises WriteError.
    """
    for name in sorted(contents, key=lambda name: name != PAGE):
        content = contents[name]
        data = content if isinstance(content, bytes) else content.encode(errors="backslashreplace")
        files.write_bytes(out / name, data)
    for name in (*sweep_files(), *run_files()):
        if name not in contents:
            files.delete(out / name)
    files.delete_unfinished(out, contents)
    return list(contents)


def draw(name: str, figure: Figure) -> dict[str, bytes]:
    """Return a picture as the bytes of a file of each kind, by the names of the files."""
    images = {}
    for kind in KINDS:
        file = io.BytesIO()
        run_plots.save(figure, file, kind)
        images[f"{name}.{kind}"] = file.getvalue()
    return images


def csv_text(frame: pd.DataFrame) -> str:
    """Return a table as CSV, in which no spreadsheet takes a name for a formula."""
    texts = frame.select_dtypes(exclude=["number", "bool"])
    return frame.assign(**texts.map(without_formula)).to_csv(index=False)


def without_formula(value: Any) -> Any:
    """Return a cell, quoted where it would be a formula."""
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
