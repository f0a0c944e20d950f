"""How a program's answers to exercises are understood, and which of them are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

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
    """An answer beside what it should be, both for a loss that is a sum.

    `found` is as it came, `scale` times smaller; or of another shape. `is_right` is None where rounding
    alone makes so much that nothing can be said.
    """

    key: str
    name: str
    shape: tuple[int, ...]
    found: Array
    right: Array
    tolerance: float
    is_right: bool | None
    verdict: str
    scale: float = 1.0

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
    supposed: dict[Any, Arrays] = field(default_factory=dict)  # the arrays of known mistakes

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

    def nearest(self, key: str, factor: float) -> tuple[Array, float]:
        """Return an answer as it is likeliest meant, for a loss that is a sum, and its scale."""
        T, B, *_ = self.e.sizes
        scales = [factor if key in SCALED else 1.0]
        scales += [1.0, 1 / T, 1 / B, 1 / (T * B)] * (key in BACKWARD)  # it may be divided later
        pairs = [(way / scale, scale) for way in self.ways[key] for scale in scales]
        right = self.tolerances.right[key]
        return min(pairs, key=lambda pair: distance(pair[0], right), default=(self.answers[key][1], 1.0))

    def judge(self, convention: Convention, clip: float | str) -> dict[str, Judged]:
        """Return the verdict on each answer."""
        factor = convention.factor(self.e)
        judged = {key: self.judge_one(key, factor) for key in self.answers}
        self.accept_clipping(judged, clip)
        return judged

    def judge_one(self, key: str, factor: float) -> Judged:
        """Return the verdict on one answer, by its largest entry."""
        name, array = self.answers[key]
        (found, scale), right = self.nearest(key, factor), self.tolerances.right[key]
        judged = Judged(key, name, array.shape, found, right, 0.0, False, "wrong", scale)
        for precision in ("float64", "float32")[: 1 + (self.precision == "float32")]:
            judged.tolerance = self.tolerances.of(key, precision)
            is_ill = self.tolerances.is_ill(key, precision)
            if distance(found, right) <= judged.tolerance and not is_ill:
                words = "right" if precision == "float64" else "right, in float32"
                return replace(judged, is_right=True, verdict=words)
        if is_ill and judged.has_shape:
            return replace(judged, is_right=None, verdict="not judged: ill-conditioned")
        return judged

    def excuse(self, each: Judged) -> str | None:
        """Return why an answer that differs is no fault, None if it is one."""
        if each.key == "loss" and each.has_shape:
            p, right = self.tolerances.right["P"][self.e.Y == 1], float(each.right)
            for added in INSIDE_LOG:
                other = -np.log(p + added).sum()
                if abs(float(each.found) - other) <= 1e-2 * abs(other - right):
                    return f"right, with {added:.2g} added to p"
        if each.key in GRADIENTS and each.has_shape and self.precision == "float64":
            return as_differences(each.found, each.right)
        return None

    def accept_clipping(self, judged: dict[str, Judged], clip: float | str) -> None:
        """Take gradients for right that are the right ones, each entry clipped to the same bounds."""
        given = [each for key, each in judged.items() if key in GRADIENTS and each.has_shape]
        bound = max((largest(each.found) for each in given), default=0.0)
        at_bound = sum(np.count_nonzero(np.abs(each.found) >= bound * (1 - 1e-12)) for each in given)
        words = f"{bound * given[0].scale:g}" if given else ""
        for each in given if at_bound > 1 or (clip != NONE and words == f"{clip:g}") else ():
            clipped = np.clip(each.right, -bound, bound)
            if each.is_right is False and distance(each.found, clipped) <= each.tolerance:
                each.is_right, each.verdict = True, f"right, clipped to {words}"

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
        right, tolerance = self.following.right[each.key], self.following.of(each.key, self.precision)
        return distance(each.found, right) <= tolerance


def distance(found: Array, right: Array) -> float:
    """Return the largest difference; infinite for another shape."""
    return largest(found - right) if found.shape == right.shape else np.inf


def attempts_of(rung: str, found: SortedArrays, readings: Sequence[Reading]) -> list[Attempt]:
    """Return the ways to understand an answered exercise, by the readings of its inputs."""
    answers = answers_of(found)
    numerical = {f"d{k}": (n.name, np.asarray(n.array)) for k, n in found.of("numerical").items()}
    parameters = [named.array for named in found.of("parameter").values()]
    single = bool(parameters) and all(a.dtype in (np.float16, np.float32) for a in parameters)
    attempts = []
    for reading in readings:
        if (e := reading.exercise) is not None:
            kept = {  # what is left of a loop, as dh of its last step, is no array of all steps
                key: (name, array)
                for key, (name, array) in answers.items()
                if key not in BACKWARD or ways_of(key, array, e, reading.layout)
            }
            attempts.append(Attempt(rung, reading, e, kept, numerical, single))
    return attempts


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
            words = attempt.excuse(each) if each.is_right is False else None
            if words:
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
        found = np.concatenate([np.ravel(each.found * each.scale) for each in given])
        right = np.concatenate([np.ravel(each.right * each.scale) for each in given])
        norm, full = float(np.linalg.norm(found)), float(np.linalg.norm(right))
        whole, share = (
            float(f"{norm:.2g}"),
            max(each.tolerance * each.scale for each in given) / largest(right),
        )
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
    error, most = np.abs(found - right), largest(found - right)
    if most <= 1e-4 * largest(right) and np.median(error[right != 0]) > 0.02 * most:
        return f"right, as numerical differences are: to {most / largest(right):.0e}"
    return None
