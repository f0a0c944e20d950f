"""Check several submissions, and the points of each by rung."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbrnn.checks.check import check
from nbrnn.checks.ladder import RUNGS
from nbrnn.checks.report import Report
from nbrnn.errors import NbrnnError
from nbrnn.storage.safe_files import write_bytes


def check_all(paths: Sequence[Path], **options: Any) -> dict[str, Report | NbrnnError]:
    """Return the report on each file by its name, or the error why it cannot be checked."""
    reports: dict[str, Report | NbrnnError] = {}
    for path in paths:
        try:
            reports[str(path)] = check(path, **options)
        except NbrnnError as error:
            reports[str(path)] = error
    return reports


def grades(reports: dict[str, Report | NbrnnError]) -> list[dict[str, object]]:
    """Return a row for each submission: right, points, what is wrong first, and the points by rung."""
    done = [report for report in reports.values() if isinstance(report, Report)]
    rungs = dict.fromkeys(
        rung for report in done for rung in (*(RUNGS if report.titles else ()), *report.points)
    )
    rows: list[dict[str, object]] = []
    for name, report in reports.items():
        points = report.points if isinstance(report, Report) else {}
        wrong = report.sentences()[:1] if isinstance(report, Report) else [str(report)]
        row = {"submission": name, "right": isinstance(report, Report) and report.is_right}
        row |= {"points": sum(points.values()), "of": len(points), "first fault": "".join(wrong)}
        rows.append(row | {rung: points.get(rung, "") for rung in rungs})
    return rows


def write_grades(path: Path, rows: Sequence[dict[str, object]]) -> None:
    """Write rows as CSV; no cell is a formula. Raises WriteError."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: f"'{v}" if str(v).startswith(("=", "+", "-", "@")) else v for k, v in r.items()}
        for r in rows
    )
    write_bytes(path, text.getvalue().encode())
