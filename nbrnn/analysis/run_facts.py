"""Collect what is known of one run: its files, its gradient check, its generated texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from nbrnn.analysis.initial_gradient_check import GradientCheck, gradient_check
from nbrnn.analysis.run_records import Progress, ignore, read_summary
from nbrnn.analysis.sample_texts import LENGTH, long_texts, select_samples
from nbrnn.analysis.text_overlap import Overlap, text_overlap
from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus, Description, encode, load, load_described
from nbrnn.errors import CorpusError, StoreError
from nbrnn.runs.evaluation import baselines, bigram_loss, mean_loss, mean_over, unigram_loss
from nbrnn.runs.finalize import TEXT_LENGTH
from nbrnn.runs.sampling import sample
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Environment, Sample, Summary
from nbrnn.typing import Array

T = TypeVar("T")

GENERATED = "text of the best model"
BEGINNING, HELD_OUT, TEST = "training text, beginning", "held-out text", "test text"
NGRAM_LOSSES = unigram_loss, bigram_loss
MAX_READ = 200_000  # characters of the training text


class TextLosses(NamedTuple):
    """The losses on a text in nats per character; None: not known.

    Of the best model from h = 0 and from its stored state, and of n-gram baselines.
    """

    text: str
    characters: int
    zero: float | None
    kept: float | None
    unigram: float | None
    bigram: float | None


@dataclass
class RunFacts:
    """What is known of a run; `missing` says in a line each what is not, and why."""

    folder: RunFolder
    config: RunConfig
    corpus: Description
    summary: Summary
    environment: Environment | None = None
    gradient: GradientCheck | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)  # in nats, on the training text
    samples: Sequence[Sample] = ()
    text: str | None = None  # by the best model
    long_texts: Mapping[str, str] = field(default_factory=dict)
    losses: Sequence[TextLosses] = ()
    overlaps: Mapping[str, Overlap] = field(default_factory=dict)
    passages: dict[str, str] = field(default_factory=dict)  # the longest copied one of each text
    missing: list[str] = field(default_factory=list)

    @property
    def is_imported(self) -> bool:
        """Whether another program trained it."""
        return self.summary.status == "imported"

    def get_or_note(self, what: str, get: Callable[[], T]) -> T | None:
        """Return something, or None where it is not available, and note why."""
        try:
            return get()
        except (StoreError, CorpusError) as error:
            self.missing.append(f"{what}: {error}")
            return None


def collect_facts(
    folder: RunFolder, text: Path | None, stored_check: Path, progress: Progress = ignore
) -> RunFacts:
    """Return what is known of a run, also of an unfinished or a damaged one.

    text: a file with its text, where that has moved. stored_check: a file with an older gradient check.
    Raises StoreError if not even its config and its summary can be read, CorpusError if `text` is not
    its text.
    """
    config, described = folder.read_config()
    facts = RunFacts(folder, config, described, read_summary(folder))
    with suppress(StoreError):  # it only informs
        facts.environment = folder.read_env()
    model = facts.get_or_note("the best model", lambda: read_best_model(folder, described))
    if text is None:
        what = "the text, and what needs it: gradient check, loss from the stored state, copied passages"
        corpus = facts.get_or_note(what, lambda: load_corpus(described, None))
    else:
        corpus = load_corpus(described, text)
    ngrams = facts.get_or_note("the n-gram baselines", folder.read_ngrams) or {}
    facts.baselines = baselines(ngrams) if ngrams else {}
    if not facts.is_imported:
        drawn = facts.get_or_note("the samples", lambda: read_samples(folder, config)) or []
        facts.samples = select_samples(drawn)
        facts.gradient = facts.get_or_note(
            "the gradient check",
            lambda: gradient_check(config, described, corpus, stored_check, progress),
        )
    facts.losses = losses_of_summary(facts.summary)
    if model is not None:
        facts.text = sample(model, TEXT_LENGTH)
        with suppress(StoreError):  # the run has not generated it yet
            facts.text = folder.read_text()
        facts.long_texts = long_texts(model, progress)
        if corpus is not None:
            facts.losses = losses_of_model(model, corpus, ngrams, facts.summary)
            find_overlaps(facts, corpus)
    return facts


def read_best_model(folder: RunFolder, described: Description) -> Checkpoint:
    """Return the best model of a run. Raises StoreError."""
    model = folder.read_model("best")
    if model.alphabet != described.alphabet:
        raise StoreError(f"{folder}: the alphabet of its model is not that of its text")
    return model


def load_corpus(described: Description, named: Path | None) -> Corpus:
    """Return the text of a run, from where it was or where a user says. Raises CorpusError."""
    if named is None and described.source == "-":
        raise CorpusError("it came from standard input (give it with --text FILE)")
    corpus = load_described(described) if named is None else load(str(named), described.encoding)
    if (corpus.sha256, corpus.alphabet) != (described.sha256, described.alphabet):
        changed = f"{corpus.source} has changed (give the original text with --text FILE)"
        raise CorpusError(changed if named is None else f"{named} is not the text of this run")
    return corpus


def read_samples(folder: RunFolder, config: RunConfig) -> list[Sample]:
    """Return the samples that a run drew. Raises StoreError if there is none."""
    samples = folder.read_samples()
    if not samples:
        raise StoreError(
            "none is drawn with --sample-every 0" if config.sample_every == 0 else "none was drawn yet"
        )
    return samples


def losses_of_model(
    model: Checkpoint, corpus: Corpus, ngrams: Mapping[str, Array], summary: Summary
) -> list[TextLosses]:
    """Return the losses on the beginning of the training text, on the held-out and the test text."""
    parts = model.config.parts(len(corpus))
    length = summary.score_characters or MAX_READ
    texts = {BEGINNING: [codes[: length + 1] for codes in corpus.stretches(parts.training)[:1]]}
    texts |= {HELD_OUT: corpus.stretches(parts.validation), TEST: corpus.stretches(parts.test)}
    rows = []
    for name, stretches in texts.items():
        if not stretches:
            continue
        losses = [
            partial(mean_loss, model),
            partial(mean_loss, model, state="kept") if model.states else None,
            *(partial(loss, ngrams=ngrams) if ngrams else None for loss in NGRAM_LOSSES),
        ]
        means = [None if loss is None else mean_over(stretches, loss) for loss in losses]
        rows.append(TextLosses(name, sum(codes.size - 1 for codes in stretches), *means))
    return rows


def losses_of_summary(summary: Summary) -> list[TextLosses]:
    """Return these losses as far as the summary of a run has them, where its text is not available."""
    fields = ("best", "unigram", "bigram")
    rows = []
    for name, text in (("score", BEGINNING), ("validation", HELD_OUT), ("test", TEST)):
        if characters := getattr(summary, f"{name}_characters"):
            best, *counted = (getattr(summary, f"{name}_{field}", None) for field in fields)
            rows.append(TextLosses(text, characters, best, None, *counted))
    return rows


def find_overlaps(facts: RunFacts, corpus: Corpus) -> None:
    """Find the passages of the generated texts, and of the held-out text, in the training text."""
    parts = facts.config.parts(len(corpus))
    texts: dict[str, Array] = {}
    if (generated := facts.text) is not None:
        what = "copied passages of best.txt"
        codes = facts.get_or_note(what, lambda: encode(generated, corpus.alphabet))
        texts |= {} if codes is None or codes.size == 0 else {GENERATED: codes}
    texts |= {name: encode(text, corpus.alphabet) for name, text in facts.long_texts.items()}
    if held_out := corpus.stretches(parts.validation):
        texts[HELD_OUT] = held_out[0][:LENGTH]
    trained_on = [corpus.codes[start:end] for start, end in parts.training]
    training = trained_on[0] if len(trained_on) == 1 else np.concatenate(trained_on)
    facts.overlaps = text_overlap(texts, training, len(corpus.alphabet))
    for name, overlap in facts.overlaps.items():
        passage = texts[name][overlap.begin : overlap.begin + overlap.longest]
        facts.passages[name] = "".join(corpus.alphabet[code] for code in passage)
