"""Do the statistics keep what they promise? `tox -e simulations` asks by simulation.

Configurations are made up whose losses are equal in the sense of each guarantee, with deviations of 1
and 3, of several shapes, one of them the losses of our own runs; then it is counted how often the
guarantee holds. Every function here takes the number of simulations: tests do a few, the night 2,000.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
import pandas as pd

from nbrnn.analysis.effects import effects_of
from nbrnn.analysis.multiple_comparisons import false_claims, p_of_being_best, seeds_to_detect
from nbrnn.analysis.rank_statistics import SIGNIFICANT, improvement, median_of, shift_of
from results.question import ROOT

HERE = ROOT / "statistics"
DEVIATIONS = (1, 3)
MANY = 400_000  # draws, from which a shape's centre is known
Rng = np.random.Generator
Judge = Callable[[list[np.ndarray]], np.ndarray]


def gamma(skewness: float) -> Callable[[Rng, tuple[int, ...]], np.ndarray]:
    """Return a sampler of gamma numbers of deviation 1 with this skewness."""
    shape, sign = (2 / skewness) ** 2, math.copysign(1, skewness)
    return lambda rng, size: sign * (rng.gamma(shape, 1, size) - shape) / math.sqrt(shape)


@cache
def own_losses() -> np.ndarray:
    """Return the losses of our own runs, 50 of each of 8 configurations, scaled to deviation 1."""
    runs = pd.read_csv(ROOT / "sigma" / "7-epochs" / "runs.csv").sort_values(["setting", "seed"])
    every = runs["smooth_loss_best"].to_numpy().reshape(runs["setting"].nunique(), -1)
    scaled: np.ndarray = (every - every.mean(axis=1, keepdims=True)) / every.std(axis=1, keepdims=True)
    return scaled


SHAPES: dict[str, Callable[[Rng, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "gamma, skew 1.1": gamma(1.1),
    "gamma, skew -1.57": gamma(-1.57),
    "exponential": lambda rng, size: rng.exponential(size=size) - 1,
    "5 % of runs +20 sd": lambda rng, size: rng.normal(size=size) + 20 * (rng.random(size) < 0.05),
    "our own losses": lambda rng, size: rng.choice(own_losses().ravel(), size),
}
ISSUE = [(5, (3,)), (5, (10, 3)), (10, (5,)), (30, (5,)), (100, (5,))]
CELLS = [
    *ISSUE,
    *((2, (n,)) for n in (3, 4, 5, 10, 20, 50)),
    *((5, (n,)) for n in (5, 10, 50)),
    *((K, (n,)) for K in (10, 30) for n in (3, 20)),
    *((K, (50, 5)) for K in (5, 30)),
    (100, (3,)),
]


@cache
def centres(shape: str, null: str) -> tuple[float, float]:
    """Return what is subtracted from losses of both deviations, so that these are equal.

    null: `chances`, with which a run of one is as often lower as one of the other, `medians` or `means`.
    """
    rng = np.random.default_rng(0)
    narrow, wide = (sd * SHAPES[shape](rng, (MANY,)) for sd in DEVIATIONS)
    if null == "chances":
        return 0.0, float(np.median(wide - narrow))
    value = np.median if null == "medians" else np.mean
    return float(value(narrow)), float(value(wide))


def made_up(rng: Rng, shape: str, count: int, seeds: Sequence[int], null: str) -> list[np.ndarray]:
    """Return the runs of so many equal configurations, of all deviations with all numbers of seeds."""
    samples = []
    for i in range(count):
        size, which = (seeds[i // 2 % len(seeds)],), i % 2
        samples.append(DEVIATIONS[which] * SHAPES[shape](rng, size) - centres(shape, null)[which])
    return samples


def coverage(
    shape: str,
    count: int,
    seeds: Sequence[int],
    null: str,
    simulations: int,
    judge: Judge = p_of_being_best,
) -> tuple[float, float, float]:
    """Return how often a best configuration is kept, its error, and the share with too few seeds.

    Of the kinds of configurations, by deviation and seeds, it is that which is kept least often.
    """
    rng = np.random.default_rng([count, *seeds])
    kinds = [(i % 2, i // 2 % len(seeds)) for i in range(count)]
    kept = defaultdict(list)
    unknown = 0.0
    for _ in range(simulations):
        p = judge(made_up(rng, shape, count, seeds, null))
        unknown += float(np.isnan(p).mean()) / simulations
        for kind in set(kinds):
            own = [not q <= SIGNIFICANT for q, of in zip(p, kinds, strict=True) if of == kind]
            kept[kind].append(np.mean(own))
    worst = min(kept.values(), key=np.mean)
    return float(np.mean(worst)), float(np.std(worst) / math.sqrt(simulations)), unknown


def best_covered(shape: str, count: int, seeds: int, simulations: int) -> tuple[float, float]:
    """Return how often the interval of the lowest median holds, and how often there is one."""
    rng = np.random.default_rng([count, seeds])
    held = known = 0
    for _ in range(simulations):
        samples = made_up(rng, shape, count, [seeds], "medians")
        lowest = min(samples, key=np.median)
        interval = median_of(lowest, count)
        known += not math.isnan(interval.low)
        held += math.isnan(interval.low) or interval.low <= 0 <= interval.high
    return held / simulations, known / simulations


def pair_covered(shape: str, seeds: int, simulations: int) -> tuple[float, float]:
    """Return how often the intervals of a shift and of P(a lower) have the true one: 0 and 1/2."""
    rng = np.random.default_rng(seeds)
    held = np.zeros(2)
    for _ in range(simulations):
        a, b = made_up(rng, shape, 2, [seeds], "chances")
        shift, (_, low, high) = shift_of([(a, b)]), improvement(a, b)
        held += not (shift.low > 0 or shift.high < 0), not (low > 0.5 or high < 0.5)
    return tuple((held / simulations).tolist())


def power(shape: str, count: int, difference: float, simulations: int) -> tuple[float, int]:
    """Return how often a difference is found with the seeds that pilots of 5 recommend, and these."""
    rng = np.random.default_rng(count)
    found, recommended = 0, []
    for _ in range(simulations):
        pilot = [SHAPES[shape](rng, (5,)) for _ in range(min(count, 3))]
        seeds = seeds_to_detect(pilot, difference, count) or 5
        samples = [SHAPES[shape](rng, (min(seeds, 500),)) + difference * (i > 0) for i in range(count)]
        found += bool(p_of_being_best(samples)[1] <= SIGNIFICANT)
        recommended.append(seeds)
    return found / simulations, int(np.median(recommended))


def claims_after(looks: Sequence[int], count: int, simulations: int) -> float:
    """Return how often any of several equal configurations is called worse in any of these looks."""
    rng = np.random.default_rng(count)
    claimed = 0
    for _ in range(simulations):
        runs = rng.normal(size=(count, looks[-1]))
        claimed += any((p_of_being_best(list(runs[:, :n])) <= SIGNIFICANT).any() for n in looks)
    return claimed / simulations


def nested(simulations: int) -> tuple[float, float]:
    """Return how often beta1 without effect, which only Adam has, is significant; and its share."""
    rng = np.random.default_rng(0)
    called, shares = 0, []
    for _ in range(simulations):
        adam = rng.random(40) < 0.5
        beta1 = [float(rng.uniform(0.8, 0.99)) if has else None for has in adam]
        values = {
            "optimizer": ["adam" if has else "sgd" for has in adam],
            "beta1": beta1,
            "eta": rng.uniform(size=40).tolist(),
        }
        samples = [np.array([rng.normal() - 2 * has]) for has in adam]
        (effect,) = (one for one in effects_of(values, samples).main if one.setting == "beta1")
        called += effect.p <= SIGNIFICANT
        shares.append(effect.share)
    return called / simulations, float(np.mean(shares))


def grid_claims(shape: str, seeds: int, simulations: int) -> tuple[float, float]:
    """Return how often an effect of 0, and an interaction, is called one in a grid of 2 x 3."""
    rng = np.random.default_rng(seeds)
    rows = [(a, b) for a in (0, 1) for b in (0, 1, 2)]
    values = {"a": [a for a, _ in rows], "b": [b for _, b in rows]}
    claims = np.zeros(2)
    for _ in range(simulations):
        samples = [
            5.0 * b + x
            for x, (_, b) in zip(made_up(rng, shape, 6, [seeds], "chances"), rows, strict=True)
        ]
        effects = effects_of(values, samples)
        (a,) = (one for one in effects.main if one.setting == "a")
        claims += a.p <= SIGNIFICANT, any(pair.p <= SIGNIFICANT for pair in effects.interactions)
    return tuple((claims / simulations).tolist())


def cells(simulations: int) -> Iterator[dict[str, object]]:
    """Return the coverage of each cell, for losses that are equal in two senses."""
    for shape in SHAPES:
        for count, seeds in CELLS:
            for null in ("chances", "medians"):
                times = simulations // 4 if count == 100 else simulations
                held, error, unknown = coverage(shape, count, seeds, null, times)
                row = {"shape": shape, "configurations": count, "seeds": text(seeds), "equal": null}
                row |= {"kept": f"{held:.3f}", "error": f"{error:.3f}", "too_few": f"{unknown:.2f}"}
                yield row | {"simulations": times}


def other_guarantees(simulations: int) -> Iterator[tuple[str, str, str]]:
    """Return what else is promised: what, where, and how often it held."""
    for shape in SHAPES:
        for count, seeds in ((5, 10), (20, 6), (20, 10), (30, 50), (100, 3)):
            held, known = best_covered(shape, count, seeds, simulations)
            where = f"{shape}; {count} configurations, {seeds} seeds"
            yield "interval of the best median", where, f"{held:.3f} (there is one in {known:.0%})"
        for seeds in (3, 5, 10, 50):
            shift, chance = pair_covered(shape, seeds, simulations)
            yield "interval of a shift", f"{shape}; {seeds} seeds", f"{shift:.3f}"
            yield "interval of P(a lower)", f"{shape}; {seeds} seeds", f"{chance:.3f}"
        for seeds in (3, 5):
            main, pair = grid_claims(shape, seeds, simulations // 4)
            where = f"{shape}; grid of 2 x 3, {seeds} seeds"
            yield "no effect is called one", where, f"{1 - main:.3f}"
            yield "no interaction is called one", where, f"{1 - pair:.3f}"
        for count in (2, 5, 20):
            found, seeds = power(shape, count, 1.0, simulations // 4)
            where = f"{shape}; {count} configurations, difference of 1 sd, pilot of 5 seeds"
            yield "power, 0.8 is promised", where, f"{found:.2f} (with {seeds} seeds)"
    for looks in ((4,), (4, 8, 12), (4, 8, 12, 16, 20)):
        claimed, told = claims_after(looks, 5, simulations // 2), false_claims(5, looks)
        where = f"5 equal configurations, seeds {text(looks)}"
        yield "some is called worse in any look", where, f"{claimed:.3f} (told: up to {told:.3f})"
    called, share = nested(simulations // 4)
    yield "beta1 without effect, only with Adam", "40 random configurations", f"p < 0.05: {called:.3f}"
    yield "its share of the ranks", "the same", f"{share:.2f}"


def text(seeds: Sequence[int]) -> str:
    """Return numbers of seeds in words."""
    return " and ".join(map(str, seeds))


def before_and_after() -> list[str]:
    """Return the table of both, as lines of Markdown."""
    both = {}
    for name in ("before", "coverage"):
        with (HERE / f"{name}.csv").open() as file:
            both[name] = {
                (row["shape"], row["configurations"], row["seeds"], row["equal"]): row
                for row in csv.DictReader(file)
            }
    heads = [f"K = {count}, n = {text(seeds)}" for count, seeds in ISSUE]
    lines = ["| sd 1 and 3 | | " + " | ".join(heads) + " |", "|---|---|" + "--:|" * len(heads)]
    for shape in SHAPES:
        for name, null in (("before", "means"), ("coverage", "chances"), ("coverage", "medians")):
            cells = []
            for count, seeds in ISSUE:
                row = both[name][shape, str(count), text(seeds), null]
                cells.append(f"{row['kept']} ± {row['error']}")
            which = "before" if name == "before" else f"now, {null} equal"
            lines.append(f"| {shape} | {which} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Do the simulations and write results/statistics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=2000)
    simulations = parser.parse_args().simulations
    HERE.mkdir(exist_ok=True)
    with (HERE / "coverage.csv").open("w", newline="") as file:
        writer = None
        for row in cells(simulations):
            writer = writer or csv.DictWriter(file, list(row), lineterminator="\n")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
    with (HERE / "guarantees.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["guarantee", "where", "held"])
        for guarantee in other_guarantees(simulations):
            rows.writerow(guarantee)
            file.flush()
    write_page()


def write_page() -> None:
    """Write the page of these tables."""
    with (HERE / "guarantees.csv").open() as file:
        guarantees = list(csv.reader(file))[1:]
    parts = (HERE / "text.md").read_text().split("TABLE\n")
    table = [
        "| what | where | held |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in guarantees),
    ]
    pages = [parts[0], "\n".join(before_and_after()) + "\n", parts[1], "\n".join(table) + "\n", parts[2]]
    (HERE / "README.md").write_text("".join(pages))


if __name__ == "__main__":
    main()
