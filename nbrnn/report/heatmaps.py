"""Draw the median loss against the settings that were swept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from nbrnn.report.dot_plots import STYLE, WIDTH, label_lines
from nbrnn.report.formatting import value_texts
from nbrnn.run_plots import BLUE, plain
from nbrnn.typing import Array

SCALE = "viridis"  # dark is low, in grey too
ON_DARK, ON_LIGHT = "#fefefe", "#010101"  # of texts on the scale, which is the same on a dark page
MAX_NUMBERS = 150  # cells with their number in them
SIDE_BY_SIDE = 2  # facets, where all numbers can still be read on a narrow page
FEW_COLUMNS = 3
MAX_VECTORS = 300  # configurations, beyond which their dots are an image


@mpl.rc_context(STYLE)
def heat_figure(table: Array, values: Mapping[str, Sequence[Any]], label: str) -> Figure:
    """Return the median loss over two settings, or over three with a facet for each value of the first.

    table: (rows, columns) or (facets, rows, columns), NaN is empty; all facets have the same colours.
    values: those of each setting, by its name, in the order of the axes.
    """
    facets = table[None] if table.ndim == 2 else table
    *facet_names, row_name, column_name = values
    texts = {name: [value_texts(own)[v] for v in own] for name, own in values.items()}
    rows, columns = texts[row_name], texts[column_name]
    across = min(len(facets), SIDE_BY_SIDE if len(columns) <= FEW_COLUMNS else 1)
    down = -(-len(facets) // across)
    width = max(WIDTH, across * (0.6 + 0.5 * len(columns)) + 1.2)
    height = max(3.2, down * (0.9 + 0.36 * len(rows)) + 0.3)
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    low, high = float(np.nanmin(facets)), float(np.nanmax(facets))
    titles = [f"{name} {text}" for name in facet_names for text in texts[name]] or [""]
    for axes, facet, title in zip(grid.flat, facets, titles, strict=False):
        image = draw_cells(axes, facet, (low, high))
        axes.set_title(title)
    for axes in grid.flat[len(facets) :]:
        axes.set_visible(False)
    grid[0, 0].set_xticks(range(len(columns)), columns)
    grid[0, 0].set_yticks(range(len(rows)), rows)
    figure.supxlabel(column_name, fontsize=11)
    figure.supylabel(row_name, fontsize=11)
    figure.colorbar(image, ax=grid, label=label_lines(f"median {label}"))
    return figure


def draw_cells(axes: Axes, table: Array, limits: tuple[float, float]) -> Any:
    """Draw a table as colours, with numbers where they fit."""
    low, high = limits
    axes.set_facecolor("#DDDDDD")
    image = axes.imshow(table, cmap=SCALE, aspect="auto", origin="lower", vmin=low, vmax=high)
    for (row, column), value in np.ndenumerate(table):
        if table.size <= MAX_NUMBERS and np.isfinite(value):
            text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
            colour = ON_DARK if value < (low + high) / 2 else ON_LIGHT
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    return image


@mpl.rc_context(STYLE)
def slices_figure(settings: pd.DataFrame, losses: Array, label: str) -> Figure:
    """Return the median loss of each configuration against its value of each setting."""
    down, many = -(-len(settings.columns) // SIDE_BY_SIDE), len(losses) > MAX_VECTORS
    figure = Figure(figsize=(WIDTH, 0.4 + 2.2 * down))
    grid = figure.subplots(down, SIDE_BY_SIDE, squeeze=False, sharey=True)
    for axes in grid.flat[len(settings.columns) :]:
        axes.set_visible(False)
    for axes, (name, column) in zip(grid.flat, settings.items(), strict=False):
        plain(axes)
        axes.set_xlabel(str(name))
        are_numbers = all(isinstance(value, int | float) for value in column)
        values = column if are_numbers else column.map(str)
        axes.plot(values, losses, "o", color=BLUE, markersize=4, alpha=0.7, mew=0, rasterized=many)
        if not are_numbers:
            axes.margins(x=0.3)  # words are wide
        elif 0 < 10 * column.min() <= column.max():
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
    figure.supylabel(label_lines(f"median {label}"), fontsize=11)
    return figure
