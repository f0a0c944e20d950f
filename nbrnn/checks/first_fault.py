"""Say what is wrong with the loss, states, probabilities and gradients of a program, and where first.

Each array is compared with the right one, and with what follows from the program's own arrays before it:
the first that does not follow is the fault. A mistake is named only where it explains every number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from nbrnn.checks.equations import BACKWARD, FORWARD, GRADIENTS, LINES
from nbrnn.checks.judging import Attempt, Choice, Judged
from nbrnn.checks.ladder import RUNGS, until
from nbrnn.checks.mistakes import FACTORS, MISTAKES, words_of
from nbrnn.checks.report import Finding, Report, Row, where
from nbrnn.checks.tolerances import FLOOR, distance, largest
from nbrnn.errors import CheckError
from nbrnn.exchange.weights import oriented
from nbrnn.typing import Array

FIRST = {"state", "start", "logits", "softmax"}  # lines whose mistakes the arrays after them have, too
OWN = ((), ("H", "O", "P"), ("H", "O", "P", *BACKWARD))  # of the program, from which a mistake may start
ILL_CONDITIONED = (
    "the exercise is ill-conditioned: rounding in {} alone may change it more than a mistake would; use "
    "float64, smaller weights or fewer steps"
)


def report_of(choice: Choice) -> Report:
    """Return rows and findings."""
    report, failing = Report(notes=list(choice.notes)), []
    for number, attempt in enumerate(choice.attempts):
        wrong, rung = wrong_in(attempt), attempt.rung
        failing += [number] * bool(wrong)
        if attempt.judged and attempt.e.sizes[1] > 1:
            report.covered.add("windows")
        for each in attempt.judged.values():
            follows = each in wrong[1:] and attempt.follows(each)
            verdict = "follows from the above" if follows else each.verdict
            row = Row.of(each.name, LINES[each.key].what, each.found, each.right, each.is_right, verdict)
            report.rows.append(replace(row, shape=each.shape, rung=rung))
            if each.is_right is None:
                of_rung = f" of {RUNGS[rung].title}" if rung else ""
                words = ILL_CONDITIONED.format(attempt.precision)
                report.not_checked.append(f"{each.name}{of_rung}: {words}")
            elif each.key not in FORWARD:
                report.covered.add("loss" if each.key == "loss" else "gradients")
            if each.verdict.startswith(("right, with", "right, as")):
                report.notes.append(f"{each.name}: {each.verdict}")
    if failing:
        report.findings += findings_of(choice, failing[0])
    return report


def wrong_in(attempt: Attempt) -> list[Judged]:
    """Return the wrong answers to an exercise, in the order of the equations."""
    return [each for each in attempt.judged.values() if each.is_right is False]


# ---------------------------------------------------------------- findings


def findings_of(choice: Choice, first: int) -> Iterator[Finding]:
    """Yield what is wrong on the first exercise that fails.

    Raises CheckError for states of ReLU, whose gradients are other equations.
    """
    attempt, before = choice.attempts[first], choice.attempts[first - 1].rung if first else ""
    wrong = wrong_in(attempt)
    faults = [each for each in wrong if each is wrong[0] or not attempt.follows(each)]
    groups = grouped(faults, choice.attempts)
    for number, (causes, group) in enumerate(groups):
        if causes == ["relu"] and group[0].key == "H":
            raise CheckError("the states are those of a ReLU network, and only tanh can be checked")
        sentence = sentence_of(group, causes, choice)
        if number == 0 and attempt.rung:
            isolates = RUNGS[attempt.rung].isolates
            sentence = f"{until(attempt.rung, before)}{sentence}. New there: {isolates}"
        cause = causes[0] if len(causes) == 1 else None
        follows = number > 0 and (groups[0][1][0].key == "loss" or not causes)
        yield Finding(cause, sentence, arrays_in(group), follows, attempt.rung)
        rest = [each for _, others in groups[number + 1 :] for each in others]
        lines = {line for cause in causes if cause in MISTAKES for line in MISTAKES[cause][1]}
        is_forward = group[0].key in FORWARD or bool(lines & FIRST)
        if is_forward and rest and rest[0].key.startswith("d"):
            # Automatic differentiation makes right gradients of a wrong forward pass: they have no name.
            names = ", ".join(each.name for each in rest)
            words = f"{names}: not those of a right forward pass; correct that first"
            yield Finding(None, words, arrays_in(rest), True, attempt.rung)
            break


def arrays_in(group: list[Judged]) -> tuple[str, ...]:
    """Return the names of arrays in the equations, those of parameters for their gradients."""
    return tuple(each.key[1:] if each.key in GRADIENTS else each.key for each in group)


def grouped(faults: list[Judged], attempts: Sequence[Attempt]) -> list[tuple[list[str], list[Judged]]]:
    """Return the wrong arrays by what explains them: the fewest causes, each for as many as it can."""
    causes = {each.key: explanation(each.key, attempts) for each in faults}
    rest, groups = list(faults), []
    while names := [name for each in rest for name in causes[each.key]]:
        best = max(names, key=names.count)
        group = [each for each in rest if best in causes[each.key]]
        shared = [name for name in causes[group[0].key] if all(name in causes[e.key] for e in group)]
        groups.append((shared, group))
        rest = [each for each in rest if each not in group]
    families: dict[str, list[Judged]] = {}
    for each in rest:
        alone = each.key not in GRADIENTS or not each.has_shape
        family = each.key if alone else f"from {LINES[each.key].source}"
        families.setdefault(family, []).append(each)
    groups += [([], group) for group in families.values()]
    return sorted(groups, key=lambda group: list(LINES).index(group[1][0].key))


def sentence_of(group: list[Judged], causes: list[str], choice: Choice) -> str:
    """Return what is wrong with arrays of one cause, or of none that is known."""
    names, first = ", ".join(each.name for each in group), group[0]
    attempt, key = first.attempt, first.key
    if causes:
        words = ", or ".join(words_of(cause) for cause in causes[:3])
        if key == "loss" and causes[0] in ("factor T", "factor 1/T"):
            kind = "mean" if choice.convention.of_characters else "sum"
            words += f", while the gradients are those of the {kind}"
        return f"{names}: {words}"
    if not first.has_shape:
        shape = attempt.e.theta[key[1:]].shape if key in GRADIENTS else first.right.shape
        return f"{first.name} has the shape {first.shape}, it should be {shape}"
    right = attempt.following.right[key]
    right = right if np.isfinite(right).all() else first.right
    scale = first.scale
    place = where(key, first.found * scale, right * scale, first.tolerance * scale)
    verb = "differs" if len(group) == 1 else f"differ, {first.name}"
    lines = "; ".join(LINES[line].formula for line in suspects(key, attempt))
    return (
        f"{names} {verb} {place}. It should follow from arrays that are given or right by: "
        f"{lines}. No known mistake explains it"
    )


def suspects(key: str, attempt: Attempt) -> list[str]:
    """Return the lines between an array and those before it that are given, or must be right."""
    right = {name for name, each in attempt.judged.items() if each.is_right}
    telling = right & {"dV", "dc", "dU", "db"}  # dW is 0 where h_0 is
    known = {*attempt.own, *(LINES[name].source for name in telling)}
    chain = [key]
    while (source := LINES[chain[0]].source) and source not in known:
        chain.insert(0, source)
    return chain


# ---------------------------------------------------------------- what explains an array


def explanation(key: str, attempts: Sequence[Attempt]) -> list[str]:
    """Return the known mistakes that give every number of an array on every exercise it is given for."""
    answers = [attempt.judged[key] for attempt in attempts if key in attempt.judged]
    answers = [each for each in answers if each.is_right is not None]
    overflowing = [
        each
        for each in answers
        if each.attempt.rung == "large_logits" and not np.isfinite(each.found).all()
    ]
    if 0 < len(overflowing) < len(answers):
        answers = [each for each in answers if each not in overflowing]
        if all(each.is_right for each in answers):
            return ["overflow"]  # else another mistake, which explains no overflow
    if not all(each.has_shape for each in answers):
        return ["transposed"] * all(map(is_transposed, answers))
    if not any(each.found.any() for each in answers):
        return ["zero"]

    found = [
        name
        for name, (_, ratio) in FACTORS.items()
        if all(matches(each, each.right * ratio(*each.attempt.e.sizes[:3])) for each in answers)
    ]
    found += [name for name in MISTAKES if all(gives(name, each) for each in answers)]
    if key == "dW" and all(matches(each, each.right.T) for each in answers):
        found.append("transposed")
    if key == "H" and not found and all(only_first_differs(each) for each in answers):
        found.append("another h_0")
    return found


def is_transposed(each: Judged) -> bool:
    """Return whether a gradient has the shape of its transpose."""
    attempt = each.attempt
    array, other = attempt.answers[each.key].array, "row" if attempt.layout == "column" else "column"
    m, K = attempt.e.theta["U"].shape
    return each.key in GRADIENTS and oriented(each.key[1:], array, other, m, K) is not None


def gives(name: str, each: Judged) -> bool:
    """Return whether a mistake gives every number, from the program's own arrays or from right ones."""
    for own in OWN[:1] if FIRST & MISTAKES[name][1].keys() else OWN:
        result = each.attempt.suppose(name, own)[each.key]
        if each.key == "H" and np.array_equal(each.found[0], each.attempt.e.h0):
            result = np.concatenate([each.found[:1], result[1:]])  # h_0 was put in front by us
        if matches(each, result):
            return True
    return False


def matches(each: Judged, result: Array) -> bool:
    """Return whether a hypothesis gives every number; its own numbers do not widen the tolerance."""
    share = FLOOR[each.attempt.precision]
    if each.right.any():
        share = min(each.tolerance / largest(each.right), 1e-4)
    return distance(each.found, result) <= share * largest(each.found) < np.inf


def only_first_differs(each: Judged) -> bool:
    """Return whether all states but h_1 follow from those before them."""
    attempt, right = each.attempt, each.attempt.following.right["H"]
    tolerance = attempt.following.of("H", attempt.precision)
    if len(right) < 4:  # the last may be one that we computed
        return False
    return distance(each.found[2:], right[2:]) <= tolerance < distance(each.found[:2], right[:2])
