"""How much of a generated text is copied from the training text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nbrnn.network import kernel_cache, suffix_automaton
from nbrnn.typing import Array


@dataclass(frozen=True)
class Overlap:
    """The passages of a text of M characters that occur verbatim in another one.

    lengths (M,): the length of the longest such passage that ends with each character. The longest of
    all begins at `begin`, and first at `place` in the other text.
    """

    lengths: Array
    longest: int
    begin: int
    place: int

    def share(self, n: int) -> float:
        """Return the share of all passages of n characters that occur in the other text; NaN if none."""
        ends = self.lengths[n - 1 :]
        return float((ends >= n).mean()) if ends.size else np.nan


def text_overlap(texts: Mapping[str, Array], other: Array, K: int) -> dict[str, Overlap]:
    """Return the overlap of each of several texts with another one.

    texts (M,) and other (N,) are codes below K. Exact, in time that grows with N + M.
    """
    separator = np.array([K], np.int32)  # occurs nowhere: no passage crosses from one text to the next
    joined = np.concatenate([part for text in texts.values() for part in (text, separator)])
    lengths = np.empty(joined.size, np.int32)
    kernel_cache.ready("copied_lengths", "float32")
    suffix_automaton.copied_lengths(
        suffix_automaton.Automaton.empty(joined.size, K + 1), joined, other, lengths
    )
    overlaps, start = {}, 0
    for name, text in texts.items():
        own = lengths[start : start + text.size]
        longest, end = int(own.max()), int(own.argmax()) + 1
        place = find_passage(text[end - longest : end], other)
        overlaps[name] = Overlap(own, longest, end - longest, place)
        start += text.size + 1
    return overlaps


def find_passage(passage: Array, text: Array) -> int:
    """Return the first place at which a text has a passage."""
    data, wanted = text.tobytes(), passage.tobytes()
    place = data.find(wanted)
    while place % text.itemsize:  # in the middle of a code
        place = data.find(wanted, place + 1)
    return place // text.itemsize
