"""Draw the losses of many configurations against updates, epochs or seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from nbrnn.report.dot_plots import STYLE, WIDTH, stands_out
from nbrnn.run_plots import bare_axes
from nbrnn.typing import Array

HEIGHT = 3.6  # inches, more where names are long
MANY = 10  # curves, of which
SHARE_INSIDE = 0.8  # end inside the picture
BLOWN_UP = 3.0  # times the median of all ends above the lowest: beyond that a curve leaves the picture
FEW_POINTS = 30  # that have a mark each
MAX_TITLE = 60  # characters of a name above a picture
MAX_BEYOND = 3  # configurations beyond the picture that are named


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


@mpl.rc_context(STYLE)
def curves_figure(
    curves: Mapping[str, Curves], colours: Mapping[str, str], axis: str, label: str, default: str | None
) -> Figure:
    """Return the mean loss of each configuration, best first, with a band of one standard error.

    Those that stand out are named beside the picture, those beyond it above it. `axis` says what
    losses are drawn against. The curve of the i-th configuration in `colours`, which has those without a
    curve too, has the gid `curve-i`.
    """
    figure = Figure(figsize=(WIDTH, HEIGHT))
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
    low, high = loss_limits(list(curves.values()))
    axes.set_ylim(low, high)
    axes.set_xlim(0, max(float(curve.x[-1]) for curve in curves.values()) or 1)
    axes.set_xlabel(axis)
    axes.set_ylabel(label)
    if axis == "updates":
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if axis == "epochs":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    beyond = [n for n, curve in curves.items() if not curve.mean[-1] <= high + (high - low) / 2]
    if len(curves) > 1:
        named = [name for name in curves if stands_out(colours[name]) and name not in beyond]
        name_curves(figure, named, beyond, default)
    return figure


def name_curves(
    figure: Figure, names: Sequence[str], beyond: Sequence[str], default: str | None
) -> None:
    """Name curves in a legend beside the picture, and above it those that end beyond it."""
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    texts = [f"{name}, (default)" if name == default else name for name in names]
    texts = [text.replace(", ", "\n") for text in texts]
    figure.set_figheight(max(HEIGHT, 0.4 + 0.16 * "\n".join(texts).count("\n")))
    figure.legend(
        [lines[name] for name in names],
        texts,
        loc="outside right center",
        labelcolor="linecolor",
        handlelength=1,
    )
    if beyond:
        more = f" and {len(beyond) - MAX_BEYOND} more" if len(beyond) > MAX_BEYOND else ""
        texts = [shorten(name, MAX_TITLE, placeholder=" …") for name in beyond[:MAX_BEYOND]]
        title = [f"↑ beyond: {texts[0]}", *(f"    {text}" for text in texts[1:])]
        axes.set_title("\n".join(title) + more, fontsize=9, loc="left")


def loss_limits(curves: Sequence[Curves]) -> tuple[float, float]:
    """Return limits of the loss without its fall at the start, and without curves that blow up."""
    finite = [curve for curve in curves if np.isfinite(curve.mean).all()] or list(curves)
    lowest = min(float(np.nanmin(curve.mean - curve.error)) for curve in finite)
    after = [curve.mean[min(len(curve.x) - 1, 1 + len(curve.x) // 20) :] for curve in finite]
    tops, ends = (np.array([float(f(m)) for m in after]) for f in (np.max, lambda m: m[-1]))
    scale = float(np.median(tops)) - lowest
    tops = tops[(ends - lowest <= BLOWN_UP * scale) | (scale <= 0)]
    highest = float(np.quantile(tops, SHARE_INSIDE)) if len(tops) > MANY else float(max(tops))
    margin = 0.03 * (highest - lowest) or 1.0
    return lowest - margin, highest + margin
