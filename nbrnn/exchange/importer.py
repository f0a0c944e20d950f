"""Import: a run folder of weights that another program trained."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np

from nbrnn.config import Cell, Precision, RunConfig
from nbrnn.corpus import Corpus
from nbrnn.errors import ConfigError, StoreError
from nbrnn.exchange.array_files import read
from nbrnn.exchange.array_roles import Orientation
from nbrnn.exchange.weights import Weights, alphabet_in, weights_in
from nbrnn.runs.evaluation import mean_loss
from nbrnn.runs.finalize import with_scores, write_text
from nbrnn.runs.provenance import current_environment
from nbrnn.runs.sampling import sample
from nbrnn.storage import ngram_counts
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.storage.run_folder import CHECKPOINTS, NGRAMS, RunFolder
from nbrnn.storage.run_logs import LOGS, METRICS, SAMPLES
from nbrnn.storage.schemas import Sample, Summary

COMPARED = 10_001  # characters of the text by whose loss one of several readings is chosen


@dataclass(frozen=True)
class Imported:
    """A file as it was understood: its network as a model, its layout and the order of its alphabet."""

    model: Checkpoint
    orientation: Orientation
    order: str  # of the alphabet, in words
    summary: Summary

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        config, K = self.model.config, len(self.model.alphabet)
        network = {
            "layout": self.orientation,
            "alphabet": self.order,
            "cell": config.cell,
            "layers": config.layers,
            "hidden": config.hidden,
            "characters": K,
        }
        return {**network, "dtype": self.model.config.dtype, **self.summary.to_dict()}


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

    The network's inputs are the characters of `alphabet`, in its order, or of an alphabet in the file,
    or those of `text` by code point or by first occurrence. Where m = K the shapes allow both layouts.
    Of several readings the one with the lowest loss on the text is taken. Raises StoreError,
    ConfigError, LockedError, WriteError.
    """
    contents = read(path)
    networks = weights_in(path, contents, layout)
    orders = alphabets(path, networks[0].layout.K, text, alphabet, alphabet_in(contents))
    corpus = Corpus.from_text(next(iter(orders.values())), path.stem) if text is None else text
    readings = [
        (weights.orientation, order, model_of(weights, orders[order], corpus))
        for weights, order in product(networks, orders)
    ]
    if len(readings) > 1 and text is None:
        raise ConfigError(
            f"{path} has as many units as characters, which fits both layouts: give --layout or --text"
        )
    if text is not None and len(readings) > 1:
        readings.sort(key=lambda reading: loss_of(reading[2], text))
    orientation, order, model = readings[0]
    reason = f"imported from {path.name}: {orientation} layout, alphabet {order}"
    summary = Summary(status="imported", reason=reason)
    if text is not None:
        summary = with_scores(summary, model, model, text)
    write(RunFolder(folder), model, corpus, text is not None, summary, command)
    return Imported(model, orientation, order, summary)


def alphabets(
    path: Path, K: int, text: Corpus | None, given: str | None, own: str | None
) -> Mapping[str, str]:
    """Return the alphabets that the inputs may stand for, by the name of their order.

    Raises ConfigError if one has not K distinct characters, or others than the text.
    """
    if given is not None:
        for line_end in ("\r\n", "\n"):  # that an editor added
            if len(given) == K + len(line_end):
                given = given.removesuffix(line_end)
        lines = given.split("\n")[:K]
        if len(given) in (2 * K, 2 * K - 1) and len(lines) == K and set(map(len, lines)) == {1}:
            given = "".join(lines)  # a character a line
        orders = {"as given": given}
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
            repeated = f", {len(set(alphabet))} of them different" * (
                len(alphabet) != len(set(alphabet))
            )
            raise ConfigError(
                f"the alphabet {name} must have {K} different characters, one for each input of {path} "
                f"(it has {len(alphabet)}{repeated})"
            )
        if text is not None and set(alphabet) != set(text.alphabet):
            other = " ".join(map(repr, sorted(set(alphabet) ^ set(text.alphabet))[:5]))
            raise ConfigError(
                f"the text {text.name} and the alphabet {name} differ in {other}: give the text "
                "that the network was trained on"
            )
    return orders


def model_of(weights: Weights, alphabet: str, corpus: Corpus) -> Checkpoint:
    """Return the network as a model with a sorted alphabet, as all of ours are."""
    order = np.argsort(np.array(list(map(ord, alphabet))))
    layout, theta = weights.layout, dict(weights.theta)
    U = layout.in_file("U", 0)
    theta |= {U: theta[U][:, order], "V": theta["V"][order], "c": theta["c"][order]}
    return Checkpoint(
        config=RunConfig(
            updates=0,
            cell=cast(Cell, layout.cell),
            layers=layout.layers,
            hidden=layout.m,
            dtype=cast(Precision, layout.dtype.name),
        ),
        corpus_sha256=corpus.sha256,
        alphabet="".join(sorted(alphabet)),
        first_character=corpus.alphabet[corpus.codes[0]],
        update=0,
        epoch=0,
        position=0,
        smooth_loss=None,
        theta=theta,
        next_character=None if weights.x0 is None else alphabet[weights.x0],
        states=weights.states,
    )


def loss_of(model: Checkpoint, text: Corpus) -> float:
    """Return the loss on the first characters of a text, infinite where it is not a number."""
    loss = mean_loss(model, text.codes[:COMPARED])
    return loss if math.isfinite(loss) else math.inf


def write(
    folder: RunFolder,
    model: Checkpoint,
    corpus: Corpus,
    is_counted: bool,
    summary: Summary,
    command: Sequence[str] | None,
) -> None:
    """Write the folder of a run that has one model; the model last, which makes it a run.

    `is_counted`: the corpus is a text, whose n-grams are counted. Raises StoreError if there is a run.
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
            ngram_counts.write(folder / NGRAMS, corpus, ((0, len(corpus)),))
        folder.write_summary(summary)
        folder.write_checkpoint("best", model)
        write_text(folder)
