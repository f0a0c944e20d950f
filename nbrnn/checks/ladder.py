"""The ladder: exercises that grow, each of which isolates one line of the equations.

The first that fails says where the fault is, since all lines before are right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbrnn.checks.equations import Arrays, Exercise
from nbrnn.network.layout import shapes
from nbrnn.typing import Array

LARGE = 800  # the logits of one rung: e^800 is no number in float64


@dataclass(frozen=True)
class Rung:
    """One exercise: its name in files, its title, what is new in it, and what the program is to do."""

    name: str
    title: str
    isolates: str
    task: str = "gradients"
    updates: int = 0


RUNGS = {rung.name: rung for rung in (
    Rung("one_step", "one step from h_0 = 0", "h_1, o_1, p_1, the loss, dV, dc, dU, db; dW is 0"),
    Rung("other_state", "one step from another h_0", "W h_0 in h_1, and dW = da_1 h_0^T"),
    Rung("two_steps", "two steps", "what comes back through W, and the sums over the steps"),
    Rung("many_steps", "many steps", "each h_t from the one before, and all the way back"),
    Rung("repeated", "a repeated character", "the gradients of one character's column add up in dU"),
    Rung("last_character", "first and last character", "the indices 0 and K - 1 of the alphabet"),
    Rung("windows", "several windows", "each window has its own state; the gradients are their mean"),
    Rung("large_logits", "logits of 800", "softmax of large numbers: subtract the largest first"),
    Rung("large_weights", "large weights", "a W of spectral radius 3, as after training"),
    Rung("large_gradients", "gradients above the clip", "clipping, if it is part of the gradient"),
    Rung("one_update", "one update", "the formula of the step, on given gradients", "step", 1),
    Rung("clipped_update", "an update that is clipped", "clipping before the step", "step", 1),
    Rung("two_updates", "two updates", "the memory of the optimizer", "step", 2),
    Rung("ten_updates", "ten updates", "the memory of the optimizer, and t in Adam", "step", 10),
    Rung("train", "two epochs of three windows",
         "h carried over from window to window, and 0 at the start of an epoch", "train", 6),
    Rung("smooth", "the smooth loss", "0.999 smooth + 0.001 loss, starting at the first loss", "smooth"),
    Rung("sampling", "sampling", "characters drawn from p_t, each read as the next x", "sample"),
)}  # fmt: skip
SAMPLED = 2000  # characters


def until(rung: str, before: str = "") -> str:
    """Return in words how far a program is right: up to the exercise before the first that fails."""
    if not rung:
        return ""
    if not before:
        return f"In '{RUNGS[rung].title}' "
    return f"Right up to '{RUNGS[before].title}'; in '{RUNGS[rung].title}' "


def network(rng: np.random.Generator, m: int, K: int, sigma: float = 0.5) -> Arrays:
    """Return parameters of ordinary size; biases are not 0, so that none can be left out."""
    return {name: rng.normal(0, sigma, shape) for name, shape in shapes(m, K).items()}


def of_codes(theta: Arrays, codes: Array, h0: Array) -> Exercise:
    """Return the exercise of characters (T+1, B), of which each is to predict the next."""
    eye = np.eye(len(theta["c"]))
    return Exercise(theta, eye[codes[:-1]], eye[codes[1:]], h0)


def exercise(name: str, rng: np.random.Generator, m: int, K: int, T: int, B: int) -> Exercise:
    """Return the exercise of a rung; no target is the input, so that neither is taken for the other."""
    T = {"one_step": 1, "other_state": 1, "two_steps": 2, "many_steps": T}.get(name, 4)
    B = B if name == "windows" else 1
    theta, h0 = network(rng, m, K), rng.uniform(-1, 1, (B, m))
    codes = np.cumsum(rng.integers(1, K, (T + 1, B)), axis=0) % K
    if name == "one_step":
        h0 *= 0
    elif name == "repeated":
        codes = np.array([[2], [2], [0], [2], [2], [2], [1]])
    elif name == "last_character":
        codes = np.array([[K - 1], [0], [K - 1], [K - 1], [0]])
    elif name == "large_logits":
        theta["c"] += LARGE
    elif name == "large_weights":
        theta["W"] *= 3 / np.abs(np.linalg.eigvals(theta["W"])).max()
    elif name == "large_gradients":
        theta["V"] *= 30
    return of_codes(theta, codes, h0)


def gradients(rng: np.random.Generator, theta: Arrays, size: float) -> Arrays:
    """Return gradients with large and tiny entries of both signs, and some that are 0."""
    signs = [-1, 0, 1], [0.45, 0.1, 0.45]
    return {
        name: size * 10 ** rng.uniform(-6, 0, a.shape) * rng.choice(signs[0], a.shape, p=signs[1])
        for name, a in theta.items()
    }
