"""How are the results of many runs drawn?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from nbrnn.plots import COLOURS, DASHES, GREY, Array, plain

SCALE = "viridis"  # for more configurations than colours: dark is low, in grey too
FEW_LINES = 12  # up to so many runs each have a line of their own
MOST_BANDS = 8
MOST_NAMES = 10  # in a legend
FEW_NAMES = 4  # fit into the picture, more stand below it
LONG_NAME = 27  # characters, of which two do not stand side by side
MOST_OF_THEM = 0.8  # of many configurations are wholly shown; the worst may leave the picture
MOST_ROWS = 30  # of configurations in a picture

FONT: Any = {
    "font.size": 10,
    "axes.titlesize": 10,
    "legend.fontsize": 9,
    "axes.labelsize": 11,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "none",
}


@dataclass(frozen=True)
class Curves:
    """The losses of the runs of one configuration at common updates."""

    updates: Array  # (points,)
    losses: Array  # (runs, points)
    seconds_per_update: float


@dataclass(frozen=True)
class Style:
    """How a configuration looks in all pictures."""

    colour: Any
    dash: Any


def styles(configurations: Mapping[str, Sequence[Any]]) -> dict[str, Style]:
    """Return a style for each configuration, given by the values in which they differ, best first.

    With two swept settings the one gives the colour and the other the dashes.
    """
    values = list(configurations.values())
    if values and len(values[0]) == 2:
        columns = [sorted({value[i] for value in values}, key=str) for i in (0, 1)]
        colour_by = int(len(columns[1]) > len(columns[0]))
        many, few = columns[colour_by], columns[1 - colour_by]
        if len(many) <= len(COLOURS) and len(few) <= len(DASHES):
            return {
                name: Style(COLOURS[many.index(v[colour_by])], DASHES[few.index(v[1 - colour_by])])
                for name, v in configurations.items()
            }
    if len(configurations) <= len(COLOURS):
        return {name: Style(colour, "-") for name, colour in zip(configurations, COLOURS, strict=False)}
    scale = mpl.colormaps[SCALE](np.linspace(0, 0.95, len(configurations)))
    return {name: Style(tuple(colour), "-") for name, colour in zip(configurations, scale, strict=True)}


def curves_figure(
    curves: Mapping[str, Curves],
    looks: Mapping[str, Style],
    against: Literal["updates", "seconds"],
    label: str,
) -> Figure:
    """Return the mean loss of each configuration, with the standard deviation of its seeds."""
    with mpl.rc_context(FONT):
        names = list(curves)[:MOST_NAMES]
        columns = 2 if max(map(len, names)) < LONG_NAME else 1
        below = 0 if len(names) <= FEW_NAMES else 0.2 * -(-len(names) // columns)
        figure = Figure(figsize=(5.4, 3.5 + below), layout="constrained")
        axes = figure.add_subplot()
        runs = sum(len(curve.losses) for curve in curves.values())
        for rank, (name, curve) in reversed(list(enumerate(curves.items()))):
            x = curve.updates * (curve.seconds_per_update if against == "seconds" else 1)
            mean, deviation = curve.losses.mean(axis=0), curve.losses.std(axis=0)
            style = looks[name]
            shown = name if rank < MOST_NAMES else None
            axes.plot(x, mean, color=style.colour, linestyle=style.dash, linewidth=1.5, label=shown)
            if len(curve.losses) > 1 and runs <= FEW_LINES:
                axes.plot(x, curve.losses.T, color=style.colour, linewidth=0.5, alpha=0.6)
            elif len(curve.losses) > 1 and len(curves) <= MOST_BANDS:
                band = (mean - deviation, mean + deviation)
                axes.fill_between(x, *band, color=style.colour, alpha=0.12, linewidth=0)
        axes.set_ylim(*loss_limits(list(curves.values())))
        axes.set_xlim(left=0)
        axes.set_xlabel("updates" if against == "updates" else "seconds of training on one core")
        axes.set_ylabel(label)
        if against == "updates":
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        plain(axes)
        axes.spines["top"].set_visible(False)
        more = len(curves) - MOST_NAMES
        handles, labels = axes.get_legend_handles_labels()
        title = f"the best {MOST_NAMES} of {len(curves)} configurations" if more > 0 else None
        place = "outside lower left" if below else "upper right"
        legend: Any = figure.legend if below else axes.legend
        legend(handles[::-1], labels[::-1], title=title, loc=place, ncols=columns if below else 1)
        draw_without_math(figure)
        return figure


def loss_limits(curves: Sequence[Curves]) -> tuple[float, float]:
    """Return limits between which the curves are told apart: without the fall at the start."""
    lowest = min(float(curve.losses.min()) for curve in curves)
    after = [curve.losses[:, len(curve.updates) // 20 :] for curve in curves]
    tops = [float(loss.mean(axis=0).max()) for loss in after]
    highest = float(np.quantile(tops, MOST_OF_THEM)) if len(tops) > MOST_NAMES else max(tops)
    margin = 0.03 * (highest - lowest) or 1.0
    return lowest - margin, highest + margin


def dots_figure(
    losses: Mapping[str, Array],
    intervals: Mapping[str, tuple[float, float, float]],
    looks: Mapping[str, Style],
    label: str,
) -> Figure:
    """Return the loss of each run as a dot, a row for each configuration, with its mean."""
    shown = list(losses)[:MOST_ROWS]
    with mpl.rc_context(FONT):
        longest = max(map(len, shown), default=0)
        size = (4.2 + 0.075 * longest, 1.1 + 0.3 * max(3, len(shown)))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        for row, name in enumerate(shown):
            colour = looks[name].colour
            height = row + np.random.default_rng(0).uniform(-0.2, 0.2, len(losses[name]))
            axes.plot(losses[name], height, "o", color=colour, markersize=3.5, alpha=0.5, mew=0)
            mean, low, high = intervals[name]
            if np.isfinite(low):
                axes.plot([low, high], [row, row], color=colour, linewidth=2.5, solid_capstyle="butt")
            axes.plot(mean, row, "D", color=colour, markersize=6, mec="white", mew=0.8)
        every = np.concatenate([losses[name] for name in shown])
        ends = np.array([intervals[name][1:] for name in shown])
        low, high, width = every.min(), every.max(), np.ptp(every) or 1.0
        # wide intervals of few seeds may leave the picture
        low = np.clip(np.nanmin([*ends[:, 0], low]), low - width, low)
        high = np.clip(np.nanmax([*ends[:, 1], high]), high, high + width)
        axes.set_xlim(low - 0.05 * width, high + 0.05 * width)
        axes.set_yticks(range(len(shown)), shown)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel(label, loc="right")
        more = (
            f"; the best {len(shown)} of {len(losses)} configurations"
            if len(losses) > len(shown)
            else ""
        )
        axes.set_title(f"each seed, mean and its 95 % confidence interval{more}", loc="right")
        plain(axes)
        axes.spines["top"].set_visible(False)
        draw_without_math(figure)
        return figure


def tries_figure(
    bands: Mapping[str, tuple[Array, Array]], looks: Mapping[str, Style], label: str
) -> Figure:
    """Return the expected best of several runs, for each configuration: tries (n,), values (3, n).

    The values are the expected one and both ends of its interval, NaN where there is none.
    """
    with mpl.rc_context(FONT):
        figure = Figure(figsize=(5.4, 3.5), layout="constrained")
        axes = figure.add_subplot()
        for name, (tries, (expected, low, high)) in bands.items():
            style = looks[name]
            axes.fill_between(tries, low, high, color=style.colour, alpha=0.12, linewidth=0)
            axes.plot(
                tries, expected, color=style.colour, linestyle=style.dash, linewidth=1.5, label=name
            )
        axes.set_xscale("log")
        ticks = max((tries for tries, _ in bands.values()), key=len)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        axes.minorticks_off()
        axes.set_xlabel("runs, of which the best is taken")
        axes.set_ylabel(f"expected {label}".replace(" (", "\n("))
        axes.legend(loc="upper right")
        plain(axes)
        axes.spines["top"].set_visible(False)
        draw_without_math(figure)
        return figure


def heat_figure(
    table: Array, rows: tuple[str, Sequence[Any]], columns: tuple[str, Sequence[Any]], label: str
) -> Figure:
    """Return the mean loss over two swept numbers; table (rows, columns), NaN is empty."""
    (row_name, row_values), (column_name, column_values) = rows, columns
    with mpl.rc_context(FONT):
        size = (max(5.4, 2.2 + 0.6 * len(column_values)), max(3.2, 1.4 + 0.45 * len(row_values)))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        axes.set_facecolor("#DDDDDD")
        image = axes.imshow(table, cmap=SCALE, aspect="auto", origin="lower")
        middle = (np.nanmin(table) + np.nanmax(table)) / 2
        if table.size <= 150:
            for (row, column), value in np.ndenumerate(table):
                text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
                colour = "white" if value < middle else "black"
                if np.isfinite(value):
                    axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
        axes.set_xticks(range(len(column_values)), [f"{v:.4g}" for v in column_values])
        axes.set_yticks(range(len(row_values)), [f"{v:.4g}" for v in row_values])
        axes.set_xlabel(column_name)
        axes.set_ylabel(row_name)
        figure.colorbar(image, label=label.replace(" (", "\n("))
        return figure


def parallel_figure(configurations: Sequence[Mapping[str, Any]], losses: Array, label: str) -> Figure:
    """Return parallel coordinates: a line for each configuration through its values to its loss."""
    names = list(configurations[0])
    with mpl.rc_context(FONT):
        figure = Figure(figsize=(1.5 + 1.1 * len(names), 3.8), layout="constrained")
        axes = figure.add_subplot()
        columns = []
        for x, name in enumerate(names):
            values = sorted({s[name] for s in configurations}, key=lambda v: (str(type(v)), v))
            places = np.linspace(0, 1, len(values)) if len(values) > 1 else np.array([0.5])
            columns.append([places[values.index(s[name])] for s in configurations])
            axes.axvline(x, color=GREY, linewidth=1)
            step = -(-len(values) // 8)
            for place, value in list(zip(places, values, strict=True))[::step]:
                text = f"{value:.4g}" if isinstance(value, float) else str(value)
                axes.annotate(
                    text,
                    (x, place),
                    (4, 2),
                    textcoords="offset points",
                    fontsize=8,
                    bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
                    zorder=5,
                )
        low, high = float(losses.min()), float(losses.max())
        scaled = (losses - low) / (high - low or 1.0)
        columns.append(list(scaled))
        axes.axvline(len(names), color=GREY, linewidth=1)
        colours = mpl.colormaps[SCALE](scaled * 0.95)
        for i in np.argsort(-losses):  # the best on top
            line = [column[i] for column in columns]
            axes.plot(range(len(columns)), line, color=colours[i], linewidth=1.2, alpha=0.8)
        right = axes.secondary_yaxis("right")
        right.set_yticks(np.linspace(0, 1, 5), [f"{v:.3g}" for v in np.linspace(low, high, 5)])
        right.set_ylabel(label)
        axes.set_xticks(range(len(columns)), [*(n.replace("_", "\n") for n in names), "loss"])
        axes.set_yticks([])
        axes.set_xlim(-0.1, len(names))
        axes.set_ylim(-0.03, 1.08)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return figure


def draw_without_math(figure: Figure) -> None:
    """Take all names as they are: a corpus may have dollars in its name."""
    texts = [label for axes in figure.axes for label in axes.get_yticklabels()]
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    texts += [label for legend in legends if legend for label in legend.get_texts()]
    for text in texts:
        text.set_parse_math(False)
