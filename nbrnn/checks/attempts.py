"""How a program's answers to exercises are understood, and which of them are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import numpy as np

from nbrnn.checks.answers import answers_of, ways_of
from nbrnn.checks.equations import GRADIENTS, SCALED, Arrays, Exercise
from nbrnn.checks.inputs import Reading
from nbrnn.checks.tolerances import Tolerances, is_single, largest
from nbrnn.config import NONE, RunConfig
from nbrnn.exchange.names import SortedArrays
from nbrnn.typing import Array

BACKWARD = ("dO", "dH", "dA")
# Additions to p inside the logarithm of the loss that are no fault.
INSIDE_LOG = (*(10.0**-n for n in range(7, 17)), 2.0**-52, 2.0**-23)


@dataclass(frozen=True)
class Convention:
    """Whether a loss is the mean over the characters of a window, and over the windows of a batch."""

    of_characters: bool
    of_windows: bool = True

    def factor(self, e: Exercise) -> float:
        """Return the factor of the sum of all losses."""
        T, B, *_ = e.sizes
        return 1 / ((T if self.of_characters else 1) * (B if self.of_windows else 1))


@dataclass
class Judged:
    """An answer beside what it should be.

    `is_right` is None where rounding alone makes so much that nothing can be said.
    """

    key: str
    name: str
    shape: tuple[int, ...]
    found: Array  # as it came, if it has another shape
    right: Array
    tolerance: float
    is_right: bool | None
    verdict: str

    @property
    def has_shape(self) -> bool:
        """Whether it has the shape that it should have."""
        return self.found.shape == self.right.shape


@dataclass
class Attempt:
    """An exercise as the program answered it, understood in one way."""

    rung: str
    reading: Reading
    e: Exercise
    answers: dict[str, tuple[str, Array]]
    numerical: dict[str, tuple[str, Array]] = field(default_factory=dict)
    is_single: bool = False  # of float32, as far as the parameters tell

    @cached_property
    def tolerances(self) -> Tolerances:
        """The right arrays and how near they can be computed."""
        return Tolerances(self.e)

    @cached_property
    def ways(self) -> dict[str, list[Array]]:
        """What each answer may be in the equations."""
        layout = self.reading.layout
        return {key: ways_of(key, array, self.e, layout) for key, (_, array) in self.answers.items()}

    @cached_property
    def precision(self) -> str:
        """The precision of the program: float32 if one of its arrays is rounded to it."""
        arrays = [np.asarray(array) for _, array in self.answers.values()]
        rounded = any(is_single(array) and (array != np.round(array)).any() for array in arrays)
        return "float32" if self.is_single or rounded else "float64"

    def nearest(self, key: str, factor: float) -> tuple[Array, Array]:
        """Return the likeliest way to understand an answer, and what it should be."""
        right = self.tolerances.right[key] * (factor if key in SCALED else 1)
        factors = [factor]
        if key in BACKWARD:  # a program may divide by T or B later
            T, B, *_ = self.e.sizes
            factors = [factor, 1.0, 1 / T, 1 / B, 1 / (T * B)]
        pairs = [
            (way, right * (each / factor) if key in SCALED else right)
            for way in self.ways[key]
            for each in factors
        ]
        return min(pairs, key=lambda pair: distance(*pair), default=(self.answers[key][1], right))

    def judge(self, convention: Convention, clip: float | str) -> dict[str, Judged]:
        """Return the verdict on each answer."""
        factor = convention.factor(self.e)
        judged = {key: self.judge_one(key, factor) for key in self.answers}
        self.accept_clipping(judged, clip)
        return judged

    def judge_one(self, key: str, factor: float) -> Judged:
        """Return the verdict on one answer, by its largest entry."""
        name, array = self.answers[key]
        found, right = self.nearest(key, factor)
        scale = (
            (largest(right) / max(largest(self.tolerances.right[key]), 1e-300)) if key in SCALED else 1
        )
        off = distance(found, right)
        ill = False
        for precision in ("float64", "float32") if self.precision == "float32" else ("float64",):
            tolerance = scale * self.tolerances.of(key, precision)
            ill = self.tolerances.is_ill(key, precision)
            if off <= tolerance and not ill:
                words = "right" if precision == "float64" else "right, in float32"
                return Judged(key, name, array.shape, found, right, tolerance, True, words)
        if ill and found.shape == right.shape:
            words = f"not judged: rounding in {self.precision} alone may change it so much"
            return Judged(key, name, array.shape, found, right, tolerance, None, words)
        return Judged(key, name, array.shape, found, right, tolerance, False, "wrong")

    def excuse(self, each: Judged, factor: float) -> str | None:
        """Return why an answer that differs is no fault, None if it is one."""
        key, found, right = each.key, each.found, each.right
        if not each.has_shape:
            return None
        if key == "loss":
            p = self.tolerances.right["P"][self.e.Y == 1]
            for added in INSIDE_LOG:
                other = -factor * np.log(p + added).sum()
                if abs(float(found) - other) <= 1e-2 * abs(other - float(right)):
                    return f"right, with {added:.2g} added to p"
        if key in GRADIENTS and self.precision == "float64":
            return as_differences(found, right)
        return None

    def accept_clipping(self, judged: dict[str, Judged], clip: float | str) -> None:
        """Take gradients for right that are the right ones, each entry clipped to the same bounds."""
        given = [each for key, each in judged.items() if key in GRADIENTS and each.has_shape]
        bound = max((largest(each.found) for each in given), default=0.0)
        at_bound = sum(np.count_nonzero(np.abs(each.found) == bound) for each in given)
        if not (at_bound > 1 or (clip != NONE and bound == clip)):
            return
        for each in given:
            clipped = np.clip(each.right, -bound, bound)
            if each.is_right is False and distance(each.found, clipped) <= each.tolerance:
                each.is_right, each.verdict = True, f"right, clipped to {bound:g}"

    @cached_property
    def own(self) -> Arrays:
        """The program's own arrays before its gradients, for a loss that is a sum."""
        found = {}
        for key in ("H", "O", "P", *BACKWARD):
            if key in self.answers:
                way, right = self.nearest(key, 1.0)
                if way.shape == right.shape and np.isfinite(way).all():
                    ratio = largest(right) / max(largest(self.tolerances.right[key]), 1e-300)
                    found[key] = way / ratio if key in BACKWARD else way
        return found

    @cached_property
    def following(self) -> Tolerances:
        """What follows from the program's own arrays."""
        return Tolerances(self.e, self.own)

    def follows(self, each: Judged, factor: float) -> bool:
        """Return whether an answer follows from the program's own arrays before it."""
        if not each.has_shape or self.following.is_ill(each.key, self.precision):
            return False
        right, scale = self.expected(each.key, factor)
        return distance(each.found, right) <= scale * self.following.of(each.key, self.precision)

    def expected(self, key: str, factor: float) -> tuple[Array, float]:
        """Return what follows from the program's own arrays, and its factor."""
        scale = 1.0
        if key in SCALED:
            _, right = self.nearest(key, factor)
            whole = self.tolerances.right[key]
            scale = largest(right) / max(largest(whole), 1e-300) if key in BACKWARD else factor
        return self.following.right[key] * scale, scale


