"""Is a program right, and if not, where is the fault?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbrnn.checks import arrays as files
from nbrnn.checks import case as cases
from nbrnn.checks.after import examine_steps
from nbrnn.checks.answers import forward_answers
from nbrnn.checks.examine import Examination
from nbrnn.checks.matching import everything
from nbrnn.checks.problem import Reading, readings
from nbrnn.checks.report import Finding, Report
from nbrnn.checks.series import examine_series
from nbrnn.config import RunConfig, check_range, option_name
from nbrnn.errors import CheckError
from nbrnn.exchange.names import Role, SortedArrays, same_numbers, sort_arrays
from nbrnn.network.layout import NAMES
from nbrnn.presets import with_preset
from nbrnn.typing import Array

Source = Mapping[str, Any] | str | os.PathLike[str]
NEAR = 1e-3  # the error of an answer that speaks for a reading
USED = (*cases.SETTINGS, "seq_length")  # the settings that change what is right


def check(
    program: Source,
    *,
    case: Source | None = None,
    after: int = 1,
    preset: str | None = None,
    **settings: Any,
) -> Report:
    """Compare what a program computed with what is right, and say what is likely wrong.

    `program` has its arrays by name, which may be nested (`{"W": W, ..., "grads": {"W": dW}}`), or is a
    file of them (.npz, .mat, .safetensors): parameters W U V b c, inputs x, y as indices or X, Y
    one-hot, h0, and any answers: loss, P, H, gradients, parameters after `after` steps, a series of
    losses with its smooth one. `case` has the inputs where they are not among them. The settings are
    those of RunConfig that say what is right: optimizer, eta, beta1, beta2, epsilon, clip, loss; without
    `loss` the sum and the mean are both right. Raises CheckError, ConfigError, and StoreError for a
    file that cannot be read.
    """
    for name in settings:
        if name not in USED:
            raise CheckError(f"{option_name(name)} changes nothing that is checked: leave it out")
    check_range("--after", after, 1, 100_000)
    given = arrays_of(program)
    found, exercise = with_case(given, None if case is None else arrays_of(case))
    of_case = {} if exercise is None else dict(exercise["settings"])
    if of_case.get("loss") == RunConfig().loss:  # which nobody has asked for
        del of_case["loss"]
    settings = with_preset(preset, settings)
    if "optimizer" in settings:  # what the exercise says of another one does not count
        of_case = {name: value for name, value in of_case.items() if name in ("clip", "loss")}
    settings = {**of_case, **{name: value for name, value in settings.items() if name in USED}}
    with np.errstate(all="ignore"):  # what is wrong may overflow
        best = best_of(found, settings, after)
    best.examination.notes[:0] = notes(
        best.reading, best.config, exercise, found, by_numbers="loss" not in settings
    )
    if exercise is not None and best.reading is not None:
        changed_in_place(best.examination, exercise)
    done = best.examination
    if not done.rows and Role("series", "losses") in found.by_role:
        raise CheckError(done.notes[-1])
    if not done.rows:
        raise CheckError(
            "there is nothing to check: no loss, P, H, gradients (grads_W or dW), parameters after a "
            f"step (W_after) or losses; not understood: {shown(found.unknown) or 'nothing'}"
        )
    return Report(tuple(done.rows), tuple(done.findings), tuple(done.notes))


def shown(names: list[str]) -> str:
    """Return some names."""
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


def arrays_of(source: Source) -> dict[str, Array]:
    """Return the arrays that are given, or of a file."""
    return files.plain(source) if isinstance(source, Mapping) else files.read(Path(source))


def with_case(
    given: Mapping[str, Array], case: Mapping[str, Array] | None
) -> tuple[SortedArrays, dict[str, Any] | None]:
    """Return a program's arrays by their roles, with the inputs of an exercise, and what that is."""
    texts = {name: array for name, array in given.items() if array.dtype.kind in "US"}
    found = sort_arrays({name: array for name, array in given.items() if name not in texts})
    found.unknown.extend(name for name in texts if name != cases.NAME)
    text = texts.get(cases.NAME)
    if case is not None:
        of_case = sort_arrays(
            {name: array for name, array in case.items() if array.dtype.kind not in "US"}
        )
        for role, arrays in of_case.by_role.items():
            if role.kind in ("parameter", "input"):
                same = found.by_role.get(role)
                if (
                    role.kind == "parameter"
                    and same
                    and not same_numbers(same[0].array, arrays[0].array)
                ):
                    name = same[0].name
                    raise CheckError(f"{name} is not the exercise's: is it changed in place?")
                found.by_role[role] = arrays
        text = case.get(cases.NAME, text)
    return found, None if text is None else cases.described(str(text))


