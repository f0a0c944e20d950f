"""The difference of two configurations in words, or why they cannot be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.naming import PER_CHARACTER
from nbrnn.storage.schemas import COMPLETE, DROPPED, FAILURES
from nbrnn.values import plural


def unfinished_runs(runs: pd.DataFrame) -> dict[str, str]:
    """Return in words how the unfinished runs of each configuration ended, if it has any."""
    endings = {}
    for configuration, statuses in runs.groupby("setting", sort=False)["status"]:
        others = statuses[~statuses.isin(COMPLETE)]
        counts = Counter(s if s in (*FAILURES, DROPPED) else "unfinished" for s in others)
        n, parts = len(statuses), ", ".join(f"{count} {ending}" for ending, count in counts.items())
        if n in counts.values():
            seeds = {1: "its only seed", 2: "both seeds"}.get(n, f"all {n} seeds")
            endings[str(configuration)] = f"{next(iter(counts))} with {seeds}"
        elif counts:
            endings[str(configuration)] = f"{n - len(others)} of {n} runs finished, {parts}"
    return endings


def sentence(row: Mapping[str, Any], measure: str, endings: Mapping[str, str], replicate: str) -> str:
    """Return the difference of two configurations in words, or why there is none."""
    a, b, unit = row["a"], row["b"], row["unit"]
    if reasons := [f"{name} {endings[name]}" for name in (a, b) if name in endings]:
        return f"{a} and {b} cannot be compared: {', '.join(reasons)}."
    if without := [name for name, n in ((a, row["n_a"]), (b, row["n_b"])) if not n]:
        which = f"neither has a {measure}" if len(without) == 2 else f"{without[0]} has no {measure}"
        return f"{a} and {b} cannot be compared: {which}."
    fewer, more = sorted((row["n_a"], row["n_b"]))
    seeds = f"{plural(fewer, 'seed')} each" if fewer == more else f"{fewer} and {more} seeds"
    seeds = plural(row["n"], replicate) if row["paired"] else seeds
    if row["n"] and row["a_lower"] == row["b_lower"] == 0:
        return f"{a} and {b}: equal in {seeds}."
    shift, low, high = (row[name] for name in ("shift", "ci_low", "ci_high"))
    if not np.isfinite(low):
        return f"{a} and {b}: too few seeds to judge ({seeds})."
    if low <= 0 <= high:
        interval = f"95 % CI of the shift {two_digits(low)} to {two_digits(high)}"
        return f"{a} and {b}: no significant difference ({interval}, {seeds})."
    if shift > 0:
        a, b, low, high = b, a, -high, -low
    per = " per character" if unit == PER_CHARACTER else ""
    interval = f"95 % CI {two_digits(-high)} to {two_digits(-low)}, {seeds}"
    return f"{a}: {measure} {two_digits(abs(shift))} nats{per} lower than {b} ({interval})."


def two_digits(value: float) -> str:
    """Return a difference with two digits, or all before the point."""
    return f"{value:#.2g}" if abs(value) < 9.95 else f"{value:.0f}"
