"""Factors and clipping: whether one array is a multiple of another, or clipped, and for what reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

from nbrnn.checks.faults import FACTORS
from nbrnn.checks.tolerances import error
from nbrnn.typing import Array

# Thresholds that people choose.
ROUND = (0.01, 0.1, 0.25, 0.5, 1, 2, 2.5, 3, 4, 5, 10, 15, 20, 25, 50, 100)
BITS = 1 / float(np.log(2))


class Scaling(NamedTuple):
    """One thing that was done to an array as a whole.

    Kinds: "factor", whose number has a reason; "multiple", whose number has none; "clipped" to [-number,
    number]; "norm", its own norm clipped to the number; "zero", nothing is left of it.
    """

    kind: str
    number: float
    reason: str = ""

    @property
    def cause(self) -> str:
        """The name of the mistake."""
        kinds = {"clipped": "clipped by value", "norm": "clipped by norm"}
        return f"factor {self.reason}" if self.reason else kinds.get(self.kind, self.kind)

    def sentence(self, what: str, clip: float | str) -> str:
        """Return the sentence of the mistake in these arrays."""
        number = f"{self.number:g}"
        sentences = {
            "clipped": f"clipped to [-{number}, {number}], where the settings say --clip {clip}",
            "norm": f"clipped by its norm, to {number}",
            "multiple": f"{number} times what it should be",
            "zero": "0 everywhere: is anything ever added to it?",
            "factor": f"{number} times too large, as if the gradients of {number} calls were added up",
        }
        return f"{what}: {FACTORS.get(self.reason, sentences[self.kind])}"


Scalings = tuple[Scaling, ...]
SIGN = Scaling("factor", -1.0, "-1")
ZERO = Scaling("zero", 0.0)


@cache
def named_factors(T: int, B: int, K: int) -> Mapping[Scalings, float]:
    """Return the factors that have a reason, or two, the likeliest first."""
    sums = {"T": T, "1/T": 1 / T, "B": B, "1/B": 1 / B, "T B": T * B, "1/(T B)": 1 / (T * B)}
    sums |= {"1/K": 1 / K, "T/K": T / K}
    calls = {"2": 2, "3": 3, "4": 4, "5": 5, "10": 10, "1/2": 0.5}
    of_sums = [Scaling("factor", number, reason) for reason, number in sums.items()]
    of_calls = [Scaling("factor", number, reason) for reason, number in calls.items()]
    singles = [SIGN, *of_sums, *of_calls]
    pairs = [*product([SIGN], of_sums + of_calls), *product(of_sums, of_calls)]
    return distinct([*((each,) for each in singles), *pairs])


@cache
def factors_of_loss(T: int, B: int, K: int) -> Mapping[Scalings, float]:
    """Return the factors that a loss may have for a reason: also that of a logarithm to base 2."""
    named, bits = named_factors(T, B, K), Scaling("factor", BITS, "bits")
    return distinct([*named, (bits,), *((*each, bits) for each in named if len(each) == 1)])


def distinct(reasons: Iterable[Scalings]) -> dict[Scalings, float]:
    """Return the factor of each, without 1 and repeated ones."""
    found: dict[Scalings, float] = {}
    for each in reasons:
        factor = float(np.prod([scaling.number for scaling in each]))
        if all(abs(factor / other - 1) > 1e-8 for other in (1, *found.values())):
            found[each] = factor
    return found


def reason_of(k: float, factors: Mapping[Scalings, float], tolerance: float) -> Scalings | None:
    """Return the reasons of a factor: () for 1, None if none is known."""
    if abs(k - 1) <= max(tolerance, 1e-9):
        return ()
    nearby = (each for each, factor in factors.items() if abs(k / factor - 1) <= max(tolerance, 1e-9))
    return next(nearby, None)


def scalings(
    found: Array, right: Array, floor: float, tolerance: float, factors: Mapping[Scalings, float]
) -> list[Scalings]:
    """Return the scalings of `right` that give `found`, the likeliest first; an empty one if they agree.

    A multiple that is not one of the factors counts only for arrays of at least three elements.
    """
    f, r = found.ravel(), right.ravel()
    if not np.isfinite([f, r]).all():
        return []
    ff, fr, rr = float(f @ f), float(f @ r), float(r @ r)
    if max(ff, rr) <= floor * floor:  # rounding alone; a power would raise OverflowError
        return [()]
    if ff + rr - 2 * fr <= 4 * tolerance**2 * rr + 1e-13 * ff and error(f, r, floor) <= tolerance:
        return [()]
    if ff == 0:
        return [(ZERO,)]
    return differing(f, r, tolerance, factors) if rr > floor * floor else []


def differing(f: Array, r: Array, tolerance: float, factors: Mapping[Scalings, float]) -> list[Scalings]:
    """Return the scalings of `r` that give `f`, another vector."""
    ff, fr, rr = float(f @ f), float(f @ r), float(r @ r)
    k = fr / rr
    # of two vectors with this angle no multiple is near the other
    if fr == 0 or 1 - fr / ff * k > 4 * tolerance**2 + 1e-13 or error(f, k * r) > tolerance:
        return clipped(f, r, tolerance, factors)
    named, clips = reason_of(k, factors, tolerance), clipped(f, r, tolerance, factors)
    if named:
        return [named, *clips]
    return clips or multiple(k, ff**0.5, f.size, max(tolerance, 1e-9))


def multiple(k: float, size: float, elements: int, tolerance: float) -> list[Scalings]:
    """Return the scaling by a factor k without a reason, of an array of this norm."""
    if elements < 3:
        return []
    sign = (SIGN,) if k < 0 else ()
    nearest = min(ROUND, key=lambda number: abs(size / number - 1))
    if abs(k) < 1 and abs(size / nearest - 1) <= tolerance:
        return [(*sign, Scaling("norm", nearest))]
    return [(*sign, Scaling("multiple", float(f"{abs(k):.5g}")))]


def clipped(f: Array, r: Array, tolerance: float, factors: Mapping[Scalings, float]) -> list[Scalings]:
    """Return the scalings if `f` is `r`, or a multiple of it, clipped."""
    most = np.abs(f).max()
    inside = np.abs(f) < most * (1 - 10 * tolerance)
    rr = float(r[inside] @ r[inside])
    k = float(f[inside] @ r[inside]) / rr if rr > np.square(tolerance * most) else float(np.sign(f @ r))
    if not 0 < most < (1 - 10 * tolerance) * abs(k) * float(np.abs(r).max()):
        return []
    named = reason_of(k, factors, tolerance)
    if named is not None:
        if error(f, np.clip(k * r, -most, most)) > tolerance:
            return []
        return [(*named, Scaling("clipped", float(f"{most:.5g}")))]
    if inside.sum() < 3 or error(f, np.clip(k * r, -most, most)) > tolerance:
        return []
    before = Scaling("clipped", float(f"{most / abs(k):.5g}"))
    return [(before, *each) for each in multiple(k, float(f @ f) ** 0.5, int(inside.sum()), tolerance)]
