"""Known mistakes: each is the equations with one line changed. A name is a hint, given only if proven.

A mistake is named if it gives every number of an array, to the precision of the program's numbers, on
every exercise that was given. Otherwise no name is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nbrnn.checks.equations import Exercise, Lines, outer, softmax
from nbrnn.typing import Array

# name: what is wrong, and the equations with that line.
MISTAKES: dict[str, tuple[str, Lines]] = {}


def mistake(name: str, sentence: str, **changed: Callable[..., Any]) -> None:
    """Add a mistake; `changed` has the lines that are other than right."""
    MISTAKES[name] = sentence, type("Mistake", (Lines,), {k: mute(f) for k, f in changed.items()})()


def mute(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that does without self."""
    return lambda self, *arguments: function(*arguments)


def pre(
    e: Exercise, t: int, h: Array, W: Array | None = None, X: Array | None = None, b: float = 1
) -> Any:
    """Return what goes into tanh at step t, with other parts."""
    W, X = e.theta["W"] if W is None else W, e.X if X is None else X
    return h @ W.T + X[t - 1] @ e.theta["U"].T + b * e.theta["b"]


def no_first(H: Array, first: Array | float = 0.0) -> Array:
    """Return h_0 to h_{T-1} with another h_0."""
    return np.concatenate([np.zeros_like(H[:1]) + first, H[1:-1]])


def as_indices(P: Array) -> Any:
    """Return the loss in which one-hot vectors of y are indices: K - 1 times 0, and 1."""
    return -(np.log(P[..., 0]) * (P.shape[-1] - 1) + np.log(P[..., 1])).sum()


# fmt: off
# h_t
mistake("h_0 ignored", "the window starts from h = 0 instead of the given h_0", start=lambda e: 0 * e.h0)
mistake("W transposed", "h_t is computed with W^T instead of W",
        state=lambda e, t, H: np.tanh(pre(e, t, H[t - 1], e.theta["W"].T)))
mistake("b left out", "h_t is computed without b",
        state=lambda e, t, H: np.tanh(pre(e, t, H[t - 1], b=0)))
mistake("state not handed on", "every step starts from h_0: h is not carried over from step to step",
        state=lambda e, t, H: np.tanh(pre(e, t, H[0])))
mistake("every step but the first from 0", "every step but the first is from 0",
        state=lambda e, t, H: np.tanh(pre(e, t, H[0] if t == 1 else 0 * H[0])))
mistake("sigmoid for tanh", "h_t is the sigmoid instead of tanh",
        state=lambda e, t, H: 1 / (1 + np.exp(-pre(e, t, H[t - 1]))))
mistake("no tanh", "tanh is missing", state=lambda e, t, H: pre(e, t, H[t - 1]))
mistake("relu", "the states are those of a ReLU network",
        state=lambda e, t, H: np.maximum(0, pre(e, t, H[t - 1])))
mistake("reads y", "the network reads y instead of x",
        state=lambda e, t, H: np.tanh(pre(e, t, H[t - 1], X=e.Y)))
# o_t and p_t
mistake("h_{t-1} for h_t in o", "o_t is computed from h_{t-1} instead of h_t",
        logits=lambda e, H: H[:-1] @ e.theta["V"].T + e.theta["c"])
mistake("c left out", "o_t is computed without c", logits=lambda e, H: H[1:] @ e.theta["V"].T)
mistake("softmax over time", "softmax is taken along the wrong axis: over the steps, not the characters",
        softmax=lambda e, O: softmax(O, 0))
mistake("softmax over all", "softmax is taken over all steps and characters together",
        softmax=lambda e, O: softmax(O, (0, 1, 2)))
mistake("logits for P", "P holds the o_t, before softmax", softmax=lambda e, O: O)
mistake("log P for P", "P holds logarithms of the probabilities",
        softmax=lambda e, O: np.log(softmax(O)))
mistake("P minus Y for P", "P holds p_t - y_t: is Y subtracted from it in place before it is saved?",
        softmax=lambda e, O: softmax(O) - e.Y)
# the loss, and the targets of loss and gradient
mistake("targets late", "the targets are those of the step before", target=lambda e: np.roll(e.Y, 1, 0))
mistake("targets early", "the targets are those of the step after", target=lambda e: np.roll(e.Y, -1, 0))
mistake("targets are x", "the targets are x instead of y", target=lambda e: e.X)
mistake("log missing", "the logarithm is missing in the loss", loss=lambda e, P: -P[e.Y == 1].sum())
mistake("softmax twice", "softmax is applied twice: the loss takes probabilities for logits",
        loss=lambda e, P: -np.log(softmax(P)[e.Y == 1]).sum())
