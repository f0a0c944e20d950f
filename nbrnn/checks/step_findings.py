"""The comparison of parameters after steps with what the optimizer makes of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from nbrnn.checks.answers import Answer, forward_answers, parameter_answers
from nbrnn.checks.examination import FOLLOWS, Examination, errors
from nbrnn.checks.faults import (
    BACKWARD_FAULTS,
    LOSS_FAULTS,
    OUTPUT_FAULTS,
    STATE_FAULTS,
    Fault,
    sentence_of,
)
from nbrnn.checks.gradient_search import Own
from nbrnn.checks.optimizer_steps import Theta
from nbrnn.checks.reference import DERIVED, forward, gradient, signals
from nbrnn.checks.report import Finding, Row
from nbrnn.checks.step_search import Gradient, Stepping, Steps
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
    theta = done.reading.theta
    answers = parameter_answers(found.of("after"), done.reading) if theta else {}
    if not answers:
        return
    own = own_gradients(parameter_answers(found.of("gradient"), done.reading), theta)
    if own is None and done.reading.problem is None:
        raise CheckError("parameters after a step need the gradients, or x and y, to be checked")
    if own is None or n > 1:
        if done.reading.problem is None:
            raise CheckError(f"--after {n} needs x and y: the gradients are those of the first step")
        stepping = Stepping(theta, answers, explained_gradient(done, ()), done.config, n, exact=False)
    else:
        stepping = Stepping(theta, answers, lambda theta: own, done.config, n, exact=True)
    still = [
        name
        for name in stepping.alone().unexplained
        if np.array_equal(answers[name].ways[0].ravel(), theta[name].ravel())
    ]
    if still:
        add_unchanged(done, still, answers)
    moved = {name: answer for name, answer in answers.items() if name not in still}
    moving = replace(stepping, answers=moved, gradient=without(stepping.gradient, still))
    best, fault = with_fault_before(done, moving)
    add_findings(done, best, fault, moving)
    find_late_loss(done, stepping, forward_answers(found, done.reading).get("loss"))
    add_rows(done, answers, stepping)


def without(gradient_at: Gradient, names: Collection[str]) -> Gradient:
    """Return the gradient that leaves some parameters as they are."""
    return lambda theta: {name: g * 0 if name in names else g for name, g in gradient_at(theta).items()}


def add_unchanged(done: Examination, names: list[str], answers: Mapping[str, Answer]) -> None:
    """Add parameters that no step has changed; if all are such, first of all, since much may follow."""
    arrays = tuple(f"{name} after" for name in names)
    sentence = f"{', '.join(answers[name].name for name in names)}: the same as before the step: "
    if len(names) < len(NAMES):
        done.find("not updated", f"{sentence}not updated", arrays)
        return
    sentence += (
        "is nothing updated, or are those before changed in place, because a dictionary was copied "
        "without its arrays?"
    )
    done.find_first(Finding("not updated", sentence, arrays))


def find_late_loss(done: Examination, stepping: Stepping, loss: Answer | None) -> None:
    """Explain an unexplained loss if it is that of the parameters after the step."""
    problem, cause = done.reading.problem, "loss after the step"
    for finding in done.findings:
        if problem and loss and finding.cause is None and finding.arrays == ("loss",):
            after = forward(replace(problem, theta=replace(stepping, n=1).right())).loss
            if loss.error(np.array(after)) <= done.tolerance["loss"].single:
                done.substitute(finding, replace(finding, cause=cause, sentence=sentence_of(cause)))


def own_gradients(gradients: Mapping[str, Answer], theta: Theta) -> Theta | None:
    """Return the program's own gradients, if it gave them all in the shapes of the parameters."""
    if set(gradients) != set(NAMES):
        return None
    own = {name: answer.ways[0] for name, answer in gradients.items()}
    fit = all(own[name].shape == theta[name].shape and np.isfinite(own[name]).all() for name in NAMES)
    return own if fit and not any(answer.is_transposed for answer in gradients.values()) else None


