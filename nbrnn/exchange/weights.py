"""Which of the arrays in a file are W, U, V, b and c, and in which layout?"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from nbrnn.errors import ConfigError, StoreError
from nbrnn.exchange.array_files import SAVE_NUMPY, Contents
from nbrnn.network.layout import NAMES, shapes
from nbrnn.storage.atomic_files import DECODING_ERRORS
from nbrnn.typing import Array

Orientation = Literal["column", "row"]  # h_t = W h_{t-1} + U x_t + b, or the transpose of it all

# What others call the parameters, without underscores: the second as in Karpathy's min-char-rnn.
SPELLINGS = {
    "W": ("W", "Whh"),
    "U": ("U", "Wxh", "Wih"),
    "V": ("V", "Why", "Who"),
    "b": ("b", "bh"),
    "c": ("c", "by", "bo"),
}
PARAMETER_OF = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings}
MATRICES = ("W", "U", "V")  # biases may be absent: they are zero then

STATES = ("h0", "hprev", "h_prev")
ALPHABETS = ("alphabet", "chars", "book_chars")


@dataclass(frozen=True)
class Weights:
    """A network of m hidden units and K characters in a file, shaped as in the equations.

    h0 (m,) and x0, the index of a character, are where its program went on from, if it says so.
    """

    theta: dict[str, Array]
    orientation: Orientation
    h0: Array | None
    x0: int | None

    @property
    def K(self) -> int:
        """How many characters it knows."""
        return int(self.theta["c"].size)


def weights_in(path: Path, contents: Contents, wanted: Orientation | None = None) -> list[Weights]:
    """Return the network in a file, in each layout that its shapes allow: two only where m = K.

    Raises StoreError if there is none, or several, ConfigError if it is not in the layout `wanted`.
    """
    named = named_by_torch(path, contents.arrays)
    if named:
        if wanted == "row":
            raise ConfigError(f"{path} is torch's, in column layout: leave out --layout")
        wanted = "column"
    else:
        named = named_by_letter(path, contents)
    fitting = orientations(path, named)
    if wanted is not None:
        if wanted not in fitting:
            raise ConfigError(f"{path} is not in {wanted} layout: {spelled(named)}")
        fitting = [wanted]
    is_single = all(array.dtype in (np.float16, np.float32) for array in named.values())
    dtype: np.dtype[Any] = np.dtype(np.float32 if is_single else np.float64)
    return [weights(path, named, orientation, dtype, contents) for orientation in fitting]


def named_by_torch(path: Path, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the parameters in the state_dict of an nn.RNN or nn.RNNCell, with an nn.Linear.

    Nothing if it is none. Raises StoreError if it has more layers than that.
    """
    recurrent = [name for name in arrays if re.search(r"(^|\.)weight_hh(_|$)", name)]
    if not recurrent:
        return {}
    if len(recurrent) > 1:
        raise StoreError(f"{path} has several recurrent layers, or directions: {', '.join(recurrent)}")
    (name,) = recurrent
    head, suffix = name.split("weight_hh")
    linear = [n for n in arrays if re.search(r"(^|\.)weight$", n) and arrays[n].ndim == 2]
    if len(linear) != 1:
        found = ", ".join(linear) or "none"
        raise StoreError(f"{path}: one nn.Linear is expected after the nn.RNN, its weight: {found}")
    bias = linear[0].removesuffix("weight") + "bias"
    parts = {"W": [name], "U": [f"{head}weight_ih{suffix}"], "V": linear, "c": [bias]}
    parts["b"] = [f"{head}bias_ih{suffix}", f"{head}bias_hh{suffix}"]
    there = {key: [arrays[n] for n in names if n in arrays] for key, names in parts.items()}
    if not there["U"]:
        raise StoreError(f"{path} has {name}, but no {parts['U'][0]}")
    return {key: sum(found[1:], start=found[0]) for key, found in there.items() if found}


def named_by_letter(path: Path, contents: Contents) -> dict[str, Array]:
    """Return the parameters by the last part of their names, as W, RNN.W or RNN/W. Raises StoreError."""
    groups: dict[str, dict[str, Array]] = defaultdict(dict)
    for name, array in contents.arrays.items():
        head, last = re.split(r"[./](?=[^./]*$)", f".{name}")
        parameter = PARAMETER_OF.get(last.replace("_", ""))
        if parameter is not None:
            groups[head][parameter] = array
    whole = {head: group for head, group in groups.items() if set(MATRICES) <= set(group)}
    if "" in whole:
        return whole[""]
    if len(whole) == 1:
        return next(iter(whole.values()))
    if whole:
        heads = ", ".join(head.strip("./") for head in whole)
        raise StoreError(f"{path} has several sets of weights ({heads}): save one of them alone")
    if contents.objects:
        which = f"{contents.objects[0]} is an object array, which is not unpickled"
        raise StoreError(f"{path}: {which}: save with {SAVE_NUMPY}")
    names = ", ".join(contents.arrays) or "none"
    raise StoreError(
        f"{path} lacks weights called W, U, V, b, c, or as torch calls those of nn.RNN and nn.Linear; "
        f"its arrays: {names[:200]}"
    )


