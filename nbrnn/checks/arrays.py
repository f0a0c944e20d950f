"""How are somebody's arrays read from a file, and written to one, without trust?

A .npz, .mat or .safetensors file; nothing is unpickled.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbrnn.errors import CheckError
from nbrnn.exchange import array_files
from nbrnn.storage.atomic_files import write_bytes
from nbrnn.typing import Array

NUMBERS = "biuf"  # the kinds of numpy.dtype that are numbers


def read(path: Path) -> dict[str, Array]:
    """Return the arrays of a file by name; those of a MATLAB struct S as S.FIELD. Raises CheckError.

    Texts stay texts; anything else that is no number is refused.
    """
    contents = array_files.read(path)
    for name in contents.unread:
        raise as_object(path, name)
    if not contents.arrays:
        raise CheckError(f"{path} holds no arrays")
    return plain(contents.arrays, str(path))


def as_object(path: Path | str, name: str) -> CheckError:
    """Return the error for an object array, which only unpickling would read."""
    return CheckError(
        f"{path}: {name} is an object array (a dictionary, a list of arrays), which is not unpickled; "
        f"save plain arrays instead: np.savez(FILE, W=W, ...), a dictionary as np.savez(FILE, **{name})"
    )


def plain(values: Mapping[str, Any], where: str = "") -> dict[str, Array]:
    """Return arrays by name, those of a dictionary called D as D.NAME. Raises CheckError.

    `values` may be nested, may hold numbers, lists, and tensors that NumPy takes.
    """
    arrays: dict[str, Array] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            inner = plain({f"{name}.{key}": item for key, item in value.items()}, where)
            arrays.update(inner)
            continue
        detached = value.detach().cpu() if hasattr(value, "detach") else value
        try:
            array = np.asarray(detached)
        except ValueError:  # a ragged list
            raise as_object(where or "check", str(name)) from None
        if array.dtype.kind == "O":
            raise as_object(where or "check", str(name))
        if array.dtype.kind not in NUMBERS + "US":
            raise CheckError(f"{where}: {name} holds no real numbers: {array.dtype}".removeprefix(": "))
        arrays[str(name)] = array
    return arrays


def write(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays and texts to a .npz or .mat file. Raises CheckError and WriteError."""
    buffer = io.BytesIO()
    if path.suffix.lower() == ".npz":
        np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
    elif path.suffix.lower() == ".mat":
        from scipy.io import savemat

        savemat(buffer, {name: as_matlab(array) for name, array in arrays.items()}, oned_as="column")
    else:
        raise CheckError(f"{path}: an exercise is written as .npz or .mat")
    write_bytes(path, buffer.getvalue())


def as_matlab(array: Array) -> Any:
    """Return an array as MATLAB computes with it: numbers as double, texts as char."""
    return str(array) if array.dtype.kind == "U" else array.astype(float)
