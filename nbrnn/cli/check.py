"""The commands check and case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nbrnn.cli.console import print_table, print_wrapped
from nbrnn.cli.options import CorpusNames, Encoding, Json, PresetName, load, setting_options
from nbrnn.config import Loss, RunConfig
from nbrnn.presets import with_preset

EXERCISE = ("seq_length", "batch", "optimizer", "eta", "clip", "loss", "init", "sigma", "seed")


@setting_options("optimizer", "eta", "beta1", "beta2", "epsilon", "clip")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Arrays: .npz, .mat or .safetensors.")],
    case: Annotated[
        Path | None, typer.Option(help="The exercise, if FILE has only the answers.")
    ] = None,
    after: Annotated[int, typer.Option(help="Number of steps on the window before W_after ...")] = 1,
    preset: PresetName = None,
    loss: Annotated[
        Loss | None,
        typer.Option(help="Sum or mean over the window  [default: either is right]"),
    ] = None,
    seq_length: Annotated[
        int | None, typer.Option(help="Characters T in a window, for a series of losses only.")
    ] = None,
    as_json: Json = False,
    *,
    settings: dict[str, Any],
) -> None:
    """Check whether a program is right, and find its fault.

    FILE has the parameters W U V b c, the inputs x, y (or X, Y) and h0, and any answers: loss, P, H,
    gradients (grads_W or dW ...), parameters after a step (W_after ...), losses and smooth.

    An exercise by nbrnn case contains its settings. In the table, "largest error" is the largest
    difference relative to the largest right number, "of norms" the norm of the difference relative to
    the norm of the right array.
    """
    own = {"loss": loss, "seq_length": seq_length}
    settings |= {name: value for name, value in own.items() if value is not None}

    from nbrnn.checks.check import check as check_file

    report = check_file(file, case=case, after=after, preset=preset, **settings)
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
    else:
        for note in report.notes:
            print_wrapped(note)
        rows = [
            [
                row.name,
                row.what,
                " x ".join(map(str, row.shape)) or "1",
                *("-" if error is None else f"{error:.1e}" for error in (row.largest, row.norm)),
                row.verdict,
            ]
            for row in report.rows
        ]
        print_table("", ["", "what", "shape", "largest error", "of norms", "verdict"], rows)
        print_wrapped(report.verdict())
        for sentence in report.sentences():
            print_wrapped(sentence)
    if not report.is_right:
        raise typer.Exit(1)


@setting_options(*EXERCISE)
def case(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write: .npz or .mat.")],
    corpus: CorpusNames = None,
    preset: PresetName = None,
    hidden: Annotated[int, typer.Option(help="Hidden units m.")] = 10,
    layout: Annotated[
        Literal["column", "row"], typer.Option(help="A character in X is a column, or a row.")
    ] = "column",
    blind: Annotated[bool, typer.Option("--blind", help="Leave the answers out.")] = False,
    encoding: Encoding = None,
    *,
    settings: dict[str, Any],
) -> None:
    """Write an exercise for a program of your own.

    It has the parameters W U V b c, the characters x, y as indices (from 1 in a .mat file) and X, Y
    one-hot, a state h0, and the answers; nbrnn check recognizes it.
    """
    config = RunConfig(**{**with_preset(preset, settings), "hidden": hidden})
    text = load(corpus, encoding)

    from nbrnn.checks.case import write

    write(out, text, config, layout, blind=blind)