def orientations(path: Path, named: Mapping[str, Array]) -> list[Orientation]:
    """Return the layouts that these shapes allow. Raises StoreError if there is none."""
    W, U, V = (named[name].shape for name in MATRICES)
    if len(W) != 2 or W[0] != W[1] or 0 in W:
        more = ": of an LSTM, or a GRU?" if len(W) == 2 and W[1] and W[0] in (3 * W[1], 4 * W[1]) else ""
        raise StoreError(f"{path}: W is {W} and not square{more}")
    column = shapes(W[0], int(named["U"].size) // W[0])
    fitting = [
        orientation
        for orientation in get_args(Orientation)
        if tuple(as_laid_out(column[name], orientation) for name in ("U", "V")) == (U, V)
    ]
    if not fitting:
        raise StoreError(
            f"{path}: {spelled(named)} belong to no network: in column layout they are W (m, m), "
            "U (m, K), V (K, m), in row layout W (m, m), U (K, m), V (m, K)"
        )
    for name, bias in named.items():
        if name not in MATRICES and bias.size != column[name][0]:
            raise StoreError(f"{path}: {name} has {bias.size} numbers, not {column[name][0]}")
    return fitting


def as_laid_out(shape: tuple[int, ...], orientation: Orientation) -> tuple[int, ...]:
    """Return a shape of the equations in a layout."""
    return shape if orientation == "column" else shape[::-1]


def spelled(named: Mapping[str, Array]) -> str:
    """Return the shapes of the matrices in words."""
    return ", ".join(f"{name} {named[name].shape}" for name in MATRICES)


def weights(
    path: Path,
    named: Mapping[str, Array],
    orientation: Orientation,
    dtype: np.dtype[Any],
    contents: Contents,
) -> Weights:
    """Return the network in this layout. Raises StoreError if its numbers are not finite."""
    matrices = {name: named[name] if orientation == "column" else named[name].T for name in MATRICES}
    m, K = matrices["U"].shape
    vectors = {name: named.get(name, np.zeros(shapes(m, K)[name])) for name in ("b", "c")}
    theta = {**matrices, **{name: vector.ravel() for name, vector in vectors.items()}}
    if any(array.dtype.kind not in "fiub" for array in theta.values()):
        raise StoreError(f"{path}: the weights are no numbers")
    theta = {name: np.ascontiguousarray(theta[name], dtype) for name in NAMES}
    if not all(np.isfinite(array).all() for array in theta.values()):
        raise StoreError(f"{path} holds numbers that are not finite")
    return Weights(theta, orientation, state_in(contents, m, dtype), character_in(contents, K))


# ---------------------------------------------------------------- what else may be in a file


def state_in(contents: Contents, m: int, dtype: np.dtype[Any]) -> Array | None:
    """Return the state (m,) in a file, if there is one."""
    found = [contents.arrays[name] for name in STATES if name in contents.arrays]
    with suppress(*DECODING_ERRORS):
        found.append(np.array(json.loads(contents.metadata["h0"]), dtype))
    for state in found:
        if state.dtype.kind in "fiu" and state.size == m and np.isfinite(state).all():
            return np.ascontiguousarray(state.ravel(), dtype)
    return None


def character_in(contents: Contents, K: int) -> int | None:
    """Return the index of the character to go on from, which is one-hot in a file."""
    alphabet, character = (contents.metadata.get(name, "") for name in ("alphabet", "x0"))
    if len(character) == 1 and character in alphabet:
        return alphabet.index(character)
    x0 = contents.arrays.get("x0", np.empty(0))
    is_one_hot = x0.dtype.kind in "fiub" and x0.size == K and np.count_nonzero(x0) == 1
    return int(np.flatnonzero(x0)[0]) if is_one_hot else None


def alphabet_in(contents: Contents) -> str | None:
    """Return the alphabet in a file, of code points or of characters, if there is one."""
    if "alphabet" in contents.metadata:
        return contents.metadata["alphabet"]
    for name in ALPHABETS:
        if name in contents.arrays:
            array = contents.arrays[name].ravel()
            if array.dtype.kind == "U":
                return "".join(array.tolist())
            with suppress(*DECODING_ERRORS):
                return "".join(chr(int(code)) for code in array)
    return None
