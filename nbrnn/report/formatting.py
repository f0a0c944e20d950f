"""Format losses, intervals and p-values as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nbrnn.analysis.comparison_text import two_digits
from nbrnn.analysis.rank_statistics import Estimate
from nbrnn.naming import PER_CHARACTER, short_texts

MAX_NAMED = 3  # items in one sentence


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table under the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table for JSON, with None for what is not there."""
    return rows_of(table.astype(object).where(table.notna(), None))


def loss_text(value: float, unit: str) -> str:
    """Return a loss with the digits that mean something in its unit."""
    return f"{value:.{3 if unit == PER_CHARACTER else 2}f}" if np.isfinite(value) else "-"


def number_text(value: float | None) -> str:
    """Return a loss or a perplexity of any size with the digits that mean something."""
    if value is None:
        return "-"
    return f"{value:.4g}" if abs(value) >= 1e6 else f"{value:.{2 if abs(value) >= 10 else 3}f}"


def interval_text(low: float, high: float, unit: str) -> str:
    """Return an interval, if there is one."""
    return f"{loss_text(low, unit)} to {loss_text(high, unit)}" if np.isfinite(low) else "-"


def with_interval(
    value: float, low: float, high: float, text: Callable[[float], str] = "{:.2f}".format
) -> str:
    """Return a value with its interval, if there is one."""
    interval = f" ({text(low)} to {text(high)})" if np.isfinite(low) else ""
    return f"{text(value)}{interval}"


def difference_text(difference: Estimate) -> str:
    """Return a difference with its interval."""
    return with_interval(difference.value, difference.low, difference.high, two_digits)


def p_text(p: float) -> str:
    """Return a p-value."""
    return "-" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def list_text(items: Sequence[Any], text: Callable[[Any], str], limit: int = MAX_NAMED) -> str:
    """Return some items in words, and how many more there are."""
    more = f"; and {len(items) - limit:,} more" if len(items) > limit else ""
    return "; ".join(map(text, items[:limit])) + more


def setting_name(column: str) -> str:
    """Return the name of a setting, by its column."""
    return column.replace("_wanted", "")


def value_texts(values: Iterable[Any]) -> dict[Any, str]:
    """Return a text for each value of a setting, which may be absent."""
    return {v: "none" if v is None else text for v, text in short_texts(values).items()}
