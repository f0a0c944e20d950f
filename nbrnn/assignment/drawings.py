"""How is what a run shows drawn?"""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.figure import Figure

from nbrnn.assignment.gather import Facts
from nbrnn.assignment.losses import HELD_OUT
from nbrnn.assignment.texts import NUCLEI, PLAIN, TEMPERATURES
from nbrnn.errors import StoreError
from nbrnn.plots import AMBER, BLACK, BLUE, DASHES, GREEN, ORANGE, PINK, SKY, plain, show_learning
from nbrnn.runs.finalize import loss_figure_of

LONGEST = 30  # characters of a passage

STYLES = {
    PLAIN: (BLACK, "-"),
    **dict(zip(TEMPERATURES, ((BLUE, "-"), (SKY, "-"), (GREEN, "-")), strict=True)),
    **dict(zip(NUCLEI, ((ORANGE, DASHES[1]), (AMBER, DASHES[1]), (PINK, DASHES[1])), strict=True)),
    HELD_OUT: (BLACK, DASHES[2]),
}

CAPTIONS = {
    "loss": "The loss against updates, without its fall at the start, beside the losses of models that "
    "only count characters (unigram) or pairs of them (bigram).",
    "copying": "The share of the passages of n characters that occur in the training text.",
}


def drawings(facts: Facts) -> Iterator[tuple[str, Figure]]:
    """Return the pictures that there are of a run, with their names."""
    loss = None if facts.is_imported else facts.attempt("the loss curve", lambda: loss_figure(facts))
    if loss is not None:
        yield "loss", loss
    if set(STYLES) & set(facts.copying):
        yield "copying", copying_figure(facts)


def loss_figure(facts: Facts) -> Figure:
    """Return the curve of the loss where it tells something. Raises StoreError."""
    if not facts.folder.read_metrics().update.size:
        raise StoreError("no update was logged")
    figure = loss_figure_of(facts.folder, with_baselines=False)
    show_learning(figure, counted(facts))
    return figure


def counted(facts: Facts) -> dict[str, float]:
    """Return the losses of models that count, on the held-out text where there is any."""
    if not facts.config.validation:
        scale = facts.config.characters_in_loss
        return {name: loss * scale for name, loss in facts.baselines.items()}
    summary = facts.summary
    losses = {"unigram": summary.validation_unigram, "bigram": summary.validation_bigram}
    return {name: loss for name, loss in losses.items() if loss is not None}


def copying_figure(facts: Facts) -> Figure:
    """Return the shares of passages that are copied, by their length."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    lengths = range(1, LONGEST + 1)
    for name, (colour, dash) in STYLES.items():
        if name in facts.copying:
            shares = [facts.copying[name].share(n) for n in lengths]
            axes.plot(lengths, shares, color=colour, linestyle=dash, linewidth=1.5, label=name)
    axes.set_xlabel("characters n in a passage", fontsize=12)
    axes.set_ylabel("share in the training text", fontsize=12)
    axes.tick_params(labelsize=11)
    axes.set_xlim(1, LONGEST)
    axes.set_ylim(0, 1.02)
    axes.legend(loc="upper right", fontsize=9)
    plain(axes)
    axes.spines["top"].set_visible(False)
    return figure
