"""The smooth loss of a series of losses, and the mistakes in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nbrnn.checks.answers import apart
from nbrnn.checks.examination import Examination, errors
from nbrnn.checks.faults import Fault
from nbrnn.checks.report import Finding, Row
from nbrnn.exchange.names import SortedArrays
from nbrnn.typing import Array

KEPT = 0.999  # of the smooth loss, at each update


def smooth_series(losses: Array, start: float, kept: float = KEPT, *, late: bool = False) -> Array:
    """Return the smooth loss after each update, beginning at `start` with the first.

    `late`: each is written down before the loss of its update is taken in.
    """
    smooth, value = np.empty(len(losses)), start
    for update in range(len(losses)):
        if update > (1 if late else 0):
            value = kept * value + (1 - kept) * losses[update - 1 if late else update]
        smooth[update] = value
    return smooth


def examine_series(done: Examination, found: SortedArrays, T: int | None) -> None:
    """Add the row of a smooth series, and what is wrong with it. T, where it is known otherwise."""
    series = found.of("series")
    if not {"losses", "smooth"} <= set(series):
        if series:
            (name,) = (each.name for each in series.values())
            done.notes.append(f"{name}: a series alone is not checked; losses and smooth are needed")
        return
    losses, smooth = (np.asarray(series[key].array, float).ravel() for key in ("losses", "smooth"))
    name = series["smooth"].name
    if losses.size != smooth.size or not losses.size:
        done.notes.append(
            f"{name}: not checked, it has {smooth.size} numbers, there are {losses.size} losses"
        )
        return
    if not np.isfinite(losses).all():
        first = int(np.argmin(np.isfinite(losses))) + 1
        done.notes.append(f"{name}: not checked, loss {first} is not a finite number")
        return
    problem = done.reading.problem
    K = None if problem is None else problem.X.shape[2]
    what = explain_smoothing(losses, smooth, T if problem is None else len(problem.X), K)
    row = Row(name, "smooth loss", smooth.shape, *errors(smooth, what.expected), "right")
    if what.fault is None:
        at = int(np.argmax(~(np.abs(smooth - what.expected) <= 1e-5 * np.abs(what.expected))))
        said = apart(smooth[at], what.expected[at])
        sentence = f"{name} differs from update {at + 1} on: {said}"
        done.findings.append(Finding(None, sentence, ("smooth",)))
    elif what.fault:
        done.find_fault(what.fault, ["smooth"])
    if what.fault != "":
        row = replace(row, verdict="wrong:", is_right=False, findings=(done.findings[-1],))
    done.rows.append(row)


@dataclass(frozen=True)
class Smoothing:
    """What explains a smooth series: a mistake, None if none is known, "" if it is right."""

    fault: Fault | None
    expected: Array


def explain_smoothing(losses: Array, smooth: Array, T: int | None, K: int | None) -> Smoothing:
    """Return what is wrong with the smooth series of a series of losses.

    T and K, where they are known, tell a sum from a mean, and how a uniform guess begins.
    """
    first = float(losses[0])
    right = smooth_series(losses, first)
    if fits(smooth, right):
        return Smoothing("", right)
    for fault, start in starts_of(first, T, K):
        if fits(smooth, smooth_series(losses, start)):
            return Smoothing(fault, right)
    if fits(smooth, smooth_series(losses, first, late=True)):
        return Smoothing("a step late", right)
    if fits(smooth, smooth_series(losses, first, 1 - KEPT)):
        return Smoothing("weights exchanged", right)
    return other_weights(losses, smooth, right)


def starts_of(first: float, T: int | None, K: int | None) -> Iterator[tuple[str, float]]:
    """Yield where a smooth series may begin instead of at the first loss."""
    yield "begun at 0", (1 - KEPT) * first
    yield "begun at 0", 0.0
    for length in [T] if T else range(2, 201):
        for fault, start in (("sum", length * first), ("mean", first / length)):
            yield f"begun as a {fault}", start
            yield f"begun as a {fault}", KEPT * start + (1 - KEPT) * first
        for guess in (length * math.log(K), math.log(K)) if K else ():
            yield "begun at a uniform guess", guess
            yield "begun at a uniform guess", KEPT * guess + (1 - KEPT) * first


def other_weights(losses: Array, smooth: Array, right: Array) -> Smoothing:
    """Return whether the series is smoothed by other weights, or begun elsewhere."""
    first = float(losses[0])
    if not np.isfinite(smooth).all():
        return Smoothing(None, right)
    steps, pulls = np.diff(smooth), losses[1:] - smooth[:-1]
    if pulls.size and (share := float(pulls @ steps / max(pulls @ pulls, 1e-300))) > 0:
        if fits(smooth, smooth_series(losses, first, 1 - share)):
            return Smoothing(("weights", 1 - share), right)
        if abs(share / (1 - KEPT) - 1) < 1e-3 and fits(smooth, smooth_series(losses, float(smooth[0]))):
            return Smoothing("begun elsewhere", right)
    return Smoothing(None, right)


def fits(found: Array, right: Array) -> bool:
    """Whether two series agree in each number, but for the rounding of float32 along the way."""
    if not np.isfinite(found).all():
        return False
    return bool((np.abs(found - right) <= 1e-5 * np.abs(right) + 1e-12).all())
