"""The search for the mistakes in the forward pass that give just what the program gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from nbrnn.checks.answers import Answer
from nbrnn.checks.faults import LOSS_FAULTS, OUTPUT_FAULTS, STATE_FAULTS, Fault
from nbrnn.checks.problem import Problem
from nbrnn.checks.reference import States, forward, loss_of, outputs, softmax, states
from nbrnn.checks.scalings import Scalings, factors_of_loss, reason_of
from nbrnn.checks.tolerances import Tolerance, error
from nbrnn.typing import Array

UNEXPLAINED = 2.5  # what an array without a cause counts, in causes


@dataclass(frozen=True)
class Forward:
    """The fewest mistakes that explain the forward pass.

    `scalings` are the factors by which the loss is a multiple of what these mistakes give. `unexplained`
    are the arrays that differ nevertheless; `at` is the pass with the mistakes, and with the program's
    own states and probabilities where these are not explained; `expected` is what these differ from.
    """

    faults: tuple[Fault, ...]
    at: States
    scalings: Scalings = ()
    unexplained: tuple[str, ...] = ()
    expected: Mapping[str, Array] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """How bad the explanation is."""
        return len(self.faults) + len(self.scalings) + UNEXPLAINED * len(self.unexplained)


@dataclass(frozen=True)
class ForwardSearch:
    """The explanations of the forward answers of one program."""

    problem: Problem
    answers: Mapping[str, Answer]
    tolerance: Mapping[str, Tolerance]

    def best(self) -> Forward:
        """Return the one with the fewest mistakes."""
        best = self.with_faults(())
        faults: list[Fault] = [*STATE_FAULTS] if self.answers else []
        faults += OUTPUT_FAULTS if {"O", "P", "loss"} & {*self.answers} else []
        faults += LOSS_FAULTS if "loss" in self.answers else []
        for chosen in [*combinations(faults, 1), *combinations(faults, 2)]:
            if best.cost <= len(chosen):
                return best
            candidate = self.with_faults(chosen)
            best = candidate if candidate.cost < best.cost else best
        return self.with_own_arrays(best) if best.unexplained else best

    def with_faults(self, faults: tuple[Fault, ...]) -> Forward:
        """Return how the pass with these mistakes explains the answers."""
        at = forward(self.problem, faults)
        unexplained = [n for n in at.answers if n in self.answers and not self.agrees(n, at)]
        reasons = self.scalings_of_loss(at) if "loss" in unexplained else None
        if reasons is not None:
            unexplained.remove("loss")
        return Forward(faults, at, reasons or (), tuple(unexplained))

    def agrees(self, name: str, at: States) -> bool:
        """Return whether an answer is that of a pass, but for rounding."""
        return self.answers[name].error(at.answers[name]) <= self.tolerance[name].single

    def scalings_of_loss(self, at: States) -> Scalings | None:
        """Return the factors by which the loss is a multiple of a pass's, None if none are known."""
        ways = self.answers["loss"].ways
        if not at.loss or not ways:
            return None
        factors = factors_of_loss(*self.problem.X.shape)
        return reason_of(float(ways[0]) / at.loss, factors, self.tolerance["loss"].single)

    def with_own_arrays(self, best: Forward) -> Forward:
        """Return the explanation that continues from the program's own states and probabilities.

        What is right for these follows from what is not explained in them.
        """
        H = self.own_states(best.at)
        if "H" in best.unexplained and H is not None:
            best = self.with_own_states(best, H)
        at, unexplained, expected = best.at, [], {}
        for name in best.unexplained:
            if name != "H" and H is not None and self.agrees(name, at):
                continue
            unexplained.append(name)
            of_pass = forward(self.problem, best.faults) if name == "H" else at
            expected[name] = of_pass.answers[name]
            own = self.answers["P"].nearest(at.P) if name == "P" else None
            if own is not None and np.isfinite(own[0]).all():
                at = at._replace(P=own[0], loss=loss_of(self.problem, own[0], best.faults))
        return replace(best, at=at, unexplained=tuple(unexplained), expected=expected)

    def own_states(self, at: States) -> Array | None:
        """Return the program's own states (T+1, B, m), if it gave them all, and they are finite."""
        pair = self.answers["H"].nearest(at.H) if "H" in self.answers else None
        if pair is None or not np.isfinite(pair[0]).all():
            return None
        own, right = pair
        if len(own) == len(at.H):
            return own
        starts_with_h1 = not np.shares_memory(right[0], at.H[0])
        return np.concatenate([at.H[:1], own]) if starts_with_h1 else None

    def with_own_states(self, best: Forward, H: Array) -> Forward:
        """Return the explanation that continues from the program's own states.

        They are explained if each follows from the one before, but for the first: h_0 was another.
        """
        problem = self.problem
        O = outputs(problem, H, best.faults)
        P = softmax(O, best.faults)
        at = States(best.at.A, H, O, P, loss_of(problem, P, best.faults))
        best = replace(best, at=at)
        if len(H) < 4 or best.faults:
            return best
        later = replace(problem, X=problem.X[1:], Y=problem.Y[1:], h0=H[1])
        if error(H[2:], states(later, ())[0][1:]) > self.tolerance["H"].single:
            return best
        if np.array_equal(H[0], problem.h0):  # the given state, from which h_1 does not follow
            theta = problem.theta
            rest = np.arctanh(H[1]) - problem.X[0] @ theta["U"].T - theta["b"]
            H = np.concatenate([np.linalg.lstsq(theta["W"], rest.T, rcond=None)[0].T[None], H[1:]])
        unexplained = tuple(name for name in best.unexplained if name != "H")
        return replace(best, faults=("another h_0",), unexplained=unexplained, at=at._replace(H=H))
