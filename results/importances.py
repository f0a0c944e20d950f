"""The same data by Optuna's importances, by ratios as hyperfine prints them, and by nbrnn.

Needs Optuna: `pip install "optuna>=4"`, then `python -m results.importances`. It writes
results/statistics/side-by-side.md.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.analysis.effects import effects_of
from nbrnn.analysis.findings import Findings, findings_of
from nbrnn.analysis.rank_statistics import SIGNIFICANT
from results.question import ROOT

HERE = ROOT / "statistics"
SEEDS = 10
Data = tuple[dict[str, list[Any]], list[np.ndarray]]  # values and runs of configurations


def edge() -> Data:
    """Return our own runs over learning rate, epsilon and sigma, at the rates with ten seeds."""
    runs = pd.read_csv(ROOT / "edge" / "brontes" / "networks.csv")
    names = ["eta", "epsilon", "sigma"]
    groups = {place: group for place, group in runs.groupby(names) if len(group) == SEEDS}
    values = {name: [place[i] for place in groups] for i, name in enumerate(names)}
    return values, [group["validation_best"].to_numpy() for group in groups.values()]


def far_off() -> Data:
    """Return 40 random configurations, of which eta alone matters and one run is at 48.5."""
    rng = np.random.default_rng(0)
    names = ("eta", "sigma", "warmup", "epsilon", "clip")
    values = {name: rng.uniform(size=40).tolist() for name in names}
    losses = [3.2 + 0.4 * abs(eta - 0.5) + rng.normal(0, 0.03) for eta in values["eta"]]
    losses[int(np.argmin(values["sigma"]))] = 48.5
    return values, [np.array([loss]) for loss in losses]


def nested() -> Data:
    """Return 60 random configurations; beta1 does nothing and only Adam, which is better, has it."""
    rng = np.random.default_rng(1)
    adam = rng.random(60) < 0.5
    beta1 = [float(rng.uniform(0.8, 0.99)) if has else None for has in adam]
    optimizer = ["adam" if has else "sgd" for has in adam]
    values = {"optimizer": optimizer, "beta1": beta1, "eta": rng.uniform(size=60).tolist()}
    return values, [np.array([2.0 - 0.3 * has + rng.normal(0, 0.05)]) for has in adam]


def optuna_shares(values: dict[str, list[Any]], losses: Sequence[float]) -> dict[str, dict[str, float]]:
    """Return Optuna's importances by its fANOVA and by mean decrease of impurity.

    Only settings that all trials have can be given to it: for a nested one the default fills the gap.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    filled = {n: [0.9 if v is None else v for v in column] for n, column in values.items()}
    ranges: dict[str, Any] = {
        name: optuna.distributions.FloatDistribution(min(column), max(column))
        if isinstance(column[0], float)
        else optuna.distributions.CategoricalDistribution(sorted(set(column)))
        for name, column in filled.items()
    }
    for i, loss in enumerate(losses):
        params = {name: column[i] for name, column in filled.items()}
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=ranges, value=float(loss))
        )
    importance = optuna.importance
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "fANOVA": importance.get_param_importances(
                study, evaluator=importance.FanovaImportanceEvaluator(seed=0)
            ),
            "mean decrease of impurity": importance.get_param_importances(
                study, evaluator=importance.MeanDecreaseImpurityImportanceEvaluator(seed=0)
            ),
        }


def importances(title: str, data: Data) -> list[str]:
    """Return a table of both, setting by setting, as lines of Markdown."""
    values, samples = data
    optuna = optuna_shares(values, [float(np.mean(sample)) for sample in samples])
    ours = {effect.setting: effect for effect in effects_of(values, samples).main}
    lines = [
        f"## {title}",
        "",
        f"| setting | {' | '.join(f'Optuna, {how}' for how in optuna)} | nbrnn |",
    ]
    lines.append("|---|" + "--:|" * len(optuna) + "---|")
    for name, effect in ours.items():
        shares = " | ".join(f"{of[name]:.2f}" for of in optuna.values())
        what = f"p = {effect.p:.2g}" + ("" if effect.p <= SIGNIFICANT else ", not significant")
        within = f", within {effect.within}" if effect.within else ""
        lines.append(f"| {name} | {shares} | {effect.share:.2f} ({what}{within}) |")
    return [*lines, ""]


def ratios(findings: Findings) -> list[str]:
    """Return how each configuration compares with the best by a ratio and by nbrnn."""
    best = next(iter(findings.losses.values()))
    lines = ["| configuration | ratio to the best, as hyperfine has it | nbrnn |", "|---|--:|---|"]
    for name, losses in list(findings.losses.items())[1:7]:
        ratio = losses.mean() / best.mean()
        spread = ratio * math.hypot(*(s.std(ddof=1) / s.mean() for s in (losses, best)))
        verdict = "significantly worse" if name in findings.significantly_worse else "not significant"
        verdict = "too few seeds to judge" if findings.too_few else verdict
        lines.append(f"| {name} | {ratio:.3f} ± {spread:.3f} | {verdict} |")
    return lines


def main() -> None:
    """Write both tables."""
    runs = pd.read_csv(ROOT / "sigma" / "7-epochs" / "runs.csv")
    few = findings_of(runs[runs["seed"] < 5], ["sigma", "epsilon"], "smooth_loss_best", "")
    every = findings_of(runs, ["sigma", "epsilon"], "smooth_loss_best", "")
    text = [
        "# The same data three ways",
        "",
        "Made by `python -m results.importances`. Optuna is given the mean loss of each configuration,",
        "nbrnn all runs. hyperfine prints a ratio of means with the spread of single runs.",
        "",
        *importances("Our own runs: 30 configurations, 10 seeds", edge()),
        *importances("A random search of 40, only eta matters, one run far off (48.5)", far_off()),
        *importances("A random search of 60: beta1 does nothing and only Adam has it", nested()),
        "## Our 400 runs over sigma and epsilon, the first five seeds",
        "",
        *ratios(few),
        "",
        "## All fifty seeds",
        "",
        *ratios(every),
    ]
    HERE.mkdir(exist_ok=True)
    (HERE / "side-by-side.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
