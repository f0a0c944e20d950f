"""How do the files grow that a run adds lines to, and how are they cut back to an update?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from nbrnn.config import RunConfig
from nbrnn.errors import StoreError
from nbrnn.storage.atomic_files import MOST_LINES, NONSENSE, read_bytes, read_lines, write_bytes
from nbrnn.storage.schemas import MetricsRow, Sample, ValidationRow
from nbrnn.typing import Array

METRICS = "metrics.csv"
VALIDATION = "validation.csv"
SAMPLES = "samples.jsonl"


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
    """Return the best loss of a run that ends after an update, of the losses (rows,) of a longer one.

    As in its summary, the first update counts, whose model may be the best. None before the first row.
    """
    before = losses[updates <= until]
    return float(before.min()) if before.size else None


class Growing(NamedTuple):
    """A file that grows: what it begins with, its lines, and what its hash is called."""

    header: bytes
    line: Callable[[Any], str]  # that a row or a sample becomes
    update_of: Callable[[bytes], int]  # that a line is of
    sha256: str

    def encode(self, values: Iterable[Any]) -> bytes:
        """Return the lines of rows or samples."""
        return "".join(f"{self.line(value)}\n" for value in values).encode()


def rows(fields: Sequence[str], sha256: str) -> Growing:
    """Return a file of rows of numbers, floats with all their digits."""
    header = (",".join(fields) + "\n").encode()
    return Growing(
        header, lambda row: ",".join(map(repr, row)), lambda line: int(line.split(b",")[0]), sha256
    )


def sample_line(sample: Sample) -> str:
    """Return the line of a sample."""
    return json.dumps(msgspec.to_builtins(sample), ensure_ascii=False, allow_nan=False)


GROWING = {
    METRICS: rows(MetricsRow._fields, "metrics_sha256"),
    VALIDATION: rows(ValidationRow._fields, "validation_sha256"),
    SAMPLES: Growing(b"", sample_line, lambda line: int(json.loads(line)["update"]), "samples_sha256"),
}


def growing(config: RunConfig) -> list[str]:
    """Return the files that grow with a run."""
    return [name for name in GROWING if name != VALIDATION or config.validation]


def cut(path: Path, kind: Growing, update: int, count: int) -> bytes:
    """Cut what a file holds beyond an update, which is to leave so many lines; return what is left.

    Raises StoreError if there is less.
    """
    lines = read_bytes(path, MOST_LINES).splitlines(keepends=True)
    first = kind.header.count(b"\n")
    kept = lines[:first]
    for line in lines[first:]:
        try:
            if not line.endswith(b"\n") or kind.update_of(line) > update:
                break
        except NONSENSE:
            break
        kept.append(line)
    if len(kept) != first + count:
        raise StoreError(f"{path} lacks lines up to update {update} (--force starts anew)")
    left = b"".join(kept)
    if len(kept) < len(lines):
        write_bytes(path, left)
    return left


def read_columns(path: Path, columns: int) -> Array:
    """Return the columns of a file of numbers, (columns, rows). Raises StoreError."""
    lines = read_lines(path)[1:]
    try:
        table = np.loadtxt(lines, delimiter=",", ndmin=2) if lines else np.empty((0, columns))
        if table.shape[1] != columns or not np.isfinite(table).all():
            raise ValueError
    except ValueError:
        raise StoreError(f"{path} is damaged: it has a line that is not {columns} numbers") from None
    return table.T
