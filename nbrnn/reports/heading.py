"""What were these runs asked to do, and how far are they?"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nbrnn.errors import StoreError
from nbrnn.naming import short_texts
from nbrnn.reports.tables import Results
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import COMPLETE, DROPPED, FAILURES
from nbrnn.storage.sweep_folder import SweepFolder

MOST_CORPORA = 3  # that are named
MOST_COMMANDS = 5
MOST_UNDER_WAY = 20  # runs whose progress is shown


@dataclass(frozen=True)
class Asked:
    """What was asked for: the commands, oldest first, and the ids of all runs."""

    commands: list[str]
    runs: set[str]


@dataclass(frozen=True)
class UnderWay:
    """A run in progress, or one that was interrupted, after so many of its updates."""

    name: str
    status: str
    updates: int
    length: int


@dataclass(frozen=True)
class Progress:
    """How many runs have ended, of how many that were asked for, and how far the others are."""

    ended: int
    runs: int
    done: float  # runs, with the parts of those under way
    under_way: list[UnderWay]

    @property
    def waiting(self) -> int:
        """How many have not begun."""
        return self.runs - self.ended - len(self.under_way)


def asked(paths: Iterable[Path]) -> Asked:
    """Return what was asked for in folders of sweeps and runs, as far as their files say."""
    commands, runs = [], set()
    for path in paths:
        with suppress(StoreError):
            if SweepFolder(path).is_sweep():
                for request in SweepFolder(path).read_requests():
                    commands.append(request.command)
                    runs |= set(request.runs)
            else:
                commands.append(RunFolder(path).read_env().command)
    texts = dict.fromkeys(as_typed(command) for command in commands if command)
    return Asked(list(texts)[-MOST_COMMANDS:], runs)


def as_typed(command: Sequence[str]) -> str:
    """Return a command as somebody would type it, wherever the program lies."""
    program, *arguments = command
    path = Path(program)
    if path.name == "nbrnn":
        shown = ["nbrnn"]
    elif path.name == "__main__.py" and path.parent.name:
        shown = ["python", "-m", path.parent.name]
    else:
        shown = [program]
    return shlex.join([*shown, *arguments])


def title(results: Results) -> str:
    """Return the names of the texts, and what was swept over them."""
    corpora = list(dict.fromkeys(results.runs["corpus"]))
    names = " and ".join([*corpora[:MOST_CORPORA], *(["others"] if corpora[MOST_CORPORA:] else [])])
    *rest, last = results.swept or ["one configuration"]
    swept = f"{', '.join(rest)} and {last}" if rest else last
    return f"{names}: {swept}"


def fixed(results: Results) -> str:
    """Return the settings that all runs share, those that have an effect."""
    values: dict[str, set[object]] = {}
    for record in results.records:
        if not record.is_imported:
            for name, value in record.config.to_dict().items():
                values.setdefault(name, set()).add(value)
    shared = {n: next(iter(found)) for n, found in values.items() if len(found) == 1 and n != "seed"}
    texts = [f"{n} {short_texts([v])[v]}" for n, v in shared.items() if v is not None]
    return ", ".join(texts)


def progress(results: Results, wanted: Asked) -> Progress:
    """Return how far the runs are, apart from those that cannot be read."""
    under_way = []
    for record, name in zip(results.records, results.runs["setting"], strict=True):
        config, summary = record.config, record.summary
        if summary.status not in (*COMPLETE, *FAILURES, DROPPED):
            length = config.length(record.corpus.characters)
            run = f"{name}, seed {config.seed}"
            under_way.append(UnderWay(run, summary.status, summary.updates, length))
    runs = len(wanted.runs | set(results.runs["run_id"])) - len(results.unreadable)
    runs = max(runs, len(results.records))  # of unreadable ones some may not have been asked for here
    ended = len(results.records) - len(under_way)
    done = ended + sum(run.updates / max(1, run.length) for run in under_way)
    return Progress(ended, runs, done, under_way)
