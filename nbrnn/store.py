"""What a run leaves on disk, and how it survives a crash.

The only module that knows file names. Every file but the two that grow is replaced as a whole, so
that after a crash it is the old or the new one. `last.safetensors` is the point of commitment: what
the growing files hold beyond its update is cut off when the run goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open

from nbrnn.config import SCHEMA, RunConfig, canonical_json
from nbrnn.errors import ConfigError, StoreError, WriteError
from nbrnn.params import NAMES, Array

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
PARTIAL = ".tmp"  # appended to the name of a file that is being written

RUN_FILES = (CONFIG, ENV, METRICS, SAMPLES, NGRAMS, SUMMARY, PLOT, TEXT, *CHECKPOINTS.values())
METRICS_HEADER = "update,epoch,loss,smooth_loss\n"
LARGEST_HEADER = 2**24  # bytes; ours have some thousand, and 8 for each character at most

Kind = Literal["last", "best"]


# ---------------------------------------------------------------- writing


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a WriteError that names the file."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Replace a file by what `write` writes, whole or not at all. Raises WriteError."""
    unfinished = path.with_name(path.name + PARTIAL)
    with write_errors(path):
        try:
            with unfinished.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system lets a folder be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Replace a file by a value as JSON, for people to read."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def write_lines(lines: list[bytes], file: IO[bytes]) -> None:
    """Write lines to an open file."""
    file.writelines(lines)


