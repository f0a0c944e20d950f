"""Judge the smooth loss of a series of losses."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nbrnn.checks.answers import apart
from nbrnn.checks.report import Finding, Report, Row
from nbrnn.checks.updates import KEPT, smooth_series
from nbrnn.exchange.names import SortedArrays
from nbrnn.typing import Array

STARTS = {
    "begun at 0": "the smooth loss starts at 0 instead of the first loss",
    "begun as a sum": "the smooth loss starts with a sum over the window and continues with means",
    "begun as a mean": "the smooth loss starts with a mean over the window and continues with sums",
    "begun at a uniform guess": "the smooth loss starts at T log K or log K instead of the first loss",
}
LATE = "the smooth loss lags by one update: it is recorded before it takes in the loss"
EXCHANGED = "the weights are exchanged: it is 0.999 smooth + 0.001 L"
ELSEWHERE = "the smooth loss starts at another number than the first loss"
EVERY = (
    "it does not follow from these losses alone, as where only every n-th update is recorded: "
    "save every update to check it"
)


def judge_series(found: SortedArrays, T: int | None, rung: str = "", K: int | None = None) -> Report:
    """Return the row of a smooth series, and what is wrong with it."""
    series, report = found.of("series"), Report()
    if "smooth" not in series or "losses" not in series:
        for name, _ in series.values():
            report.notes.append(f"{name}: a series alone is not checked; losses and smooth are needed")
        return report
    losses, smooth = (np.asarray(series[key].array, float).ravel() for key in ("losses", "smooth"))
    name = series["smooth"].name
    if losses.size != smooth.size or not losses.size:
        sizes = f"it has {smooth.size} numbers, there are {losses.size} losses"
        report.notes.append(f"{name}: not checked, {sizes}")
        return report
    if not np.isfinite(losses).all():
        first = int(np.argmin(np.isfinite(losses))) + 1
        report.notes.append(f"{name}: not checked, loss {first} is not a finite number")
        return report
    updates = series["updates"].array.ravel() if "updates" in series else None
    right = smooth_series(losses, float(losses[0]))
    verdict = "wrong"
    is_right: bool | None = False
    if fits(smooth, right):
        verdict, is_right = "right", True
    elif cause := explain(losses, smooth, T, K):
        report.findings.append(Finding(cause[0], cause[1], ("smooth",), rung=rung))
    elif not rung and is_sparse(losses, smooth, updates):  # the ladder has every update
        is_told = updates is not None and math.isclose(smooth[0], losses[0], rel_tol=1e-5)
        verdict, is_right = "not judged but for its start", True if is_told else None
        report.not_checked.append(f"{name}: {EVERY}")
    else:
        at = int(np.argmax(~(np.abs(smooth - right) <= 1e-5 * np.abs(right))))
        sentence = f"{name} differs from update {at + 1} on: {apart(smooth[at], right[at])}"
        report.findings.append(Finding(None, sentence, ("smooth",), rung=rung))
    if is_right is not None:
        report.covered.add("smooth")
    report.rows.append(Row.of(name, "smooth loss", smooth, right, is_right, verdict, rung))
    return report


def explain(losses: Array, smooth: Array, T: int | None, K: int | None) -> tuple[str, str] | None:
    """Return the mistake that gives each number of a smooth series: its name and a sentence."""
    first = float(losses[0])
    right, decay = smooth_series(losses, first), KEPT ** np.arange(len(losses))
    for cause, start in other_starts(first, T, K):  # what another start adds decays
        if fits(smooth, right + decay * (start - first)):
            return cause, STARTS[cause]
    if fits(smooth, np.append(first, right[:-1])):
        return "a step late", LATE
    if fits(smooth, smooth_series(losses, first, 1 - KEPT)):
        return "weights exchanged", EXCHANGED
    pulls = losses[1:] - smooth[:-1]
    share = float(pulls @ np.diff(smooth) / max(pulls @ pulls, 1e-300))
    if 0 < share < 1 and fits(smooth, smooth_series(losses, float(smooth[0]), 1 - share)):
        if abs(share / (1 - KEPT) - 1) < 1e-3:
            return "begun elsewhere", ELSEWHERE
        return "weights", f"the smooth loss keeps {1 - share:.4g} of itself instead of {KEPT}"
    return None


def other_starts(first: float, T: int | None, K: int | None) -> Iterator[tuple[str, float]]:
    """Yield where a smooth series may start instead of at the first loss, or before it takes that in."""
    starts = [("begun at 0", 0.0)]
    for length in [T] if T else range(2, 201):
        starts += [("begun as a sum", length * first), ("begun as a mean", first / length)]
        if K:
            starts += [("begun at a uniform guess", n * math.log(K)) for n in (length, 1)]
    for cause, start in starts:
        yield cause, start
        yield cause, KEPT * start + (1 - KEPT) * first


def is_sparse(losses: Array, smooth: Array, updates: Array | None) -> bool:
    """Return whether a series may have every n-th update: the losses between would be likely."""
    if len(losses) < 2:
        return False
    low, high = losses.min(), losses.max()
    room = max(high - low, 0.1 * abs(high))
    steps = np.diff(updates) if updates is not None else None
    for n in [steps] if steps is not None else range(2, 10_001):
        kept = KEPT ** np.asarray(n, float)
        if (kept == 1).any():
            return False
        between = (smooth[1:] - kept * smooth[:-1]) / (1 - kept)  # the mean of the losses between
        if (between > low - room).all() and (between < high + room).all():
            return bool(np.max(n) > 1)
    return False


def fits(found: Array, right: Array) -> bool:
    """Return whether two series agree in each number, but for the rounding of float32 along the way."""
    return bool((np.abs(found - right) <= 1e-5 * np.abs(right) + 1e-12).all())
