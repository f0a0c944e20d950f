"""How well a trained model predicts a text, beside n-gram baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from nbrnn.errors import CorpusError
from nbrnn.network import kernel_cache, sampling_kernels, training_kernels
from nbrnn.network.buffers import clear_states, set_states_before, window_work
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
    return loss_from(start, model.layout, theta, codes, model.config.seq_length, model.end)


def loss_from(
    start: Array | None,
    layout: Layout,
    theta: Parameters,
    codes: Array,
    T: int,
    end: int | None = None,
) -> float:
    """Return the mean loss on codes (N,), read once from `start`, T characters at a time.

    start (layers, states of a cell, 1, m), or None for h = 0. Of documents, whose separator has the code
    `end`, each but the first is read from h = 0.
    """
    work, total = window_work(layout, T), 0.0
    if start is not None:
        set_states_before(work, start)
    kernel_cache.ready_for("evaluate", layout)
    for first, last in pairwise(document_edges(codes, end)):
        if first > 0:
            clear_states(work)
        total += float(sampling_kernels.evaluate(theta, work, codes[first : last + 1]))
    return total / (codes.size - 1)


def document_edges(codes: Array, end: int | None) -> list[int]:
    """Return where in codes (N,) documents begin, and N - 1."""
    starts = [] if end is None else (np.flatnonzero(codes[1:-1] == end) + 1).tolist()
    return [0, *starts, codes.size - 1]


def mean_over(stretches: Sequence[Array], loss: Callable[[Array], float]) -> float:
    """Return the mean loss of a part of a text, by the function that returns that of a stretch (N,)."""
    if len(stretches) == 1:
        return loss(stretches[0])
    counts = [codes.size - 1 for codes in stretches]
    return math.fsum(n * loss(codes) for n, codes in zip(counts, stretches, strict=True)) / sum(counts)


class Reading(NamedTuple):
    """What a network computes while it reads N characters from h_0 = 0."""

    logits: Array  # (N, K): o_t, after each character
    states: Array  # (layers, states of a cell, N, m): after each character


def read(model: Checkpoint, codes: Array) -> Reading:
    """Return the logits and states of the model after each of codes (N,), in its precision.

    The model reads them from h_0 = 0, each document anew.
    """
    layout, T, N = model.layout, model.config.seq_length, codes.size
    theta, work = layout.pack(model.theta), window_work(layout, T)
    kernel_cache.ready_for("read", layout)
    logits = np.empty((N, layout.K), layout.dtype)
    states = np.empty((layout.layers, len(layout.kind.states), N, layout.m), layout.dtype)
    starts = [] if model.end is None else np.flatnonzero(codes == model.end).tolist()
    for first, last in pairwise([0, *starts, N]):
        clear_states(work)
        for begin in range(first, last, T):
            x = codes[begin : min(begin + T, last)]
            part = slice(begin, begin + x.size)
            sampling_kernels.read(theta, work, x)
            logits[part] = work.p[: x.size]
            for own, layer in zip(states, work.layers, strict=True):
                own[:, part] = layer.s[:, 1 : 1 + x.size, : layout.m]
    return Reading(logits, states)


def gradients(model: Checkpoint, codes: Array) -> dict[str, Array]:
    """Return the gradient of the loss of codes (N,), read as one window from h_0 = 0, without clipping.

    The loss is the sum of the N - 1 losses, or their mean, as in the model's training. Each document is
    a window of its own. Raises CorpusError for a text of fewer than two characters.
    """
    if codes.size < 2:
        raise CorpusError("a text to differentiate needs at least two characters")
    layout, N = model.layout, codes.size - 1
    scale = layout.dtype.type(1 if model.config.loss == "sum" else 1 / N)
    theta, total = layout.pack(model.theta), layout.flat()
    kernel_cache.ready_for("window_gradient", layout)
    for first, last in pairwise(document_edges(codes, model.end)):
        gradient, work = layout.gradient(last - first), window_work(layout, last - first)
        window = codes[first : last + 1], np.zeros(1, np.int64)
        training_kernels.loss_gradient(theta, gradient, work, *window, scale)
        total += gradient.flat
    return {name: np.array(a, order="C") for name, a in layout.named(layout.views(total)).items()}


def softmax(logits: Array) -> Array:
    """Return p_t (N, K) of logits (N, K), in float64."""
    logits = logits.astype(np.float64)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
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