def append(path: Path, text: str) -> None:
    """Add text to the end of a file, durably. Raises WriteError."""
    if text:
        with write_errors(path), path.open("ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


def read_json(path: Path) -> Any:
    """Return the value in a JSON file. Raises StoreError."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StoreError(f"{path.parent} holds no {path.name}: it is not the folder of a run") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise StoreError(f"{path} is damaged: it is not JSON") from None


# ---------------------------------------------------------------- safetensors


def write_safetensors(file: IO[bytes], arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write arrays and metadata in the safetensors format, always the same bytes for the same.

    The library's own writer lists the metadata in a random order at each call, and takes the
    memory of an array that is not C-contiguous as if it were. Format: 8 bytes little-endian with
    the length of a JSON header, the header, the arrays' bytes
    (https://github.com/huggingface/safetensors, "Format").
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        dtype = {"f": "F", "i": "I"}[array.dtype.kind] + str(8 * array.itemsize)
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for array in arrays.values():
        file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())


def digest(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """Return the sha256 over the names, types, shapes and bytes of arrays, and the metadata."""
    sha256 = hashlib.sha256(canonical_json(dict(metadata)).encode())
    for name, array in sorted(arrays.items()):
        sha256.update(f"{name} {array.dtype} {array.shape}\n".encode())
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()


def write_sealed(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Replace a safetensors file, with a sha256 of its content among its metadata."""
    sealed = {**metadata, "sha256": digest(arrays, metadata)}
    write_atomically(path, lambda file: write_safetensors(file, arrays, sealed))


def read_sealed(
    path: Path, expect: Callable[[Mapping[str, str]], Mapping[str, tuple[str, tuple[int, ...]]]]
) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays and the metadata of a file of `write_sealed`.

    `expect` tells from the metadata which arrays there must be, with dtype and shape; nothing is
    read into memory before the file's own list agrees. Raises StoreError.
    """
    damaged = StoreError(f"{path} is damaged or not a file of nbrnn")
    try:
        with path.open("rb") as file:
            if int.from_bytes(file.read(8), "little") > LARGEST_HEADER:
                raise damaged
        with safe_open(path, framework="numpy") as tensors:
            metadata = tensors.metadata() or {}
            seal = metadata.pop("sha256", "")
            expected = expect(metadata)
            found = {}
            for name in tensors.keys():  # noqa: SIM118 (not a mapping)
                tensor = tensors.get_slice(name)
                found[name] = (tensor.get_dtype(), tuple(tensor.get_shape()))
            if found != dict(expected):
                raise damaged
            arrays = {name: tensors.get_tensor(name) for name in expected}
    except FileNotFoundError:
        raise StoreError(f"there is no {path}") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from None
    except (SafetensorError, ConfigError, KeyError, TypeError, ValueError, RecursionError):
        raise damaged from None
    if digest(arrays, metadata) != seal:
        raise damaged
    return arrays, metadata


# ---------------------------------------------------------------- checkpoints


@dataclass
class Checkpoint:
    """One moment of a run. Arrays are shaped as in the equations; NaN and infinity are refused.

    `last` checkpoints have everything a run needs to go on; `best` ones have no `adagrad`,
    `h_prev` and `progress`.
    """

    config: RunConfig
    corpus_sha256: str
    alphabet: str
    first_character: str
    update: int
    epoch: int
    position: int
    smooth_loss: float | None
    theta: dict[str, Array]
    adagrad: dict[str, Array] = field(default_factory=dict)
    h_prev: Array | None = None
    progress: dict[str, Any] = field(default_factory=dict)

    def arrays(self) -> dict[str, Array]:
        """Return all arrays under their names in the file."""
        arrays = dict(self.theta)
        arrays.update({f"adagrad.{name}": array for name, array in self.adagrad.items()})
        if self.h_prev is not None:
            arrays["h_prev"] = self.h_prev
        return arrays

    def metadata(self) -> dict[str, str]:
        """Return everything else as JSON texts: ASCII, so that no two bytes say the same."""
        values = {
            "format": f"nbrnn {SCHEMA}",
            "config": self.config.to_dict(),
            "corpus_sha256": self.corpus_sha256,
            "alphabet": self.alphabet,
            "first_character": self.first_character,
            "update": self.update,
            "epoch": self.epoch,
            "position": self.position,
            "smooth_loss": self.smooth_loss,
            **self.progress,
        }
        return {name: canonical_json(value) for name, value in values.items()}


# What `progress` holds: the best smooth loss so far and its update, the sum of the losses in the
# current epoch, the mean loss of each epoch done, and the state of the generator of samples.
PROGRESS = ("best_smooth_loss", "best_update", "epoch_loss_sum", "epoch_mean_loss", "rng")


def expected_arrays(metadata: Mapping[str, str], kind: Kind) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the arrays that a checkpoint must hold by its own settings."""
    config = RunConfig.from_dict(json.loads(metadata["config"]))
    dtype = "F" + config.dtype.removeprefix("float")
    m, K = config.hidden, len(json.loads(metadata["alphabet"]))
    shapes: dict[str, tuple[int, ...]] = {"W": (m, m), "U": (m, K), "V": (K, m), "b": (m,), "c": (K,)}
    if kind == "last":
        shapes |= {f"adagrad.{name}": shapes[name] for name in NAMES}
        shapes["h_prev"] = (m,)
    return {name: (dtype, shape) for name, shape in shapes.items()}


def read_checkpoint(path: Path, kind: Kind) -> Checkpoint:
    """Return the checkpoint in a file. Raises StoreError if anything about it is not right."""
    arrays, metadata = read_sealed(path, lambda metadata: expected_arrays(metadata, kind))
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise StoreError(f"{path} holds numbers that are not finite")
    try:
        values = {name: json.loads(text) for name, text in metadata.items()}
        if values.pop("format") != f"nbrnn {SCHEMA}":
            raise StoreError(f"{path} was written by another version of nbrnn")
        return Checkpoint(
            config=RunConfig.from_dict(values.pop("config")),
            theta={name: arrays[name] for name in NAMES},
            adagrad={name: arrays[f"adagrad.{name}"] for name in NAMES} if kind == "last" else {},
            h_prev=arrays.get("h_prev"),
            progress={name: values.pop(name) for name in PROGRESS} if kind == "last" else {},
            **values,
        )
    except (ValueError, KeyError, TypeError, RecursionError, ConfigError):
        raise StoreError(f"{path} is damaged or not a file of nbrnn") from None


# ---------------------------------------------------------------- the folder


class RunFolder:
    """The folder of one run: reads and writes its files."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder this process's own; the lock ends with the process. Raises StoreError."""
        lock = FileLock(self / LOCK, timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise StoreError(f"another process is at work in {self}") from None
        except (FileExistsError, NotADirectoryError):
            raise StoreError(f"{self} is a file, or below one: give a folder") from None
        except OSError as error:
            raise StoreError(f"cannot write in {self}: {error.strerror or error}") from None
        try:
            yield
        finally:
            lock.release()

    def is_run(self) -> bool:
        """Whether a run was begun here."""
        return (self / CONFIG).exists()

    def is_free(self) -> bool:
        """Whether nothing is here but our lock, and a config that was never written to its end."""
        return {entry.name for entry in self.path.iterdir()} <= {LOCK, CONFIG + PARTIAL}

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

    # -- config.json, env.json, summary.json

    def write_config(self, config: RunConfig, corpus: Mapping[str, Any]) -> None:
        """Write config.json: the settings, and what corpus.describe() says."""
        value = {"schema": SCHEMA, "config": config.to_dict(), "corpus": dict(corpus)}
        write_json(self / CONFIG, value)

    def read_config(self) -> tuple[RunConfig, dict[str, Any]]:
        """Return the settings, and the description of the corpus. Raises StoreError."""
        value = read_json(self / CONFIG)
        try:
            if value["schema"] != SCHEMA:
                raise StoreError(f"{self / CONFIG} was written by another version of nbrnn")
            return RunConfig.from_dict(value["config"]), dict(value["corpus"])
        except (KeyError, TypeError, ValueError, ConfigError):
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
        if not isinstance(value, dict):
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
                except (ValueError, KeyError, TypeError):
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
            return [json.loads(line) for line in lines if line.endswith(b"\n")]
        except OSError as error:
            raise StoreError(f"cannot read {self / SAMPLES}: {error.strerror}") from None
        except ValueError:
            raise StoreError(f"{self / SAMPLES} is damaged") from None

    def read_metrics(self) -> dict[str, Array]:
        """Return the columns of metrics.csv. Raises StoreError."""
        path = self / METRICS
        try:
            text = path.read_text()
            whole = text[: text.rfind("\n") + 1]
            rows = np.array([line.split(",") for line in whole.splitlines()[1:]], float)
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

        def expect(metadata: Mapping[str, str]) -> dict[str, tuple[str, tuple[int, ...]]]:
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

    def has_text(self) -> bool:
        """Whether the best model has written."""
        return (self / TEXT).exists()

    def has_plot(self) -> bool:
        """Whether there is a picture of the loss."""
        return (self / PLOT).exists()

    def write_plot(self, draw: Callable[[IO[bytes]], object]) -> None:
        """Replace the picture of the loss."""
        write_atomically(self / PLOT, draw)
