"""How do two configurations differ, each pair of them?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.naming import PER_CHARACTER, PER_WINDOW
from nbrnn.reports.measures import Measure
from nbrnn.statistics.chances import improvement
from nbrnn.statistics.stats import Array, Mean, difference_of, holm, mean_of
from nbrnn.storage.schemas import COMPLETE, DROPPED, FAILURES

MOST_PAIRS = 5_000  # beyond that each configuration is compared with the best one only
SURE = 0.05  # the largest p of a difference that is called one
FEWEST_CORRELATED = 3  # seeds

COMPARISON = [
    *("measure", "a", "b", "n", "mean_difference", "sd", "ci_low", "ci_high"),
    *("a_lower", "b_lower", "p", "p_holm", "sentence", "unit"),
    *("n_a", "n_b", "paired", "correlation", "improvement", "improvement_low", "improvement_high"),
]


def endings(runs: pd.DataFrame) -> dict[str, str]:
    """Return in words, for each configuration with a run that is not finished, how they ended."""
    ended = {}
    for configuration, group in runs.groupby("setting", sort=False):
        statuses = group["status"][~group["status"].isin(COMPLETE)]
        said = (*FAILURES, DROPPED)
        counts = Counter(status if status in said else "unfinished" for status in statuses)
        n = len(group)
        if counts and max(counts.values()) == n:
            (how,) = counts
            seeds = {1: "its only seed", 2: "both seeds"}.get(n, f"all {n} seeds")
            ended[str(configuration)] = f"{how} with {seeds}"
        elif counts:
            parts = (f"{count} {how}" for how, count in counts.items())
            ended[str(configuration)] = f"{n - len(statuses)} of {n} runs finished, {', '.join(parts)}"
    return ended


def pairs(configurations: Sequence[str]) -> list[tuple[str, str]]:
    """Return all pairs of configurations, or those with the first one if there are too many."""
    if math.comb(len(configurations), 2) <= MOST_PAIRS:
        return list(combinations(configurations, 2))
    return [(configurations[0], other) for other in configurations[1:]]


def comparison_table(
    runs: pd.DataFrame,
    configurations: Sequence[str],
    measures: Sequence[Measure],
    unit: str,
    paired: bool = False,
) -> pd.DataFrame:
    """Return the difference of each pair of configurations, for each measure.

    It is that of the means of all their finished runs (Welch's t) or, if `paired`, the mean difference
    over their common seeds (Student's paired t). `n` is the number of common seeds, in `a_lower` of
    which the run of a has the lower loss; `n_a` and `n_b` are those of finished runs, `sd` is that of
    the difference of two runs. `improvement` is the probability that a run of a has a lower loss than
    one of b, whatever their seeds. `p_holm` is corrected for the number of pairs. `unit` is that of
    losses which are sums over windows in the files.
    """
    finished = runs[runs["status"].isin(COMPLETE)]
    none_finished = set(runs["setting"]) - set(finished["setting"])
    how = {name: words for name, words in endings(runs).items() if name in none_finished}
    rows = []
    for measure in measures:
        its_unit = unit if measure.unit == PER_WINDOW else measure.unit
        table = finished.pivot(index="seed", columns="setting", values=measure.column)
        if not table.notna().any(axis=None):
            continue
        losses = {name: table[name].to_numpy(float) for name in table}
        nothing = np.full(len(table), np.nan)
        every = pairs(configurations)
        found = [row_of_pair(losses.get(a, nothing), losses.get(b, nothing), paired) for a, b in every]
        # all pairs, even if those without the best are left out: the best was chosen by looking at all
        corrected = holm([mean.p for mean, _ in found], math.comb(len(configurations), 2))
        for (a, b), (mean, row), p_holm in zip(every, found, corrected, strict=True):
            said = (
                incomparable(a, b, how)
                or unmeasured(a, b, measure.words, row)
                or sentence(a, b, mean, p_holm, measure.words, its_unit, row)
            )
            named = {"measure": measure.column, "a": a, "b": b, "unit": its_unit}
            rows.append({**named, **row, "p_holm": p_holm, "sentence": said})
    return pd.DataFrame(rows, columns=COMPARISON)


def row_of_pair(a: Array, b: Array, paired: bool) -> tuple[Mean, dict[str, Any]]:
    """Return the difference of two configurations, and its columns; losses by seed, NaN is none."""
    common = ~np.isnan(a) & ~np.isnan(b)
    differences = a[common] - b[common]
    of_a, of_b = a[~np.isnan(a)], b[~np.isnan(b)]
    difference = mean_of(differences) if paired else difference_of(of_a, of_b)
    p, low, high = improvement(of_a, of_b)
    return difference, {
        "n": len(differences),
        "n_a": len(of_a),
        "n_b": len(of_b),
        "mean_difference": difference.mean,
        "sd": difference.sd,
        "ci_low": difference.low,
        "ci_high": difference.high,
        "a_lower": int((differences < 0).sum()),
        "b_lower": int((differences > 0).sum()),
        "p": difference.p,
        "paired": paired,
        "correlation": correlation(a[common], b[common]),
        "improvement": p,
        "improvement_low": low,
        "improvement_high": high,
    }


def correlation(a: Array, b: Array) -> float:
    """Return the correlation of two configurations over their common seeds, NaN for too few."""
    if len(a) < FEWEST_CORRELATED or not np.ptp(a) or not np.ptp(b):
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def incomparable(a: str, b: str, how: Mapping[str, str]) -> str | None:
    """Return in words why two configurations do not compare, if one has no finished run."""
    ended = [f"{name} {how[name]}" for name in (a, b) if name in how]
    return f"{a} and {b} cannot be compared: {', '.join(ended)}." if ended else None


def unmeasured(a: str, b: str, measure: str, row: Mapping[str, Any]) -> str | None:
    """Return in words why two configurations do not compare, if runs of one lack the measure."""
    without = [name for name, end in ((a, "a"), (b, "b")) if not row[f"n_{end}"]]
    if not without:
        return None
    neither = f"neither has a {measure}" if len(without) == 2 else f"{without[0]} has no {measure}"
    return f"{a} and {b} cannot be compared: {neither}."


def sentence(
    a: str, b: str, difference: Mean, p_holm: float, measure: str, unit: str, row: Mapping[str, Any]
) -> str:
    """Return in words what the difference of two configurations says of them."""
    seeds = seeds_of(row)
    if difference.n < 2:
        return f"{seeds} cannot tell {a} and {b} apart."
    if difference.sd == 0 and difference.mean == 0:
        return f"{a} and {b} are the same in {seeds}."
    low, high = difference.low, difference.high
    if low <= 0 <= high:
        interval = f"95 % CI of the difference {digits(low)} to {digits(high)}"
        return f"{seeds} do not tell {a} and {b} apart ({interval})."
    if difference.mean > 0:
        a, b, low, high = b, a, -high, -low
        seeds = seeds_of({**row, "n_a": row["n_b"], "n_b": row["n_a"]})
    interval = f"95 % CI {digits(-high)} to {digits(-low)}, {seeds}"
    per = " per character" if unit == PER_CHARACTER else ""
    doubt = "" if p_holm <= SURE else "; not sure among so many comparisons"
    lower = f"{digits(abs(difference.mean))} nats{per} lower"
    return f"{a}: {measure} {lower} than {b} ({interval}{doubt})."


def seeds_of(row: Mapping[str, Any]) -> str:
    """Return from how many seeds a difference is known."""
    a, b = row["n_a"], row["n_b"]
    if row["paired"]:
        return f"{row['n']} paired seed{'s' if row['n'] != 1 else ''}"
    if a == b:
        return f"{a} seed{'s' if a != 1 else ''} each"
    return f"{a} and {b} seeds"


def digits(value: float) -> str:
    """Return a difference with two digits, or all before the point."""
    return f"{value:#.2g}" if abs(value) < 9.95 else f"{value:.0f}"