def distance(found: Array, right: Array) -> float:
    """Return the largest difference; infinite for another shape."""
    return largest(found - right) if found.shape == right.shape else np.inf


def attempts_of(rung: str, found: SortedArrays, readings: Sequence[Reading]) -> list[Attempt]:
    """Return the ways to understand an answered exercise, by the readings of its inputs."""
    answers = answers_of(found)
    numerical = {f"d{k}": (n.name, np.asarray(n.array)) for k, n in found.of("numerical").items()}
    parameters = [named.array for named in found.of("parameter").values()]
    single = bool(parameters) and all(a.dtype in (np.float16, np.float32) for a in parameters)
    return [
        Attempt(rung, reading, reading.exercise, answers, numerical, single)
        for reading in readings
        if reading.exercise is not None
    ]


@dataclass
class Choice:
    """How the program is understood: a convention, and an attempt for each exercise."""

    convention: Convention
    attempts: list[Attempt]
    judged: list[dict[str, Judged]]
    notes: list[str] = field(default_factory=list)

    def words(self) -> str:
        """Return the convention in words."""
        has_several = any(attempt.e.sizes[1] > 1 for attempt in self.attempts)
        batch = ", summed over the windows, where nbrnn takes the mean"
        return ("the mean" if self.convention.of_characters else "the sum") + batch * (
            has_several and not self.convention.of_windows
        )


