"""The difference of each pair of configurations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.analysis.comparison_text import sentence, unfinished_runs
from nbrnn.analysis.measures import Measure
from nbrnn.analysis.rank_statistics import holm, improvement, median_of, shift_of
from nbrnn.storage.schemas import COMPLETE
from nbrnn.typing import Array

MAX_PAIRS = 5_000  # beyond that each configuration is compared with the best one only
MIN_CORRELATED = 3  # seeds

COLUMNS = [
    *("measure", "a", "b", "n", "mean_difference", "sd", "ci_low", "ci_high"),
    *("a_lower", "b_lower", "p", "p_holm", "sentence", "unit"),
    *("n_a", "n_b", "paired", "correlation", "improvement", "improvement_low", "improvement_high"),
    "shift",
]


def pairs(configurations: Sequence[str]) -> list[tuple[str, str]]:
    """Return all pairs of configurations, or those with the first one if there are too many."""
    if math.comb(len(configurations), 2) <= MAX_PAIRS:
        return list(combinations(configurations, 2))
    return [(configurations[0], other) for other in configurations[1:]]


def comparison_table(
    runs: pd.DataFrame,
    configurations: Sequence[str],
    measures: Sequence[Measure],
    unit: str,
    paired: bool = False,
    replicate: str = "paired seed",
) -> pd.DataFrame:
    """Return the difference of each pair of configurations, for each measure.

    `shift` is that between all their finished runs or, if `paired`, the median difference over their
    common seeds, `ci_low` and `ci_high` are its interval. `n` is the number of common seeds, in
    `a_lower` of which the run of a has the lower loss; `n_a` and `n_b` count finished runs, `sd` is that
    of the difference of two runs. `improvement` is the probability that a run of a has a lower loss than
    one of b. `p_holm` is corrected for the number of pairs. `unit` is that of training losses.
    `replicate` is the word for what is paired.
    """
    finished = runs[runs["status"].isin(COMPLETE)]
    without = set(runs["setting"]) - set(finished["setting"])
    endings = {name: words for name, words in unfinished_runs(runs).items() if name in without}
    rows = []
    for measure in measures:
        table = finished.pivot(index="seed", columns="setting", values=measure.column)
        if not table.notna().any(axis=None):
            continue
        losses = {name: table[name].to_numpy(float) for name in table}
        empty = np.full(len(table), np.nan)
        every = pairs(configurations)
        results = [compare_pair(losses.get(a, empty), losses.get(b, empty), paired) for a, b in every]
        # all pairs, even if those without the best are left out: the best was chosen among all
        corrected = holm([row["p"] for row in results], math.comb(len(configurations), 2))
        for (a, b), row, p_holm in zip(every, results, corrected, strict=True):
            row |= {"measure": measure.column, "unit": measure.unit_in(unit), "a": a, "b": b}
            row["p_holm"] = p_holm
            rows.append({**row, "sentence": sentence(row, measure.words, endings, replicate)})
    return pd.DataFrame(rows, columns=COLUMNS)


def compare_pair(a: Array, b: Array, paired: bool) -> dict[str, Any]:
    """Return the columns of the difference of two configurations; losses by seed, NaN: none."""
    common = ~np.isnan(a) & ~np.isnan(b)
    differences = a[common] - b[common]
    runs_a, runs_b = a[~np.isnan(a)], b[~np.isnan(b)]
    difference = median_of(differences) if paired else shift_of([(runs_a, runs_b)])
    p, low, high = improvement(runs_a, runs_b)
    return {
        "n": len(differences),
        "n_a": len(runs_a),
        "n_b": len(runs_b),
        "mean_difference": mean_of(differences) if paired else mean_of(runs_a) - mean_of(runs_b),
        "shift": difference.value,
        "sd": math.sqrt(variance(differences) if paired else variance(runs_a) + variance(runs_b)),
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


def mean_of(sample: Array) -> float:
    """Return a mean, NaN of nothing."""
    return float(np.mean(sample)) if len(sample) else math.nan


def variance(sample: Array) -> float:
    """Return a variance, NaN for fewer than two."""
    return float(np.var(sample, ddof=1)) if len(sample) > 1 else math.nan


def correlation(a: Array, b: Array) -> float:
    """Return the correlation of two configurations over their common seeds, NaN for too few."""
    if len(a) < MIN_CORRELATED or not np.ptp(a) or not np.ptp(b):
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])
