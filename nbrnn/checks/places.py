"""Where does an array begin to differ from what it should be?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nbrnn.checks.answers import Answer
from nbrnn.typing import Array

UNITS = {"H": "unit", "h_last": "unit", "O": "character", "P": "character"}


def of_answer(key: str, answer: Answer, expected: Array, tolerance: float) -> str:
    """Return in words where an answer of the forward pass begins to differ."""
    pair = answer.nearest(expected)
    if pair is None:
        return f"{answer.name} has the shape {answer.array.shape}, here it should be {expected.shape}"
    found, right = pair
    if key == "loss":
        return f"{answer.name} is {float(found):.6g}, it should be {float(right):.6g}"
    if found.ndim == 2:
        return f"{answer.name} differs, {where_in(found, right, tolerance)}"
    t, b, unit = first_difference(found, right, tolerance)
    step = t + (key != "H" or len(right) < len(expected))
    window = f" of window {b + 1}" if right.shape[1] > 1 else ""
    said = f"{found[t, b, unit]:.6g} instead of {right[t, b, unit]:.6g}"
    return f"{answer.name} differs from step {step} on{window}: {UNITS[key]} {unit + 1} is {said}"


def first_difference(found: Array, right: Array, tolerance: float) -> Sequence[int]:
    """Return the index of the first element, by the first axis, that is off; of these the furthest."""
    off = np.abs(found - right)
    off[~np.isfinite(off)] = np.inf
    limit = max(tolerance * float(np.abs(right).max()), 1e-300)
    steps = np.flatnonzero((off.reshape(len(off), -1) > limit).any(1))
    t = int(steps[0]) if steps.size else int(np.argmax(off.reshape(len(off), -1).max(1)))
    rest = np.unravel_index(int(np.argmax(off[t])), off.shape[1:])
    return [t, *(int(index) for index in rest)]


def where_in(found: Array, right: Array, tolerance: float) -> str:
    """Return in words where a matrix or a vector differs, and by how much."""
    off = np.abs(found - right)
    off[~np.isfinite(off)] = np.inf
    wrong = off > tolerance * max(float(np.abs(right).max()), 1e-300)
    place = np.unravel_index(int(np.argmax(off)), off.shape)
    index = ", ".join(str(int(i) + 1) for i in place)
    said = f"most at ({index}): {float(found[place]):.6g} instead of {float(right[place]):.6g}"
    if right.ndim == 2:
        for axis, word in ((1, "row"), (0, "column")):
            lines = np.flatnonzero(wrong.any(axis)) + 1
            if 0 < lines.size <= max(1, wrong.shape[1 - axis] // 4):
                listed = ", ".join(map(str, lines[:5])) + (", ..." if lines.size > 5 else "")
                return f"only in {word}{'s' * (lines.size > 1)} {listed}; {said}"
    return said