mistake("y read as K indices", "the one-hot vectors of y are used as indices, all K of each step",
        loss=lambda e, P: as_indices(P) / P.shape[-1])
mistake("y read as indices", "the one-hot vectors of y are used as indices",
        loss=lambda e, P: as_indices(P))
# do_t
mistake("softmax' missing", "do_t is -y_t / p_t: the derivative of softmax is missing",
        dO=lambda e, P: -e.Y / P)
mistake("only the last loss", "only the loss of the last step is differentiated",
        dO=lambda e, P: (P - e.Y) * (np.arange(len(P)) == len(P) - 1)[:, None, None])
# dh_t and da_t
mistake("next step missing", "what comes back from the step after, W^T da_{t+1}, is missing in dh_t",
        back=lambda e, t, dA, dH: 0.0)
mistake("W for its transpose", "what comes back is W da_{t+1} instead of W^T da_{t+1}",
        back=lambda e, t, dA, dH: dA[t] @ e.theta["W"].T)
mistake("tanh' missing in the next step's term",
        "what comes back is W^T dh_{t+1} instead of W^T da_{t+1}",
        back=lambda e, t, dA, dH: dH[t] @ e.theta["W"])
mistake("tanh' missing", "the derivative of tanh, 1 - h_t^2, is missing", dA=lambda e, H, dH: dH)
mistake("tanh' without the square", "the derivative of tanh is taken as 1 - h_t instead of 1 - h_t^2",
        dA=lambda e, H, dH: (1 - H) * dH)
mistake("tanh' of tanh(h)", "the derivative of tanh takes tanh of h_t once more: 1 - tanh(h_t)^2",
        dA=lambda e, H, dH: (1 - np.tanh(H) ** 2) * dH)
mistake("tanh' of a", "the derivative of tanh is taken as 1 - a_t^2 instead of 1 - h_t^2",
        dA=lambda e, H, dH: (1 - np.arctanh(H) ** 2) * dH)
# the sums
mistake("h_t for h_{t-1}", "dW takes h_t instead of h_{t-1}", dW=lambda e, dA, H: outer(dA, H[1:]))
mistake("h_{t-1} for h_t", "dV takes h_{t-1} instead of h_t", dV=lambda e, dO, H: outer(dO, H[:-1]))
mistake("h_0 ignored in it", "dW leaves out h_0: the first step's da_1 h_0^T is missing",
        dW=lambda e, dA, H: outer(dA, no_first(H)))
mistake("h_T for h_0", "dW takes h_T instead of h_0: is it read at index -1?",
        dW=lambda e, dA, H: outer(dA, no_first(H, H[-1])))
for name, step in (("first", 0), ("last", -1)):
    mistake(f"only the {name} step", f"only the {name} step is kept instead of the sum over all",
            dW=lambda e, dA, H, s=step: dA[s].T @ H[:-1][s], dU=lambda e, dA, s=step: dA[s].T @ e.X[s],
            db=lambda e, dA, s=step: dA[s].sum(0), dc=lambda e, dO, s=step: dO[s].sum(0),
            dV=lambda e, dO, H, s=step: dO[s].T @ H[1:][s])

# Factors by which an array may be off, as functions of T, B, K.
FACTORS: dict[str, tuple[str, Callable[[int, int, int], float]]] = {
    "factor -1": ("the sign is wrong", lambda T, B, K: -1),
    "factor T": ("T times too large: a sum over the T characters instead of their mean",
                 lambda T, B, K: T),
    "factor 1/T": ("T times too small: a mean over the T characters instead of their sum",
                   lambda T, B, K: 1 / T),
    "factor B": ("B times too large: a sum over the B windows instead of their mean", lambda T, B, K: B),
    "factor 1/B": ("B times too small: divided by the B windows once too often", lambda T, B, K: 1 / B),
    "factor T/K": ("divided by the K characters of the alphabet instead of the T of the window",
                   lambda T, B, K: T / K),
    "factor 1/K": ("divided by the K characters of the alphabet", lambda T, B, K: 1 / K),
    "factor bits": ("in bits instead of nats: a logarithm to base 2", lambda T, B, K: 1 / math.log(2)),
    "factor 2": ("2 times too large, as if the gradients of 2 calls were added up", lambda T, B, K: 2),
    "factor 1/2": ("half as large as it should be", lambda T, B, K: 0.5),
}
# fmt: on
