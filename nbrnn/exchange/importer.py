"""How do weights that another program trained become a run?"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np

from nbrnn.config import Precision, RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import ConfigError, StoreError
from nbrnn.exchange.array_files import read
from nbrnn.exchange.weights import Orientation, Weights, alphabet_in, weights_in
from nbrnn.runs.evaluation import mean_loss
from nbrnn.runs.finalize import with_scores, write_text
from nbrnn.runs.provenance import current_environment
from nbrnn.runs.sampling import sample
from nbrnn.storage import ngram_counts
from nbrnn.storage.append_logs import LOGS, METRICS, SAMPLES
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.storage.run_folder import CHECKPOINTS, NGRAMS, RunFolder
from nbrnn.storage.schemas import Sample, Summary

TRIED = 10_001  # characters of the text by which the likelier of two readings is told


@dataclass(frozen=True)
class Imported:
    """What a file was taken for: its network as a model, and how its layout and alphabet were found."""

    model: Checkpoint
    orientation: Orientation
    order: str  # of the alphabet, in words
    summary: Summary

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        m, K = self.model.theta["U"].shape
        said = {"layout": self.orientation, "alphabet": self.order, "hidden": m, "characters": K}
        return {**said, "dtype": self.model.config.dtype, **self.summary.to_dict()}


def import_weights(
    path: Path,
    folder: Path,
    *,
    text: Corpus | None = None,
    alphabet: str | None = None,
    layout: Orientation | None = None,
    command: Sequence[str] | None = None,
) -> Imported:
    """Make a new run folder, whose status is `imported`, of the weights in a file.

    Which character is which is told by `alphabet`, in the order of the network's inputs, or by the file
    itself, or else by the `text`: its characters by code point or by first occurrence. Where m = K the
    shapes allow both layouts. Of several readings that with the lowest loss on the text is taken.
    Raises StoreError, ConfigError, LockedError, WriteError.
    """
    contents = read(path)
    found = weights_in(path, contents, layout)
    orders = orders_of(path, found[0].K, text, alphabet, alphabet_in(contents))
    corpus = Corpus.from_text(next(iter(orders.values())), path.stem) if text is None else text
    readings = [
        (weights.orientation, order, model_of(weights, orders[order], corpus))
        for weights, order in product(found, orders)
    ]
    if len(readings) > 1 and text is None:
        raise ConfigError(f"{path}: m = K = {found[0].K} allows both layouts: give --layout or --text")
    if text is not None and len(readings) > 1:
        readings.sort(key=lambda reading: loss_of(reading[2], text))
    orientation, order, model = readings[0]
    reason = f"imported from {path.name}: {orientation} layout, alphabet {order}"
    summary = Summary(status="imported", reason=reason)
    if text is not None:
        summary = with_scores(summary, model, model, text)
    write(RunFolder(folder), model, corpus, text is not None, summary, command)
    return Imported(model, orientation, order, summary)


def orders_of(
    path: Path, K: int, text: Corpus | None, given: str | None, own: str | None
) -> Mapping[str, str]:
    """Return the alphabets that the inputs may stand for, in their order, by how that is called.

    Raises ConfigError if none has K distinct characters.
    """
    if given is not None:
        orders = {"as given": without_line_end(given, K)}
    elif own is not None:
        orders = {"as in the file": own}
    elif text is not None:
        _, first = np.unique(text.codes, return_index=True)
        by_occurrence = "".join(text.alphabet[code] for code in np.argsort(first))
        orders = {"by code point": text.alphabet, "by first occurrence": by_occurrence}
    else:
        raise ConfigError(
            f"{path} does not say which characters its {K} inputs are: give --text or --alphabet"
        )
    for name, alphabet in orders.items():
        if len(alphabet) != K or len(set(alphabet)) != K:
            has = f"the alphabet {name} has {len(set(alphabet))} distinct characters"
            raise ConfigError(f"{path} has {K} inputs, but {has}")
        if text is not None and set(alphabet) != set(text.alphabet):
            other = " ".join(map(repr, sorted(set(alphabet) ^ set(text.alphabet))[:5]))
            raise ConfigError(f"{text.name} has other characters than the alphabet {name}: {other}")
    return orders


def without_line_end(alphabet: str, K: int) -> str:
    """Return an alphabet without the line end that an editor put after its K characters."""
    for line_end in ("\r\n", "\n"):
        if len(alphabet) == K + len(line_end) and alphabet.endswith(line_end):
            return alphabet.removesuffix(line_end)
    return alphabet


def model_of(weights: Weights, alphabet: str, corpus: Corpus) -> Checkpoint:
    """Return the network as a model with a sorted alphabet, as all of ours are."""
    order = np.argsort(np.array(list(map(ord, alphabet))))
    theta = weights.theta
    theta = {**theta, "U": theta["U"][:, order], "V": theta["V"][order], "c": theta["c"][order]}
    m, dtype = theta["b"].size, cast(Precision, theta["b"].dtype.name)
    return Checkpoint(
        config=RunConfig(updates=0, hidden=m, dtype=dtype),
        corpus_sha256=corpus.sha256,
        alphabet="".join(sorted(alphabet)),
        first_character=corpus.alphabet[corpus.codes[0]],
        update=0,
        epoch=0,
        position=0,
        smooth_loss=None,
        theta=theta,
        next_character=None if weights.x0 is None else alphabet[weights.x0],
        h_prev=weights.h0,
    )


def loss_of(model: Checkpoint, text: Corpus) -> float:
    """Return the loss on the beginning of a text, infinite where it is not a number."""
    loss = mean_loss(model, text.codes[:TRIED])
    return loss if math.isfinite(loss) else math.inf


def write(
    folder: RunFolder,
    model: Checkpoint,
    corpus: Corpus,
    is_counted: bool,
    summary: Summary,
    command: Sequence[str] | None,
) -> None:
    """Write the folder of a run that has one model; the model last, without which it is none yet.

    `is_counted`: the corpus is a text, by which models that count can predict. Raises StoreError if
    there is a run already.
    """
    folder.check_owner()
    with folder.locked():
        if any(map(folder.has, CHECKPOINTS.values())):
            raise StoreError(f"{folder} holds a run already: give another --out")
        folder.clear_unfinished()
        folder.write_config(model.config, corpus.describe())
        folder.write_env(current_environment(sys.argv if command is None else command))
        text = sample(model, model.config.sample_length)
        folder.create_logs([METRICS, SAMPLES])
        first = Sample(update=0, epoch=0, smooth_loss=None, text=text)
        folder.append_to_logs({SAMPLES: LOGS[SAMPLES].encode([first])})
        if is_counted:
            ngram_counts.write(folder / NGRAMS, corpus, len(corpus))
        folder.write_summary(summary)
        folder.write_checkpoint("best", model)
        write_text(folder)
