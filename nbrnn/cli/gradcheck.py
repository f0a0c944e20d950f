"""What does the user type to check the gradient?"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from nbrnn.cli.console import print_table
from nbrnn.cli.options import CorpusName, Encoding, Json, PresetName, load, numbers, option_of
from nbrnn.config import Loss, RunConfig, Start, check_range
from nbrnn.presets import with_preset


def gradcheck(
    corpus: CorpusName = None,
    preset: PresetName = None,
    hidden: Annotated[str, typer.Option(help="Numbers of hidden units.")] = "5,100",
    seq_length: Annotated[int | None, option_of("seq_length")] = None,
    batch: Annotated[int | None, option_of("batch")] = None,
    loss: Annotated[Loss | None, option_of("loss")] = None,
    init: Annotated[Start | None, option_of("init")] = None,
    sigma: Annotated[float | None, option_of("sigma")] = None,
    seed: Annotated[int | None, option_of("seed")] = None,
    tolerance: Annotated[float, typer.Option(help="Largest relative error of an element.")] = 1e-6,
    encoding: Encoding = None,
    as_json: Json = False,
) -> None:
    """Compare the gradient with numerical differences.

    For every weight, in float64.
    """
    sizes = list(dict.fromkeys(numbers("--hidden", hidden, int)))
    options = {
        "seq_length": seq_length,
        "batch": batch,
        "loss": loss,
        "init": init,
        "sigma": sigma,
        "seed": seed,
    }
    given = {name: value for name, value in options.items() if value is not None}
    settings = with_preset(preset, given)
    configs = [RunConfig(**{**settings, "hidden": size}) for size in sizes]
    check_range("--tolerance", tolerance, 0, 1)
    text = load(corpus, encoding)

    from nbrnn.cli.progress_bars import Screen
    from nbrnn.network.gradcheck import CASES, worst
    from nbrnn.network.gradcheck import gradcheck as differences_of

    differences = []
    with Screen(quiet=False) as screen:
        for config in configs:
            progress = partial(screen.step, f"m = {config.hidden}: derivatives")
            differences += differences_of(text, config, progress)
    largest = worst(differences)
    passed = largest <= tolerance
    if as_json:
        document = {"passed": passed, "tolerance": tolerance, "largest": largest}
        print(json.dumps({**document, "differences": [asdict(d) for d in differences]}, indent=2))
    else:
        for size in sizes:
            rows = []
            for name in dict.fromkeys(d.parameter for d in differences):
                of_name = [d for d in differences if (d.hidden, d.parameter) == (size, name)]
                errors = (f"{error:.1e}" for d in of_name for error in (d.largest, d.norm))
                rows.append([name, f"{of_name[0].weights:,}", *errors])
            cases = [case.removesuffix(" window") for case in CASES]
            columns = [f"{case}\n{kind}" for case in cases for kind in ("max", "norm")]
            print_table(f"m = {size}: relative error of the gradient", ["", "weights", *columns], rows)
        print("max: the largest |ga - gn| / max(1e-6, |ga| + |gn|) of any weight")
        print("norm: the same of all together, by their Euclidean norms")
        print("second: the second of two windows, from the state that the first one left\n")
        verdict = "passed" if passed else "FAILED"
        print(f"{verdict}: largest error {largest:.1e}, tolerance {tolerance:.1e}")
    if not passed:
        raise typer.Exit(1)
