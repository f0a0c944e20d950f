"""The command `case`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nbrnn.cli import options
from nbrnn.config import RunConfig
from nbrnn.presets import with_preset

EXERCISE = ("seq_length", "batch", "optimizer", "eta", "clip", "loss", "init", "sigma", "seed")


@options.setting_options(*EXERCISE)
def case(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write: .npz or .mat.")],
    corpus: options.CorpusNames = None,
    preset: options.PresetName = None,
    hidden: Annotated[int, typer.Option(help="Hidden units m.")] = 10,
    layout: Annotated[
        Literal["column", "row"], typer.Option(help="A character in X is a column, or a row.")
    ] = "column",
    blind: Annotated[bool, typer.Option("--blind", help="Leave the answers out.")] = False,
    ladder: Annotated[
        bool | None,
        typer.Option(
            help="Write a series of exercises, from easy to hard  [default: if OUT is called ladder]",
            show_default=False,
        ),
    ] = None,
    encoding: options.Encoding = None,
    *,
    settings: dict[str, Any],
) -> None:
    """Write exercises for a program of your own.

    An exercise has the parameters W U V b c, the characters x, y as indices (from 1 in a .mat file)
    and X, Y one-hot, a state h0, and the answers; nbrnn check recognizes it. A ladder (ladder.npz,
    ladder.mat) has them for each exercise, as many_steps.W and so on, and needs no CORPUS.
    """
    config = RunConfig(**{**with_preset(preset, settings), "hidden": hidden})
    is_ladder = out.stem.lower() == "ladder" if ladder is None else ladder
    text = None if is_ladder else options.load(corpus, encoding)

    from nbrnn.checks.case import write

    write(out, text, config, layout, blind=blind)