def choose(exercises: Sequence[list[Attempt]], config: RunConfig, loss: str | None) -> Choice:
    """Return the understanding in which most answers are right, then that in which they are nearest.

    `loss` is sum or mean where it is given; otherwise both are right, and so is a sum over the windows.
    """
    best: tuple[tuple[float, ...], Choice] | None = None
    for of_windows, mean in product((True, False), [loss == "mean"] if loss else (False, True)):
        convention = Convention(mean, of_windows)
        choice, total = Choice(convention, [], []), np.zeros(3)
        for ways in exercises:
            scored = []
            for attempt in ways:
                judged = attempt.judge(convention, config.clip)
                scored.append((score(judged), attempt, judged))
            points, attempt, judged = max(scored, key=lambda each: each[0])
            choice.attempts.append(attempt)
            choice.judged.append(judged)
            total += points
        if best is None or tuple(total) > best[0]:
            best = tuple(total), choice
    assert best is not None
    choice = best[1]
    accept_clipping_by_norm(choice, config.clip)
    for attempt, judged in zip(choice.attempts, choice.judged, strict=True):
        for each in judged.values():
            if each.is_right is False and (
                words := attempt.excuse(each, choice.convention.factor(attempt.e))
            ):
                each.is_right, each.verdict = True, words
    return choice


def score(judged: dict[str, Judged]) -> tuple[float, float, float]:
    """Return how many answers have the shape, how many are right, and how near the others are."""
    shaped = [each for each in judged.values() if each.has_shape]
    errors = [distance(each.found, each.right) / max(largest(each.right), 1e-300) for each in shaped]
    right = sum(each.is_right is True for each in shaped)
    return len(shaped), right, sum(1 / (1 + error) for error in errors)


def accept_clipping_by_norm(choice: Choice, clip: float | str) -> None:
    """Take gradients for right that are all scaled to the same norm on each exercise that exceeds it."""
    norms, scaled = set(), []
    for judged in choice.judged:
        given = [judged[key] for key in GRADIENTS if key in judged]
        wrong = [each for each in given if each.is_right is False]
        if not wrong:
            continue
        if len(given) < len(GRADIENTS) or not all(each.has_shape for each in given):
            return
        found = np.concatenate([np.ravel(each.found) for each in given])
        right = np.concatenate([np.ravel(each.right) for each in given])
        norm, full = float(np.linalg.norm(found)), float(np.linalg.norm(right))
        whole, share = float(f"{norm:.2g}"), max(each.tolerance for each in given) / largest(right)
        is_exact = share < 1e-5 and distance(found / norm, right / full) <= share
        if not (is_exact and norm < full and abs(norm / whole - 1) < max(1e-7, share)):
            return
        norms.add(whole)
        scaled += wrong
    for norm in norms if len(norms) == 1 else ():
        for each in scaled:
            each.is_right, each.verdict = True, f"right, clipped by norm to {norm:g}"
        choice.notes.append(f"the gradients are clipped to a norm of {norm:g}; nbrnn clips each entry")


def as_differences(found: Array, right: Array) -> str | None:
    """Return in words that a gradient is one by numerical differences: it is off everywhere a little."""
    error = np.abs(found - right)[right != 0]
    if error.size and error.max() <= 1e-4 * largest(right) and np.median(error) > 0.02 * error.max():
        return f"right, as numerical differences are: to {error.max() / largest(right):.0e}"
    return None
