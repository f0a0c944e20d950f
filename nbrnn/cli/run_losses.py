"""The losses of a run as a table, with a line on what each of them is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nbrnn.cli.console import formatted
from nbrnn.config import RunConfig
from nbrnn.escaping import one_line
from nbrnn.naming import PER_WINDOW, unit_of

if TYPE_CHECKING:
    from nbrnn.corpus import Description
    from nbrnn.storage.schemas import Summary

# The rows and columns, and how the fields of a summary begin and end.
ROWS = {
    "validation": "validation",
    "test": "test",
    "training text, from h = 0": "score",
    "smooth training loss": "nats_per_character",
}
COLUMNS = {"best model": "best", "last model": "final", "unigram": "unigram", "bigram": "bigram"}


def loss_lines(summary: Summary, config: RunConfig, corpus: Description) -> list[str]:
    """Return the losses of a run as lines for a terminal."""
    lines = []
    for name, begins in ROWS.items():
        losses = [getattr(summary, f"{begins}_{ends}", None) for ends in COLUMNS.values()]
        if losses[0] is not None:
            cells = ("-" if loss is None else f"{loss:.4f}" for loss in losses)
            lines.append(f"{name:28}{''.join(f'{cell:>12}' for cell in cells)}")
    if lines:
        heads = "".join(f"{column:>12}" for column in COLUMNS)
        lines = [f"{'nats per character':28}{heads}", *lines, *explanations(summary, config, corpus)]
    if summary.updates_per_second:
        speed = f"{summary.updates_per_second:,.0f} updates/s"
        lines.append(f"training time: {summary.seconds:.1f} s, {speed}")
    return lines


def explanations(summary: Summary, config: RunConfig, corpus: Description) -> Iterator[str]:
    """Yield a line on the best model, and one for each loss that is there, on what it is."""
    from nbrnn.storage.schemas import in_units

    name, which, best = one_line(corpus.name), "validation", summary.validation_best
    if best is None:
        which, best = "smooth", summary.nats_per_character_best
    if summary.best_update is not None and best is not None:
        units = in_units(best)
        size = f"{formatted(units.bits_per_character)} bits, perplexity {formatted(units.perplexity)}"
        yield f"best model: update {summary.best_update:,}, chosen by {which} loss ({size})"
    if summary.validation_best is not None:
        number = f"{summary.validation_characters:,} " if summary.validation_characters else ""
        earlier = " in this run" if config.init_from else ""
        yield f"validation: {number}characters of {name}, never trained on{earlier}"
    if count := summary.test_characters:
        yield f"test: {count:,} characters of {name}, by which nothing was chosen"
    if count := summary.score_characters:
        yield f"training text: the first {count:,} characters of {name}, read once from h = 0"
    if summary.smooth_loss_best is not None:
        is_sum = unit_of(config) == PER_WINDOW
        window = f"; {formatted(summary.smooth_loss_best)} {PER_WINDOW}" if is_sum else ""
        yield f"smooth: mean over about the last 1,000 updates{window}"
