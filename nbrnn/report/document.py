"""The document model of a report, independent of its format."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

from nbrnn.escaping import visible

# The number at the beginning of a cell, unless it is the beginning of a fraction, a date or a name.
NUMBER = re.compile(r"(?:< )?[-+]?[\d,.]+(?:e[-+]?\d+)?(?![\w.,/-])")


def methods() -> dict[str, str]:
    """Return the paragraphs of methods.txt by their heads."""
    paragraphs = resource("methods.txt").strip().split("\n\n")
    return {head: " ".join(text.split()) for head, _, text in (p.partition(":\n") for p in paragraphs)}


def resource(name: str) -> str:
    """Return a file of this package."""
    return files("nbrnn.report").joinpath(name).read_text(encoding="utf-8")


METHODS = methods()


@dataclass(frozen=True)
class Paragraph:
    """A paragraph, a less important one, or a command to type."""

    text: str
    style: Literal["", "soft", "command"] = ""


@dataclass(frozen=True)
class Bullets:
    """A list of sentences; the first of an answer stands out."""

    items: Sequence[str]
    is_answer: bool = False


@dataclass(frozen=True)
class Table:
    """A table of text; `name` is that of its files. Pages show its first `max_rows` rows."""

    name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    is_sortable: bool = False
    max_rows: int = 400

    @property
    def numeric(self) -> list[bool]:
        """Whether each column has numbers, besides cells that are empty or '-'."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.columns)
        known = ([cell for cell in cells if cell not in ("", "-")] for cells in columns)
        return [bool(cells) and all(map(NUMBER.match, cells)) for cells in known]


@dataclass(frozen=True)
class Figure:
    """A picture: its SVG, and a tip for an element of this id, or for each of the marks in it."""

    name: str
    caption: str
    svg: bytes
    tips: Mapping[str, str | list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Samples:
    """Generated texts: a column for each head, rows with a label; `mark` is a range in the only one."""

    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    mark: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class ProgressBar:
    """How far something is."""

    text: str
    done: float
    total: float


@dataclass(frozen=True)
class Fold:
    """Blocks that a reader may open and close."""

    summary: str
    blocks: Sequence[Block]
    is_open: bool = False


Block = Paragraph | Bullets | Table | Figure | Samples | ProgressBar | Fold


@dataclass(frozen=True)
class Section:
    """A part of a document; one without blocks is left out."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A report: title, a line on its state, sections; the first one may have no title."""

    title: str
    status: str
    sections: Sequence[Section]


def printable(text: str) -> str:
    """Return a text with control and bidirectional characters escaped, without carriage returns."""
    return visible(text.replace("\r", ""))


def sentences(texts: Sequence[str]) -> list[Block]:
    """Return one sentence as a paragraph, several as a list."""
    return [Bullets(texts)] if len(texts) > 1 else [Paragraph(text) for text in texts]
