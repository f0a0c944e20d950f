"""Which mistakes in the steps, and in the smooth loss, give just what the program gave?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from nbrnn.checks.answers import Answer
from nbrnn.checks.matching import FLOAT32, FLOAT64, SAFETY, error, norm
from nbrnn.checks.steps import KEPT, Theta, faults_of, smooth_series, stepped
from nbrnn.config import NONE, SETTINGS, RunConfig
from nbrnn.typing import Array

Gradient = Callable[[Theta], Theta]
MOST_WORK = 20_000  # steps in all that are tried in pairs of mistakes


@dataclass(frozen=True)
class Steps:
    """The fewest mistakes that explain the parameters after steps.

    `multiple` is by what the steps are too long, where nothing else is wrong; `optimizer` is another one
    whose steps they are. `expected` are the parameters with the mistakes.
    """

    faults: tuple[str, ...]
    expected: Theta
    unexplained: tuple[str, ...] = ()
    multiple: float | None = None
    optimizer: str | None = None
    tight: bool = True

    @property
    def cost(self) -> float:
        """How bad the explanation is."""
        extra = (self.multiple is not None) + (self.optimizer is not None)
        return len(self.faults) + extra + 10.0 * len(self.unexplained)


@dataclass(frozen=True)
class Stepping:
    """The question: parameters before and after, the gradient, the settings, the number of steps.

    `exact`: the gradient is the program's own, so that only the step's rounding is between.
    """

    theta: Theta
    answers: Mapping[str, Answer]
    gradient: Gradient
    config: RunConfig
    n: int
    exact: bool

    def explain(self) -> Steps:
        """Return the explanation with the fewest mistakes."""
        right = self.right()
        allowed = self.rounding(right)
        best = self.compared((), right, allowed)
        if best.cost == 0 and best.tight:
            return best
        faults = faults_of(self.config, self.n)
        sets = [(fault,) for fault in faults]
        if len(faults) ** 2 * self.n < MOST_WORK:
            sets += list(combinations(faults, 2))  # type: ignore[arg-type]
        for chosen in sets:
            if len(chosen) >= best.cost > 0:
                break
            after = stepped(self.theta, self.gradient, self.config, self.n, chosen)
            found = self.compared(chosen, after, allowed)
            if best.cost == 0:  # right within float32: only what fits to the last digits is a mistake
                if not found.unexplained and found.tight and len(chosen) == 1:
                    return found
            elif found.cost < best.cost:
                best = found
        return self.of_another_optimizer(best, allowed) if best.cost > 1 else best

    def right(self) -> Theta:
        """Return the parameters after right steps."""
        return stepped(self.theta, self.gradient, self.config, self.n)

    def alone(self) -> Steps:
        """Return how right steps along this gradient explain the parameters."""
        right = self.right()
        return self.compared((), right, self.rounding(right))

    def of_another_optimizer(self, best: Steps, allowed: Mapping[str, float]) -> Steps:
        """Return the best explanation, or that the steps are another optimizer's, or longer."""
        for optimizer, clip, eta in self.others():
            other = RunConfig(optimizer=optimizer, clip=clip, eta=eta)  # type: ignore[arg-type]
            if optimizer == self.config.optimizer:
                other = replace(self.config, clip=clip)
            after = stepped(self.theta, self.gradient, other, self.n)
            found = self.compared((), after, allowed, multiples=True)
            if optimizer != self.config.optimizer:
                found = replace(found, optimizer=optimizer)
            if clip != self.config.clip:
                found = replace(found, faults=("not clipped",))
            if found.cost < best.cost:
                best = found
        return best

    def others(self) -> Iterator[tuple[str, float | str, float | None]]:
        """Yield the optimizers, clipping and learning rates whose steps may be taken for these."""
        for optimizer in SETTINGS["optimizer"].choices:
            for clip in (self.config.clip, NONE):
                yield optimizer, clip, self.config.eta
                yield optimizer, clip, None  # its own

    def rounding(self, right: Theta) -> dict[str, float]:
        """Return for each parameter how far the change may be off, as a share of its norm."""
        rng = np.random.default_rng(0)
        seen = dict.fromkeys(right, 0.0)

        def nearly(theta: Theta) -> Theta:
            found = self.gradient(theta)
            share = 0.0 if self.exact else 4 * FLOAT32
            return {
                name: g * (1 + 2 * FLOAT32 * rng.standard_normal(g.shape))
                + share * np.abs(g).max() * rng.standard_normal(g.shape) * (g != 0)
                for name, g in found.items()
            }

        for _ in range(3):
            other = stepped(self.theta, nearly, self.config, self.n)
            for name, array in right.items():
                change = array - self.theta[name]
                seen[name] = max(seen[name], error(other[name] - self.theta[name], change))
        for name, array in right.items():
            own = FLOAT32 * self.n * norm(array) / max(norm(array - self.theta[name]), 1e-300)
            seen[name] = max(1e-6, SAFETY * seen[name], 4 * own)
        return seen

    def compared(
        self,
        faults: tuple[str, ...],
        after: Theta,
        allowed: Mapping[str, float],
        multiples: bool = False,
    ) -> Steps:
        """Return how steps explain the parameters."""
        unexplained, factors, tight = [], set(), True
        for name, answer in self.answers.items():
            (found,) = answer.ways
            before = self.theta[name]
            if found.shape != before.shape or not np.isfinite(after[name]).all():
                unexplained.append(name)
                continue
            change, right = found - before, after[name] - before
            off = error(change, right)
            precise = 1e-9 + 8 * FLOAT64 * norm(before) / max(norm(right), 1e-300)
            # a shorter step is lost in the rounding of the parameters sooner
            lost = 4 * FLOAT32 * self.n * norm(before) / max(norm(right), 1e-300)
            most = max(allowed[name], min(0.2, lost))
            tight &= off <= min(precise, most)
            if off <= most:
                continue
            k = float((change * right).sum() / max((right * right).sum(), 1e-300))
            if multiples and k and error(change, k * right) <= most:
                factors.add(float(f"{k:.4g}"))
            else:
                unexplained.append(name)
        if len(factors) > 1 or (factors and unexplained):
            unexplained = list(self.answers)
        multiple = factors.pop() if len(factors) == 1 else None
        return Steps(faults, after, tuple(unexplained), multiple, tight=tight)


