"""Settings whose best value is the smallest or the largest one tried, and which values to try next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbrnn.analysis.effects import Effects
from nbrnn.analysis.rank_statistics import SIGNIFICANT
from nbrnn.config import SETTINGS

MIN_VALUES = 3  # tried, of which the best one may be at an edge by chance
STEPS = (1, 2)  # beyond the edge
MAX_FACTOR = 10**0.5  # of one value to the next


@dataclass(frozen=True)
class Edge:
    """A setting whose best value is at an edge of those tried."""

    setting: str
    is_largest: bool
    next_values: list[float]


def edges_of(effects: Effects, best: dict[str, Any]) -> list[Edge]:
    """Return the settings of a whole grid of which the best configuration has the outermost value.

    best: its values by setting. Two values are named only where they differ significantly; one beyond
    which the setting has no value is not.
    """
    edges = []
    for effect in effects.main:
        value, setting = best.get(effect.setting), SETTINGS.get(effect.setting)
        if effect.method != "grid" or setting is None:
            continue
        tried = sorted(v for v in effect.levels if isinstance(v, int | float))
        differs = len(tried) >= (2 if effect.p <= SIGNIFICANT else MIN_VALUES)
        if not differs or value not in (tried[0], tried[-1]):
            continue
        is_largest = value == tried[-1]
        inner = tried[-2] if is_largest else tried[1]
        beyond = [v for v in steps_from(inner, value, tried) if setting.least < v < setting.most]
        if setting.kind is int:
            beyond = sorted({round(v) for v in beyond} - set(tried))
        if beyond:
            edges.append(Edge(effect.setting, is_largest, [float(f"{v:.2g}") for v in beyond]))
    return edges


def steps_from(inner: float, value: float, tried: Sequence[float]) -> list[float]:
    """Return the next values in the direction from one to the other: factors, or steps from 0."""
    if tried[0] <= 0:
        return [value + step * (value - inner) for step in STEPS]
    factor = min(max(value / inner, 1 / MAX_FACTOR), MAX_FACTOR)
    return [value * factor**step for step in STEPS]
