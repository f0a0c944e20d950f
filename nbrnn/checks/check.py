"""The check: whether a program is right, and if not, where it goes wrong first."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nbrnn.checks import case as cases
from nbrnn.checks import user_arrays
from nbrnn.checks.equations import Arrays
from nbrnn.checks.first_fault import report_of
from nbrnn.checks.judging import Attempt, Choice, attempts_of, choose
from nbrnn.checks.ladder import RUNGS
from nbrnn.checks.programs import call_all
from nbrnn.checks.report import PARTS, Finding, Report
from nbrnn.checks.steps import Steps, Update, judge_updates
from nbrnn.checks.training_and_sampling import judge_sample, judge_smooth, judge_training
from nbrnn.checks.user_arrays import has_single_parameters
from nbrnn.config import RunConfig, option_name
from nbrnn.errors import CheckError
from nbrnn.exchange.array_roles import Role, SortedArrays, same_numbers, sort_arrays
from nbrnn.exchange.layer_names import Named
from nbrnn.exchange.weights import layouts_in, oriented
from nbrnn.network.layout import NAMES
from nbrnn.presets import with_preset
from nbrnn.values import check_range, shortened

Source = Mapping[str, Any] | str | os.PathLike[str]
USED = (*cases.SETTINGS, "seq_length")  # the settings that change what is right
SEQUENCES = ("train", "sampling")  # rungs that have a judge of their own


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
    chosen = {k: v for k, v in with_preset(preset, settings).items() if k in USED}
    with np.errstate(all="ignore"):  # what is wrong may overflow
        by_task = ("gradients", program), ("step", step), ("train", train), ("sample", synthesize)
        given: dict[str, Any] = {task: function for task, function in by_task if function is not None}
        if callable(program) or given.keys() - {"gradients"}:
            if program is not None and not callable(program):
                raise CheckError("give functions, or a file or arrays, not both")
            arrays, report = call_all(given)
            Submission(arrays, {}, chosen, 1).judge(report)
        else:
            of_case = {} if case is None else arrays_of(case)
            report = Report()
            Submission(arrays_of(program), of_case, chosen, after).judge(report)
    report.not_checked += [words for part, words in PARTS.items() if part not in report.covered]
    return report


def arrays_of(source: object) -> Arrays:
    """Return the arrays that are given, or of a file."""
    if isinstance(source, Mapping):
        return user_arrays.flat_arrays(source)
    if not isinstance(source, str | os.PathLike):
        raise CheckError(f"give a function, a file or a dictionary of arrays (got {shortened(source)})")
    return user_arrays.read(Path(source))


class Submission:
    """The arrays of a program by rung, those of its exercise, and the settings that were chosen."""

    def __init__(self, given: Arrays, case: Arrays, chosen: dict[str, Any], after: int) -> None:
        self.about, self.after = cases.described({**given, **case}), after
        settings = {} if self.about is None else dict(self.about["settings"])
        if settings.get("loss") == RunConfig().loss:  # which nobody has asked for
            del settings["loss"]
        if "optimizer" in chosen:  # what the exercise says of another one does not count
            settings = {name: value for name, value in settings.items() if name in ("clip", "loss")}
        self.chosen = {**settings, **chosen}
        self.config, self.loss = RunConfig(**self.chosen), self.chosen.get("loss")
        self.steps = Steps.of(self.config)
        self.parts, self.of_case = cases.by_rung(given), cases.by_rung(case)
        self.found = {
            rung: with_case(rung, arrays, self.of_case.get(rung, {}))
            for rung, arrays in self.parts.items()
        }
        self.windows = {rung: each for rung, each in self.found.items() if rung not in SEQUENCES}

    def judge(self, report: Report) -> None:
        """Judge everything; the report may have exercises that raised. Raises CheckError."""
        if self.about is not None:
            seed, corpus = self.about.get("seed"), self.about.get("corpus")
            report.notes.append(f"the exercise with seed {seed} from {corpus}")
        self.judge_windows(report)
        for rung, found in self.found.items():
            if rung in SEQUENCES:
                # the losses of a training come of gradients and steps
                follows = rung == "train" and not report.is_right
                report.add(self.judge_sequence(rung), rung, follows)
            else:
                T = self.config.seq_length if "seq_length" in self.chosen else None
                report.add(judge_smooth(found, T, is_whole=rung != ""), rung)
        if self.parts and "" not in self.parts:
            rungs = {*self.parts, *(finding.rung for finding in report.findings)}
            report.titles = {name: rung.title for name, rung in RUNGS.items() if name in rungs}
            report.findings.sort(key=lambda each: list(RUNGS).index(each.rung))
        self.refuse_nothing(report)

    def judge_windows(self, report: Report) -> None:
        """Judge losses, states, probabilities and gradients, and steps along these."""
        windows = {
            rung: attempts_of(rung, found)
            for rung, found in self.windows.items()
            if not {role.kind for role in found.by_role} <= {"series"}
        }
        choice, of_rung = None, {}
        if any(windows.values()):
            choice = choose([ways for ways in windows.values() if ways], self.loss)
            of_rung = {attempt.rung: attempt for attempt in choice.attempts}
            report.notes += self.understood(choice)
            report.add(report_of(choice))
            own = cases.fingerprint(choice.attempts[0].e.theta)
            if self.about is not None and "" in self.parts and own != self.about["sha256"]:
                words = "the parameters are not those of the exercise: are they changed in place?"
                report.findings.insert(0, Finding("changed in place", words, NAMES))
        updates = [self.update_of(rung, choice, of_rung.get(rung)) for rung in windows]
        self.judge_steps(report, [update for update in updates if update is not None])

    def judge_steps(self, report: Report, updates: list[Update]) -> None:
        """Judge the parameters after steps, where the program's gradients are known."""
        judged = updates
        if report.findings:  # the right gradients are not the program's
            judged = [
                update
                for update in updates
                if update.rung
                or (update.is_exact and update.n == 1)
                or len(update.unchanged) == len(NAMES)
            ]
            if len(judged) < len(updates):
                report.not_checked.append("the steps along gradients that are wrong")
        if not judged:
            return
        config = self.config
        words = f"the step is that of {config.optimizer}, eta {config.eta:g}, clip {config.clip}"
        report.notes.append(words)
        report.add(judge_updates(judged, self.steps, self.chosen))
        last = report.findings[-1] if report.findings else None
        if last is not None and last.cause == "not updated" and len(last.arrays) == len(NAMES):
            report.findings = [last, *(replace(each, follows=True) for each in report.findings[:-1])]

    def update_of(self, rung: str, choice: Choice | None, attempt: Attempt | None) -> Update | None:
        """Return the parameters after steps on a window, None if there are none or no gradient."""
        found = self.found[rung]
        layout: str
        layout, theta = next(iter(layouts_in(found).items()))
        if attempt is not None:
            layout, theta = attempt.layout, attempt.e.theta
        theta, given = {name: theta[name] for name in NAMES}, found.of("after")
        after, own = (as_in_equations(each, layout, theta) for each in (given, found.of("gradient")))
        for name, (here, array) in given.items():
            if name not in after:
                parameters = found.parameters()  # as they are given, in whatever layout
                shape = parameters[name].array.shape if name in parameters else theta[name].shape
                raise CheckError(f"{here} must have the shape of {name}, {shape}, but has {array.shape}")
        if not after:
            return None
        n = self.after if rung == "" else RUNGS[rung].updates or self.after
        update = partial(Update, rung, theta, after, n, has_single_parameters(found))
        right, candidates = None, []
        if attempt is not None and choice is not None:
            right = cases.gradient_of(attempt.e, choice.convention.factor(attempt.e))
            candidates.append(update(right))
        if set(own) == set(NAMES):
            g = {name: np.asarray(array, float) for name, (_, array) in own.items()}

            def own_first(theta: Arrays, t: int) -> Arrays:
                return g if t == 1 or right is None else right(theta, t)

            candidates.insert(0, update(own_first, is_exact=True))
        # It may have saved other gradients than it stepped along.
        fitting = (update for update in candidates if update.fits(self.steps))
        return next(fitting, candidates[0]) if candidates else None

    def judge_sequence(self, rung: str) -> Report:
        """Return the verdict on the answers to a training or a sampling of the ladder."""
        theta = next(iter(layouts_in(self.found[rung]).values()))
        given = {k: array for k, array in self.of_case.get(rung, {}).items() if k != "losses"}
        arrays = {**self.parts[rung], **given}
        try:
            if rung == "train" and "losses" in arrays:
                codes = arrays["codes"].ravel().astype(int) - int(arrays["first"].item())
                T = int(arrays["T"].item())
                return judge_training(theta, codes, T, arrays["losses"], self.steps, self.loss)
            if rung == "sampling" and "sample" in arrays:
                return judge_sample(theta, arrays["h0"], 0, arrays["sample"], int(arrays["x0"].item()))
        except (KeyError, ValueError):
            raise CheckError(
                f"{rung}: an array of the exercise is missing or of another shape"
            ) from None
        return Report()

    def understood(self, choice: Choice) -> list[str]:
        """Return how the arrays were understood."""
        attempt = choice.attempts[0]
        T, B, K, m = attempt.e.sizes
        axes = "(m, K)" if attempt.layout == "column" else "(K, m)"
        words = f"T = {T}{f', B = {B}' * (B > 1)}, " if len(choice.attempts) == 1 else ""
        words += f"the loss of a window is the {'mean' if choice.convention.of_characters else 'sum'}"
        if not choice.convention.of_windows and any(each.e.sizes[1] > 1 for each in choice.attempts):
            words += ", summed over the windows, where nbrnn takes the mean"
        words += " (judged by the numbers)" * (self.loss is None)
        if Role("input", "h0") not in self.found[attempt.rung].by_role:
            words += "; there is no h0, it is taken for 0"
        return [f"{attempt.layout} layout: U is {axes}, m = {m}, K = {K}", words]

    def refuse_nothing(self, report: Report) -> None:
        """Note arrays of unknown names. Raises CheckError if there was nothing to judge."""
        for found in self.windows.values():
            for key, (name, _) in found.of("numerical").items():
                if key in found.of("gradient"):
                    report.not_checked.append(f"{name}, as there is another gradient")
        reasons = [*report.notes, *report.not_checked]
        names = [name for found in self.windows.values() for name in found.unknown]
        unknown = ", ".join(names[:10] + ["..."] * (len(names) > 10))
        if unknown:
            report.notes.append(f"not checked, since their names are unknown: {unknown}")
        if report.findings or report.judged:
            return
        has_series = any(role.kind == "series" for each in self.found.values() for role in each.by_role)
        if reasons and (report.not_checked or has_series):
            raise CheckError(reasons[-1])
        raise CheckError(
            "nothing to check: save loss, P, H, gradients (grads_W or dW), parameters after a step "
            f"(W_after) or losses{unknown and f'; unknown: {unknown}'}"
        )


def with_case(rung: str, given: Arrays, case: Arrays) -> SortedArrays:
    """Return a program's arrays by their roles, with the inputs of an exercise."""
    found = sort_arrays({name: array for name, array in given.items() if name != cases.NAME})
    for role, arrays in sort_arrays(case).by_role.items():
        for own in found.by_role.get(role, ()) if role.kind == "parameter" else ():
            if not same_numbers(own.array, arrays[0].array):
                raise CheckError(f"{own.name} is not the exercise's: does the program change it?")
        is_given = role.kind == "gradient" and rung != "" and RUNGS[rung].task == "step"
        if role.kind in ("parameter", "input") or is_given:
            found.by_role[role] = arrays
    return found


def as_in_equations(arrays: Mapping[str, Named], layout: str, theta: Arrays) -> dict[str, Named]:
    """Return arrays of the parameters' shapes as in the equations, without those of other shapes."""
    m, K = theta["U"].shape
    ways = {name: oriented(name, array, layout, m, K) for name, (_, array) in arrays.items()}
    return {k: Named(arrays[k].name, way) for k, way in ways.items() if way is not None}
