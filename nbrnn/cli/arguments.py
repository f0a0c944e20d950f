"""What several commands take, and what it names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nbrnn.errors import StoreError

if TYPE_CHECKING:
    from nbrnn.corpus import Corpus
    from nbrnn.runs.store import RunFolder

RESULTS = Path("results")

CorpusName = Annotated[
    str | None,
    typer.Argument(
        metavar="CORPUS",
        help="A text file, - for standard input, or a known corpus  [default: brontes]",
    ),
]
Encoding = Annotated[str, typer.Option(help="Of the text file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


def load(corpus: str | None, encoding: str | None) -> Corpus:
    """Return the corpus that a user named."""
    from nbrnn.corpus import DEFAULT
    from nbrnn.corpus import load as load_corpus

    return load_corpus(DEFAULT if corpus is None else corpus, encoding or "utf-8")


def existing(path: Path) -> Path:
    """Return a folder given by its path or by its name in results/; without either, the path."""
    return path if path.exists() or not (RESULTS / path).exists() else RESULTS / path


def existing_run(path: Path) -> RunFolder:
    """Return the folder of a run, given by its path or by its name in results/."""
    from nbrnn.runs.store import RunFolder

    folder = RunFolder(existing(path))
    if not folder.is_run():
        raise StoreError(f"{path} is not the folder of a run")
    return folder
