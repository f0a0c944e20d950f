"""What is written about runs, and where?"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from nbrnn import plots
from nbrnn.errors import StoreError
from nbrnn.reports.figures import CAPTIONS, figures
from nbrnn.reports.markdown import comparison_markdown, configurations_markdown, samples_markdown
from nbrnn.reports.page import page
from nbrnn.reports.reading import Progress
from nbrnn.reports.rows import plain_rows
from nbrnn.reports.samples import samples_of
from nbrnn.reports.tables import Results, read
from nbrnn.runs.files import write_atomically
from nbrnn.runs.store import RunFolder, locked
from nbrnn.runs.sweep_store import SweepFolder

PAGE = "index.html"
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
            **{name: plain_rows(table) for name, table in self.results.tables().items()},
        }


def report(
    paths: Sequence[Path], out: Path, *, refresh: int = 0, progress: Progress | None = None
) -> Report:
    """Write tables, samples, pictures and a page about the runs in folders of sweeps and runs.

    With `refresh` the page loads itself again after so many seconds. Raises StoreError if there is
    nothing to report, WriteError if it cannot be written.
    """
    if RunFolder(out).is_run() or SweepFolder(out).is_sweep():
        raise StoreError(f"{out} is the folder of a run or a sweep: give another --out")
    results = read(paths, progress)
    with locked(out, PATIENCE):
        return write_files(results, out, refresh, progress)


def write_files(results: Results, out: Path, refresh: int, progress: Progress | None) -> Report:
    """Write all files of a report."""
    written = Report(out, results)
    is_older_report = written.page.exists()

    def write(name: str, data: bytes) -> None:
        write_atomically(out / name, lambda file: file.write(data))
        written.files.append(name)

    for name, table in results.tables().items():
        write(f"{name}.csv", table.to_csv(index=False).encode())
    write("settings.md", configurations_markdown(results).encode())
    write("comparison.md", comparison_markdown(results).encode())
    texts = samples_of(results)
    write("samples.md", samples_markdown(texts).encode())
    pictures = {}
    for number, (name, figure) in enumerate(figures(results), 1):
        if progress is not None:
            progress("pictures of the report", number, len(CAPTIONS))  # or fewer
        for kind in ("png", "svg"):
            image = drawn(figure, kind)
            write(f"{name}.{kind}", image)
        pictures[name] = base64.b64encode(image).decode()
    for name in set(CAPTIONS) - set(pictures) if is_older_report else ():
        for kind in ("png", "svg"):
            (out / f"{name}.{kind}").unlink(missing_ok=True)
    write(PAGE, page(results, pictures, texts, refresh).encode())
    return written


def drawn(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """Return a picture as a file's bytes."""
    file = io.BytesIO()
    plots.save(figure, file, kind)
    return file.getvalue()
