"""Untrusted text, made safe for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator


def visible(text: str) -> str:
    """Return a text with its control characters escaped, but for tabs and line ends (also CR LF)."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    return "\n".join("".join(map(visible_character, line)) for line in lines)


def visible_pieces(pieces: Iterable[str]) -> Iterator[str]:
    """Yield the visible form of a text in pieces; a carriage return waits for the next one."""
    waiting = ""
    for piece in pieces:
        text = waiting + piece
        shown = text.rstrip("\r")
        waiting = text[len(shown) :]
        yield visible(shown)


def visible_character(character: str) -> str:
    """Return a character, or its escape if it would control the terminal."""
    if character == "\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return character
    return character.encode("unicode_escape").decode()


def one_line(text: str) -> str:
    """Return a text as one visible line."""
    return visible(" ".join(text.split()))