# ---------------------------------------------------------------- the smooth loss


@dataclass(frozen=True)
class Smoothing:
    """What explains a smooth series: a mistake, None if there is none known, "" if it is right."""

    fault: str | None
    expected: Array


def explain_smoothing(losses: Array, smooth: Array, T: int | None, K: int | None) -> Smoothing:
    """Return what is wrong with the smooth series of a series of losses.

    T and K, where they are known, tell a sum from a mean, and how a uniform guess begins.
    """
    first = float(losses[0])
    right = smooth_series(losses, first)
    if fits(smooth, right):
        return Smoothing("", right)
    for fault, start in starts_of(first, T, K):
        if fits(smooth, smooth_series(losses, start)):
            return Smoothing(fault, right)
    if fits(smooth, smooth_series(losses, first, late=True)):
        return Smoothing("a step late", right)
    if fits(smooth, smooth_series(losses, first, 1 - KEPT)):
        return Smoothing("weights exchanged", right)
    return other_weights(losses, smooth, right)


def starts_of(first: float, T: int | None, K: int | None) -> Iterator[tuple[str, float]]:
    """Yield where a smooth series may begin instead of at the first loss."""
    yield "begun at 0", (1 - KEPT) * first
    yield "begun at 0", 0.0
    for length in [T] if T else range(2, 201):
        for fault, start in (("sum", length * first), ("mean", first / length)):
            yield f"begun as a {fault}", start
            yield f"begun as a {fault}", KEPT * start + (1 - KEPT) * first
        for guess in (length * math.log(K), math.log(K)) if K else ():
            yield "begun at a uniform guess", guess
            yield "begun at a uniform guess", KEPT * guess + (1 - KEPT) * first


def other_weights(losses: Array, smooth: Array, right: Array) -> Smoothing:
    """Return whether the series is smoothed by other weights, or begun elsewhere."""
    first = float(losses[0])
    if not np.isfinite(smooth).all():
        return Smoothing(None, right)
    steps, pulls = np.diff(smooth), losses[1:] - smooth[:-1]
    if pulls.size and (share := float(pulls @ steps / max(pulls @ pulls, 1e-300))) > 0:
        if fits(smooth, smooth_series(losses, first, 1 - share)):
            return Smoothing(f"weights {1 - share:.4g}", right)
        if abs(share / (1 - KEPT) - 1) < 1e-3 and fits(smooth, smooth_series(losses, float(smooth[0]))):
            return Smoothing("begun elsewhere", right)
    return Smoothing(None, right)


def fits(found: Array, right: Array) -> bool:
    """Whether two series agree in each number, but for the rounding of float32 along the way."""
    if not np.isfinite(found).all():
        return False
    return bool((np.abs(found - right) <= 1e-5 * np.abs(right) + 1e-12).all())
