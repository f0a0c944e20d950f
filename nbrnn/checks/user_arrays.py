"""The arrays of a user by name: given in Python, or read from a file without trust."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbrnn.errors import CheckError
from nbrnn.exchange import array_files
from nbrnn.typing import Array

MAX_DEPTH = 20  # of dictionaries in dictionaries
NUMBERS_AND_TEXTS = "biufUS"  # kinds of numpy.dtype


def read(path: Path) -> dict[str, Array]:
    """Return the arrays of a file by name; those of a MATLAB struct S as S.FIELD. Raises CheckError."""
    contents = array_files.read(path)
    for name, what in contents.unread.items():
        if path.suffix.lower() == ".mat":
            how = "save matrices, or a struct of matrices instead: save('FILE.mat', 'W', ..., '-v7')"
            raise CheckError(f"{path}: {name} is {what}, which is not read; {how}")
        raise unreadable(f"{path}: {name}", name, what)
    if not contents.arrays:
        raise CheckError(f"{path} holds no arrays")
    return contents.arrays


def unreadable(which: str, name: str, what: str = "an object array") -> CheckError:
    """Return the error for what is neither numbers nor text: only unpickling would read objects."""
    return CheckError(
        f"{which} is {what}, which is not read; save plain arrays of real numbers instead: "
        f"np.savez(FILE, W=W, ...), a dictionary as np.savez(FILE, **{name})"
    )


def flat_arrays(values: Mapping[str, Any]) -> dict[str, Array]:
    """Return arrays by name, those of a dictionary called D as D.NAME. Raises CheckError.

    `values` may be nested, may hold numbers, lists, and tensors that NumPy takes.
    """
    arrays: dict[str, Array] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            if str(name).count(".") == MAX_DEPTH:  # it may hold itself
                raise CheckError(f"check: dictionaries are nested more than {MAX_DEPTH} deep")
            arrays |= flat_arrays({f"{name}.{key}": item for key, item in value.items()})
            continue
        try:
            array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        except ValueError:  # a ragged list
            raise unreadable(f"check: {name}", str(name)) from None
        if array.dtype.kind == "O":
            raise unreadable(f"check: {name}", str(name))
        if array.dtype.kind not in NUMBERS_AND_TEXTS:
            raise CheckError(f"{name} holds no real numbers: {array.dtype}")
        arrays[str(name)] = array
    return arrays
