"""The commands export and import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nbrnn.cli import options
from nbrnn.cli.completion import texts
from nbrnn.cli.console import formatted, print_error, print_json, print_wrapped
from nbrnn.errors import ConfigError, CorpusError
from nbrnn.naming import RESULTS

if TYPE_CHECKING:
    from nbrnn.storage.checkpoint import Checkpoint

Layout = Literal["column", "row"]


def export(
    run: options.RunPath,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Ends in .npz, .mat, .safetensors, .onnx or .nbrnn.")
    ],
    layout: Annotated[
        Layout | None,
        typer.Option(help="For .npz and .mat: h = W h + U x + b, or its transpose  [default: column]"),
    ] = None,
    checkpoint: options.Which = "best",
    licence: Annotated[
        str | None, typer.Option(help="Licence of the text, for the card of a .nbrnn file.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write a model for NumPy, MATLAB, torch, ONNX, or as one file.

    .npz and .mat hold W, U, V, b, c, the state h0 and the character x0 (one-hot) to continue from, and
    the alphabet as code points; with gates or layers W1, U1, b1, W2 and so on. .safetensors has the
    names of torch's nn.RNN, nn.GRU or nn.LSTM and nn.Linear, as `rnn` and `linear`; .onnx is a graph
    with x and h0 in, logits and h out. Both have the rest as metadata. .nbrnn holds the
    network with its alphabet, settings, losses and a card in Markdown, as a zip archive; commands take
    it as they take a run.
    """
    from nbrnn.exchange.export import export as write
    from nbrnn.exchange.export import share

    folder = options.existing_run(run)
    model = options.model_of(folder, checkpoint)
    if file.suffix.lower() == ".nbrnn":
        if layout is not None:
            raise ConfigError("a .nbrnn file has a layout of its own: leave --layout out")
        if checkpoint != "best":
            raise ConfigError("a .nbrnn file holds the best model: leave --checkpoint out")
        share(folder, file, licence)
    elif licence is not None:
        raise ConfigError(f"--licence has no effect on {file.name}: leave it out, or name a .nbrnn file")
    else:
        write(model, file, layout)
    if as_json:
        print(json.dumps({"file": str(file), "checkpoint": checkpoint, "update": model.update}))
    else:
        what = f"the {checkpoint} model of {folder}, of update {model.update:,}"
        print_wrapped(f"{file}: {what}: {network_in_words(model)}")


def network_in_words(model: Checkpoint) -> str:
    """Return the kind and the size of a network."""
    config, K = model.config, len(model.alphabet)
    layers = f"{config.cell}, {config.layers} layers of " if config.layers > 1 else f"{config.cell}, "
    kind = "" if model.layout.in_file("W", 0) == "W" else layers
    return f"{kind}m = {config.hidden} hidden units, K = {K} characters"


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Weights: .npz, .mat, .safetensors or .onnx.")
    ],
    text: Annotated[
        str | None,
        typer.Option(metavar="BOOK", help="The text it was trained on.", autocompletion=texts),
    ] = None,
    alphabet: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The characters in their order, as a text or a .json list."),
    ] = None,
    layout: Annotated[
        Layout | None, typer.Option(help="h = W h + U x + b, or its transpose  [default: by shapes]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", help="The run's folder  [default: results/FILE]")
    ] = None,
    encoding: options.Encoding = None,
    as_json: options.Json = False,
) -> None:
    """Import weights trained by another program.

    Known names: W, U, V, b, c, and those of torch, Keras, min-char-rnn, cs231n and d2l. Gates and layers
    are stacked as in torch's nn.GRU, nn.LSTM and nn.RNN. The commands sample, score, show, report and
    compare take the run.
    """
    from nbrnn.exchange.importer import import_weights

    corpus = None if text is None else options.load(text, encoding)
    folder = out or RESULTS / file.stem
    found = import_weights(
        file,
        folder,
        text=corpus,
        alphabet=None if alphabet is None else read_alphabet(alphabet, encoding),
        layout=layout,
    )
    summary = found.summary
    if as_json:
        print_json({"folder": str(folder), **found.to_dict()})
    else:
        print_wrapped(f"{folder}: {summary.reason}; {network_in_words(found.model)}")
        if summary.score_best is not None:
            best, unigram = formatted(summary.score_best), formatted(summary.score_unigram)
            print(f"score, from h = 0: {best} nats per character; unigram baseline: {unigram}")
    if (summary.score_best or 0) > (summary.score_unigram or 0):
        print_error(
            "warning: this is worse than the unigram baseline: is the alphabet in another order "
            "(--alphabet), the network not tanh and softmax, or the text another one?"
        )


def read_alphabet(file: str, encoding: str | None) -> str:
    """Return the characters in a file. Raises ConfigError, CorpusError."""
    from nbrnn.corpus import read_text
    from nbrnn.text_files import UnknownEncodingError

    try:
        content = read_text(file, encoding)
    except UnknownEncodingError:
        raise
    except CorpusError as error:
        raise CorpusError(f"--alphabet: {error}") from None
    if not file.endswith(".json"):
        return content
    try:
        return "".join(json.loads(content))
    except (ValueError, TypeError, RecursionError):
        raise ConfigError(f"--alphabet {file} must be a JSON list of characters") from None
