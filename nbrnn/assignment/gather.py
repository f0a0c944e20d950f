"""What is there to report of one run?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from nbrnn.assignment.copying import Copying, copying
from nbrnn.assignment.gradient import GradientCheck, gradient_check
from nbrnn.assignment.losses import HELD_OUT, Losses, losses_in, losses_of
from nbrnn.assignment.texts import LONG, evolution, long_texts
from nbrnn.config import RunConfig
from nbrnn.corpus import Corpus, Description, encode, load
from nbrnn.errors import CorpusError, StoreError
from nbrnn.reports.reading import Progress, read_summary
from nbrnn.runs.evaluation import baselines
from nbrnn.runs.finalize import TEXT_LENGTH
from nbrnn.runs.sampling import sample
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.storage.run_folder import RunFolder
from nbrnn.storage.schemas import Environment, Sample, Summary
from nbrnn.typing import Array

T = TypeVar("T")

WRITTEN = "text of the best model"


@dataclass
class Facts:
    """What is known of a run; `missing` says in a line each what is not, and why."""

    folder: RunFolder
    config: RunConfig
    corpus: Description
    summary: Summary
    start: Environment | None = None
    gradient: GradientCheck | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)  # in nats, on the training text
    samples: Sequence[Sample] = ()
    text: str | None = None  # by the best model
    long_texts: Mapping[str, str] = field(default_factory=dict)
    losses: Sequence[Losses] = ()
    copying: Mapping[str, Copying] = field(default_factory=dict)
    passages: dict[str, str] = field(default_factory=dict)  # the longest that is copied, of each text
    missing: list[str] = field(default_factory=list)

    @property
    def is_imported(self) -> bool:
        """Whether another program trained it."""
        return self.summary.status == "imported"

    def attempt(self, what: str, get: Callable[[], T]) -> T | None:
        """Return something, or None where it cannot be had, and note why."""
        try:
            return get()
        except (StoreError, CorpusError) as error:
            self.missing.append(f"{what}: {error}")
            return None


def gather(
    folder: RunFolder, text: Path | None, kept_check: Path, progress: Progress | None = None
) -> Facts:
    """Return what is known of a run, also of an unfinished or a damaged one.

    text: a file with its text, where that has moved. kept_check: a file with an older gradient check.
    Raises StoreError if not even its config and its summary can be read, CorpusError if `text` is not
    its text.
    """
    config, described = folder.read_config()
    facts = Facts(folder, config, described, read_summary(folder))
    with suppress(StoreError):  # it only informs
        facts.start = folder.read_env()
    model = facts.attempt("the best model", lambda: model_of(folder, described))
    what = "the text, and what needs it: the gradient check, the kept state's loss, and copies"
    if text is None:
        corpus = facts.attempt(what, lambda: corpus_of(described))
    else:
        corpus = named(text, described)
    ngrams = facts.attempt("models that count", folder.read_ngrams) or {}
    facts.baselines = baselines(ngrams) if ngrams else {}
    if not facts.is_imported:
        facts.samples = evolution(facts.attempt("the samples", lambda: samples_of(folder, config)) or [])
        facts.gradient = facts.attempt(
            "the gradient check",
            lambda: gradient_check(config, described, corpus, kept_check, progress),
        )
    facts.losses = losses_in(facts.summary)
    if model is not None:
        facts.text = text_of(folder, model)
        facts.long_texts = long_texts(model, progress)
        if corpus is not None:
            facts.losses = losses_of(model, corpus, ngrams, facts.summary)
            find_copies(facts, corpus)
    return facts


def model_of(folder: RunFolder, described: Description) -> Checkpoint:
    """Return the best model of a run. Raises StoreError."""
    model = folder.read_model("best")
    if model.alphabet != described.alphabet:
        raise StoreError(f"{folder}: its alphabet is not that of the run's text")
    return model


def corpus_of(described: Description) -> Corpus:
    """Return the text of a run. Raises CorpusError if it is not at hand, or no longer the same."""
    if described.source == "-":
        raise CorpusError("it came from standard input (--text FILE names it)")
    corpus = load(described.source, described.encoding)
    if not is_of(corpus, described):
        raise CorpusError(f"{corpus.source} is another text by now (--text FILE names the right one)")
    return corpus


def named(text: Path, described: Description) -> Corpus:
    """Return the text that a user has named. Raises CorpusError if it is not that of the run."""
    corpus = load(str(text), described.encoding)
    if not is_of(corpus, described):
        raise CorpusError(f"{text} is not the text of this run")
    return corpus


def is_of(corpus: Corpus, described: Description) -> bool:
    """Whether this is the text that a run describes."""
    return (corpus.sha256, corpus.alphabet) == (described.sha256, described.alphabet)


def samples_of(folder: RunFolder, config: RunConfig) -> list[Sample]:
    """Return the samples that a run drew. Raises StoreError if there is none."""
    samples = folder.read_samples()
    if not samples:
        why = "--sample-every is 0" if config.sample_every == 0 else "none was drawn yet"
        raise StoreError(why)
    return samples


def text_of(folder: RunFolder, model: Checkpoint) -> str:
    """Return what the best model wrote in the end, or writes now where the run has not ended."""
    with suppress(StoreError):
        return folder.read_text()
    return sample(model, TEXT_LENGTH)


def find_copies(facts: Facts, corpus: Corpus) -> None:
    """Look for passages of what the model wrote, and of the held-out text, in the training text."""
    trained_on = facts.config.trained_on(len(corpus))
    texts: dict[str, Array] = {}
    if facts.text is not None:
        written = facts.text
        codes = facts.attempt("copies in best.txt", lambda: encode(written, corpus.alphabet))
        texts |= {} if codes is None or codes.size == 0 else {WRITTEN: codes}
    texts |= {name: encode(long, corpus.alphabet) for name, long in facts.long_texts.items()}
    held_out = corpus.codes[trained_on : trained_on + LONG]
    texts |= {HELD_OUT: held_out} if held_out.size else {}
    facts.copying = copying(texts, corpus.codes[:trained_on], len(corpus.alphabet))
    for name, found in facts.copying.items():
        passage = texts[name][found.begin : found.begin + found.longest]
        facts.passages[name] = "".join(corpus.alphabet[code] for code in passage)
