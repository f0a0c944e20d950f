"""How far two right programs may differ: by the rounding of their arithmetic, and how it grows.

Rounding is measured by Monte Carlo arithmetic: the right computation is repeated with each parameter and
each line's result changed at random by the precision's relative error. The tolerance of an array is that
of its largest entry. A hypothesis about the program has no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nbrnn.checks.equations import Arrays, Exercise, compute, noise
from nbrnn.typing import Array

EPS = {"float64": 2.0**-53, "float32": 2.0**-24}
FLOOR = {"float64": 1e-11, "float32": 2e-6}  # of the largest entry: what no program is blamed for
SAFETY = 30  # times the rounding that is seen: another program sums in another order
TRIALS = 3
ILL = 1e-2  # a tolerance above this share of the largest entry tells nothing


class Tolerances:
    """The largest differences that rounding explains, by precision and array, for a sum of losses."""

    def __init__(self, e: Exercise, own: Mapping[str, Array] | None = None) -> None:
        self.right = compute(e, own=own)
        self.parts = e, own
        self.known: dict[str, dict[str, float]] = {}

    def of(self, name: str, precision: str) -> float:
        """Return the tolerance of an array."""
        if precision not in self.known:
            seen = spread(*self.parts, self.right, EPS[precision])
            self.known[precision] = {
                key: SAFETY * seen[key] + FLOOR[precision] * largest(array)
                for key, array in self.right.items()
            }
        return self.known[precision][name]

    def is_ill(self, name: str, precision: str) -> bool:
        """Return whether rounding alone may change an array so much that it cannot be judged."""
        return not self.of(name, precision) <= ILL * largest(self.right[name]) < np.inf


def spread(e: Exercise, own: Mapping[str, Array] | None, right: Arrays, eps: float) -> dict[str, float]:
    """Return how far rounding by `eps` moves an entry of each array at most."""
    rng = np.random.default_rng(0)
    found = dict.fromkeys(right, 0.0)
    for _ in range(TRIALS):
        each = compute(e.perturbed(eps, rng), own=own, rounded=lambda a: a * noise(a, eps, rng))
        for name, array in each.items():
            found[name] = max(found[name], largest(array - right[name]))
    return found


def largest(array: Array) -> float:
    """Return the largest absolute value; infinite where one is not a number."""
    most = float(np.abs(array).max(initial=0.0))
    return most if np.isfinite(most) else np.inf


def is_single(array: Array) -> bool:
    """Return whether all numbers are those of float32, so that they were rounded to it."""
    if array.dtype in (np.float16, np.float32):
        return True
    with np.errstate(over="ignore"):
        return array.dtype.kind == "f" and bool((array == array.astype(np.float32)).all())
