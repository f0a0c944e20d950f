"""The losses of a run as a table, with a line on what each of them is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbrnn.cli.console import formatted
from nbrnn.config import RunConfig
from nbrnn.escaping import one_line
from nbrnn.naming import PER_WINDOW, unit_of

if TYPE_CHECKING:
    from nbrnn.corpus import Description
    from nbrnn.storage.schemas import Summary

COLUMNS = ("best model", "last model", "unigram", "bigram")
NAME_WIDTH, WIDTH = 28, 12  # columns on the screen
DECIMALS = 4
SMOOTH = "smooth, while it learnt"


def loss_lines(summary: Summary, config: RunConfig, corpus: Description) -> list[str]:
    """Return the losses of a run as lines for a terminal."""
    rows = {
        "validation": [
            summary.validation_best,
            summary.validation_final,
            summary.validation_unigram,
            summary.validation_bigram,
        ],
        "test": [summary.test_best, summary.test_final, summary.test_unigram, summary.test_bigram],
        "training text, from h = 0": [
            summary.score_best,
            summary.score_final,
            summary.score_unigram,
            None,
        ],
        SMOOTH: [summary.nats_per_character_best, summary.nats_per_character_final, None, None],
    }
    rows = {name: losses for name, losses in rows.items() if losses[0] is not None}
    lines = []
    if rows:
        heads = "".join(f"{column:>{WIDTH}}" for column in COLUMNS)
        lines = [f"{'nats per character':{NAME_WIDTH}}{heads}"]
        for name, losses in rows.items():
            cells = "".join(f"{cell(loss):>{WIDTH}}" for loss in losses)
            lines.append(f"{name:{NAME_WIDTH}}{cells}")
        lines += explanations(summary, config, corpus)
    if summary.updates_per_second:
        speed = f"{summary.updates_per_second:,.0f} updates/s"
        lines.append(f"training time: {summary.seconds:.1f} s, {speed}")
    return lines


def cell(loss: float | None) -> str:
    """Return the text of a loss in the table."""
    return "-" if loss is None else f"{loss:.{DECIMALS}f}"


def explanations(summary: Summary, config: RunConfig, corpus: Description) -> list[str]:
    """Return a line for each loss that is there, on what it is, and one on the best model."""
    from nbrnn.storage.schemas import in_units

    lines, name = [], one_line(corpus.name)
    is_validated = summary.validation_best is not None
    best = summary.validation_best if is_validated else summary.nats_per_character_best
    if summary.best_update is not None and best is not None:
        units, which = in_units(best), "validation" if is_validated else "smooth"
        size = f"{formatted(units.bits_per_character)} bits, perplexity {formatted(units.perplexity)}"
        lines.append(f"best model: update {summary.best_update:,}, by {which} loss ({size})")
    if is_validated:
        number = f"{summary.validation_characters:,} " if summary.validation_characters else ""
        lines.append(f"validation: {number}characters of {name}, never trained on")
    if summary.test_characters:
        number = f"{summary.test_characters:,}"
        lines.append(f"test: {number} characters of {name}, by which nothing was chosen")
    if summary.score_characters:
        number = f"{summary.score_characters:,}"
        lines.append(f"training text: the first {number} characters of {name}, read once from h = 0")
    if summary.smooth_loss_best is not None:
        window = ""
        if unit_of(config) == PER_WINDOW:
            window = f"; {formatted(summary.smooth_loss_best)} {PER_WINDOW}"
        lines.append(f"smooth: mean over about the last 1,000 updates{window}")
    return lines
