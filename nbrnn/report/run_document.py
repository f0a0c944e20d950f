"""The report of one run as a document: everything that the course's assignment asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nbrnn.analysis.initial_gradient_check import TOLERANCE
from nbrnn.analysis.result_tables import worse_than_unigram
from nbrnn.analysis.run_facts import GENERATED, RunFacts
from nbrnn.analysis.sample_texts import NUCLEUS, TEMPERATURES
from nbrnn.config import SETTINGS
from nbrnn.escaping import one_line
from nbrnn.naming import title, unit_of
from nbrnn.report.document import (
    Block,
    Document,
    Figure,
    Paragraph,
    Samples,
    Section,
    Table,
    printable,
    sentences,
)
from nbrnn.report.formatting import number_text
from nbrnn.report.reproducibility import as_typed, reproducibility
from nbrnn.storage.schemas import in_units
from nbrnn.text_parts import Part, size
from nbrnn.values import plural

GRAMS = (5, 10, 20)
LENGTHS = ("epochs", "updates")  # settings whose outcome is shown instead
BESIDE = 300  # characters of texts that stand side by side
WORDS = {  # for settings whose names say little
    "hidden": "hidden units m",
    "seq_length": "characters T in a window",
    "batch": "windows B in a batch",
    "init": "initialization of W, U and V",
    "clip": "gradients clipped to ±",
    "loss": "loss of a window",
    "schedule": "learning rate",
    "validation": "held-out share of the text",
    "test": "test share of the text",
    "fold": "tenths by which the parts are moved",
    "dtype": "precision",
    "sample_every": "updates between samples",
    "sample_length": "characters of a sample",
}


def run_document(facts: RunFacts, figures: Mapping[str, Figure]) -> Document:
    """Return the report of a run; what is not available comes first."""
    loss, copying = ([figures[name]] if name in figures else [] for name in ("loss", "copying"))
    notes = [Paragraph(f"Not available: {one_line(line)}.") for line in facts.missing]
    how = [Paragraph(line) for line in reproduction(facts)]
    sections: list[tuple[str, list[Block]]] = [
        ("", [*notes]),
        ("Training", [setup_table(facts)]),
        ("Gradient check", [*sentences(gradient_verdict(facts)), *gradient_tables(facts)]),
        ("Loss", [*sentences(attractor(facts)), *loss, *smooth_table(facts), *loss_table(facts)]),
        ("Samples during training", evolution(facts)),
        ("Text of the best model", best_text(facts)),
        ("Temperatures and nucleus sampling", side_by_side(facts)),
        ("Copied passages", [*sentences(longest_copy(facts)), *copying, *copying_tables(facts)]),
        ("Reproducibility", [*how, *(Paragraph(line, "command") for line in commands(facts))]),
    ]
    return Document(heading(facts), status(facts), [Section(name, blocks) for name, blocks in sections])


def heading(facts: RunFacts) -> str:
    """Return the title of the report."""
    if facts.is_imported:
        return f"{one_line(facts.corpus.name)}: m = {facts.config.hidden}, imported"
    return title(facts.config, facts.corpus.name)


def status(facts: RunFacts) -> str:
    """Return how the run ended, or how far it is."""
    summary = facts.summary
    words = f"{summary.status}, {plural(summary.updates, 'update')}"
    if facts.is_imported:
        words = summary.status
    elif summary.diverged_at is not None:
        words = f"diverged at update {summary.diverged_at:,}"
    return f"{words}: {one_line(summary.reason)}" if summary.reason else words


def reproduction(facts: RunFacts) -> list[str]:
    """Return with which versions, on which processor, with which seed the run was trained."""
    return [] if facts.is_imported else reproducibility([facts.environment], [facts.config.seed])


def commands(facts: RunFacts) -> list[str]:
    """Return the commands that trained the run."""
    starts = [facts.environment, *facts.environment.resumed] if facts.environment else []
    return list(dict.fromkeys(as_typed(start.command) for start in starts if start.command))


# ---------------------------------------------------------------- training


def setup_table(facts: RunFacts) -> Table:
    """Return what was trained, on what, and how far."""
    corpus = facts.corpus
    parts = facts.config.parts(corpus.characters)
    rows = [
        ("text", one_line(corpus.name)),
        ("characters", f"{corpus.characters:,}"),
        ("distinct characters K", f"{len(corpus.alphabet):,}"),
        *(
            (f"{name} text", stretches_text(part))
            for name, part in (("held-out", parts.validation), ("test", parts.test))
            if part
        ),
        *network_rows(facts),
        *outcome_rows(facts),
    ]
    return Table("setup", "The text, the network and its training.", ["", "this run"], rows)


def stretches_text(part: Part) -> str:
    """Return where a part of the text lies, counted from 1."""
    where = " and ".join(f"{start + 1:,} to {end:,}" for start, end in part)
    return f"{size(part):,} characters, {where}"


def network_rows(facts: RunFacts) -> list[tuple[str, str]]:
    """Return the settings that have an effect, those that depend on another one beside it."""
    values = facts.config.to_dict()
    if facts.is_imported:
        return [(WORDS["hidden"], f"{values['hidden']:,}")]
    rows = []
    for name in SETTINGS:
        if SETTINGS[name].by or name in LENGTHS or not has_effect(name, values):
            continue
        others = [o for o in SETTINGS if SETTINGS[o].by == name and has_effect(o, values)]
        details = [f"{other.replace('_', ' ')} {value_text(values[other])}" for other in others]
        head = WORDS.get(name, name.replace("_", " "))
        rows.append((head, ", ".join([value_text(values[name]), *details])))
    return rows


def has_effect(name: str, values: Mapping[str, Any]) -> bool:
    """Whether a setting has an effect: a default of 0 turns something off, except for the seed."""
    value, default = values[name], SETTINGS[name].default_in(values)
    return value is not None and (name == "seed" or not value == default == 0)


def value_text(value: float | str) -> str:
    """Return the value of a setting."""
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:g}"


def outcome_rows(facts: RunFacts) -> list[tuple[str, str]]:
    """Return how far the run went, and how fast."""
    summary = facts.summary
    rows = []
    if not facts.is_imported:
        rows += [("updates", f"{summary.updates:,}"), ("epochs", f"{summary.epochs:.4g}")]
    if summary.updates_per_second:
        speed = f"{summary.seconds:,.1f} s, {summary.updates_per_second:,.0f} updates per second"
        rows.append(("time of training", speed))
    if facts.environment is not None:
        rows.append(("processor", one_line(facts.environment.cpu)))
    return rows


# ---------------------------------------------------------------- gradient and loss


def gradient_verdict(facts: RunFacts) -> list[str]:
    """Return whether the gradient check passed."""
    check = facts.gradient
    if check is None:
        return []
    passed = check.largest <= TOLERANCE
    windows = f", {check.batch} windows in a batch" if check.batch > 1 else ""
    sizes = " and ".join(f"m = {m}" for m in check.hidden)
    return [
        f"{'Passed' if passed else 'FAILED'}: the largest relative error of any weight is "
        f"{check.largest:.1e}, the tolerance {TOLERANCE:.0e} ({sizes}, T = {check.seq_length}{windows}; "
        "every weight, in float64)."
    ]


def gradient_tables(facts: RunFacts) -> list[Table]:
    """Return the relative errors of the gradient, of single weights and of parameters, if known."""
    if facts.gradient is None:
        return []
    differences = facts.gradient.differences
    columns = ["m", "parameter", "weights", *dict.fromkeys(d.case for d in differences)]
    largest, norms = [], []
    for m, parameter in dict.fromkeys((d.hidden, d.parameter) for d in differences):
        cases = [d for d in differences if (d.hidden, d.parameter) == (m, parameter)]
        head = [f"{m}", parameter, f"{cases[0].weights:,}"]
        largest.append(head + [f"{d.largest:.1e}" for d in cases])
        norms.append(head + [f"{d.norm:.1e}" for d in cases])
    caption = (
        "The gradient ga against numerical differences gn: the largest relative error |ga - gn| / "
        "max(1e-6, |ga| + |gn|) of any weight, from h0 = 0, from a random h0, and in the second of two "
        "windows, from the state that the first one carries over."
    )
    norm_caption = "The same for all weights of a parameter together: |...| are Euclidean norms."
    return [
        Table("gradcheck-max", caption, columns, largest),
        Table("gradcheck-norm", norm_caption, columns, norms),
    ]


def attractor(facts: RunFacts) -> list[str]:
    """Return a warning where the best model needs the state that it was trained in."""
    if not facts.summary.is_lost_from_zero:
        return []
    worse = worse_than_unigram(facts.summary, "The best model")
    return [f"{worse}: training followed another attractor of its dynamics."]


def smooth_table(facts: RunFacts) -> list[Table]:
    """Return the smooth losses of the best and the last model, and the lowest one, if there are any."""
    summary, rows = facts.summary, []
    losses = [
        ("best model", summary.best_update, summary.smooth_loss_best),
        ("last model", summary.updates, summary.smooth_loss_final),
        ("lowest", None, summary.smooth_loss_lowest),
    ]
    for which, update, loss in losses:
        if loss is not None:
            in_all_units = (loss, *in_units(loss / facts.config.characters_in_loss))
            when = "-" if update is None else f"{update:,}"
            rows.append([which, when, *map(number_text, in_all_units)])
    columns = ["", "update", "smooth loss", "nats/char", "bits/char", "perplexity"]
    unit = unit_of(facts.config)
    caption = f"The smooth loss of the best and the last model, in {unit} and in other units."
    return [Table("smooth", caption, columns, rows)] if rows else []


def loss_table(facts: RunFacts) -> list[Table]:
    """Return the losses of the best model without learning, if they are known."""
    rows = [[each.text, f"{each.characters:,}", *map(number_text, each[2:])] for each in facts.losses]
    columns = ["text", "characters", "h = 0", "stored state", "unigram", "bigram"]
    caption = (
        "Losses in nats per character on texts read once, without learning: of the best model from "
        "h = 0 and from the state stored with it, and of n-gram baselines of the training text; "
        f"uniform guessing has log K = {number_text(math.log(len(facts.corpus.alphabet)))}."
    )
    return [Table("losses", caption, columns, rows)] if rows else []


# ---------------------------------------------------------------- texts


def evolution(facts: RunFacts) -> list[Block]:
    """Return the samples drawn during training."""
    rows = []
    for sample in facts.samples:
        loss = "" if sample.smooth_loss is None else f", smooth loss {number_text(sample.smooth_loss)}"
        label = f"Update {sample.update:,}{loss}" if sample.update else "Before the first update"
        rows.append((label, [sample.text]))
    return [Samples([""], rows)] if rows else []


def best_text(facts: RunFacts) -> list[Block]:
    """Return the text of the best model, with the longest copied passage marked."""
    if facts.text is None:
        return []
    overlap = facts.overlaps.get(GENERATED)
    mark = (overlap.begin, overlap.begin + overlap.longest) if overlap else (0, 0)
    return [Samples([""], [(f"{len(facts.text):,} characters", [facts.text])], mark)]


def side_by_side(facts: RunFacts) -> list[Block]:
    """Return the beginnings of texts by temperatures, and by nucleus sampling."""
    if not facts.long_texts:
        return []
    explanation = (
        "The best model from the same random numbers: with its logits divided by a temperature, or "
        "drawn from the nucleus, the fewest characters with this much of the probability (top-p)."
    )
    groups = (
        {name: facts.long_texts[name] for name in names if name in facts.long_texts}
        for names in (TEMPERATURES, NUCLEUS)
    )
    texts = [Samples(list(g), [("", [text[:BESIDE] for text in g.values()])]) for g in groups]
    return [Paragraph(explanation), *texts]


def longest_copy(facts: RunFacts) -> list[str]:
    """Return the longest passage of the best model's text that occurs in the training text."""
    if GENERATED not in facts.overlaps:
        return []
    overlap = facts.overlaps[GENERATED]
    return [
        f"The longest passage of {overlap.lengths.size:,} generated characters that occurs in the "
        f"training text has {overlap.longest:,}: {quoted(facts.passages[GENERATED])}."
    ]


