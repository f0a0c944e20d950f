"""Samples of a trained model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import numpy as np

from nbrnn.corpus import encode
from nbrnn.errors import ConfigError
from nbrnn.network import kernel_cache, sampling_kernels
from nbrnn.network.buffers import Sampling, Work, clear_states, set_states_before, window_work
from nbrnn.network.layout import Parameters, generator
from nbrnn.storage.checkpoint import Checkpoint, State, initial_state
from nbrnn.typing import Array
from nbrnn.values import check_choice, check_range, shortened

PIECE_LENGTH = 1000  # characters in one call of the kernel
DOCUMENT_PIECE = 50  # the same where those after the end of a document are drawn in vain
MIN_TEMPERATURE = 1e-6  # below that float32 cannot divide by it


def sample(model: Checkpoint, length: int, **options: Any) -> str:
    """Return a sample of `length` characters; `options` are those of `sample_in_pieces`."""
    return "".join(sample_in_pieces(model, length, **options))


def sample_in_pieces(
    model: Checkpoint,
    length: int,
    *,
    prime: str = "",
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    replacement: str | None = None,
    state: State | None = None,
    piece_length: int = PIECE_LENGTH,
) -> Iterator[str]:
    """Return a sample in pieces, each as soon as it is drawn; the same for the same seed.

    The model continues `prime` from the `state` that was `kept` with it, where there is one, or from
    `zero`: h_0 = 0. Without a `prime` it starts from the character that it would have read next, or,
    from h_0 = 0, from the first one of its training text. One that learnt from documents starts a new
    document from h_0 = 0 by default. Characters are drawn from softmax(o / temperature), cut to the
    `top_k` likeliest (0: all) and to the fewest that have `top_p` of the probability; temperature 0
    takes the likeliest. Raises ConfigError, CorpusError for characters outside the alphabet without a
    `replacement`, and StoreError for a state that was not kept.
    """
    check_range("--length", length, 0, 10**8, whole=True)
    check_range("--temperature", temperature, 0, 1e6)
    if 0 < temperature < MIN_TEMPERATURE:
        raise ConfigError(f"--temperature must be 0 or at least {MIN_TEMPERATURE} (got {temperature})")
    check_range("--top-k", top_k, 0, 10**9, whole=True)
    check_range("--top-p", top_p, 0, 1, exclusive=True)
    check_range("--seed", seed, 0, 2**63 - 1, whole=True)
    if replacement is not None and (not isinstance(replacement, str) or len(replacement) != 1):
        raise ConfigError(f"--replace-unknown must be one character (got {shortened(replacement)})")
    if state is not None:
        check_choice("--state", state, get_args(State))
    else:
        state = "zero" if model.h_prev is None or model.separator else "kept"
    first = model.next_character if state == "kept" else None
    if model.separator and state == "zero":
        prime = model.separator + prime.rpartition(model.separator)[2]
    start = encode(prime or first or model.first_character, model.alphabet, replacement)
    kernel_cache.ready_for("sample", model.layout)
    work = window_work(model.layout, 1)
    set_states_before(work, initial_state(model, state))
    theta, uniforms = model.layout.pack(model.theta), generator(seed, "text").random(length)
    sampling = Sampling(float(temperature), top_k, float(top_p))
    pieces = draw_codes(theta, work, start, uniforms, sampling, piece_length, model.end)
    return ("".join(model.alphabet[code] for code in codes.tolist()) for codes in pieces)


def draw_codes(
    theta: Parameters,
    work: Work,
    start: Array,
    uniforms: Array,
    sampling: Sampling,
    piece_length: int,
    end: int | None = None,
) -> Iterator[Array]:
    """Yield the pieces of a sample as codes, from the states before the window, which are overwritten.

    uniforms (length,): one number in [0, 1) decides each character that follows those of `start`.
    After the separator of documents, whose code is `end`, the next one starts from h = 0.
    """
    if end is not None:
        piece_length = min(piece_length, DOCUMENT_PIECE)
    drawn = 0
    while drawn < uniforms.size:  # between two pieces Python sees a signal
        numbers = uniforms[drawn : drawn + piece_length]
        text = np.empty(numbers.size, np.int32)
        sampling_kernels.sample(theta, work, start, numbers, sampling, text)
        if end is not None and end in text:
            text = text[: np.argmax(text == end) + 1]
            clear_states(work)
        start = text[-1:]
        drawn += text.size
        yield text
