"""Known mistakes: each is the equations with one line changed. A name is a hint, given only if proven.

A mistake is named if it gives every number of an array, to the precision of the program's numbers, on
every exercise that was given. Otherwise no name is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from nbrnn.checks.equations import RIGHT, Exercise, Function, activation, outer, softmax
from nbrnn.typing import Array

# By name: what is wrong, and the functions that stand in place of the right ones.
MISTAKES: dict[str, tuple[str, dict[str, Function]]] = {}


def mistake(name: str, sentence: str, **changed: Function) -> None:
    """Add a mistake."""
    MISTAKES[name] = sentence, changed


def other(e: Exercise, **theta: Any) -> Exercise:
    """Return an exercise with other parameters."""
    return replace(e, theta={**e.theta, **theta})


def no_first(H: Array, first: Array | float = 0.0) -> Array:
    """Return h_0 to h_{T-1} with another h_0."""
    return np.concatenate([np.zeros_like(H[:1]) + first, H[1:-1]])


# fmt: off
# h_t
mistake("h_0 ignored", "the window starts from h = 0 instead of the given h_0", start=lambda e: 0 * e.h0)
mistake("W transposed", "h_t is computed with W^T instead of W",
        state=lambda e, t, H: RIGHT.state(other(e, W=e.theta["W"].T), t, H))
mistake("b left out", "h_t is computed without b",
        state=lambda e, t, H: RIGHT.state(other(e, b=0.0), t, H))
mistake("state not handed on", "every step starts from h_0: h is not carried over from step to step",
        state=lambda e, t, H: np.tanh(activation(e, t, H[0])))
mistake("every step but the first from 0", "every step but the first is from 0",
        state=lambda e, t, H: np.tanh(activation(e, t, H[0] if t == 1 else 0 * H[0])))
mistake("sigmoid for tanh", "h_t is the sigmoid instead of tanh",
        state=lambda e, t, H: 1 / (1 + np.exp(-activation(e, t, H[t - 1]))))
mistake("no tanh", "tanh is missing", state=lambda e, t, H: activation(e, t, H[t - 1]))
mistake("relu", "the states are those of a ReLU network",
        state=lambda e, t, H: np.maximum(0, activation(e, t, H[t - 1])))
# o_t and p_t
mistake("h_{t-1} for h_t in o", "o_t is computed from h_{t-1} instead of h_t",
        logits=lambda e, H: H[:-1] @ e.theta["V"].T + e.theta["c"])
mistake("c left out", "o_t is computed without c", logits=lambda e, H: H[1:] @ e.theta["V"].T)
mistake("softmax over time", "softmax is taken along the wrong axis: over the steps, not the characters",
        softmax=lambda e, O: softmax(O, 0))
mistake("logits for P", "P holds the o_t, before softmax", softmax=lambda e, O: O)
mistake("log P for P", "P holds logarithms of the probabilities",
        softmax=lambda e, O: np.log(softmax(O)))
mistake("P minus Y for P", "P holds p_t - y_t: is Y subtracted from it in place before it is saved?",
        softmax=lambda e, O: softmax(O) - e.Y)
# the loss, and the targets of loss and gradient
mistake("targets late", "the targets are those of the step before", target=lambda e: np.roll(e.Y, 1, 0))
mistake("targets early", "the targets are those of the step after", target=lambda e: np.roll(e.Y, -1, 0))
mistake("targets are x", "the targets are x instead of y", target=lambda e: e.X)
mistake("log missing", "the logarithm is missing in the loss", loss=lambda P, Y: -P[Y == 1].sum())
mistake("softmax twice", "softmax is applied twice: the loss takes probabilities for logits",
        loss=lambda P, Y: -np.log(softmax(P)[Y == 1]).sum())
mistake("y read as indices", "the one-hot vectors of y are used as indices",
        loss=lambda P, Y: -(np.log(P[..., 0]) * (P.shape[-1] - 1) + np.log(P[..., 1])).sum())
# do_t
mistake("softmax' missing", "do_t is -y_t / p_t: the derivative of softmax is missing",
        dO=lambda P, Y: -Y / P)
mistake("only the last loss", "only the loss of the last step is differentiated",
        dO=lambda P, Y: (P - Y) * (np.arange(len(P)) == len(P) - 1)[:, None, None])
# dh_t and da_t
mistake("next step missing", "what comes back from the step after, W^T da_{t+1}, is missing in dh_t",
        back=lambda e, t, dA, dH: 0.0)
mistake("next steps added up",
        "what comes back from all later steps adds up in dh_t, not W^T da_{t+1} alone",
        back=lambda e, t, dA, dH: dA[t:].sum(0) @ e.theta["W"])
mistake("W for its transpose", "what comes back is W da_{t+1} instead of W^T da_{t+1}",
        back=lambda e, t, dA, dH: dA[t] @ e.theta["W"].T)
mistake("tanh' missing in the next step's term",
        "what comes back is W^T dh_{t+1} instead of W^T da_{t+1}",
        back=lambda e, t, dA, dH: dH[t] @ e.theta["W"])
mistake("tanh' missing", "the derivative of tanh, 1 - h_t^2, is missing", dA=lambda H, dH: dH)
mistake("tanh' without the square", "the derivative of tanh is taken as 1 - h_t instead of 1 - h_t^2",
        dA=lambda H, dH: (1 - H) * dH)
mistake("tanh' of tanh(h)", "the derivative of tanh takes tanh of h_t once more: 1 - tanh(h_t)^2",
        dA=lambda H, dH: (1 - np.tanh(H) ** 2) * dH)
# the sums
mistake("h_t for h_{t-1}", "dW takes h_t instead of h_{t-1}", dW=lambda dA, H: outer(dA, H[1:]))
mistake("h_{t-1} for h_t", "dV takes h_{t-1} instead of h_t", dV=lambda dO, H: outer(dO, H[:-1]))
mistake("h_0 ignored in it", "dW leaves out h_0: the first step's da_1 h_0^T is missing",
        dW=lambda dA, H: outer(dA, no_first(H)))
mistake("h_T for h_0", "dW takes h_T instead of h_0: is it read at index -1?",
        dW=lambda dA, H: outer(dA, no_first(H, H[-1])))
for name, step in (("first", 0), ("last", -1)):
    mistake(f"only the {name} step", f"only the {name} step is kept instead of the sum over all",
            dW=lambda dA, H, s=step: dA[s].T @ H[:-1][s], dU=lambda dA, X, s=step: dA[s].T @ X[s],
            db=lambda dA, s=step: dA[s].sum(0), dc=lambda dO, s=step: dO[s].sum(0),
            dV=lambda dO, H, s=step: dO[s].T @ H[1:][s])

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
# Mistakes that are found by what an array looks like beside the right one.
LOOKS = {
    "overflow": "NaN or infinite where logits are large: subtract the largest logit before the softmax",
    "transposed": "it is transposed",
    "zero": "0 everywhere: nothing is added to it",
    "another h_0": "h_1 does not follow from the given h_0, and all later states do from those before: "
    "another state was used, or h0 was overwritten before it was saved",
}
# fmt: on


def words_of(name: str) -> str:
    """Return what is wrong, in words."""
    return LOOKS.get(name) or (MISTAKES.get(name) or FACTORS[name])[0]
