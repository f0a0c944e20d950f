"""How a file is written whole or not at all, and read without trust.

JSON for people, safetensors for arrays, each with the errors that a user can understand.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from nbrnn.errors import ConfigError, StoreError, WriteError
from nbrnn.network.params import Array

ArrayTypes = Mapping[str, tuple[str, tuple[int, ...]]]  # name: safetensors' dtype, shape

# What reading JSON that anybody may have written, and using it, can raise.
NONSENSE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)

PARTIAL = ".tmp"  # appended to the name of a file that is being written
LARGEST_HEADER = 2**24  # bytes; ours have some thousand, and 8 for each character at most


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
    try:
        data = text.encode()
    except UnicodeEncodeError:  # a file name that is not UTF-8
        data = (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
    write_atomically(path, lambda file: file.write(data))


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


def safetensors_header(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """Return the one header of a safetensors file with these arrays, in their order.

    8 bytes little-endian with the length of a JSON text, then that text
    (https://github.com/huggingface/safetensors, "Format").
    """
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        dtype = {"f": "F", "i": "I"}[array.dtype.kind] + str(8 * array.itemsize)
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write_safetensors(file: IO[bytes], arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write arrays and metadata in the safetensors format, always the same bytes for the same.

    The library's own writer lists the metadata in a random order at each call, and takes the
    memory of an array that is not C-contiguous as if it were.
    """
    file.write(safetensors_header(arrays, metadata))
    for array in arrays.values():
        file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())


def digest(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """Return the sha256 over the names, types, shapes and bytes of arrays, and the metadata."""
    sha256 = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        sha256.update(f"{name} {array.dtype} {array.shape}\n".encode())
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()


def write_sealed(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Replace a safetensors file, with a sha256 of its content among its metadata."""
    sealed = {**metadata, "sha256": digest(arrays, metadata)}
    write_atomically(path, lambda file: write_safetensors(file, arrays, sealed))


def read_sealed(
    path: Path, expect: Callable[[Mapping[str, str]], ArrayTypes]
) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays and the metadata of a file of `write_sealed`.

    `expect` tells from the metadata which arrays there must be, with dtype and shape; nothing is
    read into memory before the file's own list agrees. Raises StoreError.
    """
    damaged = StoreError(f"{path} is damaged or not a file of nbrnn")
    if path.exists() and not path.is_file():  # a pipe would never end
        raise damaged
    try:
        with path.open("rb") as file:
            length = file.read(8)
            if int.from_bytes(length, "little") > LARGEST_HEADER:
                raise damaged
            header = length + file.read(int.from_bytes(length, "little"))
        with safe_open(path, framework="numpy") as tensors:
            metadata = dict(tensors.metadata() or {})
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
    except (SafetensorError, ConfigError, *NONSENSE):
        raise damaged from None
    # The header as a whole, since JSON can say the same in other bytes.
    if safetensors_header(arrays, metadata) != header:
        raise damaged
    if metadata.pop("sha256", None) != digest(arrays, metadata):
        raise damaged
    return arrays, metadata
