"""What changed between two sets of runs of the same configurations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nbrnn.analysis.comparison_text import two_digits
from nbrnn.analysis.measures import compared
from nbrnn.analysis.pairwise import compare_pair
from nbrnn.analysis.rank_statistics import SIGNIFICANT, Estimate, holm, median_of, shift_of
from nbrnn.analysis.run_records import Progress, RunRecord, find_runs, ignore, read_records
from nbrnn.errors import StoreError
from nbrnn.escaping import one_line
from nbrnn.naming import PER_WINDOW, namer, unit_of
from nbrnn.typing import Array
from nbrnn.values import plural

MAX_NAMED = 5  # configurations

COLUMNS = [
    *("measure", "setting", "n", "n_new", "n_old", "mean_new", "mean_old", "mean_difference", "sd"),
    *("ci_low", "ci_high", "p", "p_holm", "paired", "correlation"),
    *("improvement", "improvement_low", "improvement_high", "same", "unit", "shift"),
]


@dataclass(frozen=True)
class Change:
    """What changed: a row for each configuration that both have, and the same in words."""

    table: pd.DataFrame
    sentences: list[str]


def changes(
    new: Iterable[Path], old: Iterable[Path], paired: bool = False, progress: Progress = ignore
) -> Change:
    """Return how the runs in some folders differ from those in others. Raises StoreError.

    Configurations are the same if all their settings but the seed are and, where any text is in both,
    their texts.
    """
    records = [read_records(find_runs(list(paths)), progress)[0] for paths in (new, old)]
    return changes_of(records[0], records[1], paired)


def changes_of(new: Sequence[RunRecord], old: Sequence[RunRecord], paired: bool = False) -> Change:
    """Return how some runs differ from others of the same configurations. Raises StoreError."""
    every = [*new, *old]
    unit = unit_of(*(record.config for record in every))
    measure = compared(record.summary for record in every)[0]
    name_of = namer(record.config for record in every)
    by_text = bool({r.corpus.sha256 for r in new} & {r.corpus.sha256 for r in old})
    by = "fold" if len({record.config.fold for record in every}) > 1 else "seed"
    keys = ["setting", "text", by]
    finished = pd.DataFrame(
        {
            "side": side,
            "setting": name_of(record.config),
            "text": record.corpus.sha256 if by_text else "",
            by: getattr(record.config, by),
            "loss": loss * (record.scale(unit) if measure.unit == PER_WINDOW else 1.0),
        }
        for side, records in (("new", new), ("old", old))
        for record in records
        if record.is_complete and (loss := measure.of(record.summary)) is not None
    ).reindex(columns=["side", *keys, "loss"])
    # of a fold the mean over its seeds
    losses = finished.pivot_table("loss", keys, "side", sort=False).reindex(columns=["new", "old"])
    counts = losses.groupby(keys[:2], sort=False).count()
    both = counts[(counts > 0).all(axis=1)].index
    if both.empty:
        raise StoreError("no configuration has finished runs on both sides")
    rows, pairs, seeds = [], [], losses.index.unique(by)
    for key in both:
        group = losses.loc[key].reindex(seeds)
        a, b = pair = group["new"].to_numpy(), group["old"].to_numpy()
        row = compare_pair(a, b, paired)
        same = bool(row["n"]) and row["a_lower"] == row["b_lower"] == 0
        row |= {"mean_new": np.nanmean(a), "mean_old": np.nanmean(b), "same": same}
        row |= {"measure": measure.column, "setting": key[0] or "all", "unit": measure.unit_in(unit)}
        rows.append(row)
        pairs.append(pair)
    table = pd.DataFrame(rows).rename(columns={"n_a": "n_new", "n_b": "n_old"})
    table["p_holm"] = holm(table["p"].tolist())
    words = f"{measure.words} ({measure.unit_in(unit)})"
    sentences = changes_in_words(table, overall_change(pairs, paired), words)
    for side, other in (("new", "old"), ("old", "new")):
        if only := int((counts[other] == 0).sum()):
            sentences.append(f"Only in the {side} runs: {plural(only, 'configuration')}.")
    return Change(table[COLUMNS], [*sentences, *other_differences(new, old)])


def overall_change(pairs: Sequence[tuple[Array, Array]], paired: bool) -> Estimate:
    """Return the shift within all configurations; losses by seed."""
    if paired:
        return median_of(np.concatenate([d[~np.isnan(d)] for d in (a - b for a, b in pairs)]))
    return shift_of(pairs)


def changes_in_words(table: pd.DataFrame, change: Estimate, measure: str) -> list[str]:
    """Return what changed over all configurations, and in each with a significant change."""
    count = len(table)
    configurations = plural(count, "configuration")
    if table["same"].all():
        return [f"Nothing changed: {configurations} with the same {measure} for the same seeds."]
    words = f"The {measure} changed by {change.value:+.2g} over {configurations}"
    if not np.isfinite(change.low):
        sentences = [f"{words}: too few seeds to judge."]
    else:
        interval = f"95 % CI {two_digits(change.low)} to {two_digits(change.high)}"
        doubt = "" if change.low > 0 or change.high < 0 else "; not significant"
        sentences = [f"{words} ({interval}{doubt})."]
    significant = table[table["p_holm"] <= SIGNIFICANT].sort_values("p_holm")
    for row in significant.head(MAX_NAMED).to_dict("records"):
        interval = f"95 % CI {two_digits(row['ci_low'])} to {two_digits(row['ci_high'])}"
        seeds = f"{row['n_new']} and {row['n_old']} seeds"
        sentences.append(f"{row['setting']}: {row['shift']:+.2g} ({interval}, {seeds}).")
    if (more := len(significant) - MAX_NAMED) > 0:
        sentences.append(f"{plural(more, 'more configuration')} changed significantly.")
    if count > 1:
        unchanged = count - len(significant)
        which = f"{unchanged} of {configurations} show no significant change."
        sentences.append(which if unchanged else f"All {count} configurations changed significantly.")
    return sentences


def other_differences(new: Sequence[RunRecord], old: Sequence[RunRecord]) -> list[str]:
    """Return in which texts, versions and machines the two differ."""
    now, before = surroundings_of(new), surroundings_of(old)
    return [
        f"{what}: {' and '.join(sorted(now[what]))} instead of {' and '.join(sorted(before[what]))}."
        for what in now
        if now[what] != before[what]
    ]


def surroundings_of(records: Sequence[RunRecord]) -> Mapping[str, set[str]]:
    """Return the texts, versions and machines of runs."""
    starts = [record.read_environment() for record in records]
    commits = {f"{s.nbrnn} {(s.git_commit or '')[:8]}".strip() if s else "unknown" for s in starts}
    return {
        "Text": {one_line(f"{r.corpus.name} ({r.corpus.sha256[:6]})") for r in records},
        "nbrnn": {one_line(commit) for commit in commits},
        "Processor": {one_line(s.cpu_target) if s else "unknown" for s in starts},
        "numba": {one_line(s.numba) if s else "unknown" for s in starts},
        "LLVM": {one_line(s.llvm) if s else "unknown" for s in starts},
    }
