"""The equations of the network in NumPy, one line a method, as naive as they are written.

    a_t = W h_{t-1} + U x_t + b     h_t = tanh(a_t)     o_t = V h_t + c     p_t = softmax(o_t)

`compute` goes through them in order. Where a program saved an array, it continues from the program's
own, so that each line is checked alone. A known mistake is a subclass that overrides one line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nbrnn.typing import Array

Arrays = dict[str, Array]

# All arrays in the order in which they follow from each other, with the line that makes each.
LINES = {
    "H": "h_t = tanh(W h_{t-1} + U x_t + b)",
    "h_last": "the last state is h_T",
    "O": "o_t = V h_t + c",
    "P": "p_t = softmax(o_t)",
    "loss": "the loss adds up -log p_t[y_t]",
    "dO": "do_t = p_t - y_t",
    "dH": "dh_t = V^T do_t + W^T da_{t+1}",
    "dA": "da_t = (1 - h_t^2) * dh_t",
    "dV": "dV adds up do_t h_t^T",
    "dc": "dc adds up do_t",
    "dW": "dW adds up da_t h_{t-1}^T",
    "dU": "dU adds up da_t x_t^T",
    "db": "db adds up da_t",
}
FORWARD = ("H", "h_last", "O", "P", "loss")
GRADIENTS = ("dW", "dU", "dV", "db", "dc")
# These grow with the factor of the loss: T if it is a sum, 1 if it is a mean over T characters.
SCALED = ("loss", "dO", "dH", "dA", *GRADIENTS)


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

    def perturbed(self, eps: float, rng: np.random.Generator) -> Exercise:
        """Return it with each parameter and state changed by about `eps`, relatively."""
        theta = {name: array * noise(array, eps, rng) for name, array in self.theta.items()}
        return replace(self, theta=theta, h0=self.h0 * noise(self.h0, eps, rng))


class Lines:
    """The lines of the equations; the loss is the sum of all characters' losses."""

    def start(self, e: Exercise) -> Any:
        return e.h0

    def target(self, e: Exercise) -> Any:
        return e.Y

    def state(self, e: Exercise, t: int, H: Array) -> Any:
        """Return h_t of H = h_0, h_1, ... and the step t, counted from 1."""
        return np.tanh(H[t - 1] @ e.theta["W"].T + e.X[t - 1] @ e.theta["U"].T + e.theta["b"])

    def logits(self, e: Exercise, H: Array) -> Any:
        return H[1:] @ e.theta["V"].T + e.theta["c"]

    def softmax(self, e: Exercise, O: Array) -> Any:
        return softmax(O)

    def loss(self, e: Exercise, P: Array) -> Any:
        return -np.log(P[self.target(e) == 1]).sum()

    def dO(self, e: Exercise, P: Array) -> Any:
        return P - self.target(e)

    def dH(self, e: Exercise, t: int, dO: Array, dA: Array, dH: Array) -> Any:
        """Return dh_t; of the last step nothing follows."""
        through_o = dO[t - 1] @ e.theta["V"]
        return through_o + self.back(e, t, dA, dH) if t < len(dO) else through_o

    def back(self, e: Exercise, t: int, dA: Array, dH: Array) -> Any:
        """Return what comes back to step t from the step after it."""
        return dA[t] @ e.theta["W"]

    def dA(self, e: Exercise, H: Array, dH: Array) -> Any:
        """Return da of all steps that are given, H being their states."""
        return (1 - H**2) * dH

    def dV(self, e: Exercise, dO: Array, H: Array) -> Any:
        return outer(dO, H[1:])

    def dW(self, e: Exercise, dA: Array, H: Array) -> Any:
        return outer(dA, H[:-1])

    def dU(self, e: Exercise, dA: Array) -> Any:
        return outer(dA, e.X)

    def db(self, e: Exercise, dA: Array) -> Any:
        return dA.sum((0, 1))

    def dc(self, e: Exercise, dO: Array) -> Any:
        return dO.sum((0, 1))


RIGHT = Lines()


def compute(
    e: Exercise,
    lines: Lines = RIGHT,
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
    take("loss", lines.loss(e, P))

    dO = take("dO", lines.dO(e, P))
    found["dH"], found["dA"] = np.zeros((T, B, m)), np.zeros((T, B, m))
    dH, dA = own.get("dH", found["dH"]), own.get("dA", found["dA"])
    for t in range(T, 0, -1):
        found["dH"][t - 1] = rounded(lines.dH(e, t, dO, dA, dH))
        found["dA"][t - 1] = rounded(lines.dA(e, H[t : t + 1], dH[t - 1 : t])[0])
    take("dV", lines.dV(e, dO, H))
    take("dc", lines.dc(e, dO))
    take("dW", lines.dW(e, dA, H))
    take("dU", lines.dU(e, dA))
    take("db", lines.db(e, dA))
    return found


def softmax(O: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """Return probabilities."""
    e = np.exp(O - O.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


def outer(left: Array, right: Array) -> Array:
    """Return the sum over all steps and windows of the products left_t right_t^T."""
    return left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1])


def noise(array: Array, eps: float, rng: np.random.Generator) -> Array:
    """Return factors near 1, of the array's shape."""
    return 1 + eps * rng.standard_normal(array.shape)
