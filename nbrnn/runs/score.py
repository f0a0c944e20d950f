"""How well does a trained model predict a text, beside models that count?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nbrnn.errors import CorpusError
from nbrnn.network import compiled, loops
from nbrnn.network.params import Array, Layout
from nbrnn.runs.checkpoint import Checkpoint
from nbrnn.runs.training import per_character


def score(model: Checkpoint, codes: Array, ngrams: Mapping[str, Array]) -> dict[str, dict[str, Any]]:
    """Return the loss of the model and of three baselines on a text, each in four units.

    codes (N,) int32 are the text in the model's alphabet; each predicts all its characters but the
    first. `ngrams` are the counts of the training text, by which the baselines predict: uniform
    (1/K), unigram (by the character's share), bigram (with add-one smoothing). The model reads the
    text from h_0 = 0 on, once. Raises CorpusError for a text of fewer than two characters.
    """
    if codes.size < 2:
        raise CorpusError("a text to score needs at least two characters")
    config, K = model.config, len(model.alphabet)
    layout = Layout(config.hidden, K, np.dtype(config.dtype))
    theta, work = layout.pack(model.theta), layout.work(config.seq_length)
    compiled.ready("evaluate", config.dtype)
    total = loops.evaluate(theta, work, codes)
    unigram, bigram = baselines(codes, ngrams)
    nats = {
        "model": total / (codes.size - 1),
        "uniform": math.log(K),
        "unigram": unigram,
        "bigram": bigram,
    }
    return {
        name: {**per_character(value), "per_window": value * config.seq_length}
        for name, value in nats.items()
    }


def baselines(codes: Array, ngrams: Mapping[str, Array]) -> tuple[float, float]:
    """Return the mean loss of the unigram and the bigram model, in nats per character."""
    characters = ngrams["characters"]
    K = characters.size
    keys = ngrams["pairs"][:, 0] * K + ngrams["pairs"][:, 1]
    follows = np.bincount(ngrams["pairs"][:, 0], ngrams["pair_counts"], minlength=K)
    wanted = codes[:-1].astype(np.int64) * K + codes[1:]
    place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    count = np.where(keys[place] == wanted, ngrams["pair_counts"][place], 0)
    unigram = -np.log(characters[codes[1:]] / characters.sum()).mean()
    bigram = -np.log((count + 1) / (follows[codes[:-1]] + K)).mean()
    return float(unigram), float(bigram)
