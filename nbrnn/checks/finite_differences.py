"""Gradients that a program made by numerical differences, and how coarse these are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nbrnn.checks.problem import Problem
from nbrnn.checks.reference import forward
from nbrnn.checks.tolerances import error
from nbrnn.typing import Array

TRIED = 12  # elements that are computed again
MAX_ERROR = 0.7  # a gradient that is further off is not one by differences
UNEXPLAINED_SHARE = 0.1  # of the error


def explain(problem: Problem, name: str, found: Array, right: Array) -> str | None:
    """Return in words what differences give a gradient that is not quite right, None if none do."""
    if found.shape != right.shape or not np.isfinite(found).all() or error(found, right) > MAX_ERROR:
        return None
    return truncated(problem, name, found, right) or rounded(found)


def truncated(problem: Problem, name: str, found: Array, right: Array) -> str | None:
    """Return of which differences the error is that of their step, which grows with it."""
    off = np.asarray(found - right).ravel()
    indices = np.argsort(-np.abs(off))[:TRIED]
    f = off[indices]
    for kind, step, order in (("forward", 1e-5, 1), ("central", 1e-3, 2)):
        e = differences(problem, name, indices, step, kind) - right.ravel()[indices]
        k = float(f @ e / max(e @ e, 1e-300))
        if kind == "central" and k < 0:
            continue
        guess = step * abs(k) ** (1 / order)
        if not 1e-9 < guess < 10:
            continue
        signed = guess if k > 0 else -guess
        again = differences(problem, name, indices, signed, kind) - right.ravel()[indices]
        if np.linalg.norm(f - again) <= UNEXPLAINED_SHARE * np.linalg.norm(f):
            direction = "backward" if k < 0 else kind
            return f"{direction} differences with a step of about {guess:.1g}"
    return None


def differences(problem: Problem, name: str, indices: Array, step: float, kind: str) -> Array:
    """Return the loss's derivatives by some elements of a parameter, by differences."""

    def loss(index: int, by: float) -> float:
        array = problem.theta[name].copy()
        array.flat[index] += by
        return forward(replace(problem, theta={**problem.theta, name: array})).loss

    middle = forward(problem).loss
    if kind == "central":
        return np.array([(loss(i, step) - loss(i, -step)) / (2 * step) for i in indices])
    return np.array([(loss(i, step) - middle) / step for i in indices])


def rounded(found: Array) -> str | None:
    """Return whether the numbers are multiples of one, as of differences of losses in float32."""
    values = np.unique(np.abs(found.ravel()))
    gaps = np.diff(values)
    gaps = gaps[gaps > 1e-9 * values.max()] if values.size > 2 else gaps[:0]
    if gaps.size < 4:
        return None
    quantum = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    counts = values / quantum
    if counts.max() > 1e4 or np.abs(counts - np.round(counts)).max() > 0.05:
        return None
    return f"numerical differences whose losses are rounded: all are multiples of {quantum:.2g}"
