"""The arrays of a user: read without trust, and in the shapes of the equations.

A program may store them in columns or in rows, x and y one-hot or as indices, and leave out axes of
length 1: each way that the shapes allow is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np

from nbrnn.checks.equations import BACKWARD, GRADIENTS, LINES, RIGHT, Exercise
from nbrnn.errors import CheckError
from nbrnn.exchange import array_files
from nbrnn.exchange.array_roles import SortedArrays
from nbrnn.exchange.layer_names import Named
from nbrnn.exchange.weights import layouts_in, oriented
from nbrnn.typing import Array

MAX_DEPTH = 20  # of dictionaries in dictionaries
MAX_NUMBERS = 2**27  # in the states and probabilities of all steps
ONE_HOT = -1
# How x and y are stored: as one-hot vectors, or as indices that count from 0, or from 1 as in MATLAB.
STORED = [(x, y) for x, y in product((ONE_HOT, 0, 1), repeat=2) if x == y or ONE_HOT in (x, y)]


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
                raise CheckError(
                    f"{name[:40]}... is nested over {MAX_DEPTH} deep: does a dictionary hold itself?"
                )
            arrays |= flat_arrays({f"{name}.{key}": item for key, item in value.items()})
            continue
        try:
            array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        except ValueError:  # a ragged list
            raise unreadable(f"check: {name}", str(name)) from None
        if array.dtype.kind == "O":
            raise unreadable(f"check: {name}", str(name))
        if array.dtype.kind not in "biufUS":  # numbers and texts
            raise CheckError(f"{name} holds no real numbers: {array.dtype}")
        arrays[str(name)] = array
    return arrays


# ---------------------------------------------------------------- the exercise


def exercises_of(found: SortedArrays) -> list[tuple[str, Exercise]]:
    """Return the layout and the exercise of a file in each way that its shapes allow.

    There is none in a file without inputs. Raises CheckError.
    """
    of_layouts = layouts_in(found)
    K, m = next(iter(of_layouts.values()))["V"].shape
    given = {  # one-hot vectors are larger than indices, and leave less to guess
        role.key: max(arrays, key=lambda named: named.array.size)
        for role, arrays in found.by_role.items()
        if role.kind == "input"
    }
    inputs = [name for name in "xy" if name in given]
    if not inputs:
        return []
    if len(inputs) == 1:
        raise CheckError(f"there is {inputs[0]}, but no {'y' if inputs == ['x'] else 'x'}: save both")
    windows = windows_of(given["x"], given["y"], given.get("h0"), m, K)
    return [
        (layout, Exercise(theta, *window)) for layout, theta in of_layouts.items() for window in windows
    ]


def has_single_parameters(found: SortedArrays) -> bool:
    """Return whether a program's parameters are of float32, or narrower."""
    return all(array.dtype in (np.float16, np.float32) for _, array in found.of("parameter").values())


