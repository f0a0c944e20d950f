"""What changed between two sets of runs of the same configurations?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nbrnn.errors import StoreError
from nbrnn.escaping import one_line
from nbrnn.naming import PER_CHARACTER, PER_WINDOW, namer, unit_of
from nbrnn.reports.comparison import SURE, digits, row_of_pair
from nbrnn.reports.measures import compared
from nbrnn.reports.reading import Progress, RunRecord, find_runs, read_records
from nbrnn.statistics.cells import cells_of, combined
from nbrnn.statistics.stats import Array, Mean, holm
from nbrnn.storage.schemas import COMPLETE, Environment

MOST_NAMED = 5  # configurations

Key = tuple[str, str]  # a configuration's name and its text's sha256, '' where texts differ

COLUMNS = [
    *("measure", "setting", "n", "n_new", "n_old", "mean_new", "mean_old", "mean_difference", "sd"),
    *("ci_low", "ci_high", "p", "p_holm", "paired", "correlation"),
    *("improvement", "improvement_low", "improvement_high", "same", "unit"),
]


@dataclass(frozen=True)
class Change:
    """What changed: a row for each configuration that both have, and the same in words."""

    table: pd.DataFrame
    sentences: list[str]


def changes(
    new: Iterable[Path],
    old: Iterable[Path],
    paired: bool = False,
    progress: Progress | None = None,
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
    its_unit = unit if measure.unit == PER_WINDOW else measure.unit
    name_of = namer(record.config for record in every)
    texts = [{record.corpus.sha256 for record in records} for records in (new, old)]
    by_text = bool(texts[0] & texts[1])

    def losses(records: Sequence[RunRecord]) -> dict[Key, dict[int, float]]:
        """Return the losses of finished runs by configuration and seed."""
        found: dict[Key, dict[int, float]] = defaultdict(dict)
        for record in records:
            loss = measure.of(record.summary)
            if record.summary.status in COMPLETE and loss is not None:
                is_sum = its_unit == PER_CHARACTER and measure.unit == PER_WINDOW
                scale = 1 / record.config.characters_in_loss if is_sum else 1.0
                key = name_of(record.config), record.corpus.sha256 if by_text else ""
                found[key][record.config.seed] = loss * scale
        return found

    ours, theirs = losses(new), losses(old)
    both = [key for key in ours if key in theirs]
    if not both:
        raise StoreError("they have no configuration in common of which runs are finished")
    rows, pairs = [], []
    for key in both:
        seeds = sorted({*ours[key], *theirs[key]})
        a, b = (np.array([side[key].get(seed, np.nan) for seed in seeds]) for side in (ours, theirs))
        _, row = row_of_pair(a, b, paired)
        same = bool(row["n"]) and row["a_lower"] == row["b_lower"] == 0
        row |= {"mean_new": np.nanmean(a), "mean_old": np.nanmean(b), "same": same}
        rows.append({"measure": measure.column, "setting": key[0] or "all", **row, "unit": its_unit})
        pairs.append((a, b))
    table = pd.DataFrame(rows).rename(columns={"n_a": "n_new", "n_b": "n_old"})
    table["p_holm"] = holm(table["p"].tolist())
    said = sentences(table, average(pairs, paired), f"{measure.words} ({its_unit})")
    return Change(table[COLUMNS], [*said, *left_over(ours, theirs), *surroundings(new, old)])


def average(pairs: Sequence[tuple[Array, Array]], paired: bool) -> Mean:
    """Return the mean difference of all configurations, each weighing the same; losses by seed."""
    if paired:
        samples: list[Array] = [d[~np.isnan(d)] for d in (a - b for a, b in pairs)]
        samples = [sample for sample in samples if len(sample)]
        weights = np.full(len(samples), 1 / max(1, len(samples)))
    else:
        samples = [side[~np.isnan(side)] for pair in pairs for side in pair]
        weights = np.tile([1 / len(pairs), -1 / len(pairs)], len(pairs))
    return combined(weights, cells_of(samples))


def sentences(table: pd.DataFrame, mean: Mean, measure: str) -> list[str]:
    """Say what changed: over all configurations, and in each of which that is sure."""
    count = len(table)
    configurations = f"{count} configuration{'s' if count != 1 else ''}"
    if table["same"].all():
        return [f"Nothing changed: each of {configurations} has the same {measure} with the same seeds."]
    over = f"in the mean of {configurations}"
    if not np.isfinite(mean.low):
        said = [f"One seed each tells nothing of chance; {measure}: {mean.mean:+.2g} {over}."]
    else:
        interval = f"95 % CI {digits(mean.low)} to {digits(mean.high)}"
        surely = "" if mean.low > 0 or mean.high < 0 else ", which chance may have done"
        said = [f"The {measure} changed by {mean.mean:+.2g} {over} ({interval}){surely}."]
    sure = table[table["p_holm"] <= SURE].sort_values("p_holm")
    for row in sure.head(MOST_NAMED).to_dict("records"):
        interval = f"95 % CI {digits(row['ci_low'])} to {digits(row['ci_high'])}"
        seeds = f"{row['n_new']} and {row['n_old']} seeds"
        said.append(f"{row['setting']}: {row['mean_difference']:+.2g} ({interval}, {seeds}).")
    if len(sure) > MOST_NAMED:
        said.append(f"And {len(sure) - MOST_NAMED} more that surely changed.")
    if count > 1:
        left = count - len(sure)
        said.append(
            f"Of {left} of {configurations} no change is sure." if left else "All of them changed."
        )
    return said


def left_over(ours: Collection[Key], theirs: Collection[Key]) -> list[str]:
    """Say how many configurations only one side has."""
    counts = (
        (len(set(ours) - set(theirs)), "the new runs"),
        (len(set(theirs) - set(ours)), "the old ones"),
    )
    return [f"Only in {which}: {n} configuration{'s' if n != 1 else ''}." for n, which in counts if n]


def surroundings(new: Sequence[RunRecord], old: Sequence[RunRecord]) -> list[str]:
    """Say in what texts, versions and machines the two differ."""
    said = []
    for what, of in DIFFERENCES.items():
        ours, theirs = ({one_line(of(record)) for record in records} for records in (new, old))
        if ours != theirs:
            said.append(
                f"{what}: {' and '.join(sorted(ours))} instead of {' and '.join(sorted(theirs))}."
            )
    return said


def start_of(record: RunRecord) -> Environment | None:
    """Return with what a run was made, None where its folder does not say."""
    try:
        return record.folder.read_env()
    except StoreError:
        return None


def version_of(record: RunRecord) -> str:
    """Return the version of nbrnn, and the commit where that is known."""
    start = start_of(record)
    if start is None:
        return "unknown"
    return " ".join(filter(None, (start.nbrnn, (start.git_commit or "")[:8])))


DIFFERENCES: dict[str, Callable[[RunRecord], str]] = {
    "Text": lambda record: f"{record.corpus.name} ({record.corpus.sha256[:6]})",
    "nbrnn": version_of,
    "Processor": lambda record: start.cpu_target if (start := start_of(record)) else "unknown",
    "numba": lambda record: start.numba if (start := start_of(record)) else "unknown",
    "LLVM": lambda record: start.llvm if (start := start_of(record)) else "unknown",
}
