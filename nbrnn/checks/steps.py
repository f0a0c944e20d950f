"""Judge the parameters after steps of an optimizer, and fit its constants where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from nbrnn.checks.equations import Arrays
from nbrnn.checks.ladder import until
from nbrnn.checks.report import Finding, Report, Row, where
from nbrnn.checks.tolerances import EPS, FLOOR, SAFETY, Rounding, is_single, largest, spread
from nbrnn.checks.updates import Gradient, Steps
from nbrnn.config import option_name
from nbrnn.exchange.layer_names import Named
from nbrnn.network.layout import NAMES
from nbrnn.values import plural

ROUND = [float(f"{m}e{n}") for n in range(-20, 5) for m in (1, 1.5, 2, 2.2, 2.5, 3, 4, 5, 6, 7, 8, 9)]
DECAYS = (0.0, 0.5, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999)
# The values of each constant that people choose.
CONSTANTS = {
    "epsilon": (0.0, *(value for value in ROUND if value <= 1), 2.0**-52, 2.0**-23),
    "beta1": DECAYS,
    "beta2": DECAYS,
    "clip": (np.inf, *(value for value in ROUND if value >= 1e-4)),
}
# A name, what is wrong, and what the program does instead of the steps of the settings.
MISTAKES: list[tuple[str, str, dict[str, Any]]] = [
    ("clipped by norm", "the gradients are clipped by norm, not each entry", {"clips_norm": True}),
    ("epsilon on the other side of the root", "epsilon stands on the other side of the root: AdaGrad "
     "and RMSProp have it inside, Adam outside", {"other_side": True}),
    ("plain gradient", "the step is eta g: the division by the root is missing", {"optimizer": "sgd"}),
    ("memory not kept", "the memory is not kept from step to step", {"keeps_memory": False}),
    ("no bias correction", "the bias correction is missing", {"adam_t": "none"}),
    ("t off by one", "t in the bias correction is one too large: it starts at 1", {"adam_t": "late"}),
    ("t stays at 1", "t in the bias correction stays at 1: it counts the steps", {"adam_t": "first"}),
    *(("t advances with each parameter", "t in the bias correction advances with each parameter, "
       "not once a step", {"order": order}) for order in permutations(NAMES)),
    ("optimizer", "these are steps of AdaGrad", {"optimizer": "adagrad"}),
    *(("optimizer", f"these are steps of RMSProp, or of AdaGrad whose memory decays by {decay}",
       {"optimizer": "rmsprop", "beta2": decay}) for decay in (0.9, 0.95, 0.99, 0.999)),
    ("optimizer", "these are steps of Adam", {"optimizer": "adam", "beta1": 0.9, "beta2": 0.999}),
]  # fmt: skip


@dataclass
class Update:
    """Parameters before and after n steps, as named by the program, and the gradients on the way.

    `is_exact`: those of the first step are the program's own, or were given to it.
    """

    rung: str
    theta: Arrays
    after: dict[str, Named]
    n: int
    is_single: bool
    gradient: Gradient
    is_exact: bool = False

    def __post_init__(self) -> None:
        self.is_single = self.is_single or any(is_single(array) for _, array in self.after.values())

    def run(self, steps: Steps, n: int = 0) -> Arrays:
        """Return those of the parameters after right steps that the program has."""
        right = steps.run(self.theta, self.gradient, n or self.n)
        return {name: right[name] for name in self.after}

    def unchanged(self) -> list[str]:
        """Return the parameters that are the same as before."""
        return [name for name, (_, a) in self.after.items() if np.array_equal(a, self.theta[name])]

    def off(self, right: Arrays) -> Arrays:
        """Return the errors of each array."""
        return {name: array - right[name] for name, (_, array) in self.after.items()}

    def errors(self, steps: Steps, n: int = 0) -> dict[str, float]:
        """Return the largest error of each array, in units of its tolerance."""
        right = self.run(steps, n)
        tolerance = self.tolerance(steps, n or self.n, right)
        return {name: largest(off / tolerance[name]) for name, off in self.off(right).items()}

    def fits(self, steps: Steps, n: int = 0) -> bool:
        """Return whether all arrays are what these steps give."""
        return max(self.errors(steps, n).values()) <= 1

    def is_near(self, steps: Steps, n: int = 0) -> bool:
        """Return whether steps give the arrays to 1 %: cheaper, and true of all that explain them."""
        right = self.run(steps, n)
        return all(
            largest(off) <= 1e-2 * largest(right[name] - self.theta[name])
            for name, off in self.off(right).items()
        )

    def tolerance(self, steps: Steps, n: int, right: Arrays) -> Arrays:
        """Return what rounding may change at each entry: a step may be the sign of a tiny gradient."""
        precision = "float32" if self.is_single else "float64"

        def again(rounded: Rounding) -> Arrays:
            def gradient(theta: Arrays, t: int) -> Arrays:
                g = self.gradient(rounded.all(theta), t)
                return {k: np.where(a == 0, 0.0, rounded(a, largest(a))) for k, a in g.items()}

            return steps.run(self.theta, gradient, n)

        is_given = self.is_exact and n == 1  # the gradient, so that nothing is rounded but the step
        moved = dict.fromkeys(right, np.zeros(())) if is_given else spread(again, right, precision)
        return {
            name: SAFETY * moved[name]
            + FLOOR[precision] * largest(array - self.theta[name])
            + 8 * EPS[precision] * n * np.maximum(np.abs(self.theta[name]), np.abs(array))
            + 1e-300
            for name, array in right.items()
        }


def judge_updates(updates: Sequence[Update], steps: Steps, said: Mapping[str, object]) -> Report:
    """Return rows and findings; `said` are the settings that the user chose.

    A constant that nobody chose may be another one: it is fitted, and noted.
    """
    report = Report(covered={"steps"})
    wrong = next((update for update in updates if not update.fits(steps)), None)
    if wrong is not None:
        finding = mistake_in(updates, wrong, steps)
        fitted = fit(updates, steps) if finding.cause is None else None
        if fitted is None:
            report.findings.append(finding)
        else:
            for name, words in other_constants(fitted, steps).items():
                if name in said:
                    cause = "not clipped" if "not clipped" in words else name
                    report.findings.append(Finding(cause, words, finding.arrays, rung=wrong.rung))
                else:
                    report.notes.append(f"{words} (nobody chose it, so it is no fault)")
            steps = steps if report.findings else fitted
    for update in updates:
        right, errors = update.run(steps), update.errors(steps)
        for name, (given, array) in update.after.items():
            what = f"{name} after {plural(update.n, 'step')}"
            row = Row.of(given, what, array, right[name], errors[name] <= 1)
            report.rows.append(replace(row, rung=update.rung))
    return report


def mistake_in(updates: Sequence[Update], first: Update, steps: Steps) -> Finding:
    """Return what is wrong with the first wrong step: a known mistake only if it gives them all."""
    number = updates.index(first)
    place = until(first.rung, updates[number - 1].rung if number else "")
    errors = first.errors(steps)
    off = [name for name, error in errors.items() if error > 1]

    def finding(cause: str | None, words: str, arrays: list[str] = off) -> Finding:
        names = ", ".join(first.after[name].name for name in arrays)
        return Finding(cause, f"{place}{names}: {words}", tuple(arrays), rung=first.rung)

    still = [name for name in off if name in first.unchanged()]
    if still:
        words = "not updated: the same as before the step"
        if len(still) == len(errors):
            words += ". Are those before changed in place, as in a dictionary that is copied alone?"
        return finding("not updated", words, still)
    others = [(cause, words, replace(steps, **changes), first.n) for cause, words, changes in MISTAKES]
    words = "the step goes along the gradient, not against it"
    others.append(("uphill", words, replace(steps, eta=-steps.eta), first.n))
    for n in (n for n in (1, 2, 3, 4, 5, 10, 100) if n != first.n):
        words = f"{plural(n, 'step')} instead of {first.n}: --after {n}"
        others.append(("another number of steps", words, steps, n))
    for cause, words, other, n in others:
        if first.is_near(other, n) and all(u.fits(other, n if u.n == first.n else 0) for u in updates):
            return finding(cause, words)
    right, name = first.run(steps), max(off, key=lambda each: errors[each])
    tolerance = first.tolerance(steps, first.n, right)[name].max()
    given, array = first.after[name]
    place_of_it = where("d" + name, array, right[name], tolerance)
    words = f"not what {steps.optimizer} makes of the gradient; {given} differs {place_of_it}"
    return finding(None, f"{words}. No known mistake explains it")


# ---------------------------------------------------------------- constants


def fit(updates: Sequence[Update], steps: Steps) -> Steps | None:
    """Return the steps with one other constant, or one and eta, that explain all updates."""
    others = [
        replace(steps, **{name: value})  # type: ignore[arg-type]
        for name, values in CONSTANTS.items()
        if name == "clip" or getattr(steps, name)
        for value in values
    ]
    with_eta = [with_best_eta(updates[0], other) for other in (steps, *others)]

    def cost(steps: Steps) -> float:
        return max(largest(off) for u in updates for off in u.off(u.run(steps)).values())

    for group in (others, with_eta[:1], with_eta[1:]):
        for other in sorted(group, key=cost)[:3]:
            if other.eta > 0 and all(update.fits(other) for update in updates):
                return other
    return None


def with_best_eta(update: Update, steps: Steps) -> Steps:
    """Return steps with the learning rate, to four digits, that gives steps of this size."""
    right = update.run(steps)
    moved, wanted = (
        np.concatenate([np.ravel(a - update.theta[name]) for name, a in arrays.items()])
        for arrays in ({name: array for name, (_, array) in update.after.items()}, right)
    )
    share = float(moved @ wanted / max(wanted @ wanted, 1e-300))  # a step is proportional to eta
    return replace(steps, eta=float(f"{steps.eta * share:.4g}"))


def other_constants(fitted: Steps, steps: Steps) -> dict[str, str]:
    """Return a sentence on each constant that is another one."""
    found = {}
    for name in ("eta", *CONSTANTS):
        value, said = getattr(fitted, name), getattr(steps, name)
        if value == np.inf != said:
            found[name] = f"the gradients are not clipped to {said:g} before the step: --clip none"
        elif value != said:
            words = f"{value:.3g}"
            found[name] = f"{name} is {words}, the settings say {said:g}: {option_name(name)} {words}"
    return found