def explained_gradient(done: Examination, more: tuple[Fault, ...]) -> Gradient:
    """Return the gradient of any parameters, with the mistakes that were found in it, and more."""
    problem, base, back = done.reading.problem, done.forward, done.backward
    assert problem is not None and base is not None and back is not None
    problem = replace(problem, h0=base.at.H[0])  # the program's own
    derived = (DERIVED,) if back.derived else ()
    faults = (*base.faults, *back.faults, *derived, *more)

    def at(theta: Theta) -> Theta:
        here = replace(problem, theta=theta)
        states = forward(here, faults)
        way_back = signals(here, states, faults)
        found = {}
        for name in NAMES:
            right, own = gradient(name, here, states, way_back), back.own.get(name)
            wrong = gradient(name, here, states, way_back, own.assembly) if own else right
            assert right is not None
            fits = wrong is not None and wrong.shape == right.shape
            found[name] = scaled(wrong if wrong is not None and fits else right, own)
        return found

    return at


def scaled(array: Array, own: Own | None) -> Array:
    """Return a gradient with the factor of the program's own, or clipped as that is."""
    for how in own.scalings if own else ():
        if how.kind == "clipped":
            array = np.clip(array, -how.number, how.number)
        else:
            ratio = how.number / np.linalg.norm(array)  # infinite for zeros
            array = array * (min(1.0, ratio) if how.kind == "norm" else how.number)
    return array


def with_fault_before(done: Examination, stepping: Stepping) -> tuple[Steps, Fault | None]:
    """Return what explains the parameters, and, if no gradients were given, a mistake in these."""
    best = stepping.explain()
    if best.cost == 0 or stepping.exact or (done.backward and done.backward.own):
        return best, None
    known = done.forward is not None and bool(done.rows)
    for fault in (*(() if known else (*STATE_FAULTS, *OUTPUT_FAULTS, *LOSS_FAULTS)), *BACKWARD_FAULTS):
        other = replace(stepping, gradient=explained_gradient(done, (fault,)), exact=False)
        after = other.alone()
        if not after.unexplained and best.cost > 1:
            return after, fault
    return best, None


def add_findings(done: Examination, best: Steps, fault: Fault | None, stepping: Stepping) -> None:
    """Add what is wrong with the steps."""
    config, before, after = stepping.config, stepping.theta, stepping.answers
    here, there = ("outside", "inside") if config.optimizer == "adam" else ("inside", "outside")
    words = {"clip": f"{config.clip}", "optimizer": config.optimizer, "there": there, "here": here}
    arrays = [f"{name} after" for name in after]
    for each in (*(() if fault is None else (fault,)), *best.faults):
        done.find_fault(each, arrays, **words)
    if best.optimizer is not None:
        sentence = f"these are steps of {best.optimizer}, where the settings say {config.optimizer}"
        done.find("optimizer", sentence, arrays)
    if best.multiple is not None:
        eta = f"as if {option_name('eta')} were {best.multiple * config.eta:.4g}"
        done.find("eta", f"the step is {best.multiple:g} times what it should be, {eta}", arrays)
    others = []
    for name in best.unexplained:
        if after[name].ways[0].shape == before[name].shape:
            others.append(name)
        else:
            done.find_shape(name, after[name], [f"{name} after"])
    if others:
        names = ", ".join(after[name].name for name in others)
        sentence = f"{names}: not what {config.optimizer} makes of the parameters before"
        done.find(None, sentence, [f"{name} after" for name in others])


def add_rows(done: Examination, answers: Mapping[str, Answer], stepping: Stepping) -> None:
    """Add a row for each parameter, its error that of the change."""
    right = stepping.right()
    allowed = stepping.rounding(right)
    for name, answer in answers.items():
        (found,), before = answer.ways, stepping.theta[name]
        largest = off = None
        if found.shape == before.shape:
            largest, off = errors(found - before, right[name] - before)
        steps = f"{name} after {stepping.n} step{'s' * (stepping.n > 1)}"
        row = Row(answer.name, steps, answer.array.shape, largest, off, "right")
        blame = tuple(finding for finding in done.findings if f"{name} after" in finding.arrays)
        if off is None or (off > 1e-9 and blame):
            row = replace(row, verdict="wrong:", is_right=False, findings=blame)
        elif off > allowed[name]:
            row = replace(row, verdict=FOLLOWS, is_right=False)
        elif off > 1e-9:
            row = replace(row, verdict="right, in float32")
        done.rows.append(row)
