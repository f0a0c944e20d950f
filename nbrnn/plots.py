"""The pictures."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import IO, Any

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from nbrnn.params import Array

# Okabe and Ito's colours, told apart with any colour vision (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"


def loss_figure(
    metrics: Mapping[str, Array], summary: Mapping[str, Any], title: str, updates_per_epoch: int
) -> Figure:
    """Return the curve of the smooth loss against updates, with epochs above and the best point."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(metrics["update"], metrics["smooth_loss"], color=BLUE, linewidth=1.5)
    best, update = summary["smooth_loss_best"], summary["best_update"]
    if best is not None:
        axes.plot(update, best, "o", color=ORANGE, markersize=7)
        left = update > metrics["update"].max() / 2
        axes.annotate(
            f"best {best:.2f}",
            (update, best),
            (-8 if left else 8, 12),
            textcoords="offset points",
            ha="right" if left else "left",
            color=ORANGE,
            fontsize=12,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )
    axes.set_xlabel("updates", fontsize=12)
    axes.set_ylabel("smooth loss (nats per window)", fontsize=12)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.tick_params(labelsize=11)
    axes.set_title(title, fontsize=11, parse_math=False)
    axes.grid(color=GREY, alpha=0.3, linewidth=0.6)
    axes.margins(x=0.01)
    axes.spines["right"].set_visible(False)

    def to_epochs(updates: Any) -> Any:
        return updates / updates_per_epoch

    def to_updates(epochs: Any) -> Any:
        return epochs * updates_per_epoch

    above = axes.secondary_xaxis("top", functions=(to_epochs, to_updates))
    above.set_xlabel("epochs", fontsize=12)
    above.tick_params(labelsize=11)
    above.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def save_png(figure: Figure, file: IO[bytes]) -> None:
    """Write a figure as PNG; the same figure gives the same bytes."""
    with warnings.catch_warnings():
        # a corpus may be named in a script that the font does not have
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
