"""The arrays that a program answers with, brought into the shapes of the equations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nbrnn.checks.equations import BACKWARD, GRADIENTS, LINES, RIGHT, Exercise
from nbrnn.checks.inputs import arranged
from nbrnn.exchange.layer_names import Named
from nbrnn.exchange.names import SortedArrays
from nbrnn.exchange.weights import oriented
from nbrnn.typing import Array


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


def where(key: str, found: Array, right: Array, tolerance: float) -> str:
    """Return in words where an array differs, and by how much."""
    if found.ndim == 0:
        return apart(found, right)
    off = np.abs(found - right)
    off[~np.isfinite(off)] = np.inf
    wrong = off > tolerance
    if found.ndim == 3:
        steps = np.flatnonzero(wrong.any((1, 2)))
        t = int(steps[0]) if steps.size else int(np.argmax(off.max((1, 2))))
        b, n = np.unravel_index(int(np.argmax(off[t])), off.shape[1:])
        which = f" of window {b + 1}" if found.shape[1] > 1 else ""
        only = " alone" if steps.size == 1 and len(found) > 1 else ""
        unit = "character" if key[-1] in "OP" else "unit"
        numbers = apart(found[t, b, n], right[t, b, n])
        return f"first at step {t + (key != 'H')}{only}{which}: {unit} {n + 1} is {numbers}"
    place = np.unravel_index(int(np.argmax(off)), off.shape)
    numbers = apart(found[place], right[place])
    most = f"most at ({', '.join(str(int(i) + 1) for i in place)}): {numbers}"
    for axis, word in ((1, "row"), (0, "column")) if found.ndim == 2 else ():
        lines = np.flatnonzero(wrong.any(axis)) + 1
        if 0 < lines.size <= max(1, wrong.shape[1 - axis] // 4):
            listed = ", ".join(map(str, lines[:5])) + (", ..." if lines.size > 5 else "")
            return f"only in {word}{'s' * (lines.size > 1)} {listed}; {most}"
    return most


def apart(found: Array | float, right: Array | float) -> str:
    """Return in words that one number stands for another, with the digits in which they differ."""
    for digits in range(6, 18):
        a, b = f"{float(found):.{digits}g}", f"{float(right):.{digits}g}"
        if a != b:
            break
    return f"{a} instead of {b}"