def copying_tables(facts: RunFacts) -> list[Table]:
    """Return how much is copied, and the longest copied passages, if known."""
    shares, passages = [], []
    for name, overlap in facts.overlaps.items():
        known = [overlap.share(n) for n in GRAMS]
        cells = ["-" if math.isnan(share) else f"{share:.1%}" for share in known]
        shares.append([name, f"{overlap.lengths.size:,}", *cells, f"{overlap.longest:,}"])
        place = f"{overlap.place + 1:,}"
        passages.append([name, quoted(facts.passages[name]), f"{overlap.longest:,}", place])
    caption = (
        f"The share of a text's passages of {GRAMS[0]}, {GRAMS[1]} and {GRAMS[2]} characters that occur "
        "verbatim in the training text, and the length of the longest that does."
    )
    where = "The longest copied passages, and where in the training text each first begins."
    columns = ["text", "characters", *(f"{n}-grams" for n in GRAMS), "longest"]
    if not shares:
        return []
    return [
        Table("copying", caption, columns, shares),
        Table("passages", where, ["text", "longest passage", "characters", "begins at"], passages),
    ]


def quoted(passage: str) -> str:
    """Return a passage in a line, with its line ends as arrows."""
    return f"“{printable(passage).replace(chr(10), '↵')}”"
