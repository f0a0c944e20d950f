"""What a run and a sweep leave on disk, and how it survives a crash.

The only module that knows file names. Every file but the two that grow is replaced as a whole, so
that after a crash it is the old or the new one. `last.safetensors` is the point of commitment: what
the growing files hold beyond its update is cut off when the run goes on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock, Timeout

from nbrnn.config import SCHEMA, RunConfig
from nbrnn.errors import ConfigError, LockedError, StoreError
from nbrnn.network.params import Array
from nbrnn.runs.checkpoint import Checkpoint, Kind, read_checkpoint
from nbrnn.runs.files import (
    NONSENSE,
    PARTIAL,
    ArrayTypes,
    append,
    read_json,
    read_sealed,
    write_atomically,
    write_errors,
    write_json,
    write_lines,
    write_sealed,
)

CONFIG = "config.json"
ENV = "env.json"
METRICS = "metrics.csv"
SAMPLES = "samples.jsonl"
NGRAMS = "ngrams.safetensors"
SUMMARY = "summary.json"
PLOT = "loss.png"
TEXT = "best.txt"
CHECKPOINTS = {"last": "last.safetensors", "best": "best.safetensors"}
LOCK = ".lock"

RUN_FILES = (CONFIG, ENV, METRICS, SAMPLES, NGRAMS, SUMMARY, PLOT, TEXT, *CHECKPOINTS.values())
IN_WRITING_ORDER = (
    CONFIG, ENV, NGRAMS, METRICS, SAMPLES, CHECKPOINTS["best"], CHECKPOINTS["last"], TEXT, PLOT, SUMMARY,
)  # fmt: skip

SWEEP = "sweep.json"
RUNS = "runs"
REPORT = "report"

METRICS_HEADER = "update,epoch,loss,smooth_loss\n"

STATUSES = ("running", "finished", "interrupted", "diverged", "failed")
DONE = ("finished", "diverged")  # the same would come out again
FAILURES = ("diverged", "failed")
UNITS = ("smooth_loss", "nats_per_character", "bits_per_character", "perplexity")
SUMMARY_NUMBERS = (
    *("updates", "epochs", "best_update", "seconds", "updates_per_second", "diverged_at"),
    *(f"{unit}_{name}" for unit in UNITS for name in ("final", "best")),
)
CORPUS_TYPES = {
    "name": str,
    "source": str,
    "encoding": str,
    "sha256": str,
    "characters": int,
    "alphabet": str,
}


def is_number(value: Any) -> bool:
    """Whether a value from JSON is a finite number."""
    return type(value) in (int, float) and abs(value) < math.inf


@contextmanager
def locked(folder: Path, patience: float = 0) -> Iterator[None]:
    """Make a folder this process's own; the lock ends with the process.

    Raises LockedError if another process does not leave it within `patience` seconds, and StoreError.
    """
    lock = FileLock(folder / LOCK, timeout=patience)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise LockedError(f"another process is at work in {folder}") from None
    except (FileExistsError, NotADirectoryError):
        raise StoreError(f"{folder} is a file, or below one: give a folder") from None
    except OSError as error:
        raise StoreError(f"cannot write in {folder}: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


def holds_at_most(folder: Path, *names: str) -> bool:
    """Whether a folder, which need not exist, holds nothing but files of these names."""
    return not folder.is_dir() or {entry.name for entry in folder.iterdir()} <= set(names)


class RunFolder:
    """The folder of one run: reads and writes its files."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def locked(self) -> AbstractContextManager[None]:
        """Make the folder this process's own; the lock ends with the process. Raises StoreError."""
        return locked(self.path)

    def is_run(self) -> bool:
        """Whether a run was begun here."""
        return (self / CONFIG).exists()

    def is_free(self) -> bool:
        """Whether nothing is here but our lock, and a config that was never written to its end."""
        return holds_at_most(self.path, LOCK, CONFIG + PARTIAL)

    def refuse_strangers(self) -> None:
        """Raise StoreError if there are files here that are no run's."""
        if not self.is_run() and not self.is_free():
            raise StoreError(f"{self} holds other files: give a new or an empty folder")

    def clear(self) -> None:
        """Delete the files of a run; those of anybody else stay. The config goes last."""
        for name in reversed(RUN_FILES):
            for path in (self / name, self / (name + PARTIAL)):
                with write_errors(path):
                    path.unlink(missing_ok=True)

    def clear_partial(self) -> None:
        """Delete what a killed process was in the middle of writing."""
        for name in RUN_FILES:
            with write_errors(self / name):
                (self / (name + PARTIAL)).unlink(missing_ok=True)

    def clear_outcome(self) -> None:
        """Delete what was made of a run's end, because it goes on."""
        for name in (PLOT, TEXT):
            with write_errors(self / name):
                (self / name).unlink(missing_ok=True)

    def files(self) -> list[str]:
        """Return the names of the files of a run that are there."""
        return [name for name in RUN_FILES if (self / name).exists()]

    def contents(self) -> dict[str, bytes]:
        """Return all files of the run, in the order in which they may be written elsewhere."""
        return {name: (self / name).read_bytes() for name in IN_WRITING_ORDER if (self / name).exists()}

    def write_contents(self, contents: Mapping[str, bytes]) -> None:
        """Write what `contents` of another folder returned. Raises WriteError.

        After a kill in between, this is a run from its start or from a checkpoint.
        """
        self.clear_outcome()
        for name in IN_WRITING_ORDER:
            if name in contents:
                write_atomically(self / name, partial(write_lines, [contents[name]]))

    # -- config.json, env.json, summary.json

    def write_config(self, config: RunConfig, corpus: Mapping[str, Any]) -> None:
        """Write config.json: the settings one by one, and what corpus.describe() says."""
        value = {"schema": SCHEMA, **config.to_dict(), "corpus": dict(corpus)}
        write_json(self / CONFIG, value)

    def read_config(self) -> tuple[RunConfig, dict[str, Any]]:
        """Return the settings, and the description of the corpus. Raises StoreError."""
        value = read_json(self / CONFIG)
        try:
            if value.pop("schema") != SCHEMA:
                raise StoreError(f"{self / CONFIG} was written by another version of nbrnn")
            corpus = dict(value.pop("corpus"))
            if not all(type(corpus[name]) is type_ for name, type_ in CORPUS_TYPES.items()):
                raise ValueError
            return RunConfig.from_dict(value), corpus
        except (ConfigError, *NONSENSE):
            raise StoreError(f"{self / CONFIG} is damaged: it is not the config of a run") from None

    def write_env(self, session: Mapping[str, Any]) -> None:
        """Write env.json; when a run is taken up again, its later sessions are listed in it."""
        if (self / ENV).exists():
            first = read_json(self / ENV)
            value = {**first, "resumed": [*first.get("resumed", []), dict(session)]}
        else:
            value = dict(session)
        write_json(self / ENV, value)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json."""
        write_json(self / SUMMARY, dict(summary))

    def read_summary(self) -> dict[str, Any]:
        """Return the content of summary.json. Raises StoreError."""
        if self.is_run() and not (self / SUMMARY).exists():
            return {"status": "running"}
        value = read_json(self / SUMMARY)
        if not (
            isinstance(value, dict)
            and value.get("status") in STATUSES
            and all(value.get(name) is None or is_number(value[name]) for name in SUMMARY_NUMBERS)
            and isinstance(value.get("epoch_mean_loss", []), list)
            and all(map(is_number, value.get("epoch_mean_loss", [])))
            and isinstance(value.get("reason", ""), str)
        ):
            raise StoreError(f"{self / SUMMARY} is damaged: it is not the summary of a run")
        return value

    # -- metrics.csv, samples.jsonl

    def append_metrics(self, rows: Iterable[tuple[int, int, float, float]]) -> None:
        """Add rows (update, epoch, loss, smooth loss); floats with all their digits."""
        lines = (f"{update},{epoch},{loss!r},{smooth!r}\n" for update, epoch, loss, smooth in rows)
        append(self / METRICS, "".join(lines))

    def append_samples(self, samples: Iterable[Mapping[str, Any]]) -> None:
        """Add samples: update, epoch, smooth_loss, text."""
        lines = (json.dumps(dict(s), ensure_ascii=False, allow_nan=False) + "\n" for s in samples)
        append(self / SAMPLES, "".join(lines))

    def begin_series(self) -> None:
        """Write the two files that grow, empty but for the header."""
        write_atomically(self / METRICS, lambda file: file.write(METRICS_HEADER.encode()))
        write_atomically(self / SAMPLES, lambda file: None)

    def cut_series(self, update: int, rows: int, samples: int) -> None:
        """Cut what the growing files hold beyond an update, which is to leave so many lines.

        Raises StoreError if there are fewer.
        """
        for name, count, update_of in (
            (METRICS, 1 + rows, lambda line: int(line.split(b",")[0])),
            (SAMPLES, samples, lambda line: json.loads(line)["update"]),
        ):
            path = self / name
            try:
                lines = path.read_bytes().splitlines(keepends=True)
            except OSError as error:
                raise StoreError(f"cannot read {path}: {error.strerror}") from None
            kept = lines[: name == METRICS]
            for line in lines[len(kept) :]:
                try:
                    if not line.endswith(b"\n") or update_of(line) > update:
                        break
                except NONSENSE:
                    break
                kept.append(line)
            if len(kept) != count:
                raise StoreError(f"{path} lacks lines up to update {update} (--force starts anew)")
            if len(kept) < len(lines):
                write_atomically(path, partial(write_lines, kept))

    def read_samples(self) -> list[dict[str, Any]]:
        """Return all samples, but for one that is just being written. Raises StoreError."""
        try:
            lines = (self / SAMPLES).read_bytes().splitlines(keepends=True)
            samples = [json.loads(line) for line in lines if line.endswith(b"\n")]
            if not all(type(s["update"]) is int and type(s["text"]) is str for s in samples):
                raise ValueError
            return samples
        except OSError as error:
            raise StoreError(f"cannot read {self / SAMPLES}: {error.strerror}") from None
        except NONSENSE:
            raise StoreError(f"{self / SAMPLES} is damaged") from None

    def read_metrics(self) -> dict[str, Array]:
        """Return the columns of metrics.csv. Raises StoreError."""
        path = self / METRICS
        try:
            text = path.read_text()
            whole = text[: text.rfind("\n") + 1].splitlines()[1:]
            rows = np.loadtxt(whole, delimiter=",", ndmin=2) if whole else np.empty((0, 4))
            columns = rows.reshape(-1, 4).T
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from None
        except ValueError:
            raise StoreError(f"{path} is damaged") from None
        return dict(zip(METRICS_HEADER.strip().split(","), columns, strict=True))

    # -- checkpoints, n-grams, the last sample

    def write_checkpoint(self, kind: Kind, checkpoint: Checkpoint) -> None:
        """Replace a checkpoint. Raises WriteError; the one before then stays as it was."""
        write_sealed(self / CHECKPOINTS[kind], checkpoint.arrays(), checkpoint.metadata())

    def read_checkpoint(self, kind: Kind) -> Checkpoint:
        """Return a checkpoint. Raises StoreError."""
        return read_checkpoint(self / CHECKPOINTS[kind], kind)

    def has_checkpoint(self) -> bool:
        """Whether a run can go on from here."""
        return (self / CHECKPOINTS["last"]).exists()

    def write_ngrams(self, counts: Mapping[str, Array]) -> None:
        """Write how often characters and pairs of them occur in the training text."""
        write_sealed(self / NGRAMS, counts, {"pairs": str(len(counts["pairs"]))})

    def read_ngrams(self, alphabet_size: int) -> dict[str, Array]:
        """Return what `write_ngrams` wrote. Raises StoreError."""

        def expect(metadata: Mapping[str, str]) -> ArrayTypes:
            pairs = int(metadata["pairs"])
            return {
                "characters": ("I64", (alphabet_size,)),
                "pairs": ("I64", (pairs, 2)),
                "pair_counts": ("I64", (pairs,)),
            }

        return read_sealed(self / NGRAMS, expect)[0]

    def write_text(self, text: str) -> None:
        """Write the text that the best model wrote in the end."""
        write_atomically(self / TEXT, lambda file: file.write(text.encode()))

    def read_text(self) -> str:
        """Return the text of the best model."""
        return (self / TEXT).read_bytes().decode()

    def has_text(self) -> bool:
        """Whether the best model has written."""
        return (self / TEXT).exists()

    def has_plot(self) -> bool:
        """Whether there is a picture of the loss."""
        return (self / PLOT).exists()

    def write_plot(self, draw: Callable[[IO[bytes]], object]) -> None:
        """Replace the picture of the loss."""
        write_atomically(self / PLOT, draw)


class SweepFolder:
    """The folder of a sweep: `sweep.json`, the runs in `runs/`, and what they show in `report/`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def locked(self) -> AbstractContextManager[None]:
        """Make the sweep this process's own; the lock ends with the process. Raises StoreError."""
        return locked(self.path, patience=0.5)  # who only looks whether it is at work is soon gone

    def is_at_work(self) -> bool:
        """Whether a process is at work here; nothing is written to find out."""
        if not (self.path / LOCK).exists():
            return False
        try:
            with locked(self.path):
                return False
        except LockedError:
            return True
        except StoreError:  # not ours to write in, so that nobody can tell
            return False

    def is_sweep(self) -> bool:
        """Whether a sweep was begun here."""
        return (self.path / SWEEP).exists()

    def is_free(self) -> bool:
        """Whether nothing is here but our lock, and a request that was never written to its end."""
        return holds_at_most(self.path, LOCK, SWEEP + PARTIAL)

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

    def add_request(self, request: Mapping[str, Any], command: list[str]) -> None:
        """Add to sweep.json what is asked for, unless the same was asked before. Raises StoreError."""
        requests = self.read_requests() if self.is_sweep() else []
        if any({**old, "command": None} == {**request, "command": None} for old in requests):
            return
        requests.append({**request, "command": command})
        write_json(self.path / SWEEP, {"schema": SCHEMA, "requests": requests})

    def read_requests(self) -> list[dict[str, Any]]:
        """Return what was asked for, each with its `runs`. Raises StoreError."""
        value = read_json(self.path / SWEEP)
        try:
            if value["schema"] != SCHEMA:
                raise StoreError(f"{self.path / SWEEP} was written by another version of nbrnn")
            requests = [dict(request) for request in value["requests"]]
            if not all(type(run_id) is str for request in requests for run_id in request["runs"]):
                raise ValueError
            return requests
        except NONSENSE:
            raise StoreError(f"{self.path / SWEEP} is damaged: it is not a sweep's") from None
