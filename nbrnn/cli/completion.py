"""What can a shell complete: texts, runs, folders? At once, and so without NumPy."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nbrnn.cli.suggestions import CORPORA

RESULTS = Path("results")


def texts(incomplete: str) -> list[str]:
    """Return the known corpora, folders and text files that begin so."""
    known = [name for name in CORPORA if name.startswith(incomplete)]
    return known + [name for name in paths(incomplete) if name.endswith(os.sep) or may_be_text(name)]


def folders(incomplete: str) -> list[str]:
    """Return the names in results/, and the folders, that begin so."""
    named = [name.removesuffix(os.sep) for name in paths(incomplete, RESULTS) if name.endswith(os.sep)]
    return named + [name for name in paths(incomplete) if name.endswith(os.sep)]


def paths(incomplete: str, below: Path = Path()) -> Iterator[str]:
    """Return the paths below a folder that begin so, those of folders with a slash."""
    head, begin = os.path.split(incomplete)
    with suppress(OSError):
        for entry in sorted(os.scandir(below / head), key=lambda entry: entry.name):
            hidden = entry.name.startswith(".") and not begin.startswith(".")
            if entry.name.startswith(begin) and not hidden:
                yield os.path.join(head, entry.name) + (os.sep if entry.is_dir() else "")


def may_be_text(name: str) -> bool:
    """Whether a file may be a text, by its name."""
    kind = mimetypes.guess_type(name)[0]
    return kind is None or kind.startswith("text/")
