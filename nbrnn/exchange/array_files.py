"""Files of arrays of other programs: read without trust, and written for these programs.

Nothing is unpickled: of what is not plain numbers or text only the name is read.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nbrnn.errors import CheckError, ConfigError, StoreError
from nbrnn.exchange import mat_reader, onnx_graph
from nbrnn.storage.safe_files import read_bytes, write_atomically
from nbrnn.typing import Array

MAX_BYTES = 2**30  # in a file, and unpacked from it: enough for the largest network in float64
MAX_TEXT = 2**24  # characters in an array of text
MAX_HEADER = 2**26  # bytes of names, shapes and metadata in a safetensors file
SAVE_NUMPY = "numpy.savez('model.npz', W=W, U=U, V=V, b=b, c=c)"
SAVE_TORCH = "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
HOW_TO_SAVE = {  # files that may be pickles, which are not read
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin"), SAVE_TORCH),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), SAVE_NUMPY),
}


@dataclass
class Contents:
    """The contents of a file: arrays of numbers and of text, metadata, and names of what is not read.

    The fields of a MATLAB struct RNN are called RNN.W and so on.
    """

    arrays: dict[str, Array] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)  # what each of these arrays is

    def add(self, name: str, array: Array | None, otherwise: str = "an object array") -> None:
        """Keep an array of real numbers or of text, otherwise its name and what it is.

        Raises ValueError for broken text.
        """
        if array is not None and array.dtype.kind in "fiub":
            self.arrays[name] = array
        elif array is not None and array.dtype.kind == "U":
            refuse_broken_text(array)
            self.arrays[name] = array
        else:
            self.unread[name] = otherwise if array is None else f"of the type {array.dtype}"


def refuse_broken_text(array: Array) -> None:
    """Raise ValueError for code points that Python or UTF-8 does not have, and for a text too long."""
    if array.nbytes > 4 * MAX_TEXT:
        raise ValueError
    codes = array.ravel().astype(array.dtype.newbyteorder("=")).view(np.uint32)
    if codes.size and (codes.max() > 0x10FFFF or (codes >> 11 == 0xD800 >> 11).any()):
        raise ValueError


# ---------------------------------------------------------------- reading


def read(path: Path) -> Contents:
    """Return the contents of a file, in the format of its suffix. Raises StoreError, ConfigError."""
    suffix = path.suffix.lower()
    if suffix in HOW_TO_SAVE:
        raise ConfigError(
            f"{path} may be a pickle, which is not read, for safety: save with {HOW_TO_SAVE[suffix]}"
        )
    if suffix == ".npy":
        raise ConfigError(f"{path} can hold only one array: save all in one file with {SAVE_NUMPY}")
    if suffix not in READERS:
        raise ConfigError(f"{path} must be a file that ends in one of {', '.join(READERS)}")
    data = read_bytes(path, MAX_BYTES)
    if suffix == ".mat" and not mat_reader.is_known(data):
        how = f"save('{path.name}', ..., '-v7') writes one"
        raise StoreError(f"{path} is not a file of MATLAB 5 to 7: {how}")
    try:
        return READERS[suffix](data)
    except ConfigError:
        raise
    except CheckError as error:
        raise StoreError(f"{path}: {error}") from None
    except MemoryError:
        raise StoreError(f"{path} is too large for the memory of this machine") from None
    except Exception:  # parsers raise anything at damaged files: SystemError, zlib.error, StopIteration
        raise StoreError(f"{path} is damaged, or not a {suffix} file") from None


def read_npz(data: bytes) -> Contents:
    """Return the arrays of numpy.savez."""
    contents = Contents()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > MAX_BYTES:
            raise ValueError
        for entry in entries:
            # the other methods unpack more than is asked for, and NumPy does not use them
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError
            with archive.open(entry) as file:
                content = file.read(entry.file_size)
            contents.add(entry.filename.removesuffix(".npy"), npy_array(content))
    return contents


# The header of an .npy file without its blanks. NumPy's own parser evaluates it as Python.
NPY_HEADER = re.compile(
    rb"\{'descr':(?:'([<>=|]?[?biufcSU]\d*)'|.+),'fortran_order':(True|False),'shape':\(([\d,]*)\),?\}"
)


def npy_array(data: bytes) -> Array | None:
    """Return the array in an .npy file of any version, None if it is one of objects or of structs."""
    start = {1: 10, 2: 12, 3: 12}[data[6]]
    end = start + int.from_bytes(data[8:start], "little")
    header = NPY_HEADER.fullmatch(data[start:end].translate(None, b" \n"))
    if header is None:
        raise ValueError
    descr, is_fortran, sizes = header.groups()
    if descr is None:
        return None
    array = np.frombuffer(data, descr.decode(), offset=end)
    return array.reshape(
        [int(size) for size in sizes.split(b",") if size], order="F" if is_fortran == b"True" else "C"
    )


def read_mat(data: bytes) -> Contents:
    """Return the arrays of MATLAB's save, and those in structs."""
    contents = Contents()
    for name, array in mat_reader.variables(data, MAX_BYTES):
        contents.add(name, array, "a cell, an object, or a sparse or complex array")
    return contents


class SafetensorsHeader(msgspec.Struct):
    """What is read of a safetensors file's header."""

    metadata: dict[str, str] = msgspec.field(name="__metadata__", default_factory=dict)


def read_safetensors(data: bytes) -> Contents:
    """Return the tensors of a safetensors file, and its metadata; bfloat16 widened to float32."""
    from safetensors import deserialize

    size = int.from_bytes(data[:8], "little")
    if size > MAX_HEADER:
        raise ValueError
    header = msgspec.json.decode(data[8 : 8 + size], type=SafetensorsHeader)
    contents = Contents(metadata=header.metadata)
    for name, tensor in deserialize(data):  # type: ignore[no-untyped-call]
        dtype, stored = tensor["dtype"], tensor["data"]
        if dtype == "BF16":
            array = (np.frombuffer(stored, "<u2").astype("<u4") << 16).view("<f4")
        elif dtype == "BOOL":
            array = np.frombuffer(stored, bool)
        elif known := re.fullmatch(r"([FIU])(8|16|32|64)", dtype):
            array = np.frombuffer(stored, f"<{known[1].lower()}{int(known[2]) // 8}")
        else:
            contents.unread[name] = f"of the type {dtype}"
            continue
        contents.arrays[name] = array.reshape(tensor["shape"])
    return contents


READERS: dict[str, Callable[[bytes], Contents]] = {
    ".npz": read_npz,
    ".mat": read_mat,
    ".safetensors": read_safetensors,
    ".onnx": lambda data: Contents(*onnx_graph.read_onnx(data)),
}


# ---------------------------------------------------------------- writing


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Replace a file by one that numpy.load reads without pickle. Raises WriteError."""
    named: dict[str, Any] = dict(arrays)
    write_atomically(path, lambda file: np.savez(file, **named))


def write_mat(path: Path, arrays: Mapping[str, Array]) -> None:
    """Replace a file by one for MATLAB's load. Raises WriteError."""
    from scipy.io import savemat

    write_atomically(path, lambda file: savemat(file, dict(arrays), oned_as="column"))
