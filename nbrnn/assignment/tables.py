"""What a run shows, in numbers: the tables of its report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from nbrnn.assignment.gather import Facts
from nbrnn.config import SETTINGS
from nbrnn.escaping import one_line, visible
from nbrnn.naming import unit_of

GRAMS = (5, 10, 20)
LENGTHS = ("epochs", "updates")  # of a run, of which is told how far it went
WORDS = {  # for settings whose names say little
    "hidden": "hidden units m",
    "seq_length": "characters T in a window",
    "batch": "windows B at once",
    "init": "start of W, U and V",
    "clip": "gradients clipped to ±",
    "loss": "loss of a window",
    "schedule": "learning rate",
    "validation": "share that is held out",
    "dtype": "precision",
    "sample_every": "updates between samples",
    "sample_length": "characters of a sample",
}
SETUP_CAPTION = "The text, the network, its training and how far it got."
LARGEST_CAPTION = (
    "The gradient ga against numerical differences gn: the largest relative error "
    "|ga - gn| / max(1e-6, |ga| + |gn|) of any weight, from h0 = 0, from a random h0, and in the second "
    "of two windows, from the state that the first left."
)
NORMS_CAPTION = "The same of all weights of a parameter together: |...| are Euclidean norms."


class Table(NamedTuple):
    """Cells as text, below a head for each column; the first is a name. `name` is the table's file's."""

    name: str
    caption: str
    columns: list[str]
    rows: list[list[str]]
    has_numbers: bool = True  # which stand to the right


def setup_table(facts: Facts) -> Table:
    """Return what was trained, on what."""
    rows = [*text_rows(facts), *network_rows(facts), *outcome_rows(facts)]
    columns = ["", "this run"]
    return Table("setup", SETUP_CAPTION, columns, [list(row) for row in rows], has_numbers=False)


def text_rows(facts: Facts) -> list[tuple[str, str]]:
    """Return what the text is."""
    corpus, config = facts.corpus, facts.config
    held_out = corpus.characters - config.trained_on(corpus.characters)
    rows = [
        ("text", one_line(corpus.name)),
        ("characters", f"{corpus.characters:,}"),
        ("of them distinct, K", f"{len(corpus.alphabet):,}"),
    ]
    return [*rows, ("held out, its end", f"{held_out:,} characters")] if held_out else rows


def network_rows(facts: Facts) -> list[tuple[str, str]]:
    """Return the settings that have an effect, those that depend on another beside it."""
    values = facts.config.to_dict()
    if facts.is_imported:
        return [(WORDS["hidden"], f"{values['hidden']:,}")]
    rows = []
    for name in SETTINGS:
        if SETTINGS[name].by or name in LENGTHS or not is_told(name, values):
            continue
        beside = [other for other in SETTINGS if SETTINGS[other].by == name and is_told(other, values)]
        told = [f"{other.replace('_', ' ')} {shown(values[other])}" for other in beside]
        head = WORDS.get(name, name.replace("_", " "))
        rows.append((head, ", ".join([shown(values[name]), *told])))
    return rows


def is_told(name: str, values: Mapping[str, Any]) -> bool:
    """Whether a setting has an effect: a default of 0 stands for what is not done, but as a seed."""
    value, default = values[name], SETTINGS[name].default_in(values)
    return value is not None and (name == "seed" or not value == default == 0)


def shown(value: float | str) -> str:
    """Return the value of a setting."""
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:g}"


def outcome_rows(facts: Facts) -> list[tuple[str, str]]:
    """Return how far the run went, how fast, and with what."""
    summary, start = facts.summary, facts.start
    rows = (
        []
        if facts.is_imported
        else [("updates", f"{summary.updates:,}"), ("epochs", f"{summary.epochs:.4g}")]
    )
    if summary.updates_per_second:
        speed = f"{summary.seconds:,.1f} s, {summary.updates_per_second:,.0f} updates a second"
        rows.append(("time of training", speed))
    if start is not None:
        versions = (
            f"nbrnn {start.nbrnn}, Python {start.python}, NumPy {start.numpy}, Numba {start.numba}"
        )
        rows += [("processor", one_line(start.cpu)), ("made with", one_line(versions))]
    return rows


def gradient_tables(facts: Facts) -> list[Table]:
    """Return the relative errors of the gradient, of single weights and of parameters, if known."""
    if facts.gradient is None:
        return []
    differences = facts.gradient.differences
    columns = ["m", "", "weights", *dict.fromkeys(d.case for d in differences)]
    largest, norms = [], []
    for m, parameter in dict.fromkeys((d.hidden, d.parameter) for d in differences):
        of_it = [d for d in differences if (d.hidden, d.parameter) == (m, parameter)]
        head = [f"{m}", parameter, f"{of_it[0].weights:,}"]
        largest.append(head + [f"{d.largest:.1e}" for d in of_it])
        norms.append(head + [f"{d.norm:.1e}" for d in of_it])
    return [
        Table("gradcheck-max", LARGEST_CAPTION, columns, largest),
        Table("gradcheck-norm", NORMS_CAPTION, columns, norms),
    ]


def smooth_table(facts: Facts) -> Table | None:
    """Return the smooth losses of the best and the last model, if there are any."""
    summary, rows = facts.summary, []
    for name, update in (("best", summary.best_update), ("final", summary.updates)):
        losses = [
            getattr(summary, f"{unit}_{name}")
            for unit in ("smooth_loss", "nats_per_character", "bits_per_character", "perplexity")
        ]
        if losses[0] is not None:
            rows.append([name, "-" if update is None else f"{update:,}", *map(number, losses)])
    if not rows:
        return None
    columns = ["", "update", "smooth loss", "nats/char", "bits/char", "perplexity"]
    unit = unit_of(facts.config)
    caption = f"The smooth loss at the best and at the last update, in {unit} and in other units."
    return Table("smooth", caption, columns, rows)


def loss_table(facts: Facts) -> Table | None:
    """Return the losses of the best model when it does not learn, if they are known."""
    if not facts.losses:
        return None
    rows = [[each.text, f"{each.characters:,}", *map(number, each[2:])] for each in facts.losses]
    columns = ["text", "characters", "h = 0", "kept state", "unigram", "bigram"]
    caption = (
        "Losses in nats per character of texts read once: of the best model, which no longer learns, "
        "from h = 0 and from the state that was kept with it, and of models that know how often "
        "characters (unigram) or pairs of them (bigram) occur in the training text; one that knows "
        f"nothing loses log K = {number(math.log(len(facts.corpus.alphabet)))}."
    )
    return Table("losses", caption, columns, rows)


def copying_table(facts: Facts) -> Table | None:
    """Return how much is copied, if it is known."""
    if not facts.copying:
        return None
    rows = [
        [
            name,
            f"{found.lengths.size:,}",
            *("-" if math.isnan(share := found.share(n)) else f"{share:.1%}" for n in GRAMS),
            f"{found.longest:,}",
        ]
        for name, found in facts.copying.items()
    ]
    columns = ["text", "characters", *(f"{n}-grams" for n in GRAMS), "longest"]
    caption = (
        "How much is copied: the share of a text's passages of 5, 10 and 20 characters that occur in "
        "the training text, verbatim, and the length of the longest that does."
    )
    return Table("copying", caption, columns, rows)


def passages_table(facts: Facts) -> Table | None:
    """Return the longest passages that are copied, if they are known."""
    if not facts.copying:
        return None
    rows = [
        [name, quoted(facts.passages[name]), f"{found.longest:,}", f"{found.place + 1:,}"]
        for name, found in facts.copying.items()
    ]
    columns = ["text", "longest passage", "characters", "begins at"]
    caption = "These passages, and at which character of the training text each first begins."
    return Table("passages", caption, columns, rows, has_numbers=False)


def quoted(passage: str) -> str:
    """Return a passage in a line, with its line ends as arrows."""
    return f"“{visible(passage.replace(chr(13), '').replace(chr(10), '↵'))}”"


def number(value: float | None) -> str:
    """Return a loss with the digits that mean something."""
    if value is None:
        return "-"
    return f"{value:.4g}" if abs(value) >= 1e6 else f"{value:.{2 if abs(value) >= 10 else 3}f}"


def tables_of(facts: Facts) -> list[Table]:
    """Return all tables that there are."""
    made = (
        setup_table(facts),
        *gradient_tables(facts),
        smooth_table(facts),
        loss_table(facts),
        copying_table(facts),
        passages_table(facts),
    )
    return [table for table in made if table is not None]
