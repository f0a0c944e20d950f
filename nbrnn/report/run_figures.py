"""The pictures of one run: its loss, and how much of its generated texts is copied."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.figure import Figure

from nbrnn.analysis.run_facts import HELD_OUT, RunFacts
from nbrnn.analysis.sample_texts import NUCLEUS, PLAIN, TEMPERATURES
from nbrnn.errors import StoreError
from nbrnn.run_plots import (
    AMBER,
    BLACK,
    BLUE,
    DASHES,
    GREEN,
    ORANGE,
    PINK,
    SKY,
    bare_axes,
    show_learning,
)
from nbrnn.runs.finalize import loss_figure_of

MAX_LENGTH = 30  # characters of a passage

STYLES = {
    PLAIN: (BLACK, "-"),
    **dict(zip(TEMPERATURES, ((BLUE, "-"), (SKY, "-"), (GREEN, "-")), strict=True)),
    **dict(zip(NUCLEUS, ((ORANGE, DASHES[1]), (AMBER, DASHES[1]), (PINK, DASHES[1])), strict=True)),
    HELD_OUT: (BLACK, DASHES[2]),
}

CAPTIONS = {
    "loss": "The loss against updates, without its fall at the start, beside the losses of n-gram "
    "baselines (unigram, bigram).",
    "copying": "The share of the passages of n characters that occur in the training text.",
}


def figures(facts: RunFacts) -> Iterator[tuple[str, Figure]]:
    """Return the pictures of a run, by name."""
    loss = None if facts.is_imported else facts.get_or_note("the loss curve", lambda: loss_figure(facts))
    if loss is not None:
        yield "loss", loss
    if set(STYLES) & set(facts.overlaps):
        yield "copying", copying_figure(facts)


def loss_figure(facts: RunFacts) -> Figure:
    """Return the curve of the loss, without its fall at the start. Raises StoreError."""
    if not facts.folder.read_metrics().update.size:
        raise StoreError("no update was logged")
    figure = loss_figure_of(facts.folder, with_baselines=False)
    show_learning(figure, baseline_losses(facts))
    return figure


def baseline_losses(facts: RunFacts) -> dict[str, float]:
    """Return the losses of n-gram baselines, on the held-out text where there is any."""
    if not facts.config.validation:
        scale = facts.config.characters_in_loss
        return {name: loss * scale for name, loss in facts.baselines.items()}
    summary = facts.summary
    losses = {"unigram": summary.validation_unigram, "bigram": summary.validation_bigram}
    return {name: loss for name, loss in losses.items() if loss is not None}


def copying_figure(facts: RunFacts) -> Figure:
    """Return the shares of passages that are copied, by their length."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = bare_axes(figure)
    lengths = range(1, MAX_LENGTH + 1)
    for name, (colour, dash) in STYLES.items():
        if name in facts.overlaps:
            shares = [facts.overlaps[name].share(n) for n in lengths]
            axes.plot(lengths, shares, color=colour, linestyle=dash, linewidth=1.5, label=name)
    axes.set_xlabel("characters n in a passage", fontsize=12)
    axes.set_ylabel("share in the training text", fontsize=12)
    axes.tick_params(labelsize=11)
    axes.set_xlim(1, MAX_LENGTH)
    axes.set_ylim(0, 1.02)
    axes.legend(loc="upper right", fontsize=9)
    return figure
