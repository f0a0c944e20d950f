"""What does the user type about a run that is there: sample, score, show?"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nbrnn.cli.completion import RESULTS, folders, texts
from nbrnn.cli.console import note, print_table, print_wrapped, shown
from nbrnn.cli.listing import show_listing
from nbrnn.cli.options import Encoding, Json, RunPath, encoding_of, existing, existing_run
from nbrnn.cli.train import loss_lines
from nbrnn.config import option_name
from nbrnn.errors import StoreError
from nbrnn.visible import visible

if TYPE_CHECKING:
    from nbrnn.runs.store import RunFolder

Which = Annotated[
    Literal["best", "last"], typer.Option("--checkpoint", help="The model to take: best or last.")
]
Replacement = Annotated[
    str | None,
    typer.Option("--replace-unknown", metavar="C", help="Stands for characters outside the alphabet."),
]


def sample(
    run: RunPath,
    length: Annotated[int, typer.Option(help="Characters to write.")] = 1000,
    prime: Annotated[str, typer.Option(help="Text to go on from; it is printed first.")] = "",
    temperature: Annotated[
        float, typer.Option(help="Below 1 safer, above 1 wilder; 0: always the likeliest.")
    ] = 1.0,
    top_p: Annotated[float, typer.Option(help="Keep the likeliest with this probability.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="Keep the likeliest K characters; 0: all.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 0,
    checkpoint: Which = "best",
    state: Annotated[
        Literal["kept", "zero"] | None, typer.Option(help="To start from  [default: kept]")
    ] = None,
    replace_unknown: Replacement = None,
    as_json: Json = False,
) -> None:
    """Print what a trained model writes."""
    from nbrnn.runs.sample import sample

    folder = existing_run(run)
    model = folder.read_model(checkpoint)
    note_unfinished(folder, checkpoint, model.update)
    text = sample(
        model,
        length,
        prime=prime,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        replacement=replace_unknown,
        state=state,
    )
    if as_json:
        print(json.dumps({"prime": prime, "text": text, "update": model.update, "seed": seed}))
    elif sys.stdout.isatty():
        print(visible(prime + text))
    else:  # a file gets these characters and no others
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        sys.stdout.write(prime + text)


def note_unfinished(folder: RunFolder, checkpoint: str, update: int) -> None:
    """Say which model it is that is taken, where the run may yet find a better one."""
    from nbrnn.runs.records import DONE

    with suppress(StoreError):  # the model is whole, whatever the summary is
        status = folder.read_summary().status
        if status not in DONE:
            note(f"{folder} is {status}: its {checkpoint} model so far is of update {update:,}")


def score(
    run: RunPath,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="As CORPUS of train.", autocompletion=texts)
    ],
    checkpoint: Which = "best",
    state: Annotated[Literal["kept", "zero"], typer.Option(help="To start from.")] = "zero",
    encoding: Encoding = None,
    replace_unknown: Replacement = None,
    as_json: Json = False,
) -> None:
    """Print a model's loss on a text, beside models that only count."""
    from nbrnn.corpus import encode, read_text
    from nbrnn.runs.score import score

    folder = existing_run(run)
    model = folder.read_model(checkpoint)
    ngrams = folder.read_ngrams(folder.read_config()[1])
    note_unfinished(folder, checkpoint, model.update)
    text = read_text(file, encoding_of(file, encoding))
    codes = encode(text, model.alphabet, replace_unknown)
    unknown = len(text) - sum(map(text.count, model.alphabet))
    losses = score(model, codes, ngrams, state=state)
    if as_json:
        print(json.dumps({"characters": codes.size, "replaced": unknown, **losses}, indent=2))
    else:
        units = ["nats/char", "bits/char", "perplexity", f"nats per {model.config.seq_length}"]
        rows = [[name, *(shown(value) for value in loss.values())] for name, loss in losses.items()]
        title = f"{codes.size:,} characters of {file}, {unknown:,} of them replaced"
        print_table(title, ["", *units], rows)


def show(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="[FOLDER]",
            help="Of a run, of a sweep, or of many  [default: results]",
            show_default=False,
            autocompletion=folders,
        ),
    ] = RESULTS,
    as_json: Json = False,
) -> None:
    """Print what a run is, or list the runs and sweeps in a folder.

    Of a run its settings, its loss, its last sample and its files; of a sweep its runs.
    """
    from nbrnn.runs.store import RunFolder

    path = existing(folder)
    if RunFolder(path).is_run():
        show_run(RunFolder(path), as_json)
    else:
        show_listing(path, as_json)


def show_run(folder: RunFolder, as_json: bool) -> None:
    """Print one run."""
    import msgspec

    config, corpus = folder.read_config()
    summary, samples = folder.read_summary(), folder.read_samples()
    last = samples[-1] if samples else None
    if as_json:
        document = {
            "folder": str(folder),
            "config": config.to_dict(),
            "corpus": msgspec.to_builtins(corpus),
            "summary": summary.to_dict(),
            "last_sample": msgspec.to_builtins(last),
        }
        print(json.dumps(document, indent=2))
        return
    print_wrapped(f"{folder}: {summary.status}, {summary.updates:,} updates")
    distinct = len(corpus.alphabet)
    print(f"text: {visible(corpus.name)}, {corpus.characters:,} characters, {distinct} distinct")
    settings = {option_name(n): value for n, value in config.to_dict().items() if value is not None}
    print_wrapped("settings: " + " ".join(f"{name} {value}" for name, value in settings.items()))
    for line in loss_lines(summary):
        print(line)
    if last:
        print(f"sample at update {last.update:,}:\n\n{visible(last.text)}\n")
    print_wrapped("files: " + ", ".join(folder.files()))
