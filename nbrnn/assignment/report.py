"""What is written about one run, and where?"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from nbrnn.assignment.drawings import drawings
from nbrnn.assignment.gather import Facts, gather
from nbrnn.assignment.latex import floating
from nbrnn.assignment.markdown import markdown
from nbrnn.assignment.page import page
from nbrnn.assignment.sections import sections
from nbrnn.assignment.tables import GRAMS, tables_of
from nbrnn.reports.reading import Progress
from nbrnn.reports.report import PATIENCE
from nbrnn.reports.writing import GRADIENT, KINDS, PAGE, Content, drawn, encoded, place_of, write_files
from nbrnn.storage.folder_locks import locked
from nbrnn.storage.run_folder import RunFolder


@dataclass(frozen=True)
class RunReport:
    """What was written about a run, and from which facts."""

    folder: Path
    facts: Facts
    files: list[str]

    @property
    def page(self) -> Path:
        """The page with everything."""
        return self.folder / PAGE

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
            "losses": [each._asdict() for each in facts.losses],
            "copying": [
                {
                    "text": name,
                    "characters": found.lengths.size,
                    "shares": {str(n): found.share(n) for n in GRAMS if found.lengths.size >= n},
                    "longest": found.longest,
                    "passage": facts.passages[name],
                    "place": found.place,
                }
                for name, found in facts.copying.items()
            ],
        }


def report(
    run: Path,
    out: Path | None = None,
    *,
    text: Path | None = None,
    refresh: int = 0,
    progress: Progress | None = None,
) -> RunReport:
    """Write page, Markdown, tables and pictures about the run in a folder.

    It goes to `report/` in it, or to `out`, as `nbrnn.reports.report` says. `text` is a file with the
    run's text, where that has moved. Raises StoreError if there is nothing to report, WriteError if it
    cannot be written.
    """
    out, folder = place_of(run, out), RunFolder(run)
    folder.read_config()  # before a folder is made for nothing
    with locked(out, PATIENCE):
        facts = gather(folder, text, out / GRADIENT, progress)
        contents = contents_of(facts, refresh)
        write_files(out, contents)
        return RunReport(out, facts, list(contents))


def contents_of(facts: Facts, refresh: int) -> dict[str, bytes]:
    """Return the name and the content of each file of a report."""
    contents: dict[str, Content] = {}
    pictures = {}
    for name, figure in drawings(facts):
        images = {kind: drawn(figure, kind) for kind in KINDS}
        contents |= {f"{name}.{kind}": image for kind, image in images.items()}
        pictures[name] = base64.b64encode(images["svg"]).decode()
    found = sections(facts, list(pictures))
    contents |= {f"{table.name}.tex": floating(table) for table in tables_of(facts)}
    if facts.gradient is not None:
        contents[GRADIENT] = msgspec.json.format(msgspec.json.encode(facts.gradient)) + b"\n"
    contents["report.md"] = markdown(facts, found)
    contents[PAGE] = page(facts, found, pictures, refresh)
    return {name: encoded(content) for name, content in contents.items()}
