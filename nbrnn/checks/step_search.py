"""The search for the mistakes in the steps that give just what the program gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np

from nbrnn.checks.answers import Answer
from nbrnn.checks.optimizer_steps import Theta, faults_of, stepped
from nbrnn.checks.tolerances import FLOAT32, FLOAT64, SAFETY, error, norm
from nbrnn.config import NONE, SETTINGS, RunConfig
from nbrnn.typing import Array

Gradient = Callable[[Theta], Theta]
MAX_WORK = 20_000  # steps in all that are tried in pairs of mistakes


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
        if len(faults) ** 2 * self.n < MAX_WORK:
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
        own = self.config
        clips, etas = (own.clip, NONE), (own.eta, None)  # None: the optimizer's default
        for optimizer, clip, eta in product(SETTINGS["optimizer"].choices, clips, etas):
            other = RunConfig(optimizer=optimizer, clip=clip, eta=eta)  # type: ignore[arg-type]
            if optimizer == own.optimizer:
                other = replace(own, clip=clip)
            after = stepped(self.theta, self.gradient, other, self.n)
            found = self.compared((), after, allowed, scaled=True)
            if optimizer != own.optimizer:
                found = replace(found, optimizer=optimizer)
            if clip != own.clip:
                found = replace(found, faults=("not clipped",))
            best = found if found.cost < best.cost else best
        return best

    def rounding(self, right: Theta) -> dict[str, float]:
        """Return for each parameter how far the change may be off, as a share of its norm."""
        rng = np.random.default_rng(0)
        seen = dict.fromkeys(right, 0.0)

        def rounded(g: Array) -> Array:
            share = 0.0 if self.exact else 4 * FLOAT32
            relative = g * (1 + 2 * FLOAT32 * rng.standard_normal(g.shape))
            return np.asarray(
                relative + share * np.abs(g).max() * rng.standard_normal(g.shape) * (g != 0)
            )

        def nearly(theta: Theta) -> Theta:
            return {name: rounded(g) for name, g in self.gradient(theta).items()}

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
        self, faults: tuple[str, ...], after: Theta, allowed: Mapping[str, float], scaled: bool = False
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
            if scaled and k and error(change, k * right) <= most:
                factors.add(float(f"{k:.4g}"))
            else:
                unexplained.append(name)
        if len(factors) > 1 or (factors and unexplained):
            unexplained = list(self.answers)
        multiple = factors.pop() if len(factors) == 1 else None
        return Steps(faults, after, tuple(unexplained), multiple, tight=tight)
