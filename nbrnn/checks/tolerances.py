"""How far two right programs may differ: by the rounding of their arithmetic, and how it grows.

Rounding is measured by Monte Carlo arithmetic: the right computation is repeated with each parameter and
each line's result changed at random by the precision's relative error. The tolerance of an array is that
of its largest entry. A hypothesis about the program has no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nbrnn.checks.equations import Arrays, Exercise, compute
from nbrnn.typing import Array

EPS = {"float64": 2.0**-53, "float32": 2.0**-24}
FLOOR = {"float64": 1e-11, "float32": 2e-6}  # of the largest entry: what no program is blamed for
SAFETY = 30  # times the rounding that is seen: another program sums in another order
TRIALS = 3
ILL = 1e-2  # a tolerance above this share of the largest entry tells nothing


class Tolerances:
    """The largest differences that rounding explains, by precision and array, for a sum of losses."""

    def __init__(self, e: Exercise, own: Mapping[str, Array] | None = None) -> None:
        self.e, self.own = e, own
        self.right = compute(e, own=own)
        self.known: dict[str, dict[str, float]] = {}

    def of(self, name: str, precision: str) -> float:
        """Return the tolerance of an array."""
        if precision not in self.known:
            moved = self.moved(EPS[precision])
            self.known[precision] = {
                key: SAFETY * moved[key] + FLOOR[precision] * largest(array)
                for key, array in self.right.items()
            }
        return self.known[precision][name]

    def is_ill(self, name: str, precision: str) -> bool:
        """Return whether rounding alone may change an array so much that it cannot be judged."""
        return not self.of(name, precision) <= ILL * largest(self.right[name]) < np.inf

    def moved(self, eps: float) -> dict[str, float]:
        """Return how far rounding by `eps` moves an entry of each array at most."""
        rng, e = np.random.default_rng(0), self.e
        moved = dict.fromkeys(self.right, 0.0)
        for _ in range(TRIALS):
            theta = perturbed(e.theta, eps, rng)
            other = Exercise(theta, e.X, e.Y, e.h0 * noise(e.h0, eps, rng))
            each = compute(other, own=self.own, rounded=lambda a: a * noise(a, eps, rng))
            for name, array in each.items():
                moved[name] = max(moved[name], largest(array - self.right[name]))
        return moved


def noise(array: Array, eps: float, rng: np.random.Generator) -> Array:
    """Return factors near 1, of the array's shape."""
    return 1 + eps * rng.standard_normal(array.shape)


def perturbed(arrays: Mapping[str, Array], eps: float, rng: np.random.Generator) -> Arrays:
    """Return arrays with each number changed by about `eps`, relatively."""
    return {name: array * noise(array, eps, rng) for name, array in arrays.items()}


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
