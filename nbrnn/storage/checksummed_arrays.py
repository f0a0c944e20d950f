"""Arrays in safetensors files, with a checksum over everything among the metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from nbrnn.errors import ConfigError, StoreError
from nbrnn.storage.safe_files import DECODING_ERRORS, RESTORE, opened, write_atomically
from nbrnn.typing import Array

ArrayTypes = Mapping[str, tuple[str, tuple[int, ...]]]  # name: safetensors' dtype, shape

MAX_HEADER = 2**24  # bytes; ours have some thousand, and some 20 for each epoch


def write_arrays(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Replace a safetensors file, with its checksum. Raises WriteError."""
    checked = {**metadata, "sha256": checksum(arrays, metadata)}
    write_atomically(path, lambda file: write_safetensors(file, arrays, checked))


def read_arrays(
    path: Path, expect: Callable[[Mapping[str, str], Iterable[str]], ArrayTypes]
) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays and the metadata of a file of `write_arrays`.

    `expect` returns, from the metadata and the names of the arrays, which arrays there must be, with
    dtype and shape; nothing is read into memory before the file's own list agrees. Raises StoreError.
    """
    damaged = StoreError(f"{path} is damaged, or not a file of nbrnn: {RESTORE}")
    with opened(path) as file:
        length = file.read(8)
        if int.from_bytes(length, "little") > MAX_HEADER:
            raise damaged
        header = length + file.read(int.from_bytes(length, "little"))
    try:
        with safe_open(path, framework="numpy") as tensors:
            metadata = dict(tensors.metadata() or {})
            expected = expect(metadata, tensors.keys())
            slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 (not a mapping)
            types = {name: (s.get_dtype(), tuple(s.get_shape())) for name, s in slices.items()}
            if types != dict(expected):
                raise damaged
            arrays = {name: tensors.get_tensor(name) for name in expected}
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from None
    except (SafetensorError, ConfigError, *DECODING_ERRORS):
        raise damaged from None
    # The header as a whole, since JSON can say the same in other bytes.
    if safetensors_header(arrays, metadata) != header:
        raise damaged
    if metadata.pop("sha256", None) != checksum(arrays, metadata):
        raise damaged
    return arrays, metadata


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
    """Write arrays and metadata in the safetensors format, the same content always as the same bytes.

    The library's own writer lists the metadata in a random order at each call, and takes the
    memory of an array that is not C-contiguous as if it were.
    """
    file.write(safetensors_header(arrays, metadata))
    for array in arrays.values():
        file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())


def checksum(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """Return the sha256 over the names, types, shapes and bytes of arrays, and the metadata."""
    sha256 = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        sha256.update(f"{name} {array.dtype} {array.shape}\n".encode())
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()
