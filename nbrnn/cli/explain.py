"""The command `explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nbrnn.cli import options
from nbrnn.cli.completion import texts
from nbrnn.cli.console import print_json, print_wrapped


def explain(
    run: options.RunPath,
    file: Annotated[
        str, typer.Argument(metavar="TEXT", help="Text file, - or known corpus.", autocompletion=texts)
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Page to write.")] = Path("explain.html"),
    checkpoint: options.Which = "best",
    encoding: options.Encoding = None,
    replace_unknown: options.Replacement = None,
    as_json: options.Json = False,
) -> None:
    """Write a page on what the units of a network follow in a text.

    Each character is coloured by the state of a unit, its loss, or the probability that it was given.
    Units are listed by how closely they follow the position in a line, quotes, brackets, spaces and
    sentence starts (Karpathy, Johnson and Fei-Fei, 2015). One file, which needs no network.
    """
    from nbrnn.corpus import read_text
    from nbrnn.report.explain_page import answer, unit_labels, write_explanation

    folder = options.existing_run(run)
    model = options.model_of(folder, checkpoint)
    text = read_text(file, encoding)
    found = write_explanation(model, Path(str(folder)).name, text, out, replace_unknown)
    sentences = answer(found, unit_labels(model))
    if as_json:
        print_json({"file": str(out), "answer": sentences})
    else:
        print_wrapped(*sentences, f"page: {out}")
