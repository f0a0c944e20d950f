"""What did the configurations write?"""

from __future__ import annotations

from typing import NamedTuple

from nbrnn.reports.tables import Results


class Samples(NamedTuple):
    """What some seeds of a configuration wrote: a column a seed, a row a moment."""

    heads: list[str]  # which seeds
    rows: list[tuple[str, list[str]]]  # when, and the texts


def samples_of(results: Results) -> dict[str, Samples]:
    """Return what each configuration's best, median and worst seed wrote: first, midway, last."""
    found = {}
    for configuration in results.configurations["setting"]:
        records = results.finished_by_seed(configuration)
        if not records:
            continue
        seeds = list(records)
        ranks = {"best": 0, "median": (len(seeds) - 1) // 2, "worst": len(seeds) - 1}
        chosen = {seeds[rank]: name for name, rank in reversed(ranks.items())}
        columns = {f"{chosen[seed]} seed, {seed}": records[seed].samples for seed in reversed(chosen)}
        updates = sorted({update for samples in columns.values() for update in samples})
        rows = [(f"update {n:,}", [samples.get(n, "") for samples in columns.values()]) for n in updates]
        found[configuration] = Samples(list(columns), rows)
    return found
