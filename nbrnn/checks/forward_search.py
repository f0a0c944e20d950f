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
STAGES = ("H", "h_last", "O", "P", "loss")


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


def explain(
    problem: Problem, answers: Mapping[str, Answer], tolerance: Mapping[str, Tolerance]
) -> Forward:
    """Return the explanation of the forward answers with the fewest mistakes."""
    best = compared(problem, answers, tolerance, ())
    if not answers:
        return best
    faults = relevant(answers)
    for size in (1, 2):
        for chosen in combinations(faults, size):
            if best.cost <= size:
                return best
            candidate = compared(problem, answers, tolerance, chosen)
            if candidate.cost < best.cost:
                best = candidate
    return with_own_arrays(problem, best, answers, tolerance) if best.unexplained else best


def relevant(answers: Mapping[str, Answer]) -> list[Fault]:
    """Return the mistakes that these arrays can show."""
    faults: list[Fault] = list(STATE_FAULTS)
    if {"O", "P", "loss"} & set(answers):
        faults += OUTPUT_FAULTS
    return faults + list(LOSS_FAULTS) if "loss" in answers else faults


def compared(
    problem: Problem,
    answers: Mapping[str, Answer],
    tolerance: Mapping[str, Tolerance],
    faults: tuple[Fault, ...],
) -> Forward:
    """Return how the pass with these mistakes explains the answers."""
    at = forward(problem, faults)
    expected = by_name(at)
    unexplained = [
        name
        for name in STAGES[:-1]
        if name in answers and not agrees(answers, expected, tolerance, name)
    ]
    scalings: Scalings | None = ()
    if "loss" in answers and not agrees(answers, expected, tolerance, "loss"):
        scalings = scalings_of(problem, answers["loss"], at.loss, tolerance["loss"].single)
        if scalings is None:
            unexplained.append("loss")
    return Forward(faults, at, scalings or (), tuple(unexplained))


def by_name(at: States) -> dict[str, Array]:
    """Return a pass as the answers are called."""
    return {"H": at.H, "h_last": at.H[-1], "O": at.O, "P": at.P, "loss": np.array(at.loss)}


def agrees(
    answers: Mapping[str, Answer],
    expected: Mapping[str, Array],
    tolerance: Mapping[str, Tolerance],
    name: str,
) -> bool:
    """Whether an answer is what is expected, but for rounding."""
    return answers[name].error(expected[name]) <= tolerance[name].single


def scalings_of(problem: Problem, answer: Answer, loss: float, tolerance: float) -> Scalings | None:
    """Return the factors by which a loss is a multiple of the right one, None if none are known."""
    T, B, K = problem.X.shape
    if not loss or not answer.ways:
        return None
    return reason_of(float(answer.ways[0]) / loss, factors_of_loss(T, B, K), tolerance)


def with_own_arrays(
    problem: Problem, best: Forward, answers: Mapping[str, Answer], tolerance: Mapping[str, Tolerance]
) -> Forward:
    """Return the explanation that goes on from the program's own states and probabilities.

    What is right for these follows from what is not explained in them.
    """
    H = whole_states(best, answers)
    if "H" in best.unexplained and H is not None:
        best = with_own_states(problem, best, H, tolerance["H"].single)
    at, unexplained, expected = best.at, [], {}
    for name in best.unexplained:
        if name != "H" and H is not None and agrees(answers, by_name(at), tolerance, name):
            continue
        unexplained.append(name)
        expected[name] = by_name(forward(problem, best.faults) if name == "H" else at)[name]
        if name == "P":
            own = answers["P"].nearest(at.P)
            if own is not None and np.isfinite(own[0]).all():
                at = at._replace(P=own[0])
                at = at._replace(loss=loss_of(problem, at.P, best.faults))
    return replace(best, at=at, unexplained=tuple(unexplained), expected=expected)


def with_own_states(problem: Problem, best: Forward, H: Array, tolerance: float) -> Forward:
    """Return the explanation that goes on from a program's own states.

    They are explained if each follows from the one before, but for the first: h_0 was another.
    """
    O = outputs(problem, H, best.faults)
    at = States(best.at.A, H, O, softmax(O, best.faults), 0.0)
    at = at._replace(loss=loss_of(problem, at.P, best.faults))
    best = replace(best, at=at)
    if len(H) < 4 or best.faults:
        return best
    later = replace(problem, X=problem.X[1:], Y=problem.Y[1:], h0=H[1])
    if error(H[2:], states(later, ())[0][1:]) > tolerance:
        return best
    if np.array_equal(H[0], problem.h0):  # given, but not what h_1 is made of
        theta = problem.theta
        rest = np.arctanh(H[1]) - problem.X[0] @ theta["U"].T - theta["b"]
        H = np.concatenate([np.linalg.lstsq(theta["W"], rest.T, rcond=None)[0].T[None], H[1:]])
    unexplained = tuple(name for name in best.unexplained if name != "H")
    return replace(best, faults=("another h_0",), unexplained=unexplained, at=at._replace(H=H))


def whole_states(best: Forward, answers: Mapping[str, Answer]) -> Array | None:
    """Return the program's own states (T+1, B, m), if it gave them all, and they are finite."""
    pair = answers["H"].nearest(best.at.H) if "H" in answers else None
    if pair is None or not np.isfinite(pair[0]).all():
        return None
    own, right = pair
    if len(own) == len(best.at.H):
        return own
    begins_late = not np.shares_memory(right[0], best.at.H[0])
    return np.concatenate([best.at.H[:1], own]) if begins_late else None
