"""The folder of a run: the only module that knows its file names, but for those of the logs.

Every file but the logs is replaced as a whole, so that after a crash it is the old or the new one.
`last.safetensors` is the point of commitment: a resumed run cuts off what the logs hold beyond its
update.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from nbrnn.config import SCHEMA, RunConfig
from nbrnn.corpus import Corpus, Description
from nbrnn.errors import ConfigError, StoreError
from nbrnn.storage import ngram_counts, run_logs
from nbrnn.storage import safe_files as files
from nbrnn.storage.checkpoint import Checkpoint, Kind, read_checkpoint
from nbrnn.storage.checksummed_arrays import write_arrays
from nbrnn.storage.folder_locks import Folder, check_folders, is_empty_but_for
from nbrnn.storage.run_logs import (
    DYNAMICS,
    LOGS,
    METRICS,
    SAMPLES,
    VALIDATION,
    AppendLog,
    Metrics,
    Validation,
)
from nbrnn.storage.schemas import Environment, Sample, Summary
from nbrnn.typing import Array

CONFIG = "config.json"
ENV = "env.json"
NGRAMS = "ngrams.safetensors"
SUMMARY = "summary.json"
PLOT = "loss.png"
TEXT = "best.txt"
SNAPSHOTS = "snapshots"  # a folder
CHECKPOINTS: dict[Kind, str] = {"best": "best.safetensors", "last": "last.safetensors"}

# In the order in which a copy is written: killed in between, it is a run from its start or a checkpoint.
RUN_FILES = (
    CONFIG, ENV, NGRAMS, METRICS, VALIDATION, SAMPLES, DYNAMICS, *CHECKPOINTS.values(), TEXT, PLOT,
    SUMMARY,
)  # fmt: skip


class RunFolder(Folder):
    """The folder of one run: reads and writes its files."""

    def is_run(self) -> bool:
        """Return whether a run was started here."""
        return self.has(CONFIG)

    def has_checkpoint(self) -> bool:
        """Return whether a run can resume here."""
        return self.has(CHECKPOINTS["last"])

    def has_text(self) -> bool:
        """Return whether there is a sample of the best model."""
        return self.has(TEXT)

    def has_plot(self) -> bool:
        """Return whether there is a picture of the loss."""
        return self.has(PLOT)

    def is_free(self) -> bool:
        """Return whether nothing is here but our lock and an unfinished config.json."""
        return is_empty_but_for(self.path, CONFIG)

    def check_owner(self) -> None:
        """Raise StoreError if there are files here, but no run."""
        if not self.is_run() and not self.is_free():
            raise StoreError(f"{self} holds other files: give a new or an empty folder")

    def file_names(self) -> list[str]:
        """Return the names of the files of a run that are there."""
        return [name for name in RUN_FILES if self.has(name)]

    def clear(self) -> None:
        """Delete the files of a run, and no others. The config goes last."""
        self.clear_unfinished()
        files.delete(self / CHECKPOINTS["last"])  # without which nothing resumes
        self.clear_snapshots()
        for name in reversed(RUN_FILES):
            files.delete(self / name)

    def clear_unfinished(self) -> None:
        """Delete what a killed process left of the files of a run."""
        files.delete_unfinished(self.path, RUN_FILES)

    def clear_outcome(self) -> None:
        """Delete what was made at the end of a run, because it resumes."""
        for name in (PLOT, TEXT):
            files.delete(self / name)

    def contents(self) -> dict[str, bytes]:
        """Return all files of the run, in the order in which they may be written elsewhere.

        They are read in the other order: of a run in progress, the logs are newer than the checkpoint.
        Raises StoreError.
        """
        for kind, name in CHECKPOINTS.items():  # which may be large, but only if they are sound
            if self.has(name):
                self.read_checkpoint(kind)
        sizes = dict.fromkeys(CHECKPOINTS.values(), files.MAX_ARRAYS)
        names = [name for name in reversed(RUN_FILES) if self.has(name)]
        read = {name: files.read_bytes(self / name, sizes.get(name, files.MAX_LOG)) for name in names}
        return dict(reversed(read.items()))

    def write_contents(self, contents: Mapping[str, bytes]) -> None:
        """Write what `contents` of another folder returned. Raises WriteError."""
        self.clear_outcome()
        files.delete(self / SUMMARY)
        for name in RUN_FILES:  # and no others, whatever another machine sent
            if name in contents:
                files.write_bytes(self / name, contents[name])

    # -- config.json, env.json, summary.json

    def write_config(self, config: RunConfig, corpus: Description) -> None:
        """Write config.json: the settings one by one, and the corpus."""
        value = {"schema": SCHEMA, **config.to_dict(), "corpus": msgspec.to_builtins(corpus)}
        files.write_json(self / CONFIG, value)

    def read_config(self) -> tuple[RunConfig, Description]:
        """Return the settings, and the description of the corpus. Raises StoreError."""
        path = self / CONFIG
        values = files.read_json(path, dict[str, Any])
        try:
            if values.pop("schema") != SCHEMA:
                raise StoreError(f"{path} was written by a newer version of nbrnn: use that one")
            corpus = msgspec.convert(values.pop("corpus"), Description)
            return RunConfig.from_dict(values), corpus
        except KeyError as error:
            raise StoreError(f"{path} is damaged, or not a file of nbrnn: it lacks {error}") from None
        except (ConfigError, *files.DECODING_ERRORS) as error:
            raise files.damaged(path, error) from None

    def write_env(self, environment: Environment) -> None:
        """Write env.json, or add to it where the run resumes; one that cannot be read is replaced."""
        with suppress(StoreError):
            first = files.read_json(self / ENV, Environment)
            environment = msgspec.structs.replace(first, resumed=[*first.resumed, environment])
        files.write_json(self / ENV, msgspec.to_builtins(environment))

    def read_env(self) -> Environment:
        """Return the content of env.json. Raises StoreError."""
        return files.read_json(self / ENV, Environment)

    def write_summary(self, summary: Summary) -> None:
        """Write summary.json."""
        files.write_json(self / SUMMARY, summary.to_dict())

    def read_summary(self) -> Summary:
        """Return the content of summary.json; a run whose process is gone is interrupted.

        Raises StoreError.
        """
        summary = Summary(status="running")
        if self.has(SUMMARY) or not self.is_run():
            summary = files.read_json(self / SUMMARY, Summary)
        if summary.status == "running" and not self.is_at_work():
            summary = msgspec.structs.replace(summary, status="interrupted")
        return summary

    # -- metrics.csv, validation.csv, samples.jsonl

    def create_logs(self, names: Iterable[str]) -> None:
        """Write logs that are empty but for their headers."""
        for name in names:
            files.write_bytes(self / name, LOGS[name].header)

    def append_to_logs(self, lines: Mapping[str, bytes]) -> None:
        """Add lines to the logs."""
        for name, data in lines.items():
            files.append(self / name, data)

    def truncate_logs(self, update: int, counts: Mapping[str, int]) -> dict[str, bytes]:
        """Cut off the lines after an update; return the rest, of `counts` lines. Raises StoreError."""
        return {
            name: run_logs.truncate_log(self / name, LOGS[name], update, count)
            for name, count in counts.items()
        }

    def has_logs_of(self, last: Checkpoint) -> bool:
        """Return whether the logs match the hashes in a checkpoint. Raises StoreError."""
        hashes = {
            LOGS[name].sha256: hashlib.sha256(files.read_bytes(self / name, files.MAX_LOG)).hexdigest()
            for name in run_logs.log_names(last.config)
        }
        return last.state is None or last.state.matches(hashes)

    def read_samples(self) -> list[Sample]:
        """Return all samples, but for an unfinished one. Raises StoreError."""
        return files.read_json_lines(self / SAMPLES, Sample)

    def read_metrics(self) -> Metrics:
        """Return the columns of metrics.csv. Raises StoreError."""
        return Metrics(*run_logs.read_columns(self / METRICS, len(Metrics._fields)))

    def read_validation(self) -> Validation:
        """Return the columns of validation.csv. Raises StoreError."""
        return Validation(*run_logs.read_columns(self / VALIDATION, len(Validation._fields)))

    # -- dynamics.csv, whose columns depend on the network

    def has_dynamics(self) -> bool:
        """Return whether the run is tracked."""
        return self.has(DYNAMICS)

    def start_dynamics(self, log: AppendLog, update: int) -> None:
        """Write the header of dynamics.csv, or cut off the rows after an update."""
        if not self.has_dynamics():
            files.write_bytes(self / DYNAMICS, log.header)
        run_logs.truncate_log(self / DYNAMICS, log, update, None)

    # -- snapshots

    def snapshot(self, update: int) -> Path:
        """Return the path of the snapshot after an update."""
        return self / SNAPSHOTS / f"{update:09}.safetensors"

    def write_snapshot(self, model: Checkpoint) -> None:
        """Write the snapshot of a model. Raises WriteError."""
        path = self.snapshot(model.update)
        with files.write_errors(path.parent):
            path.parent.mkdir(exist_ok=True)
        check_folders(self.path, path.parent)
        write_arrays(path, model.arrays(), model.metadata())

    def snapshots(self) -> list[int]:
        """Return the updates after which there is a snapshot."""
        return sorted(int(path.stem) for path in (self / SNAPSHOTS).glob("[0-9]*.safetensors"))

    def clear_snapshots(self) -> None:
        """Delete all snapshots, and their folder if nothing else is in it."""
        folder = self / SNAPSHOTS
        if folder.is_symlink() or not folder.is_dir():
            return
        for path in folder.iterdir():
            if re.fullmatch(r"\d{9,}\.safetensors(\.[0-9a-f]{16}\.tmp)?", path.name):
                files.delete(path)
        with suppress(OSError):
            folder.rmdir()

    # -- checkpoints, n-grams, the sample of the best model, the picture

    def write_checkpoint(self, kind: Kind, checkpoint: Checkpoint) -> None:
        """Replace a checkpoint. Raises WriteError; the one before then stays as it was."""
        write_arrays(self / CHECKPOINTS[kind], checkpoint.arrays(), checkpoint.metadata())

    def read_checkpoint(self, kind: Kind) -> Checkpoint:
        """Return a checkpoint. Raises StoreError."""
        return read_checkpoint(self / CHECKPOINTS[kind], kind)

    def read_model(self, kind: Kind | int) -> Checkpoint:
        """Return a checkpoint, or the snapshot after an update, of this run. Raises StoreError."""
        config, corpus = self.read_config()
        if isinstance(kind, int):
            path, model = self.snapshot(kind), read_checkpoint(self.snapshot(kind), "best")
        else:
            path, model = self / CHECKPOINTS[kind], self.read_checkpoint(kind)
        if not model.config.same_but_length(config) or model.corpus_sha256 != corpus.sha256:
            raise StoreError(f"{path} belongs to another run: {files.RESTORE}")
        return model

    def repair_ngrams(self, config: RunConfig, corpus: Corpus) -> None:
        """Write how often characters and pairs occur in the training text, unless it is there."""
        try:
            self.read_ngrams()
        except StoreError:
            ngram_counts.write(self / NGRAMS, corpus, config.parts(len(corpus)).training)

    def read_ngrams(self) -> dict[str, Array]:
        """Return how often characters and pairs occur in the training text. Raises StoreError.

        Nothing for weights that were imported without their text.
        """
        if not self.has(NGRAMS) and self.read_summary().status == "imported":
            return {}
        config, corpus = self.read_config()
        return ngram_counts.read(self / NGRAMS, corpus, config.parts(corpus.characters).training)

    def write_text(self, text: str) -> None:
        """Write the final sample of the best model."""
        files.write_bytes(self / TEXT, text.encode())

    def read_text(self) -> str:
        """Return the final sample of the best model. Raises StoreError."""
        return files.read_bytes(self / TEXT, files.MAX_LOG).decode(errors="replace")

    def write_plot(self, draw: Callable[[IO[bytes]], object]) -> None:
        """Replace the picture of the loss."""
        files.write_atomically(self / PLOT, draw)
