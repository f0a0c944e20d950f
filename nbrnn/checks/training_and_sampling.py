"""Judge what takes more than one window: training on a text, the smooth loss, and sampling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import chdtrc

from nbrnn.checks.equations import Arrays, compute, softmax
from nbrnn.checks.ladder import of_codes
from nbrnn.checks.report import Finding, Report, Row, apart
from nbrnn.checks.steps import Steps
from nbrnn.checks.tolerances import SAFETY, is_single, spread
from nbrnn.exchange.array_roles import SortedArrays
from nbrnn.typing import Array

# ---------------------------------------------------------------- training

# What a program may do instead, the name of the mistake, and what is wrong.
TRAINING_MISTAKES: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"reset": "window"}, "state not carried over",
     "each window starts from h = 0: h is not carried over"),
    ({"reset": "never"}, "state not reset",
     "h is carried over from the end of an epoch to the start of the next"),
    ({"skip": 1}, "character skipped", "windows start T + 1 characters apart, and skip one between two"),
    ({"skip": -1}, "character twice", "windows start T - 1 characters apart, and read one twice"),
)  # fmt: skip


def training_losses(
    theta: Arrays,
    codes: Array,
    T: int,
    n: int,
    steps: Steps,
    mean: bool,
    reset: str = "epoch",
    skip: int = 0,
) -> Array:
    """Return the loss of n updates: windows in order, h carried over, and 0 at each epoch's start.

    `reset` says when h is 0: at an "epoch", or by mistake at each "window" or "never" again. `skip`
    characters are left out between two windows, which is a mistake, too.
    """
    h, windows = np.zeros((1, len(theta["b"]))), (len(codes) - 1 - T) // (T + skip) + 1
    losses: list[float] = []

    def gradient(now: Arrays, t: int) -> Arrays:
        nonlocal h
        place = (t - 1) % windows * (T + skip)
        if reset == "window" or (place == 0 and reset == "epoch"):
            h = np.zeros_like(h)
        found = compute(of_codes(now, codes[place : place + T + 1, np.newaxis], h))
        factor = 1 / T if mean else 1.0
        losses.append(float(found["loss"]) * factor)
        h = found["h_last"]
        return {name: found[f"d{name}"] * factor for name in now}

    steps.run(theta, gradient, n)
    return np.array(losses)


def judge_training(
    theta: Arrays, codes: Array, T: int, losses: Array, steps: Steps, loss: str | None
) -> Report:
    """Return the verdict on the losses of a training."""
    losses = np.asarray(losses, float).ravel()

    def of(theta: Arrays, mean: bool, **changes: Any) -> Array:
        return training_losses(theta, codes, T, losses.size, steps, mean, **changes)

    means = [loss == "mean"] if loss else [False, True]
    mean = min(means, key=lambda each: abs(of(theta, each)[0] - losses[0]))
    right = of(theta, mean)
    precision = "float32" if is_single(losses) else "float64"
    moved = spread(lambda r: {"losses": of(r.all(theta), mean)}, {"losses": right}, precision)["losses"]
    tolerance = SAFETY * np.maximum.accumulate(moved) + 1e-11 * right
    fits = np.abs(losses - right) <= tolerance
    row = Row.of("losses", "losses of a training", losses, right, bool(fits.all()))
    report = Report([row], covered={"states"})
    if row.is_right:
        return report
    at, cause = int(np.argmin(fits)), None
    what = (
        f"the step of {steps.optimizer} (eta {steps.eta:g}), the state carried over, or where a window "
        "starts"
    )
    if at == 0:
        what = "the loss of the first window, from h = 0"
    elif at % ((len(codes) - 1) // T) == 0:
        what = "the start of an epoch, where h is 0 again"
    for changes, mistake, words in TRAINING_MISTAKES:
        if (np.abs(losses - of(theta, mean, **changes)) <= tolerance).all():
            cause, what = mistake, words
    sentence = f"losses: right up to update {at}, then {apart(losses[at], right[at])}: {what}"
    report.findings.append(Finding(cause, sentence, ("losses",)))
    return report


# ---------------------------------------------------------------- the smooth loss

KEPT = 0.999  # of the smooth loss, at each update
SMOOTH_MISTAKES = {
    "a step late": "the smooth loss lags by one update: it is recorded before it takes in the loss",
    "begun elsewhere": "the smooth loss starts at another number than the first loss",
    "begun at 0": "the smooth loss starts at 0 instead of the first loss",
    "begun as a sum": "the smooth loss starts with a sum over the window and continues with means",
    "begun as a mean": "the smooth loss starts with a mean over the window and continues with sums",
}


def smooth_series(losses: Array, start: float, kept: float = KEPT) -> Array:
    """Return the smooth loss after each update, which is `start` at the first."""
    smooth = np.empty(len(losses))
    for update, loss in enumerate(losses):
        smooth[update] = kept * smooth[update - 1] + (1 - kept) * loss if update else start
    return smooth


def judge_smooth(found: SortedArrays, T: int | None, is_whole: bool) -> Report:
    """Return the verdict on a smooth series; `is_whole` says that it has every update."""
    series, report = found.of("series"), Report()
    if not {"losses", "smooth"} <= set(series):
        words = "a series alone is not checked; losses and smooth are needed"
        report.notes += [f"{name}: {words}" for name, _ in series.values()]
        return report
    losses, smooth = (np.asarray(series[key].array, float).ravel() for key in ("losses", "smooth"))
    name = series["smooth"].name
    if losses.size != smooth.size or not losses.size:
        words = f"it has {smooth.size} numbers, there are {losses.size} losses"
        report.notes.append(f"{name}: not checked, {words}")
        return report
    updates = series["updates"].array.ravel() if "updates" in series else None
    right = smooth_series(losses, float(losses[0]))
    is_right: bool | None = is_same(smooth, right)
    verdict = "right" if is_right else "wrong"
    if not is_right and (mistake := mistake_of_smooth(losses, smooth, T)):
        report.findings.append(Finding(*mistake, ("smooth",)))
    elif not is_right and not is_whole and is_sparse(losses, smooth, updates):
        is_start_known = updates is not None and math.isclose(smooth[0], losses[0], rel_tol=1e-5)
        verdict, is_right = "not judged but for its start", True if is_start_known else None
        report.not_checked.append(
            f"{name}: it does not follow from these losses alone, as where only every n-th update is "
            "recorded: save every update to check it"
        )
    elif not is_right:
        at = int(np.argmax(~(np.abs(smooth - right) <= 1e-5 * np.abs(right))))
        sentence = f"{name} differs from update {at + 1} on: {apart(smooth[at], right[at])}"
        report.findings.append(Finding(None, sentence, ("smooth",)))
    report.covered |= set() if is_right is None else {"smooth"}
    report.rows.append(Row.of(name, "smooth loss", smooth, right, is_right, verdict))
    return report


def mistake_of_smooth(losses: Array, smooth: Array, T: int | None) -> tuple[str, str] | None:
    """Return the mistake that gives each number of a smooth series: its name and a sentence."""
    first = float(losses[0])
    if is_same(smooth, np.append(first, smooth_series(losses, first)[:-1])):
        return "a step late", SMOOTH_MISTAKES["a step late"]
    pulls = losses[1:] - smooth[:-1]
    share = float(pulls @ np.diff(smooth) / max(pulls @ pulls, 1e-300))
    if not (0 < share < 1 and is_same(smooth, smooth_series(losses, float(smooth[0]), 1 - share))):
        return None
    if abs(share / (1 - KEPT) - 1) > 1e-3:
        return "weights", f"the smooth loss keeps {1 - share:.4g} of itself instead of {KEPT}"
    lengths = np.array([T] if T else range(2, 201))
    others = {
        "begun at 0": np.zeros(1),
        "begun as a sum": lengths * first,
        "begun as a mean": first / lengths,
    }
    # The start may have taken in the first loss already.
    for start in (smooth[0], (smooth[0] - (1 - KEPT) * first) / KEPT):
        for name, numbers in others.items():
            if (np.abs(start - numbers) <= 1e-5 * np.maximum(np.abs(numbers), abs(first))).any():
                return name, SMOOTH_MISTAKES[name]
    return "begun elsewhere", SMOOTH_MISTAKES["begun elsewhere"]


def is_sparse(losses: Array, smooth: Array, updates: Array | None) -> bool:
    """Return whether a series may have every n-th update: the losses between would be likely."""
    if len(losses) < 2:
        return False
    low, high = losses.min(), losses.max()
    room = max(high - low, 0.1 * abs(high))
    for n in range(2, 10_001) if updates is None else [np.diff(updates)]:
        kept = KEPT ** np.asarray(n, float)
        if (kept == 1).any():
            return False
        between = (smooth[1:] - kept * smooth[:-1]) / (1 - kept)  # the mean of the losses between
        if (between > low - room).all() and (between < high + room).all():
            return bool(np.max(n) > 1)
    return False


def is_same(found: Array, right: Array) -> bool:
    """Return whether two series agree in each number, but for the rounding of float32 along the way."""
    return bool(np.isclose(found, right, rtol=1e-5, atol=1e-12, equal_nan=True).all())


# ---------------------------------------------------------------- sampling

MAX_FALSE_ALARMS = 1e-6  # the share of right samplers that are called wrong


def probabilities(theta: Arrays, h0: Array, x0: int, sample: Array) -> Array:
    """Return p_t for each sampled character, the characters before it being as they were sampled."""
    h, p = h0.ravel(), []
    for x in (x0, *sample[:-1]):
        h = np.tanh(theta["W"] @ h + theta["U"][:, x] + theta["b"])
        p.append(softmax(theta["V"] @ h + theta["c"]))
    return np.array(p)


def judge_sample(theta: Arrays, h0: Array, x0: int, sample: Array, first: int = 0) -> Report:
    """Return whether sampled indices, from `first` on, are draws from p_t: chi-square over all pairs."""
    K, sample = len(theta["c"]), np.asarray(sample)
    report = Report(covered={"sampling"})
    if sample.ndim > 1 and K in sample.shape and (sample.sum(sample.shape.index(K)) == 1).all():
        sample = sample.argmax(sample.shape.index(K))  # of one-hot vectors
    else:
        sample = sample - first
    sample = sample.ravel().astype(int)
    if sample.size == 0 or sample.min() < 0 or sample.max() >= K:
        report.findings.append(Finding(None, f"sample holds no indices from 0 to {K - 1}", ("sample",)))
        return report
    before, p = np.append(x0, sample[:-1]), probabilities(theta, h0, x0, sample)
    statistic, freedom = 0.0, 0
    for character in range(K):
        at = before == character
        if at.sum() >= 5 * K:
            off = np.bincount(sample[at], minlength=K) - p[at].sum(0)
            covariance = np.diag(p[at].sum(0)) - p[at].T @ p[at]
            statistic += float(off @ np.linalg.pinv(covariance) @ off)
            freedom += K - 1
    probability = float(chdtrc(freedom, statistic)) if freedom else 1.0
    is_right = probability > MAX_FALSE_ALARMS
    verdict = "right" if is_right else "wrong"
    row = Row("sample", "sampled characters", sample.shape, None, None, verdict, is_right)
    report.rows.append(row)
    if is_right:
        return report
    cause, words = None, "their frequencies are not those of p_t: chi-square "
    words += f"{statistic:.0f} with {freedom} degrees of freedom, p = {probability:.1g}"
    if (sample == p.argmax(1)).all():
        cause, words = "argmax", "each is the most likely character instead of one drawn from p_t"
    report.findings.append(Finding(cause, f"sample: {words}", ("sample",)))
    return report
