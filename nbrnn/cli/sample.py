"""What does the user type to let a model write, and how is it shown?"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import Annotated, Literal

import typer

from nbrnn.cli.options import Json, Replacement, RunPath, Which, existing_run, model_of, numbers
from nbrnn.escaping import visible_pieces

ON_TERMINAL = 40  # characters that are written at once where somebody watches
NARROWEST = 30  # columns of a text that stands beside others
GAP = 3  # columns between two of them


def sample(
    run: RunPath,
    length: Annotated[int, typer.Option(help="Characters to write.")] = 1000,
    prime: Annotated[str, typer.Option(help="Text to go on from; it is printed first.")] = "",
    temperature: Annotated[
        str,
        typer.Option(
            metavar="LIST", help="Below 1 safer, above 1 wilder; 0: always the likeliest; or several."
        ),
    ] = "1",
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
    """Print what a trained model writes.

    At several temperatures (0.3,0.7,1) from the same random numbers: side by side where a terminal is
    wide enough, else below each other.
    """
    temperatures = numbers("--temperature", temperature, float)
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
            piece_length=ON_TERMINAL if is_watched else PIECE_LENGTH,
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
    else:  # a file gets these characters and no others
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        print_below(heads, texts)


def document(
    prime: str, temperatures: Sequence[float], texts: Sequence[Iterable[str]], update: int, seed: int
) -> dict[str, object]:
    """Return what was written as plain values for JSON."""
    whole = ["".join(text) for text in texts]
    if len(whole) == 1:
        return {"prime": prime, "text": whole[0], "update": update, "seed": seed}
    samples = [{"temperature": t, "text": text} for t, text in zip(temperatures, whole, strict=True)]
    return {"prime": prime, "samples": samples, "update": update, "seed": seed}


def show(heads: Sequence[str], texts: Sequence[Iterable[str]], columns: int) -> None:
    """Print texts on a terminal as they are written: side by side if there is room, and several."""
    width = (columns - GAP * (len(texts) - 1)) // len(texts)
    if len(texts) > 1 and width >= NARROWEST:
        print_beside(heads, texts, width)
    else:
        print_below(heads, texts)
        print()


def print_below(heads: Sequence[str], texts: Sequence[Iterable[str]]) -> None:
    """Print texts below each other, each piece at once; several have a line above that says which."""
    for number, (head, text) in enumerate(zip(heads, texts, strict=True)):
        if len(texts) > 1:
            sys.stdout.write("\n\n" * (number > 0) + f"{head}:\n\n")
        for piece in text:
            sys.stdout.write(piece)
            sys.stdout.flush()


def print_beside(heads: Sequence[str], texts: Sequence[Iterable[str]], width: int) -> None:
    """Print texts in columns of this width, each row as soon as all of them have written it."""
    from rich.cells import set_cell_size

    columns = [chain([head, ""], lines_of(text, width)) for head, text in zip(heads, texts, strict=True)]
    for row in zip_longest(*columns, fillvalue=""):
        print((" " * GAP).join(set_cell_size(line, width) for line in row).rstrip(), flush=True)


def lines_of(pieces: Iterable[str], width: int) -> Iterator[str]:
    """Return the lines of a text that comes in pieces, broken between words if they are too long."""
    from rich.cells import cell_len

    line = ""
    for character in chain.from_iterable(pieces):
        if character == "\n":
            yield line
            line = ""
            continue
        line += " " if character == "\t" else character
        if cell_len(line) > width:
            end = line.rfind(" ")
            if not line[: max(end, 0)].strip():  # one long word
                end = len(line) - 2
            yield line[: end + 1].rstrip(" ")
            line = line[end + 1 :]
    if line:
        yield line
