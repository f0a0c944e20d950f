"""Write the report of one run, as the course's assignment asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from nbrnn.analysis.run_facts import RunFacts, collect_facts
from nbrnn.analysis.run_records import Progress, ignore
from nbrnn.report.document import Figure, Table
from nbrnn.report.html import render_html
from nbrnn.report.latex import latex_paragraph, latex_table
from nbrnn.report.markdown import render_markdown
from nbrnn.report.report_folder import (
    GRADIENT,
    PAGE,
    PATIENCE,
    REPRODUCIBILITY,
    WrittenReport,
    draw,
    report_place,
    write_report,
)
from nbrnn.report.run_document import GRAMS, commands, reproduction, run_document
from nbrnn.report.run_figures import CAPTIONS, figures
from nbrnn.storage.folder_locks import locked
from nbrnn.storage.run_folder import RunFolder


@dataclass(frozen=True)
class RunReport(WrittenReport):
    """The files of a report, and the facts in it."""

    facts: RunFacts

    def document(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        facts = self.facts
        return {
            "report": str(self.folder),
            "files": self.files,
            "missing": facts.missing,
            "run": str(facts.folder),
            "config": facts.config.to_dict(),
            "corpus": msgspec.to_builtins(facts.corpus),
            "summary": facts.summary.to_dict(),
            "gradient_check": msgspec.to_builtins(facts.gradient),
            "baselines": dict(facts.baselines),
            "samples": msgspec.to_builtins(list(facts.samples)),
            "text": facts.text,
            "losses": [losses._asdict() for losses in facts.losses],
            "copying": [
                {
                    "text": name,
                    "characters": overlap.lengths.size,
                    "shares": {str(n): overlap.share(n) for n in GRAMS if overlap.lengths.size >= n},
                    "longest": overlap.longest,
                    "passage": facts.passages[name],
                    "place": overlap.place,
                }
                for name, overlap in facts.overlaps.items()
            ],
        }


def report(
    run: Path,
    out: Path | None = None,
    *,
    text: Path | None = None,
    refresh: int = 0,
    progress: Progress = ignore,
) -> RunReport:
    """Write page, Markdown, tables and pictures about the run in a folder.

    They go to `report/` in it, or to `out`, as in `sweep_report.report`. `text` is a file with the run's
    text, where that has moved. Raises StoreError if there is nothing to report, WriteError if it cannot
    be written.
    """
    out, folder = report_place(run, out), RunFolder(run)
    folder.read_config()  # before a folder is made for nothing
    with locked(out, PATIENCE):
        facts = collect_facts(folder, text, out / GRADIENT, progress)
        return RunReport(out, write_report(out, contents_of(facts, refresh)), facts)


def contents_of(facts: RunFacts, refresh: int) -> dict[str, bytes | str]:
    """Return the name and the content of each file of a report."""
    contents: dict[str, bytes | str] = {}
    pictures = {}
    for name, figure in figures(facts):
        images = draw(name, figure)
        contents |= images
        pictures[name] = Figure(name, CAPTIONS[name], images[f"{name}.svg"])
    document = run_document(facts, pictures)
    blocks = (block for section in document.sections for block in section.blocks)
    contents |= {f"{block.name}.tex": latex_table(block) for block in blocks if isinstance(block, Table)}
    if sentences := reproduction(facts):
        contents[REPRODUCIBILITY] = latex_paragraph(sentences, commands(facts))
    if facts.gradient is not None:
        contents[GRADIENT] = msgspec.json.format(msgspec.json.encode(facts.gradient)) + b"\n"
    contents["report.md"] = render_markdown(document)
    contents[PAGE] = render_html(document, refresh)
    return contents
