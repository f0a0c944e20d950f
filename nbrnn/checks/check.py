"""The check: whether a program is right, and if not, where it goes wrong first."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbrnn.checks import arrays as files
from nbrnn.checks.case import SETTINGS
from nbrnn.checks.equations import Arrays
from nbrnn.checks.programs import Functions
from nbrnn.checks.report import PARTS, Report
from nbrnn.checks.submission import Submission
from nbrnn.config import option_name
from nbrnn.errors import CheckError
from nbrnn.presets import with_preset
from nbrnn.values import check_range, shortened

Source = Mapping[str, Any] | str | os.PathLike[str]
USED = (*SETTINGS, "seq_length")  # the settings that change what is right


def check(
    program: Source | Callable[..., Any] | None = None,
    *,
    step: Callable[..., Any] | None = None,
    train: Callable[..., Any] | None = None,
    synthesize: Callable[..., Any] | None = None,
    case: Source | None = None,
    after: int = 1,
    preset: str | None = None,
    **settings: Any,
) -> Report:
    """Say whether a program is right, and if not, where it goes wrong first.

    `program` is a function (theta, x, y, h0) that returns a loss and gradients, and is called with a
    ladder of growing exercises; or its arrays by name, which may be nested (`{"W": W, ..., "grads":
    {"W": dW}}`), or a file of them (.npz, .mat, .safetensors). These have parameters W U V b c, inputs
    x, y as indices or X, Y one-hot, h0, and any answers: loss, P, H, gradients, parameters after `after`
    steps, a series of losses with its smooth one; or the answers to a ladder. `case` has the inputs
    where they have none.

    `step` (theta, list of gradients) returns the parameters after a step along each. `train` (theta,
    codes, seq_length, updates) returns the losses of the updates. `synthesize` (theta, h0, x0, n)
    returns n sampled indices. The settings are those of RunConfig that say what is right: optimizer,
    eta, beta1, beta2, epsilon, clip, loss, seq_length; without `loss` the sum and the mean are both
    right. Raises CheckError, ConfigError, and StoreError for a file that cannot be read.
    """
    for name in settings:
        if name not in USED:
            raise CheckError(f"{option_name(name)} changes nothing that is checked: leave it out")
    check_range("--after", after, 1, 100_000)
    said = {k: v for k, v in with_preset(preset, settings).items() if k in USED}
    with np.errstate(all="ignore"):  # what is wrong may overflow
        by_task: dict[str, Any] = {
            "gradients": program,
            "step": step,
            "train": train,
            "sample": synthesize,
        }
        given = {name: function for name, function in by_task.items() if function is not None}
        if callable(program) or given.keys() - {"gradients"}:
            if program is not None and not callable(program):
                raise CheckError("give functions, or a file or arrays, not both")
            functions = Functions(given)
            report = Submission(functions.answers(), {}, said, 1).judge(functions.raised)
            report.not_checked[:0] = functions.not_checked
            report.covered |= {"windows"} if functions.not_checked else set()
        else:
            of_case = {} if case is None else arrays_of(case)
            report = Submission(arrays_of(program), of_case, said, after).judge()
    report.not_checked += [words for part, words in PARTS.items() if part not in report.covered]
    return report


def arrays_of(source: object) -> Arrays:
    """Return the arrays that are given, or of a file."""
    if isinstance(source, Mapping):
        return files.flat_arrays(source)
    if not isinstance(source, str | os.PathLike):
        raise CheckError(f"give a function, a file or a dictionary of arrays (got {shortened(source)})")
    return files.read(Path(source))