class Best:
    """The reading of a program's arrays in which least is wrong."""

    def __init__(self, reading: Reading | None, config: RunConfig, examination: Examination) -> None:
        self.reading, self.config, self.examination = reading, config, examination


def best_of(found: SortedArrays, settings: Mapping[str, Any], steps: int) -> Best:
    """Return the reading in which least is wrong; losses are sums or means where nothing says which."""
    series = {role.kind for role in found.by_role} <= {"series"}
    losses = [settings["loss"]] if "loss" in settings else ["sum", "mean"]
    best: Best | None = None
    for loss in losses:
        if best is not None and not may_be_scaled(best.examination):
            break
        config = RunConfig(**{**settings, "loss": loss})
        for reading in [None] if series else likeliest(found, loss == "mean"):
            limit = best.examination.cost if best else np.inf
            done = Examination(reading or Reading("", {}, None), config, limit)
            done.examine(found)
            examine_steps(done, found, steps)
            length = settings.get("seq_length")
            examine_series(done, found, length)
            if best is None or done.cost < best.examination.cost:
                best = Best(reading, config, done)
            if done.cost == 0:
                return best
    assert best is not None
    return best


def likeliest(found: SortedArrays, mean: bool) -> list[Reading]:
    """Return the readings that fit the shapes of most answers, those that fit the numbers first."""
    ranked = []
    for reading in readings(found, mean):
        answers = forward_answers(found, reading)
        right = everything(reading.problem) if reading.problem is not None else {}
        fitting = sum(bool(answer.ways) for answer in answers.values())
        near = sum(answer.error(right[key]) < NEAR for key, answer in answers.items())
        ranked.append((fitting, near, reading))
    most = max(fitting for fitting, _, _ in ranked)
    ranked = [each for each in ranked if each[0] == most]
    return [reading for _, _, reading in sorted(ranked, key=lambda each: -each[1])]


def may_be_scaled(done: Examination) -> bool:
    """Whether something may be wrong only for being taken for a sum."""
    causes = ("factor", "multiple", "clipped", "eta")
    return any(each.cause is None or each.cause.startswith(causes) for each in done.findings)


def notes(
    reading: Reading | None,
    config: RunConfig,
    exercise: Mapping[str, Any] | None,
    found: SortedArrays,
    by_numbers: bool,
) -> list[str]:
    """Return how the arrays were understood; `by_numbers`: the loss was not told, but found."""
    said = []
    if exercise is not None:
        said.append(f"the exercise with seed {exercise.get('seed')} from {exercise.get('corpus')}")
    if reading is not None:
        U = reading.theta["U"]
        axes = "(m, K)" if reading.layout == "column" else "(K, m)"
        said.append(f"{reading.layout} layout: U is {axes}, m = {U.shape[0]}, K = {U.shape[1]}")
        if reading.problem is not None:
            T, B, _ = reading.problem.X.shape
            state = "" if Role("input", "h0") in found.by_role else "; there is no h0, it is 0"
            found_so = ", by its numbers" * by_numbers
            said.append(
                f"T = {T}{f', B = {B}' * (B > 1)}, the loss of a window is the "
                f"{config.loss}{found_so}{state}"
            )
    if any(role.kind == "after" for role in found.by_role):
        said.append(f"the step is that of {config.optimizer}, eta {config.eta:g}, clip {config.clip}")
    if found.unknown:
        said.append(f"not understood, and not looked at: {shown(found.unknown)}")
    return said


def changed_in_place(done: Examination, exercise: Mapping[str, Any]) -> None:
    """Note that the parameters are not those of the exercise that the file says it is of."""
    if cases.fingerprint(done.reading.theta) != exercise["sha256"]:
        sentence = "the parameters are not those of the exercise: are they changed in place?"
        done.find_first(Finding("changed in place", sentence, tuple(NAMES)))
