"""Do the statistics keep what they promise? `tox -e simulations` asks by simulation.

Configurations are made up whose losses are equal in the sense of each guarantee, with deviations of 1
and 3 and more, of several shapes, one of them the losses of our own runs; then it is counted how often
the guarantee holds. Every function takes the number of simulations: tests do a few, the night 2,000.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import product

import numpy as np
import pandas as pd

from nbrnn.analysis.effects import effects_of
from nbrnn.analysis.multiple_comparisons import (
    false_claims,
    lowest_medians,
    p_of_being_best,
    p_of_none_lower,
    seeds_to_detect,
)
from nbrnn.analysis.rank_statistics import SIGNIFICANT, improvement, median_of, shift_of
from results import facts
from results.question import ROOT, Row, rows

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


def two_humps(rng: Rng, size: tuple[int, ...]) -> np.ndarray:
    """Return numbers of deviation 1, half of which are far above the others."""
    humps: np.ndarray = (rng.choice([-10, 10], size) + rng.normal(size=size)) / 10
    return humps


SHAPES: dict[str, Callable[[Rng, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "gamma, skew 1.1": gamma(1.1),
    "gamma, skew -1.57": gamma(-1.57),
    "exponential": lambda rng, size: rng.exponential(size=size) - 1,
    "5 % of runs +20 sd": lambda rng, size: rng.normal(size=size) + 20 * (rng.random(size) < 0.05),
    "our own losses": lambda rng, size: rng.choice(own_losses().ravel(), size),
}
SHOWN = [(5, (3,)), (5, (10, 3)), (10, (5,)), (30, (5,)), (100, (5,)), (5, (10,)), (30, (10,))]
CELLS = [
    *((count, (seeds,)) for count in (2, 5, 10, 30, 100) for seeds in (3, 5, 10)),
    *((count, (seeds,)) for count in (2, 5) for seeds in (20, 50)),
    *((5, seeds) for seeds in ((10, 3), (50, 5))),
]
NULLS = {  # what is equal, in the table of before and after
    "before": "means",
    "now, chances equal": "chances",
    "now, medians equal": "medians",
}
KEPT, OUR_OWN, POWER = "the best is kept", "our own losses of results/edge", "power, 0.8 is promised"
BEST_MEDIAN, SHIFT = "interval of the best median", "interval of a shift"
EFFECT = "no effect is called one"
UNEQUAL = [  # shapes with deviations of one configuration, and of all others
    *product(("normal", "exponential"), ((1, 10), (10, 1), (1, 100), (100, 1))),
    ("two humps", (1, 10)),
]
NUMBERS = [  # configurations, with seeds of one, and of all others
    *((count, (seeds, seeds)) for count, seeds in ((2, 5), (3, 6), (5, 9), (10, 10), (10, 20))),
    *((5, seeds) for seeds in ((50, 5), (50, 8), (8, 50))),
]


@cache
def centres(shape: str, null: str, deviations: tuple[float, float]) -> tuple[float, float]:
    """Return what is subtracted from losses of both deviations, so that these are equal.

    null: `chances`, with which a run of one is as often lower as one of the other, `medians` or `means`.
    """
    rng = np.random.default_rng(0)
    narrow, wide = (sd * SHAPES[shape](rng, (MANY,)) for sd in deviations)
    if null == "chances":
        return 0.0, float(np.median(wide - narrow))
    value = np.median if null == "medians" else np.mean
    return float(value(narrow)), float(value(wide))


def made_up(rng: Rng, shape: str, count: int, seeds: Sequence[int], null: str) -> list[np.ndarray]:
    """Return the runs of so many equal configurations, of all deviations with all numbers of seeds."""
    samples, centre = [], centres(shape, null, DEVIATIONS)
    for i in range(count):
        size, which = (seeds[i // 2 % len(seeds)],), i % 2
        samples.append(DEVIATIONS[which] * SHAPES[shape](rng, size) - centre[which])
    return samples


def kept_among(
    shape: str, deviations: tuple[float, float], count: int, seeds: tuple[int, int], simulations: int
) -> float:
    """Return how often the first is kept, whose deviation and seeds differ from those of all others.

    A run of it is as often lower as one of any other. It is normal where the others have two humps.
    """
    rng = np.random.default_rng([count, *seeds])
    own = "normal" if shape == "two humps" else shape
    centre = (0.0, 0.0) if shape == "two humps" else centres(shape, "chances", deviations)
    drawn = two_humps if shape == "two humps" else SHAPES[shape]
    kept = 0
    for _ in range(simulations):
        first = deviations[0] * SHAPES[own](rng, (seeds[0],)) - centre[0]
        rest = deviations[1] * drawn(rng, (count - 1, seeds[1])) - centre[1]
        samples = [first, *rest]
        kept += not p_of_none_lower(0, samples, lowest_medians(samples)) <= SIGNIFICANT
    return kept / simulations


@cache
def edge_losses() -> list[np.ndarray]:
    """Return the losses of each configuration of results/edge, whose deviations differ 1,400 times."""
    runs = pd.read_csv(ROOT / "edge" / "brontes-warmup" / "runs.csv")
    finished = runs[runs["status"] == "finished"].groupby("setting")["validation_best"]
    return sorted((losses.to_numpy() for _, losses in finished), key=np.median)


def kept_of_our_own(seeds: int, simulations: int) -> float:
    """Return how often one of our own configurations is kept, for that which is kept least often.

    It is moved until its runs are as often lower as those of the best; all others stay.
    """
    rng = np.random.default_rng(seeds)
    best, worst = edge_losses()[0], 1.0
    for i, losses in enumerate(edge_losses()[1:], 1):
        moved = [*edge_losses()]
        moved[i] = losses - np.median(np.subtract.outer(losses, best))
        kept = 0
        for _ in range(simulations):
            samples = [rng.choice(x, seeds) + 1e-9 * rng.normal(size=seeds) for x in moved]
            kept += not p_of_none_lower(i, samples, lowest_medians(samples)) <= SIGNIFICANT
        worst = min(worst, kept / simulations)
    return worst


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


def power(shape: str, count: int, sd: float, simulations: int) -> tuple[float, int]:
    """Return how often a difference of `sd` is found with the seeds that pilots of 5 advise, and these.

    sd: the deviation of all configurations but the first, whose deviation is 1.
    """
    rng = np.random.default_rng(count)
    found, recommended = 0, []
    centre = centres(shape, "medians", (1, sd))

    def draw(i: int, seeds: int) -> np.ndarray:
        """Return runs of a configuration, all of which have the same median."""
        losses: np.ndarray = (sd if i else 1) * SHAPES[shape](rng, (seeds,)) - centre[i > 0]
        return losses

    for _ in range(simulations):
        seeds = seeds_to_detect([draw(i, 5) for i in range(count)], sd, count) or 5
        samples = [draw(i, min(seeds, 200)) + sd * (i > 0) for i in range(count)]
        found += p_of_none_lower(1, samples, lowest_medians(samples)) <= SIGNIFICANT
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


def grid_claims(shape: str, seeds: int, simulations: int, alike: float = 0.0) -> tuple[float, float]:
    """Return how often an effect of 0, and an interaction, is called one in a grid of 2 x 8.

    alike: the share of the variance that runs with the same value and seed have in common.
    """
    rng = np.random.default_rng(seeds)
    rows = [(a, b) for a in (0, 1) for b in range(8)]
    values = {"a": [a for a, _ in rows], "b": [b for _, b in rows]}
    claims, centre = np.zeros(2), centres(shape, "chances", DEVIATIONS)
    for _ in range(simulations):
        common = math.sqrt(alike) * SHAPES[shape](rng, (2, seeds))
        samples = [
            5.0 * b
            - centre[a]
            + DEVIATIONS[a] * (common[a] + math.sqrt(1 - alike) * SHAPES[shape](rng, (seeds,)))
            for a, b in rows
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
                times = simulations // {30: 4, 100: 20}.get(count, 1)
                held, error, unknown = coverage(shape, count, seeds, null, times)
                row = {"shape": shape, "configurations": count, "seeds": text(seeds), "equal": null}
                row |= {"kept": f"{held:.3f}", "error": f"{error:.3f}", "too_few": f"{unknown:.2f}"}
                yield row | {"simulations": times}


def other_guarantees(simulations: int) -> Iterator[tuple[str, str, float, str]]:
    """Return what else is promised: what, where, how often it held, and a remark."""
    for shape in SHAPES:
        for count, seeds in ((5, 10), (20, 6), (20, 10), (30, 50), (100, 3)):
            held, known = best_covered(shape, count, seeds, simulations)
            where = f"{shape}; {count} configurations, {seeds} seeds"
            yield BEST_MEDIAN, where, held, f"there is one in {known:.0%}"
        for seeds in (5, 10, 50):
            shift, chance = pair_covered(shape, seeds, simulations)
            yield SHIFT, f"{shape}; {seeds} seeds", shift, ""
            yield "interval of P(a lower)", f"{shape}; {seeds} seeds", chance, ""
        for seeds, alike in ((5, 0.0), (10, 0.0), *(((5, 0.5), (10, 0.5)) if shape == "normal" else ())):
            main, pair = grid_claims(shape, seeds, simulations // 4, alike)
            where = f"{shape}; grid of 2 x 8, {seeds} seeds"
            where += f", runs with the same value and seed correlate by {alike}" if alike else ""
            yield EFFECT, where, 1 - main, ""
            yield "no interaction is called one", where, 1 - pair, ""
        for count, sd in product((2, 5, 20), DEVIATIONS):
            found, seeds = power(shape, count, float(sd), simulations // 10)
            where = f"{shape}; {count} configurations, sd 1 and {sd}, difference {sd}, pilot of 5 seeds"
            yield POWER, where, found, f"with {seeds} seeds"
    for (shape, deviations), (count, both) in product(UNEQUAL, NUMBERS):
        held = kept_among(shape, deviations, count, both, simulations)
        where = f"{shape}; deviation {deviations[0]}, of all others {deviations[1]}; "
        where += f"{count} configurations, {both[0]} seeds, all others {both[1]}"
        yield KEPT, where, held, ""
    for seeds in (10, 20):
        where = f"{OUR_OWN}; {len(edge_losses())} configurations, {seeds} seeds"
        yield KEPT, where, kept_of_our_own(seeds, simulations // 8), ""
    for looks in ((5,), (5, 10, 15), (5, 10, 15, 20, 25)):
        claimed, told = claims_after(looks, 5, simulations // 4), false_claims(5, looks)
        where = f"5 equal configurations, seeds {text(looks)}"
        yield "none is called worse in any look", where, 1 - claimed, f"told: {1 - told:.3f} or more"
    called, share = nested(simulations // 4)
    where = "40 random configurations"
    yield (
        "no effect of beta1, which only Adam has",
        where,
        1 - called,
        f"its share of the ranks: {share:.2f}",
    )


def text(seeds: Sequence[int]) -> str:
    """Return numbers of seeds in words."""
    return " and ".join(map(str, seeds))


def write_tables(before: Sequence[Row], coverage: Sequence[Row]) -> None:
    """Write the table of both."""
    both = {
        (row["shape"], row["equal"], row["configurations"], row["seeds"]): row
        for row in (*before, *coverage)
    }
    lines = []
    for shape, (name, null) in product(SHAPES, NULLS.items()):
        line = [shape, name]
        for count, seeds in SHOWN:
            row = both.get((shape, null, str(count), text(seeds)))
            is_few = row is not None and float(row.get("too_few", 0)) == 1
            line.append("too few seeds" if is_few else f"{row['kept']} ± {row['error']}" if row else "-")
        lines.append(line)
    heads = (f"K = {count}, n = {text(seeds)}" for count, seeds in SHOWN)
    facts.write_rows(HERE / "shown.csv", ["sd 1 and 3", "", *heads], lines)


def kept() -> tuple[list[Row], list[Row]]:
    """Return the rows of both tables of simulations."""
    return rows(HERE, "coverage"), rows(HERE, "guarantees")


def facts_of(coverage: Sequence[Row], guarantees: Sequence[Row]) -> dict[str, facts.Fact]:
    """Return how well each guarantee holds where it holds least."""
    judged = [row for row in coverage if float(row["too_few"]) == 0]

    def lowest(guarantee: str, word: str = "") -> float:
        """Return the lowest share of a guarantee where a word occurs."""
        own = (row for row in guarantees if row["guarantee"] == guarantee and word in row["where"])
        return min(float(row["held"]) for row in own)

    with_five = [row for row in coverage if row["equal"] == "chances" and row["seeds"] in ("5", "10")]
    return {
        **{f"kept_{null}": min(float(row["kept"]) for row in judged if row["equal"] == null)
           for null in ("chances", "medians")},
        "few": sum(row["shape"] == "normal" and float(row["too_few"]) == 1 for row in with_five),
        "cells": sum(row["shape"] == "normal" for row in with_five),
        "kept_unequal": lowest(KEPT, "of all others"),
        "kept_our_own": lowest(KEPT, OUR_OWN),
        "best_median": lowest(BEST_MEDIAN),
        "shift": lowest(SHIFT),
        "power": lowest(POWER),
        "effect": lowest(EFFECT),
        "effect_alike": lowest(EFFECT, "correlate"),
        **{f"joint_{row['seeds']}": float(row["kept"]) for row in rows(HERE, "joint_ranks")},
    }  # fmt: skip


def main() -> None:
    """Do the simulations and write results/statistics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=2000)
    simulations = parser.parse_args().simulations
    table = [*cells(simulations)]
    facts.write_rows(HERE / "coverage.csv", list(table[0]), [list(row.values()) for row in table])
    heads = ["guarantee", "where", "held", "remark"]
    facts.write_rows(HERE / "guarantees.csv", heads, other_guarantees(simulations))
    write_tables(rows(HERE, "before"), kept()[0])
    facts.write_page(HERE, facts_of(*kept()))


if __name__ == "__main__":
    main()
