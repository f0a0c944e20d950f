"""What did the program answer, in the shapes of the equations?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbrnn.checks.matching import error
from nbrnn.checks.problem import Reading, arranged
from nbrnn.exchange.names import Named, SortedArrays
from nbrnn.exchange.weights import oriented
from nbrnn.network.layout import NAMES, shapes
from nbrnn.typing import Array


@dataclass(frozen=True)
class Answer:
    """An array of the program: its name there, and all that its shape lets it be, as in the equations.

    `turned`: it is a gradient that has the shape of the transposed parameter.
    """

    name: str
    array: Array
    ways: tuple[Array, ...]
    turned: bool = False

    def error(self, right: Array, floor: float = 0.0) -> float:
        """Return how far the nearest of them is."""
        return min((error(way, part, floor) for way, part in self.beside(right)), default=np.inf)

    def beside(self, right: Array) -> Iterator[tuple[Array, Array]]:
        """Yield each with what it should be: of T states h_1 to h_T, or h_0 to h_{T-1}.

        Of T + 1 states all, or h_1 to h_T with a last one of zeros, which was never written.
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
        """Return the nearest with what it should be, None if no shape fits."""
        return min(self.beside(right), key=lambda pair: error(*pair), default=None)


def forward_answers(found: SortedArrays, reading: Reading) -> dict[str, Answer]:
    """Return states, logits, probabilities and loss."""
    if reading.problem is None:
        return {}
    T, B, K = reading.problem.X.shape
    m = reading.problem.h0.shape[1]
    states: list[tuple[int, ...]] = [(T + 1, B, m), (T, B, m)]
    wanted: dict[str, list[tuple[int, ...]]] = {
        "H": states,
        "O": [(T, B, K)],
        "P": [(T, B, K)],
        "h_last": [(B, m)],
        "loss": [()],
    }
    given = found.of("answer")
    answers = {}
    for key, shapes_ in dict[str, list[Any]](wanted).items():
        if key in given:
            array = np.asarray(given[key].array, float)
            ways = [way for shape in shapes_ for way in arranged(array, shape)]
            answers[key] = Answer(given[key].name, array, tuple(ways))
    return answers


def parameter_answers(given: dict[str, Named], layout: str, m: int, K: int) -> dict[str, Answer]:
    """Return gradients, or parameters after steps, in the order of the parameters."""
    answers = {}
    for name in NAMES:
        if name not in given:
            continue
        array = np.asarray(given[name].array, float)
        right = oriented(name, array, layout, m, K)
        other = oriented(name, array, "row" if layout == "column" else "column", m, K)
        if right is not None:
            answers[name] = Answer(given[name].name, array, (right,))
        elif other is not None and len(shapes(m, K)[name]) == 2:
            answers[name] = Answer(given[name].name, array, (other,), turned=True)
        else:
            answers[name] = Answer(given[name].name, array, (array.squeeze(),))
    return answers
