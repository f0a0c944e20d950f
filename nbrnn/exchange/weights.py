"""A network among the arrays of a file: its parameters, their layout, its state and its alphabet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np

from nbrnn.errors import CheckError, ConfigError, StoreError
from nbrnn.exchange.array_files import SAVE_NUMPY, Contents
from nbrnn.exchange.array_roles import Orientation, Role, SortedArrays, sort_arrays
from nbrnn.exchange.layer_names import Named
from nbrnn.network.cells import CELLS, Cell
from nbrnn.network.layout import Layout, shapes
from nbrnn.storage.safe_files import DECODING_ERRORS
from nbrnn.typing import Array
from nbrnn.values import plural

ALPHABETS = ("alphabet", "chars", "book_chars")
MAX_ALPHABET = 0x110000  # code points of Unicode


@dataclass(frozen=True)
class Weights:
    """A network in a file, shaped and named as in the files of a run.

    states has those by name, and x0 the index of the character, to continue from, if the file has them.
    """

    layout: Layout
    theta: dict[str, Array]
    orientation: Orientation
    states: dict[str, Array]
    x0: int | None


def weights_in(path: Path, contents: Contents, wanted: Orientation | None = None) -> list[Weights]:
    """Return the network in a file, in each layout that its shapes allow: two only where m = K.

    Raises StoreError if there is none, or several, ConfigError if it is not in the layout `wanted`.
    """
    try:
        arrays = sort_arrays(contents.arrays)
        for name, what in contents.unread.items() if arrays.missing() else ():
            raise CheckError(f"{name} is {what}, which is not read: save with {SAVE_NUMPY}")
        layout, found = network_in(arrays)
    except CheckError as error:
        raise StoreError(f"{path}: {error}") from None
    if wanted is not None and wanted not in found:
        raise ConfigError(f"{path} is not in {wanted} layout: {shapes_in_words(arrays)}")
    x0 = character_in(contents, layout.K)
    return [
        Weights(layout, found[each], each, states_in(contents, arrays, layout, each), x0)
        for each in ([wanted] if wanted else found)
    ]


def network_in(arrays: SortedArrays) -> tuple[Layout, dict[Orientation, dict[str, Array]]]:
    """Return the layout of a network in memory, and its parameters in each layout of the file.

    Absent biases are zero. Raises CheckError if no network has these shapes, and for numbers that are
    not finite.
    """
    readout, layers = arrays.parameters(), arrays.layers()
    used = used_arrays(arrays)
    is_single = all(array.dtype in (np.float16, np.float32) for _, array in used)
    dtype = np.dtype(np.float32 if is_single else np.float64)
    for name, array in used:
        with np.errstate(over="ignore"):  # of 80 bits
            if not np.isfinite(array.astype(dtype)).all():
                raise CheckError(f"{name} has NaN or infinite numbers")
    W, V = layers[0]["W"].array, readout["V"].array
    m = min(sorted(W.shape)[-2:], default=1) or 1
    cells = {kind.gates * m: name for name, kind in CELLS.items()}
    layout = Layout(m, V.size // m, dtype, cells.get(W.size // m, "vanilla"), len(layers))
    found: dict[Orientation, dict[str, Array]] = {}
    for orientation in [arrays.layout] if arrays.layout else get_args(Orientation):
        c = readout["c"].array if "c" in readout else np.zeros(layout.K)
        theta = {"V": fitted(V, (layout.K, m), orientation), "c": fitted(c, (layout.K,), orientation)}
        for number, layer in enumerate(layers):
            theta |= layer_in(layer, number, layout, orientation, arrays.layout == "row")
        fitting = {name: array for name, array in theta.items() if array is not None}
        if fitting.keys() >= layout.shapes.keys():
            found[orientation] = {
                name: np.ascontiguousarray(fitting[name], dtype) for name in layout.shapes
            }
    if not found:
        raise CheckError(f"the shapes do not fit together: {misfits(arrays)}")
    return layout, found


def misfits(arrays: SortedArrays) -> str:
    """Return which arrays need which other shapes, for the network that most of them fit."""
    first, readout = arrays.layers()[0], arrays.of("parameter")
    sized = [first["W"], first["U"], *(readout[key] for key in "Vc" if key in readout)]
    sizes = sorted({1, *(n for named in sized for n in named.array.shape[:2] if n)}, reverse=True)
    networks = list(product(CELLS.values(), sizes, sizes))
    closest = {}
    for orientation in [arrays.layout] if arrays.layout else get_args(Orientation):
        wrong = (misfits_in(arrays, orientation, *network) for network in networks)
        closest[orientation] = min(filter(None, wrong), key=len)
    fewest = min(map(len, closest.values()))
    ways = {layout: ", ".join(wrong[:3]) for layout, wrong in closest.items() if len(wrong) == fewest}
    if len(ways) == 1:
        return next(iter(ways.values()))
    return "; ".join(f"in {layout} layout {wrong}" for layout, wrong in ways.items())


def misfits_in(arrays: SortedArrays, orientation: Orientation, cell: Cell, m: int, K: int) -> list[str]:
    """Return the arrays that do not fit a network, each with the shape that it must have."""
    readout, rows = arrays.of("parameter"), cell.gates * m
    readout_shapes = {"V": (K, m), "c": (K,)}
    needed = [(readout[key], shape) for key, shape in readout_shapes.items() if key in readout]
    for number, layer in enumerate(arrays.layers()):
        own = {"b_hh": (rows,), "d": (m,), **cell.shapes(m, m if number else K)}
        needed += [(named, own[key]) for key, named in layer.items()]
    return [
        f"{named.name} must be {shape if orientation == 'column' else shape[::-1]}, "
        f"not {named.array.shape}"
        for named, shape in needed
        if fitted(np.asarray(named.array), shape, orientation) is None
        and not (arrays.layout == "row" and named.array.shape == (2, *shape))  # two biases of Keras
    ]


def used_arrays(arrays: SortedArrays) -> list[Named]:
    """Return the arrays of all layers and of the readout."""
    readout = arrays.of("parameter")
    layers = (each for layer in arrays.layers() for each in layer.values())
    return [*layers, *(readout[key] for key in "Vc" if key in readout)]


def shapes_in_words(arrays: SortedArrays) -> str:
    """Return the shape of each array of a network."""
    return ", ".join(f"{each.name} {each.array.shape}" for each in used_arrays(arrays))


def layer_in(
    layer: Mapping[str, Named], number: int, layout: Layout, orientation: Orientation, is_keras: bool
) -> dict[str, Array | None]:
    """Return the parameters of a layer by their names in files, None for those of another shape.

    Of two biases, which torch and Keras have, the second is d where the cell has one, and added to the
    first elsewhere. Raises CheckError for a GRU of Keras with the reset before the product.
    """
    m, rows = layout.m, layout.kind.gates * layout.m
    has_d = "d" in layout.kind.parameters._fields
    arrays = {key: np.asarray(each.array) for key, each in layer.items()}
    if is_keras and has_d and "b" in arrays:
        if arrays["b"].shape == (rows,):
            raise CheckError(f"{layer['b'].name}: the GRU was made with reset_after=False")
        if arrays["b"].shape == (2, rows):
            arrays["b"], arrays["b_hh"] = arrays["b"]
    zeros = np.zeros(rows, layout.dtype)
    shapes = {key: layout.shapes[layout.in_file(key, number)] for key in "WU"}
    W, U = (fitted(arrays[key], shapes[key], orientation) for key in "WU")
    b, second = (fitted(arrays.get(key, zeros), (rows,), orientation) for key in ("b", "b_hh"))
    if W is None or U is None or b is None or second is None:
        return {}
    if is_keras and has_d:
        W, U, b, second = (in_order_of_torch(array) for array in (W, U, b, second))
    theta: dict[str, Array | None] = {"W": W, "U": U, "b": b + second}
    if has_d:
        theta["b"] = np.concatenate([b[:-m] + second[:-m], b[-m:]])
        theta["d"] = fitted(arrays["d"], (m,), orientation) if "d" in arrays else second[-m:]
    return {layout.in_file(name, number): array for name, array in theta.items()}


def in_order_of_torch(gates: Array) -> Array:
    """Return the stacked gates of a GRU, which are z r h in Keras, as r z n."""
    z, r, n = np.split(gates, 3)
    return np.concatenate([r, z, n])


def fitted(array: Array, shape: tuple[int, ...], layout: str) -> Array | None:
    """Return an array in its shape in the equations; None if it has another one in this layout.

    Axes of length 1 do not count.
    """
    if len(shape) == 1:
        return array.reshape(shape) if array.size == shape[0] == max(array.shape, default=1) else None
    stored = shape if layout == "column" else shape[::-1]
    if [n for n in array.shape if n != 1] != [n for n in stored if n != 1]:
        return None
    return array.reshape(stored) if layout == "column" else array.reshape(stored).T


# ---------------------------------------------------------------- for checks: one vanilla layer


def layouts_in(arrays: SortedArrays) -> dict[Orientation, dict[str, Array]]:
    """Return W (m, m), U (m, K), V (K, m), b (m,), c (K,) in each layout that their shapes allow.

    In float64. Raises CheckError as `network_in` does, and for several layers or gates.
    """
    layout, found = network_in(arrays)
    if (layout.cell, layout.layers) != ("vanilla", 1):
        what = plural(layout.layers, f"{layout.cell} layer")
        raise CheckError(f"the network has {what}, but only one with one vanilla layer can be checked")
    return {
        orientation: {name: array.astype(float) for name, array in theta.items()}
        for orientation, theta in found.items()
    }


def oriented(name: str, array: Array, layout: str, m: int, K: int) -> Array | None:
    """Return a parameter, or its gradient, as in the equations; None if it has another shape."""
    return fitted(array, shapes(m, K)[name], layout)


# ---------------------------------------------------------------- what else may be in a file


def states_in(
    contents: Contents, arrays: SortedArrays, layout: Layout, orientation: Orientation
) -> dict[str, Array]:
    """Return the states in a file by name, (m,) each; none unless h0, and of an LSTM c0, are there.

    In metadata they are (layers, m), in arrays of column layout (m, layers); of one layer also (m,).
    """
    m, L, of_letters = layout.m, layout.layers, {}
    for letter in layout.kind.states:
        name = f"{letter}0"
        given = [each.array for each in arrays.by_role.get(Role("input", name), ())]
        given += [contents.arrays[name]] if letter != "h" and name in contents.arrays else []
        found = [array if orientation == "row" else array.T for array in given]
        with suppress(*DECODING_ERRORS), np.errstate(over="ignore"):
            found.append(np.array(json.loads(contents.metadata[name]), layout.dtype))
        fitting = [
            state.reshape(L, m)
            for state in found
            if state.dtype.kind in "fiu" and (state.size == m if L == 1 else state.shape == (L, m))
            if np.isfinite(state).all()
        ]
        if not fitting:
            return {}
        of_letters[letter] = fitting[0]
    return {
        layout.in_file(f"{letter}_prev", layer): np.ascontiguousarray(states[layer], layout.dtype)
        for layer in range(L)
        for letter, states in of_letters.items()
    }


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
