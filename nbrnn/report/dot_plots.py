"""Draw the loss of each run, and the expected best of several runs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nbrnn.run_plots import BLACK, BLUE, GREEN, GREY, ORANGE, bare_axes
from nbrnn.typing import Array

HIGHLIGHTS = (BLUE, ORANGE, GREEN)  # of the best configurations
WIDTH = 5.2  # inches: on a page of 400 pixels ten points are still ten pixels
MAX_ROWS = 30  # of configurations in a picture
MAX_VECTORS = 1500  # dots, beyond which they are an image
LABEL_WIDTH = 30  # characters of a label that a picture is high enough for
BELOW = 0.12  # of a row, from its median to the first of its dots

STYLE: Any = {
    "figure.constrained_layout.use": True,
    "text.parse_math": False,  # a corpus may have dollars in its name
    "font.size": 10,
    "axes.titlesize": 10,
    "legend.fontsize": 9,
    "axes.labelsize": 11,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "none",
}


def colours_of(configurations: Sequence[str], default: str | None) -> dict[str, str]:
    """Return the colour of each configuration, best first: the best three and the default stand out."""
    colours = dict.fromkeys(configurations, GREY)
    colours |= dict(zip(configurations, HIGHLIGHTS, strict=False))
    if default is not None and default in configurations[len(HIGHLIGHTS) :]:
        colours[default] = BLACK
    return colours


def stands_out(colour: str) -> bool:
    """Whether a configuration of this colour is one of the few that are named."""
    return colour != GREY


@mpl.rc_context(STYLE)
def dots_figure(
    losses: Mapping[str, Array],
    intervals: Mapping[str, tuple[float, float, float]],
    colours: Mapping[str, str],
    label: str,
    table: tuple[Sequence[str], Mapping[str, Sequence[str]]],
) -> Figure:
    """Return the loss of each run as a dot below the median of its configuration, best first.

    table: the heads of the columns before the rows, and their cells for each configuration. The dots of
    row i have the gid `runs-i`.
    """
    shown = list(losses)[:MAX_ROWS]
    heads, cells = table
    lines = columned([heads, *(cells[name] for name in shown)])
    size = (WIDTH + max(0, 0.075 * (len(lines[0]) - 24)), 1.2 + 0.34 * max(3, len(shown)))
    figure = Figure(figsize=size)
    axes = bare_axes(figure)
    few = sum(len(losses[name]) for name in shown) <= MAX_VECTORS
    for row, name in enumerate(shown):
        draw_row(axes, row, losses[name], intervals[name], colours[name], few)
    axes.set_xlim(*dots_limits([losses[name] for name in shown], [intervals[n] for n in shown]))
    axes.set_yticks(range(len(shown)), lines[1:], family="monospace", fontsize=9)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.annotate(
        lines[0],
        (0, 1),
        (-7, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        family="monospace",
        fontsize=9,
        color=GREY,
    )
    axes.set_xlabel(label, loc="right")
    axes.set_title("lower is better", loc="right", fontsize=9)
    return figure


def draw_row(
    axes: Axes,
    row: int,
    losses: Array,
    interval: tuple[float, float, float],
    colour: str,
    as_vectors: bool,
) -> None:
    """Draw the median of a configuration with its interval, and below it a dot for each run."""
    deep = np.random.default_rng(0).uniform(BELOW, 0.45, len(losses)) if len(losses) > 4 else 0.25
    heights = np.broadcast_to(row + deep, losses.shape)
    (dots,) = axes.plot(losses, heights, "o", color=colour, markersize=4, alpha=0.85, mew=0)
    dots.set(gid=f"runs-{row}", rasterized=not as_vectors)
    median, low, high = interval
    if np.isfinite(low):
        axes.plot([low, high], [row, row], color=colour, linewidth=2.5, solid_capstyle="butt")
    axes.plot(median, row, "D", color=colour, markersize=6, mec="white", mew=0.8)


def dots_limits(
    losses: Sequence[Array], intervals: Sequence[tuple[float, float, float]]
) -> tuple[float, float]:
    """Return limits around every run; wide intervals of few seeds may leave the picture."""
    every, ends = np.concatenate(losses), np.array([interval[1:] for interval in intervals])
    low, high, width = every.min(), every.max(), float(np.ptp(every)) or 1.0
    low = np.clip(np.nanmin([*ends[:, 0], low]), low - width, low)
    high = np.clip(np.nanmax([*ends[:, 1], high]), high, high + width)
    return float(low - 0.05 * width), float(high + 0.05 * width)


def columned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines of equal length, each column as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]


@mpl.rc_context(STYLE)
def tries_figure(
    curves: Mapping[str, tuple[Array, Array]], colours: Mapping[str, str], label: str
) -> Figure:
    """Return the expected best of several runs, for each configuration: tries (n,), losses (n,)."""
    figure = Figure(figsize=(WIDTH, 3.4))
    axes = bare_axes(figure)
    for name, (tries, expected) in reversed(list(curves.items())):
        axes.plot(tries, expected, "o-", color=colours[name], markersize=3, label=name)
    axes.set_xscale("log")
    ticks = max((tries for tries, _ in curves.values()), key=len)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("runs, of which the best is taken")
    axes.set_ylabel(label_lines(f"expected {label}"))
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper right")
    return figure


def label_lines(label: str) -> str:
    """Return the label of a vertical axis in lines that fit the height of a picture."""
    words, _, unit = label.partition(" (")
    return f"{words}\n({unit}" if len(words) <= LABEL_WIDTH else textwrap.fill(label, LABEL_WIDTH)
