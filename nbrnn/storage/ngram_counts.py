"""How often do characters and pairs occur in a run's text, and is what a file says of it right?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from nbrnn.corpus import Corpus, Description
from nbrnn.errors import StoreError
from nbrnn.storage.checksummed_arrays import ArrayTypes, read_sealed, write_sealed
from nbrnn.typing import Array


def write(path: Path, corpus: Corpus, length: int) -> None:
    """Replace a file by the counts of a text's first `length` characters. Raises WriteError."""
    counts = corpus.counts(length)
    metadata = {"pairs": str(len(counts["pairs"])), "corpus_sha256": corpus.sha256}
    write_sealed(path, counts, metadata)


def read(path: Path, corpus: Description, length: int) -> dict[str, Array]:
    """Return the counts of a text's first `length` characters that are in a file.

    Raises StoreError if it has others.
    """

    def expect(metadata: Mapping[str, str], names: Iterable[str]) -> ArrayTypes:
        pairs = int(metadata["pairs"])
        # the first version did not say of which text it was: the sums have to do
        if metadata.get("corpus_sha256", corpus.sha256) != corpus.sha256:
            raise ValueError
        return {
            "characters": ("I64", (len(corpus.alphabet),)),
            "pairs": ("I64", (pairs, 2)),
            "pair_counts": ("I64", (pairs,)),
        }

    counts = read_sealed(path, expect)[0]
    if not are_counts(counts, length, whole=length == corpus.characters):
        raise StoreError(f"{path} is damaged: it does not count this text")
    return counts


def are_counts(counts: Mapping[str, Array], length: int, *, whole: bool) -> bool:
    """Whether these may be the characters and pairs of so many characters: in order, with their sums.

    In a whole text each character of the alphabet occurs.
    """
    characters, pairs, occurrences = counts["characters"], counts["pairs"], counts["pair_counts"]
    K = characters.size
    keys = pairs[:, 0] * K + pairs[:, 1]
    return bool(
        ((pairs >= 0) & (pairs < K)).all()
        and (np.diff(keys) > 0).all()
        and (characters >= whole).all()
        and (occurrences > 0).all()
        and characters.sum() == length
        and occurrences.sum() == length - 1
    )
