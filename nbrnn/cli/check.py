"""What does the user type to check a program of their own, and to get an exercise for it?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from nbrnn.cli.console import print_table, print_wrapped
from nbrnn.cli.options import CorpusName, Encoding, Json, PresetName, load, option_of, parsed
from nbrnn.config import Loss, Optimizer, RunConfig, Start
from nbrnn.presets import with_preset


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Of arrays: .npz, .mat or .safetensors.")],
    case: Annotated[
        Path | None, typer.Option(help="The exercise, where FILE has the answers alone.")
    ] = None,
    after: Annotated[int, typer.Option(help="Steps on the window after which W_after ... are.")] = 1,
    preset: PresetName = None,
    optimizer: Annotated[Optimizer | None, option_of("optimizer")] = None,
    eta: Annotated[float | None, option_of("eta")] = None,
    beta1: Annotated[float | None, option_of("beta1")] = None,
    beta2: Annotated[float | None, option_of("beta2")] = None,
    epsilon: Annotated[float | None, option_of("epsilon")] = None,
    clip: Annotated[str | None, option_of("clip")] = None,
    loss: Annotated[
        Loss | None, typer.Option(help="Of a window, over its characters  [default: either is right]")
    ] = None,
    seq_length: Annotated[
        int | None, typer.Option(help="Characters T in a window, for series of losses alone.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say whether a program is right, and where its fault is.

    FILE has its parameters W U V b c, inputs x, y (or X, Y) and h0, and any of its answers: loss, P, H,
    gradients (grads_W or dW ...), parameters after a step (W_after ...), losses and smooth.

    An exercise by nbrnn case knows its own settings. In the table "largest error" is the largest
    difference as a share of the largest number there should be, "of norms" the norm of all
    differences as a share of the norm.
    """
    given = {
        "optimizer": optimizer,
        "eta": eta,
        "beta1": beta1,
        "beta2": beta2,
        "epsilon": epsilon,
        "clip": clip and parsed("clip", clip),
        "loss": loss,
        "seq_length": seq_length,
    }
    settings = {name: value for name, value in given.items() if value is not None}

    from nbrnn.checks.check import check as check_file

    report = check_file(file, case=case, after=after, preset=preset, **settings)
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
    else:
        for said in report.notes:
            print_wrapped(said)
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


def case(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write: .npz or .mat.")],
    corpus: CorpusName = None,
    preset: PresetName = None,
    hidden: Annotated[int, typer.Option(help="Hidden units m.")] = 10,
    seq_length: Annotated[int | None, option_of("seq_length")] = None,
    batch: Annotated[int | None, option_of("batch")] = None,
    layout: Annotated[
        Literal["column", "row"], typer.Option(help="Of one character in X: a column, or a row.")
    ] = "column",
    blind: Annotated[bool, typer.Option("--blind", help="Leave the answers out.")] = False,
    optimizer: Annotated[Optimizer | None, option_of("optimizer")] = None,
    eta: Annotated[float | None, option_of("eta")] = None,
    clip: Annotated[str | None, option_of("clip")] = None,
    loss: Annotated[Loss | None, option_of("loss")] = None,
    init: Annotated[Start | None, option_of("init")] = None,
    sigma: Annotated[float | None, option_of("sigma")] = None,
    seed: Annotated[int | None, option_of("seed")] = None,
    encoding: Encoding = None,
) -> None:
    """Write an exercise to feed a program of your own.

    It has parameters W U V b c, characters x, y as indices (which count from 1 in a .mat file) and X, Y
    one-hot, a state h0, and the answers; nbrnn check knows it again.
    """
    given = {
        "seq_length": seq_length,
        "batch": batch,
        "optimizer": optimizer,
        "eta": eta,
        "clip": clip and parsed("clip", clip),
        "loss": loss,
        "init": init,
        "sigma": sigma,
        "seed": seed,
    }
    settings = with_preset(preset, {name: value for name, value in given.items() if value is not None})
    config = RunConfig(**{**settings, "hidden": hidden})
    text = load(corpus, encoding)

    from nbrnn.checks.case import write

    write(out, text, config, layout, blind=blind)
