"""The arrays that a program answers with, brought into the shapes of the equations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nbrnn.checks.equations import GRADIENTS, LINES, RIGHT, Exercise
from nbrnn.checks.inputs import arranged
from nbrnn.exchange.names import SortedArrays
from nbrnn.exchange.weights import oriented
from nbrnn.typing import Array


def answers_of(found: SortedArrays) -> dict[str, tuple[str, Array]]:
    """Return the name and the array of each answer by its key, in the order of the equations."""
    given = dict(found.of("answer"))
    given |= {f"d{key}": named for key, named in found.of("gradient").items()}
    return {key: (given[key].name, np.asarray(given[key].array)) for key in LINES if key in given}


def ways_of(key: str, array: Array, e: Exercise, layout: str) -> list[Array]:
    """Return what an array may be in the equations, by its shape: none if it has another.

    States become h_0 to h_T: a program may leave out h_0 or h_T, or keep h_0 last.
    """
    T, B, K, m = e.sizes
    array = np.asarray(array, float)
    if key in GRADIENTS:
        way = oriented(key[1:], array, layout, m, K)
        return [] if way is None else [way]
    if key == "loss":
        return [array.reshape(())] if array.size == 1 else []
    if key == "h_last":
        return list(arranged(array, (B, m)))
    if key == "H":
        return list(states(array, e))
    series = list(arranged(array, (T, B, K if key in ("O", "P", "dO") else m)))
    backwards = [way[::-1] for way in series] if key in ("dO", "dH", "dA") else []
    return series + backwards


def states(array: Array, e: Exercise) -> Iterator[Array]:
    """Yield an array of states as h_0 to h_T in each way that its shape allows."""
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


def transposed(key: str, array: Array, e: Exercise, layout: str) -> bool:
    """Return whether a gradient has the shape of its transpose."""
    other = "row" if layout == "column" else "column"
    return key in GRADIENTS and oriented(key[1:], np.asarray(array), other, *e.sizes[:1:-1]) is not None


UNITS = {"H": "unit", "dH": "unit", "dA": "unit", "O": "character", "P": "character", "dO": "character"}


def where(key: str, found: Array, right: Array, tolerance: float) -> str:
    """Return in words where an array differs, and by how much."""
    if found.ndim == 0:
        return apart(float(found), float(right))
    off = np.abs(found - right)
    off[~np.isfinite(off)] = np.inf
    if found.ndim == 3:
        steps = np.flatnonzero((off > tolerance).any((1, 2)))
        t = int(steps[0]) if steps.size else int(np.argmax(off.max((1, 2))))
        b, unit = np.unravel_index(int(np.argmax(off[t])), off.shape[1:])
        which = f" of window {b + 1}" if found.shape[1] > 1 else ""
        only = " alone" if steps.size == 1 and len(found) > 1 else ""
        step = t + (key != "H")
        numbers = apart(float(found[t, b, unit]), float(right[t, b, unit]))
        return f"first at step {step}{only}{which}: {UNITS[key]} {unit + 1} is {numbers}"
    place = np.unravel_index(int(np.argmax(off)), off.shape)
    numbers = apart(float(found[place]), float(right[place]))
    most = f"most at ({', '.join(str(int(i) + 1) for i in place)}): {numbers}"
    wrong = off > tolerance
    for axis, word in ((1, "row"), (0, "column")) if found.ndim == 2 else ():
        lines = np.flatnonzero(wrong.any(axis)) + 1
        if 0 < lines.size <= max(1, wrong.shape[1 - axis] // 4):
            listed = ", ".join(map(str, lines[:5])) + (", ..." if lines.size > 5 else "")
            return f"only in {word}{'s' * (lines.size > 1)} {listed}; {most}"
    return most


def apart(found: float, right: float) -> str:
    """Return in words that one number stands for another, with the digits in which they differ."""
    for digits in range(6, 18):
        a, b = f"{found:.{digits}g}", f"{right:.{digits}g}"
        if a != b:
            break
    return f"{a} instead of {b}"
