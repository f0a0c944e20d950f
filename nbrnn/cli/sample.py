"""The command `sample`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Annotated, Literal

import typer

from nbrnn.cli.options import Json, Replacement, RunPath, Which, existing_run, model_of, parse_numbers
from nbrnn.escaping import visible_pieces

TERMINAL_PIECE = 40  # characters that are printed at once on a terminal
MIN_WIDTH = 30  # columns of each of several samples side by side
GAP = 3  # columns between two of them


def sample(
    run: RunPath,
    length: Annotated[int, typer.Option(help="Characters to generate.")] = 1000,
    prime: Annotated[str, typer.Option(help="Text to continue; it is printed first.")] = "",
    temperature: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Below 1 safer, above 1 more varied text (0: always the likeliest character).",
        ),
    ] = "1",
    top_p: Annotated[float, typer.Option(help="Probability of the nucleus to draw from.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="Draw from the K likeliest characters (0: all).")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
    checkpoint: Which = "best",
    state: Annotated[
        Literal["kept", "zero"] | None,
        typer.Option(help="Start from the stored state (kept) or h = 0 (zero).  [default: kept]"),
    ] = None,
    replace_unknown: Replacement = None,
    as_json: Json = False,
) -> None:
    """Print text that a trained model generates.

    At several temperatures (0.3,0.7,1) it uses the same random numbers and prints the samples side by
    side if the terminal is wide enough, else below each other.
    """
    temperatures = parse_numbers("--temperature", temperature, float)
    from nbrnn.runs.sampling import PIECE_LENGTH, sample_in_pieces

    model = model_of(existing_run(run), checkpoint)
    is_watched = sys.stdout.isatty() and not as_json
    texts = [
        sample_in_pieces(
            model,
            length,
            prime=prime,
            temperature=value,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            replacement=replace_unknown,
            state=state,
            piece_length=TERMINAL_PIECE if is_watched else PIECE_LENGTH,
        )
        for value in temperatures
    ]
    if as_json:
        print(json.dumps(document(prime, temperatures, texts, model.update, seed)))
        return
    heads = [f"temperature {value:g}" for value in temperatures]
    texts = [chain([prime], text) for text in texts]
    if is_watched:
        show(heads, [visible_pieces(text) for text in texts], shutil.get_terminal_size().columns)
    else:  # a file gets exactly these characters
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        print_below(heads, texts)


def document(
    prime: str, temperatures: Sequence[float], texts: Sequence[Iterable[str]], update: int, seed: int
) -> dict[str, object]:
    """Return the samples as plain values for JSON."""
    whole = ["".join(text) for text in texts]
    if len(whole) == 1:
        return {"prime": prime, "text": whole[0], "update": update, "seed": seed}
    samples = [{"temperature": t, "text": text} for t, text in zip(temperatures, whole, strict=True)]
    return {"prime": prime, "samples": samples, "update": update, "seed": seed}


def show(heads: Sequence[str], texts: Sequence[Iterable[str]], columns: int) -> None:
    """Print samples on a terminal: several side by side if there is room, else below each other."""
    width = (columns - GAP * (len(texts) - 1)) // len(texts)
    if len(texts) == 1 or width < MIN_WIDTH:
        print_below(heads, texts)
        print()
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
    for number, (head, text) in enumerate(zip(heads, texts, strict=True)):
        if len(texts) > 1:
            sys.stdout.write("\n\n" * (number > 0) + f"{head}:\n\n")
        for piece in text:
            sys.stdout.write(piece)
            sys.stdout.flush()
