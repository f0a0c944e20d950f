"""Judge a program's answers to exercises, in the layout and kind of loss in which most are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from nbrnn.checks.equations import BACKWARD, FORWARD, GRADIENTS, RIGHT, Arrays, Exercise, compute
from nbrnn.checks.mistakes import MISTAKES
from nbrnn.checks.tolerances import Tolerances, distance, is_single, largest
from nbrnn.checks.user_arrays import answers_of, exercises_of, has_single_parameters, ways_of
from nbrnn.exchange.array_roles import SortedArrays
from nbrnn.exchange.layer_names import Named
from nbrnn.typing import Array

# Additions to p inside the logarithm of the loss that are no fault.
INSIDE_LOG = (*(10.0**-n for n in range(7, 17)), 2.0**-52, 2.0**-23)


class Convention(NamedTuple):
    """Whether a loss is the mean over the characters of a window, and over the windows of a batch."""

    of_characters: bool
    of_windows: bool = True

    def factor(self, e: Exercise) -> float:
        """Return the factor of the sum of all losses."""
        T, B, *_ = e.sizes
        return 1 / ((T if self.of_characters else 1) * (B if self.of_windows else 1))


@dataclass(eq=False)
class Judged:
    """An answer beside what it should be, both for a loss that is a sum.

    `found` is as it came, `scale` times smaller; or of another shape. `is_right` is None where rounding
    alone makes so much that nothing can be said.
    """

    attempt: Attempt
    key: str
    found: Array
    scale: float
    is_right: bool | None = False
    verdict: str = "wrong"

    def __post_init__(self) -> None:
        attempt = self.attempt
        self.name, array = attempt.answers[self.key]
        self.shape, self.right = array.shape, attempt.tolerances.right[self.key]
        self.has_shape = self.found.shape == self.right.shape
        for precision in ("float64", "float32")[: 1 + (attempt.precision == "float32")]:
            self.tolerance = attempt.tolerances.of(self.key, precision)
            is_ill = attempt.tolerances.is_ill(self.key, precision)
            if not is_ill and distance(self.found, self.right) <= self.tolerance:
                self.accept("right" if precision == "float64" else "right, in float32")
                return
        if is_ill and self.has_shape:
            self.is_right, self.verdict = None, "not judged: ill-conditioned"

    def accept(self, words: str) -> None:
        """Take it for right."""
        self.is_right, self.verdict = True, words

    def excuse(self) -> None:
        """Take it for right if what makes it differ is no fault."""
        if not self.has_shape:
            return
        if self.key == "loss":
            p, right = self.attempt.tolerances.right["P"][self.attempt.e.Y == 1], float(self.right)
            for added in INSIDE_LOG:
                other = -np.log(p + added).sum()
                if abs(float(self.found) - other) <= 1e-2 * abs(other - right):
                    self.accept(f"right, with {added:.2g} added to p")
                    return
        elif self.key in GRADIENTS and self.attempt.precision == "float64":
            off = np.abs(self.found - self.right)
            most, size = largest(off), largest(self.right)
            if most <= 1e-4 * size and np.median(off[self.right != 0]) > 0.02 * most:  # off everywhere
                self.accept(f"right, as numerical differences are: to {most / size:.0e}")


@dataclass(eq=False)
class Attempt:
    """A program's answers to an exercise, its arrays understood in one way."""

    rung: str
    layout: str
    e: Exercise
    answers: dict[str, Named]
    is_single: bool  # of float32, as far as the parameters tell
    judged: dict[str, Judged] = field(default_factory=dict)
    supposed: dict[tuple[str, tuple[str, ...]], Arrays] = field(default_factory=dict)

    @cached_property
    def tolerances(self) -> Tolerances:
        """The right arrays and how near they can be computed."""
        return Tolerances(self.e)

    @cached_property
    def ways(self) -> dict[str, list[Array]]:
        """What each answer may be in the equations."""
        return {k: ways_of(k, array, self.e, self.layout) for k, (_, array) in self.answers.items()}

    @cached_property
    def precision(self) -> str:
        """The precision of the program: float32 if one of its arrays is rounded to it."""
        arrays = [array for _, array in self.answers.values()]
        rounded = any(is_single(array) and (array != np.round(array)).any() for array in arrays)
        return "float32" if self.is_single or rounded else "float64"

    def nearest(self, key: str, factor: float) -> tuple[Array, float]:
        """Return an answer as it is likeliest meant, for a loss that is a sum, and its scale."""
        T, B, *_ = self.e.sizes
        scales = [1.0 if key in FORWARD else factor]
        scales += [1.0, 1 / T, 1 / B, 1 / (T * B)] * (key in BACKWARD)  # it may be divided later
        pairs = [(way / scale, scale) for way in self.ways[key] for scale in scales]
        right, otherwise = self.tolerances.right[key], (self.answers[key].array, 1.0)
        return min(pairs, key=lambda pair: distance(pair[0], right), default=otherwise)

    def judge(self, convention: Convention) -> dict[str, Judged]:
        """Return the verdict on each answer."""
        factor = convention.factor(self.e)
        return {key: Judged(self, key, *self.nearest(key, factor)) for key in self.answers}

    @cached_property
    def own(self) -> Arrays:
        """The program's own arrays before its gradients, for a loss that is a sum."""
        keys = [key for key in ("H", "O", "P", *BACKWARD) if self.ways.get(key)]
        found = {key: self.nearest(key, 1.0)[0] for key in keys}
        return {key: array for key, array in found.items() if np.isfinite(array).all()}

    @cached_property
    def following(self) -> Tolerances:
        """What follows from the program's own arrays."""
        return Tolerances(self.e, self.own)

    def follows(self, each: Judged) -> bool:
        """Return whether an answer follows from the program's own arrays before it."""
        if self.following.is_ill(each.key, self.precision):
            return False
        tolerance = self.following.of(each.key, self.precision)
        return distance(each.found, self.following.right[each.key]) <= tolerance

    def suppose(self, name: str, kept: tuple[str, ...]) -> Arrays:
        """Return the arrays of a known mistake, as they follow from the program's own arrays `kept`."""
        if (name, kept) not in self.supposed:
            own = {key: array for key, array in self.own.items() if key in kept}
            lines = replace(RIGHT, **MISTAKES[name][1])
            self.supposed[name, kept] = compute(self.e, lines, own)
        return self.supposed[name, kept]


