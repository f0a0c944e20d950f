"""The answers of a program in the shapes of the equations, and where they begin to differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nbrnn.checks.problem import Reading, arranged
from nbrnn.checks.tolerances import error
from nbrnn.exchange.names import Named, SortedArrays
from nbrnn.exchange.weights import oriented
from nbrnn.network.layout import NAMES
from nbrnn.typing import Array


@dataclass(frozen=True)
class Answer:
    """An array of the program, and `ways`: what it may be in the equations, by its shape.

    `is_transposed`: a gradient has the shape of the transposed parameter.
    """

    name: str
    array: Array
    ways: tuple[Array, ...]
    is_transposed: bool = False

    def error(self, right: Array, floor: float = 0.0) -> float:
        """Return the smallest error of all ways."""
        return min((error(way, part, floor) for way, part in self.beside(right)), default=np.inf)

    def beside(self, right: Array) -> Iterator[tuple[Array, Array]]:
        """Yield each way with what it should be.

        T states are h_1 to h_T, or h_0 to h_{T-1}; T + 1 are all, or h_1 to h_T if the last is zero.
        """
        for way in self.ways:
            if way.shape == right.shape:
                yield way, right
                if right.ndim == 3 and len(way) > 1 and not way[-1].any():
                    yield way[:-1], right[1:]
            elif right.ndim == 3 and len(way) == len(right) - 1:
                yield way, right[1:]
                yield way, right[:-1]

    def nearest(self, right: Array) -> tuple[Array, Array] | None:
        """Return the nearest way with what it should be, None if no shape fits."""
        return min(self.beside(right), key=lambda pair: error(*pair), default=None)


def forward_answers(found: SortedArrays, reading: Reading) -> dict[str, Answer]:
    """Return states, logits, probabilities and loss."""
    if reading.problem is None:
        return {}
    T, B, K = reading.problem.X.shape
    m = reading.problem.h0.shape[1]
    shapes: dict[str, list[tuple[int, ...]]] = {
        "H": [(T + 1, B, m), (T, B, m)],
        "O": [(T, B, K)],
        "P": [(T, B, K)],
        "h_last": [(B, m)],
        "loss": [()],
    }
    given = found.of("answer")
    answers = {}
    for key, possible in shapes.items():
        if key in given:
            array = np.asarray(given[key].array, float)
            ways = [way for shape in possible for way in arranged(array, shape)]
            answers[key] = Answer(given[key].name, array, tuple(ways))
    return answers


def parameter_answers(given: Mapping[str, Named], reading: Reading) -> dict[str, Answer]:
    """Return gradients, or parameters after steps, in the order of the parameters."""
    m, K = reading.theta["U"].shape
    answers = {}
    for name in NAMES:
        if name in given:
            array = np.asarray(given[name].array, float)
            right = oriented(name, array, reading.layout, m, K)
            other = oriented(name, array, "row" if reading.layout == "column" else "column", m, K)
            nearest = other if right is None else right
            ways = (array.squeeze() if nearest is None else nearest,)
            is_transposed = right is None and other is not None
            answers[name] = Answer(given[name].name, array, ways, is_transposed)
    return answers


UNITS = {"H": "unit", "h_last": "unit", "O": "character", "P": "character"}


def where_answer_differs(key: str, answer: Answer, expected: Array, tolerance: float) -> str:
    """Return in words where an answer of the forward pass begins to differ."""
    pair = answer.nearest(expected)
    if pair is None:
        return f"{answer.name} has the shape {answer.array.shape}, here it should be {expected.shape}"
    found, right = pair
    if key == "loss":
        return f"{answer.name} is {apart(float(found), float(right))}"
    if found.ndim == 2:
        return f"{answer.name} differs, {where_array_differs(found, right, tolerance)}"
    t, b, unit = first_difference(found, right, tolerance)
    step = t + (key != "H" or len(right) < len(expected))
    window = f" of window {b + 1}" if right.shape[1] > 1 else ""
    numbers = apart(found[t, b, unit], right[t, b, unit])
    return f"{answer.name} differs from step {step} on{window}: {UNITS[key]} {unit + 1} is {numbers}"


def first_difference(found: Array, right: Array, tolerance: float) -> Sequence[int]:
    """Return the index of the first element, by the first axis, that is off; of these the furthest."""
    off = np.abs(found - right)
    off[~np.isfinite(off)] = np.inf
    limit = max(tolerance * float(np.abs(right).max()), 1e-300)
    steps = np.flatnonzero((off.reshape(len(off), -1) > limit).any(1))
    t = int(steps[0]) if steps.size else int(np.argmax(off.reshape(len(off), -1).max(1)))
    rest = np.unravel_index(int(np.argmax(off[t])), off.shape[1:])
    return [t, *(int(index) for index in rest)]


def where_array_differs(found: Array, right: Array, tolerance: float) -> str:
    """Return in words where a matrix or a vector differs, and by how much."""
    off = np.abs(found - right)
    off[~np.isfinite(off)] = np.inf
    wrong = off > tolerance * max(float(np.abs(right).max()), 1e-300)
    place = np.unravel_index(int(np.argmax(off)), off.shape)
    index = ", ".join(str(int(i) + 1) for i in place)
    largest = f"most at ({index}): {apart(float(found[place]), float(right[place]))}"
    if right.ndim == 2:
        for axis, word in ((1, "row"), (0, "column")):
            lines = np.flatnonzero(wrong.any(axis)) + 1
            if 0 < lines.size <= max(1, wrong.shape[1 - axis] // 4):
                listed = ", ".join(map(str, lines[:5])) + (", ..." if lines.size > 5 else "")
                return f"only in {word}{'s' * (lines.size > 1)} {listed}; {largest}"
    return largest


def apart(found: float, right: float) -> str:
    """Return in words that one number stands for another, with the digits in which they differ."""
    for digits in range(6, 18):
        a, b = f"{found:.{digits}g}", f"{right:.{digits}g}"
        if a != b:
            break
    return f"{a} instead of {b}"
