"""Draw the loss of one run; colours, and files of pictures."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import IO, Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from nbrnn.values import loss_in_progress

Array = NDArray[Any]
Kind = Literal["png", "svg", "pdf"]

# Okabe and Ito's colours, told apart with any colour vision (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
AMBER, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#999999"
COLOURS = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY, BLACK)
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))

DPI = 150  # of PNG
LIFTED = 36  # points between the best point of a curve that is shown larger, and its label


def loss_figure(
    curve: tuple[Array, Array],
    best: tuple[int | None, float | None],
    title: str,
    updates_per_epoch: int,
    unit: str,
) -> Figure:
    """Return the curve of the smooth loss, with epochs above and the best point.

    curve: updates and smooth losses, each (points,). best: update and smooth loss, where there are.
    """
    figure, axes = run_axes(title, updates_per_epoch)
    axes.plot(*curve, color=BLUE, linewidth=1.5)
    mark_best(axes, best, curve[0].max(initial=0))
    axes.set_ylabel(f"smooth loss ({unit})", fontsize=12)
    return figure


def held_out_figure(
    curve: tuple[Array, Array],
    held_out: tuple[Array, Array],
    best: tuple[int | None, float | None],
    baselines: Mapping[str, float],
    title: str,
    updates_per_epoch: int,
) -> Figure:
    """Return the curves of the smooth and the validation loss in nats per character, and baselines.

    curve, held_out: updates and losses, each (points,). best: update and validation loss, if any.
    baselines: the validation losses of n-gram baselines, by name.
    """
    figure, axes = run_axes(title, updates_per_epoch)
    axes.plot(*curve, color=BLUE, linewidth=1.2, label="training (smooth)")
    axes.plot(*held_out, "-o", color=ORANGE, linewidth=1.5, markersize=3, label="held out")
    for (name, loss), dash in zip(baselines.items(), DASHES[1:], strict=False):
        axes.axhline(loss, color=GREY, linestyle=dash, linewidth=1.2, label=f"{name} model, held out")
    mark_best(axes, best, curve[0].max(initial=0))
    axes.set_ylabel("loss (nats per character)", fontsize=12)
    axes.legend(loc="upper right", fontsize=9)
    return figure


def run_axes(title: str, updates_per_epoch: int) -> tuple[Figure, Axes]:
    """Return the picture of one run, with updates below and epochs above."""
    figure = Figure(figsize=(6, 3.6))
    # A layout that measures all texts takes twice as long, and a sweep draws many of these.
    figure.subplots_adjust(left=0.115, right=0.97, bottom=0.155, top=0.79)
    axes = figure.add_subplot()
    axes.set_xlabel("updates", fontsize=12)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.tick_params(labelsize=11)
    axes.set_title(title, fontsize=11, parse_math=False)
    plain(axes)
    axes.margins(x=0.01)

    def to_epochs(updates: Any) -> Any:
        return updates / updates_per_epoch

    def to_updates(epochs: Any) -> Any:
        return epochs * updates_per_epoch

    above = axes.secondary_xaxis("top", functions=(to_epochs, to_updates))
    above.set_xlabel("epochs", fontsize=12)
    above.tick_params(labelsize=11)
    above.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


def mark_best(axes: Axes, best: tuple[int | None, float | None], updates: float) -> None:
    """Mark the best model of a run of so many updates."""
    update, loss = best
    if update is None or loss is None:
        return
    axes.plot(update, loss, "o", color=ORANGE, markersize=7)
    left = update > updates / 2
    axes.annotate(
        f"best {loss_in_progress(loss)}",
        (update, loss),
        (-8 if left else 8, 12),
        textcoords="offset points",
        ha="right" if left else "left",
        color=ORANGE,
        fontsize=12,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
    )


def plain(axes: Axes) -> None:
    """Give axes a faint grid, and no frame on the right."""
    axes.grid(color=GREY, alpha=0.3, linewidth=0.6)
    axes.spines["right"].set_visible(False)


def bare_axes(figure: Figure) -> Axes:
    """Return the only axes of a figure, with a frame on the left and below."""
    axes = figure.add_subplot()
    plain(axes)
    axes.spines["top"].set_visible(False)
    return axes


def show_learning(figure: Figure, baselines: Mapping[str, float]) -> None:
    """Limit the picture of a run to the losses after the fall at the start, and add baselines.

    baselines: the losses of n-gram baselines, by name, in the picture's unit: the lowest is in the
    picture, others are named at its top.
    """
    axes = figure.axes[0]
    for label in axes.texts:  # of the best, which is nearer to the curve now
        label.set_position((label.get_position()[0], LIFTED))
    curves = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    losses = np.concatenate([curve[len(curve) // 20 :] for curve in curves])
    losses = np.append(losses[np.isfinite(losses)], sorted(baselines.values())[:1])
    if losses.size:
        margin = 0.06 * (losses.max() - losses.min()) or 1.0
        axes.set_ylim(losses.min() - margin, losses.max() + 2 * margin)
    low, top = axes.get_ylim()
    for name, loss in baselines.items():
        is_in, words = loss <= top, f"{name} model {loss_in_progress(loss)}"
        if is_in:
            axes.axhline(loss, color=GREY, linestyle=DASHES[1], linewidth=1.2)
        axes.annotate(
            words if is_in else f"↑ {words}",
            (0.3, min(loss, top)),
            (0, -2 if (is_high := loss > low + 0.12 * (top - low)) else 2),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            va="top" if is_high else "bottom",
            fontsize=9,
        )


def save(figure: Figure, file: IO[bytes], kind: Kind) -> None:
    """Write a figure; the same figure gives the same bytes."""
    # in a PDF with fonts as publishers want them
    settings: Any = {"svg.hashsalt": "nbrnn", "pdf.fonttype": 42}
    with warnings.catch_warnings(), mpl.rc_context(settings):
        # a corpus may be named in a script that the font does not have
        warnings.filterwarnings("ignore", "Glyph")
        if kind == "png":  # savefig would draw it twice
            figure.set_dpi(DPI)
            canvas: Any = FigureCanvasAgg(figure)
            canvas.print_png(file, metadata={"Software": None})
        else:
            date = "Date" if kind == "svg" else "CreationDate"
            figure.savefig(file, format=kind, metadata={date: None, "Creator": None})
