"""How is a text shown that anybody may have written?"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator


def visible(text: str) -> str:
    """Return a text that a terminal shows as characters: control characters are escaped.

    Line ends and tabs stay; carriage returns before a line end are part of it.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    return "\n".join("".join(map(visible_character, line)) for line in lines)


def visible_pieces(pieces: Iterable[str]) -> Iterator[str]:
    """Return the visible form of a text that comes in pieces: carriage returns wait for what follows."""
    held = ""
    for piece in pieces:
        text = held + piece
        shown = text.rstrip("\r")
        held = text[len(shown) :]
        yield visible(shown)


def visible_character(character: str) -> str:
    """Return a character, or its escape if it would control the terminal."""
    if character == "\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return character
    return character.encode("unicode_escape").decode()


def one_line(text: str) -> str:
    """Return a text without line ends, as a terminal shows it."""
    return visible(" ".join(text.split()))
