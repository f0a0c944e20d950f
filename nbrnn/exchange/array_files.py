"""How are files of arrays of other programs read, without trust, and written for them?

Nothing is ever unpickled: of an object array only the name is read.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from nbrnn.errors import ConfigError, StoreError
from nbrnn.exchange import matlab
from nbrnn.storage.atomic_files import DECODING_ERRORS, read_bytes, write_atomically
from nbrnn.typing import Array

MOST_BYTES = 2**31  # of a file, and of what is packed in it
SAVE_NUMPY = "numpy.savez('model.npz', W=W, U=U, V=V, b=b, c=c)"
SAVE_TORCH = "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
HOW_TO_SAVE = {  # what may be pickled, and is not read
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin"), SAVE_TORCH),
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".npy"), SAVE_NUMPY),
}


@dataclass
class Contents:
    """What a file holds: arrays of numbers and of text by name, metadata, names of what is neither.

    The fields of a MATLAB struct RNN are called RNN.W and so on.
    """

    arrays: dict[str, Array] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    objects: list[str] = field(default_factory=list)

    def add(self, name: str, array: Array) -> None:
        """Keep an array if it is one of numbers or of text, and else its name."""
        if array.dtype.kind in "fiubU":
            self.arrays[name] = array
        else:
            self.objects.append(name)


# ---------------------------------------------------------------- reading


def read(path: Path) -> Contents:
    """Return what a file holds, by the end of its name. Raises StoreError, ConfigError."""
    suffix = path.suffix.lower()
    if suffix in HOW_TO_SAVE:
        raise ConfigError(f"{path} may be a pickle, which is not read; save with {HOW_TO_SAVE[suffix]}")
    if suffix not in READERS:
        raise ConfigError(f"{path}: give a file that ends in {', '.join(READERS)}")
    data = read_bytes(path, MOST_BYTES)
    if suffix == ".mat" and not matlab.is_known(data):
        how = f"save('{path.name}', ..., '-v7') writes one"
        raise StoreError(f"{path} is no file of MATLAB 5 to 7: {how}")
    try:
        return READERS[suffix](data)
    except UNREADABLE:
        raise StoreError(f"{path} is damaged, or no {suffix} file") from None


class Damaged(ValueError):  # noqa: N818 (it never leaves this module)
    """A file that is not what its name says."""


# What reading a file that anybody may have written can raise. RuntimeError: of a zip with a password.
UNREADABLE = (
    *DECODING_ERRORS, RuntimeError, StopIteration, EOFError, OSError,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip


def read_npz(data: bytes) -> Contents:
    """Return the arrays of numpy.savez."""
    contents = Contents()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise Damaged
        for entry in entries:
            name = entry.filename.removesuffix(".npy")
            array = npy_array(archive.read(entry))
            if array is None:
                contents.objects.append(name)
            else:
                contents.add(name, array)
    return contents


def npy_array(data: bytes) -> Array | None:
    """Return the array in an .npy file, or None if it is pickled."""
    file = io.BytesIO(data)
    header = np.lib.format.read_magic(file)
    if header not in ((1, 0), (2, 0)):
        raise Damaged
    is_first = header == (1, 0)
    read_header = (
        np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0
    )
    shape, is_fortran, dtype = read_header(file)
    if dtype.hasobject:
        return None
    array = np.frombuffer(data, dtype, offset=file.tell())
    return array.reshape(shape[::-1]).T if is_fortran else array.reshape(shape)


def read_mat(data: bytes) -> Contents:
    """Return the arrays of MATLAB's save, and those in structs."""
    contents = Contents()
    for name, array in matlab.variables(data, MOST_BYTES):
        if array is None:
            contents.objects.append(name)
        else:
            contents.add(name, array)
    return contents


def read_safetensors(data: bytes) -> Contents:
    """Return the tensors of a safetensors file, and its metadata."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    contents = Contents()
    try:
        for name, array in load(data).items():
            contents.add(name, array)
    except SafetensorError:
        raise Damaged from None
    header = msgspec.json.decode(data[8 : 8 + int.from_bytes(data[:8], "little")])
    contents.metadata = msgspec.convert(header.get("__metadata__", {}), dict[str, str])
    return contents


READERS: dict[str, Callable[[bytes], Contents]] = {
    ".npz": read_npz,
    ".mat": read_mat,
    ".safetensors": read_safetensors,
}


# ---------------------------------------------------------------- writing


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Replace a file by one that numpy.load reads without pickle. Raises WriteError."""
    named: dict[str, Any] = dict(arrays)
    write_atomically(path, lambda file: np.savez(file, **named))


def write_mat(path: Path, arrays: Mapping[str, Array]) -> None:
    """Replace a file by one for MATLAB's load. Raises WriteError."""
    from scipy.io import savemat

    def write(file: IO[bytes]) -> None:
        savemat(file, dict(arrays))

    write_atomically(path, write)
