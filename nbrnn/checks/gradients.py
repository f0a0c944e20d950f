"""Say what is wrong with the loss, states, probabilities and gradients of a program, and where first.

Each array is compared with the right one, and with what follows from the program's own arrays before it:
the first that does not follow is the fault. A mistake is named only where it explains every number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from nbrnn.checks.answers import transposed, ways_of, where
from nbrnn.checks.attempts import BACKWARD, Attempt, Choice, Judged, distance
from nbrnn.checks.equations import FORWARD, GRADIENTS, LINES, compute
from nbrnn.checks.ladder import ISOLATES, TITLES
from nbrnn.checks.mistakes import FACTORS, MISTAKES
from nbrnn.checks.report import Finding, Report, Row
from nbrnn.checks.tolerances import FLOOR, largest
from nbrnn.errors import CheckError
from nbrnn.typing import Array

WHAT = {"H": "states", "h_last": "last state", "O": "logits", "P": "probabilities", "loss": "loss"}
WHAT |= {key: f"gradient of {key[1].lower()}_t" for key in BACKWARD}
WHAT |= {key: f"gradient of {key[1]}" for key in GRADIENTS}
PART_OF = {"loss": "loss", **dict.fromkeys((*BACKWARD, *GRADIENTS), "gradients")}
BEFORE = {"h_last": "H", "O": "H", "P": "O", "loss": "P", "dO": "P", "dH": "dO", "dA": "dH"}
BEFORE |= {"dV": "dO", "dc": "dO", "dW": "dA", "dU": "dA", "db": "dA"}
FIRST = {"state", "start", "logits", "softmax"}  # lines whose mistakes the arrays after them have, too
OWN = ((), ("H", "O", "P"), ("H", "O", "P", *BACKWARD))  # of the program, from which a mistake may start
ILL_CONDITIONED = (
    "the exercise is ill-conditioned: rounding in {} alone may change it more than a mistake would; use "
    "float64, smaller weights or fewer steps"
)
OTHERS = {
    "transposed": "it is transposed",
    "zero": "0 everywhere: nothing is added to it",
    "another h_0": "h_1 does not follow from the given h_0, and all later states do from those before: "
    "another state was used, or h0 was overwritten before it was saved",
}


def report_of(choice: Choice) -> Report:
    """Return rows and findings."""
    report = Report(notes=list(choice.notes))
    for attempt, judged in zip(choice.attempts, choice.judged, strict=True):
        wrong = [judged[key] for key in LINES if key in judged and judged[key].is_right is False]
        if judged and attempt.e.sizes[1] > 1:
            report.covered.add("windows")
        for each in judged.values():
            if each.is_right is not None and each.key in PART_OF:
                report.covered.add(PART_OF[each.key])
            follows = each in wrong[1:] and attempt.follows(each)
            report.rows.append(
                row_of(each, attempt.rung, "follows from the above" if follows else each.verdict)
            )
            if each.is_right and each.verdict.startswith(("right, with", "right, as")):
                report.notes.append(f"{each.name}: {each.verdict}")
            if each.is_right is None:
                of_rung = f" of {TITLES[attempt.rung]}" if attempt.rung else ""
                words = ILL_CONDITIONED.format(attempt.precision)
                report.not_checked.append(f"{each.name}{of_rung}: {words}")
        report.rows += numerical_rows(attempt, choice.convention.factor(attempt.e), report)
    failing = [any(each.is_right is False for each in judged.values()) for judged in choice.judged]
    if any(failing):
        report.findings += list(findings_of(choice, failing.index(True)))
    return report


def row_of(each: Judged, rung: str, verdict: str, kind: str = "") -> Row:
    """Return the row of an answer."""
    what = f"{kind}{WHAT[each.key]}"
    row = Row.of(each.name, what, each.found, each.right, each.is_right, verdict, rung)
    return replace(row, shape=each.shape)


def numerical_rows(attempt: Attempt, factor: float, report: Report) -> Iterator[Row]:
    """Yield the rows of gradients that the program made by numerical differences."""
    for key, (name, array) in attempt.numerical.items():
        right = attempt.tolerances.right[key]
        found = next(iter(ways_of(key, array, attempt.e, attempt.reading.layout)), array) / factor
        is_right = distance(found, right) <= 1e-4 * largest(right)
        verdict = "right" if is_right else "wrong"
        each = Judged(key, name, array.shape, found, right, 0.0, is_right, verdict)
        report.covered.add("gradients")
        yield row_of(each, attempt.rung, each.verdict, "numerical ")
        if not is_right:
            sentence = f"{name} is neither the gradient nor near it by numerical differences"
            report.findings.append(Finding(None, sentence, (key[1:],), rung=attempt.rung))


# ---------------------------------------------------------------- findings


def findings_of(choice: Choice, first: int) -> Iterator[Finding]:
    """Yield what is wrong on the first exercise that fails; then arrays that only later ones show.

    Raises CheckError for states of ReLU, whose gradients are other equations.
    """
    attempt, judged = choice.attempts[first], choice.judged[first]
    wrong = [judged[key] for key in LINES if key in judged and judged[key].is_right is False]
    faults = [each for n, each in enumerate(wrong) if n == 0 or not attempt.follows(each)]
    is_forward = False
    for number, (causes, group) in enumerate(grouped(faults, choice)):
        if causes == ["relu"] and group[0].key == "H":
            raise CheckError("the states are those of a ReLU network, and only tanh can be checked")
        sentence = sentence_of(group, causes, attempt, judged, choice)
        if number == 0 and attempt.rung:
            sentence = f"{until(choice, first)}{sentence}. New there: {ISOLATES[attempt.rung]}"
        cause = causes[0] if len(causes) == 1 else None
        arrays = tuple(each.key[1:] if each.key in GRADIENTS else each.key for each in group)
        yield Finding(cause, sentence, arrays, number > 0 and (is_forward or not causes), attempt.rung)
        is_forward = is_forward or group[0].key in FORWARD
    later = {
        key: (each, other.rung)
        for other, answers in zip(choice.attempts[first + 1 :], choice.judged[first + 1 :], strict=True)
        for key, each in answers.items()
        if each.is_right is False and key not in judged
    }
    for key, (each, rung) in later.items():
        yield Finding(None, f"{each.name} is wrong, which only '{TITLES[rung]}' has", (key,), True, rung)


def grouped(faults: list[Judged], choice: Choice) -> list[tuple[list[str], list[Judged]]]:
    """Return the wrong arrays by what explains them: the fewest causes, each for as many as it can."""
    causes = {each.key: explanation(each.key, choice) for each in faults}
    rest, groups = list(faults), []
    while rest:
        names = [name for each in rest for name in causes[each.key]]
        if not names:
            break
        most = max(map(names.count, names))
        keys = [each.key for each in rest if max(names, key=names.count) in causes[each.key]]
        best = [name for name in dict.fromkeys(names) if names.count(name) == most
                and all(name in causes[key] for key in keys)]  # fmt: skip
        groups.append((best, [each for each in rest if each.key in keys]))
        rest = [each for each in rest if each.key not in keys]
    families: dict[str, list[Judged]] = {}
    for each in rest:
        alone = each.key in FORWARD or each.key in BACKWARD or not each.has_shape
        family = each.key if alone else "output" if each.key in ("dV", "dc") else "states"
        families.setdefault(family, []).append(each)
    groups += [([], group) for group in families.values()]
    return sorted(groups, key=lambda group: list(LINES).index(group[1][0].key))


def until(choice: Choice, first: int) -> str:
    """Return how far the program is right, in words."""
    name = TITLES[choice.attempts[first].rung]
    if first == 0:
        return f"In the first exercise ('{name}') "
    return f"Right up to '{TITLES[choice.attempts[first - 1].rung]}'; in '{name}' "


def sentence_of(
    group: list[Judged],
    causes: list[str],
    attempt: Attempt,
    judged: Mapping[str, Judged],
    choice: Choice,
) -> str:
    """Return what is wrong with arrays of one cause, or of none that is known."""
    names, first = ", ".join(each.name for each in group), group[0]
    if causes:
        words = ", or ".join(words_of(cause) for cause in causes[:3])
        if first.key == "loss" and causes[0] in ("factor T", "factor 1/T"):
            kind = "mean" if choice.convention.of_characters else "sum"
            words += f", while the gradients are those of the {kind}"
        return f"{names}: {words}"
    if not first.has_shape:
        shape = attempt.e.theta[first.key[1:]].shape if first.key in GRADIENTS else first.right.shape
        return f"{first.name} has the shape {first.shape}, it should be {shape}"
    right = attempt.following.right[first.key]
    right = right if np.isfinite(right).all() else first.right
    scale = first.scale
    place = where(first.key, first.found * scale, right * scale, first.tolerance * scale)
    verb = "differs" if len(group) == 1 else f"differ, {first.name}"
    lines = "; ".join(LINES[key] for key in suspects(first.key, attempt, judged))
    return (
        f"{names} {verb} {place}. What makes it from arrays that are given or right: "
        f"{lines}. No known mistake explains it"
    )


def suspects(key: str, attempt: Attempt, judged: Mapping[str, Judged]) -> list[str]:
    """Return the lines between an array and those before it that are given, or must be right."""
    right = {name for name, each in judged.items() if each.is_right}
    known = set(attempt.own) | ({"dO"} if right & {"dV", "dc"} else set())
    known |= {"dA"} if right & {"dU", "db"} else set()
    chain = [key]
    while chain[0] in BEFORE and BEFORE[chain[0]] not in known:
        chain.insert(0, BEFORE[chain[0]])
    return chain


def words_of(cause: str) -> str:
    """Return the sentence of a cause."""
    return OTHERS.get(cause) or (MISTAKES[cause][0] if cause in MISTAKES else FACTORS[cause][0])


# ---------------------------------------------------------------- what explains an array


def explanation(key: str, choice: Choice) -> list[str]:
    """Return the known mistakes that give every number of an array on every exercise it is given for."""
    pairs = [
        (attempt, judged[key])
        for attempt, judged in zip(choice.attempts, choice.judged, strict=True)
        if key in judged and judged[key].is_right is not None
    ]
    if not all(each.has_shape for _, each in pairs):
        is_transposed = all(transposed(key, a.answers[key][1], a.e, a.reading.layout) for a, _ in pairs)
        return ["transposed"] * is_transposed
    if all(not each.found.any() for _, each in pairs):
        return ["zero"]
    found = [
        name
        for name, (_, ratio) in FACTORS.items()
        if all(matches(a, each, each.right * ratio(*a.e.sizes[:3])) for a, each in pairs)
    ]
    found += [name for name in MISTAKES if all(given_by(name, attempt, each) for attempt, each in pairs)]
    if key == "dW" and all(matches(a, each, each.right.T) for a, each in pairs):
        found.append("transposed")
    if key == "H" and not found and all(only_first_differs(a, each) for a, each in pairs):
        found.append("another h_0")
    return found


def given_by(name: str, attempt: Attempt, each: Judged) -> bool:
    """Return whether a mistake gives every number, from the program's own arrays or from right ones."""
    for own in OWN[:1] if FIRST & vars(type(MISTAKES[name][1])).keys() else OWN:
        if (name, own) not in attempt.supposed:
            arrays = {key: array for key, array in attempt.own.items() if key in own}
            attempt.supposed[name, own] = compute(attempt.e, MISTAKES[name][1], arrays)
        result = attempt.supposed[name, own][each.key]
        if each.key == "H" and np.array_equal(each.found[0], attempt.e.h0):
            result = np.concatenate([each.found[:1], result[1:]])  # h_0 was put in front by us
        if matches(attempt, each, result):
            return True
    return False


def matches(attempt: Attempt, each: Judged, result: Array) -> bool:
    """Return whether a hypothesis gives every number; its own numbers do not widen the tolerance."""
    share = each.tolerance / max(largest(each.right), 1e-300)
    share = min(share, 1e-4) if each.right.any() else FLOOR[attempt.precision]
    return bool(distance(each.found, result) <= share * largest(each.found) < np.inf)


def only_first_differs(attempt: Attempt, each: Judged) -> bool:
    """Return whether all states but h_1 follow from those before them."""
    right, tolerance = attempt.following.right["H"], attempt.following.of("H", attempt.precision)
    if len(right) < 4:  # the last may be one that we computed
        return False
    return distance(each.found[2:], right[2:]) <= tolerance < distance(each.found[:2], right[:2])
