"""How near two arrays are, and what the rounding of float32 alone would make of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nbrnn.checks.problem import Problem
from nbrnn.checks.reference import forward, gradient, signals
from nbrnn.network.layout import NAMES
from nbrnn.typing import Array

FLOAT32 = 2.0**-24  # the relative error of rounding to float32, and to float64
FLOAT64 = 2.0**-53
SAFETY = 20  # times the rounding that we see: another program sums in another order
MIN_ERROR = 2e-6  # what float32 is granted anyway


def norm(array: Array) -> float:
    """Return the Euclidean norm of all elements."""
    return float(np.linalg.norm(array.ravel()))


def error(found: Array, right: Array, floor: float = 0.0) -> float:
    """Return ||found - right|| / ||right||; infinite where a number is not finite."""
    difference = norm(found - right)
    if not np.isfinite(difference):
        return np.inf
    return 0.0 if difference == 0 else difference / max(norm(right), floor, 1e-300)


@dataclass(frozen=True)
class Tolerance:
    """How far arrays may be from what is right: by the rounding of float32, and of float64."""

    single: float
    double: float

    @classmethod
    def of(cls, seen: float) -> Tolerance:
        """Return that for an array which float32 is seen to change by so much."""
        single = max(MIN_ERROR, SAFETY * seen)
        return cls(single, max(1e-11, single * FLOAT64 / FLOAT32 * 10))


def tolerances(problem: Problem) -> dict[str, Tolerance]:
    """Return what rounding does to each answer, and to each gradient.

    By what the computation gives in float32, and with parameters that are a little off.
    """
    right = right_arrays(problem)
    rng = np.random.default_rng(0)
    others = [right_arrays(problem.astype(np.float32))]
    for _ in range(2):
        theta = {
            name: array * (1 + 2 * FLOAT32 * rng.standard_normal(array.shape))
            for name, array in problem.theta.items()
        }
        others.append(right_arrays(replace(problem, theta=theta)))
    total = norm(np.array([norm(right[name]) for name in NAMES]))
    floors = {name: total * 1e-3 if name in NAMES else 0.0 for name in right}
    seen = {name: [error(each[name], right[name], floors[name]) for each in others] for name in right}
    return {name: Tolerance.of(max(filter(np.isfinite, seen[name]), default=0.0)) for name in right}


def right_arrays(problem: Problem) -> dict[str, Array]:
    """Return all answers and gradients by name."""
    at = forward(problem)
    back = signals(problem, at)
    gradients = {name: gradient(name, problem, at, back) for name in NAMES}
    return at.answers | {name: array for name, array in gradients.items() if array is not None}
