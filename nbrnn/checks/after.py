"""Are the parameters after steps what the optimizer makes of them?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from nbrnn.checks import causes
from nbrnn.checks.answers import Answer, forward_answers, parameter_answers
from nbrnn.checks.examine import Examination, finite
from nbrnn.checks.gradients import Own
from nbrnn.checks.matching import error
from nbrnn.checks.problem import Problem
from nbrnn.checks.reference import (
    BACKWARD_FAULTS,
    DERIVED,
    LOSS_FAULTS,
    OUTPUT_FAULTS,
    STATE_FAULTS,
    Fault,
    forward,
    gradient,
    signals,
)
from nbrnn.checks.report import Finding, Row
from nbrnn.checks.steps import Theta
from nbrnn.checks.updates import Gradient, Stepping, Steps
from nbrnn.config import option_name
from nbrnn.errors import CheckError
from nbrnn.exchange.names import SortedArrays
from nbrnn.network.layout import NAMES
from nbrnn.typing import Array


def examine_steps(done: Examination, found: SortedArrays, n: int) -> None:
    """Add the rows of the parameters after n steps, and what is wrong with them.

    The first step is along the program's own gradients, where it gave them all; else along what they
    should be, with the mistakes that were found. All steps are on the same window.
    """
    layout, theta = done.reading.layout, done.reading.theta
    if not theta:
        return
    m, K = theta["U"].shape
    answers = parameter_answers(found.of("after"), layout, m, K)
    if not answers:
        return
    own = own_gradients(parameter_answers(found.of("gradient"), layout, m, K), theta)
    if own is None and done.reading.problem is None:
        raise CheckError("parameters after a step need the gradients, or x and y, to be checked")
    if own is None or n > 1:
        if done.reading.problem is None:
            raise CheckError(f"--after {n} needs x and y: the gradients are those of the first step")
        stepping = Stepping(theta, answers, explained_gradient(done, ()), done.config, n, exact=False)
    else:
        stepping = Stepping(theta, answers, lambda theta: own, done.config, n, exact=True)
    still = [name for name in stepping.alone().unexplained if is_unchanged(answers[name], theta[name])]
    if still:
        add_unchanged(done, still, answers)
    moved = {name: answer for name, answer in answers.items() if name not in still}
    moving = replace(stepping, answers=moved, gradient=without(stepping.gradient, still))
    best, fault = with_fault_before(done, moving)
    add_findings(done, best, fault, moving)
    find_late_loss(done, stepping, forward_answers(found, done.reading).get("loss"))
    add_rows(done, answers, stepping)


def is_unchanged(after: Answer, before: Array) -> bool:
    """Whether a parameter is just what it was."""
    return np.array_equal(after.ways[0].ravel(), before.ravel())


def without(gradient_at: Gradient, names: Collection[str]) -> Gradient:
    """Return the gradient that leaves some parameters as they are."""
    return lambda theta: {name: g * 0 if name in names else g for name, g in gradient_at(theta).items()}


def add_unchanged(done: Examination, names: list[str], answers: Mapping[str, Answer]) -> None:
    """Note parameters that no step has changed; if all are such, first of all, since much may follow."""
    called, arrays = ", ".join(answers[name].name for name in names), tuple(f"{n} after" for n in names)
    if len(names) < len(NAMES):
        sentence = f"{called}: not updated, the same as before the step"
        done.findings.append(Finding("not updated", sentence, arrays))
        return
    sentence = (
        f"{called}: the same as before the step: is nothing updated, or are those before changed in "
        "place, as of a dictionary that is copied without its arrays?"
    )
    done.find_first(Finding("not updated", sentence, arrays))


def find_late_loss(done: Examination, stepping: Stepping, loss: Answer | None) -> None:
    """Say of a loss without an explanation if it is that of the parameters after the step."""
    problem = done.reading.problem
    for place, finding in enumerate(done.findings):
        if problem and loss and finding.cause is None and finding.arrays == ("loss",):
            after = forward(problem.with_theta(replace(stepping, n=1).right())).loss
            if loss.error(np.array(after)) <= done.tolerance["loss"].single:
                cause = "loss after the step"
                done.findings[place] = replace(finding, cause=cause, sentence=causes.of_fault(cause))


def own_gradients(gradients: Mapping[str, Answer], theta: Theta) -> Theta | None:
    """Return the program's own gradients, if it gave them all in the shapes of the parameters."""
    if set(gradients) != set(NAMES):
        return None
    own = {name: answer.ways[0] for name, answer in gradients.items()}
    fit = all(own[name].shape == theta[name].shape and np.isfinite(own[name]).all() for name in NAMES)
    return own if fit and not any(answer.turned for answer in gradients.values()) else None


