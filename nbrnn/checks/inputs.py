"""The computation that a file is about: its parameters, characters and state, by their shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np

from nbrnn.checks.equations import Exercise
from nbrnn.errors import CheckError
from nbrnn.exchange.layer_names import Named
from nbrnn.exchange.names import Role, SortedArrays
from nbrnn.exchange.weights import layouts_in
from nbrnn.typing import Array

MAX_NUMBERS = 2**27  # in the states and probabilities of all steps


@dataclass(frozen=True)
class Reading:
    """One way to understand a file: the layout of its parameters, and the exercise.

    `exercise` is None where the file has no inputs: then only steps can be checked. A file of series
    alone has no parameters either.
    """

    layout: str = ""
    theta: dict[str, Array] = field(default_factory=dict)
    exercise: Exercise | None = None


def arranged(array: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """Yield an array in each order of its axes that gives this shape; axes of length 1 do not count."""
    squeezed, wanted = np.squeeze(array), [n for n in shape if n != 1]
    if sorted(squeezed.shape) != sorted(wanted):
        return
    for order in permutations(range(squeezed.ndim)):
        if [squeezed.shape[axis] for axis in order] == wanted:
            yield squeezed.transpose(order).reshape(shape)


def readings(found: SortedArrays) -> list[Reading]:
    """Return all ways to understand the inputs of a file by their shapes. Raises CheckError."""
    of_layouts = layouts_in(found)
    K, m = next(iter(of_layouts.values()))["V"].shape
    inputs = [name for name in "xy" if Role("input", name) in found.by_role]
    if not inputs:
        return [Reading(layout, theta, None) for layout, theta in of_layouts.items()]
    if len(inputs) == 1:
        other = "y" if inputs == ["x"] else "x"
        raise CheckError(f"there is {inputs[0]}, but no {other}: save both")
    windows = list(windows_of(found, m, K))
    return [
        Reading(layout, theta, Exercise(theta, X, Y, h0))
        for layout, theta in of_layouts.items()
        for X, Y, h0 in windows
    ]


def windows_of(found: SortedArrays, m: int, K: int) -> Iterator[tuple[Array, Array, Array]]:
    """Yield X, Y (T, B, K) and h0 (B, m) in each way that their shapes allow. Raises CheckError."""
    given = {name: found.by_role[Role("input", name)] for name in "xy"}
    inputs = [Named(name, np.asarray(array, float)) for name, array in given["x"] + given["y"]]
    state = found.of("input").get("h0")
    refuse_unusable(inputs, state, m, K)
    pairs: list[tuple[Array, Array]] = []
    fitting: list[tuple[Array, Array]] = []
    for vectors in (True, False):  # of few characters indices may look like one-hot vectors
        if fitting and (state is None or not all(is_ambiguous(array, K) for _, array in inputs)):
            break
        pairs = [
            (X, Y)
            for start in index_starts([array for _, array in inputs], K)
            for X in one_hot_of(given["x"], K, start, vectors)
            for Y in one_hot_of(given["y"], K, start, vectors)
        ] or pairs
        fitting += [(X, Y) for X, Y in pairs if X.shape == Y.shape]
    if not pairs:
        names = " and ".join(name for name, _ in inputs)
        raise CheckError(f"{names}: the indices and the one-hot vectors are not the same characters")
    if not fitting:
        X, Y = pairs[0]
        raise CheckError(f"x has {X.size // K} characters, y has {Y.size // K}")
    fits = False
    for X, Y in fitting:
        shape = (X.shape[1], m)
        if state is None and shape[0] > len(X) == 1:
            continue  # a row of characters is one window, unless there is a state for each
        for h0 in [np.zeros(shape)] if state is None else arranged(state.array, shape):
            fits = True
            yield X, Y, np.asarray(h0, float)
    if not fits and state is not None:
        for name, array in inputs:
            refuse_broken_vectors(name, array, K)
        raise CheckError(f"{state.name} {state.array.shape} is not a state of {m} units")


def refuse_unusable(inputs: list[Named], state: Named | None, m: int, K: int) -> None:
    """Raise CheckError for numbers that cannot be inputs or a state, and for too many of them."""
    for name, array in inputs:
        if not np.isfinite(array).all() or (array != np.floor(array)).any():
            raise CheckError(f"{name} holds numbers that are neither indices nor one-hot vectors")
        characters = array.size // (K if from_one_hot(array, K) else 1)
        if characters * (m + K) > MAX_NUMBERS:
            raise CheckError(f"{name} has {characters:,} characters, too many to check: save one window")
    if state is not None and not np.isfinite(state.array).all():
        raise CheckError(f"{state.name} holds numbers that are not finite")


def is_ambiguous(array: Array, K: int) -> bool:
    """Return whether an array may be one-hot vectors by its numbers, and also indices by its shape."""
    return array.squeeze().ndim <= 2 and bool(from_one_hot(array, K))


def index_starts(arrays: list[Array], K: int) -> list[int]:
    """Return from which number indices may count: from 1 in MATLAB, where 0 is none and K is one."""
    indices = [array for array in arrays if array.size and not from_one_hot(array, K)]
    if not indices or min(array.min() for array in indices) <= 0:
        return [0]
    return [1] if max(array.max() for array in indices) >= K else [0, 1]


def one_hot_of(given: list[Named], K: int, start: int, vectors: bool) -> list[Array]:
    """Return characters as X (T, B, K), in each way that the shape of indices or one-hot vectors allows.

    Without `vectors`, for arrays all of 0 and 1, what may be one-hot vectors is taken for indices.
    Given both ways they must agree: there are none if they do not. Raises CheckError.
    """
    ways: list[list[Array]] = []
    for name, values in given:
        array = np.asarray(values, float)
        one_hot = from_one_hot(array, K) if vectors else []
        ways.append(one_hot or from_indices(name, array, K, start))
    return [X for X in ways[0] if all(any(np.array_equal(X, Z) for Z in way) for way in ways[1:])]


def refuse_broken_vectors(name: str, array: Array, K: int) -> None:
    """Raise CheckError for vectors of 0 and 1 some of which have not just one 1."""
    if array.ndim == 2 and K in array.shape and ((array == 0) | (array == 1)).all():
        ones = array.sum(array.shape.index(K))
        if (ones != 1).any():
            raise CheckError(f"{name}: {(ones != 1).sum()} of {ones.size} vectors are not one-hot")


def from_one_hot(array: Array, K: int) -> list[Array]:
    """Return one-hot vectors as (T, B, K) in each way that fits; none if there is no axis of them."""
    while array.ndim > 3 and 1 in array.shape:
        array = array.squeeze(array.shape.index(1))
    if array.ndim not in (2, 3) or ((array != 0) & (array != 1)).any():
        return []
    found = []
    for axis in range(array.ndim):
        if array.shape[axis] == K and (array.sum(axis) == 1).all():
            rest = np.moveaxis(array, axis, -1)
            found += both_orders(rest.reshape(-1, 1, K) if rest.ndim == 2 else rest)
    return found


def both_orders(array: Array) -> list[Array]:
    """Return an array with its first two axes in both orders, the one with more steps first."""
    return sorted([array, array.swapaxes(0, 1)], key=lambda each: len(each) == 1)


def from_indices(name: str, array: Array, K: int, start: int) -> list[Array]:
    """Return indices that count from `start` as one-hot vectors (T, B, K). Raises CheckError."""
    codes = array.squeeze() - start
    if array.size == 0 or codes.ndim > 2:
        raise CheckError(f"{name} {array.shape} holds neither indices nor one-hot vectors of {K}")
    if codes.min() < 0 or codes.max() >= K:
        numbers = f"{array.min():g} to {array.max():g}"
        raise CheckError(f"{name} holds indices from {numbers}, but c has {K} characters")
    codes = codes if codes.ndim == 2 else codes.reshape(-1, 1)
    return both_orders((codes[..., np.newaxis] == np.arange(K)).astype(float))
