"""How much of what a network writes is copied from the text that it was trained on?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nbrnn.network import kernel_cache, suffix_automaton
from nbrnn.typing import Array


@dataclass(frozen=True)
class Copying:
    """Which passages of a text of M characters occur in another one, verbatim.

    lengths (M,): for each character, how long the longest such passage is that ends with it. The longest
    of all begins at `begin` and at `place` in the other text, where both first have it.
    """

    lengths: Array
    longest: int
    begin: int
    place: int

    def share(self, n: int) -> float:
        """Return the share of all passages of n characters that occur in the other text; NaN if none."""
        ends = self.lengths[n - 1 :]
        return float((ends >= n).mean()) if ends.size else np.nan


def copying(texts: Mapping[str, Array], other: Array, K: int) -> dict[str, Copying]:
    """Return what each of several texts has in common with another one.

    texts (M,) and other (N,) are codes below K. Exact, in time that grows with N + M.
    """
    between = np.array([K], np.int32)  # occurs nowhere: no passage goes from one text into the next
    sample = np.concatenate([part for text in texts.values() for part in (text, between)])
    lengths = np.empty(sample.size, np.int32)
    kernel_cache.ready("copied_lengths", "float32")
    suffix_automaton.copied_lengths(
        suffix_automaton.Automaton.empty(sample.size, K + 1), sample, other, lengths
    )
    found, start = {}, 0
    for name, text in texts.items():
        found[name] = copying_of(text, lengths[start : start + text.size], other)
        start += text.size + 1
    return found


def copying_of(text: Array, lengths: Array, other: Array) -> Copying:
    """Return what one text has in common with another, by the lengths of its passages."""
    end = int(lengths.argmax())
    longest = int(lengths[end])
    begin = end + 1 - longest
    return Copying(lengths, longest, begin, place_of(text[begin : end + 1], other))


def place_of(passage: Array, text: Array) -> int:
    """Return where a passage that occurs in a text does so first."""
    if passage.size == 0:
        return 0
    places = np.flatnonzero(text[: text.size - passage.size + 1] == passage[0])
    for offset, code in enumerate(passage):
        places = places[text[places + offset] == code]
    return int(places[0])
