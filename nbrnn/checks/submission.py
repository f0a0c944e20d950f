"""Judge the arrays of a program: those of one exercise, or of a ladder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nbrnn.checks import case as cases
from nbrnn.checks.attempts import Attempt, Choice, attempts_of, choose
from nbrnn.checks.equations import Arrays, compute
from nbrnn.checks.gradients import report_of
from nbrnn.checks.inputs import Reading, readings
from nbrnn.checks.ladder import TITLES, UPDATES
from nbrnn.checks.report import Finding, Report
from nbrnn.checks.sequences import judge_sample, judge_training
from nbrnn.checks.series import judge_series
from nbrnn.checks.steps import Update, judge_updates
from nbrnn.checks.updates import Steps
from nbrnn.config import RunConfig
from nbrnn.errors import CheckError
from nbrnn.exchange.names import Role, SortedArrays, same_numbers, sort_arrays
from nbrnn.exchange.weights import oriented
from nbrnn.network.layout import NAMES

SEQUENCES = ("train", "sampling")  # rungs that have a judge of their own


@dataclass
class Submission:
    """The arrays of a program by rung, those of its exercise, and the settings that were said."""

    parts: dict[str, Arrays]
    of_case: dict[str, Arrays]
    about: Mapping[str, Any] | None
    said: dict[str, Any]
    after: int
    report: Report = field(default_factory=Report)

    @classmethod
    def of(cls, given: Arrays, case: Arrays, said: dict[str, Any], after: int) -> Submission:
        """Return the arrays of a program, and of the exercise if that is another file."""
        about = cases.described({**given, **case})
        settings = {} if about is None else dict(about["settings"])
        if settings.get("loss") == RunConfig().loss:  # which nobody has asked for
            del settings["loss"]
        if "optimizer" in said:  # what the exercise says of another one does not count
            settings = {name: value for name, value in settings.items() if name in ("clip", "loss")}
        return cls(cases.by_rung(given), cases.by_rung(case), about, {**settings, **said}, after)

    def judge(self, raised: Sequence[Finding] = ()) -> Report:
        """Return the report; `raised` has the exercises that ended in an error. Raises CheckError."""
        config, report = RunConfig(**self.said), self.report
        self.steps, self.loss = Steps.of(config), self.said.get("loss")
        if self.about is not None:
            seed, corpus = self.about.get("seed"), self.about.get("corpus")
            report.notes.append(f"the exercise with seed {seed} from {corpus}")
        found = {
            rung: with_case(rung, arrays, self.of_case.get(rung, {}))
            for rung, arrays in self.parts.items()
        }
        windows = {
            rung: each
            for rung, each in found.items()
            if rung not in SEQUENCES and not {role.kind for role in each.by_role} <= {"series"}
        }
        ways = {rung: readings(each) for rung, each in windows.items()}
        choice = self.judge_windows(windows, ways, config)
        updates = [self.update_of(rung, each, ways[rung][0], choice) for rung, each in windows.items()]
        self.judge_steps([update for update in updates if update is not None], config)
        for rung in self.parts:
            if rung in SEQUENCES:
                report.add(self.judge_sequence(rung, found[rung]))
            else:
                T = config.seq_length if "seq_length" in self.said else None
                report.add(judge_series(found[rung], T, rung))
        report.findings += raised
        if self.parts and "" not in self.parts:
            rungs = {*self.parts, *(finding.rung for finding in raised)}
            report.titles = {rung: title for rung, title in TITLES.items() if rung in rungs}
            report.findings.sort(key=lambda each: list(TITLES).index(each.rung))
        self.refuse_nothing(found)
        return report

    def judge_windows(
        self, windows: Mapping[str, SortedArrays], ways: Mapping[str, list[Reading]], config: RunConfig
    ) -> Choice | None:
        """Judge losses, states, probabilities and gradients; return how they were understood."""
        attempts = [attempts_of(rung, each, ways[rung]) for rung, each in windows.items()]
        if not any(attempts):
            return None
        choice = choose([each for each in attempts if each], config, self.loss)
        self.report.notes += understood(choice, windows, self.loss is None)
        self.report.add(report_of(choice))
        own = cases.fingerprint(choice.attempts[0].e.theta)
        if self.about is not None and "" in self.parts and own != self.about["sha256"]:
            words = "the parameters are not those of the exercise: are they changed in place?"
            self.report.findings.insert(0, Finding("changed in place", words, NAMES))
        return choice

    def judge_steps(self, updates: list[Update], config: RunConfig) -> None:
        """Judge the parameters after steps, where the program's gradients are known."""
        report, judged = self.report, updates
        if report.findings:  # the right gradients are not the program's
            still = [each for each in updates if len(each.unchanged()) == len(NAMES)]
            judged = [e for e in updates if e.rung or e in still or (e.is_exact and e.n == 1)]
            report.not_checked += ["the steps along gradients that are wrong"] * (
                len(judged) < len(updates)
            )
        if not judged:
            return
        clip = f"clip {config.clip}"
        report.notes.append(f"the step is that of {config.optimizer}, eta {config.eta:g}, {clip}")
        report.add(judge_updates(judged, self.steps, self.said))
        last = report.findings[-1] if report.findings else None
        if last is not None and last.cause == "not updated" and len(last.arrays) == len(NAMES):
            report.findings = [last, *(replace(each, follows=True) for each in report.findings[:-1])]

    def update_of(
        self, rung: str, found: SortedArrays, reading: Reading, choice: Choice | None
    ) -> Update | None:
        """Return the parameters after steps on a window, None if there are none or no gradient."""
        attempts: list[Attempt] = [] if choice is None else choice.attempts
        attempt = next((each for each in attempts if each.rung == rung), None)
        reading = attempt.reading if attempt else reading
        m, K = reading.theta["U"].shape
        arrays: dict[str, dict[str, Any]] = {"after": {}, "gradient": {}}
        for kind, ways in arrays.items():
            for name, (given, array) in found.of(kind).items():
                way = oriented(name, np.asarray(array), reading.layout, m, K)
                if way is not None:
                    ways[name] = (given, way)
                elif kind == "after":
                    right = reading.theta[name].shape
                    raise CheckError(f"{given} has the shape {array.shape}, {name} has {right}")
        own = {name: np.asarray(array, float) for name, (_, array) in arrays["gradient"].items()}
        uses_own = set(own) == set(NAMES)
        if not arrays["after"] or (attempt is None and not uses_own):
            return None

        def gradient(theta: Arrays, t: int) -> Arrays:
            if attempt is None or choice is None or (uses_own and t == 1):
                return own
            right = compute(replace(attempt.e, theta=theta))
            return {name: right[f"d{name}"] * choice.convention.factor(attempt.e) for name in NAMES}

        is_single = all(array.dtype == np.float32 for _, array in found.of("parameter").values())
        theta = {name: reading.theta[name] for name in NAMES}
        n = UPDATES.get(rung, self.after)
        update = Update(rung, theta, arrays["after"], gradient, n, uses_own, is_single)
        if uses_own and attempt is not None and not update.fits(self.steps):
            uses_own = False  # it may have saved other gradients than it stepped along
            uses_own = not replace(update, is_exact=False).fits(self.steps)
        return update

    def judge_sequence(self, rung: str, found: SortedArrays) -> Report:
        """Return the verdict on the answers to a training or a sampling of the ladder."""
        theta, given = readings(found)[0].theta, self.of_case.get(rung, {})
        arrays = {**self.parts[rung], **{name: a for name, a in given.items() if name != "losses"}}
        try:
            if rung == "train" and "losses" in arrays:
                codes = arrays["codes"].ravel().astype(int) - int(arrays["first"].item())
                T = int(arrays["T"].item())
                return judge_training(theta, codes, T, arrays["losses"], self.steps, self.loss)
            if rung == "sampling" and "sample" in arrays:
                return judge_sample(theta, arrays["h0"], 0, arrays["sample"], int(arrays["x0"].item()))
        except (KeyError, ValueError):
            raise CheckError(f"{rung}: an array of the exercise is missing or misshapen") from None
        return Report()

    def refuse_nothing(self, found: Mapping[str, SortedArrays]) -> None:
        """Note arrays of unknown names. Raises CheckError if there was nothing to judge."""
        report = self.report
        names = [name for rung, each in found.items() if rung not in SEQUENCES for name in each.unknown]
        unknown = ", ".join(names[:10] + ["..."] * (len(names) > 10))
        has_series = any(role.kind == "series" for each in found.values() for role in each.by_role)
        reasons = [*report.notes, *report.not_checked] if report.not_checked or has_series else []
        if unknown:
            report.notes.append(f"not checked, since their names are unknown: {unknown}")
        if report.findings or any(row.is_right is not None for row in report.rows):
            return
        nothing = (
            "there is nothing to check: no loss, P, H, gradients (grads_W or dW), parameters after "
            f"a step (W_after) or losses; unknown names: {unknown or 'none'}"
        )
        raise CheckError(reasons[-1] if reasons else nothing)


