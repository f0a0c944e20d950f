"""Write the report of many runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nbrnn.analysis.result_tables import Results, read_results
from nbrnn.analysis.run_records import Progress, find_runs, ignore
from nbrnn.errors import StoreError
from nbrnn.report.document import Document, Figure, Section
from nbrnn.report.figures import CAPTIONS, caption, figures, tips
from nbrnn.report.formatting import plain_rows
from nbrnn.report.html import render_html
from nbrnn.report.latex import PACKAGES, latex_paragraph, latex_table
from nbrnn.report.markdown import render_markdown
from nbrnn.report.report_folder import (
    ANALYSES,
    PAGE,
    PATIENCE,
    REPRODUCIBILITY,
    WrittenReport,
    csv_text,
    draw,
    report_place,
    write_report,
)
from nbrnn.report.sweep_document import (
    Request,
    answer_document,
    read_request,
    reproduction,
    samples_of,
    sweep_document,
)
from nbrnn.report.table_registry import TABLES
from nbrnn.storage.folder_locks import locked
from nbrnn.storage.safe_files import read_json
from nbrnn.storage.schemas import COMPLETE, DROPPED, FAILURES


class Analysis(msgspec.Struct, frozen=True):
    """A report of finished runs: how many seeds each of so many configurations had."""

    configurations: int
    seeds: int


@dataclass(frozen=True)
class Report(WrittenReport):
    """The files of a report, and the results in it."""

    results: Results

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
    reveal_test: bool = False,
    smallest_difference: float | None = None,
    progress: Progress = ignore,
) -> Report:
    """Write tables, samples, pictures and a page about the runs in folders of sweeps and runs.

    They go to `report/` in the first one, or to `out`: a new or empty folder, or that of an older
    report, which is renewed. With `refresh` the page loads itself again after so many seconds.
    `reveal_test` shows the test loss, which is recorded; `smallest_difference` is that of losses worth
    detecting. Raises StoreError if there is nothing to
    report, WriteError if it cannot be written.
    """
    out = report_place(paths[0], out)
    find_runs(paths)  # before a folder is made for nothing
    with locked(out, PATIENCE):
        results = read_results(
            paths, progress, reveal_test=reveal_test, smallest_difference=smallest_difference
        )
        analyses = analyses_of(results, out)
        results.analyses = [analysis.seeds for analysis in analyses]
        contents = contents_of(results, read_request(paths), refresh, progress)
        contents[ANALYSES] = json.dumps(msgspec.to_builtins(analyses), indent=2) + "\n"
        return Report(out, write_report(out, contents), results)


def analyses_of(results: Results, out: Path) -> list[Analysis]:
    """Return the reports of finished runs in this folder, with this one if it has more seeds."""
    analyses: list[Analysis] = []
    with suppress(StoreError):  # there is none yet
        analyses = read_json(out / ANALYSES, list[Analysis])
    counts = [len(losses) for losses in results.findings.losses.values()]
    seeds = int(np.median(counts)) if counts else 0
    ended = results.runs["status"].isin((*COMPLETE, *FAILURES, DROPPED)).all()
    if ended and seeds > max((analysis.seeds for analysis in analyses), default=0):
        analyses.append(Analysis(len(counts), seeds))
    return analyses


def contents_of(
    results: Results, request: Request, refresh: int, progress: Progress = ignore
) -> dict[str, bytes | str]:
    """Return the name and the content of each file of a report."""
    samples = samples_of(results)
    contents: dict[str, bytes | str] = {"answer.md": render_markdown(answer_document(results))}
    for spec in TABLES:
        contents[f"{spec.name}.csv"] = csv_text(spec.frame(results))
        contents[f"{spec.name}.md"] = render_markdown(spec.document(results))
        contents[f"{spec.name}.tex"] = PACKAGES + "\n"  # of a table without rows
        contents |= {f"{table.name}.tex": latex_table(table) for table in spec.tables(results)}
    sections = [Section(name, [block]) for name, block in samples.items()]
    contents["samples.md"] = render_markdown(Document("Samples", "", sections))
    if sentences := reproduction(results):
        contents[REPRODUCIBILITY] = latex_paragraph(sentences, request.commands)
    pictures, hints = {}, tips(results)
    for number, (name, figure) in enumerate(figures(results), 1):
        progress("pictures drawn", number, len(CAPTIONS))  # or fewer
        images = draw(name, figure)
        contents |= images
        pictures[name] = Figure(name, caption(results, name), images[f"{name}.svg"], hints)
    contents[PAGE] = render_html(sweep_document(results, request, pictures, samples), refresh)
    return contents
