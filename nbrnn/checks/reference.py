"""The whole computation in NumPy, with a switch for each mistake that people make.

    a_t = W h_{t-1} + U x_t + b      h_t = tanh(a_t)      o_t = V h_t + c      p_t = softmax(o_t)

Without faults everything is right.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from nbrnn.checks.faults import ASSEMBLY_FAULTS, PART_FAULTS, SUM_FAULTS, Fault
from nbrnn.checks.problem import Problem
from nbrnn.typing import Array

Faults = Collection[Fault]

DERIVED = "derived"  # the gradient is that of the wrong forward pass, as by automatic differentiation
DERIVABLE = {
    "state not handed on",
    "W transposed",
    "x read as indices",
    "reads y",
    "h_{t-1} for h_t in o",
    "softmax over time",
    "softmax over all",
}
MAX_TRUNCATIONS = 100  # numbers of steps that are tried


class States(NamedTuple):
    """What the forward pass computes."""

    A: Array  # (T, B, m): what goes into tanh
    H: Array  # (T+1, B, m): H[0] is the state before the window
    O: Array  # (T, B, K)
    P: Array  # (T, B, K)
    loss: float

    @property
    def answers(self) -> dict[str, Array]:
        """The arrays that a program may answer with, by name."""
        last, loss = self.H[-1], np.array(self.loss)
        return {"H": self.H, "h_last": last, "O": self.O, "P": self.P, "loss": loss}


class Signals(NamedTuple):
    """What back-propagation computes before it sums over time, and of what it takes outer products.

    do, da: the gradients of o and of a. `is_transposed`: that of W is its transpose's.
    """

    do: Array  # (T, B, K)
    da: Array  # (T, B, m)
    read: Array  # (T, B, m): the states that V is multiplied with
    before: Array  # (T, B, m): those that W is
    x: Array  # (T, B, K): what U is
    is_transposed: bool = False


def forward(problem: Problem, faults: Faults = ()) -> States:
    """Return states, probabilities and the loss."""
    H, A = states(problem, faults)
    O = outputs(problem, H, faults)
    P = softmax(O, faults)
    return States(A, H, O, P, loss_of(problem, P, faults))


def states(problem: Problem, faults: Faults) -> tuple[Array, Array]:
    """Return the states H (T+1, B, m) and what goes into tanh (T, B, m)."""
    theta, X, h0 = problem.theta, problem.X, problem.h0
    W = theta["W"] if "W transposed" in faults else theta["W"].T
    A = inputs(problem, faults) @ theta["U"].T + (0 if "b left out" in faults else theta["b"])
    H = np.empty((len(X) + 1, *h0.shape), A.dtype)
    H[0] = 0 if "h_0 ignored" in faults else h0
    for t in range(len(X)):
        before = H[0] if "state not handed on" in faults else H[t]
        if t == 0 or "every step but the first from 0" not in faults:
            A[t] += before @ W
        if "sigmoid for tanh" in faults:
            H[t + 1] = 1 / (1 + np.exp(-A[t]))
        else:
            H[t + 1] = A[t] if "no tanh" in faults else np.tanh(A[t])
    return H, A


def inputs(problem: Problem, faults: Faults) -> Array:
    """Return what the network reads (T, B, K)."""
    if "x read as indices" in faults:
        return as_indices(problem.X)
    return problem.Y if "reads y" in faults else problem.X


def as_indices(one_hot: Array) -> Array:
    """Return the sums of one-hot vectors that are used as indices: K - 1 times the first character."""
    wrong = np.zeros_like(one_hot)
    wrong[..., 0] = one_hot.shape[-1] - 1
    wrong[..., 1:2] = 1
    return wrong


def outputs(problem: Problem, H: Array, faults: Faults = ()) -> Array:
    """Return o (T, B, K) of the states (T+1, B, m)."""
    theta = problem.theta
    read = H[:-1] if "h_{t-1} for h_t in o" in faults else H[1:]
    return np.asarray(read @ theta["V"].T + (0 if "c left out" in faults else theta["c"]))


def softmax(O: Array, faults: Faults = ()) -> Array:
    """Return probabilities (T, B, K)."""
    axes: int | tuple[int, ...] = -1
    if "softmax over time" in faults:
        axes = 0
    elif "softmax over all" in faults:
        axes = (0, 1, 2)
    e = np.exp(O - O.max(axes, keepdims=True))
    return np.asarray(e / e.sum(axes, keepdims=True))


def targets(problem: Problem, faults: Faults) -> Array:
    """Return what is to be predicted, one-hot (T, B, K)."""
    Y = problem.Y
    if "targets are x" in faults:
        return problem.X
    if "targets late" in faults:
        return np.roll(Y, 1, 0)
    if "targets early" in faults:
        return np.roll(Y, -1, 0)
    if "y read as K indices" in faults:
        return np.asarray(as_indices(Y) / Y.shape[-1])
    return as_indices(Y) if "y read as indices" in faults else Y


def loss_of(problem: Problem, P: Array, faults: Faults = ()) -> float:
    """Return the loss of probabilities."""
    Y = targets(problem, faults)
    used = Y != 0
    P = softmax(P) if "softmax twice" in faults else P
    if "log missing" in faults:
        return float(-problem.scale * (Y * P).sum())
    return float(-problem.scale * (Y[used] * np.log(P[used])).sum())


def signals(problem: Problem, at: States, faults: Faults = ()) -> Signals:
    """Return the gradients of o and of a, by back-propagation through the window."""
    do = output_gradient(problem, at.P, faults)
    theta, H = problem.theta, at.H
    slope = 1 - H[1:] ** 2
    if "tanh' without the square" in faults:
        slope = 1 - H[1:]
    elif "tanh' of a" in faults:
        slope = 1 - at.A**2
    elif "tanh' of tanh(h)" in faults:
        slope = 1 - np.tanh(H[1:]) ** 2
    elif "tanh' missing" in faults or "no tanh" in faults:
        slope = np.ones_like(H[1:])
    if "sigmoid for tanh" in faults and "tanh' missing" not in faults:
        slope = H[1:] * (1 - H[1:])
    read = do
    if "h_{t-1} for h_t in o" in faults:
        read = np.concatenate([do[1:], np.zeros_like(do[:1])])
    D = read @ theta["V"]  # (T, B, m): the gradient of h_t by way of o_t alone
    W = theta["W"].T if ("W for its transpose" in faults) != ("W transposed" in faults) else theta["W"]
    da = np.empty_like(D)
    following = np.zeros_like(problem.h0)
    alone = {"next step missing", "state not handed on", "every step but the first from 0"} & {*faults}
    for t in reversed(range(len(D))):
        dh = D[t] if alone else D[t] + following @ W
        da[t] = dh * slope[t]
        following = dh if "tanh' missing in the next step's term" in faults else da[t]
    return factors(problem, at, do, da, faults)


def factors(problem: Problem, at: States, do: Array, da: Array, faults: Faults = ()) -> Signals:
    """Return the gradients of o and of a with what their outer products are taken of."""
    H, before = at.H, at.H[:-1]
    if DERIVED not in faults:
        return Signals(do, da, H[1:], before, problem.X)
    if "state not handed on" in faults:
        before = np.broadcast_to(H[0], before.shape)
    read = H[:-1] if "h_{t-1} for h_t in o" in faults else H[1:]
    return Signals(do, da, read, before, inputs(problem, faults), "W transposed" in faults)


def output_gradient(problem: Problem, P: Array, faults: Faults) -> Array:
    """Return the gradient of o, of the sum of all losses."""
    Y = targets(problem, faults)
    if DERIVED in faults and "softmax over time" in faults:
        return np.asarray(P * Y.sum(0) - Y)
    if DERIVED in faults and "softmax over all" in faults:
        return np.asarray(P * Y.sum() - Y)
    if "softmax' missing" in faults:
        do = np.where(Y != 0, -Y / P, 0)
    elif "softmax twice" in faults:
        do = through_softmax(P, softmax(P) - Y)
    elif "log missing" in faults:
        do = through_softmax(P, -Y)
    else:
        do = P - np.minimum(Y, 1)
        if "softmax' applied twice" in faults:
            do = through_softmax(P, do)
    if "only the last loss" in faults:
        do[:-1] = 0
    return do


def through_softmax(P: Array, dp: Array) -> Array:
    """Return the gradient of o from that of p."""
    return np.asarray(P * (dp - (P * dp).sum(-1, keepdims=True)))


def truncations(problem: Problem, at: States, do: Array) -> Iterator[tuple[int, Signals]]:
    """Yield n and the signals if back-propagation goes back n steps from each loss, n = 1, 2, ..."""
    slope = 1 - at.H[1:] ** 2
    part = do @ problem.theta["V"] * slope
    total = part.copy()
    for n in range(1, min(len(do) - 1, MAX_TRUNCATIONS)):
        part = part[1:] @ problem.theta["W"] * slope[:-n]
        total[:-n] += part
        yield n, factors(problem, at, do, total.copy())


# ---------------------------------------------------------------- gradients, and how they are summed


def outer(left: Array, right: Array) -> Array:
    """Return the sum of the outer products of (T, B, n) and (T, B, k): (n, k)."""
    return left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1])


def gradient(
    name: str, problem: Problem, at: States, signals: Signals, faults: Collection[str] = ()
) -> Array | None:
    """Return a parameter's gradient, summed over time with faults; None where it cannot have them."""
    scale, left = problem.scale, signals.do if name in "Vc" else signals.da
    if name in "bc":
        summed = bias_gradient(left, faults)
        return None if summed is None else scale * summed
    right = {"W": signals.before, "U": signals.x, "V": signals.read}[name]
    if name == "W" and signals.is_transposed:
        left, right = right, left
    for fault in (each for each in ASSEMBLY_FAULTS if each in faults):
        if fault == "h_t for h_{t-1}" and name in "WV":
            right = at.H[1:] if name == "W" else at.H[:-1]
        elif fault == "h_0 ignored in it" and name == "W":
            right = np.concatenate([np.zeros_like(right[:1]), right[1:]])
        elif fault == "y for x" and name == "U":
            right = problem.Y
        elif fault in PARTS:
            left, right = left[PARTS[fault]], right[PARTS[fault]]
        elif fault == "transposed":
            left, right = right, left
        else:
            return None
    return scale * outer(left, right)


