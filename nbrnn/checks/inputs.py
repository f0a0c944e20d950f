"""The computation that a file is about: its parameters, characters and state, by their shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


def readings(found: SortedArrays) -> list[Reading]:
    """Return all ways to understand the inputs of a file by their shapes. Raises CheckError."""
    of_layouts = layouts_in(found)
    K, m = next(iter(of_layouts.values()))["V"].shape
    x, y = (found.by_role.get(Role("input", name), []) for name in "xy")
    if not x and not y:
        return [Reading(layout, theta) for layout, theta in of_layouts.items()]
    if not x or not y:
        raise CheckError(f"there is {'x' if x else 'y'}, but no {'y' if x else 'x'}: save both")
    windows = windows_of(as_floats(x), as_floats(y), found.of("input").get("h0"), m, K)
    return [
        Reading(layout, theta, Exercise(theta, *window))
        for layout, theta in of_layouts.items()
        for window in windows
    ]


def as_floats(arrays: Iterable[Named]) -> list[Named]:
    """Return arrays in float64."""
    return [Named(name, np.asarray(array, float)) for name, array in arrays]


def windows_of(
    x: list[Named], y: list[Named], state: Named | None, m: int, K: int
) -> list[tuple[Array, Array, Array]]:
    """Return X, Y (T, B, K) and h0 (B, m) in each way that their shapes allow. Raises CheckError.

    x and y may be there twice, as indices and one-hot, which must agree.
    """
    refuse_unusable(x + y, state, m, K)
    B = None if state is None else state.array.size // m
    windows = []
    for vectors in (True, False):
        # Indices of few characters may look like one-hot vectors, and are both where the state fits.
        if not vectors and not (B and all(from_one_hot(array, K) for _, array in x + y)):
            break
        for start in index_starts(x + y, K):
            X, Y = (agreeing(given, K, start, B, vectors) for given in (x, y))
            windows += [
                (one, other, h0)
                for one in X
                for other in Y
                if one.shape == other.shape
                for h0 in initial_states(state, one.shape[0], one.shape[1], m)
            ]
    if not windows:
        raise CheckError(reason_of_none(x, y, state, m, K))
    return windows


def initial_states(state: Named | None, T: int, B: int, m: int) -> Iterator[Array]:
    """Yield h0 (B, m) in each way that its shape allows; 0 where it is missing."""
    if state is not None:
        yield from arranged(np.asarray(state.array, float), (B, m))
    elif B == 1 or T > 1:  # a row of characters is one window, unless there is a state for each
        yield np.zeros((B, m))


def agreeing(given: list[Named], K: int, start: int, B: int | None, vectors: bool) -> list[Array]:
    """Return characters as X (T, B, K) in each way on which all arrays agree that hold them.

    Without `vectors`, what may be one-hot vectors is taken for indices.
    """
    first, *others = [
        (vectors and from_one_hot(array, K)) or from_indices(array, K, start, B) for _, array in given
    ]
    return [X for X in first if all(any(np.array_equal(X, Z) for Z in ways) for ways in others)]


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


def from_indices(array: Array, K: int, start: int, B: int | None) -> list[Array]:
    """Return indices that count from `start` as one-hot vectors (T, B, K); none if they are none."""
    codes = array.squeeze() - start
    if array.size == 0 or codes.ndim > 2 or codes.min() < 0 or codes.max() >= K:
        return []
    orders = both_orders(codes if codes.ndim == 2 else codes.reshape(-1, 1))
    return [
        (each[..., np.newaxis] == np.arange(K)).astype(float)
        for each in orders
        if B in (None, each.shape[1])  # others would be large for nothing
    ]


def both_orders(array: Array) -> list[Array]:
    """Return an array with its first two axes in both orders, the one with more steps first."""
    return sorted([array, array.swapaxes(0, 1)], key=lambda each: len(each) == 1)


def arranged(array: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """Yield an array in each order of its axes that gives this shape; axes of length 1 do not count."""
    squeezed, wanted = np.squeeze(array), [n for n in shape if n != 1]
    if sorted(squeezed.shape) != sorted(wanted):
        return
    for order in permutations(range(squeezed.ndim)):
        if [squeezed.shape[axis] for axis in order] == wanted:
            yield squeezed.transpose(order).reshape(shape)


def index_starts(inputs: list[Named], K: int) -> list[int]:
    """Return from which number indices may count: from 1 in MATLAB, where 0 is none and K is one."""
    indices = [array for _, array in inputs if array.size and not from_one_hot(array, K)]
    if not indices or min(array.min() for array in indices) <= 0:
        return [0]
    return [1] if max(array.max() for array in indices) >= K else [0, 1]


# ---------------------------------------------------------------- refusals


def characters_in(array: Array, K: int) -> int:
    """Return how many characters an array holds."""
    return array.size // (K if from_one_hot(array, K) else 1)


def refuse_unusable(inputs: list[Named], state: Named | None, m: int, K: int) -> None:
    """Raise CheckError for numbers that cannot be inputs or a state, and for too many of them."""
    for name, array in inputs:
        if not np.isfinite(array).all() or (array != np.floor(array)).any():
            raise CheckError(f"{name} holds numbers that are neither indices nor one-hot vectors")
        characters = characters_in(array, K)
        if characters * (m + K) > MAX_NUMBERS:
            raise CheckError(f"{name} has {characters:,} characters, too many to check: save one window")
    if state is not None and not np.isfinite(state.array).all():
        raise CheckError(f"{state.name} holds numbers that are not finite")


def reason_of_none(x: list[Named], y: list[Named], state: Named | None, m: int, K: int) -> str:
    """Return why no window is in the inputs."""
    for name, array in x + y:
        if array.size == 0 or (array.squeeze().ndim > 2 and not from_one_hot(array, K)):
            return f"{name} {array.shape} holds neither indices nor one-hot vectors of {K}"
        if array.min() < 0 or array.max() > K or (array.min() == 0 and array.max() == K):
            numbers = f"{array.min():g} to {array.max():g}"
            return f"{name} holds indices from {numbers}, but c has {K} characters"
        if array.ndim == 2 and K in array.shape and ((array == 0) | (array == 1)).all():
            ones = array.sum(array.shape.index(K))
            if (ones != 1).any():
                return f"{name}: {(ones != 1).sum()} of {ones.size} vectors are not one-hot"
    counts = [characters_in(given[0].array, K) for given in (x, y)]
    if counts[0] != counts[1]:
        return f"x has {counts[0]} characters, y has {counts[1]}"
    if len(x + y) > 2:
        return "the indices and the one-hot vectors are not the same characters"
    assert state is not None
    return f"{state.name} {state.array.shape} is not a state of {m} units"
