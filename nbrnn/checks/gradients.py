"""Which mistakes in back-propagation give just what the program gave?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

import numpy as np

from nbrnn.checks.answers import Answer
from nbrnn.checks.forwards import UNEXPLAINED, Forward
from nbrnn.checks.matching import Scaling, Tolerance, named_factors, norm, scaling
from nbrnn.checks.problem import Problem
from nbrnn.checks.reference import (
    ASSEMBLY_FAULTS,
    BACKWARD_FAULTS,
    OUTPUT_FAULTS,
    STATE_FAULTS,
    TARGET_FAULTS,
    Fault,
    Signals,
    States,
    forward,
    gradient,
    signals,
    truncations,
)
from nbrnn.network.params import NAMES, Array

RIGHT = Scaling("factor", 1.0)
TRUNCATED: tuple[Fault, ...] = ("truncated",)  # after any number of steps


class Own(NamedTuple):
    """The mistakes in the sum of one gradient alone: how it is put together, and scaled."""

    assembly: str | None
    scaling: Scaling

    @property
    def parts(self) -> list[str | Scaling]:
        """What of it is wrong."""
        return [part for part in (self.assembly, self.scaling) if part not in (None, RIGHT)]


@dataclass(frozen=True)
class Backward:
    """The fewest mistakes that explain the gradients.

    `faults` are those in the pass back, beyond those of the forward pass; `own` those of each gradient,
    None for one that is not explained.
    """

    faults: tuple[Fault, ...]
    own: Mapping[str, Own | None]
    expected: Mapping[str, Array] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """How bad the explanation is; a mistake that several gradients share counts once."""
        parts = {part for own in self.own.values() if own for part in own.parts}
        unexplained = sum(own is None for own in self.own.values())
        return len(self.faults) + len(parts) + UNEXPLAINED * unexplained

    @property
    def unexplained(self) -> list[str]:
        """The gradients without an explanation."""
        return [name for name, own in self.own.items() if own is None]


class Search:
    """The explanations of the gradients of one program; `known` are its answers of the forward pass."""

    def __init__(
        self,
        problem: Problem,
        base: Forward,
        answers: Mapping[str, Answer],
        tolerance: Mapping[str, Tolerance],
        known: Collection[str] = (),
    ) -> None:
        self.problem, self.base, self.answers, self.tolerance = problem, base, answers, tolerance
        self.known = known
        self.bound = np.inf  # what costs more need not be known in full
        T, B, _ = problem.X.shape
        self.factors = list(named_factors(T, B).values())

    def best(self) -> Backward:
        """Return the one with the fewest mistakes; of several the one that begins most basically."""
        best = self.with_faults(())
        for faults, size in self.candidates():
            if best.cost <= size:
                break
            self.bound = best.cost
            found = self.truncated(best) if faults == TRUNCATED else self.with_faults(faults)
            if found.cost < best.cost:
                best = found
        return best

    def candidates(self) -> Iterator[tuple[tuple[Fault, ...], int]]:
        """Yield the sets of mistakes that are tried, the smallest first, and of each its size."""
        singles: list[Fault] = [*TARGET_FAULTS, *BACKWARD_FAULTS]
        if not {"O", "P", "loss"} & set(self.known):
            singles = [*OUTPUT_FAULTS, *singles]
        if not self.known:
            singles = [*STATE_FAULTS, *singles]
        singles = [fault for fault in singles if fault not in self.base.faults]
        for fault in singles:
            yield (fault,), 1
        yield TRUNCATED, 1
        for pair in combinations(singles, 2):
            yield pair, 2

    def with_faults(self, faults: tuple[Fault, ...]) -> Backward:
        """Return how these mistakes explain the gradients."""
        at = self.pass_with(faults)
        return self.explained(faults, at, signals(self.problem, at, (*self.base.faults, *faults)))

    def pass_with(self, faults: tuple[Fault, ...]) -> States:
        """Return the forward pass, with mistakes of its own among these."""
        own = {*STATE_FAULTS, *OUTPUT_FAULTS} & set(faults)
        return forward(self.problem, (*self.base.faults, *faults)) if own else self.base.at

    def truncated(self, best: Backward) -> Backward:
        """Return the best explanation, or one by back-propagation that goes back some steps only."""
        at = self.base.at
        do = signals(self.problem, at, self.base.faults).do
        for n, back in truncations(self.problem, at, do):
            found = self.explained((("truncated", n),), at, back)
            if found.cost < best.cost:
                best = found
        return best

    def explained(self, faults: tuple[Fault, ...], at: States, back: Signals) -> Backward:
        """Return what explains each gradient, given these signals."""
        right = {name: gradient(name, self.problem, at, back) for name in NAMES}
        expected = {name: array for name, array in right.items() if array is not None}
        floor = 1e-7 * norm(np.array([norm(array) for array in expected.values()]))
        own: dict[str, Own | None] = dict.fromkeys(self.answers)
        cost: float = len(faults)
        for name, answer in self.answers.items():
            own[name] = self.own(name, answer, expected[name], at, back, floor)
            cost += UNEXPLAINED * (own[name] is None)
            if cost >= self.bound:
                break
        return Backward(faults, own, expected)

    def own(
        self, name: str, answer: Answer, right: Array, at: States, back: Signals, floor: float
    ) -> Own | None:
        """Return what explains one gradient: nothing wrong, or a mistake in it alone."""
        tolerance = self.tolerance[name].single
        (array,) = answer.ways
        found = []
        for assembly in (None, *ASSEMBLY_FAULTS):
            expected = right if assembly is None else self.assembled(name, at, back, assembly)
            if expected is None or expected.squeeze().shape != array.squeeze().shape:
                continue
            how = scaling(array.reshape(expected.shape), expected, floor, tolerance, self.factors)
            if how is None:
                continue
            # what has the shape of the transpose is compared as it
            explanation = Own(assembly or ("transposed" if answer.turned else None), how)
            if not explanation.parts:
                return explanation
            found.append(explanation)
        return min(
            found, key=lambda each: (len(each.parts), each.scaling.kind != "factor"), default=None
        )

    def assembled(self, name: str, at: States, back: Signals, fault: str) -> Array | None:
        """Return a gradient that is summed with a mistake."""
        found = gradient(name, self.problem, at, back, fault)
        is_square = found is not None and found.shape[0] == found.shape[-1]
        return found if is_square or fault != "transposed" else None  # else the shape says it
