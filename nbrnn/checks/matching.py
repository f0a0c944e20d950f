"""How near are two arrays, what would float32 alone make of them, and is one a multiple of the other?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nbrnn.checks.problem import Problem
from nbrnn.checks.reference import forward, gradient, signals
from nbrnn.network.params import NAMES, Array

FLOAT32 = 2.0**-24  # the relative error of rounding to float32, and to float64
FLOAT64 = 2.0**-53
SAFETY = 20  # times the rounding that we see: another program sums in another order
LEAST = 2e-6  # what float32 is granted anyway
ROUND = (
    0.01,
    0.1,
    0.25,
    0.5,
    1,
    2,
    2.5,
    3,
    4,
    5,
    10,
    15,
    20,
    25,
    50,
    100,
)  # thresholds that people choose


def norm(array: Array) -> float:
    """Return the Euclidean norm of all elements."""
    return float(np.linalg.norm(array.ravel()))


def error(found: Array, right: Array, floor: float = 0.0) -> float:
    """Return ||found - right|| / ||right||; infinite where a number is not finite."""
    with np.errstate(all="ignore"):
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
        single = max(LEAST, SAFETY * seen)
        return cls(single, max(1e-11, single * FLOAT64 / FLOAT32 * 10))


def tolerances(problem: Problem) -> dict[str, Tolerance]:
    """Return what rounding does to each answer, and to each gradient.

    By what the computation gives in float32, and with parameters that are a little off.
    """
    right = everything(problem)
    rng = np.random.default_rng(0)
    others = [everything(problem.astype(np.float32))]
    for _ in range(2):
        theta = {
            name: array * (1 + 2 * FLOAT32 * rng.standard_normal(array.shape))
            for name, array in problem.theta.items()
        }
        others.append(everything(problem.with_theta(theta)))
    total = norm(np.array([norm(right[name]) for name in NAMES]))
    floors = {name: total * 1e-3 if name in NAMES else 0.0 for name in right}
    return {
        name: Tolerance.of(max(error(other[name], right[name], floors[name]) for other in others))
        for name in right
    }


def everything(problem: Problem) -> dict[str, Array]:
    """Return all answers and gradients by name."""
    at = forward(problem)
    back = signals(problem, at)
    gradients = {name: gradient(name, problem, at, back) for name in NAMES}
    answers = {"H": at.H, "O": at.O, "P": at.P, "loss": np.array(at.loss), "h_last": at.H[-1]}
    return {**answers, **{name: array for name, array in gradients.items() if array is not None}}


# ---------------------------------------------------------------- multiples


class Scaling(NamedTuple):
    """How one array is made of another: a factor, or clipping to [-number, number]."""

    kind: str  # "factor", "clipped", "norm" (its own norm clipped to the number), "multiple"
    number: float


def named_factors(T: int, B: int) -> dict[str, float]:
    """Return the factors that have a reason, with it; the likeliest first."""
    found = {"T": T, "1/T": 1 / T, "B": B, "1/B": 1 / B, "T B": T * B, "1/(T B)": 1 / (T * B)}
    factors = {"-1": -1.0}
    for reason, factor in found.items():
        if factor != 1 and not any(np.isclose(factor, other) for other in factors.values()):
            factors[reason] = factor
    factors |= {f"-{reason}": -factor for reason, factor in factors.items() if reason != "-1"}
    for calls in (2, 3, 4, 5, 10):
        if not any(np.isclose(calls, other) for other in factors.values()):
            factors[str(calls)] = calls
    if not any(np.isclose(0.5, other) for other in factors.values()):
        factors["1/2"] = 0.5
    return factors


def scaling(
    found: Array, right: Array, floor: float, tolerance: float, factors: Iterable[float]
) -> Scaling | None:
    """Return how `found` is a multiple of `right`, or `right` clipped; None if it is neither.

    A factor of 1 means that they agree. A multiple that is none of the factors is taken for one where
    there are elements enough to tell.
    """
    f, r = found.ravel(), right.ravel()
    ff, fr, rr = float(f @ f), float(f @ r), float(r @ r)
    if max(ff, rr) <= floor**2:  # rounding alone
        return Scaling("factor", 1.0)
    if ff + rr - 2 * fr <= 4 * tolerance**2 * rr + 1e-13 * ff and error(f, r, floor) <= tolerance:
        return Scaling("factor", 1.0)
    if not np.isfinite(ff + rr) or rr <= floor**2 or fr == 0:
        return None
    # of two vectors with this angle no multiple is near the other
    if 1 - fr / ff * fr / rr > 4 * tolerance**2 + 1e-13 or error(f, fr / rr * r) > tolerance:
        return clipping(f, r, tolerance)
    for factor in factors:
        if abs(fr / rr / factor - 1) <= max(tolerance, 1e-9):
            return Scaling("factor", factor)
    return clipping(f, r, tolerance) or multiple(fr / rr, ff**0.5, f.size, max(tolerance, 1e-9))


def multiple(k: float, size: float, elements: int, tolerance: float) -> Scaling | None:
    """Return what a factor k without a reason is, of an array of this norm."""
    if elements < 3:
        return None
    nearest = min(ROUND, key=lambda number: abs(size / number - 1))
    if 0 < k < 1 and abs(size / nearest - 1) <= tolerance:
        return Scaling("norm", nearest)
    return Scaling("multiple", float(f"{k:.5g}"))


def clipping(f: Array, r: Array, tolerance: float) -> Scaling | None:
    """Return to what `f` is `r` clipped, if it is."""
    most, of_right = float(np.abs(f).max()), float(np.abs(r).max())
    if 0 < most < of_right and error(f, np.clip(r, -most, most)) <= tolerance:
        return Scaling("clipped", float(f"{most:.5g}"))
    return None


def first_difference(found: Array, right: Array, tolerance: float) -> Sequence[int]:
    """Return the index of the first element, by the first axis, that is off; of these the furthest."""
    with np.errstate(all="ignore"):
        off = np.abs(found - right)
    off[~np.isfinite(off)] = np.inf
    limit = max(tolerance * float(np.abs(right).max()), 1e-300)
    steps = np.flatnonzero((off.reshape(len(off), -1) > limit).any(1))
    t = int(steps[0]) if steps.size else int(np.argmax(off.reshape(len(off), -1).max(1)))
    rest = np.unravel_index(int(np.argmax(off[t])), off.shape[1:])
    return [t, *(int(index) for index in rest)]
