"""A network among the arrays of a file: its parameters, their layout, its state and its alphabet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from nbrnn.errors import CheckError, ConfigError, StoreError
from nbrnn.exchange.array_files import SAVE_NUMPY, Contents
from nbrnn.exchange.names import MATRICES, Named, Orientation, Role, SortedArrays, sort_arrays
from nbrnn.network.layout import NAMES, shapes
from nbrnn.storage.atomic_files import DECODING_ERRORS
from nbrnn.typing import Array

ALPHABETS = ("alphabet", "chars", "book_chars")
MAX_ALPHABET = 0x110000  # code points of Unicode


@dataclass(frozen=True)
class Weights:
    """A network of m hidden units and K characters in a file, shaped as in the equations.

    h0 (m,) is the state and x0 the index of the character to continue from, if the file has them.
    """

    theta: dict[str, Array]
    orientation: Orientation
    h0: Array | None
    x0: int | None

    @property
    def K(self) -> int:
        """The number of its characters."""
        return int(self.theta["c"].size)


def weights_in(path: Path, contents: Contents, wanted: Orientation | None = None) -> list[Weights]:
    """Return the network in a file, in each layout that its shapes allow: two only where m = K.

    Raises StoreError if there is none, or several, ConfigError if it is not in the layout `wanted`.
    """
    try:
        arrays = sort_arrays(contents.arrays)
        for name, what in contents.unread.items() if arrays.missing() else ():
            raise CheckError(f"{name} is {what}, which is not read: save with {SAVE_NUMPY}")
        parameters = arrays.parameters()
        found = layouts_in(parameters, arrays.layout)
    except CheckError as error:
        raise StoreError(f"{path}: {error}") from None
    if wanted is not None and wanted not in found:
        raise ConfigError(f"{path} is not in {wanted} layout: {shapes_in_words(parameters)}")
    is_single = all(each.array.dtype in (np.float16, np.float32) for each in parameters.values())
    dtype: np.dtype[Any] = np.dtype(np.float32 if is_single else np.float64)
    networks = []
    for orientation in [wanted] if wanted else found:
        theta = {name: np.ascontiguousarray(found[orientation][name], dtype) for name in NAMES}
        m, K = theta["U"].shape
        h0 = state_in(contents, arrays, m, dtype)
        networks.append(Weights(theta, orientation, h0, character_in(contents, K)))
    return networks


def layouts_in(
    parameters: Mapping[str, Named], known: Orientation | None = None
) -> dict[Orientation, dict[str, Array]]:
    """Return W (m, m), U (m, K), V (K, m), b (m,), c (K,) in each layout that their shapes allow.

    `known` is the layout if it follows from the names. Absent biases are zero. Raises CheckError if no
    network has these shapes, and for numbers that are not finite.
    """
    W = parameters["W"].array
    square = [n for n in W.shape if n != 1]
    if W.size == 0 or len(square) not in (0, 2) or len(set(square)) > 1:
        gates = (
            {3: "a GRU", 4: "an LSTM"}.get(max(square) // min(square))
            if len(square) == 2 and W.size
            else None
        )
        if gates and max(square) % min(square) == 0:
            raise CheckError(f"W is {W.shape}, that of {gates}: only a vanilla RNN of one layer is read")
        raise CheckError(f"W is {W.shape} and not square")
    m = square[0] if square else 1
    K = parameters["U"].array.size // m
    arrays = {name: np.zeros(shape) for name, shape in shapes(m, K).items()}
    with np.errstate(over="ignore"):  # of 80 bits
        arrays |= {name: np.asarray(each.array, float) for name, each in parameters.items()}
    of_layouts = {}
    for layout in [known] if known else get_args(Orientation):
        theta = {name: oriented(name, array, layout, m, K) for name, array in arrays.items()}
        if all(theta[name] is not None for name in MATRICES):
            of_layouts[layout] = theta
    if not of_layouts:
        raise CheckError(
            f"no network has parameters of these shapes: {shapes_in_words(parameters)}; in column "
            "layout they are W (m, m), U (m, K), V (K, m), in row layout W (m, m), U (K, m), V (m, K)"
        )
    for name, array in next(iter(of_layouts.values())).items():
        if array is None:
            which = f"{parameters[name].name} {arrays[name].shape}"
            raise CheckError(f"{which} is not a vector of {shapes(m, K)[name][0]} numbers")
        if not np.isfinite(array).all():
            raise CheckError(f"{parameters[name].name} holds numbers that are not finite")
    return cast("dict[Orientation, dict[str, Array]]", of_layouts)


def oriented(name: str, array: Array, layout: str, m: int, K: int) -> Array | None:
    """Return a parameter, or its gradient, as in the equations; None if it has another shape."""
    shape = shapes(m, K)[name]
    if len(shape) == 1:
        return array.reshape(shape) if array.size == shape[0] == max(array.shape, default=1) else None
    stored = shape if layout == "column" else shape[::-1]
    if [n for n in array.shape if n != 1] != [n for n in stored if n != 1]:
        return None
    return array.reshape(stored) if layout == "column" else array.reshape(stored).T


def shapes_in_words(parameters: Mapping[str, Named]) -> str:
    """Return the matrices' shapes in words."""
    return ", ".join(f"{name} {parameters[name].array.shape}" for name in MATRICES)


# ---------------------------------------------------------------- what else may be in a file


def state_in(contents: Contents, arrays: SortedArrays, m: int, dtype: np.dtype[Any]) -> Array | None:
    """Return the state (m,) in a file, if there is one."""
    found = [each.array for each in arrays.by_role.get(Role("input", "h0"), ())]
    with suppress(*DECODING_ERRORS), np.errstate(over="ignore"):
        found.append(np.array(json.loads(contents.metadata["h0"]), dtype))
    for state in found:
        if state.dtype.kind in "fiu" and state.size == m and np.isfinite(state).all():
            return np.ascontiguousarray(state.ravel(), dtype)
    return None


def character_in(contents: Contents, K: int) -> int | None:
    """Return the index of the character to continue from, which is one-hot in an array."""
    alphabet, character = (contents.metadata.get(name, "") for name in ("alphabet", "x0"))
    if len(character) == 1 and character in alphabet[:K]:
        return alphabet.index(character)
    x0 = contents.arrays.get("x0", np.empty(0))
    is_one_hot = x0.dtype.kind in "fiub" and x0.size == K and np.count_nonzero(x0) == 1
    return int(np.flatnonzero(x0)[0]) if is_one_hot else None


def alphabet_in(contents: Contents) -> str | None:
    """Return the alphabet in a file, of code points or of characters, if there is one."""
    if "alphabet" in contents.metadata:
        return contents.metadata["alphabet"]
    for name in ALPHABETS:
        if name in contents.arrays:
            array = contents.arrays[name].ravel()[: MAX_ALPHABET + 1]
            if array.dtype.kind == "U":
                return "".join(array.tolist())
            with suppress(*DECODING_ERRORS):
                alphabet = "".join(chr(int(code)) for code in array)
                return alphabet.encode().decode()  # refuses halves of surrogate pairs
    return None