def windows_of(
    x: Named, y: Named, state: Named | None, m: int, K: int
) -> list[tuple[Array, Array, Array]]:
    """Return X, Y (T, B, K) and h0 (B, m) in each way that their shapes allow. Raises CheckError."""
    refuse_unusable(x, y, state, m, K)
    windows = []
    for stored in STORED:
        for B in {1, *x.array.shape} if state is None else {max(1, state.array.size // m)}:
            X, Y = (characters(each.array, B, K, how) for each, how in zip((x, y), stored, strict=True))
            for one, other in product(X, Y):
                if one.shape == other.shape:
                    windows += [(one, other, h0) for h0 in initial_states(state, len(one), B, m)]
        if windows and state is None and stored == (ONE_HOT, ONE_HOT):
            break  # indices of few characters look like one-hot vectors: the state tells them apart
    if not windows:
        raise CheckError(reason_of_none(x, y, state, m, K))
    return windows


def characters(array: Array, B: int, K: int, stored: int) -> list[Array]:
    """Return B windows of characters as (T, B, K) in each way that shape and numbers allow."""
    if stored == ONE_HOT:
        ways = arranged(array, (array.size // (B * K), B, K)) if holds_bits(array) else ()
        return [np.asarray(way, float) for way in ways if (way.sum(-1) == 1).all()]
    if array.min() < stored or array.max() >= K + stored:
        return []
    ways = arranged(array - stored, (array.size // B, B))
    return [(way[..., np.newaxis] == np.arange(K)).astype(float) for way in ways]


def initial_states(state: Named | None, T: int, B: int, m: int) -> list[Array]:
    """Return h0 (B, m) in each way that its shape allows; 0 where it is missing."""
    if state is not None:
        return list(arranged(np.asarray(state.array, float), (B, m)))
    return [np.zeros((B, m))] if B == 1 or T > 1 else []  # a row of characters is one window


def arranged(array: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """Yield an array in each order of its axes that gives this shape; axes of length 1 do not count."""
    squeezed, wanted = np.squeeze(array), [n for n in shape if n != 1]
    if sorted(squeezed.shape) != sorted(wanted):  # it may have so many axes that the orders never end
        return
    for order in permutations(range(squeezed.ndim)):
        if [squeezed.shape[axis] for axis in order] == wanted:
            yield squeezed.transpose(order).reshape(shape)


def holds_bits(array: Array) -> bool:
    """Return whether all numbers are 0 or 1."""
    return bool(((array == 0) | (array == 1)).all())


# ---------------------------------------------------------------- why there is none


def number_of_characters(array: Array, K: int) -> int:
    """Return how many characters an array holds, as one-hot vectors or as indices."""
    is_one_hot = holds_bits(array) and array.sum() * K == array.size
    return array.size // K if is_one_hot else array.size


def refuse_unusable(x: Named, y: Named, state: Named | None, m: int, K: int) -> None:
    """Raise CheckError for numbers that cannot be inputs or a state, and for too many of them."""
    for name, array in (x, y):
        if array.size == 0 or not np.isfinite(array).all() or (array != np.floor(array)).any():
            raise CheckError(f"{name} holds numbers that are neither indices nor one-hot vectors")
        number = number_of_characters(array, K)
        if number * (m + K) > MAX_NUMBERS:
            raise CheckError(f"{name} has {number:,} characters, too many to check: save one window")
    if state is not None and not np.isfinite(state.array).all():
        raise CheckError(f"{state.name} has NaN or infinite numbers")


def reason_of_none(x: Named, y: Named, state: Named | None, m: int, K: int) -> str:
    """Return why inputs hold no window."""
    for name, array in (x, y):
        if array.min() < 0 or array.max() - array.min() >= K or array.max() > K:
            numbers = f"{array.min():g} to {array.max():g}"
            return f"{name} holds indices from {numbers}, but the network has {K} characters"
        if array.ndim >= 2 and K in array.shape and holds_bits(array):
            ones = array.sum(array.shape.index(K))
            if (ones != 1).any():
                return f"{name}: {(ones != 1).sum()} of {ones.size} vectors are not one-hot"
    in_x, in_y = (number_of_characters(each.array, K) for each in (x, y))
    if in_x != in_y:
        return f"x and y must be equally long, but x has {in_x} characters and y has {in_y}"
    if state is None:
        return f"{x.name} {x.array.shape} and {y.name} {y.array.shape} are not the same windows"
    return f"{state.name} {state.array.shape} is not a state of {m} units"


# ---------------------------------------------------------------- the answers


def answers_of(found: SortedArrays) -> dict[str, Named]:
    """Return each answer by its key, in the order of the equations."""
    gradients = found.of("numerical") | found.of("gradient")
    given = found.of("answer") | {f"d{key}": named for key, named in gradients.items()}
    return {key: Named(given[key].name, np.asarray(given[key].array)) for key in LINES if key in given}


def ways_of(key: str, array: Array, e: Exercise, layout: str) -> list[Array]:
    """Return what an array may be in the equations, by its shape: none if it has another."""
    T, B, K, m = e.sizes
    array = np.asarray(array, float)
    if key in GRADIENTS:
        way = oriented(key[1:], array, layout, m, K)
        return [] if way is None else [way]
    if key == "H":
        return list(states(array, e))
    shape = {"loss": (), "h_last": (B, m)}.get(key, (T, B, K if key[-1] in "OP" else m))
    ways = list(arranged(array, shape))
    return ways + [way[::-1] for way in ways if key in BACKWARD]  # kept as the loop goes: backwards


def states(array: Array, e: Exercise) -> Iterator[Array]:
    """Yield an array of states as h_0 to h_T in each way that its shape allows.

    A program may leave out h_0 or h_T, or keep h_0 last.
    """
    T, B, _, m = e.sizes
    first = e.h0[np.newaxis]
    for way in arranged(array, (T + 1, B, m)):
        yield way
        if np.allclose(way[-1], e.h0, rtol=1e-6):  # at index -1
            yield np.roll(way, 1, 0)
        if not way[-1].any():
            yield np.concatenate([first, way[:-1]])
    for way in arranged(array, (T, B, m)):
        yield np.concatenate([first, way])
        if np.allclose(way[0], e.h0, rtol=1e-6):
            yield np.concatenate([way, RIGHT.state(e, T, way)[np.newaxis]])
