"""The search for the mistakes in back-propagation that give just what the program gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import NamedTuple, TypeVar

import numpy as np

from nbrnn.checks.answers import Answer
from nbrnn.checks.faults import (
    ASSEMBLY_FAULTS,
    BACKWARD_FAULTS,
    LOSS_FAULTS,
    OUTPUT_FAULTS,
    STATE_FAULTS,
    Fault,
)
from nbrnn.checks.forward_search import UNEXPLAINED, Forward
from nbrnn.checks.problem import Problem
from nbrnn.checks.reference import (
    DERIVABLE,
    DERIVED,
    OF_BATCHES,
    OF_GRADIENT,
    Signals,
    States,
    forward,
    gradient,
    signals,
    truncations,
)
from nbrnn.checks.scalings import Scaling, Scalings, named_factors, scalings
from nbrnn.checks.tolerances import Tolerance, norm
from nbrnn.network.layout import NAMES
from nbrnn.typing import Array

OF_OUTPUT = {*LOSS_FAULTS, "only the last loss", "softmax' missing", "softmax' applied twice"}
REASONED = ("factor", "zero")
TRUNCATED = "truncated"  # after any number of steps
Assembly = tuple[str, ...]
T = TypeVar("T")


class Own(NamedTuple):
    """The mistakes in the sum of one gradient alone: how it is put together, and scaled."""

    assembly: Assembly
    scalings: Scalings

    @property
    def parts(self) -> tuple[str | Scaling, ...]:
        """What of it is wrong."""
        return (*self.assembly, *self.scalings)


@dataclass(frozen=True)
class Backward:
    """The fewest mistakes that explain the gradients.

    `faults` are those in the pass back, beyond those of the forward pass; `own` those of each gradient,
    None for one that is not explained. `derived`: what was wrong before is differentiated as it is.
    """

    faults: tuple[Fault, ...]
    own: Mapping[str, Own | None]
    expected: Mapping[str, Array] = field(default_factory=dict)
    derived: bool = False

    @property
    def cost(self) -> float:
        """How bad the explanation is; a mistake that several gradients share counts once."""
        parts = {part for own in self.own.values() if own for part in own.parts}
        unexplained = sum(own is None for own in self.own.values())
        return len(self.faults) + len(parts) + UNEXPLAINED * unexplained

    def shared(self, part: Callable[[Own], Iterable[T]]) -> dict[T, list[str]]:
        """Return the mistakes in the sums of single gradients, each with the gradients that have it."""
        found: dict[T, list[str]] = {}
        for name, own in self.own.items():
            for mistake in part(own) if own else ():
                found.setdefault(mistake, []).append(name)
        return found

    @property
    def unexplained(self) -> list[str]:
        """The gradients without an explanation."""
        return [name for name, own in self.own.items() if own is None]


@dataclass
class GradientSearch:
    """The explanations of the gradients of one program; `known` are its answers of the forward pass."""

    problem: Problem
    base: Forward
    answers: Mapping[str, Answer]
    tolerance: Mapping[str, Tolerance]
    known: Collection[str]
    limit: float  # what costs more need not be known in full

    def __post_init__(self) -> None:
        self.bound, self.assemblies = self.limit, self.possible(1)

    def possible(self, most: int) -> dict[str, list[Assembly]]:
        """Return the mistakes in the sum of each gradient that are tried, up to so many together."""
        excluded = OF_BATCHES if len(self.problem.h0) == 1 else set()
        found = {}
        for name, faults in OF_GRADIENT.items():
            ordered = [fault for fault in ASSEMBLY_FAULTS if fault in faults - excluded]
            found[name] = [each for n in range(most + 1) for each in combinations(ordered, n)]
        return found

    def best(self) -> Backward:
        """Return the one with the fewest mistakes; of several the one that begins most basically."""
        best = self.searched(self.with_faults(()), 2)
        if best.cost > 2:  # single gradients may be put together with two mistakes
            self.bound, self.assemblies = min(best.cost, self.limit), self.possible(2)
            found = self.with_faults(())
            best = self.searched(found if found.cost < best.cost else best, 1)
        return best

    def searched(self, best: Backward, most: int) -> Backward:
        """Return the best explanation, or a better one by up to so many mistakes in the pass back."""
        for faults in self.candidates(most):
            if best.cost <= len(faults):
                break
            self.bound = min(best.cost, self.limit)
            found = self.truncated(best, faults) if TRUNCATED in faults else self.with_faults(faults)
            best = found if found.cost < best.cost else best
        return best

    def candidates(self, most: int) -> Iterator[tuple[Fault, ...]]:
        """Yield the sets of mistakes that are tried, the smallest first."""
        singles: list[Fault] = [*LOSS_FAULTS, *BACKWARD_FAULTS]
        if not {"O", "P", "loss"} & set(self.known):
            singles = [*OUTPUT_FAULTS, *singles]
        if not self.known:
            singles = [*STATE_FAULTS, *singles]
        singles = [fault for fault in singles if fault not in self.base.faults]
        for size in range(1, most + 1):
            yield from combinations(singles, size)
            of_output = [fault for fault in singles if fault in OF_OUTPUT]
            yield from ((TRUNCATED, *others) for others in combinations(of_output, size - 1))

    def with_faults(self, faults: tuple[Fault, ...]) -> Backward:
        """Return how these mistakes explain the gradients."""
        at, all_ = self.base.at, (*self.base.faults, *faults)
        if {*STATE_FAULTS, *OUTPUT_FAULTS} & {*faults}:
            at = forward(self.problem, all_)
        found = self.explained(faults, at, signals(self.problem, at, all_))
        if not found.cost > len(faults) or not DERIVABLE & {*all_}:
            return found
        back = signals(self.problem, at, (*all_, DERIVED))
        other = replace(self.explained(faults, at, back), derived=True)
        return other if other.cost < found.cost else found

    def truncated(self, best: Backward, faults: tuple[Fault, ...]) -> Backward:
        """Return the best explanation, or one by back-propagation that goes back some steps only."""
        at, others = self.base.at, tuple(fault for fault in faults if fault != TRUNCATED)
        do = signals(self.problem, at, (*self.base.faults, *others)).do
        for n, back in truncations(self.problem, at, do):
            found = self.explained(((TRUNCATED, n), *others), at, back)
            best = found if found.cost < best.cost else best
        return best

    def explained(self, faults: tuple[Fault, ...], at: States, back: Signals) -> Backward:
        """Return what explains each gradient, given these signals."""
        right = {name: gradient(name, self.problem, at, back) for name in NAMES}
        expected = {name: array for name, array in right.items() if array is not None}
        floor = 1e-7 * norm(np.array([norm(array) for array in expected.values()]))
        found: dict[str, list[Own]] = {}
        cost: float = len(faults)
        for name, answer in self.answers.items():
            found[name] = self.own(name, answer, expected[name], at, back, floor)
            cost += UNEXPLAINED * (not found[name])
            if cost >= self.bound:
                break
        return Backward(faults, {**dict.fromkeys(self.answers), **agreed(found)}, expected)

    def own(
        self, name: str, answer: Answer, right: Array, at: States, back: Signals, floor: float
    ) -> list[Own]:
        """Return what may explain one gradient with the fewest mistakes: none, or some in it alone."""
        tolerance, (array,) = self.tolerance[name].single, answer.ways
        factors, found = named_factors(*self.problem.X.shape), []
        for assembly in self.assemblies[name]:
            expected = gradient(name, self.problem, at, back, assembly) if assembly else right
            if expected is None or expected.squeeze().shape != array.squeeze().shape:
                continue
            if "transposed" in assembly and expected.shape[0] != expected.shape[-1]:
                continue  # the shape says it: what has that of the transpose is compared as it
            faults = (*assembly, "transposed") if answer.is_transposed else assembly
            same_shape = array.reshape(expected.shape)
            hows = scalings(same_shape, expected, floor, tolerance, factors)
            found += [Own(faults, how) for how in hows]
            if found and not found[-1].parts:
                return found[-1:]
        fewest = min((len(each.parts) for each in found), default=0)
        found = [each for each in found if len(each.parts) == fewest]
        # factors with reasons first
        return sorted(found, key=lambda own: any(each.kind not in REASONED for each in own.scalings))


def agreed(found: Mapping[str, list[Own]]) -> dict[str, Own | None]:
    """Return of each gradient's explanations the one that shares most with the others, or None."""
    shared = Counter(part for owns in found.values() for part in {p for own in owns for p in own.parts})
    return {
        name: max(owns, key=lambda own: sum(shared[part] for part in own.parts), default=None)
        for name, owns in found.items()
    }
