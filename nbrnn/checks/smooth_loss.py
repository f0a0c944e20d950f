"""The smooth loss of a series of losses, and the mistakes in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from nbrnn.checks.answers import apart
from nbrnn.checks.examination import Examination, errors
from nbrnn.checks.faults import Fault
from nbrnn.checks.report import Finding, Row
from nbrnn.exchange.names import SortedArrays
from nbrnn.typing import Array

KEPT = 0.999  # of the smooth loss, at each update


def smooth_series(losses: Array, start: float, kept: float = KEPT) -> Array:
    """Return the smooth loss after each update, which is `start` at the first."""
    smooth = np.empty(len(losses))
    for update, loss in enumerate(losses):
        smooth[update] = kept * smooth[update - 1] + (1 - kept) * loss if update else start
    return smooth


def examine_series(done: Examination, found: SortedArrays, T: int | None) -> None:
    """Add the row of a smooth series, and what is wrong with it; T where the settings say it."""
    series = found.of("series")
    if len(series) < 2:
        for name, _ in series.values():
            done.notes.append(f"{name}: a series alone is not checked; losses and smooth are needed")
        return
    losses, smooth = (np.asarray(series[key].array, float).ravel() for key in ("losses", "smooth"))
    name = series["smooth"].name
    if losses.size != smooth.size or not losses.size:
        sizes = f"it has {smooth.size} numbers, there are {losses.size} losses"
        done.notes.append(f"{name}: not checked, {sizes}")
        return
    if not np.isfinite(losses).all():
        first = int(np.argmin(np.isfinite(losses))) + 1
        done.notes.append(f"{name}: not checked, loss {first} is not a finite number")
        return
    problem = done.reading.problem
    K = None if problem is None else problem.X.shape[2]
    fault = explain(losses, smooth, T if problem is None else len(problem.X), K)
    right = smooth_series(losses, float(losses[0]))
    row = Row(name, "smooth loss", smooth.shape, *errors(smooth, right), "right")
    if fault is None:
        at = int(np.argmax(~(np.abs(smooth - right) <= 1e-5 * np.abs(right))))
        sentence = f"{name} differs from update {at + 1} on: {apart(smooth[at], right[at])}"
        done.findings.append(Finding(None, sentence, ("smooth",)))
    elif fault:
        done.find_fault(fault, ["smooth"])
    if fault != "":
        row = replace(row, verdict="wrong:", is_right=False, findings=(done.findings[-1],))
    done.rows.append(row)


def explain(losses: Array, smooth: Array, T: int | None, K: int | None) -> Fault | None:
    """Return the mistake in the smooth series of a series of losses; "" if it is right, None if unknown.

    T and K, where known, distinguish sums from means, and give the loss of uniform guessing.
    """
    first = float(losses[0])
    right, decay = smooth_series(losses, first), KEPT ** np.arange(len(losses))
    tried: list[tuple[Fault, Array]] = [("", right)]
    # what another start adds decays
    tried += [(fault, right + decay * (start - first)) for fault, start in other_starts(first, T, K)]
    tried.append(("a step late", np.append(first, right[:-1])))
    tried.append(("weights exchanged", smooth_series(losses, first, 1 - KEPT)))
    pulls = losses[1:] - smooth[:-1]
    share = float(pulls @ np.diff(smooth) / max(pulls @ pulls, 1e-300))
    if share > 0:  # by how much a loss moves the series
        tried.append((("weights", 1 - share), smooth_series(losses, first, 1 - share)))
    if abs(share / (1 - KEPT) - 1) < 1e-3:
        tried.append(("begun elsewhere", right + decay * (smooth[0] - first)))
    return next((fault for fault, series in tried if fits(smooth, series)), None)


def other_starts(first: float, T: int | None, K: int | None) -> Iterator[tuple[str, float]]:
    """Yield where a smooth series may start instead of at the first loss, or before it takes that in."""
    starts = [("begun at 0", 0.0)]
    for length in [T] if T else range(2, 201):
        starts += [("begun as a sum", length * first), ("begun as a mean", first / length)]
        if K:
            starts += [("begun at a uniform guess", n * math.log(K)) for n in (length, 1)]
    for fault, start in starts:
        yield fault, start
        yield fault, KEPT * start + (1 - KEPT) * first


def fits(found: Array, right: Array) -> bool:
    """Return whether two series agree in each number, but for the rounding of float32 along the way."""
    return bool((np.abs(found - right) <= 1e-5 * np.abs(right) + 1e-12).all())
