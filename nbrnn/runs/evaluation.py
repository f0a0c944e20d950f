"""How well a trained model predicts a text, beside n-gram baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nbrnn.errors import CorpusError
from nbrnn.network import kernel_cache, sampling_kernels
from nbrnn.network.buffers import set_states_before, window_work
from nbrnn.network.layout import Layout, Parameters
from nbrnn.storage.checkpoint import Checkpoint, State, initial_state
from nbrnn.storage.schemas import in_units
from nbrnn.typing import Array


def score(
    model: Checkpoint, codes: Array, ngrams: Mapping[str, Array], *, state: State = "zero"
) -> dict[str, dict[str, Any]]:
    """Return the loss of the model and of baselines on a text, each in four units.

    codes (N,) int32 are the text in the model's alphabet; each predicts all its characters but the
    first. The baselines are uniform (1/K) and, where `ngrams` are the counts of the training text and
    not empty, unigram (by the character's share) and bigram (with add-one smoothing). The model reads
    the text once, from h_0 = 0 or from the state that is stored with it.
    Raises CorpusError for a text of fewer than two characters, StoreError if no state is stored.
    """
    if codes.size < 2:
        raise CorpusError("a text to score needs at least two characters")
    nats = {
        "model": mean_loss(model, codes, state=state),
        "uniform": math.log(len(model.alphabet)),
    }
    if ngrams:
        nats |= {"unigram": unigram_loss(codes, ngrams), "bigram": bigram_loss(codes, ngrams)}
    return {
        name: {**in_units(value)._asdict(), "per_window": value * model.config.seq_length}
        for name, value in nats.items()
    }


def mean_loss(model: Checkpoint, codes: Array, *, state: State = "zero") -> float:
    """Return the model's mean loss on codes (N,), in nats for each of the N - 1 that it predicts."""
    theta, start = model.layout.pack(model.theta), initial_state(model, state)
    return loss_on(start, model.layout, theta, codes, model.config.seq_length, model.end)


def loss_on(
    start: Array | int, layout: Layout, theta: Parameters, codes: Array, T: int, end: int | None
) -> float:
    """Return the mean loss on codes (N,), read once from a state, T characters at a time.

    Of documents, whose separator has the code `end`, each but the first is read from h = 0.
    """
    if end is None:
        return loss_from(start, layout, theta, codes, T)
    edges = [0, *(np.flatnonzero(codes[1:-1] == end) + 1).tolist(), codes.size - 1]
    total = 0.0
    for first, last in pairwise(edges):
        before = start if first == 0 else 0
        total += loss_from(before, layout, theta, codes[first : last + 1], T) * (last - first)
    return total / (codes.size - 1)


def loss_from(start: Array | int, layout: Layout, theta: Parameters, codes: Array, T: int) -> float:
    """Return the mean loss on codes (N,), read once from `start`, T characters at a time.

    start (layers, states of a cell, 1, m), or 0.
    """
    work = window_work(layout, T)
    if not isinstance(start, int):
        set_states_before(work, start)
    kernel_cache.ready_for("evaluate", layout)
    return float(sampling_kernels.evaluate(theta, work, codes)) / (codes.size - 1)


def mean_over(stretches: Sequence[Array], loss: Callable[[Array], float]) -> float:
    """Return the mean loss of a part of a text, by the function that returns that of a stretch (N,)."""
    if len(stretches) == 1:
        return loss(stretches[0])
    counts = [codes.size - 1 for codes in stretches]
    return math.fsum(n * loss(codes) for n, codes in zip(counts, stretches, strict=True)) / sum(counts)


def probabilities(model: Checkpoint, codes: Array) -> Array:
    """Return p_t (N, K), the probability of each next character, after each of codes (N,).

    The model reads them from h_0 = 0, each document anew.
    """
    if model.end is None:
        return probabilities_from_zero(model, codes)
    documents = np.split(codes, np.flatnonzero(codes == model.end))
    return np.concatenate([probabilities_from_zero(model, document) for document in documents])


def probabilities_from_zero(model: Checkpoint, codes: Array) -> Array:
    """Return the same for a text that the model reads as one.

    The logits are in its precision, their softmax in float64.
    """
    config, layout = model.config, model.layout
    theta, work = layout.pack(model.theta), window_work(layout, config.seq_length)
    kernel_cache.ready_for("read", layout)
    o = np.empty((codes.size, layout.K))
    for start in range(0, codes.size, config.seq_length):
        x = codes[start : start + config.seq_length]
        sampling_kernels.read(theta, work, x)
        o[start : start + x.size] = work.p[: x.size]
    weights = np.exp(o - o.max(axis=1, keepdims=True))
    result: Array = weights / weights.sum(axis=1, keepdims=True)
    return result


def unigram_loss(codes: Array, ngrams: Mapping[str, Array]) -> float:
    """Return the mean loss of the unigram baseline, in nats per character."""
    return float(unigram_losses(ngrams)[codes[1:]].mean())


def bigram_loss(codes: Array, ngrams: Mapping[str, Array]) -> float:
    """Return the mean loss of the bigram baseline, in nats per character."""
    K, pairs = ngrams["characters"].size, ngrams["pairs"]
    keys = pairs[:, 0] * K + pairs[:, 1]
    keys_of_text = codes[:-1].astype(np.int64) * K + codes[1:]
    place = np.minimum(np.searchsorted(keys, keys_of_text), keys.size - 1)
    counts = np.where(keys[place] == keys_of_text, ngrams["pair_counts"][place], 0)
    return float(bigram_losses(ngrams, codes[:-1], counts).mean())


def baselines(ngrams: Mapping[str, Array]) -> dict[str, float]:
    """Return the losses of both baselines on the text that was counted, in nats per character."""
    characters, counts = ngrams["characters"], ngrams["pair_counts"]
    pairs = bigram_losses(ngrams, ngrams["pairs"][:, 0], counts)
    return {
        "unigram": float(characters @ unigram_losses(ngrams) / characters.sum()),
        "bigram": float(counts @ pairs / counts.sum()),
    }


def unigram_losses(ngrams: Mapping[str, Array]) -> Array:
    """Return -log p of each character, (K,), add-one smoothed if one occurs in held-out text only."""
    characters = ngrams["characters"]
    characters = characters + (characters == 0).any()
    losses: Array = -np.log(characters / characters.sum())
    return losses


def bigram_losses(ngrams: Mapping[str, Array], before: Array, counts: Array) -> Array:
    """Return -log p of pairs (n,), by their first characters and how often each pair occurs."""
    K = ngrams["characters"].size
    follows = np.bincount(ngrams["pairs"][:, 0], ngrams["pair_counts"], minlength=K)
    losses: Array = -np.log((counts + 1) / (follows[before] + K))
    return losses
