"""What does a sweep leave on disk, besides its runs?"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from pathlib import Path

import msgspec

from nbrnn.config import SCHEMA
from nbrnn.errors import LockedError, NbrnnError, StoreError
from nbrnn.storage.atomic_files import delete_unfinished, is_there, read_json, write_json
from nbrnn.storage.folder_locks import LOCK, check_folders, is_empty_but_for, locked
from nbrnn.storage.halved import Wanted, wanted_of
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import SweepFile, SweepRequest

SWEEP = "sweep.json"
RUNS = "runs"
REPORT = "report"


class SweepFolder:
    """The folder of a sweep: `sweep.json`, the runs in `runs/`, and what they show in `report/`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def locked(self) -> AbstractContextManager[None]:
        """Make the sweep this process's own, as `locked` does. Raises StoreError for runs elsewhere."""
        check_folders(self.path, self.path / RUNS)
        return locked(self.path, patience=0.5)  # who only looks whether it is at work is soon gone

    def is_at_work(self) -> bool:
        """Whether a process is at work here; no lock is made to find out."""
        if not is_there(self.path / LOCK):
            return False
        try:
            with locked(self.path):
                return False
        except LockedError:
            return True
        except NbrnnError:  # not ours to write in, so that nobody can tell
            return False

    def is_sweep(self) -> bool:
        """Whether a sweep was begun here."""
        return is_there(self.path / SWEEP)

    def is_free(self) -> bool:
        """Whether nothing is here but our lock, and a request that was never written to its end."""
        return is_empty_but_for(self.path, SWEEP)

    def check_run(self, run_id: str) -> None:
        """Raise StoreError if the folder of a run leads elsewhere."""
        check_folders(self.path, self.path / RUNS / run_id)

    def run(self, run_id: str) -> RunFolder:
        """Return the folder of one run."""
        return RunFolder(self.path / RUNS / run_id)

    @property
    def report(self) -> Path:
        """Where the sweep's report is."""
        return self.path / REPORT

    def runs(self) -> list[RunFolder]:
        """Return the folders of all runs that were begun, sorted by name."""
        folders = (RunFolder(path) for path in sorted((self.path / RUNS).glob("*")))
        return [folder for folder in folders if folder.is_run()]

    def add_request(self, request: SweepRequest) -> None:
        """Add to sweep.json what is asked for, unless the same was asked before. Raises StoreError."""
        requests = self.read_requests() if self.is_sweep() else []
        if not any(old.is_as(request) for old in requests):
            self.write_requests([*requests, request])

    def replace_request(self, request: SweepRequest) -> None:
        """Replace what was decided since the same was asked for. Raises StoreError."""
        requests = self.read_requests()
        self.write_requests([request if old.is_as(request) else old for old in requests])

    def write_requests(self, requests: list[SweepRequest]) -> None:
        """Write sweep.json."""
        delete_unfinished(self.path, [SWEEP])
        write_json(self.path / SWEEP, msgspec.to_builtins(SweepFile(schema=SCHEMA, requests=requests)))

    def wanted(self) -> dict[str, Wanted]:
        """Return by id what is wanted of runs that successive halving may have made shorter.

        Nothing where sweep.json cannot be read.
        """
        with suppress(StoreError):
            return wanted_of(self.read_requests()) if self.is_sweep() else {}
        return {}

    def with_decisions(self, request: SweepRequest) -> SweepRequest:
        """Return a request as it stands here, if the same was asked before. Raises StoreError."""
        requests = self.read_requests() if self.is_sweep() else []
        return next((old for old in requests if old.is_as(request)), request)

    def read_requests(self) -> list[SweepRequest]:
        """Return what was asked for. Raises StoreError."""
        path = self.path / SWEEP
        found = read_json(path, SweepFile)
        if found.schema != SCHEMA:
            raise StoreError(f"{path} was written by another version of nbrnn")
        return found.requests