def with_case(rung: str, given: Arrays, case: Arrays) -> SortedArrays:
    """Return a program's arrays by their roles, with the inputs of an exercise."""
    found = sort_arrays({name: array for name, array in given.items() if name != cases.NAME})
    for role, arrays in sort_arrays(case).by_role.items():
        for own in found.by_role.get(role, ()) if role.kind == "parameter" else ():
            if not same_numbers(own.array, arrays[0].array):
                raise CheckError(f"{own.name} is not the exercise's: is it changed in place?")
        if role.kind in ("parameter", "input") or (role.kind == "gradient" and rung in UPDATES):
            found.by_role[role] = arrays
    return found


def understood(choice: Choice, found: Mapping[str, SortedArrays], by_numbers: bool) -> list[str]:
    """Return how the arrays were understood."""
    attempt = choice.attempts[0]
    T, B, K, m = attempt.e.sizes
    axes = "(m, K)" if attempt.reading.layout == "column" else "(K, m)"
    state = (
        ""
        if Role("input", "h0") in found[attempt.rung].by_role
        else "; there is no h0, it is taken for 0"
    )
    sizes = f"T = {T}{f', B = {B}' * (B > 1)}, " if len(choice.attempts) == 1 else ""
    return [
        f"{attempt.reading.layout} layout: U is {axes}, m = {m}, K = {K}",
        f"{sizes}the loss of a window is {choice.words()}{', by its numbers' * by_numbers}{state}",
    ]
