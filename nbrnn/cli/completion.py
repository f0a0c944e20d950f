"""Shell completion of texts, runs and folders, without NumPy so that it is instant."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nbrnn.cli.suggestions import CORPORA
from nbrnn.naming import RESULTS


def texts(incomplete: str) -> list[str]:
    """Return the known corpora, folders and text files that begin with what is typed."""
    names = [name for name in CORPORA if name.startswith(incomplete)]
    for name in paths(incomplete):
        kind = mimetypes.guess_type(name)[0]  # None of a folder, which ends with a slash
        if kind is None or kind.startswith("text/"):
            names.append(name)
    return names


def folders(incomplete: str) -> list[str]:
    """Return the folders, in results/ and here, that begin with what is typed."""
    named = [name.removesuffix(os.sep) for name in paths(incomplete, RESULTS) if name.endswith(os.sep)]
    return named + [name for name in paths(incomplete) if name.endswith(os.sep)]


def paths(incomplete: str, below: Path = Path()) -> Iterator[str]:
    """Yield the paths below a folder that begin with what is typed; folders end with a slash."""
    head, begin = os.path.split(incomplete)
    with suppress(OSError):
        for entry in sorted(os.scandir(below / head), key=lambda entry: entry.name):
            hidden = entry.name.startswith(".") and not begin.startswith(".")
            if entry.name.startswith(begin) and not hidden:
                yield os.path.join(head, entry.name) + (os.sep if entry.is_dir() else "")
