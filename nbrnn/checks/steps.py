"""Judge the parameters after steps of an optimizer, and fit its constants where they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nbrnn.checks.answers import where
from nbrnn.checks.equations import Arrays, noise
from nbrnn.checks.ladder import TITLES
from nbrnn.checks.report import Finding, Report, Row, counted
from nbrnn.checks.tolerances import EPS, FLOOR, SAFETY, TRIALS, is_single, largest
from nbrnn.checks.updates import Steps
from nbrnn.config import option_name
from nbrnn.typing import Array

DECAYS = [0.0, *(1 - 10 ** np.arange(-5, 0, 0.125))]
GRIDS = {
    "eta": [1.0],  # a step is proportional to it
    "epsilon": [0.0, *(10 ** np.arange(-20, 0.01, 0.25))],
    "beta1": DECAYS,
    "beta2": DECAYS,
    "clip": [np.inf, *(10 ** np.arange(-4, 4.01, 0.125))],
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
    ("t advances with each parameter", "t in the bias correction advances with each parameter, "
     "not once a step", {"adam_t": "per parameter"}),
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
    after: dict[str, tuple[str, Array]]
    gradient: Callable[[Arrays, int], Arrays]
    n: int
    is_exact: bool
    is_single: bool = False

    def __post_init__(self) -> None:
        self.is_single = self.is_single or any(is_single(array) for _, array in self.after.values())

    def run(self, steps: Steps, n: int = 0) -> Arrays:
        """Return the parameters after right steps."""
        return steps.run(self.theta, self.gradient, n or self.n)

    def unchanged(self) -> list[str]:
        """Return the parameters that are the same as before."""
        return [
            name for name, (_, array) in self.after.items() if np.array_equal(array, self.theta[name])
        ]

    def errors(self, steps: Steps, n: int = 0) -> dict[str, float]:
        """Return the largest error of each array, in units of its tolerance."""
        right = self.run(steps, n)
        tolerance = self.tolerance(steps, n or self.n, right)
        return {
            name: largest((a - right[name]) / tolerance[name]) for name, (_, a) in self.after.items()
        }

    def fits(self, steps: Steps, n: int = 0) -> bool:
        """Return whether all arrays are what these steps give."""
        return max(self.errors(steps, n).values()) <= 1

    def is_near(self, steps: Steps, n: int = 0) -> bool:
        """Return whether steps give the arrays to 1 %: cheaper, and true of all that explain them."""
        right = self.run(steps, n)
        return all(
            largest(array - right[name]) <= 1e-2 * largest(right[name] - self.theta[name])
            for name, (_, array) in self.after.items()
        )

    def tolerance(self, steps: Steps, n: int, right: Arrays) -> Arrays:
        """Return what rounding may change at each entry: a step may be the sign of a tiny gradient."""
        precision = "float32" if self.is_single else "float64"
        eps, rng = EPS[precision], np.random.default_rng(0)

        def rounded(theta: Arrays, t: int) -> Arrays:
            g = self.gradient({k: a * noise(a, eps, rng) for k, a in theta.items()}, t)
            return {
                k: a + eps * largest(a) * (a != 0) * rng.standard_normal(a.shape) for k, a in g.items()
            }

        moved = {name: np.zeros_like(array) for name, array in right.items()}
        for _ in range(0 if self.is_exact and n == 1 else TRIALS):
            other = steps.run(self.theta, rounded, n)
            moved = {name: np.maximum(moved[name], np.abs(other[name] - right[name])) for name in moved}
        found = {}
        for name, array in right.items():
            of_step = FLOOR[precision] * largest(array - self.theta[name])
            of_sum = 8 * eps * n * np.maximum(np.abs(self.theta[name]), np.abs(array))
            found[name] = SAFETY * moved[name] + of_step + of_sum + 1e-300
        return found


def judge_updates(updates: Sequence[Update], steps: Steps, said: Mapping[str, object]) -> Report:
    """Return rows and findings; `said` are the settings that the user chose.

    A constant that nobody chose may be another one: it is fitted, and noted.
    """
    report = Report(covered={"steps"})
    wrong = [update for update in updates if not update.fits(steps)]
    finding = mistake_in(updates, wrong[0], steps) if wrong else None
    fitted = fit(updates, steps) if finding is not None and finding.cause is None else None
    if fitted is not None:
        finding = None
        for name in (name for name in GRIDS if getattr(fitted, name) != getattr(steps, name)):
            value, words = getattr(fitted, name), "none"
            sentence = f"the gradients are not clipped to {steps.clip:g} before the step"
            if value < np.inf:
                words = f"{value:.3g}"
                sentence = f"{name} is {words}, the settings say {getattr(steps, name):g}"
            sentence += f": {option_name(name)} {words}"
            if name in said:
                cause = name if value < np.inf else "not clipped"
                report.findings.append(
                    Finding(cause, sentence, tuple(wrong[0].after), rung=wrong[0].rung)
                )
            else:
                report.notes.append(f"{sentence} (nobody chose it, so it is no fault)")
    if finding is not None:
        report.findings.append(finding)
    right_steps = fitted if fitted is not None and not report.findings else steps
    for update in updates:
        right, errors = update.run(right_steps), update.errors(right_steps)
        for name, (given, array) in update.after.items():
            what = f"{name} after {counted(update.n, 'step')}"
            report.rows.append(
                Row.of(given, what, array, right[name], errors[name] <= 1, rung=update.rung)
            )
    return report


def mistake_in(updates: Sequence[Update], first: Update, steps: Steps) -> Finding:
    """Return what is wrong with the first wrong step: a known mistake only if it gives them all."""
    errors, place = first.errors(steps), f"In '{TITLES[first.rung]}' " if first.rung else ""
    if updates[0] is not first:
        before = TITLES[updates[updates.index(first) - 1].rung]
        place = f"Right up to '{before}'; in '{TITLES[first.rung]}' "
    off = [name for name, error in errors.items() if error > 1]
    names = place + ", ".join(first.after[name][0] for name in off)
    still = [name for name in off if name in first.unchanged()]
    if still:
        words = "not updated: the same as before the step"
        if len(still) == len(errors):
            words += ". Are those before changed in place, as in a dictionary that is copied alone?"
        names = place + ", ".join(first.after[name][0] for name in still)
        return Finding("not updated", f"{names}: {words}", tuple(still), rung=first.rung)
    others = [(cause, words, replace(steps, **changes), first.n) for cause, words, changes in MISTAKES]
    words = "the step goes along the gradient, not against it"
    others.append(("uphill", words, replace(steps, eta=-steps.eta), first.n))
    for n in (1, 2, 3, 4, 5, 10, 100):
        words = f"{counted(n, 'step')} instead of {first.n}: --after {n}"
        others += [("another number of steps", words, steps, n)] * (n != first.n)
    for cause, words, other, n in others:
        if first.is_near(other, n) and all(u.fits(other, n if u.n == first.n else 0) for u in updates):
            return Finding(cause, f"{names}: {words}", tuple(off), rung=first.rung)
    right, name = first.run(steps), max(off, key=lambda each: errors[each])
    tolerance = first.tolerance(steps, first.n, right)[name].max()
    words = f"not what {steps.optimizer} makes of the gradient; {first.after[name][0]} differs "
    words += where("d" + name, first.after[name][1], right[name], tolerance)
    return Finding(None, f"{names}: {words}. No known mistake explains it", tuple(off), rung=first.rung)


# ---------------------------------------------------------------- constants


def fit(updates: Sequence[Update], steps: Steps) -> Steps | None:
    """Return the steps with one other constant, or one and eta, that explain all updates."""
    constants = [name for name in GRIDS if name in ("eta", "clip") or getattr(steps, name)]
    for with_eta in (False, True):
        for name in constants:
            if name != "eta" and (found := search(updates, steps, name, with_eta)):
                return found
        if not with_eta and (found := search(updates, steps, "eta", True)):
            return found
    return None


def search(updates: Sequence[Update], steps: Steps, name: str, with_eta: bool) -> Steps | None:
    """Return the steps with the best value of a constant, if they explain all updates."""
    from scipy.optimize import minimize_scalar

    def changed(value: float) -> Steps:
        other = steps if name == "eta" else replace(steps, **{name: value})  # type: ignore[arg-type]
        return replace(other, eta=eta_of(updates[0], other)) if with_eta else other

    def cost(value: float) -> float:
        other = changed(value)
        rights = [update.run(other) for update in updates]
        return max(largest(a - right[n]) for update, right in zip(updates, rights, strict=True)
                   for n, (_, a) in update.after.items())  # fmt: skip

    grid = GRIDS[name]
    best = int(np.argmin([cost(value) for value in grid]))
    values = [float(grid[best])]
    if 0 < best < len(grid) - 1 and np.isfinite(grid[best - 1]):
        low, high = sorted(np.log(max(grid[at], 1e-20)) for at in (best - 1, best + 1))
        found = minimize_scalar(lambda v: cost(np.exp(v)), bounds=(low, high), options={"xatol": 1e-12})
        value = float(np.exp(found.x))
        values = [float(f"{value:.2g}"), float(f"{value:.3g}"), value, 2.0**-52, *values]
    for value in values:
        other = changed(value)
        other = replace(other, eta=float(f"{other.eta:.4g}"))
        if other.eta > 0 and all(update.fits(other) for update in updates):
            return other
    return None


def eta_of(update: Update, steps: Steps) -> float:
    """Return the learning rate that gives steps of this size."""
    right = update.run(steps)
    after = {name: array for name, (_, array) in update.after.items()}
    moved, wanted = (
        np.concatenate([np.ravel(arrays[name] - update.theta[name]) for name in after])
        for arrays in (after, right)
    )
    return steps.eta * float(moved @ wanted / max(wanted @ wanted, 1e-300))
