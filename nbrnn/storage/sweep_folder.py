"""The folder of a sweep, and how a sweep sees runs that successive halving made shorter."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import structs

from nbrnn.config import SCHEMA, RunConfig
from nbrnn.errors import StoreError
from nbrnn.storage import safe_files as files
from nbrnn.storage.folder_locks import Folder, check_folders, is_empty_but_for
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import DROPPED, Reveal, Summary, SweepFile, SweepRequest

SWEEP = "sweep.json"
RUNS = "runs"
REPORT = "report"
REVEALS = "test_reveals.jsonl"
LENGTHS = ("epochs", "updates")


class SweepFolder(Folder):
    """The folder of a sweep: `sweep.json`, the runs in `runs/`, and what they show in `report/`."""

    def locked(self) -> AbstractContextManager[None]:
        """Make the sweep this process's own, as `locked` does. Raises StoreError for runs elsewhere."""
        check_folders(self.path, self / RUNS)
        return super().locked()

    def is_sweep(self) -> bool:
        """Return whether a sweep was started here."""
        return self.has(SWEEP)

    def is_free(self) -> bool:
        """Return whether nothing is here but our lock and an unfinished sweep.json."""
        return is_empty_but_for(self.path, SWEEP)

    def check_run(self, run_id: str) -> None:
        """Raise StoreError if the folder of a run leads elsewhere."""
        check_folders(self.path, self / RUNS / run_id)

    def run(self, run_id: str) -> RunFolder:
        """Return the folder of one run."""
        return RunFolder(self / RUNS / run_id)

    @property
    def report(self) -> Path:
        """The folder of the sweep's report."""
        return self / REPORT

    def runs(self) -> list[RunFolder]:
        """Return the folders of all runs that were started, sorted by name."""
        folders = (RunFolder(path) for path in sorted((self / RUNS).glob("*")))
        return [folder for folder in folders if folder.is_run()]

    def read_requests(self) -> list[SweepRequest]:
        """Return the requests in sweep.json, none without that file. Raises StoreError."""
        if not self.is_sweep():
            return []
        path = self / SWEEP
        content = files.read_json(path, SweepFile)
        if content.schema != SCHEMA:
            raise StoreError(f"{path} was written by a newer version of nbrnn: use that one")
        return content.requests

    def write_requests(self, requests: list[SweepRequest]) -> None:
        """Write sweep.json."""
        files.delete_unfinished(self.path, [SWEEP])
        files.write_json(self / SWEEP, msgspec.to_builtins(SweepFile(schema=SCHEMA, requests=requests)))

    def add_request(self, request: SweepRequest) -> None:
        """Add a request to sweep.json, unless it holds the same. Raises StoreError."""
        requests = self.read_requests()
        if not any(old.is_same_as(request) for old in requests):
            self.write_requests([*requests, request])

    def replace_request(self, request: SweepRequest) -> None:
        """Replace the same request by one with other decisions. Raises StoreError."""
        requests = self.read_requests()
        self.write_requests([request if old.is_same_as(request) else old for old in requests])

    def record_reveal(self, date: str) -> None:
        """Record that the test part is revealed, when and by which command. Raises WriteError.

        An appended line: a running sweep replaces sweep.json.
        """
        reveal = Reveal(date=date, command=sys.argv)
        files.create(self / REVEALS)
        files.append(self / REVEALS, msgspec.json.encode(reveal) + b"\n")

    def read_reveals(self) -> list[str]:
        """Return when the test part was revealed. Raises StoreError."""
        if not self.has(REVEALS):
            return []
        return [reveal.date for reveal in files.read_json_lines(self / REVEALS, Reveal)]

    def with_decisions(self, request: SweepRequest) -> SweepRequest:
        """Return the same request as in sweep.json, with its decisions. Raises StoreError."""
        return next((old for old in self.read_requests() if old.is_same_as(request)), request)

    def requested_lengths(self) -> dict[str, RequestedLength]:
        """Return, by id, the lengths of runs that successive halving may have made shorter.

        Nothing where sweep.json cannot be read. The last request that names a run counts: one without
        halving wants all of them whole.
        """
        lengths: dict[str, RequestedLength] = {}
        requests: list[SweepRequest] = []
        with suppress(StoreError):
            requests = self.read_requests()
        for request in requests:
            if request.halving is None:
                again = lengths.keys() & request.runs
                lengths |= {run_id: lengths[run_id]._replace(dropped=False) for run_id in again}
                continue
            dropped = {run_id for one in request.halving.rounds for run_id in one.dropped_runs}
            epochs, updates = ((request.settings.get(name) or [None])[0] for name in LENGTHS)
            for run_id in request.runs:
                lengths[run_id] = RequestedLength(epochs, updates, run_id in dropped)
        return lengths


class RequestedLength(NamedTuple):
    """The length that a sweep with successive halving asks of a run, and whether it dropped the run."""

    epochs: int | None
    updates: int | None
    dropped: bool

    def apply(self, config: RunConfig, summary: Summary, characters: int) -> tuple[RunConfig, Summary]:
        """Return the requested settings, and the summary as the sweep sees it, of a run that is shorter.

        Its own summary says `finished` when a round is. To the sweep the run is then dropped, or
        interrupted until all runs of the round are there.
        """
        whole = replace(config, epochs=self.epochs, updates=self.updates)
        if config.length(characters) >= whole.length(characters):
            return config, summary
        if summary.status == "finished":
            summary = structs.replace(summary, status=DROPPED if self.dropped else "interrupted")
        return whole, summary


def summary_in_sweep(folder: RunFolder, requested: RequestedLength | None) -> Summary:
    """Return the summary of a run as its sweep sees it. Raises StoreError."""
    summary = folder.read_summary()
    if requested is not None:
        config, corpus = folder.read_config()
        _, summary = requested.apply(config, summary, corpus.characters)
    return summary
