"""What is written about runs, and where?"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nbrnn import plots
from nbrnn.errors import StoreError
from nbrnn.plots import Kind
from nbrnn.reports.catalogue import TABLES
from nbrnn.reports.figures import CAPTIONS, figures
from nbrnn.reports.heading import Asked, asked
from nbrnn.reports.latex import latex
from nbrnn.reports.markdown import answer_markdown, markdown, samples_markdown
from nbrnn.reports.page import page
from nbrnn.reports.reading import Progress, find_runs
from nbrnn.reports.rows import plain_rows
from nbrnn.reports.samples import samples_of
from nbrnn.reports.tables import Results, read
from nbrnn.runs.files import (
    MOST_LINES,
    delete,
    delete_unfinished,
    is_there,
    read_bytes,
    write_bytes,
)
from nbrnn.runs.folders import check_folders, is_empty_but_for, locked
from nbrnn.runs.store import RunFolder
from nbrnn.runs.sweep_store import SweepFolder

PAGE = "index.html"
KINDS: tuple[Kind, ...] = ("png", "svg", "pdf")  # of each picture
MARK = b"Made by nbrnn"  # in the page of every report
PATIENCE = 60.0  # seconds that another report into the same folder may take


@dataclass
class Report:
    """What was written, and from what."""

    folder: Path
    results: Results
    files: list[str] = field(default_factory=list)

    @property
    def page(self) -> Path:
        """The page with everything."""
        return self.folder / PAGE

    def document(self) -> dict[str, Any]:
        """Return everything as plain values for JSON; NaN is None."""
        return {
            "report": str(self.folder),
            "files": self.files,
            "unreadable": self.results.unreadable,
            **{table.name: plain_rows(table.frame(self.results)) for table in TABLES},
        }


def report(
    paths: Sequence[Path],
    out: Path | None = None,
    *,
    refresh: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Write tables, samples, pictures and a page about the runs in folders of sweeps and runs.

    It goes to `report/` in the first one, or to `out`: a new or empty folder, or that of an older
    report, which is renewed. With `refresh` the page loads itself again after so many seconds. Raises
    StoreError if there is nothing to report, WriteError if it cannot be written.
    """
    if out is None:
        out = SweepFolder(paths[0]).report
        check_folders(paths[0], out)
    if RunFolder(out).is_run() or SweepFolder(out).is_sweep():
        raise StoreError(f"{out} is the folder of a run or a sweep: give another --out")
    if not is_ours(out):
        raise StoreError(f"{out} holds other files: give a new or an empty folder with --out")
    find_runs(paths)  # before a folder is made for nothing
    with locked(out, PATIENCE):
        return write_files(read(paths, progress), asked(paths), out, refresh, progress)


def is_ours(folder: Path) -> bool:
    """Whether nothing is in a folder yet, or a report. Raises StoreError if it cannot be read."""
    if is_empty_but_for(folder, PAGE):
        return True
    return is_there(folder / PAGE) and MARK in read_bytes(folder / PAGE, MOST_LINES)


def write_files(
    results: Results, wanted: Asked, out: Path, refresh: int, progress: Progress | None
) -> Report:
    """Write all files of a report: the page first, by which the folder is known as ours."""
    contents = contents_of(results, wanted, refresh, progress)
    for name in sorted(contents, key=lambda name: name != PAGE):
        write_bytes(out / name, contents[name])
    for name in CAPTIONS:  # pictures that an older report had
        for file in (out / f"{name}.{kind}" for kind in KINDS):
            if file.name not in contents:
                delete(file)
    delete_unfinished(out, contents)
    return Report(out, results, list(contents))


def contents_of(
    results: Results, wanted: Asked, refresh: int, progress: Progress | None
) -> dict[str, bytes]:
    """Return the name and the content of each file of a report."""
    texts = samples_of(results)
    contents: dict[str, bytes | str] = {"answer.md": answer_markdown(results)}
    for table in TABLES:
        contents[f"{table.name}.csv"] = table.frame(results).to_csv(index=False)
        contents[f"{table.name}.md"] = markdown(table, results)
        contents[f"{table.name}.tex"] = latex(table, results)
    contents["samples.md"] = samples_markdown(texts)
    pictures = {}
    for number, (name, figure) in enumerate(figures(results), 1):
        if progress is not None:
            progress("pictures of the report", number, len(CAPTIONS))  # or fewer
        images = {kind: drawn(figure, kind) for kind in KINDS}
        contents |= {f"{name}.{kind}": image for kind, image in images.items()}
        pictures[name] = images["svg"]
    contents[PAGE] = page(results, pictures, texts, wanted, refresh)
    return {name: encoded(content) for name, content in contents.items()}


def encoded(content: bytes | str) -> bytes:
    """Return a file's bytes; a lone surrogate, as in a file name that is not UTF-8, is escaped."""
    return content if isinstance(content, bytes) else content.encode(errors="backslashreplace")


def drawn(figure: Figure, kind: Kind) -> bytes:
    """Return a picture as a file's bytes."""
    file = io.BytesIO()
    plots.save(figure, file, kind)
    return file.getvalue()
