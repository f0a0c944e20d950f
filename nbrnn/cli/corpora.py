"""The command `corpora`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nbrnn.cli import options
from nbrnn.cli.console import formatted, print_json, print_table
from nbrnn.config import RunConfig
from nbrnn.errors import NbrnnError


def corpora(
    seq_length: Annotated[int, typer.Option(help="Characters T in a window.")] = 25,
    as_json: options.Json = False,
) -> None:
    """List the known corpora."""
    from nbrnn import corpus

    rows: list[dict[str, Any]] = []
    for name, known in corpus.KNOWN.items():
        row: dict[str, Any] = dict.fromkeys(("characters", "alphabet_size", "updates_per_epoch"))
        try:
            text = corpus.load(name)
            row["characters"] = len(text)
            row["alphabet_size"] = len(text.alphabet)
            row["updates_per_epoch"] = RunConfig(seq_length=seq_length).updates_per_epoch(len(text))
            row["where"] = str(corpus.files_of(name)[0].parent)
        except NbrnnError as error:
            row["where"] = str(error)
        rows.append({"name": name, **row, "text": known.credit})
    if as_json:
        print_json(rows)
        return
    for row in rows:  # a folder would fill the screen; why a text is missing is said in its place
        where = row.pop("where")
        row["text"] = where if row["characters"] is None else row["text"]
    columns = ["name", "characters", "alphabet", "updates/epoch", "text"]
    print_table("", columns, [[formatted(value) for value in row.values()] for row in rows])
    print("All texts are in the public domain.")
