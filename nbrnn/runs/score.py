"""How well does a trained model predict a text, beside models that count?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nbrnn.errors import CorpusError
from nbrnn.network import compiled, loops, rnn
from nbrnn.network.params import Array, Layout
from nbrnn.runs.checkpoint import Checkpoint
from nbrnn.runs.records import in_units


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
        name: {**in_units(value)._asdict(), "per_window": value * config.seq_length}
        for name, value in nats.items()
    }


def probabilities(model: Checkpoint, codes: Array) -> Array:
    """Return p_t (N, K), how likely each character is the next one, after each of codes (N,).

    The model reads them from h_0 = 0 on. The logits are in its precision, their softmax in float64.
    """
    config, K = model.config, len(model.alphabet)
    layout = Layout(config.hidden, K, np.dtype(config.dtype))
    theta, work = layout.pack(model.theta), layout.work(config.seq_length)
    compiled.ready("forward", config.dtype)
    o = np.empty((codes.size, K))
    for start in range(0, codes.size, config.seq_length):
        x = codes[start : start + config.seq_length]
        h, p = work.h[: x.size + 1], work.p[: x.size]
        rnn.forward(theta, x, h, p)  # which leaves the logits in p
        o[start : start + x.size] = p[:, :K]
        h[0] = h[-1]
    weights = np.exp(o - o.max(axis=1, keepdims=True))
    result: Array = weights / weights.sum(axis=1, keepdims=True)
    return result


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