def attempts_of(rung: str, found: SortedArrays) -> list[Attempt]:
    """Return the ways to understand an answered exercise. Raises CheckError."""

    def is_kept(key: str, e: Exercise, layout: str) -> bool:
        """What is left of a loop, as dh of its last step, is no array of all steps."""
        return key not in BACKWARD or bool(ways_of(key, answers[key].array, e, layout))

    answers, is_single = answers_of(found), has_single_parameters(found)
    return [
        Attempt(rung, layout, e, {k: a for k, a in answers.items() if is_kept(k, e, layout)}, is_single)
        for layout, e in exercises_of(found)
    ]


# ---------------------------------------------------------------- the likeliest understanding


@dataclass
class Choice:
    """How the program is understood: a convention, and an attempt for each exercise."""

    convention: Convention
    attempts: list[Attempt]
    notes: list[str]


def choose(exercises: Sequence[list[Attempt]], loss: str | None = None) -> Choice:
    """Return the understanding in which most answers are right, then that in which they are nearest.

    `loss` is sum or mean where it is given; otherwise both are right, and so is a sum over the windows.
    """
    means = [loss == "mean"] if loss else [False, True]
    understandings = []
    for of_windows, mean in product((True, False), means):
        convention = Convention(mean, of_windows)
        verdicts = [
            max(((attempt, attempt.judge(convention)) for attempt in ways), key=score)
            for ways in exercises
        ]
        total = tuple(np.sum([score(verdict) for verdict in verdicts], axis=0))
        understandings.append((total, convention, verdicts))
    _, convention, verdicts = max(understandings, key=lambda each: each[0])
    for attempt, judged in verdicts:
        attempt.judged = judged
    attempts = [attempt for attempt, _ in verdicts]
    choice = Choice(convention, attempts, accept_clipping(attempts))
    for _, judged in verdicts:
        for each in judged.values():
            if each.is_right is False:
                each.excuse()
    return choice


def score(verdict: tuple[Attempt, dict[str, Judged]]) -> tuple[float, float, float]:
    """Return how many answers have the shape, how many are right, and how near the others are."""
    shaped = [each for each in verdict[1].values() if each.has_shape]
    errors = [distance(each.found, each.right) / max(largest(each.right), 1e-300) for each in shaped]
    right = sum(each.is_right is True for each in shaped)
    return len(shaped), right, sum(1 / (1 + error) for error in errors)


def accept_clipping(attempts: Sequence[Attempt]) -> list[str]:
    """Take gradients for right that are clipped, by entry or by norm; return a note of the latter.

    They are clipped to the same round number on each exercise on which they are not right.
    """
    given = [[each for key, each in a.judged.items() if key in GRADIENTS] for a in attempts]
    failing = [gradients for gradients in given if any(each.is_right is False for each in gradients)]
    for by_norm in (False, True):
        bounds = {clipped_to(gradients, by_norm) for gradients in failing}
        bound = bounds.pop() if len(bounds) == 1 else None
        if bound is not None:
            for each in (each for gradients in failing for each in gradients if each.is_right is False):
                each.accept(f"right, clipped {'by norm ' * by_norm}to {bound:g}")
            note = f"the gradients are clipped to a norm of {bound:g}; nbrnn clips each entry"
            return [note] * by_norm
    return []


def clipped_to(gradients: list[Judged], by_norm: bool) -> float | None:
    """Return the round number to which gradients are clipped, None if they are not."""
    if not all(each.has_shape for each in gradients) or len(gradients) < len(GRADIENTS) * by_norm:
        return None
    found = np.concatenate([np.ravel(each.found * each.scale) for each in gradients])
    right = np.concatenate([np.ravel(each.right * each.scale) for each in gradients])
    tolerance = np.repeat(
        [each.tolerance * each.scale for each in gradients], [each.found.size for each in gradients]
    )
    bound, full = (float(np.linalg.norm(a)) if by_norm else largest(a) for a in (found, right))
    if not 0 < bound < full:
        return None
    clipped = right * (bound / full) if by_norm else np.clip(right, -bound, bound)
    number = float(f"{bound:.2g}")
    is_clipped = (np.abs(found - clipped) <= tolerance).all() and abs(bound / number - 1) < 1e-5
    return number if is_clipped else None
