"""The files that a run appends lines to, and cuts back to the update of a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from nbrnn.config import RunConfig
from nbrnn.errors import StoreError
from nbrnn.storage.safe_files import (
    DECODING_ERRORS,
    MAX_LOG,
    RESTORE,
    read_bytes,
    read_lines,
    write_bytes,
)
from nbrnn.storage.schemas import MetricsRow, ValidationRow
from nbrnn.typing import Array

METRICS = "metrics.csv"
VALIDATION = "validation.csv"
SAMPLES = "samples.jsonl"
DYNAMICS = "dynamics.csv"  # no part of the result: no checkpoint holds its hash


class Validation(NamedTuple):
    """The columns of validation.csv, each (rows,)."""

    update: Array
    epoch: Array
    loss: Array


class Metrics(NamedTuple):
    """The columns of metrics.csv, each (rows,)."""

    update: Array
    epoch: Array
    loss: Array
    smooth_loss: Array


def best_after(updates: Array, losses: Array, until: float) -> float | None:
    """Return the lowest of the losses (rows,) up to an update, or None before the first row.

    It is the best loss of the same run ended there: the model of the first update counts, too.
    """
    before = losses[updates <= until]
    return float(before.min()) if before.size else None


class AppendLog(NamedTuple):
    """The format of a log: its header, how a line is written, and which update a line is of."""

    header: bytes
    line: Callable[[Any], str]
    update_of: Callable[[bytes], int]
    sha256: str  # the field of a checkpoint with the hash of the log

    def encode(self, values: Iterable[Any]) -> bytes:
        """Return the lines of rows or samples."""
        return "".join(f"{self.line(value)}\n" for value in values).encode()


def csv_log(fields: Sequence[str], sha256: str) -> AppendLog:
    """Return a log of rows of numbers, floats with all their digits."""
    header = (",".join(fields) + "\n").encode()
    return AppendLog(
        header, lambda row: ",".join(map(repr, row)), lambda line: int(line.split(b",")[0]), sha256
    )


LOGS = {
    METRICS: csv_log(MetricsRow._fields, "metrics_sha256"),
    VALIDATION: csv_log(ValidationRow._fields, "validation_sha256"),
    SAMPLES: AppendLog(
        b"",
        lambda sample: json.dumps(msgspec.to_builtins(sample), ensure_ascii=False, allow_nan=False),
        lambda line: int(json.loads(line)["update"]),
        "samples_sha256",
    ),
}


def log_names(config: RunConfig) -> list[str]:
    """Return the names of the logs that a run has."""
    return [name for name in LOGS if name != VALIDATION or config.validation]


def truncate_log(path: Path, log: AppendLog, update: int, count: int | None) -> bytes:
    """Cut off the lines after an update; return the rest, of `count` lines. Raises StoreError."""
    lines = read_bytes(path, MAX_LOG).splitlines(keepends=True)
    first = log.header.count(b"\n")
    kept = lines[:first]
    for line in lines[first:]:
        try:
            if not line.endswith(b"\n") or log.update_of(line) > update:
                break
        except DECODING_ERRORS:
            break
        kept.append(line)
    if count is not None and len(kept) != first + count:
        raise StoreError(f"{path} is incomplete: lines up to update {update} are missing; {RESTORE}")
    data = b"".join(kept)
    if len(kept) < len(lines):
        write_bytes(path, data)
    return data


def read_columns(path: Path, columns: int) -> Array:
    """Return the columns of a log of numbers, (columns, rows). Raises StoreError."""
    lines = read_lines(path)[1:]
    try:
        table = np.loadtxt(lines, delimiter=",", ndmin=2) if lines else np.empty((0, columns))
        if table.shape[1] != columns or not np.isfinite(table).all():
            raise ValueError
    except ValueError:
        raise StoreError(f"{path} is damaged: a line is not {columns} numbers; {RESTORE}") from None
    return table.T
