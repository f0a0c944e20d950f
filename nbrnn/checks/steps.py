"""Steps of the optimizers in NumPy; judge those of a program, and fit its constants if they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from nbrnn.checks.equations import Arrays
from nbrnn.checks.ladder import until
from nbrnn.checks.report import Finding, Report, Row, where
from nbrnn.checks.tolerances import EPS, FLOOR, SAFETY, Rounding, is_single, largest, spread
from nbrnn.config import NONE, RunConfig, option_name
from nbrnn.exchange.layer_names import Named
from nbrnn.network.layout import NAMES
from nbrnn.typing import Array
from nbrnn.values import plural

Gradient = Callable[[Arrays, int], Arrays]  # of theta and the number of the step


@dataclass(frozen=True)
class Steps:
    """An optimizer with its constants; the fields after `clip` are what a program may do instead."""

    optimizer: str
    eta: float
    epsilon: float = 0.0
    beta1: float = 0.0
    beta2: float = 0.0
    clip: float = np.inf
    clips_norm: bool = False
    other_side: bool = False  # epsilon stands outside the root, for Adam inside
    adam_t: str = "right"  # of the bias correction: "none", "late" or "first"
    order: tuple[str, ...] = ()  # of the parameters, if t advances with each
    keeps_memory: bool = True
    is_uphill: bool = False

    @classmethod
    def of(cls, config: RunConfig) -> Steps:
        """Return the steps that the settings describe."""
        epsilon, beta1, beta2 = (getattr(config, name) or 0.0 for name in ("epsilon", "beta1", "beta2"))
        clip = np.inf if config.clip == NONE else float(config.clip)
        return cls(config.optimizer, config.eta, epsilon, beta1, beta2, clip)

    def run(self, theta: Arrays, gradient: Gradient, n: int) -> Arrays:
        """Return the parameters after n steps."""
        mean, square = dict.fromkeys(theta, np.zeros(())), dict.fromkeys(theta, np.zeros(()))
        decay, share = (1.0, 1.0) if self.optimizer == "adagrad" else (self.beta2, 1 - self.beta2)
        for t in range(1, n + 1):
            g = self.clipped(gradient(theta, t))
            if not self.keeps_memory:
                mean, square = dict.fromkeys(theta, np.zeros(())), dict.fromkeys(theta, np.zeros(()))
            mean = {k: self.beta1 * mean[k] + (1 - self.beta1) * g[k] for k in theta}
            square = {k: decay * square[k] + share * g[k] ** 2 for k in theta}
            direction = {k: self.direction(g[k], mean[k], square[k], t, k) for k in theta}
            eta = -self.eta if self.is_uphill else self.eta
            theta = {k: array - eta * direction[k] for k, array in theta.items()}
        return theta

    def clipped(self, g: Arrays) -> Arrays:
        """Return gradients, each entry clipped to [-clip, clip]."""
        if not self.clips_norm:
            return {name: np.clip(array, -self.clip, self.clip) for name, array in g.items()}
        norm = np.sqrt(sum((array**2).sum() for array in g.values()))
        return {name: array * min(1, self.clip / norm) for name, array in g.items()}

    def direction(self, g: Array, m: Array, v: Array, t: int, name: str) -> Array:
        """Return what a step of learning rate 1 takes away."""
        if self.optimizer == "sgd":
            return g
        if self.optimizer == "adam":
            g = m
            if self.adam_t != "none":
                k = {"late": t + 1, "first": 1}.get(self.adam_t, t)
                if self.order:
                    k = len(self.order) * (t - 1) + self.order.index(name) + 1
                g, v = m / (1 - self.beta1**k), v / (1 - self.beta2**k)
        is_inside = (self.optimizer != "adam") != self.other_side
        root = np.sqrt(v + self.epsilon) if is_inside else np.sqrt(v) + self.epsilon
        return np.where(g == 0, 0.0, g / root)


# ---------------------------------------------------------------- a program's steps

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
    ("uphill", "the step goes along the gradient, not against it", {"is_uphill": True}),
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
        self.found = {name: array for name, (_, array) in self.after.items()}
        self.is_single = self.is_single or any(map(is_single, self.found.values()))

    def run(self, steps: Steps) -> Arrays:
        """Return those of the parameters after right steps that the program has."""
        right = steps.run(self.theta, self.gradient, self.n)
        return {name: right[name] for name in self.found}

    @property
    def unchanged(self) -> list[str]:
        """The parameters that are the same as before."""
        return [name for name, array in self.found.items() if np.array_equal(array, self.theta[name])]

    def errors(self, steps: Steps) -> dict[str, float]:
        """Return the largest error of each array, in units of its tolerance."""
        right = self.run(steps)
        tolerance = self.tolerance(steps, right)
        return {k: largest((array - right[k]) / tolerance[k]) for k, array in self.found.items()}

    def fits(self, steps: Steps) -> bool:
        """Return whether all arrays are what these steps give."""
        return max(self.errors(steps).values()) <= 1

    def is_near(self, steps: Steps) -> bool:
        """Return whether steps give the arrays to 1 %: cheaper, and true of all that explain them."""
        right, before = self.run(steps), self.theta
        moved = {name: largest(right[name] - before[name]) for name in right}
        return all(largest(array - right[k]) <= 1e-2 * moved[k] for k, array in self.found.items())

    def tolerance(self, steps: Steps, right: Arrays) -> Arrays:
        """Return what rounding may change at each entry: a step may be the sign of a tiny gradient."""
        precision = "float32" if self.is_single else "float64"

        def again(rounded: Rounding) -> Arrays:
            def gradient(theta: Arrays, t: int) -> Arrays:
                g = self.gradient(rounded.all(theta), t)
                return {k: np.where(a == 0, 0.0, rounded(a, largest(a))) for k, a in g.items()}

            return steps.run(self.theta, gradient, self.n)

        is_given = self.is_exact and self.n == 1  # the gradient: nothing is rounded but the step
        moved = dict.fromkeys(right, np.zeros(())) if is_given else spread(again, right, precision)
        return {
            name: SAFETY * moved[name]
            + FLOOR[precision] * largest(array - self.theta[name])
            + 8 * EPS[precision] * self.n * np.maximum(np.abs(self.theta[name]), np.abs(array))
            + 1e-300
            for name, array in right.items()
        }


def judge_updates(updates: Sequence[Update], steps: Steps, chosen: Mapping[str, object]) -> Report:
    """Return rows and findings; `chosen` are the settings that the user chose.

    A constant that nobody chose may be another one: it is fitted, and noted.
    """
    report = Report(covered={"steps"})
    wrong = next((number for number, update in enumerate(updates) if not update.fits(steps)), None)
    if wrong is not None:
        finding = mistake_in(updates, wrong, steps)
        fitted = fit(updates, steps) if finding.cause is None else None
        if fitted is None:
            report.findings.append(finding)
        else:
            for name, words in other_constants(fitted, steps).items():
                if name in chosen:
                    cause = "not clipped" if "not clipped" in words else name
                    report.findings.append(replace(finding, cause=cause, sentence=words))
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


def mistake_in(updates: Sequence[Update], number: int, steps: Steps) -> Finding:
    """Return what is wrong with the first wrong step: a known mistake only if it gives them all."""
    first = updates[number]
    errors = first.errors(steps)
    off = [name for name, error in errors.items() if error > 1]

    def finding(cause: str | None, words: str, arrays: list[str] = off) -> Finding:
        place = until(first.rung, updates[number - 1].rung if number else "")
        names = ", ".join(first.after[name].name for name in arrays)
        return Finding(cause, f"{place}{names}: {words}", tuple(arrays), rung=first.rung)

    still = [name for name in off if name in first.unchanged]
    if still:
        words = "not updated: the same as before the step"
        if len(still) == len(errors):
            words += ". Are those before changed in place, as in a dictionary that is copied alone?"
        return finding("not updated", words, still)
    for cause, words, changes in MISTAKES:
        other = replace(steps, **changes)
        if first.is_near(other) and all(update.fits(other) for update in updates):
            return finding(cause, words)
    for n in (1, 2, 3, 4, 5, 10, 100):
        others = [replace(update, n=n) if update.n == first.n else update for update in updates]
        if n != first.n and others[number].is_near(steps) and all(u.fits(steps) for u in others):
            words = f"{plural(n, 'step')} instead of {first.n}: --after {n}"
            return finding("another number of steps", words)
    name = max(off, key=lambda each: errors[each])
    right, given = first.run(steps), first.after[name]
    tolerance = first.tolerance(steps, right)[name].max()
    place = where("d" + name, given.array, right[name], tolerance)
    words = f"not what {steps.optimizer} makes of the gradient; {given.name} differs {place}"
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
        runs = [(update.found, update.run(steps)) for update in updates]
        return max(largest(found[k] - right[k]) for found, right in runs for k in found)

    for group in (others, with_eta[:1], with_eta[1:]):
        for other in sorted(group, key=cost)[:3]:
            if other.eta > 0 and all(update.fits(other) for update in updates):
                return other
    return None


def with_best_eta(update: Update, steps: Steps) -> Steps:
    """Return steps with the learning rate, to four digits, that gives steps of this size."""
    moved, wanted = (
        np.concatenate([np.ravel(array - update.theta[name]) for name, array in arrays.items()])
        for arrays in (update.found, update.run(steps))
    )
    share = float(moved @ wanted / max(wanted @ wanted, 1e-300))  # a step is proportional to eta
    return replace(steps, eta=float(f"{steps.eta * share:.4g}"))


def other_constants(fitted: Steps, steps: Steps) -> dict[str, str]:
    """Return a sentence on each constant that is another one."""
    found = {}
    for name in ("eta", *CONSTANTS):
        value, setting = getattr(fitted, name), getattr(steps, name)
        if value == np.inf != setting:
            found[name] = f"the gradients are not clipped to {setting:g} before the step: --clip none"
        elif value != setting:
            words = f"{value:.3g}"
            found[name] = f"{name} is {words}, the settings say {setting:g}: {option_name(name)} {words}"
    return found
