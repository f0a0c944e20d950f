"""The command `gradcheck`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from nbrnn.cli import options
from nbrnn.cli.console import print_json, print_table
from nbrnn.config import RunConfig
from nbrnn.presets import with_preset
from nbrnn.values import check_range


@options.setting_options("cell", "layers", "seq_length", "batch", "loss", "init", "sigma", "seed")
def gradcheck(
    settings: dict[str, Any],
    corpus: options.CorpusNames = None,
    preset: options.PresetName = None,
    hidden: Annotated[str, typer.Option(metavar="LIST", help="Numbers of hidden units.")] = "5,100",
    tolerance: Annotated[float, typer.Option(help="Largest relative error of an element.")] = 1e-6,
    encoding: options.Encoding = None,
    as_json: options.Json = False,
) -> None:
    """Compare the gradient with numerical differences.

    For every weight, in float64.
    """
    sizes = list(dict.fromkeys(options.parse_numbers("--hidden", hidden, int)))
    settings = with_preset(preset, settings)
    configs = [RunConfig(**{**settings, "hidden": size}) for size in sizes]
    check_range("--tolerance", tolerance, 0, 1)
    text = options.load(corpus, encoding)

    from nbrnn.network.gradcheck import CASES, worst
    from nbrnn.network.gradcheck import gradcheck as differences_of
    from nbrnn.progress_bars import ProgressDisplay

    differences = []
    with ProgressDisplay(quiet=False) as display:
        for config in configs:
            progress = partial(display.step, f"m = {config.hidden}: derivatives")
            differences += differences_of(text, config, progress)
    largest = worst(differences)
    passed = largest <= tolerance
    if as_json:
        document = {"passed": passed, "tolerance": tolerance, "largest": largest}
        print_json({**document, "differences": [asdict(d) for d in differences]})
    else:
        for size in sizes:
            rows = []
            for name in dict.fromkeys(d.parameter for d in differences):
                matches = [d for d in differences if (d.hidden, d.parameter) == (size, name)]
                errors = (f"{error:.1e}" for d in matches for error in (d.largest, d.norm))
                rows.append([name, f"{matches[0].weights:,}", *errors])
            cases = [case.removesuffix(" window") for case in CASES]
            columns = [f"{case}\n{kind}" for case in cases for kind in ("max", "norm")]
            print_table(f"m = {size}: relative error of the gradient", ["", "weights", *columns], rows)
        print("max: largest |ga - gn| / max(1e-6, |ga| + |gn|) of a weight")
        print("norm: the same with the Euclidean norms of all weights")
        print("second: the second of two windows, which starts from the state after the first\n")
        verdict = "passed" if passed else "FAILED"
        print(f"{verdict}: largest error {largest:.1e}, tolerance {tolerance:.1e}")
    if not passed:
        raise typer.Exit(1)
