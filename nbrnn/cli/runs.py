"""The commands `score` and `show`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nbrnn.cli import options
from nbrnn.cli.completion import folders, texts
from nbrnn.cli.console import formatted, print_json, print_table, print_wrapped
from nbrnn.cli.listing import show_listing
from nbrnn.cli.losses import loss_lines
from nbrnn.cli.train import print_warnings
from nbrnn.config import option_name
from nbrnn.errors import StoreError
from nbrnn.escaping import visible
from nbrnn.naming import RESULTS

if TYPE_CHECKING:
    from nbrnn.storage.run_folder import RunFolder


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


def show(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Folder of a run, of a sweep, or of many.  [default: results]",
            show_default=False,
            autocompletion=folders,
        ),
    ] = RESULTS,
    as_json: options.Json = False,
) -> None:
    """Print one run, or list the runs and sweeps in a folder.

    For a run: its settings, losses, last sample and files. For a sweep: its runs.
    """
    from nbrnn.storage.run_folder import RunFolder

    path = options.existing(folder)
    if RunFolder(path).is_run():
        show_run(RunFolder(path), as_json)
    else:
        show_listing(path, as_json)


def show_run(folder: RunFolder, as_json: bool) -> None:
    """Print one run."""
    import msgspec

    from nbrnn.analysis.run_records import read_summary

    config, corpus = folder.read_config()
    summary, samples = read_summary(folder), folder.read_samples()
    last = samples[-1] if samples else None
    if as_json:
        document = {
            "folder": str(folder),
            "config": config.to_dict(),
            "corpus": msgspec.to_builtins(corpus),
            "summary": summary.to_dict(),
            "last_sample": msgspec.to_builtins(last),
        }
        print_json(document)
        return
    documents = f", documents: {corpus.documents}" if corpus.documents else ""
    size = f"{corpus.characters:,} characters, {len(corpus.alphabet)} distinct{documents}"
    print_wrapped(
        f"{folder}: {summary.status}, {summary.updates:,} updates", f"text: {corpus.name}, {size}"
    )
    if summary.status == "imported":
        print_wrapped(summary.reason or "")
    values = config.to_dict()
    # The other settings of imported weights are unknown.
    names = ("hidden", "dtype") if summary.status == "imported" else tuple(values)
    settings = {option_name(name): values[name] for name in names if values[name] is not None}
    print_wrapped("settings: " + " ".join(f"{name} {value}" for name, value in settings.items()))
    print_wrapped(*loss_lines(summary, config, corpus))
    if last and last.update == 0 and folder.has_text():  # too short a run for samples while it trained
        print(f"sample of the best model:\n\n{visible(folder.read_text())}\n")
    elif last:
        print(f"sample at update {last.update:,}:\n\n{visible(last.text)}\n")
    print_wrapped("files: " + ", ".join(folder.file_names()))
    with suppress(StoreError):  # of a damaged file, which matters where it is used
        print_warnings(folder, summary)
