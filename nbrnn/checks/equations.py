"""The equations of the network in NumPy, as naive as they are written, one line each.

    a_t = W h_{t-1} + U x_t + b     h_t = tanh(a_t)     o_t = V h_t + c     p_t = softmax(o_t)

`compute` goes through them in order. Where a program saved an array, it continues from the program's
own, so that each line is checked alone. A known mistake is another function in place of one line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nbrnn.typing import Array

Arrays = dict[str, Array]


class Line(NamedTuple):
    """What an array is, the line that makes it, and the array before it which that line takes."""

    what: str
    formula: str
    source: str = ""


# All arrays in the order in which they follow from each other.
LINES = {
    "H": Line("states", "h_t = tanh(W h_{t-1} + U x_t + b)"),
    "h_last": Line("last state", "the last state is h_T", "H"),
    "O": Line("logits", "o_t = V h_t + c", "H"),
    "P": Line("probabilities", "p_t = softmax(o_t)", "O"),
    "loss": Line("loss", "the loss adds up -log p_t[y_t]", "P"),
    "dO": Line("gradient of o_t", "do_t = p_t - y_t", "P"),
    "dH": Line("gradient of h_t", "dh_t = V^T do_t + W^T da_{t+1}", "dO"),
    "dA": Line("gradient of a_t", "da_t = (1 - h_t^2) * dh_t", "dH"),
    "dV": Line("gradient of V", "dV adds up do_t h_t^T", "dO"),
    "dc": Line("gradient of c", "dc adds up do_t", "dO"),
    "dW": Line("gradient of W", "dW adds up da_t h_{t-1}^T", "dA"),
    "dU": Line("gradient of U", "dU adds up da_t x_t^T", "dA"),
    "db": Line("gradient of b", "db adds up da_t", "dA"),
}
FORWARD = ("H", "h_last", "O", "P")  # the others are proportional to the factor of the loss
BACKWARD = ("dO", "dH", "dA")
GRADIENTS = ("dW", "dU", "dV", "db", "dc")


@dataclass(frozen=True)
class Exercise:
    """One computation: theta W (m, m), U (m, K), V (K, m), b (m,), c (K,); X, Y (T, B, K); h0 (B, m)."""

    theta: Arrays
    X: Array
    Y: Array
    h0: Array

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """T, B, K, m."""
        T, B, K = self.X.shape
        return T, B, K, self.h0.shape[1]


def activation(e: Exercise, t: int, h: Array) -> Array:
    """Return a_t for the state h before step t, which counts from 1."""
    return np.asarray(h @ e.theta["W"].T + e.X[t - 1] @ e.theta["U"].T + e.theta["b"])


def softmax(O: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """Return probabilities."""
    e = np.exp(O - O.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


def outer(left: Array, right: Array) -> Array:
    """Return the sum over all steps and windows of the products left_t right_t^T."""
    return left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1])


Function = Callable[..., Any]


@dataclass(frozen=True)
class Equations:
    """What makes each array from those before it; H = h_0, h_1, ..., and the loss is a sum."""

    start: Function = lambda e: e.h0
    state: Function = lambda e, t, H: np.tanh(activation(e, t, H[t - 1]))
    logits: Function = lambda e, H: H[1:] @ e.theta["V"].T + e.theta["c"]
    softmax: Function = lambda e, O: softmax(O)
    target: Function = lambda e: e.Y
    loss: Function = lambda P, Y: -np.log(P[Y == 1]).sum()
    dO: Function = lambda P, Y: P - Y
    back: Function = lambda e, t, dA, dH: dA[t] @ e.theta["W"]  # from step t + 1 to step t
    dA: Function = lambda H, dH: (1 - H**2) * dH
    dV: Function = lambda dO, H: outer(dO, H[1:])
    dc: Function = lambda dO: dO.sum((0, 1))
    dW: Function = lambda dA, H: outer(dA, H[:-1])
    dU: Function = lambda dA, X: outer(dA, X)
    db: Function = lambda dA: dA.sum((0, 1))


RIGHT = Equations()


def compute(
    e: Exercise,
    lines: Equations = RIGHT,
    own: Mapping[str, Array] | None = None,
    rounded: Callable[[Array], Array] = np.asarray,
) -> Arrays:
    """Return all arrays by name, each as it follows from those of `own` before it.

    `own` has arrays of a program: H (T+1, B, m) with h_0, O and P (T, B, K), dO, dH, dA. What is not
    among them is computed. `rounded` is applied to the result of each line.
    """
    own = own or {}
    found: Arrays = {}

    def take(name: str, value: Any) -> Array:
        found[name] = rounded(np.asarray(value))
        return own.get(name, found[name])

    T, B, _, m = e.sizes
    found["H"] = np.empty((T + 1, B, m))
    found["H"][0] = lines.start(e)
    H = own.get("H", found["H"])
    for t in range(1, T + 1):
        found["H"][t] = rounded(lines.state(e, t, H))
    found["h_last"] = H[-1]
    O = take("O", lines.logits(e, H))
    P = take("P", lines.softmax(e, O))
    Y = lines.target(e)
    take("loss", lines.loss(P, Y))

    dO = take("dO", lines.dO(P, Y))
    found["dH"], found["dA"] = np.zeros((T, B, m)), np.zeros((T, B, m))
    dH, dA = own.get("dH", found["dH"]), own.get("dA", found["dA"])
    for t in range(T, 0, -1):
        back = lines.back(e, t, dA, dH) if t < T else 0.0  # nothing follows the last step
        found["dH"][t - 1] = rounded(dO[t - 1] @ e.theta["V"] + back)
        found["dA"][t - 1] = rounded(lines.dA(H[t], dH[t - 1]))
    take("dV", lines.dV(dO, H))
    take("dc", lines.dc(dO))
    take("dW", lines.dW(dA, H))
    take("dU", lines.dU(dA, e.X))
    take("db", lines.db(dA))
    return found
