"""Draw the median loss over the settings that were swept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nbrnn.analysis.effects import sort_key
from nbrnn.report.dot_plots import STYLE, WIDTH, label_lines
from nbrnn.report.formatting import value_texts
from nbrnn.run_plots import GREY
from nbrnn.typing import Array

SCALE = "viridis"  # dark is low, in grey too
ON_DARK, ON_LIGHT = "#fefefe", "#010101"  # of texts on the scale, which is the same on a dark page
MAX_NUMBERS = 150  # cells with their number in them
SIDE_BY_SIDE = 2  # facets, where all numbers can still be read on a narrow page
FEW_COLUMNS = 3
MAX_VECTORS = 300  # lines, beyond which they are an image
MAX_LEVELS = 8  # of a setting with many values


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
def parallel_figure(settings: pd.DataFrame, losses: Array, label: str) -> Figure:
    """Return parallel coordinates: a line for each configuration through its values to its loss."""
    names = list(map(str, settings))
    figure = Figure(figsize=(max(WIDTH, 1.5 + 1.1 * len(names)), 3.8))
    axes = figure.add_subplot()
    columns = []
    for x, name in enumerate(names):
        values = sorted(set(settings[name]), key=sort_key)
        places = np.linspace(0, 1, len(values)) if len(values) > 1 else np.array([0.5])
        columns.append(settings[name].map(dict(zip(values, places, strict=True))).tolist())
        draw_scale(axes, x, places, [value_texts(values)[v] for v in values])
    low, high = float(losses.min()), float(losses.max())
    scaled = (losses - low) / (high - low or 1.0)
    columns.append(scaled.tolist())
    axes.axvline(len(names), color=GREY, linewidth=1)
    colours = mpl.colormaps[SCALE](scaled * 0.95)
    for i in np.argsort(-losses):  # the best on top
        line = [column[i] for column in columns]
        (drawn,) = axes.plot(range(len(columns)), line, color=colours[i], linewidth=1.2, alpha=0.8)
        drawn.set_rasterized(len(losses) > MAX_VECTORS)
    right = axes.secondary_yaxis("right")
    right.set_yticks(np.linspace(0, 1, 5), [f"{v:.3g}" for v in np.linspace(low, high, 5)])
    right.set_ylabel(label_lines(f"median {label}"))
    axes.set_xticks(range(len(columns)), [*(n.replace("_", "\n") for n in names), "loss"])
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(names))
    axes.set_ylim(-0.03, 1.08)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def draw_scale(axes: Axes, x: float, places: Array, texts: Sequence[str]) -> None:
    """Draw the scale of one setting, with some of its values."""
    axes.axvline(x, color=GREY, linewidth=1)
    step = -(-len(texts) // MAX_LEVELS)
    for place, text in list(zip(places, texts, strict=True))[::step]:
        axes.annotate(
            text,
            (x, float(place)),
            (4, 2),
            textcoords="offset points",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
            zorder=5,
        )
