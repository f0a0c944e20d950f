"""How far two right programs may differ: by the rounding of their arithmetic, and how it grows.

Rounding is measured by Monte Carlo arithmetic: the right computation is repeated with each parameter and
each line's result changed at random by the precision's relative error. The tolerance of an array is that
of its largest entry. A hypothesis about the program has no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nbrnn.checks.equations import RIGHT, Arrays, Exercise, compute
from nbrnn.typing import Array

EPS = {"float64": 2.0**-53, "float32": 2.0**-24}
FLOOR = {"float64": 1e-11, "float32": 2e-6}  # of the largest entry: what no program is blamed for
SAFETY = 30  # times the rounding that is seen: another program sums in another order
TRIALS = 3
ILL = 1e-2  # a tolerance above this share of the largest entry tells nothing


class Rounding:
    """Change numbers at random, as the rounding of a precision may change them."""

    def __init__(self, precision: str) -> None:
        self.eps, self.rng = EPS[precision], np.random.default_rng(0)

    def __call__(self, array: Array, size: Array | float | None = None) -> Array:
        """Return an array rounded as numbers of its own size, or of another."""
        error = self.eps * self.rng.standard_normal(array.shape)
        return np.asarray(array + error * (array if size is None else size))

    def all(self, arrays: Mapping[str, Array]) -> Arrays:
        """Return each array rounded."""
        return {name: self(array) for name, array in arrays.items()}


class Tolerances:
    """The largest differences that rounding explains, by precision and array, for a sum of losses."""

    def __init__(self, e: Exercise, own: Mapping[str, Array] | None = None) -> None:
        self.e, self.own = e, own
        self.right = compute(e, own=own)
        self.known: dict[str, dict[str, float]] = {}

    def of(self, name: str, precision: str) -> float:
        """Return the tolerance of an array."""
        if precision not in self.known:
            moved = spread(self.again, self.right, precision)
            self.known[precision] = {
                key: SAFETY * largest(moved[key]) + FLOOR[precision] * largest(array)
                for key, array in self.right.items()
            }
        return self.known[precision][name]

    def is_ill(self, name: str, precision: str) -> bool:
        """Return whether rounding alone may change an array so much that it cannot be judged."""
        return not self.of(name, precision) <= ILL * largest(self.right[name]) < np.inf

    def again(self, rounded: Rounding) -> Arrays:
        """Return the arrays as they are with rounding."""
        e = Exercise(rounded.all(self.e.theta), self.e.X, self.e.Y, rounded(self.e.h0))
        return compute(e, RIGHT, self.own, rounded)


def spread(again: Callable[[Rounding], Arrays], right: Arrays, precision: str) -> Arrays:
    """Return how far rounding moves each entry at most: `again` repeats the computation with it."""
    rounded, moved = Rounding(precision), {name: np.zeros_like(a) for name, a in right.items()}
    for _ in range(TRIALS):
        other = again(rounded)
        moved = {name: np.maximum(moved[name], np.abs(other[name] - right[name])) for name in right}
    return moved


def largest(array: Array) -> float:
    """Return the largest absolute value; infinite where one is not a number."""
    most = float(np.abs(array).max(initial=0.0))
    return most if np.isfinite(most) else np.inf


def distance(found: Array, right: Array) -> float:
    """Return the largest difference; infinite for another shape."""
    return largest(found - right) if found.shape == right.shape else np.inf


def is_single(array: Array) -> bool:
    """Return whether all numbers are those of float32, so that they were rounded to it."""
    if array.dtype in (np.float16, np.float32):
        return True
    with np.errstate(over="ignore"):
        return array.dtype.kind == "f" and bool((array == array.astype(np.float32)).all())
