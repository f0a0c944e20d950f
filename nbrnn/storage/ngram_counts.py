"""How often characters and pairs of them occur in a run's text, in a file that is checked when read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from nbrnn.corpus import Corpus, Description
from nbrnn.errors import StoreError
from nbrnn.storage.checksummed_arrays import ArrayTypes, read_arrays, write_arrays
from nbrnn.storage.safe_files import RESTORE
from nbrnn.text_parts import Part, predicted, size
from nbrnn.typing import Array


def write(path: Path, corpus: Corpus, part: Part) -> None:
    """Replace a file by the counts of a part of a text. Raises WriteError."""
    counts = corpus.counts(part)
    write_arrays(path, counts, {"pairs": str(len(counts["pairs"])), "corpus_sha256": corpus.sha256})


def read(path: Path, corpus: Description, part: Part) -> dict[str, Array]:
    """Return the counts of a part of a text. Raises StoreError for others."""

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

    counts = read_arrays(path, expect)[0]
    characters, pairs, pair_counts = counts["characters"], counts["pairs"], counts["pair_counts"]
    K, is_whole = characters.size, size(part) == corpus.characters  # where each character occurs
    keys = pairs[:, 0] * K + pairs[:, 1]
    if not (
        ((pairs >= 0) & (pairs < K)).all()
        and (np.diff(keys) > 0).all()
        and (characters >= is_whole).all()
        and (pair_counts > 0).all()
        # of documents, which are whole in each part, the sums are not known
        and (corpus.separator or characters.sum() == size(part))
        and (corpus.separator or pair_counts.sum() == predicted(part))
    ):
        raise StoreError(f"{path} is damaged: its counts are not those of the text; {RESTORE}")
    return counts
