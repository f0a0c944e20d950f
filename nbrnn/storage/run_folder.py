"""What does a run leave on disk, and how does it survive a crash?

With sweep_store the only module that knows file names. Every file but those that grow is replaced as
a whole, so that after a crash it is the old or the new one. `last.safetensors` is the point of
commitment: what the growing files hold beyond its update is cut off when the run goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from nbrnn.config import SCHEMA, RunConfig
from nbrnn.corpus import Corpus, Description
from nbrnn.errors import ConfigError, StoreError
from nbrnn.storage import ngram_counts
from nbrnn.storage.append_logs import (
    GROWING,
    METRICS,
    SAMPLES,
    VALIDATION,
    Metrics,
    Validation,
    cut,
    growing,
    read_columns,
)
from nbrnn.storage.atomic_files import (
    MOST_LINES,
    MOST_SEALED,
    NONSENSE,
    append,
    decoded,
    delete,
    delete_unfinished,
    is_there,
    read_bytes,
    read_json,
    read_lines,
    write_atomically,
    write_bytes,
    write_json,
)
from nbrnn.storage.checkpoint import Checkpoint, Kind, read_checkpoint
from nbrnn.storage.checksummed_arrays import write_sealed
from nbrnn.storage.folder_locks import is_empty_but_for, locked
from nbrnn.storage.schemas import Sample, Start, Summary
from nbrnn.typing import Array

CONFIG = "config.json"
ENV = "env.json"
NGRAMS = "ngrams.safetensors"
SUMMARY = "summary.json"
PLOT = "loss.png"
TEXT = "best.txt"
CHECKPOINTS: dict[Kind, str] = {"last": "last.safetensors", "best": "best.safetensors"}

RUN_FILES = (
    CONFIG, ENV, METRICS, VALIDATION, SAMPLES, NGRAMS, SUMMARY, PLOT, TEXT, *CHECKPOINTS.values(),
)  # fmt: skip
IN_WRITING_ORDER = (
    CONFIG, ENV, NGRAMS, METRICS, VALIDATION, SAMPLES, CHECKPOINTS["best"], CHECKPOINTS["last"],
    TEXT, PLOT, SUMMARY,
)  # fmt: skip


class RunFolder:
    """The folder of one run: reads and writes its files."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def locked(self) -> AbstractContextManager[None]:
        """Make the folder this process's own, as `locked` does."""
        return locked(self.path)

    def has(self, name: str) -> bool:
        """Whether there is a file of this name, sound or not."""
        return is_there(self / name)

    def is_run(self) -> bool:
        """Whether a run was begun here."""
        return self.has(CONFIG)

    def is_free(self) -> bool:
        """Whether nothing is here but our lock, and a config that was never written to its end."""
        return is_empty_but_for(self.path, CONFIG)

    def refuse_strangers(self) -> None:
        """Raise StoreError if there are files here that are no run's."""
        if not self.is_run() and not self.is_free():
            raise StoreError(f"{self} holds other files: give a new or an empty folder")

    def clear(self) -> None:
        """Delete the files of a run; those of anybody else stay. The config goes last."""
        self.clear_unfinished()
        delete(self / CHECKPOINTS["last"])  # without which nothing goes on
        for name in reversed(RUN_FILES):
            delete(self / name)

    def clear_unfinished(self) -> None:
        """Delete what a killed process was in the middle of writing."""
        delete_unfinished(self.path, RUN_FILES)

    def clear_outcome(self) -> None:
        """Delete what was made of a run's end, because it goes on."""
        for name in (PLOT, TEXT):
            delete(self / name)

    def files(self) -> list[str]:
        """Return the names of the files of a run that are there."""
        return [name for name in RUN_FILES if self.has(name)]

    def contents(self) -> dict[str, bytes]:
        """Return all files of the run, in the order in which they may be written elsewhere.

        They are read the other way round: of a run in progress, what grows is newer than the checkpoint.
        Raises StoreError.
        """
        for kind, name in CHECKPOINTS.items():  # which may be large, but only if they are sound
            if self.has(name):
                self.read_checkpoint(kind)
        sealed = CHECKPOINTS.values()
        read = {
            name: read_bytes(self / name, MOST_SEALED if name in sealed else MOST_LINES)
            for name in reversed(IN_WRITING_ORDER)
            if self.has(name)
        }
        return dict(reversed(read.items()))

    def write_contents(self, contents: Mapping[str, bytes]) -> None:
        """Write what `contents` of another folder returned. Raises WriteError.

        After a kill in between, this is a run from its start or from a checkpoint.
        """
        self.clear_outcome()
        delete(self / SUMMARY)
        for name in IN_WRITING_ORDER:
            if name in contents:
                write_bytes(self / name, contents[name])

    # -- config.json, env.json, summary.json

    def write_config(self, config: RunConfig, corpus: Description) -> None:
        """Write config.json: the settings one by one, and the corpus."""
        value = {"schema": SCHEMA, **config.to_dict(), "corpus": msgspec.to_builtins(corpus)}
        write_json(self / CONFIG, value)

    def read_config(self) -> tuple[RunConfig, Description]:
        """Return the settings, and the description of the corpus. Raises StoreError."""
        path = self / CONFIG
        values = read_json(path, dict[str, Any])
        try:
            if values.pop("schema") != SCHEMA:
                raise StoreError(f"{path} was written by another version of nbrnn")
            corpus = msgspec.convert(values.pop("corpus"), Description)
            return RunConfig.from_dict(values), corpus
        except KeyError as error:
            raise StoreError(f"{path} is damaged: it says nothing of {error}") from None
        except (ConfigError, *NONSENSE) as error:
            raise StoreError(f"{path} is damaged: {error}") from None

    def write_env(self, start: Start) -> None:
        """Write env.json; when a run is taken up again, its later starts are listed in it.

        It only informs: one that cannot be read is begun anew.
        """
        with suppress(StoreError):
            first = read_json(self / ENV, Start)
            start = msgspec.structs.replace(first, resumed=[*first.resumed, start])
        write_json(self / ENV, msgspec.to_builtins(start))

    def read_env(self) -> Start:
        """Return with what the run was started. Raises StoreError."""
        return read_json(self / ENV, Start)

    def write_summary(self, summary: Summary) -> None:
        """Write summary.json."""
        write_json(self / SUMMARY, summary.to_dict())

    def read_summary(self) -> Summary:
        """Return the content of summary.json. Raises StoreError."""
        if self.is_run() and not self.has(SUMMARY):
            return Summary(status="running")
        return read_json(self / SUMMARY, Summary)

    # -- metrics.csv, validation.csv, samples.jsonl

    def begin_series(self, names: Iterable[str]) -> None:
        """Write the files that grow, empty but for their headers."""
        for name in names:
            write_bytes(self / name, GROWING[name].header)

    def append_series(self, lines: Mapping[str, bytes]) -> None:
        """Add lines to the files that grow."""
        for name, data in lines.items():
            append(self / name, data)

    def cut_series(self, update: int, counts: Mapping[str, int]) -> dict[str, bytes]:
        """Cut what the growing files hold beyond an update, which is to leave so many lines of each.

        Returns what they hold then. Raises StoreError if there is less.
        """
        return {name: cut(self / name, GROWING[name], update, counts[name]) for name in counts}

    def read_samples(self) -> list[Sample]:
        """Return all samples, but for one that is just being written. Raises StoreError."""
        path = self / SAMPLES
        return [decoded(path, line, Sample) for line in read_lines(path)]

    def read_metrics(self) -> Metrics:
        """Return the columns of metrics.csv. Raises StoreError."""
        return Metrics(*read_columns(self / METRICS, len(Metrics._fields)))

    def read_validation(self) -> Validation:
        """Return the columns of validation.csv. Raises StoreError."""
        return Validation(*read_columns(self / VALIDATION, len(Validation._fields)))

    # -- checkpoints, n-grams, the last sample, the picture

    def write_checkpoint(self, kind: Kind, checkpoint: Checkpoint) -> None:
        """Replace a checkpoint. Raises WriteError; the one before then stays as it was."""
        write_sealed(self / CHECKPOINTS[kind], checkpoint.arrays(), checkpoint.metadata())

    def read_checkpoint(self, kind: Kind) -> Checkpoint:
        """Return a checkpoint. Raises StoreError."""
        return read_checkpoint(self / CHECKPOINTS[kind], kind)

    def read_model(self, kind: Kind) -> Checkpoint:
        """Return a checkpoint that is of this run, and of its text. Raises StoreError."""
        config, corpus = self.read_config()
        found = self.read_checkpoint(kind)
        if not found.config.same_but_length(config) or found.corpus_sha256 != corpus.sha256:
            raise StoreError(f"{self / CHECKPOINTS[kind]} is of another run")
        return found

    def has_series_of(self, last: Checkpoint) -> bool:
        """Whether the files that grow are those that a checkpoint ends, as far as it knows them."""
        hashes = {
            GROWING[name].sha256: hashlib.sha256(read_bytes(self / name, MOST_LINES)).hexdigest()
            for name in growing(last.config)
        }
        return last.state is None or last.state.ends(hashes)

    def has_checkpoint(self) -> bool:
        """Whether a run can go on from here."""
        return self.has(CHECKPOINTS["last"])

    def repair_ngrams(self, config: RunConfig, corpus: Corpus) -> None:
        """Write how often characters and pairs occur in what is trained on, unless it is there."""
        try:
            self.read_ngrams()
        except StoreError:
            ngram_counts.write(self / NGRAMS, corpus, config.trained_on(len(corpus)))

    def read_ngrams(self) -> dict[str, Array]:
        """Return how often characters and pairs occur in what was trained on. Raises StoreError.

        Of weights that were imported without their text nothing was counted: it is empty then.
        """
        if not self.has(NGRAMS) and self.read_summary().status == "imported":
            return {}
        config, corpus = self.read_config()
        return ngram_counts.read(self / NGRAMS, corpus, config.trained_on(corpus.characters))

    def write_text(self, text: str) -> None:
        """Write the text that the best model wrote in the end."""
        write_bytes(self / TEXT, text.encode())

    def read_text(self) -> str:
        """Return the text of the best model. Raises StoreError."""
        return read_bytes(self / TEXT, MOST_LINES).decode(errors="replace")

    def has_text(self) -> bool:
        """Whether the best model has written."""
        return self.has(TEXT)

    def has_plot(self) -> bool:
        """Whether there is a picture of the loss."""
        return self.has(PLOT)

    def write_plot(self, draw: Callable[[IO[bytes]], object]) -> None:
        """Replace the picture of the loss."""
        write_atomically(self / PLOT, draw)
