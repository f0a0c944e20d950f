"""How are the losses of many configurations drawn as they fall?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from nbrnn.plots import Array
from nbrnn.reports.drawings import FONT, WIDTH, bare_axes, stands_out, without_math

MANY = 10  # curves, of which
MOST_OF_THEM = 0.8  # are wholly shown; the worst may leave the picture
LINE = 0.05  # of the height of the axes, that a line of a name takes
FEW_POINTS = 30  # that have a mark each


@dataclass(frozen=True)
class Curves:
    """The losses of the runs of one configuration at common places (points,), losses (runs, points)."""

    x: Array
    losses: Array

    @property
    def mean(self) -> Array:
        """The mean of all runs, (points,)."""
        return np.asarray(self.losses.mean(axis=0))

    @property
    def error(self) -> Array:
        """The standard error of that mean, (points,); 0 for one run."""
        runs = len(self.losses)
        deviation = self.losses.std(axis=0, ddof=1) if runs > 1 else np.zeros_like(self.x, float)
        return np.asarray(deviation / np.sqrt(runs))


def curves_figure(
    curves: Mapping[str, Curves],
    colours: Mapping[str, str],
    axis: str,
    label: str,
    default: str | None,
) -> Figure:
    """Return the mean loss of each configuration, best first, with a band of one standard error.

    Those that stand out are named at their ends. `axis` says what losses are drawn against. The curve of
    the i-th configuration in `colours`, which has those without a curve too, has the gid `curve-i`.
    """
    with mpl.rc_context(FONT):
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        axes = bare_axes(figure)
        gids = {name: f"curve-{i}" for i, name in enumerate(colours)}
        for name, curve in reversed(list(curves.items())):
            colour, mean = colours[name], curve.mean
            bold = stands_out(colour)
            (line,) = axes.plot(curve.x, mean, color=colour, label=name, gid=gids[name])
            line.set(linewidth=1.6 if bold else 0.7, alpha=1 if bold else 0.6, markersize=3)
            line.set_marker("o" if bold and len(curve.x) <= FEW_POINTS else "none")
            if bold and len(curve.losses) > 1:
                band = (mean - curve.error, mean + curve.error)
                axes.fill_between(curve.x, *band, color=colour, alpha=0.2, linewidth=0)
        axes.set_ylim(*loss_limits(list(curves.values())))
        longest = max(float(curve.x[-1]) for curve in curves.values())
        axes.set_xlim(0, longest)
        axes.set_xlabel(axis)
        axes.set_ylabel(label)
        if axis == "updates":
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        if axis == "epochs":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        named = {n: c for n, c in curves.items() if stands_out(colours[n])}
        if len(curves) > 1:
            name_ends(axes, named, colours, default)
        return without_math(figure)


def name_ends(
    axes: Axes, curves: Mapping[str, Curves], colours: Mapping[str, str], default: str | None
) -> None:
    """Write the names of curves beside their ends, as far apart as they need to be."""
    low, high = axes.get_ylim()
    ends = {name: (float(curve.mean[-1]) - low) / (high - low) for name, curve in curves.items()}
    order = sorted(ends, key=lambda name: ends[name])
    texts = {name: end_text(name, name == default) for name in order}
    sizes = [LINE * (1 + texts[name].count("\n")) for name in order]
    for name, place in zip(order, spread([ends[name] for name in order], sizes), strict=True):
        axes.annotate(
            texts[name],
            (1, place),
            (6, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            color=colours[name],
            fontsize=9,
            linespacing=1.0,
        )


def end_text(name: str, is_default: bool) -> str:
    """Return a configuration's name in short lines, and whether it is the default."""
    return "\n".join([*name.split(", "), *(["(default)"] if is_default else [])])


def spread(places: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Return places from 0 up, in the same order, near those given, so that texts do not overlap."""
    found: list[float] = []
    top = 0.0
    for place, size in zip(places, sizes, strict=True):
        found.append(max(place, top + size / 2))
        top = found[-1] + size / 2
    below = 1.0
    for i in reversed(range(len(found))):
        found[i] = min(found[i], below - sizes[i] / 2)
        below = found[i] - sizes[i] / 2
    return found


def loss_limits(curves: Sequence[Curves]) -> tuple[float, float]:
    """Return limits between which the curves are told apart: without the fall at the start."""
    lowest = min(float((curve.mean - curve.error).min()) for curve in curves)
    after = [curve.mean[min(len(curve.x) - 1, 1 + len(curve.x) // 20) :] for curve in curves]
    tops = [float(mean.max()) for mean in after]
    highest = float(np.quantile(tops, MOST_OF_THEM)) if len(tops) > MANY else max(tops)
    margin = 0.03 * (highest - lowest) or 1.0
    return lowest - margin, highest + margin
