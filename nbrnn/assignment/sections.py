"""What does the report of a run say, and in which order?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nbrnn.assignment import tables
from nbrnn.assignment.copying import Copying
from nbrnn.assignment.drawings import CAPTIONS
from nbrnn.assignment.gather import WRITTEN, Facts
from nbrnn.assignment.gradient import TOLERANCE
from nbrnn.assignment.tables import Table
from nbrnn.assignment.texts import NUCLEI, TEMPERATURES
from nbrnn.escaping import one_line, visible
from nbrnn.naming import title
from nbrnn.reports.tables import lost_from_zero
from nbrnn.storage.schemas import Sample

BESIDE = 300  # characters of texts that stand side by side


class Text(NamedTuple):
    """A text that the network wrote, in three parts: before, within and after what is marked in it."""

    head: str
    parts: tuple[str, str, str]

    @property
    def whole(self) -> str:
        """All of it."""
        return "".join(self.parts)


class Section(NamedTuple):
    """A part of the report: sentences, tables, names of pictures, and groups of texts side by side."""

    title: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table | None] = ()
    pictures: Sequence[str] = ()
    texts: Sequence[Sequence[Text]] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show in it."""
        return not (self.sentences or any(self.tables) or self.pictures or any(self.texts))


def heading(facts: Facts) -> str:
    """Return the title of the report."""
    if facts.is_imported:
        return f"{one_line(facts.corpus.name)}: m = {facts.config.hidden}, imported"
    return title(facts.config, facts.corpus.name)


def status(facts: Facts) -> str:
    """Return how the run ended, or how far it is."""
    summary = facts.summary
    words = f"{summary.status}, {summary.updates:,} updates"
    if facts.is_imported:
        words = summary.status
    elif summary.diverged_at is not None:
        words = f"diverged at update {summary.diverged_at:,}"
    return f"{words}: {one_line(summary.reason)}" if summary.reason else words


def sections(facts: Facts, pictures: Sequence[str]) -> list[Section]:
    """Return the parts of the report that there is something to show in."""
    copied = facts.copying.get(WRITTEN)
    best = [] if facts.text is None else [[marked(facts.text, copied)]]
    found = [
        Section("What was trained, and on what", tables=[tables.setup_table(facts)]),
        Section("Gradient check", verdict(facts), tables.gradient_tables(facts)),
        Section(
            "Loss",
            attractor(facts),
            [tables.smooth_table(facts), tables.loss_table(facts)],
            [name for name in pictures if name == "loss"],
        ),
        Section("What the network writes while it learns", texts=[[evolved(s) for s in facts.samples]]),
        Section("What the best model writes", texts=best),
        Section(
            "Temperatures and nuclei",
            explanation(facts),
            texts=[beside(facts, names) for names in (list(TEMPERATURES), list(NUCLEI))],
        ),
        Section(
            "How much is copied",
            longest_copy(facts),
            [tables.copying_table(facts), tables.passages_table(facts)],
            [name for name in pictures if name == "copying"],
        ),
    ]
    return [section for section in found if not section.is_empty]


def verdict(facts: Facts) -> list[str]:
    """Return what the gradient check says."""
    check = facts.gradient
    if check is None:
        return []
    passed = check.largest <= TOLERANCE
    windows = f", {check.batch} windows at once" if check.batch > 1 else ""
    sizes = " and ".join(f"m = {m}" for m in check.hidden)
    return [
        f"{'Passed' if passed else 'FAILED'}: the largest relative error of any weight is "
        f"{check.largest:.1e}, the tolerance {TOLERANCE:.0e} ({sizes}, T = {check.seq_length}{windows}; "
        "every weight, in float64)."
    ]


def attractor(facts: Facts) -> list[str]:
    """Return a warning where the best model needs the state that it was trained in."""
    if not facts.summary.is_lost_from_zero:
        return []
    lost = lost_from_zero(facts.summary, "the best model")
    return [f"{lost}: training followed another attractor of its dynamics."]


def evolved(sample: Sample) -> Text:
    """Return a sample that was drawn while the network learned."""
    loss = "" if sample.smooth_loss is None else f", smooth loss {tables.number(sample.smooth_loss)}"
    head = f"update {sample.update:,}{loss}" if sample.update else "before the first update"
    return Text(head, (plain(sample.text), "", ""))


def marked(text: str, copied: Copying | None) -> Text:
    """Return the text of the best model, with the longest passage that is copied."""
    begin, end = (0, 0) if copied is None else (copied.begin, copied.begin + copied.longest)
    parts = plain(text[:begin]), plain(text[begin:end]), plain(text[end:])
    return Text(f"{len(text):,} characters", parts)


def plain(text: str) -> str:
    """Return a text without carriage returns, as a page shows it."""
    return visible(text.replace("\r", ""))


def explanation(facts: Facts) -> list[str]:
    """Return what temperatures and nuclei are, where texts are shown."""
    if not facts.long_texts:
        return []
    return [
        "The best model again, from the same random numbers: with its logits divided by a temperature, "
        "or drawn from the nucleus, the fewest characters that together have so much of the probability."
    ]


def beside(facts: Facts, names: Sequence[str]) -> list[Text]:
    """Return the beginnings of some texts."""
    found = {name: facts.long_texts[name] for name in names if name in facts.long_texts}
    return [Text(name, (plain(text[:BESIDE]), "", "")) for name, text in found.items()]


def longest_copy(facts: Facts) -> list[str]:
    """Return the longest passage of the best model's text that occurs in the training text."""
    if WRITTEN not in facts.copying:
        return []
    found = facts.copying[WRITTEN]
    return [
        f"The longest passage of these {found.lengths.size:,} characters that occurs in the training "
        f"text has {found.longest:,}: {tables.quoted(facts.passages[WRITTEN])}."
    ]


def captions(section: Section) -> list[tuple[str, str]]:
    """Return the names and captions of a section's pictures."""
    return [(name, CAPTIONS[name]) for name in section.pictures]
