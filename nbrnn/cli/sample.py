"""The command `sample`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Annotated, Any

import typer

from nbrnn.cli import options
from nbrnn.cli.write import TURN_LENGTH, WritingSession
from nbrnn.errors import ConfigError
from nbrnn.escaping import visible_pieces

SAMPLE_LENGTH = 1000  # characters
TERMINAL_PIECE = 40  # characters that are printed at once on a terminal
MIN_WIDTH = 30  # columns of each of several samples side by side
GAP = 3  # columns between two of them


def sample(
    run: options.RunPath,
    length: Annotated[
        int | None,
        typer.Option(help="Characters to generate.  [default: 1000; 200 in a turn of --interactive]"),
    ] = None,
    prime: Annotated[
        str, typer.Option("--prime", "--prompt", help="Text to continue; it is printed first.")
    ] = "",
    temperature: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Below 1 safer, above 1 more varied text (0: always the likeliest character).",
        ),
    ] = "1",
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    seed: options.Seed = 0,
    checkpoint: options.Which = "best",
    state: options.StartState = None,
    replace_unknown: options.Replacement = None,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Write a text in turns, as nbrnn write does.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Print text that a trained model generates.

    At several temperatures (0.3,0.7,1) it uses the same random numbers and prints the samples side by
    side if the terminal is wide enough, else below each other.
    """
    temperatures = options.parse_numbers("--temperature", temperature, float)
    if interactive and as_json:
        raise ConfigError("--interactive and --json do not go together: leave one of them out")
    if interactive and len(temperatures) > 1:
        raise ConfigError("--interactive takes one value of --temperature")
    if length is None:
        length = TURN_LENGTH if interactive else SAMPLE_LENGTH
    drawing: dict[str, Any] = {
        "length": length,
        "top_k": top_k,
        "top_p": top_p,
        "replacement": replace_unknown,
        "state": state,
    }
    model = options.model_of(options.existing_run(run), checkpoint)
    if interactive:
        WritingSession(model, {**drawing, "temperature": temperatures[0]}, seed).run(prime)
        return
    from nbrnn.runs.sampling import PIECE_LENGTH, sample_in_pieces

    is_watched = sys.stdout.isatty() and not as_json
    drawing |= {"prime": prime, "piece_length": TERMINAL_PIECE if is_watched else PIECE_LENGTH}
    texts = [sample_in_pieces(model, temperature=t, seed=seed, **drawing) for t in temperatures]
    if as_json:
        samples = [
            {"temperature": t, "text": "".join(text)}
            for t, text in zip(temperatures, texts, strict=True)
        ]
        drawn = {"text": samples[0]["text"]} if len(samples) == 1 else {"samples": samples}
        print(json.dumps({"prime": prime, **drawn, "update": model.update, "seed": seed}))
        return
    heads = [f"temperature {value:g}" for value in temperatures]
    texts = [chain([prime], text) for text in texts]
    if is_watched:
        show(heads, [visible_pieces(text) for text in texts], shutil.get_terminal_size().columns)
    else:  # a file gets exactly these characters, and a line end
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        print_below(heads, texts)


def show(heads: Sequence[str], texts: Sequence[Iterable[str]], columns: int) -> None:
    """Print samples on a terminal: several side by side if there is room, else below each other."""
    width = (columns - GAP * (len(texts) - 1)) // len(texts)
    if len(texts) == 1 or width < MIN_WIDTH:
        print_below(heads, texts)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, GAP, 0, 0))
    for _ in texts:
        table.add_column(width=width, overflow="fold")
    table.add_row(*heads)
    table.add_row()
    table.add_row(*(Text("".join(text)) for text in texts))
    Console(highlight=False, width=columns).print(table)


def print_below(heads: Sequence[str], texts: Sequence[Iterable[str]]) -> None:
    """Print samples below each other as they are generated; several have a heading each."""
    piece = ""
    for number, (head, text) in enumerate(zip(heads, texts, strict=True)):
        if len(texts) > 1:
            sys.stdout.write("\n\n" * (number > 0) + f"{head}:\n\n")
        for piece in text:
            sys.stdout.write(piece)
            sys.stdout.flush()
    if not piece.endswith("\n"):
        sys.stdout.write("\n")
