"""The command `score`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from nbrnn.cli import options
from nbrnn.cli.completion import texts
from nbrnn.cli.console import formatted, print_json, print_table


def score(
    run: options.RunPath,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Text file, - or known corpus.", autocompletion=texts)
    ],
    checkpoint: options.Which = "best",
    state: Annotated[
        Literal["kept", "zero"],
        typer.Option(help="Start from the stored state (kept) or h = 0 (zero)."),
    ] = "zero",
    encoding: options.Encoding = None,
    replace_unknown: options.Replacement = None,
    as_json: options.Json = False,
) -> None:
    """Print a model's loss on a text, beside n-gram baselines."""
    from nbrnn.corpus import encode
    from nbrnn.runs.evaluation import score
    from nbrnn.runs.model import text_to_score
    from nbrnn.text_files import label_of

    folder = options.existing_run(run)
    ngrams = folder.read_ngrams()
    model = options.model_of(folder, checkpoint)
    text = text_to_score(folder, file, encoding)
    codes = encode(text, model.alphabet, replace_unknown)
    unknown = len(text) - sum(map(text.count, model.alphabet))
    losses = score(model, codes, ngrams, state=state)
    if as_json:
        print_json({"characters": codes.size, "replaced": unknown, **losses})
    else:
        units = ["nats/char", "bits/char", "perplexity", f"nats per {model.config.seq_length}"]
        rows = [[name, *(formatted(value) for value in loss.values())] for name, loss in losses.items()]
        title = f"{codes.size:,} characters of {label_of(file)}, {unknown:,} of them replaced"
        print_table(title, ["", *units], rows)
