"""Is the smooth loss that of the series of losses?"""

from __future__ import annotations

import numpy as np

from nbrnn.checks import causes
from nbrnn.checks.examine import Examination, finite
from nbrnn.checks.matching import error
from nbrnn.checks.report import Finding, Row
from nbrnn.checks.updates import explain_smoothing
from nbrnn.exchange.names import SortedArrays


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
    length = len(problem.X) if problem is not None else T
    what = explain_smoothing(losses, smooth, length, K)
    largest = float(
        np.abs(smooth - what.expected).max() / max(float(np.abs(what.expected).max()), 1e-300)
    )
    verdict = "right"
    if what.fault != "":
        if what.fault is None:
            wrong = ~(np.abs(smooth - what.expected) <= 1e-5 * np.abs(what.expected))
            at = int(np.argmax(wrong))
            said = f"{smooth[at]:.6g} instead of {what.expected[at]:.6g}"
            sentence = f"{name} differs from update {at + 1} on: {said}"
        else:
            sentence = causes.of_fault(what.fault)
        cause = what.fault and what.fault.split(" 0.")[0]
        done.findings.append(Finding(cause, sentence, ("smooth",)))
        verdict = f"wrong: {len(done.findings)}"
    off = error(smooth, what.expected)
    done.rows.append(Row(name, "smooth loss", smooth.shape, finite(largest), finite(off), verdict))
