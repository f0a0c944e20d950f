"""Judge what takes more than one window: training on a text, and sampling from a model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import chdtrc

from nbrnn.checks.answers import apart
from nbrnn.checks.equations import Arrays, compute, noise, softmax
from nbrnn.checks.ladder import of_codes
from nbrnn.checks.report import Finding, Report, Row
from nbrnn.checks.tolerances import EPS, SAFETY, is_single
from nbrnn.checks.updates import Steps
from nbrnn.typing import Array

SURELY = 1e-6  # a right sampler is called wrong so often


def training_losses(
    theta: Arrays,
    codes: Array,
    T: int,
    n: int,
    steps: Steps,
    mean: bool,
    *,
    carried: bool = True,
    is_reset: bool = True,
) -> Array:
    """Return the loss of n updates: windows in order, h carried over, and 0 at each epoch's start."""
    h, windows = np.zeros((1, len(theta["b"]))), (len(codes) - 1) // T
    losses: list[float] = []

    def gradient(now: Arrays, t: int) -> Arrays:
        nonlocal h
        place = (t - 1) % windows * T
        if not carried or (place == 0 and is_reset):
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
    name, report, n = "losses", Report(), losses.size
    losses = np.asarray(losses, float).ravel()
    precision = "float32" if is_single(losses) else "float64"
    rights = {
        mean: training_losses(theta, codes, T, n, steps, mean)
        for mean in ([loss == "mean"] if loss else (False, True))
    }
    mean = min(rights, key=lambda each: abs(rights[each][0] - losses[0]))
    right, rng = rights[mean], np.random.default_rng(0)
    moved = np.zeros(n)
    for _ in range(3):
        other = {k: a * noise(a, EPS[precision], rng) for k, a in theta.items()}
        moved = np.maximum(moved, np.abs(training_losses(other, codes, T, n, steps, mean) - right))
    tolerance = SAFETY * np.maximum.accumulate(moved) + 1e-11 * right

    def fits(**changes: bool) -> bool:
        return bool(
            (
                np.abs(losses - training_losses(theta, codes, T, n, steps, mean, **changes)) <= tolerance
            ).all()
        )

    is_right = bool((np.abs(losses - right) <= tolerance).all())
    report.rows.append(Row.of(name, "losses of a training", losses, right, is_right, rung="train"))
    if is_right:
        return report
    windows = (len(codes) - 1) // T
    at = int(np.argmax(~(np.abs(losses - right) <= tolerance)))
    what = ("the loss of the first window, from h = 0" if at == 0 else
            "the start of an epoch, where h is 0 again" if at % windows == 0 else
            "the step, or the state carried over from the window before")  # fmt: skip
    cause = None
    if fits(carried=False):
        cause, what = "state not carried over", "each window starts from h = 0: h is not carried over"
    elif fits(is_reset=False):
        cause, what = (
            "state not reset",
            "h is carried over from the end of an epoch to the start of the next",
        )
    sentence = f"{name}: right up to update {at}, then {apart(losses[at], right[at])}: {what}"
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
    report, sample = Report(), np.asarray(sample)
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
    report.rows.append(Row(name, "sampled characters", sample.shape, None, None,
                           "right" if is_right else "wrong",
                           is_right, "sampling"))  # fmt: skip
    if not is_right:
        always = bool((sample == p.argmax(1)).all())
        what = ("each is the most likely character instead of one drawn from p_t" if always else
                f"their frequencies are not those of p_t: chi-square {statistic:.0f}, {freedom} degrees "
                f"of freedom, p = {probability:.1g}")  # fmt: skip
        report.findings.append(
            Finding("argmax" if always else None, f"{name}: {what}", ("sample",), rung="sampling")
        )
    return report
