"""What a trained model writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import numpy as np

from nbrnn.config import check_choice, check_range, shortened
from nbrnn.corpus import encode
from nbrnn.errors import ConfigError
from nbrnn.network import kernel_cache, training_kernels
from nbrnn.network.layout import Sampling, generator
from nbrnn.storage.checkpoint import Checkpoint, State, initial_state
from nbrnn.typing import Array

PIECE = 1000  # characters in one call of the kernel
COLDEST = 1e-6  # below that float32 cannot divide by the temperature


def sample(
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
) -> str:
    """Return `length` characters that the model writes after `prime`; the same for the same seed.

    As `pieces`, which see.
    """
    return "".join(
        pieces(
            model,
            length,
            prime=prime,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            replacement=replacement,
            state=state,
        )
    )


def pieces(
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
    piece: int = PIECE,
) -> Iterator[str]:
    """Return what the model writes after `prime` in pieces of so many characters, as it writes them.

    It goes on from the state that was kept with it, if there is one, and without a `prime` from the
    character that it would have read next; with the state `zero` from h_0 = 0 and, without a `prime`,
    the first character of its training text. Drawn from softmax(o / temperature), cut to the `top_k`
    likeliest characters (0: all) and to the fewest that have `top_p` of the probability; temperature
    0 takes the likeliest. Raises ConfigError, CorpusError for characters outside the alphabet without
    a `replacement`, and StoreError if no state was kept and one is asked for.
    """
    check_range("--length", length, 0, 10**8, whole=True)
    check_range("--temperature", temperature, 0, 1e6)
    if 0 < temperature < COLDEST:
        raise ConfigError(f"--temperature must be 0 or at least {COLDEST} (got {temperature})")
    check_range("--top-k", top_k, 0, 10**9, whole=True)
    check_range("--top-p", top_p, 0, 1, exclusive=True)
    check_range("--seed", seed, 0, 2**63 - 1, whole=True)
    if replacement is not None and (not isinstance(replacement, str) or len(replacement) != 1):
        raise ConfigError(f"--replace-unknown must be one character (got {shortened(replacement)})")
    if state is not None:
        check_choice("--state", state, get_args(State))
    else:
        state = "zero" if model.h_prev is None else "kept"
    first = model.next_character if state == "kept" else None
    start = encode(prime or first or model.first_character, model.alphabet, replacement)
    kernel_cache.ready("sample", model.config.dtype)
    sampling = Sampling(float(temperature), top_k, float(top_p))
    uniforms = generator(seed, "text").random(length)
    return written(model, initial_state(model, state), start, uniforms, sampling, piece)


def written(
    model: Checkpoint, state: Array, start: Array, uniforms: Array, sampling: Sampling, piece: int
) -> Iterator[str]:
    """Return in pieces what a model writes from a state (m,), after the characters of `start`.

    uniforms (length,) decide, one per character.
    """
    layout, theta = model.layout, model.layout.pack(model.theta)
    h = np.zeros((2, layout.M), layout.dtype)
    h[0, : layout.m] = state
    for begin in range(0, uniforms.size, piece):  # between which Python sees a signal
        decisive = uniforms[begin : begin + piece]
        text = np.empty(decisive.size, np.int32)
        training_kernels.sample(theta, h, start, decisive, sampling, text)
        start = text[-1:]
        yield "".join(model.alphabet[code] for code in text.tolist())
