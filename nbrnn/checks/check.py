"""The check: whether a program is right, and if not, where the fault is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbrnn.checks import arrays as files
from nbrnn.checks import case as cases
from nbrnn.checks.answers import forward_answers
from nbrnn.checks.examination import Examination
from nbrnn.checks.problem import Reading, readings
from nbrnn.checks.report import Finding, Report
from nbrnn.checks.smooth_loss import examine_series
from nbrnn.checks.step_findings import examine_steps
from nbrnn.checks.tolerances import right_arrays
from nbrnn.config import RunConfig, check_range, option_name, shortened
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
    found, exercise = with_case(arrays_of(program), None if case is None else arrays_of(case))
    of_case = {} if exercise is None else dict(exercise["settings"])
    if of_case.get("loss") == RunConfig().loss:  # which nobody has asked for
        del of_case["loss"]
    settings = with_preset(preset, settings)
    if "optimizer" in settings:  # what the exercise says of another one does not count
        of_case = {name: value for name, value in of_case.items() if name in ("clip", "loss")}
    settings = {**of_case, **{name: value for name, value in settings.items() if name in USED}}
    with np.errstate(all="ignore"):  # what is wrong may overflow
        best = best_of(found, settings, after)
    best.notes[:0] = notes(best, exercise, found, by_numbers="loss" not in settings)
    if exercise is not None and best.reading.theta:
        find_changed_in_place(best, exercise)
    if not best.rows and Role("series", "losses") in found.by_role:
        raise CheckError(best.notes[-1])
    if not best.rows:
        raise CheckError(
            "there is nothing to check: no loss, P, H, gradients (grads_W or dW), parameters after a "
            f"step (W_after) or losses; unknown names: {shown(found.unknown) or 'none'}"
        )
    return best.report()


def shown(names: list[str]) -> str:
    """Return some names."""
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


def arrays_of(source: Source) -> dict[str, Array]:
    """Return the arrays that are given, or of a file."""
    if isinstance(source, Mapping):
        return files.flat_arrays(source)
    if not isinstance(source, str | os.PathLike):
        raise CheckError(f"give a file or a dictionary of arrays (got {shortened(source)})")
    return files.read(Path(source))


def with_case(
    given: Mapping[str, Array], case: Mapping[str, Array] | None
) -> tuple[SortedArrays, dict[str, Any] | None]:
    """Return a program's arrays by their roles, with the inputs of an exercise, and what that is."""
    text = given.get(cases.NAME)
    found = sort_arrays({name: array for name, array in given.items() if name != cases.NAME})
    if case is not None:
        text = case.get(cases.NAME, text)
        for role, arrays in sort_arrays(case).by_role.items():
            if role.kind == "parameter":
                for own in found.by_role.get(role, ()):
                    if not same_numbers(own.array, arrays[0].array):
                        raise CheckError(f"{own.name} is not the exercise's: is it changed in place?")
            if role.kind in ("parameter", "input"):
                found.by_role[role] = arrays
    return found, None if text is None else cases.describe(str(text))


def best_of(found: SortedArrays, settings: Mapping[str, Any], steps: int) -> Examination:
    """Return the reading in which least is wrong; losses are sums or means where nothing says which."""
    is_series = {role.kind for role in found.by_role} <= {"series"}
    best: Examination | None = None
    for loss in [settings["loss"]] if "loss" in settings else ["sum", "mean"]:
        if best is not None and not may_be_scaled(best):
            break
        config = RunConfig(**{**settings, "loss": loss})
        for reading in [Reading()] if is_series else likeliest(found, loss == "mean"):
            done = Examination(reading, config, best.cost if best else np.inf)
            done.examine(found)
            examine_steps(done, found, steps)
            examine_series(done, found, settings.get("seq_length"))
            if best is None or done.cost < best.cost:
                best = done
            if done.cost == 0:
                return best
    assert best is not None
    return best


def likeliest(found: SortedArrays, mean: bool) -> list[Reading]:
    """Return the readings that fit the shapes of most answers, those that fit the numbers first."""
    ranked = []
    for reading in readings(found, mean):
        answers = forward_answers(found, reading)
        right = right_arrays(reading.problem) if reading.problem is not None else {}
        fitting = sum(bool(answer.ways) for answer in answers.values())
        near = sum(answer.error(right[key]) < NEAR for key, answer in answers.items())
        ranked.append((fitting, near, reading))
    most = max(fitting for fitting, _, _ in ranked)
    ranked = [each for each in ranked if each[0] == most]
    return [reading for _, _, reading in sorted(ranked, key=lambda each: -each[1])]


def may_be_scaled(done: Examination) -> bool:
    """Return whether something may be wrong only because a mean is taken for a sum."""
    causes = ("factor", "multiple", "clipped", "eta")
    return any(each.cause is None or each.cause.startswith(causes) for each in done.findings)


def notes(
    best: Examination, exercise: Mapping[str, Any] | None, found: SortedArrays, by_numbers: bool
) -> list[str]:
    """Return how the arrays were understood; `by_numbers`: the loss was not given, but found."""
    messages = []
    reading, config = best.reading, best.config
    if exercise is not None:
        messages.append(f"the exercise with seed {exercise.get('seed')} from {exercise.get('corpus')}")
    if reading.theta:
        m, K = reading.theta["U"].shape
        axes = "(m, K)" if reading.layout == "column" else "(K, m)"
        messages.append(f"{reading.layout} layout: U is {axes}, m = {m}, K = {K}")
    if reading.problem is not None:
        T, B, _ = reading.problem.X.shape
        state = "" if Role("input", "h0") in found.by_role else "; there is no h0, it is taken for 0"
        messages.append(
            f"T = {T}{f', B = {B}' * (B > 1)}, the loss of a window is the {config.loss}"
            f"{', by its numbers' * by_numbers}{state}"
        )
    if any(role.kind == "after" for role in found.by_role):
        messages.append(
            f"the step is that of {config.optimizer}, eta {config.eta:g}, clip {config.clip}"
        )
    if found.unknown:
        messages.append(f"not checked, since their names are unknown: {shown(found.unknown)}")
    return messages


def find_changed_in_place(done: Examination, exercise: Mapping[str, Any]) -> None:
    """Add that the parameters are not those of the exercise that the file says it is of."""
    if cases.fingerprint(done.reading.theta) != exercise["sha256"]:
        sentence = "the parameters are not those of the exercise: are they changed in place?"
        done.find_first(Finding("changed in place", sentence, tuple(NAMES)))
