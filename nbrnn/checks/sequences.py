"""Judge what takes more than one window: training on a text, and sampling from a model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import chdtrc

from nbrnn.checks.answers import apart
from nbrnn.checks.equations import Arrays, compute, noise, softmax
from nbrnn.checks.ladder import of_codes
from nbrnn.checks.report import Finding, Report, Row
from nbrnn.checks.tolerances import EPS, SAFETY, TRIALS, is_single
from nbrnn.checks.updates import Steps
from nbrnn.typing import Array

RESETS = (
    ("window", "state not carried over", "each window starts from h = 0: h is not carried over"),
    ("never", "state not reset", "h is carried over from the end of an epoch to the start of the next"),
)
SURELY = 1e-6  # a right sampler is called wrong so often


def training_losses(
    theta: Arrays, codes: Array, T: int, n: int, steps: Steps, mean: bool, reset: str = "epoch"
) -> Array:
    """Return the loss of n updates: windows in order, h carried over, and 0 at each epoch's start.

    `reset` says when h is 0: at an "epoch", or by mistake at each "window" or "never" again.
    """
    h, windows = np.zeros((1, len(theta["b"]))), (len(codes) - 1) // T
    losses: list[float] = []

    def gradient(now: Arrays, t: int) -> Arrays:
        nonlocal h
        place = (t - 1) % windows * T
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
    report, losses = Report(covered={"states"}), np.asarray(losses, float).ravel()
    given = codes, T, losses.size, steps
    eps, rng = EPS["float32" if is_single(losses) else "float64"], np.random.default_rng(0)
    means = [loss == "mean"] if loss else [False, True]
    mean = min(means, key=lambda each: abs(training_losses(theta, *given, each)[0] - losses[0]))
    right = training_losses(theta, *given, mean)
    moved = np.zeros(losses.size)
    for _ in range(TRIALS):
        other = {name: a * noise(a, eps, rng) for name, a in theta.items()}
        moved = np.maximum(moved, np.abs(training_losses(other, *given, mean) - right))
    tolerance = SAFETY * np.maximum.accumulate(moved) + 1e-11 * right

    def fits(series: Array) -> Array:
        return np.asarray(np.abs(losses - series) <= tolerance)

    is_right = bool(fits(right).all())
    report.rows.append(Row.of("losses", "losses of a training", losses, right, is_right, rung="train"))
    if is_right:
        return report
    at, cause = int(np.argmin(fits(right))), None
    what = f"the step of {steps.optimizer} (eta {steps.eta:g}), or the state carried over"
    if at == 0:
        what = "the loss of the first window, from h = 0"
    elif at % ((len(codes) - 1) // T) == 0:
        what = "the start of an epoch, where h is 0 again"
    for reset, mistake, words in RESETS:
        if fits(training_losses(theta, *given, mean, reset)).all():
            cause, what = mistake, words
    numbers = apart(losses[at], right[at])
    sentence = f"losses: right up to update {at}, then {numbers}: {what}"
    report.findings.append(Finding(cause, sentence, ("losses",), rung="train"))
    return report


def chances(theta: Arrays, h0: Array, x0: int, sample: Array) -> Iterator[Array]:
    """Yield p_t for each sampled character, the characters before it being as they were sampled."""
    h, x = h0.ravel(), x0
    for drawn in sample:
        h = np.tanh(theta["W"] @ h + theta["U"][:, x] + theta["b"])
        yield softmax(theta["V"] @ h + theta["c"])
        x = int(drawn)


def judge_sample(theta: Arrays, h0: Array, x0: int, sample: Array, first: int = 0) -> Report:
    """Return whether sampled indices, from `first` on, are draws from p_t: chi-square over all pairs."""
    K, name = len(theta["c"]), "sample"
    report, sample = Report(covered={"sampling"}), np.asarray(sample)
    if sample.ndim > 1 and K in sample.shape and (sample.sum(sample.shape.index(K)) == 1).all():
        sample = sample.argmax(sample.shape.index(K))
    else:
        sample = sample - first
    sample = sample.ravel().astype(int)
    if sample.size == 0 or sample.min() < 0 or sample.max() >= K:
        report.findings.append(
            Finding(None, f"{name} holds no indices from 0 to {K - 1}", ("sample",), rung="sampling")
        )
        return report
    before = np.concatenate([[x0], sample[:-1]])
    p = np.array(list(chances(theta, h0, x0, sample)))
    statistic, freedom = 0.0, 0
    for character in range(K):
        at = before == character
        if at.sum() < 5 * K:
            continue
        off = np.bincount(sample[at], minlength=K) - p[at].sum(0)
        covariance = np.diag(p[at].sum(0)) - p[at].T @ p[at]
        statistic += float(off @ np.linalg.pinv(covariance) @ off)
        freedom += K - 1
    probability = float(chdtrc(freedom, statistic)) if freedom else 1.0
    is_right = probability > SURELY
    verdict = "right" if is_right else "wrong"
    report.rows.append(
        Row(name, "sampled characters", sample.shape, None, None, verdict, is_right, "sampling")
    )
    if is_right:
        return report
    cause, what = None, f"their frequencies are not those of p_t: chi-square {statistic:.0f} with "
    what += f"{freedom} degrees of freedom, p = {probability:.1g}"
    if (sample == p.argmax(1)).all():
        cause, what = "argmax", "each is the most likely character instead of one drawn from p_t"
    report.findings.append(Finding(cause, f"{name}: {what}", ("sample",), rung="sampling"))
    return report