def bias_gradient(series: Array, faults: Collection[str]) -> Array | None:
    """Return the sum of a bias's gradients (T, B, n) over time and windows, with faults."""
    for fault in faults:
        series = series[PARTS[fault]] if fault in PARTS else series
    match [fault for fault in faults if fault not in PARTS]:
        case []:
            return np.asarray(series.sum((0, 1)))
        case ["wrong axis"]:
            return np.asarray(series.sum(-1))
        case ["summed to one number"]:
            return np.full(series.shape[-1], series.sum())
        case ["not summed over time"]:
            return np.asarray(series.sum(1))
        case ["not summed over windows"]:
            return np.asarray(series.sum(0))
    return None


PARTS: dict[str, slice | tuple[slice, slice]] = {  # of a series (T, B, n)
    "only the last step": slice(-1, None),
    "only the first step": slice(0, 1),
    "only the first window": (slice(None), slice(0, 1)),
}
OF_GRADIENT = {  # those that each gradient may have
    "W": {"h_t for h_{t-1}", "h_0 ignored in it", *PART_FAULTS, "transposed"},
    "U": {"y for x", *PART_FAULTS, "transposed"},
    "V": {"h_t for h_{t-1}", *PART_FAULTS, "transposed"},
    "b": {*PART_FAULTS, *SUM_FAULTS},
    "c": {*PART_FAULTS, *SUM_FAULTS},
}
OF_BATCHES = {"only the first window", "not summed over windows"}
