"""A network among the arrays of a file: its parameters, their layout, its state and its alphabet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from nbrnn.errors import CheckError, ConfigError, StoreError
from nbrnn.exchange.array_files import SAVE_NUMPY, Contents
from nbrnn.exchange.layer_names import Named
from nbrnn.exchange.names import MATRICES, Orientation, Role, SortedArrays, sort_arrays
from nbrnn.network.cells import CELLS
from nbrnn.network.layout import Layout, shapes
from nbrnn.storage.atomic_files import DECODING_ERRORS
from nbrnn.typing import Array

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
        parameters = arrays.parameters()
        if is_vanilla_layer(arrays):
            found = {
                orientation: (Layout(m, K, dtype_of(parameters.values())), theta)
                for orientation, theta in layouts_in(arrays).items()
                for m, K in [theta["U"].shape]
            }
        else:
            found = deep_layouts_in(arrays)
    except CheckError as error:
        raise StoreError(f"{path}: {error}") from None
    if wanted is not None and wanted not in found:
        raise ConfigError(f"{path} is not in {wanted} layout: {shapes_in_words(parameters)}")
    networks = []
    for orientation in [wanted] if wanted else found:
        layout, theta = found[orientation]
        theta = {name: np.ascontiguousarray(theta[name], layout.dtype) for name in layout.shapes}
        states = states_in(contents, arrays, layout, orientation)
        networks.append(Weights(layout, theta, orientation, states, character_in(contents, layout.K)))
    return networks


def dtype_of(parameters: Iterable[Named]) -> np.dtype[Any]:
    """Return the precision of a network with these parameters."""
    is_single = all(each.array.dtype in (np.float16, np.float32) for each in parameters)
    return np.dtype(np.float32 if is_single else np.float64)


def is_vanilla_layer(arrays: SortedArrays) -> bool:
    """Return whether a network has one layer, whose W is not of several gates."""
    return not arrays.numbered and gates_of(arrays.layers()[0]["W"].array.shape) is None


def gates_of(shape: tuple[int, ...]) -> str | None:
    """Return the cell whose stacked gates W has, None for one gate and for other shapes."""
    if len(shape) != 2 or 0 in shape:
        return None
    rows = {cell.gates * min(shape): name for name, cell in CELLS.items() if cell.gates > 1}
    return rows.get(max(shape))


# ---------------------------------------------------------------- gates and layers


def deep_layouts_in(arrays: SortedArrays) -> dict[Orientation, tuple[Layout, dict[str, Array]]]:
    """Return the parameters of gates or of several layers in each layout that their shapes allow.

    Absent biases are zero. Raises CheckError if no network has these shapes, and for numbers that are
    not finite.
    """
    layers, readout = arrays.layers(), arrays.of("parameter")
    everything = [*(each for layer in layers for each in layer.values()), readout["V"]]
    everything += [readout["c"]] if "c" in readout else []
    dtype = dtype_of(everything)
    matrices = [readout["V"], *(layer[key] for layer in layers for key in ("W", "U"))]
    for name, array in matrices:
        if array.ndim != 2 or array.size == 0:
            raise CheckError(f"{name} {array.shape} is not a matrix")
    for name, array in everything:
        with np.errstate(over="ignore"):  # of 80 bits
            if not np.isfinite(array.astype(dtype)).all():
                raise CheckError(f"{name} holds numbers that are not finite")
    found = {}
    for orientation in [arrays.layout] if arrays.layout else get_args(Orientation):
        is_keras = orientation == arrays.layout == "row"
        first = columns(layers[0]["W"].array, orientation)
        V = columns(readout["V"].array, orientation)
        cell = gates_of(first.shape) or "vanilla"
        layout = Layout(V.shape[-1], len(V), dtype, cell, len(layers))
        theta: dict[str, Array] = {"V": V}
        theta["c"] = readout["c"].array.ravel() if "c" in readout else np.zeros(layout.K, dtype)
        for number, layer in enumerate(layers):
            for name, array in parameters_of(layer, layout, orientation, is_keras).items():
                theta[layout.in_file(name, number)] = array
        if {name: array.shape for name, array in theta.items()} == layout.shapes:
            found[orientation] = layout, theta
    if not found:
        shapes = ", ".join(f"{each.name} {each.array.shape}" for each in everything)
        raise CheckError(f"no network of gates or layers has parameters of these shapes: {shapes}")
    return found


def columns(array: Array, orientation: Orientation) -> Array:
    """Return a matrix as in the equations, a vector as it is."""
    return array.T if orientation == "row" else array


def parameters_of(
    layer: Mapping[str, Named], layout: Layout, orientation: Orientation, is_keras: bool
) -> dict[str, Array]:
    """Return the parameters of a layer by the names that its cell has for them, of any shape.

    Of two biases, which torch and Keras have, the second is d where the cell has one, and added to the
    first elsewhere.
    """
    m, rows = layout.m, layout.kind.gates * layout.m
    arrays = {key: np.asarray(each.array) for key, each in layer.items()}
    theta = {key: columns(arrays[key], orientation) for key in ("W", "U")}
    zeros = np.zeros_like(arrays.get("b", arrays.get("b_hh", np.zeros(rows, layout.dtype))))
    b, second = (arrays.get(key, zeros) for key in ("b", "b_hh"))
    has_d = "d" in layout.kind.parameters._fields
    if is_keras and has_d:
        if b.shape == (rows,) and "b" in arrays:
            raise CheckError(f"{layer['b'].name}: the GRU was made with reset_after=False")
        b, second = b.reshape(2, -1) if b.size == 2 * rows else (b, zeros)
        theta |= {key: in_order_of_torch(array, m) for key, array in theta.items()}
        b, second = in_order_of_torch(b, m), in_order_of_torch(second, m)
    b, second = b.ravel(), second.ravel()
    if b.size != second.size:
        raise CheckError(f"two biases of different sizes: {b.size} and {second.size} numbers")
    if not has_d:
        return {**theta, "b": b + second}
    last = second[-m:].copy()
    b = np.concatenate([b[:-m] + second[:-m], b[-m:]])
    return {**theta, "b": b, "d": arrays["d"].ravel() if "d" in arrays else last}


def in_order_of_torch(array: Array, m: int) -> Array:
    """Return the stacked gates of a GRU, which are z r h in Keras, as r z n."""
    if array.shape[0] != 3 * m:
        return array
    return np.concatenate([array[m : 2 * m], array[:m], array[2 * m :]])


# ---------------------------------------------------------------- one vanilla layer


def layouts_in(found: SortedArrays) -> dict[Orientation, dict[str, Array]]:
    """Return W (m, m), U (m, K), V (K, m), b (m,), c (K,) in each layout that their shapes allow.

    Absent biases are zero. Raises CheckError if the network is not a vanilla one with one layer, if none
    has these shapes, and for numbers that are not finite.
    """
    parameters, known = found.parameters(), found.layout
    W = parameters["W"].array
    cell, layers = gates_of(W.shape), len(found.layers())
    if cell or layers > 1:
        what = f"{layers} {cell or 'vanilla'} layer{'s' * (layers > 1)}"
        raise CheckError(f"the network has {what}: only one vanilla layer is checked")
    square = [n for n in W.shape if n != 1]
    if W.size == 0 or len(square) not in (0, 2) or len(set(square)) > 1:
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


def states_in(
    contents: Contents, arrays: SortedArrays, layout: Layout, orientation: Orientation
) -> dict[str, Array]:
    """Return the states in a file by name, (m,) each; none unless h0, and of an LSTM c0, are there.

    In metadata they are (layers, m), in arrays of column layout (m, layers); of one layer also (m,).
    """
    m, L, of_letters = layout.m, layout.layers, {}
    for letter in layout.kind.states:
        name = f"{letter}0"
        named = arrays.by_role.get(Role("input", name), ())
        found = [columns(each.array, orientation) for each in named]
        if letter != "h" and name in contents.arrays:
            found.append(columns(contents.arrays[name], orientation))
        found = [array.T for array in found]
        with suppress(*DECODING_ERRORS), np.errstate(over="ignore"):
            found.append(np.array(json.loads(contents.metadata[name]), layout.dtype))
        for state in found:
            fits = state.size == m if L == 1 else state.shape == (L, m)
            if state.dtype.kind in "fiu" and fits and np.isfinite(state).all():
                of_letters[letter] = state.reshape(L, m)
                break
        else:
            return {}
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