def explained_gradient(done: Examination, more: tuple[Fault, ...]) -> Gradient:
    """Return the gradient of any parameters, with the mistakes that were found in it, and more."""
    problem, base, back = done.reading.problem, done.forward, done.backward
    assert problem is not None and base is not None and back is not None
    problem = replace(problem, h0=base.at.H[0])  # the state that the program has begun with
    derived = (DERIVED,) if back.derived else ()
    faults = (*base.faults, *back.faults, *derived, *more)

    def at(theta: Theta) -> Theta:
        here: Problem = problem.with_theta(theta)
        states = forward(here, faults)
        way_back = signals(here, states, faults)
        found = {}
        for name in NAMES:
            right = gradient(name, here, states, way_back)
            assert right is not None
            own = back.own.get(name)
            wrong = (
                gradient(name, here, states, way_back, own.assembly) if own and own.assembly else right
            )
            same = wrong is not None and wrong.shape == right.shape
            found[name] = scaled(wrong if same and wrong is not None else right, own)
        return found

    return at


def scaled(
    array: np.ndarray[tuple[int, ...], np.dtype[np.float64]], own: Own | None
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return a gradient with the factor, or clipped as, the program's own is."""
    for how in own.scalings if own else ():
        if how.kind == "clipped":
            array = np.clip(array, -how.number, how.number)
        elif how.kind == "norm":
            array = array * min(1.0, how.number / float(np.linalg.norm(array)))
        else:
            array = array * how.number
    return array


def with_fault_before(done: Examination, stepping: Stepping) -> tuple[Steps, Fault | None]:
    """Return what explains the parameters, and, if no gradients were given, a mistake in these."""
    best = stepping.explain()
    if best.cost == 0 or stepping.exact or (done.backward and done.backward.own):
        return best, None
    known = done.forward is not None and bool(done.rows)
    for fault in (*(() if known else (*STATE_FAULTS, *OUTPUT_FAULTS, *LOSS_FAULTS)), *BACKWARD_FAULTS):
        other = Stepping(
            stepping.theta,
            stepping.answers,
            explained_gradient(done, (fault,)),
            stepping.config,
            stepping.n,
            exact=False,
        )
        after = other.alone()
        if not after.unexplained and best.cost > 1:
            return after, fault
    return best, None


def add_findings(done: Examination, best: Steps, fault: Fault | None, stepping: Stepping) -> None:
    """Note what is wrong with the steps."""
    config = stepping.config
    inside = config.optimizer != "adam"
    words = {
        "clip": f"{config.clip}",
        "optimizer": config.optimizer,
        "there": "outside" if inside else "inside",
        "here": "inside" if inside else "outside",
    }
    arrays = tuple(f"{name} after" for name in stepping.answers)
    for each in (*(() if fault is None else (fault,)), *best.faults):
        done.findings.append(Finding(str(each), causes.of_fault(each, **words), arrays))
    if best.optimizer is not None:
        sentence = f"these are steps of {best.optimizer}, where the settings say {config.optimizer}"
        done.findings.append(Finding("optimizer", sentence, arrays))
    if best.multiple is not None:
        eta = f"as if {option_name('eta')} were {best.multiple * config.eta:.4g}"
        done.findings.append(
            Finding("eta", f"the step is {best.multiple:g} times what it should be, {eta}", arrays)
        )
    for name in best.unexplained:
        shape, answer = stepping.theta[name].shape, stepping.answers[name]
        if answer.ways[0].shape != shape:
            sentence = f"{answer.name} has the shape {answer.array.shape}, {name} has {shape}"
            done.findings.append(Finding(None, sentence, (f"{name} after",), bool(done.findings)))
    before, after = stepping.theta, stepping.answers
    before, after = stepping.theta, stepping.answers
    others = [name for name in best.unexplained if after[name].ways[0].shape == before[name].shape]
    if others:
        names = ", ".join(stepping.answers[name].name for name in others)
        sentence = f"{names}: not what {config.optimizer} makes of the parameters before"
        follows = bool(done.findings)
        done.findings.append(Finding(None, sentence, tuple(f"{name} after" for name in others), follows))


def add_rows(done: Examination, answers: Mapping[str, Answer], stepping: Stepping) -> None:
    """Add a row for each parameter, its error that of the change."""
    right = stepping.right()
    allowed = stepping.rounding(right)
    for name, answer in answers.items():
        (found,) = answer.ways
        before = stepping.theta[name]
        if found.shape != before.shape:
            row = Row(
                answer.name,
                f"{name} after",
                answer.array.shape,
                None,
                None,
                f"wrong: {len(done.findings)}",
            )
            done.rows.append(row)
            continue
        change, expected = found - before, right[name] - before
        off = error(change, expected)
        blamed = [
            str(number)
            for number, finding in enumerate(done.findings, 1)
            if f"{name} after" in finding.arrays
        ]
        largest = float(np.abs(change - expected).max() / max(float(np.abs(expected).max()), 1e-300))
        verdict = "right" if off <= 1e-9 else "right, in float32"
        if off > allowed[name] or blamed:
            verdict = "right" if off <= 1e-9 else f"wrong: {', '.join(blamed)}"
        steps = f"{name} after {stepping.n} step{'s' * (stepping.n > 1)}"
        done.rows.append(
            Row(answer.name, steps, answer.array.shape, finite(largest), finite(off), verdict)
        )
