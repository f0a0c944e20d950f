"""Where do the training, validation and test parts of a text lie?"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

FOLDS = 10  # by how many tenths of the text the parts can be moved

Stretch = tuple[int, int]  # the first character, and the one after the last
Part = tuple[Stretch, ...]  # of a text, in the order of reading: two where the text's end lies within


class TextParts(NamedTuple):
    """The three parts of a text; those that are not asked for are empty."""

    training: Part
    validation: Part
    test: Part


def text_parts(characters: int, validation: float, test: float, fold: int) -> TextParts:
    """Return the parts of a text of so many characters: training, then validation, then test.

    `validation` and `test` are fractions. The text is read from `fold` tenths on, and beyond its end
    from its beginning: with fold 0 the test part is its end; with fold k, if it is a tenth, the k-th
    tenth. A part that contains the end of the text is two stretches: nothing is read across it.
    """
    sizes = int(validation * characters), int(test * characters)
    first = characters * fold // FOLDS
    seam = characters - first  # where the end of the text is, counted from there

    def part(begin: int, end: int) -> Part:
        cuts = [begin, seam, end] if begin < seam < end else [begin, end]
        starts = [cut + first if cut < seam else cut - seam for cut in cuts[:-1]]
        lengths = [after - before for before, after in pairwise(cuts)]
        return tuple((s, s + n) for s, n in zip(starts, lengths, strict=True) if n)

    held_out = characters - sum(sizes)
    return TextParts(
        part(0, held_out), part(held_out, characters - sizes[1]), part(characters - sizes[1], characters)
    )


def size(part: Part) -> int:
    """Return the number of characters of a part."""
    return sum(end - start for start, end in part)


def predicted(part: Part) -> int:
    """Return the number of characters that a model predicts: all but the first of each stretch."""
    return size(part) - len(part)


def windows(part: Part, seq_length: int) -> int:
    """Return the number of windows of a part, none of which crosses the end of the text."""
    return sum((end - start - 1) // seq_length for start, end in part)
