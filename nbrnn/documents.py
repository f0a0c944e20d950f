"""Separate documents in one text: its lines, or the cells of a column of a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from nbrnn.errors import ConfigError, CorpusError
from nbrnn.values import nearest

LINES, CSV = "lines", "csv:"
DELIMITERS = ",;\t"
# Line end, record separator, zero: the first that no document contains stands between them.
SEPARATORS = "\n\x1e\0"


def check_documents(documents: str) -> None:
    """Raise ConfigError unless this is a way to split a text into documents."""
    if documents != LINES and not (documents.startswith(CSV) and documents != CSV):
        raise ConfigError(f"--documents must be {LINES} or {CSV}COLUMN (got {documents!r})")


def split_documents(text: str, documents: str, label: str) -> list[str]:
    """Return the documents in a text, without empty ones. Raises ConfigError, CorpusError."""
    check_documents(documents)
    if documents == LINES:
        parts = [line.removesuffix("\r") for line in text.split("\n")]
    else:
        parts = column(text, documents.removeprefix(CSV), label)
    return [part for part in parts if part]


def column(text: str, name: str, label: str) -> list[str]:
    """Return the cells of a column of a table, separated by commas, semicolons or tabs."""
    head, _, _ = text.partition("\n")
    delimiter = max(DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise CorpusError(f"{label}, line {reader.line_num}, is not valid CSV: {error}") from None
    names = rows[0] if rows else []
    if name not in names:
        hint = nearest(name, names) or f"; its columns are {', '.join(names[:10])}"
        raise CorpusError(f"{label} has no column {name!r}{hint}")
    place = names.index(name)
    return [row[place] for row in rows[1:] if len(row) > place]


def delimited(documents: Sequence[str]) -> tuple[str, str]:
    """Return documents as one text, with a separator before, between and after them; and that one."""
    for separator in SEPARATORS:
        if not any(separator in document for document in documents):
            return separator + separator.join(documents) + separator if documents else "", separator
    raise CorpusError("the documents contain zero characters: remove them")


def documents_again(text: str, documents: str, separator: str, label: str) -> str:
    """Return the documents in a text as one, with this separator. Raises ConfigError, CorpusError."""
    return delimited_again(separator.join(split_documents(text, documents, label)), separator)


def delimited_again(text: str, separator: str) -> str:
    """Return a text with one separator before, between and after the documents in it."""
    return separator + separator.join(filter(None, text.split(separator))) + separator
